//! The place of a table in which nothing changed is renewed by an empty batch, before cleanup passes it.
//!
//! The source was asked about all tables at once: a thousand of them cost it no statement each.

use super::super::summary::TableSummary;
use super::attempt::{self, Outcome};
use super::{Job, Shared};
use crate::error::{Kind, Result};
use crate::source::{Source, Tracked};

impl<S: Source> Shared<S> {
    /// Writes the empty batch that is due; `None` where that is left to the table's own work.
    pub async fn renew(&self, job: &Job) -> Result<Option<TableSummary>> {
        let (Some(renewal), Some(tail), false) = (&job.look.renewal, &job.tail, job.look.purgeable) else {
            return Ok(None);
        };
        let name = &job.table.table.name;
        // The first listing may be old by now.
        let view = self.ledger.view(name).await?;
        if view.tail() != Some((tail.generation, tail.sequence)) || view.newest_open() != Some(tail.generation) {
            return Ok(None);
        }
        let policy = &self.context.config.sync;
        let Some((course, capture)) = job.settled::<S>(tail, policy, &self.source) else { return Ok(None) };
        let opening = self.ledger.opening(name, tail.generation).await?;
        let is_same = |opening: &crate::manifest::Opening| opening.source.difference(&self.info.fingerprint).is_none();
        let Some(opening) = opening.filter(is_same) else { return Ok(None) };
        let tracked = Tracked { table: &course.table, capture };
        match attempt::renew(self, tracked, &opening, tail, renewal.committed.clone()).await {
            // Another worker has moved the ledger, maybe not as far.
            Ok(Outcome::Lost) => Ok(None),
            Ok(outcome) => {
                let summary = self.summary(name, outcome, Some(&self.cut));
                Ok(Some(TableSummary { work: true, ..summary }))
            }
            Err(error) if error.kind() == Kind::LedgerUnreadable => Ok(None),
            Err(error) => Err(error),
        }
    }
}
