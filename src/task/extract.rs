//! `extract`: what changed at the source becomes the next batch of each table.
//!
//! `attempt` makes one batch; `window` decides which; here is what surrounds them: the tables, the cut, gaps,
//! idle tables, and purging.

mod attempt;
mod purge;
mod renew;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;
use tokio::sync::Mutex;

use super::flow::Course;
use super::summary::{self, Report, TableStatus, TableSummary};
use super::{AnySource, Context, Pool, flow, for_each_table, idle};
use crate::bucket::Created;
use crate::config::{OnGap, Source as SourceConfig, Sync};
use crate::error::{Error, Kind, Result};
use crate::ledger::view::View;
use crate::ledger::{Ledger, decide};
use crate::manifest::{Manifest, Opening};
use crate::position::Position;
use crate::retry::Retries;
use crate::source::{Capture, Source, SourceInfo, SourceTable, Tracked};
use crate::table::TableName;
use attempt::Outcome;
use purge::may_purge;
use window::{Plan, Step};

/// What the work on each table shares.
struct Shared<S> {
    context: Context,
    source: SourceConfig,
    ledger: Ledger,
    connections: Pool<S>,
    info: SourceInfo,
    cut: Position,
    /// What was tried again for each table.
    retries: Mutex<BTreeMap<TableName, Retries>>,
}

/// A table with what is known of it before its own work begins.
struct Job {
    table: SourceTable,
    view: View,
    tail: Option<Manifest>,
    /// What the source said of it, asked about all tables at once.
    look: idle::Look,
}

/// Runs the task.
pub async fn extract(context: &Context, until: Option<Position>) -> Report {
    extract_from::<AnySource>(context, until).await
}

/// Runs the task on a kind of source that the caller chooses, such as one that stands before another.
pub async fn extract_from<S: Source>(context: &Context, until: Option<Position>) -> Report {
    let mut report = Report::new("extract", &context.config.sync.name);
    if let Err(error) = Box::pin(run::<S>(context, until, &mut report)).await {
        report.failed(error);
    }
    report
}

async fn run<S: Source>(context: &Context, until: Option<Position>, report: &mut Report) -> Result<()> {
    let config = context.config.source()?;
    context.config.naming()?;
    until.as_ref().map_or(Ok(()), S::check_position)?;
    let ledger = context.ledger().await?;
    let mut source = S::connect(&config).await?;
    let info = source.describe().await?;
    if !info.captures {
        return Err(Error::new(Kind::CaptureOff, format!("database '{}' does not capture changes", info.database))
            .advice("Run 'delsert check', which enables it"));
    }
    // Before the catalogue: no window then holds changes that are newer than what the catalogue says of their table.
    let maximum = source.maximum().await?;
    let (tables, missing) = context.split(
        source.tables(&context.config).await?,
        |found| &found.table.name,
        info.ignores_case,
        "among those included",
    )?;
    let names: Vec<_> = tables.iter().map(|found| found.table.name.clone()).collect();
    for (name, error) in context.gone(&ledger, &names, missing, info.ignores_case).await? {
        report.table_failed(&name, error);
    }
    let cut = match until {
        None => maximum.clone(),
        // Between two commits it stands for the earlier, by whose time a restore is told.
        Some(until) if until <= maximum => source.commit_until(&until).await?.unwrap_or(until),
        Some(until) => {
            return Err(Error::new(
                Kind::Ahead,
                format!("--until {until} lies above {maximum}, the last position captured"),
            )
            .advice("Try again once the capture job has come so far; it is never clamped"));
        }
    };
    report.cut(cut.clone());
    let mut jobs = jobs(&ledger, tables).await?;
    let places: Vec<_> = jobs.iter().map(|job| job.place::<S>(&context.config.sync, &config)).collect();
    let looks = idle::look(&mut source, &info, &maximum, &cut, &places).await?;
    jobs.iter_mut().zip(looks).for_each(|(job, look)| job.look = look);
    report.retried(source.retried());
    let (context, connections, retries) = (context.clone(), Pool::default(), Mutex::default());
    let shared = Arc::new(Shared { context, source: config, ledger, connections, info, cut, retries });
    shared.connections.give(source).await;
    let jobs = jobs.into_iter().map(|job| (job.table.table.name.clone(), (Arc::clone(&shared), job))).collect();
    let work = |(shared, job): (Arc<Shared<S>>, Job)| async move { shared.table(job).await };
    for_each_table(jobs, shared.context.config.sync.parallel, work, report).await;
    for (name, retries) in std::mem::take(&mut *shared.retries.lock().await) {
        report.amend(&name, |table| table.retries = retries);
    }
    Ok(())
}

/// How often a table's catalogue is read anew when it does not fit the ledger.
const LOOKS: u32 = 3;

/// A table as the catalogue had it.
struct Known {
    table: SourceTable,
    /// The tail that was there before the catalogue was read anew; of its first reading that is not known.
    since: Option<decide::Place>,
    /// How often it was read anew.
    looks: u32,
}

/// What one step of a table's work came to.
struct Made {
    summary: TableSummary,
    /// The instance that its batch was, or would be, read from.
    capture: Capture,
    /// Whether more is left up to the cut.
    more: bool,
}

impl Made {
    fn add_to(&self, whole: &mut TableSummary) {
        let part = &self.summary;
        if whole.batches == 0 {
            whole.from.clone_from(&part.from);
        }
        if part.status != TableStatus::Idle {
            whole.status = part.status;
        }
        whole.batches += part.batches;
        whole.upserts += part.upserts;
        whole.deletes += part.deletes;
        whole.losses.add(&part.losses);
        whole.to = part.to.clone().or(whole.to.take());
        whole.at_cut = part.at_cut;
    }
}

impl Job {
    fn place<S: Source>(&self, policy: &Sync, source: &SourceConfig) -> idle::Place<'_> {
        let tail = self.tail.as_ref();
        let settled = tail.and_then(|tail| self.settled::<S>(tail, policy, source));
        // Where less than the tail is durable, the table waits for its load, and history with it.
        let durable = decide::durable(&self.view, policy.purge);
        let purges = tail.is_some_and(|tail| durable == Some((tail.generation, tail.sequence)))
            && settled.as_ref().is_some_and(|(_, capture)| may_purge(policy, capture));
        // What is lost is looked at again first. Of replicas, another may answer after a reconnect, and stand further back.
        let renews = !source.read_only_replica && settled.as_ref().is_some_and(|(course, _)| course.lost.is_empty());
        idle::Place { tail, capture: settled.map(|(_, capture)| capture), purges, renews }
    }

    fn settled<S: Source>(&self, tail: &Manifest, policy: &Sync, source: &SourceConfig) -> Option<(Course, &Capture)> {
        flow::settled::<S>(&self.table, tail, policy.on_new_column, source.enable_cdc)
    }

    /// The summary of a table in which nothing changed.
    fn idle(&self, tail: &Manifest) -> TableSummary {
        TableSummary {
            to: Some(tail.window.to.clone()),
            work: self.view.is_pending(),
            at_cut: Some(self.look.at_cut),
            ..TableSummary::idle(&self.table.table.name)
        }
    }
}

/// Reads the ledgers of all tables: one listing, and the tails.
async fn jobs(ledger: &Ledger, tables: Vec<SourceTable>) -> Result<Vec<Job>> {
    let names: Vec<_> = tables.iter().map(|found| found.table.name.clone()).collect();
    let mut views = ledger.views(&names).await?;
    let mut tails = ledger.tails(&views).await;
    let job = |table: SourceTable| {
        let view = views.remove(&table.table.name).unwrap_or_default();
        let tail = tails.remove(&table.table.name);
        Job { table, view, tail, look: idle::Look::default() }
    };
    Ok(tables.into_iter().map(job).collect())
}

impl<S: Source> Shared<S> {
    async fn table(&self, job: Job) -> Result<TableSummary> {
        if let (true, Some(tail)) = (job.look.idle && !job.look.purgeable, &job.tail) {
            return Ok(job.idle(tail));
        }
        if let Some(summary) = self.renew(&job).await? {
            return Ok(summary);
        }
        let mut source = self.connections.take(S::connect(&self.source)).await?;
        let extracted = self.extract(&mut source, &job).await;
        self.note_retries(&job.table.table.name, &mut source).await;
        let (summary, usable) = extracted?;
        if usable {
            self.connections.give(source).await;
        }
        Ok(summary)
    }

    /// Another connection in place of one that may be in the middle of a result or a transaction.
    async fn connect_anew(&self, source: &mut S, name: &TableName) -> Result<()> {
        self.note_retries(name, source).await;
        *source = S::connect(&self.source).await?;
        Ok(())
    }

    /// Notes what a connection tried again, for the table's summary.
    async fn note_retries(&self, name: &TableName, source: &mut S) {
        summary::add(self.retries.lock().await.entry(name.clone()).or_default(), source.retried());
    }

    /// Gives the summary, and whether the connection can be used again.
    async fn extract(&self, source: &mut S, job: &Job) -> Result<(TableSummary, bool)> {
        let name = &job.table.table.name;
        let place = job.place::<S>(&self.context.config.sync, &self.source);
        if let (true, Some(tail), Some(capture)) = (job.look.idle, place.tail, place.capture) {
            let usable = self.purge(source, &job.table, capture, &job.view, Some(tail)).await;
            return Ok((job.idle(tail), usable));
        }
        // The first listing may be old by now.
        let mut view = self.ledger.view(name).await?;
        let mut gap_mended = false;
        let mut known = Known { table: job.table.clone(), since: None, looks: 0 };
        let mut summary = TableSummary::idle(name);
        let mut tries = 0;
        loop {
            let error = match self.one(source, &known, &view).await {
                Ok(made) => {
                    let more = made.more;
                    made.add_to(&mut summary);
                    tries = 0;
                    view = self.ledger.view(name).await?;
                    if more {
                        continue;
                    }
                    let usable = self.purge(source, &known.table, &made.capture, &view, None).await;
                    summary.work = view.is_pending();
                    return Ok((summary, usable));
                }
                Err(error) => match source.mend(error, &mut tries).await {
                    Ok(()) => {
                        view = self.ledger.view(name).await?;
                        continue;
                    }
                    Err(error) => error,
                },
            };
            let outdated =
                [Kind::Outdated, Kind::Drift, Kind::NoKey, Kind::NoInstance, Kind::Restored, Kind::ZeroMinimum];
            let outdated = outdated.contains(&error.kind());
            if outdated && known.looks < LOOKS {
                self.connect_anew(source, name).await?;
                known = self.look_again(source, known).await?;
                view = self.ledger.view(name).await?;
                continue;
            }
            let doubtful = [Kind::Gap, Kind::NotOpen, Kind::LedgerUnreadable];
            if !outdated && !doubtful.contains(&error.kind()) {
                return Err(error);
            }
            // Another worker may have moved the ledger.
            let now = self.ledger.view(name).await?;
            if now.tail() == view.tail() && now.newest_open() == view.newest_open() {
                let mended_by = decide::mended_by(&now, self.context.config.sync.on_gap);
                let Some(generation) = mended_by.filter(|_| error.kind() == Kind::Gap && !gap_mended) else {
                    return Err(self.unmended(error));
                };
                tracing::warn!(table = %name, %error, "opening a new generation");
                self.reopen(&known.table, generation).await?;
                gap_mended = true;
            }
            view = self.ledger.view(name).await?;
        }
    }

    /// A failure that no new generation mends. Of a gap under a policy that mends them: it is the second in a row.
    fn unmended(&self, error: Error) -> Error {
        if error.kind() != Kind::Gap || self.context.config.sync.on_gap != OnGap::Resync {
            return error;
        }
        error.advice("The copy that mended the last gap was not followed by a batch in time, and another would meet the same: let extract run more often than the source's retention, or lengthen that; then run 'delsert resync' for the table")
    }

    /// A table as it is now. This task may have slept since it read the catalogue, and others have opened a generation of
    /// the table as it became, or of a source that was restored.
    async fn look_again(&self, source: &mut S, known: Known) -> Result<Known> {
        let info = source.describe().await?;
        if let Some(difference) = self.info.fingerprint.difference(&info.fingerprint) {
            let message = format!("the source became another while the task ran: {difference}");
            return Err(Error::new(Kind::SourceBusy, message).advice("Try again"));
        }
        let name = &known.table.table.name;
        let since = self.ledger.view(name).await?.tail();
        let tables = source.tables(&self.context.config).await?;
        let now = tables.into_iter().find(|now| now.table.name == *name);
        Ok(Known { looks: known.looks + 1, table: now.unwrap_or(known.table), since })
    }

    /// Makes the next batch, if there is one.
    async fn one(&self, source: &mut S, known: &Known, view: &View) -> Result<Made> {
        let found = &known.table;
        let name = &found.table.name;
        let opening = self.opening(found, view).await?;
        // What the configuration leaves out is not certain where two entries say it.
        let stops = |error: &Error| matches!(error.kind(), Kind::Untraced | Kind::Config);
        if let Some(error) = found.blocked.as_ref().filter(|error| stops(error)) {
            return Err(error.again());
        }
        let tail = match view.tail() {
            Some((generation, sequence)) => self.ledger.manifest(name, generation, sequence).await?.map(Some),
            None => Some(None),
        };
        let tail = tail.ok_or_else(|| {
            Error::new(Kind::LedgerUnreadable, "the newest manifest was listed and is gone").advice("Try again")
        })?;
        let before = tail.as_ref().map_or(&opening.table, |tail| &tail.table);
        let course = flow::course::<S>(before, found, tail.as_ref(), self.context.config.sync.on_new_column)?;
        // Whatever became of the key since: rows that it does not tell apart are not to be taken for one.
        if let Some(error) = found.blocked.as_ref().filter(|error| error.kind() == Kind::NoKey) {
            return Err(error.again());
        }
        if let (Some(lost), true) = (course.lost.first(), known.looks == 0 || known.since != view.tail()) {
            // Only a catalogue read after the batch was written can say so.
            return Err(Error::new(Kind::Outdated, format!("column '{lost}' is gone")).advice("Run the task again"));
        }
        let plan = window::next(self, source, found, &opening, tail.as_ref(), course).await?;
        let Plan { step, table, capture } = plan;
        if let Step::Idle(at) = step {
            let at_cut = Some(at == self.cut);
            let summary = TableSummary { at_cut, to: Some(at), ..TableSummary::idle(name) };
            return Ok(Made { summary, capture: capture.clone(), more: false });
        }
        let tracked = Tracked { table: &table, capture };
        let outcome = attempt::make(self, source, tracked, &opening, tail.as_ref(), &step).await?;
        let more = matches!(outcome, Outcome::Won(_)) && step.leaves_more(&self.cut);
        Ok(Made { summary: self.summary(name, outcome, step.end()), capture: capture.clone(), more })
    }

    /// What came of a batch whose window was to end at `end`.
    fn summary(&self, name: &TableName, outcome: Outcome, end: Option<&Position>) -> TableSummary {
        let at_cut = |to: &Position| Some(*to == self.cut);
        let mut summary = TableSummary { at_cut: Some(false), ..TableSummary::idle(name) };
        match outcome {
            Outcome::Empty(at) => {
                summary.at_cut = end.and_then(at_cut);
                summary.to = Some(at);
            }
            Outcome::Lost => summary.status = TableStatus::Lost,
            Outcome::Won(manifest) => {
                summary.status = TableStatus::Done;
                summary.batches = 1;
                summary.upserts = manifest.upserts;
                summary.deletes = manifest.deletes;
                summary.losses = manifest.losses;
                summary.at_cut = at_cut(&manifest.window.to);
                summary.from = manifest.window.from;
                summary.to = Some(manifest.window.to);
            }
        }
        summary
    }

    async fn opening(&self, found: &SourceTable, view: &View) -> Result<Opening> {
        let opening = match view.newest_open() {
            Some(generation) => self.ledger.opening(&found.table.name, generation).await?,
            None => None,
        };
        opening.ok_or_else(|| match &found.blocked {
            Some(error) => error.again(),
            None => Error::new(Kind::NotOpen, "no generation of the table is open in the ledger")
                .advice("Run 'delsert check', which opens new tables; if the table was synced before, check bucket.prefix and sync.name"),
        })
    }

    /// Opens the generation that mends a gap in the one before it.
    async fn reopen(&self, found: &SourceTable, generation: u64) -> Result<()> {
        // Where that one is tidied by now, others have mended the gap and loaded the copy.
        let Some(opening) = self.ledger.opening(&found.table.name, generation - 1).await? else { return Ok(()) };
        // As the table is now, if it can be read so; else as it flowed last.
        let tail = match self.ledger.view(&found.table.name).await?.tail().filter(|tail| tail.0 == generation - 1) {
            Some((generation, sequence)) => self.ledger.manifest(&found.table.name, generation, sequence).await?,
            None => None,
        };
        let now = found.capture(&found.table).map(|_| found.table.clone()).or(tail.map(|tail| tail.table));
        let next = Opening {
            attempt: uuid::Uuid::new_v4(),
            generation,
            table: now.unwrap_or(opening.table),
            source: self.info.fingerprint.clone(),
            opened_at: Utc::now(),
            format: opening.format,
        };
        let by_rival = self.ledger.open(&next).await? == Created::Exists;
        tracing::info!(table = %found.table.name, generation = next.generation, by_rival, "opened a generation");
        Ok(())
    }
}
