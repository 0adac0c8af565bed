//! Thirty days in which nothing happens to most tables, by the source's clock.

use anyhow::ensure;

use crate::rules::by_hand::table;
use crate::rules::watched::WatchedShop;

/// Days.
const DAYS: usize = 30;
/// Rounds of check, extract and load in a day.
const ROUNDS: usize = 4;
/// The default retention is 72 hours, of which a quarter is 18: so many end in the time, and one is begun.
const MOST_BATCHES: usize = DAYS * 24 / 18 + 1;

/// Cleanup comes each day and raises the minimum of all tables: an idle one keeps its place by few empty batches.
#[tokio::test(flavor = "multi_thread")]
async fn idle_tables_keep_their_place_for_thirty_days() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    shop.sql.run("CREATE TABLE dbo.Other (ID int NOT NULL PRIMARY KEY, Note nvarchar(max) NULL)").await?;
    // What tidies history is the source's own cleanup.
    shop.stage.configure(|text| text.replace("[sync]", "[sync]\npurge = \"never\""))?;
    for round in 0..DAYS * ROUNDS {
        if round % ROUNDS == 0 {
            shop.sql.run(&format!("INSERT INTO dbo.Other VALUES ({round}, N'a day')")).await?;
        }
        let outcome = shop.stage.task(&["run"]).await?.expect(0)?;
        let summary = outcome.summary()?;
        let alarms: Vec<_> = summary.tables().iter().filter(|table| !table["error"].is_null()).collect();
        ensure!(alarms.is_empty(), "round {round}: {alarms:?}");
        shop.sql.run(&format!("EXEC sys.sp_standin_advance_clock @seconds = {}", 86_400 / ROUNDS)).await?;
        if round == 0 {
            shop.sql.run("INSERT INTO dbo.Other VALUES (-1, N'captured')").await?;
        }
        shop.sql.capture_all().await?;
        if round % ROUNDS == ROUNDS - 1 {
            shop.sql.run("EXEC sys.sp_cdc_start_job @job_type = N'cleanup'").await?;
        }
    }
    let manifests = shop.stage.keys_ending("/manifest.json");
    let newest = manifests.iter().filter(|key| key.contains("/dbo.Things/")).max().cloned().unwrap_or_default();
    let sequence: usize = newest.rsplit('/').nth(1).unwrap_or_default().parse()?;
    ensure!(newest.contains("/0000000001/"), "another generation was opened: {newest}");
    ensure!((MOST_BATCHES / 2..=1 + MOST_BATCHES).contains(&sequence), "{sequence} batches of an idle table: {newest}");
    // And what happens at last is not lost.
    shop.change("UPDATE dbo.Things SET Note = N'at last' WHERE ID = 1").await?;
    shop.stage.task(&["run"]).await?.expect(0)?;
    shop.stage.expect_rows(&table("Things"), &[(1, "at last"), (2, "two"), (3, "three")]).await
}
