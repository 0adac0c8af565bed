//! `standin s3`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use standin::s3::{Keys, Policy, Rights, Store, serve_with};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Loopback address and port; port 0 picks a free one.
    #[arg(long, value_name = "127.0.0.1:PORT")]
    listen: String,
    /// Access key that may do everything.
    #[arg(long, value_name = "KEY")]
    access_key: String,
    /// Its secret.
    #[arg(long, value_name = "SECRET")]
    secret_key: String,
    /// Another key, which may only read.
    #[arg(long, value_name = "KEY:SECRET")]
    read_only_key: Vec<KeyPair>,
    /// Another key, which may do nothing: 403 `AccessDenied` to all it asks.
    #[arg(long, value_name = "KEY:SECRET")]
    no_rights_key: Vec<KeyPair>,
    /// Another key, which may do what the IAM policy in a file allows.
    #[arg(long, value_name = "KEY:SECRET:FILE")]
    policy_key: Vec<PolicyKey>,
    /// A bucket that is there from the start.
    #[arg(long, value_name = "NAME")]
    bucket: Vec<String>,
}

#[derive(Debug, Clone)]
struct KeyPair {
    access: String,
    secret: String,
}

impl std::str::FromStr for KeyPair {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (access, secret) = text.split_once(':').ok_or("write KEY:SECRET")?;
        Ok(Self { access: access.to_owned(), secret: secret.to_owned() })
    }
}

#[derive(Debug, Clone)]
struct PolicyKey {
    pair: KeyPair,
    file: PathBuf,
}

impl std::str::FromStr for PolicyKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, ':');
        let (Some(access), Some(secret), Some(file)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("write KEY:SECRET:FILE");
        };
        let pair = KeyPair { access: access.to_owned(), secret: secret.to_owned() };
        Ok(Self { pair, file: file.into() })
    }
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut keys = Keys::one(&arguments.access_key, &arguments.secret_key);
    for (pairs, rights) in [(arguments.read_only_key, Rights::Read), (arguments.no_rights_key, Rights::None)] {
        for pair in pairs {
            keys = keys.with(&pair.access, &pair.secret, rights.clone());
        }
    }
    for PolicyKey { pair, file } in arguments.policy_key {
        let read = std::fs::read_to_string(&file).map_err(anyhow::Error::from).and_then(|text| Policy::parse(&text));
        let policy = read.with_context(|| format!("policy {}", file.display()))?;
        keys = keys.with(&pair.access, &pair.secret, Rights::Policy(Arc::new(policy)));
    }
    let store = Store::new();
    for bucket in &arguments.bucket {
        store.create_bucket(bucket).map_err(|error| anyhow::anyhow!("cannot create bucket {bucket}: {error}"))?;
    }
    let listener = super::listen(&arguments.listen).await?;
    super::serve(listener, |listener| Box::pin(serve_with(listener, store, keys))).await
}
