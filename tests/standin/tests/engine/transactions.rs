//! Transactions: nesting, atomicity, isolation, and the log.

use standin::session::{Param, Session, TransactionRequest};
use standin::value::{SqlType, Value};

use crate::client::{Answer, cell, connect, errors, ok, run, run_with, server};

fn count(session: &mut dyn Session) -> Value {
    cell(session, "SELECT COUNT(*) FROM t")
}

#[test]
fn rollback_undoes_rows_and_tables() {
    let engine = server();
    let mut session = connect(&engine);
    let session = session.as_mut();
    ok(session, "CREATE TABLE t (a int)");
    ok(session, "BEGIN TRAN; INSERT t VALUES (1); CREATE TABLE u (a int); ROLLBACK");
    assert_eq!(count(session), Value::Int(0));
    assert_eq!(errors(session, "SELECT * FROM u"), [208]);
    ok(session, "BEGIN TRAN; INSERT t VALUES (1); SAVE TRAN s; INSERT t VALUES (2); ROLLBACK TRAN s; COMMIT");
    assert_eq!(count(session), Value::Int(1));
}

#[test]
fn only_the_outer_commit_commits() {
    let engine = server();
    let (mut one, mut two) = (connect(&engine), connect(&engine));
    ok(one.as_mut(), "CREATE TABLE t (a int)");
    ok(one.as_mut(), "BEGIN TRAN; BEGIN TRAN; INSERT t VALUES (1); COMMIT");
    assert_eq!(count(two.as_mut()), Value::Int(0));
    assert_eq!(cell(one.as_mut(), "SELECT @@TRANCOUNT"), Value::Int(1));
    ok(one.as_mut(), "COMMIT");
    assert_eq!(count(two.as_mut()), Value::Int(1));
    assert_eq!(errors(one.as_mut(), "COMMIT"), [3902]);
    assert_eq!(errors(one.as_mut(), "ROLLBACK"), [3903]);
}

#[test]
fn a_failed_statement_leaves_nothing_and_the_transaction_goes_on() {
    let engine = server();
    let mut session = connect(&engine);
    let session = session.as_mut();
    ok(session, "CREATE TABLE t (a int PRIMARY KEY)");
    assert_eq!(
        errors(session, "BEGIN TRAN; INSERT t VALUES (1); INSERT t VALUES (2), (1); INSERT t VALUES (3); COMMIT"),
        [2627]
    );
    assert_eq!(count(session), Value::Int(2));
    assert_eq!(errors(session, "SET XACT_ABORT ON; BEGIN TRAN; INSERT t VALUES (9); INSERT t VALUES (1)"), [2627]);
    assert_eq!(cell(session, "SELECT @@TRANCOUNT"), Value::Int(0));
    assert_eq!(count(session), Value::Int(2));
}

#[test]
fn a_dropped_session_rolls_back() {
    let engine = server();
    let (mut one, mut two) = (connect(&engine), connect(&engine));
    ok(one.as_mut(), "CREATE TABLE t (a int); BEGIN TRAN; INSERT t VALUES (1)");
    drop(one);
    assert_eq!(count(two.as_mut()), Value::Int(0));
    ok(two.as_mut(), "INSERT t VALUES (2)");
}

#[test]
fn a_writer_waits_no_longer_than_its_lock_timeout() {
    let engine = server();
    let (mut one, mut two) = (connect(&engine), connect(&engine));
    ok(one.as_mut(), "CREATE TABLE t (a int); BEGIN TRAN; INSERT t VALUES (1)");
    assert_eq!(errors(two.as_mut(), "SET LOCK_TIMEOUT 50; INSERT t VALUES (2)"), [1222]);
    ok(one.as_mut(), "COMMIT");
    ok(two.as_mut(), "INSERT t VALUES (2)");
}

#[test]
fn snapshot_needs_leave_and_then_stands_still() {
    let engine = server();
    let (mut one, mut two) = (connect(&engine), connect(&engine));
    ok(one.as_mut(), "CREATE TABLE t (a int); INSERT t VALUES (1)");
    let sql = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT COUNT(*) FROM t";
    assert_eq!(errors(two.as_mut(), sql), [3952]);
    ok(one.as_mut(), "ALTER DATABASE shop SET ALLOW_SNAPSHOT_ISOLATION ON");
    // The snapshot is taken by the first data access, not by BEGIN.
    ok(two.as_mut(), "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN");
    ok(one.as_mut(), "INSERT t VALUES (2)");
    assert_eq!(count(two.as_mut()), Value::Int(2));
    ok(one.as_mut(), "INSERT t VALUES (3)");
    assert_eq!(count(two.as_mut()), Value::Int(2));
    assert_eq!(errors(two.as_mut(), "UPDATE t SET a = 9"), [3960]);
    assert_eq!(cell(two.as_mut(), "SELECT @@TRANCOUNT"), Value::Int(0));
    assert_eq!(count(two.as_mut()), Value::Int(3));
}

#[test]
fn read_committed_sees_what_was_committed_since() {
    let engine = server();
    let (mut one, mut two) = (connect(&engine), connect(&engine));
    ok(one.as_mut(), "CREATE TABLE t (a int)");
    ok(two.as_mut(), "BEGIN TRAN; SELECT * FROM t");
    ok(one.as_mut(), "INSERT t VALUES (1)");
    assert_eq!(count(two.as_mut()), Value::Int(1));
}

#[test]
fn implicit_transactions_and_requests_tell_the_client() {
    let engine = server();
    let mut session = connect(&engine);
    ok(session.as_mut(), "CREATE TABLE t (a int)");
    let answer = ok(
        session.as_mut(),
        "SET IMPLICIT_TRANSACTIONS ON; INSERT t VALUES (1); ROLLBACK; SET IMPLICIT_TRANSACTIONS OFF",
    );
    assert_eq!(answer.transactions, [(true, false), (false, false)]);
    let mut answer = Answer::default();
    session.transaction(&TransactionRequest::Begin(0), &mut answer);
    session.batch("INSERT t VALUES (1)", &[], &mut answer);
    session.transaction(&TransactionRequest::Commit(false), &mut answer);
    assert_eq!(answer.transactions, [(true, false), (false, true)]);
    assert_eq!(count(session.as_mut()), Value::Int(1));
}

#[test]
fn catch_sees_the_error_and_a_doomed_transaction() {
    let engine = server();
    let mut session = connect(&engine);
    ok(session.as_mut(), "CREATE TABLE t (a int PRIMARY KEY)");
    let sql = "SET XACT_ABORT ON; BEGIN TRY BEGIN TRAN; INSERT t VALUES (1), (1) END TRY
               BEGIN CATCH SELECT ERROR_NUMBER(), XACT_STATE(); ROLLBACK END CATCH; SELECT @@TRANCOUNT";
    let answer = ok(session.as_mut(), sql);
    assert_eq!(answer.results[0].1, [[Value::Int(2627), Value::Int(-1)]]);
    assert_eq!(answer.results[1].1, [[Value::Int(0)]]);
    let rethrown = run(session.as_mut(), "BEGIN TRY THROW 50001, 'mine', 3 END TRY BEGIN CATCH THROW END CATCH");
    assert_eq!(rethrown.errors(), [50_001]);
    assert_eq!(rethrown.messages[0].state, 3);
}

#[test]
fn the_log_has_committed_changes_in_order_and_no_others() {
    let engine = server();
    let mut session = connect(&engine);
    let session = session.as_mut();
    ok(session, "CREATE TABLE t (a int PRIMARY KEY, b varchar(9)); EXEC sys.sp_cdc_enable_db");
    ok(session, "EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 't', @role_name = NULL");
    ok(session, "INSERT t VALUES (1, 'one')");
    errors(session, "INSERT t VALUES (2, 'two'), (1, 'again')");
    ok(session, "BEGIN TRAN; INSERT t VALUES (3, 'three'); ROLLBACK");
    ok(session, "BEGIN TRAN; UPDATE t SET b = 'uno'; DELETE t; COMMIT; EXEC sys.sp_cdc_scan");
    let sql =
        "SELECT __$operation, a, b FROM cdc.dbo_t_CT ORDER BY __$start_lsn, __$command_id, __$seqval, __$operation";
    let rows: Vec<(Value, Value)> =
        ok(session, sql).rows().iter().map(|row| (row[0].clone(), row[2].clone())).collect();
    let text = |text: &str| Value::Text(text.to_owned());
    let wanted =
        [(2, "one"), (3, "one"), (4, "uno"), (1, "uno")].map(|(operation, b)| (Value::Int(operation), text(b)));
    assert_eq!(rows, wanted);
    assert_eq!(errors(session, "TRUNCATE TABLE t"), [4711]);
    let lsn = cell(session, "SELECT MAX(__$start_lsn) FROM cdc.dbo_t_CT");
    let from = Param { name: "@from".into(), sql_type: SqlType::Binary(10), value: lsn, output: false };
    let later = run_with(session, "SELECT COUNT(*) FROM cdc.dbo_t_CT WHERE __$start_lsn >= @from", &[from]);
    assert_eq!(later.rows()[0][0], Value::Int(3));
}
