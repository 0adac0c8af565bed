//! Tables without a primary key, and keys that are none.

use anyhow::ensure;

use crate::rules::watched::WatchedShop;
use crate::support::source::SourceOptions;

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_primary_key_goes_by_its_narrowest_unique_index() -> anyhow::Result<()> {
    let mut shop = WatchedShop::on(SourceOptions::default()).await?;
    for statement in [
        "CREATE TABLE dbo.Things (ID int NOT NULL, Maybe int NULL, Code nvarchar(10) NOT NULL, Line int NOT NULL, Note nvarchar(max) NULL)",
        "CREATE UNIQUE INDEX [a ']] index] ON dbo.Things (Code)",
        "CREATE UNIQUE INDEX two ON dbo.Things (ID, Line)",
        "CREATE UNIQUE INDEX maybe ON dbo.Things (Maybe)",
        "CREATE INDEX plain ON dbo.Things (ID)",
        "INSERT INTO dbo.Things VALUES (1, 1, N'a', 1, N'one'), (1, 2, N'b', 2, N'two'), (3, NULL, N'c', 1, N'three')",
    ] {
        shop.sql.run(statement).await?;
    }
    shop.check().await?;
    let index = shop.sql.rows("SELECT CAST(index_name AS nvarchar(128)) FROM cdc.change_tables").await?;
    ensure!(
        index.len() == 1 && index[0].try_get::<&str, _>(0)? == Some("a '] index"),
        "captured by another index: {index:?}"
    );
    shop.stage.extract_and_load().await?;
    shop.change("UPDATE dbo.Things SET Code = N'A' WHERE Code = N'a'; UPDATE dbo.Things SET Code = N'x', Note = N'moved' WHERE Code = N'b'; DELETE FROM dbo.Things WHERE Code = N'c'; INSERT INTO dbo.Things VALUES (4, 4, N'd', 4, N'four')").await?;
    shop.stage.extract_and_load().await?;
    shop.expect_at_rest().await?;
    // Another instance, for a new column, goes by the same index.
    shop.sql.run("ALTER TABLE dbo.Things ADD More int NULL").await?;
    for _ in 0..3 {
        shop.change("UPDATE dbo.Things SET More = ISNULL(More, 0) + 1").await?;
        shop.check().await?;
        shop.sql.capture_all().await?;
        shop.stage.extract_and_load().await?;
    }
    shop.expect_at_rest().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_key_is_named_with_the_choices_and_each_choice_works() -> anyhow::Result<()> {
    let mut shop = WatchedShop::on(SourceOptions::default()).await?;
    for statement in [
        "CREATE TABLE dbo.Things (ID int NULL, Note nvarchar(max) NULL)",
        "INSERT INTO dbo.Things VALUES (1, N'one'), (1, N'one'), (NULL, NULL)",
        "CREATE TABLE dbo.Variant (K sql_variant NOT NULL PRIMARY KEY)",
        "CREATE TABLE dbo.Maybe (K int NULL CONSTRAINT u UNIQUE)",
    ] {
        shop.sql.run(statement).await?;
    }
    let check = shop.stage.task(&["check"]).await?.expect(3)?.summary()?;
    let mut mended = None;
    for (name, says) in [
        ("dbo.Things", "has no key that identifies a row"),
        ("dbo.Variant", "column 'K' is sql_variant"),
        ("dbo.Maybe", "index 'u' is none: column 'K' may be NULL"),
    ] {
        let table = check.table(name)?;
        let error = table["error"].as_str().unwrap_or_default();
        ensure!(table["error_kind"] == "NoKey" && error.contains(says), "{says} is not in {table}");
        ensure!(error.contains(&format!("exclude = [\"{name}\"]")), "the way out is not in {error}");
        let statement = error.split("ALTER TABLE").nth(1).and_then(|rest| rest.split(';').next());
        let statement = format!("ALTER TABLE{}", statement.unwrap_or_default());
        shop.sql.run(&statement).await?;
        mended.get_or_insert(statement);
    }
    ensure!(mended.is_some_and(|statement| statement.contains("[RowNumber] bigint IDENTITY NOT NULL PRIMARY KEY")));
    let check = shop.stage.task(&["check"]).await?.expect(0)?.summary()?;
    let stopped: Vec<_> = check.tables().iter().filter(|table| !table["error"].is_null()).collect();
    ensure!(stopped.is_empty(), "{stopped:?}");
    shop.stage.extract_and_load().await?;
    shop.change("DELETE FROM dbo.Things WHERE RowNumber = 1; UPDATE dbo.Things SET Note = N'x' WHERE ID IS NULL")
        .await?;
    shop.stage.extract_and_load().await?;
    shop.expect_tables_at_rest(&["dbo.Things", "dbo.Variant", "dbo.Maybe"]).await
}

/// A seventh digit in a key stops the table when it comes, and a text holds it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_room_for_a_seventh_digit_is_no_fault_until_it_comes() -> anyhow::Result<()> {
    let mut shop = WatchedShop::on(SourceOptions::default()).await?;
    for statement in [
        "CREATE TABLE dbo.Seventh (K datetime2 NOT NULL PRIMARY KEY)",
        "INSERT INTO dbo.Seventh VALUES ('2024-02-29T12:00:00.123456'), ('2024-02-29T12:00:00.123457')",
        "CREATE TABLE dbo.Held (K datetime2 NOT NULL PRIMARY KEY, Note int NULL)",
        "INSERT INTO dbo.Held VALUES ('2024-02-29T12:00:00.1234561', 1), ('2024-02-29T12:00:00.1234562', 2), ('2024-02-29', 3)",
    ] {
        shop.sql.run(statement).await?;
    }
    let entry = "\n[[table]]\nname = \"dbo.Held\"\ncolumns = { K = \"text\" }\n";
    shop.stage.configure(|text| text + entry)?;
    shop.stage.task(&["check"]).await?.expect(0)?;
    shop.stage.extract_and_load().await?;
    shop.change(
        "DELETE FROM dbo.Held WHERE K = '2024-02-29T12:00:00.1234561'; UPDATE dbo.Held SET Note = 4 WHERE Note = 2;
         DELETE FROM dbo.Seventh WHERE K = '2024-02-29T12:00:00.123456'",
    )
    .await?;
    shop.stage.extract_and_load().await?;
    let rows = "SELECT k || '=' || note FROM dbo.held UNION ALL SELECT to_char(k, 'YYYY-MM-DD HH24:MI:SS.US') FROM dbo.seventh ORDER BY 1";
    let held = shop.stage.target.connect().await?.query(rows, &[]).await?;
    let held: Vec<String> = held.iter().map(|row| row.get(0)).collect();
    ensure!(
        held == ["2024-02-29 00:00:00.0000000=3", "2024-02-29 12:00:00.1234562=4", "2024-02-29 12:00:00.123457"],
        "{held:?}"
    );
    shop.change("INSERT INTO dbo.Seventh VALUES ('2024-02-29T12:00:00.1234567')").await?;
    let told = shop.stage.task(&["extract"]).await?.expect(3)?.summary()?;
    let table = told.table("dbo.Seventh")?;
    ensure!(table["error_kind"] == "Value", "{table}");
    ensure!(table["error"].as_str().is_some_and(|error| error.contains("or text, by 'columns'")), "{table}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_column_may_be_null_stops_the_table() -> anyhow::Result<()> {
    let mut shop = WatchedShop::on(SourceOptions::default()).await?;
    shop.sql.run("CREATE TABLE dbo.Things (ID int NOT NULL, Note nvarchar(max) NULL)").await?;
    shop.sql.run("CREATE UNIQUE INDEX u ON dbo.Things (ID)").await?;
    shop.sql.run("INSERT INTO dbo.Things VALUES (1, N'one')").await?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("ALTER TABLE dbo.Things ALTER COLUMN ID int NULL").await?;
    shop.change("INSERT INTO dbo.Things VALUES (NULL, N'two')").await?;
    let extract = shop.stage.task(&["extract"]).await?.expect(3)?.summary()?;
    let error = extract.table("dbo.Things")?["error"].as_str().unwrap_or_default().to_owned();
    ensure!(error.contains("its key is (ID), but column 'ID' may be NULL"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_with_a_filter_is_no_key() -> anyhow::Result<()> {
    let mut shop = WatchedShop::on(SourceOptions::default()).await?;
    for statement in [
        "CREATE TABLE dbo.Things (ID int NOT NULL, Active int NULL, Note nvarchar(max) NULL)",
        "CREATE UNIQUE INDEX f ON dbo.Things (ID) WHERE Active IS NOT NULL",
        "INSERT INTO dbo.Things VALUES (1, 1, N'one'), (1, NULL, N'old'), (1, NULL, N'older')",
    ] {
        shop.sql.run(statement).await?;
    }
    let refused = shop.sql.run("INSERT INTO dbo.Things VALUES (1, 2, N'another')").await;
    ensure!(refused.is_err(), "the index is none");
    let stopped = async |shop: &WatchedShop| {
        let check = shop.stage.task(&["check"]).await?.expect(3)?.summary()?;
        let table = check.table("dbo.Things")?;
        ensure!(table["error_kind"] == "NoKey", "{table}");
        anyhow::Ok(table["error"].as_str().unwrap_or_default().to_owned())
    };
    let error = stopped(&shop).await?;
    ensure!(error.contains("has no key that identifies a row"), "{error}");
    // By the hand of somebody who takes it for a key.
    shop.sql.run("EXEC sys.sp_cdc_enable_table N'dbo', N'Things', @role_name = NULL, @supports_net_changes = 0, @index_name = N'f'").await?;
    let error = stopped(&shop).await?;
    ensure!(error.contains("its key is (ID), but no unique index"), "{error}");
    Ok(())
}
