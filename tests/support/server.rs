//! A server process on a leash.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};

/// Starts the server, and ends it when the leash is let go: at the end of its standard input, which comes also when the
/// owner is killed, or when the file that `$2` names is gone.
const KEEPER: &str = r#"
trap '' HUP INT TERM
end_signal=$1 running=$2 folder=$3
shift 3
"$@" </dev/null &
server=$!
echo "pid $server"
exec >/dev/null
if [ -n "$running" ]; then
    while [ -e "$running" ] && kill -0 "$server" 2>/dev/null; do sleep 1; done
else
    cat
fi
kill -s "$end_signal" "$server" 2>/dev/null
wait "$server"
if [ -n "$folder" ]; then rm -rf "$folder"; fi
"#;

/// How long a server lives.
#[derive(Debug, Clone)]
pub enum Leash {
    /// As long as its owner.
    Owner,
    /// As long as that file exists, also after its owner.
    File(PathBuf),
}

/// What to start, and how.
pub struct Launch<'a> {
    /// The server's command line.
    pub command: Vec<&'a OsStr>,
    /// What to run it as: user and group; `None` for the owner's.
    pub user: Option<(u32, u32)>,
    /// Where its messages go.
    pub log: &'a Path,
    /// The signal that ends it.
    pub end_signal: &'static str,
    /// How long it lives.
    pub leash: Leash,
    /// A folder to remove after it.
    pub folder: Option<&'a Path>,
}

/// A running server.
pub struct Server {
    /// Its process id.
    pub pid: u32,
    log: PathBuf,
    ends_with_owner: bool,
    keeper: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    /// Lines that were not waited for yet.
    said: Vec<String>,
}

impl Server {
    /// Starts a server.
    pub fn start(launch: &Launch) -> anyhow::Result<Self> {
        let log = fs::File::create(launch.log).with_context(|| format!("cannot write {}", launch.log.display()))?;
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(KEEPER).arg("keeper").arg(launch.end_signal);
        match &launch.leash {
            Leash::Owner => command.arg(""),
            Leash::File(path) => command.arg(path),
        };
        command.arg(launch.folder.unwrap_or(Path::new(""))).args(&launch.command);
        // A process group of its own: Ctrl-C must reach the owner alone, which then lets the leash go.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).current_dir("/");
        if let Some((user, group)) = launch.user {
            command.uid(user).gid(group);
        }
        let mut keeper = command.spawn().context("cannot start /bin/sh")?;
        let stdin = keeper.stdin.take();
        let stdout = BufReader::new(keeper.stdout.take().context("no pipe from the server")?);
        let ends_with_owner = matches!(launch.leash, Leash::Owner);
        let mut server =
            Self { pid: 0, log: launch.log.to_owned(), ends_with_owner, keeper, stdin, stdout, said: Vec::new() };
        server.pid = server.wait_for("pid ")?.parse().context("the server's process id")?;
        Ok(server)
    }

    /// Waits for a line of the server's standard output that begins so, and returns the rest of it.
    pub fn wait_for(&mut self, beginning: &str) -> anyhow::Result<String> {
        // A quick server says that it is ready before its keeper says its process id.
        if let Some(at) = self.said.iter().position(|line| line.starts_with(beginning)) {
            return Ok(self.said.remove(at)[beginning.len()..].to_owned());
        }
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line)? == 0 {
                bail!("the server ended before it said '{beginning}…'; it wrote:\n{}", self.messages());
            }
            if let Some(rest) = line.trim_end().strip_prefix(beginning) {
                return Ok(rest.to_owned());
            }
            self.said.push(line.trim_end().to_owned());
        }
    }

    /// What the server wrote to its standard error so far.
    pub fn messages(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether the server is still there.
    pub fn is_running(&mut self) -> bool {
        Path::new(&format!("/proc/{}", self.pid)).exists() && matches!(self.keeper.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Letting go of the input ends the leash; with a file as its leash the server stays.
        drop(self.stdin.take());
        if self.ends_with_owner {
            let _ = self.keeper.wait();
        }
    }
}
