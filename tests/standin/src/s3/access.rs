//! Access keys, what they may do, and whose bucket a host name names.

use std::collections::HashMap;
use std::sync::Arc;

use hyper::http::Extensions;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{Credentials, S3Auth, SecretKey};
use s3s::dto::ListObjectsV2Input;
use s3s::host::{S3Host, VirtualHost};
use s3s::path::S3Path;
use s3s::{S3ErrorCode, S3Request, S3Result, s3_error};

use super::policy::{Asked, Policy};

/// What a key may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rights {
    /// Everything.
    All,
    /// Get, head and list.
    Read,
    /// Nothing: every call is 403 `AccessDenied`.
    None,
    /// What an IAM policy allows.
    Policy(Arc<Policy>),
}

/// The keys a server knows.
#[derive(Debug, Clone, Default)]
pub struct Keys(Arc<HashMap<String, Known>>);

/// What is known of a key.
#[derive(Debug, Clone)]
struct Known {
    secret: String,
    rights: Rights,
    /// What a key that was lent must bring with it.
    session: Option<String>,
}

impl Keys {
    /// One key that may do everything.
    pub fn one(access_key: &str, secret_key: &str) -> Self {
        Self::default().with(access_key, secret_key, Rights::All)
    }

    /// The same with another key.
    #[must_use]
    pub fn with(mut self, access_key: &str, secret_key: &str, rights: Rights) -> Self {
        let known = Known { secret: secret_key.to_owned(), rights, session: None };
        Arc::make_mut(&mut self.0).insert(access_key.to_owned(), known);
        self
    }

    /// The same with a key that was lent, and may do everything as long as its session's token comes with it.
    #[must_use]
    pub fn lent(mut self, access_key: &str, secret_key: &str, session: &str) -> Self {
        let known = Known { secret: secret_key.to_owned(), rights: Rights::All, session: Some(session.to_owned()) };
        Arc::make_mut(&mut self.0).insert(access_key.to_owned(), known);
        self
    }
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        self.0.get(access_key).map(|known| SecretKey::from(known.secret.as_str())).ok_or_else(|| {
            s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
        })
    }
}

/// Goes with a request of whoever may not list the bucket.
#[derive(Debug, Clone, Copy)]
struct MayNotList;

/// Whoever may not list a bucket does not learn that a key is not there.
pub(super) fn hide_absence<T>(found: S3Result<T>, request: &Extensions) -> S3Result<T> {
    found.map_err(|error| match error.code() {
        S3ErrorCode::NoSuchKey if request.get::<MayNotList>().is_some() => denied(),
        _ => error,
    })
}

fn denied() -> s3s::S3Error {
    s3_error!(AccessDenied, "Access Denied")
}

/// The action that an operation needs; `None` for those that no policy allows here. Listings are looked at once their
/// prefix is known.
fn action(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "ListBuckets" => "s3:ListAllMyBuckets",
        "CreateBucket" => "s3:CreateBucket",
        "DeleteBucket" => "s3:DeleteBucket",
        "GetBucketLocation" => "s3:GetBucketLocation",
        "HeadBucket" => "s3:ListBucket",
        "ListMultipartUploads" => "s3:ListBucketMultipartUploads",
        "GetObject" | "HeadObject" => "s3:GetObject",
        "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => "s3:PutObject",
        "DeleteObject" => "s3:DeleteObject",
        "AbortMultipartUpload" => "s3:AbortMultipartUpload",
        "ListParts" => "s3:ListMultipartUploadParts",
        _ => return None,
    })
}

impl Keys {
    fn rights(&self, who: Option<&Credentials>) -> Rights {
        who.and_then(|who| self.0.get(&who.access_key)).map_or(Rights::None, |known| known.rights.clone())
    }
}

#[async_trait::async_trait]
impl S3Access for Keys {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let rights = self.rights(cx.credentials());
        let known = cx.credentials().and_then(|who| self.0.get(&who.access_key));
        let session = cx.headers().get("x-amz-security-token").and_then(|token| token.to_str().ok());
        if known.is_some_and(|known| known.session.as_deref() != session) {
            return Err(s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid."));
        }
        let name = cx.s3_op().name();
        let reads = ["Get", "Head", "List"].iter().any(|start| name.starts_with(start));
        let policy = match rights {
            Rights::All => return Ok(()),
            Rights::Read if reads => return Ok(()),
            Rights::Policy(_) if name == "ListObjectsV2" => return Ok(()),
            Rights::Policy(policy) => policy,
            Rights::Read | Rights::None => return Err(denied()),
        };
        let (bucket, key) = match cx.s3_path() {
            S3Path::Root => ("", None),
            S3Path::Bucket { bucket } => (&**bucket, None),
            S3Path::Object { bucket, key } => (&**bucket, Some(&**key)),
        };
        let action = action(name).ok_or_else(denied)?;
        let asked = Asked { action, bucket, key, prefix: None, delimiter: None };
        let may_list = policy.allows(&Asked { action: "s3:ListBucket", key: None, ..asked });
        if !policy.allows(&asked) {
            return Err(denied());
        }
        if !may_list {
            cx.extensions_mut().insert(MayNotList);
        }
        Ok(())
    }

    async fn list_objects_v2(&self, request: &mut S3Request<ListObjectsV2Input>) -> S3Result<()> {
        let Rights::Policy(policy) = self.rights(request.credentials.as_ref()) else { return Ok(()) };
        let ListObjectsV2Input { bucket, prefix, delimiter, .. } = &request.input;
        let (prefix, delimiter) = (prefix.as_deref(), delimiter.as_deref());
        let asked = Asked { action: "s3:ListBucket", bucket, key: None, prefix, delimiter };
        if policy.allows(&asked) { Ok(()) } else { Err(denied()) }
    }
}

/// `bucket.localhost:9000` names a bucket, `localhost:9000` and `127.0.0.1:9000` do not.
#[derive(Debug, Clone, Copy)]
pub struct Hosts;

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        for base in ["localhost", "127.0.0.1"] {
            if let Some(bucket) = name.strip_suffix(base).and_then(|rest| rest.strip_suffix('.')) {
                return Ok(VirtualHost::new(base).with_bucket(bucket));
            }
        }
        Ok(VirtualHost::new(host))
    }
}
