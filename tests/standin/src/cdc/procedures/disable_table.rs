//! `sys.sp_cdc_disable_table`: an instance, or all of a table, goes with its change table and functions.

use crate::session::Param;
use crate::value::SqlError;

use super::super::Outcome;
use super::super::arguments::{Arguments, required};
use super::super::instance::same_name;
use super::super::rights;
use super::Call;
use super::enable_table::no_table;

/// Runs the procedure.
pub fn run(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    let args = Arguments::bind(
        "sp_cdc_disable_table",
        const { &[required("@source_schema"), required("@source_name"), required("@capture_instance")] },
        args,
    )?;
    let database = call.caller.database();
    call.shared.state.lock().require_enabled(&database)?;
    rights::require_owner(call.caller)?;
    let schema = args.filled_text("@source_schema")?;
    let source = args.filled_text("@source_name")?;
    let name = args.filled_text("@capture_instance")?;
    let table = call.caller.table(&schema, &source).ok_or_else(|| no_table(&schema, &source))?;
    let mut state = call.shared.state.lock();
    if state.instances_of(table.object_id).next().is_none() {
        let text = format!(
            "Change data capture has not been enabled for source table '{schema}.{source}'. Specify the name of a \
             table enabled for Change Data Capture. To report on the tables enabled for Change Data Capture, query the \
             is_tracked_by_cdc column in the sys.tables catalog view."
        );
        return Err(SqlError::new(22985, text));
    }
    let all = same_name(&name, "all");
    let before = state.instances.len();
    state
        .instances
        .retain(|instance| instance.source_object_id != table.object_id || !(all || instance.is_named(&name)));
    if state.instances.len() == before {
        let text = format!(
            "Change data capture instance '{name}' has not been enabled for the source table '{schema}.{source}'. Use \
             sys.sp_cdc_help_change_data_capture to verify the capture instance name and retry the operation."
        );
        return Err(SqlError::new(22960, text));
    }
    Ok(Outcome::default())
}
