//! Who the server is and what the login may do. What it may not read is a finding, never a failure.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use tiberius::Row;

use super::client::{Client, integer, text};
use super::decode::datetime_text;
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
    version: String,
    edition: String,
    name: String,
    login: String,
    rights: Vec<String>,
    broker: String,
    now: DateTime<Utc>,
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
    let is_sysadmin = integer(row, 7) == 1;
    let rights = [("sysadmin", is_sysadmin), ("db_owner", is_sysadmin || integer(row, 8) == 1)];
    Ok(Database {
        captures: integer(row, 0) != 0,
        snapshot_isolation: integer(row, 1) == 1,
        collation: text(row, 2),
        version: text(row, 3),
        edition: text(row, 4),
        name: text(row, 5),
        login: text(row, 6),
        rights: rights.into_iter().filter(|(_, has)| *has).map(|(role, _)| role.to_owned()).collect(),
        broker: text(row, 9),
        now: datetime_text(row, 10).and_then(|text| utc(&text)).unwrap_or_else(Utc::now),
    })
}

/// The source's own time, as it wrote it.
fn utc(text: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(|time| time.and_utc())
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
    // Hidden on Azure and RDS, and from most readers: silence is no finding there.
    let retention = ask(client, "msdb.dbo.cdc_jobs", sql::RETENTION, &mut Vec::new()).await?;
    let told = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let name = told(&database.name).unwrap_or_else(|| config.database.clone());
    if !database.snapshot_isolation {
        findings.push(format!(
            "database '{name}' does not allow SNAPSHOT isolation: first copies read committed rows instead, which is right but repeats more. To allow it: ALTER DATABASE [{}] SET ALLOW_SNAPSHOT_ISOLATION ON",
            name.replace(']', "]]")
        ));
    }
    let mark = told(&database.broker);
    let marks = mark.map(|mark| ("service_broker_guid".to_owned(), mark)).into_iter().collect();
    let minutes = retention.as_ref().map(|row| integer(row, 0)).and_then(|minutes| u64::try_from(minutes).ok());
    Ok(SourceInfo {
        version: database.version.clone(),
        edition: database.edition.clone(),
        login: told(&database.login).unwrap_or_else(|| config.login.to_string()),
        rights: database.rights.clone(),
        captures: database.captures,
        retention: config.retention.or(minutes.map(|minutes| Duration::from_secs(minutes * 60))),
        fingerprint: Fingerprint { engine: "sqlserver".to_owned(), database: name.clone(), marks },
        database: name,
        ignores_case: database.ignores_case(),
        now: database.now,
        findings,
    })
}
