//! Rule 11: secrets stay in the config's secret type, whatever the logs are asked to tell.

mod faults;
mod forms;

use std::fs;

use anyhow::{Context, ensure};

use super::stage::{CANARY_SECRET, Stage, read};
use super::watched::WatchedShop;
use crate::support::bucket::SECRET_KEY;
use crate::support::postgres::LOADER_PASSWORD;
use crate::support::source::PASSWORD;

/// Passwords that are refused, and must not be told either.
const WRONG: [&str; 3] = ["Wrong-Source-Canary", "Wrong-Target-Canary", "Wrong-Bucket-Canary"];

fn expect_none(place: &str, text: &[u8]) -> anyhow::Result<()> {
    let fixed = [PASSWORD, LOADER_PASSWORD, SECRET_KEY, CANARY_SECRET];
    forms::expect_none(place, text, fixed.into_iter().chain(WRONG).chain(faults::CANARIES))
}

/// Runs a task in both formats with all logs there are; gives how much was told.
async fn try_task(stage: &Stage, arguments: &[&str], code: i32) -> anyhow::Result<usize> {
    Ok(try_in(stage, "text", arguments, code).await? + try_in(stage, "json", arguments, code).await?)
}

/// Runs a task with all logs there are, and looks wherever it could have left a secret; gives how much was told.
async fn try_in(stage: &Stage, format: &str, arguments: &[&str], code: i32) -> anyhow::Result<usize> {
    let what = format!("{} in {format}, exit {code}", arguments.join(" "));
    let file = stage.folder().join("summary.json");
    let mut all = arguments.to_vec();
    all.extend(["--log-format", format, "--summary-file", file.to_str().context("the folder's name")?]);
    let running = stage.start_task(&all)?;
    let process = running.child.id().context("the task has ended")?;
    let command_line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let outcome = running.outcome().await?;
    ensure!(outcome.code == Some(code), "{what}: ended with {:?}: {}", outcome.code, outcome.stdout);
    ensure!(outcome.stderr.contains("TRACE"), "{what}: the logs were not all told: {}", outcome.stderr);
    expect_none(&format!("standard output of {what}"), outcome.stdout.as_bytes())?;
    expect_none(&format!("the logs of {what}"), outcome.stderr.as_bytes())?;
    expect_none(&format!("the command line of {what}"), &command_line)?;
    expect_none(&format!("the summary file of {what}"), &fs::read(&file)?)?;
    for key in stage.keys() {
        expect_none(&key, &read(&stage.store, &key)?)?;
    }
    Ok(outcome.stderr.len())
}

fn set(stage: &mut Stage, name: &str, value: &str) {
    stage.environment.retain(|(known, _)| known != name);
    stage.environment.push((name.to_owned(), value.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_no_secret_is_told_by_any_task_at_any_level_of_log() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    set(&mut shop.stage, "RUST_LOG", "trace");
    for task in [&["check"][..], &["extract"], &["load"], &["run"], &["resync", "--table", "dbo.Things", "--yes"]] {
        try_task(&shop.stage, task, 0).await?;
    }
    try_task(&shop.stage, &["run"], 0).await?;
    ensure!(shop.stage.keys().len() >= 3, "there was nothing to look at: {:?}", shop.stage.keys());
    Ok(())
}

/// Refused passwords; passwords written into the configuration itself; and the line with one that does not parse.
#[tokio::test(flavor = "multi_thread")]
async fn r11_no_secret_is_told_by_a_task_that_fails() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    set(&mut shop.stage, "RUST_LOG", "trace");
    let sound = shop.stage.environment.clone();
    for (variable, wrong, task) in [
        ("MSSQL_PASSWORD", WRONG[0], "extract"),
        ("TARGET_PASSWORD", WRONG[1], "load"),
        ("AWS_SECRET_ACCESS_KEY", WRONG[2], "load"),
    ] {
        set(&mut shop.stage, variable, wrong);
        try_task(&shop.stage, &[task], 3).await?;
        try_task(&shop.stage, &["check"], 3).await?;
        shop.stage.environment.clone_from(&sound);
    }
    shop.stage.configure(|text| text.replace("${MSSQL_PASSWORD}", PASSWORD).replace("${TARGET_PASSWORD}", WRONG[1]))?;
    try_task(&shop.stage, &["check"], 3).await?;
    for spoil in [
        "password = \"Wrong-Source-Canary\nuser",
        "password = [\"Wrong-Source-Canary\"]\nuser",
        "pasword = \"Wrong-Source-Canary\"\nuser",
        "token_command = \"get-token --client-secret Wrong-Source-Canary\"\nuser",
        "token_command = [[\"get-token\", \"Wrong-Source-Canary\"]]\nuser",
    ] {
        shop.stage
            .configure(|text| text.replacen("password = \"${MSSQL_PASSWORD}\"\n", "", 1).replacen("user", spoil, 1))?;
        let outcome = shop.stage.task(&["check"]).await?.expect(2)?;
        expect_none("standard output", outcome.stdout.as_bytes())?;
        expect_none("the logs", outcome.stderr.as_bytes())?;
    }
    Ok(())
}
