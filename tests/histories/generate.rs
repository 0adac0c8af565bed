//! A history from a seed: tables, settings, steps. Nothing here looks at what runs.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::plot::Plot;
use super::step::{Errand, Hook, Point, Settings, Step, Task};

/// Rows of a large transaction.
const LARGE: usize = 200;

/// A history.
#[derive(Debug, Clone)]
pub struct History {
    pub seed: u64,
    /// Names of the tables, with their schema.
    pub tables: Vec<String>,
    pub settings: Settings,
    pub steps: Vec<Step>,
}

/// What histories are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Whatever happens.
    Any,
    /// Above all, changes of the tables' definitions.
    Definitions,
}

/// The generator's hand.
struct Generator {
    random: StdRng,
    plots: Vec<Plot>,
    /// How often a step changes a table's definition.
    redefinitions: f64,
    /// Whether the next extract copies a table, or several.
    copy_is_due: bool,
}

impl History {
    /// The history of a seed: of whatever happens, or above all of changed definitions.
    pub fn of(seed: u64, flavour: Flavour) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let redefinitions = match flavour {
            Flavour::Any => *[0.0, 0.02, 0.06].choose(&mut random).unwrap_or(&0.0),
            Flavour::Definitions => 0.2,
        };
        let count = *[1, 1, 2, 2, 3, 4].choose(&mut random).unwrap_or(&1);
        let plots: Vec<_> = (0..count).map(|number| Plot::random(number, &mut random)).collect();
        let tables = plots.iter().map(Plot::full_name).collect();
        let mut generator = Generator { random, plots, redefinitions, copy_is_due: true };
        let settings = generator.settings();
        let steps = generator.steps();
        Self { seed, tables, settings, steps }
    }
}

impl Generator {
    fn chance(&mut self, share: f64) -> bool {
        self.random.random_bool(share)
    }

    fn settings(&mut self) -> Settings {
        let random = &mut self.random;
        Settings {
            purge: ["after_extract", "after_load", "never"].choose(random).unwrap_or(&"never"),
            on_gap: ["fail", "resync"].choose(random).unwrap_or(&"fail"),
            parallel: *[1, 1, 4].choose(random).unwrap_or(&1),
            part_size: ["64MiB", "200B", "1KiB"].choose(random).unwrap_or(&"64MiB"),
            max_window: ["1h", "1h", "1m", "1d"].choose(random).unwrap_or(&"1h"),
            compression: ["zstd", "gzip", "none"].choose(random).unwrap_or(&"zstd"),
        }
    }

    fn steps(&mut self) -> Vec<Step> {
        let mut steps = self.beginning();
        for _ in 0..self.random.random_range(20..=60) {
            let step = self.step();
            steps.push(step);
        }
        steps
    }

    /// Tables, some with rows, and the first check, after which the capture job mostly runs by hand.
    fn beginning(&mut self) -> Vec<Step> {
        let creates = self.plots.iter().map(|plot| plot.create(&mut self.random)).collect();
        let mut steps = vec![Step::Write(creates)];
        if self.chance(0.5) {
            steps.push(Step::Isolation(true));
        }
        for at in 0..self.plots.len() {
            if self.chance(0.8) {
                let count = self.random.random_range(2..40);
                steps.push(Step::Write(vec![self.plots[at].insert_first(count, &mut self.random)]));
            }
        }
        if self.chance(0.1) {
            let errand = if self.chance(0.5) { Errand::Extract { until: None } } else { Errand::Load };
            steps.push(Step::Task(Task::plain(errand)));
        }
        steps.push(Step::Task(Task::plain(Errand::Check { no_resume: false })));
        // A key that changes before the first load leaves the target with the primary key that the first check gave it.
        if self.redefinitions > 0.0 {
            steps.push(Step::Task(Task::plain(Errand::Extract { until: None })));
            steps.push(Step::Task(Task::plain(Errand::Load)));
        }
        if self.chance(0.9) {
            steps.push(Step::Job(false));
        }
        steps
    }

    fn step(&mut self) -> Step {
        if self.chance(self.redefinitions) {
            let at = self.plot();
            return Step::Redefine(self.plots[at].redefine(&mut self.random));
        }
        match self.random.random_range(0..100) {
            0..37 => {
                let most = self.random.random_range(1..5);
                Step::Write(self.writes(most))
            }
            37..39 => Step::Write(vec![self.large()]),
            39..58 => self.scan(),
            58..60 => Step::Job(self.chance(0.3)),
            60..62 => Step::Pass(self.random.random_range(1..400_000)),
            62..66 => self.cleanup(),
            66..67 => Step::Isolation(self.chance(0.5)),
            67..68 => Step::Configure(self.settings()),
            68..69 => {
                self.copy_is_due = true;
                Step::Resync(self.table())
            }
            69..73 => Step::Mend,
            _ => Step::Task(self.task(true)),
        }
    }

    fn scan(&mut self) -> Step {
        Step::Scan(*[500, 500, 3, 1].choose(&mut self.random).unwrap_or(&500))
    }

    fn cleanup(&mut self) -> Step {
        if self.chance(0.4) {
            return Step::Cleanup;
        }
        let at = self.plot();
        self.cleanup_of(at)
    }

    fn cleanup_of(&mut self, at: usize) -> Step {
        let share: f64 = self.random.random();
        Step::CleanupOf(self.plots[at].full_name(), share.max(self.random.random()))
    }

    fn plot(&mut self) -> usize {
        self.random.random_range(0..self.plots.len())
    }

    fn table(&mut self) -> String {
        let at = self.plot();
        self.plots[at].full_name()
    }

    /// A task, plain or in company.
    fn task(&mut self, in_company: bool) -> Task {
        let errand = match self.random.random_range(0..100) {
            0..14 => Errand::Check { no_resume: self.chance(0.3) },
            14..58 => Errand::Extract { until: None },
            58..64 => Errand::Extract { until: Some(self.random.random()) },
            _ => Errand::Load,
        };
        let mut task = Task::plain(errand);
        if self.chance(0.2) {
            task.table = Some(self.table());
        }
        if in_company {
            match self.random.random_range(0..100) {
                0..50 if errand != Errand::Load => task.hooks = self.hooks(),
                50..60 => task.times = 2,
                60..70 => task.beside = self.writes(6),
                _ => {}
            }
        }
        self.copy_is_due &= errand != Errand::Extract { until: None };
        task
    }

    fn hooks(&mut self) -> Vec<Hook> {
        (0..self.random.random_range(1..3)).map(|_| self.hook()).collect()
    }

    /// Something within an extract, most often such that it matters to the table that is read.
    fn hook(&mut self) -> Hook {
        const OF_COPIES: &[Point] = &[Point::BeforeCopy, Point::AmidCopy, Point::AmidCopy, Point::AfterCopy];
        const OF_WINDOWS: &[Point] = &[
            Point::BeforeBounds,
            Point::AfterBounds,
            Point::BeforeChanges,
            Point::AmidChanges,
            Point::AfterChanges,
            Point::BeforePurge,
            Point::BeforeBackfill,
            Point::AmidBackfill,
            Point::AfterBackfill,
        ];
        let points = if self.copy_is_due && self.chance(0.8) { OF_COPIES } else { OF_WINDOWS };
        let point = *points.choose(&mut self.random).unwrap_or(&Point::AfterBounds);
        let at = self.plot();
        let mut steps = Vec::new();
        for _ in 0..self.random.random_range(1..4) {
            match self.random.random_range(0..10) {
                0..5 => {
                    let mut writes = self.writes(2);
                    writes.push(self.plots[at].change(&mut self.random));
                    steps.push(Step::Write(writes));
                    steps.push(self.scan());
                }
                5..8 => steps.push(self.cleanup_of(at)),
                _ => steps.push(Step::Task(self.task(false))),
            }
        }
        Hook { table: self.plots[at].full_name(), point, steps }
    }

    /// One to so many transactions.
    fn writes(&mut self, most: usize) -> Vec<String> {
        (0..self.random.random_range(1..=most)).flat_map(|_| self.transaction()).collect()
    }

    /// A transaction of whatever sort, or a few.
    fn transaction(&mut self) -> Vec<String> {
        match self.random.random_range(0..100) {
            0..40 => vec![self.change()],
            40..62 => {
                let changes = self.changes(8);
                vec![format!("BEGIN TRANSACTION;\n{changes};\nCOMMIT")]
            }
            62..80 => self.comes_and_goes(),
            80..88 => {
                let before = self.plots.clone();
                let changes = self.changes(5);
                self.take_back(before);
                vec![format!("BEGIN TRANSACTION;\n{changes};\nROLLBACK")]
            }
            _ => {
                let first = self.changes(3);
                let before = self.plots.clone();
                let second = self.changes(3);
                self.take_back(before);
                let third = self.changes(3);
                vec![format!(
                    "BEGIN TRANSACTION;\n{first};\nSAVE TRANSACTION a;\n{second};\nROLLBACK TRANSACTION a;\n{third};\nCOMMIT"
                )]
            }
        }
    }

    /// The rows are as they were.
    fn take_back(&mut self, before: Vec<Plot>) {
        self.plots = before;
    }

    /// A row that is put in and taken out, now and then put in again, in one transaction or in several.
    fn comes_and_goes(&mut self) -> Vec<String> {
        let at = self.plot();
        let plot = &mut self.plots[at];
        let (key, insert) = plot.insert(&mut self.random);
        let mut statements = vec![insert, plot.delete_of(&key)];
        if self.random.random_bool(0.3) {
            statements.push(plot.insert(&mut self.random).1);
        }
        if self.chance(0.5) {
            return vec![format!("BEGIN TRANSACTION;\n{};\nCOMMIT", statements.join(";\n"))];
        }
        statements
    }

    fn change(&mut self) -> String {
        let at = self.plot();
        self.plots[at].change(&mut self.random)
    }

    fn changes(&mut self, most: usize) -> String {
        let count = self.random.random_range(1..=most);
        (0..count).map(|_| self.change()).collect::<Vec<_>>().join(";\n")
    }

    /// Some hundred rows put in, or taken out, by one transaction.
    fn large(&mut self) -> String {
        let wide: Vec<_> = (0..self.plots.len()).filter(|at| self.plots[*at].is_wide()).collect();
        let Some(at) = wide.choose(&mut self.random) else { return self.changes(30) };
        let plot = &mut self.plots[*at];
        let delete = plot.delete_many();
        if self.random.random_bool(0.3) {
            return delete;
        }
        let insert = plot.insert_many(LARGE, &mut self.random);
        format!("BEGIN TRANSACTION;\n{delete};\n{insert};\nCOMMIT")
    }
}
