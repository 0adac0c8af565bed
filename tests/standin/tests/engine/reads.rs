//! Reads of change data that are disturbed on the way.

use std::time::{Duration, Instant};

use standin::engine::Engine;
use standin::session::Session;
use standin::value::Value;

use crate::client::{captured, connect, errors, ok, server};

/// A session that captured an insert of each of ten keys, a transaction each.
fn ten(engine: &Engine) -> Box<dyn Session> {
    let mut session = captured(engine);
    for id in 1..=10 {
        ok(session.as_mut(), &format!("INSERT t VALUES ({id}, 'x'); EXEC sys.sp_standin_advance_clock @seconds = 1"));
    }
    ok(session.as_mut(), "EXEC sys.sp_cdc_scan");
    session
}

fn ids(session: &mut dyn Session, sql: &str) -> Vec<i64> {
    let id = |row: &Vec<Value>| if let Value::Int(id) = row[0] { id } else { panic!("no id") };
    let mut ids: Vec<i64> = ok(session, sql).rows().iter().map(id).collect();
    ids.sort_unstable();
    ids
}

/// An order to clean up to the key 8 after so many rows.
fn clean_after(session: &mut dyn Session, rows: u32) {
    let cleanup = "DECLARE @low binary(10) = (SELECT [__$start_lsn] FROM cdc.dbo_t_CT WHERE id = 8);
        EXEC sys.sp_cdc_cleanup_change_table @capture_instance = ''dbo_t'', @low_water_mark = @low";
    ok(
        session,
        &format!(
            "EXEC sys.sp_standin_during_read @capture_instance = N'DBO_T', @after_rows = {rows}, @statement = N'{cleanup}'"
        ),
    );
}

const FUNCTION: &str =
    "SELECT id FROM cdc.fn_cdc_get_all_changes_dbo_t(sys.fn_cdc_get_min_lsn('dbo_t'), sys.fn_cdc_get_max_lsn(), 'all')";

#[test]
fn a_cleanup_takes_rows_that_the_read_has_not_reached() {
    // The statement itself reads the change table, and is not disturbed by its own order.
    for (rows, left) in [(0, vec![8, 9, 10]), (3, vec![1, 2, 3, 8, 9, 10]), (9, (1..=10).collect())] {
        for read in ["SELECT id FROM cdc.dbo_t_CT", "SELECT TOP (100) id FROM cdc.dbo_t_CT ORDER BY id DESC", FUNCTION]
        {
            let engine = server();
            let mut session = ten(&engine);
            let session = session.as_mut();
            clean_after(session, rows);
            assert_eq!(ids(session, read), left, "after {rows} rows of {read}");
            assert_eq!(ids(session, "SELECT id FROM cdc.dbo_t_CT"), [8, 9, 10]);
        }
    }
}

#[test]
fn an_order_waits_for_its_instance_and_runs_at_the_end_of_a_shorter_read() {
    let engine = server();
    let mut session = ten(&engine);
    let session = session.as_mut();
    clean_after(session, 50);
    ok(session, "SELECT * FROM cdc.change_tables; SELECT * FROM cdc.lsn_time_mapping; SELECT * FROM t");
    assert_eq!(ids(session, "SELECT id FROM cdc.dbo_t_CT").len(), 10);
    assert_eq!(ids(session, "SELECT id FROM cdc.dbo_t_CT"), [8, 9, 10]);
}

#[test]
fn an_order_that_fails_is_told() {
    let engine = server();
    let mut session = ten(&engine);
    let session = session.as_mut();
    let order = "EXEC sys.sp_standin_during_read @capture_instance = N'dbo_t', @statement = N'SELECT 1 / 0'";
    ok(session, order);
    assert_eq!(errors(session, "SELECT id FROM cdc.dbo_t_CT"), [50_000]);
    ok(session, order);
    assert_eq!(errors(session, FUNCTION), [50_000]);
    ok(session, FUNCTION);
}

#[test]
fn ordered_rows_come_slowly_so_often() {
    let engine = server();
    let (mut session, mut other) = (ten(&engine), connect(&engine));
    ok(other.as_mut(), "EXEC sys.sp_standin_slow_rows @milliseconds = 300, @times = 1, @text = N'FROM t'");
    let mut took = |sql: &str| {
        let start = Instant::now();
        ok(session.as_mut(), sql);
        start.elapsed()
    };
    let least = Duration::from_secs(3);
    assert!(took("SELECT id FROM cdc.dbo_t_CT") < least);
    assert!(took("SELECT id FROM t") >= least);
    assert!(took("SELECT id FROM t") < least);
}

/// What a statement can see of a change table is read off its WHERE; a table of the same rows knows nothing of that.
#[test]
fn a_narrow_question_is_answered_as_a_table_of_the_same_rows_answers_it() {
    let engine = server();
    let mut session = ten(&engine);
    let session = session.as_mut();
    ok(session, "SELECT * INTO #all FROM cdc.dbo_t_CT");
    let lsns = [2, 5, 10].map(|id| format!("(SELECT MIN([__$start_lsn]) FROM #all WHERE id = {id})"));
    let constants = ["CAST(0x00 AS binary(10))", "0xFFFFFFFFFFFFFFFFFFFF", "0xFF", "CAST(NULL AS binary(10))"];
    let mut bounds: Vec<String> = constants.map(str::to_owned).to_vec();
    for (at, lsn) in lsns.iter().enumerate() {
        ok(session, &format!("SELECT {lsn} AS lsn INTO #l{at}"));
        bounds.push(format!("@l{at}"));
    }
    bounds.push("CAST(@l1 AS varbinary(9))".to_owned());
    let declared = "DECLARE @l0 binary(10) = (SELECT lsn FROM #l0), @l1 binary(10) = (SELECT lsn FROM #l1), \
                    @l2 binary(10) = (SELECT lsn FROM #l2); ";
    let mut conditions = vec!["1 = 1".to_owned(), "t.id = 3".to_owned()];
    for low in &bounds {
        for op in ["<", "<=", "=", ">=", ">", "<>"] {
            conditions.push(format!("t.[__$start_lsn] {op} {low}"));
            conditions.push(format!("{low} {op} [__$start_lsn]"));
        }
        for high in &bounds {
            conditions.push(format!("[__$start_lsn] BETWEEN {low} AND {high}"));
            conditions.push(format!("t.[__$start_lsn] > {low} AND (t.[__$start_lsn] < {high}) AND t.id = 5"));
            conditions.push(format!("[__$start_lsn] > {low} AND [__$start_lsn] > {high}"));
            conditions.push(format!("([__$start_lsn] > {low} OR [__$start_lsn] < {high})"));
        }
    }
    for condition in &conditions {
        for question in [
            "SELECT COUNT(*) FROM {} AS t WHERE {?}",
            "SELECT MIN(t.[__$start_lsn]) FROM {} AS t WHERE {?}",
            "SELECT MAX([__$start_lsn]) FROM {} AS t WHERE {?}",
            "SELECT MIN(id) FROM {} AS t WHERE {?}",
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM {} AS t WHERE {?}) THEN 1 ELSE 0 END",
            "SELECT COUNT(*) FROM #all AS a WHERE NOT EXISTS (SELECT 1 FROM {} AS t WHERE {?} AND t.id = a.id)",
            "SELECT COUNT(*) FROM #all AS a WHERE a.[__$start_lsn] = (SELECT MIN(t.[__$start_lsn]) FROM {} AS t WHERE {?})",
            "SELECT COUNT(*) FROM cdc.lsn_time_mapping AS m WHERE m.start_lsn >= (SELECT MIN(t.[__$start_lsn]) FROM {} AS t WHERE {?})",
            "SELECT COUNT(*) FROM {} AS t WHERE {?} AND [__$start_lsn] <= (SELECT MAX(start_lsn) FROM cdc.lsn_time_mapping)",
            "SELECT COUNT(*) FROM (SELECT id AS n, ROW_NUMBER() OVER (ORDER BY id) AS r FROM {} AS t WHERE {?}) AS c WHERE c.r > 1",
        ] {
            let mut ask = |table: &str| {
                ok(session, &format!("{declared}{}", question.replace("{}", table).replace("{?}", condition)))
                    .rows()
                    .to_vec()
            };
            assert_eq!(ask("cdc.dbo_t_CT"), ask("#all"), "{question} {condition}");
        }
    }
}
