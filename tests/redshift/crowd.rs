//! Many tables and many workers at once.

use anyhow::ensure;

use super::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_tables_loaded_by_eight_processes_wait_for_no_other_table() -> anyhow::Result<()> {
    let mut stage = Stage::start("").await?;
    for at in 0..50 {
        let create = format!(
            "CREATE TABLE dbo.T{at} (Id int NOT NULL PRIMARY KEY, Note nvarchar(20) NULL); INSERT INTO dbo.T{at} VALUES (1, N'one'), (2, N'two')"
        );
        stage.sql.run(&create).await?;
    }
    stage.ground.task(&["check"]).await?.expect(0)?;
    stage.ground.task(&["extract"]).await?.expect(0)?;
    let start = |_| stage.ground.start_task(&["load"]);
    let loads: Vec<_> = (0..8).map(start).collect::<anyhow::Result<_>>()?;
    let mut applied = 0;
    for load in loads {
        let load = load.outcome().await?.expect(0)?;
        ensure!(!load.stderr.contains("holds it"), "a table was waited for in vain: {}", load.stderr);
        applied += load.summary()?.tables().iter().filter_map(|table| table["batches"].as_u64()).sum::<u64>();
    }
    ensure!(applied == 50, "{applied} batches were applied");
    for at in 0..50 {
        let rows = stage.rows(&format!("SELECT id, note FROM dbo.t{at} ORDER BY id")).await?;
        ensure!(rows == ["1|one", "2|two"], "t{at}: {rows:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_held_holds_up_no_other() -> anyhow::Result<()> {
    let mut stage = Stage::start("lock_timeout = \"1s\"").await?;
    for table in ["Held", "Free"] {
        let create =
            format!("CREATE TABLE dbo.{table} (Id int NOT NULL PRIMARY KEY); INSERT INTO dbo.{table} VALUES (1)");
        stage.sql.run(&create).await?;
    }
    stage.ground.task(&["check"]).await?.expect(0)?;
    stage.ground.task(&["extract"]).await?.expect(0)?;
    let named = "SELECT tablename FROM pg_tables WHERE schemaname = 'delsert' AND tablename LIKE 'mark_dbo_held%'";
    let mark = stage.rows(named).await?.remove(0);
    let mut holder = stage.cluster.connect().await?;
    let holding = holder.transaction().await?;
    holding.batch_execute(&format!("LOCK TABLE delsert.{mark}")).await?;
    stage.ground.task(&["load", "--table", "dbo.Free"]).await?.expect(0)?;
    stage.ground.task(&["load", "--table", "dbo.Held"]).await?.expect(75)?;
    ensure!(
        stage.rows("SELECT id FROM dbo.free").await? == ["1"]
            && stage.rows("SELECT id FROM dbo.held").await?.is_empty()
    );
    holding.rollback().await?;
    stage.ground.task(&["load"]).await?.expect(0)?;
    ensure!(stage.rows("SELECT id FROM dbo.held").await? == ["1"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_comes_between_costs_another_try_and_no_exit_code() -> anyhow::Result<()> {
    let mut stage = Stage::start("").await?;
    stage
        .sql
        .run("CREATE TABLE dbo.Things (Id int NOT NULL PRIMARY KEY, Note nvarchar(20) NULL); INSERT INTO dbo.Things VALUES (1, N'one')")
        .await?;
    stage.ground.sync().await?;
    stage.change("UPDATE dbo.Things SET Note = N'changed' WHERE Id = 1").await?;
    stage.ground.task(&["extract"]).await?.expect(0)?;
    let mut foreign = stage.cluster.connect().await?;
    let meddling = foreign.transaction().await?;
    meddling.batch_execute("DELETE FROM dbo.things WHERE id = 77").await?;
    let load = stage.ground.start_task(&["load"])?;
    // The load's snapshot is older than the commit that it waits for.
    let admin = stage.cluster.connect_upstream().await?;
    let waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    while admin.query(waiting, &[]).await?.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    meddling.commit().await?;
    let load = load.outcome().await?.expect(0)?;
    ensure!(load.stderr.contains("another transaction came between, trying again"), "{}", load.stderr);
    ensure!(stage.rows("SELECT id, note FROM dbo.things").await? == ["1|changed"]);
    Ok(())
}
