//! The three ends together, and a configuration that names them.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::bucket::{self, Bucket, S3};
use super::postgres::{self, Database, Postgres};
use super::server::Leash;
use super::source::{self, Source, SourceOptions};
use super::task::{self, Outcome, Running};

/// The bucket's name.
pub const BUCKET: &str = "sync-machine-bucket";
/// The bucket's prefix.
pub const PREFIX: &str = "delsert";
/// The sync's name.
pub const SYNC: &str = "test";

/// A source, a bucket and a target of a test's own, and a configuration that names them.
pub struct Ground {
    /// The SQL Server stand-in.
    pub source: Source,
    /// The S3 stand-in.
    pub s3: S3,
    /// A database of its own in the shared PostgreSQL.
    pub target: Database,
    /// What `delsert` finds in its environment.
    pub environment: Vec<(String, String)>,
    folder: TempDir,
}

impl Ground {
    /// Starts the ends, with a configuration of all tables of these patterns.
    pub async fn start(options: SourceOptions, include: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("delsert-test-").tempdir()?;
        let start = |folder: PathBuf| {
            let source = Source::start(&folder, &options, &Leash::Owner)?;
            let s3 = S3::start(&folder, &Leash::Owner)?;
            let postgres = Postgres::shared()?;
            anyhow::Ok((source, s3, postgres))
        };
        let path = folder.path().to_owned();
        let (source, s3, postgres) = tokio::task::block_in_place(|| start(path))?;
        let target = postgres.database().await?;
        let ground = Self { source, s3, target, environment: environment(), folder };
        ground.write_config(&ground.config(include))?;
        Ok(ground)
    }

    /// The usual configuration.
    pub fn config(&self, include: &[&str]) -> String {
        config(&self.source, &self.s3, &self.target, include)
    }

    /// The usual configuration with the source behind another port, such as a relay's.
    pub fn config_through(&self, port: u16, include: &[&str]) -> String {
        let (direct, through) = (format!("port = {}\n", self.source.port), format!("port = {port}\n"));
        self.config(include).replacen(&direct, &through, 1)
    }

    /// Where the configuration is.
    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("con_defs.toml")
    }

    /// A folder that goes with the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes another configuration.
    pub fn write_config(&self, text: &str) -> anyhow::Result<()> {
        Ok(fs::write(self.config_path(), text)?)
    }

    /// Starts `delsert` with these arguments.
    pub fn start_task(&self, arguments: &[&str]) -> anyhow::Result<Running> {
        task::start(&self.config_path(), &self.environment, arguments)
    }

    /// Runs `delsert` with these arguments to its end.
    pub async fn task(&self, arguments: &[&str]) -> anyhow::Result<Outcome> {
        self.start_task(arguments)?.outcome().await
    }

    /// Runs check, extract and load, each of which must end with 0; returns the summaries of the last two.
    pub async fn sync(&self) -> anyhow::Result<(task::Summary, task::Summary)> {
        self.task(&["check"]).await?.expect(0)?.summary()?;
        let extract = self.task(&["extract"]).await?.expect(0)?.summary()?;
        let load = self.task(&["load"]).await?.expect(0)?.summary()?;
        Ok((extract, load))
    }

    /// A look into the bucket.
    pub fn bucket(&self) -> Bucket {
        self.s3.bucket(BUCKET)
    }
}

/// What the configuration expects in the environment, and the AWS chain's keys.
pub fn environment() -> Vec<(String, String)> {
    let variables = [
        ("PATH", "/usr/bin:/bin"),
        ("HOME", "/nonexistent"),
        ("MSSQL_PASSWORD", source::PASSWORD),
        ("TARGET_PASSWORD", postgres::LOADER_PASSWORD),
        ("AWS_ACCESS_KEY_ID", bucket::ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", bucket::SECRET_KEY),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("RUST_BACKTRACE", "1"),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// The usual configuration for these ends.
pub fn config(source: &Source, s3: &S3, target: &Database, include: &[&str]) -> String {
    let include: Vec<_> = include.iter().map(|pattern| format!("\"{pattern}\"")).collect();
    format!(
        r#"[sync]
name = "{SYNC}"

[source]
engine = "sqlserver"
host = "127.0.0.1"
port = {source_port}
database = "{source_database}"
user = "{source_user}"
password = "${{MSSQL_PASSWORD}}"
encrypt = "required"
trust_server_certificate = true
include = [{include}]

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
user = "{target_user}"
password = "${{TARGET_PASSWORD}}"
tls = "disable"
"#,
        source_port = source.port,
        source_database = source.database,
        source_user = source::USER,
        include = include.join(", "),
        endpoint = s3.endpoint(),
        target_port = target.port,
        target_database = target.name,
        target_user = postgres::LOADER,
    )
}
