//! The tables of schema `cdc`, as SQL reads them.

use crate::value::{Column, SqlType, Value};

use super::clock;
use super::instance::{Instance, column};
use super::lsn::Lsn;
use super::state::State;

/// The collation of the metadata's character columns.
pub const COLLATION: &str = "SQL_Latin1_General_CP1_CI_AS";

/// The metadata tables.
const METADATA: [&str; 5] = ["change_tables", "captured_columns", "index_columns", "ddl_history", "lsn_time_mapping"];

/// A column of type sysname.
pub fn name_column(name: &str, nullable: bool) -> Column {
    Column { collation: Some(COLLATION), ..column(name, SqlType::NVarChar(Some(128)), nullable) }
}

/// A string, or NULL.
pub fn text(value: Option<&str>) -> Value {
    value.map_or(Value::Null, |text| Value::Text(text.to_owned()))
}

/// Names of all tables.
pub fn names(state: &State) -> Vec<String> {
    if !state.enabled {
        return Vec::new();
    }
    METADATA.iter().map(ToString::to_string).chain(state.instances.iter().map(Instance::table_name)).collect()
}

/// A table's columns.
pub fn columns(state: &State, name: &str) -> Option<Vec<Column>> {
    if !state.enabled {
        return None;
    }
    let id = |name| column(name, SqlType::Int, false);
    Some(match name.to_lowercase().as_str() {
        "change_tables" => vec![
            id("object_id"),
            column("version", SqlType::Int, true),
            column("source_object_id", SqlType::Int, true),
            name_column("capture_instance", false),
            column("start_lsn", SqlType::Binary(10), true),
            column("end_lsn", SqlType::Binary(10), true),
            column("supports_net_changes", SqlType::Bit, true),
            column("has_drop_pending", SqlType::Bit, true),
            name_column("role_name", true),
            name_column("index_name", true),
            name_column("filegroup_name", true),
            column("create_date", SqlType::DateTime, true),
            column("partition_switch", SqlType::Bit, false),
        ],
        "captured_columns" => vec![
            id("object_id"),
            name_column("column_name", false),
            column("column_id", SqlType::Int, true),
            name_column("column_type", false),
            column("column_ordinal", SqlType::Int, false),
            column("is_computed", SqlType::Bit, true),
        ],
        "index_columns" => vec![
            id("object_id"),
            name_column("column_name", false),
            column("index_ordinal", SqlType::TinyInt, false),
            column("column_id", SqlType::Int, false),
        ],
        "ddl_history" => vec![
            column("source_object_id", SqlType::Int, true),
            id("object_id"),
            column("required_column_update", SqlType::Bit, true),
            Column { collation: Some(COLLATION), ..column("ddl_command", SqlType::NVarChar(None), true) },
            column("ddl_lsn", SqlType::Binary(10), false),
            column("ddl_time", SqlType::DateTime, true),
        ],
        "lsn_time_mapping" => vec![
            column("start_lsn", SqlType::Binary(10), false),
            column("tran_begin_time", SqlType::DateTime, true),
            column("tran_end_time", SqlType::DateTime, true),
            column("tran_id", SqlType::VarBinary(Some(10)), true),
            column("tran_begin_lsn", SqlType::Binary(10), true),
        ],
        _ => state.change_table(name)?.table_columns(),
    })
}

/// A page of a table's rows; LSN bounds concern change tables and the time mapping.
pub fn scan(
    state: &State,
    name: &str,
    bounds: (Option<Lsn>, Option<Lsn>),
    after: Option<u64>,
    limit: usize,
) -> (Vec<Vec<Value>>, Option<u64>) {
    let rows: Vec<Vec<Value>> = match name.to_lowercase().as_str() {
        _ if !state.enabled => Vec::new(),
        "lsn_time_mapping" => {
            let (page, place) = state.mapping.page(bounds, after, limit);
            let rows = page.map(|mapping| {
                vec![
                    Value::Bytes(mapping.start.to_vec()),
                    clock::value(mapping.times.0),
                    clock::value(mapping.times.1),
                    mapping.id_value(),
                    Value::Bytes(mapping.begin.to_vec()),
                ]
            });
            return (rows.collect(), place);
        }
        "change_tables" => state.instances.iter().map(change_table).collect(),
        "captured_columns" => state.instances.iter().flat_map(captured_columns).collect(),
        "index_columns" => state.instances.iter().flat_map(index_columns).collect(),
        "ddl_history" => state.instances.iter().flat_map(ddl_history).collect(),
        _ => {
            let Some(instance) = state.change_table(name) else { return (Vec::new(), None) };
            let (page, place) = instance.changes.page(bounds, after, limit);
            return (page.map(|row| instance.table_row(row)).collect(), place);
        }
    };
    let skipped = after.and_then(|place| usize::try_from(place + 1).ok()).unwrap_or(0);
    let stop = skipped.saturating_add(limit.max(1));
    let place = (stop < rows.len()).then(|| stop as u64 - 1);
    (rows.into_iter().skip(skipped).take(limit.max(1)).collect(), place)
}

fn change_table(instance: &Instance) -> Vec<Value> {
    vec![
        Value::Int(instance.object_id.into()),
        Value::Int(0),
        Value::Int(instance.source_object_id.into()),
        Value::Text(instance.name.clone()),
        Value::Bytes(instance.start_lsn.to_vec()),
        Value::Null,
        Value::Bit(instance.net_changes),
        Value::Null,
        text(instance.role.as_deref()),
        text(instance.index_name.as_deref()),
        text(instance.filegroup.as_deref()),
        clock::value(instance.created),
        Value::Bit(instance.partition_switch),
    ]
}

fn captured_columns(instance: &Instance) -> Vec<Vec<Value>> {
    (1..)
        .zip(&instance.columns)
        .map(|(ordinal, captured)| {
            vec![
                Value::Int(instance.object_id.into()),
                Value::Text(captured.name.clone()),
                Value::Int(captured.column_id.into()),
                Value::Text(captured.source_type.name().into()),
                Value::Int(ordinal),
                Value::Bit(captured.computed),
            ]
        })
        .collect()
}

fn index_columns(instance: &Instance) -> Vec<Vec<Value>> {
    (1..)
        .zip(&instance.key)
        .map(|(ordinal, &index)| {
            let captured = &instance.columns[index];
            vec![
                Value::Int(instance.object_id.into()),
                Value::Text(captured.name.clone()),
                Value::Int(ordinal),
                Value::Int(captured.column_id.into()),
            ]
        })
        .collect()
}

fn ddl_history(instance: &Instance) -> Vec<Vec<Value>> {
    instance
        .ddl
        .iter()
        .map(|ddl| {
            vec![
                Value::Int(instance.source_object_id.into()),
                Value::Int(instance.object_id.into()),
                Value::Bit(ddl.required_column_update),
                Value::Text(ddl.command.clone()),
                Value::Bytes(ddl.lsn.to_vec()),
                clock::value(ddl.time),
            ]
        })
        .collect()
}
