//! History that was purged before it was read: what is said, and that what is said repairs it.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::rules::stage::Stage;
use crate::rules::watched::WatchedShop;
use crate::support::source::Sql;

/// The instance of a table, and a purge of all its history.
async fn purge(sql: &mut Sql, table: &str) -> anyhow::Result<()> {
    sql.run(&format!(
        "DECLARE @instance sysname = (SELECT ct.capture_instance FROM cdc.change_tables AS ct
             WHERE ct.source_object_id = OBJECT_ID(N'{table}'));
         DECLARE @lsn binary(10) = sys.fn_cdc_get_max_lsn();
         EXEC sys.sp_cdc_cleanup_change_table @capture_instance = @instance, @low_water_mark = @lsn, @threshold = 5000"
    ))
    .await
}

/// The first text of a statement.
async fn text(sql: &mut Sql, statement: &str) -> anyhow::Result<String> {
    let rows = sql.rows(statement).await?;
    let row = rows.first().context("no row")?;
    Ok(row.try_get::<&str, _>(0)?.context("NULL")?.to_owned())
}

/// What was said of the one table that failed.
async fn failure(stage: &Stage, kind: &str) -> anyhow::Result<String> {
    let summary = stage.task(&["extract"]).await?.expect(3)?.summary()?;
    let failed = summary.tables().iter().find(|table| table["error_kind"] == kind);
    let failed = failed.with_context(|| format!("no table failed by {kind}: {}", summary.0))?;
    Ok(failed["error"].as_str().unwrap_or_default().to_owned())
}

/// The arguments of the command that a message names, as a shell takes them apart.
fn command(message: &str) -> anyhow::Result<Vec<String>> {
    let from = message.find("delsert resync").with_context(|| format!("no command in: {message}"))?;
    let to = message[from..].find(" --yes'").with_context(|| format!("no end of the command in: {message}"))?;
    let arguments = &message[from + "delsert".len()..from + to + " --yes".len()];
    let output = Command::new("sh").arg("-c").arg(format!("printf '%s\\n' {arguments}")).output()?;
    ensure!(output.status.success(), "a shell does not take: {arguments}");
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

/// Does what a message says, and syncs.
async fn obey(stage: &Stage, message: &str) -> anyhow::Result<()> {
    let arguments = command(message)?;
    stage.task(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await?.expect(0)?;
    stage.extract_and_load().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_named_with_both_ends_and_the_command_that_repairs_it() -> anyhow::Result<()> {
    let stage = Stage::start().await?;
    let mut sql = stage.sql().await?;
    sql.run(
        "CREATE TABLE dbo.[Order $Details] (ID int NOT NULL PRIMARY KEY, Note nvarchar(50) NULL);
         INSERT INTO dbo.[Order $Details] VALUES (1, N'one')",
    )
    .await?;
    stage.task(&["check"]).await?.expect(0)?;
    let (extract, _) = stage.extract_and_load().await?;
    let tail = extract.tables()[0]["to"].as_str().unwrap_or_default().to_owned();
    let time = |lsn: &str| format!("SELECT CONVERT(nvarchar(30), sys.fn_cdc_map_lsn_to_time({lsn}), 126)");
    let tail_time = text(&mut sql, &time(&tail)).await?;
    sql.run("UPDATE dbo.[Order $Details] SET Note = N'lost'").await?;
    sql.capture_all().await?;
    purge(&mut sql, "dbo.[Order $Details]").await?;
    let minimum = "SELECT CONVERT(nvarchar(30), c.start_lsn, 1) FROM cdc.change_tables AS c";
    let minimum = text(&mut sql, minimum).await?;
    let minimum_time = text(&mut sql, &time(&minimum)).await?;

    let message = failure(&stage, "Gap").await?;
    for word in ["dbo.Order $Details: changes after", &tail, &tail_time, "begins at", &minimum, &minimum_time] {
        ensure!(message.contains(word), "the message does not say '{word}': {message}");
    }
    ensure!(!message.contains("capture instance"), "the instance is the same: {message}");
    ensure!(command(&message)? == ["resync", "--table", "dbo.Order $Details", "--yes"], "{message}");
    obey(&stage, &message).await?;
    let target = stage.target.connect().await?;
    let row = target.query_one("SELECT note FROM dbo.\"order $details\"", &[]).await?;
    ensure!(row.get::<_, String>(0) == "lost", "the resync did not bring what was lost");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_by_an_instance_made_again_says_so() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    let instance = text(&mut shop.sql, "SELECT c.capture_instance FROM cdc.change_tables AS c").await?;
    let disable = format!(
        "EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'Things', @capture_instance = N'{instance}'"
    );
    shop.sql.run(&disable).await?;
    shop.sql.run("UPDATE dbo.Things SET Note = N'not captured' WHERE ID = 1").await?;
    shop.check().await?;
    let message = failure(&shop.stage, "Gap").await?;
    let made_again = format!("capture instance '{instance}' was dropped, and made again at");
    ensure!(message.contains(&made_again), "the message does not say '{made_again}': {message}");
    obey(&shop.stage, &message).await?;
    shop.expect_rows(&[(1, "not captured"), (2, "two"), (3, "three")]).await
}

/// One gap is mended by a new copy where the policy says so. Another right behind it is a person's: a copy a run would
/// never end.
#[tokio::test(flavor = "multi_thread")]
async fn the_second_gap_in_a_row_stops() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.configure(|text| text.replace("[sync]", "[sync]\non_gap = \"resync\"\npurge = \"never\""))?;
    shop.stage.extract_and_load().await?;
    shop.change("UPDATE dbo.Things SET Note = N'a batch' WHERE ID = 1").await?;
    shop.stage.extract_and_load().await?;
    shop.change("UPDATE dbo.Things SET Note = N'lost' WHERE ID = 2").await?;
    purge(&mut shop.sql, "dbo.Things").await?;
    let (extract, _) = shop.stage.extract_and_load().await?;
    ensure!(extract.upserts() == 3, "the gap was not mended by a copy: {}", extract.0);
    shop.expect_rows(&[(1, "a batch"), (2, "lost"), (3, "three")]).await?;

    shop.change("UPDATE dbo.Things SET Note = N'lost too' WHERE ID = 3").await?;
    purge(&mut shop.sql, "dbo.Things").await?;
    let message = failure(&shop.stage, "Gap").await?;
    ensure!(!shop.stage.keys().iter().any(|key| key.contains("/0000000003/")), "a third generation was opened");
    shop.expect_rows(&[(1, "a batch"), (2, "lost"), (3, "three")]).await?;
    obey(&shop.stage, &message).await?;
    shop.expect_rows(&[(1, "a batch"), (2, "lost"), (3, "lost too")]).await
}

/// A table that is stale is renewed by what was said of all tables at once: history that cleanup took meanwhile must not
/// pass for none.
#[tokio::test(flavor = "multi_thread")]
async fn history_purged_while_a_stale_table_is_looked_at_is_a_gap() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    let settings = ("[sync]\npurge = \"never\"", "exclude = [\"dbo.Later\"]\ninclude =");
    shop.stage.configure(|text| text.replace("[sync]", settings.0).replace("include =", settings.1))?;
    shop.stage.extract_and_load().await?;
    shop.sql.run("EXEC sys.sp_standin_advance_clock @seconds = 100000").await?;
    shop.change("UPDATE dbo.Things SET Note = N'lost' WHERE ID = 2").await?;
    // Cleanup keeps what lies at its mark: a later change of another table is the mark.
    shop.sql
        .run(
            "CREATE TABLE dbo.Later (ID int NOT NULL PRIMARY KEY);
             EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Later', @role_name = NULL;
             EXEC sys.sp_standin_advance_clock @seconds = 1",
        )
        .await?;
    shop.change("INSERT INTO dbo.Later VALUES (1)").await?;
    let instance =
        "SELECT c.capture_instance FROM cdc.change_tables AS c WHERE c.source_object_id = OBJECT_ID(N'dbo.Things')";
    let instance = text(&mut shop.sql, instance).await?;
    let mark = "SELECT CONVERT(nvarchar(30), sys.fn_cdc_get_max_lsn(), 1)";
    let mark = text(&mut shop.sql, mark).await?;
    let cleanup = format!(
        "EXEC sys.sp_cdc_cleanup_change_table @capture_instance = N''{instance}'', @low_water_mark = {mark}, @threshold = 5000"
    );
    let order = format!(
        "EXEC sys.sp_standin_during_read @capture_instance = N'{instance}', @after_rows = 0, @statement = N'{cleanup}'"
    );
    shop.sql.run(&order).await?;
    let message = failure(&shop.stage, "Gap").await?;
    obey(&shop.stage, &message).await?;
    shop.expect_rows(&[(1, "one"), (2, "lost"), (3, "three")]).await
}
