//! The summary: one JSON line, last on stdout, that Airflow and people read; and the exit code.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::finding::{Finding, Mend};
use crate::loss::Losses;
use crate::position::Position;
use crate::retry::{self, Disposition, Retries};
use crate::table::{TableName, escape_json};

/// How a table fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TableStatus {
    /// Something was done.
    Done,
    /// There was nothing to do.
    Idle,
    /// Another worker did it.
    Lost,
    /// A person is needed before it can go on.
    Blocked,
    /// It failed; a retry may help.
    Retry,
    /// It failed; a person is needed.
    Failed,
}

/// A table's line in the summary.
#[derive(Debug, Clone, Serialize)]
pub struct TableSummary {
    /// Name, as the source spells it.
    pub table: String,
    /// How it fared.
    pub status: TableStatus,
    /// Whether the tasks that follow have something to do for it.
    pub work: bool,
    /// Batches written or applied.
    pub batches: u64,
    /// Rows upserted.
    pub upserts: u64,
    /// Keys deleted.
    pub deletes: u64,
    /// What was lost of values, as the configuration allows: times by column and loss.
    pub losses: Losses,
    /// Where the first window began; absent for a snapshot.
    pub from: Option<Position>,
    /// Where the last window ended, or where the table stands.
    pub to: Option<Position>,
    /// Whether the ledger is known to have all up to the cut and no more: a batch ends there, or nothing changed between
    /// its tail and the cut. A copy that ends there may hold newer rows, which the windows that follow set right. Absent
    /// where nobody asked.
    pub at_cut: Option<bool>,
    /// What failed, why, and what to do.
    pub error: Option<String>,
    /// The name of its kind, by which `docs/recovery.md` has it.
    pub error_kind: Option<&'static str>,
    /// What mends it, one thing after the other; empty where that is a person's decision.
    pub mend: Vec<Mend>,
    /// What was tried again at the source, and how often.
    pub retries: Retries,
    /// Names that are too long for the target, each with what stands for it there; told by check.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub shortened: BTreeMap<String, String>,
}

impl TableSummary {
    /// A table on which nothing was done.
    pub fn idle(table: &TableName) -> Self {
        Self {
            table: table.to_string(),
            status: TableStatus::Idle,
            work: false,
            batches: 0,
            upserts: 0,
            deletes: 0,
            losses: Losses::default(),
            from: None,
            to: None,
            at_cut: None,
            error: None,
            error_kind: None,
            mend: Vec::new(),
            retries: Retries::new(),
            shortened: BTreeMap::new(),
        }
    }

    /// A table that an error stopped.
    fn stopped(table: &TableName, status: TableStatus, error: &Error) -> Self {
        let (text, kind, mend) = (error.to_string(), error.kind().name(), error.mends().to_vec());
        Self { status, error: Some(text), error_kind: Some(kind), mend, ..Self::idle(table) }
    }
}

/// The whole summary.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    v: u32,
    kind: &'static str,
    /// The task.
    pub task: &'static str,
    /// The sync; empty if the configuration could not be read.
    pub sync: String,
    /// `ok`, `retry`, `failed`, or `terminated`.
    pub status: &'static str,
    /// The process's exit code.
    pub exit_code: u8,
    /// The cut.
    pub cut: Option<Position>,
    /// Batches written or applied.
    pub batches: u64,
    /// Rows upserted.
    pub upserts: u64,
    /// Keys deleted.
    pub deletes: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// What failed as a whole.
    pub error: Option<String>,
    /// The name of the first such error's kind.
    pub error_kind: Option<&'static str>,
    /// What mends what failed as a whole, one thing after the other; empty where that is a person's decision.
    pub mend: Vec<Mend>,
    /// What was tried again at the source, and how often, for all tables together and for each.
    pub retries: Retries,
    /// Tables, by name.
    pub tables: Vec<TableSummary>,
}

/// A summary in the making.
#[derive(Debug)]
pub struct Report {
    summary: Summary,
    codes: Vec<Error>,
    blocked: Vec<Error>,
    lenient: bool,
    strict: bool,
    started: Instant,
}

impl Report {
    /// A report of a task that begins now.
    pub fn new(task: &'static str, sync: &str) -> Self {
        let summary = Summary {
            v: 1,
            kind: "summary",
            task,
            sync: sync.to_owned(),
            status: "ok",
            exit_code: 0,
            cut: None,
            batches: 0,
            upserts: 0,
            deletes: 0,
            seconds: 0.0,
            findings: Vec::new(),
            error: None,
            error_kind: None,
            mend: Vec::new(),
            retries: Retries::new(),
            tables: Vec::new(),
        };
        Self { summary, codes: Vec::new(), blocked: Vec::new(), lenient: false, strict: false, started: Instant::now() }
    }

    /// Takes findings as failures.
    pub fn strict(&mut self) {
        self.strict = true;
    }

    /// Takes a table's failure for a finding, as long as some table can go on: it fails in its own task.
    pub fn lenient(&mut self) {
        self.lenient = true;
    }

    /// Sets the cut.
    pub fn cut(&mut self, cut: Position) {
        self.summary.cut = Some(cut);
    }

    /// Adds what was tried again for all tables together.
    pub fn retried(&mut self, retries: Retries) {
        add(&mut self.summary.retries, retries);
    }

    /// Adds what a person should know.
    pub fn finding(&mut self, finding: Finding) {
        tracing::warn!(finding = finding.matter.name(), "{finding}");
        self.summary.findings.push(finding);
    }

    /// Adds a table.
    pub fn table(&mut self, table: TableSummary) {
        self.summary.tables.push(table);
    }

    /// Adds a table that failed.
    pub fn table_failed(&mut self, name: &TableName, error: Error) {
        if self.lenient {
            return self.table_blocked(name, error);
        }
        let error = error.on(name);
        tracing::error!(table = %name, kind = error.kind().name(), "{error}");
        let status = match retry::table(error.kind()) {
            Disposition::Retry => TableStatus::Retry,
            _ => TableStatus::Failed,
        };
        self.table(TableSummary::stopped(name, status, &error));
        self.codes.push(error);
    }

    /// Adds a table that cannot go on, without failing the task unless none can.
    pub fn table_blocked(&mut self, name: &TableName, error: Error) {
        let error = error.on(name);
        tracing::warn!(table = %name, kind = error.kind().name(), "{error}");
        self.table(TableSummary::stopped(name, TableStatus::Blocked, &error));
        self.blocked.push(error);
    }

    /// Notes what failed as a whole.
    pub fn failed(&mut self, error: Error) {
        tracing::error!(kind = error.kind().name(), "{error}");
        let text = error.to_string();
        self.summary.error_kind.get_or_insert(error.kind().name());
        self.summary.mend.extend(error.mends().iter().cloned());
        self.summary.error = Some(match self.summary.error.take() {
            Some(before) => format!("{before}; {text}"),
            None => text,
        });
        self.codes.push(error);
    }

    /// The tables so far.
    pub fn tables(&self) -> &[TableSummary] {
        &self.summary.tables
    }

    /// Changes the line of a table, if there is one.
    pub fn amend(&mut self, name: &TableName, amend: impl FnOnce(&mut TableSummary)) {
        let name = name.to_string();
        if let Some(table) = self.summary.tables.iter_mut().find(|table| table.table == name) {
            amend(table);
        }
    }

    /// Takes over what another report of the same round says.
    pub fn absorb(&mut self, other: Self) {
        for theirs in other.summary.tables {
            match self.summary.tables.iter_mut().find(|mine| mine.table == theirs.table) {
                None => self.summary.tables.push(theirs),
                Some(mine) => {
                    let done = mine.status == TableStatus::Done && theirs.status == TableStatus::Idle;
                    mine.status = if done || mine.error.is_some() { mine.status } else { theirs.status };
                    mine.work = theirs.work;
                    mine.batches = mine.batches.max(theirs.batches);
                    mine.upserts = mine.upserts.max(theirs.upserts);
                    mine.deletes = mine.deletes.max(theirs.deletes);
                    mine.losses.widen(&theirs.losses);
                    mine.from = mine.from.take().or(theirs.from);
                    mine.to = theirs.to.or(mine.to.take());
                    mine.at_cut = theirs.at_cut.or(mine.at_cut);
                    if mine.error.is_none() {
                        mine.mend = theirs.mend;
                    }
                    mine.error = mine.error.take().or(theirs.error);
                    mine.error_kind = mine.error_kind.or(theirs.error_kind);
                    add(&mut mine.retries, theirs.retries);
                    mine.shortened.extend(theirs.shortened);
                }
            }
        }
        add(&mut self.summary.retries, other.summary.retries);
        self.summary.cut = self.summary.cut.take().or(other.summary.cut);
        self.summary.findings.extend(other.summary.findings);
        if self.summary.error.is_none() {
            self.summary.mend = other.summary.mend;
        }
        self.summary.error = self.summary.error.take().or(other.summary.error);
        self.summary.error_kind = self.summary.error_kind.or(other.summary.error_kind);
        self.codes.extend(other.codes);
        self.blocked.extend(other.blocked);
    }

    /// Whether something failed besides single tables.
    pub fn failed_as_a_whole(&self) -> bool {
        self.summary.error.is_some()
    }

    /// The exit code as it stands.
    pub fn exit_code(&self) -> u8 {
        let none_can_go_on = self.summary.tables.iter().all(|table| table.status == TableStatus::Blocked);
        let errors = self.codes.iter().chain(self.blocked.iter().filter(|_| none_can_go_on));
        match retry::exit_code(errors) {
            0 if self.strict && (!self.summary.findings.is_empty() || self.any_blocked()) => 3,
            code => code,
        }
    }

    fn any_blocked(&self) -> bool {
        self.summary.tables.iter().any(|table| table.status == TableStatus::Blocked)
    }

    /// Ends the report.
    pub fn finish(mut self) -> Summary {
        let exit_code = self.exit_code();
        let mut summary = self.summary;
        summary.tables.sort_by(|left, right| left.table.cmp(&right.table));
        for table in &summary.tables {
            add(&mut summary.retries, table.retries.clone());
        }
        summary.batches = summary.tables.iter().map(|table| table.batches).sum();
        summary.upserts = summary.tables.iter().map(|table| table.upserts).sum();
        summary.deletes = summary.tables.iter().map(|table| table.deletes).sum();
        summary.seconds = (self.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        summary.exit_code = exit_code;
        summary.status = match exit_code {
            0 => "ok",
            75 => "retry",
            _ => "failed",
        };
        self.codes.clear();
        summary
    }
}

impl Summary {
    /// The summary of a task that a signal ended.
    pub fn terminated(task: &'static str, sync: &str, exit_code: u8) -> Self {
        let mut summary = Report::new(task, sync).finish();
        summary.status = "terminated";
        summary.exit_code = exit_code;
        summary.error = Some("ended by a signal; run it again: nothing is lost".to_owned());
        summary
    }

    /// Writes the line to a file if one is asked for; what fails there becomes the summary's own failure.
    pub fn write(&mut self, file: Option<&Path>) {
        if let Some(Err(error)) = file.map(|path| write_atomically(path, &self.line())) {
            tracing::error!("{error}");
            if self.exit_code == 0 {
                (self.exit_code, self.status) = (retry::table(error.kind()).exit_code(), "failed");
            }
            self.error.get_or_insert(error.to_string());
            self.error_kind.get_or_insert(error.kind().name());
        }
    }

    /// Prints the line: nothing may follow it. A closed stdout is no error.
    pub fn print(&self) {
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "{}", self.line()).and_then(|()| stdout.flush());
    }

    fn line(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
        escape_json(&json)
    }
}

/// Adds up what was tried again.
pub fn add(to: &mut Retries, more: Retries) {
    for (what, times) in more {
        *to.entry(what).or_default() += times;
    }
}

fn write_atomically(path: &Path, line: &str) -> Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let written = std::fs::write(&draft, format!("{line}\n")).and_then(|()| std::fs::rename(&draft, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&draft);
        Error::new(Kind::Local, format!("cannot write --summary-file '{}'", path.display()))
            .because(error)
            .advice("Name a file in a directory that exists and may be written")
    })
}
