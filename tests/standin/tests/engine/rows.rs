//! Rows in and out.

use standin::value::Value;

use crate::client::{cell, connect, errors, ok, run, server};

#[test]
fn rows_are_inserted_changed_and_deleted() {
    let engine = server();
    let mut session = connect(&engine);
    let session = session.as_mut();
    ok(
        session,
        "CREATE TABLE dbo.t (id int IDENTITY(1,1) PRIMARY KEY, name nvarchar(20) NOT NULL, amount decimal(10,2))",
    );
    let answer = ok(session, "INSERT INTO t (name, amount) VALUES (N'Ann', 1.5), (N'Bob', NULL)");
    assert_eq!(answer.counts, [Some(2)]);
    ok(session, "UPDATE t SET amount = amount * 2 WHERE NAME = 'ANN'");
    assert_eq!(cell(session, "SELECT amount FROM t WHERE id = 1"), Value::Decimal(300, 2));
    ok(session, "DELETE t WHERE name = 'bob'");
    assert_eq!(cell(session, "SELECT COUNT(*) FROM t"), Value::Int(1));
}

#[test]
fn a_duplicate_key_names_itself() {
    let engine = server();
    let mut session = connect(&engine);
    ok(
        session.as_mut(),
        "CREATE TABLE t (id int CONSTRAINT pk PRIMARY KEY, u int CONSTRAINT uq UNIQUE); INSERT t VALUES (1, 1)",
    );
    let answer = run(session.as_mut(), "INSERT t VALUES (1, 2)");
    assert_eq!(answer.errors(), [2627]);
    assert_eq!(
        answer.messages[0].message,
        "Violation of PRIMARY KEY constraint 'pk'. Cannot insert duplicate key in object 'dbo.t'. The duplicate key value is (1)."
    );
    // A unique constraint holds one NULL.
    assert_eq!(errors(session.as_mut(), "INSERT t VALUES (2, NULL); INSERT t VALUES (3, NULL)"), [2627]);
}

#[test]
fn keys_may_change_places_in_one_statement() {
    let engine = server();
    let mut session = connect(&engine);
    ok(
        session.as_mut(),
        "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT t VALUES (1, 10), (2, 20); UPDATE t SET id = 3 - id",
    );
    assert_eq!(cell(session.as_mut(), "SELECT v FROM t WHERE id = 1"), Value::Int(20));
}
