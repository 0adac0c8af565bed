//! `standin sqlserver`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use standin::engine::{Engine, EngineConfig, TableSpec};
use standin::tds::{Encryption, Settings, serve};
use standin::{cdc, load};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Loopback address and port; port 0 picks a free one.
    #[arg(long, value_name = "127.0.0.1:PORT")]
    listen: String,
    /// The one login, which owns everything.
    #[arg(long)]
    user: String,
    /// Its password.
    #[arg(long)]
    password: String,
    /// The one database beside the system's own.
    #[arg(long, value_name = "NAME")]
    database: String,
    /// Loads the tables that DIR/schema.json names, before it serves.
    #[arg(long, value_name = "DIR")]
    load: Option<PathBuf>,
    /// How often the capture job scans the log once CDC is on, such as 50ms or 1s.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    capture_interval: Duration,
    /// Offers no encryption; clients that require it are turned away.
    #[arg(long, conflicts_with = "require_encryption")]
    no_encryption: bool,
    /// Turns away clients that cannot encrypt.
    #[arg(long)]
    require_encryption: bool,
    /// Writes the certificate authority to DIR/ca.pem, for clients that verify.
    #[arg(long, value_name = "DIR")]
    tls_cert_dir: Option<PathBuf>,
    /// Certificate and key in PEM form, in place of a certificate made at start.
    #[arg(long, value_name = "FILE", conflicts_with = "tls_cert_dir")]
    tls_identity: Option<PathBuf>,
    /// Microsoft Entra tokens, read at each login: `TOKEN LOGIN` a line, or `TOKEN expired`.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Sends everybody on to another server, as Azure's gateway does.
    #[arg(long, value_name = "HOST:PORT", value_parser = route)]
    route_to: Option<(String, u16)>,
}

fn route(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    parts.ok_or_else(|| format!("{text} is no HOST:PORT"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("{text} is no duration; write 50ms, 1s or 2m"))?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        _ => Err(format!("{text} has no unit; write 50ms, 1s or 2m")),
    }
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    // The port first: whoever waits for a long load should learn at once that it is taken.
    let listener = super::listen(&arguments.listen).await?;
    let engine = Engine::start(EngineConfig {
        database: arguments.database,
        user: arguments.user,
        password: arguments.password,
        cdc: cdc::Settings { capture_interval: arguments.capture_interval },
    })?;
    if let Some(directory) = arguments.load {
        let loader = Arc::clone(&engine);
        tokio::task::spawn_blocking(move || fill(&loader, &directory)).await??;
    }
    let encryption = if arguments.no_encryption {
        Encryption::NotSupported
    } else if arguments.require_encryption {
        Encryption::Required
    } else {
        Encryption::Supported
    };
    let settings = Settings {
        encryption,
        certificate_dir: arguments.tls_cert_dir,
        identity: arguments.tls_identity,
        tokens: arguments.tokens,
        route: arguments.route_to,
    };
    let server = Arc::clone(&engine);
    let result = super::serve(listener, |listener| Box::pin(serve(listener, server, settings))).await;
    leave(&engine).await;
    result
}

/// Waits, a little, for sessions to end: the last one to go removes the database's files.
async fn leave(engine: &Arc<Engine>) {
    for _ in 0..100 {
        if Arc::strong_count(engine) == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn fill(engine: &Engine, directory: &Path) -> anyhow::Result<()> {
    let tables = load::tables(directory).with_context(|| format!("cannot load {}", directory.display()))?;
    for table in tables {
        let place = format!("cannot load {}.{} from {}", table.schema, table.name, directory.display());
        let rows = table.rows()?;
        let spec = TableSpec {
            schema: table.schema,
            name: table.name,
            columns: table.columns,
            primary_key: table.primary_key,
        };
        let mut failed = None;
        let good = rows.map_while(|row| row.map_err(|error| failed = Some(error)).ok());
        let loaded = engine.bulk_load(spec, good).with_context(|| place.clone())?;
        if let Some(error) = failed {
            return Err(error.context(place));
        }
        tracing::debug!(loaded, "loaded a table");
    }
    Ok(())
}
