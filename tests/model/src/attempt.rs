//! One try at one batch: `task::extract::attempt` step by step.

use delsert::error::Kind;
use delsert::ledger::Publication;
use delsert::ledger::decide::Place;

use crate::care::Mutation;
use crate::extract::Extract;
use crate::process::{Fault, Live, Stage};
use crate::world::{Body, Change, Changes, KEYS, Key, Listing, Manifest, Name, Source, view};

/// A batch in the making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attempt {
    place: Place,
    changes: Changes,
    /// Its manifest, as far as it is known.
    pub manifest: Manifest,
}

/// An attempt and the step to come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Try {
    attempt: Attempt,
    at: At,
}

/// Where a step leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// To another step.
    Next(Try),
    /// The batch is in the ledger, this one's or a rival's, or nothing was to tell.
    Ended,
    /// A rival's batch was found after a failure.
    Lost,
    /// It failed.
    Failed(Kind),
}

/// The step to come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum At {
    /// Reads L0.
    Origin,
    /// Copies the table from this key on.
    Copy(usize),
    /// Reads the changes of the window.
    Changes,
    /// Writes the part.
    Put,
    /// Looks how the bucket stored it.
    Verify,
    /// Reads the minimum again, and the end's commit time.
    Bounds,
    /// Creates the manifest.
    Publish,
    /// Reads the manifest that was there.
    Found,
    /// Lists what rivals left.
    Sweep,
    /// Removes it, object by object.
    Remove(Listing),
    /// Removes its own part, having lost.
    Discard,
    /// Removes its own part, having failed.
    Undo(Kind),
    /// Looks whether a rival won meanwhile.
    Taken(Kind),
}

impl Attempt {
    /// A snapshot.
    pub fn snapshot(place: Place, id: u8, life: u8) -> Self {
        let manifest = Manifest { attempt: id, from: None, to: 0, stamp: None, life, has_part: false };
        Self { place, changes: Changes::default(), manifest }
    }

    /// The changes of a window.
    pub fn window(place: Place, id: u8, life: u8, from: u8, to: u8) -> Self {
        let manifest = Manifest { attempt: id, from: Some(from), to, stamp: None, life, has_part: false };
        Self { place, changes: Changes::default(), manifest }
    }

    fn part(&self) -> Key {
        Key::of(self.place, Name::Part(self.manifest.attempt))
    }
}

impl Try {
    /// Before its first step.
    pub fn start(attempt: Attempt) -> Self {
        let at = if attempt.manifest.from.is_none() { At::Origin } else { At::Changes };
        Self { attempt, at }
    }

    fn to(&self, at: At) -> Outcome {
        Outcome::Next(Self { attempt: self.attempt, at })
    }

    /// Whether a fault can meet the next step.
    pub fn can_meet(&self, fault: Fault) -> bool {
        match fault {
            Fault::None => true,
            Fault::AnswerLost => self.at == At::Publish,
            Fault::Damaged => self.at == At::Put && self.attempt.manifest.has_part,
        }
    }

    /// The attempt, as long as it may still be published.
    pub fn live(&self) -> Option<Live> {
        let origin = match self.at {
            At::Copy(_) | At::Put | At::Verify | At::Bounds | At::Publish => {
                Some(self.attempt.manifest.to).filter(|_| self.attempt.manifest.from.is_none())
            }
            At::Origin | At::Changes => None,
            _ => return None,
        };
        Some(Live { place: self.attempt.place, attempt: self.attempt.manifest.attempt, origin })
    }

    /// Takes one step.
    pub fn step(&self, stage: &mut Stage<'_>, extract: &Extract) -> Outcome {
        match self.at {
            At::Origin | At::Copy(_) | At::Changes | At::Bounds if !extract.is_connected(stage) => {
                self.to(At::Undo(Kind::SourceUnreachable))
            }
            At::Origin | At::Copy(_) | At::Changes | At::Bounds => self.read(stage),
            At::Put | At::Verify | At::Publish | At::Found => self.write(stage),
            At::Sweep | At::Remove(_) | At::Discard | At::Undo(_) | At::Taken(_) => self.finish(stage),
        }
    }

    /// Steps at the source.
    fn read(&self, stage: &Stage<'_>) -> Outcome {
        let mut attempt = self.attempt;
        let manifest = &mut attempt.manifest;
        let (source, care) = (&stage.world.source, stage.protocol.care);
        let at = match self.at {
            At::Origin => {
                manifest.to = source.captured;
                At::Copy(0)
            }
            At::Copy(key) => {
                let value = source.rows()[key];
                if value > 0 {
                    attempt.changes[key] = Change::Upsert(value);
                    manifest.has_part = true;
                }
                if key + 1 < KEYS { At::Copy(key + 1) } else { At::Put }
            }
            At::Changes => {
                let from = manifest.from.unwrap_or(0);
                attempt.changes = net(source, from, manifest.to, care.lacks(Mutation::SilentNet));
                manifest.has_part = attempt.changes.iter().any(|change| *change != Change::None);
                if !manifest.has_part && !stage.protocol.stale {
                    return Outcome::Ended;
                }
                At::Put
            }
            _ => {
                let first = manifest.from.unwrap_or(manifest.to);
                if source.minimum > first && !care.lacks(Mutation::MinimumReadOnce) {
                    // A copy whose beginning is gone is made again by the next run.
                    let kind = if manifest.from.is_none() { Kind::SourceBusy } else { Kind::Gap };
                    return self.to(At::Undo(kind));
                }
                manifest.stamp = source.stamp(manifest.to);
                At::Publish
            }
        };
        Outcome::Next(Self { attempt, at })
    }

    /// Steps at the bucket, up to the manifest.
    fn write(&self, stage: &mut Stage<'_>) -> Outcome {
        let Attempt { place, changes, manifest } = self.attempt;
        let (part, care) = (self.attempt.part(), stage.protocol.care);
        match self.at {
            At::Put => {
                if manifest.has_part {
                    let sent = Some(changes).filter(|_| stage.fault != Fault::Damaged);
                    stage.world.bucket.create(part, Body::Part(sent));
                }
                self.to(if care.lacks(Mutation::ManifestBeforeVerified) { At::Bounds } else { At::Verify })
            }
            At::Verify => {
                let is_there = matches!(stage.world.bucket.get(part), Some(Body::Part(Some(_))));
                let is_verified = is_there || !manifest.has_part;
                let next = if care.lacks(Mutation::ManifestBeforeVerified) { At::Sweep } else { At::Bounds };
                self.to(if is_verified { next } else { At::Undo(Kind::BucketUnreachable) })
            }
            At::Publish => self.publish(stage),
            _ => match stage.world.bucket.manifest(place) {
                None => Outcome::Failed(Kind::LedgerUnreadable),
                Some(found) => match care.winner(manifest.attempt, found.attempt) {
                    Publication::Won => self.to(Self::once_won(stage)),
                    Publication::Lost(_) => self.to(At::Discard),
                },
            },
        }
    }

    /// Steps once it is known who won, or that the attempt failed.
    fn finish(&self, stage: &mut Stage<'_>) -> Outcome {
        let Attempt { place, manifest, .. } = self.attempt;
        match &self.at {
            At::Remove(rivals) => {
                stage.remove(rivals[0]);
                self.remove(&rivals[1..])
            }
            At::Discard => {
                stage.remove(self.attempt.part());
                Outcome::Ended
            }
            At::Undo(kind) => {
                stage.remove(self.attempt.part());
                self.to(At::Taken(*kind))
            }
            At::Taken(kind) => match stage.world.bucket.manifest(place) {
                Some(found) if found.attempt != manifest.attempt => Outcome::Lost,
                _ => Outcome::Failed(*kind),
            },
            _ => {
                let mut rivals = stage.world.bucket.list();
                rivals.retain(|key| {
                    let is_rival = matches!(key.name, Name::Part(rival) if rival != manifest.attempt);
                    is_rival && key.place() == place
                });
                self.remove(&rivals)
            }
        }
    }

    fn publish(&self, stage: &mut Stage<'_>) -> Outcome {
        let mut place = self.attempt.place;
        if stage.protocol.care.lacks(Mutation::PublishInNewest) {
            place.0 = view(&stage.world.bucket.list()).newest_open().unwrap_or(place.0);
        }
        let created = stage.publish(place, self.attempt.manifest);
        self.to(if created && stage.fault != Fault::AnswerLost { Self::once_won(stage) } else { At::Found })
    }

    /// What follows once the manifest is known to be its own.
    fn once_won(stage: &Stage<'_>) -> At {
        if stage.protocol.care.lacks(Mutation::ManifestBeforeVerified) { At::Verify } else { At::Sweep }
    }

    fn remove(&self, rivals: &[Key]) -> Outcome {
        if rivals.is_empty() { Outcome::Ended } else { self.to(At::Remove(rivals.to_vec())) }
    }
}

/// The last change of each key in a window, deletes included. `is_silent`: but a row inserted and deleted in it.
fn net(source: &Source, from: u8, to: u8, is_silent: bool) -> Changes {
    let mut changes = Changes::default();
    let mut inserted = [false; KEYS];
    for (position, key, entry) in source.window(from, to) {
        let before = source.log[..usize::from(position) - 1].iter().rev().find(|before| before.key == entry.key);
        if changes[key] == Change::None {
            inserted[key] = before.is_none_or(|before| before.value == 0);
        }
        changes[key] = match entry.value {
            0 if is_silent && inserted[key] => Change::None,
            0 => Change::Delete,
            value => Change::Upsert(value),
        };
    }
    changes
}
