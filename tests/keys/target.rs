//! Types and collations of the target in which two keys of the source would become one.

use anyhow::ensure;

use crate::rules::watched::WatchedShop;
use crate::support::source::SourceOptions;

async fn open() -> anyhow::Result<WatchedShop> {
    let mut shop = WatchedShop::on(SourceOptions::default()).await?;
    for statement in [
        "CREATE TABLE dbo.Things (K nvarchar(10) COLLATE Latin1_General_CS_AS NOT NULL PRIMARY KEY, Note nvarchar(40) NULL)",
        "INSERT INTO dbo.Things VALUES (N'abc', N'lower'), (N'ABC', N'upper'), (N'äbc', N'accent')",
        "CREATE TABLE dbo.Dated (K datetime2(3) NOT NULL, N decimal(9,4) NOT NULL, F float NOT NULL, PRIMARY KEY (K, N, F))",
        "INSERT INTO dbo.Dated VALUES ('2026-01-01T10:00:00', 1.2345, 0.1), ('2026-01-01T11:00:00', 1.2346, 0.2)",
    ] {
        shop.sql.run(statement).await?;
    }
    Ok(shop)
}

/// Fails unless check stops the table with that message, and opens nothing for it.
async fn expect_refused(shop: &WatchedShop, table: &str, kind: &str, says: &str) -> anyhow::Result<()> {
    let check = shop.stage.task(&["check"]).await?.summary()?;
    let found = check.table(table)?;
    let error = found["error"].as_str().unwrap_or_default();
    ensure!(found["error_kind"] == kind && error.contains(says), "{kind}, {says}: not in {found}");
    let folder = format!("/{table}/");
    ensure!(!shop.stage.keys().iter().any(|key| key.contains(&folder)), "a generation was opened");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_in_which_two_keys_become_one_is_refused() -> anyhow::Result<()> {
    let shop = open().await?;
    let admin = shop.stage.target.connect_as_admin().await?;
    admin
        .batch_execute(
            "CREATE EXTENSION IF NOT EXISTS citext; GRANT CREATE ON SCHEMA public TO PUBLIC;
             CREATE COLLATION public.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             CREATE DOMAIN public.blind AS text COLLATE public.ci",
        )
        .await?;
    let configure = |table: &str, column: &str, configured: &str| {
        let entry = format!("\n[[table]]\nname = \"dbo.{table}\"\ncolumns = {{ {column} = \"{configured}\" }}\n");
        shop.stage.configure(|text| text.replace("dbo.*", &format!("dbo.{table}")) + &entry)
    };
    for (table, column, configured) in [
        ("Things", "K", "citext"),
        ("Things", "K", "varchar(3)"),
        ("Dated", "K", "date"),
        ("Dated", "K", "timestamp(0)"),
        ("Dated", "N", "numeric(9,1)"),
        ("Dated", "N", "real"),
        ("Dated", "F", "real"),
        ("Dated", "F", "text"),
    ] {
        configure(table, column, configured)?;
        let says = format!("key column '{}' cannot be {configured}", column.to_lowercase());
        expect_refused(&shop, &format!("dbo.{table}"), "Config", &says).await?;
    }
    for unknown in ["public.blind", "name"] {
        configure("Things", "K", unknown)?;
        let says = format!("cannot be a {unknown}: the server would read its texts as well as it can");
        expect_refused(&shop, "dbo.Things", "Config", &says).await?;
    }
    configure("Dated", "N", "money")?;
    expect_refused(&shop, "dbo.Dated", "Config", "cannot be a money: it is not known to hold every digit").await?;
    configure("Things", "K", "char(10)")?;
    expect_refused(&shop, "dbo.Things", "Config", "cannot be a char(10): it fills texts up with blanks").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_table_whose_key_compares_otherwise_is_refused() -> anyhow::Result<()> {
    let shop = open().await?;
    let admin = shop.stage.target.connect_as_admin().await?;
    admin
        .batch_execute(
            "CREATE EXTENSION IF NOT EXISTS citext;
             CREATE COLLATION public.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             CREATE SCHEMA dbo AUTHORIZATION loader; SET ROLE loader;
             CREATE TABLE dbo.things (k text COLLATE public.ci, note text)",
        )
        .await?;
    expect_refused(
        &shop,
        "dbo.Things",
        "TargetShape",
        "key column 'k' has a collation by which different texts are equal",
    )
    .await?;
    admin.batch_execute("ALTER TABLE dbo.things ALTER COLUMN k TYPE citext").await?;
    expect_refused(&shop, "dbo.Things", "TargetShape", "column 'k' is citext, not text").await?;

    // Made so behind our back, after all stood ready.
    admin.batch_execute("DROP TABLE dbo.things").await?;
    let check = shop.stage.task(&["check"]).await?.expect(0)?;
    ensure!(check.summary()?.table("dbo.Things")?["error"].is_null());
    shop.stage.extract_and_load().await?;
    admin.batch_execute("ALTER TABLE dbo.things DROP CONSTRAINT things_pkey; ALTER TABLE dbo.things ALTER COLUMN k TYPE text COLLATE public.ci").await?;
    let mut sql = shop.stage.sql().await?;
    sql.run("UPDATE dbo.Things SET Note = N'changed' WHERE K = N'abc'").await?;
    sql.capture_all().await?;
    shop.stage.task(&["extract"]).await?.expect(0)?;
    let load = shop.stage.task(&["load"]).await?.expect(3)?;
    ensure!(
        load.stderr.contains("key column 'k' has a collation by which different texts are equal"),
        "{}",
        load.stderr
    );
    let rows: i64 = admin.query_one("SELECT count(*) FROM dbo.things", &[]).await?.get(0);
    ensure!(rows == 3, "{rows} rows are left of 3");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_looked_at_again_by_load() -> anyhow::Result<()> {
    let shop = open().await?;
    let admin = shop.stage.target.connect_as_admin().await?;
    admin.batch_execute("CREATE EXTENSION IF NOT EXISTS citext").await?;
    shop.stage.configure(|text| text.replace("dbo.*", "dbo.Things"))?;
    shop.stage.task(&["check"]).await?.expect(0)?;
    let entry = "\n[[table]]\nname = \"dbo.Things\"\ncolumns = { K = \"citext\" }\n";
    shop.stage.configure(|text| text.replace("dbo.*", "dbo.Things") + entry)?;
    shop.stage.task(&["extract"]).await?.expect(0)?;
    let load = shop.stage.task(&["load"]).await?.expect(2)?;
    ensure!(load.stderr.contains("key column 'k' cannot be citext"), "{}", load.stderr);
    let rows: i64 = admin.query_one("SELECT count(*) FROM dbo.things", &[]).await?.get(0);
    ensure!(rows == 0, "{rows} rows came in");
    Ok(())
}
