//! Updates of the key.

use standin::value::{SqlType, Value};

use crate::bench::{Bench, insert, row, table_t, text, update};

/// Operation, key, command, seqval of each change.
fn told(bench: &Bench) -> Vec<(i64, Value, i64, Value)> {
    let seqvals = bench.rows("dbo_t_CT").into_iter().map(|mut row| row.swap_remove(2));
    bench
        .changes()
        .into_iter()
        .zip(seqvals)
        .map(|((op, mut row, command), seq)| (op, row.swap_remove(0), command, seq))
        .collect()
}

#[test]
fn one_row_becomes_delete_and_insert_with_one_seqval() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    bench.commit(vec![update(row(1, "a"), row(2, "a"))]);
    bench.scan();
    let changes = told(&bench);
    assert_eq!((changes[0].0, &changes[0].1, changes[0].2), (1, &Value::Int(1), 1));
    assert_eq!((changes[1].0, &changes[1].1, changes[1].2), (2, &Value::Int(2), 2));
    assert_eq!(changes[0].3, changes[1].3);
    assert_eq!(bench.rows("dbo_t_CT")[0][4], Value::Bytes(vec![0b11]));
}

#[test]
fn in_a_chain_only_the_command_tells_the_truth() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    bench.statement(vec![update(row(1, "a"), row(2, "a")), update(row(2, "b"), row(3, "b"))]);
    bench.scan();
    let changes = told(&bench);
    let order: Vec<_> = changes.iter().map(|(op, key, command, _)| (*op, key.clone(), *command)).collect();
    let key = |id| Value::Int(id);
    assert_eq!(order, [(1, key(1), 1), (1, key(2), 2), (2, key(2), 3), (2, key(3), 4)]);
    let Value::Bytes(delete) = &changes[1].3 else { panic!() };
    let Value::Bytes(insert) = &changes[2].3 else { panic!() };
    assert!(delete > insert, "by seqval the delete of key 2 would come last");
}

#[test]
fn swapped_keys_are_two_updates() {
    let bench = Bench::by_hand(table_t(SqlType::Int));
    bench.statement(vec![update(row(1, "a"), row(2, "a")), update(row(2, "b"), row(1, "b"))]);
    bench.scan();
    let expected = [(3, row(2, "b"), 1), (4, row(2, "a"), 1), (3, row(1, "a"), 2), (4, row(1, "b"), 2)];
    assert_eq!(bench.changes(), expected);
    let (from, to) = (bench.min_lsn().unwrap(), bench.max_lsn().unwrap());
    let net = bench.changes_between("net", from, to, "all").unwrap();
    assert_eq!(net.iter().map(|row| row[1].clone()).collect::<Vec<_>>(), [Value::Int(4), Value::Int(4)]);
}

#[test]
fn a_change_of_case_is_a_change_of_key_in_the_log_and_none_to_the_net_function() {
    let bench = Bench::by_hand(table_t(SqlType::NVarChar(Some(10))));
    let row = |id: &str, v: &str| vec![text(id), text(v)];
    bench.commit(vec![update(row("abc", "x"), row("ABC", "x"))]);
    bench.scan();
    assert_eq!(bench.changes(), [(1, row("abc", "x"), 1), (2, row("ABC", "x"), 2)]);
    let (from, to) = (bench.min_lsn().unwrap(), bench.max_lsn().unwrap());
    let net = bench.changes_between("net", from, to, "all").unwrap();
    assert_eq!(net.len(), 1);
    assert_eq!((&net[0][1], &net[0][3]), (&Value::Int(4), &text("ABC")));
}

#[test]
fn the_key_is_that_of_the_instances_index() {
    let mut table = table_t(SqlType::Int);
    table.columns[1].nullable = false;
    let mut index = table.indexes[0].clone();
    index.index_id = 2;
    index.name = "UQ_v".into();
    index.primary_key = false;
    index.columns = vec![2];
    table.indexes.push(index);
    let bench = Bench::by_hand(table);
    bench.enable(&[("@capture_instance", text("by_v")), ("@index_name", text("UQ_v"))]);
    bench.commit(vec![insert(row(1, "a")), update(row(1, "a"), row(1, "b"))]);
    bench.scan();
    let operations = |relation: &str| bench.rows(relation).iter().map(|row| row[3].clone()).collect::<Vec<_>>();
    let ints = |list: &[i64]| list.iter().map(|number| Value::Int(*number)).collect::<Vec<_>>();
    assert_eq!(operations("dbo_t_CT"), ints(&[2, 3, 4]));
    assert_eq!(operations("by_v_CT"), ints(&[2, 1, 2]));
}
