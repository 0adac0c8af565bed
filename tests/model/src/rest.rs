//! What a quiet round makes of a state in which every process died: the promise that the protocol is for.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Mutex;

use delsert::error::Kind;

use crate::check::{Check, Resync};
use crate::extract::Extract;
use crate::load::Load;
use crate::process::{Fault, Process, Protocol, Stage, Step};
use crate::spec::{self, Broken};
use crate::world::{Name, World};

/// The number that the processes of a quiet round go by.
const QUIET: u8 = 15;

/// Answers remembered by the world's hash: many states differ in their processes only.
#[derive(Debug, Default)]
pub struct Rest {
    known: Mutex<HashMap<u64, Option<Broken>>>,
    hasher: BuildHasherDefault<DefaultHasher>,
}

impl Rest {
    /// What is broken once all processes die here and a quiet round follows.
    pub fn judge(&self, protocol: Protocol, world: &World) -> Option<Broken> {
        let mut world = world.clone();
        world.target.lock = None;
        let hash = self.hasher.hash_one(&world);
        let lock = || self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = lock().get(&hash) {
            return *known;
        }
        let broken = judge(protocol, world).err();
        lock().insert(hash, broken);
        broken
    }
}

/// A quiet round, a resync if the round rightly asks for one; then the same after one more change, which must also have
/// removed what attempts left.
fn judge(protocol: Protocol, mut world: World) -> Result<(), Broken> {
    recover(protocol, &mut world)?;
    let is_delete = world.source.rows()[0] > 0;
    world.source.write(Some(0), is_delete);
    recover(protocol, &mut world)?;
    let is_part = |(key, _): (crate::world::Key, _)| matches!(key.name, Name::Part(_));
    if world.bucket.objects().any(is_part) { Err(Broken::PartsLeft) } else { Ok(()) }
}

fn recover(protocol: Protocol, world: &mut World) -> Result<(), Broken> {
    if round(protocol, world)?.is_some() {
        run(protocol, world, Process::Resync(Resync::default()))?;
        if let Some(kind) = round(protocol, world)? {
            return Err(Broken::FalseAlarm(kind));
        }
    }
    if world.target.rows == world.source.rows() { Ok(()) } else { Err(Broken::NotEqual) }
}

/// The three tasks in order, alone and without a fault; gives what they rightly ask a person for.
pub fn round(protocol: Protocol, world: &mut World) -> Result<Option<Kind>, Broken> {
    world.source.capture();
    let mut asked = run(protocol, world, Process::Check(Check::default()))?;
    asked = asked.or(run(protocol, world, Process::Extract(Extract::default()))?);
    Ok(asked.or(run(protocol, world, Process::Load(Load::default()))?))
}

/// Runs one process to its end.
pub fn run(protocol: Protocol, world: &mut World, mut process: Process) -> Result<Option<Kind>, Broken> {
    let mut broken = None;
    for _ in 0..500 {
        let (slot, fault) = (QUIET, Fault::None);
        let mut stage =
            Stage { protocol: &protocol, world: &mut *world, broken: &mut broken, processes: &[], slot, fault };
        let step = process.step(&mut stage);
        if let Some(broken) = broken {
            return Err(broken);
        }
        match step {
            Step::Next(next) => process = next,
            Step::End(Ok(())) => return Ok(None),
            Step::End(Err(kind)) if spec::is_justified(&protocol, world, kind) => return Ok(Some(kind)),
            Step::End(Err(kind)) => return Err(Broken::FalseAlarm(kind)),
        }
    }
    panic!("a process alone does not end: {process:?}");
}
