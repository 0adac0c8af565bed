//! A stand-in with all it needs: a PostgreSQL below, and an S3 beside.

mod postgres;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use standin::redshift::{Address, Isolation, Settings, Stored, serve};
use standin::s3::checksum::{Algorithm, Sum};
use standin::s3::store::{Attributes, Conditions, Object};
use standin::s3::{self, Keys, Store};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_rustls::TlsAcceptor;

pub use postgres::{ADMIN, ADMIN_PASSWORD};

/// The role that COPY uses in tests.
pub const ROLE: &str = "arn:aws:iam::123456789012:role/copy";
/// What loads.
pub const LOAD: &str = "IAM_ROLE 'arn:aws:iam::123456789012:role/copy' CSV NULL AS '@null@'";
/// The loader's password.
pub const PASSWORD: &str = "loader-secret";

/// A running stand-in.
pub struct Standin {
    /// Its port.
    pub port: u16,
    /// Its database.
    pub database: String,
    /// The files that COPY reads, in bucket `bucket`.
    pub store: Arc<Store>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Standin {
    /// Starts one.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(|settings| settings).await
    }

    /// Starts one with other settings.
    pub async fn start_with(change: impl FnOnce(Settings) -> Settings) -> anyhow::Result<Self> {
        Self::start_whole(change, None).await
    }

    /// Starts one that encrypts where it is asked to.
    pub async fn start_encrypted(acceptor: TlsAcceptor) -> anyhow::Result<Self> {
        Self::start_whole(|settings| settings, Some(acceptor)).await
    }

    async fn start_whole(
        change: impl FnOnce(Settings) -> Settings,
        acceptor: Option<TlsAcceptor>,
    ) -> anyhow::Result<Self> {
        let (port, database) = postgres::database().await?;
        let store = Store::new();
        store.create_bucket("bucket").map_err(|error| anyhow::anyhow!("{error}"))?;
        let bucket = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", bucket.local_addr()?);
        let keys = Keys::one("access", "secret");
        let served = tokio::spawn(s3::serve_with(bucket, Arc::clone(&store), keys)).abort_handle();
        let upstream = Address {
            host: "127.0.0.1".to_owned(),
            port,
            user: ADMIN.to_owned(),
            password: ADMIN_PASSWORD.to_owned(),
            database: database.clone(),
        };
        let mut settings = Settings::new(upstream)
            .with_user("loader", PASSWORD)
            .with_user("other", PASSWORD)
            .with_account("admin", PASSWORD, Stored::Md5, true)
            .with_account("digest", PASSWORD, Stored::Sha256, false);
        settings.s3_endpoint = Some(endpoint);
        settings.roles.insert(ROLE.to_owned(), ("access".to_owned(), "secret".to_owned()));
        settings.isolation = Isolation::Serializable;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let settings = change(settings);
        let running = tokio::spawn(async move {
            if let Err(error) = serve(listener, settings, acceptor).await {
                eprintln!("the stand-in ended: {error:#}");
            }
        });
        Ok(Self { port, database, store, tasks: vec![served, running.abort_handle()] })
    }

    /// Connects as the loader.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        self.connect_as("loader").await
    }

    /// Connects as any user.
    pub async fn connect_as(&self, user: &str) -> anyhow::Result<Client> {
        self.connect_by(|config| config.user(user)).await
    }

    /// Connects as the loader, by other parameters.
    pub async fn connect_by(
        &self,
        change: impl FnOnce(&mut tokio_postgres::Config) -> &mut tokio_postgres::Config,
    ) -> anyhow::Result<Client> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).dbname(&self.database).user("loader").password(PASSWORD);
        config.connect_timeout(Duration::from_secs(30));
        change(&mut config);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Puts a file into the bucket.
    pub fn put(&self, key: &str, text: impl Into<Vec<u8>>) -> anyhow::Result<()> {
        let body = Bytes::from(text.into());
        let sum = Sum::of(Algorithm::Crc32, &body);
        let object = Object::new(body, sum, Attributes::default());
        let put = self.store.put("bucket", key, object, &Conditions::default());
        put.map(|_| ()).map_err(|error| anyhow::anyhow!("{error}"))
    }
}

/// The rows of a query, as text, NULL as `NULL`.
pub async fn rows(client: &Client, sql: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let messages = client.simple_query(sql).await.with_context(|| sql.to_owned())?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|place| row.get(place).unwrap_or("NULL").to_owned()).collect())
        }
        _ => None,
    });
    Ok(rows.collect())
}

/// The one value of a query.
pub async fn value(client: &Client, sql: &str) -> anyhow::Result<String> {
    let rows = rows(client, sql).await?;
    rows.into_iter().flatten().next().with_context(|| format!("{sql} gave nothing"))
}

/// The error of a statement: SQLSTATE, message and detail.
pub async fn error(client: &Client, sql: &str) -> anyhow::Result<String> {
    match client.simple_query(sql).await {
        Ok(_) => anyhow::bail!("{sql} was not refused"),
        Err(error) => {
            let error = error.as_db_error().with_context(|| format!("{sql}: {error}"))?;
            Ok(format!("{} {} {}", error.code().code(), error.message(), error.detail().unwrap_or_default()))
        }
    }
}
