//! The command line.

mod redshift;
mod s3;
mod sqlserver;

use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Strict stand-ins for servers that cannot be run everywhere. For tests and demonstrations only.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves SQL Server: TDS and T-SQL, with change data capture.
    #[command(name = "sqlserver")]
    SqlServer(sqlserver::Arguments),
    /// Serves S3 from memory.
    S3(s3::Arguments),
    /// Serves Redshift: its protocol, SQL and rules before a PostgreSQL.
    Redshift(Box<redshift::Arguments>),
}

/// Runs what was asked for until it is told to end.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match arguments.command {
            Command::SqlServer(arguments) => sqlserver::run(arguments).await,
            Command::S3(arguments) => s3::run(arguments).await,
            Command::Redshift(arguments) => redshift::run(*arguments).await,
        }
    });
    // Sessions may be busy on threads of their own; they end with the process.
    runtime.shutdown_background();
    result
}

/// Listens on a loopback address: what is served here protects nothing.
async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    let address: SocketAddr = address
        .replacen("localhost", "127.0.0.1", 1)
        .parse()
        .with_context(|| format!("--listen {address} is not an address; write 127.0.0.1:PORT"))?;
    if !address.ip().is_loopback() {
        bail!("--listen {address} is not a loopback address, and the stand-in serves no other; use 127.0.0.1:PORT");
    }
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another port, or 0 for any that is free"))
}

/// Says that the server serves, then serves until a signal to end.
async fn serve<E>(listener: TcpListener, server: impl FnOnce(TcpListener) -> ServerFuture<E>) -> anyhow::Result<()>
where
    anyhow::Error: From<E>,
{
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let address = listener.local_addr()?;
    let server = server(listener);
    let mut out = std::io::stdout();
    writeln!(out, "ready {address}")?;
    out.flush()?;
    tokio::select! {
        result = server => Ok(result?),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

/// A server that runs until it is dropped.
type ServerFuture<E> = std::pin::Pin<Box<dyn Future<Output = Result<(), E>> + Send>>;
