//! What a load holds a batch to, and says of it, whatever the engine.

use crate::error::{Error, Kind, Result};
use crate::manifest::Manifest;
use crate::target::delsert::Objects;
use crate::target::{TargetTable, Watermark};

/// Refuses what cannot be a table's next batch, before anything is touched.
///
/// # Errors
/// [`Kind::Internal`]: whoever chose the batch is wrong.
pub fn check_next(table: &TargetTable, watermark: &Watermark, manifest: &Manifest) -> Result<()> {
    let (theirs, ours) = (manifest.table.columns.len(), table.columns.len());
    if theirs != ours {
        return Err(Error::new(Kind::Internal, format!("a batch of {theirs} columns for a table placed with {ours}")));
    }
    let (batch, mark) = ((manifest.generation, manifest.sequence), (watermark.generation, watermark.sequence));
    if batch <= mark {
        let message = format!("batch {}/{} is applied: the watermark is {}/{}", batch.0, batch.1, mark.0, mark.1);
        return Err(Error::new(Kind::Internal, message));
    }
    Ok(())
}

/// Compares what staging holds, counted as upserts, deletes and others, with what the manifest says.
///
/// # Errors
/// [`Kind::PartDamaged`].
pub fn check_counts(manifest: &Manifest, (upserts, deletes, others): (u64, u64, u64)) -> Result<()> {
    if (upserts, deletes, others) == (manifest.upserts, manifest.deletes, 0) {
        return Ok(());
    }
    let message = format!(
        "the parts of batch {}/{} hold {upserts} upserts, {deletes} deletes and {others} other rows; the manifest says {} and {}",
        manifest.generation, manifest.sequence, manifest.upserts, manifest.deletes
    );
    Err(Error::new(Kind::PartDamaged, message).advice("Nothing was applied. Run 'delsert resync' for the table"))
}

/// A part that is not what was written.
pub fn damaged(key: &str, what: &str) -> Error {
    Error::new(Kind::PartDamaged, format!("part '{key}' {what}"))
        .advice("Nothing was applied. Restore the object as it was written, or run 'delsert resync' for the table")
}

/// Where a batch of one transaction stands: one that was begun and did not get through leaves nothing to commit.
#[derive(Debug, Default)]
pub struct Progress {
    broken: bool,
}

impl Progress {
    /// Begins a batch, which is broken until it has ended.
    ///
    /// # Errors
    /// [`Kind::Internal`]: one before it is.
    pub fn begin(&mut self, table: &TargetTable) -> Result<()> {
        if self.broken {
            let message = "a batch was applied in a transaction that had failed";
            return Err(Error::new(Kind::Internal, message).on(&table.source_name));
        }
        self.broken = true;
        Ok(())
    }

    /// It got through.
    pub fn end(&mut self) {
        self.broken = false;
    }

    /// Refuses to commit what did not get through: a server answers COMMIT in a failed transaction with a rollback, and
    /// no error.
    ///
    /// # Errors
    /// [`Kind::Internal`].
    pub fn check(&self, table: &TargetTable) -> Result<()> {
        if !self.broken {
            return Ok(());
        }
        let message = "a commit was asked for after a failure; nothing was applied";
        Err(Error::new(Kind::Internal, message).on(&table.source_name))
    }
}

/// That there is no watermark to lock.
pub fn no_watermark(objects: &Objects) -> Error {
    Error::new(Kind::TargetShape, format!("there is no watermark table {}", objects.mark))
        .advice("Run 'delsert check', which makes it")
}

/// That there is no table to load into.
pub fn no_production(objects: &Objects) -> Error {
    Error::new(Kind::TargetShape, format!("{} is gone", objects.production))
        .advice("Run 'delsert check', which makes it")
}

/// A generation or sequence as engines store it.
///
/// # Errors
/// [`Kind::Internal`].
pub fn number(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| Error::new(Kind::Internal, format!("{value} is no generation or sequence")))
}

/// Whether the watermark's one row moved.
///
/// # Errors
/// [`Kind::TargetBusy`]: somebody else moved it.
pub fn check_moved(objects: &Objects, moved: u64) -> Result<()> {
    if moved == 1 {
        return Ok(());
    }
    let message = format!("the watermark in {} changed under the lock: {moved} rows moved", objects.mark);
    Err(Error::new(Kind::TargetBusy, message)
        .advice("Nothing was applied. Nothing but delsert may write that table; run the task again"))
}
