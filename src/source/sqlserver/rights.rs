//! Rights that a login may lack, each as the statement that grants it. The files in `rights/` have them together.

use super::client::{Client, Who};
use super::sql::{self, literal, name};
use crate::error::Error;
use crate::table::{Named, Pattern, TableName};

/// To read the history of changes.
pub fn history(user: &str) -> String {
    format!("GRANT SELECT ON SCHEMA::cdc TO {}", name(user))
}

/// To see and read a table.
pub fn table(user: &str, table: &TableName) -> String {
    format!("GRANT SELECT ON {} TO {}", sql::table(table), name(user))
}

/// To read columns of a table.
pub fn columns(user: &str, table: &TableName, columns: &[&str]) -> String {
    let columns: Vec<_> = columns.iter().map(|column| name(column)).collect();
    format!("GRANT SELECT ON {} ({}) TO {}", sql::table(table), columns.join(", "), name(user))
}

/// To read the changes of an instance.
pub fn changes(user: &str, instance: &str) -> String {
    format!("GRANT SELECT ON {} TO {}", sql::change_table(instance), name(user))
}

/// To enable, disable and purge.
pub fn owner(user: &str) -> String {
    format!("ALTER ROLE db_owner ADD MEMBER {}", name(user))
}

/// To do what the members of a role may.
pub fn member(user: &str, role: &str) -> String {
    format!("ALTER ROLE {} ADD MEMBER {}", name(role), name(user))
}

/// A right on the database.
pub fn database(user: &str, right: &str) -> String {
    format!("GRANT {right} TO {}", name(user))
}

/// To come into the database.
pub fn user(login: &str) -> String {
    format!("CREATE USER {0} FOR LOGIN {0}", name(login))
}

/// To see whether the Agent runs.
pub fn server_state(login: &str) -> String {
    format!("USE master; GRANT VIEW SERVER STATE TO {}", name(login))
}

/// To read the jobs in msdb.
pub fn jobs(login: &str) -> String {
    let grants: Vec<_> = ["cdc_jobs", "sysjobs", "sysjobactivity", "syssessions"]
        .iter()
        .map(|table| format!("GRANT SELECT ON dbo.{table} TO {}", name(login)))
        .collect();
    format!("USE msdb; IF DATABASE_PRINCIPAL_ID({}) IS NULL {}; {}", literal(login), user(login), grants.join("; "))
}

/// To see the tables that a pattern of `source.include` names, if it names one schema or table.
pub fn pattern(user: &str, pattern: &Pattern) -> Option<String> {
    Some(match pattern.named()? {
        Named::Schema(schema) => format!("GRANT SELECT ON SCHEMA::{} TO {}", name(&schema), name(user)),
        Named::Table(named) => table(user, &named),
    })
}

/// What lets somebody do what was refused with that number, where nothing else is known of it.
pub fn refused(number: u32, who: &Who) -> String {
    let statement = match number {
        // Names are not known of whoever was not let in.
        _ if who.user.is_empty() => return "Grant the login the right that the message names".to_owned(),
        916 => user(&who.login),
        15247 | 22904 => owner(&who.user),
        229 | 230 => format!("{}, or SELECT on what the message names", history(&who.user)),
        _ => return format!("Grant the user {} the right that the message names", name(&who.user)),
    };
    format!("Let whoever may grant it: {statement}")
}

/// What reading rows failed of, with the statement that grants it where a right lacked.
pub async fn reading(client: &mut Client, error: Error, grant: impl FnOnce(&str) -> String) -> Error {
    match error.number() {
        Some(229 | 230) => error.advice(format!("Let whoever may grant it: {}", grant(&client.who().await.user))),
        _ => error,
    }
}

/// The same error with the way out where purging was refused.
pub fn purging(error: Error, user: &str) -> Error {
    match error.number() {
        Some(229 | 15247 | 22904) => error.advice(format!(
            "Let whoever may grant it: {}; or give such a login in [source.admin]; or set sync.purge = \"never\" and leave it to the server's cleanup job",
            owner(user)
        )),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_one_schema_or_table_has_its_statement() {
        let granted = |user: &str, text: &str| pattern(user, &text.parse().unwrap());
        let schema = "GRANT SELECT ON SCHEMA::[Sales] TO [read]]er]";
        assert_eq!(granted("read]er", "Sales.*").as_deref(), Some(schema));
        assert_eq!(granted("read]er", "Sales.Ord*").as_deref(), Some(schema));
        assert_eq!(granted("r", "Sales.Orders").as_deref(), Some("GRANT SELECT ON [Sales].[Orders] TO [r]"));
        assert_eq!(granted("r", "[a.b].[c]]*]").as_deref(), Some("GRANT SELECT ON [a.b].[c]]*] TO [r]"));
        assert_eq!(granted("r", "*.Orders"), None);
    }
}
