//! A source that fails by number: what mends itself is mended within the task and told, what does not fails fast.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;

use super::{NEW, changed_shop, expect_mended, expect_told, expect_untouched, timed};
use crate::rules::watched::WatchedShop;
use crate::support::task::Outcome;

/// The one table's rows at first.
const FIRST: &[(i32, &str)] = super::OLD;

/// Numbers that a retry may mend: those of reference section 13 that a server can say.
const PASSING: [u32; 28] = [
    615, 701, 926, 1204, 1205, 1222, 3958, 3960, 3961, 3966, 3967, 3971, 4221, 10_053, 10_054, 10_060, 10_928, 10_929,
    40_143, 40_197, 40_501, 40_540, 40_613, 42_108, 42_109, 49_918, 49_919, 49_920,
];

/// What each statement of an extract of a changed table holds, and after how many of its rows it fails.
const STATEMENTS: [(&str, u32); 11] = [
    ("is_cdc_enabled", 0),
    ("sys.columns", 3),
    ("cdc.change_tables", 0),
    ("fn_cdc_get_max_lsn() AS max_lsn", 0),
    ("first_lsn", 0),
    ("CASE WHEN EXISTS", 0),
    ("fn_cdc_get_min_lsn", 0),
    ("ROW_NUMBER()", 0),
    ("ROW_NUMBER()", 2),
    ("min_committed", 0),
    ("sp_cdc_cleanup_change_table", 0),
];

/// The most that a failure may take that no retry mends.
const FAST: Duration = Duration::from_secs(15);

/// Orders an error of the source at statements that hold that text.
async fn order(shop: &mut WatchedShop, number: u32, text: &str, times: u32, after_rows: u32) -> anyhow::Result<()> {
    let order = format!(
        "EXEC sys.sp_standin_inject @number = {number}, @text = N'{text}', @times = {times}, @after_rows = {after_rows}"
    );
    shop.sql.run(&order).await
}

/// Fails unless that failure was mended so often, and nothing else went wrong.
fn expect_retried(outcome: &Outcome, what: &str, times: u64) -> anyhow::Result<()> {
    let summary = outcome.summary()?;
    let expected = json!({ what: times });
    ensure!(summary.0["retries"] == expected, "not {expected}: {}", summary.0);
    let log = outcome.stderr.matches("failed, trying again").count();
    ensure!(log as u64 == times, "{times} retries, and the log tells {log}: {}", outcome.stderr);
    Ok(())
}

/// A change of the second row.
async fn change(shop: &mut WatchedShop, note: &str) -> anyhow::Result<()> {
    shop.change(&format!("UPDATE dbo.Things SET Note = N'{note}' WHERE ID = 2")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_statement_is_tried_again() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    for (turn, (text, after_rows)) in STATEMENTS.into_iter().enumerate() {
        for (what, number) in [("1205", 1205), ("40613", 40_613), ("connection", 0)] {
            let note = format!("{what} {turn}");
            change(&mut shop, &note).await?;
            order(&mut shop, number, text, 1, after_rows).await?;
            let extract = shop.stage.task(&["extract"]).await?.expect(0);
            let extract = extract.with_context(|| format!("{what} at {text} after {after_rows} rows"))?;
            expect_retried(&extract, what, 1).with_context(|| format!("at {text}"))?;
            ensure!(extract.summary()?.upserts() == 1, "{what} at {text}: {}", extract.stdout);
            shop.stage.task(&["load"]).await?.expect(0)?;
            shop.expect_rows(&[(1, "one"), (2, &note), (3, "three")]).await?;
        }
    }
    expect_mended(&mut shop, &[(1, "one"), (2, "connection 10"), (3, "three")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_number_that_passes_is_mended_within_the_task() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    for number in PASSING {
        // The first turn is the copy, of which the error comes in the middle; the others are windows.
        let text = if number == PASSING[0] { "[dbo].[Things] AS t" } else { "ROW_NUMBER()" };
        order(&mut shop, number, text, 2, 1).await?;
        let extract = shop.stage.task(&["extract"]).await?.expect(0).with_context(|| format!("error {number}"))?;
        expect_retried(&extract, &number.to_string(), 2)?;
        let table = &extract.summary()?.table("dbo.Things")?["retries"].clone();
        ensure!(*table == json!({ number.to_string(): 2 }), "{number}: the table's line tells {table}");
        change(&mut shop, &number.to_string()).await?;
    }
    expect_mended(&mut shop, &[(1, "one"), (2, "49920"), (3, "three")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_the_server_puts_off_is_tried_again() -> anyhow::Result<()> {
    let mut shop = changed_shop().await?;
    for number in [40_613, 40_501, 4060] {
        shop.sql.run(&format!("EXEC sys.sp_standin_inject @number = {number}, @at_login = 1, @times = 2")).await?;
        for task in ["check", "extract"] {
            let outcome = shop.stage.task(&[task]).await?.expect(0).with_context(|| format!("{number} at {task}"))?;
            let times = if task == "check" { 2 } else { 0 };
            let told = outcome.summary()?.0["retries"][number.to_string()].as_u64().unwrap_or(0);
            ensure!(told == times, "{number}: {task} tells {told} retries, not {times}");
        }
    }
    expect_mended(&mut shop, NEW).await
}

/// Tried five times, then left to the next run, which finds nothing half done.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_pass_is_given_up_and_left_to_the_next_run() -> anyhow::Result<()> {
    let mut shop = changed_shop().await?;
    for (number, text) in [(1205, "ROW_NUMBER()"), (40_613, "fn_cdc_get_min_lsn"), (1222, "sys.columns")] {
        order(&mut shop, number, text, 5, 0).await?;
        let (outcome, _) = timed(&shop, &["extract"], 75).await.with_context(|| format!("{number} at {text}"))?;
        expect_told(&outcome, &["SQL Server 127.0.0.1:", &number.to_string(), "(tried 5 times)", "Try again"])?;
        expect_untouched(&shop).await?;
        ensure!(!shop.stage.keys().iter().any(|key| key.contains(".csv")), "parts are left: {:?}", shop.stage.keys());
    }
    expect_mended(&mut shop, NEW).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_number_that_does_not_pass_fails_fast_with_its_own_words() -> anyhow::Result<()> {
    let mut shop = changed_shop().await?;
    for (number, text, words) in [
        (229, "fn_cdc_get_min_lsn", "GRANT SELECT ON SCHEMA::cdc TO [dbo]"),
        (208, "fn_cdc_get_min_lsn", "dropped while the task ran"),
        (22_901, "fn_cdc_get_min_lsn", "Change data capture went off"),
        (22_910, "fn_cdc_get_min_lsn", "Change data capture went off"),
        (3952, "fn_cdc_get_min_lsn", "ALLOW_SNAPSHOT_ISOLATION ON"),
        (18_456, "", "source.user and source.password"),
        (40_615, "", "firewall"),
        (4060, "", "Check source.database"),
    ] {
        if text.is_empty() {
            shop.sql.run(&format!("EXEC sys.sp_standin_inject @number = {number}, @at_login = 1, @times = 3")).await?;
        } else {
            order(&mut shop, number, text, 1, 0).await?;
        }
        let (outcome, took) = timed(&shop, &["extract"], 3).await.with_context(|| format!("error {number}"))?;
        expect_told(&outcome, &["SQL Server 127.0.0.1:", &number.to_string(), words])?;
        let tries = if number == 4060 { 3 } else { 1 };
        ensure!(outcome.stderr.matches("failed, trying again").count() == tries - 1, "{number}: {}", outcome.stderr);
        ensure!(took < FAST, "{number} took {took:?}");
        expect_untouched(&shop).await?;
        // What is left of the orders.
        let left = if text.is_empty() { 3 - tries } else { 0 };
        for _ in 0..left {
            ensure!(shop.stage.sql().await.is_err(), "{number}: the order is used up");
        }
    }
    expect_mended(&mut shop, NEW).await
}

/// Enabling and purging are safe to do again; a purge that does not come through never fails a task.
#[tokio::test(flavor = "multi_thread")]
async fn deadlocks_of_enabling_and_purging_are_mended_inside() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    order(&mut shop, 1205, "sp_cdc_enable_db", 1, 0).await?;
    order(&mut shop, 1205, "sp_cdc_enable_table", 1, 0).await?;
    let check = shop.stage.task(&["check"]).await?.expect(0)?;
    expect_retried(&check, "1205", 2)?;
    shop.stage.extract_and_load().await?;
    for (number, times) in [(22_852, 1), (22_853, 2), (22_851, 1), (22_954, 1)] {
        change(&mut shop, &number.to_string()).await?;
        shop.sql.run(&format!("EXEC sys.sp_standin_fail_cleanup @number = {number}, @times = {times}")).await?;
        let extract = shop.stage.task(&["extract"]).await?.expect(0)?;
        ensure!(extract.stderr.contains("purged history at the source"), "{number}: {}", extract.stderr);
        let retries = &extract.summary()?.0["retries"];
        let told: u64 = retries.as_object().into_iter().flatten().filter_map(|(_, times)| times.as_u64()).sum();
        ensure!(told == times, "{number}: {retries}");
    }
    change(&mut shop, "again").await?;
    order(&mut shop, 1205, "sp_cdc_cleanup_change_table", 100, 0).await?;
    let extract = shop.stage.task(&["extract"]).await?.expect(0)?;
    ensure!(extract.stderr.contains("could not purge history"), "{}", extract.stderr);
    ensure!(extract.summary()?.0["retries"] == json!({ "1205": 4 }), "{}", extract.stdout);
    expect_mended(&mut shop, &[(1, "one"), (2, "again"), (3, "three")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_fails_by_number_begins_anew() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    for (number, after_rows) in [(1205, 0), (1205, 2), (3960, 1), (10_054, 2), (40_197, 1)] {
        order(&mut shop, number, "[dbo].[Things] AS t", 1, after_rows).await?;
    }
    let extract = shop.stage.task(&["extract"]).await?.expect(75)?;
    expect_told(&extract, &["dbo.Things", "SQL Server 127.0.0.1:", "40197", "(tried 5 times)"])?;
    ensure!(shop.stage.keys_ending("/manifest.json").is_empty(), "half a table became a batch");
    ensure!(!shop.stage.keys().iter().any(|key| key.contains(".csv")), "parts are left: {:?}", shop.stage.keys());
    expect_mended(&mut shop, FIRST).await
}
