//! Errors that a test orders.

use standin::value::Value;

use crate::client::{cell, connect, errors, ok, run, server};

#[test]
fn an_ordered_error_comes_at_its_statement_so_often_and_no_other() {
    let engine = server();
    let (mut tester, mut client) = (connect(&engine), connect(&engine));
    let (tester, client) = (tester.as_mut(), client.as_mut());
    ok(client, "CREATE TABLE t (a int); CREATE TABLE other (a int)");
    ok(tester, "EXEC sys.sp_standin_inject @number = 1222, @text = N'FROM t', @times = 2, @skip = 1");
    assert_eq!(errors(client, "SELECT * FROM other"), [0; 0]);
    let seen: Vec<_> = (0..4).map(|_| errors(client, "SELECT * FROM t")).collect();
    assert_eq!(seen, [vec![], vec![1222], vec![1222], vec![]]);
}

#[test]
fn a_deadlock_victim_loses_its_transaction_after_the_rows_it_was_sent() {
    let engine = server();
    let (mut tester, mut client) = (connect(&engine), connect(&engine));
    let (tester, client) = (tester.as_mut(), client.as_mut());
    ok(client, "CREATE TABLE t (a int); INSERT t VALUES (1), (2), (3)");
    for (after_rows, sent) in [(0, 0), (2, 2), (3, 3), (9, 3)] {
        ok(
            tester,
            &format!("EXEC sys.sp_standin_inject @number = 1205, @text = N'FROM t ORDER', @after_rows = {after_rows}"),
        );
        ok(client, "BEGIN TRAN");
        ok(client, "UPDATE t SET a = a + 10");
        let answer = run(client, "SELECT a FROM t ORDER BY a");
        assert_eq!(answer.errors(), [1205], "after {after_rows} rows");
        let rows: usize = answer.results.iter().map(|(_, rows)| rows.len()).sum();
        assert_eq!(rows, sent, "after {after_rows} rows");
        assert_eq!(cell(client, "SELECT @@TRANCOUNT"), Value::Int(0));
        assert_eq!(cell(client, "SELECT MIN(a) FROM t"), Value::Int(1), "the transaction was not rolled back");
    }
}

#[test]
fn an_error_that_the_stand_in_does_not_know_is_refused() {
    let engine = server();
    let mut session = connect(&engine);
    for wrong in [
        "@number = 4711, @text = N'x'",
        "@number = 4711, @at_login = 1",
        "@number = 0, @at_login = 1",
        "@number = 1205",
        "@text = N'x'",
        "@number = 1205, @text = N'x', @time = 1",
        "@number = 1205, @text = N'x', @times = -1",
    ] {
        assert_eq!(errors(session.as_mut(), &format!("EXEC sys.sp_standin_inject {wrong}")), [50_000], "{wrong}");
    }
}

/// Reference, section 13: after these numbers a snapshot transaction is gone, after the others it goes on.
#[test]
fn what_aborts_a_transaction_rolls_it_back() {
    let engine = server();
    let (mut tester, mut client) = (connect(&engine), connect(&engine));
    let (tester, client) = (tester.as_mut(), client.as_mut());
    ok(client, "CREATE TABLE t (a int)");
    let aborts = [1205, 3958, 3960, 3961, 3966];
    let others = [701, 926, 1204, 1222, 4221, 49_918];
    for number in aborts.into_iter().chain(others) {
        ok(tester, &format!("EXEC sys.sp_standin_inject @number = {number}, @text = N'FROM t'"));
        ok(client, "BEGIN TRAN; INSERT t VALUES (1)");
        let answer = run(client, "SELECT a FROM t");
        assert_eq!((answer.errors(), answer.closed), (vec![number], None));
        assert_eq!(cell(client, "SELECT @@TRANCOUNT"), Value::Int(i64::from(others.contains(&number))), "{number}");
        ok(client, "IF @@TRANCOUNT > 0 ROLLBACK");
    }
}

#[test]
fn what_ends_a_connection_says_so() {
    let engine = server();
    let mut client = connect(&engine);
    let client = client.as_mut();
    for number in [10_053, 10_054, 10_928, 10_929, 40_197, 40_501, 40_540, 40_613] {
        ok(client, &format!("EXEC sys.sp_standin_inject @number = {number}, @text = N'SELECT 1'"));
        let answer = run(client, "SELECT 1");
        assert_eq!((answer.errors(), answer.closed), (vec![number], Some(true)));
    }
    ok(client, "EXEC sys.sp_standin_inject @number = 0, @text = N'SELECT 1'");
    let answer = run(client, "SELECT 1");
    assert_eq!((answer.errors(), answer.closed), (vec![], Some(false)));
}
