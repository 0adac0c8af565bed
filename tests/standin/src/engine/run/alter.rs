//! ALTER TABLE, `sp_rename`, DBCC CHECKIDENT.

use std::sync::Arc;

use rusqlite::params_from_iter;

use super::super::catalog::{Catalog, Table, same};
use super::super::environment::Environment;
use super::super::error::{Result, from_sqlite};
use super::super::script::{AlterAction, AlterTable, ColumnSpec};
use super::super::session::SqlSession;
use super::super::values::{collation, storage, types};
use super::store;
use super::write::{fit, parse_expression};
use crate::cdc::DdlKind;
use crate::value::{SqlError, SqlType, Value};

fn stored<T>(result: rusqlite::Result<T>) -> Result<T> {
    result.map_err(|error| from_sqlite(&error))
}

impl SqlSession {
    /// ALTER TABLE.
    pub fn alter_table(&mut self, alter: &AlterTable, text: &str) -> Result<()> {
        let local = alter.table.last().is_some_and(|name| name.starts_with('#'));
        self.change_catalog(local, |session, environment, changed| {
            let found = environment.find_table(&alter.table).ok_or_else(|| {
                SqlError::new(
                    4902,
                    format!(
                        "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
                        alter.table.join(".")
                    ),
                )
            })?;
            if !environment.may("ALTER", &found) {
                return Err(SqlError::new(
                    1088,
                    format!(
                        "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
                        alter.table.join(".")
                    ),
                ));
            }
            let mut table = (*found).clone();
            match &alter.action {
                AlterAction::Add { columns, constraints } => {
                    for column in columns {
                        session.append_column(environment, changed, &mut table, column)?;
                    }
                    for constraint in constraints {
                        session.append_constraint(environment, changed, &mut table, constraint)?;
                    }
                    session.save_altered(&mut table, text, !columns.is_empty())
                }
                AlterAction::DropColumns { names, if_exists } => {
                    for name in names {
                        session.drop_column(&mut table, name, *if_exists)?;
                    }
                    session.save_altered(&mut table, text, true)
                }
                AlterAction::DropConstraints { names, if_exists } => {
                    for name in names {
                        session.drop_constraint(environment, &mut table, name, *if_exists)?;
                    }
                    session.save_altered(&mut table, text, false)
                }
                AlterAction::AlterColumn(spec) => {
                    session.alter_column(&mut table, spec)?;
                    session.save_altered(&mut table, text, true)
                }
                AlterAction::Mask { column, on } => {
                    let known = table.columns.iter_mut().find(|own| same(&own.name, column));
                    known.ok_or_else(|| super::super::error::invalid_column(column))?.masked = *on;
                    session.save_altered(&mut table, text, false)
                }
                AlterAction::Switch { from, to, into } => {
                    session.switch_partition(environment, &found, *from, to, *into)
                }
                AlterAction::Check | AlterAction::ChangeTracking => Ok(()),
            }
        })
    }

    fn append_column(
        &mut self,
        environment: &Arc<Environment>,
        changed: &mut Catalog,
        table: &mut Table,
        spec: &ColumnSpec,
    ) -> Result<()> {
        if !table.is_temporary() {
            self.shared.cdc.check_ddl(table.id, DdlKind::AddColumn)?;
        }
        let indexes = table.indexes.len();
        self.add_column(environment, changed, table, spec)?;
        let Some(column) = table.columns.last().cloned() else { return Ok(()) };
        let sql = format!(
            "ALTER TABLE {} ADD COLUMN {}{}",
            table.stored(),
            store::column_name(&column),
            store::collate(&column)
        );
        stored(self.connection.execute_batch(&sql))?;
        let rows: i64 =
            stored(
                self.connection.query_row(&format!("SELECT count(*) FROM {}", table.stored()), [], |row| row.get(0)),
            )?;
        // Rows there are get the default when NULL is no choice, or an identity, or a rowversion.
        let filled = !column.nullable || column.identity.is_some();
        if rows > 0 && column.computed.is_some() {
            self.fill_computed(environment, table, &column)?;
        } else if rows > 0 && filled {
            self.fill_column(environment, table, &column)?;
        }
        for index in &table.indexes[indexes..] {
            self.build_index(table, index)?;
        }
        Ok(())
    }

    fn fill_computed(
        &mut self,
        environment: &Arc<Environment>,
        table: &Table,
        column: &super::super::catalog::Column,
    ) -> Result<()> {
        let shared = Arc::new(table.clone());
        let mut binder = super::super::bind::Binder::new(environment, &self.operations, &self.variables);
        let from = binder.table_source(&shared, table.name.clone(), None)?;
        let bound = binder.expression(&parse_expression(column.computed.as_deref().unwrap_or("NULL"))?)?;
        let alias = binder.scope().sources[0].alias.clone();
        let sql = format!(
            "UPDATE {0} SET {1} = (SELECT {2} FROM {from} WHERE \"{alias}\".rid = \"t{3}\".rid)",
            table.stored(),
            store::column_name(column),
            bound.sql,
            table.id
        );
        let mut statement = stored(self.connection.prepare(&sql))?;
        stored(statement.execute(params_from_iter(&binder.params))).map(|_| ())
    }

    fn fill_column(
        &mut self,
        environment: &Arc<Environment>,
        table: &Table,
        column: &super::super::catalog::Column,
    ) -> Result<()> {
        let none = || {
            SqlError::new(
                4901,
                format!(
                    "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified, or the column being added is an identity or timestamp column, or alternatively if none of the previous conditions are satisfied the table must be empty to allow addition of this column. Column '{}' cannot be added to non-empty table '{}' because it does not satisfy these conditions.",
                    column.name, table.name
                ),
            )
        };
        let rids: Vec<i64> = {
            let mut statement =
                stored(self.connection.prepare(&format!("SELECT rid FROM {} ORDER BY rid", table.stored())))?;
            let rows = stored(statement.query_map([], |row| row.get(0)))?;
            stored(rows.collect())?
        };
        for rid in rids {
            let value = if let Some((seed, increment)) = column.identity {
                fit(
                    &Value::Int(self.shared.next_identity(table.id, seed, increment)),
                    SqlType::BigInt,
                    column,
                    table,
                    &self.shared.database,
                )?
            } else if column.ty == SqlType::RowVersion {
                Value::Bytes(self.shared.next_row_version().to_be_bytes().to_vec())
            } else {
                let (_, _, text) = column.default.as_ref().ok_or_else(none)?;
                let mut binder = super::super::bind::Binder::new(environment, &self.operations, &self.variables);
                let bound = binder.expression(&parse_expression(text)?)?;
                let cell: rusqlite::types::Value = stored(self.connection.query_row(
                    &format!("SELECT {}", bound.sql),
                    params_from_iter(&binder.params),
                    |row| row.get(0),
                ))?;
                fit(&storage::decode((&cell).into(), bound.ty), bound.ty, column, table, &self.shared.database)?
            };
            let sql = format!("UPDATE {} SET {} = ? WHERE rid = ?", table.stored(), store::column_name(column));
            stored(stored(self.connection.prepare_cached(&sql))?.execute((storage::encode(&value), rid)))?;
        }
        Ok(())
    }

    fn append_constraint(
        &mut self,
        environment: &Arc<Environment>,
        changed: &mut Catalog,
        table: &mut Table,
        spec: &super::super::script::ConstraintSpec,
    ) -> Result<()> {
        let (indexes, checks) = (table.indexes.len(), table.checks.len());
        if let super::super::script::ConstraintKind::Unique { primary: true, columns, .. } = &spec.kind {
            for (name, _) in columns {
                if table.column(name).is_some_and(|column| column.nullable) {
                    return Err(SqlError::new(
                        8111,
                        format!("Cannot define PRIMARY KEY constraint on nullable column in table '{}'.", table.name),
                    ));
                }
            }
        }
        self.add_constraint(environment, changed, table, spec, None)?;
        for index in &table.indexes[indexes..] {
            self.build_index(table, index)?;
        }
        if let Some(check) = table.checks.get(checks).cloned() {
            let shared = Arc::new(table.clone());
            let mut binder = super::super::bind::Binder::new(environment, &self.operations, &self.variables);
            let from = binder.table_source(&shared, table.name.clone(), None)?;
            let condition = binder.predicate(&parse_expression(&check.text)?)?;
            let broken = stored(
                stored(self.connection.prepare(&format!("SELECT 1 FROM {from} WHERE NOT {condition}")))?
                    .exists(params_from_iter(&binder.params)),
            )?;
            if broken {
                return Err(SqlError::new(
                    547,
                    format!(
                        "The ALTER TABLE statement conflicted with the CHECK constraint \"{}\". The conflict occurred in database \"{}\", table \"{}\".",
                        check.name,
                        self.shared.database,
                        table.full_name()
                    ),
                ));
            }
        }
        Ok(())
    }

    fn drop_column(&mut self, table: &mut Table, name: &str, if_exists: bool) -> Result<()> {
        let Some(column) = table.column(name).cloned() else {
            return if if_exists {
                Ok(())
            } else {
                Err(SqlError::new(
                    4924,
                    format!(
                        "ALTER TABLE DROP COLUMN failed because column '{name}' does not exist in table '{}'.",
                        table.name
                    ),
                ))
            };
        };
        if !table.is_temporary() {
            self.shared.cdc.check_ddl_of(table.id, DdlKind::DropColumn, &column.name)?;
        }
        let in_index = table
            .indexes
            .iter()
            .find(|index| index.columns.iter().any(|(id, _)| *id == column.id))
            .map(|index| index.name.clone());
        let in_default = column.default.as_ref().map(|(_, name, _)| name.clone());
        let in_foreign = table
            .foreign
            .iter()
            .find(|foreign| foreign.columns.contains(&column.id))
            .map(|foreign| foreign.name.clone());
        if let Some(dependent) = in_index.or(in_default).or(in_foreign) {
            return Err(SqlError::new(5074, format!("The object '{dependent}' is dependent on column '{name}'.")));
        }
        if table.columns.len() == 1 {
            return Err(SqlError::new(
                4923,
                format!(
                    "ALTER TABLE DROP COLUMN failed because '{name}' is the only data column in table '{}'. A table must have at least one data column.",
                    table.name
                ),
            ));
        }
        // SQLite keeps the column, under a place that no column will have again.
        table.columns.retain(|own| own.id != column.id);
        Ok(())
    }

    fn drop_constraint(
        &mut self,
        environment: &Environment,
        table: &mut Table,
        name: &str,
        if_exists: bool,
    ) -> Result<()> {
        if let Some(index) =
            table.indexes.iter().find(|index| index.constraint.is_some() && same(&index.name, name)).cloned()
        {
            if !table.is_temporary() {
                self.shared.cdc.check_ddl_of(table.id, DdlKind::Key, &index.name)?;
            }
            let referenced = environment.catalog.tables.values().any(|other| {
                other.foreign.iter().any(|foreign| {
                    foreign.table == table.id
                        && foreign.references.iter().all(|id| index.columns.iter().any(|(own, _)| own == id))
                })
            });
            if referenced {
                return Err(SqlError::new(
                    3725,
                    format!(
                        "The constraint '{name}' is being referenced by table '{}', foreign key constraint.",
                        table.name
                    ),
                ));
            }
            stored(store::drop_index(&self.connection, table, &index))?;
            table.indexes.retain(|own| own.id != index.id);
            return Ok(());
        }
        let before = table.checks.len() + table.foreign.len();
        table.checks.retain(|check| !same(&check.name, name));
        table.foreign.retain(|foreign| !same(&foreign.name, name));
        let mut found = before != table.checks.len() + table.foreign.len();
        for column in &mut table.columns {
            if column.default.as_ref().is_some_and(|(_, own, _)| same(own, name)) {
                column.default = None;
                found = true;
            }
        }
        if found || if_exists {
            return Ok(());
        }
        Err(SqlError::new(3728, format!("'{name}' is not a constraint.")))
    }

    fn alter_column(&mut self, table: &mut Table, spec: &ColumnSpec) -> Result<()> {
        let at = table.columns.iter().position(|column| same(&column.name, &spec.name)).ok_or_else(|| {
            SqlError::new(
                4924,
                format!(
                    "ALTER TABLE ALTER COLUMN failed because column '{}' does not exist in table '{}'.",
                    spec.name, table.name
                ),
            )
        })?;
        let old = table.columns[at].clone();
        let ty = spec.sql_type.unwrap_or(old.ty);
        if !table.is_temporary() {
            self.shared.cdc.check_ddl_of(table.id, DdlKind::AlterColumn, &old.name)?;
        }
        if old.computed.is_some() || old.ty == SqlType::RowVersion {
            return Err(SqlError::new(4928, format!("Cannot alter column '{}' because it is 'COMPUTED'.", old.name)));
        }
        let dependent: Vec<_> =
            table.indexes.iter().filter(|index| index.columns.iter().any(|(id, _)| *id == old.id)).cloned().collect();
        let widened = types::name(old.ty) == types::name(ty)
            && types::length(ty).is_none_or(|new| types::length(old.ty).is_some_and(|old| new >= old));
        if let Some(index) = dependent.first().filter(|_| !widened) {
            return Err(SqlError::new(
                5074,
                format!("The index '{}' is dependent on column '{}'.", index.name, old.name),
            ));
        }
        let name = match &spec.collation {
            Some(name) => Some(
                collation::find(name)
                    .ok_or_else(|| SqlError::new(448, format!("Invalid collation '{name}'.")))?
                    .to_owned(),
            ),
            None => old.collation.clone().or_else(|| Some(collation::DEFAULT.to_owned())),
        };
        let mut new = old.clone();
        table.last_slot += 1;
        new.slot = table.last_slot;
        new.ty = ty;
        new.nullable = spec.nullable.unwrap_or(true);
        new.collation = if types::is_text(ty) { name } else { None };
        stored(self.connection.execute_batch(&format!(
            "ALTER TABLE {} ADD COLUMN {}{}",
            table.stored(),
            store::column_name(&new),
            store::collate(&new)
        )))?;
        self.convert_column(table, &old, &new)?;
        for index in &dependent {
            stored(store::drop_index(&self.connection, table, index))?;
        }
        table.columns[at] = new;
        for index in &dependent {
            self.build_index(table, index)?;
        }
        Ok(())
    }

    fn convert_column(
        &mut self,
        table: &Table,
        old: &super::super::catalog::Column,
        new: &super::super::catalog::Column,
    ) -> Result<()> {
        let cells: Vec<(i64, Value)> = {
            let mut statement = stored(self.connection.prepare(&format!(
                "SELECT rid, {} FROM {}",
                store::column_name(old),
                table.stored()
            )))?;
            let rows =
                stored(statement.query_map([], |row| Ok((row.get(0)?, storage::decode(row.get_ref(1)?, old.ty)))))?;
            stored(rows.collect())?
        };
        let sql = format!("UPDATE {} SET {} = ? WHERE rid = ?", table.stored(), store::column_name(new));
        let mut statement = stored(self.connection.prepare(&sql))?;
        for (rid, value) in cells {
            if matches!(value, Value::Null) && !new.nullable {
                return Err(SqlError::new(515, format!("Cannot insert the value NULL into column '{}', table '{}.{}'; column does not allow nulls. UPDATE fails.", new.name, self.shared.database, table.full_name())).state(2));
            }
            let value = fit(&value, old.ty, new, table, &self.shared.database)?;
            stored(statement.execute((storage::encode(&value), rid)))?;
        }
        Ok(())
    }
}
