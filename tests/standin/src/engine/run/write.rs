//! Writing rows: what a cell must fit, what a row must keep, and the log of both.

use std::sync::Arc;

use rusqlite::params_from_iter;
use rusqlite::types::Value as Stored;

use super::super::bind::Binder;
use super::super::catalog::{Column, Foreign, Index, Table};
use super::super::environment::Environment;
use super::super::error::{Result, from_sqlite};
use super::super::script::cursor::Cursor;
use super::super::script::lexer;
use super::super::session::SqlSession;
use super::super::values::convert::{self, Target};
use super::super::values::{storage, text, types};
use super::store;
use crate::table::ChangeKind;
use crate::value::{SqlError, SqlType, Value};

/// A row that a statement wrote.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// The row before; none for an insert.
    pub before: Option<Vec<Value>>,
    /// The row after; none for a delete.
    pub after: Option<Vec<Value>>,
    /// Its id in SQLite.
    pub rid: i64,
}

/// The value as a column takes it: converted, padded, and no longer than the column is.
pub fn fit(value: &Value, from: SqlType, column: &Column, table: &Table, database: &str) -> Result<Value> {
    if matches!(value, Value::Null) {
        return Ok(Value::Null);
    }
    let target = Target { ty: column.ty, style: 0, utf8: column.utf8() };
    let too_long = match value {
        Value::Text(written) if types::is_text(column.ty) => {
            let trimmed = written.trim_end_matches(' ');
            types::length(column.ty)
                .is_some_and(|limit| text::length(trimmed, column.ty, column.utf8()) > usize::from(limit))
        }
        Value::Bytes(bytes) if types::is_binary(column.ty) && column.ty != SqlType::RowVersion => {
            types::length(column.ty).is_some_and(|limit| bytes.len() > usize::from(limit))
        }
        _ => false,
    };
    if too_long {
        let shown = match value {
            Value::Text(written) => {
                text::cut(written, column.ty, column.utf8(), types::length(column.ty).map_or(0, usize::from)).to_owned()
            }
            _ => String::new(),
        };
        return Err(SqlError::new(
            2628,
            format!(
                "String or binary data would be truncated in table '{database}.{}', column '{}'. Truncated value: '{shown}'.",
                table.full_name(),
                column.name
            ),
        ));
    }
    if !convert::implicit(from, column.ty) {
        let (number, text) = if convert::allowed(from, column.ty) {
            (
                257,
                format!(
                    "Implicit conversion from data type {} to {} is not allowed. Use the CONVERT function to run this query.",
                    types::name(from),
                    types::name(column.ty)
                ),
            )
        } else {
            (206, format!("Operand type clash: {} is incompatible with {}", types::name(from), types::name(column.ty)))
        };
        return Err(SqlError::new(number, text).state(if number == 257 { 3 } else { 2 }));
    }
    convert::convert(value, from, target)
}

impl SqlSession {
    fn store<T>(result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|error| from_sqlite(&error))
    }

    /// Refuses NULL where a column has none.
    pub fn check_nulls(&self, table: &Table, row: &[Value], verb: &str) -> Result<()> {
        for (value, column) in row.iter().zip(&table.columns) {
            if matches!(value, Value::Null) && !column.nullable && column.computed.is_none() {
                let database = if table.is_temporary() { "tempdb" } else { self.shared.database.as_str() };
                return Err(SqlError::new(
                    515,
                    format!(
                        "Cannot insert the value NULL into column '{}', table '{database}.{}'; column does not allow nulls. {verb} fails.",
                        column.name,
                        table.full_name()
                    ),
                )
                .state(2));
            }
        }
        Ok(())
    }

    /// Inserts a row under an id (a new one if none is given) and gives that id.
    pub fn put(&mut self, table: &Table, rid: Option<i64>, row: &[Value]) -> Result<i64> {
        let cells = std::iter::once(rid.map_or(Stored::Null, Stored::Integer)).chain(row.iter().map(storage::encode));
        let result =
            Self::store(self.connection.prepare_cached(&store::insert_sql(table)))?.execute(params_from_iter(cells));
        match result {
            Ok(_) => Ok(self.connection.last_insert_rowid()),
            Err(error) => Err(self.duplicate(table, row, &error)),
        }
    }

    /// Writes a row over the one of that id.
    pub fn overwrite(&mut self, table: &Table, rid: i64, row: &[Value]) -> Result<()> {
        let cells = row.iter().map(storage::encode).chain(std::iter::once(Stored::Integer(rid)));
        let result =
            Self::store(self.connection.prepare_cached(&store::update_sql(table)))?.execute(params_from_iter(cells));
        match result {
            Ok(_) => Ok(()),
            Err(error) => Err(self.duplicate(table, row, &error)),
        }
    }

    /// Removes the row of that id.
    pub fn remove(&mut self, table: &Table, rid: i64) -> Result<()> {
        let mut statement = Self::store(self.connection.prepare_cached(&store::delete_sql(table)))?;
        Self::store(statement.execute([rid])).map(|_| ())
    }

    /// 2627 or 2601, naming the key that is there already.
    fn duplicate(&self, table: &Table, row: &[Value], error: &rusqlite::Error) -> SqlError {
        let constraint = matches!(error, rusqlite::Error::SqliteFailure(failure, _) if failure.code == rusqlite::ErrorCode::ConstraintViolation);
        if !constraint {
            return from_sqlite(error);
        }
        let unique = table.indexes.iter().filter(|index| index.unique);
        let found = unique.clone().find(|index| self.key_exists(table, index, row)).or_else(|| unique.clone().next());
        found.map_or_else(|| from_sqlite(error), |index| duplicate_error(table, index, row))
    }

    fn key_exists(&self, table: &Table, index: &Index, row: &[Value]) -> bool {
        let (mut tests, mut values) = (Vec::new(), Vec::new());
        for (id, _) in &index.columns {
            let Some(at) = table.position(*id) else { return false };
            tests.push(format!("{} IS ?", store::column_name(&table.columns[at])));
            values.push(storage::encode(&row[at]));
        }
        let sql = format!("SELECT 1 FROM {} WHERE {}", table.stored(), tests.join(" AND "));
        self.connection
            .prepare_cached(&sql)
            .and_then(|mut statement| statement.exists(params_from_iter(values)))
            .unwrap_or(false)
    }

    /// Notes the rows a statement wrote: computed columns, checks and foreign keys first, then the log.
    pub fn settle(
        &mut self,
        environment: &Arc<Environment>,
        table: &Arc<Table>,
        written: &mut [Written],
        verb: &str,
    ) -> Result<()> {
        self.compute(environment, table, written)?;
        self.check_rows(environment, table, written, verb)?;
        self.check_foreign(environment, table, written, verb)?;
        if table.is_temporary() {
            return Ok(());
        }
        for row in written.iter() {
            let kind = match (&row.before, &row.after) {
                (None, Some(after)) => ChangeKind::Insert(after.clone()),
                (Some(before), None) => ChangeKind::Delete(before.clone()),
                (Some(before), Some(after)) => ChangeKind::Update(before.clone(), after.clone()),
                (None, None) => continue,
            };
            self.transaction.note(table.id, kind);
        }
        Ok(())
    }

    /// Fills the computed columns of rows just written.
    fn compute(&mut self, environment: &Arc<Environment>, table: &Arc<Table>, written: &mut [Written]) -> Result<()> {
        for (at, column) in table.columns.iter().enumerate() {
            let Some(expression) = &column.computed else { continue };
            let mut binder = Binder::new(environment, &self.operations, &self.variables);
            let from = binder.table_source(table, table.name.clone(), None)?;
            let bound = binder.expression(&parse_expression(expression)?)?;
            let rid = binder.scope().sources[0].alias.clone();
            let sql = format!("SELECT {} FROM {from} WHERE \"{rid}\".rid = :rid", bound.sql);
            let update = format!("UPDATE {} SET {} = ? WHERE rid = ?", table.stored(), store::column_name(column));
            for row in written.iter_mut() {
                let Some(after) = &mut row.after else { continue };
                let stored: Stored = Self::store(
                    Self::store(self.connection.prepare_cached(&sql))?
                        .query_row(&[(":rid", &row.rid)], |found| found.get(0)),
                )?;
                let value = storage::decode((&stored).into(), bound.ty);
                let value = fit(&value, bound.ty, column, table, &self.shared.database)?;
                Self::store(
                    Self::store(self.connection.prepare_cached(&update))?.execute((storage::encode(&value), row.rid)),
                )?;
                after[at] = value;
            }
        }
        Ok(())
    }

    fn check_rows(
        &mut self,
        environment: &Arc<Environment>,
        table: &Arc<Table>,
        written: &[Written],
        verb: &str,
    ) -> Result<()> {
        for check in &table.checks {
            let mut binder = Binder::new(environment, &self.operations, &self.variables);
            let from = binder.table_source(table, table.name.clone(), None)?;
            let condition = binder.predicate(&parse_expression(&check.text)?)?;
            let alias = binder.scope().sources[0].alias.clone();
            let sql = format!("SELECT 1 FROM {from} WHERE \"{alias}\".rid = :rid AND NOT {condition}");
            for row in written.iter().filter(|row| row.after.is_some()) {
                let broken =
                    Self::store(Self::store(self.connection.prepare_cached(&sql))?.exists(&[(":rid", &row.rid)]))?;
                if broken {
                    return Err(conflict(verb, "CHECK", &check.name, &self.shared.database, table, None));
                }
            }
        }
        Ok(())
    }

    fn check_foreign(
        &mut self,
        environment: &Arc<Environment>,
        table: &Arc<Table>,
        written: &[Written],
        verb: &str,
    ) -> Result<()> {
        for foreign in &table.foreign {
            let Some(parent) = environment.catalog.tables.get(&foreign.table) else { continue };
            for row in written {
                let Some(after) = &row.after else { continue };
                if let Some(key) = key_of(table, &foreign.columns, after)
                    && !self.has_key(parent, &foreign.references, &key)?
                {
                    return Err(conflict(
                        verb,
                        "FOREIGN KEY",
                        &foreign.name,
                        &self.shared.database,
                        parent,
                        parent_column(parent, foreign),
                    ));
                }
            }
        }
        let children: Vec<(Arc<Table>, Foreign)> = environment
            .catalog
            .tables
            .values()
            .flat_map(|child| {
                child
                    .foreign
                    .iter()
                    .filter(|foreign| foreign.table == table.id)
                    .map(|foreign| (Arc::clone(child), foreign.clone()))
            })
            .collect();
        for (child, foreign) in children {
            for row in written {
                let Some(before) = &row.before else { continue };
                let Some(key) = key_of(table, &foreign.references, before) else { continue };
                if self.has_key(table, &foreign.references, &key)? || !self.has_key(&child, &foreign.columns, &key)? {
                    continue;
                }
                if foreign.on_delete == "CASCADE" && row.after.is_none() {
                    self.cascade(environment, &child, &foreign, &key)?;
                    continue;
                }
                return Err(conflict(
                    verb,
                    "REFERENCE",
                    &foreign.name,
                    &self.shared.database,
                    &child,
                    parent_column(table, &foreign),
                ));
            }
        }
        Ok(())
    }

    /// ON DELETE CASCADE.
    fn cascade(
        &mut self,
        environment: &Arc<Environment>,
        child: &Arc<Table>,
        foreign: &Foreign,
        key: &[Value],
    ) -> Result<()> {
        let (tests, values) = key_tests(child, &foreign.columns, key);
        let types: Vec<SqlType> = child.columns.iter().map(|column| column.ty).collect();
        let sql =
            format!("SELECT {}, t.rid FROM {} AS t WHERE {tests}", store::column_list(child, "t"), child.stored());
        let mut gone = Vec::new();
        {
            let mut statement = Self::store(self.connection.prepare(&sql))?;
            let mut rows = Self::store(statement.query(params_from_iter(values)))?;
            while let Some(row) = Self::store(rows.next())? {
                let rid = Self::store(row.get(types.len()))?;
                gone.push(Written { before: Some(super::select::cells(row, &types)?), after: None, rid });
            }
        }
        for row in &gone {
            self.remove(child, row.rid)?;
        }
        self.settle(environment, child, &mut gone, "DELETE")
    }

    fn has_key(&self, table: &Table, columns: &[i32], key: &[Value]) -> Result<bool> {
        let (tests, values) = key_tests(table, columns, key);
        let sql = format!("SELECT 1 FROM {} AS t WHERE {tests}", table.stored());
        Self::store(Self::store(self.connection.prepare_cached(&sql))?.exists(params_from_iter(values)))
    }
}

fn key_tests(table: &Table, columns: &[i32], key: &[Value]) -> (String, Vec<Stored>) {
    let tests: Vec<String> = columns
        .iter()
        .filter_map(|id| table.position(*id))
        .map(|at| format!("t.{} = ?", store::column_name(&table.columns[at])))
        .collect();
    (tests.join(" AND "), key.iter().map(storage::encode).collect())
}

/// The values of some columns; none when one of them is NULL.
fn key_of(table: &Table, columns: &[i32], row: &[Value]) -> Option<Vec<Value>> {
    columns
        .iter()
        .map(|id| table.position(*id).map(|at| row[at].clone()).filter(|value| !matches!(value, Value::Null)))
        .collect()
}

fn parent_column<'a>(parent: &'a Table, foreign: &Foreign) -> Option<&'a str> {
    let [only] = foreign.references.as_slice() else { return None };
    parent.position(*only).map(|at| parent.columns[at].name.as_str())
}

/// 547.
fn conflict(verb: &str, kind: &str, name: &str, database: &str, table: &Table, column: Option<&str>) -> SqlError {
    let column = column.map_or(String::new(), |column| format!(", column '{column}'"));
    SqlError::new(
        547,
        format!(
            "The {verb} statement conflicted with the {kind} constraint \"{name}\". The conflict occurred in database \"{database}\", table \"{}\"{column}.",
            table.full_name()
        ),
    )
}

fn duplicate_error(table: &Table, index: &Index, row: &[Value]) -> SqlError {
    let key: Vec<String> = index
        .columns
        .iter()
        .filter_map(|(id, _)| table.position(*id))
        .map(|at| shown(&row[at], table.columns[at].ty))
        .collect();
    let key = key.join(", ");
    let full = table.full_name();
    if index.constraint.is_some() {
        let kind = if index.primary { "PRIMARY KEY" } else { "UNIQUE KEY" };
        return SqlError::new(
            2627,
            format!("Violation of {kind} constraint '{}'. Cannot insert duplicate key in object '{full}'. The duplicate key value is ({key}).", index.name),
        )
        .severity(14);
    }
    SqlError::new(
        2601,
        format!("Cannot insert duplicate key row in object '{full}' with unique index '{}'. The duplicate key value is ({key}).", index.name),
    )
    .severity(14)
}

/// A key's value as an error shows it.
fn shown(value: &Value, ty: SqlType) -> String {
    let style = i32::from(types::is_binary(ty));
    let target = Target { ty: SqlType::NVarChar(None), style, utf8: false };
    match convert::convert(value, ty, target) {
        Ok(Value::Text(text)) => text.trim_end().to_owned(),
        _ => "<NULL>".to_owned(),
    }
}

/// An expression kept as text: a default, a check, a computed column.
pub fn parse_expression(text: &str) -> Result<sqlparser::ast::Expr> {
    let mut cursor = Cursor::new(lexer::tokens(text, true)?);
    let end = cursor.find(0, |_| false);
    cursor.expr(end)
}
