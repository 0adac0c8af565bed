//! What instances there are, what they capture, and what DDL they saw.

use crate::session::Param;
use crate::value::{Column, SqlError, SqlType, Value};

use super::super::arguments::{Arguments, optional, required};
use super::super::instance::{CapturedColumn, Instance, column, same_name};
use super::super::relations::{COLLATION, name_column, text};
use super::super::rights::Gate;
use super::super::{Outcome, Rows, clock, column_list};
use super::Call;

fn denied() -> SqlError {
    SqlError::new(22981, "Object does not exist or access is denied.")
}

impl Instance {
    /// What decides who may read it.
    pub fn gate(&self) -> Gate {
        Gate { role: self.role.clone(), source_object_id: self.source_object_id }
    }
}

fn answer(columns: Vec<Column>, rows: Vec<Vec<Value>>) -> Outcome {
    Outcome { results: vec![Rows { columns, rows }], ..Outcome::default() }
}

fn long_text(name: &str) -> Column {
    Column { collation: Some(COLLATION), ..column(name, SqlType::NVarChar(None), true) }
}

/// `sys.sp_cdc_help_change_data_capture`
pub fn change_data_capture(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    let args = Arguments::bind(
        "sp_cdc_help_change_data_capture",
        const { &[optional("@source_schema"), optional("@source_name")] },
        args,
    )?;
    let database = call.caller.database();
    call.shared.state.lock().require_enabled(&database)?;
    let filled = |name| args.text(name).map(|text| text.filter(|text| !text.is_empty()));
    let table = match (filled("@source_schema")?, filled("@source_name")?) {
        (None, None) => None,
        (Some(schema), Some(name)) => Some(call.caller.table(&schema, &name).ok_or_else(denied)?),
        _ => {
            return Err(SqlError::new(
                22972,
                "When calling stored procedure [sys].sp_cdc_help_change_data capture, if either @source_schema or \
                 @source_name is non-null and non-empty, the other parameter must also be non-null and non-empty.",
            ));
        }
    };
    let rows: Vec<(Gate, Vec<Value>)> = {
        let state = call.shared.state.lock();
        let wanted =
            |instance: &&Instance| table.as_ref().is_none_or(|table| table.object_id == instance.source_object_id);
        state.instances.iter().filter(wanted).map(|instance| (instance.gate(), help_row(instance))).collect()
    };
    let rows = rows.into_iter().filter(|(gate, _)| gate.admits(call.caller)).map(|(_, row)| row).collect();
    Ok(answer(help_columns(), rows))
}

fn help_columns() -> Vec<Column> {
    vec![
        name_column("source_schema", false),
        name_column("source_table", false),
        name_column("capture_instance", false),
        column("object_id", SqlType::Int, false),
        column("source_object_id", SqlType::Int, false),
        column("start_lsn", SqlType::Binary(10), true),
        column("end_lsn", SqlType::Binary(10), true),
        column("supports_net_changes", SqlType::Bit, true),
        column("has_drop_pending", SqlType::Bit, true),
        name_column("role_name", true),
        name_column("index_name", true),
        name_column("filegroup_name", true),
        column("create_date", SqlType::DateTime, true),
        long_text("index_column_list"),
        long_text("captured_column_list"),
    ]
}

fn help_row(instance: &Instance) -> Vec<Value> {
    let key = instance.key.iter().map(|&ordinal| instance.columns[ordinal].name.as_str());
    let key = (!instance.key.is_empty()).then(|| column_list::print(key));
    let captured = column_list::print(instance.columns.iter().map(|column| column.name.as_str()));
    vec![
        text(Some(&instance.source_schema)),
        text(Some(&instance.source_name)),
        text(Some(&instance.name)),
        Value::Int(instance.object_id.into()),
        Value::Int(instance.source_object_id.into()),
        Value::Bytes(instance.start_lsn.to_vec()),
        Value::Null,
        Value::Bit(instance.net_changes),
        Value::Null,
        text(instance.role.as_deref()),
        text(instance.index_name.as_deref()),
        text(instance.filegroup.as_deref()),
        clock::value(instance.created),
        text(key.as_deref()),
        Value::Text(captured),
    ]
}

/// The rows of one instance that the caller may read, else 22981.
fn of_instance<T>(call: &Call<'_>, name: &str, rows: impl Fn(&Instance) -> T) -> Result<T, SqlError> {
    let database = call.caller.database();
    let (gate, rows) = {
        let state = call.shared.state.lock();
        state.require_enabled(&database)?;
        let instance = state.instances.iter().find(|instance| same_name(&instance.name, name)).ok_or_else(denied)?;
        (instance.gate(), rows(instance))
    };
    if gate.admits(call.caller) { Ok(rows) } else { Err(denied()) }
}

/// `sys.sp_cdc_get_ddl_history`
pub fn ddl_history(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    let args = Arguments::bind("sp_cdc_get_ddl_history", const { &[required("@capture_instance")] }, args)?;
    let name = args.filled_text("@capture_instance")?;
    let rows = of_instance(call, &name, |instance| {
        let row = |ddl: &super::super::instance::DdlRecord| {
            vec![
                text(Some(&instance.source_schema)),
                text(Some(&instance.source_name)),
                text(Some(&instance.name)),
                Value::Bit(ddl.required_column_update),
                text(Some(&ddl.command)),
                Value::Bytes(ddl.lsn.to_vec()),
                clock::value(ddl.time),
            ]
        };
        instance.ddl.iter().map(row).collect()
    })?;
    let columns = vec![
        name_column("source_schema", false),
        name_column("source_table", false),
        name_column("capture_instance", false),
        column("required_column_update", SqlType::Bit, true),
        long_text("ddl_command"),
        column("ddl_lsn", SqlType::Binary(10), false),
        column("ddl_time", SqlType::DateTime, true),
    ];
    Ok(answer(columns, rows))
}

/// `sys.sp_cdc_get_captured_columns`
pub fn captured_columns(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    let args = Arguments::bind("sp_cdc_get_captured_columns", const { &[required("@capture_instance")] }, args)?;
    let name = args.filled_text("@capture_instance")?;
    let rows = of_instance(call, &name, |instance| {
        (1..).zip(&instance.columns).map(|(ordinal, captured)| captured_row(instance, ordinal, captured)).collect()
    })?;
    let columns = vec![
        name_column("source_schema", false),
        name_column("source_table", false),
        name_column("capture_instance", false),
        name_column("column_name", false),
        column("column_id", SqlType::Int, true),
        column("ordinal", SqlType::Int, false),
        name_column("data_type", false),
        column("character_maximum_length", SqlType::Int, true),
        column("numeric_precision", SqlType::TinyInt, true),
        column("numeric_precision_radix", SqlType::SmallInt, true),
        column("numeric_scale", SqlType::Int, true),
        column("datetime_precision", SqlType::SmallInt, true),
    ];
    Ok(answer(columns, rows))
}

fn captured_row(instance: &Instance, ordinal: i64, captured: &CapturedColumn) -> Vec<Value> {
    let sql_type = captured.source_type;
    let length = match sql_type {
        SqlType::Char(length) | SqlType::NChar(length) | SqlType::Binary(length) => Some(i64::from(length)),
        SqlType::VarChar(length) | SqlType::NVarChar(length) | SqlType::VarBinary(length) => {
            Some(length.map_or(-1, i64::from))
        }
        SqlType::Xml => Some(-1),
        SqlType::Text | SqlType::Image => Some(i64::from(i32::MAX)),
        SqlType::NText => Some(1_073_741_823),
        _ => None,
    };
    let (precision, radix, scale) = match sql_type {
        SqlType::TinyInt => (Some(3), Some(10), Some(0)),
        SqlType::SmallInt => (Some(5), Some(10), Some(0)),
        SqlType::Int => (Some(10), Some(10), Some(0)),
        SqlType::BigInt => (Some(19), Some(10), Some(0)),
        SqlType::Decimal { precision, scale } | SqlType::Numeric { precision, scale } => {
            (Some(i64::from(precision)), Some(10), Some(i64::from(scale)))
        }
        SqlType::SmallMoney => (Some(10), Some(10), Some(4)),
        SqlType::Money => (Some(19), Some(10), Some(4)),
        SqlType::Real => (Some(24), Some(2), None),
        SqlType::Float => (Some(53), Some(2), None),
        _ => (None, None, None),
    };
    let time = match sql_type {
        SqlType::Date | SqlType::SmallDateTime => Some(0),
        SqlType::DateTime => Some(3),
        SqlType::Time(scale) | SqlType::DateTime2(scale) | SqlType::DateTimeOffset(scale) => Some(i64::from(scale)),
        _ => None,
    };
    let int = |number: Option<i64>| number.map_or(Value::Null, Value::Int);
    vec![
        text(Some(&instance.source_schema)),
        text(Some(&instance.source_name)),
        text(Some(&instance.name)),
        text(Some(&captured.name)),
        Value::Int(captured.column_id.into()),
        Value::Int(ordinal),
        text(Some(sql_type.name())),
        int(length),
        int(precision),
        int(radix),
        int(scale),
        int(time),
    ]
}
