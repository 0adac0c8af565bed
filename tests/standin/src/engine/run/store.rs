//! Tables in SQLite: their DDL, and the statements that write rows.

use rusqlite::Connection;

use super::super::catalog::{Column, Index, Table};
use super::super::values::{collation, types};
use crate::value::SqlType;

/// A column's name in SQLite.
pub fn column_name(column: &Column) -> String {
    format!("c{}", column.slot)
}

/// The COLLATE clause of a column.
pub fn collate(column: &Column) -> String {
    match column.ty {
        SqlType::DateTimeOffset(_) => format!(" COLLATE \"{}\"", collation::OFFSET),
        ty if types::is_text(ty) => format!(" COLLATE \"{}\"", column.collation().unwrap_or(collation::DEFAULT)),
        _ => String::new(),
    }
}

/// Makes a table and its indexes.
pub fn create(connection: &Connection, table: &Table) -> rusqlite::Result<()> {
    let columns: Vec<String> =
        table.columns.iter().map(|column| format!(", {}{}", column_name(column), collate(column))).collect();
    // Ids never come back, so that a page scan by row id meets no row twice.
    connection.execute_batch(&format!(
        "CREATE TABLE {} (rid INTEGER PRIMARY KEY AUTOINCREMENT{})",
        table.stored(),
        columns.concat()
    ))?;
    table.indexes.iter().try_for_each(|index| create_index(connection, table, index))
}

/// Makes an index.
pub fn create_index(connection: &Connection, table: &Table, index: &Index) -> rusqlite::Result<()> {
    let terms: Vec<String> = index
        .columns
        .iter()
        .filter_map(|(id, descending)| {
            let column = table.columns.iter().find(|column| column.id == *id)?;
            let direction = if *descending { " DESC" } else { "" };
            Some(format!("{}{direction}", term(column, index.unique)))
        })
        .collect();
    let place = if table.is_temporary() { "temp." } else { "main." };
    let unique = if index.unique { "UNIQUE " } else { "" };
    let held = index.holding.and_then(|id| table.columns.iter().find(|column| column.id == id));
    let filter = held.map(|column| format!(" WHERE {} IS NOT NULL", column_name(column))).unwrap_or_default();
    connection.execute_batch(&format!(
        "CREATE {unique}INDEX {place}\"i{}_{}\" ON \"t{}\" ({}){filter}",
        table.id,
        index.id,
        table.id,
        terms.join(", ")
    ))
}

/// A column in an index. A unique index holds NULL once: it becomes a value that no cell of the type is.
fn term(column: &Column, unique: bool) -> String {
    let name = column_name(column);
    if unique && column.nullable {
        let none =
            if types::is_text(column.ty) || matches!(column.ty, SqlType::DateTimeOffset(_)) { "x''" } else { "'-'" };
        return format!("ifnull({name}, {none}){}", collate(column));
    }
    name
}

/// Drops an index.
pub fn drop_index(connection: &Connection, table: &Table, index: &Index) -> rusqlite::Result<()> {
    let place = if table.is_temporary() { "temp." } else { "main." };
    connection.execute_batch(&format!("DROP INDEX {place}\"i{}_{}\"", table.id, index.id))
}

/// INSERT of a whole row: the row id, then the columns in order.
pub fn insert_sql(table: &Table) -> String {
    let names: Vec<String> = table.columns.iter().map(|column| format!(", {}", column_name(column))).collect();
    let marks = ", ?".repeat(table.columns.len());
    format!("INSERT INTO {} (rid{}) VALUES (?{marks})", table.stored(), names.concat())
}

/// UPDATE of a whole row: the columns in order, then the row id.
pub fn update_sql(table: &Table) -> String {
    let sets: Vec<String> = table.columns.iter().map(|column| format!("{} = ?", column_name(column))).collect();
    format!("UPDATE {} SET {} WHERE rid = ?", table.stored(), sets.join(", "))
}

/// DELETE of a row.
pub fn delete_sql(table: &Table) -> String {
    format!("DELETE FROM {} WHERE rid = ?", table.stored())
}

/// The list of a table's columns under an alias.
pub fn column_list(table: &Table, alias: &str) -> String {
    table.columns.iter().map(|column| format!("{alias}.{}", column_name(column))).collect::<Vec<_>>().join(", ")
}
