//! `standin redshift`.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use standin::redshift::{Address, Audit, Isolation, Lending, Settings, Stored, serve, tls};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Loopback address and port; port 0 picks a free one.
    #[arg(long, value_name = "127.0.0.1:PORT")]
    listen: String,
    /// The PostgreSQL below, as a superuser of it; its database is the one that is served.
    #[arg(long, value_name = "postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    upstream: Address,
    /// A user, who may create schemas.
    #[arg(long, value_name = "NAME:PASSWORD")]
    user: Vec<Login>,
    /// A superuser.
    #[arg(long, value_name = "NAME:PASSWORD")]
    superuser: Vec<Login>,
    /// A user whose password is stored as SHA-256: asked for by authentication code 13.
    #[arg(long, value_name = "NAME")]
    sha256_user: Vec<String>,
    /// Where `s3://` goes; buckets are in the path.
    #[arg(long, value_name = "http://127.0.0.1:PORT")]
    s3_endpoint: Option<String>,
    /// The cluster's region.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// A role that COPY may use, and the keys that it gives.
    #[arg(long, value_name = "ARN=ACCESS:SECRET")]
    role: Vec<Role>,
    /// What `IAM_ROLE default` stands for.
    #[arg(long, value_name = "ARN")]
    default_role: Option<String>,
    /// How transactions are isolated.
    #[arg(long, value_enum, default_value_t = Level::Serializable)]
    isolation: Level,
    /// Serverless: no STL or STV relations, snapshot isolation.
    #[arg(long)]
    serverless: bool,
    /// Slices that `STV_SLICES` tells.
    #[arg(long, default_value_t = 2)]
    slices: u32,
    /// Certificate in PEM form; with it clients may encrypt.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its key in PEM form.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Loopback address and port at which AWS is asked for logins.
    #[arg(long, value_name = "127.0.0.1:PORT", requires = "iam_key")]
    iam_listen: Option<String>,
    /// The key whose requests for logins are granted.
    #[arg(long, value_name = "ACCESS:SECRET")]
    iam_key: Option<Login>,
    /// A user whose login may be asked for.
    #[arg(long, value_name = "NAME")]
    iam_user: Vec<String>,
    /// The cluster, or of Serverless the workgroup, as AWS names it.
    #[arg(long, default_value = "warehouse")]
    warehouse: String,
    /// Appends every statement, as the client sent it and as the server below got it.
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Serializable,
    Snapshot,
}

#[derive(Debug, Clone)]
struct Login {
    name: String,
    password: String,
}

impl FromStr for Login {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, password) = text.split_once(':').ok_or("write NAME:PASSWORD")?;
        Ok(Self { name: name.to_owned(), password: password.to_owned() })
    }
}

#[derive(Debug, Clone)]
struct Role {
    name: String,
    keys: (String, String),
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('=').and_then(|(name, keys)| Some((name, keys.split_once(':')?)));
        let (name, (access, secret)) = parts.ok_or("write ARN=ACCESS:SECRET")?;
        Ok(Self { name: name.to_owned(), keys: (access.to_owned(), secret.to_owned()) })
    }
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut settings = Settings::new(arguments.upstream);
    for login in &arguments.user {
        settings = settings.with_user(&login.name, &login.password);
    }
    for login in &arguments.superuser {
        settings = settings.with_account(&login.name, &login.password, Stored::Md5, true);
    }
    for name in &arguments.sha256_user {
        settings = settings.with_account(name, "", Stored::Sha256, false);
    }
    if settings.accounts.is_empty() {
        bail!("nobody could log in; give --user NAME:PASSWORD");
    }
    let snapshot = arguments.serverless || matches!(arguments.isolation, Level::Snapshot);
    settings.isolation = if snapshot { Isolation::Snapshot } else { Isolation::Serializable };
    settings.serverless = arguments.serverless;
    settings.slices = arguments.slices;
    settings.s3_endpoint = arguments.s3_endpoint;
    settings.region = arguments.region;
    settings.roles = arguments.role.into_iter().map(|role| (role.name, role.keys)).collect();
    settings.default_role = arguments.default_role;
    if let Some(file) = &arguments.audit {
        settings.audit = Audit::to(file).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let (Some(address), Some(key)) = (&arguments.iam_listen, arguments.iam_key) {
        let listener = super::listen(address).await?;
        println!("iam {}", listener.local_addr()?);
        let lending = Lending {
            warehouse: arguments.warehouse,
            key: (key.name, key.password),
            users: arguments.iam_user,
            identity: "IAMR:delsert".to_owned(),
            good_for: Duration::from_mins(15),
        };
        settings.lending = Some((Arc::new(listener), lending));
    }
    let acceptor = match (arguments.tls_certificate, arguments.tls_key) {
        (Some(certificate), Some(key)) => Some(tls::acceptor(&certificate, &key)?),
        _ => None,
    };
    let listener = super::listen(&arguments.listen).await?;
    super::serve(listener, |listener| Box::pin(serve(listener, settings, acceptor))).await
}
