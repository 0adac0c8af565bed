//! `docs/by-hand.md`: every command of it is run, with a table of the test's in place of its own.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use clap::Parser;
use delsert::cli::Cli;

use super::quoted;
use crate::rules::watched::WatchedShop;

fn page() -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/by-hand.md"))?)
}

/// The commands below a heading, each as it stands in a block of its own lines.
fn below(heading: &str) -> anyhow::Result<Vec<String>> {
    let page = page()?;
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).with_context(|| heading.to_owned())?;
    let section = rest.split("\n## ").next().unwrap_or(rest);
    let commands: Vec<_> = section.lines().map(str::trim).filter(|line| line.starts_with("delsert ")).collect();
    ensure!(!commands.is_empty(), "no command below '{heading}'");
    Ok(commands.into_iter().map(str::to_owned).collect())
}

/// A command's arguments, on the test's table and at a cut of its own.
fn arguments(command: &str, cut: &str) -> Vec<String> {
    let command = command.replace("Sales.Orders", "dbo.Things").replace("0x0000002A000001B00003", cut);
    command.split_whitespace().skip(1).map(str::to_owned).collect()
}

/// Runs commands in order, each of which must end with 0.
async fn run(shop: &WatchedShop, commands: &[String], cut: &str) -> anyhow::Result<()> {
    for command in commands {
        let arguments = arguments(command, cut);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        shop.stage.task(&arguments).await?.expect(0)?;
    }
    Ok(())
}

/// The headings whose commands the tests below run.
const HEADINGS: [&str; 5] =
    ["See how it stands", "Go on where it stopped", "Copy it anew", "Without Airflow", "Beside Airflow"];

#[test]
fn every_command_of_the_page_stands_where_a_test_runs_it() -> anyhow::Result<()> {
    let page = page()?;
    let of = |text: &str| text.trim_start_matches("docker compose run --rm ").to_owned();
    let lines = page.lines().map(str::trim).filter(|line| line.starts_with("delsert ")).map(of);
    let inline = page.replace("```", "");
    let inline = quoted(&inline).map(of).filter(|text| text.starts_with("delsert ") && !text.contains('\n'));
    let all: BTreeSet<_> = lines.chain(inline).collect();
    let mut run = BTreeSet::new();
    for heading in HEADINGS {
        run.extend(below(heading)?);
    }
    let never: Vec<_> = all.difference(&run).collect();
    ensure!(all.len() > 6 && never.is_empty(), "never run: {never:?}");
    for command in all {
        Cli::try_parse_from(command.split_whitespace()).map(drop).with_context(|| command.clone())?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_goes_on_where_it_stopped() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.change("UPDATE dbo.Things SET Note = N'changed' WHERE ID = 1").await?;
    // A batch that waits, and a worker that was killed in the middle of its next.
    shop.stage.task(&["extract"]).await?.expect(0)?;
    shop.change("DELETE dbo.Things WHERE ID = 2").await?;
    let mut killed = shop.stage.start_task(&["extract"])?;
    killed.child.start_kill()?;
    killed.outcome().await?;
    run(&shop, &below("See how it stands")?, "").await?;
    shop.expect_rows(&[(1, "one"), (2, "two"), (3, "three")]).await.context("looking applied something")?;
    run(&shop, &below("Go on where it stopped")?, "").await?;
    shop.expect_rows(&[(1, "changed"), (3, "three")]).await?;
    run(&shop, &below("Go on where it stopped")?, "").await?;
    shop.expect_at_rest().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_copied_anew() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.change("UPDATE dbo.Things SET Note = N'lost' WHERE ID = 1").await?;
    shop.sql
        .run(
            "DECLARE @instance sysname = (SELECT ct.capture_instance FROM cdc.change_tables AS ct);
             DECLARE @lsn binary(10) = sys.fn_cdc_get_max_lsn();
             EXEC sys.sp_cdc_cleanup_change_table @capture_instance = @instance, @low_water_mark = @lsn, @threshold = 5000",
        )
        .await?;
    let gap = shop.stage.task(&["extract"]).await?.expect(3)?.summary()?;
    ensure!(gap.table("dbo.Things")?["error_kind"] == "Gap", "{}", gap.0);
    let seen = arguments(&below("See how it stands")?[0], "");
    let seen: Vec<_> = seen.iter().map(String::as_str).collect();
    let seen = shop.stage.task(&seen).await?;
    ensure!(matches!(seen.code, Some(0 | 3)), "{seen:?}");
    run(&shop, &below("Copy it anew")?, "").await?;
    shop.expect_rows(&[(1, "lost"), (2, "two"), (3, "three")]).await?;
    shop.expect_at_rest().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_synced_without_airflow() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    for note in ["first", "second"] {
        shop.change(&format!("UPDATE dbo.Things SET Note = N'{note}' WHERE ID = 1")).await?;
        run(&shop, &below("Without Airflow")?, "").await?;
        shop.expect_rows(&[(1, note), (2, "two"), (3, "three")]).await?;
    }
    Ok(())
}

/// Another runs the three in order all the while, twice at once, as Airflow does beside an orphan.
#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_is_safe_beside_airflow() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    let mut airflow = Vec::new();
    for _ in 0..2 {
        let mut command = crate::worker::command(&shop.stage, &["run", "--every", "10ms"])?;
        airflow.push(command.stderr(Stdio::null()).spawn()?);
    }
    for round in 0..4 {
        shop.change(&format!("UPDATE dbo.Things SET Note = N'round {round}' WHERE ID = 1")).await?;
        shop.change(&format!("INSERT INTO dbo.Things VALUES ({}, N'new')", 10 + round)).await?;
        for heading in ["Copy it anew", "Go on where it stopped", "Without Airflow"] {
            run(&shop, &below(heading)?, "").await?;
        }
        let cut = shop.stage.task(&["check"]).await?.expect(0)?.summary()?.0["cut"].as_str().map(str::to_owned);
        let cut = cut.context("check told no cut")?;
        shop.change(&format!("DELETE dbo.Things WHERE ID = {}", 10 + round)).await?;
        run(&shop, &below("Beside Airflow")?, &cut).await?;
    }
    for mut process in airflow {
        ensure!(process.try_wait()?.is_none(), "what stands for Airflow has ended by itself");
        process.kill().await?;
    }
    run(&shop, &below("Go on where it stopped")?, "").await?;
    shop.expect_rows(&[(1, "round 3"), (2, "two"), (3, "three")]).await?;
    run(&shop, &below("Go on where it stopped")?, "").await?;
    shop.expect_at_rest().await
}
