//! Rule 7, where the end is asked for: a signal ends a task soon, with a summary, and the next run completes. A run with
//! nothing to do does nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use standin::s3::{Fault, Moment};

use super::stage::Gate;
use super::watched::WatchedShop;
use crate::support::task::Running;

/// How long a task may take to end once it is told to.
const BOUND: Duration = Duration::from_secs(5);

fn signal(running: &Running, name: &str) -> anyhow::Result<()> {
    let process = running.child.id().context("the task has ended")?.to_string();
    let sent = std::process::Command::new("kill").args(["-s", name, &process]).status()?;
    ensure!(sent.success(), "kill -s {name} {process}: {sent}");
    Ok(())
}

/// Signals a task in the middle of an operation on the bucket, which is held back.
async fn end_in_the_middle(shop: &WatchedShop, task: &str, name: &str, code: i32) -> anyhow::Result<()> {
    let (gate, operation) = (Gate::new(), if task == "load" { "GetObject" } else { "PutObject" });
    let held = Arc::clone(&gate);
    shop.stage.watch(move |seen, moment| {
        if moment == Moment::Before && seen.name == operation && seen.key.contains(".csv") {
            held.pass();
        }
        Fault::None
    });
    let summary_file = shop.stage.folder().join("summary.json");
    let file = summary_file.to_str().context("the folder's name")?;
    let running = shop.stage.start_task(&[task, "--summary-file", file])?;
    gate.reached(1).await?;
    let started = Instant::now();
    signal(&running, name)?;
    let outcome = running.outcome().await?.expect(code)?;
    let took = started.elapsed();
    ensure!(took < BOUND, "{task} took {took:?} to end after SIG{name}");
    gate.open();
    shop.stage.store.set_faults(None);
    let summary = outcome.summary()?.0;
    ensure!(summary["status"] == "terminated" && summary["exit_code"] == code && summary["task"] == task, "{summary}");
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(file)?)?;
    ensure!(written == summary, "the file holds {written}, not {summary}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_a_signal_ends_a_task_with_a_summary_and_the_next_run_completes() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    for (round, name, code) in [(0, "TERM", 143), (1, "INT", 130)] {
        shop.change(&format!("UPDATE dbo.Things SET Note = N'round {round}' WHERE ID = 1")).await?;
        end_in_the_middle(&shop, "extract", name, code).await?;
        ensure!(shop.stage.keys_ending("/manifest.json").len() == round, "a batch came of an attempt that ended");
        shop.stage.task(&["extract"]).await?.expect(0)?;
        end_in_the_middle(&shop, "load", name, code).await?;
        shop.stage.task(&["load"]).await?.expect(0)?;
        shop.expect_rows(&[(1, &format!("round {round}")), (2, "two"), (3, "three")]).await?;
    }
    shop.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_every_task_run_again_at_once_changes_nothing() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    for note in ["first", "second"] {
        shop.change(&format!("UPDATE dbo.Things SET Note = N'{note}' WHERE ID = 1")).await?;
        shop.stage.extract_and_load().await?;
        // What load leaves to the next run (the mark's tidying) is done here.
        shop.stage.task(&["load"]).await?.expect(0)?;
        let keys = shop.stage.keys();
        for task in ["check", "extract", "load", "check", "extract", "load", "run"] {
            let summary = shop.stage.task(&[task]).await?.expect(0)?.summary()?;
            let table = summary.table("dbo.Things")?;
            ensure!(table["status"] == "idle" && table["work"] == false, "{task} had something to do: {table}");
            ensure!(summary.0["upserts"] == 0 && summary.0["batches"] == 0, "{task} changed something: {}", summary.0);
            let now = shop.stage.keys();
            ensure!(now == keys, "{task} changed the bucket: {now:?}, before {keys:?}");
        }
    }
    shop.expect_rows(&[(1, "second"), (2, "two"), (3, "three")]).await
}
