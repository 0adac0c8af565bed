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

mod arguments;
mod capture;
mod cleanup;
mod clock;
mod column_list;
mod ddl;
mod functions;
mod instance;
mod jobs;
mod log;
mod lsn;
mod numbered;
mod packed;
mod procedures;
mod relations;
mod retype;
mod rights;
mod scans;
mod split;
mod state;
mod table_functions;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::session::Param;
use crate::table::{LogEntry, TableDef};
use crate::value::{Column, SqlError, SqlType, Value};

use functions::Function;
use jobs::Shared;
pub use lsn::{LAST, Lsn, ZERO, decrement, increment};
pub use retype::Conversion;
use split::SameKey;
pub use state::Image;
use state::State;

/// What the engine tells a CDC procedure about the session that calls it. It is never asked while CDC's own lock is
/// held, so that it may wait for a writer who commits.
pub trait Caller {
    /// The table of that schema and name (compared as the database's collation does).
    fn table(&self, schema: &str, name: &str) -> Option<TableDef>;
    /// The table of that `object_id`.
    fn table_by_id(&self, object_id: i32) -> Option<TableDef>;
    /// The database's name.
    fn database(&self) -> String;
    /// Whether the login is in that role: `sysadmin`, `db_owner`, or a gating role.
    fn is_member(&self, role: &str) -> bool;
    /// Whether a schema of that name exists (other than the one that CDC makes).
    fn schema_exists(&self, name: &str) -> bool;
    /// Whether the login may SELECT from every column of a table.
    fn can_select(&self, _object_id: i32) -> bool {
        true
    }
    /// Makes a database role unless it exists: `@role_name` of `sys.sp_cdc_enable_table`.
    fn create_role(&self, _name: &str) {}
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
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How often the capture job scans the log once it runs.
    pub capture_interval: Duration,
}

impl Default for Settings {
    /// The server's own: every five seconds.
    fn default() -> Self {
        Self { capture_interval: Duration::from_secs(5) }
    }
}

/// The CDC state of one database.
#[derive(Debug)]
pub struct Cdc {
    shared: Arc<Shared>,
}

impl Drop for Cdc {
    /// Lets the capture job end; it holds the state on its own.
    fn drop(&mut self) {
        self.shared.state.lock().jobs.stop();
        self.shared.bell.notify_all();
    }
}

impl Cdc {
    /// A database without CDC whose log begins now.
    pub fn new(settings: Settings) -> Self {
        let state = Mutex::new(State::new(settings.capture_interval));
        Self { shared: Arc::new(Shared { state, bell: Condvar::new() }) }
    }

    /// Appends a committed transaction to the log and returns its commit LSN. An update that changes the key of an
    /// instance becomes delete + insert when captured. Rows of tables without an instance are not kept.
    pub fn commit(&self, entries: Vec<LogEntry>) -> Lsn {
        self.shared.state.lock().commit(entries)
    }

    /// Whether CDC is on for the database.
    pub fn enabled(&self) -> bool {
        self.shared.state.lock().enabled
    }

    /// Whether a table has a capture instance.
    pub fn is_tracked(&self, object_id: i32) -> bool {
        self.shared.state.lock().instances_of(object_id).next().is_some()
    }

    /// The change tables: `object_id` and name in schema `cdc`.
    pub fn objects(&self) -> Vec<(i32, String)> {
        let state = self.shared.state.lock();
        state.instances.iter().map(|instance| (instance.object_id, instance.table_name())).collect()
    }

    /// Refuses DDL that SQL Server refuses on a tracked table (4711 for TRUNCATE, 22979/22983 for its key …).
    ///
    /// # Errors
    /// The server's error.
    pub fn check_ddl(&self, object_id: i32, kind: DdlKind) -> Result<(), SqlError> {
        self.check_ddl_of(object_id, kind, "")
    }

    /// The same, naming the index or column concerned: an index that no instance uses may go. An empty name stands for
    /// one that is in use.
    ///
    /// # Errors
    /// The server's error.
    pub fn check_ddl_of(&self, object_id: i32, kind: DdlKind, name: &str) -> Result<(), SqlError> {
        ddl::check(&self.shared.state.lock(), object_id, kind, name)
    }

    /// Refuses (4928) to rename a column that an instance captures; another of the same name, dropped before, does not
    /// count.
    ///
    /// # Errors
    /// The server's error.
    pub fn check_rename(&self, object_id: i32, column_id: i32, name: &str) -> Result<(), SqlError> {
        ddl::check_rename(&self.shared.state.lock(), object_id, column_id, name)
    }

    /// Runs `sys.<name>` (`sp_cdc_enable_db`, `sp_cdc_enable_table`, …); `None` if there is no such procedure.
    ///
    /// # Errors
    /// The procedure's error.
    pub fn procedure(&self, name: &str, args: &[Param], caller: &dyn Caller) -> Option<Result<Outcome, SqlError>> {
        procedures::run(&procedures::Call { shared: &self.shared, caller }, name, args)
    }

    /// The result type of `sys.<name>`, if it is a CDC scalar function with so many arguments.
    pub fn function_type(&self, name: &str, args: usize) -> Option<SqlType> {
        let function: Function = name.parse().ok()?;
        (function.arity() == args).then(|| function.sql_type())
    }

    /// Calls `sys.<name>`.
    ///
    /// # Errors
    /// The function's error.
    pub fn function(&self, name: &str, args: &[Value], caller: &dyn Caller) -> Result<Value, SqlError> {
        let function: Function =
            name.parse().map_err(|()| SqlError::new(208, format!("Invalid object name 'sys.{name}'.")))?;
        check_arguments(&format!("sys.{name}"), function.arity(), args.len())?;
        let gate = match args.first() {
            Some(Value::Text(instance)) if function.is_gated() => {
                self.shared.state.lock().instance(instance).map(instance::Instance::gate)
            }
            _ => None,
        };
        let admitted = gate.is_none_or(|gate| gate.admits(caller));
        function.call(&self.shared.state.lock(), args, admitted)
    }

    /// Names of all relations in schema `cdc` now: system tables and change tables.
    pub fn relations(&self) -> Vec<String> {
        relations::names(&self.shared.state.lock())
    }

    /// The columns of `cdc.<name>`, or `None` if there is no such table now.
    pub fn relation(&self, name: &str) -> Option<Vec<Column>> {
        relations::columns(&self.shared.state.lock(), name)
    }

    /// The rows of `cdc.<name>`, those of a change table or `lsn_time_mapping` only within the given bounds (both
    /// inclusive) of `__$start_lsn` / `start_lsn`; at most `limit` rows after skipping those at or before `after`,
    /// an opaque place that a former call returned (`None`: the scan is at its end). A scan in several calls sees
    /// capture and cleanup in between. Change tables come in order of `__$start_lsn`, `__$command_id`, `__$seqval`,
    /// `__$operation`.
    pub fn scan(
        &self,
        name: &str,
        bounds: (Option<Lsn>, Option<Lsn>),
        after: Option<u64>,
        limit: usize,
    ) -> (Vec<Vec<Value>>, Option<u64>) {
        relations::scan(&self.shared.state.lock(), name, bounds, after, limit)
    }

    /// The commit LSN of the oldest change that is left in the instance of a generated function.
    pub fn lowest_change(&self, function: &str) -> Option<Lsn> {
        let state = self.shared.state.lock();
        let (_, instance) = table_functions::find(&state, function)?;
        instance.changes.iter().next().map(|change| change.start)
    }

    /// The columns of `cdc.<name>(…)` if that generated function exists.
    pub fn table_function_columns(&self, name: &str) -> Option<Vec<Column>> {
        let state = self.shared.state.lock();
        table_functions::find(&state, name).map(|(kind, instance)| table_functions::columns(kind, instance))
    }

    /// Calls `cdc.fn_cdc_get_all_changes_<ci>` or `cdc.fn_cdc_get_net_changes_<ci>`.
    ///
    /// # Errors
    /// 313 for bounds or filters that SQL Server refuses so, 229 for a caller who may not read the instance, 208 if
    /// there is no such function.
    pub fn table_function(&self, name: &str, args: &[Value], caller: &dyn Caller) -> Result<Rows, SqlError> {
        let gate = {
            let state = self.shared.state.lock();
            table_functions::find(&state, name).map(|(kind, instance)| (kind, instance.gate()))
        };
        let unknown = || SqlError::new(208, format!("Invalid object name 'cdc.{name}'."));
        let (kind, gate) = gate.ok_or_else(unknown)?;
        check_arguments(&format!("cdc.{name}"), 3, args.len())?;
        if !gate.admits(caller) {
            let (prefix, database) = (kind.prefix(), caller.database());
            let text = format!(
                "The SELECT permission was denied on the object '{prefix}...', database '{database}', schema 'cdc'."
            );
            return Err(SqlError::new(229, text).severity(14).state(5));
        }
        let state = self.shared.state.lock();
        let (kind, instance) = table_functions::find(&state, name).ok_or_else(unknown)?;
        table_functions::call(&state, kind, instance, args)
    }

    /// `msdb.dbo.cdc_jobs`, or `None` while no database has jobs and there is no such table.
    pub fn jobs(&self, database_id: i32) -> Option<Rows> {
        let state = self.shared.state.lock();
        state.enabled.then(|| state.jobs.rows(database_id)).filter(|rows| !rows.rows.is_empty())
    }

    /// Whether `msdb.dbo.cdc_jobs` is there.
    pub fn has_jobs_table(&self) -> bool {
        self.shared.state.lock().jobs.made
    }

    /// Whether the capture job runs.
    pub fn is_capturing(&self) -> bool {
        self.shared.state.lock().jobs.is_running()
    }

    /// `sys.dm_cdc_log_scan_sessions`.
    pub fn log_scan_sessions(&self) -> Rows {
        self.shared.state.lock().scans.sessions()
    }

    /// `sys.dm_cdc_errors`.
    pub fn errors(&self) -> Rows {
        self.shared.state.lock().scans.errors()
    }

    /// Sets how values of a change table are converted when their column changes its type in a way that is not among
    /// the common ones, which CDC knows itself.
    pub fn set_conversion(&self, conversion: Conversion) {
        self.shared.state.lock().conversion = conversion;
    }

    /// Says which updates leave a key what it was, so that they are not split.
    pub fn set_same_key(&self, same: SameKey) {
        self.shared.state.lock().same_key = same;
    }

    /// Lets the next cleanups fail with that number; `None` if no cleanup fails so.
    pub fn fail_cleanups(&self, number: i64, times: u64) -> Option<()> {
        let failure = cleanup::Failure::of(number)?;
        self.shared.state.lock().cleanup_failures.extend((0..times).map(|_| failure));
        Some(())
    }

    /// Pushes the database's clock forward, so that tests can let days pass.
    pub fn advance_clock(&self, by: Duration) {
        self.shared.state.lock().clock.advance(by);
    }

    /// How far the database's clock is ahead of the machine's.
    pub fn clock_ahead(&self) -> Duration {
        self.shared.state.lock().clock.ahead()
    }

    /// What a backup of the database holds of CDC and the log.
    pub fn image(&self) -> Image {
        self.shared.state.lock().image()
    }

    /// Puts the log, the instances and their changes back to what a backup holds. The jobs stay as they are, since they
    /// are the server's; the clock goes on.
    pub fn restore(&self, image: &Image) {
        self.shared.state.lock().restore(image);
        self.shared.bell.notify_all();
    }

    /// How long the database may be idle before capture writes a placeholder into `cdc.lsn_time_mapping`; five
    /// minutes unless set.
    pub fn set_idle_interval(&self, interval: Duration) {
        self.shared.state.lock().idle = interval;
    }
}

/// SQL Server's errors for too few and too many arguments.
fn check_arguments(function: &str, arity: usize, given: usize) -> Result<(), SqlError> {
    if given < arity {
        let text =
            format!("An insufficient number of arguments were supplied for the procedure or function {function}.");
        return Err(SqlError::new(313, text).state(3));
    }
    if given > arity {
        let text = format!("Procedure or function {function} has too many arguments specified.");
        return Err(SqlError::new(8144, text).state(3));
    }
    Ok(())
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
    /// Adding a column.
    AddColumn,
    /// Dropping a column.
    DropColumn,
    /// Changing a column's type.
    AlterColumn,
    /// Switching a partition to another table.
    SwitchOut,
    /// Switching a partition in from another table.
    SwitchIn,
}
