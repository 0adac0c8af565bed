//! Rule 12: one table's failure stops that table only, and the exit code says so.

use anyhow::ensure;
use standin::s3::{Fault, Moment};

use super::by_hand::table;
use super::stage::{Stage, write};
use super::watched::WatchedShop;

/// A table that goes well, one that a person must mend, and one that a retry may help.
#[tokio::test(flavor = "multi_thread")]
async fn r12_load_goes_on_beside_tables_that_fail() -> anyhow::Result<()> {
    let stage = Stage::without_source().await?;
    let [sound, damaged, locked] = ["Sound", "Damaged", "Locked"].map(table);
    for table in [&sound, &damaged, &locked] {
        stage.open(table, 1).await?;
        stage.prepare(table).await?;
        let manifest = stage.batch(table, (1, 1), &[(1, Some("one"))]).await?;
        if table == &damaged {
            write(&stage.store, &manifest.parts[0].key, &b"u,1,\"two\"\n"[..]);
        }
    }
    let holder = stage.target.connect().await?;
    holder.batch_execute(&format!("BEGIN; LOCK TABLE {} IN EXCLUSIVE MODE", stage.mark(&locked)?)).await?;
    stage.configure(|text| text.replace("lock_timeout = \"60s\"", "lock_timeout = \"300ms\""))?;
    let load = stage.task(&["load"]).await?.expect(75)?.summary()?;
    for (name, status) in [("dbo.Sound", "done"), ("dbo.Damaged", "failed"), ("dbo.Locked", "retry")] {
        let entry = load.table(name)?;
        ensure!(entry["status"] == status, "{name} should be {status}: {entry}");
        let error = entry["error"].as_str().unwrap_or_default();
        ensure!((status == "done") == error.is_empty(), "{name}: {entry}");
        ensure!(error.is_empty() || error.starts_with(name), "the error does not name its table: {error}");
    }
    ensure!(load.0["status"] == "retry", "{}", load.0);
    stage.expect_rows(&sound, &[(1, "one")]).await?;
    stage.expect_rows(&damaged, &[]).await?;

    holder.batch_execute("ROLLBACK").await?;
    let load = stage.task(&["load"]).await?.expect(3)?.summary()?;
    ensure!(load.table("dbo.Locked")?["status"] == "done" && load.0["status"] == "failed", "{}", load.0);
    stage.expect_rows(&locked, &[(1, "one")]).await?;
    stage.task(&["load", "--table", "dbo.Sound"]).await?.expect(0)?;
    Ok(())
}

/// The same at the source: a column whose values a new type may have changed, and a batch that cannot be written.
#[tokio::test(flavor = "multi_thread")]
async fn r12_extract_goes_on_beside_tables_that_fail() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    for name in ["Drifted", "Unlucky"] {
        let create = format!("CREATE TABLE dbo.{name} (ID int NOT NULL PRIMARY KEY, Note nvarchar(max) NULL)");
        shop.sql.run(&create).await?;
        shop.sql.run(&format!("INSERT INTO dbo.{name} VALUES (1, N'one')")).await?;
    }
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("ALTER TABLE dbo.Drifted ALTER COLUMN Note varchar(max) NULL").await?;
    for name in ["Things", "Drifted", "Unlucky"] {
        shop.sql.run(&format!("UPDATE dbo.{name} SET Note = N'first' WHERE ID = 1")).await?;
    }
    shop.sql.capture_all().await?;
    shop.stage.watch(|operation, moment| {
        if moment == Moment::Before && operation.name == "PutObject" && operation.key.contains("dbo.Unlucky/") {
            return Fault::Error { status: 503, code: "SlowDown".to_owned() };
        }
        Fault::None
    });
    let extract = shop.stage.task(&["extract"]).await?.expect(75)?.summary()?;
    for (name, status) in [("dbo.Things", "done"), ("dbo.Drifted", "failed"), ("dbo.Unlucky", "retry")] {
        let entry = extract.table(name)?;
        ensure!(entry["status"] == status, "{name} should be {status}: {entry}");
    }
    let error = extract.table("dbo.Drifted")?["error"].as_str().unwrap_or_default().to_owned();
    ensure!(error.contains("'Note'") && error.contains("varchar(max)") && error.contains("resync"), "{error}");

    shop.stage.store.set_faults(None);
    let extract = shop.stage.task(&["extract"]).await?.expect(3)?.summary()?;
    ensure!(extract.table("dbo.Unlucky")?["status"] == "done", "{}", extract.0);
    shop.stage.task(&["load"]).await?.expect(0)?;
    shop.expect_rows(&[(1, "first"), (2, "two"), (3, "three")]).await?;
    shop.stage.expect_rows(&table("Unlucky"), &[(1, "first")]).await
}
