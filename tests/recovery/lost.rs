//! An end is lost, and what the runbook says is run: nothing else.

use anyhow::{Context, ensure};

use super::{quoted, runbook};
use crate::rules::stage::remove;
use crate::rules::watched::WatchedShop;
use crate::support::bucket::Bucket;
use crate::support::ground::BUCKET;
use crate::support::rest;

/// The commands of a row of the runbook's last table.
fn commands(lost: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let runbook = runbook()?;
    let table = runbook.split("## Losing an end").nth(1).context("the runbook has no such section")?;
    let row = table.lines().find(|line| line.starts_with(&format!("| {lost}"))).context("no such row")?;
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

/// Runs what the runbook says, and a round like any other; then all is at rest.
async fn recover(shop: &mut WatchedShop, lost: &str) -> anyhow::Result<()> {
    shop.change("INSERT INTO dbo.Things VALUES (7, N'meanwhile')").await?;
    let stopped = shop.stage.task(&["load"]).await?;
    ensure!(stopped.code == Some(3) || stopped.code == Some(0), "load ended with {:?}", stopped.code);
    for command in commands(lost)? {
        let arguments: Vec<_> = command.iter().map(String::as_str).collect();
        shop.stage.task(&arguments).await?.expect(0)?;
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
    recover(&mut shop, "the bucket").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_replaced_by_an_empty_one() -> anyhow::Result<()> {
    let mut shop = shop().await?;
    let target = shop.stage.target.connect_as_admin().await?;
    target.batch_execute("DROP SCHEMA dbo CASCADE; DROP SCHEMA delsert CASCADE").await?;
    recover(&mut shop, "the target, replaced").await
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
    let restore = format!(
        "DELETE FROM dbo.things; INSERT INTO dbo.things TABLE public.rows;
         DELETE FROM delsert.{mark}; INSERT INTO delsert.{mark} TABLE public.mark"
    );
    target.batch_execute(&restore).await?;
    recover(&mut shop, "the target, restored").await
}
