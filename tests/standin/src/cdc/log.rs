//! The transaction log: what was committed, in order, until capture has read it.

use std::collections::VecDeque;

use crate::table::{Change, Ddl, LogEntry};

use super::clock::Moment;
use super::lsn::{LogTail, Lsn};

/// A committed transaction that capture has not read yet.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// LSN of its first record.
    pub begin: Lsn,
    /// LSN of its commit.
    pub commit: Lsn,
    /// Its number, as `tran_id` shows it.
    pub id: [u8; 6],
    /// When it committed.
    pub time: Moment,
    /// What it wrote to tracked tables.
    pub entries: Vec<Entry>,
}

/// What a transaction wrote, with its place in the log.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A row.
    Row(LoggedRow),
    /// A definition, with the LSN of its record.
    Ddl(Lsn, Ddl),
}

/// A row change and its records: an update that becomes delete + insert has two.
#[derive(Debug, Clone)]
pub struct LoggedRow {
    /// LSN of the record, or of the first of two.
    pub first: Lsn,
    /// LSN of the second record of an update, else the first again.
    pub second: Lsn,
    /// What happened.
    pub change: Change,
}

/// The log of a database.
#[derive(Debug, Clone)]
pub struct Log {
    tail: LogTail,
    next_id: u64,
    pending: VecDeque<Transaction>,
}

impl Log {
    /// A log that has seen some use.
    pub fn new() -> Self {
        Self { tail: LogTail::new(), next_id: 0x5A3, pending: VecDeque::new() }
    }

    /// Appends a transaction; it waits for capture if it wrote to a tracked table.
    pub fn append(&mut self, entries: Vec<LogEntry>, tracked: impl Fn(i32) -> bool, time: Moment) -> Lsn {
        self.tail.begin();
        let begin = self.tail.record();
        let mut kept = Vec::new();
        for entry in entries {
            let first = self.tail.record();
            match entry {
                LogEntry::Row(change) => {
                    let update = matches!(change.kind, crate::table::ChangeKind::Update(..));
                    let second = if update { self.tail.record() } else { first };
                    if tracked(change.object_id) {
                        kept.push(Entry::Row(LoggedRow { first, second, change }));
                    }
                }
                LogEntry::Ddl(ddl) => {
                    if tracked(ddl.object_id) {
                        kept.push(Entry::Ddl(first, ddl));
                    }
                }
            }
        }
        if kept.is_empty() { self.commit_record().0 } else { self.keep(begin, time, kept) }
    }

    /// Appends a transaction of CDC's own, such as the one that enables a table: capture maps it, though it holds no
    /// rows.
    pub fn append_marker(&mut self, time: Moment) -> Lsn {
        self.tail.begin();
        let begin = self.tail.record();
        self.keep(begin, time, Vec::new())
    }

    /// The LSN of a place at which nothing is open, for an idle database's entry in the time mapping.
    pub fn idle_record(&mut self) -> Lsn {
        self.tail.begin();
        self.tail.record()
    }

    /// The oldest transaction that capture has not read.
    pub fn next(&self) -> Option<&Transaction> {
        self.pending.front()
    }

    /// Takes that transaction.
    pub fn take(&mut self) -> Option<Transaction> {
        self.pending.pop_front()
    }

    /// Forgets what waits for capture.
    pub fn forget_pending(&mut self) {
        self.pending.clear();
    }

    fn keep(&mut self, begin: Lsn, time: Moment, entries: Vec<Entry>) -> Lsn {
        let (commit, id) = self.commit_record();
        self.pending.push_back(Transaction { begin, commit, id, time, entries });
        commit
    }

    fn commit_record(&mut self) -> (Lsn, [u8; 6]) {
        self.next_id += 1;
        let mut id = [0; 6];
        id.copy_from_slice(&self.next_id.to_be_bytes()[2..]);
        (self.tail.record(), id)
    }
}
