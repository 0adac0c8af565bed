//! One PostgreSQL from the system's package for all tests, which ends with them.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio_postgres::NoTls;

/// The superuser.
pub const ADMIN: &str = "postgres";
/// The superuser's password.
pub const ADMIN_PASSWORD: &str = "admin-secret";

struct Server {
    port: u16,
    /// Holds the pipe whose end is the server's, too.
    _keeper: Child,
}

/// A new database: the server's port, and the database's name.
pub async fn database() -> anyhow::Result<(u16, String)> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    let server = SERVER.get_or_init(|| start().map_err(|error| format!("{error:#}")));
    let port = server.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?.port;
    let name = format!("dev_{}", uuid::Uuid::new_v4().simple());
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).dbname("postgres").user(ADMIN).password(ADMIN_PASSWORD);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE DATABASE {name}")).await?;
    Ok((port, name))
}

fn start() -> anyhow::Result<Server> {
    let programs = programs()?;
    let user = unprivileged()?;
    let folder = tempfile::Builder::new().prefix("standin-postgres-").tempdir()?.keep();
    fs::write(folder.join("password"), ADMIN_PASSWORD)?;
    if let Some((user, group)) = user {
        chown(&folder, Some(user), Some(group))?;
        chown(folder.join("password"), Some(user), Some(group))?;
    }
    let as_user = |command: &mut Command| {
        if let Some((user, group)) = user {
            command.uid(user).gid(group);
        }
        command.current_dir(&folder);
    };
    let mut initdb = Command::new(programs.join("initdb"));
    as_user(initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--pwfile=password"]));
    let made = initdb.args(["--username", ADMIN, "--pgdata", "data"]).output()?;
    ensure!(made.status.success(), "initdb failed:\n{}", String::from_utf8_lossy(&made.stderr));
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    // The keeper's input ends with this process, and with it the server.
    let script = "\"$0\"/postgres -D data -p \"$1\" -c fsync=off -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
                  -c max_connections=200 >log 2>&1 </dev/null & server=$!; read _; kill -QUIT $server; wait; rm -rf \"$PWD\"";
    let mut keeper = Command::new("sh");
    as_user(keeper.arg("-c").arg(script).arg(&programs).arg(port.to_string()));
    let keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    wait(&folder)?;
    Ok(Server { port, _keeper: keeper })
}

fn wait(folder: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        if log.contains("ready to accept connections") {
            return Ok(());
        }
        ensure!(started.elapsed() < Duration::from_mins(1), "PostgreSQL does not start:\n{log}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn programs() -> anyhow::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|entry| entry.path().join("bin")).filter(|path| path.join("initdb").is_file()).max();
    found.context("PostgreSQL is not installed; apt-get install postgresql")
}

/// Whom the server runs as, where this process is root's.
fn unprivileged() -> anyhow::Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    for name in ["postgres:", "nobody:"] {
        let mut fields =
            users.lines().filter_map(|line| line.strip_prefix(name)).flat_map(|line| line.split(':').skip(1));
        if let (Some(user), Some(group)) = (fields.next(), fields.next()) {
            return Ok(Some((user.parse()?, group.parse()?)));
        }
    }
    bail!("neither a user postgres nor a user nobody: PostgreSQL does not run as root")
}
