//! Who the server is and what the login may do.

use std::time::Duration;

use super::client::{Client, integer, text};
use super::decode::datetime_text;
use super::{cdc, sql};
use crate::config::Source;
use crate::error::{Error, Kind, Result};
use crate::manifest::Fingerprint;
use crate::source::SourceInfo;
use chrono::{DateTime, NaiveDateTime, Utc};

/// What kind of server it is: each has its own way to enable, and its own jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// One that somebody installed.
    Server,
    /// Amazon RDS, where nobody is sysadmin.
    Rds,
    /// Azure SQL Managed Instance.
    ManagedInstance,
    /// Azure SQL Database, which has no Agent and no msdb.
    AzureDatabase,
}

impl Platform {
    /// By `SERVERPROPERTY('EngineEdition')`, and whether there is a database as RDS has it.
    fn of(engine_edition: i64, is_rds: bool) -> Self {
        match engine_edition {
            // Of Azure, and of Fabric.
            5 | 12 => Self::AzureDatabase,
            8 => Self::ManagedInstance,
            _ if is_rds => Self::Rds,
            _ => Self::Server,
        }
    }

    /// Whether somebody else looks after the server and its Agent.
    pub fn is_managed(self) -> bool {
        self != Self::Server
    }

    /// Whether capture is a job that can be started.
    pub fn has_jobs(self) -> bool {
        self != Self::AzureDatabase
    }

    /// How long a capture that was just enabled is waited for: a job begins at once, Azure's scheduler takes its time.
    pub fn patience(self) -> Duration {
        Duration::from_secs(if self.has_jobs() { 30 } else { 90 })
    }
}

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
    /// What kind of server it is.
    pub platform: Platform,
    /// Its name.
    pub name: String,
    /// The login's name.
    pub login: String,
    /// Roles that the login is in, of those that may do everything.
    pub rights: Vec<String>,
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
        platform: Platform::of(integer(row, 11), integer(row, 12) != 0),
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

/// How long history is kept, in minutes. Hidden from most readers: the preflight says so, this does not.
async fn retention(client: &mut Client, platform: Platform) -> Result<Option<u64>> {
    let statement = if platform.has_jobs() { sql::RETENTION } else { sql::AZURE_RETENTION };
    match client.batch(statement).await {
        Ok(rows) => Ok(rows.first().and_then(|row| u64::try_from(integer(row, 0)).ok())),
        Err(error) if matches!(error.kind(), Kind::SourceRefused | Kind::SourceRights) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Describes server, database and login.
pub async fn describe(client: &mut Client, config: &Source, database: &Database) -> Result<SourceInfo> {
    let minutes = if config.retention.is_some() { None } else { retention(client, database.platform).await? };
    let told = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let name = told(&database.name).unwrap_or_else(|| config.database.clone());
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
        enabling: cdc::how_to_enable(database),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_server_is_told_apart() {
        let known = [(3, false), (2, true), (8, false), (5, false), (12, false)];
        let platforms = known.map(|(edition, is_rds)| Platform::of(edition, is_rds));
        let Platform::AzureDatabase = platforms[4] else { panic!("{platforms:?}") };
        assert_eq!(
            platforms[..4],
            [Platform::Server, Platform::Rds, Platform::ManagedInstance, Platform::AzureDatabase]
        );
        assert!(platforms[3].patience() > platforms[0].patience());
    }
}
