//! The test ground: real servers as processes of their own on free ports, and `delsert` run against them.
//!
//! | module | is |
//! |---|---|
//! | [`server`] | a server process on a leash: it ends when its owner does, however that ends |
//! | [`postgres`] | a temporary PostgreSQL, one for the whole test binary, with a database for each test |
//! | [`redshift`] | the Redshift stand-in before it |
//! | [`source`] | the SQL Server stand-in, and a T-SQL client |
//! | [`bucket`] | the S3 stand-in, and a look into its bucket |
//! | [`relay`] | a relay before a server, to hold its answers back |
//! | [`task`] | `delsert` run as a process, and what it answered |
//! | [`ground`] | the three ends together, and a configuration that names them |
//! | [`rest`] | whether all three ends are at rest, and what they hold agrees |

pub mod bucket;
pub mod ground;
pub mod postgres;
pub mod redshift;
pub mod relay;
pub mod rest;
pub mod server;
pub mod source;
pub mod task;

use std::path::PathBuf;

use anyhow::{Context, ensure};

/// The program of that name that the same build made, beside the running test or example.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("the path of the running program is unknown")?;
    let folder = own.parent().and_then(|deps| deps.parent()).context("the running program has no build folder")?;
    let path = folder.join(name);
    ensure!(path.is_file(), "{} is missing; build it first: cargo build --workspace --bins", path.display());
    Ok(path)
}

/// Says loudly that a test was skipped, which in CI is a failure.
pub fn skip(what: &str) -> anyhow::Result<()> {
    ensure!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "skipped: {what}");
    // Past the test's capture, which would hide it.
    let mut stderr = std::fs::OpenOptions::new().append(true).open("/dev/stderr")?;
    std::io::Write::write_all(&mut stderr, format!("SKIPPED: {what}\n").as_bytes())?;
    Ok(())
}
