//! Reading the log into the change tables.

use crate::table::Ddl;
use crate::value::{SqlError, Value};

use super::instance::Instance;
use super::log::{Entry, LoggedRow, Transaction};
use super::lsn::Lsn;
use super::retype::Conversion;
use super::scans::Progress;
use super::split::{self, SameKey};
use super::state::{Mapping, State};

/// One scan cycle: reads at most so many transactions. The caller holds the state's lock, so that a cycle becomes
/// visible as a whole. Returns how many it read.
///
/// # Errors
/// When a transaction cannot be applied; it stays in the log, and nothing behind it is read.
pub fn cycle(state: &mut State, maxtrans: i64) -> Result<i64, SqlError> {
    let start = state.clock.now();
    let mut progress = Progress::default();
    while progress.transactions < maxtrans {
        if let Some(error) = state.log.next().and_then(|next| refusal(&state.instances, next, state.conversion)) {
            progress.error = Some(error);
            break;
        }
        let Some(transaction) = state.log.take() else { break };
        progress.transactions += 1;
        progress.commands += apply(&mut state.instances, &transaction, state.conversion, state.same_key);
        let first = progress.range.map_or(transaction.commit, |(first, _)| first);
        progress.range = Some((first, transaction.commit));
        state.mapping.push(Mapping {
            start: transaction.commit,
            times: (transaction.time, transaction.time),
            id: Some(transaction.id),
            begin: transaction.begin,
        });
    }
    if progress.transactions == 0 && progress.error.is_none() {
        state.map_idle();
    }
    let end = state.clock.now();
    state.scans.remember(start, end, &progress);
    progress.error.map_or(Ok(progress.transactions), Err)
}

/// Why a transaction cannot be applied: a definition that the change table's rows do not fit.
fn refusal(instances: &[Instance], transaction: &Transaction, conversion: Conversion) -> Option<SqlError> {
    transaction.entries.iter().find_map(|entry| {
        let Entry::Ddl(_, Ddl { object_id, after: Some(after), .. }) = entry else { return None };
        instances
            .iter()
            .filter(|instance| concerns(instance, *object_id, transaction.commit))
            .find_map(|instance| instance.misfit(after, conversion))
    })
}

/// Whether an instance sees what a transaction did to a table.
fn concerns(instance: &Instance, object_id: i32, commit: Lsn) -> bool {
    instance.source_object_id == object_id && commit > instance.created_lsn
}

/// Applies a transaction to all instances; returns how many changes were written.
fn apply(instances: &mut [Instance], transaction: &Transaction, conversion: Conversion, same: SameKey) -> i64 {
    let mut written = 0;
    for instance in instances.iter_mut() {
        let mut command = 0;
        let mut statement: Vec<&LoggedRow> = Vec::new();
        for entry in &transaction.entries {
            match entry {
                Entry::Row(row) if concerns(instance, row.change.object_id, transaction.commit) => {
                    if statement.first().is_some_and(|first| first.change.statement != row.change.statement) {
                        command = write(instance, transaction.commit, command, &statement, same);
                        statement.clear();
                    }
                    statement.push(row);
                }
                Entry::Ddl(lsn, ddl) if concerns(instance, ddl.object_id, transaction.commit) => {
                    command = write(instance, transaction.commit, command, &statement, same);
                    statement.clear();
                    if let Some(after) = &ddl.after {
                        instance.apply_ddl(after, ddl, (*lsn, transaction.time), conversion);
                    }
                }
                Entry::Row(_) | Entry::Ddl(..) => {}
            }
        }
        command = write(instance, transaction.commit, command, &statement, same);
        written += i64::from(command);
    }
    written
}

/// Writes a statement's rows; commands are numbered on from `command`, and the last number is returned.
fn write(instance: &mut Instance, commit: Lsn, mut command: i32, rows: &[&LoggedRow], same: SameKey) -> i32 {
    let collations: Vec<_> = instance.key.iter().map(|&ordinal| instance.columns[ordinal].collation).collect();
    let same = |number: usize, before: &Value, after: &Value| same(collations[number], before, after);
    for step in split::steps(rows, &instance.key_positions(), &same) {
        if instance.record(commit, command + 1, step.place, step.change) {
            command += 1;
        }
    }
    command
}
