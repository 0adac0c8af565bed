//! A source whose log is not the one that was read: restored, gone backwards, not to be seen.

use std::time::Duration;

use anyhow::{Context, ensure};

use crate::rules::watched::WatchedShop;

/// A shop synced once, backed up then, and synced again after a change.
async fn shop() -> anyhow::Result<WatchedShop> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("EXEC sys.sp_standin_backup @name = N'night'").await?;
    shop.change("UPDATE dbo.Things SET Note = N'after the backup' WHERE ID = 1").await?;
    shop.stage.extract_and_load().await?;
    Ok(shop)
}

/// Extract ends with that code, and says these words of its one table.
async fn expect_failed(shop: &WatchedShop, code: i32, kind: &str, words: &[&str]) -> anyhow::Result<()> {
    let summary = shop.stage.task(&["extract"]).await?.expect(code)?.summary()?;
    let table = summary.table("dbo.Things")?;
    ensure!(table["error_kind"] == kind, "not {kind}: {}", summary.0);
    let message = table["error"].as_str().unwrap_or_default();
    for word in words {
        ensure!(message.contains(word), "the message does not say '{word}': {message}");
    }
    Ok(())
}

/// What the runbook says.
async fn resync(shop: &mut WatchedShop) -> anyhow::Result<()> {
    shop.stage.task(&["resync", "--table", "dbo.Things", "--yes"]).await?.expect(0)?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_a_log_that_ends_before_the_tail_was_restored() -> anyhow::Result<()> {
    let mut shop = shop().await?;
    shop.sql.run("EXEC sys.sp_standin_restore @name = N'night'").await?;
    let words =
        ["the source's log ends at 0x", "before the tail 0x", "restored", "delsert resync --table dbo.Things --yes"];
    expect_failed(&shop, 3, "Restored", &words).await?;
    // Of a replica that is lag, which passes.
    shop.stage.configure(|text| text.replace("[source]", "[source]\nread_only_replica = true"))?;
    expect_failed(&shop, 75, "Ahead", &["the replica stands at 0x", "before the tail 0x"]).await?;
    shop.stage.configure(|text| text)?;
    shop.expect_rows(&[(1, "after the backup"), (2, "two"), (3, "three")]).await?;
    resync(&mut shop).await?;
    shop.expect_rows(&[(1, "one"), (2, "two"), (3, "three")]).await
}

/// The same positions came again, of other commits.
#[tokio::test(flavor = "multi_thread")]
async fn r10_a_restore_that_has_overtaken_the_tail_is_told_by_its_commit_times() -> anyhow::Result<()> {
    let mut shop = shop().await?;
    shop.sql.run("EXEC sys.sp_standin_restore @name = N'night'").await?;
    for turn in 0..20 {
        shop.sql.run(&format!("UPDATE dbo.Things SET Note = N'turn {turn}' WHERE ID = 2")).await?;
    }
    shop.sql.capture_all().await?;
    let words = ["the commit at the tail 0x", "and the source now says", "it was restored", "delsert resync"];
    expect_failed(&shop, 3, "Restored", &words).await?;
    ensure!(shop.stage.keys_ending("/0000000003/manifest.json").is_empty(), "a batch was read from another log");
    resync(&mut shop).await?;
    shop.expect_rows(&[(1, "one"), (2, "turn 19"), (3, "three")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_another_database_of_the_same_name_is_told_by_its_mark() -> anyhow::Result<()> {
    let mut shop = shop().await?;
    shop.sql.run("EXEC sys.sp_standin_restore @name = N'night', @new_broker = 1").await?;
    let words = ["not the one that the ledger was written from", "service_broker_guid was", "delsert resync"];
    expect_failed(&shop, 3, "Restored", &words).await?;
    resync(&mut shop).await?;
    shop.expect_rows(&[(1, "one"), (2, "two"), (3, "three")]).await
}

/// A task that reads its cut from one source and a window from another, further back, must not take what that lacks for
/// nothing: so it is with replicas behind one name, and with a restore in the middle of a task.
#[tokio::test(flavor = "multi_thread")]
async fn r10_a_source_that_goes_back_while_a_task_runs_is_not_read_to_the_cut() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.change("UPDATE dbo.Things SET Note = N'before the backup' WHERE ID = 1").await?;
    shop.sql.run("EXEC sys.sp_standin_backup @name = N'noon'").await?;
    shop.change("UPDATE dbo.Things SET Note = N'after the backup' WHERE ID = 2").await?;
    // The catalogue comes after the cut: it takes its time.
    let slow = "EXEC sys.sp_standin_slow_rows @milliseconds = 3000, @times = 1, @text = N'FROM sys.tables AS t JOIN sys.schemas'";
    shop.sql.run(slow).await?;
    let running = tokio::spawn(shop.stage.start_task(&["extract"])?.outcome());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    shop.sql.run("EXEC sys.sp_standin_restore @name = N'noon'").await?;
    let summary = running.await??.expect(75)?.summary()?;
    let table = summary.table("dbo.Things")?;
    ensure!(table["error_kind"] == "Ahead", "{}", summary.0);
    ensure!(table["error"].as_str().unwrap_or_default().contains("the source stands at 0x"), "{}", summary.0);
    ensure!(
        shop.stage.keys_ending("/0000000002/manifest.json").is_empty(),
        "a window was read to a cut that was not there"
    );
    shop.sql.capture_all().await?;
    shop.stage.extract_and_load().await?;
    shop.expect_rows(&[(1, "before the backup"), (2, "two"), (3, "three")]).await
}

/// A quiet database is done; only one whose capture never ran has no maximum.
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_database_is_done() -> anyhow::Result<()> {
    let shop = WatchedShop::open().await?;
    let (first, _) = shop.stage.extract_and_load().await?;
    for _ in 0..2 {
        let summary = shop.stage.task(&["extract"]).await?.expect(0)?.summary()?;
        let table = summary.table("dbo.Things")?;
        ensure!(table["status"] == "idle" && table["at_cut"] == true && table["work"] == false, "{}", summary.0);
        ensure!(table["to"] == first.table("dbo.Things")?["to"], "an idle table moved: {}", summary.0);
    }
    Ok(())
}

/// Zero is no low bound: it says that the instance is not known, or not to be read.
#[tokio::test(flavor = "multi_thread")]
async fn r10_a_minimum_of_zero_is_named() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    shop.sql.run("EXEC sys.sp_cdc_enable_db").await?;
    shop.sql
        .run(
            "CREATE ROLE gate;
             EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Things', @role_name = N'gate',
                 @capture_instance = N'gated', @supports_net_changes = 0",
        )
        .await?;
    shop.sql
        .run(
            "CREATE LOGIN reader WITH PASSWORD = 'Reader-Secret-1'; CREATE USER reader FOR LOGIN reader;
             GRANT SELECT ON SCHEMA::cdc TO reader; GRANT SELECT ON dbo.Things TO reader",
        )
        .await?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    shop.change("UPDATE dbo.Things SET Note = N'gated' WHERE ID = 1").await?;
    let reader = |text: String| {
        text.replace("user = \"sa\"", "user = \"reader\"").replace("${MSSQL_PASSWORD}", "Reader-Secret-1")
    };
    shop.stage.configure(reader)?;
    let words = ["the source gives no minimum LSN for capture instance 'gated'", "gating role", "grant SELECT"];
    expect_failed(&shop, 3, "ZeroMinimum", &words).await?;
    shop.sql.run("ALTER ROLE gate ADD MEMBER reader").await?;
    shop.stage.task(&["extract"]).await?.expect(0).context("with the gating role")?;
    shop.stage.task(&["load"]).await?.expect(0)?;
    shop.expect_rows(&[(1, "gated"), (2, "two"), (3, "three")]).await
}
