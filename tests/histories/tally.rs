//! What was counted, and what was found.

use std::fmt;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use super::generate::Flavour;

/// How many faults are shown.
const SHOWN: usize = 12;

/// What histories did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Steps.
    pub steps: u64,
    /// Tasks.
    pub tasks: u64,
    /// Batches applied.
    pub batches: u64,
    /// Rows written and deleted by them.
    pub rows: u64,
    /// Resyncs that messages asked for.
    pub resyncs: u64,
    /// Changes of tables' definitions.
    pub redefinitions: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.tasks += other.tasks;
        self.batches += other.batches;
        self.rows += other.rows;
        self.resyncs += other.resyncs;
        self.redefinitions += other.redefinitions;
    }
}

/// A history that did not end as it must.
#[derive(Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What it is made of.
    pub flavour: Flavour,
    /// What was not as it must be.
    pub faults: Vec<String>,
    /// What was done.
    pub log: Vec<String>,
}

/// What all histories came to.
#[derive(Debug)]
pub struct Tally {
    started: Instant,
    /// Histories run.
    pub histories: u64,
    /// What they did.
    pub counts: Counts,
    /// Those that did not end as they must.
    pub failures: Vec<Failure>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { started: Instant::now(), histories: 0, counts: Counts::default(), failures: Vec::new() }
    }
}

impl Tally {
    /// How long it took.
    pub fn took(&self) -> Duration {
        self.started.elapsed()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { steps, tasks, batches, rows, resyncs, redefinitions } = self.counts;
        for failure in &self.failures {
            writeln!(f, "{failure}")?;
        }
        write!(
            f,
            "histories {}  steps {steps}  tasks {tasks}  batches {batches}  rows {rows}  resyncs {resyncs}  redefinitions {redefinitions}  differences {}  {:.0} s",
            self.histories,
            self.failures.len(),
            self.took().as_secs_f64()
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.seed;
        writeln!(f, "history {seed} ended otherwise than it must:")?;
        self.faults.iter().take(SHOWN).try_for_each(|fault| writeln!(f, "  {fault}"))?;
        writeln!(f, "what was done:")?;
        self.log.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        let definitions = if self.flavour == Flavour::Definitions { " DEFINITIONS=1" } else { "" };
        write!(f, "replay history {seed} alone: make soak HISTORY={seed}{definitions}")
    }
}
