//! Change data capture: the log, the capture and cleanup jobs, and what SQL sees of them.
//!
//! Pure Rust, knows neither SQLite nor T-SQL syntax. The engine calls it:
//!
//! - at each COMMIT that wrote: [`Cdc::commit`], which gives the transaction its LSN at once;
//! - for `EXEC sys.sp_cdc_…`: [`Cdc::procedure`];
//! - for `sys.fn_cdc_…` scalar functions: [`Cdc::function`];
//! - for tables of schema `cdc` and the generated table-valued functions: [`Cdc::relation`], [`Cdc::scan`],
//!   [`Cdc::table_function`];
//! - before DDL: [`Cdc::check_ddl`], which refuses what SQL Server refuses on a tracked table.
//!
//! Change tables fill only when the capture job (or `sys.sp_cdc_scan`) runs.

use std::time::Duration;

use crate::session::Param;
use crate::table::{LogEntry, TableDef};
use crate::value::{Column, SqlError, SqlType, Value};

/// A log sequence number: 4 bytes VLF, 4 bytes block, 2 bytes slot, big-endian.
pub type Lsn = [u8; 10];

/// What the engine tells a CDC procedure about the session that calls it.
pub trait Caller {
    /// The table of that schema and name (compared as the database's collation does).
    fn table(&self, schema: &str, name: &str) -> Option<TableDef>;
    /// The table of that `object_id`.
    fn table_by_id(&self, object_id: i32) -> Option<TableDef>;
    /// The database's name.
    fn database(&self) -> String;
    /// Whether the login is in that role: `sysadmin`, `db_owner`, or a gating role.
    fn is_member(&self, role: &str) -> bool;
    /// Whether a schema of that name exists.
    fn schema_exists(&self, name: &str) -> bool;
}

/// A result set that a procedure or a table-valued function gives.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Columns.
    pub columns: Vec<Column>,
    /// Rows.
    pub rows: Vec<Vec<Value>>,
}

/// What a procedure gave.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Result sets, in order.
    pub results: Vec<Rows>,
    /// Messages of severity 10 and below.
    pub messages: Vec<SqlError>,
    /// OUTPUT parameters set: name with `@`, type, value.
    pub outputs: Vec<(String, SqlType, Value)>,
    /// Return status.
    pub status: i32,
}

/// How capture behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often the capture job scans the log once it runs.
    pub capture_interval: Duration,
}

/// The CDC state of one database.
pub struct Cdc;

impl Cdc {
    /// A database without CDC whose log begins now.
    pub fn new(_settings: Settings) -> Self {
        todo!()
    }

    /// Appends a committed transaction to the log and returns its commit LSN. An update that changes the key of an
    /// instance becomes delete + insert when captured.
    pub fn commit(&self, _entries: Vec<LogEntry>) -> Lsn {
        todo!()
    }

    /// Whether CDC is on for the database.
    pub fn enabled(&self) -> bool {
        todo!()
    }

    /// Whether a table has a capture instance.
    pub fn is_tracked(&self, _object_id: i32) -> bool {
        todo!()
    }

    /// Refuses DDL that SQL Server refuses on a tracked table (4711 for TRUNCATE, 22979/22983 for its key …).
    ///
    /// # Errors
    /// The server's error.
    pub fn check_ddl(&self, _object_id: i32, _kind: DdlKind) -> Result<(), SqlError> {
        todo!()
    }

    /// Runs `sys.<name>` (`sp_cdc_enable_db`, `sp_cdc_enable_table`, …); `None` if there is no such procedure.
    ///
    /// # Errors
    /// The procedure's error.
    pub fn procedure(&self, _name: &str, _args: &[Param], _caller: &dyn Caller) -> Option<Result<Outcome, SqlError>> {
        todo!()
    }

    /// The result type of `sys.<name>`, if it is a CDC scalar function with so many arguments.
    pub fn function_type(&self, _name: &str, _args: usize) -> Option<SqlType> {
        todo!()
    }

    /// Calls `sys.<name>`.
    ///
    /// # Errors
    /// The function's error.
    pub fn function(&self, _name: &str, _args: &[Value], _caller: &dyn Caller) -> Result<Value, SqlError> {
        todo!()
    }

    /// Names of all relations in schema `cdc` now: system tables and change tables.
    pub fn relations(&self) -> Vec<String> {
        todo!()
    }

    /// The columns of `cdc.<name>`, or `None` if there is no such table now.
    pub fn relation(&self, _name: &str) -> Option<Vec<Column>> {
        todo!()
    }

    /// The rows of `cdc.<name>`, those of a change table or `lsn_time_mapping` only within the given bounds (both
    /// inclusive) of `__$start_lsn` / `start_lsn`; at most `limit` rows after skipping those at or before `after`,
    /// an opaque place that a former call returned. A scan in several calls sees capture and cleanup in between.
    pub fn scan(
        &self,
        _name: &str,
        _bounds: (Option<Lsn>, Option<Lsn>),
        _after: Option<u64>,
        _limit: usize,
    ) -> (Vec<Vec<Value>>, Option<u64>) {
        todo!()
    }

    /// The columns of `cdc.<name>(…)` if that generated function exists.
    pub fn table_function_columns(&self, _name: &str) -> Option<Vec<Column>> {
        todo!()
    }

    /// Calls `cdc.fn_cdc_get_all_changes_<ci>` or `cdc.fn_cdc_get_net_changes_<ci>`.
    ///
    /// # Errors
    /// 313 for bounds or filters that SQL Server refuses so.
    pub fn table_function(&self, _name: &str, _args: &[Value], _caller: &dyn Caller) -> Result<Rows, SqlError> {
        todo!()
    }
}

/// A kind of DDL on a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DdlKind {
    /// TRUNCATE TABLE.
    Truncate,
    /// DROP TABLE.
    DropTable,
    /// Dropping or changing the primary key or an index in use.
    Key,
    /// Renaming a column.
    RenameColumn,
    /// Adding a column.
    AddColumn,
    /// Dropping a column.
    DropColumn,
    /// Changing a column's type.
    AlterColumn,
}
