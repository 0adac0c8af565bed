//! DDL on a tracked table.

use standin::cdc::DdlKind;
use standin::value::{SqlType, Value};

use crate::bench::{Bench, T, column, insert, row, table_t, text, update};

#[test]
fn the_history_row_appears_when_capture_reads_the_ddl() {
    let mut bench = Bench::by_hand(table_t(SqlType::Int));
    let mut wider = table_t(SqlType::Int);
    wider.columns.push(column(3, "w", SqlType::Int));
    let commit = bench.ddl("ALTER TABLE dbo.t ADD w int", Some(wider));
    assert!(bench.rows("ddl_history").is_empty());
    bench.scan();
    let history = bench.rows("ddl_history");
    assert_eq!((&history[0][2], &history[0][3]), (&Value::Bit(false), &text("ALTER TABLE dbo.t ADD w int")));
    let Value::Bytes(lsn) = &history[0][4] else { panic!() };
    assert!(lsn.as_slice() < commit.as_slice(), "the record lies before its commit");
    let told = bench.run("sp_cdc_get_ddl_history", &[("@capture_instance", text("dbo_t"))]);
    assert_eq!(told.results[0].rows[0][4], text("ALTER TABLE dbo.t ADD w int"));
}

#[test]
fn an_added_column_is_not_captured_and_a_dropped_one_is_null() {
    let mut bench = Bench::by_hand(table_t(SqlType::Int));
    let mut table = table_t(SqlType::Int);
    table.columns.push(column(3, "w", SqlType::Int));
    bench.ddl("ADD w", Some(table.clone()));
    bench.commit(vec![insert(vec![Value::Int(1), text("a"), Value::Int(9)])]);
    table.columns.remove(1);
    bench.ddl("DROP v", Some(table.clone()));
    bench.commit(vec![insert(vec![Value::Int(2), Value::Int(9)])]);
    // A column that comes back under the same name is another.
    table.columns.push(column(4, "v", SqlType::NVarChar(Some(50))));
    bench.ddl("ADD v", Some(table));
    bench.commit(vec![insert(vec![Value::Int(3), Value::Int(9), text("new")])]);
    bench.scan();
    let null = |id| vec![Value::Int(id), Value::Null];
    assert_eq!(bench.changes(), [(2, row(1, "a"), 1), (2, null(2), 1), (2, null(3), 1)]);
    bench.enable(&[("@capture_instance", text("second"))]);
    assert_eq!(bench.cdc.relation("second_CT").unwrap().len(), 6 + 3);
}

#[test]
fn a_changed_type_reaches_the_change_table() {
    let mut bench = Bench::by_hand(table_t(SqlType::Int));
    bench.commit(vec![insert(row(1, "a"))]);
    let mut table = table_t(SqlType::Int);
    table.columns[1].sql_type = SqlType::NChar(3);
    bench.ddl("ALTER COLUMN v nchar(3)", Some(table));
    bench.commit(vec![update(row(1, "a  "), row(1, "b  "))]);
    assert_eq!(bench.cdc.relation("dbo_t_CT").unwrap()[6].sql_type, SqlType::NVarChar(Some(50)), "not before capture");
    bench.scan();
    assert_eq!(bench.cdc.relation("dbo_t_CT").unwrap()[6].sql_type, SqlType::NChar(3));
    let expected = [(2, row(1, "a  "), 1), (3, row(1, "a  "), 1), (4, row(1, "b  "), 1)];
    assert_eq!(bench.changes(), expected);
    assert_eq!(bench.rows("ddl_history")[0][2], Value::Bit(true));
    assert_eq!(bench.rows("captured_columns")[1][3], text("nchar"));
}

#[test]
fn a_shrunken_column_that_old_changes_do_not_fit_stops_capture() {
    let mut bench = Bench::by_hand(table_t(SqlType::Int));
    bench.commit(vec![insert(row(1, "long text"))]);
    bench.scan();
    bench.commit(vec![update(row(1, "long text"), row(1, "s"))]);
    let mut table = table_t(SqlType::Int);
    table.columns[1].sql_type = SqlType::NVarChar(Some(4));
    bench.ddl("ALTER COLUMN v nvarchar(4)", Some(table));
    let behind = bench.commit(vec![insert(row(2, "b"))]);
    assert_eq!(bench.number("sp_cdc_scan", &[]), 2628);
    assert_eq!(bench.changes().len(), 3, "what lies before is captured, the rest waits");
    assert_eq!(bench.cdc.errors().rows[0][3], Value::Int(2628));
    bench.run(
        "sp_cdc_disable_table",
        &[("@source_schema", text("dbo")), ("@source_name", text("t")), ("@capture_instance", text("all"))],
    );
    bench.scan();
    assert_eq!(bench.max_lsn(), Some(behind), "without the instance nothing is in the way");
}

#[test]
fn a_dropped_table_takes_its_instances_along() {
    let mut bench = Bench::by_hand(table_t(SqlType::Int));
    bench.commit(vec![insert(row(1, "a"))]);
    bench.ddl("DROP TABLE dbo.t", None);
    assert!(!bench.cdc.is_tracked(T) && bench.cdc.relation("dbo_t_CT").is_none());
    assert!(bench.cdc.table_function_columns("fn_cdc_get_all_changes_dbo_t").is_none());
    assert_eq!(bench.rows("change_tables").len(), 0);
    bench.scan();
}

#[test]
fn a_tracked_table_refuses_some_ddl() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    let number = |kind| bench.cdc.check_ddl(T, kind).err().map(|error| error.number);
    assert_eq!(number(DdlKind::Truncate), Some(4711));
    assert_eq!(number(DdlKind::Key), Some(22979));
    assert_eq!(bench.cdc.check_rename(T, 1, "id").map_err(|error| error.number), Err(4928));
    assert_eq!((number(DdlKind::AddColumn), number(DdlKind::DropTable)), (None, None));
    assert_eq!(bench.cdc.check_ddl_of(T, DdlKind::Key, "IX_other"), Ok(()));
    assert_eq!(bench.cdc.check_rename(T, 3, "not_captured"), Ok(()));
    assert_eq!(bench.cdc.check_ddl(T + 1, DdlKind::Truncate), Ok(()));
}
