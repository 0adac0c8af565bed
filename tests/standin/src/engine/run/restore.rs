//! Backup and restore of the database: rows, catalogue, log and change tables together.
//!
//! As on the server, a restore on the same server keeps CDC and the broker's id, goes back in the log and begins a new
//! recovery fork (reference, section 9). What is committed afterwards takes log positions that were taken before, at
//! other times. Sessions of the database end, as under `SET SINGLE_USER` WITH ROLLBACK IMMEDIATE.

use std::sync::atomic::Ordering;

use rusqlite::Connection;

use super::super::controls::Orders;
use super::super::error::{Result, from_sqlite};
use super::super::server::Backup;
use super::super::session::SqlSession;
use super::super::values::datetime::DAY;
use crate::session::Sink;
use crate::value::SqlError;

fn stored<T>(result: rusqlite::Result<T>) -> Result<T> {
    result.map_err(|error| from_sqlite(&error))
}

impl SqlSession {
    /// Keeps the database under a name; a second backup of that name replaces the first.
    pub fn back_up(&mut self, orders: &Orders<'_>) -> Result<()> {
        let name = orders.text("@name")?;
        if self.transaction.count > 0 {
            return Err(SqlError::new(3021, "Cannot perform a backup or restore operation within a transaction."));
        }
        let shared = std::sync::Arc::clone(&self.shared);
        let file = shared.new_file();
        // Store and log must be of one moment.
        let order = shared.commit.lock();
        stored(self.connection.execute("VACUUM main INTO ?1", [file.to_string_lossy()]))?;
        let backup = Backup {
            file,
            cdc: shared.cdc.image(),
            broker: shared.marks.lock().broker,
            identities: shared.identities(),
        };
        drop(order);
        if let Some(old) = shared.backups.lock().insert(name, backup) {
            // It goes with the server's directory at the latest.
            let _ = std::fs::remove_file(old.file);
        }
        Ok(())
    }

    /// Brings a backup back.
    pub fn restore(&mut self, orders: &Orders<'_>) -> Result<()> {
        let name = orders.text("@name")?;
        let new_broker = orders.number("@new_broker", Some(0))? != 0;
        let shared = std::sync::Arc::clone(&self.shared);
        let backup = shared.backups.lock().get(&name).cloned();
        let backup = backup.ok_or_else(|| orders.refused(format!("there is no backup '{name}'")))?;
        if self.transaction.count > 0 {
            return Err(SqlError::new(3021, "Cannot perform a backup or restore operation within a transaction."));
        }
        stored(self.connection.execute("ATTACH DATABASE ?1 AS backup", [backup.file.to_string_lossy()]))?;
        let result = self.put_back(&backup, new_broker);
        // Nothing is left open that would keep it attached.
        stored(self.connection.execute_batch("DETACH DATABASE backup"))?;
        self.filled.clear();
        result
    }

    fn put_back(&mut self, backup: &Backup, new_broker: bool) -> Result<()> {
        let in_use = |_| SqlError::new(3101, "Exclusive access could not be obtained because the database is in use.");
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(in_use)?;
        let shared = std::sync::Arc::clone(&self.shared);
        let _order = shared.commit.lock();
        let copied = copy(&self.connection).and_then(|()| self.connection.execute_batch("COMMIT"));
        if let Err(error) = copied {
            stored(self.connection.execute_batch("ROLLBACK"))?;
            return Err(from_sqlite(&error));
        }
        shared.cdc.restore(&backup.cdc);
        shared.set_identities(backup.identities.clone());
        let mut marks = shared.marks.lock();
        marks.broker = if new_broker { *uuid::Uuid::new_v4().as_bytes() } else { backup.broker };
        marks.recovery_fork = *uuid::Uuid::new_v4().as_bytes();
        let now = shared.now();
        shared.restored.lock().push(i64::from(now.day) * DAY + now.ticks);
        self.epoch = shared.epoch.fetch_add(1, Ordering::AcqRel) + 1;
        Ok(())
    }

    /// Whether a restore ended this session: then its connection ends with error 596. Sessions in other databases, and
    /// the one that restores, go on.
    pub fn is_killed(&mut self, sink: &mut dyn Sink) -> bool {
        let epoch = self.shared.epoch.load(Ordering::Acquire);
        if self.epoch == epoch {
            return false;
        }
        if !super::super::catalog::same(&self.database, &self.shared.database) {
            self.epoch = epoch;
            return false;
        }
        self.abandon();
        let text = "Cannot continue the execution because the session is in the kill state.";
        sink.message(&SqlError::new(596, text).severity(21));
        true
    }
}

/// Replaces all tables by those of the attached backup.
fn copy(connection: &Connection) -> rusqlite::Result<()> {
    for (_, name, _) in schema(connection, "main")?.into_iter().filter(|(kind, ..)| kind == "table") {
        connection.execute_batch(&format!("DROP TABLE main.\"{name}\""))?;
    }
    for (kind, name, sql) in schema(connection, "backup")? {
        connection.execute_batch(&sql)?;
        if kind == "table" {
            connection.execute_batch(&format!("INSERT INTO main.\"{name}\" SELECT * FROM backup.\"{name}\""))?;
        }
    }
    // Row ids go on where they were.
    let numbered = "SELECT 1 FROM backup.sqlite_schema WHERE name = 'sqlite_sequence'";
    if connection.prepare(numbered)?.exists([])? {
        connection.execute_batch(
            "DELETE FROM main.sqlite_sequence; INSERT INTO main.sqlite_sequence SELECT * FROM backup.sqlite_sequence",
        )?;
    }
    Ok(())
}

/// What a database has: kind, name, statement; tables before their indexes.
fn schema(connection: &Connection, place: &str) -> rusqlite::Result<Vec<(String, String, String)>> {
    let sql = format!(
        "SELECT type, name, sql FROM {place}.sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite@_%' ESCAPE '@'
         ORDER BY type = 'index'"
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}
