//! Rule 8, in a crowd: ten loads, ten extracts and two checks of one table at once, each a process of its own.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::by_hand::table;
use super::watched::WatchedShop;
use crate::support::bucket::Bucket;
use crate::support::ground::BUCKET;
use crate::support::rest::expect_at_rest;
use crate::support::source::Sql;
use crate::support::task::Outcome;

/// The longest wait for a table's lock, as configured here.
const LOCK: Duration = Duration::from_secs(2);

/// Who comes at once.
const CROWD: [(&str, usize); 3] = [("load", 10), ("extract", 10), ("check", 2)];

/// One crowd at a time: each is measured against what its tasks take alone.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// How one of the crowd fared.
struct Ended {
    task: &'static str,
    outcome: Outcome,
    took: Duration,
}

/// Starts all of the crowd at once, and waits for each.
async fn crowd(shop: &WatchedShop) -> anyhow::Result<Vec<Ended>> {
    let mut running = Vec::new();
    // One of each in turn, so that no task has all of its kind before it.
    for turn in 0..10 {
        for (task, count) in CROWD {
            if turn < count {
                let started = Instant::now();
                let process = shop.stage.start_task(&[task])?;
                running.push(async move {
                    let outcome = process.outcome().await?;
                    anyhow::Ok(Ended { task, outcome, took: started.elapsed() })
                });
            }
        }
    }
    futures_util::future::try_join_all(running).await
}

/// How long each task takes where nobody is in its way, the slowest of them.
async fn alone(shop: &WatchedShop) -> anyhow::Result<Duration> {
    let mut longest = Duration::ZERO;
    for (task, _) in CROWD {
        let started = Instant::now();
        shop.stage.task(&[task]).await?.expect(0)?;
        longest = longest.max(started.elapsed());
    }
    Ok(longest)
}

/// Each ends with 0, or with 75 for a table that was held too long; and none waits longer than it may: the work of all
/// the crowd, were it done by one processor, and one wait for a lock.
fn expect_bounded(ended: &[Ended], alone: Duration) -> anyhow::Result<()> {
    let all = u32::try_from(ended.len())?;
    let bound = LOCK + all * alone;
    for Ended { task, outcome, took } in ended {
        ensure!(matches!(outcome.code, Some(0 | 75)), "{task} ended with {:?}: {}", outcome.code, outcome.stderr);
        ensure!(*took < bound, "{task} took {took:?}, the bound is {LOCK:?} + {all} times {alone:?}");
    }
    let longest = ended.iter().map(|ended| ended.took).max().unwrap_or_default();
    let retries = ended.iter().filter(|ended| ended.outcome.code == Some(75)).count();
    eprintln!("{all} at once: the longest took {longest:?} of {bound:?}, {retries} ended with 75; alone {alone:?}");
    Ok(())
}

/// What those of one task say they did.
fn sum(ended: &[Ended], task: &str, field: &str) -> anyhow::Result<u64> {
    let of_task = ended.iter().filter(|ended| ended.task == task);
    let all = of_task.map(|ended| Ok(ended.outcome.summary()?.0[field].as_u64().unwrap_or_default()));
    all.collect::<anyhow::Result<Vec<_>>>().map(|all| all.iter().sum())
}

/// A shop behind a short bound, with a trigger that notes each row inserted into the target.
async fn noted_shop() -> anyhow::Result<WatchedShop> {
    let shop = WatchedShop::open().await?;
    shop.stage
        .configure(|text| text.replace("lock_timeout = \"60s\"", &format!("lock_timeout = \"{}s\"", LOCK.as_secs())))?;
    let admin = shop.stage.target.connect_as_admin().await?;
    admin
        .batch_execute(
            "CREATE TABLE public.inserted (id int); GRANT ALL ON public.inserted TO PUBLIC;
             CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO public.inserted VALUES (NEW.id); RETURN NEW; END $$;
             CREATE TRIGGER note AFTER INSERT ON dbo.things FOR EACH ROW EXECUTE FUNCTION public.note()",
        )
        .await?;
    Ok(shop)
}

/// How often rows were inserted into the target.
async fn inserted(shop: &WatchedShop) -> anyhow::Result<u64> {
    let admin = shop.stage.target.connect_as_admin().await?;
    Ok(admin.query_one("SELECT count(*) FROM public.inserted", &[]).await?.get::<_, i64>(0).unsigned_abs())
}

/// The batches there ever were: the sequences of manifests or marks, which must be without a gap.
fn sequences(shop: &WatchedShop) -> anyhow::Result<u64> {
    let keys = shop.stage.keys_ending("/manifest.json");
    let sequence = |key: &String| key.rsplit('/').nth(1)?.parse::<u64>().ok();
    let found: BTreeSet<u64> =
        keys.iter().map(|key| sequence(key).context("a key without a sequence")).collect::<Result<_, _>>()?;
    let last = found.last().copied().unwrap_or_default();
    ensure!(found.len() == keys.len() && found == (1..=last).collect(), "not one manifest for each sequence: {keys:?}");
    Ok(last)
}

/// What the crowd wrote and applied is what there is, each batch once; one quiet round then finds the target right.
/// That round tells once more how long a task takes alone.
async fn expect_each_once(shop: &mut WatchedShop, before: u64, ended: &[Ended]) -> anyhow::Result<Duration> {
    let written = sum(ended, "extract", "batches")?;
    let last = sequences(shop)?;
    ensure!(before + written == last, "extracts say they wrote {written}, after {before} there are {last}");
    let longest = alone(shop).await?;
    let (bucket, target) = (Bucket::at(&shop.stage.endpoint, BUCKET), shop.stage.target.connect().await?);
    expect_at_rest(&mut shop.sql, &bucket, &target, &["dbo.Things"]).await?;
    Ok(longest)
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_a_crowd_takes_one_snapshot_and_applies_it_once() -> anyhow::Result<()> {
    let _turn = TURN.lock().await;
    let mut shop = noted_shop().await?;
    // What a task needs alone is measured on a shop of its own: here it would do the crowd's work.
    let calm = WatchedShop::open().await?;
    let alone = alone(&calm).await?;
    let ended = crowd(&shop).await?;
    ensure!(sequences(&shop)? == 1, "not one snapshot: {:?}", shop.stage.keys());
    let after = expect_each_once(&mut shop, 0, &ended).await?;
    expect_bounded(&ended, alone.max(after))?;
    ensure!(inserted(&shop).await? == 3, "3 rows were inserted {} times", inserted(&shop).await?);
    shop.expect_rows(&[(1, "one"), (2, "two"), (3, "three")]).await
}

/// The same while a row at the source changes all the time; gives how often it did.
async fn crowd_under_changes(shop: &WatchedShop, sql: &mut Sql) -> anyhow::Result<(Vec<Ended>, u32)> {
    let gathered = crowd(shop);
    tokio::pin!(gathered);
    let change = "UPDATE dbo.Things SET Note = CAST(CAST(Note AS int) + 1 AS nvarchar(max)) WHERE ID = 10";
    let mut changes = 0;
    loop {
        tokio::select! {
            ended = &mut gathered => return Ok((ended?, changes)),
            done = sql.run(change) => {
                done?;
                changes += 1;
            }
        }
    }
}

/// Windows, with changes going on at the source all the while.
#[tokio::test(flavor = "multi_thread")]
async fn r8_a_crowd_makes_one_batch_of_each_window_under_changes() -> anyhow::Result<()> {
    let _turn = TURN.lock().await;
    let mut shop = noted_shop().await?;
    shop.stage.extract_and_load().await?;
    shop.change("INSERT INTO dbo.Things VALUES (10, N'0')").await?;
    let alone = alone(&shop).await?;
    for round in 0..3 {
        let before = sequences(&shop)?;
        shop.change(&format!("INSERT INTO dbo.Things VALUES ({}, N'new')", 20 + round)).await?;
        let mut sql = shop.stage.sql().await?;
        let (ended, changes) = crowd_under_changes(&shop, &mut sql).await?;
        eprintln!("{changes} changes meanwhile");
        shop.sql.capture_all().await?;
        let after = expect_each_once(&mut shop, before, &ended).await?;
        expect_bounded(&ended, alone.max(after))?;
    }
    let watermark = shop.stage.watermark(&table("Things")).await?;
    ensure!(u64::try_from(watermark.1)? == sequences(&shop)?, "the watermark is {watermark:?}");
    Ok(())
}

/// Somebody holds the table all the while: who needs its lock gives up in time, and nobody else is held up.
#[tokio::test(flavor = "multi_thread")]
async fn r8_a_crowd_before_a_held_table_gives_up_in_time() -> anyhow::Result<()> {
    let _turn = TURN.lock().await;
    let mut shop = noted_shop().await?;
    shop.stage.extract_and_load().await?;
    let alone = alone(&shop).await?;
    let holder = shop.stage.target.connect().await?;
    shop.change("INSERT INTO dbo.Things VALUES (4, N'four')").await?;
    shop.stage.task(&["extract"]).await?.expect(0)?;
    let before = sequences(&shop)?;
    let mark = shop.stage.mark(&table("Things"))?;
    holder.batch_execute(&format!("BEGIN; LOCK TABLE {mark} IN EXCLUSIVE MODE")).await?;
    let ended = crowd(&shop).await?;
    for Ended { task, outcome, took } in &ended {
        let code = if *task == "extract" { 0 } else { 75 };
        ensure!(outcome.code == Some(code), "{task} ended with {:?}: {}", outcome.code, outcome.stderr);
        ensure!(code == 0 || *took >= LOCK, "{task} did not wait: {took:?}");
    }
    holder.batch_execute("ROLLBACK").await?;
    let after = expect_each_once(&mut shop, before, &ended).await?;
    expect_bounded(&ended, alone.max(after))?;
    ensure!(inserted(&shop).await? == 4, "4 rows were inserted {} times", inserted(&shop).await?);
    Ok(())
}
