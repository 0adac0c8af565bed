//! Logs as a view shows them that sets its own time before each line.

use std::process::Stdio;

use anyhow::ensure;

use super::command;
use crate::rules::stage::Stage;

/// The lines that the three tasks log, with a variable more in their environment.
async fn lines(stage: &Stage, variable: Option<(&str, &str)>) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for task in ["check", "extract", "load"] {
        let mut command = command(stage, &[task])?;
        let output = command.envs(variable).stderr(Stdio::piped()).spawn()?.wait_with_output().await?;
        let logged = String::from_utf8(output.stderr)?;
        ensure!(output.status.success(), "{task}: {logged}");
        lines.extend(logged.lines().map(str::to_owned));
    }
    Ok(lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_level_table_and_message_without_a_second_time() -> anyhow::Result<()> {
    let stage = Stage::start().await?;
    let mut sql = stage.sql().await?;
    sql.run("CREATE TABLE dbo.Things (ID int NOT NULL PRIMARY KEY); INSERT INTO dbo.Things VALUES (1)").await?;
    for round in 0..2 {
        let lines = lines(&stage, Some(("AIRFLOW_CTX_DAG_ID", "delsert"))).await?;
        for line in &lines {
            let level = line.get(..6).unwrap_or_default();
            ensure!(["INFO  ", "WARN  ", "ERROR "].contains(&level), "no level first: {line}");
            ensure!(!line.contains('\u{1b}'), "a colour: {line:?}");
        }
        let wrote = "INFO  dbo.Things: wrote a batch upserts=1 deletes=0 to=0x";
        ensure!(lines.iter().any(|line| line.starts_with(wrote)), "{lines:#?}");
        // What went well is no error, and nothing that a person configured is a warning.
        let loud: Vec<_> = lines.iter().filter(|line| !line.starts_with("INFO ")).collect();
        ensure!(loud.iter().all(|line| line.starts_with("WARN ") && line.contains("finding=")), "{loud:#?}");
        sql.run(&format!("INSERT INTO dbo.Things VALUES ({})", round + 2)).await?;
        sql.capture_all().await?;
    }
    // Of another stream than this one: the variable is inherited, too.
    let plain = lines(&stage, Some(("JOURNAL_STREAM", "8:1"))).await?;
    ensure!(
        !plain.is_empty()
            && plain
                .iter()
                .all(|line| line.starts_with("20") && (line.contains("Z INFO ") || line.contains("Z WARN "))),
        "{plain:#?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_names_its_table_once_and_its_kind() -> anyhow::Result<()> {
    let stage = Stage::start().await?;
    let mut sql = stage.sql().await?;
    sql.run("CREATE TABLE dbo.Keyless (ID int NULL); CREATE TABLE dbo.Things (ID int NOT NULL PRIMARY KEY)").await?;
    let mut command = command(&stage, &["check"])?;
    let output = command.env("AIRFLOW_CTX_DAG_ID", "d").stderr(Stdio::piped()).spawn()?.wait_with_output().await?;
    let logged = String::from_utf8(output.stderr)?;
    let line = logged.lines().find(|line| line.contains("Keyless")).unwrap_or_default();
    ensure!(line.starts_with("WARN  dbo.Keyless: ") && line.matches("dbo.Keyless: ").count() == 1, "{logged}");
    ensure!(line.contains(" kind=NoKey"), "{line}");
    Ok(())
}
