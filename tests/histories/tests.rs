//! Histories in `make test`: some hundred, and bugs that they must find.

use anyhow::{Context, ensure};

use delsert::config::Engine;

use super::{Bug, Flavour, Options, run};

/// How many.
const COUNT: u64 = 300;
const OF_DEFINITIONS: u64 = 200;

/// How many against Amazon Redshift, and how many of them of definitions.
const AT_REDSHIFT: u64 = 100;
const OF_DEFINITIONS_AT_REDSHIFT: u64 = 30;

fn options(first: u64, count: u64, flavour: Flavour) -> Options {
    Options { first, count, flavour, engine: Engine::Postgres, bug: None, tells: false }
}

/// All is well with every one.
#[tokio::test(flavor = "multi_thread")]
async fn every_history_ends_with_a_target_that_equals_its_source() -> anyhow::Result<()> {
    let tally = run(options(1, COUNT, Flavour::Any)).await?;
    println!("{tally}");
    ensure!(tally.failures.is_empty(), "not every history ended as it must");
    Ok(())
}

/// Every column of every row is right at the end, whatever became of the tables' definitions.
#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_definitions_ends_with_a_target_that_equals_its_source() -> anyhow::Result<()> {
    let tally = run(options(1_000_001, OF_DEFINITIONS, Flavour::Definitions)).await?;
    println!("{tally}");
    ensure!(tally.failures.is_empty(), "not every history ended as it must");
    Ok(())
}

/// The same against Amazon Redshift's stand-in.
#[tokio::test(flavor = "multi_thread")]
async fn histories_end_so_at_redshift_too() -> anyhow::Result<()> {
    for (first, count, flavour) in
        [(1, AT_REDSHIFT, Flavour::Any), (1_000_001, OF_DEFINITIONS_AT_REDSHIFT, Flavour::Definitions)]
    {
        let tally = run(Options { engine: Engine::Redshift, ..options(first, count, flavour) }).await?;
        println!("{tally}");
        ensure!(tally.failures.is_empty(), "not every history ended as it must");
    }
    Ok(())
}

/// The histories find a bug that is put in on purpose, by rows that differ, or, where tasks notice it, by a task's end.
async fn is_found(bug: Bug, told: &str) -> anyhow::Result<()> {
    let tally = run(Options { bug: Some(bug), ..options(1, COUNT, Flavour::Any) }).await?;
    let failure = tally.failures.first().with_context(|| format!("{bug:?} was not found: {tally}"))?;
    println!("{bug:?} was found by history {} of {}: {}", failure.seed, tally.histories, failure.faults.join("; "));
    ensure!(failure.faults.iter().any(|fault| fault.contains(told)), "{bug:?} was not what was seen: {failure}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_of_what_the_window_inserted_are_missed() -> anyhow::Result<()> {
    is_found(Bug::DeletesOfTheWindowsInserts, " row: ").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_read_after_the_copy_is_noticed() -> anyhow::Result<()> {
    is_found(Bug::StartAfterCopy, " row: ").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minimum_read_only_before_is_noticed() -> anyhow::Result<()> {
    is_found(Bug::MinimumOnlyBefore, " row: ").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_change_taken_as_an_update_is_noticed() -> anyhow::Result<()> {
    is_found(Bug::KeyChangeAsUpdate, " row: ").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_instance_dropped_at_once_is_noticed() -> anyhow::Result<()> {
    is_found(Bug::OldInstanceDroppedAtOnce, "ended with Gap").await
}
