//! Each misconfiguration has a finding of its own, and what the finding says mends it, typed in as it stands.
//!
//! [`cases`] is the table, [`ground`] what a case stands on, [`together`] many at once and servers of other kinds.

mod cases;
mod ground;
mod together;

use std::collections::BTreeSet;

use anyhow::{Context, ensure};

use cases::{Case, GROUPS};
use ground::{Ground, Told};

impl Case {
    /// Makes it wrong, looks, does what was said, and looks again.
    async fn run(&self) -> anyhow::Result<()> {
        let ground = Ground::start(self).await?;
        ground.make_wrong(self).await?;
        let told = ground.check(&["check"]).await?;
        ensure!(told.names() == self.names(), "told {:?}: {told}", told.names());
        ensure!(told.code == self.code, "exit {}, not {}: {told}", told.code, self.code);
        let mends = told.mends();
        ensure!(!mends.is_empty(), "nothing mends it: {told}");
        ensure!(mends.iter().all(|(_, statement)| !statement.contains("...") && !statement.contains('…')), "{mends:?}");
        let is_told = mends.iter().any(|(_, statement)| statement.contains(self.mend));
        ensure!(is_told, "it is not mended by '{}': {mends:?}", self.mend);
        for (place, statement) in &mends {
            let done = ground.mend(place, statement).await;
            done.with_context(|| format!("at the {place}: {statement}"))?;
        }
        ground.settle(self).await?;
        let left = ground.check(&["check"]).await?;
        let expected: BTreeSet<_> = self.left.iter().map(|name| (*name).to_owned()).collect();
        ensure!(left.names() == expected, "after {mends:?}: {left}");
        ensure!(left.code == 0, "after {mends:?}: exit {}: {left}", left.code);
        Ok(())
    }

    fn names(&self) -> BTreeSet<String> {
        self.tells.iter().map(|name| (*name).to_owned()).collect()
    }
}

async fn run(group: &str) -> anyhow::Result<()> {
    let (_, cases) = GROUPS.iter().find(|(name, _)| *name == group).context("no such group")?;
    let mut failed = Vec::new();
    for case in *cases {
        if let Err(error) = Box::pin(case.run()).await {
            failed.push(format!("{}: {error:#}", case.what));
        }
    }
    ensure!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_stand_still_are_told_and_mended() -> anyhow::Result<()> {
    run("jobs").await
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_source_are_told_and_mended() -> anyhow::Result<()> {
    run("settings").await
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_at_the_source_are_told_and_mended() -> anyhow::Result<()> {
    run("rights").await
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_columns_are_told_and_mended() -> anyhow::Result<()> {
    run("tables").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_configuration_names_in_vain_is_told_and_mended() -> anyhow::Result<()> {
    run("configuration").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_is_told_and_mended() -> anyhow::Result<()> {
    run("target").await
}

/// Must hold 2: twenty-five of them, each with a name of its own.
#[test]
fn there_are_twenty_five_misconfigurations_that_no_two_share() {
    let cases = || GROUPS.iter().flat_map(|(_, cases)| cases.iter());
    let names: BTreeSet<_> = cases().map(|case| case.tells[0]).collect();
    assert!(names.len() >= 25, "{} names: {names:?}", names.len());
    let mended: BTreeSet<_> = cases().map(|case| (case.tells[0], case.mend)).collect();
    assert_eq!(mended.len(), cases().count(), "two cases are told alike");
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}", self.summary, self.log)
    }
}
