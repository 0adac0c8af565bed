//! Schemas and databases.

use super::super::catalog::same;
use super::super::error::{Result, cannot_drop};
use super::super::session::SqlSession;
use crate::value::SqlError;

impl SqlSession {
    /// CREATE SCHEMA.
    pub fn create_schema(&mut self, name: &str) -> Result<()> {
        self.change_catalog(false, |_, environment, changed| {
            let taken = changed.schema(name).is_some() || (same(name, "cdc") && environment.shared.cdc.enabled());
            if taken {
                return Err(
                    SqlError::new(2714, format!("There is already an object named '{name}' in the database.")).state(6)
                );
            }
            let id = changed.state.schemas.iter().map(|(id, _)| *id).max().unwrap_or(4).max(4) + 1;
            changed.state.schemas.push((id, name.to_owned()));
            Ok(())
        })
    }

    /// DROP SCHEMA.
    pub fn drop_schema(&mut self, name: &str, if_exists: bool) -> Result<()> {
        self.change_catalog(false, |_, environment, changed| {
            let Some((id, _)) = changed.schema(name) else {
                return if if_exists { Ok(()) } else { Err(SqlError { number: 15151, ..cannot_drop("schema", name) }) };
            };
            if let Some(table) = environment.catalog.tables.values().find(|table| same(&table.schema, name)) {
                return Err(SqlError::new(
                    3729,
                    format!("Cannot drop schema '{name}' because it is being referenced by object '{}'.", table.name),
                ));
            }
            if id <= 4 {
                return Err(SqlError::new(15150, format!("Cannot drop the schema '{name}'.")));
            }
            changed.state.schemas.retain(|(own, _)| *own != id);
            Ok(())
        })
    }

    /// CREATE DATABASE: this server has one, and says so.
    pub fn create_database(&mut self, name: &str) -> Result<()> {
        let known = ["master", "tempdb", "model", "msdb", self.shared.database.as_str()];
        if known.iter().any(|known| same(known, name)) {
            return Err(SqlError::new(
                1801,
                format!("Database '{name}' already exists. Choose a different database name."),
            )
            .state(3));
        }
        Err(SqlError::new(262, "CREATE DATABASE permission denied in database 'master'.").severity(14))
    }

    /// ALTER DATABASE … SET.
    pub fn alter_database(&mut self, name: Option<&str>, options: &[(String, String)]) -> Result<()> {
        let name = name.unwrap_or(&self.database).to_owned();
        if !same(&name, &self.shared.database) {
            return Err(SqlError::new(5011, format!("User does not have permission to alter database '{name}', the database does not exist, or the database is not in a state that allows access checks.")).severity(14).state(5));
        }
        if self.transaction.count > 0 {
            return Err(SqlError::new(226, "ALTER DATABASE statement not allowed within multi-statement transaction."));
        }
        let home = std::mem::replace(&mut self.database, name);
        let result = self.change_catalog(false, |_, environment, changed| {
            if !environment.is_member_of("db_owner") {
                return Err(SqlError::new(5011, format!("User does not have permission to alter database '{}', the database does not exist, or the database is not in a state that allows access checks.", environment.database)).severity(14).state(5));
            }
            for (option, value) in options {
                match (option.as_str(), value.as_str()) {
                    ("ALLOW_SNAPSHOT_ISOLATION", "ON" | "OFF") => changed.state.snapshot = value == "ON",
                    ("READ_COMMITTED_SNAPSHOT", "ON" | "OFF") => changed.state.read_committed_snapshot = value == "ON",
                    ("RECOVERY", "FULL" | "SIMPLE" | "BULK_LOGGED") => changed.state.recovery.clone_from(value),
                    ("COMPATIBILITY_LEVEL", level) if ["100", "110", "120", "130", "140", "150", "160"].contains(&level) => {}
                    ("AUTO_CLOSE" | "AUTO_SHRINK" | "AUTO_CREATE_STATISTICS" | "AUTO_UPDATE_STATISTICS" | "QUOTED_IDENTIFIER" | "ANSI_NULLS" | "TRUSTWORTHY", "ON" | "OFF")
                    | ("MULTI_USER" | "READ_WRITE" | "ONLINE" | "ENABLE_BROKER" | "DISABLE_BROKER", "") => {}
                    (other, _) => return Err(super::super::error::syntax(other)),
                }
            }
            Ok(())
        });
        self.database = home;
        result
    }
}
