//! SQL Server, read through change data capture.
//!
//! | module | is |
//! |---|---|
//! | `connect`, `reach`, `browser`, `prelogin`, `token`, `place` | from a host's name to a logged-in connection |
//! | `client`, `failure` | the connection, and its failures told apart |
//! | `describe` | who the server is and what the login may do |
//! | `preflight` | what would stop or harm the work, each thing with what mends it |
//! | `catalog` | tables, columns, keys, capture instances |
//! | `key` | what identifies a row |
//! | `altered` | what ALTER COLUMN did, by the history of DDL |
//! | `types`, `decode` | what each type holds, and the driver's cells as ours |
//! | `cdc` | enabling, bounds, changes of a window, purging |
//! | `rights` | what a login lacks, as the statement that grants it |
//! | `snapshot` | the copy of a whole table |
//! | `sql` | all statements, as text |
//! | `again` | what may mend itself, and how long to wait for it |
//!
//! Nothing outside knows what an LSN is.

mod again;
mod altered;
mod browser;
mod catalog;
mod cdc;
mod client;
mod connect;
mod decode;
mod describe;
mod failure;
mod key;
mod place;
mod preflight;
mod prelogin;
mod reach;
mod rights;
mod snapshot;
mod sql;
mod token;
mod types;

use std::collections::BTreeMap;
use std::time::Duration;

use client::Client;

use super::{Answer, Bounds, Capture, Committed, Owner, Preflight, Question, Source, SourceInfo, SourceTable, Tracked};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::finding::Finding;
use crate::position::Position;
use crate::retry::Retries;
use crate::row::RowSink;
use crate::table::{Column, Table, TableName};

/// The length of an LSN.
const LSN: usize = 10;

/// A connection to SQL Server.
pub struct SqlServer {
    config: config::Source,
    client: Client,
    /// The second login's connection, made when first needed.
    admin: Option<Client>,
    database: Option<describe::Database>,
    retries: Retries,
    /// Rows that a copy reads at a time.
    range: usize,
}

/// Runs what a function gives again while that may mend it: a `?` within would leave without another try.
macro_rules! again {
    ($self:ident, $what:literal, $run:expr) => {{
        let mut tries = 0;
        loop {
            match $run {
                Err(error) => $self.mend_so($what, error, &mut tries).await?,
                Ok(done) => break Ok::<_, Error>(done),
            }
        }
    }};
}

impl SqlServer {
    /// The same with copies in ranges of so many rows, at least one.
    #[must_use]
    pub fn with_range(self, rows: usize) -> Self {
        Self { range: rows.max(1), ..self }
    }

    async fn reading(&mut self) -> Result<snapshot::Reading> {
        let database = self.database().await?;
        let guard = preflight::Guard { masks: database.rights.is_empty(), filters: self.config.on_row_filter };
        Ok(snapshot::Reading { isolated: database.snapshot_isolation, range: self.range, guard })
    }

    /// Waits and connects anew, or gives the failure back.
    async fn mend_so(&mut self, what: &str, mut error: Error, tries: &mut u32) -> Result<()> {
        loop {
            let Some(wait) = again::wait(&self.config, &error, *tries) else {
                return Err(if *tries > 0 { error.tried(*tries + 1) } else { error });
            };
            *tries += 1;
            *self.retries.entry(again::name(&error)).or_default() += 1;
            tracing::warn!(%error, wait_ms = wait.as_millis(), "{what} failed, trying again");
            tokio::time::sleep(wait).await;
            // Whatever the connection is in the middle of, a new one is not.
            self.admin = None;
            match Box::pin(Client::connect(&self.config, &self.config.login)).await {
                Ok(client) => {
                    self.client = client;
                    return Ok(());
                }
                Err(refused) => error = refused,
            }
        }
    }

    /// The connection that may enable and purge.
    async fn admin(&mut self) -> Result<&mut Client> {
        let login = match &self.config.admin {
            Some(login) => login,
            None if self.config.read_only_replica => &self.config.login,
            None => return Ok(&mut self.client),
        };
        let client = if let Some(client) = self.admin.take() {
            client
        } else {
            // A readable secondary can neither enable nor purge.
            let primary = config::Source { read_only_replica: false, ..self.config.clone() };
            Box::pin(Client::connect(&primary, login)).await?
        };
        Ok(self.admin.insert(client))
    }

    async fn describe_once(&mut self) -> Result<SourceInfo> {
        self.database = None;
        let database = self.database().await?;
        describe::describe(&mut self.client, &self.config, &database).await
    }

    async fn tables_once(&mut self, config: &config::Config) -> Result<Vec<SourceTable>> {
        let database = self.database().await?;
        catalog::tables(&mut self.client, &self.config, config, database.captures, database.ignores_case()).await
    }

    async fn enable_once(&mut self) -> Result<()> {
        let database = self.database().await?;
        cdc::enable_database(self.admin().await?, &database).await
    }

    async fn enable_table_once(&mut self, owner: &Owner, found: &SourceTable, flow: &Table) -> Result<()> {
        cdc::enable_table(self.admin().await?, owner, found, flow).await
    }

    async fn disable_table_once(&mut self, table: &TableName, capture: &Capture) -> Result<()> {
        cdc::disable_table(self.admin().await?, table, &capture.instance.name).await
    }

    async fn purge_once(&mut self, tracked: Tracked<'_>, up_to: &Position) -> Result<bool> {
        cdc::purge(self.admin().await?, tracked, up_to).await
    }

    async fn maximum_once(&mut self) -> Result<Position> {
        let platform = self.database().await?.platform;
        cdc::maximum(&mut self.client, platform).await
    }

    async fn bounds_once(&mut self, tracked: Tracked<'_>, at: &Position) -> Result<Bounds> {
        // Not asked for: it is another statement for each window.
        let platform = self.database.as_ref().map_or(describe::Platform::Server, |database| database.platform);
        cdc::bounds(&mut self.client, platform, tracked, at).await
    }

    async fn preflight_once(&mut self, config: &config::Config, found: &[SourceTable]) -> Result<Preflight> {
        let database = self.database().await?;
        let mut told = preflight::survey(&mut self.client, config, &self.config, &database, found).await?;
        if self.config.read_only_replica {
            let primary = self.primary(config, &database, found).await;
            told.findings.extend(primary.findings);
        }
        if preflight::needs_owner(config, &self.config) {
            told.findings.extend(self.owner(&database.name).await?);
        }
        Ok(told)
    }

    /// What is so at the primary of the replica that is read.
    async fn primary(
        &mut self,
        config: &config::Config,
        database: &describe::Database,
        found: &[SourceTable],
    ) -> Preflight {
        let source = self.config.clone();
        let asked = match self.admin().await {
            Ok(client) => preflight::primary(client, config, &source, database, found).await,
            Err(error) => Err(error),
        };
        asked.unwrap_or_else(|error| {
            self.admin = None;
            preflight::unknown_primary(&error)
        })
    }

    /// What the login that enables and purges lacks for it. That it does not come to the server stops nobody who reads.
    async fn owner(&mut self, database: &str) -> Result<Option<Finding>> {
        let is_alone = self.config.admin.is_none() && !self.config.read_only_replica;
        let asked = match self.admin().await {
            Ok(client) => preflight::owner(client, database).await,
            Err(error) => Err(error),
        };
        asked.or_else(|error| {
            if is_alone {
                return Err(error);
            }
            self.admin = None;
            let login = self.config.admin.as_ref().unwrap_or(&self.config.login);
            Ok(Some(preflight::absent_owner(&error, login, database)))
        })
    }

    async fn database(&mut self) -> Result<describe::Database> {
        if let Some(database) = &self.database {
            return Ok(database.clone());
        }
        let database = describe::database(&mut self.client).await?;
        Ok(self.database.insert(database).clone())
    }
}

impl Source for SqlServer {
    async fn connect(config: &config::Source) -> Result<Self> {
        let (mut tries, mut retries) = (0, Retries::new());
        let client = loop {
            match Box::pin(Client::connect(config, &config.login)).await {
                Ok(client) => break client,
                // A server that answers says that it will be there; of one that does not, the next run finds out.
                Err(error) if error.number().is_some() => {
                    let wait = again::wait(config, &error, tries);
                    let Some(wait) = wait else { return Err(if tries > 0 { error.tried(tries + 1) } else { error }) };
                    tries += 1;
                    *retries.entry(again::name(&error)).or_default() += 1;
                    tracing::warn!(%error, wait_ms = wait.as_millis(), "logging in failed, trying again");
                    tokio::time::sleep(wait).await;
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Self { config: config.clone(), client, admin: None, database: None, retries, range: snapshot::RANGE })
    }

    async fn mend(&mut self, error: Error, tries: &mut u32) -> Result<()> {
        self.mend_so("reading", error, tries).await
    }

    fn retried(&mut self) -> Retries {
        std::mem::take(&mut self.retries)
    }

    async fn describe(&mut self) -> Result<SourceInfo> {
        again!(self, "describing", self.describe_once().await)
    }

    async fn enable_capture(&mut self) -> Result<()> {
        let enabled = again!(self, "enabling", self.enable_once().await);
        self.database = None;
        enabled
    }

    async fn tables(&mut self, config: &config::Config) -> Result<Vec<SourceTable>> {
        again!(self, "reading the catalogue", self.tables_once(config).await)
    }

    async fn enable_table(&mut self, owner: &Owner, found: &SourceTable, flow: &Table) -> Result<()> {
        let enabled = again!(self, "enabling", self.enable_table_once(owner, found, flow).await);
        enabled.map_err(|error| error.on(&flow.name))
    }

    async fn disable_table(&mut self, table: &TableName, capture: &Capture) -> Result<()> {
        again!(self, "disabling", self.disable_table_once(table, capture).await)
    }

    async fn preflight(&mut self, config: &config::Config, found: &[SourceTable]) -> Result<Preflight> {
        again!(self, "looking at rights, jobs and settings", self.preflight_once(config, found).await)
    }

    fn how_to_enable(owner: &Owner, found: &SourceTable, flow: &Table) -> String {
        cdc::enabling(owner, found, flow)
    }

    fn follow(before: &Column, now: &Column) -> Option<Column> {
        types::follow(before, now)
    }

    async fn commit_from(&mut self, at: &Position) -> Result<Option<Position>> {
        again!(self, "reading a commit", cdc::commit_from(&mut self.client, at).await)
    }

    async fn commit_until(&mut self, at: &Position) -> Result<Option<Position>> {
        again!(self, "reading a commit", cdc::commit_until(&mut self.client, at).await)
    }

    async fn maximum(&mut self) -> Result<Position> {
        again!(self, "reading the maximum", self.maximum_once().await)
    }

    async fn bounds(&mut self, tracked: Tracked<'_>, at: &Position) -> Result<Bounds> {
        lsn(at)?;
        again!(self, "reading the bounds", self.bounds_once(tracked, at).await)
    }

    fn check_position(position: &Position) -> Result<()> {
        lsn(position).map(drop)
    }

    async fn commit_times(&mut self, positions: &[Position]) -> Result<BTreeMap<Position, Committed>> {
        again!(self, "reading commit times", cdc::commit_times(&mut self.client, positions).await)
    }

    async fn minimums(&mut self) -> Result<BTreeMap<String, Position>> {
        again!(self, "reading the minimums", cdc::minimums(&mut self.client).await)
    }

    async fn changed(&mut self, questions: &[Question<'_>]) -> Result<Vec<Answer>> {
        again!(self, "looking for changes", cdc::changed(&mut self.client, questions).await)
    }

    async fn changes<S: RowSink>(
        &mut self,
        tracked: Tracked<'_>,
        from: &Position,
        to: &Position,
        sink: &mut S,
    ) -> Result<()> {
        cdc::changes(&mut self.client, tracked, lsn(from)?, lsn(to)?, sink).await
    }

    async fn reach(&mut self, capture: &Capture, from: &Position, to: &Position, span: Duration) -> Result<Position> {
        let instance = &capture.instance.name;
        again!(self, "measuring a window", cdc::reach(&mut self.client, instance, from, to, span).await)
    }

    async fn rows_holding<S: RowSink>(&mut self, table: &Table, columns: &[String], sink: &mut S) -> Result<()> {
        let reading = self.reading().await?;
        snapshot::rows(&mut self.client, table, columns, reading, sink).await
    }

    async fn snapshot<S: RowSink>(&mut self, tracked: Tracked<'_>, sink: &mut S) -> Result<Position> {
        let reading = self.reading().await?;
        let maximum = self.maximum_once().await?;
        snapshot::copy(&mut self.client, tracked, maximum, reading, sink).await
    }

    async fn purge(&mut self, tracked: Tracked<'_>, up_to: &Position) -> Result<bool> {
        if *up_to < tracked.capture.start {
            return Ok(false);
        }
        lsn(up_to)?;
        again!(self, "purging", self.purge_once(tracked, up_to).await)
    }
}

/// A position that is an LSN; one from a command line or an older manifest might not be.
fn lsn(position: &Position) -> Result<&Position> {
    if position.as_bytes().len() == LSN {
        return Ok(position);
    }
    Err(Error::new(
        Kind::Config,
        format!("'{position}' is not an LSN of SQL Server: expected 0x and 20 hexadecimal digits"),
    )
    .advice("Use the 'cut' that a summary of check prints"))
}

/// How often a capture job that has just been made is looked for.
const CAPTURE_LOOK: Duration = Duration::from_millis(250);
