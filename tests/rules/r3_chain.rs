//! Rule 3: each batch starts where the one before ended.

use anyhow::ensure;
use serde_json::json;

use super::by_hand::{manifest, position, position_after, table};
use super::stage::{Stage, read, write};

/// A window moved by other hands, to either side: rows would be missed, or applied out of their order.
#[tokio::test(flavor = "multi_thread")]
async fn r3_a_batch_that_does_not_start_where_the_one_before_ended_is_refused() -> anyhow::Result<()> {
    let stage = Stage::without_source().await?;
    let things = table("Things");
    stage.open(&things, 1).await?;
    stage.prepare(&things).await?;
    stage.batch(&things, (1, 1), &[(1, Some("first"))]).await?;
    let honest = stage.parts(&things, (1, 2), &[(1, Some("second"))]).await?;
    let folder = honest.parts[0].key.rsplit_once('/').map_or("", |(folder, _)| folder);
    let key = format!("{folder}/manifest.json");
    for from in [position(1, 0), position_after(1, 1, 5)] {
        let mut altered = serde_json::to_value(&honest)?;
        altered["window"]["from"] = json!(from);
        write(&stage.store, &key, serde_json::to_vec(&altered)?);
        let load = stage.task(&["load"]).await?.expect(3)?.summary()?;
        let error = load.table("dbo.Things")?["error"].as_str().unwrap_or_default().to_owned();
        ensure!(error.contains("begins at") && error.contains("resync"), "{from}: {error}");
        stage.expect_rows(&things, &[(1, "first")]).await?;
        ensure!(stage.watermark(&things).await? == (1, 1), "{from}: the watermark moved");
        ensure!(read(&stage.store, &honest.parts[0].key).is_ok(), "{from}: its part was removed");
    }
    write(&stage.store, &key, serde_json::to_vec(&honest)?);
    stage.task(&["load"]).await?.expect(0)?;
    stage.expect_rows(&things, &[(1, "second")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_a_manifest_that_contradicts_its_place_is_refused() -> anyhow::Result<()> {
    let stage = Stage::without_source().await?;
    let things = table("Things");
    stage.open(&things, 1).await?;
    stage.prepare(&things).await?;
    stage.publish(&manifest(&things, 1, 1)).await?;
    let key = stage.keys_ending("/manifest.json").remove(0);
    let sound = stage.json(&key)?;
    for (pointer, value) in [
        ("/kind", json!("changes")),
        ("/window/from", json!(position(1, 0))),
        ("/sequence", json!(2)),
        ("/generation", json!(2)),
        ("/format", json!(2)),
        ("/upserts", json!(7)),
    ] {
        let mut altered = sound.clone();
        *altered.pointer_mut(pointer).ok_or_else(|| anyhow::anyhow!("no {pointer}"))? = value;
        write(&stage.store, &key, serde_json::to_vec(&altered)?);
        let load = stage.task(&["load"]).await?.expect(75)?.summary()?;
        ensure!(load.table("dbo.Things")?["error"].to_string().contains(&key), "{pointer}: {}", load.0);
        ensure!(stage.watermark(&things).await? == (0, 0), "{pointer}: the batch was applied");
    }
    Ok(())
}
