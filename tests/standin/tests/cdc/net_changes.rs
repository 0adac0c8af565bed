//! The net changes function, row by row of its table.

use standin::table::ChangeKind;
use standin::value::{SqlType, Value};

use crate::bench::{Bench, delete, insert, next, row, table_t, text, update};

/// What a window of changes to key 1 comes to: operation and value, by filter.
fn net(changes: Vec<ChangeKind>, filter: &str) -> Vec<(i64, Value, Value)> {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    let from = next(bench.max_lsn().unwrap());
    for change in changes {
        bench.commit(vec![change]);
    }
    bench.scan();
    let rows = bench.changes_between("net", from, bench.max_lsn().unwrap(), filter).unwrap();
    rows.into_iter().map(|row| (crate::bench::int(&row[1]), row[4].clone(), row[2].clone())).collect()
}

/// Changes in the window; the operation of `all`, that of `all with merge`, the value, or nothing.
type Case = (Vec<ChangeKind>, Option<(i64, i64, &'static str)>);

#[test]
fn first_and_last_change_decide() {
    let (i, d) = (|v| insert(row(1, v)), |v| delete(row(1, v)));
    let u = |from, to| update(row(1, from), row(1, to));
    let table: Vec<Case> = vec![
        (vec![i("a")], Some((2, 5, "a"))),
        (vec![i("a"), u("a", "b")], Some((2, 5, "b"))),
        (vec![i("a"), d("a"), i("c")], Some((2, 5, "c"))),
        (vec![i("a"), d("a")], None),
        (vec![i("a"), u("a", "b"), d("b")], None),
        (vec![u("a", "b")], Some((4, 5, "b"))),
        (vec![u("a", "b"), u("b", "c")], Some((4, 5, "c"))),
        (vec![u("a", "b"), d("b"), i("c")], Some((4, 5, "c"))),
        (vec![u("a", "b"), d("b")], Some((1, 1, "b"))),
        (vec![d("a")], Some((1, 1, "a"))),
        (vec![d("a"), i("b")], Some((4, 5, "b"))),
        (vec![d("a"), i("b"), u("b", "c")], Some((4, 5, "c"))),
        (vec![d("a"), i("b"), d("b")], Some((1, 1, "b"))),
    ];
    for (changes, expected) in table {
        let told = |filter| net(changes.clone(), filter);
        let all: Vec<_> = expected.iter().map(|(op, _, v)| (*op, text(v), Value::Null)).collect();
        let merge: Vec<_> = expected.iter().map(|(_, op, v)| (*op, text(v), Value::Null)).collect();
        assert_eq!(told("all"), all, "{changes:?}");
        assert_eq!(told("all with merge"), merge, "{changes:?}");
        let masks: Vec<_> = told("all with mask").iter().map(|(op, _, mask)| (*op, *mask != Value::Null)).collect();
        let expected: Vec<_> = expected.iter().map(|(op, _, _)| (*op, *op == 4)).collect();
        assert_eq!(masks, expected, "{changes:?}");
    }
}

#[test]
fn the_mask_is_the_sum_of_the_keys_changes() {
    let changed = net(vec![update(row(1, "a"), row(1, "b")), update(row(1, "b"), row(1, "c"))], "all with mask");
    assert_eq!(changed[0].2, Value::Bytes(vec![0b10]));
}

#[test]
fn an_overlapping_window_is_silent_about_a_row_that_came_and_went() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    let from = next(bench.max_lsn().unwrap());
    bench.commit(vec![insert(row(1, "a"))]);
    bench.scan();
    let middle = bench.max_lsn().unwrap();
    bench.commit(vec![delete(row(1, "a"))]);
    bench.scan();
    let to = bench.max_lsn().unwrap();
    assert_eq!(bench.changes_between("net", next(middle), to, "all").unwrap().len(), 1);
    assert!(bench.changes_between("net", from, to, "all").unwrap().is_empty());
}

#[test]
fn a_key_update_is_two_keys() {
    let told = net(vec![update(row(1, "a"), row(2, "a"))], "all");
    assert_eq!(told.iter().map(|(op, _, _)| *op).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn an_instance_without_net_changes_has_no_net_function() {
    let bench = Bench::new(vec![table_t(SqlType::Int)]);
    bench.enable(&[("@supports_net_changes", Value::Bit(false))]);
    assert!(bench.cdc.table_function_columns("fn_cdc_get_all_changes_dbo_t").is_some());
    assert!(bench.cdc.table_function_columns("fn_cdc_get_net_changes_dbo_t").is_none());
    let lsn = bench.min_lsn().unwrap();
    assert_eq!(bench.changes_between("net", lsn, lsn, "all").unwrap_err().number, 208);
}
