//! stdin is left alone, and lost outputs end nothing.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;

use super::command;
use crate::rules::stage::Stage;
use crate::support::bucket::{ACCESS_KEY, SECRET_KEY};
use crate::support::program;
use crate::support::source::{PASSWORD, SourceOptions};

/// What a test waits for comes within this time, or the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// A stage with a row to be synced, whose logins are told by programs that read all of stdin first.
async fn stage_of_readers() -> anyhow::Result<(Stage, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let lent = format!("{{\"Version\":1,\"AccessKeyId\":\"{ACCESS_KEY}\",\"SecretAccessKey\":\"{SECRET_KEY}\"}}");
    std::fs::write(file("lent.json"), lent)?;
    std::fs::write(file("token"), format!("{PASSWORD}.token"))?;
    std::fs::write(file("known"), format!("{PASSWORD}.token sa\n"))?;
    std::fs::write(file("lend"), format!("cat >{}; cat {}\n", file("taken"), file("lent.json")))?;
    let profile = format!("[profile lending]\ncredential_process = /bin/sh {}\n", file("lend"));
    std::fs::write(file("profiles"), profile)?;
    let arguments = vec!["--tokens".to_owned(), file("known")];
    let mut stage = Stage::start_with(SourceOptions { arguments, ..SourceOptions::default() }).await?;
    stage
        .sql()
        .await?
        .run("CREATE TABLE dbo.Things (ID int NOT NULL PRIMARY KEY); INSERT INTO dbo.Things VALUES (7)")
        .await?;
    let command = format!("token_command = [\"sh\", \"-c\", \"cat >/dev/null; cat {}\"]\n", file("token"));
    stage.configure(|text| {
        let text = text.replace("user = \"sa\"\npassword = \"${MSSQL_PASSWORD}\"\n", &command);
        text.replace("[bucket]", "[bucket]\nprofile = \"lending\"")
    })?;
    stage.environment.retain(|(name, _)| !name.starts_with("AWS_"));
    stage.environment.push(("AWS_CONFIG_FILE".to_owned(), file("profiles")));
    stage.environment.push(("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()));
    Ok((stage, folder))
}

/// As under Airflow, where it is a socket: the task runner's channel to its supervisor.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_stdin_no_child_either() -> anyhow::Result<()> {
    let (stage, _folder) = stage_of_readers().await?;
    for task in ["check", "extract", "load"] {
        let (mut supervisor, runner) = UnixStream::pair()?;
        let mut kept = runner.try_clone()?;
        supervisor.write_all(b"not for the worker")?;
        let mut command = command(&stage, &[task])?;
        let child = command.stdin(Stdio::from(OwnedFd::from(runner))).stderr(Stdio::piped()).spawn()?;
        let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        let output = ended.with_context(|| format!("{task} waits for stdin"))??;
        ensure!(output.status.code() == Some(0), "{task}: {}", String::from_utf8_lossy(&output.stderr));
        supervisor.shutdown(std::net::Shutdown::Write)?;
        let mut left = String::new();
        kept.read_to_string(&mut left)?;
        ensure!(left == "not for the worker", "{task} left only '{left}' of stdin");
    }
    let client = stage.target.connect().await?;
    ensure!(client.query("SELECT id FROM dbo.things", &[]).await?.len() == 1);
    Ok(())
}

/// Both ends of its outputs closed while it works, or closed before it begins: it goes on, and its exit code tells.
#[tokio::test(flavor = "multi_thread")]
async fn lost_outputs_end_nothing() -> anyhow::Result<()> {
    let stage = Stage::start().await?;
    let mut sql = stage.sql().await?;
    sql.run("CREATE TABLE dbo.Things (ID int NOT NULL PRIMARY KEY); INSERT INTO dbo.Things VALUES (0)").await?;
    let rows = async |expected: i64| {
        let row = stage.target.connect().await?.query_one("SELECT count(*) FROM dbo.things", &[]).await?;
        let rows: i64 = row.get(0);
        ensure!(rows == expected, "{rows} rows, not {expected}");
        Ok(())
    };
    for (round, format) in [(1, "text"), (2, "json")] {
        for task in ["check", "extract", "load"] {
            let arguments = ["--log-format", format, task];
            let mut command = command(&stage, &arguments)?;
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
            drop((child.stdout.take(), child.stderr.take()));
            let status = tokio::time::timeout(PATIENCE, child.wait()).await??;
            ensure!(status.code() == Some(0), "{task} with closed outputs: {status}");
        }
        rows(round).await?;
        sql.run(&format!("INSERT INTO dbo.Things VALUES ({round})")).await?;
        sql.capture_all().await?;
    }
    let script = "exec \"$@\" <&- >&- 2>&-";
    for (arguments, code) in
        [(&["extract"][..], 0), (&["load"], 0), (&["resync", "--table", "dbo.Nothing", "--yes"], 2), (&["nonsense"], 2)]
    {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(program("delsert")?).arg("--config").arg(stage.config_path());
        command.args(arguments).env_clear().envs(stage.environment.iter().map(|(name, value)| (name, value)));
        let status = tokio::time::timeout(PATIENCE, command.status()).await??;
        ensure!(status.code() == Some(code), "{arguments:?} without streams: {status}");
    }
    rows(3).await
}
