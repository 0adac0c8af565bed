//! A process of `delsert`, and what is done to it.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::process::{Child, Command};

use crate::support::program;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// `check`.
    Check,
    /// `extract`.
    Extract,
    /// `load`.
    Load,
    /// The three in order.
    Run,
    /// A new generation of one table.
    Resync,
}

impl Task {
    /// As the command line writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Extract => "extract",
            Self::Load => "load",
            Self::Run => "run",
            Self::Resync => "resync",
        }
    }
}

/// A process that was started and not yet seen to end.
pub struct Worker {
    /// Its number among all that were started.
    pub number: u64,
    /// What it does.
    pub task: Task,
    /// The round in which it is to be woken, if it is frozen.
    pub frozen_until: Option<u64>,
    command_line: String,
    log: PathBuf,
    started: Instant,
    child: Child,
    process: u32,
    undisturbed: bool,
    slept_long: bool,
    killed: bool,
}

/// How a process ended.
pub struct Ended {
    /// What it did.
    pub task: Task,
    /// Exit code or signal, in words.
    pub how: String,
    /// Whether it was killed.
    pub killed: bool,
    /// How long it took, if nothing was done to it.
    pub took: Option<Duration>,
    /// What it was, for a message.
    pub told: String,
    /// Whether it slept through a quiet round and was not killed in its sleep.
    pub slept_long: bool,
    /// Whether it came upon another that had done its work.
    pub overtaken: bool,
}

impl Ended {
    /// Whether it may end so.
    pub fn is_fine(&self) -> bool {
        self.killed || self.how == "0" || self.how == "75"
    }
}

impl Worker {
    /// Starts a process whose output goes to that file.
    pub fn start(
        task: Task,
        arguments: &[String],
        config: &PathBuf,
        environment: &[(String, String)],
        log: PathBuf,
    ) -> anyhow::Result<Self> {
        let out = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(program("delsert")?);
        command.arg("--config").arg(config).args(arguments).env_clear();
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).kill_on_drop(true);
        let child = command.spawn().context("cannot start delsert")?;
        let process = child.id().context("delsert has no process id")?;
        let command_line = format!("delsert {}", arguments.join(" "));
        let started = Instant::now();
        Ok(Self {
            number: 0,
            task,
            frozen_until: None,
            command_line,
            log,
            started,
            child,
            process,
            undisturbed: true,
            slept_long: false,
            killed: false,
        })
    }

    /// Whether it has not ended.
    pub fn lives(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Kills it, if it lives.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if self.lives()? {
            (self.undisturbed, self.killed) = (false, true);
            self.child.start_kill()?;
        }
        Ok(())
    }

    /// Stops it until a round; `true` if it lived.
    pub fn freeze(&mut self, until: u64) -> anyhow::Result<bool> {
        if !self.lives()? || self.frozen_until.is_some() {
            return Ok(false);
        }
        self.undisturbed = false;
        self.signal("STOP")?;
        // A process that ended just before does not stop.
        if !self.lives()? {
            return Ok(false);
        }
        self.frozen_until = Some(until);
        Ok(true)
    }

    /// Lets it go on, if it is frozen.
    pub fn wake(&mut self) -> anyhow::Result<()> {
        if self.frozen_until.take().is_some() && self.lives()? {
            self.signal("CONT")?;
        }
        Ok(())
    }

    /// Whether it is an extract that sleeps, and goes on sleeping: until that round, unless it knows when it wakes.
    pub fn sleeps_on(&mut self, until: u64) -> bool {
        let sleeps = self.task == Task::Extract && self.frozen_until.is_some();
        if sleeps && !self.slept_long {
            (self.slept_long, self.frozen_until) = (true, Some(until));
        }
        sleeps
    }

    /// It is no measure of how long its task takes.
    pub fn disturb(&mut self) {
        self.undisturbed = false;
    }

    fn signal(&self, name: &str) -> anyhow::Result<()> {
        // Its process id stays its own until it was waited for.
        let sent = std::process::Command::new("kill").args(["-s", name, &self.process.to_string()]).status()?;
        ensure!(sent.success(), "kill -s {name} {}: {sent}", self.process);
        Ok(())
    }

    /// How it ended; `None` while it lives.
    pub fn ended(&mut self) -> anyhow::Result<Option<Ended>> {
        let Some(status) = self.child.try_wait()? else { return Ok(None) };
        let took = self.started.elapsed();
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => code.to_string(),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "unknown".to_owned(),
        };
        let killed = status.signal() == Some(9) && self.killed;
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let told = format!("'{}' ended with {how}, its log: {}", self.command_line, self.log.display());
        Ok(Some(Ended {
            task: self.task,
            how,
            killed,
            took: self.undisturbed.then_some(took),
            told,
            slept_long: self.slept_long && !killed,
            overtaken: log.contains("another worker"),
        }))
    }

    /// Waits until it ends, so long at most; `false` if it does not.
    pub async fn wait(&mut self, patience: Duration) -> anyhow::Result<bool> {
        match tokio::time::timeout(patience, self.child.wait()).await {
            Ok(ended) => ended.map(|_| true).context("cannot wait for delsert"),
            Err(_) => Ok(false),
        }
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What it is, for a message.
    pub fn told(&self) -> String {
        format!("'{}', its log: {}", self.command_line, self.log.display())
    }
}
