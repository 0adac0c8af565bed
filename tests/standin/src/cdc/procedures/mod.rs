//! The procedures `sys.sp_cdc_…`, a file each or for each family.

mod disable_table;
mod enable_table;
mod help;
mod jobs;

use std::sync::Arc;

use crate::session::Param;
use crate::value::{SqlError, SqlType, Value};

use super::arguments::{Arguments, optional, required};
use super::jobs::Shared;
use super::{Caller, Outcome, cleanup, rights};

/// What a procedure works on.
pub struct Call<'a> {
    /// The state and its jobs.
    pub shared: &'a Arc<Shared>,
    /// The session that calls.
    pub caller: &'a dyn Caller,
}

/// Runs the procedure of that name; `None` if there is none.
pub fn run(call: &Call<'_>, name: &str, args: &[Param]) -> Option<Result<Outcome, SqlError>> {
    let name = name.to_ascii_lowercase();
    let outcome = match name.as_str() {
        "sp_cdc_enable_db" => enable_db(call, args),
        "sp_cdc_disable_db" => disable_db(call, args),
        "sp_cdc_enable_table" => enable_table::run(call, args),
        "sp_cdc_disable_table" => disable_table::run(call, args),
        "sp_cdc_help_change_data_capture" => help::change_data_capture(call, args),
        "sp_cdc_get_ddl_history" => help::ddl_history(call, args),
        "sp_cdc_get_captured_columns" => help::captured_columns(call, args),
        "sp_cdc_help_jobs" => jobs::help(call, args),
        "sp_cdc_add_job" => jobs::add(call, args),
        "sp_cdc_change_job" => jobs::change(call, args),
        "sp_cdc_drop_job" => jobs::drop(call, args),
        "sp_cdc_start_job" => jobs::start(call, args),
        "sp_cdc_stop_job" => jobs::stop(call, args),
        "sp_cdc_scan" => jobs::scan(call, args),
        "sp_cdc_cleanup_change_table" => cleanup_change_table(call, args),
        _ => return None,
    };
    // An error tells the procedure in which it was raised.
    Some(outcome.map_err(|error| error.procedure(name)))
}

/// A message of severity 10 or below.
fn message(number: i32, severity: u8, text: impl Into<String>) -> SqlError {
    SqlError::new(number, text).severity(severity)
}

fn enable_db(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    Arguments::bind("sp_cdc_enable_db", &[], args)?;
    let database = call.caller.database();
    rights::require_sysadmin(call.caller)?;
    if ["master", "model", "msdb", "tempdb"].iter().any(|system| system.eq_ignore_ascii_case(&database)) {
        let text = format!(
            "Could not enable Change Data Capture for database '{database}'. Change data capture is not supported on \
             system databases, or on a distribution database."
        );
        return Err(SqlError::new(22989, text));
    }
    let taken = call.caller.schema_exists("cdc");
    let mut state = call.shared.state.lock();
    if state.enabled {
        let text = format!(
            "Database '{database}' is already enabled for Change Data Capture. Ensure that the correct database \
             context is set, and retry the operation. To report on the databases enabled for Change Data Capture, \
             query the is_cdc_enabled column in the sys.databases catalog view."
        );
        return Ok(Outcome { messages: vec![message(22905, 10, text)], ..Outcome::default() });
    }
    if taken {
        let text = format!(
            "The database '{database}' cannot be enabled for Change Data Capture because a database user named 'cdc' \
             or a schema named 'cdc' already exists in the current database. These objects are required exclusively \
             by Change Data Capture. Drop or rename the user or schema and retry the operation."
        );
        return Err(SqlError::new(22906, text));
    }
    state.enabled = true;
    Ok(Outcome::default())
}

fn disable_db(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    Arguments::bind("sp_cdc_disable_db", &[], args)?;
    rights::require_sysadmin(call.caller)?;
    let database = call.caller.database();
    let mut state = call.shared.state.lock();
    state.require_enabled(&database)?;
    state.disable();
    call.shared.bell.notify_all();
    Ok(Outcome::default())
}

fn cleanup_change_table(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    let args = Arguments::bind(
        "sp_cdc_cleanup_change_table",
        const {
            &[
                required("@capture_instance"),
                required("@low_water_mark"),
                optional("@threshold"),
                optional("@fCleanupFailed"),
            ]
        },
        args,
    )?;
    let name = args.filled_text("@capture_instance")?;
    let watermark = args.lsn("@low_water_mark")?;
    let threshold = args.int("@threshold")?.unwrap_or(5000);
    let database = call.caller.database();
    let owner = rights::require_owner(call.caller);
    let mut state = call.shared.state.lock();
    state.require_enabled(&database)?;
    owner?;
    if threshold <= 0 {
        return Err(jobs::bad_threshold());
    }
    let Some(index) = state.instances.iter().position(|instance| instance.is_named(&name)) else {
        let text = format!("The named capture instance {name} does not exist for database {database}.");
        return Err(SqlError::new(22920, text));
    };
    let failure = cleanup::change_table(&mut state, index, watermark)?;
    let mut outcome = Outcome::default();
    if let Some(told) = failure.map(|failure| failure.message(&database)) {
        if told.severity > 10 {
            return Err(told);
        }
        outcome.messages.push(told);
        outcome.status = 1;
    }
    if let Some(failed) = args.param("@fCleanupFailed").filter(|param| param.output) {
        let name = if failed.name.is_empty() { "@fCleanupFailed" } else { &failed.name };
        outcome.outputs.push((name.to_owned(), SqlType::Bit, Value::Bit(failure.is_some())));
    }
    Ok(outcome)
}
