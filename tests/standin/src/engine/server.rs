//! The server: what sessions share, logins, and loading in bulk.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};

use super::catalog::{self, Catalog, same};
use super::during::DuringReads;
use super::error::{Result, from_sqlite};
use super::injected::Injected;
use super::operation::{self, Operations};
use super::session::SqlSession;
use super::slow::SlowRows;
use super::values::convert::{Target, convert};
use super::values::{collation, datetime};
use crate::cdc::{self, Cdc};
use crate::session::{Login, Server, Session};
use crate::value::SqlError;

/// How a server starts.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Name of the user database.
    pub database: String,
    /// The first login, a sysadmin.
    pub user: String,
    /// Its password.
    pub password: String,
    /// How capture behaves.
    pub cdc: cdc::Settings,
}

/// A session as the server's views show it.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// Login name.
    pub login: String,
    /// Client host.
    pub host: String,
    /// Client program.
    pub app: String,
    /// Current database.
    pub database: String,
    /// When it logged in, in ticks.
    pub since: i64,
}

/// What all sessions share.
pub struct Shared {
    /// Name of the user database.
    pub database: String,
    /// The first login.
    pub user: String,
    password: String,
    directory: PathBuf,
    /// Change data capture of the user database.
    pub cdc: Arc<Cdc>,
    /// Held over COMMIT and the log's append, so that both have one order.
    pub commit: Mutex<()>,
    identities: Mutex<HashMap<i32, i64>>,
    row_version: AtomicU64,
    next_spid: AtomicU64,
    next_local: AtomicU64,
    /// Sessions by number.
    pub sessions: Mutex<BTreeMap<u16, SessionInfo>>,
    cached: Mutex<Option<Arc<Catalog>>>,
    /// Errors that a test ordered.
    pub injected: Injected,
    /// Statements that a test ordered to run during reads.
    pub during_reads: DuringReads,
    /// Batches whose rows a test wants slow.
    pub slow_rows: SlowRows,
    /// When the server started, in ticks.
    pub started: i64,
    /// What tells the database from others, and from what it was before a restore.
    pub marks: Mutex<Marks>,
    /// Backups by name.
    pub backups: Mutex<BTreeMap<String, Backup>>,
    /// When the database was restored, in ticks.
    pub restored: Mutex<Vec<i64>>,
    /// How often it was: sessions of before are gone.
    pub epoch: AtomicU64,
}

/// What tells a database from others, and from what it was before a restore.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    /// `service_broker_guid`, which a restore keeps.
    pub broker: [u8; 16],
    /// Identity of the log, new with each start and each restore.
    pub recovery_fork: [u8; 16],
}

/// A backup of the database.
#[derive(Debug, Clone)]
pub struct Backup {
    /// The store's copy.
    pub file: PathBuf,
    /// Log and change tables.
    pub cdc: cdc::Image,
    /// `service_broker_guid`.
    pub broker: [u8; 16],
    /// Identity columns' last values.
    pub identities: HashMap<i32, i64>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A leftover directory in the system's temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Shared {
    /// The next value of an identity column.
    pub fn next_identity(&self, table: i32, seed: i64, increment: i64) -> i64 {
        let mut identities = self.identities.lock();
        let value = identities.get(&table).map_or(seed, |last| last.wrapping_add(increment));
        identities.insert(table, value);
        value
    }

    /// The last value that an identity column gave.
    pub fn last_identity(&self, table: i32) -> Option<i64> {
        self.identities.lock().get(&table).copied()
    }

    /// Notes a value put into an identity column by hand.
    pub fn raise_identity(&self, table: i32, value: i64, increment: i64) {
        let mut identities = self.identities.lock();
        let further =
            identities.get(&table).is_none_or(|last| if increment < 0 { value < *last } else { value > *last });
        if further {
            identities.insert(table, value);
        }
    }

    /// Sets or forgets the last value of an identity column.
    pub fn set_identity(&self, table: i32, value: Option<i64>) {
        match value {
            Some(value) => self.identities.lock().insert(table, value),
            None => self.identities.lock().remove(&table),
        };
    }

    /// All identity columns' last values.
    pub fn identities(&self) -> HashMap<i32, i64> {
        self.identities.lock().clone()
    }

    /// Puts them back.
    pub fn set_identities(&self, values: HashMap<i32, i64>) {
        *self.identities.lock() = values;
    }

    /// The present moment by the database's clock, which tests can push forward.
    pub fn now(&self) -> datetime::Moment {
        datetime::later(datetime::now(), self.cdc.clock_ahead())
    }

    /// A new file name in the server's directory.
    pub fn new_file(&self) -> PathBuf {
        self.directory.join(uuid::Uuid::new_v4().to_string())
    }

    /// A session of the first login in the user database, for what a test ordered to happen by itself.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub fn own_session(self: &Arc<Self>) -> Result<SqlSession> {
        let operations = Arc::new(Operations::default());
        let connection = self.connect(&operations).map_err(|error| from_sqlite(&error))?;
        let login = Login { user: self.user.clone(), database: self.database.clone(), ..Login::default() };
        let (spid, database) = (self.next_spid(), self.database.clone());
        SqlSession::new(Arc::clone(self), connection, operations, &login, spid, database, "dbo".to_owned(), true)
    }

    fn next_spid(&self) -> u16 {
        51 + u16::try_from(self.next_spid.fetch_add(1, Ordering::Relaxed) % 32_000).unwrap_or_default()
    }

    /// A new rowversion.
    pub fn next_row_version(&self) -> u64 {
        self.row_version.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The newest rowversion.
    pub fn last_row_version(&self) -> u64 {
        self.row_version.load(Ordering::Relaxed)
    }

    /// An id for a temporary table: negative, and never given twice.
    pub fn next_local_id(&self) -> i32 {
        let next = self.next_local.fetch_add(1, Ordering::Relaxed);
        -1_000_000_000 - i32::try_from(next % 1_000_000_000).unwrap_or_default()
    }

    /// The catalogue that a connection sees, shared where another session read the same version.
    pub fn catalog(&self, connection: &Connection) -> Result<Arc<Catalog>> {
        let version = catalog::version(connection).map_err(|error| from_sqlite(&error))?;
        if let Some(cached) = self.cached.lock().as_ref().filter(|cached| cached.version == version) {
            return Ok(Arc::clone(cached));
        }
        let loaded = Arc::new(catalog::load(connection).map_err(|error| from_sqlite(&error))?);
        *self.cached.lock() = Some(Arc::clone(&loaded));
        Ok(loaded)
    }

    /// A connection to the store, with functions and collations.
    pub fn connect(&self, operations: &Arc<Operations>) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.directory.join("database"), flags)?;
        connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // The directory goes with the process: nothing need survive a crash.
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "cache_size", -64_000)?;
        connection.set_prepared_statement_cache_capacity(64);
        collation::register(&connection)?;
        operation::register(&connection, operations)?;
        super::functions::aggregate::register(&connection)?;
        connection.execute_batch("CREATE TEMP TABLE _local (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")?;
        Ok(connection)
    }
}

/// A SQL Server stand-in with one user database.
pub struct Engine {
    pub(super) shared: Arc<Shared>,
}

impl Engine {
    /// Starts a server with an empty database in a temporary directory, which goes when the last session does.
    ///
    /// # Errors
    /// When the directory or the database in it cannot be made.
    pub fn start(config: EngineConfig) -> anyhow::Result<Arc<Self>> {
        let directory = std::env::temp_dir().join(format!("standin-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&directory)?;
        let now = datetime::now();
        let shared = Shared {
            database: config.database,
            user: config.user,
            password: config.password,
            directory,
            cdc: Arc::new(Cdc::new(config.cdc)),
            commit: Mutex::new(()),
            identities: Mutex::new(HashMap::new()),
            row_version: AtomicU64::new(2000),
            next_spid: AtomicU64::new(0),
            next_local: AtomicU64::new(0),
            sessions: Mutex::new(BTreeMap::new()),
            cached: Mutex::new(None),
            injected: Injected::default(),
            during_reads: DuringReads::default(),
            slow_rows: SlowRows::default(),
            started: i64::from(now.day) * datetime::DAY + now.ticks,
            marks: Mutex::new(Marks {
                broker: *uuid::Uuid::new_v4().as_bytes(),
                recovery_fork: *uuid::Uuid::new_v4().as_bytes(),
            }),
            backups: Mutex::new(BTreeMap::new()),
            restored: Mutex::new(Vec::new()),
            epoch: AtomicU64::new(0),
        };
        shared.cdc.set_conversion(|value, from, to| convert(value, from, Target::of(to)).ok());
        let connection = shared.connect(&Arc::new(Operations::default()))?;
        if !catalog::exists(&connection)? {
            catalog::create(&connection)?;
        }
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// The database's change data capture.
    pub fn cdc(&self) -> Arc<Cdc> {
        Arc::clone(&self.shared.cdc)
    }

    /// Name of the user database.
    pub fn database(&self) -> &str {
        &self.shared.database
    }
}

impl Server for Engine {
    fn login(&self, login: &Login) -> std::result::Result<Box<dyn Session>, SqlError> {
        let shared = &self.shared;
        let operations = Arc::new(Operations::default());
        let failed = || SqlError::new(18_456, format!("Login failed for user '{}'.", login.user)).severity(14);
        let connection = shared.connect(&operations).map_err(|error| from_sqlite(&error))?;
        let catalog = shared.catalog(&connection)?;
        let first = same(&login.user, &shared.user);
        let found = catalog.state.logins.iter().find(|known| same(&known.name, &login.user));
        let good = if login.by_token {
            first || found.is_some()
        } else if first {
            login.password == shared.password
        } else {
            found.is_some_and(|known| known.password == login.password)
        };
        if !good {
            return Err(failed());
        }
        if let Some(error) = shared.injected.take_at_login() {
            return Err(error);
        }
        let sysadmin = first || found.is_some_and(|known| known.roles.iter().any(|role| same(role, "sysadmin")));
        let databases = ["master", "msdb", "tempdb", "model", shared.database.as_str()];
        let database = if login.database.is_empty() {
            "master"
        } else {
            let known = databases.iter().find(|name| same(name, &login.database)).ok_or_else(|| {
                SqlError::new(
                    4060,
                    format!("Cannot open database \"{}\" requested by the login. The login failed.", login.database),
                )
                .severity(11)
            })?;
            *known
        };
        let user = catalog
            .state
            .principals
            .iter()
            .find(|principal| principal.login.as_ref().is_some_and(|name| same(name, &login.user)));
        if !sysadmin && user.is_none() && same(database, &shared.database) {
            return Err(SqlError::new(
                4060,
                format!("Cannot open database \"{database}\" requested by the login. The login failed."),
            )
            .severity(11));
        }
        let user = if sysadmin { "dbo".to_owned() } else { user.map_or("guest".to_owned(), |user| user.name.clone()) };
        let spid = shared.next_spid();
        let session = SqlSession::new(
            Arc::clone(shared),
            connection,
            operations,
            login,
            spid,
            database.to_owned(),
            user,
            sysadmin,
        )?;
        Ok(Box::new(session))
    }
}
