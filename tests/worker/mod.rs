//! What a runner may rely on, be it Airflow, Kubernetes or cron: stdin left alone, lost outputs survived, no child left
//! behind, a termination log, and logs that read well in its view.

mod children;
mod logs;
mod streams;
mod termination;

use std::process::Stdio;

use tokio::process::Command;

use crate::rules::stage::Stage;
use crate::support::program;

/// `delsert` with these arguments, as [`Stage::start_task`] starts it, its streams not yet chosen.
pub fn command(stage: &Stage, arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(program("delsert")?);
    command.arg("--config").arg(stage.config_path()).args(arguments).env_clear();
    command.envs(stage.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    Ok(command)
}
