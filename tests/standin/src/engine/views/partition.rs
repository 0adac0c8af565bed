//! Partitions, which tell how many rows a table has.

use super::{Sight, View, WORD, columns, int, text};
use crate::value::{Column, SqlType, Value};

/// The views of this family.
pub const VIEWS: &[View] = &[
    View { schema: "sys", name: "partitions", columns: partition_columns, rows: partitions, lasting: false },
    View { schema: "sys", name: "dm_db_partition_stats", columns: size_columns, rows: sizes, lasting: false },
];

const INT: SqlType = SqlType::Int;
const BIG: SqlType = SqlType::BigInt;

fn partition_columns() -> Vec<Column> {
    columns(&[
        ("partition_id", BIG),
        ("object_id", INT),
        ("index_id", INT),
        ("partition_number", INT),
        ("hobt_id", BIG),
        ("rows", BIG),
        ("filestream_filegroup_id", SqlType::SmallInt),
        ("data_compression", SqlType::TinyInt),
        ("data_compression_desc", WORD),
    ])
}

/// A partition for each index, and for the heap of a table without a clustered one: id, table, index, rows.
fn all(sight: &Sight<'_>) -> Vec<(i64, i64, i64, i64)> {
    let mut list = Vec::new();
    for table in sight.tables() {
        let rows = sight.rows.get(&table.id).copied().unwrap_or(0);
        let heap = (!table.indexes.iter().any(|index| index.clustered)).then_some(0);
        for index in heap.into_iter().chain(table.indexes.iter().map(|index| index.id)) {
            let id = (i64::from(table.id) << 16) + i64::from(index);
            list.push((id, i64::from(table.id), i64::from(index), rows));
        }
    }
    list
}

fn partitions(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let row = |(id, table, index, rows): (i64, i64, i64, i64)| {
        vec![int(id), int(table), int(index), int(1), int(id), int(rows), int(0), int(0), text("NONE")]
    };
    all(sight).into_iter().map(row).collect()
}

fn size_columns() -> Vec<Column> {
    columns(&[
        ("partition_id", BIG),
        ("object_id", INT),
        ("index_id", INT),
        ("partition_number", INT),
        ("in_row_data_page_count", BIG),
        ("in_row_used_page_count", BIG),
        ("in_row_reserved_page_count", BIG),
        ("used_page_count", BIG),
        ("reserved_page_count", BIG),
        ("row_count", BIG),
    ])
}

fn sizes(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let row = |(id, table, index, rows): (i64, i64, i64, i64)| {
        // A page for every hundred rows: an order of magnitude is all that sizes are read for.
        let pages = rows / 100 + 1;
        vec![
            int(id),
            int(table),
            int(index),
            int(1),
            int(pages),
            int(pages),
            int(pages),
            int(pages),
            int(pages),
            int(rows),
        ]
    };
    all(sight).into_iter().map(row).collect()
}
