//! Users and rights in `msdb`, of which this server has a few tables to read.

use super::super::catalog::{MsdbUser, same};
use super::super::error::{Result, syntax};
use super::super::script::Security;
use super::super::session::SqlSession;
use super::permission::{no_principal, taken};
use crate::value::SqlError;

impl SqlSession {
    /// A statement about users and rights, run in `msdb`.
    pub fn msdb_security(&mut self, statement: &Security) -> Result<()> {
        let home = std::mem::replace(&mut self.database, self.shared.database.clone());
        let first_login = self.shared.user.clone();
        let result = self.change_catalog(false, |_, environment, changed| {
            if !environment.sysadmin {
                return Err(SqlError::new(15247, "User does not have permission to perform this action."));
            }
            let jobs_table = environment.shared.cdc.has_jobs_table();
            let known = |login: &str| {
                same(login, &first_login) || environment.catalog.state.logins.iter().any(|own| same(&own.name, login))
            };
            run(&mut changed.state.msdb, statement, jobs_table, known)
        });
        self.database = home;
        result
    }
}

fn run(users: &mut Vec<MsdbUser>, statement: &Security, jobs_table: bool, known: impl Fn(&str) -> bool) -> Result<()> {
    let find = |users: &[MsdbUser], name: &str| users.iter().position(|user| same(&user.name, name));
    match statement {
        Security::CreateUser { name, login } => {
            let login = login.as_ref().unwrap_or(name);
            if find(users, name).is_some() {
                return Err(taken(name));
            }
            if !known(login) {
                let text = format!("'{login}' is not a valid login or you do not have permission.");
                return Err(SqlError::new(15007, text));
            }
            users.push(MsdbUser { name: name.clone(), login: login.clone(), reads: Vec::new() });
        }
        Security::DropUser { name, if_exists } => match find(users, name) {
            Some(at) => drop(users.remove(at)),
            None if *if_exists => {}
            None => return Err(no_principal("user", name, "drop")),
        },
        Security::Permission { verb, permissions, on: Some((class, object)), columns, principals }
            if class == "OBJECT" && columns.is_empty() =>
        {
            let table = object.last().map_or("", String::as_str);
            let known = ["restorehistory", "sysjobs", "sysjobactivity", "syssessions"];
            if !(known.iter().any(|known| same(table, known)) || same(table, "cdc_jobs") && jobs_table) {
                return Err(no_principal("object", &object.join("."), "find"));
            }
            if permissions.iter().any(|right| right != "SELECT") {
                return Err(syntax(permissions.join(", ")));
            }
            for principal in principals {
                let at = find(users, principal).ok_or_else(|| no_principal("user", principal, "find"))?;
                users[at].reads.retain(|own| !same(own, table));
                if verb == "GRANT" {
                    users[at].reads.push(table.to_lowercase());
                }
            }
        }
        _ => return Err(SqlError::new(262, "permission denied in database 'msdb'.").severity(14)),
    }
    Ok(())
}
