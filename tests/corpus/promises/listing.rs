//! A listing of the ledger: only what `delsert` writes is taken for its own, and no decision goes beyond what is listed.
//!
//! An input is keys, one a line, after a line `generation/sequence`: where the target stands.

use delsert::config::{OnGap, Purge};
use delsert::ledger::decide;
use delsert::ledger::layout::{self, Object, Place};
use delsert::ledger::view::View;

pub fn promises(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (first, keys) = text.split_once('\n').unwrap_or((text, ""));
    // The target keeps them as signed numbers.
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| i64::try_from(*number).is_ok());
    let watermark =
        first.split_once('/').and_then(|(generation, sequence)| Some((number(generation)?, number(sequence)?)));
    let watermark = watermark.unwrap_or_default();

    keys.lines().for_each(is_own);
    let view = View::from_keys("", keys.lines().map(str::to_owned));
    decides_within(&view, watermark);
    removes_within(&view, watermark);
}

/// A key that is taken for one of ours is one that we write.
fn is_own(key: &str) {
    let written = match layout::parse(key) {
        None => return,
        Some(Place::Open(generation)) => layout::open_path("", generation),
        Some(Place::Batch(generation, sequence, Object::Manifest)) => layout::manifest_path("", generation, sequence),
        Some(Place::Batch(generation, sequence, Object::Applied)) => layout::applied_path("", generation, sequence),
        Some(Place::Batch(generation, sequence, Object::Attempt(attempt))) => {
            let stem = format!("{}{attempt}", layout::batch_path("", generation, sequence));
            assert!(key.starts_with(&stem), "{key} is taken for {stem}");
            return;
        }
    };
    assert_eq!(key, written, "is taken for another");
}

fn decides_within(view: &View, watermark: (u64, u64)) {
    if let Ok(Some(next)) = decide::next_batch(view, watermark) {
        assert!(next > watermark && view.has_manifest(next.0, next.1));
        assert!(decide::is_still_next(view, watermark, watermark, next).unwrap());
    }
    let generation = decide::next_generation(view, watermark);
    assert!(generation > watermark.0 && view.highest().is_none_or(|highest| generation > highest));
    for policy in [OnGap::Fail, OnGap::Resync] {
        let mended = decide::mended_by(view, policy);
        assert!(mended.is_none_or(|mended| view.tail().is_some_and(|tail| tail.0 + 1 == mended)));
    }
    for purge in [Purge::AfterExtract, Purge::AfterLoad, Purge::Never] {
        let durable = decide::durable(view, purge);
        assert!(durable.is_none_or(|(generation, sequence)| view.batch(generation, sequence).is_some()));
    }
    assert!(!view.is_pending() || view.tail().is_some());
}

fn removes_within(view: &View, watermark: (u64, u64)) {
    for key in decide::tidy(view, watermark) {
        let at_or_below = match layout::parse(&key) {
            None => panic!("removes {key}, which is not ours"),
            Some(Place::Open(generation)) => generation < watermark.0,
            Some(Place::Batch(generation, sequence, _)) => (generation, sequence) <= watermark,
        };
        assert!(at_or_below, "removes {key}, which is above the watermark");
    }
    for (generation, sequence, batch) in view.batches() {
        for (attempt, _) in &batch.files {
            let place = (generation, sequence);
            let orphan = |winner| decide::is_orphan(view, watermark, place, *attempt, winner);
            assert!(place > watermark || orphan(None), "what is applied leaves its parts");
            assert!(!orphan(Some(*attempt)) || orphan(None), "doomed only where its own manifest stands");
        }
    }
}
