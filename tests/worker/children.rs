//! Programs that a task starts end with it, also those that such a program starts.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::rules::stage::{Stage, until};

/// A program that starts another, tells its number in a file, and waits for it.
fn script(folder: &Path) -> String {
    format!("sleep 300 & echo $! >{0}.new; mv {0}.new {0}; wait", folder.join("child").display())
}

/// Whether a process runs: one that nobody has asked about yet may still have its number.
fn runs(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Ends a task by a signal while it waits for a program, and sees both go.
async fn end(stage: &Stage, task: &str) -> anyhow::Result<String> {
    let file = stage.folder().join("child");
    let running = stage.start_task(&[task])?;
    until("the program runs", || async { Ok(file.exists()) }).await?;
    let child = std::fs::read_to_string(&file)?.trim().to_owned();
    ensure!(runs(&child), "the program's own child is not there to be ended");
    let process = running.child.id().context("the task has ended")?.to_string();
    let begun = Instant::now();
    ensure!(std::process::Command::new("kill").args(["-s", "TERM", &process]).status()?.success());
    let outcome = running.outcome().await?.expect(143)?;
    ensure!(begun.elapsed() < Duration::from_secs(5), "it took {:?} to end", begun.elapsed());
    ensure!(outcome.summary()?.0["status"] == "terminated");
    Ok(child)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_command_ends_with_all_that_it_started() -> anyhow::Result<()> {
    let stage = Stage::start().await?;
    let shell = format!("token_command = [\"sh\", \"-c\", \"{}\"]\n", script(stage.folder()));
    let usual = "user = \"sa\"\npassword = \"${MSSQL_PASSWORD}\"\n";
    stage.configure(|text| text.replace(usual, &shell))?;
    let child = end(&stage, "extract").await?;
    until("the command's own child ends", || async { Ok(!runs(&child)) }).await?;

    // Nor does one stay that is waited for no longer.
    std::fs::remove_file(stage.folder().join("child"))?;
    stage.configure(|text| text.replace(usual, &format!("connect_timeout = \"2s\"\n{shell}")))?;
    stage.task(&["extract"]).await?.expect(75)?;
    let child = std::fs::read_to_string(stage.folder().join("child"))?.trim().to_owned();
    until("the command's own child ends", || async { Ok(!runs(&child)) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_process_ends() -> anyhow::Result<()> {
    let mut stage = Stage::without_source().await?;
    let file = |name: &str| stage.folder().join(name).display().to_string();
    let script = format!("echo $$ >{0}.new; mv {0}.new {0}; exec sleep 300\n", file("child"));
    std::fs::write(file("lend"), script)?;
    std::fs::write(file("profiles"), format!("[profile slow]\ncredential_process = exec /bin/sh {}\n", file("lend")))?;
    let profiles = file("profiles");
    stage.configure(|text| text.replace("[bucket]", "[bucket]\nprofile = \"slow\""))?;
    stage.environment.retain(|(name, _)| !name.starts_with("AWS_"));
    stage.environment.push(("AWS_CONFIG_FILE".to_owned(), profiles));
    let child = end(&stage, "load").await?;
    until("the program ends", || async { Ok(!runs(&child)) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_a_shell_left_to_the_task_stays() -> anyhow::Result<()> {
    let stage = Stage::start().await?;
    let file = stage.folder().join("before");
    // The shell becomes delsert, and what it started is then delsert's child.
    let shell = format!("sleep 300 >/dev/null 2>&1 & echo $! >{}; exec \"$0\" \"$@\"", file.display());
    let usual = super::command(&stage, &["check"])?;
    let usual = usual.as_std();
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(shell).arg(usual.get_program()).args(usual.get_args());
    for (name, value) in usual.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let output = tokio::task::block_in_place(|| command.output())?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let child = std::fs::read_to_string(&file)?.trim().to_owned();
    let stayed = runs(&child);
    ensure!(
        std::process::Command::new("kill").args(["-s", "KILL", &child]).status()?.success() && stayed,
        "it was ended"
    );
    Ok(())
}
