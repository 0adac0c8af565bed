//! The log is ahead of the change tables.

use standin::cdc::{Cdc, Settings};
use standin::value::{SqlType, Value};

use crate::bench::{Bench, delete, eventually, insert, lsn, row, table_t, text, update};

#[test]
fn a_commit_has_its_lsn_at_once_but_its_changes_only_after_a_scan() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    let before = bench.max_lsn().unwrap();
    let commit = bench.commit(vec![insert(row(1, "a"))]);
    assert!(commit > before);
    assert_eq!((bench.max_lsn(), bench.changes().len()), (Some(before), 0));
    bench.scan();
    assert_eq!((bench.max_lsn(), bench.changes().len()), (Some(commit), 1));
}

#[test]
fn changes_are_told_in_the_change_tables_order() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    bench.commit(vec![insert(row(1, "a")), update(row(1, "a"), row(1, "b")), delete(row(1, "b"))]);
    bench.scan();
    let expected = vec![(2, row(1, "a"), 1), (3, row(1, "a"), 2), (4, row(1, "b"), 2), (1, row(1, "b"), 3)];
    assert_eq!(bench.changes(), expected);
    let rows = bench.rows("dbo_t_CT");
    assert!(rows.iter().all(|row| row[1] == Value::Null), "__$end_lsn is always NULL");
    assert_eq!(rows[1][2], rows[2][2], "before and after share their seqval");
    assert!(rows[0][2] != rows[1][2] && rows[0][0] == rows[3][0]);
    assert_eq!(rows[0][4], Value::Bytes(vec![0b11]));
    assert_eq!(rows[1][4], Value::Bytes(vec![0b10]));
}

#[test]
fn a_cycle_reads_at_most_maxtrans_and_shows_whole_transactions() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    let commits: Vec<_> =
        (0..7).map(|id| bench.commit(vec![insert(row(id, "a")), insert(row(id + 100, "b"))])).collect();
    bench.run("sp_cdc_scan", &[("@maxtrans", Value::Int(2)), ("@maxscans", Value::Int(2))]);
    assert_eq!((bench.max_lsn(), bench.changes().len()), (Some(commits[3]), 8));
    bench.scan();
    assert_eq!((bench.max_lsn(), bench.changes().len()), (Some(commits[6]), 14));
}

#[test]
fn the_job_captures_by_itself_until_it_is_stopped() {
    let bench = Bench::new(vec![table_t(SqlType::Int)]);
    bench.enable(&[]);
    let commit = bench.commit(vec![insert(row(1, "a"))]);
    eventually("captured by the job", || bench.max_lsn() == Some(commit));
    bench.run("sp_cdc_stop_job", &[]);
    bench.commit(vec![insert(row(2, "a"))]);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(bench.changes().len(), 1);
    bench.run("sp_cdc_start_job", &[]);
    eventually("captured again", || bench.changes().len() == 2);
}

#[test]
fn the_maximum_is_null_until_capture_ran_while_the_minimum_is_known() {
    let bench = Bench::new(vec![table_t(SqlType::Int)]);
    bench.run("sp_cdc_add_job", &[("@job_type", text("capture")), ("@start_job", Value::Bit(false))]);
    bench.enable(&[]);
    assert_eq!(bench.max_lsn(), None);
    assert!(bench.min_lsn().is_some());
    bench.scan();
    assert_eq!(bench.max_lsn(), bench.min_lsn());
}

#[test]
fn a_new_instance_beside_a_running_capture_starts_above_the_maximum() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    bench.enable(&[("@capture_instance", text("second"))]);
    let start = lsn(&bench.rows("change_tables")[1][4]).unwrap();
    assert!(start > bench.max_lsn().unwrap());
    assert_eq!(bench.function("fn_cdc_get_min_lsn", &[text("second")]), Value::Null);
    bench.scan();
    assert_eq!(bench.function("fn_cdc_get_min_lsn", &[text("second")]), Value::Bytes(start.to_vec()));
}

#[test]
fn an_instance_sees_nothing_from_before_it_was_made() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    bench.commit(vec![insert(row(1, "a"))]);
    bench.enable(&[("@capture_instance", text("second"))]);
    bench.commit(vec![insert(row(2, "a"))]);
    bench.scan();
    assert_eq!((bench.rows("dbo_t_CT").len(), bench.rows("second_CT").len()), (2, 1));
}

#[test]
fn an_idle_database_gets_placeholders() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    let before = bench.max_lsn();
    bench.scan();
    assert_eq!(bench.max_lsn(), before, "not before five minutes");
    bench.cdc.advance_clock(std::time::Duration::from_secs(301));
    bench.scan();
    let mapping = bench.rows("lsn_time_mapping");
    assert!(bench.max_lsn() > before);
    assert_eq!(mapping.last().unwrap()[3], Value::Bytes(vec![0]));
    assert_ne!(mapping[0][3], Value::Bytes(vec![0]));
}

#[test]
fn tables_without_an_instance_leave_no_trace() {
    let bench = Bench::new(vec![table_t(SqlType::Int)]);
    let first = bench.commit(vec![insert(row(1, "a"))]);
    let second = bench.commit(vec![insert(row(2, "a"))]);
    assert!(second > first, "LSNs rise all the same");
    bench.scan();
    let mapping = bench.rows("lsn_time_mapping");
    assert_eq!((mapping.len(), &mapping[0][3]), (1, &Value::Bytes(vec![0])));
}

#[test]
fn scans_page_while_rows_come() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    bench.statement((0..10).map(|id| insert(row(id, "a"))).collect());
    bench.scan();
    let (page, place) = bench.cdc.scan("dbo_t_ct", (None, None), None, 6);
    assert_eq!(page.len(), 6);
    bench.commit(vec![insert(row(10, "a"))]);
    bench.scan();
    let (page, place) = bench.cdc.scan("dbo_t_ct", (None, None), place, 6);
    assert_eq!((page.len(), place), (5, None));
}

#[test]
fn without_cdc_functions_fail_on_the_tables_they_read() {
    let cdc = Cdc::new(Settings::default());
    let session = crate::bench::Session { tables: Vec::new(), roles: vec!["sysadmin"] };
    let error = cdc.function("fn_cdc_get_max_lsn", &[], &session).unwrap_err();
    assert_eq!((error.number, error.message.as_str()), (208, "Invalid object name 'cdc.lsn_time_mapping'."));
    assert!(cdc.relations().is_empty() && cdc.relation("change_tables").is_none());
}

#[test]
fn a_transaction_of_many_rows_can_be_paged_and_bounded() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    let first = bench.statement((0..100_000).map(|id| insert(row(id, "some text"))).collect());
    let second = bench.statement((0..100_000).map(|id| update(row(id, "some text"), row(id, "other"))).collect());
    bench.scan();
    let mut place = None;
    let mut ids = Vec::new();
    loop {
        let (page, next) = bench.cdc.scan("dbo_t_CT", (Some(second), Some(second)), place, 7_000);
        ids.extend(page.iter().filter(|row| row[3] == Value::Int(4)).map(|row| row[5].clone()));
        place = next;
        if place.is_none() {
            break;
        }
    }
    assert_eq!(ids, (0..100_000).map(Value::Int).collect::<Vec<_>>());
    assert_eq!(bench.cdc.scan("dbo_t_CT", (None, Some(first)), None, usize::MAX).0.len(), 100_000);
}
