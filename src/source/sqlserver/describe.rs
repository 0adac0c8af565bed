//! Who the server is and what the login may do. What it may not read is a finding, never a failure.

use std::time::Duration;

use tiberius::Row;

use super::client::{Client, integer, text};
use super::sql;
use crate::config::Source;
use crate::error::{Error, Kind, Result};
use crate::manifest::Fingerprint;
use crate::source::SourceInfo;

/// What everything else depends on.
#[derive(Debug, Clone)]
pub struct Database {
    /// Whether change data capture is enabled.
    pub captures: bool,
    /// Whether SNAPSHOT isolation is allowed.
    pub snapshot_isolation: bool,
    collation: String,
}

impl Database {
    /// Whether names that differ only by case are one name.
    pub fn ignores_case(&self) -> bool {
        !(self.collation.contains("_CS") || self.collation.contains("_BIN"))
    }
}

/// Reads the database's own row.
pub async fn database(client: &mut Client) -> Result<Database> {
    let rows = client.batch(sql::DATABASE).await?;
    let row = rows.first().ok_or_else(|| {
        Error::new(Kind::SourceRights, "the login does not see its own database in sys.databases")
            .advice("Grant it VIEW ANY DATABASE, or the public role's default rights")
    })?;
    Ok(Database { captures: integer(row, 0) != 0, snapshot_isolation: integer(row, 1) == 1, collation: text(row, 2) })
}

/// Asks a question that may be refused: then the answer is a finding.
async fn ask(client: &mut Client, what: &str, sql: &str, findings: &mut Vec<String>) -> Result<Option<Row>> {
    match client.batch(sql).await {
        Ok(rows) => Ok(rows.into_iter().next()),
        Err(error) if matches!(error.kind(), Kind::SourceRefused | Kind::SourceRights) => {
            findings.push(format!("cannot read {what}: {error}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Describes server, database and login.
pub async fn describe(client: &mut Client, config: &Source, database: &Database) -> Result<SourceInfo> {
    let mut findings = Vec::new();
    let server = ask(client, "the server's version", sql::SERVER, &mut findings).await?;
    let login = ask(client, "the login's name", sql::LOGIN, &mut findings).await?;
    let roles = ask(client, "the login's roles", sql::ROLES, &mut findings).await?;
    // Hidden on Azure and RDS, and from most readers: silence is no finding there.
    let retention = ask(client, "msdb.dbo.cdc_jobs", sql::RETENTION, &mut Vec::new()).await?;
    let broker = ask(client, "the database's service_broker_guid", sql::BROKER, &mut Vec::new()).await?;
    let cell = |row: &Option<Row>, at| row.as_ref().map_or_else(String::new, |row| text(row, at));
    let is_in = |at| roles.as_ref().is_some_and(|row| integer(row, at) == 1);
    let rights = [("sysadmin", is_in(0)), ("db_owner", is_in(0) || is_in(1))];
    let name = Some(cell(&server, 2)).filter(|name| !name.is_empty()).unwrap_or_else(|| config.database.clone());
    if !database.snapshot_isolation {
        findings.push(format!(
            "database '{name}' does not allow SNAPSHOT isolation: first copies read committed rows instead, which is right but repeats more. To allow it: ALTER DATABASE [{}] SET ALLOW_SNAPSHOT_ISOLATION ON",
            name.replace(']', "]]")
        ));
    }
    let mark = Some(cell(&broker, 0)).filter(|mark| !mark.is_empty());
    let marks = mark.map(|mark| ("service_broker_guid".to_owned(), mark)).into_iter().collect();
    let minutes = retention.as_ref().map(|row| integer(row, 0)).and_then(|minutes| u64::try_from(minutes).ok());
    Ok(SourceInfo {
        version: cell(&server, 0),
        edition: cell(&server, 1),
        login: Some(cell(&login, 0)).filter(|login| !login.is_empty()).unwrap_or_else(|| config.login.user.clone()),
        rights: rights.into_iter().filter(|(_, has)| *has).map(|(role, _)| role.to_owned()).collect(),
        captures: database.captures,
        retention: config.retention.or(minutes.map(|minutes| Duration::from_secs(minutes * 60))),
        fingerprint: Fingerprint { engine: "sqlserver".to_owned(), database: name.clone(), marks },
        database: name,
        ignores_case: database.ignores_case(),
        findings,
    })
}
