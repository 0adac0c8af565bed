//! Histories in `make test`: some hundred, and bugs that they must find.

use anyhow::{Context, ensure};

use super::{Bug, Options, run};

/// How many.
const COUNT: u64 = 300;

/// All is well with every one.
#[tokio::test(flavor = "multi_thread")]
async fn every_history_ends_with_a_target_that_equals_its_source() -> anyhow::Result<()> {
    let tally = run(Options { first: 1, count: COUNT, bug: None }).await?;
    println!("{tally}");
    ensure!(tally.failures.is_empty(), "{tally}");
    Ok(())
}

/// Replays `HISTORY=seed` alone, and tells what was done.
#[tokio::test(flavor = "multi_thread")]
async fn replay() -> anyhow::Result<()> {
    let Ok(seed) = std::env::var("HISTORY") else { return Ok(()) };
    let first = seed.parse().with_context(|| format!("HISTORY={seed} is not a whole number"))?;
    let tally = run(Options { first, count: 1, bug: None }).await?;
    println!("{tally}");
    ensure!(tally.failures.is_empty(), "{tally}");
    Ok(())
}

/// The histories find a bug that is put in on purpose.
async fn is_found(bug: Bug) -> anyhow::Result<()> {
    let tally = run(Options { first: 1, count: COUNT, bug: Some(bug) }).await?;
    let failure = tally.failures.first().with_context(|| format!("{bug:?} was not found: {tally}"))?;
    println!("{bug:?} was found by history {} of {}: {}", failure.seed, tally.histories, failure.faults.join("; "));
    let is_of_rows = failure.faults.iter().any(|fault| fault.contains(" row: "));
    ensure!(is_of_rows, "{bug:?} was not seen by the rows: {failure}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_of_what_the_window_inserted_are_missed() -> anyhow::Result<()> {
    is_found(Bug::DeletesOfTheWindowsInserts).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_read_after_the_copy_is_noticed() -> anyhow::Result<()> {
    is_found(Bug::StartAfterCopy).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minimum_read_only_before_is_noticed() -> anyhow::Result<()> {
    is_found(Bug::MinimumOnlyBefore).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_change_taken_as_an_update_is_noticed() -> anyhow::Result<()> {
    is_found(Bug::KeyChangeAsUpdate).await
}
