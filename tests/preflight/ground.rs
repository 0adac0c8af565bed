//! What a case stands on: three ends that are sound, and hands that type in what mends something.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::cases::{Case, Login};
use crate::rules::stage::{Stage, until};
use crate::support::postgres::LOADER;
use crate::support::source::USER;

/// The password of the logins made here.
const PASSWORD: &str = "Reader-Secret-1";

/// What a check told.
pub struct Told {
    /// Its exit code.
    pub code: i32,
    /// Its summary.
    pub summary: Value,
    /// Its log.
    pub log: String,
}

impl Told {
    fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
        value[key].as_array().into_iter().flatten()
    }

    /// Names of all findings, and kinds of all errors.
    pub fn names(&self) -> BTreeSet<String> {
        let findings = Self::list(&self.summary, "findings").map(|finding| &finding["name"]);
        let tables = Self::list(&self.summary, "tables").map(|table| &table["error_kind"]);
        let names = findings.chain(tables).chain([&self.summary["error_kind"]]);
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// What mends all of it, in order, each once: place and statement.
    pub fn mends(&self) -> Vec<(String, String)> {
        let findings = Self::list(&self.summary, "findings");
        let tables = Self::list(&self.summary, "tables").filter(|table| !table["error"].is_null());
        let mut mends = Vec::new();
        for told in findings.chain(tables).chain([&self.summary]) {
            for mend in Self::list(told, "mend") {
                let text = |key: &str| mend[key].as_str().unwrap_or_default().to_owned();
                let mend = (text("at"), text("statement"));
                if !mends.contains(&mend) {
                    mends.push(mend);
                }
            }
        }
        mends
    }
}

/// Three ends, and tables at the source.
pub struct Ground {
    stage: Stage,
}

impl Ground {
    /// Sound ends, as a case wants them, with a check behind them if it comes to change what stands.
    pub async fn start(case: &Case) -> anyhow::Result<Self> {
        let ground = Self { stage: Stage::start().await? };
        ground
            .source(
                "ALTER DATABASE shop SET ALLOW_SNAPSHOT_ISOLATION ON;
             CREATE TABLE dbo.Good (ID int NOT NULL PRIMARY KEY, Note nvarchar(50) NULL);
             CREATE TABLE dbo.Other (ID int NOT NULL PRIMARY KEY);
             INSERT INTO dbo.Good VALUES (1, N'one'); INSERT INTO dbo.Other VALUES (1)",
            )
            .await?;
        if case.login != Login::Administrator {
            ground.make_login(case.login).await?;
        }
        if case.checked_before {
            let told = ground.check(&["check", "--strict"]).await?;
            ensure!(told.code == 0 && told.names().is_empty(), "the ground is not sound: {}", told.summary);
        }
        if case.extracted_before {
            let told = ground.check(&["extract"]).await?;
            ensure!(told.code == 0, "the ground is not sound: {}", told.summary);
        }
        Ok(ground)
    }

    /// A login that is no sysadmin, with all that a check looks at; its user in the database has another name.
    async fn make_login(&self, login: Login) -> anyhow::Result<()> {
        self.source(&format!("CREATE LOGIN [my reader] WITH PASSWORD = '{PASSWORD}'")).await?;
        self.source("CREATE USER [my user] FOR LOGIN [my reader]").await?;
        self.source("USE master; GRANT VIEW SERVER STATE TO [my reader]").await?;
        // msdb.dbo.cdc_jobs comes with the first job, whoever's it is, and stays.
        self.source(
            "CREATE TABLE dbo.Sooner (ID int NOT NULL PRIMARY KEY); EXEC sys.sp_cdc_enable_db;
             EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Sooner', @role_name = NULL;
             EXEC sys.sp_cdc_disable_db; DROP TABLE dbo.Sooner",
        )
        .await?;
        self.source(
            "USE msdb; CREATE USER [my reader] FOR LOGIN [my reader]; GRANT SELECT ON dbo.cdc_jobs TO [my reader];
             GRANT SELECT ON dbo.sysjobs TO [my reader]; GRANT SELECT ON dbo.sysjobactivity TO [my reader];
             GRANT SELECT ON dbo.syssessions TO [my reader]",
        )
        .await?;
        let mut admin = String::new();
        if login == Login::Owner {
            self.source("ALTER ROLE db_owner ADD MEMBER [my user]").await?;
        } else {
            self.source(
                "EXEC sys.sp_cdc_enable_db; GRANT SELECT ON SCHEMA::dbo TO [my user];
                 GRANT SELECT ON SCHEMA::cdc TO [my user]; GRANT VIEW DATABASE STATE TO [my user];
                 GRANT VIEW DEFINITION TO [my user]",
            )
            .await?;
            admin = format!("[source.admin]\nuser = \"{USER}\"\npassword = \"${{MSSQL_PASSWORD}}\"\n\n");
        }
        let (user, password) = (format!("user = \"{USER}\""), "password = \"${MSSQL_PASSWORD}\"");
        self.configure(&[
            (&user, "user = \"my reader\""),
            (password, &format!("password = \"{PASSWORD}\"")),
            ("[bucket]", &format!("{admin}[bucket]")),
        ])
    }

    /// Puts other texts into the configuration.
    pub fn configure(&self, replace: &[(&str, &str)]) -> anyhow::Result<()> {
        let mut text = std::fs::read_to_string(self.stage.config_path())?;
        for (from, to) in replace {
            ensure!(text.contains(from), "the configuration has no '{from}'");
            text = text.replacen(from, to, 1);
        }
        Ok(std::fs::write(self.stage.config_path(), text)?)
    }

    /// Does what is wrong about a case.
    pub async fn make_wrong(&self, case: &Case) -> anyhow::Result<()> {
        for batch in case.source {
            self.source(batch).await.with_context(|| (*batch).to_owned())?;
        }
        for statement in case.target {
            self.target(statement).await.with_context(|| (*statement).to_owned())?;
        }
        if case.other_target {
            let name = format!("{}_latin", self.stage.target.name);
            let made = format!(
                "CREATE DATABASE \"{name}\" OWNER {LOADER} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
            );
            self.target(&made).await?;
            self.configure(&[(
                &format!("database = \"{}\"", self.stage.target.name),
                &format!("database = \"{name}\""),
            )])?;
        }
        self.configure(case.config)?;
        self.settle(case).await
    }

    /// Waits until the source says 1 to a case's question.
    pub async fn settle(&self, case: &Case) -> anyhow::Result<()> {
        if case.settled.is_empty() {
            return Ok(());
        }
        until("the source has settled", || async {
            let mut sql = self.stage.sql().await?;
            Ok(sql.number(case.settled).await? == 1)
        })
        .await
    }

    /// Runs a batch as an administrator, in a window of its own.
    pub async fn source(&self, batch: &str) -> anyhow::Result<()> {
        self.stage.sql().await?.run(batch).await
    }

    async fn target(&self, statement: &str) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(self.stage.config_path())?;
        let config: toml::Table = text.parse()?;
        let database = config["target"]["database"].as_str().context("the target's database")?;
        let statement = statement.replace("{database}", &format!("\"{database}\""));
        let mut target = self.stage.target.clone();
        database.clone_into(&mut target.name);
        Ok(target.connect_as_admin().await?.batch_execute(&statement).await?)
    }

    /// Types in what mends something, as it stands.
    pub async fn mend(&self, place: &str, statement: &str) -> anyhow::Result<()> {
        match place {
            "source" => self.source(statement).await,
            "target" => self.target(statement).await,
            "config" => self.put_lines(statement),
            // There is no machine to type it in: that it is the command of the machine that the server names.
            "shell" if statement.contains("sqlagent.enabled true") => {
                self.source("EXEC sys.sp_standin_agent @running = 1").await
            }
            "shell" if statement.starts_with("delsert ") => {
                let arguments: Vec<_> = statement.split(' ').skip(1).collect();
                let told = self.check(&arguments).await?;
                ensure!(told.code == 0, "exit {}: {}", told.code, told.summary);
                Ok(())
            }
            _ => bail!("nobody knows how to type in at the {place}: {statement}"),
        }
    }

    /// Puts lines into the configuration, in place of those of the same keys.
    fn put_lines(&self, lines: &str) -> anyhow::Result<()> {
        let mut config: toml::Table = std::fs::read_to_string(self.stage.config_path())?.parse()?;
        for (section, value) in lines.parse::<toml::Table>()? {
            match value {
                toml::Value::Table(keys) => {
                    let known = config.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
                    known.as_table_mut().context("a section")?.extend(keys);
                }
                toml::Value::Array(entries) => {
                    let known = config.entry(section).or_insert_with(|| toml::Value::Array(Vec::new()));
                    let known = known.as_array_mut().context("a list of entries")?;
                    for entry in entries {
                        let place = known.iter().position(|other| other["name"] == entry["name"]);
                        match place.and_then(|at| known[at].as_table_mut()) {
                            Some(other) => other.extend(entry.as_table().cloned().unwrap_or_default()),
                            None => known.push(entry),
                        }
                    }
                }
                other => bail!("{section} = {other} stands in no section"),
            }
        }
        Ok(std::fs::write(self.stage.config_path(), toml::to_string(&config)?)?)
    }

    /// Runs a check, or another task.
    pub async fn check(&self, arguments: &[&str]) -> anyhow::Result<Told> {
        let outcome = tokio::time::timeout(Duration::from_mins(5), self.stage.task(arguments)).await??;
        let summary = outcome.summary().with_context(|| outcome.stderr.clone())?.0;
        Ok(Told { code: outcome.code.context("check was killed")?, summary, log: outcome.stderr })
    }
}
