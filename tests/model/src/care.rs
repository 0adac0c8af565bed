//! The cares that the protocol takes, each with the mutation that leaves it out. Decisions are the product's own.

use delsert::config::Purge;
use delsert::ledger::Publication;
use delsert::ledger::decide::{self, Place};
use delsert::ledger::view::View;

use crate::world::{Key, uuid};

/// The protocol minus one care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// The manifest is written, and then its parts are verified.
    ManifestBeforeVerified,
    /// A 412 is always taken for defeat.
    RefusedIsDefeat,
    /// A 412 is always taken for victory.
    RefusedIsVictory,
    /// Load orders its batches without the table's lock.
    NoLock,
    /// Load chooses under the lock by the watermark that it read before.
    WatermarkBeforeLock,
    /// History is purged to the end of one's own window, the tail not being read again.
    PurgeByOwnWindow,
    /// Tidying takes the manifest of the batch after the watermark.
    TidyUnapplied,
    /// Tidying removes the tail once it is applied.
    TidyTail,
    /// History is purged to the greatest end that any generation has.
    PurgeAcrossGenerations,
    /// A gap opens one more than the highest generation there is by then.
    GapOpensHighest,
    /// Changes are netted by a function silent about a row inserted and deleted inside the window.
    SilentNet,
    /// An extract publishes in the generation that is the newest by then.
    PublishInNewest,
    /// `check` removes what lies at tail + 1.
    OrphansAtNext,
    /// The minimum is not read again after the rows.
    MinimumReadOnce,
    /// An extract that is to mend a gap asks for a person where the generation that had it is gone.
    GoneIsNotOpen,
    /// A table is found idle by its changes alone, without a look at the minimum.
    IdleByChangesAlone,
    /// That ledger and target do not fit is told at the second look, even if the watermark moved since the first.
    ToldAtSecondLook,
    /// A part that is not what was written is told at the second time, whatever took the batch's place meanwhile.
    DamagedAtSecond,
    /// That the source was restored is told by a fingerprint read before a restore.
    RestoredByOldFingerprint,
    /// `check` removes what one look dooms.
    OneLook,
}

/// How many applied manifests are kept: fewer than in the product, so that short runs reach the end of it.
const KEPT: usize = 1;

/// The decisions, with what is left out of them.
#[derive(Debug, Clone, Copy)]
pub struct Care(pub Option<Mutation>);

impl Care {
    /// The cares that quiet rounds take: all, so that what is judged is only what the scenario's own processes did. But
    /// where a care's want shows in silence alone, the rounds must want it, too.
    #[must_use]
    pub fn at_rest(self) -> Self {
        Self(self.0.filter(|mutation| *mutation == Mutation::IdleByChangesAlone))
    }

    /// Whether that care is left out.
    pub fn lacks(self, mutation: Mutation) -> bool {
        self.0 == Some(mutation)
    }

    /// Rule 1: who won.
    pub fn winner(self, mine: u8, found: u8) -> Publication {
        match self.0 {
            Some(Mutation::RefusedIsDefeat) => Publication::Lost(uuid(found)),
            Some(Mutation::RefusedIsVictory) => Publication::Won,
            _ => decide::winner(uuid(mine), uuid(found)),
        }
    }

    /// Whether an error of the next batch may be told, given the watermark before the ledger was listed and after.
    pub fn is_certain(self, before: Option<Place>, after: Place) -> bool {
        before == Some(after) || (before.is_some() && self.lacks(Mutation::ToldAtSecondLook))
    }

    /// Whether it is told that a batch's parts are not what was written.
    pub fn is_damaged(self, view: &View, watermark: Place, refused: Option<Place>, batch: Place) -> bool {
        let is_second = refused.is_some() && self.lacks(Mutation::DamagedAtSecond);
        is_second || decide::is_damaged(view, watermark, refused, batch)
    }

    /// What load removes below the watermark.
    pub fn tidy(self, view: &View, watermark: Place) -> Vec<Key> {
        let kept = if self.lacks(Mutation::TidyTail) { 0 } else { KEPT };
        let mut doomed = decide::tidy_keeping(kept, view, watermark);
        if self.lacks(Mutation::TidyUnapplied) {
            let next = view.batch(watermark.0, watermark.1 + 1);
            doomed.extend(next.and_then(|next| next.manifest.clone()));
        }
        doomed.iter().map(|path| Key::parse(path)).collect()
    }

    /// Whether an attempt's files are orphans.
    pub fn is_orphan(self, view: &View, watermark: Place, place: Place, attempt: u8, winner: Option<u8>) -> bool {
        let at_next = || {
            let next = view.tail().map_or((view.newest_open().unwrap_or(0), 1), |tail| (tail.0, tail.1 + 1));
            self.lacks(Mutation::OrphansAtNext) && place == next
        };
        decide::is_orphan(view, watermark, place, uuid(attempt), winner.map(uuid)) || at_next()
    }

    /// Rule 6: the batches behind whose end history may go; the one that reaches furthest counts.
    pub fn durable(self, view: &View, purge: Purge) -> Vec<Place> {
        if self.lacks(Mutation::PurgeAcrossGenerations) && purge != Purge::Never {
            let batches = view.batches().filter(|(_, _, batch)| batch.manifest.is_some());
            let batches = batches.filter(|(_, _, batch)| purge == Purge::AfterExtract || batch.applied.is_some());
            return batches.map(|(generation, sequence, _)| (generation, sequence)).collect();
        }
        decide::durable(view, purge).into_iter().collect()
    }
}
