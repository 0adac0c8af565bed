//! The command line: arguments, logs, signals, the summary, and the exit code.

mod logs;
mod termination;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, parse_duration};
use crate::error::{Error, Kind, Result};
use crate::position::Position;
use crate::task::summary::{Report, Summary};
use crate::task::{Context, check, extract, load, resync, run};
use logs::LogFormat;

/// Keeps a warehouse equal to the databases that feed it.
#[derive(Debug, Parser)]
#[command(name = "delsert", version, about, long_about = None, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration.
    #[arg(long, global = true, default_value = "con_defs.toml", env = "DELSERT_CONFIG")]
    config: PathBuf,
    /// How logs are written to stderr.
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Work on this table only; may be given several times.
    #[arg(long = "table", global = true, value_name = "SCHEMA.NAME")]
    tables: Vec<String>,
    /// Write the summary to this file as well, atomically.
    #[arg(long, global = true, value_name = "PATH")]
    summary_file: Option<PathBuf>,
    /// Write one line to this file when the exit code is not 0, as Kubernetes reads it from /dev/termination-log.
    #[arg(long, global = true, value_name = "PATH")]
    termination_log: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look at source, bucket and target, name what is missing, mend what may be mended, fix the cut.
    Check(CheckArguments),
    /// Write what changed at the source as the next batch of each table.
    Extract {
        /// Stop at this position, the cut of a check, instead of the last one captured.
        #[arg(long, value_name = "LSN")]
        until: Option<Position>,
    },
    /// Apply pending batches to the target.
    Load,
    /// Check, extract and load in order.
    Run {
        /// Begin a round this often, such as 60s or 5m, until a signal ends it.
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        every: Option<Duration>,
    },
    /// Open a new generation: the next extract copies the table anew.
    Resync {
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
struct CheckArguments {
    /// Exit 3 on any finding.
    #[arg(long)]
    strict: bool,
    /// Leave pending batches to load.
    #[arg(long)]
    no_resume: bool,
}

fn duration(text: &str) -> std::result::Result<Duration, String> {
    let parsed = parse_duration(text).filter(|duration| !duration.is_zero());
    parsed.ok_or_else(|| "expected a whole number above 0 and ms, s, m, h or d, such as 60s".to_owned())
}

impl Command {
    fn name(&self) -> &'static str {
        match self {
            Self::Check(_) => "check",
            Self::Extract { .. } => "extract",
            Self::Load => "load",
            Self::Run { .. } => "run",
            Self::Resync { .. } => "resync",
        }
    }
}

/// Runs the command line, and gives the exit code.
pub async fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            if code != 0 {
                termination::tell_usage(&error, std::env::args_os());
            }
            return code;
        }
    };
    logs::start(cli.log_format);
    let task = cli.command.name();
    #[cfg(feature = "crash-points")]
    let _armed = match crate::crash::arm() {
        Ok(armed) => armed,
        Err(error) => return failed(task, "", error, &cli),
    };
    let signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return failed(task, "", error, &cli),
    };
    let config = match Config::read(&cli.config) {
        Ok(config) => config,
        Err(error) => return failed(task, "", error, &cli),
    };
    leave_stdin();
    let sync = config.sync.name.clone();
    let context = Context::new(config, &cli.tables);
    let running = execute(&cli, &context);
    tokio::select! {
        code = running => code,
        code = signals.received() => {
            tracing::warn!(code, "ended by a signal");
            emit(Summary::terminated(task, &sync, code), &cli)
        }
    }
}

/// Puts nothing in the place of stdin: under Airflow it is the task runner's channel to its supervisor, from which neither
/// this process nor a program that it starts may take a byte.
fn leave_stdin() {
    if let Ok(nothing) = std::fs::File::open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(nothing);
    }
}

/// The programs that run for this process, those included that a shell started in its place before it was this program.
pub fn children() -> Vec<Pid> {
    let is_ours = |stat: &str| {
        // `ID (NAME) STATE PARENT …`, where the name may hold anything.
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
        parent.and_then(|parent| parent.parse().ok()) == Some(std::process::id())
    };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let children = processes
        .filter(|process| std::fs::read_to_string(process.path().join("stat")).is_ok_and(|stat| is_ours(&stat)));
    children.filter_map(|child| Pid::from_raw(child.file_name().to_str()?.parse().ok()?)).collect()
}

/// Ends the programs that still run for this process, such as a `credential_process` of AWS, which its library leaves behind;
/// not those that were there before.
pub fn end_children(before: &[Pid]) {
    for child in children().iter().filter(|child| !before.contains(child)) {
        let _ = kill_process(*child, Signal::KILL);
    }
}

async fn execute(cli: &Cli, context: &Context) -> u8 {
    let report = match &cli.command {
        Command::Check(arguments) => {
            let options = check::Options { strict: arguments.strict, no_resume: arguments.no_resume };
            Box::pin(check::check(context, options)).await
        }
        Command::Extract { until } => Box::pin(extract::extract(context, until.clone())).await,
        Command::Load => load::load(context).await,
        Command::Resync { yes } => Box::pin(resync::resync(context, *yes)).await,
        Command::Run { every: None } => Box::pin(run::round(context)).await,
        Command::Run { every: Some(every) } => {
            let mut clock = tokio::time::interval(*every);
            clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                clock.tick().await;
                let report = Box::pin(run::round(context)).await;
                // The process goes on: nothing has terminated.
                let mut summary = report.finish();
                summary.write(cli.summary_file.as_deref());
                summary.print();
            }
        }
    };
    emit(report.finish(), cli)
}

fn failed(task: &'static str, sync: &str, error: Error, cli: &Cli) -> u8 {
    let mut report = Report::new(task, sync);
    report.failed(error);
    emit(report.finish(), cli)
}

/// Writes what the process ends with, the summary last, and gives the exit code.
fn emit(mut summary: Summary, cli: &Cli) -> u8 {
    summary.write(cli.summary_file.as_deref());
    if let (Some(path), true) = (&cli.termination_log, summary.exit_code != 0) {
        termination::tell(path, &summary);
    }
    summary.print();
    summary.exit_code
}

/// The signals that end a task.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen =
            |kind| signal(kind).map_err(|error| Error::new(Kind::Local, "cannot listen for signals").because(error));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// The exit code of the signal that came.
    async fn received(mut self) -> u8 {
        tokio::select! {
            _ = self.terminate.recv() => 143,
            _ = self.interrupt.recv() => 130,
        }
    }
}
