//! The table that parts are copied to: made for a batch's columns, and emptied without waiting for those who read it.

use tokio_postgres::Transaction;

use super::{prepare, shape};
use crate::error::Result;
use crate::target::TargetTable;
use crate::target::delsert::{Objects, SCHEMA, literal};
use crate::target::pgwire::failure::Server;
use crate::target::pgwire::not_ours;

/// Up to this size rows are deleted: that takes no lock that readers feel, and no new file. A larger one, be it of rows
/// that are gone, is truncated, unless somebody reads it. A TRUNCATE takes some 40 ms on a disk, as long as deleting so much.
const SMALL: i64 = 1 << 20;

/// A table's staging, within a load.
pub struct Staging<'a> {
    transaction: &'a Transaction<'a>,
    server: &'a Server,
    objects: &'a Objects,
}

impl<'a> Staging<'a> {
    /// The staging of a table whose own lock is held.
    pub fn new(transaction: &'a Transaction<'a>, server: &'a Server, objects: &'a Objects) -> Self {
        Self { transaction, server, objects }
    }

    /// Empties it, or makes it anew where an older check made it for other columns.
    ///
    /// # Errors
    /// [`Kind::TargetShape`](crate::error::Kind::TargetShape) when what is there is not `delsert`'s; the server's.
    pub async fn make_ready(&self, table: &TargetTable, types: &[shape::Type]) -> Result<()> {
        let looked_up = shape::find(self.transaction, SCHEMA, &self.objects.staging_name).await;
        let present = looked_up.map_err(|error| self.server.failed("look up staging", &error))?;
        match present {
            Some(staging) if shape::staging_fits(&staging, table, types) => self.empty().await,
            Some(staging) if !shape::is_staging(&staging) => Err(not_ours("staging", &self.objects.staging)),
            present => {
                if present.is_some() {
                    self.run("make staging anew", &format!("DROP TABLE {}", self.objects.staging)).await?;
                }
                self.run("make staging", &prepare::create_staging(table, self.objects)).await
            }
        }
    }

    /// Empties it. A reader, as `pg_dump` is one for hours, does not hinder that.
    ///
    /// # Errors
    /// The server's.
    pub async fn empty(&self) -> Result<()> {
        let failed = |error: tokio_postgres::Error| self.server.failed("empty staging", &error);
        let staging = &self.objects.staging;
        let size = format!("SELECT pg_catalog.pg_relation_size({}::pg_catalog.regclass)", literal(staging));
        let size: i64 = self.transaction.query_one(&size, &[]).await.and_then(|row| row.try_get(0)).map_err(failed)?;
        if size > SMALL && self.truncate().await? {
            return Ok(());
        }
        self.run("empty staging", &format!("DELETE FROM {staging}")).await
    }

    /// Truncates it, unless the lock cannot be had at once.
    async fn truncate(&self) -> Result<bool> {
        const BUSY: &str = "55P03";
        let staging = &self.objects.staging;
        self.run("empty staging", "SAVEPOINT empty_staging").await?;
        let truncate = format!("LOCK TABLE {staging} IN ACCESS EXCLUSIVE MODE NOWAIT; TRUNCATE {staging}");
        match self.transaction.batch_execute(&truncate).await {
            Ok(()) => {}
            Err(error) if error.code().is_some_and(|code| code.code() == BUSY) => {
                self.run("empty staging", "ROLLBACK TO SAVEPOINT empty_staging").await?;
                return Ok(false);
            }
            Err(error) => return Err(self.server.failed("empty staging", &error)),
        }
        self.run("empty staging", "RELEASE SAVEPOINT empty_staging").await?;
        Ok(true)
    }

    async fn run(&self, doing: &str, statement: &str) -> Result<()> {
        self.transaction.batch_execute(statement).await.map_err(|error| self.server.failed(doing, &error))
    }
}
