//! PostgreSQL as a target.
//!
//! | module | holds |
//! |---|---|
//! | [`connect`] | the server's age, session settings |
//! | [`failure`] | what the server says, as one of our kinds |
//! | [`shape`] | tables as the catalogue has them, and types against types |
//! | [`attached`] | the table that people read, with all that belongs to it |
//! | [`adopt`] | one that was there before: adopted, or refused with all that differs |
//! | [`key`] | which types a key may have |
//! | [`prepare`] | making what is missing |
//! | [`reshape`] | a table that changes its form with a batch |
//! | [`rights`] | what the login lacks |
//! | [`load`] | the one transaction of a load |
//! | [`staging`] | the table that parts are copied to, and how it is emptied |
//! | [`copy`], [`unpack`] | a part on its way into staging |

pub mod adopt;
pub mod attached;
pub mod connect;
pub mod copy;
pub mod failure;
pub mod key;
pub mod load;
pub mod prepare;
pub mod reshape;
pub mod rights;
pub mod shape;
pub mod staging;
pub mod unpack;

use std::time::Duration;

use tokio_postgres::GenericClient;
use tokio_postgres::error::SqlState;

use self::load::{PostgresLoad, Waits};
use crate::config::Config;
use crate::error::Result;
use crate::finding::{Finding, Matter, Place};
use crate::table::Table;
use crate::target::delsert::{self, NameRules, Objects};
use crate::target::pgwire::failure::Server;
use crate::target::pgwire::{Session, mark, not_ours};
use crate::target::{Applied, Prepared, Target, TargetInfo, TargetTable, Watermark};

/// Names have 63 bytes, no column may be called like one of the system's, and no schema begin like them.
const NAMES: NameRules = NameRules {
    limit: 63,
    folds: false,
    reserved: &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"],
    reserved_schemas: &["pg_", "information_schema"],
};

/// A connection to PostgreSQL. Dropped, it is closed at once, which ends its transaction.
#[derive(Debug)]
pub struct Postgres {
    session: Session,
    lock_timeout: Duration,
}

/// A table's objects under PostgreSQL's names.
fn objects(table: &TargetTable) -> Objects {
    Objects::of(table, NAMES.limit)
}

impl Target for Postgres {
    type Load<'a> = PostgresLoad<'a>;

    async fn connect(config: &crate::config::Target) -> Result<Self> {
        Self::open(config).await
    }

    async fn describe(&mut self) -> Result<TargetInfo> {
        let asked = self.session.client.query_one(DESCRIBE, &[]).await.and_then(|row| Description::try_from(&row));
        let found = asked.map_err(|error| self.session.server.failed("describe itself", &error))?;
        Ok(TargetInfo {
            findings: found.findings(),
            version: found.version,
            database: found.database,
            login: found.login,
        })
    }

    fn place(config: &Config, table: &Table) -> Result<TargetTable> {
        delsert::place(config, table, NAMES)
    }

    async fn prepare(&mut self, table: &TargetTable) -> Result<Prepared> {
        prepare::prepare(&mut self.session.client, &self.session.server, table)
            .await
            .map_err(|error| error.on(&table.source_name))
    }

    async fn watermark(&mut self, table: &TargetTable) -> Result<Option<Watermark>> {
        let read = read_watermark(&self.session.client, &self.session.server, table).await;
        read.map_err(|error| error.on(&table.source_name))
    }

    async fn begin<'a>(&'a mut self, table: &'a TargetTable, patience: Duration) -> Result<PostgresLoad<'a>> {
        let waits = Waits { for_the_table: patience, within: self.lock_timeout };
        let begun = PostgresLoad::begin(&mut self.session.client, &self.session.server, table, waits).await;
        begun.map_err(|error| error.on(&table.source_name))
    }

    /// Autovacuum does what is to be done.
    async fn settle(&mut self, _: &TargetTable, _: Applied) -> Result<()> {
        Ok(())
    }
}

/// The watermark as the client's transaction, or the last commit, has it; `None` where there is no such table.
async fn read_watermark(
    client: &impl GenericClient,
    server: &Server,
    table: &TargetTable,
) -> Result<Option<Watermark>> {
    let objects = objects(table);
    let rows = match client.query(&delsert::read_watermark(&objects), &[]).await {
        Ok(rows) => rows,
        Err(error) if matches!(error.code(), Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME)) => {
            return Ok(None);
        }
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN) => {
            return Err(not_ours("watermark", &objects.mark));
        }
        Err(error) => {
            let failed = server.failed(&format!("read the watermark in {}", objects.mark), &error);
            return Err(server.owned_by(failed, delsert::SCHEMA, &objects.mark));
        }
    };
    mark::read(server, table, &objects, &rows).map(Some)
}

const DESCRIBE: &str = "SELECT version(), current_database()::text, current_user::text, \
     current_setting('server_encoding'), \
     pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool, \
     has_database_privilege(current_database(), 'CREATE'), \
     (SELECT has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE') \
        FROM pg_catalog.pg_namespace WHERE nspname = 'delsert'), pg_is_in_recovery(), \
     (SELECT source FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only')";

/// The answer to [`DESCRIBE`].
struct Description {
    version: String,
    database: String,
    login: String,
    encoding: String,
    read_only: bool,
    may_create_schemas: bool,
    /// Whether `delsert`'s own schema can be used; `None` where there is none yet.
    may_use_own: Option<bool>,
    standby: bool,
    /// Where the setting stands that makes it read-only.
    read_only_by: String,
}

impl TryFrom<&tokio_postgres::Row> for Description {
    type Error = tokio_postgres::Error;

    fn try_from(row: &tokio_postgres::Row) -> Result<Self, Self::Error> {
        Ok(Self {
            version: row.try_get(0)?,
            database: row.try_get(1)?,
            login: row.try_get(2)?,
            encoding: row.try_get(3)?,
            read_only: row.try_get(4)?,
            may_create_schemas: row.try_get(5)?,
            may_use_own: row.try_get(6)?,
            standby: row.try_get(7)?,
            read_only_by: row.try_get::<_, Option<String>>(8)?.unwrap_or_default(),
        })
    }
}

impl Description {
    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.read_only {
            findings.push(rights::read_only(self.standby, &self.read_only_by, &self.database, &self.login));
        }
        if self.encoding != "UTF8" {
            findings.push(rights::encoding(&self.encoding, &self.database, &self.login));
        }
        findings.extend(rights::own_schema(self.may_use_own, self.may_create_schemas, &self.login));
        findings
    }
}
