//! `sp_rename` and DBCC CHECKIDENT.

use super::super::catalog::same;
use super::super::error::{Result, from_sqlite};
use super::super::session::SqlSession;
use crate::session::Sink;
use crate::value::SqlError;

fn stored<T>(result: rusqlite::Result<T>) -> Result<T> {
    result.map_err(|error| from_sqlite(&error))
}

impl SqlSession {
    /// `sp_rename`.
    pub fn rename(&mut self, object: &str, new: &str, kind: &str) -> Result<()> {
        let parts = super::super::functions::meta::split_name(object);
        let failed = || {
            SqlError::new(15225, format!("No item by the name of '{object}' could be found in the current database '{}', given that @itemtype was input as '(null)'.", self.shared.database)).severity(11)
        };
        let failed = failed();
        self.change_catalog(false, |session, environment, _| {
            if kind.eq_ignore_ascii_case("COLUMN") {
                let (column, table_name) = parts.split_last().ok_or_else(|| failed.clone())?;
                let found = environment.find_table(table_name).ok_or_else(|| failed.clone())?;
                let mut table = (*found).clone();
                let at = table.columns.iter().position(|own| same(&own.name, column)).ok_or_else(|| SqlError::new(15248, "Either the parameter @objname is ambiguous or the claimed @objtype (COLUMN) is wrong.").severity(11))?;
                session.shared.cdc.check_rename(table.id, table.columns[at].id, &table.columns[at].name)?;
                if table.column(new).is_some() {
                    return Err(SqlError::new(15335, format!("Error: The new name '{new}' is already in use as a COLUMN name and would cause a duplicate that is not permitted.")).severity(11));
                }
                new.clone_into(&mut table.columns[at].name);
                return session.save_altered(&mut table, "", true);
            }
            if kind.eq_ignore_ascii_case("INDEX") {
                let (index, table_name) = parts.split_last().ok_or_else(|| failed.clone())?;
                let found = environment.find_table(table_name).ok_or_else(|| failed.clone())?;
                let mut table = (*found).clone();
                let at = table.indexes.iter().position(|own| same(&own.name, index)).ok_or_else(|| failed.clone())?;
                new.clone_into(&mut table.indexes[at].name);
                return session.save_altered(&mut table, "", false);
            }
            let found = environment.find_table(&parts).ok_or_else(|| failed.clone())?;
            if environment.find_table(&[found.schema.clone(), new.to_owned()]).is_some() {
                return Err(SqlError::new(15335, format!("Error: The new name '{new}' is already in use as a OBJECT name and would cause a duplicate that is not permitted.")).severity(11));
            }
            let mut table = (*found).clone();
            new.clone_into(&mut table.name);
            session.save_altered(&mut table, "", true)
        })
    }

    /// DBCC CHECKIDENT.
    pub fn check_identity(&mut self, name: &str, reseed: Option<i64>, sink: &mut dyn Sink) -> Result<()> {
        let environment = self.enter()?;
        let table = environment.find_table(&super::super::functions::meta::split_name(name)).ok_or_else(|| {
            SqlError::new(
                2501,
                format!("Cannot find a table or object with the name \"{name}\". Check the system catalog."),
            )
            .state(45)
        })?;
        let Some((_, increment)) = table.columns.iter().find_map(|column| column.identity) else {
            return Err(SqlError::new(7997, format!("'{name}' does not contain an identity column.")));
        };
        let current = self.shared.last_identity(table.id).map_or("NULL".to_owned(), |value| value.to_string());
        if let Some(value) = reseed {
            let rows =
                stored(stored(self.connection.prepare(&format!("SELECT 1 FROM {}", table.stored())))?.exists([]))?;
            // Into a table that never had rows, the next value is the one given.
            let never = self.shared.last_identity(table.id).is_none() && !rows;
            self.shared.set_identity(table.id, Some(if never { value - increment } else { value }));
        }
        sink.message(
            &SqlError::new(7998, format!("Checking identity information: current identity value '{current}'."))
                .severity(0),
        );
        Ok(())
    }
}
