//! `extract` of one table: `task::extract` step by step. `attempt` holds the steps of one try at one batch.

use delsert::error::Kind;
use delsert::ledger::decide::{self, Place};
use delsert::ledger::view::View;

use crate::attempt::{Attempt, Outcome, Try};
use crate::care::Mutation;
use crate::process::{Fault, Live, Stage, Step};
use crate::world::{Body, Key, view};

/// An extract.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Extract {
    /// The source's fingerprint, read first.
    pub fingerprint: u8,
    /// The life of the source that the connection is of; a restore ends it.
    pub connected: u8,
    /// The minimum, as the catalogue told it then.
    minimum: u8,
    /// The cut.
    pub cut: u8,
    /// Attempts so far.
    pub tries: u8,
    /// Whether a generation was opened for a gap.
    gap_mended: bool,
    /// Whether the fingerprint was read again.
    looked_again: bool,
    /// The end of its own window; kept only where a mutation purges by it.
    own: Option<u8>,
    at: At,
}

/// What a listing said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seen {
    newest: Option<u64>,
    tail: Option<Place>,
}

/// The step to come.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
enum At {
    /// Connects, reads the fingerprint and the maximum.
    #[default]
    Start,
    /// Reads the ledger for the first time, and asks whether the table is idle.
    Jobs,
    /// Lists the ledger.
    List,
    /// Decides which batch is next.
    Window(Seen),
    /// Tries to make it.
    Try(Seen, Try),
    /// Lists the ledger before it purges.
    Last,
    /// Purges behind the end of these batches.
    Purge(Vec<Place>),
    /// Lists the ledger after a failure that another worker's progress would explain.
    Doubt(Seen, Kind),
    /// Reads the fingerprint again, since it seems that the source was restored.
    Again,
    /// Reads what opened the generation that has the gap.
    Reopen(u64, u64),
    /// Opens the generation that mends it.
    Open(u64, u64),
}

/// Failures that another worker's progress would explain.
const DOUBTFUL: [Kind; 4] = [Kind::Gap, Kind::Restored, Kind::NotOpen, Kind::LedgerUnreadable];

impl Extract {
    fn to(&self, at: At) -> Step<Self> {
        Step::Next(Self { at, ..self.clone() })
    }

    /// Whether a fault can meet the next step.
    pub fn can_meet(&self, fault: Fault) -> bool {
        matches!(&self.at, At::Try(_, attempt) if attempt.can_meet(fault))
    }

    /// The attempt that may still be published.
    pub fn live(&self) -> Option<Live> {
        match &self.at {
            At::Try(_, attempt) => attempt.live(),
            _ => None,
        }
    }

    /// Takes one step.
    pub fn step(&self, stage: &mut Stage<'_>) -> Step<Self> {
        match &self.at {
            At::Start => {
                let source = &stage.world.source;
                let (life, minimum, cut) = (source.life, source.minimum, source.captured);
                Step::Next(Self { fingerprint: life, connected: life, minimum, cut, at: At::Jobs, ..Self::default() })
            }
            At::Jobs => self.jobs(stage),
            At::List => self.to(At::Window(seen(stage))),
            At::Window(seen) => match self.window(stage, *seen) {
                Ok(None) => self.to(At::Last),
                Ok(Some(attempt)) => {
                    let own = attempt.manifest.from.map(|_| attempt.manifest.to);
                    let own = own.filter(|_| stage.protocol.care.lacks(Mutation::PurgeByOwnWindow));
                    let tries = self.tries + 1;
                    Step::Next(Self { tries, own, at: At::Try(*seen, Try::start(attempt)), ..self.clone() })
                }
                Err(kind) => self.failed(stage, *seen, kind),
            },
            At::Try(seen, attempt) => match attempt.step(stage, self) {
                Outcome::Next(attempt) => self.to(At::Try(*seen, attempt)),
                Outcome::Ended => self.to(At::Last),
                Outcome::Lost => {
                    // The connection is made anew.
                    Step::Next(Self { connected: stage.world.source.life, at: At::Last, ..self.clone() })
                }
                Outcome::Failed(kind) => self.failed(stage, *seen, kind),
            },
            At::Last => self.last(stage),
            At::Purge(places) => self.purge(stage, places),
            At::Doubt(before, kind) => self.doubt(stage, *before, *kind),
            // Where the source became another since this process began, its next run knows it.
            At::Again if !self.is_connected(stage) => Step::End(Err(Kind::SourceBusy)),
            At::Again => Step::Next(Self { looked_again: true, at: At::List, ..self.clone() }),
            At::Reopen(gap_in, generation) => match stage.world.bucket.get(Key::open(*gap_in)) {
                Some(_) => self.to(At::Open(*gap_in, *generation)),
                None if stage.protocol.care.lacks(Mutation::GoneIsNotOpen) => Step::End(Err(Kind::NotOpen)),
                // Others have mended it, and loaded the copy.
                None => Step::Next(Self { gap_mended: true, at: At::List, ..self.clone() }),
            },
            At::Open(gap_in, generation) => {
                let mut generation = *generation;
                if stage.protocol.care.lacks(Mutation::GapOpensHighest) {
                    generation = decide::next_generation(&view(&stage.world.bucket.list()), (0, 0));
                }
                stage.open(generation, self.fingerprint, Some(*gap_in));
                Step::Next(Self { gap_mended: true, at: At::List, ..self.clone() })
            }
        }
    }

    /// Whether the source still talks to this process.
    pub fn is_connected(&self, stage: &Stage<'_>) -> bool {
        self.connected == stage.world.source.life
    }

    fn failed(&self, stage: &Stage<'_>, seen: Seen, kind: Kind) -> Step<Self> {
        let is_blind = self.looked_again || stage.protocol.care.lacks(Mutation::RestoredByOldFingerprint);
        match kind {
            Kind::Restored if !is_blind => self.to(At::Again),
            kind if DOUBTFUL.contains(&kind) => self.to(At::Doubt(seen, kind)),
            kind => Step::End(Err(kind)),
        }
    }

    /// The first listing, the tail, and whether the table is idle.
    fn jobs(&self, stage: &Stage<'_>) -> Step<Self> {
        if !self.is_connected(stage) {
            return Step::End(Err(Kind::SourceUnreachable));
        }
        let view = view(&stage.world.bucket.list());
        let source = &stage.world.source;
        let tail = view.tail().and_then(|place| stage.world.bucket.manifest(place));
        let idle = tail.is_some_and(|tail| {
            let same = tail.life == self.fingerprint && source.stamp(tail.to) == tail.stamp;
            let is_whole = self.minimum <= tail.to || stage.protocol.care.lacks(Mutation::IdleByChangesAlone);
            let quiet = same && is_whole && tail.to <= source.captured && !stage.protocol.stale;
            quiet && (tail.to >= self.cut || source.window(tail.to, self.cut).next().is_none())
        });
        if !idle {
            return self.to(At::List);
        }
        self.to_purge(stage, &view)
    }

    /// `window::next`: what comes after the tail, once the source is known to be the ledger's and to still have it.
    fn window(&self, stage: &Stage<'_>, seen: Seen) -> Result<Option<Attempt>, Kind> {
        let world = &*stage.world;
        let newest = seen.newest.ok_or(Kind::NotOpen)?;
        let Some(Body::Open(life)) = world.bucket.get(Key::open(newest)) else { return Err(Kind::NotOpen) };
        if life != self.fingerprint {
            return Err(Kind::Restored);
        }
        let id = stage.slot * 8 + self.tries;
        let Some(place) = seen.tail else {
            return Ok(Some(Attempt::snapshot((newest, 1), id, self.fingerprint)));
        };
        let tail = world.bucket.manifest(place).ok_or(Kind::LedgerUnreadable)?;
        if tail.life != self.fingerprint {
            return Err(Kind::Restored);
        }
        if !self.is_connected(stage) {
            return Err(Kind::SourceUnreachable);
        }
        let source = &world.source;
        if source.captured < tail.to && tail.stamp.is_some() {
            return Err(Kind::Restored);
        }
        if source.minimum > tail.to {
            return Err(Kind::Gap);
        }
        if tail.stamp.is_some() && source.stamp(tail.to) != tail.stamp {
            return Err(Kind::Restored);
        }
        if self.cut <= tail.to {
            return Ok(None);
        }
        Ok(Some(Attempt::window((place.0, place.1 + 1), id, self.fingerprint, tail.to, self.cut)))
    }

    /// The listing that says what is durable.
    fn last(&self, stage: &mut Stage<'_>) -> Step<Self> {
        if let Some(own) = self.own {
            stage.purge(own);
            return Step::End(Ok(()));
        }
        self.to_purge(stage, &view(&stage.world.bucket.list()))
    }

    fn to_purge(&self, stage: &Stage<'_>, view: &View) -> Step<Self> {
        match stage.protocol.care.durable(view, stage.protocol.purge) {
            places if places.is_empty() => Step::End(Ok(())),
            places => self.to(At::Purge(places)),
        }
    }

    /// Purges; a failure is told and left to the next run.
    fn purge(&self, stage: &mut Stage<'_>, places: &[Place]) -> Step<Self> {
        let ends = places.iter().filter_map(|place| stage.world.bucket.manifest(*place));
        let furthest = ends.map(|manifest| manifest.to).max();
        if let (Some(furthest), true) = (furthest, self.is_connected(stage)) {
            stage.purge(furthest);
        }
        Step::End(Ok(()))
    }

    fn doubt(&self, stage: &Stage<'_>, before: Seen, kind: Kind) -> Step<Self> {
        let listing = stage.world.bucket.list();
        let now = view(&listing);
        if seen(stage) != before {
            return self.to(At::List);
        }
        let mended_by = decide::mended_by(&now, stage.protocol.on_gap);
        match (mended_by.filter(|_| kind == Kind::Gap && !self.gap_mended), now.newest_open()) {
            (Some(generation), Some(gap_in)) => self.to(At::Reopen(gap_in, generation)),
            _ => Step::End(Err(kind)),
        }
    }
}

fn seen(stage: &Stage<'_>) -> Seen {
    let view = view(&stage.world.bucket.list());
    Seen { newest: view.newest_open(), tail: view.tail() }
}
