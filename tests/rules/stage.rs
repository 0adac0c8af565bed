//! The three ends with the bucket inside the test, so that each operation on it can be watched, held back or spoilt.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use delsert::bucket::Bucket;
use delsert::config::Config;
use delsert::ledger::Ledger;
use standin::s3::checksum::{Algorithm, Sum};
use standin::s3::store::{Attributes, Conditions, Object};
use standin::s3::{Fault, Faults, Keys, Moment, Operation, Rights, Store, serve_with};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::bucket::{ACCESS_KEY, SECRET_KEY};
use crate::support::ground::{BUCKET, PREFIX, SYNC, environment};
use crate::support::postgres::{Database, LOADER, LOADER_PASSWORD, Postgres};
use crate::support::redshift::Redshift;
use crate::support::server::Leash;
use crate::support::source::{self, Source, SourceOptions, Sql};
use crate::support::task::{self, Outcome, Running};

/// An access key that may do nothing; its secret is the other's.
pub const POOR_KEY: &str = "poor-access-key";

/// An access key that may do everything, and its secret, in characters that have to be escaped somewhere.
pub const CANARY_KEY: &str = "canary-access-key";
/// The secret of [`CANARY_KEY`].
pub const CANARY_SECRET: &str = "Canary/Secret+Key=%41\"\\&'é";

/// The session's token, without which [`CANARY_KEY`] is refused.
pub const CANARY_SESSION: &str = "Canary/Session+Token=%41==";

/// What a test waits for comes within this time, or the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// The ends, and a configuration that names them.
pub struct Stage {
    /// The SQL Server stand-in, where the test needs one.
    pub source: Option<Source>,
    /// What is in the bucket.
    pub store: Arc<Store>,
    /// Where the bucket is served.
    pub endpoint: String,
    /// A database of its own in the shared PostgreSQL.
    pub target: Database,
    /// Redshift's stand-in before it, where the test is of that.
    pub cluster: Option<Redshift>,
    /// What `delsert` finds in its environment.
    pub environment: Vec<(String, String)>,
    folder: TempDir,
    server: Option<Runtime>,
}

impl Stage {
    /// Bucket and target only, with a configuration of all tables of schema `dbo`.
    pub async fn without_source() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("delsert-rule-").tempdir()?;
        let postgres = tokio::task::block_in_place(Postgres::shared)?;
        let target = postgres.database().await?;
        let store = Store::new();
        // Threads of its own, since a test may hold operations back.
        let server = tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let keys = Keys::one(ACCESS_KEY, SECRET_KEY).with(POOR_KEY, SECRET_KEY, Rights::None);
        let keys = keys.lent(CANARY_KEY, CANARY_SECRET, CANARY_SESSION);
        let objects = Arc::clone(&store);
        server.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            serve_with(listener, objects, keys).await
        });
        let environment = environment();
        let stage =
            Self { source: None, store, endpoint, target, cluster: None, environment, folder, server: Some(server) };
        stage.configure(|text| text)?;
        Ok(stage)
    }

    /// All three ends.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(SourceOptions::default()).await
    }

    /// All three ends, with a source of one's own choosing.
    pub async fn start_with(options: SourceOptions) -> anyhow::Result<Self> {
        let mut stage = Self::without_source().await?;
        let start = || Source::start(stage.folder.path(), &options, &Leash::Owner);
        stage.source = Some(tokio::task::block_in_place(start)?);
        stage.configure(|text| text)?;
        Ok(stage)
    }

    /// Puts Redshift's stand-in before the target.
    pub fn put_redshift_before(&mut self) -> anyhow::Result<()> {
        let before = || Redshift::before(self.target.clone(), &self.endpoint, &[]);
        self.cluster = Some(tokio::task::block_in_place(before)?);
        self.configure(|text| text)
    }

    /// A T-SQL connection.
    pub async fn sql(&self) -> anyhow::Result<Sql> {
        self.source.as_ref().context("this stage has no source")?.connect().await
    }

    /// The usual configuration.
    pub fn config(&self) -> String {
        let usual = format!(
            r#"[sync]
name = "{SYNC}"

[source]
engine = "sqlserver"
host = "127.0.0.1"
port = {source_port}
database = "shop"
user = "{user}"
password = "${{MSSQL_PASSWORD}}"
trust_server_certificate = true
include = ["dbo.*"]
retry_wait = "100ms"

[bucket]
name = "{BUCKET}"
prefix = "{PREFIX}"
region = "us-east-1"
endpoint = "{endpoint}"
path_style = true

[target]
engine = "postgres"
host = "127.0.0.1"
port = {target_port}
database = "{target_database}"
user = "{LOADER}"
password = "${{TARGET_PASSWORD}}"
tls = "disable"
lock_timeout = "60s"
"#,
            source_port = self.source.as_ref().map_or(1, |source| source.port),
            user = source::USER,
            endpoint = self.endpoint,
            target_port = self.target.port,
            target_database = self.target.name,
        );
        self.cluster.as_ref().map_or(usual.clone(), |cluster| cluster.config(&usual))
    }

    /// Writes the usual configuration, changed.
    pub fn configure(&self, change: impl FnOnce(String) -> String) -> anyhow::Result<()> {
        Ok(fs::write(self.config_path(), change(self.config()))?)
    }

    /// Where the configuration is.
    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("con_defs.toml")
    }

    /// A folder that goes with the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts `delsert` with these arguments.
    pub fn start_task(&self, arguments: &[&str]) -> anyhow::Result<Running> {
        task::start(&self.config_path(), &self.environment, arguments)
    }

    /// Runs `delsert` with these arguments to its end.
    pub async fn task(&self, arguments: &[&str]) -> anyhow::Result<Outcome> {
        let running = self.start_task(arguments)?;
        let ended = tokio::time::timeout(2 * PATIENCE, running.outcome()).await;
        ended.with_context(|| format!("delsert {} does not end", arguments.join(" ")))?
    }

    /// Runs extract and load, each of which must end with 0.
    pub async fn extract_and_load(&self) -> anyhow::Result<(task::Summary, task::Summary)> {
        let extract = self.task(&["extract"]).await?.expect(0)?.summary()?;
        let load = self.task(&["load"]).await?.expect(0)?.summary()?;
        Ok((extract, load))
    }

    /// The configuration as this process reads it.
    pub fn parsed(&self) -> anyhow::Result<Config> {
        let text = self.config().replace("${TARGET_PASSWORD}", LOADER_PASSWORD);
        Ok(Config::parse(&text.replace("${MSSQL_PASSWORD}", source::PASSWORD))?)
    }

    /// A client of the bucket's server.
    pub fn client(&self) -> aws_sdk_s3::Client {
        use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
        let client = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.endpoint)
            .force_path_style(true);
        aws_sdk_s3::Client::from_conf(client.build())
    }

    /// The bucket as `delsert` sees it.
    pub fn bucket(&self) -> anyhow::Result<Bucket> {
        Ok(Bucket::with_client(self.client(), &self.parsed()?.bucket()?))
    }

    /// The ledger as `delsert` sees it.
    pub fn ledger(&self) -> anyhow::Result<Ledger> {
        Ok(Ledger::new(self.bucket()?, SYNC))
    }

    /// From now on `act` sees each operation on the bucket before and after it, and may spoil it.
    pub fn watch(&self, act: impl Fn(&Operation<'_>, Moment) -> Fault + Send + Sync + 'static) {
        self.store.set_faults(Some(Arc::new(Watch(act))));
    }

    /// All keys in the bucket.
    pub fn keys(&self) -> Vec<String> {
        self.store.keys(BUCKET)
    }

    /// All keys in the bucket that end so.
    pub fn keys_ending(&self, ending: &str) -> Vec<String> {
        self.keys().into_iter().filter(|key| key.ends_with(ending)).collect()
    }

    /// An object as JSON.
    pub fn json(&self, key: &str) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_slice(&read(&self.store, key)?)?)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown_background();
        }
    }
}

struct Watch<A>(A);

impl<A: Fn(&Operation<'_>, Moment) -> Fault + Send + Sync> Faults for Watch<A> {
    fn before(&self, operation: &Operation<'_>) -> Fault {
        (self.0)(operation, Moment::Before)
    }

    fn after(&self, operation: &Operation<'_>) -> Fault {
        (self.0)(operation, Moment::After)
    }
}

/// An object's bytes.
pub fn read(store: &Store, key: &str) -> anyhow::Result<Bytes> {
    store.get(BUCKET, key).map(|object| object.body).map_err(|error| anyhow::anyhow!("{key}: {error}"))
}

/// Writes an object, whatever is there.
pub fn write(store: &Store, key: &str, bytes: impl Into<Bytes>) {
    let bytes = bytes.into();
    let sum = Sum::of(Algorithm::Crc64Nvme, &bytes);
    let object = Object::new(bytes, sum, Attributes::default());
    let _ = store.put(BUCKET, key, object, &Conditions::default());
}

/// Removes an object.
pub fn remove(store: &Store, key: &str) {
    let _ = store.delete(BUCKET, key, &Conditions::default());
}

/// Holds back whoever passes until it is opened.
#[derive(Default)]
pub struct Gate {
    state: Mutex<(usize, bool)>,
    opened: Condvar,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Passes it, once it is open. Blocks the thread, whose other work goes to another.
    pub fn pass(&self) {
        tokio::task::block_in_place(|| {
            let Ok(mut state) = self.state.lock() else { return };
            state.0 += 1;
            let _ = self.opened.wait_timeout_while(state, PATIENCE, |(_, open)| !*open);
        });
    }

    /// Passes it as the one of so many who opens it. Blocks the thread until then.
    pub fn pass_as_one_of(&self, count: usize) {
        if self.state.lock().is_ok_and(|state| state.0 + 1 >= count) {
            self.open();
        }
        self.pass();
    }

    /// Opens it.
    pub fn open(&self) {
        if let Ok(mut state) = self.state.lock() {
            state.1 = true;
        }
        self.opened.notify_all();
    }

    /// How many came.
    pub fn arrivals(&self) -> usize {
        self.state.lock().map_or(0, |state| state.0)
    }

    /// Waits until so many came.
    pub async fn reached(&self, count: usize) -> anyhow::Result<()> {
        until("somebody comes to the gate", || async { Ok(self.arrivals() >= count) }).await
    }
}

/// Waits until something is so.
pub async fn until<F: Future<Output = anyhow::Result<bool>>>(what: &str, is_so: impl Fn() -> F) -> anyhow::Result<()> {
    let started = std::time::Instant::now();
    while !is_so().await? {
        ensure!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
