//! Columns that are special in change tables.

use standin::table::ColumnDef;
use standin::value::{SqlType, Value};

use crate::bench::{Bench, column, delete, insert, table_t, text, update};

/// The captured value of the last column in each row, after an insert, an update that touches only `v`, one that
/// touches the column, and a delete.
fn lived(last: ColumnDef, old: &Value, new: &Value) -> Vec<(i64, Value)> {
    let mut table = table_t(SqlType::Int);
    table.columns.push(last);
    let bench = Bench::by_hand(table);
    let row = |v: &str, value: &Value| vec![Value::Int(1), text(v), value.clone()];
    bench.commit(vec![
        insert(row("a", old)),
        update(row("a", old), row("b", old)),
        update(row("b", old), row("b", new)),
        delete(row("b", new)),
    ]);
    bench.scan();
    bench.changes().into_iter().map(|(operation, mut row, _)| (operation, row.remove(2))).collect()
}

fn all(values: [Value; 6]) -> Vec<(i64, Value)> {
    [2, 3, 4, 3, 4, 1].into_iter().zip(values).collect()
}

#[test]
fn a_max_columns_before_image_is_null_unless_it_changed() {
    let (x, y) = (text("x"), text("y"));
    let told = lived(column(3, "m", SqlType::NVarChar(None)), &x, &y);
    assert_eq!(told, all([x.clone(), Value::Null, x.clone(), x, y.clone(), y]));
}

#[test]
fn an_old_lob_is_null_in_deletes_and_before_images() {
    let (x, y) = (text("x"), text("y"));
    let told = lived(column(3, "m", SqlType::NText), &x, &y);
    assert_eq!(told, all([x.clone(), Value::Null, x, Value::Null, y, Value::Null]));
}

#[test]
fn xml_is_captured_whole() {
    let (x, y) = (text("<x/>"), text("<y/>"));
    let told = lived(column(3, "m", SqlType::Xml), &x, &y);
    assert_eq!(told, all([x.clone(), x.clone(), x.clone(), x, y.clone(), y]));
}

#[test]
fn a_computed_column_is_always_null_and_its_change_is_none() {
    let computed = ColumnDef { computed: true, ..column(3, "m", SqlType::Int) };
    let told = lived(computed, &Value::Int(1), &Value::Int(2));
    let null = Value::Null;
    assert_eq!(told, [(2, null.clone()), (3, null.clone()), (4, null.clone()), (1, null)]);
}

#[test]
fn a_rowversion_is_binary_in_the_change_table() {
    let mut table = table_t(SqlType::Int);
    table.columns.push(column(3, "r", SqlType::RowVersion));
    let bench = Bench::by_hand(table);
    let columns = bench.cdc.relation("dbo_t_CT").unwrap();
    let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(
        names,
        ["__$start_lsn", "__$end_lsn", "__$seqval", "__$operation", "__$update_mask", "id", "v", "r", "__$command_id"]
    );
    assert_eq!(columns[7].sql_type, SqlType::Binary(8));
    assert_eq!(bench.rows("captured_columns")[2][3], text("timestamp"));
}

#[test]
fn only_listed_columns_are_captured() {
    let bench = Bench::new(vec![table_t(SqlType::Int)]);
    bench.enable(&[("@captured_column_list", text("[ID]"))]);
    bench.commit(vec![
        insert(crate::bench::row(1, "a")),
        update(crate::bench::row(1, "a"), crate::bench::row(1, "b")),
        delete(crate::bench::row(1, "b")),
    ]);
    bench.scan();
    assert_eq!(bench.changes(), [(2, vec![Value::Int(1)], 1), (1, vec![Value::Int(1)], 2)]);
}
