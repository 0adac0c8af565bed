//! What happens in a history, one step at a time.

use std::fmt;

use super::ddl::Redefinition;

/// A step.
#[derive(Debug, Clone)]
pub enum Step {
    /// Batches at the source, one after the other.
    Write(Vec<String>),
    /// One poll of the log, of at most so many transactions.
    Scan(u32),
    /// The capture job is started, or stopped.
    Job(bool),
    /// Time passes at the source: seconds.
    Pass(u32),
    /// The cleanup job runs.
    Cleanup,
    /// History of one table's instances goes, up to that share of what the log knows.
    CleanupOf(String, f64),
    /// SNAPSHOT isolation is allowed, or not.
    Isolation(bool),
    /// A task.
    Task(Task),
    /// What messages asked for.
    Mend,
    /// A person asks for a table anew without need.
    Resync(String),
    /// A table's definition changes.
    Redefine(Redefinition),
    /// Another configuration.
    Configure(Settings),
}

/// Which task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Errand {
    Check {
        no_resume: bool,
    },
    /// To the cut of an earlier task, by its share of those.
    Extract {
        until: Option<f64>,
    },
    Load,
}

/// A run of a task.
#[derive(Debug, Clone)]
pub struct Task {
    pub errand: Errand,
    /// Only on that table.
    pub table: Option<String>,
    /// Started so many times at once.
    pub times: usize,
    /// Batches that another connection runs meanwhile, with polls of the log between.
    pub beside: Vec<String>,
    /// What happens at points within.
    pub hooks: Vec<Hook>,
}

/// What happens when the task comes to a point in its work on a table, the first time.
#[derive(Debug, Clone)]
pub struct Hook {
    pub table: String,
    pub point: Point,
    pub steps: Vec<Step>,
}

/// Where a task that reads the source stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The bounds are about to be asked for, or just were.
    BeforeBounds,
    AfterBounds,
    /// The changes of a window are about to be read, are half read, or were.
    BeforeChanges,
    AmidChanges,
    AfterChanges,
    /// A copy of the table is about to be made, is half made, or was.
    BeforeCopy,
    AmidCopy,
    AfterCopy,
    /// Rows of columns that begin to flow are about to be read, are half read, or were.
    BeforeBackfill,
    AmidBackfill,
    AfterBackfill,
    /// History is about to be purged.
    BeforePurge,
}

/// What the configuration says beside names and places.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub purge: &'static str,
    pub on_gap: &'static str,
    pub parallel: u8,
    pub part_size: &'static str,
    pub compression: &'static str,
    pub max_window: &'static str,
}

impl Task {
    /// A plain run on all tables.
    pub fn plain(errand: Errand) -> Self {
        Self { errand, table: None, times: 1, beside: Vec::new(), hooks: Vec::new() }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(batches) => write!(f, "write\n      {}", batches.join("\n      GO\n      ")),
            Self::Redefine(how) => {
                let before = if how.uncaptures { ", without its instances" } else { "" };
                write!(f, "redefine {}{before}\n      {}", how.table, how.batches.join("\n      GO\n      "))
            }
            Self::Task(task) => {
                write!(f, "{:?}", task.errand)?;
                task.table.iter().try_for_each(|table| write!(f, " of {table}"))?;
                if task.times > 1 {
                    write!(f, ", {} at once", task.times)?;
                }
                if !task.beside.is_empty() {
                    write!(f, ", beside it\n      {}", task.beside.join("\n      GO\n      "))?;
                }
                for hook in &task.hooks {
                    write!(f, "\n    {:?} of {}", hook.point, hook.table)?;
                    hook.steps.iter().try_for_each(|step| write!(f, "\n    - {step}"))?;
                }
                Ok(())
            }
            other => write!(f, "{other:?}"),
        }
    }
}
