//! Rule 5: load applies the newest generation's snapshot, else exactly the next batch; it refuses gaps and targets that
//! went back.

use anyhow::ensure;

use super::by_hand::{position, table};
use super::stage::{Stage, remove};
use super::watched::WatchedShop;

#[tokio::test(flavor = "multi_thread")]
async fn r5_batches_come_in_order_once_and_a_newer_snapshot_before_all() -> anyhow::Result<()> {
    let (stage, things) = (Stage::without_source().await?, table("Things"));
    stage.open(&things, 1).await?;
    stage.prepare(&things).await?;
    stage.batch(&things, (1, 1), &[(1, Some("first")), (2, Some("first"))]).await?;
    stage.batch(&things, (1, 2), &[(1, Some("second"))]).await?;
    stage.batch(&things, (1, 3), &[(1, Some("third")), (2, None)]).await?;
    let load = stage.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(load.0["batches"] == 3 && load.upserts() == 4 && load.deletes() == 1, "{}", load.0);
    stage.expect_rows(&things, &[(1, "third")]).await?;
    ensure!(stage.watermark(&things).await? == (1, 3), "the watermark is wrong");

    let keys = stage.keys();
    let again = stage.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(again.0["batches"] == 0 && again.table("dbo.Things")?["status"] == "idle", "{}", again.0);
    ensure!(stage.keys() == keys, "nothing was to do, and the bucket changed");

    // A pending batch of the old generation is never applied once there is a newer snapshot.
    stage.batch(&things, (1, 4), &[(9, Some("ghost"))]).await?;
    stage.open(&things, 2).await?;
    stage.batch(&things, (2, 1), &[(5, Some("new"))]).await?;
    stage.batch(&things, (2, 2), &[(6, Some("newer"))]).await?;
    let load = stage.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(load.0["batches"] == 2, "{}", load.0);
    stage.expect_rows(&things, &[(5, "new"), (6, "newer")]).await?;
    ensure!(stage.watermark(&things).await? == (2, 2), "the watermark is wrong");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_gap_is_refused() -> anyhow::Result<()> {
    let (stage, things) = (Stage::without_source().await?, table("Things"));
    stage.open(&things, 1).await?;
    stage.prepare(&things).await?;
    for (sequence, note) in [(1, "first"), (2, "second"), (3, "third")] {
        stage.batch(&things, (1, sequence), &[(1, Some(note))]).await?;
        if sequence == 1 {
            stage.task(&["load"]).await?.expect(0)?;
        }
    }
    remove(&stage.store, &stage.keys_ending("/0000000002/manifest.json")[0]);
    let load = stage.task(&["load"]).await?.expect(3)?.summary()?;
    let error = load.table("dbo.Things")?["error"].as_str().unwrap_or_default().to_owned();
    for word in ["1/2", "missing", "1/1", "1/3", "delsert resync"] {
        ensure!(error.contains(word), "the message does not say '{word}': {error}");
    }
    stage.expect_rows(&things, &[(1, "first")]).await?;
    ensure!(stage.keys_ending("/0000000003/manifest.json").len() == 1, "the batch behind the gap was removed");

    // A resync under way ends the refusal, and its snapshot mends the table.
    stage.open(&things, 2).await?;
    let load = stage.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(load.0["batches"] == 0, "{}", load.0);
    stage.expect_rows(&things, &[(1, "first")]).await?;
    stage.batch(&things, (2, 1), &[(1, Some("anew"))]).await?;
    stage.task(&["load"]).await?.expect(0)?;
    stage.expect_rows(&things, &[(1, "anew")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_target_that_went_back_is_refused() -> anyhow::Result<()> {
    let (stage, things) = (Stage::without_source().await?, table("Things"));
    stage.open(&things, 1).await?;
    stage.prepare(&things).await?;
    for (sequence, note) in [(1, "first"), (2, "second"), (3, "third")] {
        stage.batch(&things, (1, sequence), &[(1, Some(note))]).await?;
        stage.task(&["load"]).await?.expect(0)?;
    }
    let admin = stage.target.connect_as_admin().await?;
    let restore = format!(
        "UPDATE {} SET sequence = 2, position = '{}'; UPDATE dbo.things SET note = 'second'",
        stage.mark(&things)?,
        position(1, 2)
    );
    admin.batch_execute(&restore).await?;
    let keys = stage.keys();
    let load = stage.task(&["load"]).await?.expect(3)?.summary()?;
    let error = load.table("dbo.Things")?["error"].as_str().unwrap_or_default().to_owned();
    for word in ["1/3", "marked applied", "1/2", "restored or replaced", "delsert resync"] {
        ensure!(error.contains(word), "the message does not say '{word}': {error}");
    }
    stage.expect_rows(&things, &[(1, "second")]).await?;
    ensure!(stage.keys() == keys, "the ledger was changed");
    Ok(())
}

/// The same through all the tasks, up to the mending by resync.
#[tokio::test(flavor = "multi_thread")]
async fn r5_resync_mends_a_target_that_went_back() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.change("UPDATE dbo.Things SET Note = N'changed' WHERE ID = 2; DELETE FROM dbo.Things WHERE ID = 3").await?;
    shop.stage.extract_and_load().await?;
    // The target as it stood in a backup: the snapshot's rows under the snapshot's watermark.
    let snapshot = shop.stage.json(&shop.stage.keys_ending("/0000000001/manifest.json")[0])?;
    let admin = shop.stage.target.connect_as_admin().await?;
    admin
        .batch_execute(&format!(
            "UPDATE {} SET sequence = 1, position = '{}', attempt = '{}'; DELETE FROM dbo.things;
             INSERT INTO dbo.things VALUES (1, 'one'), (2, 'two'), (3, 'three')",
            shop.stage.mark(&table("Things"))?,
            snapshot["window"]["to"].as_str().unwrap_or_default(),
            snapshot["attempt"].as_str().unwrap_or_default()
        ))
        .await?;
    let check = shop.stage.task(&["check"]).await?.expect(3)?;
    ensure!(check.stdout.contains("restored or replaced"), "{}", check.stdout);
    shop.stage.task(&["load"]).await?.expect(3)?;
    let refused = shop.stage.task(&["resync", "--table", "dbo.Things"]).await?.expect(2)?;
    ensure!(refused.stdout.contains("--yes"), "{}", refused.stdout);
    shop.stage.task(&["resync", "--table", "dbo.Things", "--yes"]).await?.expect(0)?;
    shop.stage.extract_and_load().await?;
    shop.expect_rows(&[(1, "one"), (2, "changed")]).await?;
    ensure!(shop.stage.watermark(&table("Things")).await? == (2, 1), "the watermark is wrong");
    shop.change("INSERT INTO dbo.Things VALUES (4, N'four')").await?;
    shop.stage.task(&["check"]).await?.expect(0)?;
    shop.stage.extract_and_load().await?;
    shop.expect_rows(&[(1, "one"), (2, "changed"), (4, "four")]).await
}

/// A wrong prefix looks like an empty ledger; the target knows better.
#[tokio::test(flavor = "multi_thread")]
async fn r5_an_empty_ledger_is_not_a_new_table_to_a_target_that_has_a_watermark() -> anyhow::Result<()> {
    let shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.stage.configure(|text| text.replace("prefix = \"delsert\"", "prefix = \"other\""))?;
    let check = shop.stage.task(&["check"]).await?.expect(3)?.summary()?;
    let error = check.table("dbo.Things")?["error"].as_str().unwrap_or_default().to_owned();
    for word in ["empty", "1/1", "bucket.prefix", "delsert resync"] {
        ensure!(error.contains(word), "the message does not say '{word}': {error}");
    }
    let others: Vec<_> = shop.stage.keys().into_iter().filter(|key| key.starts_with("other/")).collect();
    ensure!(others == ["other/create-only.json"], "a generation was opened beside the true ledger: {others:?}");
    shop.expect_rows(&[(1, "one"), (2, "two"), (3, "three")]).await
}
