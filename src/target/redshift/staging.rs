//! The temporary table that parts are copied to, and how its columns are read.
//!
//! "Data conversion parameters": an empty field of anything but a text is NULL, so that no empty VARBYTE could be copied.
//! Bytes are therefore written and staged with one more before them, which is left out where they are read.

use super::shape::{Relation, wanted};
use crate::table::ColumnType;
use crate::target::delsert::{OPERATION, Objects, quote};
use crate::target::types::Shape;
use crate::target::{TargetColumn, TargetTable};

/// Makes it. It holds deletes too, of which only the key is known: no column of it is NOT NULL. Rows are where those of
/// production are that they are joined with.
pub fn create(table: &TargetTable, objects: &Objects, production: &Relation) -> String {
    let columns = table.columns.iter().map(|column| format!(", {} {}", quote(&column.name), staged_type(column)));
    let distributing = production.columns.iter().find(|present| present.distributes);
    let mut keys = table.key.iter().map(|&at| &table.columns[at]);
    let distributing = distributing.and_then(|present| keys.find(|column| column.name == present.name));
    // Bytes distribute nothing, and are staged as others than those of production.
    let distributing = distributing.filter(|column| !matches!(wanted(column), Shape::Bytes(_)));
    let distribution =
        distributing.map_or("DISTSTYLE EVEN".to_owned(), |column| format!("DISTKEY ({})", quote(&column.name)));
    let columns = columns.collect::<String>();
    format!("CREATE TEMP TABLE {} ({OPERATION} varchar(1){columns}) {distribution}", objects.staging)
}

/// The type with room for the byte before.
fn staged_type(column: &TargetColumn) -> String {
    match (column.column_type, wanted(column)) {
        (ColumnType::Binary { .. }, Shape::Bytes(Some(most))) => format!("varbyte({})", most + 1),
        (ColumnType::Binary { .. }, Shape::Octets(most)) => format!("varchar({})", (most + 2).min(65_535)),
        _ => column.sql_type.clone(),
    }
}

/// The value that a column's expression in staging stands for. "SUBSTRING" takes texts and VARBYTE, and counts from 1.
pub fn read(column: &TargetColumn, staged: &str) -> String {
    match (column.column_type, wanted(column)) {
        (ColumnType::Binary { .. }, Shape::Bytes(_)) => format!("SUBSTRING({staged}, 2)"),
        (ColumnType::Binary { .. }, Shape::Octets(_)) => format!("SUBSTRING({staged}, 3)"),
        _ => staged.to_owned(),
    }
}
