//! `INFORMATION_SCHEMA`.

use super::{NAME, Sight, View, columns, int, text};
use crate::engine::values::types;
use crate::value::{Column, SqlType, Value};

/// The views of this family.
pub const VIEWS: &[View] = &[
    View { schema: "INFORMATION_SCHEMA", name: "TABLES", columns: table_columns, rows: tables, lasting: false },
    View { schema: "INFORMATION_SCHEMA", name: "COLUMNS", columns: column_columns, rows: all_columns, lasting: false },
    View {
        schema: "INFORMATION_SCHEMA",
        name: "TABLE_CONSTRAINTS",
        columns: constraint_columns,
        rows: constraints,
        lasting: false,
    },
    View {
        schema: "INFORMATION_SCHEMA",
        name: "KEY_COLUMN_USAGE",
        columns: usage_columns,
        rows: usage,
        lasting: false,
    },
    View { schema: "INFORMATION_SCHEMA", name: "SCHEMATA", columns: schema_columns, rows: schemata, lasting: false },
];

const SHORT: SqlType = SqlType::VarChar(Some(30));

fn table_columns() -> Vec<Column> {
    columns(&[
        ("TABLE_CATALOG", NAME),
        ("TABLE_SCHEMA", NAME),
        ("TABLE_NAME", NAME),
        ("TABLE_TYPE", SqlType::VarChar(Some(10))),
    ])
}

fn tables(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let database = &sight.environment.shared.database;
    sight
        .tables()
        .into_iter()
        .map(|table| vec![text(database), text(&table.schema), text(&table.name), text("BASE TABLE")])
        .collect()
}

fn column_columns() -> Vec<Column> {
    columns(&[
        ("TABLE_CATALOG", NAME),
        ("TABLE_SCHEMA", NAME),
        ("TABLE_NAME", NAME),
        ("COLUMN_NAME", NAME),
        ("ORDINAL_POSITION", SqlType::Int),
        ("COLUMN_DEFAULT", SqlType::NVarChar(Some(4000))),
        ("IS_NULLABLE", SqlType::VarChar(Some(3))),
        ("DATA_TYPE", NAME),
        ("CHARACTER_MAXIMUM_LENGTH", SqlType::Int),
        ("CHARACTER_OCTET_LENGTH", SqlType::Int),
        ("NUMERIC_PRECISION", SqlType::TinyInt),
        ("NUMERIC_PRECISION_RADIX", SqlType::SmallInt),
        ("NUMERIC_SCALE", SqlType::Int),
        ("DATETIME_PRECISION", SqlType::SmallInt),
        ("CHARACTER_SET_NAME", NAME),
        ("COLLATION_NAME", NAME),
    ])
}

fn all_columns(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let database = &sight.environment.shared.database;
    let mut rows = Vec::new();
    for table in sight.tables() {
        for (at, column) in table.columns.iter().enumerate() {
            let (bytes, precision, scale) = types::facets(column.ty);
            let lengthy = types::is_text(column.ty) || types::is_binary(column.ty);
            let large = matches!(column.ty, SqlType::Text | SqlType::Image | SqlType::NText);
            let units = match column.ty {
                SqlType::NText => 1_073_741_823,
                _ if large => i32::MAX,
                ty => types::length(ty).map_or(-1, i32::from),
            };
            let number = |present: bool, value: i64| if present { int(value) } else { Value::Null };
            let float = matches!(column.ty, SqlType::Real | SqlType::Float);
            let numeric = types::is_number(column.ty) && column.ty != SqlType::Bit;
            let fraction = match column.ty {
                SqlType::DateTime => 3,
                ty => i64::from(crate::engine::values::datetime::scale_of(ty)),
            };
            rows.push(vec![
                text(database),
                text(&table.schema),
                text(&table.name),
                text(&column.name),
                int(i64::try_from(at + 1).unwrap_or_default()),
                column.default.as_ref().map_or(Value::Null, |(_, _, definition)| text(format!("({definition})"))),
                text(if column.nullable { "YES" } else { "NO" }),
                text(types::name(column.ty)),
                number(lengthy, i64::from(units)),
                number(lengthy, i64::from(if large { i32::MAX } else { bytes })),
                number(numeric, i64::from(precision)),
                number(numeric, if float { 2 } else { 10 }),
                number(numeric && !float, i64::from(scale)),
                number(types::is_temporal(column.ty), fraction),
                if types::is_text(column.ty) {
                    text(if types::is_unicode(column.ty) { "UNICODE" } else { "iso_1" })
                } else {
                    Value::Null
                },
                column.collation().map_or(Value::Null, text),
            ]);
        }
    }
    rows
}

fn constraint_columns() -> Vec<Column> {
    columns(&[
        ("CONSTRAINT_CATALOG", NAME),
        ("CONSTRAINT_SCHEMA", NAME),
        ("CONSTRAINT_NAME", NAME),
        ("TABLE_CATALOG", NAME),
        ("TABLE_SCHEMA", NAME),
        ("TABLE_NAME", NAME),
        ("CONSTRAINT_TYPE", SHORT),
        ("IS_DEFERRABLE", SHORT),
        ("INITIALLY_DEFERRED", SHORT),
    ])
}

fn constraints(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let database = &sight.environment.shared.database;
    let mut rows = Vec::new();
    for table in sight.tables() {
        let keys = table
            .indexes
            .iter()
            .filter(|index| index.constraint.is_some())
            .map(|index| (&index.name, if index.primary { "PRIMARY KEY" } else { "UNIQUE" }));
        let others = table
            .checks
            .iter()
            .map(|check| (&check.name, "CHECK"))
            .chain(table.foreign.iter().map(|foreign| (&foreign.name, "FOREIGN KEY")));
        for (name, kind) in keys.chain(others) {
            rows.push(vec![
                text(database),
                text(&table.schema),
                text(name),
                text(database),
                text(&table.schema),
                text(&table.name),
                text(kind),
                text("NO"),
                text("NO"),
            ]);
        }
    }
    rows
}

fn usage_columns() -> Vec<Column> {
    columns(&[
        ("CONSTRAINT_CATALOG", NAME),
        ("CONSTRAINT_SCHEMA", NAME),
        ("CONSTRAINT_NAME", NAME),
        ("TABLE_CATALOG", NAME),
        ("TABLE_SCHEMA", NAME),
        ("TABLE_NAME", NAME),
        ("COLUMN_NAME", NAME),
        ("ORDINAL_POSITION", SqlType::Int),
    ])
}

fn usage(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let database = &sight.environment.shared.database;
    let mut rows = Vec::new();
    for table in sight.tables() {
        let keys = table
            .indexes
            .iter()
            .filter(|index| index.constraint.is_some())
            .map(|index| (&index.name, index.columns.iter().map(|(id, _)| *id).collect::<Vec<_>>()));
        let foreign = table.foreign.iter().map(|foreign| (&foreign.name, foreign.columns.clone()));
        for (name, list) in keys.chain(foreign) {
            for (at, id) in list.iter().enumerate() {
                let column = table.position(*id).map_or("", |at| table.columns[at].name.as_str());
                rows.push(vec![
                    text(database),
                    text(&table.schema),
                    text(name),
                    text(database),
                    text(&table.schema),
                    text(&table.name),
                    text(column),
                    int(i64::try_from(at + 1).unwrap_or_default()),
                ]);
            }
        }
    }
    rows
}

fn schema_columns() -> Vec<Column> {
    columns(&[("CATALOG_NAME", NAME), ("SCHEMA_NAME", NAME), ("SCHEMA_OWNER", NAME)])
}

fn schemata(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let database = &sight.environment.shared.database;
    sight
        .environment
        .catalog
        .state
        .schemas
        .iter()
        .map(|(_, name)| vec![text(database), text(name), text("dbo")])
        .collect()
}
