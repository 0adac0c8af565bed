//! `check`: sees all three ends, names what is missing, mends what it may, and fixes the cut.

mod instances;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::Utc;
use uuid::Uuid;

use super::load::{Standing, standing, table_to_tail};
use super::summary::{Report, TableStatus, TableSummary};
use super::{AnySource, AnyTarget, Context, Pool, flow, for_each_table, idle, places};
use crate::bucket::{Created, Upload};
use crate::config::{Config, Target as TargetConfig};
use crate::crash::{self, Step};
use crate::error::{Error, Kind, Result, shell_word};
use crate::finding::{Finding, Matter, Place};
use crate::ledger::view::View;
use crate::ledger::{Ledger, decide};
use crate::manifest::{FORMAT, Fingerprint, Opening};
use crate::position::Position;
use crate::source::{Source, SourceInfo};
use crate::table::{Table, TableName};
use crate::target::{Target, TargetInfo, fits, types};
use instances::{Flow, enable_tables, flows, retire_instances};

/// What the command line says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Findings fail the task.
    pub strict: bool,
    /// Pending batches are left to the run's own load.
    pub no_resume: bool,
}

/// What the work on each table shares.
struct Shared<T> {
    config: Arc<Config>,
    target: TargetConfig,
    ledger: Ledger,
    connections: Pool<T>,
    fingerprint: Fingerprint,
    resume: bool,
    findings: Mutex<Vec<Finding>>,
}

/// Runs the task.
pub async fn check(context: &Context, options: Options) -> Report {
    check_from::<AnySource>(context, options).await
}

/// Runs the task on a kind of source that the caller chooses, such as one that stands before another.
pub async fn check_from<S: Source>(context: &Context, options: Options) -> Report {
    let mut report = Report::new("check", &context.config.sync.name);
    report.lenient();
    if options.strict {
        report.strict();
    }
    if let Err(error) = Box::pin(run::<S, AnyTarget>(context, options, &mut report)).await {
        report.failed(error);
    }
    report
}

async fn run<S: Source, T: Target + 'static>(context: &Context, options: Options, report: &mut Report) -> Result<()> {
    let ends = tokio::join!(open_source::<S>(context), open_bucket(context), open_target::<T>(context));
    let (Some((mut source, mut info)), Some(ledger), Some((target, target_info))) =
        (kept(ends.0, report), kept(ends.1, report), kept(ends.2, report))
    else {
        return Ok(());
    };
    target_info.findings.into_iter().for_each(|finding| report.finding(finding));
    let enabled = enable_database(&mut source, &mut info, context).await;
    let found = match enabled {
        Ok(()) => source.tables(&context.config).await,
        Err(error) => Err(error),
    };
    let told = source.preflight(&context.config, found.as_deref().unwrap_or_default()).await?;
    told.findings.into_iter().for_each(|finding| report.finding(finding));
    let found = found?;
    let clashes = places::clashes::<T>(&context.config, found.iter().map(|found| &found.table.name))?;
    let (found, missing) =
        context.split(found, |found| &found.table.name, info.ignores_case, "among those included")?;
    if found.is_empty() && context.tables.is_empty() {
        let message = "source.include lets no table through: nothing will be synced";
        report.finding(Finding::new(Matter::NoTables, message).mend(Place::Config, "[source]\ninclude = [\"*\"]"));
    }
    let names: Vec<_> = found.iter().map(|found| found.table.name.clone()).collect();
    let gone = context.gone(&ledger, &names, missing, info.ignores_case).await?;
    for (name, error) in gone {
        report.table_failed(&name, error);
    }
    let mut flows = flows::<S>(context, &ledger, found, &names, report).await?;
    for (name, error) in told.blocked {
        flows.iter_mut().filter(|flow| *flow.name() == name).for_each(|flow| flow.block(error.again()));
    }
    place::<T>(context, &mut flows, &clashes, report);
    retire_instances(&mut source, context, &mut flows, report).await?;
    enable_tables(&mut source, context, &mut flows, report).await?;
    for flow in &flows {
        if let Some(error) = &flow.blocked {
            report.table_blocked(flow.name(), error.again());
        }
    }
    let shared = Arc::new(Shared::<T> {
        config: context.config.clone(),
        target: context.config.target()?,
        ledger: ledger.clone(),
        connections: Pool::default(),
        fingerprint: info.fingerprint.clone(),
        resume: !options.no_resume,
        findings: Mutex::default(),
    });
    shared.connections.give(target).await;
    let jobs: Vec<_> = flows
        .iter()
        .filter(|flow| flow.blocked.is_none())
        .map(|flow| (flow.name().clone(), (shared.clone(), flow.table.clone(), flow.found.table.clone())))
        .collect();
    let work = |(shared, flow, now): (Arc<Shared<T>>, Table, Table)| async move { shared.table(&flow, &now).await };
    for_each_table(jobs, context.config.sync.parallel, work, report).await;
    let mut findings = std::mem::take(&mut *shared.findings.lock().unwrap_or_else(PoisonError::into_inner));
    findings.sort_by(|left, right| left.table.cmp(&right.table));
    for finding in findings {
        report.finding(finding);
    }
    if names.is_empty() || flows.iter().all(|flow| flow.blocked.is_some()) {
        // Nothing may be captured yet, and nobody needs a cut: least of all to be waited for where no table is to be seen.
        report.retried(source.retried());
        return Ok(());
    }
    let cut = source.maximum().await?;
    report.cut(cut.clone());
    find_work(context, &mut source, &info, &ledger, &flows, &cut, report).await?;
    report.retried(source.retried());
    Ok(())
}

fn kept<T>(end: Result<T>, report: &mut Report) -> Option<T> {
    end.map_err(|error| report.failed(error)).ok()
}

async fn open_source<S: Source>(context: &Context) -> Result<(S, SourceInfo)> {
    let mut source = S::connect(&context.config.source()?).await?;
    let info = source.describe().await?;
    tracing::info!(
        version = info.version,
        edition = info.edition,
        database = info.database,
        login = info.login,
        rights = info.rights.join(", "),
        captures = info.captures,
        "source answers"
    );
    Ok((source, info))
}

async fn open_bucket(context: &Context) -> Result<Ledger> {
    let bucket = context.bucket().await?;
    if bucket.ensure().await? {
        tracing::info!(bucket = bucket.name(), "created the bucket");
    }
    bucket.prove_create_only().await?;
    tracing::info!(bucket = bucket.name(), "bucket answers, and honours create-only writes");
    Ok(Ledger::new(bucket, context.config.sync.name.clone()))
}

async fn open_target<T: Target>(context: &Context) -> Result<(T, TargetInfo)> {
    let mut target = T::connect(&context.config.target()?).await?;
    let info = target.describe().await?;
    tracing::info!(version = info.version, database = info.database, login = info.login, "target answers");
    Ok((target, info))
}

async fn enable_database<S: Source>(source: &mut S, info: &mut SourceInfo, context: &Context) -> Result<()> {
    if info.captures {
        return Ok(());
    }
    if !context.config.source()?.enable_cdc {
        return Err(Error::new(
            Kind::CaptureOff,
            format!("database '{}' does not capture changes, and source.enable_cdc is false", info.database),
        )
        .advice(format!("Let {}, or set source.enable_cdc = true", info.enabling))
        .mend(Place::Config, "[source]\nenable_cdc = true"));
    }
    source.enable_capture().await?;
    crash::after(Step::DatabaseEnabled)?;
    tracing::info!(database = info.database, "enabled change data capture");
    info.captures = true;
    Ok(())
}

/// Refuses tables that fall together in the target, or have no place there.
fn place<T: Target>(context: &Context, flows: &mut [Flow], clashes: &BTreeMap<TableName, Error>, report: &mut Report) {
    for flow in flows.iter_mut().filter(|flow| flow.blocked.is_none()) {
        let overrides = types::check_overrides(&context.config, &[&flow.found.table, &flow.wanted], flow.opened);
        let placed = overrides.and_then(|useless| {
            let engine = context.config.naming()?.engine;
            fits::fits(&context.config, engine, &flow.wanted)?;
            T::place(&context.config, &flow.wanted)?;
            Ok(useless)
        });
        match (placed, clashes.get(flow.name())) {
            (Err(error), _) => flow.block(error),
            (Ok(_), Some(clash)) => flow.block(clash.again()),
            (Ok(useless), None) => {
                for finding in useless {
                    report.finding(finding);
                }
            }
        }
    }
}

/// Tells which tables have something to do, by the cut.
async fn find_work<S: Source>(
    context: &Context,
    source: &mut S,
    info: &SourceInfo,
    ledger: &Ledger,
    flows: &[Flow],
    cut: &Position,
    report: &mut Report,
) -> Result<()> {
    let flows: Vec<_> = flows.iter().filter(|flow| flow.blocked.is_none()).collect();
    let names: Vec<_> = flows.iter().map(|flow| flow.name().clone()).collect();
    let views = ledger.views(&names).await?;
    let tails = ledger.tails(&views).await;
    for (flow, tail) in flows.iter().filter_map(|flow| Some((flow, tails.get(flow.name())?))) {
        if idle::is_ending(tail, info) {
            let hours = idle::age(tail, info).as_secs() / 3600;
            let message = format!(
                "its newest batch ended {hours} hours ago, and history is not kept twice as long: extract oftener, or keep it longer"
            );
            let command = format!("delsert extract --table {}", shell_word(&flow.name().to_string()));
            report.finding(Finding::new(Matter::HistoryEnding, message).on(flow.name()).mend(Place::Shell, command));
        }
    }
    let (policy, may_enable) = (context.config.sync.on_new_column, context.config.source()?.enable_cdc);
    let mut places = Vec::with_capacity(flows.len());
    for flow in &flows {
        let tail = tails.get(flow.name());
        let settled = tail.and_then(|tail| flow::settled::<S>(&flow.found, tail, policy, may_enable));
        let capture = settled.map(|(_, capture)| capture);
        places.push(idle::Place { tail, capture, purges: false, renews: false });
    }
    let looks = idle::look(source, info, cut, cut, &places).await?;
    for (flow, look) in flows.iter().zip(looks) {
        let pending = views.get(flow.name()).is_some_and(View::is_pending);
        report.amend(flow.name(), |table| {
            table.work = pending || !look.idle;
            table.at_cut = Some(look.at_cut);
        });
    }
    Ok(())
}

impl<T: Target> Shared<T> {
    async fn table(&self, flow: &Table, now: &Table) -> Result<TableSummary> {
        let mut target = self.connections.take(T::connect(&self.target)).await?;
        let place = T::place(&self.config, flow)?;
        let prepared = target.prepare(&place).await?;
        for change in &prepared.changes {
            tracing::info!(table = %flow.name, "{change}");
        }
        let findings = prepared.findings.into_iter().map(|finding| finding.on(&flow.name));
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).extend(findings);
        let Standing { mut view, watermark, .. } = standing(&self.ledger, &mut target, &flow.name, &place).await?;
        let at = (watermark.generation, watermark.sequence);
        let mut opened = false;
        if view.newest_open().is_none() {
            opened = self.open(now, decide::next_generation(&view, at)).await?;
            view = self.ledger.view(&flow.name).await?;
        }
        let mut summary = TableSummary::idle(&flow.name);
        if self.resume && view.tail().is_some() {
            summary = table_to_tail(&self.config, &self.ledger, &mut target, &flow.name).await?;
        }
        for (source, short) in &place.shortened {
            tracing::info!(table = %flow.name, "'{source}' is too long for the target and is '{short}' there");
        }
        summary.shortened.clone_from(&place.shortened);
        self.remove_orphans(&flow.name, at).await?;
        if opened || !prepared.changes.is_empty() {
            summary.status = TableStatus::Done;
        }
        self.connections.give(target).await;
        Ok(summary)
    }

    /// Opens a generation; `false` if a rival did.
    async fn open(&self, table: &Table, generation: u64) -> Result<bool> {
        let opening = Opening {
            format: FORMAT,
            attempt: Uuid::new_v4(),
            generation,
            table: table.clone(),
            source: self.fingerprint.clone(),
            opened_at: Utc::now(),
        };
        let created = self.ledger.open(&opening).await?;
        tracing::info!(table = %table.name, generation, by_rival = created == Created::Exists, "opened a generation");
        Ok(created == Created::New)
    }

    /// Removes parts and unfinished uploads that can no longer become a batch. A listing is no moment in time: only what
    /// two of them doom goes.
    async fn remove_orphans(&self, table: &TableName, watermark: decide::Place) -> Result<()> {
        let first = self.orphans(table, watermark).await?;
        if first.files.is_empty() && first.uploads.is_empty() {
            return Ok(());
        }
        let second = self.orphans(table, watermark).await?;
        let files: Vec<_> = first.files.into_iter().filter(|file| second.files.contains(file)).collect();
        tracing::info!(table = %table, files = files.len(), uploads = second.uploads.len(), "removing what can no longer become a batch");
        self.ledger.remove(&files).await?;
        for upload in first.uploads.iter().filter(|upload| second.uploads.contains(upload)) {
            self.ledger.bucket().abort_upload(upload).await?;
        }
        Ok(())
    }

    async fn orphans(&self, table: &TableName, watermark: decide::Place) -> Result<Orphans> {
        let uploads = self.ledger.uploads(table).await?;
        let view = self.ledger.view(table).await?;
        let (mut winners, mut unknown) = (BTreeMap::new(), BTreeSet::new());
        for (generation, sequence, batch) in view.batches() {
            let place = (generation, sequence);
            if batch.manifest.is_some() && place > watermark {
                match self.ledger.manifest(table, generation, sequence).await {
                    Ok(manifest) => drop(winners.insert(place, manifest.map(|manifest| manifest.attempt))),
                    // Nothing is removed while it is unknown who won; a load that needs the batch says so.
                    Err(error) if error.kind() == Kind::LedgerUnreadable => drop(unknown.insert(place)),
                    Err(error) => return Err(error),
                }
            }
        }
        let is_orphan = |place, attempt| {
            !unknown.contains(&place)
                && decide::is_orphan(&view, watermark, place, attempt, winners.get(&place).copied().flatten())
        };
        let files = view.batches().flat_map(|(generation, sequence, batch)| {
            batch.files.iter().map(move |(attempt, key)| ((generation, sequence), *attempt, key))
        });
        let files =
            files.filter(|(place, attempt, _)| is_orphan(*place, *attempt)).map(|(.., key)| key.clone()).collect();
        let uploads = uploads.into_iter().filter(|(place, attempt, _)| is_orphan(*place, *attempt));
        Ok(Orphans { files, uploads: uploads.map(|(.., upload)| upload).collect() })
    }
}

/// What can no longer become a batch.
struct Orphans {
    files: Vec<String>,
    uploads: Vec<Upload>,
}
