//! How rows come out: in pages that see commits in between, shuffled where no order was asked for.

use standin::session::{Flow, Session, Sink};
use standin::value::{Column, SqlError, SqlType, Value};

use crate::client::{cell, connect, errors, ok, server};

/// A hundred by a hundred numbers.
const NUMBERS: &str = "WITH d AS (SELECT n FROM (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) v(n)),
    h AS (SELECT a.n * 10 + b.n AS n FROM d a CROSS JOIN d b), k AS (SELECT a.n * 100 + b.n AS n FROM h a CROSS JOIN h b)";

/// Runs something when the first row comes.
struct Meddler<'a> {
    other: Option<&'a mut dyn Session>,
    sql: &'a str,
    rows: Vec<i64>,
}

impl Sink for Meddler<'_> {
    fn columns(&mut self, _: &[Column]) -> Flow {
        Flow::Continue
    }
    fn row(&mut self, row: &[Value]) -> Flow {
        if let Some(other) = self.other.take() {
            ok(other, self.sql);
        }
        let Value::Int(id) = row[0] else { panic!("an id") };
        self.rows.push(id);
        Flow::Continue
    }
    fn done(&mut self, _: Option<u64>) -> Flow {
        Flow::Continue
    }
    fn message(&mut self, message: &SqlError) -> Flow {
        panic!("{message}");
    }
    fn database_changed(&mut self, _: &str, _: &str) {}
    fn transaction(&mut self, _: Option<u64>, _: bool) {}
    fn output(&mut self, _: &str, _: SqlType, _: &Value) {}
    fn return_status(&mut self, _: i32) {}
}

#[test]
fn a_read_committed_scan_meets_a_row_that_moved_twice() {
    let engine = server();
    let (mut one, mut two) = (connect(&engine), connect(&engine));
    ok(
        one.as_mut(),
        &format!("CREATE TABLE t (id int PRIMARY KEY, v int); {NUMBERS} INSERT t SELECT n, n FROM k WHERE n < 3000"),
    );
    let sql = "UPDATE t SET id = 9000 WHERE id = 1";
    let mut meddler = Meddler { other: Some(two.as_mut()), sql, rows: Vec::new() };
    one.batch("SELECT id FROM t ORDER BY id", &[], &mut meddler);
    assert_eq!(meddler.rows.len(), 3001);
    assert!(meddler.rows.contains(&1) && meddler.rows.contains(&9000));
    // Under SNAPSHOT the table stands still.
    ok(
        one.as_mut(),
        "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON; SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN",
    );
    let sql = "UPDATE t SET id = 9999 WHERE id = 2";
    let mut meddler = Meddler { other: Some(two.as_mut()), sql, rows: Vec::new() };
    one.batch("SELECT id FROM t ORDER BY id", &[], &mut meddler);
    assert_eq!(meddler.rows.len(), 3000);
    assert!(meddler.rows.contains(&2) && !meddler.rows.contains(&9999));
}

#[test]
fn unordered_rows_come_shuffled_and_ordered_ones_do_not() {
    let engine = server();
    let mut session = connect(&engine);
    ok(
        session.as_mut(),
        &format!("CREATE TABLE t (id int PRIMARY KEY); {NUMBERS} INSERT t SELECT n FROM k WHERE n < 2500"),
    );
    let rows = ok(session.as_mut(), "SELECT id FROM t").rows().to_vec();
    assert_eq!(rows.len(), 2500);
    assert!(!rows.is_sorted_by_key(|row| format!("{:>9?}", row[0])));
    let ids = |sql: &str, session: &mut dyn Session| -> Vec<i64> {
        ok(session, sql).rows().iter().map(|row| if let Value::Int(id) = row[0] { id } else { -1 }).collect()
    };
    assert!(ids("SELECT id FROM t ORDER BY id", session.as_mut()).is_sorted());
    assert_eq!(ids("SELECT TOP (3) id FROM t WHERE id > 700 ORDER BY id", session.as_mut()), [701, 702, 703]);
    assert_eq!(ids("SELECT TOP 50 PERCENT id FROM t WHERE id < 5 ORDER BY id", session.as_mut()), [0, 1, 2]);
}

#[test]
fn a_large_statement_that_fails_leaves_nothing_in_the_log() {
    let engine = server();
    let mut session = connect(&engine);
    let session = session.as_mut();
    ok(session, "CREATE TABLE t (id int PRIMARY KEY); EXEC sys.sp_cdc_enable_db");
    ok(session, "EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 't', @role_name = NULL");
    let sql = format!(
        "BEGIN TRAN; {NUMBERS} INSERT t SELECT CASE n WHEN 2999 THEN 0 ELSE n END FROM k WHERE n < 3000 ORDER BY n"
    );
    assert_eq!(errors(session, &sql), [2627]);
    ok(session, "INSERT t VALUES (-1); COMMIT; EXEC sys.sp_cdc_scan");
    assert_eq!(cell(session, "SELECT COUNT(*) FROM cdc.dbo_t_CT"), Value::Int(1));
}
