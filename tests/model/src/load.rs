//! `load`, and the part of `check` that finishes leftovers: `task::load::table_to_tail` step by step.
//!
//! Two nets below the protocol are left out, since it must hold without them: the watermark's write is not conditional
//! here, and the transaction does not refuse a batch at or below the watermark.

use delsert::error::Kind;
use delsert::ledger::decide::{self, Place};

use crate::care::Mutation;
use crate::process::{Fault, Protocol, Stage, Step};
use crate::world::{Body, Changes, Key, Listing, Manifest, Name, World, view};

/// A load.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Load {
    /// The batch that was last refused for its parts.
    refused: Option<Place>,
    at: At,
}

/// The step to come.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
enum At {
    /// Lists the ledger: is there anything at all?
    #[default]
    Start,
    /// Lists it before the watermark is read; an error is told only if that stood there before, too.
    List { before: Option<Place> },
    /// Reads the watermark and decides.
    Watermark { before: Option<Place>, listing: Listing },
    /// Marks the watermark's batch applied.
    Mark { seen: Place, doomed: Listing, next: Option<Place> },
    /// Removes what is done with, object by object.
    Tidy { seen: Place, doomed: Listing, next: Option<Place> },
    /// Reads the manifest.
    Manifest(Choice),
    /// Begins the transaction and takes the lock, as soon as it is free.
    Lock(Choice, Manifest),
    /// Lists the ledger under the lock, and decides again by the watermark read under it.
    Decide { choice: Choice, manifest: Manifest, watermark: Place, position: Option<u8> },
    /// Copies the parts.
    Copy(Choice, Manifest),
    /// Commits.
    Commit(Choice, Manifest, Changes),
    /// Lists the ledger after parts were missing.
    Refused(Choice),
}

/// The batch chosen, and the watermark that it was chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Choice {
    seen: Place,
    next: Place,
}

impl Load {
    fn to(&self, at: At) -> Step<Self> {
        Step::Next(Self { at, ..self.clone() })
    }

    /// Whether it need not wait for the lock.
    pub fn is_ready(&self, protocol: &Protocol, world: &World) -> bool {
        let waits = matches!(self.at, At::Lock(..)) && !protocol.care.lacks(Mutation::NoLock);
        !waits || world.target.lock.is_none()
    }

    /// Whether a fault can meet the next step: the way from the bucket damages what it carries.
    pub fn can_meet(&self, fault: Fault) -> bool {
        fault == Fault::Damaged && matches!(&self.at, At::Copy(_, manifest) if manifest.has_part)
    }

    /// Takes one step.
    pub fn step(&self, stage: &mut Stage<'_>) -> Step<Self> {
        match &self.at {
            At::Start => match stage.world.bucket.list() {
                listing if listing.is_empty() => Step::End(Err(Kind::NotOpen)),
                listing if view(&listing).newest_open().is_none() => Step::End(Ok(())),
                _ => self.to(At::List { before: None }),
            },
            At::List { before } => self.to(At::Watermark { before: *before, listing: stage.world.bucket.list() }),
            At::Watermark { before, listing } => self.decide(stage, *before, listing),
            At::Mark { seen, doomed, next } => {
                stage.world.bucket.create(Key::of(*seen, Name::Applied), Body::Applied);
                self.to(At::Tidy { seen: *seen, doomed: doomed.clone(), next: *next }).skip()
            }
            At::Tidy { seen, doomed, next } => {
                let (key, rest) = doomed.split_first().expect("skipped when empty");
                stage.remove(*key);
                self.to(At::Tidy { seen: *seen, doomed: rest.to_vec(), next: *next }).skip()
            }
            At::Manifest(choice) => match stage.world.bucket.manifest(choice.next) {
                Some(manifest) => self.to(At::Lock(*choice, manifest)),
                None => self.to(At::List { before: None }),
            },
            At::Lock(choice, manifest) => {
                if !stage.protocol.care.lacks(Mutation::NoLock) {
                    stage.world.target.lock = Some(stage.slot);
                }
                let target = &stage.world.target;
                let (watermark, position) = (target.at, target.position);
                self.to(At::Decide { choice: *choice, manifest: *manifest, watermark, position })
            }
            At::Decide { choice, manifest, watermark, position } => {
                self.decide_under_lock(stage, *choice, *manifest, *watermark, *position)
            }
            At::Copy(choice, manifest) => self.copy(stage, *choice, *manifest),
            At::Commit(choice, manifest, changes) => {
                stage.commit(choice.next, *manifest, *changes);
                self.to(At::List { before: None })
            }
            At::Refused(choice) => {
                let view = view(&stage.world.bucket.list());
                if stage.protocol.care.is_damaged(&view, choice.seen, self.refused, choice.next) {
                    return Step::End(Err(Kind::PartDamaged));
                }
                Step::Next(Self { refused: Some(choice.next), at: At::List { before: None } })
            }
        }
    }

    fn decide(&self, stage: &mut Stage<'_>, before: Option<Place>, listing: &Listing) -> Step<Self> {
        let (view, seen) = (view(listing), stage.world.target.at);
        let next = match decide::next_batch(&view, seen) {
            Ok(next) => next,
            Err(error) if stage.protocol.care.is_certain(before, seen) => return Step::End(Err(error.kind())),
            Err(_) => return self.to(At::List { before: Some(seen) }),
        };
        let doomed = stage.protocol.care.tidy(&view, seen);
        let marked = view.batch(seen.0, seen.1);
        if marked.is_some_and(|batch| batch.manifest.is_some() && batch.applied.is_none()) {
            return self.to(At::Mark { seen, doomed, next });
        }
        self.to(At::Tidy { seen, doomed, next }).skip()
    }

    fn decide_under_lock(
        &self,
        stage: &mut Stage<'_>,
        choice: Choice,
        manifest: Manifest,
        mut watermark: Place,
        position: Option<u8>,
    ) -> Step<Self> {
        let listing = stage.world.bucket.list();
        let is_blind = stage.protocol.care.lacks(Mutation::WatermarkBeforeLock);
        if is_blind {
            watermark = choice.seen;
        }
        let still = decide::is_still_next(&view(&listing), choice.seen, watermark, choice.next);
        let end = match still {
            Ok(true) if manifest.from.is_none() || manifest.from == position || is_blind => None,
            Ok(true) => Some(Step::End(Err(Kind::LedgerGap))),
            Ok(false) => Some(self.to(At::List { before: None })),
            Err(error) => Some(Step::End(Err(error.kind()))),
        };
        match end {
            None => self.to(At::Copy(choice, manifest)),
            Some(end) => {
                roll_back(stage);
                end
            }
        }
    }

    fn copy(&self, stage: &mut Stage<'_>, choice: Choice, manifest: Manifest) -> Step<Self> {
        if !manifest.has_part {
            return self.to(At::Commit(choice, manifest, Changes::default()));
        }
        let part = stage.world.bucket.get(Key::of(choice.next, Name::Part(manifest.attempt)));
        if let (Some(Body::Part(Some(changes))), Fault::None) = (part, stage.fault) {
            return self.to(At::Commit(choice, manifest, changes));
        }
        roll_back(stage);
        self.to(At::Refused(choice))
    }
}

/// The end of a transaction without a commit.
fn roll_back(stage: &mut Stage<'_>) {
    if stage.world.target.lock == Some(stage.slot) {
        stage.world.target.lock = None;
    }
}

impl Step<Load> {
    /// Leaves out a step that would touch nothing.
    fn skip(self) -> Self {
        let Self::Next(load) = self else { return self };
        match load.at {
            At::Tidy { ref doomed, next: None, .. } if doomed.is_empty() => Self::End(Ok(())),
            At::Tidy { ref doomed, seen, next: Some(next) } if doomed.is_empty() => {
                Self::Next(Load { at: At::Manifest(Choice { seen, next }), ..load })
            }
            _ => Self::Next(load),
        }
    }
}
