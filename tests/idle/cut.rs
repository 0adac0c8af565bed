//! The cut: tables that are extracted by processes of their own, and stand at one moment of the source.

use anyhow::{Context, ensure};

use crate::rules::stage::Stage;
use crate::rules::watched::WatchedShop;

/// The tables.
const TABLES: [&str; 3] = ["A", "B", "C"];

#[tokio::test(flavor = "multi_thread")]
async fn mapped_tasks_share_one_moment_while_writes_go_on() -> anyhow::Result<()> {
    let stage = Stage::start().await?;
    stage.configure(|text| text.replace("[sync]", "[sync]\npurge = \"never\""))?;
    let mut sql = stage.sql().await?;
    let create = TABLES.map(|table| {
        format!("CREATE TABLE dbo.{table} (ID int NOT NULL PRIMARY KEY, Turn int NOT NULL); INSERT INTO dbo.{table} VALUES (1, 0);")
    });
    sql.run(&create.concat()).await?;
    stage.task(&["check"]).await?.expect(0)?;
    stage.extract_and_load().await?;

    // A writer changes all tables in each transaction, so that at any moment they hold the same.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut writing = stage.sql().await?;
    let writer = tokio::spawn(async move {
        let (mut turn, mut stopped) = (0, stopped);
        while stopped.try_recv().is_err() {
            turn += 1;
            let update = TABLES.map(|table| format!("UPDATE dbo.{table} SET Turn = {turn} WHERE ID = 1;"));
            writing.run(&format!("BEGIN TRANSACTION; {} COMMIT TRANSACTION", update.concat())).await?;
        }
        anyhow::Ok(turn)
    });
    let mut before = 0;
    for _ in 0..3 {
        // Check may itself load what waits, but extracts nothing.
        let check = stage.task(&["check"]).await?.expect(0)?.summary()?;
        let cut = check.0["cut"].as_str().context("check tells no cut")?.to_owned();
        for table in TABLES {
            let table = format!("dbo.{table}");
            let running = stage.start_task(&["extract", "--table", &table, "--until", &cut])?;
            let summary = running.outcome().await?.expect(0)?.summary()?;
            let line = summary.table(&table)?;
            ensure!(line["at_cut"] == true && line["to"] == cut.as_str(), "not at the cut {cut}: {}", summary.0);
        }
        stage.task(&["load"]).await?.expect(0)?;
        let instance =
            "SELECT c.capture_instance FROM cdc.change_tables AS c WHERE c.source_object_id = OBJECT_ID(N'dbo.A')";
        let rows = sql.rows(instance).await?;
        let instance = rows[0].try_get::<&str, _>(0)?.context("no instance")?.to_owned();
        let then = format!(
            "SELECT CAST(MAX(t.Turn) AS bigint) FROM cdc.[{instance}_CT] AS t WHERE t.[__$start_lsn] <= {cut} AND t.[__$operation] = 4"
        );
        let then = sql.number(&then).await?;
        let target = stage.target.connect().await?;
        for table in TABLES {
            let turn: i32 = target.query_one(&format!("SELECT turn FROM dbo.{table}"), &[]).await?.get(0);
            ensure!(i64::from(turn) == then, "{table} holds turn {turn}, and at {cut} the source held {then}");
        }
        ensure!(then > before, "nothing was written between two cuts");
        before = then;
    }
    ensure!(stop.send(()).is_ok(), "the writer failed");
    ensure!(i64::from(writer.await??) > before, "nothing was written after the cut");
    // What is captured later would move the cut between the two tasks.
    sql.capture_all().await?;
    // A table beyond the cut does not stand at it.
    let all = stage.task(&["extract"]).await?.expect(0)?.summary()?;
    let cut = all.0["cut"].as_str().context("no cut")?.to_owned();
    ensure!(all.tables().iter().all(|table| table["at_cut"] == true), "{}", all.0);
    let check = stage.task(&["check"]).await?.expect(0)?.summary()?;
    ensure!(check.tables().iter().all(|table| table["at_cut"] == true), "check: {}", check.0);
    let older = stage.task(&["extract", "--until", "0x00000000000000000001"]).await?.expect(0)?.summary()?;
    ensure!(older.tables().iter().all(|table| table["at_cut"] == false), "beyond {cut}: {}", older.0);
    Ok(())
}

/// A position between two commits stands for the earlier of them: the same transactions, and a commit whose time tells a
/// restored source later.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_between_two_commits_is_the_earlier() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.configure(|text| text.replace("[sync]", "[sync]\npurge = \"never\""))?;
    shop.stage.extract_and_load().await?;
    shop.change("UPDATE dbo.Things SET Note = N'earlier' WHERE ID = 1").await?;
    let maximum = "SELECT CONVERT(nvarchar(30), sys.fn_cdc_get_max_lsn(), 1)";
    let earlier = shop.sql.rows(maximum).await?[0].try_get::<&str, _>(0)?.context("no maximum")?.to_owned();
    shop.change("UPDATE dbo.Things SET Note = N'later' WHERE ID = 2").await?;
    let before = "SELECT CONVERT(nvarchar(30), sys.fn_cdc_decrement_lsn(sys.fn_cdc_get_max_lsn()), 1)";
    let between = shop.sql.rows(before).await?[0].try_get::<&str, _>(0)?.context("no maximum")?.to_owned();
    ensure!(earlier < between, "{earlier} does not lie before {between}");
    let extract = shop.stage.task(&["extract", "--until", &between]).await?.expect(0)?.summary()?;
    let table = extract.table("dbo.Things")?;
    ensure!(table["to"] == earlier.as_str() && table["at_cut"] == true, "not at {earlier}: {}", extract.0);
    shop.stage.task(&["load"]).await?.expect(0)?;
    shop.expect_rows(&[(1, "earlier"), (2, "two"), (3, "three")]).await?;
    shop.stage.task(&["extract", "--until", &between]).await?.expect(0)?;
    shop.stage.extract_and_load().await?;
    shop.expect_rows(&[(1, "earlier"), (2, "later"), (3, "three")]).await
}
