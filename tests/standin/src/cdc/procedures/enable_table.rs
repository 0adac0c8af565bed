//! `sys.sp_cdc_enable_table`: a new capture instance.

use crate::session::Param;
use crate::table::{IndexDef, TableDef};
use crate::value::SqlError;

use super::super::arguments::{Arguments, optional, required};
use super::super::instance::{CapturedColumn, Instance, same_name};
use super::super::jobs::{Jobs, start_capture};
use super::super::numbered::Numbered;
use super::super::rights;
use super::super::state::State;
use super::super::{Outcome, column_list};
use super::{Call, message};

/// Columns that a change table has room for beside its own six.
const MOST_COLUMNS: usize = 1018;

/// What was asked for, checked as far as the table alone allows.
struct Request {
    table: TableDef,
    name: String,
    role: Option<String>,
    index: Option<IndexDef>,
    net_changes: bool,
    columns: Vec<CapturedColumn>,
    key: Vec<usize>,
    filegroup: Option<String>,
    partition_switch: bool,
    warning: Option<SqlError>,
}

/// Runs the procedure.
pub fn run(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    let args = Arguments::bind(
        "sp_cdc_enable_table",
        const {
            &[
                required("@source_schema"),
                required("@source_name"),
                optional("@capture_instance"),
                optional("@supports_net_changes"),
                required("@role_name"),
                optional("@index_name"),
                optional("@captured_column_list"),
                optional("@filegroup_name"),
                optional("@allow_partition_switch"),
            ]
        },
        args,
    )?;
    let database = call.caller.database();
    call.shared.state.lock().require_enabled(&database)?;
    rights::require_owner(call.caller)?;
    let request = request(call, &args, &database)?;
    refuse_clash(&call.shared.state.lock(), &request)?;
    if let Some(role) = &request.role {
        call.caller.create_role(role);
    }
    let mut state = call.shared.state.lock();
    // Somebody may have been faster while the caller made the role.
    state.require_enabled(&database)?;
    refuse_clash(&state, &request)?;
    let mut outcome = Outcome { messages: request.warning.clone().into_iter().collect(), ..Outcome::default() };
    add(&mut state, request);
    // The first table brings both jobs, unless somebody made them before.
    let mut made = false;
    if state.jobs.capture.is_none() {
        state.jobs.capture = Some(state.jobs.default_capture());
        made = true;
    }
    if made && start_capture(call.shared, &mut state) {
        outcome.messages.push(message(14243, 0, format!("Job 'cdc.{database}_capture' started successfully.")));
    }
    if state.jobs.cleanup.is_none() && made {
        state.jobs.made = true;
        state.jobs.cleanup = Some(Jobs::default_cleanup());
        outcome.messages.push(message(14243, 0, format!("Job 'cdc.{database}_cleanup' started successfully.")));
    }
    Ok(outcome)
}

fn request(call: &Call<'_>, args: &Arguments<'_>, database: &str) -> Result<Request, SqlError> {
    let schema = args.filled_text("@source_schema")?;
    let source = args.filled_text("@source_name")?;
    if same_name(&schema, "cdc") {
        return Err(SqlError::new(
            22974,
            "Tables contained in the cdc schema cannot be enabled for Change Data Capture.",
        ));
    }
    let table = call.caller.table(&schema, &source).ok_or_else(|| no_table(&schema, &source))?;
    let role = args.text("@role_name")?;
    if role.as_deref() == Some("") {
        return Err(SqlError::new(
            22907,
            "Parameter @role_name cannot be empty. Specify a value for @role_name and retry the operation. Supply null \
             as the value if no role is to be used to gate access to captured change data.",
        ));
    }
    let name = args.text("@capture_instance")?.unwrap_or_else(|| format!("{}_{}", table.schema, table.name));
    check_name(&name)?;
    let index = index(args.text("@index_name")?, &table)?;
    let net_changes = args.bit("@supports_net_changes")?.unwrap_or(index.is_some());
    check_net_changes(net_changes, index.as_ref(), &table)?;
    let columns = columns(args.text("@captured_column_list")?, &table)?;
    if columns.len() > MOST_COLUMNS {
        return Err(SqlError::new(
            22925,
            format!(
                "The number of columns captured by capture instance '{name}' exceeds the maximum allowed number: \
                 {MOST_COLUMNS}. Use the @captured_columns_list parameter to specify a subset of the columns less than \
                 or equal to the maximum allowed and resubmit the request."
            ),
        ));
    }
    let key = key(index.as_ref(), &columns)?;
    let filegroup = args.text("@filegroup_name")?.filter(|name| !name.is_empty());
    if let Some(filegroup) = filegroup.as_deref().filter(|name| !name.eq_ignore_ascii_case("PRIMARY")) {
        let text = format!(
            "The specified filegroup '{filegroup}' is not a valid filegroup for database '{database}'. Specify a valid \
             existing filegroup or create the named filegroup, and retry the operation."
        );
        return Err(SqlError::new(22973, text));
    }
    // On a table without partitions the setting is ignored.
    let wanted = args.bit("@allow_partition_switch")?.unwrap_or(true);
    let partition_switch = wanted || !table.partitioned;
    let warning = switch_warning(&table, wanted);
    Ok(Request { table, name, role, index, net_changes, columns, key, filegroup, partition_switch, warning })
}

/// What the server says of `@allow_partition_switch`.
fn switch_warning(table: &TableDef, wanted: bool) -> Option<SqlError> {
    let name = format!("{}.{}", table.schema, table.name);
    match (table.partitioned, wanted) {
        (false, true) => None,
        (false, false) => Some(message(
            22857,
            10,
            format!(
                "Warning: The @allow_partition_switch parameter is set to 0, but the table '{name}' is not partitioned. \
                 The setting is ignored."
            ),
        )),
        (true, false) => Some(message(
            22356,
            10,
            format!("Warning: Partition switch operations on the source table '{name}' will be disallowed."),
        )),
        (true, true) => Some(message(
            22855,
            10,
            format!(
                "Warning: The @allow_partition_switch parameter is set to 1. Change data capture will not track changes \
                 to the table '{name}' that come from a partition switch."
            ),
        )),
    }
}

/// The error for a source table that is not there.
pub fn no_table(schema: &str, name: &str) -> SqlError {
    SqlError::new(
        22931,
        format!(
            "Source table '{schema}.{name}' does not exist in the current database. Ensure that the correct database \
             context is set. Specify a valid schema and table name for the database."
        ),
    )
}

fn check_name(name: &str) -> Result<(), SqlError> {
    if name.is_empty() {
        return Err(SqlError::new(
            22932,
            "Capture instance name '' is invalid. Specify a valid name. See the topic 'Identifiers' in SQL Server \
             Books Online for object name rules.",
        ));
    }
    if name.encode_utf16().count() > 100 {
        let text = format!(
            "Capture instance name '{name}' exceeds the length limit of 100 characters. Specify a name that satisfies \
             the length constraint."
        );
        return Err(SqlError::new(22927, text));
    }
    Ok(())
}

/// The index named, else the primary key.
fn index(name: Option<String>, table: &TableDef) -> Result<Option<IndexDef>, SqlError> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(table.primary_key().cloned()) };
    let Some(index) = table.indexes.iter().find(|index| same_name(&index.name, &name)) else {
        let text = format!(
            "Index name '{name}' is not an index for table '{}.{}'. Specify a valid index name for the table.",
            table.schema, table.name
        );
        return Err(SqlError::new(22928, text));
    };
    if !index.unique {
        let text = format!(
            "Index '{name}' must be either a primary key or a unique index for table '{}.{}'. Specify an index that \
             meets at least one of these requirements.",
            table.schema, table.name
        );
        return Err(SqlError::new(22929, text));
    }
    let nullable = |id: &i32| table.columns.iter().any(|column| column.column_id == *id && column.nullable);
    if index.columns.iter().any(nullable) {
        let text = format!(
            "All columns of a CDC unique index must be defined as NOT NULL. Index '{name}' selected as the CDC unique \
             index for source table '{}.{}' does not meet this requirement. Define all columns of the selected index \
             as NOT NULL or select another unique index as the CDC index and resubmit the request.",
            table.schema, table.name
        );
        return Err(SqlError::new(22838, text));
    }
    Ok(Some(index.clone()))
}

fn check_net_changes(wanted: bool, index: Option<&IndexDef>, table: &TableDef) -> Result<(), SqlError> {
    match index {
        None if wanted => Err(SqlError::new(
            22939,
            "The parameter @supports_net_changes is set to 1, but the source table does not have a primary key defined \
             and no alternate unique index has been specified.",
        )),
        Some(index) if wanted && index.columns.len() > 14 => Err(SqlError::new(
            22865,
            format!(
                "The number of columns in the index '{}', used as the unique row identifier to support net changes for \
                 table '{}'.'{}', exceeds the limit of 14 columns. Set the parameter @supports_net_changes to 0 or use \
                 the @index_name parameter to identify a unique index with fewer than 15 columns as the unique row \
                 identifier and resubmit the request.",
                index.name, table.schema, table.name
            ),
        )),
        _ => Ok(()),
    }
}

/// The columns to capture, in the table's order whatever the list's.
fn columns(list: Option<String>, table: &TableDef) -> Result<Vec<CapturedColumn>, SqlError> {
    let wanted = list.filter(|list| !list.trim().is_empty()).map(|list| column_list::parse(&list)).transpose()?;
    if let Some(wanted) = &wanted {
        let known = |name: &String| table.columns.iter().any(|column| same_name(&column.name, name));
        if !wanted.iter().all(known) {
            let text = format!(
                "Columns specified in the captured column list could not be mapped to columns in source table \
                 '{}.{}'. Verify that the columns specified in the parameter @captured_column_list are delimited \
                 properly and match columns in the source table.",
                table.schema, table.name
            );
            return Err(SqlError::new(22942, text));
        }
    }
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|list| list.iter().any(|one| same_name(one, name)));
    let columns: Vec<CapturedColumn> = table
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| is_wanted(&column.name))
        .map(|(position, column)| CapturedColumn::of(column, position))
        .collect();
    let reserved = ["__$start_lsn", "__$end_lsn", "__$seqval", "__$operation", "__$update_mask", "__$command_id"];
    if columns.iter().any(|column| reserved.iter().any(|name| same_name(&column.name, name))) {
        let text = format!(
            "Source table '{}' contains one of the following reserved column names: __$start_lsn, __$end_lsn, \
             __$seqval, __$operation, and __$update_mask. To enable Change Data Capture for this table, specify a \
             captured column list and ensure that these columns are excluded from the list.",
            table.name
        );
        return Err(SqlError::new(22975, text));
    }
    Ok(columns)
}

fn key(index: Option<&IndexDef>, columns: &[CapturedColumn]) -> Result<Vec<usize>, SqlError> {
    let Some(index) = index else { return Ok(Vec::new()) };
    let ordinal = |id: &i32| columns.iter().position(|column| column.column_id == *id);
    index.columns.iter().map(ordinal).collect::<Option<Vec<_>>>().ok_or_else(|| {
        SqlError::new(
            22943,
            "Columns used to uniquely identify a row for net change tracking must be included in the list of captured \
             columns. Add either the primary key columns of the source table, or the columns defined for the index \
             specified in the parameter @index_name to the list of captured columns and retry the operation.",
        )
    })
}

fn refuse_clash(state: &State, request: &Request) -> Result<(), SqlError> {
    if state.instances_of(request.table.object_id).count() >= 2 {
        let text = format!(
            "Two capture instances already exist for source table '{}.{}'. A table can have at most two capture \
             instances. If the current tracking options are not appropriate, disable change tracking for the obsolete \
             instance by using sys.sp_cdc_disable_table and retry the operation.",
            request.table.schema, request.table.name
        );
        return Err(SqlError::new(22962, text));
    }
    if state.instance(&request.name).is_some() {
        let text = format!(
            "Could not create a capture instance because the capture instance name '{}' already exists in the current \
             database. Specify an explicit unique name for the parameter @capture_instance.",
            request.name
        );
        return Err(SqlError::new(22926, text));
    }
    Ok(())
}

fn add(state: &mut State, request: Request) {
    let created = state.clock.now();
    let object_id = state.next_object_id();
    let start_lsn = state.log.append_marker(created);
    state.instances.push(Instance {
        object_id,
        source_object_id: request.table.object_id,
        source_schema: request.table.schema,
        source_name: request.table.name,
        name: request.name,
        start_lsn,
        created_lsn: start_lsn,
        net_changes: request.net_changes,
        role: request.role,
        index_name: request.index.map(|index| index.name),
        filegroup: request.filegroup,
        created,
        partition_switch: request.partition_switch,
        columns: request.columns,
        key: request.key,
        ddl: Vec::new(),
        changes: Numbered::new(),
    });
}
