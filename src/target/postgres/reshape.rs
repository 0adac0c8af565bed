//! A table that changes its form with a batch: columns that begin to flow, types that became wider, and, before a
//! snapshot, whatever differs. In the load's own transaction, so that form and rows are always of one batch.

use super::shape::{Relation, Type, holds, inexact};
use crate::manifest::{BatchKind, Manifest};
use crate::target::TargetTable;
use crate::target::delsert::quote;

/// Whether a primary key has a column that is not the source's.
fn fills_itself(production: &Relation, primary: &[String]) -> bool {
    production.columns.iter().any(|present| present.filled && primary.contains(&present.name))
}

/// The statements that give a production table the form that a batch needs, in order, none as a rule; of a snapshot, once
/// the rows are deleted. `ours` says that no rows were in the table but those of batches.
///
/// # Errors
/// Each difference that no statement mends without losing values, in words.
pub fn statements(
    production: &Relation,
    table: &TargetTable,
    types: &[Type],
    manifest: &Manifest,
    name: &str,
    ours: bool,
) -> Result<Vec<String>, Vec<String>> {
    let snapshot = manifest.kind == BatchKind::Snapshot;
    let (mut statements, mut differences) = (Vec::new(), inexact(production, table));
    let alter = |change: String| format!("ALTER TABLE {name} {change}");
    let key: Vec<_> = table.key.iter().map(|&at| table.columns[at].name.as_str()).collect();
    // Of a table that was there before, the primary key is its owner's affair.
    let outgrown = production.primary.as_ref().filter(|(_, columns)| {
        let equal = columns.len() == key.len() && key.iter().all(|key| columns.iter().any(|column| column == key));
        snapshot && ours && !equal && !fills_itself(production, columns)
    });
    if let Some((constraint, _)) = outgrown {
        statements.push(alter(format!("DROP CONSTRAINT {}", quote(constraint))));
    }
    for (at, (wanted, wanted_type)) in table.columns.iter().zip(types).enumerate() {
        let (column, sql_type) = (quote(&wanted.name), &wanted.sql_type);
        let added = manifest.table.columns.get(at).is_some_and(|source| manifest.added.contains(&source.name));
        let Some(present) = production.columns.iter().find(|present| present.name == wanted.name) else {
            if !snapshot && !added {
                // It would be NULL in all rows that this batch does not touch.
                differences.push(format!("column '{}' is missing", wanted.name));
            }
            statements.push(alter(format!("ADD COLUMN {column} {sql_type}")));
            continue;
        };
        if present.generated {
            differences.push(format!("column '{}' is generated and cannot be written", wanted.name));
            continue;
        }
        if present.required && (added || wanted.nullable) && !table.key.contains(&at) {
            statements.push(alter(format!("ALTER COLUMN {column} DROP NOT NULL")));
        }
        let (fits, same) = (holds(present.column_type, *wanted_type), present.column_type == *wanted_type);
        if (added && !same) || (snapshot && !fits) {
            statements.push(alter(format!("ALTER COLUMN {column} TYPE {sql_type} USING NULL")));
        } else if added {
            statements.push(format!("UPDATE {name} SET {column} = NULL WHERE {column} IS NOT NULL"));
        } else if !fits && holds(*wanted_type, present.column_type) {
            statements.push(alter(format!("ALTER COLUMN {column} TYPE {sql_type}")));
        } else if !fits {
            differences.push(format!("column '{}' is {}, not {sql_type}", wanted.name, present.type_name));
        }
    }
    let stays = |name: &str| table.columns.iter().any(|wanted| wanted.name == name);
    let left = production.columns.iter().filter(|present| !stays(&present.name));
    for present in left.filter(|present| present.required && !present.filled && !present.generated) {
        statements.push(alter(format!("ALTER COLUMN {} DROP NOT NULL", quote(&present.name))));
    }
    if outgrown.is_some() {
        let key: Vec<_> = key.iter().map(|column| quote(column)).collect();
        statements.push(alter(format!("ADD PRIMARY KEY ({})", key.join(", "))));
    }
    if differences.is_empty() { Ok(statements) } else { Err(differences) }
}
