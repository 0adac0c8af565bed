//! INSERT.

use std::sync::Arc;

use rusqlite::params_from_iter;
use rusqlite::types::Value as Stored;

use super::super::bind::Binder;
use super::super::bind::relation::denied;
use super::super::catalog::Table;
use super::super::environment::Environment;
use super::super::error::{Result, from_sqlite, invalid_column, invalid_object};
use super::super::script::{Insert, InsertSource};
use super::super::session::SqlSession;
use super::output::Given;
use super::write::{Written, fit, parse_expression};
use crate::session::Sink;
use crate::value::{Column, SqlError, SqlType, Value};

/// Where each column's value comes from.
struct Plan {
    /// For each column of the table: its place among the given values.
    given: Vec<Option<usize>>,
}

impl SqlSession {
    /// The table that DML names; 208 if there is none, 229 without the right.
    pub fn target(&self, environment: &Environment, name: &[String], permission: &str) -> Result<Arc<Table>> {
        let table = environment.find_table(name).ok_or_else(|| {
            let full = name.join(".");
            match name.last().filter(|last| last.starts_with('@')) {
                Some(variable) => SqlError::new(1087, format!("Must declare the table variable \"{variable}\"."))
                    .severity(15)
                    .state(2),
                None => invalid_object(&full),
            }
        })?;
        if !table.is_temporary() {
            self.check_snapshot()?;
        }
        if environment.may(permission, &table) {
            Ok(table)
        } else {
            Err(denied(permission, &table, &self.shared.database))
        }
    }

    /// INSERT as a statement.
    pub fn insert_statement(&mut self, insert: &Insert, sink: &mut dyn Sink) -> Result<()> {
        self.begin_implicit(sink);
        let environment = self.enter()?;
        let table = self.target(&environment, &insert.table, "INSERT")?;
        if let InsertSource::Execute(statement) = &insert.source {
            let rows = self.captured(statement, sink)?;
            let count =
                self.write(table.is_temporary(), |session| session.insert_values(&environment, insert, rows))?;
            self.counted(count, sink);
            return Ok(());
        }
        let (sql, params, types) = self.insert_source(&environment, insert, &table)?;
        let plan = plan(&table, insert, types.len(), self.settings.identity_insert == Some(table.id))?;
        let (count, given) = self.write(table.is_temporary(), |session| {
            let mut writer = Inserting::new(&environment, &table, &plan, insert.output.is_some());
            let rows = session.source_rows(&sql, &params, &types)?;
            for row in rows {
                session.insert_row(&mut writer, &row, &types)?;
            }
            session.finish_insert(&environment, insert, writer)
        })?;
        Self::deliver(given, sink);
        self.counted(count, sink);
        Ok(())
    }

    /// The query that gives the rows to insert, and the types of its columns.
    fn insert_source(
        &mut self,
        environment: &Arc<Environment>,
        insert: &Insert,
        table: &Table,
    ) -> Result<(String, Vec<Stored>, Vec<SqlType>)> {
        let mut binder = Binder::new(environment, &self.operations, &self.variables);
        let mut top = String::new();
        if let Some(count) = &insert.top {
            let bound = binder.expression(count)?;
            top = format!(" LIMIT {}", binder.coerce(bound, SqlType::BigInt)?.sql);
        }
        let (sql, types) = match &insert.source {
            InsertSource::Query(query) => {
                let bound = binder.query(query)?;
                if !bound.assigned.is_empty() || bound.into.is_some() {
                    return Err(super::super::error::syntax("INTO"));
                }
                let types = bound.columns.iter().map(|column| column.ty).collect();
                (if top.is_empty() { bound.sql } else { format!("SELECT * FROM ({}){top}", bound.sql) }, types)
            }
            InsertSource::Values(rows) => {
                let columns = target_columns(table, insert, self.settings.identity_insert == Some(table.id))?;
                let mut selects = Vec::new();
                for row in rows {
                    if row.len() != columns.len() {
                        return Err(count_mismatch(insert, row.len(), columns.len()));
                    }
                    let mut list = Vec::new();
                    for (value, at) in row.iter().zip(&columns) {
                        let column = &table.columns[*at];
                        let bound = match value {
                            Some(value) => binder.expression(value)?,
                            None => match &column.default {
                                Some((_, _, text)) => binder.expression(&parse_expression(text)?)?,
                                None => super::super::bind::Bound {
                                    null: true,
                                    ..super::super::bind::Bound::new("NULL", column.ty)
                                },
                            },
                        };
                        // Each row converts by itself, so values go in as variants of their own types.
                        list.push(self_typed(&mut binder, bound));
                    }
                    selects.push(format!("({})", list.join(", ")));
                }
                (format!("VALUES {}", selects.join(", ")), columns.iter().map(|_| SqlType::SqlVariant).collect())
            }
            _ => (String::new(), Vec::new()),
        };
        let (params, needed) = (binder.params, binder.needed);
        self.fill(environment, &needed, &params)?;
        Ok((sql, params, types))
    }

    fn source_rows(&self, sql: &str, params: &[Stored], types: &[SqlType]) -> Result<Vec<Vec<Value>>> {
        if sql.is_empty() {
            return Ok(vec![Vec::new()]);
        }
        let store = |error: rusqlite::Error| from_sqlite(&error);
        let mut statement = self.connection.prepare(sql).map_err(store)?;
        let wanted = statement.parameter_count().min(params.len());
        let mut rows = statement.query(params_from_iter(&params[..wanted])).map_err(store)?;
        let mut list = Vec::new();
        while let Some(row) = rows.next().map_err(store)? {
            list.push(super::select::cells(row, types)?);
        }
        Ok(list)
    }

    /// Inserts rows at hand, inside a statement that writes.
    pub fn insert_values(
        &mut self,
        environment: &Arc<Environment>,
        insert: &Insert,
        (columns, rows): Given,
    ) -> Result<u64> {
        let table = self.target(environment, &insert.table, "INSERT")?;
        let plan = plan(&table, insert, columns.len(), self.settings.identity_insert == Some(table.id))?;
        let types: Vec<SqlType> = columns.iter().map(|column| column.sql_type).collect();
        let mut writer = Inserting::new(environment, &table, &plan, false);
        for row in rows {
            self.insert_row(&mut writer, &row, &types)?;
        }
        self.finish_insert(environment, insert, writer).map(|(count, _)| count)
    }

    /// The same, giving the rows written.
    pub fn insert_kept(
        &mut self,
        environment: &Arc<Environment>,
        insert: &Insert,
        (columns, rows): Given,
    ) -> Result<Vec<Written>> {
        let table = self.target(environment, &insert.table, "INSERT")?;
        let plan = plan(&table, insert, columns.len(), self.settings.identity_insert == Some(table.id))?;
        let types: Vec<SqlType> = columns.iter().map(|column| column.sql_type).collect();
        let mut writer = Inserting::new(environment, &table, &plan, true);
        for row in rows {
            self.insert_row(&mut writer, &row, &types)?;
        }
        let mut written = std::mem::take(&mut writer.written);
        self.settle(environment, &table, &mut written, "MERGE")?;
        Ok(written)
    }

    fn insert_row(&mut self, writer: &mut Inserting<'_>, given: &[Value], types: &[SqlType]) -> Result<()> {
        let table = Arc::clone(writer.table);
        let mut row = Vec::with_capacity(table.columns.len());
        for (at, column) in table.columns.iter().enumerate() {
            let value = match writer.plan.given[at] {
                Some(place) => {
                    let (value, from) = match &given[place] {
                        Value::Variant(inner) if column.ty != SqlType::SqlVariant => (inner.1.clone(), inner.0),
                        value => (value.clone(), types[place]),
                    };
                    let value = fit(&value, from, column, &table, &self.shared.database)?;
                    if let (Some((_, increment)), Value::Int(number)) = (column.identity, &value) {
                        self.shared.raise_identity(table.id, *number, increment);
                        self.identity = Value::Decimal(i128::from(*number), 0);
                    }
                    value
                }
                None => self.default_value(writer, at)?,
            };
            row.push(value);
        }
        self.check_nulls(&table, &row, "INSERT")?;
        let rid = self.put(&table, None, &row)?;
        writer.count += 1;
        writer.written.push(Written { before: None, after: Some(row), rid });
        // Rows that nothing looks at again go to the log in slices.
        if writer.written.len() >= 1000 && !writer.keep {
            let environment = Arc::clone(writer.environment);
            let mut slice = std::mem::take(&mut writer.written);
            self.settle(&environment, &table, &mut slice, "INSERT")?;
        }
        Ok(())
    }

    fn default_value(&mut self, writer: &Inserting<'_>, at: usize) -> Result<Value> {
        let table = writer.table;
        let column = &table.columns[at];
        if let Some((seed, increment)) = column.identity {
            let next = self.shared.next_identity(table.id, seed, increment);
            self.identity = Value::Decimal(i128::from(next), 0);
            return fit(&Value::Int(next), SqlType::BigInt, column, table, &self.shared.database);
        }
        if column.ty == SqlType::RowVersion {
            return Ok(Value::Bytes(self.shared.next_row_version().to_be_bytes().to_vec()));
        }
        let Some((_, _, text)) = &column.default else { return Ok(Value::Null) };
        let mut binder = Binder::new(writer.environment, &self.operations, &self.variables);
        let bound = binder.expression(&parse_expression(text)?)?;
        if bound.null {
            return Ok(Value::Null);
        }
        let stored: Stored = {
            let sql = format!("SELECT {}", bound.sql);
            let mut statement = self.connection.prepare_cached(&sql).map_err(|error| from_sqlite(&error))?;
            statement
                .query_row(params_from_iter(&binder.params), |row| row.get(0))
                .map_err(|error| from_sqlite(&error))?
        };
        let value = super::super::values::storage::decode((&stored).into(), bound.ty);
        fit(&value, bound.ty, column, table, &self.shared.database)
    }

    fn finish_insert(
        &mut self,
        environment: &Arc<Environment>,
        insert: &Insert,
        mut writer: Inserting<'_>,
    ) -> Result<(u64, Option<Given>)> {
        let table = Arc::clone(writer.table);
        let mut written = std::mem::take(&mut writer.written);
        self.settle(environment, &table, &mut written, "INSERT")?;
        let given = match &insert.output {
            Some(output) => {
                let given = self.output_rows(environment, output, &table, &written)?;
                self.output_into(environment, output, given)?
            }
            None => None,
        };
        Ok((writer.count, given))
    }

    /// The columns of INSERT's OUTPUT, if it has one for the client.
    pub fn describe_insert(&mut self, insert: &Insert) -> Result<Option<Vec<Column>>> {
        let Some(output) = insert.output.as_ref().filter(|output| output.into.is_none()) else { return Ok(None) };
        let environment = self.enter()?;
        let table = self.target(&environment, &insert.table, "INSERT")?;
        self.output_rows(&environment, output, &table, &[]).map(|(columns, _)| Some(columns))
    }
}

/// A value with its type kept: rows of VALUES may differ in type from row to row.
fn self_typed(binder: &mut Binder<'_>, bound: super::super::bind::Bound) -> String {
    if bound.null {
        return "NULL".to_owned();
    }
    if bound.ty == SqlType::SqlVariant {
        return bound.sql;
    }
    binder.convert(bound, super::super::values::convert::Target::of(SqlType::SqlVariant), false).sql
}

/// An INSERT under way.
struct Inserting<'a> {
    environment: &'a Arc<Environment>,
    table: &'a Arc<Table>,
    plan: &'a Plan,
    keep: bool,
    count: u64,
    written: Vec<Written>,
}

impl<'a> Inserting<'a> {
    fn new(environment: &'a Arc<Environment>, table: &'a Arc<Table>, plan: &'a Plan, keep: bool) -> Self {
        // A key of the table to itself is checked when all rows are in.
        let keep = keep || table.foreign.iter().any(|foreign| foreign.table == table.id);
        Self { environment, table, plan, keep, count: 0, written: Vec::new() }
    }
}

fn count_mismatch(insert: &Insert, given: usize, wanted: usize) -> SqlError {
    if insert.columns.is_empty() {
        return SqlError::new(213, "Column name or number of supplied values does not match table definition.");
    }
    let (number, word) = if given < wanted { (109, "more") } else { (110, "fewer") };
    SqlError::new(number, format!("There are {word} columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.")).severity(15)
}

/// The columns that a row of values fills, by place.
fn target_columns(table: &Table, insert: &Insert, identity_insert: bool) -> Result<Vec<usize>> {
    if !insert.columns.is_empty() {
        let mut places = Vec::new();
        for name in &insert.columns {
            let at = table
                .columns
                .iter()
                .position(|column| super::super::catalog::same(&column.name, name))
                .ok_or_else(|| invalid_column(name))?;
            let column = &table.columns[at];
            if column.computed.is_some() {
                return Err(SqlError::new(
                    271,
                    format!(
                        "The column \"{name}\" cannot be modified because it is either a computed column or is the result of a UNION operator."
                    ),
                ));
            }
            if column.ty == SqlType::RowVersion {
                return Err(SqlError::new(
                    273,
                    "Cannot insert an explicit value into a timestamp column. Use INSERT with a column list to exclude the timestamp column, or insert a DEFAULT into the timestamp column.",
                ));
            }
            if column.identity.is_some() && !identity_insert {
                return Err(SqlError::new(
                    544,
                    format!(
                        "Cannot insert explicit value for identity column in table '{}' when IDENTITY_INSERT is set to OFF.",
                        table.name
                    ),
                ));
            }
            if places.contains(&at) {
                return Err(SqlError::new(
                    264,
                    format!(
                        "The column name '{name}' is specified more than once in the SET clause or column list of an INSERT."
                    ),
                ));
            }
            places.push(at);
        }
        if identity_insert && !places.iter().any(|at| table.columns[*at].identity.is_some()) {
            return Err(SqlError::new(
                545,
                format!(
                    "Explicit value must be specified for identity column in table '{}' either when IDENTITY_INSERT is set to ON or when a replication user is inserting into a NOT FOR REPLICATION identity column.",
                    table.name
                ),
            ));
        }
        return Ok(places);
    }
    if identity_insert {
        return Err(SqlError::new(
            8101,
            format!(
                "An explicit value for the identity column in table '{}' can only be specified when a column list is used and IDENTITY_INSERT is ON.",
                table.name
            ),
        ));
    }
    Ok((0..table.columns.len())
        .filter(|at| {
            let column = &table.columns[*at];
            column.identity.is_none() && column.computed.is_none()
        })
        .collect())
}

fn plan(table: &Table, insert: &Insert, width: usize, identity_insert: bool) -> Result<Plan> {
    let mut given = vec![None; table.columns.len()];
    if matches!(insert.source, InsertSource::Defaults) && width == 0 {
        return Ok(Plan { given });
    }
    let columns = target_columns(table, insert, identity_insert)?;
    if columns.len() != width {
        return Err(if insert.columns.is_empty() {
            SqlError::new(213, "Column name or number of supplied values does not match table definition.")
        } else if columns.len() > width {
            SqlError::new(120, "The select list for the INSERT statement contains fewer items than the insert list. The number of SELECT values must match the number of INSERT columns.").severity(15)
        } else {
            SqlError::new(121, "The select list for the INSERT statement contains more items than the insert list. The number of SELECT values must match the number of INSERT columns.").severity(15)
        });
    }
    for (place, at) in columns.into_iter().enumerate() {
        // A rowversion takes DEFAULT or its own value only, which is what a row without one gets.
        if table.columns[at].ty != SqlType::RowVersion {
            given[at] = Some(place);
        }
    }
    Ok(Plan { given })
}
