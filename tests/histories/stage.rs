//! The three ends of a history, in this process: all are gone when it is.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use delsert::config::Engine as TargetEngine;
use standin::engine::{Engine as SourceEngine, EngineConfig};
use standin::{cdc, redshift, s3, tds};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::step::Settings;
use crate::support::bucket::{ACCESS_KEY, Bucket, SECRET_KEY};
use crate::support::ground::{BUCKET, PREFIX, SYNC};
use crate::support::postgres::{ADMIN, ADMIN_PASSWORD, Database, LOADER, LOADER_PASSWORD, Postgres, give_to_server};
use crate::support::redshift::ROLE;
use crate::support::server::Leash;
use crate::support::source::{PASSWORD, Sql, USER};

/// The source's database.
const DATABASE: &str = "shop";

/// How often the capture job looks, where it runs.
const CAPTURE: Duration = Duration::from_millis(10);

/// A database of the target that one history after the other uses.
pub struct Target {
    pub database: Database,
    /// What is before it.
    pub engine: TargetEngine,
    /// A look into it.
    pub client: tokio_postgres::Client,
}

/// The ends of one history.
pub struct Stage {
    /// The source's port, by which all that is of this history is known.
    pub port: u16,
    /// A look into the bucket.
    pub bucket: Bucket,
    engine: Arc<SourceEngine>,
    endpoint: String,
    /// The lines of `[target]` that say what and where it is.
    target: String,
    servers: Vec<JoinHandle<()>>,
}

/// A server for histories only, which takes everybody at their word: to check passwords would take longer than all that
/// a task does.
fn server() -> anyhow::Result<&'static Postgres> {
    static SERVER: OnceLock<Result<Postgres, String>> = OnceLock::new();
    let start = || {
        let folder = tempfile::Builder::new().prefix("delsert-histories-").tempdir()?;
        let rules = folder.path().join("pg_hba.conf");
        std::fs::write(&rules, "host all all 127.0.0.1/32 trust\n")?;
        give_to_server(folder.path())?;
        // Read once, at the start.
        Postgres::start_with(&Leash::Owner, &[&format!("hba_file={}", rules.display())])
    };
    let server = SERVER.get_or_init(|| start().map_err(|error| format!("{error:#}")));
    server.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

impl Target {
    /// A new one.
    pub async fn new(engine: TargetEngine) -> anyhow::Result<Self> {
        let database = tokio::task::spawn_blocking(server).await??.database().await?;
        let client = database.connect_as_admin().await?;
        client.batch_execute("SET client_min_messages = error").await?;
        Ok(Self { database, engine, client })
    }

    /// Forgets all that a history left.
    pub async fn clear(&self) -> anyhow::Result<()> {
        Ok(self.client.batch_execute("DROP SCHEMA IF EXISTS delsert, dbo CASCADE").await?)
    }
}

impl Stage {
    /// Starts the source, the bucket, and what stands before the target.
    pub async fn start(target: &Target) -> anyhow::Result<Self> {
        let engine = SourceEngine::start(EngineConfig {
            database: DATABASE.to_owned(),
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            cdc: cdc::Settings { capture_interval: CAPTURE },
        })?;
        let (listener, s3_listener) =
            (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
        let (port, s3_port) = (listener.local_addr()?.port(), s3_listener.local_addr()?.port());
        let server = engine.clone();
        let source = tokio::spawn(async move {
            if let Err(error) = tds::serve(listener, server, tds::Settings::default()).await {
                eprintln!("the source ended: {error:#}");
            }
        });
        let bucket = tokio::spawn(async move {
            if let Err(error) = s3::serve(s3_listener, s3::Store::new(), ACCESS_KEY, SECRET_KEY).await {
                eprintln!("the bucket ended: {error:#}");
            }
        });
        let endpoint = format!("http://127.0.0.1:{s3_port}");
        let mut servers = vec![source, bucket];
        let database = &target.database;
        let target = match target.engine {
            TargetEngine::Postgres => format!("engine = \"postgres\"\nport = {}", database.port),
            TargetEngine::Redshift => {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let port = listener.local_addr()?.port();
                servers.push(cluster(listener, database, &endpoint));
                format!("engine = \"redshift\"\nport = {port}\niam_role = \"{ROLE}\"")
            }
        };
        Ok(Self { port, bucket: Bucket::at(&endpoint, BUCKET), engine, endpoint, target, servers })
    }

    /// Logs in to the source.
    pub async fn connect(&self) -> anyhow::Result<Sql> {
        let mut sql = Box::pin(Sql::connect(self.port, DATABASE)).await?;
        sql.run("SET XACT_ABORT ON").await?;
        Ok(sql)
    }

    /// A client of the bucket that does what it must and nothing more: most of what tasks take here is spent in it.
    pub fn client(&self) -> Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.endpoint)
            .force_path_style(true)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        Client::from_conf(config.build())
    }

    /// Lets time pass at the source.
    pub fn pass(&self, seconds: u32) {
        self.engine.cdc().advance_clock(Duration::from_secs(seconds.into()));
    }

    /// The configuration.
    pub fn config(&self, settings: Settings, target: &Database) -> String {
        let Settings { purge, on_gap, parallel, part_size, compression, max_window } = settings;
        format!(
            r#"[sync]
name = "{SYNC}"
purge = "{purge}"
on_gap = "{on_gap}"
parallel = {parallel}
max_window = "{max_window}"

[source]
engine = "sqlserver"
host = "127.0.0.1"
port = {port}
database = "{DATABASE}"
user = "{USER}"
password = "{PASSWORD}"
encrypt = "off"
include = ["*"]

[bucket]
name = "{BUCKET}"
prefix = "{PREFIX}"
region = "us-east-1"
endpoint = "{endpoint}"
path_style = true
part_size = "{part_size}"
compression = "{compression}"

[target]
{target}
host = "127.0.0.1"
database = "{database}"
user = "{LOADER}"
password = "{LOADER_PASSWORD}"
tls = "disable"
"#,
            port = self.port,
            endpoint = self.endpoint,
            target = self.target,
            database = target.name,
        )
    }
}

/// Redshift's stand-in before a database.
fn cluster(listener: TcpListener, database: &Database, endpoint: &str) -> JoinHandle<()> {
    let upstream = redshift::Address {
        host: "127.0.0.1".to_owned(),
        port: database.port,
        user: ADMIN.to_owned(),
        password: ADMIN_PASSWORD.to_owned(),
        database: database.name.clone(),
    };
    let mut settings = redshift::Settings::new(upstream).with_user(LOADER, LOADER_PASSWORD);
    settings.s3_endpoint = Some(endpoint.to_owned());
    settings.roles = [(ROLE.to_owned(), (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned()))].into();
    tokio::spawn(async move {
        if let Err(error) = redshift::serve(listener, settings, None).await {
            eprintln!("the warehouse ended: {error:#}");
        }
    })
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}
