//! What CDC knows of a database, behind one lock.

use std::collections::VecDeque;
use std::time::Duration;

use crate::table::LogEntry;
use crate::value::{SqlError, Value};

use super::cleanup::Failure;
use super::clock::{self, Clock, Moment};
use super::instance::Instance;
use super::jobs::Jobs;
use super::log::Log;
use super::lsn::Lsn;
use super::numbered::{Logged, Numbered};
use super::retype::Conversion;
use super::scans::Scans;
use super::split::SameKey;

/// A row of `cdc.lsn_time_mapping`.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// Commit LSN.
    pub start: Lsn,
    /// When the transaction began and ended.
    pub times: (Moment, Moment),
    /// Its number; `None` in an idle database's placeholder.
    pub id: Option<[u8; 6]>,
    /// LSN of its first record.
    pub begin: Lsn,
}

impl Logged for Mapping {
    fn lsn(&self) -> Lsn {
        self.start
    }
}

impl Mapping {
    /// `tran_id`.
    pub fn id_value(&self) -> Value {
        Value::Bytes(self.id.map_or_else(|| vec![0], |id| id.to_vec()))
    }
}

/// What a backup of a database holds of CDC and the log.
#[derive(Debug, Clone)]
pub struct Image {
    enabled: bool,
    log: Log,
    instances: Vec<Instance>,
    mapping: Numbered<Mapping>,
    next_object_id: i32,
}

/// The CDC state of a database.
#[derive(Debug)]
pub struct State {
    /// Whether CDC is on.
    pub enabled: bool,
    /// The database's clock.
    pub clock: Clock,
    /// The log.
    pub log: Log,
    /// Capture instances.
    pub instances: Vec<Instance>,
    /// `cdc.lsn_time_mapping`.
    pub mapping: Numbered<Mapping>,
    /// Capture and cleanup job.
    pub jobs: Jobs,
    /// Scans of the log and their errors.
    pub scans: Scans,
    /// How long a database may be idle before it gets a placeholder in the time mapping.
    pub idle: Duration,
    /// How the server converts values whose column changes its type.
    pub conversion: Conversion,
    /// Whether an update leaves a key's value what it was; else it is split.
    pub same_key: SameKey,
    /// How the next cleanups fail.
    pub cleanup_failures: VecDeque<Failure>,
    next_object_id: i32,
}

impl State {
    /// A database without CDC.
    pub fn new(capture_interval: Duration) -> Self {
        Self {
            enabled: false,
            clock: Clock::default(),
            log: Log::new(),
            instances: Vec::new(),
            mapping: Numbered::new(),
            jobs: Jobs::new(capture_interval),
            scans: Scans::default(),
            idle: Duration::from_mins(5),
            conversion: |_, _, _| None,
            same_key: |_, before, after| before == after,
            cleanup_failures: VecDeque::new(),
            next_object_id: 1_900_000_000,
        }
    }

    /// Appends a committed transaction. A dropped table takes its instances along at once.
    pub fn commit(&mut self, entries: Vec<LogEntry>) -> Lsn {
        let dropped: Vec<i32> = entries
            .iter()
            .filter_map(|entry| match entry {
                LogEntry::Ddl(ddl) if ddl.after.is_none() => Some(ddl.object_id),
                LogEntry::Ddl(_) | LogEntry::Row(_) => None,
            })
            .collect();
        self.instances.retain(|instance| !dropped.contains(&instance.source_object_id));
        let instances = &self.instances;
        let tracked = |object_id| instances.iter().any(|instance| instance.source_object_id == object_id);
        self.log.append(entries, tracked, self.clock.now())
    }

    /// The newest LSN that capture has published.
    pub fn max_lsn(&self) -> Option<Lsn> {
        self.mapping.last().map(|mapping| mapping.start)
    }

    /// The low end of an instance. Unknown while capture has published less than the instance's start, which a
    /// database shows whose capture was already running when the instance was made.
    pub fn min_lsn(&self, instance: &Instance) -> Option<Lsn> {
        let reached = self.max_lsn().is_none_or(|max| instance.start_lsn <= max);
        reached.then_some(instance.start_lsn)
    }

    /// The instance of that name.
    pub fn instance(&self, name: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.is_named(name))
    }

    /// The instances of a table.
    pub fn instances_of(&self, source_object_id: i32) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(move |instance| instance.source_object_id == source_object_id)
    }

    /// The instance whose change table has that name.
    pub fn change_table(&self, name: &str) -> Option<&Instance> {
        let name = name.trim_end_matches(' ');
        let (stem, ending) = name.split_at_checked(name.len().checked_sub("_CT".len())?)?;
        let is_change_table = ending.eq_ignore_ascii_case("_CT") && !stem.ends_with(' ');
        self.instances.iter().find(|instance| is_change_table && instance.is_named(stem))
    }

    /// A new `object_id`, from a range that user tables do not reach.
    pub fn next_object_id(&mut self) -> i32 {
        self.next_object_id -= 16;
        self.next_object_id
    }

    /// Writes an idle database's placeholder when nothing was mapped for long.
    pub fn map_idle(&mut self) {
        let now = self.clock.now();
        let due = self.mapping.last().is_none_or(|last| clock::elapsed(last.times.1, now) >= self.idle);
        if due {
            let start = self.log.idle_record();
            self.mapping.push(Mapping { start, times: (now, now), id: None, begin: start });
        }
    }

    /// Fails with 22901 unless CDC is on.
    pub fn require_enabled(&self, database: &str) -> Result<(), SqlError> {
        if self.enabled {
            return Ok(());
        }
        Err(SqlError::new(
            22901,
            format!(
                "The database '{database}' is not enabled for Change Data Capture. Ensure that the correct database \
                 context is set and retry the operation. To report on the databases enabled for Change Data Capture, \
                 query the is_cdc_enabled column in the sys.databases catalog view."
            ),
        ))
    }

    /// What a backup holds.
    pub fn image(&self) -> Image {
        Image {
            enabled: self.enabled,
            log: self.log.clone(),
            instances: self.instances.clone(),
            mapping: self.mapping.clone(),
            next_object_id: self.next_object_id,
        }
    }

    /// Goes back to what a backup holds.
    pub fn restore(&mut self, image: &Image) {
        let Image { enabled, log, instances, mapping, next_object_id } = image.clone();
        self.enabled = enabled;
        self.log = log;
        self.instances = instances;
        self.mapping = mapping;
        self.next_object_id = next_object_id;
        if !enabled {
            self.jobs.stop();
        }
    }

    /// Turns CDC off and forgets all that belongs to it.
    pub fn disable(&mut self) {
        self.enabled = false;
        self.instances.clear();
        self.mapping = Numbered::new();
        self.log.forget_pending();
        self.jobs.drop_all();
    }
}
