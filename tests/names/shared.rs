//! One target table is one source table's: neither the order nor the selection of tasks lets two of them in.

use anyhow::ensure;

use crate::rules::stage::Stage;

/// Two tables of one name, in two schemas that go to one.
async fn two_tables() -> anyhow::Result<Stage> {
    let stage = Stage::start().await?;
    let mut sql = stage.sql().await?;
    sql.run("CREATE SCHEMA hr").await?;
    sql.run("CREATE TABLE dbo.Orders (ID int NOT NULL PRIMARY KEY); INSERT INTO dbo.Orders VALUES (1)").await?;
    sql.run("CREATE TABLE hr.Orders (ID int NOT NULL PRIMARY KEY); INSERT INTO hr.Orders VALUES (2)").await?;
    Ok(stage)
}

fn both(text: &str) -> String {
    text.replace("[\"dbo.*\"]", "[\"dbo.*\", \"hr.*\"]")
}

fn into_one_schema(text: &str) -> String {
    both(text).replace("[target]", "[target]\nschema = \"shop\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tables_of_one_place_are_refused_one_at_a_time_too() -> anyhow::Result<()> {
    let stage = two_tables().await?;
    stage.configure(|text| into_one_schema(&text))?;
    for arguments in [
        &["check", "--table", "dbo.Orders"][..],
        &["check", "--table", "hr.Orders"],
        &["resync", "--table", "hr.Orders", "--yes"],
    ] {
        let outcome = stage.task(arguments).await?.expect(3)?;
        let says = "dbo.Orders and hr.Orders all go to the target table shop.orders";
        ensure!(outcome.stderr.contains(says), "{says} is not in {}", outcome.stderr);
    }
    let mut sql = stage.sql().await?;
    sql.run("DROP TABLE hr.Orders; CREATE TABLE hr.Orders (ID int NULL)").await?;
    let check = stage.task(&["check"]).await?.expect(3)?.summary()?;
    let kinds = ["dbo.Orders", "hr.Orders"].map(|table| check.table(table).map(|found| found["error_kind"].clone()));
    ensure!(kinds[0].as_ref().is_ok_and(|kind| kind == "NameClash"), "one that is stopped plays no part: {kinds:?}");
    ensure!(kinds[1].as_ref().is_ok_and(|kind| kind == "NoKey"), "{kinds:?}");
    ensure!(stage.keys_ending("open.json").is_empty(), "a generation was opened: {:?}", stage.keys());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn load_refuses_two_tables_that_are_to_share_a_place_from_now_on() -> anyhow::Result<()> {
    let stage = two_tables().await?;
    stage.configure(|text| both(&text))?;
    stage.task(&["check"]).await?.expect(0)?;
    stage.task(&["extract"]).await?.expect(0)?;
    stage.configure(|text| into_one_schema(&text))?;
    for arguments in [&["load"][..], &["load", "--table", "hr.Orders"]] {
        let outcome = stage.task(arguments).await?.expect(3)?;
        ensure!(outcome.stderr.contains("all go to the target table shop.orders"), "{}", outcome.stderr);
    }
    stage.configure(|text| both(&text))?;
    stage.task(&["load"]).await?.expect(0)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watermark_that_another_attempt_set_is_not_gone_on_from() -> anyhow::Result<()> {
    let stage = two_tables().await?;
    stage.task(&["check"]).await?.expect(0)?;
    stage.extract_and_load().await?;
    let target = stage.target.connect().await?;
    let find = "SELECT tablename FROM pg_tables WHERE schemaname = 'delsert' AND tablename LIKE 'mark%'";
    let mark: String = target.query_one(find, &[]).await?.get(0);
    let other = format!("UPDATE delsert.\"{mark}\" SET attempt = '00000000-0000-4000-8000-000000000001'");
    target.execute(&other, &[]).await?;
    let applied = stage.keys_ending("applied.json");
    for key in &applied {
        crate::rules::stage::remove(&stage.store, key);
    }
    let mut sql = stage.sql().await?;
    sql.run("INSERT INTO dbo.Orders VALUES (3)").await?;
    sql.capture_all().await?;
    stage.task(&["extract"]).await?.expect(0)?;
    let before = stage.keys();
    for task in ["load", "check"] {
        let outcome = stage.task(&[task]).await?.expect(3)?;
        let says = "the target stands at 1/1, but by another batch than the ledger has there";
        ensure!(outcome.stderr.contains(says) && outcome.stderr.contains("LedgerLost"), "{}", outcome.stderr);
    }
    ensure!(stage.keys() == before && !applied.is_empty(), "{:?}, not {before:?}", stage.keys());
    let rows: i64 = target.query_one("SELECT count(*) FROM dbo.orders", &[]).await?.get(0);
    ensure!(rows == 1, "a batch went in over another's: {rows} rows");

    stage.task(&["resync", "--table", "dbo.Orders", "--yes"]).await?.expect(0)?;
    let waiting = stage.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(waiting.upserts() == 0 && stage.keys_ending("applied.json").is_empty(), "{:?}", stage.keys());
    stage.task(&["check"]).await?.expect(0)?;
    let (_, load) = stage.extract_and_load().await?;
    ensure!(load.upserts() == 2, "{}", load.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_again_under_another_spelling_goes_on() -> anyhow::Result<()> {
    let stage = two_tables().await?;
    stage.configure(|text| text.replace("[\"dbo.*\"]", "[\"hr.*\"]"))?;
    stage.task(&["check"]).await?.expect(0)?;
    stage.extract_and_load().await?;
    let mut sql = stage.sql().await?;
    sql.run("DROP TABLE hr.Orders; CREATE TABLE hr.ORDERS (ID int NOT NULL PRIMARY KEY)").await?;
    sql.run("INSERT INTO hr.ORDERS VALUES (7)").await?;
    stage.task(&["check"]).await?.expect(3)?;
    stage.task(&["resync", "--table", "hr.ORDERS", "--yes"]).await?.expect(0)?;
    stage.task(&["check"]).await?.expect(0)?;
    stage.extract_and_load().await?;
    for id in [8, 9] {
        sql.run(&format!("INSERT INTO hr.ORDERS VALUES ({id})")).await?;
        sql.capture_all().await?;
        stage.task(&["check"]).await?.expect(0)?;
        stage.task(&["extract"]).await?.expect(0)?;
        // Named as it was once, it is still the one table.
        for arguments in [&["load"][..], &["load", "--table", "hr.Orders"]] {
            let load = stage.task(arguments).await?.expect(0)?.summary()?;
            ensure!(load.tables().len() == 1 && load.tables()[0]["table"] == "hr.ORDERS", "{}", load.0);
        }
    }
    let target = stage.target.connect().await?;
    let rows = target.query("SELECT id FROM hr.orders ORDER BY id", &[]).await?;
    let found: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    ensure!(found == [7, 8, 9], "{found:?}");
    Ok(())
}
