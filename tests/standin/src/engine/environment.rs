//! What a statement sees of its session and server.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::catalog::{Catalog, MsdbUser, Table, same};
use super::server::Shared;
use super::values::datetime::Moment;
use crate::cdc::Caller;
use crate::table::TableDef;
use crate::value::{SqlError, Value};

/// Schema `cdc` as a securable: it is CDC's own, and in no catalogue.
pub const CDC_SCHEMA: i32 = -16_000;

/// What a statement sees of its session and server, fixed when it begins.
pub struct Environment {
    /// Catalogue.
    pub catalog: Arc<Catalog>,
    /// Temporary tables and table variables of the session.
    pub local: BTreeMap<i32, Arc<Table>>,
    /// The server.
    pub shared: Arc<Shared>,
    /// Current database.
    pub database: String,
    /// Login name.
    pub login: String,
    /// Database user.
    pub user: String,
    /// Whether the login is in sysadmin.
    pub sysadmin: bool,
    /// Client program.
    pub app_name: String,
    /// Client host.
    pub host_name: String,
    /// `@@SPID`.
    pub spid: u16,
    /// The moment the statement began.
    pub now: Moment,
    /// `@@ROWCOUNT`.
    pub row_count: i64,
    /// `@@TRANCOUNT`.
    pub transactions: i64,
    /// `XACT_STATE()`.
    pub xact_state: i64,
    /// `@@ERROR`.
    pub error: i32,
    /// The error that CATCH handles.
    pub caught: Option<SqlError>,
    /// `SCOPE_IDENTITY()`.
    pub identity: Value,
    /// `@@LOCK_TIMEOUT`.
    pub lock_timeout: i64,
    /// Isolation level, 1 to 5.
    pub isolation: u8,
    /// SET options that are on.
    pub options: Vec<String>,
    /// `@@TEXTSIZE`.
    pub text_size: i64,
    /// Roles that a procedure asks for.
    pub wanted_roles: parking_lot::Mutex<Vec<String>>,
}

impl Environment {
    /// Whether the session is in the user database.
    pub fn in_user_database(&self) -> bool {
        same(&self.database, &self.shared.database)
    }

    /// The table of that name, as `[[db.]schema.]table`.
    pub fn find_table(&self, parts: &[String]) -> Option<Arc<Table>> {
        let name = parts.last()?;
        // A variable has no schema, but a table in one may be called like it.
        if name.starts_with('#') || (name.starts_with('@') && parts.len() == 1) {
            return self.local.values().find(|table| same(&table.name, name)).cloned();
        }
        let database = parts.len().checked_sub(3).map_or(self.database.as_str(), |at| parts[at].as_str());
        if !same(database, &self.shared.database) {
            return None;
        }
        let schema = parts
            .len()
            .checked_sub(2)
            .map_or("dbo", |at| if parts[at].is_empty() { "dbo" } else { parts[at].as_str() });
        self.catalog.table(schema, name).cloned()
    }

    /// Whether the login may do something to an object.
    pub fn may(&self, permission: &str, table: &Table) -> bool {
        if self.is_member("db_owner") || table.is_temporary() {
            return true;
        }
        if (permission == "SELECT" && self.is_member("db_datareader"))
            || (matches!(permission, "INSERT" | "UPDATE" | "DELETE") && self.is_member("db_datawriter"))
            || (permission == "ALTER" && self.is_member("db_ddladmin"))
        {
            return true;
        }
        let schema = self.catalog.schema(&table.schema).map_or(0, |(id, _)| -id);
        self.granted(permission, &[table.id, schema, 0])
    }

    /// Whether the login has a right on a column of a table.
    pub fn may_on_column(&self, permission: &str, table: &Table, column: &str) -> bool {
        self.may(permission, table) || self.granted_on_part(permission, table.id, column)
    }

    /// Whether a right is granted on a part of something.
    fn granted_on_part(&self, permission: &str, on: i32, part: &str) -> bool {
        self.catalog.state.grants.iter().any(|grant| {
            grant.on == on
                && grant.permission == permission
                && grant.part.as_ref().is_some_and(|own| same(own, part))
                && (same(&grant.principal, &self.user)
                    || same(&grant.principal, "public")
                    || self.is_member(&grant.principal))
        })
    }

    /// Whether a right is granted, and not denied, on one of some securables.
    pub fn granted(&self, permission: &str, on: &[i32]) -> bool {
        let mut allowed = false;
        for grant in &self.catalog.state.grants {
            let matches = grant.part.is_none()
                && on.contains(&grant.on)
                && (grant.permission == permission || grant.permission == "CONTROL")
                && (same(&grant.principal, &self.user)
                    || same(&grant.principal, "public")
                    || self.is_member(&grant.principal));
            if matches && grant.deny {
                return false;
            }
            allowed |= matches;
        }
        allowed
    }
}

impl Caller for Environment {
    fn table(&self, schema: &str, name: &str) -> Option<TableDef> {
        self.catalog.table(schema, name).map(|table| table.definition())
    }

    fn table_by_id(&self, object_id: i32) -> Option<TableDef> {
        self.catalog.tables.get(&object_id).map(|table| table.definition())
    }

    fn database(&self) -> String {
        self.database.clone()
    }

    fn is_member(&self, role: &str) -> bool {
        if same(role, "public") {
            return true;
        }
        if self.sysadmin {
            return same(role, "sysadmin") || same(role, "db_owner");
        }
        let mut open = vec![self.user.clone()];
        let mut seen = Vec::new();
        while let Some(name) = open.pop() {
            let Some(principal) = self.catalog.principal(&name) else { continue };
            for parent in &principal.member_of {
                if same(parent, role) {
                    return true;
                }
                if !seen.contains(parent) {
                    seen.push(parent.clone());
                    open.push(parent.clone());
                }
            }
        }
        false
    }

    fn schema_exists(&self, name: &str) -> bool {
        self.catalog.schema(name).is_some()
    }

    fn can_select(&self, object_id: i32) -> bool {
        self.catalog
            .tables
            .get(&object_id)
            .is_some_and(|table| table.columns.iter().all(|column| self.may_on_column("SELECT", table, &column.name)))
    }

    fn create_role(&self, name: &str) {
        if self.catalog.principal(name).is_none() {
            self.wanted_roles.lock().push(name.to_owned());
        }
    }
}

impl Environment {
    /// Whether the login is in a role.
    pub fn is_member_of(&self, role: &str) -> bool {
        Caller::is_member(self, role)
    }

    /// Whether the login may read schema `cdc`.
    pub fn may_read_cdc(&self) -> bool {
        self.is_member_of("db_owner") || self.is_member_of("db_datareader") || self.granted("SELECT", &[CDC_SCHEMA, 0])
    }

    /// Whether the login may read one table of schema `cdc`.
    pub fn may_read_of_cdc(&self, table: &str) -> bool {
        self.may_read_cdc() || self.granted_on_part("SELECT", CDC_SCHEMA, table)
    }

    /// Whether the login sees a table in the catalogue: it does with any right on it.
    pub fn sees(&self, table: &Table) -> bool {
        ["SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "REFERENCES", "VIEW DEFINITION"]
            .iter()
            .any(|right| self.may(right, table))
            || table.columns.iter().any(|column| self.may_on_column("SELECT", table, &column.name))
    }

    /// The user of `msdb` that the login has there.
    pub fn msdb_user(&self) -> Option<&MsdbUser> {
        self.catalog.state.msdb.iter().find(|user| same(&user.login, &self.login))
    }

    /// Whether the login may read a table of `msdb`.
    pub fn may_read_msdb(&self, table: &str) -> bool {
        self.sysadmin || self.msdb_user().is_some_and(|user| user.reads.iter().any(|own| same(own, table)))
    }
}
