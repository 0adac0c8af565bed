//! A source whose connection breaks in mid-stream or at the login, and that fails by number.

use anyhow::{Context, ensure};

use super::{NEW, changed_shop, expect_mended, expect_told, expect_untouched, timed};
use crate::rules::watched::WatchedShop;
use crate::support::relay::Relay;

/// The one table's rows at first.
const FIRST: &[(i32, &str)] = super::OLD;

/// A relay before the source, which the configuration then names.
async fn relay(shop: &WatchedShop) -> anyhow::Result<Relay> {
    let port = shop.stage.source.as_ref().context("this stage has no source")?.port;
    let relay = Relay::start(port).await?;
    let (direct, relayed) = (format!("port = {port}\n"), format!("port = {}\n", relay.port));
    shop.stage.configure(|text| text.replace(&direct, &relayed))?;
    Ok(relay)
}

/// Runs extract, whose connection breaks after so many bytes of the source's answers.
async fn cut_after(shop: &WatchedShop, relay: &Relay, bytes: usize) -> anyhow::Result<()> {
    relay.hold_after(bytes);
    let extract = shop.stage.start_task(&["extract"])?;
    relay.held().await?;
    relay.cut();
    relay.open();
    let outcome = extract.outcome().await?.expect(75).with_context(|| format!("cut after {bytes} bytes"))?;
    expect_told(&outcome, &["SQL Server 127.0.0.1:", "ry again"])?;
    ensure!(!shop.stage.keys().iter().any(|key| key.contains(".csv")), "parts are left: {:?}", shop.stage.keys());
    Ok(())
}

/// Rows of some 600 kB.
fn many_rows() -> String {
    let rows: Vec<_> = (100..400).map(|id| format!("({id}, N'{id:x<1000}')")).collect();
    format!("INSERT INTO dbo.Things VALUES {}", rows.join(", "))
}

async fn expect_mended_with_many(shop: &mut WatchedShop) -> anyhow::Result<()> {
    let rows: Vec<_> = (100..400).map(|id| (id, format!("{id:x<1000}"))).collect();
    let rows: Vec<_> = FIRST.iter().copied().chain(rows.iter().map(|(id, note)| (*id, note.as_str()))).collect();
    expect_mended(shop, &rows).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_in_the_middle_of_a_snapshot_leaves_no_batch() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    shop.sql.run(&many_rows()).await?;
    shop.check().await?;
    let relay = relay(&shop).await?;
    for bytes in [100_000, 300_000] {
        cut_after(&shop, &relay, bytes).await?;
        ensure!(shop.stage.keys_ending("/manifest.json").is_empty(), "half a table became a batch");
    }
    expect_mended_with_many(&mut shop).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_in_the_middle_of_a_window_leaves_no_batch() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.change(&many_rows()).await?;
    let relay = relay(&shop).await?;
    for bytes in [100_000, 300_000] {
        cut_after(&shop, &relay, bytes).await?;
        ensure!(shop.stage.keys_ending("/manifest.json").len() == 1, "half a window became a batch");
        expect_untouched(&shop).await?;
    }
    expect_mended_with_many(&mut shop).await
}

/// At any byte of the greeting, the TLS handshake and the login: that is an outage, and no fault of certificates.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_at_the_login_is_an_outage() -> anyhow::Result<()> {
    let mut shop = changed_shop().await?;
    let relay = relay(&shop).await?;
    for bytes in [0, 1, 20, 60, 500, 1000, 1500, 2000] {
        cut_after(&shop, &relay, bytes).await?;
        expect_untouched(&shop).await?;
    }
    expect_mended(&mut shop, NEW).await
}

/// Orders an error of the source at statements that hold that text.
async fn order(shop: &mut WatchedShop, number: u32, text: &str, times: u32, after_rows: u32) -> anyhow::Result<()> {
    let order = format!(
        "EXEC sys.sp_standin_inject @number = {number}, @text = N'{text}', @times = {times}, @after_rows = {after_rows}"
    );
    shop.sql.run(&order).await
}

/// Each statement of an extract fails once, before its rows or among them.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_victim_is_left_to_the_next_run() -> anyhow::Result<()> {
    let mut shop = changed_shop().await?;
    for (text, after_rows) in [
        ("is_cdc_enabled", 0),
        ("sys.columns", 3),
        ("cdc.change_tables", 0),
        ("fn_cdc_get_max_lsn() AS max_lsn", 0),
        ("fn_cdc_get_min_lsn", 0),
        ("ROW_NUMBER()", 0),
        ("ROW_NUMBER()", 2),
    ] {
        order(&mut shop, 1205, text, 1, after_rows).await?;
        let (outcome, _) = timed(&shop, &["extract"], 75).await.with_context(|| format!("1205 at {text}"))?;
        expect_told(&outcome, &["SQL Server 127.0.0.1:", "1205", "deadlock victim", "Try again"])?;
        expect_untouched(&shop).await?;
        ensure!(!shop.stage.keys().iter().any(|key| key.contains(".csv")), "parts are left: {:?}", shop.stage.keys());
    }
    expect_mended(&mut shop, NEW).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_fails_by_number_is_left_to_the_next_run() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    for (number, after_rows) in
        [(1205, 0), (1205, 2), (1222, 0), (3960, 1), (701, 1), (10_054, 0), (10_054, 2), (40_197, 1), (40_613, 0)]
    {
        order(&mut shop, number, "[dbo].[Things] AS t", 1, after_rows).await?;
        let (outcome, _) = timed(&shop, &["extract"], 75).await.with_context(|| format!("error {number}"))?;
        expect_told(&outcome, &["dbo.Things", "SQL Server 127.0.0.1:", &number.to_string(), "Try again"])?;
        ensure!(shop.stage.keys_ending("/manifest.json").is_empty(), "half a table became a batch");
        ensure!(!shop.stage.keys().iter().any(|key| key.contains(".csv")), "parts are left: {:?}", shop.stage.keys());
    }
    expect_mended(&mut shop, FIRST).await
}

/// What is safe to do again at once is: enabling, and purging, which never fails a task.
#[tokio::test(flavor = "multi_thread")]
async fn deadlocks_of_enabling_and_purging_are_mended_inside() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    order(&mut shop, 1205, "sp_cdc_enable_db", 1, 0).await?;
    order(&mut shop, 1205, "sp_cdc_enable_table", 1, 0).await?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    shop.change("UPDATE dbo.Things SET Note = N'changed' WHERE ID = 2").await?;
    order(&mut shop, 1205, "sp_cdc_cleanup_change_table", 1, 0).await?;
    let extract = shop.stage.task(&["extract"]).await?.expect(0)?;
    for what in ["purging failed, trying again", "purged history at the source"] {
        ensure!(extract.stderr.contains(what), "the log does not say '{what}': {}", extract.stderr);
    }
    shop.change("UPDATE dbo.Things SET Note = N'again' WHERE ID = 3").await?;
    order(&mut shop, 1205, "sp_cdc_cleanup_change_table", 100, 0).await?;
    let extract = shop.stage.task(&["extract"]).await?.expect(0)?;
    ensure!(extract.stderr.contains("could not purge history"), "{}", extract.stderr);
    expect_mended(&mut shop, &[(1, "one"), (2, "changed"), (3, "again")]).await
}
