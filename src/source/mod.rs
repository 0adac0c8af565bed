//! The database read: what a source promises to the tasks.
//!
//! A source knows neither CSV nor S3 nor targets. It tells which tables it has and how far its history reaches, and
//! pushes rows into a [`RowSink`]. Positions are opaque to everybody else.

pub mod sqlserver;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::config;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::manifest::{CommitTime, Fingerprint, Instance};
use crate::position::Position;
use crate::retry::Retries;
use crate::row::RowSink;
use crate::table::{Column, Pattern, Table, TableName};

/// What a source says of itself.
#[derive(Debug, Clone)]
pub struct SourceInfo {
    /// Server version.
    pub version: String,
    /// Edition.
    pub edition: String,
    /// Database.
    pub database: String,
    /// Login.
    pub login: String,
    /// Roles that matter and the login has.
    pub rights: Vec<String>,
    /// Whether the database captures changes.
    pub captures: bool,
    /// What lets it capture them, and who may do that.
    pub enabling: String,
    /// How long history is kept, if the login may know.
    pub retention: Option<Duration>,
    /// Who the source is.
    pub fingerprint: Fingerprint,
    /// Whether names that differ only by case are one name.
    pub ignores_case: bool,
    /// The source's own time: what it says of ages is by its clock, not by ours.
    pub now: DateTime<Utc>,
}

/// What was found before the work, all of it at once.
#[derive(Debug, Default)]
pub struct Preflight {
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// Tables that cannot be synced as things are, and why; one may come more than once.
    pub blocked: Vec<(TableName, Error)>,
}

/// A table that the configuration includes.
#[derive(Debug, Clone)]
pub struct SourceTable {
    /// Name, columns that can flow, key.
    pub table: Table,
    /// Whether some columns do not flow, by the configuration or by their type.
    pub partial: bool,
    /// Its capture instances: ours last, and of those the newest last.
    pub captures: Vec<Capture>,
    /// Why the table cannot be synced as it is.
    pub blocked: Option<std::sync::Arc<Error>>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// The columns of its primary key, by which the source captures it unless told otherwise.
    pub primary_key: Vec<String>,
    /// The index of just the key's columns, by which the source is told to capture it where that is not the primary key.
    pub key_index: Option<String>,
    /// Tells the table and its columns from others of the same names that stood there before. Opaque.
    pub incarnation: String,
    /// What is known of columns that were altered, in the order of the log.
    pub altered: Vec<Alteration>,
}

/// A column that got another definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alteration {
    /// Where in the log.
    pub at: Position,
    /// The column as it was left, whatever it became later; its collation is not told.
    pub column: Column,
}

/// A capture instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Name and creation time.
    pub instance: Instance,
    /// The lowest position from which it still has all changes.
    pub start: Position,
    /// Whether this sync made it.
    pub ours: bool,
    /// Names of the columns it captures.
    pub columns: Vec<String>,
    /// Names of the columns that identify a row, in order.
    pub key: Vec<String>,
    /// Whether partitions may be switched, which leaves no trace in it.
    pub partition_switch: bool,
}

impl Capture {
    /// Whether changes of a table can be read from it that flows with these columns and this key.
    pub fn serves(&self, flow: &Table) -> bool {
        self.key == flow.key && flow.columns.iter().all(|column| self.columns.contains(&column.name))
    }
}

impl SourceTable {
    /// The newest instance that serves a table as it flows.
    pub fn capture(&self, flow: &Table) -> Option<&Capture> {
        self.captures.iter().rev().find(|capture| capture.serves(flow))
    }

    /// The newest instance that serves a table as it flows and has its changes after `from`; where none has them, the
    /// newest that serves.
    pub fn capture_after(&self, flow: &Table, from: &Position) -> Option<&Capture> {
        let reaches = |capture: &&Capture| capture.serves(flow) && capture.start <= *from;
        self.captures.iter().rev().find(reaches).or_else(|| self.capture(flow))
    }
}

/// How far a table's history reaches, read in one statement.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The last position captured.
    pub maximum: Position,
    /// The lowest position from which the instance still has all changes.
    pub minimum: Position,
    /// When the transaction at the position asked for committed, if the source knows one there.
    pub committed: Option<CommitTime>,
    /// When the transaction at the minimum committed, as the source writes it, if it knows.
    pub minimum_committed: Option<String>,
}

/// When a transaction committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// When.
    pub time: CommitTime,
    /// The first position that committed at the same moment: history below it is what a purge to this position removes.
    pub first: Position,
}

/// What is asked about an instance's history.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The instance.
    pub capture: &'a Capture,
    /// Whether anything changed in this window `(from, to]`.
    pub window: Option<(Position, Position)>,
    /// Whether there is history below this position.
    pub mark: Option<Position>,
}

/// What was asked; what was not is `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answer {
    /// Whether anything changed in the window.
    pub changed: bool,
    /// Whether there is history below the mark.
    pub purgeable: bool,
}

/// Who owns capture instances: a sync with its ledger, since two ledgers of one name must not purge each other's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The sync's name.
    pub sync: String,
    /// Bucket and prefix of its ledger.
    pub ledger: String,
}

impl Owner {
    /// The owner that the configuration makes.
    ///
    /// # Errors
    /// The configuration's.
    pub fn of(config: &config::Config) -> Result<Self> {
        let bucket = config.bucket()?;
        Ok(Self { sync: config.sync.name.clone(), ledger: format!("{}/{}", bucket.name, bucket.prefix) })
    }
}

/// Which table, by which instance.
#[derive(Debug, Clone, Copy)]
pub struct Tracked<'a> {
    /// The table as it flows.
    pub table: &'a Table,
    /// The instance.
    pub capture: &'a Capture,
}

/// A database. One value holds one connection; it is used for one thing at a time.
pub trait Source: Sized + Send + 'static {
    /// Connects and logs in.
    ///
    /// # Errors
    /// The source does not answer, refuses the login, or TLS fails.
    fn connect(config: &config::Source) -> impl Future<Output = Result<Self>> + Send;

    /// Makes ready for another try at what failed in the middle of rows, whose bounds stay the same: waits, and connects
    /// anew. `tries` counts them for one piece of work. All other methods try again by themselves.
    ///
    /// # Errors
    /// The failure given, where another try would not help, or not any more; or why no connection comes about.
    fn mend(&mut self, error: Error, _tries: &mut u32) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Err(error))
    }

    /// What was tried again since this was last asked.
    fn retried(&mut self) -> Retries {
        Retries::new()
    }

    /// Asks who the source is and what the login may do.
    ///
    /// # Errors
    /// The connection failed. What the login may not read is a finding.
    fn describe(&mut self) -> impl Future<Output = Result<SourceInfo>> + Send;

    /// Turns capture on for the database.
    ///
    /// # Errors
    /// The login lacks the right.
    fn enable_capture(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// The tables that the configuration includes, in a handful of statements however many there are.
    ///
    /// # Errors
    /// The connection failed, or the catalogue may not be read.
    fn tables(&mut self, config: &config::Config) -> impl Future<Output = Result<Vec<SourceTable>>> + Send;

    /// Makes a capture instance that serves a table as it flows, named for its owner. One that is there already is no
    /// error.
    ///
    /// # Errors
    /// The login lacks the right, or the source refuses.
    fn enable_table(
        &mut self,
        owner: &Owner,
        found: &SourceTable,
        flow: &Table,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Drops a capture instance. One that is gone already is no error.
    ///
    /// # Errors
    /// The login lacks the right, or the source refuses.
    fn disable_table(&mut self, table: &TableName, capture: &Capture) -> impl Future<Output = Result<()>> + Send;

    /// As what a column flows on whose definition became another; `None` where the values that it held may have changed.
    fn follow(before: &Column, now: &Column) -> Option<Column>;

    /// The first position at or after `at` at which the source knows a commit; `None` if it knows none yet.
    ///
    /// # Errors
    /// The connection failed, or the login may not read it.
    fn commit_from(&mut self, at: &Position) -> impl Future<Output = Result<Option<Position>>> + Send;

    /// The last position at or before `at` at which the source knows a commit; `None` if it knows none.
    ///
    /// # Errors
    /// The connection failed, or the login may not read it.
    fn commit_until(&mut self, at: &Position) -> impl Future<Output = Result<Option<Position>>> + Send;

    /// Looks for what would stop or harm the work on these tables: rights, jobs, settings. What the login may not read is
    /// a finding. A handful of statements, however many tables there are.
    ///
    /// # Errors
    /// The connection failed.
    fn preflight(
        &mut self,
        config: &config::Config,
        found: &[SourceTable],
    ) -> impl Future<Output = Result<Preflight>> + Send;

    /// What somebody types in at the source to let a table be captured with these columns.
    fn how_to_enable(owner: &Owner, found: &SourceTable, flow: &Table) -> String;

    /// The last position captured. A capture job that has just been made is waited for.
    ///
    /// # Errors
    /// [`Kind::CaptureNeverRan`](crate::error::Kind::CaptureNeverRan), or the connection failed.
    fn maximum(&mut self) -> impl Future<Output = Result<Position>> + Send;

    /// How far the history of an instance reaches, and when the transaction at `at` committed.
    ///
    /// # Errors
    /// [`Kind::ZeroMinimum`](crate::error::Kind::ZeroMinimum) for an unknown instance or a missing right.
    fn bounds(&mut self, tracked: Tracked<'_>, at: &Position) -> impl Future<Output = Result<Bounds>> + Send;

    /// Whether a text that a person gave is a position of this kind of source.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::error::Kind::Config), saying what one looks like.
    fn check_position(position: &Position) -> Result<()>;

    /// When the transactions at these positions committed; absent where the source knows none. Few statements for many
    /// positions.
    ///
    /// # Errors
    /// The connection failed, or the login may not read it.
    fn commit_times(
        &mut self,
        positions: &[Position],
    ) -> impl Future<Output = Result<BTreeMap<Position, Committed>>> + Send;

    /// The lowest position from which each instance still has all changes, by its name. One statement for all.
    ///
    /// # Errors
    /// The connection failed, or the login may not read it.
    fn minimums(&mut self) -> impl Future<Output = Result<BTreeMap<String, Position>>> + Send;

    /// What each question asks. Few statements for many questions.
    ///
    /// # Errors
    /// The connection failed, or an instance may not be read.
    fn changed(&mut self, questions: &[Question<'_>]) -> impl Future<Output = Result<Vec<Answer>>> + Send;

    /// Pushes the last change of each key in the window `(from, to]`, deletes always included. The caller has checked
    /// the bounds before and checks them again after.
    ///
    /// # Errors
    /// The connection failed, the instance is gone, or the sink refused.
    fn changes<S: RowSink>(
        &mut self,
        tracked: Tracked<'_>,
        from: &Position,
        to: &Position,
        sink: &mut S,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The end of a window of an instance that begins at `from`: the last commit at or before `to` that is at most
    /// `span` later, by commit times, than the first change after `from`; `to` itself if nothing changed.
    ///
    /// # Errors
    /// The connection failed, or the instance is gone.
    fn reach(
        &mut self,
        capture: &Capture,
        from: &Position,
        to: &Position,
        span: Duration,
    ) -> impl Future<Output = Result<Position>> + Send;

    /// Pushes every row, as it is now, in which one of these columns is not NULL, in key order; a row that moved may
    /// come twice.
    ///
    /// # Errors
    /// The connection failed, the table changed its columns, or the sink refused.
    fn rows_holding<S: RowSink>(
        &mut self,
        table: &Table,
        columns: &[String],
        sink: &mut S,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Copies the whole table, and gives the position from which changes set right what the copy saw too early or too
    /// late: read before the first row. Rows come in key order; a row that moved may come twice.
    ///
    /// # Errors
    /// [`Kind::CaptureNeverRan`](crate::error::Kind::CaptureNeverRan), the connection failed, or the sink refused.
    fn snapshot<S: RowSink>(
        &mut self,
        tracked: Tracked<'_>,
        sink: &mut S,
    ) -> impl Future<Output = Result<Position>> + Send;

    /// Purges history up to a position that is durable, in one statement, and gives whether there was a mark to purge to.
    ///
    /// # Errors
    /// The login lacks the right, or the source could not.
    fn purge(&mut self, tracked: Tracked<'_>, up_to: &Position) -> impl Future<Output = Result<bool>> + Send;
}

/// Whether two names are one to the source.
pub fn same_name(ignores_case: bool, left: &str, right: &str) -> bool {
    left == right || (ignores_case && left.to_lowercase() == right.to_lowercase())
}

/// Whether the include and exclude patterns let a table through.
pub fn is_included(include: &[String], exclude: &[String], table: &TableName, ignores_case: bool) -> bool {
    let matches = |text: &String| text.parse::<Pattern>().is_ok_and(|pattern| pattern.matches(table, ignores_case));
    include.iter().any(matches) && !exclude.iter().any(matches)
}
