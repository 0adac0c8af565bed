//! Which batch is next: the snapshot, a window after the tail, or none. Nothing is clamped or guessed.

use super::super::idle::is_stale;
use super::Shared;
use crate::error::{Error, Kind, Result};
use crate::ledger::view::{Generation, View};
use crate::manifest::{CommitTime, Manifest, Opening};
use crate::position::Position;
use crate::source::{Bounds, Source, Tracked};

/// What comes next.
pub enum Step {
    /// Nothing: the table stands at that position.
    Idle(Option<Position>),
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
}

/// Decides the next step, having checked that the source is the one of the ledger and still has the window.
pub async fn next<S: Source>(
    shared: &Shared<S>,
    source: &mut S,
    tracked: Tracked<'_>,
    opening: &Opening,
    view: &View,
) -> Result<Step> {
    let name = &tracked.table.name;
    if let Some(difference) = opening.source.difference(&shared.info.fingerprint) {
        return Err(another_source(&difference));
    }
    let Some(sequence) = view.generations.get(&opening.generation).and_then(Generation::newest_manifest) else {
        return Ok(Step::Snapshot);
    };
    let tail = shared.ledger.manifest(name, opening.generation, sequence).await?.ok_or_else(|| {
        Error::new(Kind::LedgerUnreadable, "the newest manifest was listed and is gone").advice("Try again")
    })?;
    if let Some(difference) = tail.source.difference(&shared.info.fingerprint) {
        return Err(another_source(&difference));
    }
    let from = tail.window.to.clone();
    let bounds = source.bounds(tracked, &from).await?;
    check_bounds(&shared.source, &tail, &bounds)?;
    if shared.cut <= from {
        return Ok(Step::Idle(Some(from)));
    }
    let even_if_empty = is_stale(&tail, &shared.info);
    Ok(Step::Window { sequence: sequence + 1, from, to: shared.cut.clone(), even_if_empty })
}

fn another_source(difference: &str) -> Error {
    Error::new(Kind::Restored, format!("the source is not the one that the ledger was written from: {difference}"))
        .advice("If another database is meant to be synced now, run 'delsert resync' for the table; else mend [source]")
}

/// Checks that the source still has everything after the tail, and that its log is the one the tail was read from.
fn check_bounds(config: &crate::config::Source, tail: &Manifest, bounds: &Bounds) -> Result<()> {
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
        return Err(gap(tail, &bounds.minimum));
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

/// History between tail and minimum is gone.
pub fn gap(tail: &Manifest, minimum: &Position) -> Error {
    let when =
        tail.committed.as_ref().map_or(String::new(), |CommitTime { source, .. }| format!(" (committed {source})"));
    let message = format!(
        "changes after {}{when} were purged at the source before they were read: it now begins at {minimum}",
        tail.window.to
    );
    Error::new(Kind::Gap, message).advice(
        "Run 'delsert resync' for the table, and let extract run more often than the source's retention; on_gap = \"resync\" does so by itself",
    )
}
