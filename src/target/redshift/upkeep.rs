//! Statistics and sorting, once a batch is committed: outside a transaction, and only when worth it.

use std::time::Duration;

use super::load::{UNBOUND, bound};
use super::objects;
use crate::error::Result;
use crate::target::pgwire::Session;
use crate::target::{Applied, TargetTable};

/// From so many rows on the statistics are worth a look: the server itself passes over a table of which less than a tenth
/// has changed ("ANALYZE", `analyze_threshold_percent`).
const WORTH: u64 = 10_000;

/// As [`Target::settle`](crate::target::Target::settle). VACUUM is one at a time in a cluster, and mostly done by the
/// service itself.
///
/// # Errors
/// As there.
pub async fn settle(
    session: &Session,
    table: &TargetTable,
    applied: Applied,
    (vacuum, lock_timeout): (bool, Duration),
) -> Result<()> {
    if applied.inserted + applied.deleted < WORTH {
        return Ok(());
    }
    let Session { client, server, .. } = session;
    let name = objects(table).production;
    let vacuum = vacuum.then(|| format!("VACUUM {name}"));
    let statements = [Some(UNBOUND.to_owned()), vacuum, Some(format!("ANALYZE {name}")), Some(bound(lock_timeout))];
    for statement in statements.into_iter().flatten() {
        client.batch_execute(&statement).await.map_err(|error| server.failed(&format!("run {statement}"), &error))?;
    }
    Ok(())
}
