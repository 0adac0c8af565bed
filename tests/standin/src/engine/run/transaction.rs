//! Transactions: nesting, isolation, statement atomicity, and the log that COMMIT hands on.

use crate::session::{Sink, TransactionRequest};
use crate::table::{Change, ChangeKind, Ddl, LogEntry};
use crate::value::SqlError;

use super::super::error::{Result, from_sqlite};
use super::super::script::NameOrVariable;
use super::super::session::SqlSession;

/// The open transaction of a session.
#[derive(Debug, Default)]
pub struct Transaction {
    /// `@@TRANCOUNT`.
    pub count: i64,
    /// Whether SQLite has one open.
    pub open: bool,
    /// Whether nothing but ROLLBACK may follow.
    pub doomed: bool,
    /// What it wrote so far.
    pub log: Vec<LogEntry>,
    /// Number of its latest statement that wrote.
    pub statement: u32,
    /// Savepoints: name, and how long the log was.
    saves: Vec<(String, usize)>,
    descriptor: u64,
    name: Option<String>,
}

impl Transaction {
    /// `XACT_STATE()`.
    pub fn state(&self) -> i64 {
        match (self.count, self.doomed) {
            (0, _) => 0,
            (_, true) => -1,
            _ => 1,
        }
    }

    /// Notes a row change.
    pub fn note(&mut self, object_id: i32, kind: ChangeKind) {
        self.log.push(LogEntry::Row(Change { object_id, statement: self.statement, kind }));
    }

    /// Notes a change of definition.
    pub fn note_ddl(&mut self, ddl: Ddl) {
        self.log.push(LogEntry::Ddl(ddl));
    }
}

fn store<T>(result: rusqlite::Result<T>) -> Result<T> {
    result.map_err(|error| from_sqlite(&error))
}

impl SqlSession {
    /// Begins a transaction, or nests one.
    pub fn begin(&mut self, name: Option<String>, sink: &mut dyn Sink) {
        self.transaction.count += 1;
        if self.transaction.count == 1 {
            self.transaction.descriptor = rand::random::<u64>() | 1;
            self.transaction.name = name;
            sink.transaction(Some(self.transaction.descriptor), false);
        }
    }

    /// SET `IMPLICIT_TRANSACTIONS` ON: a statement that touches data begins one.
    pub fn begin_implicit(&mut self, sink: &mut dyn Sink) {
        if self.settings.implicit && self.transaction.count == 0 {
            self.begin(None, sink);
        }
    }

    /// COMMIT.
    pub fn commit(&mut self, sink: &mut dyn Sink) -> Result<()> {
        if self.transaction.count == 0 {
            return Err(SqlError::new(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION."));
        }
        if self.transaction.doomed {
            return Err(SqlError::new(
                3930,
                "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.",
            ));
        }
        if self.transaction.count > 1 {
            self.transaction.count -= 1;
            return Ok(());
        }
        self.commit_store()?;
        self.transaction = Transaction::default();
        sink.transaction(None, true);
        Ok(())
    }

    /// Commits in the store and appends to the log, as one step.
    fn commit_store(&mut self) -> Result<()> {
        if !self.transaction.open {
            return Ok(());
        }
        let shared = std::sync::Arc::clone(&self.shared);
        let order = shared.commit.lock();
        store(self.connection.execute_batch("COMMIT"))?;
        self.transaction.open = false;
        let log = std::mem::take(&mut self.transaction.log);
        if !log.is_empty() {
            shared.cdc.commit(log);
        }
        drop(order);
        Ok(())
    }

    /// ROLLBACK, whole or to a savepoint.
    pub fn rollback(&mut self, to: Option<&NameOrVariable>, sink: &mut dyn Sink) -> Result<()> {
        if self.transaction.count == 0 {
            return Err(SqlError::new(
                3903,
                "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.",
            ));
        }
        let Some(to) = to else {
            self.rollback_all(sink);
            return Ok(());
        };
        let name = self.savepoint_name(to)?;
        if self.transaction.name.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(&name)) {
            self.rollback_all(sink);
            return Ok(());
        }
        let Some(at) = self.transaction.saves.iter().rposition(|(own, _)| own.eq_ignore_ascii_case(&name)) else {
            return Err(SqlError::new(
                6401,
                format!("Cannot roll back {name}. No transaction or savepoint of that name was found."),
            ));
        };
        store(self.connection.execute_batch(&format!("ROLLBACK TO \"s{at}\"")))?;
        let kept = self.transaction.saves[at].1;
        self.transaction.log.truncate(kept);
        self.transaction.saves.truncate(at + 1);
        self.filled.clear();
        Ok(())
    }

    /// Rolls everything back and tells the client.
    pub fn rollback_all(&mut self, sink: &mut dyn Sink) {
        if self.transaction.count > 0 {
            self.abandon();
            sink.transaction(None, false);
        }
    }

    /// Rolls everything back.
    pub fn abandon(&mut self) {
        if self.transaction.open {
            // SQLite may have rolled back by itself, after which there is nothing left to do.
            let _ = self.connection.execute_batch("ROLLBACK");
            self.filled.clear();
        }
        self.transaction = Transaction::default();
    }

    /// SAVE TRANSACTION.
    pub fn save(&mut self, name: &NameOrVariable) -> Result<()> {
        let name = self.savepoint_name(name)?;
        if self.transaction.count == 0 {
            return Err(SqlError::new(628, "Cannot issue SAVE TRANSACTION when there is no active transaction."));
        }
        self.open_write()?;
        let at = self.transaction.saves.len();
        store(self.connection.execute_batch(&format!("SAVEPOINT \"s{at}\"")))?;
        let length = self.transaction.log.len();
        self.transaction.saves.push((name, length));
        Ok(())
    }

    fn savepoint_name(&self, name: &NameOrVariable) -> Result<String> {
        match name {
            NameOrVariable::Name(name) => Ok(name.clone()),
            NameOrVariable::Variable(name) => {
                let variable =
                    self.variables.get(&name.to_lowercase()).ok_or_else(|| super::super::error::undeclared(name))?;
                match &variable.value {
                    crate::value::Value::Text(text) => Ok(text.clone()),
                    _ => Err(super::super::error::syntax(name)),
                }
            }
        }
    }

    /// Before a statement reads: opens a snapshot where the isolation level keeps one over the transaction.
    pub fn open_read(&mut self, touches_data: bool) -> Result<()> {
        if touches_data {
            self.check_snapshot()?;
        }
        if self.transaction.count > 0 && self.settings.isolation >= 3 && touches_data && !self.transaction.open {
            store(self.connection.execute_batch("BEGIN"))?;
            self.transaction.open = true;
        }
        Ok(())
    }

    /// 3952 for data under SNAPSHOT where the database does not allow it.
    pub fn check_snapshot(&self) -> Result<()> {
        if self.settings.isolation != 5 {
            return Ok(());
        }
        let catalog = self.shared.catalog(&self.connection)?;
        if catalog.state.snapshot || !super::super::catalog::same(&self.database, &self.shared.database) {
            return Ok(());
        }
        Err(SqlError::new(
            3952,
            format!(
                "Snapshot isolation transaction failed accessing database '{}' because snapshot isolation is not allowed in this database. Use ALTER DATABASE to allow snapshot isolation.",
                self.database
            ),
        ))
    }

    /// Before a statement writes inside a transaction: takes the write lock.
    fn open_write(&mut self) -> Result<()> {
        if !self.transaction.open {
            store(self.connection.execute_batch("BEGIN IMMEDIATE"))?;
            self.transaction.open = true;
        }
        Ok(())
    }

    /// Runs a statement that writes: all of it or nothing. `local` when it writes temporary tables only.
    pub fn write<T>(&mut self, local: bool, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.transaction.doomed {
            return Err(SqlError::new(
                3930,
                "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.",
            ));
        }
        if self.transaction.count == 0 {
            return self.write_alone(local, run);
        }
        self.open_write()?;
        self.transaction.statement += 1;
        let mark = self.transaction.log.len();
        store(self.connection.execute_batch("SAVEPOINT statement"))?;
        match run(self) {
            Ok(value) => {
                store(self.connection.execute_batch("RELEASE statement"))?;
                Ok(value)
            }
            Err(error) => {
                self.transaction.log.truncate(mark);
                self.filled.clear();
                let _ = self.connection.execute_batch("ROLLBACK TO statement; RELEASE statement");
                Err(self.conflict(error))
            }
        }
    }

    fn write_alone<T>(&mut self, local: bool, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        store(self.connection.execute_batch(if local { "BEGIN" } else { "BEGIN IMMEDIATE" }))?;
        self.transaction = Transaction { open: true, statement: 1, ..Transaction::default() };
        let result = run(self).and_then(|value| self.commit_store().map(|()| value));
        if result.is_err() {
            self.abandon();
        }
        self.transaction = Transaction::default();
        result
    }

    /// Under SNAPSHOT, a lost race is an update conflict and no deadlock.
    fn conflict(&self, error: SqlError) -> SqlError {
        if error.number != 1205 || self.settings.isolation != 5 {
            return error;
        }
        SqlError::new(
            3960,
            format!(
                "Snapshot isolation transaction aborted due to update conflict. You cannot use snapshot isolation to access table directly or indirectly in database '{}' to update, delete, or insert the row that has been modified or deleted by another transaction. Retry the transaction or change the isolation level for the update/delete statement.",
                self.database
            ),
        )
        .state(2)
    }

    /// A transaction manager request.
    pub fn request(&mut self, request: &TransactionRequest, sink: &mut dyn Sink) {
        let result = match request {
            TransactionRequest::Begin(level) => {
                if (1..=5).contains(level) {
                    self.settings.isolation = *level;
                }
                self.begin(None, sink);
                Ok(())
            }
            TransactionRequest::Commit(again) => self.commit(sink).map(|()| {
                if *again {
                    self.begin(None, sink);
                }
            }),
            TransactionRequest::Rollback(again) => self.rollback(None, sink).map(|()| {
                if *again {
                    self.begin(None, sink);
                }
            }),
            TransactionRequest::Save(name) => self.save(&NameOrVariable::Name(name.clone())),
        };
        if let Err(error) = result {
            self.error = error.number;
            sink.message(&error);
        }
        sink.done(None);
    }
}
