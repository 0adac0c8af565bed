//! A history as it runs.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use delsert::bucket::Bucket;
use delsert::config::Config;
use delsert::position::Position;
use delsert::source::Tracked;
use delsert::task::summary::{Summary, TableStatus, TableSummary};
use delsert::task::{Context, check, extract, load, resync};
use futures_util::future::{FutureExt, LocalBoxFuture, join_all};
use tokio::sync::{mpsc, oneshot};

use super::at_source::{pick, write};
use super::between::Between;
use super::bug::{Bug, Filter};
use super::generate::History;
use super::stage::{Stage, Target};
use super::step::{Errand, Hook, Point, Step, Task};
use super::tally::Counts;
use crate::support::postgres::Database;
use crate::support::source::Sql;

/// Kinds of error that tasks may end with before the first check has ended well.
const BEFORE_CHECK: &[&str] = &["NotOpen", "CaptureOff", "NoInstance", "TargetShape", "BucketRights"];

/// Kinds that a task may end with, to be tried again, where others work beside it.
const IN_COMPANY: &[&str] = &["SourceBusy", "LedgerUnreadable", "TargetBusy"];

/// A history that runs.
pub struct Play {
    pub bug: Option<Bug>,
    pub stage: Stage,
    history: History,
    target: Database,
    /// The connection of whoever writes and administers at the source; taken for a step at a time.
    sql: tokio::sync::Mutex<Sql>,
    state: Mutex<State>,
    arrivals: mpsc::UnboundedSender<Arrival>,
    arrived: tokio::sync::Mutex<mpsc::UnboundedReceiver<Arrival>>,
}

/// A task waits at a point until what is to happen there is done.
struct Arrival {
    hook: Hook,
    done: oneshot::Sender<()>,
}

/// What is known so far.
pub struct State {
    context: Context,
    hooks: Vec<Hook>,
    /// Cuts that tasks told.
    cuts: Vec<Position>,
    /// Whether a check ended well, and whether history was cleaned up.
    pub checked: bool,
    pub cleaned: bool,
    /// Tables whose definition changed so that they stop, until a message has them copied anew.
    pub stopped: BTreeSet<String>,
    /// Tables that were opened anew since the last check.
    resynced: BTreeSet<String>,
    /// How many hooks are at work.
    depth: usize,
    /// Tables for which a message asked a resync.
    asked: BTreeSet<String>,
    log: Vec<String>,
    pub counts: Counts,
    faults: Vec<String>,
}

impl Play {
    /// A history at its beginning.
    pub async fn new(history: History, stage: Stage, target: &Target, bug: Option<Bug>) -> anyhow::Result<Self> {
        let sql = tokio::sync::Mutex::new(stage.connect().await?);
        let config = Config::parse(&stage.config(history.settings, &target.database))?;
        let bucket = Bucket::with_client(stage.client(), &config.bucket()?);
        let known = State {
            context: Context::new(config, &[]).with_bucket(bucket),
            hooks: Vec::new(),
            cuts: Vec::new(),
            checked: false,
            cleaned: false,
            stopped: BTreeSet::new(),
            resynced: BTreeSet::new(),
            depth: 0,
            asked: BTreeSet::new(),
            log: vec![format!("{:?}", history.settings)],
            counts: Counts::default(),
            faults: Vec::new(),
        };
        let (arrivals, arrived) = mpsc::unbounded_channel();
        let arrived = tokio::sync::Mutex::new(arrived);
        Ok(Self {
            bug,
            stage,
            history,
            target: target.database.clone(),
            sql,
            state: Mutex::new(known),
            arrivals,
            arrived,
        })
    }

    /// The source's port.
    pub fn port(&self) -> u16 {
        self.stage.port
    }

    /// Runs all steps; what must not be is in [`Play::faults`].
    pub async fn run(&self) -> anyhow::Result<()> {
        for step in self.history.steps.clone() {
            self.step(step).await?;
            if !self.state().faults.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// What was not as it must be.
    pub fn faults(&self) -> Vec<String> {
        self.state().faults.clone()
    }

    /// What was done.
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// The tables.
    pub fn tables(&self) -> &[String] {
        &self.history.tables
    }

    /// The connection to the source.
    pub async fn sql(&self) -> tokio::sync::MutexGuard<'_, Sql> {
        self.sql.lock().await
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what happens.
    pub fn note(&self, line: String) {
        self.state().log.push(line);
    }

    /// Notes what must not be.
    pub fn fault(&self, fault: String) {
        self.state().faults.push(fault);
    }

    /// A task has come to a point: what waits for that happens now, where the history runs.
    pub async fn come_to(&self, point: Point, table: &str) {
        let hook = {
            let hooks = &mut self.state().hooks;
            let found = hooks.iter().position(|hook| hook.point == point && hook.table == table);
            found.map(|at| hooks.remove(at))
        };
        let Some(hook) = hook else { return };
        let (done, is_done) = oneshot::channel();
        if self.arrivals.send(Arrival { hook, done }).is_ok() {
            // Without an answer the history has ended.
            let _ = is_done.await;
        }
    }

    async fn steps_of(&self, hook: Hook) -> anyhow::Result<()> {
        for step in hook.steps {
            self.step(step).await?;
        }
        Ok(())
    }

    /// Waits for tasks, and does meanwhile what waits for the points that they come to.
    async fn attend<T>(&self, tasks: impl Future<Output = T>) -> T {
        let mut tasks = pin!(tasks);
        loop {
            let arrival = async { self.arrived.lock().await.recv().await };
            tokio::select! {
                done = &mut tasks => return done,
                Some(Arrival { hook, done }) = arrival => {
                    let place = format!("at {:?} of {}", hook.point, hook.table);
                    self.note(format!("  {place}"));
                    self.state().depth += 1;
                    if let Err(error) = self.steps_of(hook).await {
                        self.fault(format!("a step {place} failed: {error:#}"));
                    }
                    self.state().depth -= 1;
                    let _ = done.send(());
                }
            }
        }
    }

    /// What the bug drops of a window.
    pub async fn filter(&self, tracked: Tracked<'_>, from: &Position, to: &Position) -> Filter {
        let Some(bug) = self.bug else { return Filter::default() };
        let mut sql = self.sql().await;
        match Filter::of(bug, &mut sql, tracked, from, to).await {
            Ok(filter) => filter,
            Err(error) => {
                self.fault(format!("the bug cannot be put in: {error:#}"));
                Filter::default()
            }
        }
    }

    /// Boxed, since a step may hold others.
    fn step(&self, step: Step) -> LocalBoxFuture<'_, anyhow::Result<()>> {
        async move {
            self.note(format!("  {step}"));
            self.state().counts.steps += 1;
            match step {
                Step::Task(task) => self.task(task).await,
                Step::Mend => self.mend().await,
                Step::Resync(table) => self.resync(table).await,
                Step::Configure(settings) => {
                    let config = Config::parse(&self.stage.config(settings, &self.target))?;
                    let mut state = self.state();
                    state.context.config = Arc::new(config);
                    Ok(())
                }
                Step::Pass(seconds) => {
                    self.stage.pass(seconds);
                    Ok(())
                }
                other => {
                    let mut sql = self.sql().await;
                    self.at_source(&mut sql, other).await
                }
            }
        }
        .boxed_local()
    }

    fn context(&self, table: Option<&String>) -> Context {
        let mut context = self.state().context.clone();
        context.tables = table.cloned().into_iter().collect();
        context
    }

    async fn task(&self, task: Task) -> anyhow::Result<()> {
        let within = self.state().depth > 0;
        let in_company = within || task.times > 1 || !task.beside.is_empty() || !task.hooks.is_empty();
        if !within {
            self.state().hooks.clone_from(&task.hooks);
        }
        let runs = join_all((0..task.times).map(|_| self.run_task(task.errand, task.table.as_ref())));
        let (summaries, beside) = tokio::join!(runs, self.beside(&task.beside));
        beside?;
        for summary in summaries {
            self.judge(&summary, in_company);
        }
        if within {
            return Ok(());
        }
        // What found no point to happen at happens now: the generator counts on it.
        let left = std::mem::take(&mut self.state().hooks);
        for hook in left {
            self.steps_of(hook).await?;
        }
        Ok(())
    }

    /// Others write meanwhile, and the capture job comes by.
    async fn beside(&self, batches: &[String]) -> anyhow::Result<()> {
        for batch in batches {
            let mut sql = self.sql().await;
            write(&mut sql, batch).await?;
            if self.state().checked {
                sql.run("EXEC sys.sp_cdc_scan").await?;
            }
        }
        Ok(())
    }

    /// Runs a task to its end.
    pub async fn run_task(&self, errand: Errand, table: Option<&String>) -> Summary {
        let context = self.context(table);
        let running = async {
            match errand {
                Errand::Check { no_resume } => {
                    let options = check::Options { strict: false, no_resume };
                    check::check_from::<Between>(&context, options).await
                }
                Errand::Extract { until } => {
                    let until = until.and_then(|share| pick(&self.state().cuts, share).cloned());
                    extract::extract_from::<Between>(&context, until).await
                }
                Errand::Load => load::load(&context).await,
            }
        };
        let summary = Box::pin(self.attend(running)).await.finish();
        let mut state = self.state();
        state.counts.tasks += 1;
        if errand == Errand::Load {
            state.counts.batches += summary.batches;
            state.counts.rows += summary.upserts + summary.deletes;
        }
        state.cuts.extend(summary.cut.clone());
        if matches!(errand, Errand::Check { .. }) {
            state.checked |= summary.exit_code == 0 && summary.tables.iter().all(|table| table.error.is_none());
            for table in &summary.tables {
                state.resynced.remove(&table.table);
            }
        }
        let tables: Vec<_> = summary.tables.iter().map(told).collect();
        state.log.push(format!("  = {} {}: {}", summary.task, summary.exit_code, tables.join(", ")));
        drop(state);
        summary
    }

    /// Notes what a task must not have ended with, and what it asks for.
    pub fn judge(&self, summary: &Summary, in_company: bool) {
        let of_tables =
            summary.tables.iter().map(|table| (table.table.as_str(), table.error_kind, table.error.as_ref()));
        let all = of_tables.chain([("the task", summary.error_kind, summary.error.as_ref())]);
        for (table, kind, text) in all {
            let (Some(kind), Some(text)) = (kind, text) else { continue };
            let mut state = self.state();
            let may = match kind {
                "Gap" => state.cleaned || state.stopped.contains(table),
                "Drift" | "NoInstance" if state.stopped.contains(table) => true,
                // Its new generation has columns for which the next check makes an instance.
                "NoInstance" if state.resynced.contains(table) => continue,
                _ => !state.checked && BEFORE_CHECK.contains(&kind) || in_company && IN_COMPANY.contains(&kind),
            };
            if !may {
                state.faults.push(format!("{} of {table} ended with {kind}: {text}", summary.task));
            } else if text.contains("delsert resync") {
                state.asked.insert(table.to_owned());
            }
        }
    }

    /// Whether a message asks for what [`Play::mend`] does.
    pub fn is_asked(&self) -> bool {
        !self.state().asked.is_empty()
    }

    /// Does what messages asked for.
    pub async fn mend(&self) -> anyhow::Result<()> {
        let asked = std::mem::take(&mut self.state().asked);
        for table in asked {
            self.state().counts.resyncs += 1;
            self.resync(table).await?;
        }
        Ok(())
    }

    async fn resync(&self, table: String) -> anyhow::Result<()> {
        if !self.state().checked {
            return Ok(());
        }
        let summary = Box::pin(resync::resync(&self.context(Some(&table)), true)).await.finish();
        self.note(format!("  = resync of {table}: {}", summary.exit_code));
        self.state().resynced.insert(table);
        self.judge(&summary, false);
        Ok(())
    }
}

/// A table's line in the log.
fn told(table: &TableSummary) -> String {
    let done = match table.status {
        TableStatus::Done => format!(" {}+{}-{}", table.batches, table.upserts, table.deletes),
        _ => String::new(),
    };
    let to = table.to.as_ref().map_or(String::new(), |to| format!(" to {to}"));
    let kind = table.error_kind.map_or(String::new(), |kind| format!(" {kind}"));
    format!("{} {:?}{done}{to}{kind}", table.table, table.status)
}
