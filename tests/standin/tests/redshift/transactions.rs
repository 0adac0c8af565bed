//! Transactions: TRUNCATE, whole-table locks, 1023 and 1018.

use std::time::Duration;

use crate::support::{LOAD, Standin, error, rows, value};

/// Long enough for a statement that does not wait.
const MOMENT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn truncate_commits_what_was_done_before_it() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE TABLE a (id INT); CREATE TABLE b (id INT); INSERT INTO b VALUES (1)").await?;
    client.batch_execute("BEGIN; INSERT INTO a VALUES (1)").await?;
    client.batch_execute("TRUNCATE b").await?;
    client.batch_execute("ROLLBACK").await?;
    assert_eq!(rows(&client, "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)").await?, [["1", "0"]]);
    Ok(())
}

#[tokio::test]
async fn one_writer_of_a_table_at_a_time_and_readers_do_not_wait() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let (first, second) = (standin.connect().await?, standin.connect().await?);
    first.batch_execute("CREATE TABLE t (id INT); CREATE TABLE u (id INT); INSERT INTO t VALUES (1)").await?;
    standin.put("1", "5\n")?;
    for write in [
        "INSERT INTO t VALUES (2)".to_owned(),
        format!("COPY t FROM 's3://bucket/1' {LOAD}"),
        "INSERT INTO t SELECT id FROM u".to_owned(),
    ] {
        first.batch_execute("BEGIN; INSERT INTO t VALUES (9)").await?;
        second.batch_execute("INSERT INTO u VALUES (1)").await?;
        value(&second, "SELECT count(*) FROM t").await?;
        let waiting = second.batch_execute(&write);
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(MOMENT, &mut waiting).await.is_err(), "{write} did not wait");
        first.batch_execute("ROLLBACK").await?;
        waiting.await?;
    }
    Ok(())
}

/// "Managing concurrent write operations": two transactions that take tables in different orders deadlock.
#[tokio::test]
async fn tables_taken_in_two_orders_end_one_transaction_and_let_the_other_go_on() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let (first, second) = (standin.connect().await?, standin.connect().await?);
    first.batch_execute("CREATE TABLE t (id INT); CREATE TABLE u (id INT)").await?;
    for (before, after) in [("LOCK ", ""), ("INSERT INTO ", " VALUES (1)")] {
        let of = |table: &str| format!("{before}{table}{after}");
        first.batch_execute(&format!("BEGIN; {}", of("t"))).await?;
        second.batch_execute(&format!("BEGIN; {}", of("u"))).await?;
        let (us, ts) = (of("u"), of("t"));
        let ended = tokio::join!(first.batch_execute(&us), second.batch_execute(&ts));
        let errors: Vec<_> = [&ended.0, &ended.1].into_iter().filter_map(|ended| ended.as_ref().err()).collect();
        let codes: Vec<_> =
            errors.iter().filter_map(|error| error.code()).map(tokio_postgres::error::SqlState::code).collect();
        assert_eq!(codes, ["40P01"], "{before}");
        first.batch_execute("ROLLBACK").await?;
        second.batch_execute("ROLLBACK").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_write_after_another_commit_to_the_table_is_1023() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let (first, second) = (standin.connect().await?, standin.connect().await?);
    first.batch_execute("CREATE TABLE t (id INT); CREATE TABLE u (id INT); INSERT INTO t VALUES (1), (2)").await?;
    standin.put("1", "5\n")?;
    for write in [
        "INSERT INTO t VALUES (7)".to_owned(),
        "DELETE FROM t WHERE id = 2".to_owned(),
        format!("COPY t FROM 's3://bucket/1' {LOAD}"),
    ] {
        first.batch_execute("BEGIN").await?;
        value(&first, "SELECT count(*) FROM u").await?;
        second.batch_execute("UPDATE t SET id = 8 WHERE id = 1").await?;
        let told = error(&first, &write).await?;
        assert!(told.starts_with("XX000 1023 Serializable isolation violation on table - "), "{write}: {told}");
        assert_eq!(error(&first, "SELECT 1").await?.split(' ').next(), Some("25P02"));
        first.batch_execute("ROLLBACK").await?;
        first.batch_execute(&write).await?;
    }
    // Whoever locks first takes the snapshot after, and conflicts with nobody.
    first.batch_execute("BEGIN; LOCK t").await?;
    let waiting = second.batch_execute("BEGIN; LOCK t; DELETE FROM t; COMMIT");
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(MOMENT, &mut waiting).await.is_err(), "LOCK did not wait");
    first.batch_execute("INSERT INTO t VALUES (1); COMMIT").await?;
    waiting.await?;
    assert_eq!(value(&first, "SELECT count(*) FROM t").await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_delete_that_waited_sees_the_table_as_it_was() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let (first, second) = (standin.connect().await?, standin.connect().await?);
    first.batch_execute("CREATE TABLE t (id INT); INSERT INTO t VALUES (1)").await?;
    first.batch_execute("BEGIN; INSERT INTO t VALUES (2)").await?;
    let waiting = second.simple_query("DELETE FROM t");
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(MOMENT, &mut waiting).await.is_err(), "DELETE did not wait");
    first.batch_execute("COMMIT").await?;
    let told = waiting.await.expect_err("a conflict");
    assert_eq!(told.as_db_error().map(tokio_postgres::error::DbError::message), Some("1023"));
    Ok(())
}

#[tokio::test]
async fn reads_and_writes_that_cross_are_1023_unless_isolation_is_snapshot() -> anyhow::Result<()> {
    for (isolation, conflicts) in
        [(standin::redshift::Isolation::Serializable, true), (standin::redshift::Isolation::Snapshot, false)]
    {
        let standin = Standin::start_with(|mut settings| {
            settings.isolation = isolation;
            settings
        })
        .await?;
        let (first, second) = (standin.connect().await?, standin.connect().await?);
        first.batch_execute("CREATE TABLE t (id INT); CREATE TABLE u (id INT)").await?;
        first.batch_execute("BEGIN; SELECT * FROM t").await?;
        second.batch_execute("BEGIN; SELECT * FROM u").await?;
        first.batch_execute("INSERT INTO u VALUES (1)").await?;
        second.batch_execute("INSERT INTO t VALUES (1)").await?;
        first.batch_execute("COMMIT").await?;
        let result = second.simple_query("COMMIT").await;
        let message = result.err().and_then(|error| error.as_db_error().map(|error| error.message().to_owned()));
        assert_eq!(message.as_deref(), conflicts.then_some("1023"));
        let told = value(&first, "SELECT isolation_level FROM stv_db_isolation_level").await?;
        assert_eq!(told, if conflicts { "Serializable" } else { "Snapshot Isolation" });
    }
    Ok(())
}

#[tokio::test]
async fn a_table_that_came_or_went_after_the_snapshot_is_1018() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let (first, second) = (standin.connect().await?, standin.connect().await?);
    first.batch_execute("CREATE TABLE t (id INT); CREATE TABLE stale (id INT)").await?;
    for (change, name) in [
        ("CREATE TABLE fresh (id INT)", "fresh"),
        ("DROP TABLE stale", "stale"),
        ("ALTER TABLE t RENAME TO moved", "t"),
    ] {
        let statements =
            [format!("SELECT * FROM {name}"), format!("INSERT INTO public.{name} VALUES (1)"), format!("LOCK {name}")];
        let mut sessions = Vec::new();
        for _ in &statements {
            let session = standin.connect().await?;
            session.batch_execute("BEGIN; SELECT count(*) FROM svv_tables").await?;
            sessions.push(session);
        }
        second.batch_execute(change).await?;
        for (session, statement) in sessions.iter().zip(&statements) {
            let told = error(session, statement).await?;
            assert_eq!(told, "XX000 1018 Relation does not exist", "{statement} after {change}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_level_that_begin_names_has_no_effect() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let (first, second) = (standin.connect().await?, standin.connect().await?);
    first.batch_execute("CREATE TABLE t (id INT)").await?;
    first.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    assert_eq!(value(&first, "SELECT count(*) FROM t").await?, "0");
    second.batch_execute("INSERT INTO t VALUES (1)").await?;
    assert_eq!(value(&first, "SELECT count(*) FROM t").await?, "0");
    first.batch_execute("COMMIT").await?;
    assert_eq!(value(&first, "SELECT count(*) FROM t").await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_statement_may_wait_no_longer_than_its_time() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let (first, second) = (standin.connect().await?, standin.connect().await?);
    first.batch_execute("CREATE TABLE t (id INT)").await?;
    first.batch_execute("BEGIN; LOCK t").await?;
    second.batch_execute("SET statement_timeout TO 100").await?;
    for statement in ["DELETE FROM t", "SELECT * FROM t", "BEGIN; LOCK t"] {
        let told = error(&second, statement).await?;
        assert!(told.starts_with("57014"), "{statement}: {told}");
        second.batch_execute("ROLLBACK").await?;
    }
    for _ in 0..20 {
        let told = error(&second, "DELETE FROM t").await?;
        assert!(told.starts_with("57014"), "{told}");
        second.batch_execute("BEGIN; SELECT 1; COMMIT").await?;
    }
    first.batch_execute("COMMIT").await?;
    assert_eq!(value(&second, "SELECT count(*) FROM t").await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_cancel_request_ends_what_waits() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let (first, second) = (standin.connect().await?, standin.connect().await?);
    first.batch_execute("CREATE TABLE t (id INT)").await?;
    first.batch_execute("BEGIN; LOCK t").await?;
    let cancel = second.cancel_token();
    let waiting = second.batch_execute("DELETE FROM t");
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(MOMENT, &mut waiting).await.is_err());
    cancel.cancel_query(tokio_postgres::NoTls).await?;
    let told = waiting.await.expect_err("cancelled");
    assert_eq!(told.code().map(tokio_postgres::error::SqlState::code), Some("57014"));
    Ok(())
}

#[tokio::test]
async fn tables_are_made_and_unmade_by_transactions() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE TABLE t (id INT)").await?;
    client
        .batch_execute(
            "BEGIN; CREATE TABLE n (id INT); INSERT INTO n VALUES (1); ALTER TABLE t RENAME TO o; ALTER TABLE n RENAME TO t; \
             ALTER TABLE t ADD COLUMN a INT; DROP TABLE o; ROLLBACK",
        )
        .await?;
    assert_eq!(value(&client, "SELECT count(*) FROM t").await?, "0");
    client.batch_execute("BEGIN; CREATE TABLE n (id INT); INSERT INTO n VALUES (1); ALTER TABLE t RENAME TO o").await?;
    client.batch_execute("ALTER TABLE n RENAME TO t; DROP TABLE o; COMMIT").await?;
    assert_eq!(value(&client, "SELECT count(*) FROM t").await?, "1");
    Ok(())
}
