//! A table that changes its form with a batch: columns that begin to flow, types that became wider, and, before a
//! snapshot, whatever differs. In the load's own transaction, so that form and rows are always of one batch.

use super::attached::{Index, Maker, Production};
use super::shape::{self, Present, Requirement, Type, holds};
use crate::manifest::{BatchKind, Manifest};
use crate::target::delsert::quote;
use crate::target::{TargetColumn, TargetTable};

/// A statement that changes a table's form.
#[derive(Debug)]
pub struct Change {
    /// The statement.
    pub statement: String,
    /// The column whose type it alters.
    pub retypes: Option<String>,
    /// Whether it makes a primary key, which then is `delsert`'s.
    pub makes_key: bool,
}

/// What a table's form is changed for.
pub struct Occasion<'a> {
    /// The table as it is.
    pub production: &'a Production,
    /// The table as the batch has it.
    pub table: &'a TargetTable,
    /// Its types.
    pub types: &'a [Type],
    /// The batch.
    pub manifest: &'a Manifest,
    /// Whether the rows that a snapshot replaces are gone already.
    pub emptied: bool,
}

/// Collects statements, and differences that no statement mends.
struct Plan<'a> {
    name: &'a str,
    changes: Vec<Change>,
    differences: Vec<String>,
}

impl Plan<'_> {
    fn alter(&mut self, change: &str) {
        let statement = format!("ALTER TABLE {} {change}", self.name);
        self.changes.push(Change { statement, retypes: None, makes_key: false });
    }

    fn retype(&mut self, column: &str, change: &str) {
        let statement = format!("ALTER TABLE {} ALTER COLUMN {} TYPE {change}", self.name, quote(column));
        self.changes.push(Change { statement, retypes: Some(column.to_owned()), makes_key: false });
    }
}

/// The statements that give a production table the form that a batch needs, in order, none as a rule; of a snapshot, once
/// the rows are deleted, unless what waits for the transaction's end keeps a table with deleted rows from being altered.
///
/// # Errors
/// Each difference that no statement mends without losing values, in words.
pub fn changes(occasion: &Occasion<'_>) -> Result<Vec<Change>, Vec<String>> {
    let Occasion { production, table, types, manifest, .. } = *occasion;
    let mut plan = Plan { name: &production.name, changes: Vec::new(), differences: Vec::new() };
    let key: Vec<_> = table.key.iter().map(|&at| table.columns[at].name.as_str()).collect();
    let outgrown = outgrown(occasion, &key, &mut plan);
    if let Some(constraint) = outgrown.and_then(|key| key.constraint.as_ref()) {
        plan.alter(&format!("DROP CONSTRAINT {constraint}"));
    }
    let mut cleared = Vec::new();
    for (at, (wanted, wanted_type)) in table.columns.iter().zip(types).enumerate() {
        let added = manifest.table.columns.get(at).is_some_and(|source| manifest.added.contains(&source.name));
        match shape::column(&production.relation, &wanted.name) {
            None => {
                if manifest.kind != BatchKind::Snapshot && !added {
                    // It would be NULL in all rows that this batch does not touch.
                    plan.differences.push(format!("column '{}' is missing", wanted.name));
                }
                plan.alter(&format!("ADD COLUMN {} {}", quote(&wanted.name), wanted.sql_type));
            }
            Some(present) if present.is_generated() => {
                plan.differences.push(format!("column '{}' is generated and cannot be written", wanted.name));
            }
            Some(present) => {
                let is_key = table.key.contains(&at);
                of_column(occasion, &mut plan, (present, wanted, *wanted_type), (added, is_key), &mut cleared);
            }
        }
    }
    let stays = |name: &str| table.columns.iter().any(|wanted| wanted.name == name);
    let left = production.relation.columns.iter().filter(|present| !stays(&present.name));
    for present in left.filter(|present| present.required == Some(Requirement::Column) && present.filled.is_none()) {
        plan.alter(&format!("ALTER COLUMN {} DROP NOT NULL", quote(&present.name)));
    }
    if outgrown.is_some() {
        let key: Vec<_> = key.iter().map(|column| quote(column)).collect();
        plan.alter(&format!("ADD PRIMARY KEY ({})", key.join(", ")));
        plan.changes.last_mut().into_iter().for_each(|change| change.makes_key = true);
    }
    // Last: a table with rows that were written and are yet to be checked cannot be altered.
    plan.changes.extend(cleared);
    if plan.differences.is_empty() { Ok(plan.changes) } else { Err(plan.differences) }
}

/// The primary key that `delsert` made for a key that the source's table has no more. Another's is its owner's affair.
fn outgrown<'a>(occasion: &Occasion<'a>, key: &[&str], plan: &mut Plan<'_>) -> Option<&'a Index> {
    let made = occasion
        .production
        .primary()
        .filter(|key| key.primary == Some(Maker::Us) && occasion.manifest.kind == BatchKind::Snapshot);
    let outgrown = made.filter(|primary| {
        primary.columns.len() != key.len() || !key.iter().all(|key| primary.columns.iter().any(|column| column == key))
    });
    if outgrown.is_some() && !occasion.emptied {
        plan.differences.push("its primary key is not the source's any more, and cannot be replaced while a deferrable constraint or trigger depends on it".to_owned());
    }
    outgrown
}

fn of_column(
    occasion: &Occasion<'_>,
    plan: &mut Plan<'_>,
    (present, wanted, wanted_type): (&Present, &TargetColumn, Type),
    (added, is_key): (bool, bool),
    cleared: &mut Vec<Change>,
) {
    let snapshot = occasion.manifest.kind == BatchKind::Snapshot;
    let (column, sql_type) = (quote(&wanted.name), &wanted.sql_type);
    let (fits, same) = (holds(present.column_type, wanted_type), present.column_type == wanted_type);
    let emptied_by_change = (added && !same) || (snapshot && !fits);
    let of_old_rows = emptied_by_change && snapshot && !occasion.emptied;
    if present.required == Some(Requirement::Column) && (added || wanted.nullable || of_old_rows) && !is_key {
        plan.alter(&format!("ALTER COLUMN {column} DROP NOT NULL"));
    }
    if of_old_rows && is_key {
        plan.differences.push(format!(
            "key column '{}' is {}, not {sql_type}, and cannot be altered while a deferrable constraint or trigger depends on the table",
            wanted.name, present.type_name
        ));
    } else if emptied_by_change {
        plan.retype(&wanted.name, &format!("{sql_type} USING NULL"));
    } else if added {
        let statement = format!("UPDATE {} SET {column} = NULL WHERE {column} IS NOT NULL", plan.name);
        cleared.push(Change { statement, retypes: None, makes_key: false });
    } else if !fits && holds(wanted_type, present.column_type) {
        plan.retype(&wanted.name, sql_type);
    } else if !fits {
        plan.differences.push(format!("column '{}' is {}, not {sql_type}", wanted.name, present.type_name));
    }
}
