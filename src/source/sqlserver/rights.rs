//! Rights that a login may lack, each as the statement that grants it. The files in `rights/` have them together.

use super::client::number;
use super::sql::name;
use crate::error::Error;
use crate::table::TableName;

/// To read the history of changes.
pub fn history(login: &str) -> String {
    format!("GRANT SELECT ON SCHEMA::cdc TO {}", name(login))
}

/// To see and read a table.
pub fn table(login: &str, table: &TableName) -> String {
    format!("GRANT SELECT ON {}.{} TO {}", name(&table.schema), name(&table.name), name(login))
}

/// To enable, disable and purge.
pub fn owner(login: &str) -> String {
    format!("ALTER ROLE db_owner ADD MEMBER {}", name(login))
}

/// To see the tables that a pattern of `source.include` names, if it names one schema or table.
pub fn pattern(login: &str, pattern: &str) -> Option<String> {
    let (schema, table_name) = pattern.split_once('.').filter(|(schema, _)| !schema.contains('*'))?;
    if table_name.contains('*') {
        return Some(format!("GRANT SELECT ON SCHEMA::{} TO {}", name(schema), name(login)));
    }
    Some(table(login, &TableName::new(schema, table_name)))
}

/// What lets a login do what was refused with that number, where nothing else is known of it.
pub fn refused(number: u32, login: &str) -> String {
    let statement = match number {
        916 => format!("CREATE USER {0} FOR LOGIN {0}", name(login)),
        15247 | 22904 => owner(login),
        229 | 230 => format!("{}, or SELECT on what the message names", history(login)),
        _ => return format!("Grant the login {} the right that the message names", name(login)),
    };
    format!("Let whoever may grant it: {statement}")
}

/// The same error with the statement that grants what a SELECT was refused.
pub fn granted_by(error: Error, statement: impl FnOnce() -> String) -> Error {
    match number(&error) {
        Some(229 | 230) => error.advice(format!("Let whoever may grant it: {}", statement())),
        _ => error,
    }
}

/// The same error with the way out where purging was refused.
pub fn purging(error: Error, login: &str) -> Error {
    match number(&error) {
        Some(229 | 15247 | 22904) => error.advice(format!(
            "Let whoever may grant it: {}; or give such a login in [source.admin]; or set sync.purge = \"never\" and leave it to the server's cleanup job",
            owner(login)
        )),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_one_schema_or_table_has_its_statement() {
        let schema = "GRANT SELECT ON SCHEMA::[Sales] TO [read]]er]";
        assert_eq!(pattern("read]er", "Sales.*").as_deref(), Some(schema));
        assert_eq!(pattern("read]er", "Sales.Ord*").as_deref(), Some(schema));
        assert_eq!(pattern("r", "Sales.Orders").as_deref(), Some("GRANT SELECT ON [Sales].[Orders] TO [r]"));
        assert_eq!(pattern("r", "*.Orders"), None);
        assert_eq!(pattern("r", "*"), None);
    }
}
