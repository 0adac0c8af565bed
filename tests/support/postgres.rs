//! A temporary PostgreSQL from the system's package, and databases in it.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, bail, ensure};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::server::{Launch, Leash, Server};

/// The superuser's name.
pub const ADMIN: &str = "postgres";
/// The superuser's password.
pub const ADMIN_PASSWORD: &str = "admin-secret";
/// The name of the login that loads.
pub const LOADER: &str = "loader";
/// The password of the login that loads.
pub const LOADER_PASSWORD: &str = "loader-secret";

/// A server that need not survive anything.
const SETTINGS: &[&str] = &[
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=64MB",
    "listen_addresses=127.0.0.1",
];

/// Unusual defaults on purpose: whoever depends on a setting must set it.
const UNUSUAL: &[&str] = &[
    "TimeZone=America/St_Johns",
    "DateStyle=SQL, DMY",
    "IntervalStyle=iso_8601",
    "bytea_output=escape",
    "extra_float_digits=0",
];

/// A running PostgreSQL.
pub struct Postgres {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The newest first: the older ones have ended, and their keepers remove the folder.
    servers: Mutex<Vec<Server>>,
    folder: PathBuf,
    settings: Vec<String>,
    leash: Leash,
}

/// A database in it, owned by [`LOADER`].
#[derive(Debug, Clone)]
pub struct Database {
    /// The server's port on 127.0.0.1.
    pub port: u16,
    /// The database's name.
    pub name: String,
}

impl Postgres {
    /// The server that all tests of this binary share; it ends with the binary.
    pub fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceLock<Result<Postgres, String>> = OnceLock::new();
        let shared =
            SHARED.get_or_init(|| Self::start_with(&Leash::Owner, UNUSUAL).map_err(|error| format!("{error:#}")));
        shared.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// Starts a server in a new folder, which goes with it.
    pub fn start(leash: &Leash) -> anyhow::Result<Self> {
        Self::start_with(leash, &[])
    }

    /// Starts a server with more settings.
    pub fn start_with(leash: &Leash, settings: &[&str]) -> anyhow::Result<Self> {
        let programs = programs()?;
        let user = unprivileged()?;
        let folder = tempfile::Builder::new().prefix("delsert-postgres-").tempdir()?;
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group))?;
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))?;
        initialise(&programs, user, folder.path())?;
        // The port is free when asked for; another process may take it before the server does.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let mut server = serve(&programs, user, (folder.path(), settings), port, leash)?;
            if wait_until_ready(&mut server, port)? {
                create_loader(port)?;
                let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
                let servers = Mutex::new(vec![server]);
                return Ok(Self { port, servers, folder: folder.keep(), settings, leash: leash.clone() });
            }
        }
        bail!("PostgreSQL found no free port in five tries")
    }

    /// A new, empty database.
    pub async fn database(&self) -> anyhow::Result<Database> {
        let name = format!("warehouse_{}", uuid::Uuid::new_v4().simple());
        self.create_database(&name).await
    }

    /// A new, empty database of that name.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<Database> {
        let admin = connect(self.port, "postgres", ADMIN, ADMIN_PASSWORD).await?;
        admin
            .batch_execute(&format!("CREATE DATABASE \"{name}\" OWNER {LOADER}"))
            .await
            .with_context(|| format!("cannot create database {name}; the server wrote:\n{}", self.messages()))?;
        Ok(Database { port: self.port, name: name.to_owned() })
    }

    /// What the server wrote so far.
    pub fn messages(&self) -> String {
        let servers = self.servers.lock();
        servers.ok().and_then(|servers| servers.first().map(Server::messages)).unwrap_or_default()
    }

    /// Ends the server at once, as `pg_ctl restart -m immediate` does, and starts it again, which then recovers.
    pub fn restart_at_once(&self) -> anyhow::Result<()> {
        let mut servers = self.servers.lock().map_err(|_| anyhow::anyhow!("another test broke off"))?;
        let ended = servers.first().context("no server runs")?;
        let signalled = Command::new("kill").args(["-s", "QUIT", &ended.pid.to_string()]).status()?;
        ensure!(signalled.success(), "the server cannot be signalled");
        let started = Instant::now();
        while !ended.messages().contains("database system is shut down") {
            ensure!(started.elapsed() < Duration::from_mins(1), "the server does not end: {}", ended.messages());
            thread::sleep(Duration::from_millis(10));
        }
        let settings: Vec<_> = self.settings.iter().map(String::as_str).collect();
        let mut server = serve(&programs()?, unprivileged()?, (&self.folder, &settings), self.port, &self.leash)?;
        ensure!(wait_until_ready(&mut server, self.port)?, "another process took the server's port");
        servers.insert(0, server);
        Ok(())
    }
}

impl Database {
    /// Connects as the login that loads.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        connect(self.port, &self.name, LOADER, LOADER_PASSWORD).await
    }

    /// Connects as the superuser.
    pub async fn connect_as_admin(&self) -> anyhow::Result<Client> {
        connect(self.port, &self.name, ADMIN, ADMIN_PASSWORD).await
    }
}

async fn connect(port: u16, database: &str, user: &str, password: &str) -> anyhow::Result<Client> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).dbname(database).user(user).password(password);
    let (client, connection) = config
        .connect(NoTls)
        .await
        .with_context(|| format!("cannot connect to 127.0.0.1:{port}/{database} as {user}"))?;
    tokio::spawn(connection);
    Ok(client)
}

/// The newest installed PostgreSQL's folder of programs.
fn programs() -> anyhow::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok());
    let newest = versions
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").is_file())
        .filter_map(|path| Some((version(&path)?, path)))
        .max();
    if let Some((_, path)) = newest {
        return Ok(path.join("bin"));
    }
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&on_path)
        .find(|folder| folder.join("initdb").is_file())
        .context("PostgreSQL is not installed (no initdb); `make test` installs it, or: apt-get install postgresql")
}

/// Makes a folder one that the server may write to.
pub fn give_to_server(folder: &Path) -> anyhow::Result<()> {
    if let Some((user, group)) = unprivileged()? {
        chown(folder, Some(user), Some(group))?;
    }
    Ok(())
}

/// The user to run the server as, if this process runs as root, which PostgreSQL refuses.
fn unprivileged() -> anyhow::Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let mut fields = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let user = find("postgres").or_else(|| find("nobody"));
    Ok(Some(user.context("neither a user postgres nor a user nobody: PostgreSQL does not run as root")?))
}

fn initialise(programs: &Path, user: Option<(u32, u32)>, folder: &Path) -> anyhow::Result<()> {
    let password = folder.join("password");
    fs::write(&password, ADMIN_PASSWORD)?;
    if let Some((user, group)) = user {
        chown(&password, Some(user), Some(group))?;
    }
    let mut command = Command::new(programs.join("initdb"));
    command.args(["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"]);
    command.arg("--username").arg(ADMIN).arg("--pwfile").arg(&password).arg("--pgdata").arg(folder.join("data"));
    command.current_dir(folder);
    if let Some((user, group)) = user {
        use std::os::unix::process::CommandExt;
        command.uid(user).gid(group);
    }
    let output = command.output().context("cannot start initdb")?;
    ensure!(output.status.success(), "initdb failed:\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn serve(
    programs: &Path,
    user: Option<(u32, u32)>,
    (folder, settings): (&Path, &[&str]),
    port: u16,
    leash: &Leash,
) -> anyhow::Result<Server> {
    let (program, data, port) = (programs.join("postgres"), folder.join("data"), port.to_string());
    let sockets = format!("unix_socket_directories={}", folder.display());
    let mut command: Vec<&OsStr> = vec![program.as_ref(), "-D".as_ref(), data.as_ref(), "-p".as_ref(), port.as_ref()];
    for setting in SETTINGS.iter().chain(settings).copied().chain([sockets.as_str()]) {
        command.extend(["-c".as_ref(), OsStr::new(setting)]);
    }
    Server::start(&Launch {
        command,
        user,
        log: &folder.join("log"),
        end_signal: "QUIT",
        leash: leash.clone(),
        folder: Some(folder),
    })
}

/// Waits until the server takes connections; `false` if another process has its port.
fn wait_until_ready(server: &mut Server, port: u16) -> anyhow::Result<bool> {
    let started = Instant::now();
    loop {
        let messages = server.messages();
        if messages.contains("database system is ready to accept") {
            return Ok(true);
        }
        if messages.contains("could not bind") {
            return Ok(false);
        }
        ensure!(server.is_running(), "PostgreSQL ended at once; it wrote:\n{messages}");
        ensure!(
            started.elapsed() < Duration::from_mins(2),
            "PostgreSQL does not serve on port {port} after two minutes; it wrote:\n{messages}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

fn create_loader(port: u16) -> anyhow::Result<()> {
    // A thread, since the caller may be inside a runtime, where another cannot be entered.
    let create = async move {
        let admin = connect(port, "postgres", ADMIN, ADMIN_PASSWORD).await?;
        admin.batch_execute(&format!("CREATE ROLE {LOADER} LOGIN PASSWORD '{LOADER_PASSWORD}'")).await?;
        anyhow::Ok(())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || runtime.block_on(create)).join().map_err(|_| anyhow::anyhow!("cannot create the loader"))?
}

/// The rows of a query as text, cells parted by `|`, NULL as `∅`.
pub async fn rows(client: &Client, sql: &str) -> anyhow::Result<Vec<String>> {
    let messages = client.simple_query(sql).await?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let cells = rows.map(|row| (0..row.len()).map(|at| row.get(at).unwrap_or("∅")).collect::<Vec<_>>().join("|"));
    Ok(cells.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_belongs_to_the_loader_and_passwords_are_checked() -> anyhow::Result<()> {
        let database = Postgres::shared()?.database().await?;
        let client = database.connect().await?;
        client.batch_execute("CREATE SCHEMA of_the_loader").await?;
        let denied = connect(database.port, &database.name, LOADER, "wrong").await;
        assert!(denied.is_err(), "a wrong password was accepted");
        Ok(())
    }
}
