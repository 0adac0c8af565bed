//! Three ends with nothing but what the files grant, and the tasks' whole way.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tokio_postgres::Client;
use uuid::Uuid;

use super::files::{filled, read};
use crate::support::bucket::{Bucket, S3, SECRET_KEY};
use crate::support::ground::{BUCKET, PREFIX, SYNC, environment};
use crate::support::postgres::{Database, Postgres};
use crate::support::server::Leash;
use crate::support::source::{Source, SourceOptions, Sql};
use crate::support::task::{self, Outcome};

const PASSWORD: &str = "Least-Secret-1";

/// The files, each whole or without a right.
#[derive(Clone)]
pub struct Files {
    /// The second login's script.
    pub admin: String,
    /// The first login's.
    pub reader: String,
    /// The target's.
    pub loader: String,
    /// The policy of check.
    pub check: String,
    /// That of extract.
    pub extract: String,
    /// That of load.
    pub load: String,
}

impl Files {
    /// All of them as they are.
    pub fn whole() -> anyhow::Result<Self> {
        Ok(Self {
            admin: read("sqlserver-admin.sql")?,
            reader: read("sqlserver-reader.sql")?,
            loader: read("postgres-loader.sql")?,
            check: read("s3-check.json")?,
            extract: read("s3-extract.json")?,
            load: read("s3-load.json")?,
        })
    }
}

/// What broke: at which step, and what was said.
#[derive(Debug)]
pub struct Broken {
    /// The step.
    pub step: &'static str,
    /// All that was said.
    pub said: String,
}

/// Why the way ended.
#[derive(Debug)]
pub enum Stop {
    /// A step was not sound.
    Broken(Broken),
    /// The test itself failed.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

pub type Step = Result<(), Stop>;

pub fn broken(step: &'static str, said: impl Into<String>) -> Stop {
    Stop::Broken(Broken { step, said: said.into() })
}

/// The ends, before anything is granted.
pub struct Field {
    files: Files,
    source: Source,
    s3: S3,
    target: Database,
    loader: String,
    /// A connection of the source's sysadmin.
    pub sql: Sql,
    /// A connection of the target's superuser.
    pub warehouse: Client,
    folder: TempDir,
}

impl Field {
    /// A shop of one table, an empty warehouse that nobody may enter, and keys with the policies.
    pub async fn start(files: Files) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("delsert-rights-").tempdir()?;
        let mut keys = Vec::new();
        for (task, policy) in [("check", &files.check), ("extract", &files.extract), ("load", &files.load)] {
            let path = folder.path().join(format!("{task}.json"));
            std::fs::write(&path, filled(policy, &[("bucket", BUCKET), ("prefix", PREFIX)])?)?;
            keys.extend(["--policy-key".to_owned(), format!("{task}-key:{SECRET_KEY}:{}", path.display())]);
        }
        let start = || {
            let keys: Vec<_> = keys.iter().map(String::as_str).collect();
            let source = Source::start(folder.path(), &SourceOptions::default(), &Leash::Owner)?;
            let s3 = S3::start_with(folder.path(), &Leash::Owner, &keys)?;
            anyhow::Ok((source, s3, Postgres::shared()?))
        };
        let (source, s3, postgres) = tokio::task::block_in_place(start)?;
        let target = postgres.database().await?;
        let warehouse = target.connect_as_admin().await?;
        let name = &target.name;
        let closed = format!("ALTER DATABASE {name} OWNER TO postgres; REVOKE ALL ON DATABASE {name} FROM PUBLIC");
        warehouse.batch_execute(&closed).await?;
        let mut sql = source.connect().await?;
        sql.run("ALTER DATABASE shop SET ALLOW_SNAPSHOT_ISOLATION ON").await?;
        sql.run("CREATE SCHEMA Sales").await?;
        sql.run("CREATE TABLE Sales.Orders (ID int NOT NULL PRIMARY KEY, Note nvarchar(20) NULL)").await?;
        sql.run("INSERT INTO Sales.Orders VALUES (1, N'one'), (2, N'two')").await?;
        let loader = format!("loader_{}", Uuid::new_v4().simple());
        let field = Self { files, source, s3, target, loader, sql, warehouse, folder };
        field.configure(|text| text)?;
        Ok(field)
    }

    /// Writes the configuration, changed.
    pub fn configure(&self, change: impl FnOnce(String) -> String) -> anyhow::Result<()> {
        let text = format!(
            r#"[sync]
name = "{SYNC}"
on_gap = "resync"

[source]
engine = "sqlserver"
host = "127.0.0.1"
port = {source_port}
database = "shop"
user = "delsert_reader"
password = "{PASSWORD}"
trust_server_certificate = true
include = ["Sales.*"]

[source.admin]
user = "delsert_admin"
password = "{PASSWORD}"

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
user = "{loader}"
password = "{PASSWORD}"
tls = "disable"
schema = "shop"
"#,
            source_port = self.source.port,
            endpoint = self.s3.endpoint(),
            target_port = self.target.port,
            target_database = self.target.name,
            loader = self.loader,
        );
        Ok(std::fs::write(self.config_path(), change(text))?)
    }

    /// Where the configuration is.
    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("con_defs.toml")
    }

    /// A look into the bucket that no policy hinders.
    pub fn bucket(&self) -> Bucket {
        self.s3.bucket(BUCKET)
    }

    /// Runs a task by its own key.
    pub async fn task(&self, task: &str) -> anyhow::Result<Outcome> {
        let mut environment = environment();
        environment.retain(|(name, _)| name != "AWS_ACCESS_KEY_ID");
        environment.push(("AWS_ACCESS_KEY_ID".to_owned(), format!("{task}-key")));
        task::start(&self.config_path(), &environment, &[task])?.outcome().await
    }

    /// Runs a task that must end well, without a finding and without a warning but those that hold one of these words.
    pub async fn sound(&self, step: &'static str, task: &str, warned: &[&str]) -> Result<Outcome, Stop> {
        let outcome = self.task(task).await?;
        let summary = outcome.summary()?.0;
        // What the driver says of the stand-in's certificate.
        let known = [&["Trusting the server certificate"][..], warned].concat();
        let quiet = |line: &str| !line.contains("WARN") || known.iter().any(|word| line.contains(word));
        let findings = summary["findings"].as_array().is_none_or(Vec::is_empty);
        if outcome.code == Some(0) && findings && outcome.stderr.lines().all(quiet) {
            return Ok(outcome);
        }
        Err(broken(step, format!("exit {:?}\n{}\n{}", outcome.code, outcome.stdout, outcome.stderr)))
    }

    /// Runs a script of the source as its sysadmin.
    pub async fn source_script(&mut self, step: &'static str, script: &str) -> Step {
        let with = [
            ("database", "shop"),
            ("schema", "Sales"),
            ("reader", "delsert_reader"),
            ("admin", "delsert_admin"),
            ("password", PASSWORD),
        ];
        let text = filled(script, &with)?;
        self.sql.run(&text).await.map_err(|error| broken(step, format!("{error:#}")))?;
        Ok(self.sql.run("USE shop").await?)
    }

    /// Runs a script of the target as its superuser.
    pub async fn target_script(&self, step: &'static str, script: &str) -> Step {
        let with = [
            ("database", self.target.name.as_str()),
            ("schema", "shop"),
            ("loader", &self.loader),
            ("password", PASSWORD),
        ];
        let run = self.warehouse.batch_execute(&filled(script, &with)?).await;
        run.map_err(|error| {
            let said = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
            broken(step, said)
        })
    }

    /// Changes the shop, and has the change captured.
    pub async fn change(&mut self, sql: &str) -> anyhow::Result<()> {
        self.sql.run(sql).await?;
        self.sql.capture_all().await
    }

    /// The whole way: every script, and each task in each situation in which it needs something else.
    pub async fn go(&mut self) -> Step {
        self.open().await?;
        self.sound("first extract", "extract", &[]).await?;
        self.sound("first load", "load", &[]).await?;
        self.compete().await?;
        self.leave_to_check().await?;
        self.lose_history().await?;
        let rows = self.rows().await?;
        ensure_rows(&rows, &[(1, "gap"), (2, "pending"), (3, "rival")])?;
        Ok(())
    }

    /// The scripts, and check before and after there is anything.
    pub async fn open(&mut self) -> Step {
        let Files { admin, reader, loader, .. } = self.files.clone();
        self.source_script("admin's script", &admin).await?;
        self.source_script("reader's script", &reader).await?;
        self.target_script("loader's script", &loader).await?;
        self.sound("first check", "check", &[]).await?;
        self.source_script("reader's script again", &reader).await?;
        self.sound("second check", "check", &[]).await?;
        Ok(())
    }

    /// A batch at whose place a rival left a part and an upload, which the winner removes; and history is purged.
    async fn compete(&mut self) -> Step {
        self.change("INSERT INTO Sales.Orders VALUES (3, N'rival')").await?;
        self.leave(2).await?;
        let extract = self.sound("extract beside a rival", "extract", &[]).await?;
        if !extract.stderr.contains("purged history at the source") {
            return Err(broken("extract beside a rival", format!("nothing was purged\n{}", extract.stderr)));
        }
        let parts = self.bucket().keys_ending(".csv.zst").await?;
        if parts.len() != 1 || !self.bucket().uploads().await?.is_empty() {
            return Err(broken("extract beside a rival", format!("left: {parts:?}")));
        }
        self.sound("load of changes", "load", &[]).await?;
        let parts = self.bucket().keys_ending(".csv.zst").await?;
        if parts.is_empty() { Ok(()) } else { Err(broken("load of changes", format!("left: {parts:?}"))) }
    }

    /// A batch that check applies, and leftovers that it removes.
    async fn leave_to_check(&mut self) -> Step {
        self.change("UPDATE Sales.Orders SET Note = N'pending' WHERE ID = 2").await?;
        self.sound("extract for check", "extract", &[]).await?;
        self.leave(1).await?;
        self.sound("check that loads", "check", &[]).await?;
        let (parts, uploads) = (self.bucket().keys_ending(".csv.zst").await?, self.bucket().uploads().await?);
        let marks = self.bucket().keys_ending("0000000003/applied.json").await?;
        if parts.is_empty() && uploads.is_empty() && marks.len() == 1 {
            return Ok(());
        }
        Err(broken("check that loads", format!("parts {parts:?}, uploads {uploads:?}, marks {marks:?}")))
    }

    /// A gap, which extract mends by a new generation.
    async fn lose_history(&mut self) -> Step {
        self.change("UPDATE Sales.Orders SET Note = N'gap' WHERE ID = 1").await?;
        self.sql
            .run(
                "DECLARE @instance sysname = (SELECT ct.capture_instance FROM cdc.change_tables AS ct);
                 DECLARE @lsn binary(10) = sys.fn_cdc_get_max_lsn();
                 EXEC sys.sp_cdc_cleanup_change_table @capture_instance = @instance, @low_water_mark = @lsn, @threshold = 5000",
            )
            .await?;
        self.sound("extract over a gap", "extract", &["opening a new generation"]).await?;
        self.sound("load of a copy", "load", &[]).await?;
        Ok(())
    }

    /// Leaves a part and an unfinished upload of attempts that are nobody's at a sequence of the table's first generation.
    async fn leave(&self, sequence: u64) -> anyhow::Result<()> {
        let folder = format!("{PREFIX}/{SYNC}/Sales.Orders/0000000001/{sequence:010}");
        let name = || format!("{folder}/{}-0000.csv.zst", Uuid::new_v4());
        self.bucket().put(&name(), b"nobody's".to_vec()).await?;
        self.bucket().begin_upload(&name()).await
    }

    /// The table's rows in the target.
    pub async fn rows(&self) -> anyhow::Result<Vec<(i32, String)>> {
        let rows = self.warehouse.query("SELECT id, note FROM shop.orders ORDER BY id", &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

pub fn ensure_rows(found: &[(i32, String)], expected: &[(i32, &str)]) -> anyhow::Result<()> {
    let found: Vec<_> = found.iter().map(|(id, note)| (*id, note.as_str())).collect();
    ensure!(found == expected, "the target holds {found:?}, not {expected:?}");
    Ok(())
}

/// The whole way must be gone.
pub fn whole(way: Step) -> anyhow::Result<()> {
    match way {
        Ok(()) => Ok(()),
        Err(Stop::Failed(error)) => Err(error),
        Err(Stop::Broken(Broken { step, said })) => Err(anyhow::anyhow!("{said}")).context(step),
    }
}
