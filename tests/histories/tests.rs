//! Histories in `make test`: some hundred, and bugs that they must find.

use anyhow::{Context, ensure};

use super::{Bug, Flavour, Options, run};

/// How many.
const COUNT: u64 = 300;
const OF_DEFINITIONS: u64 = 200;

/// All is well with every one.
#[tokio::test(flavor = "multi_thread")]
async fn every_history_ends_with_a_target_that_equals_its_source() -> anyhow::Result<()> {
    let tally = run(Options { first: 1, count: COUNT, flavour: Flavour::Any, bug: None, tells: false }).await?;
    println!("{tally}");
    ensure!(tally.failures.is_empty(), "not every history ended as it must");
    Ok(())
}

/// Every column of every row is right at the end, whatever became of the tables' definitions.
#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_definitions_ends_with_a_target_that_equals_its_source() -> anyhow::Result<()> {
    let (first, count) = (1_000_001, OF_DEFINITIONS);
    let tally = run(Options { first, count, flavour: Flavour::Definitions, bug: None, tells: false }).await?;
    println!("{tally}");
    ensure!(tally.failures.is_empty(), "not every history ended as it must");
    Ok(())
}

/// The histories find a bug that is put in on purpose, by rows that differ, or, where tasks notice it, by a task's end.
async fn is_found(bug: Bug, told: &str) -> anyhow::Result<()> {
    let tally = run(Options { first: 1, count: COUNT, flavour: Flavour::Any, bug: Some(bug), tells: false }).await?;
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
