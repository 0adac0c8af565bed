//! Who wrote which table when: Redshift's isolation is the table's, that of the server below the row's.
//!
//! A transaction notes the count of commits before it takes its snapshot below, a commit is counted after it was done
//! below. So a count is never younger than its snapshot, and what is told as a conflict can at worst be none.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::statement::query::LateView;

/// The commits so far.
#[derive(Debug, Default)]
pub struct Registry {
    state: Mutex<State>,
    committed: Notify,
}

#[derive(Debug, Default)]
struct State {
    commits: u64,
    written: HashMap<u32, Commit>,
    created: HashMap<(String, String), u64>,
    dropped: HashMap<(String, String), u64>,
    views: HashMap<(String, String), Arc<LateView>>,
    tickets: u64,
    committing: BTreeSet<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Commit {
    at: u64,
    pid: u32,
}

/// What a transaction did to tables.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Tables written, by number.
    pub written: HashSet<u32>,
    /// Tables created, by schema and name.
    pub created: HashSet<(String, String)>,
    /// Tables dropped, or renamed away.
    pub dropped: HashSet<(String, String)>,
    /// Late-binding views that were created, or are gone.
    pub views: HashMap<(String, String), Option<Arc<LateView>>>,
}

impl Registry {
    /// The count that a snapshot taken from now on is at least as young as.
    pub fn now(&self) -> u64 {
        self.state.lock().commits
    }

    /// Announces a commit, before it is done below, where its locks end.
    pub fn begin_commit(&self) -> u64 {
        let mut state = self.state.lock();
        state.tickets += 1;
        let ticket = state.tickets;
        state.committing.insert(ticket);
        ticket
    }

    /// Counts a commit, or the failure of one.
    pub fn end_commit(&self, ticket: u64, changes: Option<&Changes>, pid: u32) {
        let mut state = self.state.lock();
        state.committing.remove(&ticket);
        if let Some(changes) = changes {
            state.commits += 1;
            let at = state.commits;
            state.written.extend(changes.written.iter().map(|table| (*table, Commit { at, pid })));
            for name in &changes.dropped {
                state.dropped.insert(name.clone(), at);
                state.created.remove(name);
            }
            for name in &changes.created {
                state.created.insert(name.clone(), at);
                state.dropped.remove(name);
            }
            for (name, view) in &changes.views {
                match view {
                    Some(view) => drop(state.views.insert(name.clone(), Arc::clone(view))),
                    None => drop(state.views.remove(name)),
                }
            }
        }
        drop(state);
        self.committed.notify_waiters();
    }

    /// Waits until all commits that were announced are counted: whoever got a lock got it from one of them.
    pub async fn settle(&self) {
        let last = self.state.lock().tickets;
        loop {
            let waiting = self.committed.notified();
            tokio::pin!(waiting);
            waiting.as_mut().enable();
            if self.state.lock().committing.first().is_none_or(|first| *first > last) {
                return;
            }
            waiting.await;
        }
    }

    /// Who committed a write to a table after a snapshot; the caller holds the table's lock.
    pub async fn writer_after(&self, table: u32, snapshot: u64) -> Option<u32> {
        self.settle().await;
        let state = self.state.lock();
        state.written.get(&table).filter(|commit| commit.at > snapshot).map(|commit| commit.pid)
    }

    /// Notes a late-binding view that was there.
    pub fn know(&self, name: (String, String), view: LateView) {
        self.state.lock().views.insert(name, Arc::new(view));
    }

    /// A late-binding view.
    pub fn view(&self, name: &(String, String)) -> Option<Arc<LateView>> {
        self.state.lock().views.get(name).cloned()
    }

    /// Was a table created or dropped after a snapshot?
    pub fn is_new_or_gone(&self, name: &(String, String), snapshot: u64) -> bool {
        let state = self.state.lock();
        let after = |seen: &HashMap<(String, String), u64>| seen.get(name).is_some_and(|at| *at > snapshot);
        after(&state.created) || after(&state.dropped)
    }
}
