//! Purging: by marks that the source knows, no more often than there is something to purge, by whom may.

use anyhow::{Context, ensure};

use super::wire::Wire;
use crate::rules::watched::WatchedShop;

/// Rows of history of the one table, and how many of its minimum the mapping of positions to times knows.
async fn history(shop: &mut WatchedShop) -> anyhow::Result<(i64, i64)> {
    let rows = shop.sql.rows("SELECT c.capture_instance FROM cdc.change_tables AS c").await?;
    let instance = rows[0].try_get::<&str, _>(0)?.context("no instance")?.to_owned();
    let known =
        "SELECT COUNT_BIG(*) FROM cdc.change_tables AS c JOIN cdc.lsn_time_mapping AS m ON m.start_lsn = c.start_lsn";
    Ok((
        shop.sql.number(&format!("SELECT COUNT_BIG(*) FROM cdc.[{instance}_CT]")).await?,
        shop.sql.number(known).await?,
    ))
}

/// Transactions that commit at one moment are one mark, the first of them: what lies behind that is purged once, and the
/// rest is no reason to try again in each run.
#[tokio::test(flavor = "multi_thread")]
async fn r6_a_purge_stops_at_the_first_of_those_that_committed_at_its_moment() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    let port = shop.stage.source.as_ref().map_or(0, |source| source.port);
    let wire = Wire::start(port).await?;
    let (direct, counted) = (format!("port = {port}\n"), format!("port = {}\nencrypt = \"off\"\n", wire.port));
    shop.stage.configure(|text| text.replace(&direct, &counted))?;
    shop.change("UPDATE dbo.Things SET Note = N'at a moment of its own' WHERE ID = 1").await?;
    shop.sql.run("EXEC sys.sp_standin_advance_clock @seconds = 1").await?;
    // Until the last commits fell together within the 3 milliseconds that a time of the server tells apart.
    let updates: Vec<_> = (0..20).map(|turn| format!("UPDATE dbo.Things SET Note = N'{turn}' WHERE ID = 1")).collect();
    let together = "SELECT COUNT_BIG(*) FROM cdc.lsn_time_mapping AS m WHERE m.tran_end_time =
        (SELECT MAX(n.tran_end_time) FROM cdc.lsn_time_mapping AS n WHERE n.start_lsn = sys.fn_cdc_get_max_lsn())";
    loop {
        shop.sql.run(&updates.join("; ")).await?;
        shop.sql.capture_all().await?;
        if shop.sql.number(together).await? > 1 {
            break;
        }
    }
    let (before, _) = history(&mut shop).await?;
    let purges = |statements: &[String]| statements.iter().filter(|text| text.contains("@purged")).count();
    shop.stage.task(&["extract"]).await?.expect(0)?;
    ensure!(purges(&wire.taken()) == 1, "the change was not followed by one purge");
    let (after, known) = history(&mut shop).await?;
    ensure!(after < before && known == 1, "{before} rows before, {after} after; {known} marks in the mapping");
    ensure!(after > 2, "all was purged: {after} rows are left of commits at one moment");
    for _ in 0..2 {
        shop.stage.task(&["extract"]).await?.expect(0)?;
        let statements = wire.taken();
        ensure!(purges(&statements) == 0, "an idle table with nothing to purge was purged: {statements:#?}");
        ensure!(history(&mut shop).await? == (after, 1), "history changed");
    }
    shop.stage.task(&["load"]).await?.expect(0)?;
    shop.expect_rows(&[(1, "19"), (2, "two"), (3, "three")]).await
}

/// The reader may only read; a second login enables and purges.
#[tokio::test(flavor = "multi_thread")]
async fn r6_a_reader_without_rights_purges_by_the_second_login() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    shop.sql
        .run(
            "CREATE LOGIN reader WITH PASSWORD = 'Reader-Secret-1'; CREATE USER reader FOR LOGIN reader;
             GRANT SELECT ON dbo.Things TO reader",
        )
        .await?;
    let with_admin = |text: String| {
        let reader = text.replace("user = \"sa\"", "user = \"reader\"").replace("${MSSQL_PASSWORD}", "Reader-Secret-1");
        let admin = "[source.admin]\nuser = \"sa\"\npassword = \"${MSSQL_PASSWORD}\"\n\n[bucket]";
        reader.replace("[bucket]", admin)
    };
    let alone = |text: String| {
        with_admin(text).replace("[source.admin]\nuser = \"sa\"\npassword = \"${MSSQL_PASSWORD}\"\n", "")
    };
    // Alone it may not even enable the database, and is told what is missing.
    shop.stage.configure(alone)?;
    let refused = shop.stage.task(&["check"]).await?.expect(3)?;
    ensure!(refused.stdout.contains("[source.admin]"), "{}", refused.stdout);
    shop.stage.configure(with_admin)?;
    shop.sql.run("EXEC sys.sp_cdc_enable_db; GRANT SELECT ON SCHEMA::cdc TO reader").await?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    for turn in 0..3 {
        shop.change(&format!("UPDATE dbo.Things SET Note = N'turn {turn}' WHERE ID = 1")).await?;
        let extract = shop.stage.task(&["extract"]).await?.expect(0)?;
        ensure!(extract.stderr.contains("purged history at the source"), "{}", extract.stderr);
        shop.stage.task(&["load"]).await?.expect(0)?;
    }
    let (left, known) = history(&mut shop).await?;
    ensure!(left <= 2 && known == 1, "{left} rows of history are left, {known} marks");
    // Without the second login it reads all the same, and history stays.
    shop.stage.configure(alone)?;
    shop.change("UPDATE dbo.Things SET Note = N'read alone' WHERE ID = 1").await?;
    let extract = shop.stage.task(&["extract"]).await?.expect(0)?;
    ensure!(extract.stderr.contains("could not purge history at the source"), "{}", extract.stderr);
    shop.stage.task(&["load"]).await?.expect(0)?;
    shop.expect_rows(&[(1, "read alone"), (2, "two"), (3, "three")]).await
}
