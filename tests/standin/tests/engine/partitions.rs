//! Partitioned tables: reference, sections 1 and 8. Rows that a switch moves leave no change record.

use standin::session::Session;
use standin::value::Value;

use crate::client::{cell, connect, errors, ok, run, server};

const TABLES: &str = "CREATE PARTITION FUNCTION by_year (int) AS RANGE RIGHT FOR VALUES (2021, 2020);
    CREATE PARTITION SCHEME years AS PARTITION by_year ALL TO ([PRIMARY]);
    CREATE TABLE sales (id int NOT NULL, y int NOT NULL, v varchar(9),
        CONSTRAINT PK_sales PRIMARY KEY CLUSTERED (id, y)) ON years (y);
    CREATE TABLE archive (id int NOT NULL, y int NOT NULL, v varchar(9), PRIMARY KEY (id, y));
    INSERT sales VALUES (1, 2019, 'a'), (2, 2020, 'b'), (3, 2020, 'c'), (4, 2021, 'd'), (5, 2030, 'e')";

/// A session with the tables, CDC on in the database.
fn tables(engine: &standin::engine::Engine) -> Box<dyn Session> {
    let mut session = connect(engine);
    ok(session.as_mut(), TABLES);
    ok(session.as_mut(), "EXEC sys.sp_cdc_enable_db");
    session
}

/// Enables a table; the warnings that come.
fn enable(session: &mut dyn Session, table: &str, more: &str) -> Vec<i32> {
    let sql = format!(
        "EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = '{table}', @role_name = NULL{more}"
    );
    let messages = ok(session, &sql).messages;
    messages.iter().map(|message| message.number).filter(|number| *number != 14_243).collect()
}

fn count(session: &mut dyn Session, table: &str) -> Value {
    cell(session, &format!("SELECT COUNT(*) FROM {table}"))
}

#[test]
fn the_catalogue_tells_how_a_table_is_divided() {
    let engine = server();
    let mut session = tables(&engine);
    let session = session.as_mut();
    let sql = "SELECT ds.type, f.name, f.fanout, f.boundary_value_on_right, i.index_id
        FROM sys.indexes AS i JOIN sys.data_spaces AS ds ON ds.data_space_id = i.data_space_id
        LEFT JOIN sys.partition_schemes AS s ON s.data_space_id = ds.data_space_id
        LEFT JOIN sys.partition_functions AS f ON f.function_id = s.function_id WHERE i.object_id = OBJECT_ID('sales')";
    let text = |text: &str| Value::Text(text.to_owned());
    assert_eq!(
        ok(session, sql).rows(),
        [[text("PS"), text("by_year"), Value::Int(3), Value::Bit(true), Value::Int(1)]]
    );
    assert_eq!(ok(session, &sql.replace("'sales'", "'archive'")).rows()[0][0], text("FG"));
    let sql = "SELECT partition_number, rows FROM sys.partitions WHERE object_id = OBJECT_ID('sales') ORDER BY 1";
    let rows: Vec<_> = ok(session, sql).rows().to_vec();
    assert_eq!(rows, [[1, 1], [2, 2], [3, 2]].map(|row| row.map(Value::Int).to_vec()));
    let by = "SELECT column_id FROM sys.index_columns WHERE object_id = OBJECT_ID('sales') AND partition_ordinal = 1";
    assert_eq!(cell(session, by), Value::Int(2));
}

#[test]
fn a_boundary_belongs_to_the_side_that_the_range_names() {
    let engine = server();
    let mut session = connect(&engine);
    let session = session.as_mut();
    ok(
        session,
        "CREATE PARTITION FUNCTION l (varchar(9)) AS RANGE LEFT FOR VALUES ('g', 'p');
         CREATE PARTITION SCHEME s AS PARTITION l TO ([PRIMARY], [PRIMARY], [PRIMARY]);
         CREATE TABLE t (v varchar(9)) ON s(v); INSERT t VALUES ('g'), (NULL), ('p'), ('q')",
    );
    let sql = "SELECT rows FROM sys.partitions WHERE object_id = OBJECT_ID('t') ORDER BY partition_number";
    assert_eq!(ok(session, sql).rows(), [[2], [1], [1]].map(|row| row.map(Value::Int)));
}

#[test]
fn a_switch_moves_rows_and_capture_sees_none_of_it() {
    let engine = server();
    let mut session = tables(&engine);
    let session = session.as_mut();
    assert_eq!(enable(session, "sales", ""), [22_855]);
    assert_eq!(enable(session, "archive", ""), [0; 0]);
    ok(session, "ALTER TABLE sales SWITCH PARTITION 2 TO archive; EXEC sys.sp_cdc_scan");
    assert_eq!((count(session, "sales"), count(session, "archive")), (Value::Int(3), Value::Int(2)));
    assert_eq!(cell(session, "SELECT v FROM archive WHERE id = 3"), Value::Text("c".into()));
    let none = Value::Int(0);
    assert_eq!((count(session, "cdc.dbo_sales_CT"), count(session, "cdc.dbo_archive_CT")), (none.clone(), none));
    ok(session, "BEGIN TRAN; ALTER TABLE archive SWITCH TO sales PARTITION 2; ROLLBACK");
    assert_eq!(count(session, "archive"), Value::Int(2));
    ok(session, "ALTER TABLE archive SWITCH TO sales PARTITION 2");
    assert_eq!(count(session, "sales"), Value::Int(5));
    let switchable = "SELECT partition_switch FROM cdc.change_tables WHERE capture_instance = 'dbo_sales'";
    assert_eq!(cell(session, switchable), Value::Bit(true));
}

#[test]
fn an_instance_that_allows_no_switch_blocks_it_both_ways() {
    let engine = server();
    let mut session = tables(&engine);
    let session = session.as_mut();
    assert_eq!(enable(session, "sales", ", @allow_partition_switch = 0"), [22_356]);
    assert_eq!(errors(session, "ALTER TABLE sales SWITCH PARTITION 1 TO archive"), [22_842]);
    assert_eq!(errors(session, "ALTER TABLE archive SWITCH TO sales PARTITION 1"), [22_843]);
    assert_eq!(count(session, "sales"), Value::Int(5));
    // A table without partitions cannot block it: the setting is ignored.
    assert_eq!(enable(session, "archive", ", @allow_partition_switch = 0"), [22_857]);
    let switchable = "SELECT partition_switch FROM cdc.change_tables WHERE capture_instance =";
    assert_eq!(cell(session, &format!("{switchable} 'dbo_sales'")), Value::Bit(false));
    assert_eq!(cell(session, &format!("{switchable} 'dbo_archive'")), Value::Bit(true));
}

#[test]
fn what_does_not_fit_is_not_switched() {
    let engine = server();
    let mut session = tables(&engine);
    let session = session.as_mut();
    ok(session, "CREATE TABLE other (id int NOT NULL, y int NOT NULL, w varchar(9)); CREATE TABLE small (id int)");
    ok(session, "CREATE TABLE wide (id bigint NOT NULL, y int NOT NULL, v varchar(9))");
    for (sql, error) in [
        ("ALTER TABLE sales SWITCH PARTITION 4 TO archive", 7722),
        ("ALTER TABLE archive SWITCH PARTITION 2 TO sales PARTITION 1", 7722),
        ("ALTER TABLE sales SWITCH TO archive", 4911),
        ("ALTER TABLE sales SWITCH PARTITION 1 TO nobody", 4902),
        ("ALTER TABLE nobody SWITCH TO archive", 4902),
        ("ALTER TABLE sales SWITCH PARTITION 1 TO other", 4957),
        ("ALTER TABLE sales SWITCH PARTITION 1 TO small", 4943),
        ("ALTER TABLE sales SWITCH PARTITION 1 TO wide", 4944),
        ("CREATE TABLE bad (id int PRIMARY KEY, y int) ON years (y)", 1908),
        ("CREATE TABLE bad (id int) ON nowhere (id)", 1921),
        ("CREATE TABLE bad (id int) ON years (y)", 1911),
        ("DROP PARTITION FUNCTION by_year", 7706),
        ("DROP PARTITION SCHEME years", 7717),
        ("CREATE PARTITION FUNCTION f (int) AS RANGE LEFT FOR VALUES (1, 1)", 7708),
        ("CREATE PARTITION SCHEME s AS PARTITION by_year TO ([PRIMARY])", 7707),
        ("CREATE PARTITION SCHEME s AS PARTITION nobody ALL TO ([PRIMARY])", 7720),
    ] {
        assert_eq!(run(session, sql).errors(), [error], "{sql}");
    }
    ok(session, "INSERT archive VALUES (9, 2025, 'z')");
    assert_eq!(errors(session, "ALTER TABLE sales SWITCH PARTITION 1 TO archive"), [4905]);
    assert_eq!(errors(session, "ALTER TABLE archive SWITCH TO sales PARTITION 3"), [4904]);
    ok(session, "DELETE sales WHERE y < 2020");
    assert_eq!(errors(session, "ALTER TABLE archive SWITCH TO sales PARTITION 1"), [4972]);
    ok(session, "DROP TABLE sales; DROP PARTITION SCHEME years; DROP PARTITION FUNCTION by_year");
}
