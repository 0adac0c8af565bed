//! What is followed: columns added, dropped, added again, widened, made nullable, under writes.

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{expect_equal, round};
use crate::rules::stage::{read, write};
use crate::rules::watched::WatchedShop;

/// Capture instances of the one table.
async fn instances(shop: &mut WatchedShop) -> anyhow::Result<usize> {
    Ok(shop.sql.rows("SELECT capture_instance FROM cdc.change_tables").await?.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_added_column_flows_with_what_was_written_before_its_instance_was_made() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD Colour nvarchar(20) NULL").await?;
    shop.sql.run("UPDATE dbo.Things SET Colour = N'early' WHERE ID = 1").await?;
    shop.sql.run("INSERT INTO dbo.Things VALUES (4, N'four', N'early too')").await?;
    shop.sql.capture_all().await?;
    // Before the check that makes the instance, the old columns flow on.
    shop.stage.extract_and_load().await?;
    shop.expect_rows(&[(1, "one"), (2, "two"), (3, "three"), (4, "four")]).await?;
    shop.stage.task(&["check"]).await?.expect(0)?;
    ensure!(instances(&mut shop).await? == 2, "no second instance");
    shop.sql.run("UPDATE dbo.Things SET Colour = N'late' WHERE ID = 2").await?;
    shop.sql.run("UPDATE dbo.Things SET Colour = NULL WHERE ID = 4").await?;
    shop.sql.run("DELETE FROM dbo.Things WHERE ID = 3").await?;
    expect_equal(&mut shop, 6).await?;
    ensure!(instances(&mut shop).await? == 1, "the old instance was not dropped");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_arrives_in_rows_that_nobody_touched() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD Weight int NOT NULL DEFAULT 7, Extra bit NULL").await?;
    expect_equal(&mut shop, 6).await?;
    shop.sql.run("UPDATE dbo.Things SET Weight = 8, Extra = 1 WHERE ID = 2").await?;
    expect_equal(&mut shop, 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_instance_stays_until_the_ledger_is_past_the_new_ones_start() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.stop_capture().await?;
    shop.sql.run("UPDATE dbo.Things SET Note = N'not yet captured' WHERE ID = 1").await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD Colour nvarchar(20) NULL").await?;
    for _ in 0..2 {
        shop.stage.task(&["check"]).await?.expect(0)?;
        shop.stage.task(&["extract"]).await?.expect(0)?;
        ensure!(instances(&mut shop).await? == 2, "the old instance went before its changes were read");
    }
    shop.sql.start_capture().await?;
    expect_equal(&mut shop, 6).await?;
    ensure!(instances(&mut shop).await? == 1, "the old instance was not dropped");
    Ok(())
}

/// A table with a column that is being handed over, and another behind it.
async fn with_two_columns_to_come() -> anyhow::Result<WatchedShop> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD First int NULL").await?;
    shop.stage.task(&["check"]).await?.expect(0)?;
    shop.sql.run("ALTER TABLE dbo.Things ADD Second int NULL").await?;
    shop.sql.run("UPDATE dbo.Things SET First = 1, Second = 2 WHERE ID = 2").await?;
    Ok(shop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_comes_while_another_is_handed_over_waits_for_its_turn() -> anyhow::Result<()> {
    let mut shop = with_two_columns_to_come().await?;
    shop.stage.task(&["check"]).await?.expect(0)?;
    expect_equal(&mut shop, 6).await
}

/// Only a table without a batch may lose both instances for the sake of a column: one whose newest manifest cannot be read
/// has one.
#[tokio::test(flavor = "multi_thread")]
async fn no_instance_is_dropped_while_the_newest_manifest_cannot_be_read() -> anyhow::Result<()> {
    let mut shop = with_two_columns_to_come().await?;
    let manifest = shop.stage.keys_ending("/manifest.json").pop().context("no batch")?;
    let whole = read(&shop.stage.store, &manifest)?;
    write(&shop.stage.store, &manifest, &b"not JSON"[..]);
    let check = shop.stage.task(&["check"]).await?.expect(75)?.summary()?;
    ensure!(check.table("dbo.Things")?["error_kind"] == "LedgerUnreadable", "{}", check.0);
    ensure!(instances(&mut shop).await? == 2, "an instance was dropped");
    write(&shop.stage.store, &manifest, whole);
    expect_equal(&mut shop, 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_column_stops_flowing_and_one_of_its_name_begins_anew() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD Colour nvarchar(20) NULL").await?;
    shop.sql.run("UPDATE dbo.Things SET Colour = N'old'").await?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("ALTER TABLE dbo.Things DROP COLUMN Colour").await?;
    shop.sql.run("UPDATE dbo.Things SET Note = N'without' WHERE ID = 1").await?;
    expect_equal(&mut shop, 6).await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD Colour nvarchar(20) NULL").await?;
    shop.sql.run("UPDATE dbo.Things SET Colour = N'new' WHERE ID = 2").await?;
    expect_equal(&mut shop, 6).await?;
    // Both in one go, with another type: nothing of the old may stay.
    shop.sql.run("ALTER TABLE dbo.Things DROP COLUMN Colour").await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD Colour int NULL").await?;
    shop.sql.run("UPDATE dbo.Things SET Colour = 3 WHERE ID = 3").await?;
    expect_equal(&mut shop, 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_widened_column_widens_the_target() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD Number int NOT NULL DEFAULT 1, Price decimal(9,2) NULL").await?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("ALTER TABLE dbo.Things ALTER COLUMN Number bigint NULL").await?;
    shop.sql.run("ALTER TABLE dbo.Things ALTER COLUMN Price decimal(19,4) NULL").await?;
    shop.sql.run("UPDATE dbo.Things SET Number = 9000000000, Price = 123456789.1234 WHERE ID = 1").await?;
    shop.sql.run("UPDATE dbo.Things SET Number = NULL WHERE ID = 2").await?;
    expect_equal(&mut shop, 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_ignore_a_new_column_stays_behind_until_it_is_followed() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.configure(|text| text.replace("[sync]", "[sync]\non_new_column = \"ignore\""))?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD Colour nvarchar(20) NULL").await?;
    shop.sql.run("UPDATE dbo.Things SET Colour = N'unseen', Note = N'seen' WHERE ID = 1").await?;
    round(&mut shop).await?;
    round(&mut shop).await?;
    ensure!(instances(&mut shop).await? == 1, "an instance was made for a column that is ignored");
    shop.expect_rows(&[(1, "seen"), (2, "two"), (3, "three")]).await?;
    shop.stage.configure(|text| text)?;
    expect_equal(&mut shop, 6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_drained_in_windows_of_the_configured_span() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.configure(|text| text.replace("[sync]", "[sync]\nmax_window = \"1h\""))?;
    shop.stage.extract_and_load().await?;
    for hour in 0..10 {
        shop.sql.run("EXEC sys.sp_standin_advance_clock @seconds = 3600").await?;
        shop.sql.run(&format!("UPDATE dbo.Things SET Note = N'hour {hour}' WHERE ID = 1")).await?;
        shop.sql.run(&format!("INSERT INTO dbo.Things VALUES ({}, N'of hour {hour}')", 10 + hour)).await?;
    }
    shop.sql.capture_all().await?;
    let extract = shop.stage.task(&["extract"]).await?.expect(0)?.summary()?;
    let table: &Value = extract.table("dbo.Things")?;
    let batches = table["batches"].as_u64().context("no batches")?;
    ensure!((5..=10).contains(&batches), "ten hours in windows of one became {batches} batches: {table}");
    ensure!(table["to"] == extract.0["cut"], "the backlog was not drained: {}", extract.0);
    shop.stage.task(&["load"]).await?.expect(0)?;
    expect_equal(&mut shop, 6).await
}

/// What is configured for a column does not outlive it as a hindrance.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_column_that_the_configuration_names_is_followed_and_told() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD Colour nvarchar(20) NULL").await?;
    let entry = "\n[[table]]\nname = \"dbo.Things\"\ncolumns = { Colour = \"varchar(20)\" }\nvalues = { Colour = { nul = \"replace\" } }\n";
    shop.stage.configure(|text| text + entry)?;
    expect_equal(&mut shop, 6).await?;
    shop.sql.run("ALTER TABLE dbo.Things DROP COLUMN Colour").await?;
    shop.sql.run("UPDATE dbo.Things SET Note = N'after' WHERE ID = 1").await?;
    shop.sql.capture_all().await?;
    // The second time the ledger does not know the column any more.
    for _ in 0..2 {
        let check = shop.stage.task(&["check"]).await?.expect(0)?.summary()?;
        let found = check.table("dbo.Things")?;
        ensure!(found["work"] == true && found["error"].is_null(), "{found}");
        let findings = check.0["findings"].as_array().context("no findings")?;
        let useless = findings.iter().filter(|finding| finding["name"] == "UselessOption");
        ensure!(useless.count() == 2, "{findings:?}");
        expect_equal(&mut shop, 6).await?;
        shop.sql.run("UPDATE dbo.Things SET Note = N'later' WHERE ID = 2").await?;
        shop.sql.capture_all().await?;
    }
    Ok(())
}
