//! Scenarios: which processes run from which beginning, and what may happen to them. Each is small enough to be
//! explored whole; together they reach every mutation's danger.

use delsert::config::{OnGap, Purge};

use crate::care::{Care, Mutation};
use crate::check::{Check, Resync};
use crate::explore::{Left, State};
use crate::extract::Extract;
use crate::load::Load;
use crate::process::{Process, Protocol};
use crate::rest;
use crate::world::World;

/// A bounded piece of the protocol's whole space.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// The processes: `c`heck, `e`xtract, `l`oad, `r`esync.
    pub processes: &'static str,
    /// What happened before: changes and tasks by their letters, `>` for the capture job, `.` for a whole quiet round.
    pub before: &'static str,
    /// The changes still to come: `0` and `1` write a key, `x` and `y` delete it, `-` is another table's.
    pub changes: &'static str,
    /// `sync.purge`.
    pub purge: Purge,
    /// `sync.on_gap`.
    pub on_gap: OnGap,
    /// Whether tables found idle get an empty batch.
    pub stale: bool,
    /// How often an answer is lost, a part damaged, a lock's holder killed, history cleaned.
    pub left: Left,
    /// Where the source's log may once be restored to.
    pub restore_to: u8,
}

impl Scenario {
    /// A scenario without faults.
    pub const fn new(name: &'static str, before: &'static str, processes: &'static str, changes: &'static str) -> Self {
        Self {
            name,
            processes,
            before,
            changes,
            purge: Purge::AfterExtract,
            on_gap: OnGap::Fail,
            stale: false,
            left: Left::NONE,
            restore_to: 0,
        }
    }

    /// The configuration, with a mutation.
    pub fn protocol(&self, mutation: Option<Mutation>) -> Protocol {
        Protocol { care: Care(mutation), purge: self.purge, on_gap: self.on_gap, stale: self.stale }
    }

    /// The state it begins from, brought about by the protocol as it is.
    pub fn beginning(&self) -> State {
        let protocol = self.protocol(None);
        let mut world = World::default();
        for letter in self.before.chars() {
            match letter {
                '.' => {
                    rest::round(protocol, &mut world).expect("the beginning breaks nothing");
                }
                '>' => world.source.capture(),
                letter => match change(letter) {
                    Some((key, is_delete)) => world.source.write(key, is_delete),
                    None => {
                        rest::run(protocol, &mut world, process(letter)).expect("the beginning breaks nothing");
                    }
                },
            }
        }
        State { world, processes: self.processes.chars().map(process).collect(), broken: None, left: self.left }
    }

    /// The change with that number still to come.
    pub fn change(&self, at: u8) -> Option<(Option<u8>, bool)> {
        self.changes.chars().nth(at.into()).and_then(change)
    }
}

/// A change by its letter: its key, and whether it deletes.
fn change(letter: char) -> Option<(Option<u8>, bool)> {
    match letter {
        '0' => Some((Some(0), false)),
        '1' => Some((Some(1), false)),
        'x' => Some((Some(0), true)),
        'y' => Some((Some(1), true)),
        '-' => Some((None, false)),
        _ => None,
    }
}

fn process(letter: char) -> Process {
    match letter {
        'c' => Process::Check(Check::default()),
        'e' => Process::Extract(Extract::default()),
        'l' => Process::Load(Load::default()),
        'r' => Process::Resync(Resync::default()),
        other => panic!("no process is called {other}"),
    }
}
