//! The command line from outside: rounds, signals, summary file, log formats, the cut, and secrets.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::shop::Shop;
use crate::support::relay::Relay;
use crate::support::task::{Outcome, Running};

const THINGS: &[&str] = &["dbo.Things"];

fn send(signal: &str, task: &Running) -> anyhow::Result<()> {
    let id = task.child.id().context("the task has ended")?.to_string();
    ensure!(std::process::Command::new("kill").args(["-s", signal, &id]).status()?.success());
    Ok(())
}

/// Ends a task by a signal, and gives what it answered; the bound is the design's.
async fn end(signal: &str, task: Running) -> anyhow::Result<Outcome> {
    send(signal, &task)?;
    let begun = Instant::now();
    let outcome = tokio::time::timeout(Duration::from_secs(30), task.outcome()).await??;
    ensure!(begun.elapsed() < Duration::from_secs(5), "it took {:?} to end", begun.elapsed());
    Ok(outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn run_does_all_three_in_order() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1), ("north", 2)]).await?;
    let first = shop.ground.task(&["run"]).await?.expect(0)?.summary()?;
    ensure!(first.0["task"] == "run" && first.upserts() == 2, "{}", first.0);
    shop.insert("north", 3, "new").await?;
    shop.delete("north", 1).await?;
    shop.sql.capture_all().await?;
    let second = shop.ground.task(&["run"]).await?.expect(0)?.summary()?;
    ensure!((second.upserts(), second.deletes()) == (1, 1), "{}", second.0);
    shop.expect_equal().await?;
    let third = shop.ground.task(&["run"]).await?.expect(0)?.summary()?;
    ensure!(third.upserts() + third.deletes() == 0 && third.0["batches"] == 0, "{}", third.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn run_every_prints_a_summary_a_round_until_a_signal_ends_it() -> anyhow::Result<()> {
    let shop = Shop::open(&[("north", 1)]).await?;
    let mut task = shop.ground.start_task(&["run", "--every", "100ms"])?;
    let mut lines = BufReader::new(task.child.stdout.take().context("no standard output")?);
    for upserts in [1, 0, 0] {
        let mut line = String::new();
        lines.read_line(&mut line).await?;
        let round: Value = serde_json::from_str(&line).context(line)?;
        ensure!(round["task"] == "run" && round["status"] == "ok" && round["upserts"] == upserts, "{round}");
    }
    send("TERM", &task)?;
    let mut rest = String::new();
    lines.read_to_string(&mut rest).await?;
    ensure!(task.child.wait().await?.code() == Some(143));
    let last: Value = serde_json::from_str(rest.lines().last().context("no last line")?)?;
    ensure!(last["status"] == "terminated" && last["exit_code"] == 143, "{last}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_an_extract_in_the_middle_of_its_copy() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1)]).await?;
    for step in 0..14 {
        let doubled =
            format!("INSERT INTO dbo.Things SELECT Region, ID + {}, REPLICATE(N'x', 200) FROM dbo.Things", 1 << step);
        shop.sql.run(&doubled).await?;
    }
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let relay = Relay::start(shop.ground.source.port).await?;
        shop.ground.write_config(&shop.ground.config_through(relay.port, THINGS))?;
        relay.hold_after(9000);
        let task = shop.ground.start_task(&["extract"])?;
        tokio::time::timeout(Duration::from_mins(1), relay.held()).await.context("the copy never came so far")??;
        let outcome = end(signal, task).await?.expect(code)?;
        ensure!(outcome.summary()?.0["status"] == "terminated", "{}", outcome.stdout);
    }
    shop.ground.write_config(&shop.ground.config(THINGS))?;
    shop.ground.task(&["extract"]).await?.expect(0)?;
    shop.ground.task(&["check"]).await?.expect(0)?;
    ensure!(shop.ground.bucket().keys_ending(".csv.zst").await?.is_empty(), "parts of ended attempts are left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_load_that_waits_for_its_lock() -> anyhow::Result<()> {
    let shop = Shop::open(&[("north", 1)]).await?;
    shop.ground.task(&["extract"]).await?.expect(0)?;
    let holder = shop.ground.target.connect().await?;
    let mark: String = holder
        .query_one("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'delsert' AND tablename LIKE 'mark%'", &[])
        .await?
        .get(0);
    holder.batch_execute(&format!("BEGIN; LOCK TABLE {mark} IN ACCESS EXCLUSIVE MODE")).await?;
    // The server may go on waiting for a client that is gone: each task's own wait is a new backend's.
    let waiting = "SELECT pid FROM pg_locks WHERE NOT granted AND pid <> ALL($1) \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let mut known = Vec::<i32>::new();
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let task = shop.ground.start_task(&["load"])?;
        let waits = async {
            loop {
                if let Some(row) = holder.query_opt(waiting, &[&known]).await? {
                    return anyhow::Ok(row.get(0));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        known.push(tokio::time::timeout(Duration::from_mins(1), waits).await.context("load never waited")??);
        end(signal, task).await?.expect(code)?;
    }
    holder.batch_execute("ROLLBACK").await?;
    let load = shop.ground.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(load.upserts() == 1, "{}", load.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_file_holds_the_same_line_and_logs_can_be_json() -> anyhow::Result<()> {
    let shop = Shop::open(&[("north", 1)]).await?;
    let file = shop.ground.folder().join("summary.json");
    let path = file.to_str().context("a path that is not UTF-8")?;
    let outcome = shop.ground.task(&["--log-format", "json", "extract", "--summary-file", path]).await?.expect(0)?;
    ensure!(std::fs::read_to_string(&file)? == outcome.stdout);
    ensure!(outcome.stderr.lines().count() > 0);
    for line in outcome.stderr.lines() {
        serde_json::from_str::<Value>(line).with_context(|| format!("not JSON: {line}"))?;
    }
    let nowhere = shop.ground.folder().join("absent/summary.json");
    let outcome =
        shop.ground.task(&["load", "--summary-file", nowhere.to_str().unwrap_or_default()]).await?.expect(3)?;
    let summary = outcome.summary()?;
    ensure!(
        summary.0["exit_code"] == 3 && summary.0["error"].as_str().is_some_and(|text| text.contains("--summary-file"))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_equals_the_sentinel_begins_the_attempt_again() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1)]).await?;
    shop.insert("north", 2, "\\N").await?;
    shop.extract_and_load().await?;
    shop.expect_equal().await?;
    shop.update("north", 1, "\\N").await?;
    shop.insert("north", 3, "").await?;
    shop.expect_equal().await?;
    let manifest = shop.ground.bucket().keys_ending("/manifest.json").await?.pop().context("no manifest")?;
    let manifest = shop.ground.bucket().json(&manifest).await?;
    let null = manifest["encoding"]["null"].as_str().unwrap_or_default();
    ensure!(null.starts_with("\\N") && null.len() > 2, "the sentinel is {null:?}");
    let parts = shop.ground.bucket().keys_ending(".csv.zst").await?;
    ensure!(parts.is_empty(), "the attempts that were begun again left {parts:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn extract_stops_at_the_cut_that_it_is_given() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1)]).await?;
    shop.extract_and_load().await?;
    shop.insert("north", 2, "before the cut").await?;
    shop.sql.capture_all().await?;
    let check = shop.ground.task(&["check"]).await?.expect(0)?.summary()?;
    let cut = check.0["cut"].as_str().context("no cut")?.to_owned();
    ensure!(check.table("dbo.Things")?["work"] == true, "{}", check.0);
    shop.insert("north", 3, "after the cut").await?;
    shop.sql.capture_all().await?;
    let first = shop.ground.task(&["extract", "--until", &cut]).await?.expect(0)?.summary()?;
    ensure!(first.upserts() == 1 && first.0["cut"] == cut && first.table("dbo.Things")?["to"] == cut, "{}", first.0);
    let again = shop.ground.task(&["extract", "--until", &cut]).await?.expect(0)?.summary()?;
    ensure!(again.upserts() == 0 && again.0["batches"] == 0, "{}", again.0);
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_no_secret_is_told_at_trace_level_whatever_happens() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1)]).await?;
    let secrets: Vec<_> = ["MSSQL_PASSWORD", "TARGET_PASSWORD", "AWS_SECRET_ACCESS_KEY"]
        .iter()
        .filter_map(|name| shop.ground.environment.iter().find(|(variable, _)| variable == name))
        .map(|(_, value)| value.clone())
        .collect();
    ensure!(secrets.len() == 3 && secrets.iter().all(|secret| secret.len() >= 8), "no secrets to look for");
    shop.ground.environment.push(("RUST_LOG".to_owned(), "trace".to_owned()));
    let mut said = Vec::new();
    for format in ["text", "json"] {
        for task in ["check", "extract", "load"] {
            let outcome = shop.ground.task(&["--log-format", format, task]).await?.expect(0)?;
            ensure!(outcome.stderr.contains("TRACE") || outcome.stderr.contains("DEBUG"), "nothing was traced");
            said.push(outcome);
        }
        shop.insert("north", if format == "text" { 2 } else { 3 }, "row").await?;
        shop.sql.capture_all().await?;
    }
    // Each secret wrong at the place of another: what refuses it must not repeat it.
    let right = shop.ground.environment.clone();
    for at in 0..right.len() {
        if secrets.contains(&right[at].1) {
            let other = secrets.iter().find(|secret| **secret != right[at].1).context("one secret")?.clone();
            shop.ground.environment.clone_from(&right);
            shop.ground.environment[at].1 = other;
            for task in ["check", "extract", "load"] {
                said.push(shop.ground.task(&[task]).await?);
            }
        }
    }
    let config = std::fs::read_to_string(shop.ground.config_path())?;
    for secret in &secrets {
        ensure!(
            !config.contains(secret.as_str()),
            "the configuration holds the secret, so that the test proves nothing"
        );
        for outcome in &said {
            for text in [&outcome.stdout, &outcome.stderr, &outcome.command] {
                let line = text.lines().find(|line| line.contains(secret.as_str()));
                ensure!(line.is_none(), "{} tells a secret: {}", outcome.command, line.unwrap_or_default());
            }
        }
        for key in shop.ground.bucket().keys().await? {
            let object = shop.ground.bucket().get(&key).await?;
            ensure!(!String::from_utf8_lossy(&object).contains(secret.as_str()), "{key} holds a secret");
        }
    }
    Ok(())
}
