//! Every decision over the ledger, as pure functions: who won, which batch is next, what may be removed.

use uuid::Uuid;

use super::Publication;
use super::view::View;
use crate::config::{OnGap, Purge};
use crate::error::{Error, Kind, Result};

/// How many applied batches keep their manifests, for a person to look at.
pub const KEPT: usize = 20;

/// A place in the ledger: generation, then sequence.
pub type Place = (u64, u64);

/// Rule 1: who won a sequence, when a manifest stands there.
pub fn winner(mine: Uuid, found: Uuid) -> Publication {
    if mine == found { Publication::Won } else { Publication::Lost(found) }
}

/// Rule 5: the batch that load applies next to a target whose watermark is given; `None` when all is applied.
///
/// A newer generation that is open is a resync under way: what is wrong with the watermark's own is then mended by its
/// snapshot, and until that is there nothing is applied over the fault.
///
/// An error is certain only if the ledger was listed while the target stood at this watermark.
///
/// # Errors
/// [`Kind::LedgerLost`] if the ledger does not know the watermark's batch, [`Kind::TargetBehind`] if a batch above the
/// watermark is marked applied, [`Kind::LedgerGap`] if the next batch is missing while later ones are there.
pub fn next_batch(view: &View, watermark: Place) -> Result<Option<Place>> {
    let newer =
        view.generations.keys().copied().filter(|number| *number > watermark.0 && view.has_manifest(*number, 1));
    let next = newer.max().map_or((watermark.0, watermark.1 + 1), |generation| (generation, 1));
    match fault(view, watermark, next) {
        None => Ok(Some(next).filter(|next| view.has_manifest(next.0, next.1))),
        Some(_) if view.newest_open().is_some_and(|newest| newest > next.0 && view.tail().is_none()) => Ok(None),
        Some(error) => Err(error),
    }
}

/// As [`next_batch`], which gave `next`, where the batch at the watermark is another attempt's than the ledger has there.
///
/// # Errors
/// [`Kind::LedgerLost`], unless a newer snapshot mends it.
pub fn next_after_foreign(view: &View, watermark: Place, next: Option<Place>) -> Result<Option<Place>> {
    if next.is_some_and(|next| next.0 > watermark.0) {
        return Ok(next);
    }
    if view.newest_open().is_some_and(|newest| newest > watermark.0 && view.tail().is_none()) {
        return Ok(None);
    }
    let message = format!(
        "the target stands at {}/{}, but by another batch than the ledger has there: another table or ledger wrote it",
        watermark.0, watermark.1
    );
    Err(Error::new(Kind::LedgerLost, message).advice(
        "Check that no other table or configuration writes to its target table, and that bucket.name, bucket.prefix and sync.name are as they were. If the rows there may go, run 'delsert resync' for the table",
    ))
}

/// Rule 4: whether the batch chosen before the table's lock was held is still the next one under it: neither the
/// watermark moved from `seen`, nor the ledger.
///
/// # Errors
/// As [`next_batch`].
pub fn is_still_next(view: &View, seen: Place, watermark: Place, next: Place) -> Result<bool> {
    Ok(next_batch(view, watermark)? == Some(next) && watermark == seen)
}

/// Whether it is told that a batch's parts are not what was written: `refused` says that it was read before with the
/// same end, and `view`, listed after the second, that it is still the next. Else the way here may have damaged them, or
/// a newer snapshot have taken the place of the batch whose parts are gone.
pub fn is_damaged(view: &View, watermark: Place, refused: Option<Place>, batch: Place) -> bool {
    refused == Some(batch) && next_batch(view, watermark).is_ok_and(|next| next == Some(batch))
}

/// What forbids applying `next` and all after it.
fn fault(view: &View, watermark: Place, next: Place) -> Option<Error> {
    let resync = "Run 'delsert resync' for the table";
    let stands = format!("the target stands at {}/{}", watermark.0, watermark.1);
    let above = || view.batches().rev().filter(|(generation, sequence, _)| (*generation, *sequence) >= next);
    if let Some((generation, sequence, _)) = above().find(|(_, _, batch)| batch.applied.is_some()) {
        let message = format!(
            "batch {generation}/{sequence} is marked applied, but {stands}: the target was restored or replaced"
        );
        return Some(Error::new(Kind::TargetBehind, message).advice(resync));
    }
    let is_newer_snapshot = next.0 > watermark.0;
    if watermark.0 > 0 && !is_newer_snapshot && !view.has_manifest(watermark.0, watermark.1) {
        let known = match view.tail() {
            Some(tail) => format!("does not have that batch and ends at {}/{}", tail.0, tail.1),
            None if view.generations.is_empty() => "is empty".to_owned(),
            None => "has no batch".to_owned(),
        };
        let message = format!("{stands}, but the ledger {known}");
        return Some(Error::new(Kind::LedgerLost, message).advice(
            "Check bucket.name, bucket.prefix and sync.name: most likely one of them changed. If the ledger is truly lost, run 'delsert resync' for the table",
        ));
    }
    if view.has_manifest(next.0, next.1) {
        return None;
    }
    let (generation, sequence, _) = above().find(|(_, _, batch)| batch.manifest.is_some())?;
    // Before the first batch, what is missing is the snapshot.
    let missing = if watermark.0 == 0 { (generation, 1) } else { next };
    let message = format!(
        "batch {}/{} is missing from the ledger: {stands}, the ledger at {generation}/{sequence}",
        missing.0, missing.1
    );
    let advice = "Something else removed objects from the bucket. Restore them, or run 'delsert resync' for the table";
    Some(Error::new(Kind::LedgerGap, message).advice(advice))
}

/// The number of the next generation to open: 1 + the highest that ledger or watermark knows.
pub fn next_generation(view: &View, watermark: Place) -> u64 {
    1 + view.highest().unwrap_or(0).max(watermark.0)
}

/// The generation that mends a gap in the newest open one: the next, and no other. `None` where the policy leaves gaps
/// to a person, and where the newest holds only its snapshot: another would meet the same gap.
pub fn mended_by(view: &View, on_gap: OnGap) -> Option<u64> {
    let (generation, sequence) = view.tail()?;
    (on_gap == OnGap::Resync && sequence > 1).then_some(generation + 1)
}

/// Rule 6: the batch behind whose end history may go, always of the newest open generation: its tail, or its newest
/// batch marked applied. `None`: nothing may.
pub fn durable(view: &View, purge: Purge) -> Option<Place> {
    match purge {
        Purge::Never => None,
        Purge::AfterExtract => view.tail(),
        Purge::AfterLoad => {
            let newest = view.newest_open()?;
            Some((newest, view.generations.get(&newest)?.newest_applied()?))
        }
    }
}

/// Keys that load removes once the watermark proves them done: all at or below it, but the newest [`KEPT`] applied
/// manifests of its generation with their marks, and what opened it. Nothing above the watermark.
pub fn tidy(view: &View, watermark: Place) -> Vec<String> {
    tidy_keeping(KEPT, view, watermark)
}

/// As [`tidy`], with another number of manifests to keep.
pub fn tidy_keeping(kept: usize, view: &View, watermark: Place) -> Vec<String> {
    let mut doomed = Vec::new();
    for (number, generation) in view.generations.range(..=watermark.0) {
        let current = *number == watermark.0;
        if !current {
            doomed.extend(generation.open.clone());
        }
        let done: Vec<_> =
            generation.batches.iter().filter(|(sequence, _)| (*number, **sequence) <= watermark).collect();
        let manifests = done.iter().rev().filter(|(_, batch)| current && batch.manifest.is_some());
        let kept_from = manifests.take(kept).last().map_or(u64::MAX, |(sequence, _)| **sequence);
        for (sequence, batch) in done {
            doomed.extend(batch.files.iter().map(|(_, key)| key.clone()));
            if *sequence < kept_from {
                // The mark goes last: a batch without manifest is none, whatever its mark says.
                doomed.extend(batch.manifest.clone());
                doomed.extend(batch.applied.clone());
            }
        }
    }
    doomed
}

/// Whether an attempt's files at a place can no longer become a batch: its sequence has another attempt's manifest, or
/// lies at or below tail or watermark without one, or its generation's successor has its snapshot. `winner` gives the
/// attempt whose manifest stands at a place.
pub fn is_orphan(view: &View, watermark: Place, place: Place, attempt: Uuid, winner: Option<Uuid>) -> bool {
    let superseded = view.generations.range(place.0 + 1..).any(|(number, _)| view.has_manifest(*number, 1));
    match winner {
        _ if place <= watermark || superseded => true,
        Some(winner) => winner != attempt,
        None => view
            .generations
            .get(&place.0)
            .and_then(super::view::Generation::newest_manifest)
            .is_some_and(|tail| place.1 <= tail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::layout;

    const ATTEMPT: Uuid = Uuid::from_u128(1);
    const RIVAL: Uuid = Uuid::from_u128(2);

    /// Builds a view from words: `1` opens a generation, `1/2` is a manifest, `1/2a` its mark, `1/2p` a part.
    fn view(words: &str) -> View {
        let keys = words.split_whitespace().map(|word| {
            let (generation, batch) = word.split_once('/').unwrap_or((word, ""));
            let generation = generation.parse().unwrap();
            let sequence = batch.trim_end_matches(['a', 'p', 'r']).parse().unwrap_or(0);
            match batch.chars().last() {
                None => layout::open_path("t/", generation),
                Some('a') => layout::applied_path("t/", generation, sequence),
                Some('p') => format!("{}{ATTEMPT}-0000.csv", layout::batch_path("t/", generation, sequence)),
                Some('r') => format!("{}{RIVAL}-0000.csv", layout::batch_path("t/", generation, sequence)),
                Some(_) => layout::manifest_path("t/", generation, sequence),
            }
        });
        View::from_keys("t/", keys.collect::<Vec<_>>())
    }

    #[test]
    fn r5_the_newest_snapshot_else_exactly_the_next() {
        for (ledger, watermark, expected) in [
            ("", (0, 0), None),
            ("1", (0, 0), None),
            ("1 1/1", (0, 0), Some((1, 1))),
            ("1 1/1 1/2", (1, 1), Some((1, 2))),
            ("1 1/1 1/1a 1/2", (1, 2), None),
            ("1 1/1 1/2 2 2/1", (1, 1), Some((2, 1))),
            ("1 1/1 2 2/1 3", (1, 1), Some((2, 1))),
            ("1 1/1 1/2 2", (1, 1), Some((1, 2))),
            ("1 1/1 2 2/1 2/2 3 3/1", (2, 1), Some((3, 1))),
        ] {
            assert_eq!(next_batch(&view(ledger), watermark).unwrap(), expected, "{ledger} {watermark:?}");
        }
    }

    #[test]
    fn r5_gaps_lost_ledgers_and_restored_targets_are_refused() {
        for (ledger, watermark, expected) in [
            ("1 1/1 1/3", (1, 1), Kind::LedgerGap),
            ("1 1/2", (0, 0), Kind::LedgerGap),
            ("", (1, 4), Kind::LedgerLost),
            ("1 1/1", (2, 4), Kind::LedgerLost),
            ("1 1/1 1/2 1/3", (1, 40), Kind::LedgerLost),
            ("1", (1, 4), Kind::LedgerLost),
            ("1 1/30", (0, 0), Kind::LedgerGap),
            ("1 1/30 1/30a", (0, 0), Kind::TargetBehind),
            ("2 2/30 2/30a", (1, 5), Kind::TargetBehind),
            ("1 1/1 1/1a 1/2 1/2a", (1, 1), Kind::TargetBehind),
            ("1 1/1 1/1a", (0, 0), Kind::TargetBehind),
            ("1 1/1 2 2/1 2/1a", (1, 1), Kind::TargetBehind),
        ] {
            assert_eq!(next_batch(&view(ledger), watermark).unwrap_err().kind(), expected, "{ledger} {watermark:?}");
        }
    }

    #[test]
    fn a_resync_mends_gaps_and_restored_targets() {
        for (ledger, watermark, expected) in [
            ("1 1/1 1/3 2", (1, 1), None),
            ("1 1/1 1/3 2 2/1", (1, 1), Some((2, 1))),
            ("1 1/1 1/2 1/2a 2", (1, 1), None),
            ("1 1/1 1/2 1/2a 2 2/1", (1, 1), Some((2, 1))),
            ("2 2/1", (1, 4), Some((2, 1))),
            ("2", (1, 4), None),
            ("1 1/30 1/30a 2", (0, 0), None),
        ] {
            assert_eq!(next_batch(&view(ledger), watermark).unwrap(), expected, "{ledger} {watermark:?}");
        }
    }

    #[test]
    fn tail_is_of_the_newest_open_generation() {
        assert_eq!(view("1 1/1 1/2").tail(), Some((1, 2)));
        assert_eq!(view("1 1/1 2").tail(), None);
        assert_eq!(view("1 1/1 2/1").tail(), Some((1, 1)), "a generation that nobody opened is not one");
        assert_eq!(next_generation(&view("1 2"), (0, 0)), 3);
        assert_eq!(next_generation(&view(""), (7, 1)), 8);
    }

    #[test]
    fn r4_what_moved_before_the_lock_is_chosen_anew() {
        let ledger = view("1 1/1 1/2 1/3");
        assert!(is_still_next(&ledger, (1, 1), (1, 1), (1, 2)).unwrap());
        assert!(!is_still_next(&ledger, (1, 1), (1, 2), (1, 2)).unwrap(), "a rival applied it");
        assert!(!is_still_next(&ledger, (1, 1), (1, 2), (1, 3)).unwrap(), "the watermark moved");
        assert!(!is_still_next(&view("1 1/1 1/2 2 2/1"), (1, 1), (1, 1), (1, 2)).unwrap(), "a newer snapshot came");
        assert!(is_still_next(&view("1 1/1 1/3"), (1, 1), (1, 1), (1, 2)).is_err());
    }

    #[test]
    fn over_anothers_batch_only_a_newer_snapshot_goes() {
        let foreign = |ledger: &str, at| {
            let ledger = view(ledger);
            let next = next_batch(&ledger, at).unwrap();
            next_after_foreign(&ledger, at, next).map_err(|error| error.kind())
        };
        assert_eq!(foreign("1 1/1 1/1a 1/2", (1, 1)), Err(Kind::LedgerLost));
        assert_eq!(foreign("1 1/1 1/1a", (1, 1)), Err(Kind::LedgerLost), "idle is no reason to call it well");
        assert_eq!(foreign("1 1/1 1/2 2", (1, 1)), Ok(None), "a resync is under way");
        assert_eq!(foreign("1 1/1 1/2 2 2/1", (1, 1)), Ok(Some((2, 1))));
        assert_eq!(foreign("1 1/1 2 2/1 2/2 3", (2, 1)), Ok(None));
    }

    #[test]
    fn a_part_is_damaged_only_if_read_twice_and_still_wanted() {
        let (ledger, replaced) = (view("1 1/1 1/2"), view("1 1/1 1/2 2 2/1"));
        assert!(is_damaged(&ledger, (1, 1), Some((1, 2)), (1, 2)));
        assert!(!is_damaged(&ledger, (1, 1), None, (1, 2)), "the way here may have damaged it");
        assert!(!is_damaged(&ledger, (1, 1), Some((1, 1)), (1, 2)), "it was another that was read before");
        assert!(!is_damaged(&replaced, (1, 1), Some((1, 2)), (1, 2)), "a newer snapshot took its place");
        assert!(!is_damaged(&view("1 1/1"), (1, 1), Some((1, 2)), (1, 2)), "it is gone");
    }

    #[test]
    fn a_gap_is_mended_by_the_next_generation_and_not_twice_in_a_row() {
        assert_eq!(mended_by(&view("1 1/1 1/2"), OnGap::Resync), Some(2));
        assert_eq!(mended_by(&view("1 1/1 1/2"), OnGap::Fail), None);
        assert_eq!(mended_by(&view("1 1/1 1/2 2"), OnGap::Resync), None, "already mended");
        assert_eq!(mended_by(&view("1 1/1 1/2 2 2/1"), OnGap::Resync), None, "only a snapshot");
        assert_eq!(
            mended_by(&view("1 1/1 1/2 2 2/1 2/2 3/1p"), OnGap::Resync),
            Some(3),
            "one more than the newest open"
        );
    }

    #[test]
    fn r6_durable_is_what_the_newest_open_generation_holds() {
        for (ledger, extracted, loaded) in [
            ("1", None, None),
            ("1 1/1 1/1a 1/2", Some((1, 2)), Some((1, 1))),
            ("1 1/1 1/1a 1/2 1/2a 2", None, None),
            ("1 1/1 1/1a 1/2 1/2a 2 2/1", Some((2, 1)), None),
        ] {
            assert_eq!(durable(&view(ledger), Purge::AfterExtract), extracted, "{ledger}");
            assert_eq!(durable(&view(ledger), Purge::AfterLoad), loaded, "{ledger}");
            assert_eq!(durable(&view(ledger), Purge::Never), None, "{ledger}");
        }
    }

    #[test]
    fn tidying_keeps_what_is_not_applied_and_the_newest_manifests() {
        let mut words = "1 1/1 1/1a 1/1p 2".to_owned();
        for sequence in 1..=30 {
            words = format!("{words} 2/{sequence} 2/{sequence}p 2/{sequence}a");
        }
        let listed = view(&(words + " 2/31 2/31p 2/32p 3 3/1p"));
        let doomed = tidy(&listed, (2, 30));
        let has = |key: &str| doomed.iter().any(|doomed| doomed == key);
        assert!(has(&layout::open_path("t/", 1)) && has(&layout::manifest_path("t/", 1, 1)));
        assert!(!has(&layout::open_path("t/", 2)) && !has(&layout::open_path("t/", 3)));
        for sequence in 1..=30 {
            assert_eq!(has(&layout::manifest_path("t/", 2, sequence)), sequence <= 10, "{sequence}");
            assert_eq!(has(&layout::applied_path("t/", 2, sequence)), sequence <= 10, "{sequence}");
        }
        assert_eq!(doomed.iter().filter(|key| layout::attempt_of(key).is_some()).count(), 31);
        assert!(doomed.iter().all(|key| !key.contains("0000000031") && !key.contains("0000000032")));
        assert!(doomed.iter().all(|key| !key.starts_with("t/0000000003")));
    }

    #[test]
    fn parts_of_a_live_attempt_are_nobodys_orphans() {
        let listed = view("1 1/1 1/2 1/2p 1/2r 1/3p");
        let orphan = |place, attempt, winner| is_orphan(&listed, (1, 1), place, attempt, winner);
        assert!(!orphan((1, 2), ATTEMPT, Some(ATTEMPT)));
        assert!(orphan((1, 2), RIVAL, Some(ATTEMPT)));
        assert!(!orphan((1, 3), ATTEMPT, None), "tail + 1 is touched by nobody else");
        assert!(orphan((1, 1), ATTEMPT, Some(ATTEMPT)), "applied");
        let successor = view("1 1/1 1/2p 2");
        assert!(!is_orphan(&successor, (1, 1), (1, 2), ATTEMPT, None), "its successor has no snapshot yet");
        let successor = view("1 1/1 1/2p 2 2/1");
        assert!(is_orphan(&successor, (1, 1), (1, 2), ATTEMPT, None));
    }
}
