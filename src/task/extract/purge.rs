//! Rule 6: history goes at the source once what holds it is durable.

use super::Shared;
use crate::config::{Purge, Sync};
use crate::crash;
use crate::error::{Error, Result};
use crate::ledger::decide;
use crate::ledger::view::View;
use crate::manifest::Manifest;
use crate::position::Position;
use crate::source::{Capture, Source, SourceTable, Tracked};
use crate::table::TableName;

impl<S: Source> Shared<S> {
    /// Purges history behind what is durable. A failure is told and left to the next run; gives whether the
    /// connection can still be used.
    pub async fn purge(
        &self,
        source: &mut S,
        found: &SourceTable,
        capture: &Capture,
        view: &View,
        tail: Option<&Manifest>,
    ) -> bool {
        let policy = &self.context.config.sync;
        if !may_purge(policy, capture) {
            return true;
        }
        let tracked = Tracked { table: &found.table, capture };
        let purged = async {
            match self.durable(&found.table.name, view, tail).await? {
                Some(position) => {
                    let purged = source.purge(tracked, &position).await?;
                    if purged {
                        crash::after(crash::Step::HistoryPurged)?;
                    }
                    Ok::<_, Error>(purged.then_some(position))
                }
                None => Ok(None),
            }
        };
        match purged.await {
            Ok(Some(position)) => tracing::info!(table = %found.table.name, %position, "purged history at the source"),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(table = %found.table.name, %error, "could not purge history at the source");
                return false;
            }
        }
        true
    }

    /// The position behind which history may go: the end of what is durable. `known` is a manifest at hand.
    async fn durable(&self, name: &TableName, view: &View, known: Option<&Manifest>) -> Result<Option<Position>> {
        let Some((generation, sequence)) = decide::durable(view, self.context.config.sync.purge) else {
            return Ok(None);
        };
        if let Some(known) = known.filter(|known| (known.generation, known.sequence) == (generation, sequence)) {
            return Ok(Some(known.window.to.clone()));
        }
        Ok(self.ledger.manifest(name, generation, sequence).await?.map(|manifest| manifest.window.to))
    }
}

/// Whether the configuration lets history of an instance be purged at all.
pub fn may_purge(policy: &Sync, capture: &Capture) -> bool {
    policy.purge != Purge::Never && (capture.ours || policy.purge_shared)
}
