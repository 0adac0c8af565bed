//! What was counted, and how it is told.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use delsert::config::Engine;

use super::Options;

/// How many faults are shown.
const SHOWN: usize = 30;

/// What was counted.
pub struct Tally {
    options: Options,
    started: Instant,
    /// Rounds with hits.
    pub rounds: u64,
    /// Rounds without, after which the system was at rest.
    pub quiet_rounds: u64,
    /// Living processes killed.
    pub killed: u64,
    /// Living processes frozen.
    pub frozen: u64,
    /// Times that living processes had their connections to one end cut.
    pub cuts: u64,
    /// Processes that slept through a quiet round or more, woke, and ended by themselves.
    pub slept_long: u64,
    /// Processes that came upon another that had done their work.
    pub overtaken: u64,
    /// Processes started.
    pub processes: u64,
    /// Exit codes, and signals, by how often they came.
    pub exits: BTreeMap<String, u64>,
    /// Rows written at the source.
    pub written: u64,
    /// Batches applied to the target.
    pub batches: u64,
    /// Rows inserted into the target by batches.
    pub loaded: u64,
    /// Snapshots applied beyond each table's first.
    pub resyncs: u64,
    /// What is not as it must be; a row's begins with how the row differs.
    pub faults: Vec<String>,
    /// Where the logs are, if there are faults.
    pub kept: Option<PathBuf>,
}

impl Tally {
    /// Nothing counted yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            started: Instant::now(),
            rounds: 0,
            quiet_rounds: 0,
            killed: 0,
            frozen: 0,
            cuts: 0,
            slept_long: 0,
            overtaken: 0,
            processes: 0,
            exits: BTreeMap::new(),
            written: 0,
            batches: 0,
            loaded: 0,
            resyncs: 0,
            faults: Vec::new(),
            kept: None,
        }
    }

    /// Kills of all sorts that met a living process.
    pub fn hits(&self) -> u64 {
        self.killed + self.frozen + self.cuts
    }

    /// Rows that differ so.
    fn rows(&self, how: &str) -> usize {
        self.faults.iter().filter(|fault| fault.starts_with(how)).count()
    }

    /// A line on the way.
    pub fn progress(&self) -> String {
        format!(
            "round {:>4}  kills {:>5}  batches {:>6}  rows {:>8}  differences {}  {:>5.0} s",
            self.rounds,
            self.hits(),
            self.batches,
            self.loaded,
            self.faults.len(),
            self.started.elapsed().as_secs_f32()
        )
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.started.elapsed().as_secs_f64();
        let hits = u32::try_from(self.hits()).unwrap_or(u32::MAX);
        let exits: Vec<_> = self.exits.iter().map(|(code, count)| format!("{code}: {count}")).collect();
        writeln!(f, "seed         {}", self.options.seed)?;
        writeln!(f, "rounds       {} and {} quiet ones", self.rounds, self.quiet_rounds)?;
        writeln!(
            f,
            "kills        {}: {} SIGKILL, {} frozen, {} cuts of connections",
            self.hits(),
            self.killed,
            self.frozen,
            self.cuts
        )?;
        writeln!(f, "processes    {}; exit codes {}", self.processes, exits.join(", "))?;
        writeln!(
            f,
            "beside       {} overtaken by a rival, {} woke after quiet rounds",
            self.overtaken, self.slept_long
        )?;
        writeln!(f, "batches      {} applied, {} of them resyncs", self.batches, self.resyncs)?;
        writeln!(f, "rows         {} changed at the source, {} loaded", self.written, self.loaded)?;
        let (missing, doubled) = (self.rows("missing row"), self.rows("doubled row"));
        let differing = self.rows("differing row") + self.rows("ghost row");
        let others = self.faults.len() - missing - doubled - differing;
        writeln!(f, "differences  {missing} missing, {doubled} doubled, {differing} differing; {others} other faults")?;
        writeln!(f, "time         {seconds:.0} s, {:.2} kills a second", f64::from(hits) / seconds)?;
        for fault in self.faults.iter().take(SHOWN) {
            writeln!(f, "  {fault}")?;
        }
        if let Some(kept) = &self.kept {
            writeln!(f, "logs         {}", kept.display())?;
        }
        let Options { kills, seed, engine } = self.options;
        let target = if engine == Engine::Redshift { " TARGET=redshift" } else { "" };
        write!(f, "replay       make soak KILLS={kills} SEED={seed}{target}")
    }
}
