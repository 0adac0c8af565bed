//! Old changes go.

use std::time::Duration;

use standin::session::Param;
use standin::value::{SqlType, Value};

use crate::bench::{Bench, insert, next, row, table_t, text};

#[test]
fn a_watermark_raises_the_minimum_and_keeps_the_rows_at_it() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    let commits: Vec<_> = (0..4)
        .map(|id| {
            let commit = bench.commit(vec![insert(row(id, "a"))]);
            bench.cdc.advance_clock(Duration::from_secs(1));
            commit
        })
        .collect();
    bench.scan();
    let args = |mark: Value| [("@capture_instance", text("dbo_t")), ("@low_water_mark", mark)];
    let mark = |index: usize| Value::Bytes(commits[index].to_vec());
    bench.run("sp_cdc_cleanup_change_table", &args(mark(2)));
    assert_eq!((bench.min_lsn(), bench.changes().len()), (Some(commits[2]), 2));
    assert_eq!(bench.rows("lsn_time_mapping").len(), 2, "the time mapping is pruned below the lowest instance");
    let unknown = Value::Bytes(next(commits[3]).to_vec());
    assert_eq!(bench.number("sp_cdc_cleanup_change_table", &args(unknown)), 22964);
    assert_eq!(bench.number("sp_cdc_cleanup_change_table", &args(mark(0))), 22964, "its entry is gone");
    bench.run("sp_cdc_cleanup_change_table", &args(Value::Null));
    assert_eq!(bench.min_lsn(), Some(commits[2]));
    let error = bench.changes_between("all", commits[1], commits[3], "all").unwrap_err();
    assert_eq!(error.number, 313);
}

#[test]
fn a_watermark_below_the_instance_is_refused() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    let old = bench.commit(vec![insert(row(1, "a"))]);
    bench.scan();
    bench.enable(&[("@capture_instance", text("second"))]);
    bench.scan();
    let args = [("@capture_instance", text("second")), ("@low_water_mark", Value::Bytes(old.to_vec()))];
    assert_eq!(bench.number("sp_cdc_cleanup_change_table", &args), 22957);
    let args = [("@capture_instance", text("third")), ("@low_water_mark", Value::Null)];
    assert_eq!(bench.number("sp_cdc_cleanup_change_table", &args), 22920);
    let args = [("@capture_instance", text("second")), ("@low_water_mark", Value::Null), ("@threshold", Value::Int(0))];
    assert_eq!(bench.number("sp_cdc_cleanup_change_table", &args), 22850);
}

#[test]
fn the_output_flag_says_whether_it_failed() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    let mut flag = crate::bench::param("@fCleanupFailed", Value::Null);
    flag.output = true;
    let args: Vec<Param> = vec![
        crate::bench::param("@capture_instance", text("dbo_t")),
        crate::bench::param("@low_water_mark", Value::Null),
        flag,
    ];
    let outcome = bench.cdc.procedure("sp_cdc_cleanup_change_table", &args, &bench.session).unwrap().unwrap();
    assert_eq!(outcome.outputs, [("@fCleanupFailed".to_owned(), SqlType::Bit, Value::Bit(false))]);
}

#[test]
fn the_job_keeps_what_is_within_the_retention() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    bench.run("sp_cdc_change_job", &[("@job_type", text("cleanup")), ("@retention", Value::Int(60))]);
    bench.commit(vec![insert(row(1, "a"))]);
    bench.cdc.advance_clock(Duration::from_hours(3));
    let kept = bench.commit(vec![insert(row(2, "a"))]);
    bench.cdc.advance_clock(Duration::from_mins(30));
    let newest = bench.commit(vec![insert(row(3, "a"))]);
    bench.scan();
    bench.run("sp_cdc_start_job", &[("@job_type", text("cleanup"))]);
    assert_eq!((bench.min_lsn(), bench.max_lsn(), bench.changes().len()), (Some(kept), Some(newest), 2));
}

#[test]
fn cleanup_raises_the_minimum_of_a_table_in_which_nothing_happened() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    let before = bench.min_lsn();
    bench.cdc.advance_clock(Duration::from_hours(96));
    bench.scan();
    bench.run("sp_cdc_start_job", &[("@job_type", text("cleanup"))]);
    assert!(bench.min_lsn() > before);
    assert_eq!(bench.min_lsn(), bench.max_lsn());
}
