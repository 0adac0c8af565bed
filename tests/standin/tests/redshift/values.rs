//! Names, types and values.

use crate::support::{Standin, error, rows, value};

#[tokio::test]
async fn names_are_folded_even_within_quotes() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE TABLE \"Orders\" (\"Id\" INT); INSERT INTO ORDERS (iD) VALUES (1)").await?;
    assert_eq!(value(&client, "SELECT \"ID\" AS \"Alias\" FROM \"orders\"").await?, "1");
    let described = client.prepare("SELECT \"ID\" AS \"Alias\" FROM orders").await?;
    assert_eq!(described.columns()[0].name(), "alias");
    client.batch_execute("SET enable_case_sensitive_identifier TO on").await?;
    client.batch_execute("CREATE TABLE \"Cased\" (\"Id\" INT, id INT); INSERT INTO \"Cased\" VALUES (1, 2)").await?;
    assert_eq!(rows(&client, "SELECT \"Id\", ID FROM \"Cased\"").await?, [["1", "2"]]);
    let told = error(&client, "SELECT * FROM Cased").await?;
    assert!(told.starts_with("42P01"), "{told}");
    Ok(())
}

#[tokio::test]
async fn names_have_127_bytes() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    let long = "n".repeat(127);
    let (one, other) = (format!("{}1", "c".repeat(100)), format!("{}2", "c".repeat(100)));
    client
        .batch_execute(&format!("CREATE TABLE {long}xyz ({one} INT, {other} INT); INSERT INTO {long} VALUES (1, 2)"))
        .await?;
    let described = client.prepare(&format!("SELECT {other}, {one} FROM {long}abc")).await?;
    let names: Vec<_> = described.columns().iter().map(tokio_postgres::Column::name).collect();
    assert_eq!(names, [&other, &one]);
    let columns = rows(
        &client,
        &format!("SELECT column_name FROM svv_columns WHERE table_name = '{long}' ORDER BY ordinal_position"),
    )
    .await?;
    assert_eq!(columns, [[one], [other]]);
    Ok(())
}

#[tokio::test]
async fn lengths_are_bytes() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE TABLE t (v VARCHAR(4), c CHAR(4), b VARBYTE(2), x TEXT)").await?;
    for (insert, told) in [
        ("INSERT INTO t (v) VALUES ('\u{e9}\u{e9}\u{e9}')", "22001 value too long for type character varying(4)"),
        ("INSERT INTO t (v) VALUES ('abcde')", "22001 value too long for type character varying(4)"),
        ("INSERT INTO t (c) VALUES ('abcde')", "22001 value too long for type character(4)"),
        ("INSERT INTO t (c) VALUES ('\u{e9}')", "22021 multibyte character not supported for type character(4)"),
        ("INSERT INTO t (b) VALUES (from_hex('001122'))", "22001 value too long for type binary varying(2)"),
        ("INSERT INTO t (x) SELECT repeat('x', 257)", "22001 value too long for type character varying(256)"),
    ] {
        let error = error(&client, insert).await?;
        assert!(error.starts_with(told), "{insert}: {error}");
    }
    client.batch_execute("INSERT INTO t (v, c) VALUES ('\u{e9}\u{e9}', 'ab'), ('abcd    ', 'abcd    ')").await?;
    client.batch_execute("UPDATE t SET v = '\u{20ac}' WHERE c = 'ab'").await?;
    assert_eq!(rows(&client, "SELECT v, c FROM t ORDER BY c").await?, [["\u{20ac}", "ab  "], ["abcd", "abcd"]]);
    // A cast cuts without an error, and counts bytes, too.
    assert_eq!(value(&client, "SELECT '\u{e9}\u{e9}\u{e9}'::VARCHAR(5)").await?, "\u{e9}\u{e9}");
    assert_eq!(value(&client, "SELECT CAST('abc' AS CHAR(2))").await?, "ab");
    Ok(())
}

#[tokio::test]
async fn trailing_blanks_do_not_count() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client
        .batch_execute(
            "CREATE TABLE t (k VARCHAR(9), v VARCHAR(9) COLLATE case_insensitive); CREATE TABLE u (k VARCHAR(9)); \
             INSERT INTO t VALUES ('a ', 'Abc'), ('b', 'x'); INSERT INTO u VALUES ('a'), ('b   ')",
        )
        .await?;
    assert_eq!(value(&client, "SELECT count(*) FROM t WHERE k = 'a'").await?, "1");
    assert_eq!(value(&client, "SELECT count(*) FROM t JOIN u ON t.k = u.k").await?, "2");
    assert_eq!(value(&client, "SELECT count(*) FROM t WHERE k IN (SELECT k FROM u)").await?, "2");
    assert_eq!(value(&client, "SELECT count(*) FROM t WHERE lower(k) = 'a'").await?, "1");
    assert_eq!(value(&client, "SELECT count(*) FROM t WHERE k <> 'a'").await?, "1");
    assert_eq!(value(&client, "SELECT len(k) FROM t WHERE k = 'a'").await?, "2");
    assert_eq!(value(&client, "SELECT count(*) FROM t WHERE v = 'aBC '").await?, "1");
    assert_eq!(value(&client, "SELECT count(*) FROM t WHERE k = 'A'").await?, "0");
    client.batch_execute("DELETE FROM t USING u WHERE t.k = u.k").await?;
    assert_eq!(value(&client, "SELECT count(*) FROM t").await?, "0");
    Ok(())
}

#[tokio::test]
async fn decimals_have_the_ranges_of_their_storage() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE TABLE t (a DECIMAL(19,4), b DECIMAL(20,4), c DECIMAL, d DECIMAL(38,37))").await?;
    client.batch_execute("INSERT INTO t (a) VALUES (922337203685477.5807), (-922337203685477.5807)").await?;
    client.batch_execute("INSERT INTO t (b) VALUES (922337203685477.5808)").await?;
    for insert in [
        "INSERT INTO t (a) VALUES (922337203685477.5808)",
        "INSERT INTO t (a) VALUES (-922337203685477.5808)",
        "INSERT INTO t (b) VALUES (10000000000000000)",
        "INSERT INTO t (c) VALUES (1000000000000000000)",
        "INSERT INTO t (c) VALUES ('NaN')",
        "SELECT CAST(922337203685477.5808 AS DECIMAL(19,4))",
    ] {
        let told = error(&client, insert).await?;
        assert!(told.starts_with("22003"), "{insert}: {told}");
    }
    // INSERT rounds, where COPY cuts.
    client.batch_execute("DELETE FROM t; INSERT INTO t (a) VALUES (1.00005)").await?;
    assert_eq!(value(&client, "SELECT a FROM t").await?, "1.0001");
    Ok(())
}

#[tokio::test]
async fn keys_are_recorded_and_not_enforced() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client
        .batch_execute(
            "CREATE TABLE t (id INT PRIMARY KEY, a INT UNIQUE, CONSTRAINT pair UNIQUE (id, a)); \
             CREATE TABLE u (id INT REFERENCES t (id)); \
             INSERT INTO t VALUES (1, 1), (1, 1); INSERT INTO u VALUES (99)",
        )
        .await?;
    let keys = rows(&client, "SELECT conname, contype, conkey FROM pg_constraint ORDER BY conname").await?;
    assert_eq!(keys, [["pair", "u", "{1,2}"], ["t_key", "u", "{2}"], ["t_pkey", "p", "{1}"], ["u_fkey", "f", "{1}"],]);
    let told = error(&client, "INSERT INTO t VALUES (NULL, 1)").await?;
    assert!(told.starts_with("23502 Cannot insert a NULL value into column \"id\""), "{told}");
    client.batch_execute("ALTER TABLE t DROP CONSTRAINT pair; ALTER TABLE u ADD PRIMARY KEY (id)").await.unwrap_err();
    client.batch_execute("ALTER TABLE t RENAME COLUMN a TO b; ALTER TABLE t DROP COLUMN b CASCADE").await?;
    assert_eq!(value(&client, "SELECT count(*) FROM pg_constraint WHERE contype = 'u'").await?, "0");
    Ok(())
}

#[tokio::test]
async fn empty_text_and_null_are_two() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client
        .batch_execute("CREATE TABLE t (a VARCHAR(9)); INSERT INTO t VALUES (''), (NULL), ('\\\\N'), ('it''s')")
        .await?;
    let found = rows(&client, "SELECT a, a IS NULL FROM t ORDER BY a").await?;
    assert_eq!(found, [["", "f"], ["\\N", "f"], ["it's", "f"], ["NULL", "t"]]);
    Ok(())
}

#[tokio::test]
async fn backslashes_in_literals_are_escapes() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    assert_eq!(value(&client, "SELECT 'a\\\\b'").await?, "a\\b");
    assert_eq!(value(&client, "SELECT 'a\\'; DROP TABLE t; --'").await?, "a'; DROP TABLE t; --");
    assert_eq!(value(&client, "SELECT 'a\\tb' || '\\\\'").await?, "a\tb\\");
    assert_eq!(value(&client, "SELECT 'a\\\\''b'").await?, "a\\'b");
    Ok(())
}

#[tokio::test]
async fn tables_are_made_like_others_and_temporary() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client
        .batch_execute(
            "CREATE SCHEMA s; CREATE TABLE s.t (id INT NOT NULL PRIMARY KEY, a VARCHAR(9) DEFAULT 'x', b VARBYTE(3)) \
                 DISTKEY (id) SORTKEY (a, id); \
             CREATE TABLE s.u (LIKE s.t); CREATE TABLE s.v (LIKE s.t INCLUDING DEFAULTS); \
             CREATE TEMP TABLE mine (LIKE s.t); CREATE TABLE #other (id INT); INSERT INTO #other VALUES (1)",
        )
        .await?;
    let columns = rows(
        &client,
        "SELECT column_name, data_type, column_default, is_nullable, distkey, sortkey FROM svv_redshift_columns \
         WHERE schema_name = 's' AND table_name = 'u' ORDER BY ordinal_position",
    )
    .await?;
    assert_eq!(
        columns,
        [
            ["id", "integer", "NULL", "NO", "t", "2"],
            ["a", "character varying(9)", "NULL", "YES", "f", "1"],
            ["b", "binary varying(3)", "NULL", "YES", "f", "0"],
        ]
    );
    client.batch_execute("INSERT INTO s.v (id) VALUES (1), (1); INSERT INTO mine (id) VALUES (1)").await?;
    assert_eq!(value(&client, "SELECT a FROM s.v").await?, "x");
    assert_eq!(value(&client, "SELECT count(*) FROM pg_constraint").await?, "1");
    let other = standin.connect().await?;
    let told = error(&other, "SELECT * FROM mine").await?;
    assert!(told.starts_with("42P01"), "{told}");
    client.batch_execute("CREATE TABLE s.w AS SELECT id, a || '!' AS b, 1.5::DECIMAL(10,2) AS c FROM s.v").await?;
    assert_eq!(value(&client, "SELECT count(*) FROM s.w WHERE b = 'x!' AND c = 1.5").await?, "2");
    Ok(())
}
