//! Rule 6: history is purged, and only behind what is durable.

use anyhow::{Context, ensure};
use standin::s3::{Fault, Moment};

use super::watched::WatchedShop;

/// Rows in the change table of the one capture instance.
async fn history(shop: &mut WatchedShop) -> anyhow::Result<i64> {
    let rows = shop.sql.rows("SELECT capture_instance FROM cdc.change_tables").await?;
    ensure!(rows.len() == 1, "{} capture instances", rows.len());
    let instance = rows[0].try_get::<&str, _>(0)?.context("an instance without a name")?.to_owned();
    shop.sql.number(&format!("SELECT COUNT_BIG(*) FROM cdc.[{instance}_CT]")).await
}

/// The source's clock, which commit times are written by, in milliseconds of the day.
async fn clock(shop: &mut WatchedShop) -> anyhow::Result<i64> {
    shop.sql.number("SELECT CAST(DATEDIFF(millisecond, CAST(GETDATE() AS date), GETDATE()) AS bigint)").await
}

/// Five changes, each in a transaction of its own and at a moment of its own: of transactions that committed at the same
/// moment, cleanup takes the first for its mark, and would leave them all.
async fn change(shop: &mut WatchedShop, note: &str) -> anyhow::Result<()> {
    for turn in 0..5 {
        shop.sql.run(&format!("UPDATE dbo.Things SET Note = N'{note} {turn}' WHERE ID = 1")).await?;
        let now = clock(shop).await?;
        while clock(shop).await? == now {}
    }
    shop.sql.capture_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r6_history_goes_once_its_batch_exists_and_not_before() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    change(&mut shop, "first").await?;
    let before = history(&mut shop).await?;
    ensure!(before >= 5, "{before} rows of history of five changes");

    shop.stage.watch(|operation, moment| {
        if moment == Moment::Before && operation.name == "PutObject" && operation.key.ends_with("/manifest.json") {
            return Fault::Error { status: 503, code: "SlowDown".to_owned() };
        }
        Fault::None
    });
    shop.stage.task(&["extract"]).await?.expect(75)?;
    ensure!(history(&mut shop).await? == before, "history was purged, and no batch holds it");

    shop.stage.store.set_faults(None);
    shop.stage.task(&["extract"]).await?.expect(0)?;
    let after = history(&mut shop).await?;
    ensure!(after < before, "{before} rows of history before the purge, {after} after it");
    shop.stage.task(&["load"]).await?.expect(0)?;
    shop.expect_rows(&[(1, "first 4"), (2, "two"), (3, "three")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn r6_after_load_history_waits_for_the_mark_of_its_batch() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.configure(|text| text.replace("[sync]", "[sync]\npurge = \"after_load\""))?;
    shop.stage.extract_and_load().await?;
    change(&mut shop, "first").await?;
    let before = history(&mut shop).await?;
    for _ in 0..2 {
        shop.stage.task(&["extract"]).await?.expect(0)?;
        ensure!(history(&mut shop).await? == before, "history was purged that no target has");
    }
    shop.stage.task(&["load"]).await?.expect(0)?;
    shop.stage.task(&["extract"]).await?.expect(0)?;
    let after = history(&mut shop).await?;
    ensure!(after < before, "{before} rows of history before the load, {after} after it");

    shop.stage.configure(|text| text.replace("[sync]", "[sync]\npurge = \"never\""))?;
    change(&mut shop, "second").await?;
    let before = history(&mut shop).await?;
    shop.stage.extract_and_load().await?;
    shop.stage.extract_and_load().await?;
    ensure!(history(&mut shop).await? == before, "history was purged, and never should be");
    shop.expect_rows(&[(1, "second 4"), (2, "two"), (3, "three")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn r6_an_instance_that_others_made_is_purged_only_if_that_is_said() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    shop.sql.run("EXEC sys.sp_cdc_enable_db").await?;
    let enable = "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Things', @role_name = NULL,
                  @capture_instance = N'somebody'";
    shop.sql.run(enable).await?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    change(&mut shop, "first").await?;
    let before = history(&mut shop).await?;
    shop.stage.extract_and_load().await?;
    ensure!(history(&mut shop).await? == before, "somebody else's history was purged");
    shop.stage.configure(|text| text.replace("[sync]", "[sync]\npurge_shared = true"))?;
    shop.stage.extract_and_load().await?;
    let after = history(&mut shop).await?;
    ensure!(after < before, "{before} rows of history before, {after} with purge_shared");
    shop.expect_rows(&[(1, "first 4"), (2, "two"), (3, "three")]).await
}
