//! Amazon Redshift as a target.
//!
//! It enforces no keys, locks whole tables, commits at a TRUNCATE, and reads rows from S3 by itself. Facts about it are
//! from its Database Developer Guide, whose pages are named where they are used.
//!
//! | module | holds |
//! |---|---|
//! | [`connect`] | the session and its settings |
//! | [`iam`] | a login that AWS lends |
//! | [`failure`] | what the server says, as one of our kinds |
//! | [`shape`] | tables as the catalogue has them, and which types hold which |
//! | [`adopt`] | one that was there before: adopted, or refused with all that differs |
//! | [`prepare`] | making what is missing |
//! | [`reshape`] | a table that changes its form with a batch |
//! | [`rebuild`] | one that must be made anew for that |
//! | [`load`] | the one transaction of a load |
//! | [`staging`] | the temporary table that parts are copied to |
//! | [`copy`] | the parts on their way into staging, by the server itself |
//! | [`detail`] | what the server tells of a row that it did not take |
//! | [`upkeep`] | statistics and sorting, after the commit |

pub mod adopt;
pub mod connect;
pub mod copy;
pub mod detail;
pub mod failure;
pub mod iam;
pub mod load;
pub mod prepare;
pub mod rebuild;
pub mod reshape;
pub mod shape;
pub mod staging;
pub mod upkeep;

use std::time::Duration;

use tokio_postgres::GenericClient;
use tokio_postgres::error::SqlState;

use self::load::RedshiftLoad;
use crate::config::{Config, RedshiftOptions};
use crate::error::Result;
use crate::finding::{Finding, Matter, Place};
use crate::table::Table;
use crate::target::delsert::{self, NameRules, Objects, quote};
use crate::target::pgwire::failure::Server;
use crate::target::pgwire::{Session, mark};
use crate::target::{Applied, Prepared, Target, TargetInfo, TargetTable, Watermark};

/// "Names and identifiers": 1 to 127 bytes, letters of ASCII in lower case even inside quotes. The system's columns are
/// those of PostgreSQL 8.
const NAMES: NameRules = NameRules {
    limit: 127,
    folds: true,
    reserved: &["oid", "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"],
    reserved_schemas: &["pg_", "information_schema", "catalog_history"],
};

/// A connection to Amazon Redshift. Dropped, it is closed at once, which ends its transaction.
#[derive(Debug)]
pub struct Redshift {
    session: Session,
    lock_timeout: Duration,
    options: RedshiftOptions,
}

/// A table's objects under Redshift's names. Staging is a temporary table: rows deleted from one that stays would need a
/// VACUUM.
fn objects(table: &TargetTable) -> Objects {
    let objects = Objects::of(table, NAMES.limit);
    Objects { staging: quote(&objects.staging_name), ..objects }
}

impl Target for Redshift {
    type Load<'a> = RedshiftLoad<'a>;

    async fn connect(config: &crate::config::Target) -> Result<Self> {
        Self::open(config).await
    }

    async fn describe(&mut self) -> Result<TargetInfo> {
        let Session { client, server, .. } = &self.session;
        let asked = client.query_typed_one(DESCRIBE, &[]).await;
        let row = asked.map_err(|error| server.failed("describe itself", &error))?;
        let told = |error: tokio_postgres::Error| server.failed("describe itself", &error);
        let (may_create, may_stage): (bool, bool) = (row.try_get(3).map_err(told)?, row.try_get(4).map_err(told)?);
        let info = TargetInfo {
            version: row.try_get(0).map_err(told)?,
            database: row.try_get(1).map_err(told)?,
            login: row.try_get(2).map_err(told)?,
            findings: Vec::new(),
        };
        let may_use_own = prepare::may_use(client, delsert::SCHEMA).await.map_err(told)?;
        let findings = self.findings(&info, may_create, may_stage, may_use_own);
        // Serverless has no such table, and none has to be read.
        if let Ok(row) = self.session.client.query_typed_one(SLICES, &[]).await
            && let Ok(slices) = row.try_get::<_, i64>(0)
        {
            tracing::info!(slices, "target.slices shares out large batches among the cluster's slices");
        }
        Ok(TargetInfo { findings, ..info })
    }

    fn place(config: &Config, table: &Table) -> Result<TargetTable> {
        delsert::place(config, table, NAMES)
    }

    async fn prepare(&mut self, table: &TargetTable) -> Result<Prepared> {
        let prepared = prepare::prepare(&mut self.session, table, &self.options.grant_select_to).await;
        prepared.map_err(|error| error.on(&table.source_name))
    }

    async fn watermark(&mut self, table: &TargetTable) -> Result<Option<Watermark>> {
        let read = read_watermark(&self.session.client, &self.session.server, table).await;
        read.map_err(|error| error.on(&table.source_name))
    }

    async fn begin<'a>(&'a mut self, table: &'a TargetTable, patience: Duration) -> Result<RedshiftLoad<'a>> {
        reshape::widen(&self.session, table).await.map_err(|error| error.on(&table.source_name))?;
        let begun = RedshiftLoad::begin(self, table, patience).await;
        begun.map_err(|error| error.on(&table.source_name))
    }

    async fn settle(&mut self, table: &TargetTable, applied: Applied) -> Result<()> {
        let settled = upkeep::settle(&self.session, table, applied, (self.options.vacuum, self.lock_timeout)).await;
        settled.map_err(|error| error.on(&table.source_name))
    }
}

/// `STV_SLICES`: those that hold data.
const SLICES: &str = "SELECT CAST(count(*) AS bigint) FROM stv_slices WHERE type = 'D'";

/// `HAS_DATABASE_PRIVILEGE` knows CREATE and TEMP.
const DESCRIBE: &str = "SELECT CAST(version() AS varchar(512)), CAST(current_database() AS varchar(128)), \
     CAST(current_user AS varchar(128)), has_database_privilege(current_database(), 'CREATE'), \
     has_database_privilege(current_database(), 'TEMP')";

impl Redshift {
    fn findings(&self, info: &TargetInfo, may_create: bool, may_stage: bool, may_use: Option<bool>) -> Vec<Finding> {
        let (database, login) = (quote(&info.database), quote(&info.login));
        let mut findings = Vec::new();
        if !may_stage {
            let message = "the login may not make temporary tables, which parts are copied to";
            let statement = format!("GRANT TEMP ON DATABASE {database} TO {login}");
            findings.push(Finding::new(Matter::TargetSchema, message).mend(Place::Target, statement));
        }
        let schema = quote(delsert::SCHEMA);
        match may_use {
            Some(false) => {
                let statement = format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {login}");
                let finding = Finding::new(Matter::TargetSchema, "the login may not use delsert's own schema");
                findings.push(finding.mend(Place::Target, statement));
            }
            None if !may_create => {
                let message = format!("the login may not create schema {}", delsert::SCHEMA);
                let statement = format!("CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {login}");
                findings.push(Finding::new(Matter::TargetSchema, message).mend(Place::Target, statement));
            }
            _ => {}
        }
        if self.options.iam_role.is_none() {
            let message = "no role is configured for COPY: it is given our own keys, which the cluster then sees";
            let line = "[target]\niam_role = \"default\"";
            findings.push(Finding::new(Matter::CopyKeys, message).mend(Place::Config, line));
        }
        findings
    }
}

/// The watermark as the client's transaction, or the last commit, has it; `None` where there is no such table.
async fn read_watermark(
    client: &impl GenericClient,
    server: &Server,
    table: &TargetTable,
) -> Result<Option<Watermark>> {
    let objects = objects(table);
    match client.query_typed(&delsert::read_watermark(&objects), &[]).await {
        Ok(rows) => mark::read(server, table, &objects, &rows).map(Some),
        Err(error) if matches!(error.code(), Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME)) => {
            Ok(None)
        }
        Err(error) => {
            let failed = server.failed(&format!("read the watermark in {}", objects.mark), &error);
            Err(server.owned_by(failed, delsert::SCHEMA, &objects.mark))
        }
    }
}
