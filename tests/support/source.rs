//! The SQL Server stand-in, and a T-SQL client.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, Row};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::program;
use super::server::{Launch, Leash, Server};

/// The login.
pub const USER: &str = "sa";
/// Its password.
pub const PASSWORD: &str = "Source-Secret-1";

/// What the stand-in serves.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// The database's name.
    pub database: String,
    /// A directory to load, as AdventureWorks.
    pub load: Option<PathBuf>,
    /// How often the capture job scans the log.
    pub capture_interval: Duration,
    /// More arguments.
    pub arguments: Vec<String>,
}

impl Default for SourceOptions {
    fn default() -> Self {
        let capture_interval = Duration::from_millis(50);
        Self { database: "shop".to_owned(), load: None, capture_interval, arguments: Vec::new() }
    }
}

/// A running SQL Server stand-in.
pub struct Source {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The database.
    pub database: String,
    server: Server,
}

impl Source {
    /// Starts one; its messages go into that folder.
    pub fn start(folder: &Path, options: &SourceOptions, leash: &Leash) -> anyhow::Result<Self> {
        let standin = program("standin")?;
        let interval = format!("{}ms", options.capture_interval.as_millis());
        // Killed, it leaves its database behind: in a folder that goes with the test.
        let temporary = format!("TMPDIR={}", folder.display());
        let mut command = vec![OsStr::new("env"), OsStr::new(&temporary), standin.as_os_str()];
        let arguments = ["sqlserver", "--listen", "127.0.0.1:0", "--user", USER, "--password", PASSWORD];
        let named = ["--database", &options.database, "--capture-interval", &interval];
        command.extend(arguments.iter().chain(&named).map(AsRef::<OsStr>::as_ref));
        command.extend(options.load.iter().flat_map(|load| [OsStr::new("--load"), load.as_os_str()]));
        command.extend(options.arguments.iter().map(OsStr::new));
        let log = &folder.join("sqlserver.log");
        let launch = Launch { command, user: None, log, end_signal: "KILL", leash: leash.clone(), folder: None };
        let mut server = Server::start(&launch)?;
        let ready = server.wait_for("ready 127.0.0.1:")?;
        let port = ready.parse().context("the SQL Server stand-in's port")?;
        Ok(Self { port, database: options.database.clone(), server })
    }

    /// What it wrote so far.
    pub fn messages(&self) -> String {
        self.server.messages()
    }

    /// Logs in.
    pub async fn connect(&self) -> anyhow::Result<Sql> {
        Box::pin(Sql::connect(self.port, &self.database)).await
    }
}

/// A T-SQL connection.
pub struct Sql {
    client: Client<Compat<TcpStream>>,
    /// Whether this connection stopped the capture job.
    capture_stopped: bool,
}

impl Sql {
    /// Logs in to a server on 127.0.0.1.
    pub async fn connect(port: u16, database: &str) -> anyhow::Result<Self> {
        let mut config = Config::new();
        config.host("127.0.0.1");
        config.port(port);
        config.database(database);
        config.authentication(AuthMethod::sql_server(USER, PASSWORD));
        config.encryption(EncryptionLevel::Required);
        config.trust_cert();
        config.command_timeout(Some(Duration::from_mins(5)));
        config.application_name("delsert tests");
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let client = Box::pin(Client::connect(config, stream.compat_write())).await;
        let client = client.with_context(|| format!("cannot log in to 127.0.0.1:{port}"))?;
        Ok(Self { client, capture_stopped: false })
    }

    /// Runs a batch to its end.
    pub async fn run(&mut self, sql: &str) -> anyhow::Result<()> {
        let stream = self.client.simple_query(sql).await.with_context(|| shorten(sql))?;
        stream.into_results().await.with_context(|| shorten(sql))?;
        Ok(())
    }

    /// Runs a batch and returns the rows of its first result.
    pub async fn rows(&mut self, sql: &str) -> anyhow::Result<Vec<Row>> {
        let stream = self.client.simple_query(sql).await.with_context(|| shorten(sql))?;
        stream.into_first_result().await.with_context(|| shorten(sql))
    }

    /// Runs a batch whose first result's first cell is a bigint.
    pub async fn number(&mut self, sql: &str) -> anyhow::Result<i64> {
        let rows = self.rows(sql).await?;
        let row = rows.first().with_context(|| format!("no row from {}", shorten(sql)))?;
        row.try_get::<i64, _>(0)?.with_context(|| format!("NULL from {}", shorten(sql)))
    }

    /// Makes everything committed so far visible in the change tables.
    ///
    /// The capture job is stopped for one pass that is known to have ended, and started again.
    pub async fn capture_all(&mut self) -> anyhow::Result<()> {
        self.stop_capture().await?;
        self.run("EXEC sys.sp_cdc_scan").await?;
        self.start_capture().await
    }

    /// Stops the capture job, if it was not: changes stay in the log.
    pub async fn stop_capture(&mut self) -> anyhow::Result<()> {
        if !std::mem::replace(&mut self.capture_stopped, true) {
            self.run("EXEC sys.sp_cdc_stop_job @job_type = N'capture'").await?;
        }
        Ok(())
    }

    /// Starts the capture job, if it was stopped.
    pub async fn start_capture(&mut self) -> anyhow::Result<()> {
        if std::mem::replace(&mut self.capture_stopped, false) {
            self.run("EXEC sys.sp_cdc_start_job @job_type = N'capture'").await?;
        }
        Ok(())
    }
}

/// A statement for a message: the beginning of a long one.
fn shorten(sql: &str) -> String {
    let end = sql.char_indices().nth(600).map_or(sql.len(), |(at, _)| at);
    let more = if end < sql.len() { " …" } else { "" };
    format!("in: {}{more}", &sql[..end])
}
