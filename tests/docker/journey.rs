//! The way of `docker/README.md`: the shop is made, the logins are granted, everything is copied, a change arrives.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, ensure};
use tokio::process::Command;

use super::{path, read, variables};
use crate::support::bucket::{S3, SECRET_KEY};
use crate::support::postgres::{ADMIN_PASSWORD, Database, Postgres};
use crate::support::server::Leash;
use crate::support::source::{Source, SourceOptions, Sql};
use crate::support::task::{self, Outcome};

/// A script's batches, as sqlcmd takes them apart.
fn batches(script: &str) -> Vec<String> {
    let mut batches = vec![String::new()];
    for line in script.lines() {
        match (line.trim().eq_ignore_ascii_case("go"), batches.last_mut()) {
            (false, Some(batch)) => batch.extend([line, "\n"]),
            _ => batches.push(String::new()),
        }
    }
    batches.retain(|batch| batch.lines().any(|line| !line.trim().is_empty() && !line.starts_with("--")));
    batches
}

/// The three ends where compose has its services.
struct Machine {
    source: Source,
    sql: Sql,
    s3: S3,
    target: Database,
    variables: BTreeMap<String, String>,
    folder: tempfile::TempDir,
}

impl Machine {
    async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("delsert-docker-").tempdir()?;
        let start = || {
            let source = Source::start(folder.path(), &SourceOptions::default(), &Leash::Owner)?;
            let s3 = S3::start(folder.path(), &Leash::Owner)?;
            anyhow::Ok((source, s3, Postgres::shared()?))
        };
        let (source, s3, postgres) = tokio::task::block_in_place(start)?;
        let target = postgres.create_database("warehouse").await?;
        target.connect_as_admin().await?.batch_execute("ALTER DATABASE warehouse OWNER TO postgres").await?;
        let sql = source.connect().await?;
        // The passwords of the example, two of them with what has to be doubled or is special to bash.
        let mut variables = variables()?;
        variables.insert("MSSQL_PASSWORD".to_owned(), "It's a Reader & 1".to_owned());
        variables.insert("TARGET_PASSWORD".to_owned(), "it's a loader & more".to_owned());
        Ok(Self { source, sql, s3, target, variables, folder })
    }

    /// Runs `init/sqlserver.sh` with a `sqlcmd` that keeps what it is given, and that on the stand-in.
    async fn fill_source(&mut self) -> anyhow::Result<()> {
        let kept = self.folder.path().join("kept");
        std::fs::create_dir(&kept)?;
        let sqlcmd = self.folder.path().join("sqlcmd");
        let script = format!(
            "#!/bin/bash\nn=$(ls {0}/*.sql 2>/dev/null | wc -l)\ncp \"${{@: -1}}\" {0}/$n.sql\n\
             echo \"$SQLCMDPASSWORD $*\" >{0}/$n.words\n",
            kept.display()
        );
        std::fs::write(&sqlcmd, script)?;
        std::fs::set_permissions(&sqlcmd, std::fs::Permissions::from_mode(0o755))?;
        let rights = path("../rights");
        let mut command = Command::new("bash");
        command.arg(path("init/sqlserver.sh")).env_clear().env("PATH", "/usr/bin:/bin").envs(&self.variables);
        command.env("SQLCMD", &sqlcmd).env("INIT", path("init")).env("RIGHTS", rights);
        let output = command.output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut scripts = 0;
        for number in 0.. {
            let file = |kind: &str| kept.join(format!("{number}.{kind}"));
            let Ok(script) = std::fs::read_to_string(file("sql")) else { break };
            let words = std::fs::read_to_string(file("words"))?;
            let (password, arguments) = words.split_once(" -S ").with_context(|| words.clone())?;
            ensure!(password == self.variables["MSSQL_SA_PASSWORD"] && arguments.contains(" -b "), "{words}");
            for secret in self.variables.values() {
                ensure!(!arguments.contains(secret.as_str()), "an argument tells a secret: {arguments}");
            }
            for batch in batches(&script) {
                self.sql.run(&batch).await?;
            }
            scripts += 1;
        }
        ensure!(scripts == 4, "{scripts} scripts, not the shop, the admin's and the reader's for two schemas");
        self.sql.run("USE shop").await
    }

    /// Runs `init/warehouse.sh` as PostgreSQL's image does.
    async fn fill_target(&self) -> anyhow::Result<()> {
        let mut command = Command::new("bash");
        command.arg(path("init/warehouse.sh")).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("RIGHTS", path("../rights")).env("TARGET_PASSWORD", &self.variables["TARGET_PASSWORD"]);
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.target.port.to_string())
            .env("PGPASSWORD", ADMIN_PASSWORD);
        let output = command.output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Runs a task by `docker/con_defs.toml`, its hosts in place of compose's names.
    async fn task(&self, arguments: &[&str]) -> anyhow::Result<Outcome> {
        let ports = [
            ("host = \"sqlserver\"\nport = 1433", format!("host = \"127.0.0.1\"\nport = {}", self.source.port)),
            ("endpoint = \"http://rustfs:9000\"", format!("endpoint = \"{}\"", self.s3.endpoint())),
            ("host = \"warehouse\"\nport = 5432", format!("host = \"127.0.0.1\"\nport = {}", self.target.port)),
        ];
        let mut config = read("con_defs.toml")?;
        for (there, here) in ports {
            ensure!(config.contains(there), "not in con_defs.toml: {there}");
            config = config.replace(there, &here);
        }
        let file = self.folder.path().join("con_defs.toml");
        std::fs::write(&file, config)?;
        let secret = |name: &str| (name.to_owned(), self.variables[name].clone());
        let mut environment = crate::support::ground::environment();
        environment.retain(|(name, _)| !name.ends_with("_PASSWORD"));
        environment.extend(["MSSQL_PASSWORD", "MSSQL_ADMIN_PASSWORD", "TARGET_PASSWORD"].map(secret));
        ensure!(environment.iter().any(|(_, value)| value == SECRET_KEY), "no keys of the bucket");
        task::start(&file, &environment, arguments)?.outcome().await
    }

    /// How many rows each table of the warehouse has.
    async fn counts(&self) -> anyhow::Result<Vec<i64>> {
        let warehouse = self.target.connect_as_admin().await?;
        let mut counts = Vec::new();
        for table in ["sales.customers", "sales.orders", "sales.orderlines", "catalog.products"] {
            counts.push(warehouse.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?.get(0));
        }
        Ok(counts)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_a_first_synced_change() -> anyhow::Result<()> {
    let mut machine = Machine::start().await?;
    machine.fill_source().await?;
    machine.fill_target().await?;
    for task in ["check", "extract", "load"] {
        let outcome = machine.task(&[task]).await?.expect(0)?;
        let findings = &outcome.summary()?.0["findings"];
        ensure!(findings.as_array().is_some_and(Vec::is_empty), "{task} finds fault with the sample: {findings}");
    }
    ensure!(machine.counts().await? == [3, 3, 4, 3], "{:?}", machine.counts().await?);

    for batch in batches(&read("init/change.sql")?) {
        machine.sql.run(&batch).await?;
    }
    machine.sql.capture_all().await?;
    for task in ["check", "extract", "load"] {
        machine.task(&[task]).await?.expect(0)?;
    }
    ensure!(machine.counts().await? == [3, 4, 3, 3], "{:?}", machine.counts().await?);
    let warehouse = machine.target.connect_as_admin().await?;
    let query = readme_query()?;
    let shown = warehouse.query(&query, &[]).await?;
    ensure!(shown.len() == 1, "the README's query shows {} rows", shown.len());
    let email: Option<String> =
        warehouse.query_one("SELECT email FROM sales.customers WHERE customerid = 2", &[]).await?.get(0);
    ensure!(email.as_deref() == Some("grace@example.com"), "{email:?}");

    // As `docker compose up` does once more: nothing breaks, nothing is doubled.
    std::fs::remove_dir_all(machine.folder.path().join("kept"))?;
    machine.fill_source().await?;
    machine.task(&["run"]).await?.expect(0)?;
    ensure!(machine.counts().await? == [3, 4, 3, 3], "{:?}", machine.counts().await?);
    Ok(())
}

/// The query by which the README has the change looked at.
fn readme_query() -> anyhow::Result<String> {
    let readme = read("README.md")?;
    let (_, rest) = readme.split_once("--command '").context("the README shows no query")?;
    Ok(rest.split('\'').next().unwrap_or_default().to_owned())
}

/// The README's commands name services and files that are there.
#[test]
fn the_readme_names_what_is_there() -> anyhow::Result<()> {
    let (readme, compose) = (read("README.md")?, super::compose::compose()?);
    let mut named = 0;
    for line in readme.lines().filter(|line| line.starts_with("docker compose ")) {
        let words: Vec<_> = line.split_whitespace().skip(2).filter(|word| !word.starts_with('-')).collect();
        if let ["exec" | "run" | "logs", service, ..] = words.as_slice() {
            ensure!(compose["services"][service].is_object(), "no service {service}: {line}");
            named += 1;
        }
        for file in words.iter().filter_map(|word| word.strip_prefix("/init/")) {
            ensure!(path("init").join(file).is_file(), "no file {file}: {line}");
        }
    }
    ensure!(named >= 3, "{named} commands");
    Ok(())
}

/// Airflow's connections: the DAG takes logins and passwords from them.
#[tokio::test]
async fn connections_are_made_of_the_environment() -> anyhow::Result<()> {
    let variables = variables()?;
    let mut command = Command::new("python3");
    command.arg(path("init/connections.py")).env_clear().env("PATH", "/usr/bin:/bin").envs(&variables);
    let output = command.output().await.context("python3")?;
    let connections: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    for (name, field, variable) in [
        ("delsert_source", "password", "MSSQL_PASSWORD"),
        ("delsert_target", "password", "TARGET_PASSWORD"),
        ("delsert_bucket", "login", "AWS_ACCESS_KEY_ID"),
        ("delsert_bucket", "password", "AWS_SECRET_ACCESS_KEY"),
    ] {
        ensure!(
            connections[name][field] == variables[variable].as_str() && connections[name]["conn_type"] == "generic"
        );
    }
    let pools: serde_json::Value = serde_json::from_str(&read("init/pools.json")?)?;
    for (name, pool) in super::entries(&pools) {
        ensure!(name.starts_with("delsert_") && pool["slots"].as_u64() > Some(0), "{name}: {pool}");
    }
    ensure!(is_executable(&path("init/sql.sh"))? && is_executable(&path("init/airflow.sh"))?);
    Ok(())
}

fn is_executable(file: &Path) -> anyhow::Result<bool> {
    Ok(std::fs::metadata(file)?.permissions().mode() & 0o111 == 0o111)
}
