//! `resync`: opens a new generation of a table, whose snapshot replaces all rows in one transaction.

use chrono::Utc;
use uuid::Uuid;

use super::summary::{Report, TableStatus, TableSummary};
use super::{AnySource, AnyTarget, Context, places};
use crate::bucket::Created;
use crate::error::{Error, Kind, Result};
use crate::ledger::{Ledger, decide};
use crate::manifest::{FORMAT, Opening};
use crate::source::{Source, SourceInfo};
use crate::table::Table;
use crate::target::Target;

/// Runs the command. Nothing is done without `yes`.
pub async fn resync(context: &Context, yes: bool) -> Report {
    let mut report = Report::new("resync", &context.config.sync.name);
    if let Err(error) = run::<AnySource, AnyTarget>(context, yes, &mut report).await {
        report.failed(error);
    }
    report
}

async fn run<S: Source, T: Target>(context: &Context, yes: bool, report: &mut Report) -> Result<()> {
    if context.tables.is_empty() {
        return Err(Error::new(Kind::Config, "resync copies whole tables anew and works on named tables only")
            .advice("Add --table SCHEMA.NAME"));
    }
    if !yes {
        return Err(Error::new(
            Kind::Config,
            format!("resync copies all rows of {} anew at the next extract and load", context.tables.join(", ")),
        )
        .advice("Nothing was done. Add --yes to do it"));
    }
    let mut source = S::connect(&context.config.source()?).await?;
    let info = source.describe().await?;
    let ledger = context.ledger().await?;
    let mut target = T::connect(&context.config.target()?).await?;
    let found = source.tables(&context.config).await?;
    // Of two that go to one table, the copy of one would take the place of the other's rows.
    let clashes = places::clashes::<T>(&context.config, found.iter().map(|found| &found.table.name))?;
    let found = context.select(found, |found| &found.table.name, info.ignores_case, "among those included")?;
    report.retried(source.retried());
    for found in found {
        let name = &found.table.name;
        if let Some(error) = found.blocked.as_deref().or(clashes.get(name)) {
            report.table_failed(name, error.again());
            continue;
        }
        match reopen(&ledger, &mut target, context, &info, &found.table).await {
            Ok(summary) => report.table(summary),
            Err(error) => report.table_failed(name, error),
        }
    }
    Ok(())
}

async fn reopen<T: Target>(
    ledger: &Ledger,
    target: &mut T,
    context: &Context,
    info: &SourceInfo,
    table: &Table,
) -> Result<TableSummary> {
    let place = T::place(&context.config, table)?;
    let watermark = target.watermark(&place).await?.unwrap_or_default();
    let view = ledger.view(&table.name).await?;
    let opening = Opening {
        format: FORMAT,
        attempt: Uuid::new_v4(),
        generation: decide::next_generation(&view, (watermark.generation, watermark.sequence)),
        table: table.clone(),
        source: info.fingerprint.clone(),
        opened_at: Utc::now(),
    };
    let by_rival = ledger.open(&opening).await? == Created::Exists;
    tracing::info!(table = %table.name, generation = opening.generation, by_rival, "opened a generation: the next extract copies the table");
    Ok(TableSummary { status: TableStatus::Done, work: true, ..TableSummary::idle(&table.name) })
}
