//! An end is lost, and what the runbook says is run: nothing else.

use anyhow::{Context, ensure};

use super::{quoted, runbook};
use crate::rules::stage::{remove, write};
use crate::rules::watched::WatchedShop;
use crate::support::bucket::Bucket;
use crate::support::ground::BUCKET;
use crate::support::rest;
use crate::support::server::Leash;
use crate::support::source::{Source, SourceOptions};

/// The commands of the runbook's row that begins so.
fn commands(lost: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let runbook = runbook()?;
    let row = runbook.lines().find(|line| line.starts_with(&format!("| {lost}"))).context("no such row")?;
    let command = |text: &str| {
        let text = text.replace("TABLE", "--table dbo.Things");
        text.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let commands: Vec<_> = quoted(row).filter(|text| text.starts_with("delsert ")).map(command).collect();
    ensure!(!commands.is_empty(), "no command in {row}");
    Ok(commands)
}

/// A synced shop whose source goes on.
async fn shop() -> anyhow::Result<WatchedShop> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.change("UPDATE dbo.Things SET Note = N'changed' WHERE ID = 1; DELETE dbo.Things WHERE ID = 2").await?;
    shop.stage.extract_and_load().await?;
    Ok(shop)
}

/// What stands in the way, as a task says it.
struct Stopped {
    task: &'static str,
    kind: &'static str,
    code: i32,
}

/// Sees the task stop, runs what the runbook says, and a round like any other; then all is at rest.
async fn recover(shop: &mut WatchedShop, lost: &str, stopped: Stopped) -> anyhow::Result<()> {
    shop.change("INSERT INTO dbo.Things VALUES (7, N'meanwhile')").await?;
    let summary = shop.stage.task(&[stopped.task]).await?.expect(stopped.code)?.summary()?.0;
    let kinds = [&summary["error_kind"], &summary["tables"][0]["error_kind"]];
    ensure!(kinds.iter().any(|kind| **kind == stopped.kind), "not stopped by {}: {summary}", stopped.kind);
    for command in commands(lost)? {
        let arguments: Vec<_> = command.iter().map(String::as_str).collect();
        let outcome = shop.stage.task(&arguments).await?;
        // What the runbook says first may still name what was lost.
        let code = if arguments[0] == "check" && outcome.stderr.contains("LedgerLost") { 3 } else { 0 };
        outcome.expect(code)?;
    }
    for task in ["check", "extract", "load"] {
        shop.stage.task(&[task]).await?.expect(0)?;
    }
    let target = shop.stage.target.connect_as_admin().await?;
    let bucket = Bucket::at(&shop.stage.endpoint, BUCKET);
    rest::expect_at_rest(&mut shop.sql, &bucket, &target, &["dbo.Things"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bucket() -> anyhow::Result<()> {
    let mut shop = shop().await?;
    for key in shop.stage.keys() {
        remove(&shop.stage.store, &key);
    }
    shop.stage.store.delete_bucket(BUCKET)?;
    recover(&mut shop, "the bucket", Stopped { task: "load", kind: "BucketRights", code: 3 }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_in_the_bucket() -> anyhow::Result<()> {
    let mut shop = shop().await?;
    for key in shop.stage.keys() {
        remove(&shop.stage.store, &key);
    }
    recover(&mut shop, "the bucket", Stopped { task: "check", kind: "LedgerLost", code: 3 }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_replaced_by_an_empty_one() -> anyhow::Result<()> {
    let mut shop = shop().await?;
    let target = shop.stage.target.connect_as_admin().await?;
    target.batch_execute("DROP SCHEMA dbo CASCADE; DROP SCHEMA delsert CASCADE").await?;
    recover(&mut shop, "the target, replaced", Stopped { task: "load", kind: "TargetShape", code: 3 }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_restored_from_a_backup() -> anyhow::Result<()> {
    let mut shop = shop().await?;
    let target = shop.stage.target.connect_as_admin().await?;
    let query = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'delsert' AND tablename LIKE 'mark%'";
    let mark: String = target.query_one(query, &[]).await?.get(0);
    let back_up =
        format!("CREATE TABLE public.rows AS TABLE dbo.things; CREATE TABLE public.mark AS TABLE delsert.{mark}");
    target.batch_execute(&back_up).await?;
    shop.change("UPDATE dbo.Things SET Note = N'after the backup' WHERE ID = 3").await?;
    shop.stage.extract_and_load().await?;
    // The mark of a batch is written when the next load begins, at the latest.
    shop.stage.task(&["load"]).await?.expect(0)?;
    let restore = format!(
        "DELETE FROM dbo.things; INSERT INTO dbo.things TABLE public.rows;
         DELETE FROM delsert.{mark}; INSERT INTO delsert.{mark} TABLE public.mark"
    );
    target.batch_execute(&restore).await?;
    recover(&mut shop, "the target, restored", Stopped { task: "load", kind: "TargetBehind", code: 3 }).await
}

/// Its rows are nobody's then: they are replaced only where that is configured.
#[tokio::test(flavor = "multi_thread")]
async fn the_target_restored_without_the_watermarks() -> anyhow::Result<()> {
    let mut shop = shop().await?;
    let target = shop.stage.target.connect_as_admin().await?;
    target.batch_execute("DROP SCHEMA delsert CASCADE").await?;
    let check = shop.stage.task(&["check"]).await?.expect(3)?.summary()?;
    let table = check.table("dbo.Things")?;
    ensure!(table["status"] == "blocked" && table["error_kind"] == "TargetShape", "{table}");
    ensure!(table["error"].as_str().is_some_and(|error| error.contains("rows that no batch brought (2)")), "{table}");
    shop.stage.configure(|text| format!("{text}on_existing_rows = \"replace\"\n"))?;
    recover(&mut shop, "the target, restored without", Stopped { task: "check", kind: "TargetBehind", code: 3 }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_replaced_by_another() -> anyhow::Result<()> {
    let mut shop = shop().await?;
    let folder = shop.stage.folder().join("another");
    std::fs::create_dir(&folder)?;
    let start = || Source::start(&folder, &SourceOptions::default(), &Leash::Owner);
    shop.stage.source = Some(tokio::task::block_in_place(start)?);
    shop.stage.configure(|text| text)?;
    shop.sql = shop.stage.sql().await?;
    shop.sql
        .run(
            "CREATE TABLE dbo.Things (ID int NOT NULL PRIMARY KEY, Note nvarchar(max) NULL);
             INSERT INTO dbo.Things VALUES (1, N'from the backup'), (2, N'two')",
        )
        .await?;
    shop.check().await?;
    recover(&mut shop, "the source, restored", Stopped { task: "extract", kind: "Restored", code: 3 }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_cannot_be_read() -> anyhow::Result<()> {
    let mut shop = shop().await?;
    shop.change("UPDATE dbo.Things SET Note = N'never loaded' WHERE ID = 3").await?;
    shop.stage.task(&["extract"]).await?.expect(0)?;
    let manifest = shop.stage.keys_ending("/0000000003/manifest.json").pop().context("no third batch")?;
    write(&shop.stage.store, &manifest, &b"not JSON"[..]);
    recover(&mut shop, "LedgerUnreadable", Stopped { task: "load", kind: "LedgerUnreadable", code: 75 }).await
}
