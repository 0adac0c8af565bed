//! The listener, and what all sessions share.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::audit::Audit;
use super::copy::source::Bucket;
use super::error::{Outcome, SqlError};
use super::iam::{self, Lending};
use super::login::{self, Opening};
use super::name::{LongNames, literal, quoted};
use super::registry::Registry;
use super::session::Session;
use super::session::views::learn;
use super::upstream::{self, Address, Upstream};
use super::wire;

/// How transactions are isolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// As on a provisioned cluster of old.
    #[default]
    Serializable,
    /// As on Serverless.
    Snapshot,
}

impl Isolation {
    /// The level below.
    pub fn below(self) -> &'static str {
        match self {
            Self::Serializable => "SERIALIZABLE",
            Self::Snapshot => "REPEATABLE READ",
        }
    }
}

/// How a password is stored, which says how it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// As MD5.
    Md5,
    /// As `sha256|…`: asked for by authentication code 13.
    Sha256,
}

/// A user.
#[derive(Debug, Clone)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The password, as it is typed in.
    pub password: String,
    /// How it is stored.
    pub stored: Stored,
    /// May everything.
    pub superuser: bool,
    /// Who that is in the database: the name, but of some logins that AWS lends.
    pub becomes: String,
    /// When it is over, of a login that is lent.
    pub until: Option<Instant>,
}

impl Account {
    /// A user like any other.
    pub fn new(name: &str, password: &str) -> Self {
        let (name, password) = (name.to_owned(), password.to_owned());
        Self { becomes: name.clone(), name, password, stored: Stored::Md5, superuser: false, until: None }
    }
}

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The PostgreSQL below; the login is a superuser of it.
    pub upstream: Address,
    /// Who may log in.
    pub accounts: Vec<Account>,
    /// The database's isolation.
    pub isolation: Isolation,
    /// Has neither STL nor STV relations.
    pub serverless: bool,
    /// What `STV_SLICES` tells.
    pub slices: u32,
    /// Where `s3://` goes.
    pub s3_endpoint: Option<String>,
    /// The cluster's region.
    pub region: String,
    /// Roles, and the keys that each gives.
    pub roles: HashMap<String, (String, String)>,
    /// What `IAM_ROLE default` stands for.
    pub default_role: Option<String>,
    /// Where statements are noted.
    pub audit: Audit,
    /// Where AWS is asked for logins, and which it lends.
    pub lending: Option<(Arc<TcpListener>, Lending)>,
}

impl Settings {
    /// Settings with nobody who could log in.
    pub fn new(upstream: Address) -> Self {
        Self {
            upstream,
            accounts: Vec::new(),
            isolation: Isolation::default(),
            serverless: false,
            slices: 2,
            s3_endpoint: None,
            region: "us-east-1".to_owned(),
            roles: HashMap::new(),
            default_role: None,
            audit: Audit::default(),
            lending: None,
        }
    }

    /// The same with a user, who may create schemas.
    #[must_use]
    pub fn with_user(self, name: &str, password: &str) -> Self {
        self.with_account(name, password, Stored::Md5, false)
    }

    /// The same with an account.
    #[must_use]
    pub fn with_account(mut self, name: &str, password: &str, stored: Stored, superuser: bool) -> Self {
        self.accounts.push(Account { stored, superuser, ..Account::new(name, password) });
        self
    }
}

/// What all sessions share.
#[derive(Debug)]
pub struct Shared {
    pub settings: Settings,
    pub registry: Registry,
    pub names: LongNames,
    pub bucket: Bucket,
    accounts: Mutex<HashMap<String, Account>>,
    /// A connection of the stand-in's own, which no client's transaction rolls back.
    pub own: tokio::sync::Mutex<Upstream>,
    queries: AtomicI32,
}

impl Shared {
    /// Adds a user.
    pub fn add_account(&self, account: Account) {
        self.accounts.lock().insert(account.name.clone(), account);
    }

    /// The next query's number.
    pub fn next_query(&self) -> i32 {
        self.queries.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes names that the server below has in short.
    pub async fn note_names(&self, names: impl Iterator<Item = &str>) -> Outcome<()> {
        for (short, name) in self.names.note(names) {
            let sql = format!(
                "INSERT INTO redshift_standin.\"$names\" VALUES ({}, {}) ON CONFLICT DO NOTHING",
                literal(&short),
                literal(&name)
            );
            self.own.lock().await.run(&sql).await?;
        }
        Ok(())
    }
}

/// Serves until dropped, which ends all connections.
///
/// # Errors
/// The listener broke, or the server below cannot be used.
pub async fn serve(listener: TcpListener, settings: Settings, tls: Option<TlsAcceptor>) -> anyhow::Result<()> {
    let shared = prepare(settings).await?;
    let mut connections = JoinSet::new();
    if let Some((listener, lending)) = &shared.settings.lending {
        let answering = iam::serve(Arc::clone(listener), Arc::clone(&shared), lending.clone());
        connections.spawn(async move { drop(answering.await) });
    }
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, peer) = accepted?;
                stream.set_nodelay(true)?;
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                connections.spawn(async move {
                    if let Err(error) = welcome(stream, &shared, tls.as_ref()).await {
                        tracing::debug!(%peer, %error, "connection ended");
                    }
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn prepare(settings: Settings) -> anyhow::Result<Arc<Shared>> {
    let mut own = Upstream::connect(&settings.upstream, Audit::default())
        .await
        .map_err(|error| anyhow::anyhow!("cannot use the PostgreSQL below: {error}; look at --upstream"))?;
    let superuser = own.rows("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").await?;
    anyhow::ensure!(
        superuser == [[Some("t".to_owned())]],
        "{} is no superuser of the PostgreSQL below; --upstream needs one",
        settings.upstream.user
    );
    own.run("SET client_min_messages = warning").await?;
    own.run(include_str!("setup.sql")).await?;
    own.run(include_str!("catalogue.sql")).await?;
    own.run(&stv(&settings)).await?;
    for account in &settings.accounts {
        create_role(&mut own, account, true).await?;
    }
    own.run("SELECT pg_advisory_unlock(5439)").await?;
    let names = LongNames::default();
    let known = own.rows("SELECT name FROM redshift_standin.\"$names\"").await?;
    names.note(known.iter().filter_map(|row| row[0].as_deref()));
    let accounts = settings.accounts.iter().map(|account| (account.name.clone(), account.clone())).collect();
    let bucket = Bucket::new(&settings);
    let shared = Arc::new(Shared {
        settings,
        registry: Registry::default(),
        names,
        bucket,
        accounts: Mutex::new(accounts),
        own: tokio::sync::Mutex::new(own),
        queries: AtomicI32::new(1),
    });
    learn(&shared).await?;
    Ok(shared)
}

/// The relations of a provisioned cluster that tell of the cluster itself.
fn stv(settings: &Settings) -> String {
    let isolation = match settings.isolation {
        Isolation::Serializable => "Serializable",
        Isolation::Snapshot => "Snapshot Isolation",
    };
    format!(
        "CREATE OR REPLACE VIEW redshift_standin.stv_slices AS SELECT (slice / 2)::int AS node, slice::int AS slice, \
         slice::int AS localslice, 'D'::text AS type FROM generate_series(0, {} - 1) AS slice;
         CREATE OR REPLACE VIEW redshift_standin.stv_db_isolation_level AS SELECT oid::int AS db_id, \
         datname::text AS db_name, '{isolation}'::text AS isolation_level FROM redshift_standin.pg_database;
         GRANT SELECT ON ALL TABLES IN SCHEMA redshift_standin, redshift_standin_information TO PUBLIC;",
        settings.slices
    )
}

/// Makes the role below that a session of the user's becomes.
pub async fn create_role(own: &mut Upstream, account: &Account, may_create: bool) -> Outcome<()> {
    let role = quoted(&account.name);
    let kind = if account.superuser { "SUPERUSER" } else { "NOSUPERUSER" };
    // Roles belong to all databases below, and another stand-in may make the same at the same moment.
    own.run(&format!(
        "DO $$ BEGIN CREATE ROLE {role} {kind} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    ))
    .await?;
    if may_create {
        let database = own.rows("SELECT current_database()").await?;
        let database = database.first().and_then(|row| row[0].clone()).unwrap_or_default();
        own.run(&format!("GRANT CREATE, TEMPORARY ON DATABASE \"{}\" TO {role}", database.replace('"', "\"\"")))
            .await?;
    }
    Ok(())
}

async fn welcome(stream: TcpStream, shared: &Arc<Shared>, tls: Option<&TlsAcceptor>) -> io::Result<()> {
    match login::open(stream, tls).await? {
        Opening::Gone => Ok(()),
        Opening::Cancel { pid, secret } => upstream::cancel(&shared.settings.upstream, pid, secret).await,
        Opening::Session(mut stream, parameters) => {
            let user = parameters.get("user").cloned().unwrap_or_default();
            let account = shared.accounts.lock().get(&user).cloned();
            let account = account.filter(|account| account.until.is_none_or(|until| Instant::now() < until));
            let becomes = account.as_ref().map_or_else(String::new, |account| account.becomes.clone());
            let admitted = match login::authenticate(&mut stream, &user, account.as_ref()).await? {
                Ok(()) => Session::start(stream, Arc::clone(shared), &becomes, parameters).await?,
                Err(error) => Err((stream, error)),
            };
            match admitted {
                Ok(session) => session.run().await,
                Err((mut stream, error)) => refuse(&mut stream, &error).await,
            }
        }
    }
}

async fn refuse(stream: &mut Box<dyn login::Stream>, error: &SqlError) -> io::Result<()> {
    let mut out = BytesMut::new();
    wire::error(&mut out, "FATAL", error);
    stream.write_all(&out).await?;
    stream.shutdown().await
}
