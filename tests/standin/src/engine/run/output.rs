//! OUTPUT: what a statement wrote, as rows.

use std::sync::Arc;

use rusqlite::params_from_iter;

use super::super::bind::Binder;
use super::super::bind::scope::{Source, SourceColumn};
use super::super::catalog::Table;
use super::super::environment::Environment;
use super::super::error::{Result, from_sqlite};
use super::super::script::{Insert, InsertSource, Output};
use super::super::session::SqlSession;
use super::super::values::storage;
use super::store;
use super::write::Written;
use crate::session::Sink;
use crate::value::{Column, SqlType, Value};

/// Rows of an OUTPUT clause: columns, and their cells.
pub type Given = (Vec<Column>, Vec<Vec<Value>>);

impl SqlSession {
    /// The rows that OUTPUT gives for what was written.
    pub fn output_rows(
        &mut self,
        environment: &Arc<Environment>,
        output: &Output,
        table: &Table,
        written: &[Written],
    ) -> Result<Given> {
        let names: Vec<String> = table.columns.iter().map(store::column_name).collect();
        let run = |sql: &str| self.connection.execute_batch(sql).map_err(|error| from_sqlite(&error));
        for side in ["inserted", "deleted"] {
            let columns: Vec<String> = table
                .columns
                .iter()
                .map(|column| format!(", {}{}", store::column_name(column), store::collate(column)))
                .collect();
            run(&format!(
                "DROP TABLE IF EXISTS temp.o_{side}; CREATE TABLE temp.o_{side} (seq INTEGER PRIMARY KEY, act{})",
                columns.concat()
            ))?;
            let sql = format!(
                "INSERT INTO temp.o_{side} (seq, act, {}) VALUES (?, ?{})",
                names.join(", "),
                ", ?".repeat(names.len())
            );
            let mut statement = self.connection.prepare(&sql).map_err(|error| from_sqlite(&error))?;
            for (at, row) in written.iter().enumerate() {
                let nulls = || vec![Value::Null; names.len()];
                let cells =
                    if side == "inserted" { row.after.clone() } else { row.before.clone() }.unwrap_or_else(nulls);
                let at = rusqlite::types::Value::Integer(i64::try_from(at).unwrap_or_default());
                statement
                    .execute(params_from_iter([at, action(row)].into_iter().chain(cells.iter().map(storage::encode))))
                    .map_err(|error| from_sqlite(&error))?;
            }
        }
        let mut binder = Binder::new(environment, &self.operations, &self.variables);
        add_sides(&mut binder, table, output)?;
        let (items, columns) = binder.items(&output.items)?;
        let sql = format!(
            "SELECT {} FROM temp.o_inserted AS a1 JOIN temp.o_deleted AS a2 ON a1.seq = a2.seq ORDER BY a1.seq",
            items.join(", ")
        );
        let described: Vec<Column> = columns.iter().map(super::super::bind::query::OutputColumn::described).collect();
        let types: Vec<SqlType> = described.iter().map(|column| column.sql_type).collect();
        let mut statement = self.connection.prepare(&sql).map_err(|error| from_sqlite(&error))?;
        let mut rows = statement.query(params_from_iter(&binder.params)).map_err(|error| from_sqlite(&error))?;
        let mut given = Vec::new();
        while let Some(row) = rows.next().map_err(|error| from_sqlite(&error))? {
            given.push(super::select::cells(row, &types)?);
        }
        Ok((described, given))
    }

    /// Sends OUTPUT's rows to the client, or into INTO's table.
    pub fn deliver(given: Option<Given>, sink: &mut dyn Sink) {
        if let Some((columns, rows)) = given {
            sink.columns(&columns);
            for row in &rows {
                sink.row(row);
            }
        }
    }

    /// OUTPUT … INTO: puts the rows in their table and gives none to the client.
    pub fn output_into(
        &mut self,
        environment: &Arc<Environment>,
        output: &Output,
        given: Given,
    ) -> Result<Option<Given>> {
        let Some((target, columns)) = &output.into else { return Ok(Some(given)) };
        let insert = Insert {
            top: None,
            table: target.clone(),
            columns: columns.clone(),
            output: None,
            source: InsertSource::Defaults,
        };
        self.insert_values(environment, &insert, given)?;
        Ok(None)
    }
}

fn add_sides(binder: &mut Binder<'_>, table: &Table, output: &Output) -> Result<()> {
    let text = output.items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",").to_lowercase();
    for (side, alias) in [("inserted", "a1"), ("deleted", "a2")] {
        // A side that is not named stays out, so that OUTPUT of a bare name is refused as ambiguous only where it is.
        if !text.contains(side) {
            continue;
        }
        let columns = table.columns.iter().map(|column| SourceColumn {
            name: column.name.clone(),
            stored: store::column_name(column),
            ty: column.ty,
            nullable: true,
            collation: column.collation(),
            identity: false,
        });
        binder.add_source(Source {
            name: side.to_owned(),
            schema: None,
            alias: alias.to_owned(),
            columns: columns.collect(),
            table: None,
        })?;
    }
    if output.action && text.contains("$action") {
        let column = SourceColumn {
            name: "$action".to_owned(),
            stored: "act".to_owned(),
            ty: SqlType::NVarChar(Some(10)),
            nullable: false,
            collation: None,
            identity: false,
        };
        let columns = vec![column];
        binder.add_source(Source {
            name: "$action".to_owned(),
            schema: None,
            alias: "a1".to_owned(),
            columns,
            table: None,
        })?;
    }
    Ok(())
}

/// What happened to a row, in the words of `$action`.
fn action(row: &Written) -> rusqlite::types::Value {
    let word = match (&row.before, &row.after) {
        (None, _) => "INSERT",
        (_, None) => "DELETE",
        _ => "UPDATE",
    };
    rusqlite::types::Value::Text(word.to_owned())
}
