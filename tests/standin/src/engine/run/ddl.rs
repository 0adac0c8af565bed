//! CREATE and DROP of tables and indexes; TRUNCATE.

use std::sync::Arc;

use super::super::catalog::{self, Catalog, Index, Table, same};
use super::super::environment::Environment;
use super::super::error::{Result, cannot_drop, from_sqlite, invalid_object};
use super::super::script::{CreateIndex, CreateTable, Kind, Name, Statement};
use super::super::session::SqlSession;
use super::super::values::datetime;
use super::define::{key_columns, next_index};
use super::store;
use crate::cdc::DdlKind;
use crate::session::Sink;
use crate::table::Ddl;
use crate::value::SqlError;

fn stored<T>(result: rusqlite::Result<T>) -> Result<T> {
    result.map_err(|error| from_sqlite(&error))
}

/// Now, in ticks.
pub fn ticks() -> i64 {
    let now = datetime::now();
    i64::from(now.day) * datetime::DAY + now.ticks
}

fn no_table(name: &[String]) -> SqlError {
    SqlError::new(
        1088,
        format!(
            "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
            name.join(".")
        ),
    )
    .state(12)
}

impl SqlSession {
    /// A statement that defines something.
    pub fn define(&mut self, statement: &Statement, sink: &mut dyn Sink) -> Result<()> {
        match &statement.kind {
            Kind::CreateTable(table) => self.create_table(table, &statement.text),
            Kind::DropTable { names, if_exists } => {
                names.iter().try_for_each(|name| self.drop_table(name, *if_exists, &statement.text))
            }
            Kind::AlterTable(alter) => self.alter_table(alter, &statement.text),
            Kind::Truncate(name) => self.truncate(name),
            Kind::CreateIndex(index) => self.create_index(index),
            Kind::DropIndex { index, table, if_exists } => self.drop_index(index, table, *if_exists),
            Kind::CreatePartitionFunction(function) => self.create_partition_function(function),
            Kind::CreatePartitionScheme { name, function, all, groups } => {
                self.create_partition_scheme(name, function, *all, groups)
            }
            Kind::DropPartition { scheme, name } => self.drop_partition(*scheme, name),
            Kind::CreateSchema(name) => self.create_schema(name),
            Kind::DropSchema { name, if_exists } => self.drop_schema(name, *if_exists),
            Kind::CreateDatabase(name) => self.create_database(name),
            Kind::AlterDatabase { name, options } => self.alter_database(name.as_deref(), options),
            Kind::Security(security) => self.security(security),
            Kind::CheckIdentity { table, reseed } => self.check_identity(table, *reseed, sink),
            _ => Err(super::super::error::syntax(statement.text.split_whitespace().next().unwrap_or_default())),
        }
    }

    /// Changes the catalogue: `run` has a copy to change, which is saved with the rest of the statement.
    pub fn change_catalog<T>(
        &mut self,
        local: bool,
        run: impl FnOnce(&mut Self, &Arc<Environment>, &mut Catalog) -> Result<T>,
    ) -> Result<T> {
        let environment = self.enter()?;
        if !local && !environment.in_user_database() {
            return Err(
                SqlError::new(262, format!("CREATE permission denied in database '{}'.", self.database)).severity(14)
            );
        }
        self.write(local, |session| {
            // Read again: the write lock may have been waited for.
            let environment = session.enter()?;
            let mut changed = (*environment.catalog).clone();
            let value = run(session, &environment, &mut changed)?;
            if !local {
                stored(catalog::save_state(&session.connection, &changed.state))?;
            }
            Ok(value)
        })
    }

    fn may_define(environment: &Environment) -> Result<()> {
        if environment.is_member_of("db_owner") || environment.is_member_of("db_ddladmin") {
            return Ok(());
        }
        Err(SqlError::new(262, format!("CREATE TABLE permission denied in database '{}'.", environment.database))
            .severity(14))
    }

    fn create_table(&mut self, spec: &CreateTable, text: &str) -> Result<()> {
        let local = spec.name.last().is_some_and(|name| name.starts_with('#'));
        self.change_catalog(local, |session, environment, changed| {
            let (schema, name) = session.place(environment, changed, &spec.name, local)?;
            let id = if local { session.shared.next_local_id() } else { changed.new_id() };
            let mut table = empty_table(id, schema, name);
            for column in &spec.columns {
                session.add_column(environment, changed, &mut table, column)?;
            }
            for constraint in &spec.constraints {
                session.add_constraint(environment, changed, &mut table, constraint, None)?;
            }
            if let Some(place) = &spec.partition {
                table.partition = Some(super::partition::placed(changed, &table, place)?);
            }
            session.keep_new(&table, text)
        })
    }

    /// DECLARE @t TABLE.
    pub fn create_table_variable(&mut self, name: &str, spec: &CreateTable) -> Result<()> {
        self.change_catalog(true, |session, environment, changed| {
            let mut table = empty_table(session.shared.next_local_id(), "dbo".to_owned(), name.to_owned());
            for column in &spec.columns {
                session.add_column(environment, changed, &mut table, column)?;
            }
            for constraint in &spec.constraints {
                session.add_constraint(environment, changed, &mut table, constraint, None)?;
            }
            session.keep_new(&table, "")
        })
    }

    /// Table variables end with their batch.
    pub fn drop_table_variables(&mut self) {
        let Ok(local) = catalog::load_local(&self.connection) else { return };
        for table in local.values().filter(|table| table.name.starts_with('@')) {
            // What is left over is dropped with the connection.
            let _ = self.connection.execute_batch(&format!("DROP TABLE IF EXISTS {}", table.stored()));
            let _ = catalog::remove_table(&self.connection, table);
        }
    }

    /// Stores a new table and notes it in the log.
    pub fn keep_new(&mut self, table: &Table, text: &str) -> Result<()> {
        stored(store::create(&self.connection, table))?;
        stored(catalog::save_table(&self.connection, table))?;
        if !table.is_temporary() {
            self.transaction.note_ddl(Ddl {
                object_id: table.id,
                command: text.to_owned(),
                after: Some(table.definition()),
            });
        }
        Ok(())
    }

    /// The schema and name of a new table; 2760 and 2714.
    pub fn place(
        &self,
        environment: &Environment,
        changed: &Catalog,
        name: &[String],
        local: bool,
    ) -> Result<(String, String)> {
        let (last, before) = name.split_last().ok_or_else(|| invalid_object(""))?;
        if !local {
            Self::may_define(environment)?;
        }
        let schema = before.last().map_or("dbo", String::as_str);
        if !local && before.len() > 1 && !same(&before[before.len() - 2], &self.shared.database) {
            return Err(SqlError::new(
                911,
                format!(
                    "Database '{}' does not exist. Make sure that the name is entered correctly.",
                    before[before.len() - 2]
                ),
            ));
        }
        let schema = match changed.schema(schema) {
            Some((_, schema)) if !same(schema, "sys") && !same(schema, "INFORMATION_SCHEMA") => schema.to_owned(),
            _ => {
                return Err(SqlError::new(
                    2760,
                    format!(
                        "The specified schema name \"{schema}\" either does not exist or you do not have permission to use it."
                    ),
                ));
            }
        };
        let full = [schema.clone(), last.clone()];
        if environment.find_table(if local { std::slice::from_ref(last) } else { &full }).is_some() {
            return Err(
                SqlError::new(2714, format!("There is already an object named '{last}' in the database.")).state(6)
            );
        }
        Ok((schema, last.clone()))
    }

    fn drop_table(&mut self, name: &Name, if_exists: bool, text: &str) -> Result<()> {
        let local = name.last().is_some_and(|name| name.starts_with('#'));
        let environment = self.enter()?;
        if environment.find_table(name).is_none() && if_exists {
            return Ok(());
        }
        if environment.find_table(name).is_none() {
            return Err(cannot_drop("table", &name.join(".")));
        }
        self.change_catalog(local, |session, environment, changed| {
            let table = environment.find_table(name).ok_or_else(|| cannot_drop("table", &name.join(".")))?;
            if !local {
                Self::may_define(environment)?;
                session.shared.cdc.check_ddl(table.id, DdlKind::DropTable)?;
            }
            let child = changed
                .tables
                .values()
                .find(|other| other.id != table.id && other.foreign.iter().any(|foreign| foreign.table == table.id));
            if child.is_some() {
                return Err(SqlError::new(
                    3726,
                    format!(
                        "Could not drop object '{}' because it is referenced by a FOREIGN KEY constraint.",
                        name.join(".")
                    ),
                ));
            }
            stored(session.connection.execute_batch(&format!("DROP TABLE {}", table.stored())))?;
            stored(catalog::remove_table(&session.connection, &table))?;
            if !local {
                session.transaction.note_ddl(Ddl { object_id: table.id, command: text.to_owned(), after: None });
            }
            Ok(())
        })
    }

    fn truncate(&mut self, name: &Name) -> Result<()> {
        let environment = self.enter()?;
        let table = environment.find_table(name).ok_or_else(|| {
            SqlError::new(
                4701,
                format!(
                    "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
                    name.join(".")
                ),
            )
        })?;
        if !environment.may("ALTER", &table) {
            return Err(no_table(name));
        }
        if !table.is_temporary() {
            self.shared.cdc.check_ddl(table.id, DdlKind::Truncate)?;
        }
        if environment
            .catalog
            .tables
            .values()
            .any(|other| other.id != table.id && other.foreign.iter().any(|foreign| foreign.table == table.id))
        {
            return Err(SqlError::new(
                4712,
                format!(
                    "Cannot truncate table '{}' because it is being referenced by a FOREIGN KEY constraint.",
                    name.join(".")
                ),
            ));
        }
        self.write(table.is_temporary(), |session| {
            stored(session.connection.execute_batch(&format!("DELETE FROM {}", table.stored())))
        })?;
        self.shared.set_identity(table.id, None);
        Ok(())
    }

    fn create_index(&mut self, spec: &CreateIndex) -> Result<()> {
        let local = spec.table.last().is_some_and(|name| name.starts_with('#'));
        self.change_catalog(local, |session, environment, _| {
            let found = environment.find_table(&spec.table).ok_or_else(|| no_table(&spec.table))?;
            let mut table = (*found).clone();
            if table.indexes.iter().any(|index| same(&index.name, &spec.name)) {
                return Err(SqlError::new(1913, format!("The operation failed because an index or statistics with name '{}' already exists on table '{}'.", spec.name, spec.table.join("."))));
            }
            let index = index_of(&table, spec)?;
            session.build_index(&table, &index)?;
            table.indexes.push(index);
            session.save_altered(&mut table, "", false)
        })
    }

    /// Makes an index over the rows there are; 1505 when they are not unique.
    pub fn build_index(&mut self, table: &Table, index: &Index) -> Result<()> {
        store::create_index(&self.connection, table, index).map_err(|error| match &error {
            rusqlite::Error::SqliteFailure(failure, _) if failure.code == rusqlite::ErrorCode::ConstraintViolation => SqlError::new(
                1505,
                format!("The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name '{}' and the index name '{}'.", table.full_name(), index.name),
            ),
            other => from_sqlite(other),
        })
    }

    /// Saves an altered table; `logged` when change data capture must hear of it.
    pub fn save_altered(&mut self, table: &mut Table, text: &str, logged: bool) -> Result<()> {
        table.modified = ticks();
        stored(catalog::save_table(&self.connection, table))?;
        if logged && !table.is_temporary() {
            self.transaction.note_ddl(Ddl {
                object_id: table.id,
                command: text.to_owned(),
                after: Some(table.definition()),
            });
        }
        Ok(())
    }

    fn drop_index(&mut self, name: &str, table_name: &Name, if_exists: bool) -> Result<()> {
        let local = table_name.last().is_some_and(|name| name.starts_with('#'));
        self.change_catalog(local, |session, environment, _| {
            let found = environment.find_table(table_name);
            let index = found.as_ref().and_then(|table| table.indexes.iter().find(|index| same(&index.name, name)).cloned());
            let (Some(found), Some(index)) = (found, index) else {
                return if if_exists { Ok(()) } else { Err(cannot_drop("index", &format!("{}.{name}", table_name.join(".")))) };
            };
            if index.constraint.is_some() {
                return Err(SqlError::new(3723, format!("An explicit DROP INDEX is not allowed on index '{}.{name}'. It is being used for PRIMARY KEY constraint enforcement.", table_name.join("."))));
            }
            session.shared.cdc.check_ddl_of(found.id, DdlKind::Key, &index.name)?;
            let mut table = (*found).clone();
            stored(store::drop_index(&session.connection, &table, &index))?;
            table.indexes.retain(|own| own.id != index.id);
            session.save_altered(&mut table, "", false)
        })
    }
}

/// A table without columns.
pub fn empty_table(id: i32, schema: String, name: String) -> Table {
    let now = ticks();
    Table {
        id,
        schema,
        name,
        columns: Vec::new(),
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign: Vec::new(),
        last_column: 0,
        last_slot: 0,
        created: now,
        modified: now,
        partition: None,
    }
}

/// The index that a declaration makes.
pub fn index_of(table: &Table, spec: &CreateIndex) -> Result<Index> {
    let known = |name: &String| {
        let unknown =
            || SqlError::new(1911, format!("Column name '{name}' does not exist in the target table or view."));
        table.column(name).map(|column| column.id).ok_or_else(unknown)
    };
    let holding = spec.holding.as_ref().map(known).transpose()?;
    let included = spec.included.iter().map(known).collect::<Result<Vec<_>>>()?;
    if spec.clustered
        && let Some(other) = table.indexes.iter().find(|index| index.clustered)
    {
        return Err(SqlError::new(
            1902,
            format!(
                "Cannot create more than one clustered index on table '{}'. Drop the existing clustered index '{}' before creating another.",
                table.full_name(),
                other.name
            ),
        ));
    }
    Ok(Index {
        id: next_index(table, spec.clustered),
        name: spec.name.clone(),
        unique: spec.unique,
        primary: false,
        constraint: None,
        clustered: spec.clustered,
        columns: key_columns(table, &spec.columns)?,
        included,
        holding,
    })
}
