//! The stage: a SQL Server stand-in, an S3 stand-in, a temporary PostgreSQL, and the real binary.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::support::bucket::{ACCESS_KEY, S3, SECRET_KEY};
use crate::support::ground;
use crate::support::postgres::{Database, LOADER, LOADER_PASSWORD, Postgres};
use crate::support::program;
use crate::support::server::Leash;
use crate::support::source::{PASSWORD, Source, SourceOptions, USER};

/// Everything that runs.
pub struct Stage {
    /// The source.
    pub source: Source,
    /// The target.
    pub target: Database,
    s3: S3,
    _postgres: Postgres,
    folder: PathBuf,
    // Removed at the end, unless all is to be left running.
    _temporary: Option<TempDir>,
}

impl Stage {
    /// Starts the three ends and writes the configuration.
    pub async fn start(keep: bool) -> anyhow::Result<Self> {
        let temporary = tempfile::Builder::new().prefix("delsert-demo-").tempdir()?;
        let folder = temporary.path().to_owned();
        let mut temporary = Some(temporary);
        let leash = if keep {
            temporary.take().map(TempDir::keep);
            // PostgreSQL's user must see the file that keeps it running.
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
            let running = folder.join("running");
            fs::write(&running, "Remove this file, and the servers end.\n")?;
            Leash::File(running)
        } else {
            Leash::Owner
        };
        let options = SourceOptions { capture_interval: Duration::from_secs(1), ..SourceOptions::default() };
        let source = Source::start(&folder, &options, &leash)?;
        let s3 = S3::start(&folder, &leash)?;
        let postgres = tokio::task::block_in_place(|| Postgres::start(&leash))?;
        let target = postgres.create_database("warehouse").await?;
        let stage = Self { source, target, s3, _postgres: postgres, folder, _temporary: temporary };
        let config = ground::config(&stage.source, &stage.s3, &stage.target, &["Sales.*", "Catalog.*"]);
        fs::write(stage.config(), config)?;
        Ok(stage)
    }

    /// Where the configuration is.
    pub fn config(&self) -> PathBuf {
        self.folder.join("con_defs.toml")
    }

    /// Says where the ends are.
    pub fn describe(&self) {
        println!("   source  SQL Server stand-in  127.0.0.1:{}  database {}", self.source.port, self.source.database);
        println!("   bucket  S3 stand-in          {}  bucket {}", self.s3.endpoint(), ground::BUCKET);
        println!("   target  PostgreSQL           127.0.0.1:{}  database {}", self.target.port, self.target.name);
        println!("   config  {}", self.config().display());
    }

    /// Runs the real binary as a process of its own, its output shown.
    pub fn run(&self, task: &str) -> anyhow::Result<()> {
        println!("   $ delsert --config {} {task}", self.config().display());
        let mut command = Command::new(program("delsert")?);
        command.arg("--config").arg(self.config()).arg(task).env_clear().envs(ground::environment());
        let started = Instant::now();
        let status = command.stdin(Stdio::null()).status().context("cannot start delsert")?;
        println!("   ({task}: {status}, {:.1} s)\n", started.elapsed().as_secs_f32());
        ensure!(status.success(), "delsert {task} failed: {status}");
        Ok(())
    }

    /// Says how to go on by hand.
    pub fn say_how_to_connect(&self) -> anyhow::Result<()> {
        let (psql, tsql) = (self.target.port, self.source.port);
        let variables = ground::environment().into_iter().filter(|(name, _)| name.contains("PASSWORD"));
        let passwords: Vec<_> = variables.map(|(name, value)| format!("{name}={value}")).collect();
        println!("All is left running. In this terminal:\n");
        println!(
            "   the target    PGPASSWORD={LOADER_PASSWORD} psql -h 127.0.0.1 -p {psql} -U {LOADER} {}",
            self.target.name
        );
        println!("   the source    tsql -H 127.0.0.1 -p {tsql} -U {USER} -P {PASSWORD} -D {}", self.source.database);
        println!("                 (from the package freetds-bin; end each batch with a line that says go)");
        println!("   the bucket    {}, access key {ACCESS_KEY}, secret key {SECRET_KEY}", self.s3.endpoint());
        println!("   the tasks     export {}", passwords.join(" "));
        println!("                 export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY}");
        for task in ["check", "extract", "load"] {
            println!("                 {} --config {} {task}", program("delsert")?.display(), self.config().display());
        }
        println!("   the end       rm -r {}\n", self.folder.display());
        Ok(())
    }
}
