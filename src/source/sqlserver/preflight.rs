//! What `check` looks at before the work: rights, jobs, settings, columns and patterns, in a handful of statements
//! however many tables there are. All is told at once, each thing with what mends it.
//!
//! | module | looks at |
//! |---|---|
//! | `rights` | what the logins may do, and what may be hidden from them |
//! | `jobs` | the Agent, capture, cleanup |
//! | `columns` | settings and collations that would harm values |
//! | `patterns` | what of the configuration names nothing |
//! | `sql` | the statements |

mod columns;
mod jobs;
mod patterns;
mod rights;
mod sql;

use tiberius::Row;

use super::client::{Client, integer, text};
use super::describe::Database;
use super::sql as common;
use crate::config::{self, Config};
use crate::error::{Error, Kind, Result};
use crate::finding::{Finding, Matter, Place};
use crate::source::{Preflight, SourceTable};
use crate::table::TableName;

pub use rights::{Guard, absent_owner, needs_owner, owner, refuse_hidden};

/// Numbers by which a server says that it does not have what was asked for: an older build, or Azure.
const ABSENT: [u32; 3] = [207, 208, 40515];

/// What is looked at, and what was found.
pub struct Survey<'a> {
    config: &'a Config,
    source: &'a config::Source,
    database: &'a Database,
    found: &'a [SourceTable],
    told: Preflight,
    /// What is not known, with what would let it be read.
    unknown: Vec<(String, String)>,
}

/// Looks at everything.
pub async fn survey(
    client: &mut Client,
    config: &Config,
    source: &config::Source,
    database: &Database,
    found: &[SourceTable],
) -> Result<Preflight> {
    let (told, unknown) = (Preflight::default(), Vec::new());
    let mut survey = Survey { config, source, database, found, told, unknown };
    survey.isolation();
    let server = survey
        .ask(client, sql::SERVER, "whose the database is, and what the login may do in it", String::new())
        .await?;
    // The jobs and the rights are looked at by it.
    let Some(server) = server.first() else { return Ok(survey.finish()) };
    survey.rights(client, server).await?;
    // A replica's own server has other jobs, settings and states than the one that captures.
    if !source.read_only_replica {
        survey.server(client, server).await?;
    }
    survey.code_pages(client).await?;
    survey.patterns(client).await?;
    Ok(survey.finish())
}

/// Looks at what is so at the primary of a replica that is read.
pub async fn primary(
    client: &mut Client,
    config: &Config,
    source: &config::Source,
    database: &Database,
    found: &[SourceTable],
) -> Result<Preflight> {
    let (told, unknown) = (Preflight::default(), Vec::new());
    let mut database = database.clone();
    database.login = client.who().await.login;
    let mut survey = Survey { config, source, database: &database, found, told, unknown };
    let server = survey.ask(client, sql::SERVER, "whose the database is at the primary", String::new()).await?;
    if let Some(server) = server.first() {
        survey.server(client, server).await?;
    }
    Ok(survey.finish())
}

/// That nothing is known of the primary.
pub fn unknown_primary(failure: &Error) -> Preflight {
    let message = format!(
        "the source is read at a replica, and its primary could not be asked for the database's owner, the Agent, the jobs, what capture failed of, and how long captured texts may be: {failure}"
    );
    Preflight { findings: vec![Finding::new(Matter::Unreadable, message)], ..Preflight::default() }
}

/// What a statement gave that a server may not have, or a login may not run.
enum Asked {
    Rows(Vec<Row>),
    Absent,
    Refused(Error),
}

/// Asks what may be refused.
async fn ask(client: &mut Client, statement: &str) -> Result<Asked> {
    match client.batch(statement).await {
        Ok(rows) => Ok(Asked::Rows(rows)),
        Err(error) if error.number().is_some_and(|number| ABSENT.contains(&number)) => Ok(Asked::Absent),
        Err(error) if matches!(error.kind(), Kind::SourceRefused | Kind::SourceRights) => Ok(Asked::Refused(error)),
        Err(error) => Err(error),
    }
}

impl<'a> Survey<'a> {
    /// The rows of a statement; where it is refused none, and it is noted what is not known and what would tell.
    async fn ask(&mut self, client: &mut Client, statement: &str, what: &str, grant: String) -> Result<Vec<Row>> {
        match ask(client, statement).await? {
            Asked::Rows(rows) => Ok(rows),
            Asked::Absent => Ok(Vec::new()),
            Asked::Refused(error) => {
                tracing::debug!(%error, "cannot read {what}");
                self.unknown.push((what.to_owned(), grant));
                Ok(Vec::new())
            }
        }
    }

    /// What belongs to the server on which the database is written.
    async fn server(&mut self, client: &mut Client, server: &Row) -> Result<()> {
        self.owner_of_the_database(server);
        self.jobs(client, server).await?;
        self.text_size(client).await
    }

    fn tell(&mut self, finding: Finding) {
        self.told.findings.push(finding);
    }

    fn block(&mut self, table: &TableName, error: Error) {
        self.told.blocked.push((table.clone(), error.on(table)));
    }

    /// The included table of that name, as the catalogue spells it.
    fn table(&self, schema: &str, name: &str) -> Option<&'a SourceTable> {
        self.found.iter().find(|found| found.table.name.schema == schema && found.table.name.name == name)
    }

    fn isolation(&mut self) {
        let name = &self.database.name;
        if !self.database.snapshot_isolation {
            let message = format!(
                "database '{name}' does not allow SNAPSHOT isolation: first copies read committed rows instead, which is right but repeats more"
            );
            let statement = format!("ALTER DATABASE {} SET ALLOW_SNAPSHOT_ISOLATION ON", common::name(name));
            self.tell(Finding::new(Matter::SnapshotIsolation, message).mend(Place::Source, statement));
        }
    }

    fn owner_of_the_database(&mut self, server: &Row) {
        let (owner, administrator, agrees) = (text(server, 0), text(server, 1), integer(server, 2) == 1);
        if self.database.platform.is_managed() || (!owner.is_empty() && agrees) {
            return;
        }
        let name = &self.database.name;
        let what = if owner.is_empty() {
            "is owned by a login that this server does not know".to_owned()
        } else {
            format!("is owned by '{owner}', but names another as its dbo")
        };
        let message = format!(
            "database '{name}' {what}, as after a restore from another server: what change data capture does as dbo fails with 15517"
        );
        let statement =
            format!("ALTER AUTHORIZATION ON DATABASE::{} TO {}", common::name(name), common::name(&administrator));
        self.tell(Finding::new(Matter::DatabaseOwner, message).mend(Place::Source, statement));
    }

    /// Tells in one finding what is not known.
    fn finish(mut self) -> Preflight {
        if !self.unknown.is_empty() {
            let what: Vec<_> = self.unknown.iter().map(|(what, _)| what.as_str()).collect();
            let message = format!(
                "login '{}' may not read what tells {}: that is not known",
                self.database.login,
                what.join("; nor ")
            );
            let mut finding = Finding::new(Matter::Unreadable, message);
            for (_, grant) in std::mem::take(&mut self.unknown) {
                if !grant.is_empty() && !finding.mend.iter().any(|mend| mend.statement == grant) {
                    finding = finding.mend(Place::Source, grant);
                }
            }
            self.tell(finding);
        }
        self.told
    }
}
