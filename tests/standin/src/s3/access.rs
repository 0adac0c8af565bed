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
pub struct Keys(Arc<HashMap<String, (String, Rights)>>);

impl Keys {
    /// One key that may do everything.
    pub fn one(access_key: &str, secret_key: &str) -> Self {
        Self::default().with(access_key, secret_key, Rights::All)
    }

    /// The same with another key.
    #[must_use]
    pub fn with(mut self, access_key: &str, secret_key: &str, rights: Rights) -> Self {
        Arc::make_mut(&mut self.0).insert(access_key.to_owned(), (secret_key.to_owned(), rights));
        self
    }
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        self.0.get(access_key).map(|(secret, _)| SecretKey::from(secret.as_str())).ok_or_else(|| {
            s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
        })
    }
}

#[async_trait::async_trait]
impl S3Access for Keys {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let rights =
            cx.credentials().and_then(|who| self.0.get(&who.access_key)).map_or(Rights::None, |(_, rights)| *rights);
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
