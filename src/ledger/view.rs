//! What a listing says of a table's ledger.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::layout::{self, Object, Place};

/// A table's ledger as listed: generations in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// By number.
    pub generations: BTreeMap<u64, Generation>,
}

/// A generation as listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Generation {
    /// The key of its `open.json`, if it is open.
    pub open: Option<String>,
    /// By sequence.
    pub batches: BTreeMap<u64, Batch>,
}

/// What stands at a sequence. It is a batch only if it has a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The manifest's key.
    pub manifest: Option<String>,
    /// The applied mark's key.
    pub applied: Option<String>,
    /// Keys of parts and COPY manifests, with the attempts they belong to.
    pub files: Vec<(Uuid, String)>,
}

impl View {
    /// Sorts keys below a table's path; what is not ours is left aside.
    pub fn from_keys(prefix: &str, keys: impl IntoIterator<Item = String>) -> Self {
        let mut view = Self::default();
        for key in keys {
            let Some(place) = key.strip_prefix(prefix).and_then(layout::parse) else { continue };
            match place {
                Place::Open(generation) => view.generations.entry(generation).or_default().open = Some(key),
                Place::Batch(generation, sequence, object) => {
                    let generation = view.generations.entry(generation).or_default();
                    let batch = generation.batches.entry(sequence).or_default();
                    match object {
                        Object::Manifest => batch.manifest = Some(key),
                        Object::Applied => batch.applied = Some(key),
                        Object::Attempt(attempt) => batch.files.push((attempt, key)),
                    }
                }
            }
        }
        view
    }

    /// The newest open generation.
    pub fn newest_open(&self) -> Option<u64> {
        self.generations.iter().rev().find(|(_, generation)| generation.open.is_some()).map(|(number, _)| *number)
    }

    /// The newest manifest of the newest open generation, as (generation, sequence).
    pub fn tail(&self) -> Option<(u64, u64)> {
        let newest = self.newest_open()?;
        Some((newest, self.generations.get(&newest)?.newest_manifest()?))
    }

    /// Whether the tail is not marked applied.
    pub fn is_pending(&self) -> bool {
        let tail = self.tail().and_then(|(generation, sequence)| self.batch(generation, sequence));
        tail.is_some_and(|batch| batch.applied.is_none())
    }

    /// The highest generation of which anything stands here.
    pub fn highest(&self) -> Option<u64> {
        self.generations.keys().next_back().copied()
    }

    /// Whether that batch exists.
    pub fn has_manifest(&self, generation: u64, sequence: u64) -> bool {
        self.batch(generation, sequence).is_some_and(|batch| batch.manifest.is_some())
    }

    /// What stands at that sequence.
    pub fn batch(&self, generation: u64, sequence: u64) -> Option<&Batch> {
        self.generations.get(&generation)?.batches.get(&sequence)
    }

    /// All sequences at which anything stands, in order.
    pub fn batches(&self) -> impl DoubleEndedIterator<Item = (u64, u64, &Batch)> {
        self.generations.iter().flat_map(|(number, generation)| {
            generation.batches.iter().map(|(sequence, batch)| (*number, *sequence, batch))
        })
    }
}

impl Generation {
    /// The highest sequence with a manifest.
    pub fn newest_manifest(&self) -> Option<u64> {
        self.batches.iter().rev().find(|(_, batch)| batch.manifest.is_some()).map(|(sequence, _)| *sequence)
    }

    /// The highest sequence marked applied.
    pub fn newest_applied(&self) -> Option<u64> {
        self.batches.iter().rev().find(|(_, batch)| batch.applied.is_some()).map(|(sequence, _)| *sequence)
    }
}
