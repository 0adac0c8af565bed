//! Parts shared out among slices.

use anyhow::{Context as _, ensure};

use super::Stage;

/// The sizes of the parts of each batch, in order.
async fn parts(stage: &Stage) -> anyhow::Result<Vec<Vec<u64>>> {
    let bucket = stage.ground.bucket();
    let mut batches = Vec::new();
    for key in bucket.keys_ending("/manifest.json").await? {
        let manifest = bucket.json(&key).await?;
        let parts = manifest["parts"].as_array().context("a manifest without parts")?;
        batches.push(parts.iter().filter_map(|part| part["bytes"].as_u64()).collect());
    }
    Ok(batches)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_batch_has_a_multiple_of_the_slices_and_a_small_one_one_part() -> anyhow::Result<()> {
    let mut stage = Stage::start("slices = 3").await?;
    let config = std::fs::read_to_string(stage.ground.config_path())?;
    let config = config.replace("[bucket]\n", "[bucket]\ncompression = \"none\"\npart_size = \"2MiB\"\n");
    stage.ground.write_config(&config)?;
    stage.sql.run("CREATE TABLE dbo.Things (Id int NOT NULL PRIMARY KEY, Note nvarchar(4000) NULL)").await?;
    let insert = |id| format!("INSERT INTO dbo.Things VALUES ({id}, REPLICATE(N'x', 4000));");
    stage.sql.run(&(0..2200).map(insert).collect::<Vec<_>>().join("\n")).await?;
    let check = stage.ground.task(&["check"]).await?.expect(0)?;
    ensure!(check.stderr.contains("slices=2"), "check does not tell the cluster's slices: {}", check.stderr);
    stage.ground.task(&["extract"]).await?.expect(0)?;
    let snapshot = parts(&stage).await?.pop().context("no batch")?;
    let total: u64 = snapshot.iter().sum();
    ensure!(snapshot.len() == 6 && total > 8_800_000, "{snapshot:?}");
    let full = &snapshot[..3];
    ensure!(full.iter().max() < full.iter().min().map(|least| least + 300_000).as_ref(), "{snapshot:?}");
    stage.ground.task(&["load"]).await?.expect(0)?;
    let loaded = stage.rows("SELECT count(*), sum(len(note)) FROM dbo.things").await?;
    ensure!(loaded == ["2200|8800000"], "{loaded:?}");
    stage.change("UPDATE dbo.Things SET Note = N'small' WHERE Id < 100").await?;
    stage.ground.task(&["check"]).await?.expect(0)?;
    stage.ground.task(&["extract"]).await?.expect(0)?;
    let change = parts(&stage).await?.pop().context("no batch")?;
    ensure!(change.len() == 1, "{change:?}");
    stage.ground.task(&["load"]).await?.expect(0)?;
    let loaded = stage.rows("SELECT count(*) FROM dbo.things WHERE note = 'small'").await?;
    ensure!(loaded == ["100"], "{loaded:?}");
    Ok(())
}
