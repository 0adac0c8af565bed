//! Indexes, keys, partitions.

use super::{NAME, Sight, View, WORD, bit, columns, int, text};
use crate::engine::catalog::{Index, Table};
use crate::value::{Column, SqlType, Value};

/// The views of this family.
pub const VIEWS: &[View] = &[
    View { schema: "sys", name: "indexes", columns: index_columns, rows: indexes, lasting: false },
    View { schema: "sys", name: "index_columns", columns: key_columns, rows: keys, lasting: false },
    View { schema: "sys", name: "key_constraints", columns: constraint_columns, rows: constraints, lasting: false },
    View { schema: "sys", name: "foreign_keys", columns: foreign_columns, rows: foreign, lasting: false },
    View {
        schema: "sys",
        name: "foreign_key_columns",
        columns: foreign_key_columns,
        rows: foreign_keys,
        lasting: false,
    },
];

const BIT: SqlType = SqlType::Bit;
const INT: SqlType = SqlType::Int;

fn index_columns() -> Vec<Column> {
    columns(&[
        ("object_id", INT),
        ("name", NAME),
        ("index_id", INT),
        ("type", SqlType::TinyInt),
        ("type_desc", WORD),
        ("is_unique", BIT),
        ("data_space_id", INT),
        ("ignore_dup_key", BIT),
        ("is_primary_key", BIT),
        ("is_unique_constraint", BIT),
        ("fill_factor", SqlType::TinyInt),
        ("is_padded", BIT),
        ("is_disabled", BIT),
        ("is_hypothetical", BIT),
        ("is_ignored_in_optimization", BIT),
        ("allow_row_locks", BIT),
        ("allow_page_locks", BIT),
        ("has_filter", BIT),
        ("filter_definition", SqlType::NVarChar(None)),
        ("compression_delay", INT),
        ("suppress_dup_key_messages", BIT),
        ("auto_created", BIT),
        ("optimize_for_sequential_key", BIT),
    ])
}

fn index_row(table: &Table, index: Option<&Index>) -> Vec<Value> {
    let clustered = index.is_some_and(|index| index.clustered);
    let (kind, desc) = match index {
        None => (0, "HEAP"),
        Some(_) if clustered => (1, "CLUSTERED"),
        Some(_) => (2, "NONCLUSTERED"),
    };
    let off = || bit(false);
    let held = index.and_then(|index| index.holding);
    let filter = held.and_then(|id| table.columns.iter().find(|column| column.id == id));
    let is = |test: fn(&Index) -> bool| bit(index.is_some_and(test));
    vec![
        int(table.id),
        index.map_or(Value::Null, |index| text(&index.name)),
        int(index.map_or(0, |index| index.id)),
        int(kind),
        text(desc),
        is(|index| index.unique),
        int(table.partition.map_or(1, |placed| placed.scheme)),
        off(),
        is(|index| index.primary),
        is(|index| index.constraint.is_some() && !index.primary),
        int(0),
        off(),
        off(),
        off(),
        off(),
        bit(true),
        bit(true),
        bit(filter.is_some()),
        filter.map_or(Value::Null, |column| text(format!("([{}] IS NOT NULL)", column.name))),
        Value::Null,
        off(),
        off(),
        off(),
    ]
}

fn indexes(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for table in sight.tables() {
        if !table.indexes.iter().any(|index| index.clustered) {
            rows.push(index_row(table, None));
        }
        rows.extend(table.indexes.iter().map(|index| index_row(table, Some(index))));
    }
    rows
}

fn key_columns() -> Vec<Column> {
    columns(&[
        ("object_id", INT),
        ("index_id", INT),
        ("index_column_id", INT),
        ("column_id", INT),
        ("key_ordinal", SqlType::TinyInt),
        ("partition_ordinal", SqlType::TinyInt),
        ("is_descending_key", BIT),
        ("is_included_column", BIT),
        ("column_store_order_ordinal", SqlType::TinyInt),
    ])
}

fn keys(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for table in sight.tables() {
        for index in &table.indexes {
            let mut place = 0_i64;
            let mut add = |column: i32, ordinal: i64, descending: bool| {
                place += 1;
                rows.push(vec![
                    int(table.id),
                    int(index.id),
                    int(place),
                    int(column),
                    int(ordinal),
                    int(i32::from(table.partition.is_some_and(|placed| placed.column == column))),
                    bit(descending),
                    bit(ordinal == 0),
                    int(0),
                ]);
            };
            for (at, (column, descending)) in index.columns.iter().enumerate() {
                add(*column, i64::try_from(at + 1).unwrap_or_default(), *descending);
            }
            for column in &index.included {
                add(*column, 0, false);
            }
        }
    }
    rows
}

fn constraint_columns() -> Vec<Column> {
    columns(&[
        ("name", NAME),
        ("object_id", INT),
        ("schema_id", INT),
        ("parent_object_id", INT),
        ("type", SqlType::Char(2)),
        ("type_desc", WORD),
        ("unique_index_id", INT),
        ("is_system_named", BIT),
        ("is_enforced", BIT),
    ])
}

fn constraints(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for table in sight.tables() {
        for index in &table.indexes {
            let Some(id) = index.constraint else { continue };
            let (kind, desc) =
                if index.primary { ("PK", "PRIMARY_KEY_CONSTRAINT") } else { ("UQ", "UNIQUE_CONSTRAINT") };
            rows.push(vec![
                text(&index.name),
                int(id),
                int(sight.schema_id(&table.schema)),
                int(table.id),
                text(kind),
                text(desc),
                int(index.id),
                bit(index.name.starts_with("PK__")),
                bit(true),
            ]);
        }
    }
    rows
}

fn foreign_columns() -> Vec<Column> {
    columns(&[
        ("name", NAME),
        ("object_id", INT),
        ("schema_id", INT),
        ("parent_object_id", INT),
        ("type", SqlType::Char(2)),
        ("referenced_object_id", INT),
        ("key_index_id", INT),
        ("is_disabled", BIT),
        ("is_not_trusted", BIT),
        ("delete_referential_action", SqlType::TinyInt),
        ("delete_referential_action_desc", WORD),
        ("update_referential_action", SqlType::TinyInt),
        ("update_referential_action_desc", WORD),
    ])
}

fn action(word: &str) -> i64 {
    ["NO_ACTION", "CASCADE", "SET_NULL", "SET_DEFAULT"]
        .iter()
        .position(|known| *known == word)
        .and_then(|at| i64::try_from(at).ok())
        .unwrap_or(0)
}

fn foreign(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for table in sight.tables() {
        for foreign in &table.foreign {
            rows.push(vec![
                text(&foreign.name),
                int(foreign.id),
                int(sight.schema_id(&table.schema)),
                int(table.id),
                text("F "),
                int(foreign.table),
                int(1),
                bit(false),
                bit(false),
                int(action(&foreign.on_delete)),
                text(&foreign.on_delete),
                int(action(&foreign.on_update)),
                text(&foreign.on_update),
            ]);
        }
    }
    rows
}

fn foreign_key_columns() -> Vec<Column> {
    columns(&[
        ("constraint_object_id", INT),
        ("constraint_column_id", INT),
        ("parent_object_id", INT),
        ("parent_column_id", INT),
        ("referenced_object_id", INT),
        ("referenced_column_id", INT),
    ])
}

fn foreign_keys(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for table in sight.tables() {
        for foreign in &table.foreign {
            for (at, (own, there)) in foreign.columns.iter().zip(&foreign.references).enumerate() {
                rows.push(vec![
                    int(foreign.id),
                    int(i64::try_from(at + 1).unwrap_or_default()),
                    int(table.id),
                    int(*own),
                    int(foreign.table),
                    int(*there),
                ]);
            }
        }
    }
    rows
}
