//! What is not T-SQL is refused, however well SQLite would run it.

use standin::session::Session;

use crate::client::{connect, errors, ok, server};

fn shop() -> Box<dyn Session> {
    let engine = server();
    let mut session = connect(&engine);
    ok(session.as_mut(), "CREATE TABLE t (a int PRIMARY KEY, b int, c varchar(20)); INSERT t VALUES (1, 2, 'x')");
    session
}

/// Statements of SQLite, and of other dialects that sqlparser reads, with the error they get.
const REFUSED: &[(&str, i32)] = &[
    ("SELECT * FROM t LIMIT 1", 102),
    ("SELECT * FROM t LIMIT 1 OFFSET 1", 102),
    ("SELECT 'a' || 'b'", 102),
    ("SELECT a FROM t WHERE a == 1", 102),
    ("SELECT `a` FROM t", 102),
    ("INSERT OR REPLACE INTO t VALUES (1, 2, 'y')", 156),
    ("INSERT INTO t VALUES (1, 2, 'y') ON CONFLICT DO NOTHING", 156),
    ("REPLACE INTO t VALUES (1, 2, 'y')", 156),
    ("INSERT INTO t VALUES (9, 2, 'y') RETURNING a", 102),
    ("UPDATE t SET b = 1 RETURNING a", 102),
    ("DELETE FROM t WHERE a = 9 RETURNING a", 102),
    ("PRAGMA user_version", 2812),
    ("VACUUM", 2812),
    ("ATTACH 'x' AS y", 156),
    ("EXPLAIN SELECT 1", 2812),
    ("EXPLAIN QUERY PLAN SELECT 1", 156),
    ("SELECT typeof(a) FROM t", 195),
    ("SELECT ifnull(a, 0) FROM t", 195),
    ("SELECT length(c) FROM t", 195),
    ("SELECT substr(c, 1, 1) FROM t", 195),
    ("SELECT group_concat(c) FROM t", 195),
    ("SELECT random()", 195),
    ("SELECT datetime('now')", 195),
    ("SELECT date('now')", 195),
    ("SELECT strftime('%Y', 'now')", 195),
    ("SELECT printf('%d', 1)", 195),
    ("SELECT total(a) FROM t", 195),
    ("SELECT hex(c) FROM t", 195),
    ("SELECT last_insert_rowid()", 195),
    ("SELECT total_int(a) FROM t", 195),
    ("SELECT op(0, a) FROM t", 195),
    ("SELECT rowid FROM t", 207),
    ("SELECT rid FROM t", 207),
    ("SELECT c1 FROM t", 207),
    ("SELECT * FROM sqlite_master", 208),
    ("SELECT * FROM sqlite_schema", 208),
    ("SELECT * FROM _meta", 208),
    ("SELECT * FROM main.t", 208),
    ("SELECT * FROM pragma_table_info('t')", 208),
    ("SELECT true", 207),
    ("SELECT a FROM t WHERE true", 4145),
    ("SELECT a FROM t WHERE a", 4145),
    ("SELECT a > 0 FROM t", 102),
    ("SELECT a IS NULL FROM t", 156),
    ("SELECT a IN (1) FROM t", 156),
    ("SELECT (SELECT a FROM t ORDER BY a)", 1033),
    ("SELECT * FROM (SELECT a FROM t ORDER BY a) x", 1033),
    ("SELECT * FROM (SELECT a FROM t)", 102),
    ("SELECT * FROM t NATURAL JOIN t AS u", 102),
    ("SELECT * FROM t JOIN t AS u USING (a)", 321),
    ("SELECT c FROM t WHERE c ILIKE 'x'", 102),
    ("SELECT c FROM t WHERE c REGEXP 'x'", 102),
    ("SELECT c FROM t WHERE c GLOB 'x*'", 102),
    ("SELECT c FROM t WHERE c SIMILAR TO 'x'", 102),
    ("SELECT a::varchar FROM t", 102),
    ("SELECT CAST(a AS TEXT(5)) FROM t", 2716),
    ("SELECT CAST(a AS BLOB) FROM t", 243),
    ("SELECT X'00'", 102),
    ("SELECT a FROM t ORDER BY a NULLS LAST", 102),
    ("SELECT a FROM t GROUP BY a ORDER BY b", 8120),
    ("SELECT a, c FROM t GROUP BY a", 8120),
    ("CREATE TABLE z (a)", 173),
    ("CREATE TABLE z (a TEXT PRIMARY KEY, b INTEGER) WITHOUT ROWID", 102),
    ("CREATE TABLE z (a INTEGER PRIMARY KEY AUTOINCREMENT)", 102),
    ("CREATE TABLE IF NOT EXISTS z (a int)", 156),
    ("CREATE TEMP TABLE z (a int)", 102),
    ("CREATE TABLE z AS SELECT 1 AS a", 156),
    ("CREATE TABLE z (a bool)", 243),
    ("CREATE TABLE z (a string)", 243),
    ("BEGIN; SELECT 1; COMMIT", 102),
    ("START TRANSACTION", 156),
    ("WITH RECURSIVE x AS (SELECT 1 AS n) SELECT n FROM x", 102),
    ("SELECT a FROM t WHERE a = ?", 102),
    ("SELECT a FROM t WHERE a = :a", 102),
    ("SELECT 1 # comment", 102),
    ("SELECT DISTINCT ON (a) a FROM t", 102),
    ("SELECT a FROM t FOR UPDATE", 102),
    ("SELECT EXTRACT(YEAR FROM '2020-01-01')", 102),
    ("SELECT INTERVAL '1 day'", 102),
    ("SELECT ARRAY[1]", 207),
    ("TRUNCATE t", 102),
    ("VALUES (1)", 156),
];

#[test]
fn what_is_not_t_sql_is_refused() {
    let mut session = shop();
    let wrong: Vec<String> = REFUSED
        .iter()
        .filter_map(|(sql, number)| {
            let found = errors(session.as_mut(), sql);
            (found.first() != Some(number)).then(|| format!("{sql}: {found:?}, not {number}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(REFUSED.len() >= 40);
}

#[test]
fn the_refused_change_nothing() {
    let mut session = shop();
    for (sql, _) in REFUSED {
        errors(session.as_mut(), sql);
    }
    assert_eq!(
        crate::client::cell(session.as_mut(), "SELECT COUNT(*) FROM t WHERE b = 2 AND c = 'x'"),
        standin::value::Value::Int(1)
    );
    assert_eq!(crate::client::cell(session.as_mut(), "SELECT COUNT(*) FROM sys.tables"), standin::value::Value::Int(1));
}
