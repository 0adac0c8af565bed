//! What was promised, said without the product's own decisions; each step that could break a promise is judged here.

use delsert::config::{OnGap, Purge};
use delsert::error::Kind;
use delsert::ledger::decide::Place;

use crate::process::{Protocol, Stage};
use crate::world::{Body, Changes, Key, Manifest, Name, World};

/// A promise, broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Broken {
    /// A batch was applied that is neither the next nor a newer snapshot.
    AppliedOutOfOrder,
    /// A part was removed that a batch still needs, or that an attempt at tail + 1 still may.
    LivePartRemoved,
    /// A batch stands in the ledger, not yet applied, whose part is not there as it was sent.
    BatchWithoutParts,
    /// A manifest was removed that is not applied.
    BatchRemoved,
    /// A batch does not begin where the one before ended.
    ChainBroken,
    /// History was purged that nothing durable holds.
    PurgedTooFar,
    /// One gap opened two generations.
    TwoGenerations,
    /// A task asked for a person without need.
    FalseAlarm(Kind),
    /// After a quiet round the target differs from the source.
    NotEqual,
    /// After two quiet rounds the bucket holds parts that nobody needs.
    PartsLeft,
}

/// Whether a newer snapshot stands in for all batches of a generation.
fn is_superseded(world: &World, generation: u8) -> bool {
    let newer = |key: Key| key.generation > generation && key.sequence == 1 && key.name == Name::Manifest;
    world.bucket.objects().any(|(key, _)| newer(key))
}

/// Whether a batch may still be applied.
fn is_due(world: &World, place: Place) -> bool {
    let generation = u8::try_from(place.0).expect("runs are short");
    place > world.target.at && !is_superseded(world, generation)
}

/// The newest manifest of the newest open generation, and that generation.
fn newest(world: &World) -> (u64, u64) {
    let open = world.bucket.objects().filter(|(key, _)| key.name == Name::Open).map(|(key, _)| key.generation).max();
    let open = open.unwrap_or(0);
    let manifests = world.bucket.objects().filter(|(key, _)| key.generation == open && key.name == Name::Manifest);
    (open.into(), manifests.map(|(key, _)| key.sequence).max().unwrap_or(0).into())
}

/// The batch that stands in the ledger and cannot be applied for want of its part.
pub fn batch_without_parts(world: &World) -> bool {
    let lacks = |(key, body): (Key, Body)| match body {
        Body::Manifest(manifest) if manifest.has_part && is_due(world, key.place()) => {
            let part = world.bucket.get(Key { name: Name::Part(manifest.attempt), ..key });
            !matches!(part, Some(Body::Part(Some(_))))
        }
        _ => false,
    };
    world.bucket.objects().any(lacks)
}

/// Whether a task may ask for a person: the newest generation is of another life of the source, or cleanup has passed
/// its end and the policy, or the generation's having only its snapshot, leaves that to a person.
pub fn is_justified(protocol: &Protocol, world: &World, kind: Kind) -> bool {
    let (generation, sequence) = newest(world);
    match kind {
        Kind::Gap => {
            let tail = world.bucket.manifest((generation, sequence));
            let is_gone = tail.is_some_and(|tail| tail.to < world.source.minimum);
            is_gone && (protocol.on_gap == OnGap::Fail || sequence == 1)
        }
        Kind::Restored => {
            matches!(world.bucket.get(Key::open(generation)), Some(Body::Open(life)) if life != world.source.life)
        }
        // Extract and load before the first check.
        Kind::NotOpen => generation == 0,
        _ => false,
    }
}

/// The position up to which history may go: what the ledger's newest snapshot and its windows hold, or, under
/// `after_load`, what the target does. Where this life of the source is in no batch, nothing is missed but by a copy
/// under way.
fn durable(stage: &Stage<'_>) -> u8 {
    let world = &*stage.world;
    let life = world.source.life;
    let loaded = (world.target.life == life).then_some(world.target.position).flatten();
    let ends = world.bucket.objects().filter_map(|(key, body)| match body {
        Body::Manifest(manifest) if manifest.life == life => Some((key.place(), manifest.to)),
        _ => None,
    });
    let extracted = ends.max().map(|(_, to)| to).max(loaded);
    if extracted.is_some() {
        let durable = if stage.protocol.purge == Purge::AfterLoad { loaded } else { extracted };
        return durable.unwrap_or(0);
    }
    let origins = stage.processes.iter().filter_map(|process| process.live()?.origin);
    origins.min().unwrap_or(world.source.captured)
}

impl Stage<'_> {
    /// Notes that a promise is broken; the first is told.
    pub fn breaks(&mut self, broken: Broken) {
        self.broken.get_or_insert(broken);
    }

    /// Removes an object.
    pub fn remove(&mut self, key: Key) {
        let place = key.place();
        let (generation, tail) = newest(self.world);
        match key.name {
            Name::Part(attempt) => {
                let winner = self.world.bucket.manifest(place);
                let is_named = winner.is_some_and(|manifest| manifest.attempt == attempt) && is_due(self.world, place);
                let mut others = self.processes.iter().enumerate().filter(|(slot, _)| *slot != usize::from(self.slot));
                let is_alive = others.any(|(_, other)| other.live().is_some_and(|live| live.attempt == attempt));
                if is_named || (is_alive && winner.is_none() && place == (generation, tail + 1)) {
                    self.breaks(Broken::LivePartRemoved);
                }
            }
            Name::Manifest if is_due(self.world, place) => self.breaks(Broken::BatchRemoved),
            _ => {}
        }
        self.world.bucket.remove(key);
    }

    /// Writes a manifest if none is there.
    pub fn publish(&mut self, place: Place, manifest: Manifest) -> bool {
        let created = self.world.bucket.create(Key::of(place, Name::Manifest), Body::Manifest(manifest));
        if created && is_due(self.world, place) {
            let before = self.world.bucket.manifest((place.0, place.1.saturating_sub(1)));
            let continues = match manifest.from {
                None => place.1 == 1,
                Some(from) => before.is_some_and(|before| before.to == from),
            };
            if !continues {
                self.breaks(Broken::ChainBroken);
            }
        }
        created
    }

    /// Commits a batch to the target.
    pub fn commit(&mut self, place: Place, manifest: Manifest, changes: Changes) {
        let target = &self.world.target;
        let is_next = place == (target.at.0, target.at.1 + 1) && manifest.from == target.position;
        let is_newer_snapshot = place.0 > target.at.0 && place.1 == 1 && manifest.from.is_none();
        if !is_next && !is_newer_snapshot {
            self.breaks(Broken::AppliedOutOfOrder);
        }
        self.world.target.commit(place, manifest, changes);
    }

    /// Purges history before the greatest position that the source knows up to this one.
    pub fn purge(&mut self, position: u8) {
        let position = position.min(self.world.source.captured);
        if position <= self.world.source.minimum {
            return;
        }
        if position > durable(self) {
            self.breaks(Broken::PurgedTooFar);
        }
        self.world.source.minimum = position;
    }

    /// Opens a generation, for a gap in another if one is named.
    pub fn open(&mut self, generation: u64, life: u8, gap_in: Option<u64>) {
        let created = self.world.bucket.create(Key::open(generation), Body::Open(life));
        let Some(gap_in) = gap_in.filter(|_| created) else { return };
        let mended = &mut self.world.mended;
        if mended.iter().any(|(gap, opened)| *gap == gap_in && *opened != generation) {
            self.breaks(Broken::TwoGenerations);
        } else if !mended.contains(&(gap_in, generation)) {
            mended.push((gap_in, generation));
        }
    }
}
