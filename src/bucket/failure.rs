//! What an S3 request failed of, as one of our kinds.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::abort_multipart_upload::AbortMultipartUploadError;
use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadError;
use aws_sdk_s3::operation::create_bucket::CreateBucketError;
use aws_sdk_s3::operation::create_multipart_upload::CreateMultipartUploadError;
use aws_sdk_s3::operation::delete_object::DeleteObjectError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::operation::list_multipart_uploads::ListMultipartUploadsError;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Error;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::operation::upload_part::UploadPartError;

use crate::aws::{may_be_lent_later, root_cause};
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

/// An operation, known by its error, and the right that it needs.
pub(super) trait Operation: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static {
    /// The action that a policy must allow.
    const NEEDS: &'static str;
    /// Whether on objects, not on the bucket.
    const OF_OBJECTS: bool;
}

macro_rules! operations {
    ($($error:ty: $needs:literal $of_objects:literal),+ $(,)?) => {
        $(impl Operation for $error {
            const NEEDS: &'static str = $needs;
            const OF_OBJECTS: bool = $of_objects;
        })+
    };
}

operations! {
    CreateBucketError: "s3:CreateBucket" false,
    ListObjectsV2Error: "s3:ListBucket" false,
    ListMultipartUploadsError: "s3:ListBucketMultipartUploads" false,
    GetObjectError: "s3:GetObject" true,
    HeadObjectError: "s3:GetObject" true,
    PutObjectError: "s3:PutObject" true,
    CreateMultipartUploadError: "s3:PutObject" true,
    UploadPartError: "s3:PutObject" true,
    CompleteMultipartUploadError: "s3:PutObject" true,
    DeleteObjectError: "s3:DeleteObject" true,
    AbortMultipartUploadError: "s3:AbortMultipartUpload" true,
}

/// The way out for credentials that lack a right on `resource`.
fn grant<E: Operation>(resource: &str) -> String {
    let or = match E::NEEDS {
        "s3:CreateBucket" => ", or have the bucket created by whoever may",
        "s3:PutObject" | "s3:GetObject" => {
            ", and on a key of KMS that encrypts the bucket kms:GenerateDataKey and kms:Decrypt"
        }
        _ => "",
    };
    format!("Grant the credentials {} on {resource}{or}; rights/ has a policy for each task", E::NEEDS)
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

/// Where a request went.
pub(super) struct Asked<'a> {
    /// The bucket, as messages name it.
    pub place: &'a str,
    /// The region that it was signed for.
    pub region: &'a str,
    /// What the operation's right is granted on.
    pub resource: String,
}

/// What S3 said, as one of our kinds.
pub(super) fn classify<E: Operation>(asked: &Asked<'_>, what: &str, error: &SdkError<E>) -> Error {
    let Asked { place, region: ours, resource } = asked;
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
        (Some(401 | 403), _) => Error::new(Kind::BucketRights, message).advice(grant::<E>(resource)),
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
