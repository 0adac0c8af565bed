//! The Redshift stand-in before the shared PostgreSQL, one for each database.

use std::path::Path;

use anyhow::Context;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use super::postgres::{ADMIN, ADMIN_PASSWORD, Database, LOADER, LOADER_PASSWORD, Postgres};
use super::program;
use super::server::{Launch, Leash, Server};
use super::{bucket, postgres};

/// The role by which COPY reads the bucket.
pub const ROLE: &str = "arn:aws:iam::123456789012:role/warehouse";

/// A running Redshift stand-in.
pub struct Redshift {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The database that it serves.
    pub database: String,
    upstream: u16,
    server: Server,
    folder: TempDir,
}

impl Redshift {
    /// Starts one before a new database; `bucket` is where `s3://` goes.
    pub async fn start(bucket: &str, more: &[&str]) -> anyhow::Result<Self> {
        let shared = tokio::task::block_in_place(Postgres::shared)?;
        Self::before(shared.database().await?, bucket, more)
    }

    /// Starts one before a database that is there.
    pub fn before(database: Database, bucket: &str, more: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("delsert-redshift-").tempdir()?;
        let upstream = format!("postgres://{ADMIN}:{ADMIN_PASSWORD}@127.0.0.1:{}/{}", database.port, database.name);
        let user = format!("{LOADER}:{LOADER_PASSWORD}");
        let role = format!("{ROLE}={}:{}", bucket::ACCESS_KEY, bucket::SECRET_KEY);
        let audit = folder.path().join("audit.log");
        let audit = audit.to_str().context("a folder's name is no text")?;
        let mut arguments = vec!["redshift", "--listen", "127.0.0.1:0", "--upstream", &upstream, "--user", &user];
        arguments.extend(["--role", &role, "--default-role", ROLE, "--audit", audit]);
        if !bucket.is_empty() {
            arguments.extend(["--s3-endpoint", bucket]);
        }
        arguments.extend(more);
        let (server, port) = tokio::task::block_in_place(|| serve(&arguments, folder.path()))?;
        Ok(Self { port, database: database.name, upstream: database.port, server, folder })
    }

    /// A configuration that names the database below, naming this before it.
    pub fn config(&self, usual: &str) -> String {
        let (below, here) = (format!("port = {}\n", self.upstream), format!("port = {}\n", self.port));
        let engine = format!("engine = \"redshift\"\niam_role = \"{ROLE}\"");
        usual.replace("engine = \"postgres\"", &engine).replace(&below, &here)
    }

    /// The rest of a line that it said before it was ready.
    pub fn said(&mut self, beginning: &str) -> anyhow::Result<String> {
        self.server.wait_for(beginning)
    }

    /// What it wrote so far.
    pub fn messages(&self) -> String {
        self.server.messages()
    }

    /// Every statement that it was sent, and that it sent on.
    pub fn statements(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("audit.log"))?)
    }

    /// A connection of the superuser to the PostgreSQL below.
    pub async fn connect_upstream(&self) -> anyhow::Result<Client> {
        Database { port: self.upstream, name: self.database.clone() }.connect_as_admin().await
    }

    /// A connection of the loader.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        self.connect_as(postgres::LOADER, LOADER_PASSWORD).await
    }

    /// A connection of somebody.
    pub async fn connect_as(&self, user: &str, password: &str) -> anyhow::Result<Client> {
        let mut options = tokio_postgres::Config::new();
        options.host("127.0.0.1").port(self.port).dbname(&self.database);
        options.user(user).password(password);
        let (client, connection) = options.connect(NoTls).await.with_context(|| self.messages())?;
        tokio::spawn(connection);
        Ok(client)
    }
}

fn serve(arguments: &[&str], folder: &Path) -> anyhow::Result<(Server, u16)> {
    let standin = program("standin")?;
    let mut command = vec![standin.as_os_str()];
    command.extend(arguments.iter().map(AsRef::<std::ffi::OsStr>::as_ref));
    let log = &folder.join("redshift.log");
    let launch = Launch { command, user: None, log, end_signal: "KILL", leash: Leash::Owner, folder: None };
    let mut server = Server::start(&launch)?;
    let port = server.wait_for("ready 127.0.0.1:")?.parse().context("the Redshift stand-in's port")?;
    Ok((server, port))
}
