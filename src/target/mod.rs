//! The warehouse written: what a target promises to the tasks.
//!
//! A target knows neither sources nor the ledger. It is given a manifest and the bucket, and applies the batch in one
//! transaction with its watermark. Names, types and SQL of an engine live with that engine; what engines share lives
//! in [`delsert`], [`batch`], [`types`], [`fits`] and [`refusal`], and what speaks PostgreSQL's protocol in [`pgwire`].

pub mod any;
pub mod batch;
pub mod delsert;
pub mod fits;
pub mod pgwire;
pub mod postgres;
pub mod redshift;
pub mod refusal;
pub mod types;

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use crate::bucket::Bucket;
use crate::config::OnExistingRows;
use crate::error::Result;
use crate::finding::Finding;
use crate::manifest::Manifest;
use crate::position::Position;
use crate::table::{ColumnType, Table};

/// A table's place in the target: where its rows go and how its columns are called and typed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetTable {
    /// The source's name, as messages give it.
    pub source_name: String,
    /// The sync that owns the watermark.
    pub sync: String,
    /// Schema.
    pub schema: String,
    /// Table.
    pub name: String,
    /// Columns, in the order of the source table's.
    pub columns: Vec<TargetColumn>,
    /// Indexes into `columns` of the key, in key order.
    pub key: Vec<usize>,
    /// Text appended to CREATE TABLE.
    pub extra: Option<String>,
    /// What rows do that are there before the first snapshot.
    pub on_existing_rows: OnExistingRows,
    /// Names of the source that are too long for the target, each with what stands for it there.
    pub shortened: BTreeMap<String, String>,
}

impl TargetTable {
    /// The same with the types that a batch's values were made to fit, whatever is configured by now: others may round
    /// or cut them. None are told where there are none.
    #[must_use]
    pub fn typed(mut self, types: &[String]) -> Self {
        for (column, sql_type) in self.columns.iter_mut().zip(types) {
            column.sql_type.clone_from(sql_type);
        }
        self
    }
}

/// A column of a target table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetColumn {
    /// Name in the target.
    pub name: String,
    /// Type, in the target's SQL.
    pub sql_type: String,
    /// What it holds at the source.
    pub column_type: ColumnType,
    /// The type that the target gives it unless another is configured.
    pub own_type: String,
    /// Whether NULL is allowed.
    pub nullable: bool,
}

/// Generation and sequence of the last batch applied to a table, and where in the source's log it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watermark {
    /// Generation; 0 before the first.
    pub generation: u64,
    /// Sequence; 0 before the first.
    pub sequence: u64,
    /// `to` of that batch; absent before the first.
    pub position: Option<Position>,
    /// The attempt that made that batch.
    pub attempt: Option<Uuid>,
}

/// What a target says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetInfo {
    /// Server version, as the server says it.
    pub version: String,
    /// Database.
    pub database: String,
    /// Login.
    pub login: String,
    /// Rights it lacks and other findings, each with the statement that mends it.
    pub findings: Vec<Finding>,
}

/// What [`Target::prepare`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// The statements that changed something, in order; empty when all stood ready.
    pub changes: Vec<String>,
    /// What a person should know of a table that was there before, each time until its first snapshot is loaded.
    pub findings: Vec<Finding>,
}

/// What a batch did to a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rows inserted.
    pub inserted: u64,
    /// Rows deleted before the insert.
    pub deleted: u64,
}

/// A warehouse. One value holds one connection; it is used for one thing at a time.
pub trait Target: Sized + Send {
    /// A table's load in progress: an open transaction that holds the table's own lock.
    type Load<'a>: Load
    where
        Self: 'a;

    /// Connects and logs in.
    ///
    /// # Errors
    /// The target does not answer, refuses the login, or TLS fails.
    fn connect(config: &crate::config::Target) -> impl Future<Output = Result<Self>> + Send;

    /// Asks the server who it is, and what the login may do.
    ///
    /// # Errors
    /// The connection failed.
    fn describe(&mut self) -> impl Future<Output = Result<TargetInfo>> + Send;

    /// Where a table goes and how it looks there. Pure: asks no server.
    ///
    /// # Errors
    /// A configured type or name that cannot be.
    fn place(config: &crate::config::Config, table: &Table) -> Result<TargetTable>;

    /// Makes what is missing: schema, production table, staging table, and the watermark at 0/0. Safe to run beside
    /// itself and beside loads; never drops or empties what it did not make.
    ///
    /// # Errors
    /// [`Kind::TargetShape`](crate::error::Kind::TargetShape) when a table of that name is there that cannot be adopted:
    /// other columns or types, rows, what would change, drop or refuse rows of ours, all of it listed, each with what
    /// mends it; [`Kind::OtherSync`](crate::error::Kind::OtherSync) when another sync owns it.
    fn prepare(&mut self, table: &TargetTable) -> impl Future<Output = Result<Prepared>> + Send;

    /// The watermark as committed; `None` where `prepare` never ran. Takes no lock.
    ///
    /// # Errors
    /// As [`Target::prepare`] for another sync.
    fn watermark(&mut self, table: &TargetTable) -> impl Future<Output = Result<Option<Watermark>>> + Send;

    /// Begins the one transaction of a load: takes the table's own lock before anything else, waiting no longer than
    /// `patience`, then reads the watermark.
    ///
    /// # Errors
    /// [`Kind::TargetBusy`](crate::error::Kind::TargetBusy) when the lock cannot be had in time,
    /// [`Kind::TargetShape`](crate::error::Kind::TargetShape) naming `check` when there is no watermark.
    fn begin<'a>(
        &'a mut self,
        table: &'a TargetTable,
        patience: Duration,
    ) -> impl Future<Output = Result<Self::Load<'a>>> + Send;

    /// What is worth doing for a table once a batch is committed, outside its transaction, such as gathering statistics.
    ///
    /// # Errors
    /// The server's; the batch is applied all the same.
    fn settle(&mut self, table: &TargetTable, applied: Applied) -> impl Future<Output = Result<()>> + Send;
}

/// A load's transaction. Dropped before [`Load::commit`], it rolls back.
pub trait Load: Sized + Send {
    /// The watermark, read under the lock.
    fn watermark(&self) -> &Watermark;

    /// Empties staging, copies the parts into it (checking rows and checksums against the manifest), deletes the keys
    /// (or, for a snapshot, all rows), inserts the upserts, moves the watermark (conditional on the value read, and
    /// one row), and empties staging. Rows that no batch brought are there before the first snapshot only, and deleted
    /// only where the table says so, decided under a lock that keeps writers out.
    ///
    /// # Errors
    /// [`Kind::PartDamaged`](crate::error::Kind::PartDamaged), [`Kind::TargetShape`](crate::error::Kind::TargetShape) as
    /// of [`Target::prepare`], a refusal of the target with what it says, or the bucket's error. Nothing is then applied.
    fn apply(&mut self, manifest: &Manifest, bucket: &Bucket) -> impl Future<Output = Result<Applied>> + Send;

    /// Commits.
    ///
    /// # Errors
    /// The commit may or may not have happened: the next load finds out by the watermark.
    fn commit(self) -> impl Future<Output = Result<()>> + Send;

    /// Rolls back, so that the connection can be used again.
    ///
    /// # Errors
    /// The connection failed.
    fn rollback(self) -> impl Future<Output = Result<()>> + Send;
}
