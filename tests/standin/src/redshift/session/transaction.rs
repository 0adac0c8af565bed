//! Transactions: blocks, and the implicit one of statements outside; locks of writers, and conflicts.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::settings::Variables;
use super::{Portal, Session};
use crate::redshift::error::{Failure, Outcome, SqlError};
use crate::redshift::name::{Name, quoted};
use crate::redshift::registry::Changes;
use crate::redshift::statement::Statement;
use crate::redshift::statement::control::Control;
use crate::redshift::statement::query::Write;
use crate::redshift::upstream;
use crate::redshift::wire;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Implicit,
    Block,
    /// A block in which a statement failed; below it is rolled back already.
    Failed,
}

/// The transaction of a session.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    state: State,
    /// The commits that were counted when the snapshot was taken.
    snapshot: Option<u64>,
    pub(super) changes: Changes,
    /// Tables whose writers' lock is held, and their numbers.
    locked: HashMap<Name, u32>,
    variables: Option<Variables>,
}

impl Transaction {
    pub(super) fn status(&self) -> u8 {
        match self.state {
            State::Idle | State::Implicit => b'I',
            State::Block => b'T',
            State::Failed => b'E',
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state == State::Failed
    }

    pub(super) fn is_block(&self) -> bool {
        self.state == State::Block
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Implicit | State::Block)
    }

    /// Names may stand for other tables from here on.
    pub(super) fn forget_locks(&mut self) {
        self.locked.clear();
    }
}

/// Does the statement end a block, so that it may follow one that failed?
pub(super) fn ends_block(statement: &Statement) -> bool {
    matches!(statement, Statement::Control(Control::Commit | Control::Rollback))
}

/// Cancels the running statement when its time is over, unless dropped before.
#[derive(Debug)]
pub(super) struct Deadline {
    timer: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(timer) = &self.timer {
            timer.abort();
        }
    }
}

impl Session {
    /// Starts the time of a statement, waiting included.
    pub(super) fn guard(&mut self) -> Deadline {
        let over = Arc::new(AtomicBool::new(false));
        self.over = Arc::clone(&over);
        let milliseconds = self.variables.statement_timeout();
        if milliseconds == 0 {
            return Deadline { timer: None };
        }
        let address = self.shared.settings.upstream.clone();
        let (pid, secret, flag) = (self.below.pid, self.below.secret, Arc::clone(&over));
        let timer = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            flag.store(true, Ordering::Release);
            // A statement of several steps may be between two of them: until it has ended, each is cancelled.
            loop {
                if let Err(error) = upstream::cancel(&address, pid, secret).await {
                    tracing::warn!(%error, "a statement that took too long could not be cancelled");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Deadline { timer: Some(timer) }
    }

    /// 57014, where the statement's time is over.
    pub(in crate::redshift) fn check_time(&self) -> Result<(), SqlError> {
        if self.over.load(Ordering::Acquire) {
            return Err(SqlError::new("57014", format!("Query ({}) cancelled on user's request", self.query)));
        }
        Ok(())
    }

    async fn begin_below(&mut self, state: State) -> Outcome<()> {
        self.below.run(&format!("BEGIN ISOLATION LEVEL {}", self.shared.settings.isolation.below())).await?;
        self.transaction = Transaction { state, variables: Some(self.variables.clone()), ..Transaction::default() };
        Ok(())
    }

    /// Opens a transaction for statements outside a block.
    pub(super) async fn begin_implicit(&mut self) -> Outcome<()> {
        if self.transaction.state == State::Idle { self.begin_below(State::Implicit).await } else { Ok(()) }
    }

    pub(super) async fn begin(&mut self) -> Outcome<()> {
        match self.transaction.state {
            State::Idle => self.begin_below(State::Block).await?,
            State::Implicit => self.transaction.state = State::Block,
            State::Block | State::Failed => self.warn("25001", "there is already a transaction in progress"),
        }
        self.complete("BEGIN");
        Ok(())
    }

    pub(super) async fn commit(&mut self) -> Outcome<()> {
        match self.transaction.state {
            State::Idle => self.warn("25P01", "there is no transaction in progress"),
            State::Implicit | State::Block => self.commit_below().await?,
            State::Failed => {
                self.transaction = Transaction::default();
                self.complete("ROLLBACK");
                return Ok(());
            }
        }
        self.complete("COMMIT");
        Ok(())
    }

    /// Commits, and leaves any block.
    pub(super) async fn commit_below(&mut self) -> Outcome<()> {
        let transaction = std::mem::take(&mut self.transaction);
        let ticket = self.shared.registry.begin_commit();
        let result = self.below.run("COMMIT").await;
        self.shared.registry.end_commit(ticket, result.is_ok().then_some(&transaction.changes), self.below.pid);
        if result.is_err()
            && let Some(variables) = transaction.variables
        {
            self.variables = variables;
        }
        result
    }

    pub(super) async fn rollback(&mut self) -> Outcome<()> {
        match self.transaction.state {
            State::Idle => self.warn("25P01", "there is no transaction in progress"),
            State::Implicit | State::Block => {
                self.abort().await?;
                self.transaction = Transaction::default();
            }
            State::Failed => self.transaction = Transaction::default(),
        }
        self.complete("ROLLBACK");
        Ok(())
    }

    /// After an error: what was done is undone at once, a block stays until the client ends it.
    pub(super) async fn abort(&mut self) -> io::Result<()> {
        let state = match self.transaction.state {
            State::Idle | State::Failed => return Ok(()),
            State::Implicit => State::Idle,
            State::Block => State::Failed,
        };
        if let Some(variables) = self.transaction.variables.take() {
            self.variables = variables;
        }
        self.transaction = Transaction { state, ..Transaction::default() };
        // A client's cancel may arrive late, and hit what it was not meant for.
        for _ in 0..3 {
            match self.below.run("ROLLBACK").await {
                Ok(()) => return Ok(()),
                Err(Failure::Broken(error)) => return Err(error),
                Err(Failure::Sql(error)) if error.code == "57014" => {}
                Err(Failure::Sql(error)) => return Err(io::Error::other(error)),
            }
        }
        Err(io::Error::other("the transaction cannot be rolled back"))
    }

    /// Whoever was cancelled for its time may be so more than once: the last of it must not hit the next statement.
    pub(super) async fn take_late_cancels(&mut self) -> io::Result<()> {
        if !self.over.load(Ordering::Acquire) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        match self.below.run("SELECT 1").await {
            Err(Failure::Broken(error)) => Err(error),
            Ok(()) | Err(Failure::Sql(_)) => Ok(()),
        }
    }

    pub(super) async fn end_implicit(&mut self) -> Outcome<()> {
        if self.transaction.state == State::Implicit { self.commit_below().await } else { Ok(()) }
    }

    fn warn(&mut self, code: &str, message: &str) {
        wire::notice(&mut self.out, "WARNING", &SqlError::new(code, message));
    }

    /// What runs next below sees the database as it is now, if nothing did before.
    pub(in crate::redshift) fn note_snapshot(&mut self) -> u64 {
        *self.transaction.snapshot.get_or_insert_with(|| self.shared.registry.now())
    }

    /// Refuses relations that were created or dropped after the snapshot, which is now at the latest.
    pub(super) fn look_at(&mut self, relations: &[Name]) -> Result<(), SqlError> {
        if !self.transaction.is_open() {
            return Ok(());
        }
        self.note_snapshot();
        self.look_before_lock(relations)
    }

    /// The same, without a snapshot for its sake: who only locks takes none.
    fn look_before_lock(&self, relations: &[Name]) -> Result<(), SqlError> {
        let Some(snapshot) = self.transaction.snapshot else { return Ok(()) };
        let changes = &self.transaction.changes;
        for relation in relations {
            let schemas = relation.schema.as_slice();
            let schemas = if schemas.is_empty() { self.variables.search_path() } else { schemas };
            for schema in schemas {
                let place = (schema.clone(), relation.name.clone());
                let own = changes.created.contains(&place) || changes.dropped.contains(&place);
                if !own && self.shared.registry.is_new_or_gone(&place, snapshot) {
                    return Err(SqlError::not_in_snapshot());
                }
            }
        }
        Ok(())
    }

    /// Takes the one writer's place of a table; gives the table's number.
    pub(in crate::redshift) async fn lock_for_writing(&mut self, table: &Name) -> Outcome<u32> {
        if let Some(number) = self.transaction.locked.get(table) {
            return Ok(*number);
        }
        self.look_before_lock(std::slice::from_ref(table))?;
        let name = table.quoted();
        // The lock is the stand-in's, whatever rights the user has; those are asked for by the statement itself.
        let user = quoted(&self.user);
        self.below
            .run(&format!(
                "RESET SESSION AUTHORIZATION; LOCK TABLE ONLY {name} IN SHARE ROW EXCLUSIVE MODE; \
                 SET SESSION AUTHORIZATION {user}"
            ))
            .await?;
        self.shared.registry.settle().await;
        let snapshot = self.note_snapshot();
        let number = self.number(table).await?;
        if let Some(other) = self.shared.registry.writer_after(number, snapshot).await {
            return Err(SqlError::not_serializable(&number.to_string(), self.below.pid, other).into());
        }
        self.transaction.locked.insert(table.clone(), number);
        self.transaction.changes.written.insert(number);
        Ok(number)
    }

    /// The number of a relation.
    pub(super) async fn number(&mut self, relation: &Name) -> Outcome<u32> {
        let sql = format!("SELECT {}::regclass::oid", crate::redshift::name::literal(&relation.quoted()));
        let rows = self.below.rows(&sql).await?;
        let number = rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
        number.ok_or_else(|| SqlError::no_relation(&relation.to_string()).into())
    }

    /// INSERT, UPDATE, DELETE, MERGE.
    pub(super) async fn write(&mut self, write: &Write, portal: Option<&Portal>) -> Outcome<()> {
        if write.reads && self.transaction.snapshot.is_none() {
            // What it reads is what was there when it began, before it waited for its turn.
            self.note_snapshot();
            self.below.run("SELECT 1").await?;
        }
        self.lock_for_writing(&write.target).await?;
        self.look_at(&write.relayed.relations)?;
        self.relay(&write.relayed.sql, portal, false).await
    }

    pub(super) async fn lock(&mut self, tables: &[Name]) -> Outcome<()> {
        if !self.transaction.is_open() {
            return Err(SqlError::new("25P01", "LOCK TABLE can only be used in transaction blocks").into());
        }
        self.look_before_lock(tables)?;
        let names: Vec<_> = tables.iter().map(Name::quoted).collect();
        self.below.run(&format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.join(", "))).await?;
        self.shared.registry.settle().await;
        self.complete("LOCK TABLE");
        Ok(())
    }

    /// TRUNCATE commits: all that was done before it in its transaction, too.
    pub(super) async fn truncate(&mut self, table: &Name) -> Outcome<()> {
        self.begin_implicit().await?;
        self.look_before_lock(std::slice::from_ref(table))?;
        self.below.run(&format!("TRUNCATE TABLE {}", table.quoted())).await?;
        let number = self.number(table).await?;
        self.transaction.changes.written.insert(number);
        self.commit_below().await?;
        self.complete("TRUNCATE TABLE");
        Ok(())
    }
}
