//! The clock that tests push, and the database that goes back.

use standin::session::Session;
use standin::value::Value;

use crate::client::{captured, cell, connect, errors, ok, server};

const MAX: &str = "SELECT sys.fn_cdc_get_max_lsn()";

/// Milliseconds between an expression and another.
fn apart(session: &mut dyn Session, from: &str, to: &str) -> i64 {
    let sql = format!("SELECT DATEDIFF_BIG(millisecond, {from}, {to})");
    let Value::Int(apart) = cell(session, &sql) else { panic!("no number") };
    apart
}

#[test]
fn all_clocks_of_the_database_move_together() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    let before = cell(session, "SELECT CONVERT(nvarchar(30), SYSUTCDATETIME(), 126)");
    let Value::Text(before) = before else { panic!("no time") };
    ok(session, "EXEC sys.sp_standin_advance_clock @seconds = 7200");
    for clock in ["GETDATE()", "GETUTCDATE()", "SYSDATETIME()", "SYSUTCDATETIME()", "SYSDATETIMEOFFSET()"] {
        let moved = apart(session, &format!("CAST('{before}' AS datetime2)"), clock);
        assert!((7_199_990..7_230_000).contains(&moved), "{clock} moved by {moved} ms");
    }
    assert_eq!(apart(session, "GETDATE()", "GETUTCDATE()"), 0, "the server's offset");
    ok(session, "INSERT t VALUES (1, 'a'); EXEC sys.sp_cdc_scan");
    let sql = "DECLARE @at datetime = sys.fn_cdc_map_lsn_to_time(sys.fn_cdc_get_max_lsn());
        SELECT ABS(DATEDIFF(second, @at, GETDATE()))";
    let Value::Int(old) = cell(session, sql) else { panic!("no number") };
    assert!(old < 30, "the commit is {old} s off");
}

/// Reference, section 4: idle databases still get placeholder rows, with `tran_id` 0x00.
#[test]
fn an_idle_database_is_given_a_placeholder_by_the_scan_after_five_minutes() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    let idle = "SELECT COUNT(*) FROM cdc.lsn_time_mapping WHERE tran_id = 0x00";
    ok(session, "EXEC sys.sp_standin_advance_clock @seconds = 200; EXEC sys.sp_cdc_scan");
    assert_eq!(cell(session, idle), Value::Int(0));
    let before = cell(session, MAX);
    ok(session, "EXEC sys.sp_standin_advance_clock @seconds = 100; EXEC sys.sp_cdc_scan; EXEC sys.sp_cdc_scan");
    assert_eq!(cell(session, idle), Value::Int(1));
    assert_ne!(cell(session, MAX), before);
}

#[test]
fn a_restore_takes_back_rows_changes_and_log() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    let marks = "SELECT CAST(service_broker_guid AS nvarchar(36)) FROM sys.databases WHERE name = 'shop'";
    let fork =
        "SELECT CAST(recovery_fork_guid AS nvarchar(36)) FROM sys.database_recovery_status WHERE database_id = 5";
    ok(session, "INSERT t VALUES (1, 'kept'); EXEC sys.sp_cdc_scan; EXEC sys.sp_standin_backup @name = N'monday'");
    let (max, broker, old_fork) = (cell(session, MAX), cell(session, marks), cell(session, fork));
    ok(session, "UPDATE t SET v = 'lost'; CREATE TABLE u (id int); EXEC sys.sp_cdc_scan");
    let lost = cell(session, MAX);
    let time = "SELECT sys.fn_cdc_map_lsn_to_time(sys.fn_cdc_get_max_lsn())";
    let lost_at = cell(session, time);
    ok(session, "EXEC sys.sp_standin_advance_clock @seconds = 3600; EXEC sys.sp_standin_restore @name = N'monday'");
    assert_eq!((cell(session, MAX), cell(session, marks)), (max, broker.clone()));
    assert_ne!(cell(session, fork), old_fork);
    assert_eq!(cell(session, "SELECT v FROM t"), Value::Text("kept".into()));
    assert_eq!(errors(session, "SELECT * FROM u"), [208]);
    assert_eq!(cell(session, "SELECT COUNT(*) FROM cdc.dbo_t_CT"), Value::Int(1));
    assert_eq!(cell(session, "SELECT COUNT(*) FROM msdb.dbo.restorehistory"), Value::Int(1));
    // The log goes on from there, over the same positions, at another time.
    ok(session, "UPDATE t SET v = 'anew'; CREATE TABLE u (id int); EXEC sys.sp_cdc_scan");
    assert_eq!(cell(session, MAX), lost);
    assert_ne!(cell(session, time), lost_at);
    ok(session, "EXEC sys.sp_standin_restore @name = N'monday', @new_broker = 1");
    assert_ne!(cell(session, marks), broker);
    assert_eq!(errors(session, "EXEC sys.sp_standin_restore @name = N'tuesday'"), [50_000]);
}

#[test]
fn a_restore_ends_the_other_sessions_of_the_database() {
    let engine = server();
    let mut session = captured(&engine);
    let (mut other, mut elsewhere) = (connect(&engine), connect(&engine));
    ok(elsewhere.as_mut(), "USE master");
    ok(session.as_mut(), "EXEC sys.sp_standin_backup @name = N'b'");
    ok(other.as_mut(), "BEGIN TRAN; INSERT t VALUES (5, 'open')");
    ok(other.as_mut(), "SET LOCK_TIMEOUT 0");
    assert_eq!(
        errors(session.as_mut(), "SET LOCK_TIMEOUT 0; EXEC sys.sp_standin_restore @name = N'b'"),
        [3101],
        "a writer is at work"
    );
    ok(other.as_mut(), "ROLLBACK");
    ok(session.as_mut(), "EXEC sys.sp_standin_restore @name = N'b'");
    assert_eq!(errors(other.as_mut(), "SELECT 1"), [596]);
    ok(elsewhere.as_mut(), "SELECT 1");
    ok(session.as_mut(), "INSERT t VALUES (6, 'x')");
    ok(connect(&engine).as_mut(), "INSERT t VALUES (7, 'y')");
}
