//! Which batch is next: the snapshot, a window after the tail, or none. Nothing is clamped or guessed.

use super::super::flow::{self, Course};
use super::super::idle::{age, is_stale};
use super::Shared;
use crate::error::{Error, Kind, Result};
use crate::manifest::{BatchKind, Instance, Manifest, Opening};
use crate::position::Position;
use crate::source::{Bounds, Capture, Source, SourceTable, Tracked};
use crate::table::Table;

/// What comes next.
pub enum Step {
    /// Nothing: the table stands at that position.
    Idle(Position),
    /// The first batch of the generation.
    Snapshot,
    /// The window `(from, to]`.
    Window {
        /// Sequence of the batch.
        sequence: u64,
        /// Beginning.
        from: Position,
        /// End.
        to: Position,
        /// Whether a batch is written although nothing changed.
        even_if_empty: bool,
    },
    /// The rows that hold values in columns which begin to flow.
    Backfill {
        /// Sequence of the batch.
        sequence: u64,
        /// Where the table stands, before and after.
        at: Position,
        /// Names of the columns.
        columns: Vec<String>,
    },
}

impl Step {
    /// What its batch holds.
    pub fn kind(&self) -> BatchKind {
        match self {
            Self::Snapshot => BatchKind::Snapshot,
            Self::Backfill { .. } => BatchKind::Backfill,
            Self::Idle(_) | Self::Window { .. } => BatchKind::Changes,
        }
    }

    /// Sequence of its batch.
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Idle(_) | Self::Snapshot => 1,
            Self::Window { sequence, .. } | Self::Backfill { sequence, .. } => *sequence,
        }
    }

    /// Where a window ends.
    pub fn end(&self) -> Option<&Position> {
        match self {
            Self::Window { to, .. } => Some(to),
            Self::Idle(_) | Self::Snapshot | Self::Backfill { .. } => None,
        }
    }

    /// Whether, once its batch is there, more may be left up to the cut.
    pub fn leaves_more(&self, cut: &Position) -> bool {
        match self {
            Self::Idle(_) | Self::Snapshot => false,
            Self::Window { to, .. } => to < cut,
            Self::Backfill { .. } => true,
        }
    }
}

/// The next step, of a table as it then flows, by one of its instances.
pub struct Plan<'a> {
    /// The step.
    pub step: Step,
    /// The table as it flows.
    pub table: Table,
    /// The instance to read from.
    pub capture: &'a Capture,
}

/// Decides the next step, having checked that the source is the one of the ledger and still has the window.
pub async fn next<'a, S: Source>(
    shared: &Shared<S>,
    source: &mut S,
    found: &'a SourceTable,
    opening: &Opening,
    tail: Option<&Manifest>,
    course: Course,
) -> Result<Plan<'a>> {
    if let Some(difference) = opening.source.difference(&shared.info.fingerprint) {
        return Err(another_source(&difference));
    }
    let Some(tail) = tail else {
        let capture = found.capture(&course.table).ok_or_else(no_instance)?;
        // What its history can't be read from later is not worth a copy.
        source.bounds(Tracked { table: &course.table, capture }, &capture.start).await?;
        return Ok(Plan { step: Step::Snapshot, table: course.table, capture });
    };
    if let Some(difference) = tail.source.difference(&shared.info.fingerprint) {
        return Err(another_source(&difference));
    }
    let (from, sequence) = (&tail.window.to, tail.sequence + 1);
    let successor = course.servable(found);
    if let Some((capture, columns)) = successor.clone().filter(|(capture, _)| capture.start <= *from) {
        let mut wanted = course.wanted();
        wanted.columns.retain(|column| capture.columns.contains(&column.name));
        let bounds = source.bounds(Tracked { table: &wanted, capture }, from).await?;
        check_bounds(&shared.source, tail, &capture.instance, &bounds)?;
        // The rows are read as they are now; an older cut is not gone back to.
        let step = if shared.cut < *from {
            Step::Idle(from.clone())
        } else {
            Step::Backfill { sequence, at: from.clone(), columns }
        };
        return Ok(Plan { step, table: wanted, capture });
    }
    if successor.is_none() && !course.gained.is_empty() {
        if let Some(error) = flow::cannot_follow(&course, found, shared.source.enable_cdc) {
            return Err(error);
        }
        tracing::warn!(table = %found.table.name, columns = ?course.gained, "new columns do not flow until check has made an instance with them");
    }
    let table = course.table;
    let capture = found.capture_after(&table, from).ok_or_else(no_instance)?;
    let bounds = source.bounds(Tracked { table: &table, capture }, from).await?;
    check_bounds(&shared.source, tail, &capture.instance, &bounds)?;
    let is_handed_over = successor.is_some();
    // From its start on the successor has all changes. The window ends at a commit, by whose time a restore is told.
    let switch = match successor.map(|(successor, _)| &successor.start).filter(|start| **start <= shared.cut) {
        Some(start) => source.commit_from(start).await?.filter(|commit| *commit <= shared.cut),
        None => None,
    };
    let end = switch.as_ref().unwrap_or(&shared.cut);
    if end <= from {
        return Ok(Plan { step: Step::Idle(from.clone()), table, capture });
    }
    check_captured(end, &bounds)?;
    let (span, tracked) = (shared.context.config.sync.max_window, Tracked { table: &table, capture });
    let is_long = age(tail, &shared.info) > span;
    let to = if is_long { source.reach(capture, from, end, span).await? } else { end.clone() };
    if shared.source.read_only_replica && (is_long || is_handed_over) {
        // What was asked since may have connected anew, to another replica.
        check_captured(&to, &source.bounds(tracked, from).await?)?;
    }
    let even_if_empty = is_stale(tail, &shared.info) || switch.as_ref() == Some(&to);
    Ok(Plan { step: Step::Window { sequence, from: from.clone(), to, even_if_empty }, table, capture })
}

fn no_instance() -> Error {
    Error::new(Kind::NoInstance, "no capture instance has the table's columns and key").advice(
        "Run 'delsert check', which makes one; what happened in between is lost, so 'delsert resync' for the table follows",
    )
}

/// Checks that whoever answers now has captured the whole window.
pub fn check_captured(to: &Position, bounds: &Bounds) -> Result<()> {
    if bounds.maximum >= *to {
        return Ok(());
    }
    let message = format!(
        "the source stands at {}, before {to}, which it had captured when the task began: another replica answers now, or it was restored meanwhile",
        bounds.maximum
    );
    Err(Error::new(Kind::Ahead, message).advice("Try again: what it lacks is never taken for nothing"))
}

fn another_source(difference: &str) -> Error {
    Error::new(Kind::Restored, format!("the source is not the one that the ledger was written from: {difference}"))
        .advice("If another database is meant to be synced now, run 'delsert resync' for the table; else mend [source]")
}

/// Checks that the source still has everything after the tail, and that its log is the one the tail was read from.
fn check_bounds(config: &crate::config::Source, tail: &Manifest, instance: &Instance, bounds: &Bounds) -> Result<()> {
    let from = &tail.window.to;
    if bounds.maximum < *from && config.read_only_replica {
        return Err(Error::new(
            Kind::Ahead,
            format!("the replica stands at {}, before the tail {from}", bounds.maximum),
        )
        .advice("Try again once the replica has caught up"));
    }
    // Where the source knew no time for the tail, it had not captured so far: a new instance may start above the maximum.
    if bounds.maximum < *from && tail.committed.is_some() {
        let message = format!("the source's log ends at {}, before the tail {from}: it was restored", bounds.maximum);
        return Err(restored(message));
    }
    if bounds.minimum > *from {
        return Err(gap(tail, instance, bounds));
    }
    match (&tail.committed, &bounds.committed) {
        (Some(then), now) if now.as_ref().map(|now| &now.source) != Some(&then.source) => {
            let now = now.as_ref().map_or("knows no such commit", |now| &now.source);
            Err(restored(format!(
                "the commit at the tail {from} was at {}, and the source now says {now}: it was restored",
                then.source
            )))
        }
        _ => Ok(()),
    }
}

fn restored(message: String) -> Error {
    Error::new(Kind::Restored, message).advice("Run 'delsert resync' for the table")
}

/// History after the beginning of a copy is gone before the copy was complete: the window that follows would lack it.
pub fn outlived(from: &Position, minimum: &Position) -> Error {
    let message = format!(
        "changes after {from} were purged at the source while the table was copied from there: it now begins at {minimum}"
    );
    Error::new(Kind::SourceBusy, message).advice(
        "Try again, the copy begins anew; if it comes to this each time, the source's retention is shorter than the copy",
    )
}

/// History between tail and minimum is gone; it is read from `instance`.
pub fn gap(tail: &Manifest, instance: &Instance, bounds: &Bounds) -> Error {
    let committed = |time: Option<&String>| match time {
        Some(time) => format!("committed {time}"),
        None => "committed at a time that the source does not tell".to_owned(),
    };
    let then = committed(tail.committed.as_ref().map(|committed| &committed.source));
    let now = committed(bounds.minimum_committed.as_ref());
    let Instance { name, created } = &tail.instance;
    let lost = if *instance == tail.instance {
        String::new()
    } else if instance.name == *name {
        format!("; capture instance '{name}' was dropped, and made again at {}", instance.created)
    } else {
        format!(
            "; the last batch was read from capture instance '{name}', made at {created}, and what there is now is '{}', made at {}",
            instance.name, instance.created
        )
    };
    let message = format!(
        "changes after {} ({then}) were purged at the source before they were read: it now begins at {} ({now}){lost}",
        tail.window.to, bounds.minimum
    );
    Error::new(Kind::Gap, message).advice(
        "Run 'delsert resync' for the table, and let extract run more often than the source's retention; on_gap = \"resync\" does so by itself",
    )
}
