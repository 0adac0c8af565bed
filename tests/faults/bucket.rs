//! A bucket whose answers are errors, lost, late, or in small pages.

use std::time::Duration;

use anyhow::ensure;
use standin::s3::{Fault, Moment, Rule};
use uuid::Uuid;

use super::{
    ALWAYS, NEW, OLD, at, changed_shop, error, expect_mended, expect_told, expect_untouched, extracted_shop, spoil,
    timed,
};
use crate::rules::by_hand::table;
use crate::rules::stage::{Stage, write};
use crate::rules::watched::{WatchedShop, status};
use crate::support::ground::BUCKET;

/// The SDK's three tries, with pauses of at most 1 s and 2 s between them.
const TRIES: Duration = Duration::from_secs(3);
/// An attempt that failed still asks three things: its uploads or parts, and whether its place is taken.
const ASKS: u32 = 3;
/// Starting a process of a debug build, connecting and logging in, on a machine that does other things too.
const SLACK: Duration = Duration::from_secs(10);

/// What each operation of a round is struck with twice.
fn a_few(faults: &[Fault]) -> Vec<Rule> {
    let operations = [
        ("ListObjectsV2", ""),
        ("PutObject", ".csv"),
        ("HeadObject", ".csv"),
        ("PutObject", "/manifest.json"),
        ("GetObject", "/manifest.json"),
        ("GetObject", ".csv"),
        ("PutObject", "/applied.json"),
        ("DeleteObject", ".csv"),
    ];
    let rule = |((operation, key), fault): ((&str, &str), &Fault)| at(operation, key, Moment::Before, 2, fault.clone());
    operations.into_iter().zip(faults.iter().cycle()).map(rule).collect()
}

async fn a_few_are_mended_inside(faults: &[Fault]) -> anyhow::Result<()> {
    let mut shop = changed_shop().await?;
    let script = spoil(&shop, a_few(faults));
    shop.stage.task(&["extract"]).await?.expect(0)?;
    shop.stage.task(&["load"]).await?.expect(0)?;
    ensure!(script.left() == 0, "{} faults did not strike", script.left());
    expect_mended(&mut shop, NEW).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_answers_of_busy_are_mended_inside() -> anyhow::Result<()> {
    a_few_are_mended_inside(&[error(503, "SlowDown"), error(503, "ServiceUnavailable"), error(500, "InternalError")])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_lost_connections_are_mended_inside() -> anyhow::Result<()> {
    a_few_are_mended_inside(&[Fault::Drop]).await
}

/// Every operation of a kind is refused for ever: the task gives up, soon, and what it left is mended.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_stays_busy_ends_the_task_in_bounded_time() -> anyhow::Result<()> {
    let mut shop = changed_shop().await?;
    let says = &["bucket 'sync-machine-bucket' at http://127.0.0.1:", "SlowDown", "Try again"];
    for (task, operation, key) in [
        ("check", "", ""),
        ("extract", "", ""),
        ("extract", "PutObject", ".csv"),
        ("extract", "HeadObject", ".csv"),
        ("extract", "PutObject", "/manifest.json"),
        ("load", "", ""),
    ] {
        spoil(&shop, vec![at(operation, key, Moment::Before, ALWAYS, error(503, "SlowDown"))]);
        let (outcome, took) = timed(&shop, &[task], 75).await?;
        // HEAD has no body, hence no code.
        let says = if operation == "HeadObject" { &["HTTP 503", "Try again"] } else { &says[..] };
        expect_told(&outcome, says)?;
        ensure!(took < ASKS * TRIES + SLACK, "{task} took {took:?} to give up on {operation} {key}");
        eprintln!("{task} gave up on {operation} {key} after {took:?}");
        expect_untouched(&shop).await?;
    }
    expect_mended(&mut shop, NEW).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_gives_up_on_a_busy_bucket_with_nothing_applied() -> anyhow::Result<()> {
    let mut shop = extracted_shop().await?;
    for (operation, key) in [("GetObject", ".csv"), ("GetObject", "/manifest.json"), ("ListObjectsV2", "")] {
        spoil(&shop, vec![at(operation, key, Moment::Before, ALWAYS, error(503, "SlowDown"))]);
        let (outcome, took) = timed(&shop, &["load"], 75).await?;
        expect_told(&outcome, &["SlowDown", "Try again"])?;
        ensure!(took < TRIES + SLACK, "load took {took:?} to give up on {operation} {key}");
        expect_untouched(&shop).await?;
    }
    expect_mended(&mut shop, NEW).await
}

/// A request that is taken and never answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_never_answers_is_given_up() -> anyhow::Result<()> {
    let mut shop = changed_shop().await?;
    let silence = Duration::from_secs(1);
    shop.stage.configure(|text| text.replace("[bucket]", "[bucket]\nrequest_timeout = \"1s\""))?;
    for (task, operation, key) in
        [("extract", "PutObject", ".csv"), ("extract", "PutObject", "/manifest.json"), ("load", "ListObjectsV2", "")]
    {
        spoil(&shop, vec![at(operation, key, Moment::Before, ALWAYS, Fault::Delay(Duration::from_hours(1)))]);
        let (outcome, took) = timed(&shop, &[task], 75).await?;
        expect_told(&outcome, &["bucket 'sync-machine-bucket'", "timeout", "try again"])?;
        ensure!(took < TRIES + 3 * silence + SLACK, "{task} took {took:?} to give up on {operation} {key}");
        eprintln!("{task} gave up on a silent {operation} {key} after {took:?}");
        expect_untouched(&shop).await?;
    }
    expect_mended(&mut shop, NEW).await
}

/// The work is done and its answer lost or spoilt; the retry inside then meets its own work.
#[tokio::test(flavor = "multi_thread")]
async fn writes_that_were_done_and_reported_as_failed_are_known_again() -> anyhow::Result<()> {
    for fault in [error(500, "InternalError"), error(503, "SlowDown"), Fault::Drop] {
        let mut shop = WatchedShop::unchecked().await?;
        let lost = |key: &str| at("PutObject", key, Moment::After, 1, fault.clone());
        let keys = ["/open.json", ".csv", "/manifest.json", "/applied.json"];
        let script = spoil(&shop, keys.into_iter().map(lost).collect());
        shop.check().await?;
        let extract = shop.stage.task(&["extract"]).await?.expect(0)?;
        ensure!(status(&extract)? == "done", "{fault:?}: its own manifest was taken for another's: {}", extract.stdout);
        let load = shop.stage.task(&["load"]).await?.expect(0)?.summary()?;
        ensure!(load.upserts() == 3, "{}", load.0);
        ensure!(script.left() == 0, "{} faults did not strike", script.left());
        expect_mended(&mut shop, OLD).await?;
    }
    Ok(())
}

/// The same for ever: the task cannot know, says so, and the next one finds out.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_always_reported_as_failed_is_found_by_the_next_run() -> anyhow::Result<()> {
    let mut shop = changed_shop().await?;
    for key in [".csv", "/manifest.json"] {
        spoil(&shop, vec![at("PutObject", key, Moment::After, ALWAYS, error(500, "InternalError"))]);
        let (outcome, _) = timed(&shop, &["extract"], 75).await?;
        expect_told(&outcome, &["dbo.Things", key, "InternalError", "Try again"])?;
        expect_untouched(&shop).await?;
    }
    shop.stage.store.set_faults(None);
    let next = shop.stage.task(&["extract"]).await?.expect(0)?;
    ensure!(status(&next)? == "idle", "the batch that was written was written again: {}", next.stdout);
    spoil(&shop, vec![at("PutObject", "/applied.json", Moment::After, ALWAYS, error(500, "InternalError"))]);
    let (outcome, _) = timed(&shop, &["load"], 75).await?;
    expect_told(&outcome, &["dbo.Things", "applied.json", "InternalError", "Try again"])?;
    shop.expect_rows(NEW).await?;
    shop.stage.store.set_faults(None);
    let next = shop.stage.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(next.0["batches"] == 0, "the batch was applied again: {}", next.0);
    expect_mended(&mut shop, NEW).await
}

/// 409: a rival write of the same key is in progress.
#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_tried_again_and_at_last_left_to_the_next_run() -> anyhow::Result<()> {
    let mut shop = changed_shop().await?;
    let conflict = |times| {
        vec![at("PutObject", "/manifest.json", Moment::Before, times, error(409, "ConditionalRequestConflict"))]
    };
    spoil(&shop, conflict(ALWAYS));
    let (outcome, took) = timed(&shop, &["extract"], 75).await?;
    expect_told(&outcome, &["dbo.Things", "409", "manifest.json", "Try again"])?;
    // Pauses of 50, 200, 800 and 2000 ms.
    ensure!(took < Duration::from_millis(3050) + SLACK, "it took {took:?} to give up");
    expect_untouched(&shop).await?;
    let script = spoil(&shop, conflict(4));
    let extract = shop.stage.task(&["extract"]).await?.expect(0)?;
    ensure!(script.left() == 0 && status(&extract)? == "done", "{}", extract.stdout);
    expect_mended(&mut shop, NEW).await
}

/// Two tables and several batches, by a server that gives two entries a page.
#[tokio::test(flavor = "multi_thread")]
async fn listings_of_many_pages_are_read_to_their_end() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    shop.sql.run("CREATE TABLE dbo.Others (ID int NOT NULL PRIMARY KEY, Note nvarchar(max) NULL)").await?;
    shop.sql.run("CREATE TABLE dbo.More (ID int NOT NULL PRIMARY KEY, Note nvarchar(max) NULL)").await?;
    shop.stage.store.set_page_limit(2);
    shop.check().await?;
    for round in 0..4 {
        shop.change(&format!(
            "UPDATE dbo.Things SET Note = N'round {round}'; INSERT INTO dbo.Others VALUES ({round}, N'x')"
        ))
        .await?;
        shop.stage.task(&["extract"]).await?.expect(0)?;
    }
    let load = shop.stage.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(load.tables().len() == 3, "load does not see all tables: {}", load.0);
    ensure!(load.table("dbo.Things")?["batches"] == 4, "{}", load.0);
    shop.expect_rows(&[(1, "round 3"), (2, "round 3"), (3, "round 3")]).await?;
    ensure!(!shop.stage.keys().iter().any(|key| key.contains(".csv")), "parts are left: {:?}", shop.stage.keys());
    Ok(())
}

/// A batch whose 1100 parts stand before its manifest in the listing, which then is on the second page of 1000.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_more_parts_than_a_page_is_loaded_and_tidied() -> anyhow::Result<()> {
    let (stage, things) = (Stage::without_source().await?, table("Things"));
    stage.open(&things, 1).await?;
    stage.prepare(&things).await?;
    stage.batch(&things, (1, 1), &[(1, Some("old"))]).await?;
    let rows: Vec<_> = (0..1100).map(|id| (id, Some("new"))).collect();
    stage.batch(&things, (1, 2), &rows).await?;
    let load = stage.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(load.0["batches"] == 2, "{}", load.0);
    ensure!(stage.rows(&things).await?.len() == 1100, "not all rows came");
    ensure!(!stage.keys().iter().any(|key| key.contains(".csv")), "parts of an applied batch are left");
    Ok(())
}

/// Uploads that a dead attempt left at a sequence, more than a page has: the winner aborts all of them, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn unfinished_uploads_of_many_pages_are_all_aborted() -> anyhow::Result<()> {
    let mut shop = changed_shop().await?;
    let (ledger, bucket, name) = (shop.stage.ledger()?, shop.stage.bucket()?, table("Things").name);
    let key = |sequence| format!("{}-0000.csv.zst", ledger.part_stem(&name, 1, sequence, Uuid::new_v4()));
    let twice = key(2);
    for key in [key(2), key(2), twice.clone(), twice.clone(), twice, key(3), key(3), key(3)] {
        bucket.begin_upload(&key).await?;
    }
    for left in [key(2), key(2), key(2)] {
        write(&shop.stage.store, &left, &b"a dead attempt's"[..]);
    }
    shop.stage.store.set_page_limit(2);
    shop.stage.task(&["extract"]).await?.expect(0)?;
    let left = shop.stage.store.uploads(BUCKET);
    ensure!(left.len() == 3 && left.iter().all(|(key, _)| key.contains("/0000000003/")), "left are {left:?}");
    shop.stage.task(&["load"]).await?.expect(0)?;
    shop.change("UPDATE dbo.Things SET Note = N'once more' WHERE ID = 1").await?;
    expect_mended(&mut shop, &[(1, "once more"), (2, "changed"), (4, "four")]).await
}
