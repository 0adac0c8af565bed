//! A connection: its settings, variables and transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::bind::{Variable, Variables};
use super::catalog;
use super::environment::Environment;
use super::error::{Result, from_sqlite};
use super::operation::Operations;
use super::run::transaction::Transaction;
use super::server::{SessionInfo, Shared};
use super::values::datetime;
use crate::session::{Login, Param, Session, Sink, TransactionRequest};
use crate::value::{Column, SqlError, Value};

/// How long a statement waits for a lock when no `LOCK_TIMEOUT` is set: longer than any test should.
const PATIENCE: Duration = Duration::from_secs(30);

/// Settings that SET changes and `sp_reset_connection` restores.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "SET has that many switches")]
pub struct Settings {
    /// Isolation level, 1 to 5.
    pub isolation: u8,
    /// NOCOUNT.
    pub no_count: bool,
    /// `XACT_ABORT`.
    pub xact_abort: bool,
    /// `IMPLICIT_TRANSACTIONS`.
    pub implicit: bool,
    /// FMTONLY.
    pub format_only: bool,
    /// PARSEONLY or NOEXEC.
    pub no_exec: bool,
    /// ROWCOUNT; 0 for no limit.
    pub row_limit: u64,
    /// TEXTSIZE.
    pub text_size: i64,
    /// Other options that are on.
    pub options: BTreeSet<String>,
    /// The table under SET `IDENTITY_INSERT`.
    pub identity_insert: Option<i32>,
}

impl Default for Settings {
    fn default() -> Self {
        let on = [
            "ANSI_NULLS",
            "ANSI_PADDING",
            "ANSI_WARNINGS",
            "ARITHABORT",
            "CONCAT_NULL_YIELDS_NULL",
            "QUOTED_IDENTIFIER",
            "ANSI_NULL_DFLT_ON",
        ];
        Self {
            isolation: 2,
            no_count: false,
            xact_abort: false,
            implicit: false,
            format_only: false,
            no_exec: false,
            row_limit: 0,
            text_size: 2_147_483_647,
            options: on.iter().map(|name| (*name).to_owned()).collect(),
            identity_insert: None,
        }
    }
}

/// A logged-in connection.
pub struct SqlSession {
    /// What sessions share.
    pub shared: Arc<Shared>,
    /// The store.
    pub connection: Connection,
    /// Operations known to the connection.
    pub operations: Arc<Operations>,
    /// Variables of the running batch.
    pub variables: Variables,
    /// Variables of the batch that ended last inside this one, for its OUTPUT parameters.
    pub last_inner: Variables,
    /// Settings.
    pub settings: Settings,
    /// The open transaction.
    pub transaction: Transaction,
    /// Current database.
    pub database: String,
    /// `@@ROWCOUNT`.
    pub row_count: i64,
    /// `@@ERROR`.
    pub error: i32,
    /// `SCOPE_IDENTITY()`.
    pub identity: Value,
    /// Errors that CATCH blocks handle, innermost last.
    pub caught: Vec<SqlError>,
    /// How deep in TRY blocks the batch stands.
    pub tries: usize,
    /// How deep procedures call each other.
    pub depth: usize,
    /// Catalogue views filled at a version of the catalogue.
    pub filled: BTreeMap<String, i64>,
    /// `LOCK_TIMEOUT` in milliseconds; -1 waits.
    pub lock_timeout: Arc<AtomicI64>,
    /// How often the database had been restored when the session began or restored it.
    pub epoch: u64,
    login: Login,
    user: String,
    sysadmin: bool,
    spid: u16,
}

impl SqlSession {
    /// A session over a connection.
    ///
    /// # Errors
    /// When the store cannot take the busy handler.
    #[expect(clippy::too_many_arguments, reason = "one caller, which has just found each of them out")]
    pub fn new(
        shared: Arc<Shared>,
        mut connection: Connection,
        operations: Arc<Operations>,
        login: &Login,
        spid: u16,
        database: String,
        user: String,
        sysadmin: bool,
    ) -> Result<Self> {
        let lock_timeout = Arc::new(AtomicI64::new(-1));
        let limit = Arc::clone(&lock_timeout);
        let mut since = Instant::now();
        let patience = move |attempt: i32| {
            if attempt == 0 {
                since = Instant::now();
            }
            let limit = match limit.load(Ordering::Relaxed) {
                set if set >= 0 => Duration::from_millis(set.unsigned_abs()),
                _ => PATIENCE,
            };
            let waited = since.elapsed();
            if waited >= limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2).min(limit.saturating_sub(waited)));
            true
        };
        connection.busy_handler(Some(patience)).map_err(|error| from_sqlite(&error))?;
        let now = datetime::now();
        let info = SessionInfo {
            login: login.user.clone(),
            host: login.host_name.clone(),
            app: login.app_name.clone(),
            database: database.clone(),
            since: i64::from(now.day) * datetime::DAY + now.ticks,
        };
        shared.sessions.lock().insert(spid, info);
        Ok(Self {
            epoch: shared.epoch.load(Ordering::Acquire),
            shared,
            connection,
            operations,
            variables: Variables::new(),
            last_inner: Variables::new(),
            settings: Settings::default(),
            transaction: Transaction::default(),
            database,
            row_count: 0,
            error: 0,
            identity: Value::Null,
            caught: Vec::new(),
            tries: 0,
            depth: 0,
            filled: BTreeMap::new(),
            lock_timeout,
            login: login.clone(),
            user,
            sysadmin,
            spid,
        })
    }

    /// What a statement sees, and what its operations see while it runs.
    pub fn enter(&mut self) -> Result<Arc<Environment>> {
        let environment = Arc::new(Environment {
            catalog: self.shared.catalog(&self.connection)?,
            local: catalog::load_local(&self.connection).map_err(|error| from_sqlite(&error))?,
            shared: Arc::clone(&self.shared),
            database: self.database.clone(),
            login: self.login.user.clone(),
            user: self.user.clone(),
            sysadmin: self.sysadmin,
            app_name: self.login.app_name.clone(),
            host_name: self.login.host_name.clone(),
            spid: self.spid,
            now: self.shared.now(),
            row_count: self.row_count,
            transactions: self.transaction.count,
            xact_state: self.transaction.state(),
            error: self.error,
            caught: self.caught.last().cloned(),
            identity: self.identity.clone(),
            lock_timeout: self.lock_timeout.load(Ordering::Relaxed),
            isolation: self.settings.isolation,
            options: self.settings.options.iter().cloned().collect(),
            text_size: self.settings.text_size,
            wanted_roles: parking_lot::Mutex::new(Vec::new()),
        });
        self.operations.enter(Arc::clone(&environment));
        Ok(environment)
    }

    /// Declares the parameters of a batch as variables.
    pub fn declare(&mut self, params: &[Param]) -> Result<()> {
        for param in params {
            let target = super::values::convert::Target::of(param.sql_type);
            let value = match &param.value {
                Value::Null => Value::Null,
                value => super::values::convert::convert(value, param.sql_type, target)?,
            };
            self.variables.insert(param.name.to_lowercase(), Variable { ty: param.sql_type, value });
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.abandon();
        self.variables.clear();
        self.settings = Settings::default();
        self.lock_timeout.store(-1, Ordering::Relaxed);
        self.row_count = 0;
        self.error = 0;
        self.identity = Value::Null;
        self.filled.clear();
    }
}

impl Drop for SqlSession {
    fn drop(&mut self) {
        self.abandon();
        self.shared.sessions.lock().remove(&self.spid);
    }
}

impl Session for SqlSession {
    fn database(&self) -> String {
        self.database.clone()
    }

    fn spid(&self) -> u16 {
        self.spid
    }

    fn batch(&mut self, sql: &str, params: &[Param], sink: &mut dyn Sink) {
        self.variables.clear();
        if self.is_killed(sink) {
            return;
        }
        self.run_as_ordered(sql, params, sink);
    }

    fn procedure(&mut self, name: &str, params: &[Param], sink: &mut dyn Sink) {
        self.variables.clear();
        if self.is_killed(sink) {
            return;
        }
        self.call_procedure(name, params, sink);
    }

    fn describe(&mut self, sql: &str, params: &[Param]) -> std::result::Result<Option<Vec<Column>>, SqlError> {
        self.variables.clear();
        self.declare(params)?;
        self.describe_batch(sql)
    }

    fn transaction(&mut self, request: &TransactionRequest, sink: &mut dyn Sink) {
        self.request(request, sink);
    }

    fn reset(&mut self) {
        self.clear();
        // Temporary tables go with the connection that made them.
        if let Ok(local) = catalog::load_local(&self.connection) {
            for table in local.values() {
                let _ = self.connection.execute_batch(&format!("DROP TABLE IF EXISTS {}", table.stored()));
                let _ = catalog::remove_table(&self.connection, table);
            }
        }
    }
}
