//! Loading a directory of tables.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use standin::load;
use standin::value::{SqlType, Value};

fn write_directory(csv: &str, rows: u64) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let schema = format!(
        r#"{{"tables": [{{"table": "Shop.Order Line", "file": "lines.csv.gz", "rows": {rows},
            "primary_key": ["Line", "Order"],
            "columns": [
              {{"name": "Order", "type": "int", "nullable": false, "identity": true}},
              {{"name": "Line", "type": "tinyint", "nullable": false, "identity": false}},
              {{"name": "Note", "type": "nvarchar(20)", "nullable": true, "identity": false}}]}}]}}"#
    );
    std::fs::write(directory.path().join("schema.json"), schema).unwrap();
    let file = std::fs::File::create(directory.path().join("lines.csv.gz")).unwrap();
    let mut encoder = GzEncoder::new(file, Compression::fast());
    encoder.write_all(csv.as_bytes()).unwrap();
    encoder.finish().unwrap();
    directory
}

fn rows(directory: &Path) -> anyhow::Result<Vec<Vec<Value>>> {
    load::tables(directory)?[0].rows()?.collect()
}

#[test]
fn a_table_is_read_with_its_key_and_types() {
    let directory = write_directory("Order,Line,Note\n1,2,\"a \"\"b\"\"\nc\"\n1,3,\n", 2);
    let table = &load::tables(directory.path()).unwrap()[0];
    assert_eq!((table.schema.as_str(), table.name.as_str()), ("Shop", "Order Line"));
    assert_eq!(table.primary_key, ["Line", "Order"]);
    assert!(table.columns[0].identity);
    assert_eq!(table.columns[2].sql_type, SqlType::NVarChar(Some(20)));
    let expected = vec![
        vec![Value::Int(1), Value::Int(2), Value::Text("a \"b\"\nc".into())],
        vec![Value::Int(1), Value::Int(3), Value::Null],
    ];
    assert_eq!(rows(directory.path()).unwrap(), expected);
}

#[test]
fn what_contradicts_the_schema_is_an_error_that_names_its_place() {
    let failing = [
        ("Order,Line\n1,2\n", 1, "header"),
        ("Order,Line,Note\n1,2,x\n", 2, "1 rows where the schema says 2"),
        ("Order,Line,Note\n1,2\n", 1, "Order Line"),
        ("Order,Line,Note\n1,300,x\n", 1, "row 1, column Line (tinyint)"),
        ("Order,Line,Note\n1,,x\n", 1, "row 1, column Line (tinyint)"),
    ];
    for (csv, count, expected) in failing {
        let directory = write_directory(csv, count);
        let error = format!("{:#}", rows(directory.path()).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }
}

/// The sample data, where a machine has it.
fn adventureworks() -> Option<PathBuf> {
    let directory = std::env::var_os("DELSERT_ADVENTUREWORKS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/adventureworks"),
        PathBuf::from,
    );
    directory.join("schema.json").exists().then_some(directory)
}

#[test]
fn adventureworks_reads_to_the_last_cell() {
    let Some(directory) = adventureworks() else {
        // Past the harness, which would hide what a passing test prints.
        let skipped = "SKIPPED adventureworks_reads_to_the_last_cell: set DELSERT_ADVENTUREWORKS to its directory";
        writeln!(std::io::stderr(), "{skipped}").unwrap();
        return;
    };
    let tables = load::tables(&directory).unwrap();
    let mut count = 0;
    for table in &tables {
        for row in table.rows().unwrap() {
            assert_eq!(row.unwrap().len(), table.columns.len());
            count += 1;
        }
    }
    assert_eq!((tables.len(), count), (60, 244_063));
}
