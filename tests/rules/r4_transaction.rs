//! Rule 4: table and watermark change in one target transaction, which takes the table's own lock first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use delsert::table::Table;
use standin::s3::{Fault, Moment};
use tokio_postgres::Client;

use super::by_hand::table;
use super::stage::{Gate, Stage, until};

/// A table with a snapshot in the target, and a batch to come.
async fn with_a_batch_to_come() -> anyhow::Result<(Stage, Table)> {
    let (stage, things) = (Stage::without_source().await?, table("Things"));
    stage.open(&things, 1).await?;
    stage.prepare(&things).await?;
    stage.batch(&things, (1, 1), &[(1, Some("old")), (2, Some("old"))]).await?;
    stage.task(&["load"]).await?.expect(0)?;
    stage.batch(&things, (1, 2), &[(1, Some("new")), (2, None), (3, Some("new"))]).await?;
    Ok((stage, things))
}

const OLD: &[(i32, &str)] = &[(1, "old"), (2, "old")];
const NEW: &[(i32, &str)] = &[(1, "new"), (3, "new")];

/// Holds a table's lock as another load would.
async fn hold_lock(stage: &Stage, table: &Table) -> anyhow::Result<Client> {
    let holder = stage.target.connect().await?;
    holder.batch_execute(&format!("BEGIN; LOCK TABLE {} IN EXCLUSIVE MODE", stage.mark(table)?)).await?;
    Ok(holder)
}

/// How another load moves the watermark on to the batch that is to come.
async fn move_on(stage: &Stage, table: &Table) -> anyhow::Result<String> {
    let manifest = stage.ledger()?.manifest(&table.name, 1, 2).await?.context("no batch is to come")?;
    let (mark, position) = (stage.mark(table)?, super::by_hand::position(1, 2));
    Ok(format!("UPDATE {mark} SET sequence = 2, position = '{position}', attempt = '{}'; COMMIT", manifest.attempt))
}

/// How many sessions wait for a lock on a table of this database.
async fn waiting(client: &Client) -> anyhow::Result<i64> {
    let query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database =
                 (SELECT oid FROM pg_database WHERE datname = current_database())";
    Ok(client.query_one(query, &[]).await?.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_a_load_waits_for_the_tables_lock_within_bounds() -> anyhow::Result<()> {
    let (stage, things) = with_a_batch_to_come().await?;
    let holder = hold_lock(&stage, &things).await?;
    stage.configure(|text| text.replace("lock_timeout = \"60s\"", "lock_timeout = \"300ms\""))?;
    let load = stage.task(&["load"]).await?.expect(75)?.summary()?;
    let error = load.table("dbo.Things")?["error"].as_str().unwrap_or_default().to_owned();
    for word in ["dbo.Things", "lock", "delsert", "mark_dbo_things", "pg_locks"] {
        ensure!(error.contains(word), "the message does not say '{word}': {error}");
    }
    holder.batch_execute("ROLLBACK").await?;
    stage.expect_rows(&things, OLD).await?;
    stage.task(&["load"]).await?.expect(0)?;
    stage.expect_rows(&things, NEW).await
}

/// One that is overtaken while it waits, and must wait again, does not begin to count anew.
#[tokio::test(flavor = "multi_thread")]
async fn r4_a_load_that_is_overtaken_waits_no_longer_in_all() -> anyhow::Result<()> {
    let bound = Duration::from_secs(9);
    let (stage, things) = with_a_batch_to_come().await?;
    stage.batch(&things, (1, 3), &[(4, Some("newer"))]).await?;
    stage.configure(|text| text.replace("lock_timeout = \"60s\"", "lock_timeout = \"9s\""))?;
    let (holder, observer) = (hold_lock(&stage, &things).await?, stage.target.connect().await?);
    let load = stage.start_task(&["load"])?;
    until("the load waits for the lock", || async { Ok(waiting(&observer).await? == 1) }).await?;
    let began = Instant::now();
    let mark = stage.mark(&things)?;
    let next = stage.target.connect().await?;
    let (applied, lock) = (move_on(&stage, &things).await?, format!("BEGIN; LOCK TABLE {mark} IN EXCLUSIVE MODE"));
    let behind = tokio::spawn(async move { next.batch_execute(&lock).await.map(|()| next) });
    until("another waits behind it", || async { Ok(waiting(&observer).await? == 2) }).await?;
    tokio::time::sleep_until((began + bound * 2 / 3).into()).await;
    holder.batch_execute(&applied).await?;
    let next = behind.await??;
    let error = load.outcome().await?.expect(75)?.stderr;
    let took = began.elapsed();
    ensure!(error.contains("another worker applied") && error.contains("cannot lock"), "{error}");
    ensure!(took < bound * 3 / 2, "it waited {took:?}, the bound is {bound:?}");
    next.batch_execute("ROLLBACK").await?;
    stage.task(&["load"]).await?.expect(0)?;
    Ok(())
}

/// While it waits, a load holds nothing that another could wait for, and has decided nothing.
#[tokio::test(flavor = "multi_thread")]
async fn r4_the_lock_comes_first_and_the_batch_is_chosen_under_it() -> anyhow::Result<()> {
    let (stage, things) = with_a_batch_to_come().await?;
    let holder = hold_lock(&stage, &things).await?;
    let load = stage.start_task(&["load"])?;
    let observer = stage.target.connect().await?;
    until("a load waits for the lock", || async { Ok(waiting(&observer).await? == 1) }).await?;
    let query = "SELECT relation::regclass::text, mode FROM pg_locks held WHERE granted AND locktype = 'relation'
                 AND pid = (SELECT pid FROM pg_locks WHERE NOT granted AND database =
                            (SELECT oid FROM pg_database WHERE datname = current_database()))";
    let held = observer.query(query, &[]).await?;
    let held: Vec<(String, String)> = held.iter().map(|row| (row.get(0), row.get(1))).collect();
    ensure!(held.is_empty(), "before its table's lock the load holds {held:?}");

    // Another worker applies the batch meanwhile: what the load saw before its lock is no longer so.
    let applied = format!(
        "DELETE FROM dbo.things; INSERT INTO dbo.things VALUES (1, 'new'), (3, 'new'); {}",
        move_on(&stage, &things).await?
    );
    holder.batch_execute(&applied).await?;
    let load = load.outcome().await?.expect(0)?.summary()?;
    ensure!(load.upserts() == 0 && load.0["batches"] == 0, "the batch was applied again: {}", load.0);
    stage.expect_rows(&things, NEW).await
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_of_two_loads_at_once_each_batch_is_applied_by_one() -> anyhow::Result<()> {
    let (stage, things) = with_a_batch_to_come().await?;
    for sequence in 3..=6 {
        stage.batch(&things, (1, sequence), &[(1, Some("new"))]).await?;
    }
    let admin = stage.target.connect_as_admin().await?;
    admin
        .batch_execute(
            "CREATE TABLE public.inserted (id int); GRANT ALL ON public.inserted TO PUBLIC;
             CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO public.inserted VALUES (NEW.id); RETURN NEW; END $$;
             CREATE TRIGGER note AFTER INSERT ON dbo.things FOR EACH ROW EXECUTE FUNCTION public.note()",
        )
        .await?;
    let holder = hold_lock(&stage, &things).await?;
    let loads = [stage.start_task(&["load"])?, stage.start_task(&["load"])?];
    until("both loads wait for the lock", || async { Ok(waiting(&admin).await? == 2) }).await?;
    holder.batch_execute("ROLLBACK").await?;
    let mut batches = 0;
    for load in loads {
        batches += load.outcome().await?.expect(0)?.summary()?.0["batches"].as_u64().unwrap_or(0);
    }
    ensure!(batches == 5, "5 batches were applied {batches} times");
    let inserted: i64 = admin.query_one("SELECT count(*) FROM public.inserted", &[]).await?.get(0);
    ensure!(inserted == 6, "6 rows were inserted {inserted} times");
    ensure!(stage.watermark(&things).await? == (1, 6), "the watermark is wrong");
    stage.expect_rows(&things, NEW).await
}

/// Killed in the middle of its COPY, with no chance to tidy up.
#[tokio::test(flavor = "multi_thread")]
async fn r4_of_a_load_killed_in_the_middle_nothing_is_applied() -> anyhow::Result<()> {
    let (stage, things) = with_a_batch_to_come().await?;
    let gate = Gate::new();
    let held = Arc::clone(&gate);
    stage.watch(move |operation, moment| {
        if moment == Moment::Before && operation.name == "GetObject" && operation.key.ends_with("-0001.csv") {
            held.pass();
        }
        Fault::None
    });
    let mut load = stage.start_task(&["load"])?;
    gate.reached(1).await?;
    let observer = stage.target.connect().await?;
    ensure!(stage.watermark(&things).await? == (1, 1), "the watermark moved before the rows");
    stage.expect_rows(&things, OLD).await?;
    load.child.kill().await?;
    gate.open();
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'delsert'
                    AND datname = current_database()";
    until("the server notices", || async { Ok(observer.query_one(sessions, &[]).await?.get::<_, i64>(0) == 0) })
        .await?;
    stage.expect_rows(&things, OLD).await?;
    ensure!(stage.watermark(&things).await? == (1, 1), "the watermark moved without the rows");
    ensure!(stage.keys_ending("0000000002/applied.json").is_empty(), "marked applied, and is not");
    let load = stage.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(load.0["batches"] == 1, "{}", load.0);
    stage.expect_rows(&things, NEW).await
}

/// What goes wrong after the watermark moved takes it back, and what goes wrong with the watermark the rows.
#[tokio::test(flavor = "multi_thread")]
async fn r4_table_and_watermark_change_together_or_not_at_all() -> anyhow::Result<()> {
    let (stage, things) = with_a_batch_to_come().await?;
    let admin = stage.target.connect_as_admin().await?;
    admin
        .batch_execute(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'card 4111-1111' USING ERRCODE = '23514'; END $$",
        )
        .await?;
    let mark = stage.mark(&things)?;
    for (what, table, trigger) in [
        (
            "at the commit",
            "dbo.things",
            "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON dbo.things DEFERRABLE INITIALLY DEFERRED".to_owned(),
        ),
        ("at the insert", "dbo.things", "CREATE TRIGGER refuse AFTER INSERT ON dbo.things".to_owned()),
        ("at the watermark", mark.as_str(), format!("CREATE TRIGGER refuse BEFORE UPDATE ON {mark}")),
    ] {
        admin.batch_execute(&format!("{trigger} FOR EACH ROW EXECUTE FUNCTION public.refuse()")).await?;
        let outcome = stage.task(&["load"]).await?.expect(3)?;
        let load = outcome.summary()?;
        ensure!(load.upserts() == 0, "refused {what}, and counted: {}", load.0);
        let said = format!("{}{}", outcome.stderr, outcome.stdout);
        ensure!(said.contains("raised an error (SQLSTATE 23514)"), "{what}: {said}");
        ensure!(!said.contains("4111"), "refused {what}, and the value is told: {said}");
        stage.expect_rows(&things, OLD).await?;
        ensure!(stage.watermark(&things).await? == (1, 1), "refused {what}, and the watermark moved");
        admin.batch_execute(&format!("DROP TRIGGER refuse ON {table}")).await?;
    }
    stage.task(&["load"]).await?.expect(0)?;
    stage.expect_rows(&things, NEW).await
}

/// Somebody writes the watermark between its reading and its writing, even within the load's own transaction.
#[tokio::test(flavor = "multi_thread")]
async fn r4_a_watermark_that_changed_since_it_was_read_is_not_moved() -> anyhow::Result<()> {
    let (stage, things) = with_a_batch_to_come().await?;
    let (admin, mark) = (stage.target.connect_as_admin().await?, stage.mark(&things)?);
    admin
        .batch_execute(&format!(
            "CREATE FUNCTION public.meddle() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
             $$ BEGIN UPDATE {mark} SET sequence = sequence + 5; RETURN NULL; END $$;
             CREATE TRIGGER meddle AFTER INSERT ON dbo.things EXECUTE FUNCTION public.meddle()"
        ))
        .await?;
    let load = stage.task(&["load"]).await?.expect(75)?.summary()?;
    let error = load.table("dbo.Things")?["error"].as_str().unwrap_or_default().to_owned();
    ensure!(error.contains("watermark") && error.contains("Nothing was applied"), "{error}");
    stage.expect_rows(&things, OLD).await?;
    admin.batch_execute("DROP TRIGGER meddle ON dbo.things").await?;
    ensure!(stage.watermark(&things).await? == (1, 1), "the meddling was committed");
    stage.task(&["load"]).await?.expect(0)?;
    stage.expect_rows(&things, NEW).await
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_a_second_sync_on_the_same_target_table_is_refused() -> anyhow::Result<()> {
    let (stage, things) = with_a_batch_to_come().await?;
    let admin = stage.target.connect_as_admin().await?;
    admin.batch_execute(&format!("UPDATE {} SET sync = 'another'", stage.mark(&things)?)).await?;
    let load = stage.task(&["load"]).await?.expect(3)?.summary()?;
    let error = load.table("dbo.Things")?["error"].as_str().unwrap_or_default().to_owned();
    ensure!(error.contains("'another'") && error.contains("'test'"), "{error}");
    stage.expect_rows(&things, OLD).await
}

/// Tables do not wait for one another: one is locked, the other is loaded.
#[tokio::test(flavor = "multi_thread")]
async fn r4_no_tables_load_waits_for_anothers() -> anyhow::Result<()> {
    let (stage, things) = with_a_batch_to_come().await?;
    let others = table("Others");
    stage.open(&others, 1).await?;
    stage.prepare(&others).await?;
    stage.batch(&others, (1, 1), &[(7, Some("free"))]).await?;
    let holder = hold_lock(&stage, &things).await?;
    let load = stage.start_task(&["load"])?;
    until("the other table is loaded", || async { Ok(stage.rows(&others).await?.len() == 1) }).await?;
    holder.batch_execute("ROLLBACK").await?;
    load.outcome().await?.expect(0)?;
    stage.expect_rows(&things, NEW).await
}
