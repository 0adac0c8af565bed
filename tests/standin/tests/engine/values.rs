//! Types: what comes back, what is refused, what compares equal.

use standin::value::Value;

use crate::client::{cell, connect, errors, ok, run, server, text};

#[test]
fn every_type_comes_back() {
    let engine = server();
    let mut session = connect(&engine);
    let cases: &[(&str, &str, Value)] = &[
        ("bit", "1", Value::Bit(true)),
        ("tinyint", "255", Value::Int(255)),
        ("smallint", "-32768", Value::Int(-32_768)),
        ("int", "-2147483648", Value::Int(-2_147_483_648)),
        ("bigint", "9223372036854775807", Value::Int(i64::MAX)),
        (
            "decimal(38,10)",
            "-1234567890123456789012345678.0123456789",
            Value::Decimal(-12_345_678_901_234_567_890_123_456_780_123_456_789, 10),
        ),
        ("numeric(5,2)", "1.005", Value::Decimal(101, 2)),
        ("money", "-922337203685477.5808", Value::Money(i64::MIN)),
        ("smallmoney", "1.5", Value::Money(15_000)),
        ("real", "1.5", Value::Real(1.5)),
        ("float", "-2.5e10", Value::Float(-2.5e10)),
        ("date", "'2020-02-29'", Value::Date(737_483)),
        ("time(3)", "'12:34:56.7891'", Value::Time(452_967_890_000)),
        ("datetime", "'2020-01-01 00:00:00.005'", Value::DateTime(737_424, 66_667)),
        ("smalldatetime", "'2020-01-01 00:00:29.999'", Value::DateTime(737_424, 600_000_000)),
        ("datetime2(7)", "'0001-01-01 00:00:00.0000001'", Value::DateTime(0, 1)),
        ("datetimeoffset(0)", "'2020-01-01 00:00:00 +05:30'", Value::DateTimeOffset(737_423, 666_000_000_000, 330)),
        ("char(3)", "'a'", text("a  ")),
        ("varchar(10)", "'é€'", text("é€")),
        ("varchar(10)", "N'日本'", text("??")),
        ("varchar(10) COLLATE Latin1_General_100_CI_AS_SC_UTF8", "N'日本'", text("日本")),
        ("nvarchar(10)", "N'日本'", text("日本")),
        ("nchar(2)", "N'日'", text("日 ")),
        ("binary(3)", "0x01", Value::Bytes(vec![1, 0, 0])),
        ("varbinary(max)", "0x0102", Value::Bytes(vec![1, 2])),
        (
            "uniqueidentifier",
            "'6F9619FF-8B86-D011-B42D-00C04FC964FF'",
            Value::Guid([0x6f, 0x96, 0x19, 0xff, 0x8b, 0x86, 0xd0, 0x11, 0xb4, 0x2d, 0, 0xc0, 0x4f, 0xc9, 0x64, 0xff]),
        ),
        ("xml", "'<a/>'", text("<a/>")),
        ("hierarchyid", "0x58", Value::Bytes(vec![0x58])),
    ];
    for (at, (ty, literal, wanted)) in cases.iter().enumerate() {
        ok(
            session.as_mut(),
            &format!("CREATE TABLE t{at} (v {ty}); INSERT t{at} VALUES ({literal}); INSERT t{at} VALUES (NULL)"),
        );
        assert_eq!(
            cell(session.as_mut(), &format!("SELECT v FROM t{at} WHERE v IS NOT NULL")),
            *wanted,
            "{ty} {literal}"
        );
        assert_eq!(cell(session.as_mut(), &format!("SELECT v FROM t{at} WHERE v IS NULL")), Value::Null, "{ty}");
    }
}

#[test]
fn conversions_fail_with_their_own_errors() {
    let engine = server();
    let mut session = connect(&engine);
    let cases = [
        ("SELECT CAST('abc' AS int)", 245),
        ("SELECT CAST('1.5' AS int)", 245),
        ("SELECT CAST('99999999999' AS int)", 248),
        ("SELECT CAST('x' AS decimal(5,2))", 8114),
        ("SELECT CAST(1000 AS decimal(5,2))", 8115),
        ("SELECT CAST(300 AS tinyint)", 220),
        ("SELECT CAST(3000000000 AS int)", 8115),
        ("SELECT 2147483647 + 1", 8115),
        ("SELECT 1 / 0", 8134),
        ("SELECT 1 % 0", 8134),
        ("SELECT CAST('2020-02-30' AS date)", 241),
        ("SELECT CAST('1700-01-01' AS datetime)", 242),
        ("SELECT CAST('x' AS uniqueidentifier)", 8169),
        ("SELECT CAST('x' AS money)", 235),
        ("SELECT CAST(1 AS date)", 529),
        ("SELECT CAST(1 AS nosuch)", 243),
        ("SELECT 1 + CAST('2020-01-01' AS date)", 206),
        ("SELECT DATEADD(century, 1, '2020-01-01')", 155),
        ("SELECT LEFT('a')", 174),
        ("SELECT 1 WHERE 'a' = CAST('a' AS text)", 402),
    ];
    for (sql, number) in cases {
        assert_eq!(errors(session.as_mut(), sql), [number], "{sql}");
    }
    assert_eq!(cell(session.as_mut(), "SELECT TRY_CAST('abc' AS int)"), Value::Null);
    assert_eq!(cell(session.as_mut(), "SELECT TRY_CONVERT(date, 'x')"), Value::Null);
}

#[test]
fn text_too_long_names_its_column() {
    let engine = server();
    let mut session = connect(&engine);
    ok(session.as_mut(), "CREATE TABLE t (v varchar(3))");
    let answer = run(session.as_mut(), "INSERT t VALUES ('abcd')");
    assert_eq!(answer.errors(), [2628]);
    let wanted = "String or binary data would be truncated in table 'shop.dbo.t', column 'v'. Truncated value: 'abc'.";
    assert_eq!(answer.messages[0].message, wanted);
    ok(session.as_mut(), "INSERT t VALUES ('abc   ')");
}

#[test]
fn arithmetic_has_the_types_of_t_sql() {
    let engine = server();
    let mut session = connect(&engine);
    let cases = [
        ("10 / 3", Value::Int(3)),
        ("-7 / 2", Value::Int(-3)),
        ("10 / 3.0", Value::Decimal(3_333_333, 6)),
        ("1.5 * 2.25", Value::Decimal(3375, 3)),
        ("1 + '2'", Value::Int(3)),
        ("'1' + '2'", text("12")),
        ("'a' + NULL", Value::Null),
        ("CAST(1 AS decimal(38,20)) / 3", Value::Decimal(33_333_333_333_333_333_333, 20)),
        ("CAST(10 AS money) / 4", Value::Money(25_000)),
        ("5 & 3 | 8 ^ 1", Value::Int(8)),
        ("ROUND(2.5, 0)", Value::Decimal(30, 1)),
        ("ROUND(1234, -2)", Value::Int(1200)),
        ("LEN('ab  ')", Value::Int(2)),
        ("DATALENGTH(N'ab')", Value::Int(4)),
        ("CONVERT(varchar(30), CAST('2020-01-02 03:04:05.678' AS datetime), 121)", text("2020-01-02 03:04:05.677")),
        ("CONVERT(varchar(30), CAST('2020-01-02 03:04:05' AS datetime))", text("Jan  2 2020  3:04AM")),
        ("CONVERT(varchar(10), CAST('2020-01-02' AS date), 112)", text("20200102")),
        ("CONVERT(varchar(50), 0x01FF, 1)", text("0x01FF")),
        ("CONVERT(varbinary(5), '0x01FF', 1)", Value::Bytes(vec![1, 255])),
        ("CAST(CAST(12.345 AS money) AS varchar(20))", text("12.35")),
        ("DATEDIFF(month, '2020-01-31', '2020-02-01')", Value::Int(1)),
        ("IIF(1 > 2, 'a', 'b')", text("b")),
        ("CHARINDEX('B', 'abc')", Value::Int(2)),
        ("STUFF('abcdef', 2, 3, 'X')", text("aXef")),
        ("QUOTENAME('a]b')", text("[a]]b]")),
    ];
    for (expression, wanted) in cases {
        assert_eq!(cell(session.as_mut(), &format!("SELECT {expression}")), wanted, "{expression}");
    }
}

#[test]
fn order_and_equality_follow_the_type() {
    let engine = server();
    let mut session = connect(&engine);
    let session = session.as_mut();
    ok(
        session,
        "CREATE TABLE t (g uniqueidentifier, d decimal(10,2), o datetimeoffset, c varchar(9), b varchar(9) COLLATE Latin1_General_BIN2)",
    );
    ok(
        session,
        "INSERT t VALUES ('00000000-0000-0000-0000-010000000000', -1.5, '2020-01-01 02:00 +02:00', 'b', 'b'),
                         ('FF000000-0000-0000-0000-000000000000', 10, '2020-01-01 01:00 +00:00', 'A', 'A'),
                         (NULL, NULL, NULL, NULL, NULL)",
    );
    assert_eq!(cell(session, "SELECT TOP 1 d FROM t ORDER BY g DESC"), Value::Decimal(-150, 2));
    assert_eq!(cell(session, "SELECT TOP 1 d FROM t ORDER BY d"), Value::Null);
    assert_eq!(cell(session, "SELECT COUNT(*) FROM t WHERE d > -2 AND d < 9.99"), Value::Int(1));
    assert_eq!(cell(session, "SELECT COUNT(*) FROM t WHERE o = '2020-01-01 00:00 +00:00'"), Value::Int(1));
    assert_eq!(cell(session, "SELECT COUNT(*) FROM t WHERE c = 'B  '"), Value::Int(1));
    assert_eq!(cell(session, "SELECT COUNT(*) FROM t WHERE b = 'B'"), Value::Int(0));
    assert_eq!(cell(session, "SELECT COUNT(DISTINCT c) FROM (VALUES ('x'), ('X '), ('y')) v(c)"), Value::Int(2));
    assert_eq!(errors(session, "SELECT * FROM t WHERE c = b"), [468]);
}
