//! Rule 1: a batch exists when its manifest does.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::ensure;
use delsert::ledger::Publication;
use delsert::manifest::Manifest;
use standin::s3::{Fault, Moment, Operation};
use uuid::Uuid;

use super::by_hand::{self, table};
use super::stage::{Gate, Stage, read, write};
use super::watched::{WatchedShop, status};
use crate::support::ground::BUCKET;

/// Whether an operation writes a manifest.
fn writes_manifest(operation: &Operation<'_>) -> bool {
    operation.name == "PutObject" && operation.key.ends_with("/manifest.json")
}

/// Whether an operation writes a part.
fn writes_part(operation: &Operation<'_>) -> bool {
    operation.name == "PutObject" && operation.key.contains(".csv")
}

/// Attempts that have parts in the bucket.
fn attempts_with_parts(stage: &Stage) -> BTreeSet<String> {
    let parts = stage.keys().into_iter().filter(|key| key.contains(".csv"));
    parts.filter_map(|key| key.rsplit('/').next().and_then(|file| file.get(..36)).map(str::to_owned)).collect()
}

/// The attempt that the only manifest names.
fn winner(stage: &Stage) -> anyhow::Result<String> {
    let manifests = stage.keys_ending("/manifest.json");
    ensure!(manifests.len() == 1, "not one manifest: {manifests:?}");
    Ok(stage.json(&manifests[0])?["attempt"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_of_many_manifests_for_a_sequence_one_becomes_the_batch() -> anyhow::Result<()> {
    let stage = Stage::without_source().await?;
    let things = table("Things");
    stage.open(&things, 1).await?;
    for round in 1..=5 {
        let rivals: Vec<Manifest> = (0..8).map(|_| by_hand::manifest(&things, round, 1)).collect();
        let ledger = stage.ledger()?;
        let published = futures_util::future::join_all(rivals.iter().map(|rival| ledger.publish(rival))).await;
        let published = published.into_iter().collect::<Result<Vec<_>, _>>()?;
        let winners: Vec<_> = (0..8).filter(|at| published[*at] == Publication::Won).collect();
        ensure!(winners.len() == 1, "{} of 8 won", winners.len());
        let winner = rivals[winners[0]].attempt;
        let losers = published.iter().filter(|published| **published == Publication::Lost(winner)).count();
        ensure!(losers == 7, "{losers} of 7 learnt who won");
        ensure!(ledger.publish(&rivals[winners[0]]).await? == Publication::Won, "the winner was not known again");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_two_extracts_at_once_make_one_batch_and_the_other_ends_clean() -> anyhow::Result<()> {
    let shop = WatchedShop::open().await?;
    let both = Gate::new();
    shop.stage.watch(move |operation, moment| {
        if moment == Moment::Before && writes_manifest(operation) {
            both.pass_as_one_of(2);
        }
        Fault::None
    });
    let (first, second) = tokio::join!(shop.stage.task(&["extract"]), shop.stage.task(&["extract"]));
    let (first, second) = (first?.expect(0)?, second?.expect(0)?);
    let ended = BTreeSet::from([status(&first)?, status(&second)?]);
    ensure!(ended == BTreeSet::from(["done".to_owned(), "lost".to_owned()]), "they ended {ended:?}");
    let upserts = first.summary()?.upserts() + second.summary()?.upserts();
    ensure!(upserts == 3, "together they say {upserts} rows");
    let (winner, parts) = (winner(&shop.stage)?, attempts_with_parts(&shop.stage));
    ensure!(parts == BTreeSet::from([winner]), "not the winner's parts alone are left: {parts:?}");
    shop.stage.task(&["load"]).await?.expect(0)?;
    shop.expect_rows(&[(1, "one"), (2, "two"), (3, "three")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_a_rivals_manifest_put_in_place_first_is_the_batch() -> anyhow::Result<()> {
    let shop = WatchedShop::open().await?;
    let rival = by_hand::manifest(&table("Things"), 1, 1);
    let (store, bytes) = (Arc::clone(&shop.stage.store), serde_json::to_vec(&rival)?);
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let (parts, written) = (Arc::clone(&seen), bytes.clone());
    shop.stage.watch(move |operation, moment| {
        if moment == Moment::Before && writes_manifest(operation) {
            parts.lock().unwrap().extend(store.keys(BUCKET).into_iter().filter(|key| key.contains(".csv")));
            write(&store, operation.key, written.clone());
        }
        Fault::None
    });
    let extract = shop.stage.task(&["extract"]).await?.expect(0)?;
    ensure!(status(&extract)? == "lost", "{}", extract.stdout);
    ensure!(extract.summary()?.upserts() == 0, "a batch that is not ours was counted: {}", extract.stdout);
    ensure!(!seen.lock().unwrap().is_empty(), "there were no parts before the manifest");
    ensure!(attempts_with_parts(&shop.stage).is_empty(), "the loser's parts are left: {:?}", shop.stage.keys());
    let manifest = &shop.stage.keys_ending("/manifest.json")[0];
    ensure!(read(&shop.stage.store, manifest)? == bytes, "the winner's manifest was touched");
    Ok(())
}

/// The write came through and its answer did not; or the server asked to try again.
#[tokio::test(flavor = "multi_thread")]
async fn r1_ones_own_manifest_is_known_again() -> anyhow::Result<()> {
    let conflict = Fault::Error { status: 409, code: "ConditionalRequestConflict".to_owned() };
    for (when, fault, times) in [(Moment::After, Fault::Drop, 1), (Moment::Before, conflict, 2)] {
        let shop = WatchedShop::open().await?;
        let (left, struck) = (AtomicU32::new(times), fault.clone());
        shop.stage.watch(move |operation, moment| {
            let strikes = moment == when && writes_manifest(operation);
            let take = |left: u32| left.checked_sub(1);
            let strikes = strikes && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok();
            if strikes { struck.clone() } else { Fault::None }
        });
        let extract = shop.stage.task(&["extract"]).await?.expect(0)?;
        ensure!(status(&extract)? == "done", "{fault:?}: {}", extract.stdout);
        let parts = attempts_with_parts(&shop.stage);
        ensure!(parts == BTreeSet::from([winner(&shop.stage)?]), "{fault:?}: not its own parts are there: {parts:?}");
        shop.stage.task(&["load"]).await?.expect(0)?;
        shop.expect_rows(&[(1, "one"), (2, "two"), (3, "three")]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_an_unreadable_manifest_leaves_all_as_it_is() -> anyhow::Result<()> {
    let shop = WatchedShop::open().await?;
    let store = Arc::clone(&shop.stage.store);
    shop.stage.watch(move |operation, moment| {
        if moment == Moment::Before && writes_manifest(operation) {
            write(&store, operation.key, &b"{\"format\":"[..]);
        }
        Fault::None
    });
    let extract = shop.stage.task(&["extract"]).await?.expect(75)?;
    let summary = extract.summary()?;
    let error = summary.table("dbo.Things")?["error"].to_string();
    ensure!(error.contains("manifest.json") && error.contains("Nothing was removed"), "{error}");
    ensure!(attempts_with_parts(&shop.stage).len() == 1, "parts were removed: {:?}", shop.stage.keys());
    let manifest = &shop.stage.keys_ending("/manifest.json")[0];
    ensure!(read(&shop.stage.store, manifest)? == b"{\"format\":"[..], "what was there was touched");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_parts_are_looked_at_before_the_manifest_is_written() -> anyhow::Result<()> {
    let shop = WatchedShop::open().await?;
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    shop.stage.watch(move |operation, moment| {
        if moment == Moment::After {
            seen.lock().unwrap().push((operation.name, operation.key.to_owned()));
        }
        Fault::None
    });
    shop.stage.task(&["extract"]).await?.expect(0)?;
    let log = log.lock().unwrap().clone();
    let at = |name: &str, key: &str| log.iter().position(|seen| *seen == (name, key.to_owned()));
    let manifest = shop.stage.keys_ending("/manifest.json").remove(0);
    let part = shop.stage.json(&manifest)?["parts"][0]["key"].as_str().unwrap_or_default().to_owned();
    let moments = ["PutObject", "HeadObject"].map(|name| at(name, &part));
    let moments = [moments[0], moments[1], at("PutObject", &manifest)];
    ensure!(moments.iter().all(Option::is_some) && moments.is_sorted(), "{moments:?} in {log:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_a_part_that_the_bucket_stored_otherwise_becomes_no_batch() -> anyhow::Result<()> {
    let shop = WatchedShop::open().await?;
    let store = Arc::clone(&shop.stage.store);
    shop.stage.watch(move |operation, moment| {
        if moment == Moment::After && writes_part(operation) {
            let stored = read(&store, operation.key).unwrap();
            write(&store, operation.key, stored.slice(..stored.len() - 1));
        }
        Fault::None
    });
    let extract = shop.stage.task(&["extract"]).await?.expect(75)?;
    ensure!(extract.stdout.contains("otherwise than it was sent"), "{}", extract.stdout);
    ensure!(shop.stage.keys_ending("/manifest.json").is_empty(), "a batch of a damaged part exists");
    ensure!(attempts_with_parts(&shop.stage).is_empty(), "its own parts are left: {:?}", shop.stage.keys());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_the_winner_removes_what_rivals_left_at_its_sequence() -> anyhow::Result<()> {
    let shop = WatchedShop::open().await?;
    let (ledger, bucket, name) = (shop.stage.ledger()?, shop.stage.bucket()?, table("Things").name);
    let left = |sequence, file: &str| format!("{}-{file}", ledger.part_stem(&name, 1, sequence, Uuid::new_v4()));
    let (part, upload) = (left(1, "0000.csv.zst"), left(1, "0001.csv.zst"));
    let (next_part, next_upload) = (left(2, "0000.csv.zst"), left(2, "0001.csv.zst"));
    for key in [&part, &next_part] {
        write(&shop.stage.store, key, &b"a dead attempt's"[..]);
    }
    for key in [&upload, &next_upload] {
        bucket.begin_upload(key).await?;
    }
    shop.stage.task(&["extract"]).await?.expect(0)?;
    let keys = shop.stage.keys();
    ensure!(!keys.contains(&part), "a rival's part is left");
    ensure!(keys.contains(&next_part), "a part at tail + 1 was removed, whose attempt may be alive");
    let uploads: Vec<_> = shop.stage.store.uploads(BUCKET).into_iter().map(|(key, _)| key).collect();
    ensure!(uploads == [next_upload], "unfinished uploads: {uploads:?}");
    ensure!(attempts_with_parts(&shop.stage).contains(&winner(&shop.stage)?), "its own parts are gone");
    Ok(())
}

/// Uploads of several pieces, one attempt of two: what the loser began is not left behind, finished or not.
#[tokio::test(flavor = "multi_thread")]
async fn r1_nothing_is_left_of_two_attempts_with_multipart_uploads() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.configure(|text| text.replace("[bucket]", "[bucket]\ncompression = \"none\"\npart_size = \"16MiB\""))?;
    for id in 10..34 {
        shop.sql
            .run(&format!("INSERT INTO dbo.Things SELECT {id}, REPLICATE(CAST(N'{id}' AS nvarchar(max)), 500000)"))
            .await?;
    }
    let both = Gate::new();
    shop.stage.watch(move |operation, moment| {
        if moment == Moment::Before && writes_manifest(operation) {
            both.pass_as_one_of(2);
        }
        if moment == Moment::After && operation.name == "UploadPart" {
            return Fault::Delay(Duration::from_millis(20));
        }
        Fault::None
    });
    let (first, second) = tokio::join!(shop.stage.task(&["extract"]), shop.stage.task(&["extract"]));
    first?.expect(0)?;
    second?.expect(0)?;
    let parts = attempts_with_parts(&shop.stage);
    ensure!(parts == BTreeSet::from([winner(&shop.stage)?]), "not the winner's parts alone are left: {parts:?}");
    ensure!(shop.stage.store.uploads(BUCKET).is_empty(), "uploads are left: {:?}", shop.stage.store.uploads(BUCKET));
    let load = shop.stage.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(load.upserts() == 27, "{}", load.0);
    Ok(())
}
