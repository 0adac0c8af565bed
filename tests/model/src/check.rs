//! `check` and `resync`, step by step.

use delsert::ledger::decide::{self, Place};

use crate::care::Mutation;
use crate::load::Load;
use crate::process::{Stage, Step};
use crate::world::{Listing, Name, view};

/// A check.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Check {
    /// Connects to the source.
    #[default]
    Start,
    /// Lists the ledger before the watermark is read; an error is told only if that stood there before, too.
    List {
        /// The source's fingerprint.
        life: u8,
        /// The watermark as it was read before.
        before: Option<Place>,
    },
    /// Reads the watermark and decides.
    Watermark {
        /// The source's fingerprint.
        life: u8,
        /// The watermark as it was read before.
        before: Option<Place>,
        /// The ledger.
        listing: Listing,
    },
    /// Opens a generation.
    Open {
        /// The source's fingerprint.
        life: u8,
        /// The watermark.
        at: Place,
        /// Its number.
        generation: u64,
    },
    /// Lists the ledger again after that.
    Opened(Place),
    /// Finishes leftovers.
    Resume(Place, Load),
    /// Looks for what can no longer become a batch.
    Orphans(Place, Look),
    /// Looks again, since a listing is no moment in time.
    OrphansAgain(Place, Listing, Look),
    /// Removes what both doomed.
    Remove(Listing),
}

/// A look for orphans: a listing, which is no moment in time but goes on from batch to batch while others write, and then
/// the manifests that it names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Look {
    listing: Listing,
    is_listed: bool,
}

/// A resync.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Resync {
    /// Connects to the source, and reads the watermark.
    #[default]
    Start,
    /// Lists the ledger.
    List {
        /// The source's fingerprint.
        life: u8,
        /// The watermark.
        at: Place,
    },
    /// Opens a generation.
    Open {
        /// The source's fingerprint.
        life: u8,
        /// Its number.
        generation: u64,
    },
}

impl Check {
    /// Takes one step.
    pub fn step(&self, stage: &mut Stage<'_>) -> Step<Self> {
        match self {
            Self::Start => Step::Next(Self::List { life: stage.world.source.life, before: None }),
            Self::List { life, before } => {
                let listing = stage.world.bucket.list();
                Step::Next(Self::Watermark { life: *life, before: *before, listing })
            }
            Self::Watermark { life, before, listing } => {
                let (view, at) = (view(listing), stage.world.target.at);
                match decide::next_batch(&view, at) {
                    Err(error) if stage.protocol.care.is_certain(*before, at) => return Step::End(Err(error.kind())),
                    Err(_) => return Step::Next(Self::List { life: *life, before: Some(at) }),
                    Ok(_) => {}
                }
                if view.newest_open().is_none() {
                    let generation = decide::next_generation(&view, at);
                    return Step::Next(Self::Open { life: *life, at, generation });
                }
                Step::Next(Self::after_opening(at, view.tail().is_some()))
            }
            Self::Open { life, at, generation } => {
                stage.open(*generation, *life, None);
                Step::Next(Self::Opened(*at))
            }
            Self::Opened(at) => {
                let has_tail = view(&stage.world.bucket.list()).tail().is_some();
                Step::Next(Self::after_opening(*at, has_tail))
            }
            Self::Resume(at, load) => match load.step(stage) {
                Step::End(Ok(())) => Step::Next(Self::orphans(*at)),
                other => other.map(|load| Self::Resume(*at, load)),
            },
            Self::Orphans(at, look) => match look.step(stage, *at) {
                Err(look) => Step::Next(Self::Orphans(*at, look)),
                Ok(doomed) if doomed.is_empty() => Step::End(Ok(())),
                Ok(doomed) if stage.protocol.care.lacks(Mutation::OneLook) => Step::Next(Self::Remove(doomed)),
                Ok(doomed) => Step::Next(Self::OrphansAgain(*at, doomed, Look::default())),
            },
            Self::OrphansAgain(at, first, look) => match look.step(stage, *at) {
                Err(look) => Step::Next(Self::OrphansAgain(*at, first.clone(), look)),
                Ok(mut doomed) => {
                    doomed.retain(|key| first.contains(key));
                    Self::remove(&doomed)
                }
            },
            Self::Remove(doomed) => {
                stage.remove(doomed[0]);
                Self::remove(&doomed[1..])
            }
        }
    }

    fn after_opening(at: Place, has_tail: bool) -> Self {
        if has_tail { Self::Resume(at, Load::default()) } else { Self::orphans(at) }
    }

    fn orphans(at: Place) -> Self {
        Self::Orphans(at, Look::default())
    }

    fn remove(doomed: &[crate::world::Key]) -> Step<Self> {
        if doomed.is_empty() { Step::End(Ok(())) } else { Step::Next(Self::Remove(doomed.to_vec())) }
    }
}

impl Look {
    /// Lists another batch, or else reads the manifests and gives what can no longer become a batch.
    fn step(&self, stage: &Stage<'_>, watermark: Place) -> Result<Listing, Self> {
        if self.is_listed {
            return Ok(self.orphans(stage, watermark));
        }
        let mut listing = self.listing.clone();
        let last = listing.last().map(|key| key.place());
        let rest = stage.world.bucket.list().into_iter().filter(|key| last.is_none_or(|last| key.place() > last));
        let rest: Listing = rest.collect();
        let Some(batch) = rest.first().map(|key| key.place()) else {
            return Err(Self { listing, is_listed: true });
        };
        listing.extend(rest.iter().filter(|key| key.place() == batch));
        Err(Self { listing, is_listed: false })
    }

    fn orphans(&self, stage: &Stage<'_>, watermark: Place) -> Listing {
        let (mut doomed, view) = (self.listing.clone(), view(&self.listing));
        doomed.retain(|key| {
            let Name::Part(attempt) = key.name else { return false };
            let is_listed = key.place() > watermark && view.has_manifest(key.place().0, key.place().1);
            let winner = stage.world.bucket.manifest(key.place()).filter(|_| is_listed);
            let winner = winner.map(|manifest| manifest.attempt);
            stage.protocol.care.is_orphan(&view, watermark, key.place(), attempt, winner)
        });
        doomed
    }
}

impl Resync {
    /// Takes one step.
    pub fn step(&self, stage: &mut Stage<'_>) -> Step<Self> {
        match self {
            Self::Start => Step::Next(Self::List { life: stage.world.source.life, at: stage.world.target.at }),
            Self::List { life, at } => {
                let generation = decide::next_generation(&view(&stage.world.bucket.list()), *at);
                Step::Next(Self::Open { life: *life, generation })
            }
            Self::Open { life, generation } => {
                stage.open(*generation, *life, None);
                Step::End(Ok(()))
            }
        }
    }
}
