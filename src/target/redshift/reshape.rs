//! A table that changes its form with a batch.
//!
//! "ALTER TABLE": the size of a VARCHAR can be altered, outside a transaction; nothing else of a type. Any other change is
//! a new column in the old one's place, within the load's transaction, which leaves the table with its grants.

use super::shape::{self, Present, holds, wanted};
use super::{objects, read_watermark};
use crate::error::Result;
use crate::manifest::{BatchKind, Manifest};
use crate::target::delsert::quote;
use crate::target::pgwire::Session;
use crate::target::types::Shape;
use crate::target::{TargetColumn, TargetTable};

/// The name of a column that is to take another's place.
const SUCCESSOR: &str = "delsert_successor";

/// Widens VARCHAR columns before a load, which cannot do so itself; a table that needs none costs a look. Wider columns
/// change nothing for anybody, so that it does no harm if the load then finds that it has nothing to do.
///
/// # Errors
/// The server's, or that of another sync's table.
pub async fn widen(session: &Session, table: &TargetTable) -> Result<()> {
    let Session { client, server, .. } = session;
    let name = objects(table).production;
    let found = shape::find(client, &table.schema, &table.name).await;
    let Some(production) = found.map_err(|error| server.failed(&format!("look up {name}"), &error))? else {
        return Ok(());
    };
    let narrow = table.columns.iter().filter(|column| {
        let present = production.column(&column.name).map(Present::shape);
        matches!((present, wanted(column)), (Some(Shape::Octets(present)), Shape::Octets(wanted)) if present < wanted)
    });
    let narrow: Vec<_> = narrow.collect();
    if narrow.is_empty() || read_watermark(client, server, table).await?.is_none_or(|mark| mark.generation == 0) {
        return Ok(());
    }
    for column in narrow {
        let statement = format!("ALTER TABLE {name} ALTER COLUMN {} TYPE {}", quote(&column.name), column.sql_type);
        // Another load may have done it, or a default or an encoding be in the way: then the load puts a column in its place.
        match client.batch_execute(&statement).await {
            Ok(()) => tracing::info!(table = %table.source_name, "{statement}"),
            Err(error) if error.as_db_error().is_some() => {
                let error = server.failed("widen a column", &error);
                tracing::info!(table = %table.source_name, %error, "a column cannot be altered, and is made anew");
            }
            Err(error) => return Err(server.failed("widen a column", &error)),
        }
    }
    Ok(())
}

/// What a table's form is changed for.
pub struct Occasion<'a> {
    /// The table's name, quoted and qualified.
    pub name: &'a str,
    /// The table as it is.
    pub production: &'a shape::Relation,
    /// The table as the batch has it.
    pub table: &'a TargetTable,
    /// The batch.
    pub manifest: &'a Manifest,
}

/// The statements that give a production table the form that a batch needs, in order, none as a rule; of a snapshot, once
/// the rows are deleted.
///
/// # Errors
/// Each difference that no statement mends without losing values, in words.
pub fn changes(occasion: &Occasion<'_>) -> Result<Vec<String>, Vec<String>> {
    let Occasion { name, production, table, manifest } = *occasion;
    let snapshot = manifest.kind == BatchKind::Snapshot;
    let (mut changes, mut differences) = (Vec::new(), Vec::new());
    for (at, column) in table.columns.iter().enumerate() {
        let added = manifest.table.columns.get(at).is_some_and(|source| manifest.added.contains(&source.name));
        let shown = &column.name;
        match production.column(shown) {
            None if snapshot || added => {
                changes.push(format!("ALTER TABLE {name} ADD COLUMN {} {}", quote(shown), column.sql_type));
            }
            // It would be NULL in all rows that this batch does not touch.
            None => differences.push(format!("column '{shown}' is missing")),
            Some(present) if present.is_identity() => {
                differences.push(format!("column '{shown}' numbers itself and cannot be written"));
            }
            Some(present) => {
                let fate = Fate::of(present, column, (snapshot, added), table.key.contains(&at));
                fate.carry_out(name, present, column, &mut changes, &mut differences);
            }
        }
    }
    for present in &production.columns {
        let stays = table.columns.iter().any(|column| column.name == present.name);
        if !stays && present.required && present.filled.is_none() {
            differences.push(format!(
                "column '{}' is NOT NULL without a default, and no batch has it; drop it by hand",
                present.name
            ));
        }
    }
    if differences.is_empty() { Ok(changes) } else { Err(differences) }
}

/// What becomes of a column that is there.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing.
    Stays,
    /// Its values go, it stays.
    Emptied,
    /// Another takes its place, with its values or without.
    Replaced { values: bool },
    /// It does not hold what the batch brings, and what does holds not what is in it.
    Unfit,
}

impl Fate {
    fn of(present: &Present, column: &TargetColumn, (snapshot, added): (bool, bool), is_key: bool) -> Self {
        let fits = holds(present.shape(), wanted(column));
        let refuses_null = present.required && column.nullable && !is_key;
        if !fits && !snapshot && !added && !holds(wanted(column), present.shape()) {
            return Self::Unfit;
        }
        if !fits || refuses_null {
            return Self::Replaced { values: !snapshot && !added };
        }
        if added && !snapshot { Self::Emptied } else { Self::Stays }
    }

    fn carry_out(
        self,
        name: &str,
        present: &Present,
        column: &TargetColumn,
        changes: &mut Vec<String>,
        differences: &mut Vec<String>,
    ) {
        let (shown, quoted, sql_type) = (&column.name, quote(&column.name), &column.sql_type);
        match self {
            Self::Stays => {}
            Self::Emptied => {
                changes.push(format!("UPDATE {name} SET {quoted} = NULL WHERE {quoted} IS NOT NULL"));
            }
            Self::Unfit => differences.push(format!("column '{shown}' is {}, not {sql_type}", present.type_name)),
            // "ALTER TABLE": neither can be dropped.
            Self::Replaced { .. } if present.distributes || present.sorts => differences.push(format!(
                "column '{shown}' is {}, not {sql_type}, and the rows are distributed or sorted by it, so that no other can take its place: give the table another DISTKEY or SORTKEY by ALTER TABLE {name}, run load, and set it back",
                present.type_name
            )),
            Self::Replaced { values } => {
                changes.push(format!("ALTER TABLE {name} ADD COLUMN {SUCCESSOR} {sql_type}"));
                if values {
                    changes.push(format!("UPDATE {name} SET {SUCCESSOR} = {quoted}"));
                }
                changes.push(format!("ALTER TABLE {name} DROP COLUMN {quoted}"));
                changes.push(format!("ALTER TABLE {name} RENAME COLUMN {SUCCESSOR} TO {quoted}"));
            }
        }
    }
}
