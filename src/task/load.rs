//! `load`: batches are applied to the target, each in one transaction with its watermark.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::places::{self, SharedPlace};
use super::summary::{Report, TableStatus, TableSummary};
use super::{AnyTarget, Context, Pool, for_each_table};
use crate::config::{Config, Target as TargetConfig};
use crate::crash::{self, Step};
use crate::error::{Error, Kind, Result};
use crate::ledger::Ledger;
use crate::ledger::decide::{self, Place};
use crate::ledger::view::View;
use crate::manifest::{BatchKind, Manifest};
use crate::source::is_included;
use crate::table::TableName;
use crate::target::{Load, Target, TargetTable, Watermark};

/// How often in a row a batch is begun again that another transaction got in the way of: some 50 seconds in all.
const CONFLICTS: u32 = 8;

/// What the work on each table shares.
struct Shared<T> {
    config: Arc<Config>,
    target: TargetConfig,
    ledger: Ledger,
    connections: Pool<T>,
}

/// Runs the task.
pub async fn load(context: &Context) -> Report {
    let mut report = Report::new("load", &context.config.sync.name);
    if let Err(error) = run::<AnyTarget>(context, &mut report).await {
        report.failed(error);
    }
    report
}

async fn run<T: Target + 'static>(context: &Context, report: &mut Report) -> Result<()> {
    let target = context.config.target()?;
    let ledger = context.ledger().await?;
    let (known, tables) = tables(context, &ledger).await?;
    let shared = Arc::new(Shared::<T> { config: context.config.clone(), target, ledger, connections: Pool::default() });
    // The target is asked even when the ledger is empty: a wrong password must not wait for the first batch.
    let mut first = T::connect(&shared.target).await?;
    let tables = placed(context, &shared.ledger, &mut first, &known, tables, report).await?;
    shared.connections.give(first).await;
    let jobs = tables.into_iter().map(|table| (table.clone(), (shared.clone(), table))).collect();
    let work = |(shared, table): (Arc<Shared<T>>, TableName)| async move {
        let mut connection = shared.connections.take(T::connect(&shared.target)).await?;
        let summary = table_to_tail(&shared.config, &shared.ledger, &mut connection, &table).await?;
        shared.connections.give(connection).await;
        Ok(summary)
    };
    for_each_table(jobs, context.config.sync.parallel, work, report).await;
    Ok(())
}

/// The tables that the ledger knows, as far as the configuration lets them through, and those of them that the command line
/// names. The source is
/// not asked how it compares names: those that differ only by case are taken for one unless both are there, but only what
/// is excluded as it is spelled is left out, lest a table's batches wait for ever.
async fn tables(context: &Context, ledger: &Ledger) -> Result<(Vec<TableName>, Vec<TableName>)> {
    let (include, exclude) = context.config.patterns()?;
    let known = ledger.tables().await?;
    let included: Vec<_> = known.into_iter().filter(|table| is_let_through(&include, &exclude, table)).collect();
    let place = "in the ledger, among those included (check opens new ones)";
    let selected = context.select(included.clone(), |table| table, true, place)?;
    Ok((included, selected))
}

/// The selected tables without those that share their place in the target with others: these fail, but for spellings of
/// one table, of which the live one is taken.
async fn placed<T: Target>(
    context: &Context,
    ledger: &Ledger,
    target: &mut T,
    known: &[TableName],
    selected: Vec<TableName>,
    report: &mut Report,
) -> Result<Vec<TableName>> {
    let mut tables: BTreeSet<_> = selected.into_iter().collect();
    for shared in places::shared::<T>(&context.config, known) {
        let named: Vec<_> = shared.names.iter().filter(|name| tables.remove(*name)).collect();
        if named.is_empty() {
            continue;
        }
        let live =
            if shared.may_be_one() { live(ledger, target, &shared).await } else { Err(shared.error(&context.config)?) };
        match live {
            Ok(live) => drop(tables.insert(live)),
            Err(error) => named.into_iter().for_each(|name| report.table_failed(name, error.again())),
        }
    }
    Ok(tables.into_iter().collect())
}

/// Of folders of one table, dropped and made again under another spelling, the one that flows: with the newest
/// generation that has a batch, or else with the batch that the target holds.
async fn live<T: Target>(ledger: &Ledger, target: &mut T, shared: &SharedPlace) -> Result<TableName> {
    let views = ledger.views(&shared.names).await?;
    let newest = |view: &View| {
        let mut batches = view.batches().rev().filter(|(_, _, batch)| batch.manifest.is_some());
        batches.next().map(|(generation, ..)| generation)
    };
    let highest = views.values().map(newest).max().flatten();
    let mut folders: Vec<_> = views.into_iter().filter(|(_, view)| newest(view) == highest).collect();
    if folders.len() > 1
        && let Some(watermark) = target.watermark(&shared.place).await?
    {
        let at = (watermark.generation, watermark.sequence);
        for (table, view) in &folders {
            if view.has_manifest(at.0, at.1) && is_own(ledger, table, view, &watermark).await? {
                return Ok(table.clone());
            }
        }
    }
    folders.pop().map(|(table, _)| table).ok_or_else(|| Error::new(Kind::Internal, "no folder of the table is left"))
}

fn is_let_through(include: &[String], exclude: &[String], table: &TableName) -> bool {
    is_included(include, &[], table, true) && is_included(&["*".to_owned()], exclude, table, false)
}

/// Applies all that is pending for a table. `check` finishes leftovers by it.
///
/// # Errors
/// What stopped it; batches applied before are committed.
pub async fn table_to_tail<T: Target>(
    config: &Config,
    ledger: &Ledger,
    target: &mut T,
    table: &TableName,
) -> Result<TableSummary> {
    let mut summary = TableSummary::idle(table);
    let mut view = ledger.view(table).await?;
    let (mut refused, mut conflicts) = (None, 0);
    let lock_timeout = config.target()?.lock_timeout;
    let mut patience = lock_timeout;
    while let Some(place) = place::<T>(config, ledger, table, &view).await? {
        let standing = standing(ledger, target, table, &place).await?;
        let at = (standing.watermark.generation, standing.watermark.sequence);
        if standing.is_own {
            summary.to.clone_from(&standing.watermark.position);
            finish_applied(ledger, table, &standing.view, &standing.watermark).await?;
        }
        let Some(next) = standing.next else { break };
        match apply(config, ledger, target, table, at, next, &mut patience).await {
            Ok(Some((manifest, deleted))) => {
                (patience, conflicts) = (lock_timeout, 0);
                summary.status = TableStatus::Done;
                summary.batches += 1;
                summary.upserts += manifest.upserts;
                summary.deletes += manifest.deletes;
                summary.losses.add(&manifest.losses);
                if summary.batches == 1 {
                    summary.from.clone_from(&manifest.window.from);
                }
                tracing::info!(table = %table, generation = next.0, sequence = next.1, inserted = manifest.upserts, deleted, "applied a batch");
            }
            Ok(None) => tracing::info!(table = %table, "another worker applied the batch"),
            Err(error) if error.kind() == Kind::PartDamaged => {
                view = ledger.view(table).await?;
                if decide::is_damaged(&view, at, refused, next) {
                    return Err(error);
                }
                tracing::warn!(table = %table, %error, "a part is not what was written, reading the batch again");
                refused = Some(next);
                continue;
            }
            // The server asks for the whole transaction again.
            Err(error) if error.kind() == Kind::TargetConflict && conflicts < CONFLICTS => {
                conflicts += 1;
                tracing::warn!(table = %table, %error, "another transaction came between, trying again");
                tokio::time::sleep(Duration::from_millis(100 << conflicts)).await;
            }
            Err(error) => return Err(error),
        }
        view = ledger.view(table).await?;
    }
    Ok(summary)
}

/// Where a table stands: between its ledger and its target.
pub struct Standing {
    /// The ledger.
    pub view: View,
    /// What the target holds.
    pub watermark: Watermark,
    /// The batch that follows.
    next: Option<Place>,
    /// Whether the batch at the watermark is not another's than the ledger's.
    is_own: bool,
}

/// Where a table stands. A load beside this one moves both ledger and watermark: an error is told only if the ledger was
/// listed between two readings of the same watermark.
///
/// # Errors
/// What stops the table.
pub async fn standing<T: Target>(
    ledger: &Ledger,
    target: &mut T,
    table: &TableName,
    place: &TargetTable,
) -> Result<Standing> {
    let mut before = None;
    loop {
        let view = ledger.view(table).await?;
        let watermark = target.watermark(place).await?.ok_or_else(|| {
            Error::new(Kind::TargetShape, "the target has no watermark for the table")
                .advice("Run 'delsert check', which makes it")
        })?;
        let at = (watermark.generation, watermark.sequence);
        let is_own = is_own(ledger, table, &view, &watermark).await?;
        let next = decide::next_batch(&view, at);
        match if is_own { next } else { next.and_then(|next| decide::next_after_foreign(&view, at, next)) } {
            Ok(next) => return Ok(Standing { view, watermark, next, is_own }),
            Err(error) if before == Some(at) => return Err(error),
            Err(_) => before = Some(at),
        }
    }
}

/// Whether the batch that the watermark proves applied is the ledger's own, as far as that has it: another table's, or
/// another ledger's, may have the same place.
async fn is_own(ledger: &Ledger, table: &TableName, view: &View, watermark: &Watermark) -> Result<bool> {
    let Some(attempt) = watermark.attempt.filter(|_| view.has_manifest(watermark.generation, watermark.sequence))
    else {
        return Ok(true);
    };
    match ledger.manifest(table, watermark.generation, watermark.sequence).await {
        Ok(manifest) => Ok(manifest.is_none_or(|manifest| manifest.attempt == attempt)),
        // Nothing of an applied batch is needed any more.
        Err(error) if error.kind() == Kind::LedgerUnreadable => Ok(true),
        Err(error) => Err(error),
    }
}

/// Where the table goes, by the columns of its newest generation; `None` if none is open.
async fn place<T: Target>(
    config: &Config,
    ledger: &Ledger,
    table: &TableName,
    view: &View,
) -> Result<Option<TargetTable>> {
    let Some(generation) = view.newest_open() else {
        return if view.generations.is_empty() {
            Err(Error::new(Kind::NotOpen, "the ledger knows nothing of the table")
                .advice("Run 'delsert check', which opens new tables"))
        } else {
            Ok(None)
        };
    };
    let Some(opening) = ledger.opening(table, generation).await? else { return Ok(None) };
    T::place(config, &opening.table).map(Some)
}

/// Applies a batch, if it is still the next once the table's lock is held; `None` if it is not.
async fn apply<T: Target>(
    config: &Config,
    ledger: &Ledger,
    target: &mut T,
    table: &TableName,
    at: Place,
    next: Place,
    patience: &mut Duration,
) -> Result<Option<(Manifest, u64)>> {
    let Some(manifest) = ledger.manifest(table, next.0, next.1).await? else { return Ok(None) };
    let place = T::place(config, &manifest.table)?.typed(&manifest.types);
    let asked = Instant::now();
    let mut load = target.begin(&place, *patience).await?;
    // One that is overtaken again and again waits no longer in all than one that is not.
    *patience = patience.saturating_sub(asked.elapsed());
    crash::after(Step::Locked)?;
    let watermark = load.watermark().clone();
    // Only under the lock is the order certain: the ledger is listed anew.
    let view = ledger.view(table).await?;
    let still = decide::is_still_next(&view, at, (watermark.generation, watermark.sequence), next);
    if !matches!(still, Ok(true)) {
        load.rollback().await?;
        return still.map(|_| None);
    }
    if let Err(error) = continues(&watermark, &manifest) {
        load.rollback().await?;
        return Err(error);
    }
    let applied = match load.apply(&manifest, ledger.bucket()).await {
        Ok(applied) => applied,
        Err(error) => {
            // The connection may be what failed; dropping it rolls back as well.
            let _ = load.rollback().await;
            return Err(error);
        }
    };
    load.commit().await?;
    crash::after(Step::Committed)?;
    if let Err(error) = target.settle(&place, applied).await {
        tracing::warn!(table = %table, %error, "the batch is applied, but what is useful after it was not done");
    }
    Ok(Some((manifest, applied.deleted)))
}

/// Rule 3: changes begin where the batch before ended.
fn continues(watermark: &Watermark, manifest: &Manifest) -> Result<()> {
    if manifest.kind == BatchKind::Snapshot || watermark.position == manifest.window.from {
        return Ok(());
    }
    let text = |position: &Option<crate::position::Position>| {
        position.as_ref().map_or("nothing".to_owned(), ToString::to_string)
    };
    let message = format!(
        "batch {}/{} begins at {}, but the target stands at {}",
        manifest.generation,
        manifest.sequence,
        text(&manifest.window.from),
        text(&watermark.position)
    );
    Err(Error::new(Kind::LedgerGap, message).advice("Run 'delsert resync' for the table"))
}

/// Finishes what the watermark proves: the mark of the last batch, and what is done with.
async fn finish_applied(ledger: &Ledger, table: &TableName, view: &View, watermark: &Watermark) -> Result<()> {
    let at = (watermark.generation, watermark.sequence);
    let unmarked = view.batch(at.0, at.1).is_some_and(|batch| batch.manifest.is_some() && batch.applied.is_none());
    if let (true, Some(attempt)) = (unmarked, watermark.attempt) {
        ledger.mark_applied(table, at.0, at.1, attempt).await?;
    }
    ledger.remove(&decide::tidy(view, at)).await
}
