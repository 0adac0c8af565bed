//! Ends that misbehave while a real process works: what it answers, that nothing is half-applied, and that one quiet
//! round mends what is left.
//!
//! | module | is |
//! |---|---|
//! | [`bucket`] | answers that are errors, lost, late, or in small pages |
//! | [`bodies`] | bytes that are cut short, stalled, flipped or refused on their way |
//! | [`target`] | connections that break around COPY and COMMIT, locks, a full disk, a crash |
//! | [`source`] | connections that break in mid-stream |
//! | [`numbers`] | errors of the source by number |

mod bodies;
mod bucket;
mod numbers;
mod source;
mod target;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use standin::s3::{Fault, Moment, Rule, Script};

use crate::rules::by_hand::table;
use crate::rules::watched::WatchedShop;
use crate::support::bucket::Bucket;
use crate::support::ground::BUCKET;
use crate::support::rest::expect_at_rest;
use crate::support::task::Outcome;

/// The one table's rows before and after the change.
const OLD: &[(i32, &str)] = &[(1, "one"), (2, "two"), (3, "three")];
const NEW: &[(i32, &str)] = &[(1, "one"), (2, "changed"), (4, "four")];

/// For ever.
const ALWAYS: u32 = u32::MAX;

/// A shop whose table was synced once, with a change captured and not yet extracted.
async fn changed_shop() -> anyhow::Result<WatchedShop> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.change(
        "UPDATE dbo.Things SET Note = N'changed' WHERE ID = 2; DELETE dbo.Things WHERE ID = 3;
         INSERT INTO dbo.Things VALUES (4, N'four')",
    )
    .await?;
    Ok(shop)
}

/// The same with the change extracted and not yet loaded.
async fn extracted_shop() -> anyhow::Result<WatchedShop> {
    let shop = changed_shop().await?;
    shop.stage.task(&["extract"]).await?.expect(0)?;
    Ok(shop)
}

/// A fault of the bucket at operations of that name on keys that hold that text.
fn at(operation: &str, key_part: &str, moment: Moment, times: u32, fault: Fault) -> Rule {
    Rule { operation: operation.to_owned(), key_part: key_part.to_owned(), moment, skip: 0, times, fault }
}

/// An error that the bucket answers.
fn error(status: u16, code: &str) -> Fault {
    Fault::Error { status, code: code.to_owned() }
}

/// From now on the bucket has these faults.
fn spoil(shop: &WatchedShop, rules: Vec<Rule>) -> Arc<Script> {
    let script = Arc::new(Script::new(rules));
    shop.stage.store.set_faults(Some(script.clone()));
    script
}

/// Runs a task to its end and gives how long it took; it must end with that code.
async fn timed(shop: &WatchedShop, arguments: &[&str], code: i32) -> anyhow::Result<(Outcome, Duration)> {
    let started = Instant::now();
    let outcome = shop.stage.task(arguments).await?.expect(code)?;
    Ok((outcome, started.elapsed()))
}

/// Fails unless what went wrong is told with all these words.
fn expect_told(outcome: &Outcome, words: &[&str]) -> anyhow::Result<()> {
    let summary = outcome.summary()?;
    let errors = summary.tables().iter().map(|table| &table["error"]);
    let errors: Vec<_> =
        std::iter::once(&summary.0["error"]).chain(errors).filter_map(|error| error.as_str()).collect();
    let told = errors.join(" | ");
    for word in words {
        ensure!(told.contains(word), "{}: the message does not say '{word}': {told}", outcome.command);
    }
    Ok(())
}

/// Fails unless the target stands where it stood, and every part of every batch not yet applied is there.
async fn expect_untouched(shop: &WatchedShop) -> anyhow::Result<()> {
    let stage = &shop.stage;
    shop.expect_rows(OLD).await?;
    let watermark = stage.watermark(&table("Things")).await?;
    ensure!(watermark == (1, 1), "the watermark moved to {watermark:?}");
    let keys = stage.keys();
    for key in stage.keys_ending("/manifest.json").iter().filter(|key| !key.contains("/0000000001/manifest")) {
        let manifest = stage.json(key)?;
        for part in manifest["parts"].as_array().context("a manifest without parts")? {
            let part = part["key"].as_str().unwrap_or_default();
            ensure!(keys.iter().any(|key| key == part), "a live part is lost: {part}");
        }
    }
    Ok(())
}

/// Without faults, one round brings the target to the source and leaves nothing behind.
async fn expect_mended(shop: &mut WatchedShop, rows: &[(i32, &str)]) -> anyhow::Result<()> {
    shop.stage.store.set_faults(None);
    shop.stage.configure(|text| text)?;
    for task in ["check", "extract", "load"] {
        shop.stage.task(&[task]).await?.expect(0)?;
    }
    shop.expect_rows(rows).await?;
    let (bucket, target) = (Bucket::at(&shop.stage.endpoint, BUCKET), shop.stage.target.connect().await?);
    expect_at_rest(&mut shop.sql, &bucket, &target, &["dbo.Things"]).await
}
