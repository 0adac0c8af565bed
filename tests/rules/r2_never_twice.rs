//! Rule 2: batches never change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::ensure;
use standin::s3::{Fault, Moment, Store};

use super::by_hand::table;
use super::stage::{Gate, Stage, read, write};
use super::watched::WatchedShop;
use crate::support::ground::BUCKET;

/// Remembers each object as it was first seen, and names those that were changed while they stood there.
#[derive(Default)]
struct Witness {
    first: BTreeMap<String, String>,
    changed: Vec<String>,
}

impl Witness {
    fn look(&mut self, store: &Store) {
        let now: BTreeMap<String, String> = store
            .keys(BUCKET)
            .into_iter()
            .filter_map(|key| {
                let object = store.get(BUCKET, &key).ok()?;
                Some((key, format!("{} {:?}", object.etag, object.modified)))
            })
            .collect();
        for (key, state) in now {
            let first = self.first.entry(key.clone()).or_insert_with(|| state.clone());
            if *first != state {
                self.changed.push(key);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_no_object_is_written_twice_by_two_of_every_task_at_once() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    let witness = Arc::new(Mutex::new(Witness::default()));
    let (seen, store) = (Arc::clone(&witness), Arc::clone(&shop.stage.store));
    // Rivals meet before each create-only write, so that the second finds the first's object there.
    let meetings = Mutex::new(BTreeMap::<String, Arc<Gate>>::new());
    shop.stage.watch(move |operation, moment| {
        if operation.name == "PutObject" && operation.key.ends_with("/manifest.json") && moment == Moment::Before {
            let gate = Arc::clone(meetings.lock().unwrap().entry(operation.key.to_owned()).or_default());
            gate.pass_as_one_of(2);
        }
        if moment == Moment::After && operation.name.ends_with("Object") {
            seen.lock().unwrap().look(&store);
        }
        Fault::None
    });
    for round in 0..3 {
        shop.sql.run(&format!("UPDATE dbo.Things SET Note = N'round {round}' WHERE ID = 1")).await?;
        for task in [&["check"][..], &["extract"], &["load"]] {
            let (first, second) = tokio::join!(shop.stage.task(task), shop.stage.task(task));
            first?.expect(0)?;
            second?.expect(0)?;
            shop.sql.capture_all().await?;
        }
    }
    let witness = std::mem::take(&mut *witness.lock().unwrap());
    let manifests = witness.first.keys().filter(|key| key.ends_with("/manifest.json")).count();
    ensure!(manifests == 3, "{manifests} manifests were seen, not 3");
    let parts = witness.first.keys().filter(|key| key.contains(".csv")).count();
    ensure!(parts == 6, "{parts} parts were seen, not one of each of two attempts at three batches");
    ensure!(witness.changed.is_empty(), "written twice: {:?}", witness.changed);
    shop.expect_rows(&[(1, "round 2"), (2, "two"), (3, "three")]).await
}

/// A frozen attempt wakes after its manifest was tidied, and creates it again.
#[tokio::test(flavor = "multi_thread")]
async fn r2_a_manifest_that_comes_back_is_ignored_and_tidied_again() -> anyhow::Result<()> {
    let stage = Stage::without_source().await?;
    let things = table("Things");
    stage.open(&things, 1).await?;
    stage.prepare(&things).await?;
    let snapshot = stage.batch(&things, (1, 1), &[(1, Some("first"))]).await?;
    let notes: Vec<_> = (2..=25).map(|sequence| format!("change {sequence}")).collect();
    for (sequence, note) in (2..).zip(&notes) {
        stage.batch(&things, (1, sequence), &[(1, Some(note))]).await?;
    }
    stage.task(&["load"]).await?.expect(0)?;
    stage.expect_rows(&things, &[(1, "change 25")]).await?;
    stage.task(&["load"]).await?.expect(0)?;
    let is_tidied = || stage.keys_ending("/0000000001/manifest.json").is_empty();
    ensure!(is_tidied(), "25 batches on, the first manifest is still there: {:?}", stage.keys());

    write(&stage.store, &snapshot.parts[0].key, &b"u,1,\"first\"\n"[..]);
    stage.publish(&snapshot).await?;
    let load = stage.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(load.table("dbo.Things")?["status"] == "idle" && load.upserts() == 0, "{}", load.0);
    stage.expect_rows(&things, &[(1, "change 25")]).await?;
    ensure!(is_tidied(), "what came back was not tidied: {:?}", stage.keys());
    ensure!(read(&stage.store, &snapshot.parts[0].key).is_err(), "its part was not tidied");
    Ok(())
}
