//! The manifest: the JSON that makes a batch exist, and `open.json`, which opens a generation.
//!
//! `docs/manifest.md` documents the format. A manifest checks itself on reading, and carries all that load needs.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::Compression;
use crate::csv::Dialect;
use crate::error::{Error, Kind, Result};
use crate::loss::Losses;
use crate::position::Position;
use crate::table::{Table, is_type};

/// The version of the format that this code writes, and the only one it reads.
pub const FORMAT: u32 = 1;

/// The way out where an object is not what was written.
const CHANGED: &str = "Nothing was removed. If it stays so, the object was changed by other hands: restore it, or run 'delsert resync' for the table";

/// Who the source is: survives a failover, not a restore. Two fingerprints differ when a part known to both differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The source's engine.
    pub engine: String,
    /// The database's name.
    pub database: String,
    /// What else identifies the database, by name; absent what the login may not read.
    #[serde(default)]
    pub marks: std::collections::BTreeMap<String, String>,
}

impl Fingerprint {
    /// The first difference to another, in words; `None` if they can be the same source.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.engine != other.engine || self.database != other.database {
            return Some(format!("{} '{}' became {} '{}'", self.engine, self.database, other.engine, other.database));
        }
        self.marks.iter().find_map(|(name, mine)| {
            let theirs = other.marks.get(name)?;
            (mine != theirs).then(|| format!("{name} was {mine} and is {theirs}"))
        })
    }
}

/// `open.json`: opens a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Format version.
    pub format: u32,
    /// The attempt that opened it.
    pub attempt: Uuid,
    /// The generation.
    pub generation: u64,
    /// Table, key, columns.
    #[serde(flatten)]
    pub table: Table,
    /// The source.
    pub source: Fingerprint,
    /// When, by the clock of the machine that wrote it.
    pub opened_at: DateTime<Utc>,
}

impl Opening {
    /// Reads what opens a generation, and checks that it is what it should be.
    ///
    /// # Errors
    /// [`Kind::LedgerUnreadable`], saying what is wrong.
    pub fn read(bytes: &[u8], key: &str, generation: u64) -> Result<Self> {
        let wrong = |what: String| Error::new(Kind::LedgerUnreadable, format!("'{key}' {what}")).advice(CHANGED);
        let opening: Self = serde_json::from_slice(bytes)
            .map_err(|error| wrong("is not what opens a generation".to_owned()).because(error))?;
        opening.fault(generation).map_or(Ok(opening), |fault| Err(wrong(fault)))
    }

    fn fault(&self, generation: u64) -> Option<String> {
        if self.generation != generation {
            return Some(format!("says that it opens generation {}", self.generation));
        }
        other_format(self.format).or_else(|| keyless(&self.table))
    }
}

/// What a batch holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchKind {
    /// The whole table.
    Snapshot,
    /// The last change of each key in a window.
    Changes,
    /// The rows that hold a value in columns which begin to flow: as they were when they were read, at or after the
    /// window's end, which is its beginning too. What they hold too early, the windows that follow set right.
    Backfill,
}

/// A window of the source's log, `(from, to]`; a snapshot has no `from`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Changes after this position.
    pub from: Option<Position>,
    /// Changes up to and including this position.
    pub to: Position,
}

/// When the transaction at a window's end committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitTime {
    /// As the source wrote it: its local time, without offset. Compared as text to tell a restored source.
    pub source: String,
    /// In UTC, by the source's offset when the batch was made.
    pub utc: DateTime<Utc>,
}

/// The capture instance that a window was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Name.
    pub name: String,
    /// When it was made, as the source wrote it.
    pub created: String,
}

/// How parts are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoding {
    /// Compression.
    pub compression: Compression,
    /// NULL sentinel and prefix of bytes.
    #[serde(flatten)]
    pub dialect: Dialect,
}

/// A part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Full key in the bucket.
    pub key: String,
    /// Rows.
    pub rows: u64,
    /// Bytes as stored.
    pub bytes: u64,
    /// SHA-256 of the bytes as stored, in hexadecimal digits.
    pub sha256: String,
}

/// A batch's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version.
    pub format: u32,
    /// The sync.
    pub sync: String,
    /// The attempt that made the batch.
    pub attempt: Uuid,
    /// Generation.
    pub generation: u64,
    /// Sequence in the generation; the snapshot is 1.
    pub sequence: u64,
    /// Table, key, columns.
    #[serde(flatten)]
    pub table: Table,
    /// Names of the columns that begin to flow with a backfill: whatever the target has under them is NULL before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// What it holds.
    pub kind: BatchKind,
    /// Window.
    pub window: Window,
    /// The capture instance.
    pub instance: Instance,
    /// The source.
    pub source: Fingerprint,
    /// Commit time of `window.to`; absent where the source knows none for that position.
    pub committed: Option<CommitTime>,
    /// Rows upserted.
    pub upserts: u64,
    /// Keys deleted.
    pub deletes: u64,
    /// What was lost of values, as the configuration allows: times by column and loss.
    #[serde(default)]
    pub losses: Losses,
    /// The target's types that the values were made to fit, by column, in order; empty where none is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// How parts are written.
    pub encoding: Encoding,
    /// Parts, in order.
    pub parts: Vec<Part>,
    /// When it was written, by the clock of the machine that wrote it.
    pub written_at: DateTime<Utc>,
}

impl Manifest {
    /// Reads a manifest found at `generation`/`sequence` of a sync's table, and checks that it is what it should be.
    ///
    /// # Errors
    /// [`Kind::LedgerUnreadable`], saying what is wrong.
    pub fn read(bytes: &[u8], key: &str, generation: u64, sequence: u64) -> Result<Self> {
        let wrong =
            |what: String| Error::new(Kind::LedgerUnreadable, format!("manifest '{key}' {what}")).advice(CHANGED);
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| wrong("is not a manifest".to_owned()).because(error))?;
        let fault = manifest.fault(generation, sequence).or_else(|| manifest.foreign_part(key));
        fault.map_or(Ok(manifest), |fault| Err(wrong(fault)))
    }

    /// A part that does not stand beside the manifest, or is not its attempt's.
    fn foreign_part(&self, key: &str) -> Option<String> {
        let own = format!("{}{}-", key.trim_end_matches("manifest.json"), self.attempt);
        let foreign = self.parts.iter().find(|part| !part.key.starts_with(&own))?;
        Some(format!("names '{}', which is not a part of its attempt", foreign.key))
    }

    fn fault(&self, generation: u64, sequence: u64) -> Option<String> {
        let other = other_format(self.format);
        if other.is_some() {
            return other;
        }
        if (self.generation, self.sequence) != (generation, sequence) {
            return Some(format!("says it is batch {}/{}", self.generation, self.sequence));
        }
        let snapshot = self.kind == BatchKind::Snapshot;
        if snapshot != (sequence == 1) || snapshot != self.window.from.is_none() {
            return Some("is a snapshot in the wrong place, or changes without a beginning".to_owned());
        }
        let backfill = self.kind == BatchKind::Backfill;
        if self.window.from.as_ref().is_some_and(|from| *from > self.window.to || backfill != (*from == self.window.to))
        {
            return Some("ends before it begins, or has a window of the wrong kind".to_owned());
        }
        let is_column = |name: &String| self.table.columns.iter().any(|column| column.name == *name);
        if backfill == self.added.is_empty() || !self.added.iter().all(is_column) {
            return Some("adds columns that are not its own, or none".to_owned());
        }
        let typed = self.types.len() == self.table.columns.len() || self.types.is_empty();
        if !typed || !self.types.iter().all(|sql_type| is_type(sql_type)) {
            return Some("has a type that is none, or not one for each of its columns".to_owned());
        }
        // In more digits than a count has: a sum that wraps could agree.
        let rows: u128 = self.parts.iter().map(|part| u128::from(part.rows)).sum();
        let counted = u128::from(self.upserts) + u128::from(self.deletes);
        if rows != counted || u64::try_from(rows).is_err() {
            return Some(format!("counts {counted} rows, its parts {rows}"));
        }
        keyless(&self.table)
    }
}

fn other_format(format: u32) -> Option<String> {
    (format != FORMAT).then(|| format!("has format {format}, this program reads {FORMAT}"))
}

fn keyless(table: &Table) -> Option<String> {
    let is_whole = !table.key.is_empty() && table.key_indexes().len() == table.key.len();
    (!is_whole).then(|| "has a key that is not among its columns".to_owned())
}
