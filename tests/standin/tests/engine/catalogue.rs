//! Tables as DDL makes them and the catalogue shows them; logins and rights.

use standin::value::Value;

use crate::client::{cell, connect, errors, login, ok, server, text};

#[test]
fn the_catalogue_shows_a_table_as_it_was_made() {
    let engine = server();
    let mut session = connect(&engine);
    let session = session.as_mut();
    ok(
        session,
        "CREATE SCHEMA Sales;
         CREATE TABLE Sales.Orders (b int NOT NULL, a nvarchar(10) COLLATE Latin1_General_BIN2 NOT NULL, gone int, n AS b + 1,
             i int IDENTITY(5, 5), CONSTRAINT pk PRIMARY KEY (a, b));
         ALTER TABLE Sales.Orders DROP COLUMN gone; ALTER TABLE Sales.Orders ADD late datetime2(3) NULL",
    );
    let sql = "SELECT c.name, c.column_id, t.name, c.max_length, c.scale, c.collation_name, c.is_nullable, c.is_identity, c.is_computed
               FROM sys.columns c JOIN sys.types t ON t.user_type_id = c.user_type_id
               WHERE c.object_id = OBJECT_ID('sales.orders') ORDER BY c.column_id";
    let bit = Value::Bit;
    let row = |name: &str, id, ty: &str, length, scale, collation: Value, flags: [bool; 3]| {
        let [nullable, identity, computed] = flags.map(bit);
        vec![
            text(name),
            Value::Int(id),
            text(ty),
            Value::Int(length),
            Value::Int(scale),
            collation,
            nullable,
            identity,
            computed,
        ]
    };
    assert_eq!(
        ok(session, sql).rows(),
        [
            row("b", 1, "int", 4, 0, Value::Null, [false, false, false]),
            row("a", 2, "nvarchar", 20, 0, text("Latin1_General_BIN2"), [false, false, false]),
            row("n", 4, "int", 4, 0, Value::Null, [false, false, true]),
            row("i", 5, "int", 4, 0, Value::Null, [false, true, false]),
            row("late", 6, "datetime2", 7, 3, Value::Null, [true, false, false]),
        ]
    );
    let sql = "SELECT c.name FROM sys.indexes i JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id
               JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id
               WHERE i.is_primary_key = 1 AND k.key_ordinal > 0 ORDER BY k.key_ordinal";
    assert_eq!(ok(session, sql).rows(), [[text("a")], [text("b")]]);
    ok(session, "INSERT Sales.Orders (b, a) VALUES (1, N'x'), (2, N'X')");
    assert_eq!(cell(session, "SELECT SUM(i + n) FROM Sales.Orders"), Value::Int(20));
    assert_eq!(cell(session, "SELECT rows FROM sys.partitions"), Value::Int(2));
    assert_eq!(cell(session, "SELECT COUNT(*) FROM master.sys.tables"), Value::Int(0));
}

#[test]
fn columns_come_go_and_change() {
    let engine = server();
    let mut session = connect(&engine);
    let session = session.as_mut();
    ok(session, "CREATE TABLE t (a int PRIMARY KEY, b varchar(5)); INSERT t VALUES (1, '12'), (2, 'x')");
    assert_eq!(errors(session, "ALTER TABLE t ADD c int NOT NULL"), [4901]);
    ok(session, "ALTER TABLE t ADD c int NOT NULL DEFAULT 7");
    assert_eq!(cell(session, "SELECT SUM(c) FROM t"), Value::Int(14));
    assert_eq!(errors(session, "ALTER TABLE t ALTER COLUMN b int"), [245]);
    ok(session, "DELETE t WHERE a = 2; ALTER TABLE t ALTER COLUMN b int NOT NULL");
    assert_eq!(cell(session, "SELECT b + 1 FROM t"), Value::Int(13));
    assert_eq!(errors(session, "ALTER TABLE t DROP COLUMN a"), [5074]);
    ok(session, "EXEC sp_rename 't.b', 'bee', 'COLUMN'; EXEC sp_rename 't', 'tea'");
    assert_eq!(cell(session, "SELECT bee FROM tea"), Value::Int(12));
    assert_eq!(errors(session, "SELECT * FROM t"), [208]);
    ok(session, "DROP TABLE tea; DROP TABLE IF EXISTS tea");
    assert_eq!(errors(session, "DROP TABLE tea"), [3701]);
}

#[test]
fn keys_and_checks_hold() {
    let engine = server();
    let mut session = connect(&engine);
    let session = session.as_mut();
    ok(session, "CREATE TABLE p (id int PRIMARY KEY); INSERT p VALUES (1)");
    ok(
        session,
        "CREATE TABLE c (id int PRIMARY KEY CHECK (id > 0), p int REFERENCES p (id) ON DELETE CASCADE); INSERT c VALUES (1, 1)",
    );
    assert_eq!(errors(session, "INSERT c VALUES (2, 9)"), [547]);
    assert_eq!(errors(session, "INSERT c VALUES (-2, 1)"), [547]);
    ok(session, "DELETE p");
    assert_eq!(cell(session, "SELECT COUNT(*) FROM c"), Value::Int(0));
    ok(session, "CREATE UNIQUE INDEX u ON c (p); INSERT p VALUES (2); INSERT c VALUES (5, 2)");
    assert_eq!(errors(session, "INSERT c VALUES (6, 2)"), [2601]);
}

#[test]
fn a_login_sees_what_it_was_granted() {
    let engine = server();
    let mut owner = connect(&engine);
    ok(owner.as_mut(), "CREATE TABLE t (a int); INSERT t VALUES (1); CREATE LOGIN reader WITH PASSWORD = 'pw'");
    let refused = |user: &str, password: &str, database: &str| {
        login(&engine, user, password, database).err().map(|error| error.number)
    };
    assert_eq!(refused("reader", "wrong", "shop"), Some(18_456));
    assert_eq!(refused("nobody", "pw", "shop"), Some(18_456));
    assert_eq!(refused("sa", "secret", "nowhere"), Some(4060));
    assert_eq!(refused("reader", "pw", "shop"), Some(4060));
    ok(owner.as_mut(), "CREATE USER reader FOR LOGIN reader");
    let mut reader = login(&engine, "reader", "pw", "shop").expect("a session");
    assert_eq!(errors(reader.as_mut(), "SELECT * FROM t"), [229]);
    ok(owner.as_mut(), "GRANT SELECT ON t TO reader");
    assert_eq!(cell(reader.as_mut(), "SELECT a FROM t"), Value::Int(1));
    assert_eq!(errors(reader.as_mut(), "INSERT t VALUES (2)"), [229]);
    assert_eq!(errors(reader.as_mut(), "DROP TABLE t"), [262]);
    ok(owner.as_mut(), "ALTER ROLE db_owner ADD MEMBER reader");
    ok(reader.as_mut(), "INSERT t VALUES (2)");
}
