//! Who may look at what the server tells of itself.

use super::View;
use crate::engine::catalog::{Table, same};
use crate::engine::environment::Environment;
use crate::value::SqlError;

/// Refuses a view that the login may not look at.
///
/// # Errors
/// The server's error.
pub fn check(environment: &Environment, view: &View) -> Result<(), SqlError> {
    let outside = &environment.catalog.state.outside;
    let is_me = |login: &String| same(login, &environment.login);
    match outside.flavour.as_str() {
        "azure" if view.schema == "dbo" && view.name != "sysobjects" => {
            let text = format!(
                "Reference to database and/or server name in 'msdb.dbo.{}' is not supported in this version of SQL Server.",
                view.name
            );
            return Err(SqlError::new(40515, text).severity(15));
        }
        "azure" if view.name == "dm_server_services" => {
            return Err(SqlError::new(208, "Invalid object name 'sys.dm_server_services'."));
        }
        _ => {}
    }
    if environment.sysadmin {
        return Ok(());
    }
    if view.schema == "dbo" && view.name != "sysobjects" {
        let granted = outside.msdb_grants.iter().any(|(table, user)| same(table, view.name) && is_me(user));
        return if granted {
            Ok(())
        } else {
            let name = view.name;
            let text =
                format!("The SELECT permission was denied on the object '{name}', database 'msdb', schema 'dbo'.");
            Err(SqlError::new(229, text).severity(14).state(5))
        };
    }
    let sees_server = outside.server_state.iter().any(is_me);
    match view.name {
        "dm_server_services" if !sees_server => {
            let text = "VIEW SERVER STATE permission was denied on object 'server', database 'master'.";
            Err(SqlError::new(300, text).severity(14))
        }
        "dm_cdc_log_scan_sessions" | "dm_cdc_errors"
            if !sees_server
                && !environment.is_member_of("db_owner")
                && !environment.granted("VIEW DATABASE STATE", &[0])
                && !environment.granted("VIEW DATABASE PERFORMANCE STATE", &[0]) =>
        {
            let text = format!("VIEW DATABASE STATE permission denied in database '{}'.", environment.shared.database);
            Err(SqlError::new(262, text).severity(14))
        }
        _ => Ok(()),
    }
}

/// Refuses to read what a login would see otherwise than it is: masks and filters are not shown here.
///
/// # Errors
/// 50000.
pub fn check_table(environment: &Environment, table: &Table) -> Result<(), SqlError> {
    let masked = table.columns.iter().any(|column| column.masked);
    if masked && !environment.is_member_of("db_owner") && !environment.may("UNMASK", table) {
        let text = format!("{} has masked columns, which this login would read as masks", table.full_name());
        return Err(SqlError::new(50_000, text));
    }
    let filtered = environment.catalog.state.policies.iter().any(|policy| policy.enabled && policy.table == table.id);
    if filtered {
        return Err(SqlError::new(50_000, format!("{} is filtered by a security policy", table.full_name())));
    }
    Ok(())
}
