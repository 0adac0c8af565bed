//! Processes: small programs whose every step is one operation on source, bucket or target, as in the product.

use delsert::config::{OnGap, Purge};
use delsert::error::Kind;
use delsert::ledger::decide::Place;

use crate::care::Care;
use crate::check::{Check, Resync};
use crate::extract::Extract;
use crate::load::Load;
use crate::spec::Broken;
use crate::world::World;

/// How the tasks are configured, and what is left out of them.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    /// The cares taken.
    pub care: Care,
    /// `sync.purge`.
    pub purge: Purge,
    /// `sync.on_gap`.
    pub on_gap: OnGap,
    /// Whether each tail is old enough that a table found idle gets an empty batch.
    pub stale: bool,
}

impl Protocol {
    /// The same in quiet rounds.
    #[must_use]
    pub fn at_rest(self) -> Self {
        Self { care: self.care.at_rest(), ..self }
    }
}

/// What goes wrong in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing.
    None,
    /// The bucket does it, the answer is lost, and the client that asks again meets its own object.
    AnswerLost,
    /// The bucket stores a part otherwise than it was sent, or a part arrives otherwise than it is stored.
    Damaged,
}

/// A process. What can still happen to it is all in its state; one that is frozen is one that is not chosen, and one
/// that was killed is one that is never chosen again, but for the lock that it frees.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Process {
    /// `check`.
    Check(Check),
    /// `extract`.
    Extract(Extract),
    /// `load`.
    Load(Load),
    /// `resync`.
    Resync(Resync),
    /// Any, once it has ended.
    Ended,
}

/// Where a step leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<P> {
    /// To another step.
    Next(P),
    /// To the end: clean, or with the failure that the exit code comes from.
    End(Result<(), Kind>),
}

/// What a step sees.
pub struct Stage<'a> {
    /// The configuration.
    pub protocol: &'a Protocol,
    /// All that it may touch.
    pub world: &'a mut World,
    /// The first promise that was broken.
    pub broken: &'a mut Option<Broken>,
    /// All processes, this one included, as they were before the step.
    pub processes: &'a [Process],
    /// This one's number.
    pub slot: u8,
    /// What goes wrong.
    pub fault: Fault,
}

/// An attempt under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// The batch that it wants to make.
    pub place: Place,
    /// Its name.
    pub attempt: u8,
    /// L0, if it makes a snapshot.
    pub origin: Option<u8>,
}

impl<P> Step<P> {
    /// The same, in the program that this one is part of.
    pub fn map<Q>(self, into: impl FnOnce(P) -> Q) -> Step<Q> {
        match self {
            Self::Next(next) => Step::Next(into(next)),
            Self::End(end) => Step::End(end),
        }
    }
}

impl Process {
    /// Takes one step.
    pub fn step(&self, stage: &mut Stage<'_>) -> Step<Self> {
        match self {
            Self::Check(check) => check.step(stage).map(Self::Check),
            Self::Extract(extract) => extract.step(stage).map(Self::Extract),
            Self::Load(load) => load.step(stage).map(Self::Load),
            Self::Resync(resync) => resync.step(stage).map(Self::Resync),
            Self::Ended => Step::End(Ok(())),
        }
    }

    /// Whether it can go on: a transaction waits for the table's lock.
    pub fn is_ready(&self, protocol: &Protocol, world: &World) -> bool {
        match self {
            Self::Load(load) | Self::Check(Check::Resume(_, load)) => load.is_ready(protocol, world),
            Self::Ended => false,
            _ => true,
        }
    }

    /// Whether a fault can meet its next step.
    pub fn can_meet(&self, fault: Fault) -> bool {
        match self {
            Self::Extract(extract) => extract.can_meet(fault),
            Self::Load(load) | Self::Check(Check::Resume(_, load)) => load.can_meet(fault),
            _ => false,
        }
    }

    /// The attempt that it could still publish.
    pub fn live(&self) -> Option<Live> {
        match self {
            Self::Extract(extract) => extract.live(),
            _ => None,
        }
    }
}
