//! Steps that only the source sees.

use anyhow::{Context as _, bail};
use delsert::position::Position;

use super::ddl::Redefinition;
use super::play::Play;
use super::step::Step;
use crate::support::source::Sql;

impl Play {
    /// A step that only the source sees.
    pub async fn at_source(&self, sql: &mut Sql, step: Step) -> anyhow::Result<()> {
        match step {
            Step::Write(batches) => {
                for batch in batches {
                    write(sql, &batch).await?;
                }
                Ok(())
            }
            // Before the first check there is nothing to scan or clean.
            _ if !self.state().checked => Ok(()),
            Step::Scan(transactions) => {
                sql.run(&format!("EXEC sys.sp_cdc_scan @maxtrans = {transactions}, @maxscans = 1")).await
            }
            Step::Job(true) => sql.start_capture().await,
            Step::Job(false) => sql.stop_capture().await,
            Step::Redefine(how) => self.redefine(sql, how).await,
            Step::Isolation(on) => {
                let word = if on { "ON" } else { "OFF" };
                sql.run(&format!("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION {word}")).await
            }
            Step::Cleanup => {
                self.state().cleaned = true;
                sql.run("EXEC sys.sp_cdc_start_job @job_type = N'cleanup'").await
            }
            Step::CleanupOf(table, share) => {
                self.state().cleaned = true;
                cleanup_of(sql, &table, share).await
            }
            other => bail!("{other} is no step of the source"),
        }
    }

    async fn redefine(&self, sql: &mut Sql, how: Redefinition) -> anyhow::Result<()> {
        self.state().counts.redefinitions += 1;
        if how.stops {
            self.state().stopped.insert(how.table.clone());
        }
        if how.uncaptures && !how.batches.is_empty() {
            let name = how.table.trim_start_matches("dbo.");
            sql.run(&format!(
                "IF EXISTS (SELECT 1 FROM sys.tables WHERE object_id = OBJECT_ID(N'{}') AND is_tracked_by_cdc = 1)
                 EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'{name}', @capture_instance = N'all'",
                how.table
            ))
            .await?;
        }
        for batch in how.batches {
            sql.run(&batch).await?;
        }
        Ok(())
    }
}

/// Cleans up one table's instances, up to a share of what the log knows.
async fn cleanup_of(sql: &mut Sql, table: &str, share: f64) -> anyhow::Result<()> {
    let instances =
        format!("SELECT capture_instance FROM cdc.change_tables WHERE source_object_id = OBJECT_ID(N'{table}')");
    for row in sql.rows(&instances).await? {
        let name = row.try_get::<&str, _>(0)?.context("an instance has no name")?;
        while !cleanup_at(sql, name, share).await? {}
    }
    Ok(())
}

/// Cleans up an instance, up to a share of what the log knows; `false` if a task's own purge took that mark meanwhile.
async fn cleanup_at(sql: &mut Sql, instance: &str, share: f64) -> anyhow::Result<bool> {
    let known = sql.rows("SELECT start_lsn FROM cdc.lsn_time_mapping ORDER BY start_lsn").await?;
    let Some(mark) = pick(&known, share) else { return Ok(true) };
    let mark = Position::new(mark.try_get::<&[u8], _>(0)?.context("a position is NULL")?);
    let cleanup =
        format!("EXEC sys.sp_cdc_cleanup_change_table @capture_instance = N'{instance}', @low_water_mark = {mark}");
    match sql.run(&cleanup).await {
        Ok(()) => Ok(true),
        Err(error) => match format!("{error:#}") {
            text if text.contains("code: 22964") => Ok(false),
            // It lies below the instance's beginning already.
            text if text.contains("code: 22957") => Ok(true),
            _ => Err(error),
        },
    }
}

/// Runs a batch. What the generator took for free may be taken, where its steps fell in another order.
pub async fn write(sql: &mut Sql, batch: &str) -> anyhow::Result<()> {
    match sql.run(batch).await {
        Err(error) if format!("{error:#}").contains("PRIMARY KEY") => sql.run("IF @@TRANCOUNT > 0 ROLLBACK").await,
        other => other,
    }
}

/// What stands at a share of a list.
pub fn pick<T>(list: &[T], share: f64) -> Option<&T> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a short list"
    )]
    let at = (share * list.len() as f64) as usize;
    list.get(at.min(list.len().saturating_sub(1)))
}
