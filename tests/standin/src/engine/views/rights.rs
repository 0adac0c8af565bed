//! Views that not everybody may read.

use super::View;
use crate::engine::catalog::{Table, same};
use crate::engine::environment::Environment;
use crate::engine::error::{Result, invalid_object};
use crate::value::SqlError;

/// 229.
pub fn refused(permission: &str, name: &str, database: &str, schema: &str) -> SqlError {
    let text = format!(
        "The {permission} permission was denied on the object '{name}', database '{database}', schema '{schema}'."
    );
    SqlError::new(229, text).severity(14).state(5)
}

/// 229, for SELECT.
pub fn denied(name: &str, database: &str, schema: &str) -> SqlError {
    refused("SELECT", name, database, schema)
}

/// Refuses a view to whoever may not read it.
///
/// # Errors
/// 229 in `msdb`, 297 for what tells the state of a database, 300 for that of the server.
pub fn check(environment: &Environment, view: &View) -> Result<()> {
    let outside = &environment.catalog.state.outside;
    match outside.flavour.as_str() {
        "azure" if view.schema == "dbo" && view.name != "sysobjects" => {
            let text = format!(
                "Reference to database and/or server name in 'msdb.dbo.{}' is not supported in this version of SQL Server.",
                view.name
            );
            return Err(SqlError::new(40515, text).severity(15));
        }
        "azure" if view.name == "dm_server_services" => return Err(invalid_object("sys.dm_server_services")),
        _ => {}
    }
    let sees_server = environment.sysadmin
        || environment.granted("VIEW SERVER STATE", &[0])
        || outside.server_state.iter().any(|login| same(login, &environment.login));
    let granted = |rights: &[&str]| {
        environment.is_member_of("db_owner") || rights.iter().any(|right| environment.granted(right, &[0]))
    };
    match view.name {
        "cdc_jobs" if view.schema == "dbo" && !environment.shared.cdc.has_jobs_table() => {
            Err(invalid_object("msdb.dbo.cdc_jobs"))
        }
        "cdc_jobs" | "restorehistory" | "sysjobs" | "sysjobactivity" | "syssessions"
            if view.schema == "dbo" && !environment.may_read_msdb(view.name) =>
        {
            Err(denied(view.name, "msdb", view.schema))
        }
        "dm_cdc_log_scan_sessions" | "dm_cdc_errors" | "dm_db_partition_stats"
            if !sees_server && !granted(&["VIEW DATABASE STATE", "VIEW DATABASE PERFORMANCE STATE"]) =>
        {
            Err(SqlError::new(297, "The user does not have permission to perform this action."))
        }
        "dm_exec_connections" | "dm_server_services" | "dm_hadr_database_replica_states" | "dm_os_sys_info"
            if !sees_server =>
        {
            let text = "VIEW SERVER STATE permission was denied on object 'server', database 'master'.";
            Err(SqlError::new(300, text).severity(14))
        }
        _ => Ok(()),
    }
}

/// Refuses to read what a login would see otherwise than it is: masks and filters are not shown here.
///
/// # Errors
/// 50000.
pub fn check_table(environment: &Environment, table: &Table) -> Result<()> {
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
