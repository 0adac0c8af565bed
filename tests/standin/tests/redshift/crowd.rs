//! Many loaders at once, each with tables of its own.

use std::time::{Duration, Instant};

use crate::support::{LOAD, Standin, value};

const LOADERS: usize = 8;
const BATCHES: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn loaders_of_different_tables_neither_wait_nor_conflict() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    standin.put("1", "1,a\n2,b\n")?;
    let held = standin.connect().await?;
    held.batch_execute("CREATE TABLE held (id INT); CREATE TABLE held_mark (n INT); INSERT INTO held_mark VALUES (0)")
        .await?;
    held.batch_execute("BEGIN; LOCK held_mark; INSERT INTO held VALUES (1)").await?;
    let mut loaders = Vec::new();
    for loader in 0..LOADERS {
        let client = standin.connect().await?;
        loaders.push(tokio::spawn(async move {
            let (table, mark) = (format!("t{loader}"), format!("mark{loader}"));
            client
                .batch_execute(&format!(
                    "CREATE TABLE {table} (id INT, a VARCHAR(9)); CREATE TABLE {table}_stage (LIKE {table}); \
                     CREATE TABLE {mark} (n INT); INSERT INTO {mark} VALUES (0)"
                ))
                .await?;
            for batch in 0..BATCHES {
                client
                    .batch_execute(&format!(
                        "BEGIN; LOCK {mark}; SELECT n FROM {mark}; DELETE FROM {table}_stage; \
                         COPY {table}_stage FROM 's3://bucket/1' {LOAD}; \
                         DELETE FROM {table} USING {table}_stage s WHERE {table}.id = s.id; \
                         INSERT INTO {table} SELECT * FROM {table}_stage; \
                         UPDATE {mark} SET n = {} WHERE n = {batch}; COMMIT",
                        batch + 1
                    ))
                    .await?;
            }
            anyhow::Ok(value(&client, &format!("SELECT n * 100 + (SELECT count(*) FROM {table}) FROM {mark}")).await?)
        }));
    }
    let started = Instant::now();
    for loader in loaders {
        let found = tokio::time::timeout(Duration::from_mins(2), loader).await???;
        assert_eq!(found, (BATCHES * 100 + 2).to_string());
    }
    assert!(started.elapsed() < Duration::from_mins(2));
    held.batch_execute("COMMIT").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn loaders_of_one_table_take_turns() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE TABLE t (id INT); CREATE TABLE mark (n INT); INSERT INTO mark VALUES (0)").await?;
    let mut loaders = Vec::new();
    for _ in 0..4 {
        let client = standin.connect().await?;
        loaders.push(tokio::spawn(async move {
            for _ in 0..BATCHES {
                client
                    .batch_execute(
                        "BEGIN; LOCK mark; UPDATE mark SET n = n + 1; INSERT INTO t SELECT n FROM mark; COMMIT",
                    )
                    .await?;
            }
            anyhow::Ok(())
        }));
    }
    for loader in loaders {
        loader.await??;
    }
    assert_eq!(value(&client, "SELECT n || ' ' || (SELECT count(DISTINCT id) FROM t) FROM mark").await?, "48 48");
    Ok(())
}
