//! `delsert` run as a process, and what it answered.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::program;

/// What one process of `delsert` answered.
#[derive(Debug)]
pub struct Outcome {
    /// The command line, for messages.
    pub command: String,
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A process of `delsert` that runs.
pub struct Running {
    command: String,
    /// The process.
    pub child: Child,
}

/// Starts `delsert` with these arguments, this configuration and nothing of the caller's environment but these variables.
pub fn start(config: &PathBuf, environment: &[(String, String)], arguments: &[&str]) -> anyhow::Result<Running> {
    let mut command = Command::new(program("delsert")?);
    command.arg("--config").arg(config).args(arguments).env_clear();
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let command_line = format!("delsert {}", arguments.join(" "));
    let child = command.spawn().with_context(|| format!("cannot start {command_line}"))?;
    Ok(Running { command: command_line, child })
}

impl Running {
    /// Waits until it ends.
    pub async fn outcome(self) -> anyhow::Result<Outcome> {
        let output = self.child.wait_with_output().await?;
        Ok(Outcome {
            command: self.command,
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).context("standard output is not UTF-8")?,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

impl Outcome {
    /// Fails with all that was said unless the exit code is this one.
    pub fn expect(self, code: i32) -> anyhow::Result<Self> {
        if self.code == Some(code) {
            return Ok(self);
        }
        bail!(
            "{} ended with {:?}, not {code}\nstdout: {}\nstderr: {}",
            self.command,
            self.code,
            self.stdout,
            self.stderr
        )
    }

    /// The summary, which must be the one line on standard output.
    pub fn summary(&self) -> anyhow::Result<Summary> {
        let lines: Vec<_> = self.stdout.lines().collect();
        ensure!(lines.len() == 1, "{}: expected one line on standard output, found: {}", self.command, self.stdout);
        ensure!(self.stdout.ends_with('\n'), "{}: the summary's line does not end", self.command);
        let value: Value = serde_json::from_str(lines[0])
            .with_context(|| format!("{}: not a summary: {}", self.command, self.stdout))?;
        ensure!(value["v"] == 1 && value["kind"] == "summary", "{}: not a summary: {value}", self.command);
        Ok(Summary(value))
    }
}

/// The summary line.
#[derive(Debug, Clone)]
pub struct Summary(pub Value);

impl Summary {
    /// The tables' entries.
    pub fn tables(&self) -> &[Value] {
        self.0["tables"].as_array().map_or(&[], Vec::as_slice)
    }

    /// One table's entry.
    pub fn table(&self, name: &str) -> anyhow::Result<&Value> {
        let found = self.tables().iter().find(|table| table["table"] == name);
        found.with_context(|| format!("the summary has no table {name}: {}", self.0))
    }

    /// Rows written, over all tables.
    pub fn upserts(&self) -> u64 {
        self.sum("upserts")
    }

    /// Rows deleted, over all tables.
    pub fn deletes(&self) -> u64 {
        self.sum("deletes")
    }

    fn sum(&self, field: &str) -> u64 {
        self.tables().iter().filter_map(|table| table[field].as_u64()).sum()
    }
}
