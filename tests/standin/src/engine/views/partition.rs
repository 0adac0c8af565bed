//! Partitions, which tell how many rows a table has, and what divides tables into them.

use super::{NAME, Sight, View, WORD, bit, columns, int, moment, text};
use crate::engine::catalog::{PartitionFunction, PartitionScheme};
use crate::value::{Column, SqlType, Value};

/// The views of this family.
pub const VIEWS: &[View] = &[
    View { schema: "sys", name: "partitions", columns: partition_columns, rows: partitions, lasting: false },
    View { schema: "sys", name: "dm_db_partition_stats", columns: size_columns, rows: sizes, lasting: false },
    View { schema: "sys", name: "partition_functions", columns: function_columns, rows: functions, lasting: false },
    View { schema: "sys", name: "partition_schemes", columns: scheme_columns, rows: schemes, lasting: false },
    View { schema: "sys", name: "data_spaces", columns: space_columns, rows: spaces, lasting: false },
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

/// A partition of an index, or of the heap of a table without a clustered one.
struct Partition {
    id: i64,
    table: i64,
    index: i64,
    number: i64,
    rows: i64,
}

fn all(sight: &Sight<'_>) -> Vec<Partition> {
    let mut list = Vec::new();
    for table in sight.tables() {
        let count =
            sight.environment.catalog.partitioning(table).map_or(1, |(function, _)| function.boundaries.len() + 1);
        let heap = (!table.indexes.iter().any(|index| index.clustered)).then_some(0);
        for index in heap.into_iter().chain(table.indexes.iter().map(|index| index.id)) {
            for number in (1..).take(count) {
                let rows = sight.rows.get(&(table.id, number)).copied().unwrap_or(0);
                let id = (i64::from(table.id) << 24) + (i64::from(index) << 12) + i64::from(number);
                list.push(Partition { id, table: table.id.into(), index: index.into(), number: number.into(), rows });
            }
        }
    }
    list
}

fn partitions(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let row = |Partition { id, table, index, number, rows }: Partition| {
        vec![int(id), int(table), int(index), int(number), int(id), int(rows), int(0), int(0), text("NONE")]
    };
    all(sight).into_iter().map(row).collect()
}

fn function_columns() -> Vec<Column> {
    columns(&[
        ("name", NAME),
        ("function_id", INT),
        ("type", SqlType::Char(2)),
        ("type_desc", WORD),
        ("fanout", INT),
        ("boundary_value_on_right", SqlType::Bit),
        ("is_system", SqlType::Bit),
        ("create_date", SqlType::DateTime),
        ("modify_date", SqlType::DateTime),
    ])
}

fn functions(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    if !sight.user {
        return Vec::new();
    }
    let made = moment(sight.environment.shared.started);
    let row = |function: &PartitionFunction| {
        let fanout = i64::try_from(function.boundaries.len() + 1).unwrap_or(i64::MAX);
        vec![
            text(&function.name),
            int(function.id),
            text("R "),
            text("RANGE"),
            int(fanout),
            bit(function.right),
            bit(false),
            made.clone(),
            made.clone(),
        ]
    };
    sight.environment.catalog.state.partition_functions.iter().map(row).collect()
}

const SPACE: [(&str, SqlType); 6] = [
    ("name", NAME),
    ("data_space_id", INT),
    ("type", SqlType::Char(2)),
    ("type_desc", WORD),
    ("is_default", SqlType::Bit),
    ("is_system", SqlType::Bit),
];

fn space_columns() -> Vec<Column> {
    columns(&SPACE)
}

fn scheme_columns() -> Vec<Column> {
    let mut own = SPACE.to_vec();
    own.push(("function_id", INT));
    columns(&own)
}

fn schemes(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    if !sight.user {
        return Vec::new();
    }
    let row = |scheme: &PartitionScheme| {
        let name = text(&scheme.name);
        let kind = text("PARTITION_SCHEME");
        vec![name, int(scheme.id), text("PS"), kind, bit(false), bit(false), int(scheme.function)]
    };
    sight.environment.catalog.state.partition_schemes.iter().map(row).collect()
}

fn spaces(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let primary = vec![text("PRIMARY"), int(1), text("FG"), text("ROWS_FILEGROUP"), bit(true), bit(false)];
    let mut rows = vec![primary];
    rows.extend(schemes(sight).into_iter().map(|mut row| {
        row.truncate(SPACE.len());
        row
    }));
    rows
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
    let row = |Partition { id, table, index, number, rows }: Partition| {
        // A page for every hundred rows: an order of magnitude is all that sizes are read for.
        let pages = rows / 100 + 1;
        vec![
            int(id),
            int(table),
            int(index),
            int(number),
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
