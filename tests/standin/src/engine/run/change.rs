//! UPDATE and DELETE.

use std::sync::Arc;

use rusqlite::params_from_iter;
use rusqlite::types::Value as Stored;
use sqlparser::ast::{Expr, TableWithJoins, With};

use super::super::bind::Binder;
use super::super::bind::relation::denied;
use super::super::catalog::{Table, same};
use super::super::environment::Environment;
use super::super::error::{Result, from_sqlite, invalid_column, invalid_object, syntax, undeclared};
use super::super::script::{Assignment, Delete, Name, Update};
use super::super::session::SqlSession;
use super::condition::compound_operator;
use super::store;
use super::write::{Written, fit, parse_expression};
use crate::session::Sink;
use crate::value::{SqlError, SqlType, Value};

/// The rows that a statement changes: the query that finds them, and its target.
struct Found {
    table: Arc<Table>,
    alias: String,
    from: String,
    condition: String,
    limit: String,
}

/// A row found: its id, its cells, further values.
pub type FoundRow = (i64, Vec<Value>, Vec<Value>);

/// A value that UPDATE computes.
pub struct Setting {
    /// Column it goes to.
    pub column: Option<usize>,
    /// Variable it goes to.
    pub variable: Option<String>,
    /// Its type.
    pub ty: SqlType,
}

impl SqlSession {
    /// Binds target, FROM, WHERE and TOP.
    fn find_rows(
        binder: &mut Binder<'_>,
        environment: &Environment,
        (with, name): (Option<&With>, &Name),
        from: &[TableWithJoins],
        selection: Option<&Expr>,
        top: Option<&Expr>,
    ) -> Result<Found> {
        if let Some(with) = with {
            binder.with(with)?;
        }
        binder.scope().inside = 1;
        let full = name.join(".");
        let from_sql = if from.is_empty() {
            let table = environment.find_table(name).ok_or_else(|| missing(environment, name))?;
            let last = name.last().cloned().unwrap_or_default();
            let schema = Some(table.schema.clone());
            binder.table_source(&table, last, schema)?
        } else {
            binder.from(from)?
        };
        let last = name.last().ok_or_else(|| invalid_object(&full))?;
        let by_alias =
            binder.scope().sources.iter().find(|source| name.len() == 1 && same(&source.name, last)).cloned();
        let by_table = || {
            let wanted = environment.find_table(name)?;
            binder.scopes[0]
                .sources
                .iter()
                .find(|source| source.table.as_ref().is_some_and(|table| table.id == wanted.id))
                .cloned()
        };
        let mut from_sql = from_sql;
        let (table, alias) = if let Some(source) = by_alias.or_else(by_table) {
            (source.table.clone().ok_or_else(|| invalid_object(&full))?, source.alias)
        } else {
            // A target that FROM does not name stands beside it.
            let table = environment.find_table(name).ok_or_else(|| missing(environment, name))?;
            let extra = binder.table_source(&table, last.clone(), Some(table.schema.clone()))?;
            from_sql = format!("{extra} CROSS JOIN {from_sql}");
            let alias = binder.scope().sources.last().map(|source| source.alias.clone()).unwrap_or_default();
            (table, alias)
        };
        let condition = match selection {
            Some(selection) => format!(" WHERE {}", binder.predicate(selection)?),
            None => String::new(),
        };
        let limit = match top {
            Some(top) => {
                let bound = binder.expression(top)?;
                format!(" LIMIT {}", binder.coerce(bound, SqlType::BigInt)?.sql)
            }
            None => String::new(),
        };
        Ok(Found { table, alias, from: from_sql, condition, limit })
    }

    /// The rows found: id, cells, and further expressions; each row once.
    fn read_found(&self, found: &Found, further: &[(String, SqlType)], params: &[Stored]) -> Result<Vec<FoundRow>> {
        let store = |error: rusqlite::Error| from_sqlite(&error);
        let extra = further.iter().map(|(sql, _)| format!(", {sql}")).collect::<Vec<_>>().concat();
        let alias = format!("\"{}\"", found.alias);
        let sql = format!(
            "SELECT {alias}.rid, {}{extra} FROM {}{}{}",
            store::column_list(&found.table, &alias),
            found.from,
            found.condition,
            found.limit
        );
        let mut types: Vec<SqlType> = vec![SqlType::BigInt];
        types.extend(found.table.columns.iter().map(|column| column.ty));
        types.extend(further.iter().map(|(_, ty)| *ty));
        let mut statement = self.connection.prepare(&sql).map_err(store)?;
        let wanted = statement.parameter_count().min(params.len());
        let mut rows = statement.query(params_from_iter(&params[..wanted])).map_err(store)?;
        let (mut list, mut seen) = (Vec::new(), std::collections::HashSet::new());
        while let Some(row) = rows.next().map_err(store)? {
            let rid: i64 = row.get(0).map_err(store)?;
            if !seen.insert(rid) {
                continue;
            }
            let mut cells = super::select::cells(row, &types)?;
            let new = cells.split_off(1 + found.table.columns.len());
            cells.remove(0);
            list.push((rid, cells, new));
        }
        Ok(list)
    }

    /// DELETE as a statement.
    pub fn delete_statement(&mut self, delete: &Delete, sink: &mut dyn Sink) -> Result<()> {
        self.begin_implicit(sink);
        let environment = self.enter()?;
        let mut binder = Binder::new(&environment, &self.operations, &self.variables);
        let found = Self::find_rows(
            &mut binder,
            &environment,
            (delete.with.as_ref(), &delete.table),
            &delete.from,
            delete.selection.as_ref(),
            delete.top.as_ref(),
        )?;
        let (params, needed) = (binder.params, binder.needed);
        let table = Arc::clone(&found.table);
        self.check_snapshot()?;
        if !environment.may("DELETE", &table) {
            return Err(denied("DELETE", &table, &self.shared.database));
        }
        self.fill(&environment, &needed, &params)?;
        let (count, given) = self.write(table.is_temporary(), |session| {
            let rows = session.read_found(&found, &[], &params)?;
            let mut written = Vec::with_capacity(rows.len());
            for (rid, before, _) in rows {
                session.remove(&table, rid)?;
                written.push(Written { before: Some(before), after: None, rid });
            }
            session.settle(&environment, &table, &mut written, "DELETE")?;
            let given = match &delete.output {
                Some(output) => {
                    let given = session.output_rows(&environment, output, &table, &written)?;
                    session.output_into(&environment, output, given)?
                }
                None => None,
            };
            Ok((written.len() as u64, given))
        })?;
        Self::deliver(given, sink);
        self.counted(count, sink);
        Ok(())
    }

    /// UPDATE as a statement.
    pub fn update_statement(&mut self, update: &Update, sink: &mut dyn Sink) -> Result<()> {
        self.begin_implicit(sink);
        let environment = self.enter()?;
        let mut binder = Binder::new(&environment, &self.operations, &self.variables);
        let found = Self::find_rows(
            &mut binder,
            &environment,
            (update.with.as_ref(), &update.table),
            &update.from,
            update.selection.as_ref(),
            update.top.as_ref(),
        )?;
        let table = Arc::clone(&found.table);
        self.check_snapshot()?;
        if !environment.may("UPDATE", &table) {
            return Err(denied("UPDATE", &table, &self.shared.database));
        }
        let (mut settings, mut further) = (Vec::new(), Vec::new());
        for assignment in &update.assignments {
            let (setting, sql) = bind_assignment(&mut binder, &table, &found.alias, assignment)?;
            further.push((sql, setting.ty));
            let again =
                setting.column.is_some_and(|at| settings.iter().any(|other: &Setting| other.column == Some(at)));
            if again {
                let name = assignment.column.clone().unwrap_or_default();
                return Err(SqlError::new(
                    264,
                    format!(
                        "The column name '{name}' is specified more than once in the SET clause or column list of an INSERT. A column cannot be assigned more than one value in the same clause. Modify the clause to make sure that a column is updated only once."
                    ),
                ));
            }
            settings.push(setting);
        }
        let (params, needed) = (binder.params, binder.needed);
        self.fill(&environment, &needed, &params)?;
        let (count, given) = self.write(table.is_temporary(), |session| {
            let rows = session.read_found(&found, &further, &params)?;
            let mut written = session.apply_updates(&table, &settings, rows)?;
            session.settle(&environment, &table, &mut written, "UPDATE")?;
            let given = match &update.output {
                Some(output) => {
                    let given = session.output_rows(&environment, output, &table, &written)?;
                    session.output_into(&environment, output, given)?
                }
                None => None,
            };
            Ok((written.len() as u64, given))
        })?;
        Self::deliver(given, sink);
        self.counted(count, sink);
        Ok(())
    }

    /// Gives found rows their new values.
    pub fn apply_updates(
        &mut self,
        table: &Arc<Table>,
        settings: &[Setting],
        rows: Vec<FoundRow>,
    ) -> Result<Vec<Written>> {
        let mut written = Vec::with_capacity(rows.len());
        for (rid, before, values) in rows {
            let mut after = before.clone();
            for (setting, value) in settings.iter().zip(values) {
                if let Some(at) = setting.column {
                    after[at] = fit(&value, setting.ty, &table.columns[at], table, &self.shared.database)?;
                }
                if let Some(name) = &setting.variable {
                    let ty = self.variables.get(&name.to_lowercase()).ok_or_else(|| undeclared(name))?.ty;
                    self.assign(name, super::batch::cast(&value, setting.ty, ty)?)?;
                }
            }
            self.check_nulls(table, &after, "UPDATE")?;
            written.push(Written { before: Some(before), after: Some(after), rid });
        }
        let stamps: Vec<usize> =
            (0..table.columns.len()).filter(|at| table.columns[*at].ty == SqlType::RowVersion).collect();
        for row in &mut written {
            for at in &stamps {
                if let Some(after) = &mut row.after {
                    after[*at] = Value::Bytes(self.shared.next_row_version().to_be_bytes().to_vec());
                }
            }
        }
        self.replace_rows(table, &written)?;
        Ok(written)
    }

    /// Writes changed rows. Where a unique key changes, all go out before any comes in: keys may change places.
    pub fn replace_rows(&mut self, table: &Table, written: &[Written]) -> Result<()> {
        let keys: Vec<usize> = table
            .indexes
            .iter()
            .filter(|index| index.unique)
            .flat_map(|index| index.columns.iter().filter_map(|(id, _)| table.position(*id)))
            .collect();
        let moves = written.iter().any(|row| match (&row.before, &row.after) {
            (Some(before), Some(after)) => keys.iter().any(|at| before[*at] != after[*at]),
            _ => false,
        });
        if moves {
            for row in written {
                self.remove(table, row.rid)?;
            }
        }
        for row in written {
            let Some(after) = &row.after else { continue };
            if moves {
                self.put(table, Some(row.rid), after)?;
            } else {
                self.overwrite(table, row.rid, after)?;
            }
        }
        Ok(())
    }
}

/// The setting that an assignment makes, and the SQL of its value.
pub fn bind_assignment(
    binder: &mut Binder<'_>,
    table: &Table,
    alias: &str,
    assignment: &Assignment,
) -> Result<(Setting, String)> {
    let Assignment { variable, column, operator, value } = assignment;
    let at = match column {
        None => None,
        Some(name) => {
            let at = table.columns.iter().position(|own| same(&own.name, name)).ok_or_else(|| invalid_column(name))?;
            let own = &table.columns[at];
            if own.identity.is_some() {
                return Err(SqlError::new(8102, format!("Cannot update identity column '{}'.", own.name)));
            }
            if own.computed.is_some() {
                return Err(SqlError::new(
                    271,
                    format!(
                        "The column \"{}\" cannot be modified because it is either a computed column or is the result of a UNION operator.",
                        own.name
                    ),
                ));
            }
            if own.ty == SqlType::RowVersion {
                return Err(SqlError::new(272, "Cannot update a timestamp column."));
            }
            Some(at)
        }
    };
    let mut bound = match (value, at) {
        (Some(value), _) => binder.expression(value)?,
        (None, Some(at)) => match &table.columns[at].default {
            Some((_, _, text)) => binder.expression(&parse_expression(text)?)?,
            None => {
                super::super::bind::Bound { null: true, ..super::super::bind::Bound::new("NULL", table.columns[at].ty) }
            }
        },
        (None, None) => return Err(syntax("DEFAULT")),
    };
    if let Some(sign) = operator {
        let left = match (at, variable) {
            (Some(at), _) => {
                let source = binder.scope().sources.iter().find(|source| source.alias == alias).cloned();
                source.map(|source| source.bound(&source.columns[at])).ok_or_else(|| syntax("="))?
            }
            (None, Some(variable)) => binder.variable(variable)?,
            (None, None) => return Err(syntax("=")),
        };
        bound = binder.arithmetic(compound_operator(*sign).ok_or_else(|| syntax(sign.to_string()))?, left, bound)?;
    }
    let ty = match at {
        Some(at) if bound.null => table.columns[at].ty,
        _ => bound.ty,
    };
    Ok((Setting { column: at, variable: variable.clone(), ty }, bound.sql))
}

fn missing(environment: &Environment, name: &[String]) -> SqlError {
    let full = name.join(".");
    match name.last().filter(|last| last.starts_with('@')) {
        Some(variable) => {
            SqlError::new(1087, format!("Must declare the table variable \"{variable}\".")).severity(15).state(2)
        }
        None if name.len() > 1
            && same(&name[name.len() - 2], "cdc")
            && environment.shared.cdc.relation(&name[name.len() - 1]).is_some() =>
        {
            SqlError::new(259, "Ad hoc updates to system catalogs are not allowed.")
        }
        None => invalid_object(&full),
    }
}
