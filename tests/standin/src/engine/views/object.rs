//! Objects: `sys.objects`, `sys.tables`, `sys.schemas`.

use super::{NAME, Sight, View, WORD, bit, columns, int, moment, text};
use crate::engine::catalog::same;
use crate::engine::environment::Environment;
use crate::value::{Column, SqlType, Value};

/// The views of this family.
pub const VIEWS: &[View] = &[
    View { schema: "sys", name: "objects", columns: object_columns, rows: objects, lasting: false },
    View { schema: "sys", name: "all_objects", columns: object_columns, rows: objects, lasting: false },
    View { schema: "sys", name: "tables", columns: table_columns, rows: tables, lasting: false },
    View { schema: "sys", name: "views", columns: object_columns, rows: none, lasting: true },
    View { schema: "sys", name: "procedures", columns: object_columns, rows: none, lasting: true },
    View { schema: "sys", name: "triggers", columns: object_columns, rows: none, lasting: true },
    View { schema: "sys", name: "schemas", columns: schema_columns, rows: schemas, lasting: false },
    View { schema: "sys", name: "sysobjects", columns: old_columns, rows: old_objects, lasting: false },
    View { schema: "dbo", name: "sysobjects", columns: old_columns, rows: old_objects, lasting: false },
    View { schema: "sys", name: "extended_properties", columns: property_columns, rows: none, lasting: true },
];

const DATE: SqlType = SqlType::DateTime;

fn object_list() -> Vec<(&'static str, SqlType)> {
    vec![
        ("name", NAME),
        ("object_id", SqlType::Int),
        ("principal_id", SqlType::Int),
        ("schema_id", SqlType::Int),
        ("parent_object_id", SqlType::Int),
        ("type", SqlType::Char(2)),
        ("type_desc", WORD),
        ("create_date", DATE),
        ("modify_date", DATE),
        ("is_ms_shipped", SqlType::Bit),
        ("is_published", SqlType::Bit),
        ("is_schema_published", SqlType::Bit),
    ]
}

fn object_columns() -> Vec<Column> {
    columns(&object_list())
}

fn table_columns() -> Vec<Column> {
    let mut list = object_list();
    list.extend([
        ("lob_data_space_id", SqlType::Int),
        ("filestream_data_space_id", SqlType::Int),
        ("max_column_id_used", SqlType::Int),
        ("lock_on_bulk_load", SqlType::Bit),
        ("uses_ansi_nulls", SqlType::Bit),
        ("is_replicated", SqlType::Bit),
        ("has_replication_filter", SqlType::Bit),
        ("is_merge_published", SqlType::Bit),
        ("is_sync_tran_subscribed", SqlType::Bit),
        ("has_unchecked_assembly_data", SqlType::Bit),
        ("text_in_row_limit", SqlType::Int),
        ("large_value_types_out_of_row", SqlType::Bit),
        ("is_tracked_by_cdc", SqlType::Bit),
        ("lock_escalation", SqlType::TinyInt),
        ("lock_escalation_desc", WORD),
        ("is_filetable", SqlType::Bit),
        ("is_memory_optimized", SqlType::Bit),
        ("durability", SqlType::TinyInt),
        ("durability_desc", WORD),
        ("temporal_type", SqlType::TinyInt),
        ("temporal_type_desc", WORD),
        ("history_table_id", SqlType::Int),
        ("is_remote_data_archive_enabled", SqlType::Bit),
        ("is_external", SqlType::Bit),
        ("history_retention_period", SqlType::Int),
        ("history_retention_period_unit", SqlType::Int),
        ("is_node", SqlType::Bit),
        ("is_edge", SqlType::Bit),
    ]);
    columns(&list)
}

fn none(_: &Sight<'_>) -> Vec<Vec<Value>> {
    Vec::new()
}

fn property_columns() -> Vec<Column> {
    columns(&[
        ("class", SqlType::TinyInt),
        ("class_desc", WORD),
        ("major_id", SqlType::Int),
        ("minor_id", SqlType::Int),
        ("name", NAME),
        ("value", SqlType::SqlVariant),
    ])
}

struct Object {
    name: String,
    id: i64,
    schema: i64,
    parent: i64,
    kind: &'static str,
    desc: &'static str,
    created: i64,
    modified: i64,
    shipped: bool,
}

impl Object {
    fn row(&self) -> Vec<Value> {
        vec![
            text(&self.name),
            int(self.id),
            Value::Null,
            int(self.schema),
            int(self.parent),
            text(self.kind),
            text(self.desc),
            moment(self.created),
            moment(self.modified),
            bit(self.shipped),
            bit(false),
            bit(false),
        ]
    }
}

/// The id of schema `cdc`, once it is there.
fn cdc_schema(sight: &Sight<'_>) -> i64 {
    sight.environment.catalog.state.schemas.iter().map(|(id, _)| i64::from(*id)).max().unwrap_or(4) + 1
}

/// The tables of schema `cdc`: id and name.
fn cdc_tables(environment: &Environment) -> Vec<(i64, String)> {
    if !environment.shared.cdc.enabled() {
        return Vec::new();
    }
    let known = environment.shared.cdc.objects();
    let mut list: Vec<(i64, String)> = known.iter().map(|(id, name)| (i64::from(*id), name.clone())).collect();
    for (at, name) in environment.shared.cdc.relations().into_iter().enumerate() {
        if !list.iter().any(|(_, own)| same(own, &name)) {
            list.push((400_000_000 + i64::try_from(at).unwrap_or(0) * 16, name));
        }
    }
    list.retain(|(_, name)| environment.may_read_of_cdc(name));
    list
}

fn user_tables(sight: &Sight<'_>) -> Vec<Object> {
    let mut list: Vec<Object> = sight
        .tables()
        .into_iter()
        .map(|table| Object {
            name: table.name.clone(),
            id: i64::from(table.id),
            schema: sight.schema_id(&table.schema),
            parent: 0,
            kind: "U ",
            desc: "USER_TABLE",
            created: table.created,
            modified: table.modified,
            shipped: false,
        })
        .collect();
    if sight.user {
        let started = sight.environment.shared.started;
        list.extend(cdc_tables(sight.environment).into_iter().map(|(id, name)| Object {
            name,
            id,
            schema: cdc_schema(sight),
            parent: 0,
            kind: "U ",
            desc: "USER_TABLE",
            created: started,
            modified: started,
            shipped: true,
        }));
    }
    list
}

fn objects(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let mut list = user_tables(sight);
    for table in sight.tables() {
        let schema = sight.schema_id(&table.schema);
        let mut add = |id: i32, name: &str, kind: &'static str, desc: &'static str| {
            list.push(Object {
                name: name.to_owned(),
                id: i64::from(id),
                schema,
                parent: i64::from(table.id),
                kind,
                desc,
                created: table.created,
                modified: table.modified,
                shipped: false,
            });
        };
        for index in &table.indexes {
            match (index.constraint, index.primary) {
                (Some(id), true) => add(id, &index.name, "PK", "PRIMARY_KEY_CONSTRAINT"),
                (Some(id), false) => add(id, &index.name, "UQ", "UNIQUE_CONSTRAINT"),
                (None, _) => {}
            }
        }
        for check in &table.checks {
            add(check.id, &check.name, "C ", "CHECK_CONSTRAINT");
        }
        for foreign in &table.foreign {
            add(foreign.id, &foreign.name, "F ", "FOREIGN_KEY_CONSTRAINT");
        }
        for column in &table.columns {
            if let Some((id, name, _)) = &column.default {
                add(*id, name, "D ", "DEFAULT_CONSTRAINT");
            }
        }
    }
    list.iter().map(Object::row).collect()
}

fn tables(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let catalog = &sight.environment.catalog;
    user_tables(sight)
        .iter()
        .map(|object| {
            let table = i32::try_from(object.id).ok().and_then(|id| catalog.tables.get(&id));
            let tracked = table.is_some_and(|table| sight.environment.shared.cdc.is_tracked(table.id));
            let mut row = object.row();
            row.extend([
                int(0),
                Value::Null,
                int(table.map_or(0, |table| table.last_column)),
                bit(false),
                bit(true),
                bit(false),
                bit(false),
            ]);
            row.extend([
                bit(false),
                bit(false),
                bit(false),
                int(0),
                bit(false),
                bit(tracked),
                int(0),
                text("TABLE"),
                bit(false),
                bit(false),
            ]);
            row.extend([
                int(0),
                text("SCHEMA_AND_DATA"),
                int(0),
                text("NON_TEMPORAL_TABLE"),
                Value::Null,
                bit(false),
                bit(false),
            ]);
            row.extend([Value::Null, Value::Null, bit(false), bit(false)]);
            row
        })
        .collect()
}

fn schema_columns() -> Vec<Column> {
    columns(&[("name", NAME), ("schema_id", SqlType::Int), ("principal_id", SqlType::Int)])
}

fn schemas(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let mut rows: Vec<Vec<Value>> = sight
        .environment
        .catalog
        .state
        .schemas
        .iter()
        .filter(|(id, _)| sight.user || *id <= 4)
        .map(|(id, name)| vec![text(name), int(*id), int(if *id <= 4 { *id } else { 1 })])
        .collect();
    if sight.user && sight.environment.shared.cdc.enabled() {
        rows.push(vec![text("cdc"), int(cdc_schema(sight)), int(1)]);
    }
    rows
}

fn old_columns() -> Vec<Column> {
    columns(&[
        ("name", NAME),
        ("id", SqlType::Int),
        ("xtype", SqlType::Char(2)),
        ("uid", SqlType::SmallInt),
        ("type", SqlType::Char(2)),
        ("crdate", DATE),
        ("parent_obj", SqlType::Int),
    ])
}

fn old_objects(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    user_tables(sight)
        .iter()
        .map(|object| {
            vec![
                text(&object.name),
                int(object.id),
                text("U "),
                int(object.schema),
                text("U "),
                moment(object.created),
                int(0),
            ]
        })
        .collect()
}

/// The id of an object that is no user table: a constraint or a table of schema `cdc`.
pub fn named(environment: &Environment, parts: &[String], kind: Option<&str>) -> Option<i64> {
    let (last, before) = parts.split_last()?;
    if before.last().is_some_and(|schema| same(schema, "cdc"))
        && kind.is_none_or(|kind| kind.trim().eq_ignore_ascii_case("U"))
    {
        return cdc_tables(environment).into_iter().find(|(_, name)| same(name, last)).map(|(id, _)| id);
    }
    let sight = Sight { environment, user: environment.in_user_database(), rows: std::collections::BTreeMap::new() };
    let row = objects(&sight).into_iter().find(|row| {
        let matches = |at: usize, wanted: &str| matches!(&row[at], Value::Text(own) if same(own.trim(), wanted.trim()));
        matches(0, last) && !matches(5, "U") && kind.is_none_or(|kind| matches(5, kind))
    })?;
    match row.get(1) {
        Some(Value::Int(id)) => Some(*id),
        _ => None,
    }
}

/// The name of an object that is no user table.
pub fn name(environment: &Environment, id: i32) -> Option<String> {
    let sight = Sight { environment, user: true, rows: std::collections::BTreeMap::new() };
    let row = objects(&sight).into_iter().find(|row| row[1] == int(id))?;
    match &row[0] {
        Value::Text(name) => Some(name.clone()),
        _ => None,
    }
}
