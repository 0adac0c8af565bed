//! Access keys, what they may do, and whose bucket a host name names.

use std::collections::HashMap;
use std::sync::Arc;

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::host::{S3Host, VirtualHost};
use s3s::{S3Result, s3_error};

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Everything.
    All,
    /// Get, head and list.
    Read,
    /// Nothing: every call is 403 `AccessDenied`.
    None,
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

#[async_trait::async_trait]
impl S3Access for Keys {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let known = cx.credentials().and_then(|who| self.0.get(&who.access_key));
        let rights = known.map_or(Rights::None, |known| known.rights);
        let session = cx.headers().get("x-amz-security-token").and_then(|token| token.to_str().ok());
        if known.is_some_and(|known| known.session.as_deref() != session) {
            return Err(s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid."));
        }
        let name = cx.s3_op().name();
        let reads = ["Get", "Head", "List"].iter().any(|start| name.starts_with(start));
        match rights {
            Rights::All => Ok(()),
            Rights::Read if reads => Ok(()),
            _ => Err(s3_error!(AccessDenied, "Access Denied")),
        }
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
