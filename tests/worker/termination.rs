//! `--termination-log`: one line for whoever looks at a container that ended.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, ensure};
use standin::s3::{Fault, Moment};

use super::command;
use crate::rules::stage::{Gate, Stage, remove};
use crate::support::postgres::LOADER_PASSWORD;

/// A file as Kubernetes mounts it: there, with a number that must stay, and here with an old text.
struct Log(PathBuf, u64);

impl Log {
    fn mount(stage: &Stage) -> anyhow::Result<Self> {
        let path = stage.folder().join("termination-log");
        fs::write(&path, "what was there before\n".repeat(500))?;
        let number = fs::metadata(&path)?.ino();
        Ok(Self(path, number))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The one line in it.
    fn line(&self) -> anyhow::Result<String> {
        ensure!(fs::metadata(&self.0)?.ino() == self.1, "the file was replaced, which a mounted one cannot be");
        let text = fs::read_to_string(&self.0)?;
        ensure!(text.len() <= 4096, "{} bytes", text.len());
        let line = text.strip_suffix('\n').with_context(|| format!("no whole line: {text:?}"))?;
        ensure!(!line.contains('\n') && !line.contains("there before"), "not one line of this run: {text:?}");
        Ok(line.to_owned())
    }
}

/// Three tables, copied to the bucket and not yet loaded.
async fn extracted() -> anyhow::Result<Stage> {
    let stage = Stage::start().await?;
    let mut sql = stage.sql().await?;
    for table in ["A", "B", "C"] {
        sql.run(&format!("CREATE TABLE dbo.{table} (ID int NOT NULL PRIMARY KEY); INSERT INTO dbo.{table} VALUES (1)"))
            .await?;
    }
    stage.task(&["check"]).await?.expect(0)?;
    stage.task(&["extract"]).await?.expect(0)?;
    Ok(stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_how_many_tables_failed_and_the_worst_first() -> anyhow::Result<()> {
    let stage = extracted().await?;
    let log = Log::mount(&stage)?;
    for table in ["B", "C"] {
        let folder = format!("/dbo.{table}/");
        for part in stage.keys_ending(".csv.zst").into_iter().filter(|key| key.contains(&folder)) {
            remove(&stage.store, &part);
        }
    }
    // A retry may mend table A: that is told last, though its name comes first.
    let holder = stage.target.connect_as_admin().await?;
    let query = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
         WHERE schemaname = 'delsert' AND tablename LIKE 'mark\\_dbo\\_a\\_%'";
    let marks = holder.query(query, &[]).await?;
    ensure!(marks.len() == 1, "{} locks of table A", marks.len());
    let mark: String = marks[0].get(0);
    holder.batch_execute(&format!("BEGIN; LOCK TABLE {mark} IN ACCESS EXCLUSIVE MODE")).await?;
    stage.configure(|text| text.replace("lock_timeout = \"60s\"", "lock_timeout = \"1s\""))?;
    stage.task(&["load", "--termination-log", log.path()]).await?.expect(75)?;
    let line = log.line()?;
    let begins = "delsert load: exit 75, 3 of 3 tables failed. PartDamaged: dbo.B: part '";
    ensure!(line.starts_with(begins), "{line}");
    let (b, c, a) = (line.find("PartDamaged: dbo.B"), line.find("PartDamaged: dbo.C"), line.find("TargetBusy: dbo.A"));
    ensure!(b.is_some() && b < c && c < a, "{line}");

    holder.batch_execute("ROLLBACK").await?;
    stage.task(&["load", "--table", "dbo.A", "--termination-log", log.path()]).await?.expect(0)?;
    ensure!(log.line()? == line, "a task that ended well wrote to it: {}", log.line()?);
    stage.task(&["load", &format!("--termination-log={}", log.path())]).await?.expect(3)?;
    ensure!(
        log.line()?.starts_with("delsert load: exit 3, 2 of 3 tables failed. PartDamaged: dbo.B"),
        "{}",
        log.line()?
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_of_command_lines_and_configurations_that_are_refused() -> anyhow::Result<()> {
    let stage = Stage::without_source().await?;
    let log = Log::mount(&stage)?;
    for (arguments, says) in [
        (&["extract", "--until", "tomorrow"][..], "delsert: exit 2. invalid value 'tomorrow' for '--until <LSN>'"),
        (&["extrakt"], "delsert: exit 2. unrecognized subcommand 'extrakt'"),
        (&[], "delsert: exit 2. "),
    ] {
        let arguments = [&["--termination-log", log.path()], arguments].concat();
        stage.task(&arguments).await?.expect(2)?;
        let line = log.line()?;
        ensure!(line.starts_with(says) && !line.contains("Usage:"), "{arguments:?}: {line}");
    }
    let new = stage.folder().join("new-log");
    let path = new.to_str().unwrap_or_default();
    stage.configure(|text| text.replace("[bucket]", "[buckte]"))?;
    stage.task(&["load", "--termination-log", path]).await?.expect(2)?;
    let line = fs::read_to_string(&new)?;
    ensure!(line.starts_with("delsert load: exit 2. Config: configuration '") && line.contains("buckte"), "{line}");
    for argument in ["--help", "--version"] {
        fs::remove_file(&new)?;
        stage.task(&["--termination-log", path, argument]).await?.expect(0)?;
        ensure!(!new.exists(), "{argument} wrote to it");
        fs::write(&new, "")?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_of_a_signal() -> anyhow::Result<()> {
    let stage = extracted().await?;
    let log = Log::mount(&stage)?;
    let gate = Gate::new();
    let held = Arc::clone(&gate);
    stage.watch(move |seen, moment| {
        if moment == Moment::Before && seen.name == "GetObject" && seen.key.contains(".csv") {
            held.pass();
        }
        Fault::None
    });
    for (name, code) in [("TERM", 143), ("INT", 130)] {
        let before = gate.arrivals();
        let running = stage.start_task(&["load", "--termination-log", log.path()])?;
        gate.reached(before + 1).await?;
        let process = running.child.id().context("the task has ended")?.to_string();
        ensure!(std::process::Command::new("kill").args(["-s", name, &process]).status()?.success());
        running.outcome().await?.expect(code)?;
        let line = log.line()?;
        ensure!(
            line == format!("delsert load: exit {code}. ended by a signal; run it again: nothing is lost"),
            "{line}"
        );
    }
    gate.open();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_written_changes_no_exit_code() -> anyhow::Result<()> {
    let stage = Stage::without_source().await?;
    stage.configure(|text| text.replace("name = \"sync-machine-bucket\"", "name = \"absent\""))?;
    let code = stage.task(&["load"]).await?.code.context("no exit code")?;
    ensure!(code != 0);
    for path in ["/nonexistent/log", "/"] {
        let outcome = stage.task(&["load", "--termination-log", path]).await?.expect(code)?;
        let said = format!("WARN  cannot write --termination-log '{path}'");
        ensure!(outcome.stderr.contains(&said), "{}", outcome.stderr);
        outcome.summary()?;
    }
    Ok(())
}

/// `run --every` goes on after a round that failed: nothing has terminated.
#[tokio::test(flavor = "multi_thread")]
async fn rounds_do_not_write_to_it() -> anyhow::Result<()> {
    let stage = Stage::without_source().await?;
    let path = stage.folder().join("rounds-log");
    let arguments = ["run", "--every", "50ms", "--termination-log", path.to_str().unwrap_or_default()];
    let mut child = command(&stage, &arguments)?.stdout(Stdio::piped()).spawn()?;
    let mut rounds = tokio::io::BufReader::new(child.stdout.take().context("no stdout")?);
    let mut round = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut rounds, &mut round).await?;
    ensure!(round.contains("\"exit_code\":75") && !path.exists(), "{round}");
    let process = child.id().context("the task has ended")?.to_string();
    ensure!(std::process::Command::new("kill").args(["-s", "TERM", &process]).status()?.success());
    ensure!(child.wait().await?.code() == Some(143));
    ensure!(fs::read_to_string(&path)?.starts_with("delsert run: exit 143."));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_it_holds_no_secret() -> anyhow::Result<()> {
    let mut stage = extracted().await?;
    let log = Log::mount(&stage)?;
    let wrong = "Wrong-Canary-Password-1";
    for (variable, task) in
        [("TARGET_PASSWORD", "load"), ("MSSQL_PASSWORD", "extract"), ("AWS_SECRET_ACCESS_KEY", "load")]
    {
        let right = stage.environment.clone();
        for (name, value) in &mut stage.environment {
            if name == variable {
                wrong.clone_into(value);
            }
        }
        stage.task(&[task, "--termination-log", log.path()]).await?.expect(3)?;
        let line = log.line()?;
        ensure!(line.starts_with(&format!("delsert {task}: exit 3")), "{line}");
        ensure!(!line.contains(wrong) && !line.contains(LOADER_PASSWORD), "{line}");
        stage.environment = right;
    }
    Ok(())
}
