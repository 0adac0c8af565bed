//! The end of a history: nobody writes, and the tasks run until there is nothing to do. Then all is at rest.

use std::sync::Arc;

use delsert::task::summary::{Summary, TableStatus, TableSummary};

use super::play::Play;
use super::stage::Target;
use super::step::Errand;
use crate::support::rest;

/// Rounds that a history may need at its end.
const ROUNDS: usize = 12;

/// Quiets all, and notes what is not as it must be.
pub async fn quiet(play: &Arc<Play>, target: &Target) -> anyhow::Result<()> {
    play.note("quiet".to_owned());
    play.sql().await.stop_capture().await?;
    for _ in 0..ROUNDS {
        // Also in later rounds: an instance that a check makes begins where the log ends.
        play.sql().await.run("EXEC sys.sp_cdc_scan @maxtrans = 500, @maxscans = 100").await?;
        let checked = errand(play, Errand::Check { no_resume: false }).await;
        let is_done = checked.exit_code == 0 && checked.tables.iter().all(is_idle) && !play.is_asked();
        if !play.faults().is_empty() {
            return Ok(());
        }
        if is_done {
            return at_rest(play, target).await;
        }
        play.mend().await?;
        errand(play, Errand::Extract { until: None }).await;
        errand(play, Errand::Load).await;
        play.mend().await?;
    }
    play.fault(format!("not done after {ROUNDS} rounds"));
    Ok(())
}

async fn errand(play: &Play, errand: Errand) -> Summary {
    let summary = play.run_task(errand, None).await;
    play.judge(&summary, false);
    summary
}

/// Whether there is nothing to do for a table.
fn is_idle(table: &TableSummary) -> bool {
    table.status == TableStatus::Idle && !table.work
}

async fn at_rest(play: &Arc<Play>, target: &Target) -> anyhow::Result<()> {
    rest::settled(&target.client).await?;
    let tables: Vec<_> = play.tables().iter().map(String::as_str).collect();
    let mut sql = play.sql().await;
    for fault in rest::faults(&mut sql, &play.stage.bucket, &target.client, &tables).await? {
        play.fault(fault);
    }
    Ok(())
}
