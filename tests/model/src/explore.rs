//! The state space: what may happen next, and the promises that must hold wherever it leads.

use delsert::retry::{self, Disposition};
use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::care::Mutation;
use crate::process::{Fault, Process, Protocol, Stage, Step};
use crate::rest::Rest;
use crate::scenario::Scenario;
use crate::spec::{self, Broken};
use crate::world::World;

/// What may still happen: how many changes were made, and how many faults of each kind are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Left {
    /// Changes made.
    pub changes: u8,
    /// Answers to be lost.
    pub lost: u8,
    /// Parts to be stored otherwise than they were sent, or to arrive so.
    pub damaged: u8,
    /// Holders of the lock to be killed.
    pub killed: u8,
    /// Runs of the source's cleanup job.
    pub cleaned: u8,
    /// Restores of the source.
    pub restored: u8,
}

impl Left {
    /// Nothing.
    pub const NONE: Self = Self { changes: 0, lost: 0, damaged: 0, killed: 0, cleaned: 0, restored: 0 };
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// What stands outside the processes.
    pub world: World,
    /// The processes.
    pub processes: Vec<Process>,
    /// The promise broken on the way here.
    pub broken: Option<Broken>,
    /// What may still happen.
    pub left: Left,
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The source commits its next change.
    Change,
    /// The capture job comes to the end of the log.
    Capture,
    /// The cleanup job removes all history before the maximum.
    Clean,
    /// The source is restored.
    Restore,
    /// A process takes its next step.
    Step(u8, Fault),
    /// The process that holds the lock is killed.
    Kill(u8),
}

/// A scenario with a mutation, as the checker explores it.
#[derive(Debug)]
pub struct Exploration {
    scenario: Scenario,
    protocol: Protocol,
    rest: Rest,
}

/// What exploring gave.
#[derive(Debug)]
pub struct Explored {
    /// Distinct states.
    pub states: usize,
    /// The longest way to a state.
    pub depth: usize,
    /// The promise broken, and a shortest way there.
    pub violation: Option<(&'static str, Vec<Action>)>,
}

impl Scenario {
    /// Explores the whole space, or up to the first promise broken.
    pub fn explore(&self) -> Explored {
        self.explore_until(None, HasDiscoveries::AnyFailures)
    }

    /// Explores the protocol minus one care, up to the first time that it breaks that promise.
    pub fn explore_without(&self, mutation: Mutation, promise: &'static str) -> Explored {
        self.explore_until(Some(mutation), HasDiscoveries::AnyOf([promise].into()))
    }

    fn explore_until(&self, mutation: Option<Mutation>, broken: HasDiscoveries) -> Explored {
        let promise = match &broken {
            HasDiscoveries::AnyOf(promises) => promises.first().copied(),
            _ => None,
        };
        let protocol = self.protocol(mutation);
        let exploration = Exploration { scenario: self.clone(), protocol, rest: Rest::default() };
        let checker = exploration.checker().finish_when(broken).spawn_bfs().join();
        let mut found = checker.discoveries().into_iter();
        let violation = found.find(|(name, _)| promise.is_none_or(|promise| promise == *name));
        let violation = violation.map(|(name, path)| (name, path.into_actions()));
        Explored { states: checker.unique_state_count(), depth: checker.max_depth(), violation }
    }
}

impl Exploration {
    fn step(&self, after: &mut State, slot: u8, fault: Fault) {
        let before = after.processes.clone();
        let process = &before[usize::from(slot)];
        let (world, broken) = (&mut after.world, &mut after.broken);
        let mut stage = Stage { protocol: &self.protocol, world, broken, processes: &before, slot, fault };
        let next = match process.step(&mut stage) {
            Step::Next(next) => next,
            Step::End(end) => {
                if let Err(kind) = end
                    && retry::table(kind) == Disposition::Person
                    && !spec::is_justified(&self.protocol, stage.world, kind)
                {
                    stage.breaks(Broken::FalseAlarm(kind));
                }
                Process::Ended
            }
        };
        after.processes[usize::from(slot)] = next;
    }

    /// What is broken in a world, whatever the processes do from here.
    fn judge(&self, world: &World) -> Option<Broken> {
        if spec::batch_without_parts(world) {
            return Some(Broken::BatchWithoutParts);
        }
        self.rest.judge(self.protocol.at_rest(), world)
    }

    fn happen(&self, state: &mut State, action: Action) {
        let source = &mut state.world.source;
        match action {
            Action::Change => {
                let (key, is_delete) = self.scenario.change(state.left.changes).expect("offered only then");
                source.write(key, is_delete);
                state.left.changes += 1;
            }
            Action::Capture => source.capture(),
            Action::Clean => {
                source.minimum = source.captured;
                state.left.cleaned -= 1;
            }
            Action::Restore => {
                let end = self.scenario.restore_to;
                source.log.truncate(end.into());
                source.life += 1;
                source.captured = source.captured.min(end);
                source.minimum = source.minimum.min(end);
                state.left.restored -= 1;
            }
            Action::Kill(slot) => {
                state.world.target.lock = None;
                state.processes[usize::from(slot)] = Process::Ended;
                state.left.killed -= 1;
            }
            Action::Step(slot, fault) => {
                match fault {
                    Fault::None => {}
                    Fault::AnswerLost => state.left.lost -= 1,
                    Fault::Damaged => state.left.damaged -= 1,
                }
                self.step(state, slot, fault);
            }
        }
    }
}

impl Model for Exploration {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut beginning = self.scenario.beginning();
        beginning.broken = self.judge(&beginning.world);
        vec![beginning]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        let (world, left) = (&state.world, &state.left);
        let faults = [(Fault::None, 1), (Fault::AnswerLost, left.lost), (Fault::Damaged, left.damaged)];
        for (slot, process) in (0..).zip(&state.processes) {
            if process.is_ready(&self.protocol, world) {
                let meets = faults
                    .iter()
                    .filter(|(fault, left)| *left > 0 && (*fault == Fault::None || process.can_meet(*fault)));
                actions.extend(meets.map(|(fault, _)| Action::Step(slot, *fault)));
            }
            if left.killed > 0 && world.target.lock == Some(slot) {
                actions.push(Action::Kill(slot));
            }
        }
        let source = &world.source;
        if self.scenario.change(left.changes).is_some() {
            actions.push(Action::Change);
        }
        if usize::from(source.captured) < source.log.len() {
            actions.push(Action::Capture);
        }
        if left.cleaned > 0 && source.minimum < source.captured {
            actions.push(Action::Clean);
        }
        if left.restored > 0 && usize::from(self.scenario.restore_to) < source.log.len() {
            actions.push(Action::Restore);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.happen(&mut state, action);
        // Most steps only read.
        if state.broken.is_none() && state.world != last.world {
            state.broken = self.judge(&state.world);
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        macro_rules! never {
            ($name:literal, $broken:pat) => {
                Property::always($name, |_, state: &State| !matches!(state.broken, Some($broken)))
            };
        }
        vec![
            never!("each batch is applied once, in order", Broken::AppliedOutOfOrder),
            never!("no live part is removed", Broken::LivePartRemoved),
            never!("a batch has its parts until it is applied", Broken::BatchWithoutParts),
            never!("no batch is removed before it is applied", Broken::BatchRemoved),
            never!("each batch begins where the one before ended", Broken::ChainBroken),
            never!("nothing is purged that is not durable", Broken::PurgedTooFar),
            never!("a gap opens one generation", Broken::TwoGenerations),
            never!("a person is asked only with reason", Broken::FalseAlarm(_)),
            never!("at rest the target equals the source", Broken::NotEqual),
            never!("nothing is left behind", Broken::PartsLeft),
        ]
    }
}
