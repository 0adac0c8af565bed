//! Loading tables in bulk, past the log.

use std::sync::Arc;

use super::catalog::{self, Catalog, Column, Index, Table};
use super::operation::Operations;
use super::server::Engine;
use super::values::{collation, datetime, storage, types};
use crate::table::ColumnDef;
use crate::value::Value;

/// A table to load in bulk.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// Schema's name; made if it is not there.
    pub schema: String,
    /// Table's name.
    pub name: String,
    /// Columns, with their ids.
    pub columns: Vec<ColumnDef>,
    /// Names of the primary key's columns, in key order.
    pub primary_key: Vec<String>,
}

impl Engine {
    /// Makes a table and fills it. The rows are not in the log.
    ///
    /// # Errors
    /// When the table is there already, or a row does not fit it.
    pub fn bulk_load(&self, spec: TableSpec, rows: impl Iterator<Item = Vec<Value>>) -> anyhow::Result<u64> {
        let mut connection = self.shared.connect(&Arc::new(Operations::default()))?;
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut catalog = catalog::load(&transaction)?;
        anyhow::ensure!(
            catalog.table(&spec.schema, &spec.name).is_none(),
            "There is already an object named '{}'.",
            spec.name
        );
        if catalog.schema(&spec.schema).is_none() {
            let id = catalog.state.schemas.iter().map(|(id, _)| *id).max().unwrap_or(4) + 1;
            catalog.state.schemas.push((id, spec.schema.clone()));
        }
        let table = new_table(&mut catalog, spec)?;
        super::run::store::create(&transaction, &table)?;
        catalog::save_table(&transaction, &table)?;
        catalog::save_state(&transaction, &catalog.state)?;
        let sql = super::run::store::insert_sql(&table);
        let mut count = 0;
        {
            let mut statement = transaction.prepare(&sql)?;
            for row in rows {
                anyhow::ensure!(
                    row.len() == table.columns.len(),
                    "row {} of {} has {} cells",
                    count + 1,
                    table.full_name(),
                    row.len()
                );
                let stored = row.iter().zip(&table.columns).map(|(value, column)| stored_cell(value, column));
                statement
                    .execute(rusqlite::params_from_iter(std::iter::once(rusqlite::types::Value::Null).chain(stored)))?;
                for (value, column) in row.iter().zip(&table.columns) {
                    if let (Some((_, increment)), Value::Int(value)) = (column.identity, value) {
                        self.shared.raise_identity(table.id, *value, increment);
                    }
                }
                count += 1;
            }
        }
        transaction.commit()?;
        Ok(count)
    }
}

/// A cell as stored: char and binary padded to their width.
fn stored_cell(value: &Value, column: &Column) -> rusqlite::types::Value {
    match (value, column.ty) {
        (Value::Text(text), crate::value::SqlType::Char(width) | crate::value::SqlType::NChar(width)) => {
            rusqlite::types::Value::Text(super::values::text::pad(
                text.clone(),
                column.ty,
                column.utf8(),
                usize::from(width),
            ))
        }
        (Value::Bytes(bytes), crate::value::SqlType::Binary(width)) => {
            let mut bytes = bytes.clone();
            bytes.resize(usize::from(width), 0);
            rusqlite::types::Value::Blob(bytes)
        }
        _ => storage::encode(value),
    }
}

fn new_table(catalog: &mut Catalog, spec: TableSpec) -> anyhow::Result<Table> {
    let now = datetime::now();
    let created = i64::from(now.day) * datetime::DAY + now.ticks;
    let id = catalog.new_id();
    let columns: Vec<Column> = spec
        .columns
        .iter()
        .map(|column| Column {
            id: column.column_id,
            slot: column.column_id,
            name: column.name.clone(),
            ty: column.sql_type,
            nullable: column.nullable,
            identity: column.identity.then_some((1, 1)),
            computed: None,
            default: None,
            collation: types::is_text(column.sql_type)
                .then(|| column.collation.unwrap_or(collation::DEFAULT).to_owned()),
            rowguid: false,
            masked: false,
            encryption: None,
            shows_sparse: false,
        })
        .collect();
    let last = columns.iter().map(|column| column.id).max().unwrap_or(0);
    let mut table = Table {
        id,
        schema: spec.schema,
        name: spec.name,
        columns,
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign: Vec::new(),
        last_column: last,
        last_slot: last,
        created,
        modified: created,
        partition: None,
    };
    if !spec.primary_key.is_empty() {
        let key = spec
            .primary_key
            .iter()
            .map(|name| {
                table
                    .column(name)
                    .map(|column| (column.id, false))
                    .ok_or_else(|| anyhow::anyhow!("{} has no column {name}", table.full_name()))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let constraint = catalog.new_id();
        table.indexes.push(Index {
            id: 1,
            name: format!("PK_{}", table.name),
            unique: true,
            primary: true,
            constraint: Some(constraint),
            clustered: true,
            columns: key,
            included: Vec::new(),
            holding: None,
        });
    }
    Ok(table)
}
