//! Logins, users, roles and rights.

use super::super::catalog::{Catalog, Grant, Login, Principal, same};
use super::super::error::{Result, invalid_column};
use super::super::script::Security;
use super::super::session::SqlSession;
use crate::value::SqlError;

/// 15151.
pub fn no_principal(kind: &str, name: &str, verb: &str) -> SqlError {
    SqlError::new(
        15151,
        format!("Cannot {verb} the {kind} '{name}', because it does not exist or you do not have permission."),
    )
}

/// 15023.
pub fn taken(name: &str) -> SqlError {
    SqlError::new(15023, format!("User, group, or role '{name}' already exists in the current database."))
}

fn new_principal(changed: &Catalog, name: &str, role: bool, login: Option<String>) -> Principal {
    let id = changed
        .state
        .principals
        .iter()
        .map(|principal| principal.id)
        .filter(|id| *id < 16_384)
        .max()
        .unwrap_or(4)
        .max(4)
        + 1;
    Principal { id, name: name.to_owned(), role, login, member_of: Vec::new(), created: super::ddl::ticks() }
}

impl SqlSession {
    /// A statement about logins, users, roles or rights.
    pub fn security(&mut self, statement: &Security) -> Result<()> {
        if let Some(done) = self.outside(statement) {
            return done;
        }
        let server = matches!(
            statement,
            Security::CreateLogin { .. }
                | Security::AlterLogin { .. }
                | Security::DropLogin(_)
                | Security::Member { server: true, .. }
        );
        if !server && same(&self.database, "msdb") {
            return self.msdb_security(statement);
        }
        let home = self.database.clone();
        if server {
            // Logins belong to the server, whichever database the session is in.
            self.database.clone_from(&self.shared.database);
        }
        let result = self.change_catalog(false, |session, environment, changed| {
            let allowed = if server {
                environment.sysadmin
            } else {
                environment.is_member_of("db_owner") || environment.is_member_of("db_securityadmin")
            };
            if !allowed {
                return Err(SqlError::new(15247, "User does not have permission to perform this action."));
            }
            match statement {
                Security::Permission { verb, permissions, on, columns, principals } => {
                    let asked = Asked { verb, permissions, on: on.as_ref(), columns };
                    permission(environment, changed, &asked, principals)
                }
                Security::Member { server, role, member, add } => membership(changed, *server, role, member, *add),
                _ => principal(&session.shared.user, changed, statement),
            }
        });
        self.database = home;
        result
    }

    /// Makes the roles that a procedure asked for.
    pub fn make_roles(&mut self, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        self.change_catalog(false, |_, _, changed| {
            for name in names {
                if changed.principal(name).is_none() {
                    let role = new_principal(changed, name, true, None);
                    changed.state.principals.push(role);
                }
            }
            Ok(())
        })
    }
}

fn principal(first_login: &str, changed: &mut Catalog, statement: &Security) -> Result<()> {
    match statement {
        Security::CreateLogin { name, password } => {
            if same(name, first_login) || changed.state.logins.iter().any(|login| same(&login.name, name)) {
                return Err(SqlError::new(15025, format!("The server principal '{name}' already exists.")));
            }
            changed.state.logins.push(Login { name: name.clone(), password: password.clone(), roles: Vec::new() });
        }
        Security::AlterLogin { name, password } => {
            let login = changed
                .state
                .logins
                .iter_mut()
                .find(|login| same(&login.name, name))
                .ok_or_else(|| no_principal("login", name, "alter"))?;
            if let Some(password) = password {
                login.password.clone_from(password);
            }
        }
        Security::DropLogin(name) => {
            let before = changed.state.logins.len();
            changed.state.logins.retain(|login| !same(&login.name, name));
            if before == changed.state.logins.len() {
                return Err(no_principal("login", name, "drop"));
            }
        }
        Security::CreateUser { name, login } => {
            if changed.principal(name).is_some() {
                return Err(taken(name));
            }
            let login = login.clone().unwrap_or_else(|| name.clone());
            if !same(&login, first_login) && !changed.state.logins.iter().any(|known| same(&known.name, &login)) {
                return Err(SqlError::new(
                    15007,
                    format!("'{login}' is not a valid login or you do not have permission."),
                ));
            }
            let user = new_principal(changed, name, false, Some(login));
            changed.state.principals.push(user);
        }
        Security::CreateRole(name) => {
            if changed.principal(name).is_some() {
                return Err(taken(name));
            }
            let role = new_principal(changed, name, true, None);
            changed.state.principals.push(role);
        }
        Security::DropUser { name, if_exists } | Security::DropRole { name, if_exists } => {
            let kind = if matches!(statement, Security::DropUser { .. }) { "user" } else { "role" };
            if changed.principal(name).is_none() {
                return if *if_exists { Ok(()) } else { Err(no_principal(kind, name, "drop")) };
            }
            if kind == "role"
                && changed.state.principals.iter().any(|other| other.member_of.iter().any(|role| same(role, name)))
            {
                return Err(SqlError::new(15144, "The role has members. It must be empty before it can be dropped."));
            }
            changed.state.principals.retain(|own| !same(&own.name, name));
            changed.state.grants.retain(|grant| !same(&grant.principal, name));
        }
        Security::Member { .. }
        | Security::Permission { .. }
        | Security::Authorization { .. }
        | Security::Policy { .. } => {}
    }
    Ok(())
}

fn membership(changed: &mut Catalog, server: bool, role: &str, member: &str, add: bool) -> Result<()> {
    if server {
        let login = changed
            .state
            .logins
            .iter_mut()
            .find(|login| same(&login.name, member))
            .ok_or_else(|| no_principal("login", member, "add"))?;
        login.roles.retain(|own| !same(own, role));
        if add {
            login.roles.push(role.to_owned());
        }
        return Ok(());
    }
    let role = changed
        .principal(role)
        .filter(|principal| principal.role)
        .map(|principal| principal.name.clone())
        .ok_or_else(|| no_principal("role", role, "alter"))?;
    let own = changed
        .state
        .principals
        .iter_mut()
        .find(|principal| same(&principal.name, member))
        .ok_or_else(|| no_principal("user", member, "add"))?;
    own.member_of.retain(|own| !same(own, &role));
    if add {
        own.member_of.push(role);
    }
    Ok(())
}

/// The table of schema `cdc` that a name means.
fn in_cdc(environment: &super::super::environment::Environment, name: &[String]) -> Option<String> {
    let [schema, table] = name else { return None };
    let known = environment.shared.cdc.relations();
    known.into_iter().find(|known| same(schema, "cdc") && same(known, table))
}

/// What is granted, denied or revoked.
struct Asked<'a> {
    verb: &'a str,
    permissions: &'a [String],
    on: Option<&'a (String, Vec<String>)>,
    columns: &'a [String],
}

fn permission(
    environment: &super::super::environment::Environment,
    changed: &mut Catalog,
    asked: &Asked<'_>,
    principals: &[String],
) -> Result<()> {
    const KNOWN: &[&str] = &[
        "SELECT",
        "INSERT",
        "UPDATE",
        "DELETE",
        "ALTER",
        "CONTROL",
        "REFERENCES",
        "EXECUTE",
        "CONNECT",
        "CREATE TABLE",
        "CREATE SCHEMA",
        "VIEW DEFINITION",
        "VIEW DATABASE STATE",
        "VIEW DATABASE PERFORMANCE STATE",
        "VIEW SERVER STATE",
        "UNMASK",
        "ALTER ANY SECURITY POLICY",
        "ALTER ANY SCHEMA",
        "ALTER ANY USER",
        "ALTER ANY ROLE",
    ];
    let securable = match asked.on {
        None => 0,
        Some((class, name)) if class == "SCHEMA" => {
            let name = name.last().map_or("", String::as_str);
            let known = environment.catalog.schema(name).map(|(id, _)| -id);
            let cdc = (same(name, "cdc") && environment.shared.cdc.enabled())
                .then_some(super::super::environment::CDC_SCHEMA);
            known.or(cdc).ok_or_else(|| no_principal("schema", name, "find"))?
        }
        Some((class, _)) if class == "DATABASE" => 0,
        Some((_, name)) if in_cdc(environment, name).is_some() => super::super::environment::CDC_SCHEMA,
        Some((_, name)) => {
            let table = environment.find_table(name);
            let table = table.ok_or_else(|| no_principal("object", &name.join("."), "find"))?;
            if let Some(unknown) = asked.columns.iter().find(|column| table.column(column).is_none()) {
                return Err(invalid_column(unknown));
            }
            table.id
        }
    };
    // Without parts the right is on all of it, once.
    let parts: Vec<_> = match (asked.columns, asked.on.and_then(|(_, name)| in_cdc(environment, name))) {
        ([], table) => vec![table],
        (columns, _) => columns.iter().map(|column| Some(column.clone())).collect(),
    };
    for principal in principals {
        let name = changed
            .principal(principal)
            .map(|principal| principal.name.clone())
            .ok_or_else(|| no_principal("user", principal, "find"))?;
        for permission in asked.permissions {
            let permission = if permission == "ALL" { "CONTROL" } else { permission.as_str() };
            if !KNOWN.contains(&permission) {
                return Err(super::super::error::syntax(permission));
            }
            for part in &parts {
                // What is said of the whole goes over what was said of its parts.
                let is_said = |grant: &Grant| {
                    part.as_ref().is_none_or(|part| grant.part.as_ref().is_some_and(|own| same(own, part)))
                };
                changed.state.grants.retain(|grant| {
                    let is_its = grant.on == securable && grant.permission == permission;
                    !(is_its && same(&grant.principal, &name) && is_said(grant))
                });
                if asked.verb != "REVOKE" {
                    changed.state.grants.push(Grant {
                        deny: asked.verb == "DENY",
                        permission: permission.to_owned(),
                        on: securable,
                        principal: name.clone(),
                        part: part.clone(),
                    });
                }
            }
        }
    }
    Ok(())
}
