//! Cleanups: what they prune, and how they fail. Reference, section 7.

use standin::session::Session;
use standin::value::Value;

use crate::client::{captured, cell, errors, ok, run, server};

const PURGE: &str = "DECLARE @low binary(10) = sys.fn_cdc_get_max_lsn(), @failed bit, @status int;
    EXEC @status = sys.sp_cdc_cleanup_change_table @capture_instance = 'dbo_t', @low_water_mark = @low,
        @fCleanupFailed = @failed OUTPUT;
    SELECT @failed, @status";

const STATE: &str = "SELECT (SELECT COUNT(*) FROM cdc.dbo_t_CT), (SELECT COUNT(*) FROM cdc.lsn_time_mapping),
    CASE WHEN sys.fn_cdc_get_min_lsn('dbo_t') = sys.fn_cdc_get_max_lsn() THEN 1 ELSE 0 END";

/// Three transactions, seconds apart.
fn three(session: &mut dyn Session) {
    for id in 1..=3 {
        ok(session, &format!("INSERT t VALUES ({id}, 'x'); EXEC sys.sp_standin_advance_clock @seconds = 61"));
    }
    ok(session, "EXEC sys.sp_cdc_scan");
}

/// Changes left, times left, whether the low end is raised.
fn state(session: &mut dyn Session) -> Vec<Value> {
    ok(session, STATE).rows()[0].clone()
}

fn ints(list: [i64; 3]) -> Vec<Value> {
    list.map(Value::Int).into()
}

#[test]
fn a_failed_cleanup_raises_the_low_end_all_the_same_and_says_so_to_who_asks() {
    for (number, before, left) in [(22_852, [3, 4, 0], [3, 4, 1]), (22_853, [3, 4, 0], [1, 4, 1])] {
        let engine = server();
        let mut session = captured(&engine);
        let session = session.as_mut();
        three(session);
        assert_eq!(state(session), ints(before));
        ok(session, &format!("EXEC sys.sp_standin_fail_cleanup @number = {number}"));
        let answer = run(session, PURGE);
        assert_eq!(answer.rows(), [[Value::Bit(true), Value::Int(1)]]);
        assert!(answer.messages.iter().any(|message| message.number == number && message.severity == 10));
        assert_eq!(state(session), ints(left), "{number}");
        // The same again does what was left.
        assert_eq!(run(session, PURGE).rows(), [[Value::Bit(false), Value::Int(0)]]);
        assert_eq!(state(session), ints([1, 1, 1]));
    }
}

#[test]
fn a_cleanup_that_stops_before_it_begins_changes_nothing() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    three(session);
    ok(session, "EXEC sys.sp_standin_fail_cleanup @number = 22954; EXEC sys.sp_standin_fail_cleanup @number = 22851");
    assert_eq!(errors(session, PURGE), [22_954]);
    assert_eq!(errors(session, PURGE), [22_851]);
    assert_eq!(state(session), ints([3, 4, 0]));
    assert_eq!(errors(session, "EXEC sys.sp_standin_fail_cleanup @number = 22964"), [50_000]);
}

#[test]
fn times_are_kept_for_the_instance_that_begins_lowest() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    ok(session, "CREATE TABLE other (id int PRIMARY KEY)");
    ok(session, "EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 'other', @role_name = NULL");
    three(session);
    ok(session, PURGE);
    let mapped = "SELECT COUNT(*) FROM cdc.lsn_time_mapping WHERE start_lsn < sys.fn_cdc_get_min_lsn('dbo_t')";
    assert_eq!(cell(session, mapped), Value::Int(3), "'other' begins before, and needs them");
    ok(session, &PURGE.replace("dbo_t", "dbo_other"));
    assert_eq!(cell(session, mapped), Value::Int(0));
}

#[test]
fn the_job_keeps_its_retention_by_the_clock_that_tests_push() {
    let engine = server();
    let mut session = captured(&engine);
    let session = session.as_mut();
    ok(session, "EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 2");
    three(session);
    ok(session, "EXEC sys.sp_standin_fail_cleanup @number = 22852; EXEC sys.sp_cdc_start_job N'cleanup'");
    assert_eq!(state(session), ints([3, 4, 0]));
    ok(session, "EXEC sys.sp_cdc_start_job N'cleanup'");
    // The newest commit is 122 seconds younger than the first of three, and 61 than the second.
    assert_eq!(cell(session, "SELECT MIN(id) FROM cdc.dbo_t_CT"), Value::Int(2));
    assert_eq!(state(session), ints([2, 2, 0]));
}
