//! How the updates of one statement reach the log: an update of the key becomes delete + insert.
//!
//! One row: delete and insert share the row's place in the log. Several rows: SQL Server splits the updates, does the
//! deletes first and the inserts last, and collapses a delete and an insert of one key back into an update. The rows'
//! places in the log follow the rows instead, so that the insert of one key may lie before the delete of the same key
//! from the row that held it: only `__$command_id` tells the truth. Keys that the statement only permutes come out as
//! updates; a chain (`id = id + 1`) stays deletes and inserts, which asks more of a reader.

use std::collections::HashMap;

use crate::table::ChangeKind;
use crate::value::Value;

use super::log::LoggedRow;
use super::lsn::Lsn;
use super::packed::{Packed, pack};

/// Whether two values of a key's column of that collation are one.
pub type SameKey = fn(Option<&'static str>, &Value, &Value) -> bool;

/// A row's fate, by the source table's columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RowChange<'a> {
    /// The row as it was.
    Delete(&'a [Value]),
    /// The row as it is.
    Insert(&'a [Value]),
    /// The row before and after.
    Update(&'a [Value], &'a [Value]),
}

/// A change with its place in the log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step<'a> {
    /// What becomes `__$seqval`.
    pub place: Lsn,
    /// What happened.
    pub change: RowChange<'a>,
}

/// The changes that one statement made to one table, in the order in which they took effect. `key` holds the
/// positions of the key's columns, and `same` says of two values of the key's column of that number whether they are one.
pub fn steps<'a>(rows: &[&'a LoggedRow], key: &[usize], same: &dyn Fn(usize, &Value, &Value) -> bool) -> Vec<Step<'a>> {
    let is_moved = |row: &LoggedRow| match &row.change.kind {
        ChangeKind::Update(before, after) => {
            key.iter().enumerate().any(|(number, &at)| !same(number, &before[at], &after[at]))
        }
        ChangeKind::Insert(_) | ChangeKind::Delete(_) => false,
    };
    if !rows.iter().any(|row| is_moved(row)) {
        return rows.iter().map(|row| plain(row)).collect();
    }
    if let [row] = rows {
        return single_row(row);
    }
    let (moved, others): (Vec<&LoggedRow>, Vec<&LoggedRow>) = rows.iter().copied().partition(|row| is_moved(row));
    let mut deletes = Vec::new();
    let mut updates = Vec::new();
    let mut inserts = Vec::new();
    for step in others.into_iter().map(plain) {
        match step.change {
            RowChange::Delete(_) => deletes.push(step),
            RowChange::Update(..) => updates.push(step),
            RowChange::Insert(_) => inserts.push(step),
        }
    }
    let former = permuted(&moved, key);
    for (row, former) in moved.iter().zip(&former) {
        let ChangeKind::Update(before, after) = &row.change.kind else { continue };
        if let Some(former) = former {
            updates.push(Step { place: row.first, change: RowChange::Update(former, after) });
        } else {
            deletes.push(Step { place: row.first, change: RowChange::Delete(before) });
            inserts.push(Step { place: row.second, change: RowChange::Insert(after) });
        }
    }
    deletes.append(&mut updates);
    deletes.append(&mut inserts);
    deletes
}

fn plain(row: &LoggedRow) -> Step<'_> {
    let change = match &row.change.kind {
        ChangeKind::Insert(after) => RowChange::Insert(after),
        ChangeKind::Delete(before) => RowChange::Delete(before),
        ChangeKind::Update(before, after) => RowChange::Update(before, after),
    };
    Step { place: row.first, change }
}

fn single_row(row: &LoggedRow) -> Vec<Step<'_>> {
    let ChangeKind::Update(before, after) = &row.change.kind else { return vec![plain(row)] };
    vec![
        Step { place: row.first, change: RowChange::Delete(before) },
        Step { place: row.first, change: RowChange::Insert(after) },
    ]
}

/// For each moved row whose key belongs to a cycle of keys: the row that held its new key before.
fn permuted<'a>(moved: &[&'a LoggedRow], key: &[usize]) -> Vec<Option<&'a [Value]>> {
    let mut holder: HashMap<Packed, usize> = HashMap::new();
    let mut target: Vec<Option<Packed>> = Vec::with_capacity(moved.len());
    for (index, row) in moved.iter().enumerate() {
        let ChangeKind::Update(before, after) = &row.change.kind else {
            target.push(None);
            continue;
        };
        holder.insert(key_of(before, key), index);
        target.push(Some(key_of(after, key)));
    }
    // Each row points at the row that held its new key; keys are unique, so what returns to its start is a cycle.
    let next = |index: usize| target[index].as_ref().and_then(|key| holder.get(key)).copied();
    let mut cyclic = vec![None; moved.len()];
    for start in 0..moved.len() {
        let mut path = Vec::new();
        let mut at = Some(start);
        while let Some(index) = at.filter(|&index| cyclic[index].is_none()) {
            cyclic[index] = Some(false);
            path.push(index);
            at = next(index);
        }
        if at == Some(start) {
            for index in path {
                cyclic[index] = Some(true);
            }
        }
    }
    (0..moved.len())
        .map(|index| {
            let former = next(index).filter(|_| cyclic[index] == Some(true))?;
            match &moved[former].change.kind {
                ChangeKind::Update(before, _) => Some(before.as_slice()),
                ChangeKind::Insert(_) | ChangeKind::Delete(_) => None,
            }
        })
        .collect()
}

fn key_of(row: &[Value], key: &[usize]) -> Packed {
    pack(key.iter().map(|&at| row.get(at).unwrap_or(&Value::Null)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Change;

    fn update(place: u8, before: (i64, &str), after: (i64, &str)) -> LoggedRow {
        let row = |(id, name): (i64, &str)| vec![Value::Int(id), Value::Text(name.into())];
        let lsn = |at: u8| {
            let mut lsn = [0; 10];
            lsn[9] = at;
            lsn
        };
        let kind = ChangeKind::Update(row(before), row(after));
        let change = Change { object_id: 1, statement: 1, kind };
        LoggedRow { first: lsn(place), second: lsn(place + 1), change }
    }

    /// Operation, key, and the place's last byte of each step.
    fn told(rows: &[LoggedRow]) -> Vec<(char, i64, u8)> {
        let rows: Vec<&LoggedRow> = rows.iter().collect();
        steps(&rows, &[0], &|_, before, after| before == after)
            .into_iter()
            .map(|step| {
                let (operation, row) = match step.change {
                    RowChange::Delete(row) => ('D', row),
                    RowChange::Insert(row) => ('I', row),
                    RowChange::Update(before, after) => {
                        assert_eq!(before[0], after[0], "a collapsed update keeps its key");
                        ('U', after)
                    }
                };
                let Value::Int(id) = row[0] else { panic!("not an int") };
                (operation, id, step.place[9])
            })
            .collect()
    }

    #[test]
    fn one_row_keeps_one_place() {
        assert_eq!(told(&[update(3, (1, "a"), (2, "a"))]), [('D', 1, 3), ('I', 2, 3)]);
    }

    #[test]
    fn a_chain_deletes_first_while_places_follow_rows() {
        let rows = [update(1, (1, "a"), (2, "a")), update(3, (2, "b"), (3, "b"))];
        assert_eq!(told(&rows), [('D', 1, 1), ('D', 2, 3), ('I', 2, 2), ('I', 3, 4)]);
    }

    #[test]
    fn a_swap_collapses_into_updates() {
        let rows = [
            update(1, (1, "a"), (2, "a")),
            update(3, (2, "b"), (1, "b")),
            update(5, (7, "c"), (8, "c")),
            update(7, (9, "d"), (9, "e")),
        ];
        assert_eq!(told(&rows), [('D', 7, 5), ('U', 9, 7), ('U', 2, 1), ('U', 1, 3), ('I', 8, 6)]);
    }
}
