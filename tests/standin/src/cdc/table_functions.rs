//! The generated functions: all changes and net changes of an instance.

use std::collections::HashMap;

use crate::value::{Column, SqlError, SqlType, Value};

use super::Rows;
use super::arguments::{lsn_of, text_of};
use super::instance::{ChangeRow, Instance, column, same_name};
use super::lsn::Lsn;
use super::packed::{Packed, pack, unpack};
use super::state::State;

/// Which of the two functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `fn_cdc_get_all_changes_<ci>`
    All,
    /// `fn_cdc_get_net_changes_<ci>`
    Net,
}

impl Kind {
    /// The function's name up to the instance's.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::All => "fn_cdc_get_all_changes_",
            Self::Net => "fn_cdc_get_net_changes_",
        }
    }
}

/// The function of that name and its instance.
pub fn find<'a>(state: &'a State, name: &str) -> Option<(Kind, &'a Instance)> {
    let (kind, rest) = [Kind::All, Kind::Net].into_iter().find_map(|kind| {
        let head = name.get(..kind.prefix().len())?;
        head.eq_ignore_ascii_case(kind.prefix()).then(|| (kind, &name[head.len()..]))
    })?;
    let instance = state.instances.iter().find(|instance| same_name(&instance.name, rest))?;
    (kind == Kind::All || instance.net_changes).then_some((kind, instance))
}

/// The columns that a function returns.
pub fn columns(kind: Kind, instance: &Instance) -> Vec<Column> {
    let mut columns = vec![column("__$start_lsn", SqlType::Binary(10), true)];
    if kind == Kind::All {
        columns.push(column("__$seqval", SqlType::Binary(10), true));
    }
    columns.push(column("__$operation", SqlType::Int, true));
    columns.push(column("__$update_mask", SqlType::VarBinary(Some(128)), true));
    columns.extend(instance.captured_columns());
    columns
}

/// Calls a function.
///
/// # Errors
/// 313 for whatever is wrong with the bounds or the filter.
pub fn call(state: &State, kind: Kind, instance: &Instance, args: &[Value]) -> Result<Rows, SqlError> {
    let from = lsn_of(&args[0])?;
    let to = lsn_of(&args[1])?;
    let filter = text_of(&args[2])?.map(|filter| filter.trim_matches(' ').to_lowercase());
    let (from, to) = window(state, instance, from, to).ok_or_else(|| refused(kind))?;
    let filter = filter.unwrap_or_default();
    let rows = match (kind, filter.as_str()) {
        (Kind::All, "all") => all_changes(instance, (from, to), false),
        (Kind::All, "all update old") => all_changes(instance, (from, to), true),
        (Kind::Net, "all") => net_changes(instance, (from, to), Filter::All),
        (Kind::Net, "all with mask") => net_changes(instance, (from, to), Filter::Mask),
        (Kind::Net, "all with merge") => net_changes(instance, (from, to), Filter::Merge),
        _ => return Err(refused(kind)),
    };
    Ok(Rows { columns: columns(kind, instance), rows })
}

/// The server's way to refuse: it calls a function literally named so with too few arguments.
fn refused(kind: Kind) -> SqlError {
    let prefix = kind.prefix();
    let text =
        format!("An insufficient number of arguments were supplied for the procedure or function cdc.{prefix} ... .");
    SqlError::new(313, text).state(3)
}

/// The window, if it lies within what the instance can tell.
fn window(state: &State, instance: &Instance, from: Option<Lsn>, to: Option<Lsn>) -> Option<(Lsn, Lsn)> {
    let (from, to) = (from?, to?);
    let (min, max) = (state.min_lsn(instance)?, state.max_lsn()?);
    (min <= from && from <= to && to <= max).then_some((from, to))
}

fn all_changes(instance: &Instance, (from, to): (Lsn, Lsn), with_old: bool) -> Vec<Vec<Value>> {
    instance
        .changes
        .between(Some(from), Some(to))
        .filter(|row| with_old || row.operation != 3)
        .map(|row| {
            let mask = row.mask.clone().unwrap_or_else(|| instance.full_mask());
            let mut values = vec![
                Value::Bytes(row.start.to_vec()),
                Value::Bytes(row.seqval.to_vec()),
                Value::Int(i64::from(row.operation)),
                Value::Bytes(mask.into_vec()),
            ];
            values.extend(unpack(&row.values));
            values
        })
        .collect()
}

/// The net function's filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    All,
    Mask,
    Merge,
}

/// A key's changes within the window.
struct Net<'a> {
    first: u8,
    last: &'a ChangeRow,
    count: usize,
    mask: Vec<u8>,
}

fn net_changes(instance: &Instance, (from, to): (Lsn, Lsn), filter: Filter) -> Vec<Vec<Value>> {
    let mut place: HashMap<Packed, usize> = HashMap::new();
    let mut keys: Vec<Net<'_>> = Vec::new();
    for row in instance.changes.between(Some(from), Some(to)).filter(|row| row.operation != 3) {
        let values = unpack(&row.values);
        let key = pack(&instance.key.iter().map(|&ordinal| folded(instance, ordinal, &values)).collect::<Vec<_>>());
        let mask = row.mask.clone().unwrap_or_else(|| instance.full_mask());
        let index = *place.entry(key).or_insert(keys.len());
        let Some(net) = keys.get_mut(index) else {
            keys.push(Net { first: row.operation, last: row, count: 1, mask: mask.into_vec() });
            continue;
        };
        net.last = row;
        net.count += 1;
        for (sum, byte) in net.mask.iter_mut().zip(mask.iter()) {
            *sum |= byte;
        }
    }
    keys.iter()
        .filter_map(|net| {
            let operation = net_operation(net.first, net.last.operation, net.count)?;
            let shown = if filter == Filter::Merge && operation != 1 { 5 } else { operation };
            let mask = (filter == Filter::Mask && operation == 4).then(|| Value::Bytes(net.mask.clone()));
            let mut values =
                vec![Value::Bytes(net.last.start.to_vec()), Value::Int(i64::from(shown)), mask.unwrap_or(Value::Null)];
            values.extend(unpack(&net.last.values));
            Some(values)
        })
        .collect()
}

/// What first and last change of a key come to; `None` where the function is silent.
fn net_operation(first: u8, last: u8, count: usize) -> Option<u8> {
    match (first, last) {
        _ if count == 1 => Some(last),
        (2, 1) => None,
        (_, 1) => Some(1),
        (2, _) => Some(2),
        (_, _) => Some(4),
    }
}

/// A key's cell as its collation compares it: case folded where the collation ignores it, blanks at the end cut.
fn folded(instance: &Instance, ordinal: usize, values: &[Value]) -> Value {
    let collation = instance.columns[ordinal].collation.unwrap_or("_CI_");
    match &values[ordinal] {
        Value::Text(text) => {
            let text = text.trim_end_matches(' ');
            Value::Text(if collation.contains("_CI_") { text.to_lowercase() } else { text.to_owned() })
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::net_operation;

    #[test]
    fn net_operations_follow_first_and_last() {
        // (first, last, count) to the net operation.
        let table = [
            ((2, 2, 1), Some(2)),
            ((2, 4, 2), Some(2)),
            ((2, 2, 3), Some(2)),
            ((2, 1, 2), None),
            ((4, 4, 1), Some(4)),
            ((4, 4, 2), Some(4)),
            ((4, 2, 3), Some(4)),
            ((4, 1, 2), Some(1)),
            ((1, 1, 1), Some(1)),
            ((1, 2, 2), Some(4)),
            ((1, 4, 3), Some(4)),
            ((1, 1, 3), Some(1)),
        ];
        for ((first, last, count), net) in table {
            assert_eq!(net_operation(first, last, count), net, "first {first}, last {last}, {count} changes");
        }
    }
}
