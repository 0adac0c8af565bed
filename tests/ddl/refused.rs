//! What is not followed: it stops its table with a message, and what the message names repairs it.

use anyhow::ensure;

use super::expect_equal;
use crate::rules::watched::WatchedShop;

/// Fails unless extract stops the one table with all of these in its message.
async fn expect_stopped(shop: &mut WatchedShop, kind: &str, parts: &[&str]) -> anyhow::Result<()> {
    shop.sql.capture_all().await?;
    let extract = shop.stage.task(&["extract"]).await?.expect(3)?.summary()?;
    let table = extract.table("dbo.Things")?;
    ensure!(table["error_kind"] == kind, "not {kind}: {table}");
    let error = table["error"].as_str().unwrap_or_default();
    for part in parts {
        ensure!(error.contains(part), "{part} is not in: {error}");
    }
    Ok(())
}

async fn resync(shop: &mut WatchedShop) -> anyhow::Result<()> {
    shop.sql.capture_all().await?;
    shop.stage.task(&["check"]).await?;
    shop.stage.task(&["resync", "--table", "dbo.Things", "--yes"]).await?.expect(0)?;
    expect_equal(shop, 3).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_changes_values_stops_the_table_until_it_is_copied_anew() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD Price decimal(9,4) NULL, Name nvarchar(9) NULL").await?;
    shop.sql.run("UPDATE dbo.Things SET Price = 1.2345, Name = N'é ü'").await?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("ALTER TABLE dbo.Things ALTER COLUMN Price decimal(9,1) NULL").await?;
    let parts = ["dbo.Things", "'Price' was decimal(9,4) and is decimal(9,1)", "delsert resync"];
    expect_stopped(&mut shop, "Drift", &parts).await?;
    resync(&mut shop).await?;
    // Back again before anybody looked: the catalogue shows nothing, the rows are rounded.
    shop.sql.run("UPDATE dbo.Things SET Price = 2.5 WHERE ID = 1").await?;
    shop.sql.capture_all().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("ALTER TABLE dbo.Things ALTER COLUMN Price decimal(9,0) NULL").await?;
    shop.sql.run("ALTER TABLE dbo.Things ALTER COLUMN Price decimal(9,1) NULL").await?;
    shop.sql.run("UPDATE dbo.Things SET Note = N'touched' WHERE ID = 2").await?;
    expect_stopped(&mut shop, "Drift", &["'Price' was decimal(9,1) and became meanwhile decimal(9,0)"]).await?;
    resync(&mut shop).await?;
    shop.sql.run("ALTER TABLE dbo.Things ALTER COLUMN Name char(9) NULL").await?;
    expect_stopped(&mut shop, "Drift", &["'Name' was nvarchar(9) and is char(9)"]).await?;
    resync(&mut shop).await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_stops_the_table_until_it_is_copied_anew() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    shop.sql.run("DROP TABLE dbo.Things").await?;
    shop.sql
        .run(
            "CREATE TABLE dbo.Things (ID int NOT NULL CONSTRAINT pk PRIMARY KEY, Line int NOT NULL DEFAULT 1, Note nvarchar(10) NULL);
             INSERT INTO dbo.Things (ID, Note) VALUES (1, N'one'), (2, N'two')",
        )
        .await?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("EXEC sys.sp_cdc_disable_table N'dbo', N'Things', N'all'").await?;
    shop.sql.run("ALTER TABLE dbo.Things DROP CONSTRAINT pk").await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD CONSTRAINT pk2 PRIMARY KEY (ID, Line)").await?;
    shop.sql.run("INSERT INTO dbo.Things VALUES (1, 2, N'second')").await?;
    expect_stopped(&mut shop, "Drift", &["its key was (ID) and is (ID, Line)", "delsert resync"]).await?;
    resync(&mut shop).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_anew_under_its_name_is_a_gap() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("DROP TABLE dbo.Things").await?;
    shop.sql.run("CREATE TABLE dbo.Things (ID int NOT NULL PRIMARY KEY, Note nvarchar(max) NULL)").await?;
    shop.sql.run("INSERT INTO dbo.Things VALUES (7, N'seven')").await?;
    expect_stopped(&mut shop, "NoInstance", &["no capture instance"]).await?;
    shop.stage.task(&["check"]).await?.expect(0)?;
    shop.sql.run("INSERT INTO dbo.Things VALUES (8, N'eight')").await?;
    expect_stopped(&mut shop, "Gap", &["dbo.Things", "delsert resync"]).await?;
    shop.expect_rows(&[(1, "one"), (2, "two"), (3, "three")]).await?;
    resync(&mut shop).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_dropped_is_told_until_it_is_excluded() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.sql.run("CREATE TABLE dbo.Others (ID int NOT NULL PRIMARY KEY)").await?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("DROP TABLE dbo.Things").await?;
    shop.sql.run("INSERT INTO dbo.Others VALUES (1)").await?;
    expect_stopped(&mut shop, "TableGone", &["dbo.Things", "source.exclude"]).await?;
    let check = shop.stage.task(&["check"]).await?.expect(0)?.summary()?;
    ensure!(check.table("dbo.Things")?["status"] == "blocked", "{}", check.0);
    // A task of that table alone says the same, whatever the spelling; of one that never was, it is wrong usage.
    for task in ["check", "extract"] {
        let named = shop.stage.task(&[task, "--table", "DBO.things"]).await?.expect(3)?.summary()?;
        ensure!(named.table("dbo.Things")?["error_kind"] == "TableGone", "{}", named.0);
        let both = ["--table", "dbo.Things", "--table", "dbo.Nothing"];
        shop.stage.task(&[&[task], &both[..]].concat()).await?.expect(2)?;
        let both = ["--table", "dbo.Things", "--table", "dbo.Others"];
        let both = shop.stage.task(&[&[task], &both[..]].concat()).await?.summary()?;
        ensure!(both.table("dbo.Others")?["error"].is_null(), "{}", both.0);
    }
    shop.stage.configure(|text| text.replace("include =", "exclude = [\"dbo.Things\"]\ninclude ="))?;
    shop.stage.task(&["check"]).await?.expect(0)?;
    shop.stage.extract_and_load().await?;
    shop.expect_rows(&[(1, "one"), (2, "two"), (3, "three")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_stops_the_table_where_that_is_wished_or_nobody_can_follow() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD Colour nvarchar(20) NULL").await?;
    shop.stage.configure(|text| text.replace("[sync]", "[sync]\non_new_column = \"fail\""))?;
    expect_stopped(&mut shop, "Drift", &["'Colour' (nvarchar(20)) is new", "on_new_column"]).await?;
    shop.stage.configure(|text| text.replace("include =", "enable_cdc = false\ninclude ="))?;
    expect_stopped(&mut shop, "Drift", &["'Colour'", "sp_cdc_enable_table"]).await?;
    // Both places are taken by others' instances that lack it.
    let enable = "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Things', @role_name = NULL,
                  @capture_instance = N'others', @captured_column_list = N'ID, Note'";
    shop.sql.run(enable).await?;
    shop.stage.configure(|text| text)?;
    expect_stopped(&mut shop, "Drift", &["'Colour'", "only two"]).await?;
    shop.sql.run("EXEC sys.sp_cdc_disable_table N'dbo', N'Things', N'others'").await?;
    expect_equal(&mut shop, 3).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_partitions_may_be_switched_stops_until_that_is_forbidden_or_accepted() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    shop.sql.run("DROP TABLE dbo.Things").await?;
    for statement in [
        "CREATE SCHEMA other",
        "CREATE TABLE other.Captured (ID int NOT NULL PRIMARY KEY)",
        "EXEC sys.sp_cdc_enable_db",
        "EXEC sys.sp_cdc_enable_table @source_schema = N'other', @source_name = N'Captured', @role_name = NULL",
        "CREATE PARTITION FUNCTION halves (int) AS RANGE RIGHT FOR VALUES (100)",
        "CREATE PARTITION SCHEME halves AS PARTITION halves ALL TO ([PRIMARY])",
        "CREATE TABLE dbo.Things (ID int NOT NULL PRIMARY KEY, Note nvarchar(max) NULL) ON halves (ID)",
        "INSERT INTO dbo.Things VALUES (1, N'one'), (200, N'two hundred')",
    ] {
        shop.sql.run(statement).await?;
    }
    let check = shop.stage.task(&["check"]).await?.expect(3)?.summary()?;
    let table = check.table("dbo.Things")?;
    ensure!(table["status"] == "blocked" && table["error_kind"] == "Untraced", "{table}");
    expect_stopped(&mut shop, "Untraced", &["@allow_partition_switch = 0", "on_partition_switch"]).await?;

    shop.stage.configure(|text| text.replace("[sync]", "[sync]\non_partition_switch = \"ignore\""))?;
    let check = shop.stage.task(&["check"]).await?.expect(0)?.summary()?;
    ensure!(check.0["findings"].to_string().contains("SWITCH"), "it is not told: {}", check.0);
    shop.stage.extract_and_load().await?;
    shop.expect_at_rest().await?;

    // The very statement that the message gives.
    shop.stage.configure(|text| text)?;
    shop.sql.run("EXEC sys.sp_cdc_disable_table N'dbo', N'Things', N'all'").await?;
    let check = shop.stage.task(&["check"]).await?.expect(3)?.summary()?;
    let error = check.table("dbo.Things")?["error"].as_str().unwrap_or_default().to_owned();
    let statement = error.split("EXEC ").nth(1).and_then(|rest| rest.split(';').next()).unwrap_or_default();
    shop.sql.run(&format!("EXEC {statement}")).await?;
    shop.sql.run("INSERT INTO dbo.Things VALUES (2, N'two')").await?;
    resync(&mut shop).await
}
