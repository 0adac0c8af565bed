//! Enabling, disabling, and what the server says to mistakes.

use standin::table::IndexDef;
use standin::value::{SqlType, Value};

use crate::bench::{Bench, column, table_t, text};

#[test]
fn enabling_a_database_asks_for_sysadmin_and_once() {
    let mut bench = Bench::new(Vec::new());
    let again = bench.run("sp_cdc_enable_db", &[]);
    assert_eq!((again.messages[0].number, again.messages[0].severity), (22905, 10));
    bench.session.roles = vec!["db_owner"];
    assert_eq!(bench.number("sp_cdc_enable_db", &[]), 22902);
    bench.session.roles = vec![];
    assert_eq!(bench.number("sp_cdc_enable_table", &Bench::enable_args(&[])), 22904);
}

#[test]
fn what_is_wrong_with_an_instance_has_its_number() {
    let mut table = table_t(SqlType::Int);
    table.columns.push(column(3, "__$operation", SqlType::Int));
    table.columns.push(column(4, "w", SqlType::Int));
    let index =
        |name: &str, unique, columns| IndexDef { index_id: 2, name: name.into(), unique, primary_key: false, columns };
    table.indexes.push(index("IX_v", false, vec![2]));
    table.indexes.push(index("UQ_w", true, vec![4]));
    let mut heap = table_t(SqlType::Int);
    heap.object_id = 102;
    heap.name = "heap".into();
    heap.indexes.clear();
    let bench = Bench::new(vec![table, heap]);
    let long = "x".repeat(101);
    let listed = ("@captured_column_list", text("id, v"));
    let cases: Vec<(Vec<(&'static str, Value)>, i32)> = vec![
        (vec![], 22975),
        (vec![("@source_name", text("absent"))], 22931),
        (vec![("@source_schema", text("cdc"))], 22974),
        (vec![("@source_name", Value::Null)], 22963),
        (vec![listed.clone(), ("@role_name", text(""))], 22907),
        (vec![listed.clone(), ("@capture_instance", text(&long))], 22927),
        (vec![listed.clone(), ("@index_name", text("nothing"))], 22928),
        (vec![listed.clone(), ("@index_name", text("IX_v"))], 22929),
        (vec![listed.clone(), ("@index_name", text("UQ_w"))], 22838),
        (vec![("@captured_column_list", text("v"))], 22943),
        (vec![("@captured_column_list", text("id, nothing"))], 22942),
        (vec![("@captured_column_list", text("[id, v"))], 22965),
        (vec![listed.clone(), ("@filegroup_name", text("ARCHIVE"))], 22973),
        (vec![("@source_name", text("heap")), ("@supports_net_changes", Value::Bit(true))], 22939),
        (vec![listed.clone(), ("@nonsense", Value::Null)], 8145),
    ];
    for (more, number) in cases {
        assert_eq!(bench.number("sp_cdc_enable_table", &Bench::enable_args(&more)), number, "{more:?}");
    }
    assert_eq!(bench.number("sp_cdc_enable_table", &[("@source_schema", text("dbo"))]), 201);
    bench.enable(&[listed]);
    bench.enable(&[("@source_name", text("heap"))]);
    assert_eq!(bench.rows("change_tables")[1][6], Value::Bit(false), "no key, no net changes");
}

#[test]
fn a_table_has_two_instances_at_most_and_names_are_unique() {
    let bench = Bench::new(vec![table_t(SqlType::Int)]);
    bench.enable(&[]);
    assert_eq!(
        bench.number("sp_cdc_enable_table", &Bench::enable_args(&[("@capture_instance", text("DBO_T"))])),
        22926
    );
    bench.enable(&[("@capture_instance", text("second"))]);
    assert_eq!(
        bench.number("sp_cdc_enable_table", &Bench::enable_args(&[("@capture_instance", text("third"))])),
        22962
    );
    let tables = bench.rows("change_tables");
    assert_ne!(tables[0][0], tables[1][0]);
    assert_eq!(bench.cdc.objects().len(), 2);
    let error = bench.call("sp_cdc_enable_table", &Bench::enable_args(&[])).unwrap_err();
    assert_eq!(error.procedure, "sp_cdc_enable_table");
}

#[test]
fn disabling_names_what_is_not_there() {
    let bench = Bench::new(vec![table_t(SqlType::Int)]);
    let args =
        |name: &str| [("@source_schema", text("dbo")), ("@source_name", text("T")), ("@capture_instance", text(name))];
    assert_eq!(bench.number("sp_cdc_disable_table", &args("all")), 22985);
    bench.enable(&[]);
    bench.enable(&[("@capture_instance", text("second"))]);
    assert_eq!(bench.number("sp_cdc_disable_table", &args("third")), 22960);
    bench.run("sp_cdc_disable_table", &args("Second"));
    assert_eq!(bench.rows("change_tables").len(), 1);
    bench.run("sp_cdc_disable_table", &args("all"));
    assert!(bench.rows("change_tables").is_empty());
}

#[test]
fn help_tells_what_is_captured() {
    let mut bench = Bench::new(vec![table_t(SqlType::Int)]);
    bench.enable(&[("@role_name", text("readers"))]);
    let help = |bench: &Bench| bench.run("sp_cdc_help_change_data_capture", &[]).results.remove(0);
    let told = help(&bench);
    let at = |name: &str| told.columns.iter().position(|column| column.name == name).unwrap();
    let row = &told.rows[0];
    assert_eq!(row[at("capture_instance")], text("dbo_t"));
    assert_eq!(row[at("index_column_list")], text("[id]"));
    assert_eq!(row[at("captured_column_list")], text("[id], [v]"));
    assert_eq!(row[at("index_name")], text("PK_t"));
    assert_eq!(bench.number("sp_cdc_help_change_data_capture", &[("@source_name", text("t"))]), 22972);
    let captured = bench.run("sp_cdc_get_captured_columns", &[("@capture_instance", text("dbo_t"))]);
    assert_eq!(captured.results[0].rows[1][6..8], [text("nvarchar"), Value::Int(50)]);
    bench.session.roles = vec![];
    assert!(help(&bench).rows.is_empty(), "a stranger sees nothing");
    assert_eq!(bench.number("sp_cdc_get_ddl_history", &[("@capture_instance", text("dbo_t"))]), 22981);
}

#[test]
fn the_metadata_tables_agree() {
    let bench = Bench::new(vec![table_t(SqlType::Int)]);
    bench.enable(&[]);
    let object_id = bench.rows("change_tables")[0][0].clone();
    for relation in bench.cdc.relations() {
        let columns = bench.cdc.relation(&relation).unwrap();
        assert!(bench.rows(&relation).iter().all(|row| row.len() == columns.len()), "{relation}");
    }
    assert_eq!(bench.rows("captured_columns").len(), 2);
    assert_eq!(bench.rows("index_columns"), [vec![object_id, text("id"), Value::Int(1), Value::Int(1)]]);
}
