//! `make soak KILLS=n SEED=s`: kills real processes at random moments, under continuous writes, and compares.
//!
//! `KILLS` (1000) is how many times a living process is killed, frozen or cut off from an end; `SEED` (drawn, and
//! printed) is where every choice comes from. Ends with 1 on any difference, and keeps the logs then. What it does is in
//! [`soak`], which the tests run too, a little of it.
//!
//! `make soak HISTORIES=n SEED=s`: random histories instead, of the seeds from `SEED` (drawn, and printed) on, in this
//! process; `DEFINITIONS=1` for those in which the tables' definitions change above all. `HISTORY=seed` runs that one and
//! tells what it did. What they are is in [`histories`].
//!
//! `make soak VALUES=n SEED=s`: so many random values of every type, besides their edges, through copy and changes. What
//! they are is in [`values`].
//!
//! With `TARGET=redshift` all of them end at Amazon Redshift's stand-in.

#[path = "../../tests/histories/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod histories;
#[path = "../../tests/soak/mod.rs"]
mod soak;
#[path = "../../tests/support/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod support;
#[path = "../../tests/values/mod.rs"]
mod values;

use std::process::ExitCode;

use anyhow::{Context, bail};
use delsert::config::Engine;

use crate::histories::Flavour;
use crate::soak::Options;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("The soak failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<bool> {
    let flavour = if number("DEFINITIONS")?.is_some() { Flavour::Definitions } else { Flavour::Any };
    let engine = match std::env::var("TARGET").unwrap_or_default().as_str() {
        "" | "postgres" => Engine::Postgres,
        "redshift" => Engine::Redshift,
        other => bail!("TARGET={other} is neither postgres nor redshift"),
    };
    let target = if engine == Engine::Redshift { " TARGET=redshift" } else { "" };
    if let Some(seed) = number("HISTORY")? {
        return run_histories(histories::Options { first: seed, count: 1, flavour, engine, bug: None, tells: true })
            .await;
    }
    if let Some(count) = number("HISTORIES")? {
        let first = number("SEED")?.unwrap_or_else(|| u64::from(rand::random::<u32>()));
        println!("seeds from {first}: make soak HISTORIES={count} SEED={first}{target}");
        return run_histories(histories::Options { first, count, flavour, engine, bug: None, tells: false }).await;
    }
    if let Some(count) = number("VALUES")? {
        let seed = number("SEED")?.unwrap_or_else(|| u64::from(rand::random::<u32>()));
        println!("seed {seed}: make soak VALUES={count} SEED={seed}{target}");
        let tally = values::run(values::Options { values: count, seed, engine }).await?;
        println!("{tally}");
        return Ok(tally.differences == 0);
    }
    let kills = number("KILLS")?.unwrap_or(1000);
    let seed = number("SEED")?.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!("seed {seed}: make soak KILLS={kills} SEED={seed}{target}");
    let tally = Box::pin(soak::soak(Options { kills, seed, engine })).await?;
    println!("\n{tally}");
    Ok(tally.faults.is_empty())
}

async fn run_histories(options: histories::Options) -> anyhow::Result<bool> {
    let tally = histories::run(options).await?;
    println!("{tally}");
    Ok(tally.failures.is_empty())
}

/// A number from the environment; `None` if it is not there, or empty.
fn number(name: &str) -> anyhow::Result<Option<u64>> {
    let text = std::env::var(name).unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).with_context(|| format!("{name}={text} is not a whole number"))
}
