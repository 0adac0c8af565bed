//! Parts that are not what their manifest says: nothing of the batch is applied, whatever is wrong.

use delsert::config::{Compression, Engine};
use delsert::error::Kind;
use delsert::manifest::Manifest;
use delsert::row::Cell::{Integer, Null, Text};
use delsert::row::Operation::{Delete, Upsert};

use super::{Scene, Warehouse, failure};
use crate::contract::batch::{Row, orders};

const ALL: [Compression; 3] = [Compression::Zstd, Compression::Gzip, Compression::None];

/// A scene with one row loaded, and a batch of two parts that would change it.
async fn scene<W: Warehouse>(compression: Compression) -> anyhow::Result<(Scene<W>, Manifest)> {
    let mut scene = Scene::<W>::of(orders()).await?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("before")])];
    let snapshot = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    scene.load(&snapshot).await?;
    let first: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("after")]), (Upsert, &[Integer(2), Text("two")])];
    // As long as the first, so that only the checksum tells them apart.
    let second: &[Row<'_>] = &[(Upsert, &[Integer(3), Text("three   ")]), (Delete, &[Integer(4), Null])];
    let batch = scene.store.packed_batch(compression, &scene.source, (1, 2), &[first, second]).await?;
    Ok((scene, batch))
}

/// The batch is refused as damaged, the message names this, and all is as before.
async fn refused<W: Warehouse>(scene: &mut Scene<W>, batch: &Manifest, named: &str) -> anyhow::Result<()> {
    let (kind, text) = failure(scene.load(batch).await);
    assert_eq!(kind, Kind::PartDamaged, "{text}");
    assert!(text.contains("Sales.Orders") && text.contains(named), "{named} is not in: {text}");
    assert_eq!(scene.rows().await?, ["1|before"]);
    assert_eq!((scene.mark().await?, scene.staged().await?), ((1, 1), 0));
    Ok(())
}

pub async fn a_flipped_byte_anywhere_is_noticed<W: Warehouse>() -> anyhow::Result<()> {
    for compression in ALL {
        let (mut scene, batch) = scene::<W>(compression).await?;
        let part = &batch.parts[1];
        let whole = scene.store.objects.get(&part.key).await?;
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            scene.store.objects.put(&part.key, flipped).await?;
            refused(&mut scene, &batch, &part.key).await?;
        }
        scene.store.objects.put(&part.key, whole).await?;
        scene.load(&batch).await?;
        assert_eq!(scene.rows().await?, ["1|after", "2|two", "3|three   "], "{compression:?}");
    }
    Ok(())
}

pub async fn a_part_cut_short_grown_or_gone_is_noticed<W: Warehouse>() -> anyhow::Result<()> {
    for compression in ALL {
        let (mut scene, batch) = scene::<W>(compression).await?;
        let part = &batch.parts[1];
        let whole = scene.store.objects.get(&part.key).await?;
        scene.store.objects.put(&part.key, whole[..whole.len() - 1].to_vec()).await?;
        refused(&mut scene, &batch, &part.key).await?;
        scene.store.objects.put(&part.key, [whole.as_slice(), b"\n"].concat()).await?;
        refused(&mut scene, &batch, &part.key).await?;
        scene.store.objects.put(&part.key, Vec::new()).await?;
        refused(&mut scene, &batch, &part.key).await?;
        scene.store.objects.delete(&part.key).await?;
        refused(&mut scene, &batch, &part.key).await?;
    }
    Ok(())
}

pub async fn a_part_that_is_anothers_is_noticed<W: Warehouse>() -> anyhow::Result<()> {
    let (mut scene, batch) = scene::<W>(Compression::None).await?;
    let first = scene.store.objects.get(&batch.parts[0].key).await?;
    scene.store.objects.put(&batch.parts[1].key, first).await?;
    refused(&mut scene, &batch, &batch.parts[1].key.clone()).await
}

pub async fn wrong_counts_are_noticed<W: Warehouse>() -> anyhow::Result<()> {
    let (mut scene, batch) = scene::<W>(Compression::Zstd).await?;
    // A warehouse that reads all parts by one list tells of all of them how many rows came.
    let (part, absent_part) = match W::ENGINE {
        Engine::Postgres => (batch.parts[1].key.clone(), "2 upserts, 0 deletes"),
        Engine::Redshift => (format!("{}.copy.json", batch.attempt), "brought 4 rows, the manifest says 2"),
    };
    let mut rows = batch.clone();
    rows.parts[1].rows += 1;
    refused(&mut scene, &rows, &part).await?;
    let mut operations = batch.clone();
    (operations.upserts, operations.deletes) = (2, 2);
    refused(&mut scene, &operations, "3 upserts, 1 deletes").await?;
    let mut absent = batch.clone();
    absent.parts.pop();
    refused(&mut scene, &absent, absent_part).await?;
    scene.load(&batch).await?;
    Ok(())
}
