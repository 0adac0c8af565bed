//! Rules 1 to 8 tried from outside: real processes, and the bucket and the target as they leave them.

use std::time::Duration;

use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::shop::Shop;

/// The path of the one table in the bucket.
const TABLE: &str = "delsert/test/dbo.Things";
/// The table in the configuration.
const THINGS: &[&str] = &["dbo.Things"];

fn batch(generation: u64, sequence: u64, object: &str) -> String {
    format!("{TABLE}/{generation:010}/{sequence:010}/{object}")
}

/// The manifests in the bucket, in order.
async fn manifests(shop: &Shop) -> anyhow::Result<Vec<Value>> {
    let bucket = shop.ground.bucket();
    let mut manifests = Vec::new();
    for key in bucket.keys_ending("/manifest.json").await? {
        manifests.push(bucket.json(&key).await?);
    }
    Ok(manifests)
}

fn parts(manifest: &Value) -> Vec<&str> {
    let parts = manifest["parts"].as_array().map_or(&[][..], Vec::as_slice);
    parts.iter().filter_map(|part| part["key"].as_str()).collect()
}

/// Waits until what was committed is captured, and extracts it.
async fn extract(shop: &mut Shop) -> anyhow::Result<()> {
    shop.sql.capture_all().await?;
    shop.ground.task(&["extract"]).await?.expect(0)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_a_batch_exists_when_its_manifest_does() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1), ("north", 2)]).await?;
    shop.extract_and_load().await?;
    let bucket = shop.ground.bucket();
    // What a dead attempt left: a part, and no manifest.
    let orphan = batch(1, 2, "00000000-0000-4000-8000-000000000001-1.csv.zst");
    bucket.put(&orphan, b"half a part".to_vec()).await?;
    let load = shop.ground.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(load.upserts() + load.deletes() == 0, "load applied a batch without a manifest: {}", load.0);
    shop.ground.task(&["check"]).await?.expect(0)?;
    ensure!(
        bucket.keys().await?.contains(&orphan),
        "check touched parts at tail + 1, where an attempt may be under way"
    );

    shop.insert("north", 3, "new").await?;
    extract(&mut shop).await?;
    let keys = bucket.keys().await?;
    ensure!(!keys.contains(&orphan), "the winner left its rival's part: {keys:?}");
    let manifest = manifests(&shop).await?.pop().context("no manifest")?;
    let missing: Vec<_> = parts(&manifest).into_iter().filter(|part| !keys.iter().any(|key| key == part)).collect();
    ensure!(!parts(&manifest).is_empty() && missing.is_empty(), "a manifest without its parts: {missing:?}");
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_batches_never_change() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1)]).await?;
    let bucket = shop.ground.bucket();
    let mut before = bucket.written().await?;
    for id in 2..6 {
        shop.insert("north", id, "new").await?;
        extract(&mut shop).await?;
        shop.ground.task(&["extract"]).await?.expect(0)?;
        shop.ground.task(&["check", "--no-resume"]).await?.expect(0)?;
        if id % 2 == 0 {
            shop.ground.task(&["load"]).await?.expect(0)?;
        }
        let now = bucket.written().await?;
        for (key, written) in &before {
            ensure!(now.get(key).is_none_or(|now| now == written), "{key} was written again");
        }
        before = now;
    }
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_each_batch_starts_where_the_one_before_ended() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1)]).await?;
    for id in 2..7 {
        shop.insert("north", id, "new").await?;
        extract(&mut shop).await?;
    }
    let manifests = manifests(&shop).await?;
    ensure!(manifests.len() == 5, "{} manifests", manifests.len());
    ensure!(manifests[0]["kind"] == "snapshot" && manifests[0]["window"]["from"].is_null(), "no snapshot first");
    for pair in manifests.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        ensure!(
            after["kind"] == "changes" && after["generation"] == before["generation"],
            "not the same generation: {after}"
        );
        ensure!(
            after["sequence"].as_u64() == before["sequence"].as_u64().map(|sequence| sequence + 1),
            "not + 1: {after}"
        );
        ensure!(after["window"]["from"] == before["window"]["to"], "{} after {}", after["window"], before["window"]);
        ensure!(
            after["window"]["from"].as_str() < after["window"]["to"].as_str(),
            "an empty window: {}",
            after["window"]
        );
    }
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_gap_is_refused() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1)]).await?;
    shop.extract_and_load().await?;
    for id in 2..4 {
        shop.insert("north", id, "new").await?;
        extract(&mut shop).await?;
    }
    let (bucket, lost) = (shop.ground.bucket(), batch(1, 2, "manifest.json"));
    let manifest = bucket.get(&lost).await?;
    bucket.delete(&lost).await?;
    let load = shop.ground.task(&["load"]).await?.expect(3)?.summary()?;
    ensure!(load.upserts() == 0, "rows were loaded over a gap: {}", load.0);
    bucket.put(&lost, manifest).await?;
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_what_is_at_or_below_the_watermark_is_ignored() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1)]).await?;
    shop.ground.task(&["extract"]).await?.expect(0)?;
    let bucket = shop.ground.bucket();
    let mut old = Vec::new();
    for key in bucket.keys().await? {
        if !key.ends_with("open.json") {
            old.push((key.clone(), bucket.get(&key).await?));
        }
    }
    shop.ground.task(&["load"]).await?.expect(0)?;
    shop.delete("north", 1).await?;
    shop.insert("north", 2, "new").await?;
    shop.expect_equal().await?;
    // A frozen attempt wakes up and writes its batch again, long after it was applied.
    for (key, bytes) in old {
        bucket.put(&key, bytes).await?;
    }
    shop.ground.task(&["load"]).await?.expect(0)?;
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_batch_marked_applied_above_the_watermark_is_a_restored_target() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1)]).await?;
    shop.extract_and_load().await?;
    shop.insert("north", 2, "new").await?;
    extract(&mut shop).await?;
    let manifest = manifests(&shop).await?.pop().context("no manifest")?;
    let applied = json!({ "format": 1, "attempt": manifest["attempt"], "applied_at": "2026-01-01T00:00:00Z" });
    let bucket = shop.ground.bucket();
    bucket.put(&batch(1, 2, "applied.json"), applied.to_string().into_bytes()).await?;
    let load = shop.ground.task(&["load"]).await?.expect(3)?;
    ensure!(load.stderr.contains("resync"), "the way out is not named: {}", load.stderr);
    shop.ground.task(&["resync", "--table", "dbo.Things", "--yes"]).await?.expect(0)?;
    shop.expect_equal().await
}

/// The instance's minimum position, in hexadecimal digits.
async fn minimum(shop: &mut Shop) -> anyhow::Result<String> {
    let sql = "SELECT CONVERT(varchar(30), sys.fn_cdc_get_min_lsn(capture_instance), 1) FROM cdc.change_tables";
    let rows = shop.sql.rows(sql).await?;
    ensure!(rows.len() == 1, "{} capture instances", rows.len());
    Ok(rows[0].try_get::<&str, _>(0)?.context("no minimum")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn r6_history_is_purged_only_behind_what_is_durable() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1)]).await?;
    shop.extract_and_load().await?;
    for id in 2..5 {
        shop.insert("north", id, "new").await?;
        extract(&mut shop).await?;
        let tail = manifests(&shop).await?.pop().context("no manifest")?["window"]["to"].to_string();
        let minimum = minimum(&mut shop).await?;
        ensure!(minimum <= tail.replace('"', ""), "purged to {minimum}, beyond the tail {tail}");
    }
    let (tail, before) = (manifests(&shop).await?.len(), minimum(&mut shop).await?);
    ensure!(before.as_str() > "0x00000000000000000000", "no minimum");

    // With the bucket away nothing becomes durable: nothing may go.
    shop.insert("north", 9, "not durable").await?;
    shop.sql.capture_all().await?;
    let sound = shop.ground.config(THINGS);
    shop.ground.write_config(&sound.replace(&shop.ground.s3.endpoint(), "http://127.0.0.1:9"))?;
    shop.ground.task(&["extract"]).await?.expect(75)?;
    ensure!(minimum(&mut shop).await? == before, "history was purged though no batch was written");
    shop.ground.write_config(&sound)?;
    ensure!(manifests(&shop).await?.len() == tail, "a manifest appeared");
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r6_never_and_after_load_are_kept() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1)]).await?;
    let sound = shop.ground.config(THINGS);
    shop.ground.write_config(&sound.replacen("[sync]", "[sync]\npurge = \"never\"", 1))?;
    let first = minimum(&mut shop).await?;
    for id in 2..5 {
        shop.insert("north", id, "new").await?;
        shop.expect_equal().await?;
    }
    ensure!(minimum(&mut shop).await? == first, "history was purged under purge = \"never\"");

    shop.ground.write_config(&sound.replacen("[sync]", "[sync]\npurge = \"after_load\"", 1))?;
    shop.insert("north", 6, "extracted, not loaded").await?;
    extract(&mut shop).await?;
    let applied = manifests(&shop).await?;
    let newest_applied = applied[applied.len() - 2]["window"]["to"].as_str().context("no window")?.to_owned();
    let now = minimum(&mut shop).await?;
    ensure!(now <= newest_applied, "purged to {now}, beyond the newest batch applied, {newest_applied}");
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r6_an_instance_of_somebody_else_is_not_purged() -> anyhow::Result<()> {
    let mut shop = Shop::open_with(&[("north", 1)], |sql| {
        Box::pin(async move {
            sql.run("EXEC sys.sp_cdc_enable_db").await?;
            sql.run(
                "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Things', @role_name = NULL,
                 @capture_instance = N'somebody'",
            )
            .await
        })
    })
    .await?;
    let first = minimum(&mut shop).await?;
    for id in 2..5 {
        shop.insert("north", id, "new").await?;
        shop.expect_equal().await?;
    }
    ensure!(minimum(&mut shop).await? == first, "somebody else's instance was purged");
    Ok(())
}

/// Each task is killed at many moments, each drawn anew; what it leaves behind is what the next one finds.
#[tokio::test(flavor = "multi_thread")]
async fn r7_kill_any_task_anywhere_and_run_it_again() -> anyhow::Result<()> {
    let mut rng = StdRng::seed_from_u64(7);
    let mut shop = Shop::open(&[("north", 1), ("south", 1)]).await?;
    let mut killed = 0;
    for round in 0..24 {
        shop.insert("north", 100 + round, "new").await?;
        shop.update("south", 1, &format!("round {round}")).await?;
        if round % 3 == 0 && round > 0 {
            shop.delete("north", 100 + round - 1).await?;
        }
        shop.sql.capture_all().await?;
        let task = ["extract", "load", "check"][rng.random_range(0..3)];
        let mut running = shop.ground.start_task(&[task])?;
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..400))).await;
        running.child.start_kill()?;
        killed += usize::from(running.outcome().await?.code.is_none());
        if round % 4 == 3 {
            shop.expect_equal().await?;
        }
    }
    ensure!(killed > 0, "no task was killed in time");
    shop.ground.task(&["check"]).await?.expect(0)?;
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_two_of_the_same_task_at_once_do_no_harm() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1)]).await?;
    for id in 2..6 {
        shop.insert("north", id, "new").await?;
        shop.update("north", 1, &format!("turn {id}")).await?;
        shop.sql.capture_all().await?;
        for task in ["check", "extract", "load"] {
            let (one, other) = (shop.ground.start_task(&[task])?, shop.ground.start_task(&[task])?);
            let (one, other) = tokio::join!(one.outcome(), other.outcome());
            let (one, other) = (one?.expect(0)?.summary()?, other?.expect(0)?.summary()?);
            if task != "check" && id > 2 {
                let rows = one.upserts() + other.upserts();
                ensure!(task == "extract" || rows == 2, "{task} twice at once wrote {rows} rows, not 2");
            }
        }
        let manifests = manifests(&shop).await?;
        let named: Vec<_> = manifests.iter().flat_map(parts).collect();
        let keys = shop.ground.bucket().keys_ending(".csv.zst").await?;
        let stray: Vec<_> = keys.iter().filter(|key| !named.contains(&key.as_str())).collect();
        ensure!(stray.is_empty(), "parts that no manifest names: {stray:?}");
    }
    shop.expect_equal().await
}
