//! What an S3 request failed of, as one of our kinds.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::error::{Error, Kind};
use crate::tls::{Fault, Keys};

/// What decides about TLS with the bucket.
const KEYS: Keys = Keys {
    host: "bucket.endpoint",
    ca_file: "bucket.ca_file",
    unverified: "",
    plain: "Begin bucket.endpoint with http:// if it is meant to be without TLS, else have TLS set up there",
};

/// The HTTP status of the answer; `None` where there was none.
pub(super) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// The region in which a bucket is, where an answer says that it is in another than was asked.
pub(super) fn told_region<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<String> {
    let header = error.raw_response().and_then(|response| response.headers().get("x-amz-bucket-region"));
    let header = header.map(str::to_owned);
    header.or_else(|| {
        let expected = error.message()?.split_once("expecting '")?.1;
        Some(expected.split_once('\'')?.0.to_owned())
    })
}

/// What S3 said to requests signed for region `ours`, as one of our kinds.
pub(super) fn classify<E>(place: &str, ours: &str, what: &str, error: &SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = status(error);
    let code = error.code().unwrap_or_default().to_owned();
    let said = match (error.message(), status) {
        (Some(message), _) => format!("{code}: {message}"),
        (None, Some(status)) => format!("HTTP {status} {code}").trim_end().to_owned(),
        (None, None) => root_cause(error),
    };
    let message = format!("{place} {what}: {said}");
    if status.is_none() {
        match Fault::in_text(&said) {
            Fault::Other(_) => {}
            fault => return not_trusted(place, what, &fault),
        }
    }
    let elsewhere = matches!(status, Some(301 | 307))
        || (status == Some(400) && (code.is_empty() || code == "AuthorizationHeaderMalformed"));
    if let (true, Some(region)) = (elsewhere, told_region(error).filter(|region| region != ours)) {
        return Error::new(Kind::BucketRights, format!("{place} {what}: it is in region '{region}'")).advice(format!(
            "Set bucket.region = \"{region}\"; a bucket.endpoint, if one is set, must be that region's"
        ));
    }
    match (status, code.as_str()) {
        (_, "NoSuchBucket") => Error::new(Kind::BucketRights, message).advice("Run 'delsert check', which creates it, or mend bucket.name"),
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken") => {
            Error::new(Kind::BucketRights, message)
                .advice("Mend the AWS credentials (environment, profile or role) that this process finds first")
        }
        (_, "RequestTimeTooSkewed") => {
            Error::new(Kind::BucketRights, message).advice("Set this machine's clock, which the server finds wrong")
        }
        (_, "ThrottlingException") => Error::new(Kind::BucketUnreachable, message).advice("Try again"),
        (Some(401 | 403), _) => Error::new(Kind::BucketRights, message).advice(
            "Grant the credentials s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucketMultipartUploads on the bucket and prefix (check also s3:CreateBucket; of a bucket encrypted by KMS kms:GenerateDataKey and kms:Decrypt)",
        ),
        (_, code) if code.starts_with("KMS.") => Error::new(Kind::BucketRights, message)
            .advice("Check bucket.kms_key, and that the credentials may use it: kms:GenerateDataKey and kms:Decrypt"),
        (Some(501), _) => Error::new(Kind::BucketOverwrites, message)
            .advice("The server lacks what a create-only write needs. Use Amazon S3, or a server that honours If-None-Match"),
        // What we sent did not arrive as it was sent.
        (_, "BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch") => {
            Error::new(Kind::BucketUnreachable, message).advice("Try again; if it stays so, look at what lies between here and the bucket")
        }
        (_, "NoSuchUpload" | "RequestTimeout" | "OperationAborted" | "ConditionalRequestConflict" | "SlowDown") => {
            Error::new(Kind::BucketUnreachable, message).advice("Try again")
        }
        (Some(301 | 307), _) | (_, "AuthorizationHeaderMalformed") => {
            Error::new(Kind::BucketRights, message).advice("Set bucket.region to the region that the bucket is in")
        }
        (Some(429 | 500..), _) => Error::new(Kind::BucketUnreachable, message).advice("Try again"),
        (Some(_), _) => Error::new(Kind::BucketRights, message).advice("Check bucket.name and the rest of [bucket] in the configuration"),
        (None, _) if may_be_lent_later(&said) => Error::new(Kind::BucketUnreachable, message)
            .advice("Try again: whoever lends this process its credentials does not answer; if it stays so, mend the role or profile"),
        (None, _) if said.contains("redentials") => Error::new(Kind::BucketRights, message)
            .advice("Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine a role"),
        (None, _) => Error::new(Kind::BucketUnreachable, message).advice("Check bucket.endpoint, bucket.region and the network, then try again"),
    }
}

fn not_trusted(place: &str, what: &str, fault: &Fault) -> Error {
    let mut advice = fault.advice(&KEYS);
    if matches!(fault, Fault::Name(_)) {
        advice += "; a bucket whose name holds dots needs bucket.path_style = true";
    }
    Error::new(Kind::BucketTls, format!("{place} {what}: TLS fails, since the server {}", fault.what())).advice(advice)
}

/// Whether a role's or profile's credentials were not lent for a reason that may pass, by the words of the SDK.
fn may_be_lent_later(said: &str) -> bool {
    let any = |words: &[&str]| words.iter().any(|word| said.contains(word));
    any(&["loading credentials", "credentials provider timed out"])
        && !any(&["AccessDenied", "not authorized", "xpired", "InvalidClientTokenId", "InvalidIdentityToken"])
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts = vec![error.to_string()];
    let mut at = error.source();
    while let Some(cause) = at {
        texts.push(cause.to_string());
        at = cause.source();
    }
    texts.dedup();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_credentials_that_may_be_lent_later_are_tried_again() {
        for (said, later) in [
            ("dispatch failure: an error occurred while loading credentials: connection reset", true),
            ("dispatch failure: credentials provider timed out after 5 seconds", true),
            (
                "an error occurred while loading credentials: AccessDenied: not authorized to perform sts:AssumeRole",
                false,
            ),
            ("an error occurred while loading credentials: the SSO session has expired", false),
            ("the credential provider was not enabled: no providers in chain provided credentials", false),
        ] {
            assert_eq!(may_be_lent_later(said), later, "{said}");
        }
    }
}
