//! Who the server is and what the login may do. What it may not read is a finding, never a failure.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::client::{Client, integer, text};
use super::decode::datetime_text;
use super::{rights, sql};
use crate::config::Source;
use crate::error::{Error, Kind, Result};
use crate::finding::{Finding, Matter, Place};
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

/// How many minutes history is kept, by the cleanup job. A server that hides its jobs, as Azure's and Amazon's do, says
/// nothing; a login that may not ask is told so.
async fn retention(client: &mut Client, findings: &mut Vec<Finding>) -> Result<Option<u64>> {
    match client.batch(sql::RETENTION).await {
        Ok(rows) => Ok(rows.first().and_then(|row| u64::try_from(integer(row, 0)).ok())),
        Err(error) if error.kind() == Kind::SourceRights => {
            let message = format!(
                "how long the source keeps history is not to be read, and taken for 72 hours (number {}); or set source.retention",
                error.number().unwrap_or_default()
            );
            let finding = Finding::new(Matter::Unreadable, message);
            findings.push(finding.mend(Place::Source, rights::jobs(client.login())));
            Ok(None)
        }
        Err(error) if error.kind() == Kind::SourceRefused => Ok(None),
        Err(error) => Err(error),
    }
}

/// Describes server, database and login.
pub async fn describe(client: &mut Client, config: &Source, database: &Database) -> Result<SourceInfo> {
    let mut findings = Vec::new();
    let minutes = if config.retention.is_some() { None } else { retention(client, &mut findings).await? };
    let told = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let name = told(&database.name).unwrap_or_else(|| config.database.clone());
    if !database.snapshot_isolation {
        let message = format!(
            "database '{name}' does not allow SNAPSHOT isolation: first copies read committed rows instead, which is right but repeats more"
        );
        let statement = format!("ALTER DATABASE {} SET ALLOW_SNAPSHOT_ISOLATION ON", sql::name(&name));
        findings.push(Finding::new(Matter::SnapshotIsolation, message).mend(Place::Source, statement));
    }
    let mark = told(&database.broker);
    let marks = mark.map(|mark| ("service_broker_guid".to_owned(), mark)).into_iter().collect();
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
