//! The one transaction of a load.
//!
//! The table's own lock first, then the watermark: READ COMMITTED, so that what is read after the wait is what the one
//! before committed. Idling between statements is bounded by the session's settings; during a COPY the server cannot
//! bound it, and only the end of the connection frees the table.

use std::time::Duration;

use tokio_postgres::{Client, Transaction};

use super::attached::Production;
use super::copy::Copier;
use super::reshape::{self, Change, Occasion};
use super::staging::Staging;
use super::{adopt, attached, connect, key, objects, prepare, read_watermark, shape};
use crate::bucket::Bucket;
use crate::crash::{self, Step};
use crate::error::{Error, Kind, Result};
use crate::manifest::{BatchKind, Manifest};
use crate::target::batch::{self, Progress};
use crate::target::delsert::{self, Objects, SCHEMA, quote};
use crate::target::pgwire::failure::Server;
use crate::target::pgwire::{foreign, milliseconds};
use crate::target::refusal;
use crate::target::{Applied, Load, TargetTable, Watermark};

/// From so many rows on, staging's statistics are worth gathering.
const ANALYZE_FROM: u64 = 10_000;

/// What is committed is on disk before the batch is marked applied and its parts are removed; stronger settings stay.
const DURABLE: &str =
    "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'";

/// How long a load waits for locks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    /// For the table's own, all others after it.
    pub for_the_table: Duration,
    /// For each within the transaction.
    pub within: Duration,
}

/// A load in progress. Dropped, it rolls back; the connection can then be used again.
pub struct PostgresLoad<'a> {
    transaction: Transaction<'a>,
    server: &'a Server,
    table: &'a TargetTable,
    objects: Objects,
    watermark: Watermark,
    progress: Progress,
}

impl<'a> PostgresLoad<'a> {
    /// As [`Target::begin`](crate::target::Target::begin).
    ///
    /// # Errors
    /// As there.
    pub(super) async fn begin(
        client: &'a mut Client,
        server: &'a Server,
        table: &'a TargetTable,
        waits: Waits,
    ) -> Result<Self> {
        let objects = objects(table);
        let transaction = connect::begin(client, server).await?;
        let lock = format!(
            "{DURABLE}; SET LOCAL lock_timeout = {}; {}; SET LOCAL lock_timeout = {}",
            milliseconds(waits.for_the_table),
            prepare::lock_statement(&objects),
            milliseconds(waits.within)
        );
        transaction.batch_execute(&lock).await.map_err(|error| {
            let failed = server.failed(&format!("lock {}", objects.mark), &error);
            match error.code().map_or("", |code| code.code()) {
                "55P03" => failed.advice(format!(
                    "Another load or check of this table holds it, or a session that someone left open: wait for it, or look in pg_locks for {}",
                    objects.mark
                )),
                "42P01" | "3F000" => batch::no_watermark(&objects),
                _ => server.owned_by(failed, SCHEMA, &objects.mark),
            }
        })?;
        let watermark =
            read_watermark(&transaction, server, table).await?.ok_or_else(|| batch::no_watermark(&objects))?;
        Ok(Self { transaction, server, table, objects, watermark, progress: Progress::default() })
    }

    fn staging(&self) -> Staging<'_> {
        Staging::new(&self.transaction, self.server, &self.objects)
    }

    /// Whether no batch was loaded yet, so that the table may hold rows that are not ours to delete.
    fn is_first(&self) -> bool {
        self.watermark.generation == 0
    }

    /// Refuses, before the first batch, rows that no batch brought, unless they may be replaced.
    async fn spare_foreign_rows(&self) -> Result<()> {
        if !self.is_first() {
            return Ok(());
        }
        foreign::spare(&self.transaction, self.server, self.table, &self.objects.production).await
    }

    /// Production, under a lock that keeps out what would attach itself to it, and before the first batch all writers.
    async fn production(&self) -> Result<Production> {
        let name = &self.objects.production;
        let mode = if self.is_first() { "SHARE ROW EXCLUSIVE" } else { "ROW EXCLUSIVE" };
        self.run(&format!("lock {name}"), &format!("LOCK TABLE {name} IN {mode} MODE")).await?;
        let found = attached::find(&self.transaction, self.table).await;
        let found = found.map_err(|error| self.failed(&format!("look up {name}"), &error))?;
        let production = found.ok_or_else(|| batch::no_production(&self.objects))?;
        let hindrances = adopt::hindrances(&production, self.table);
        if !hindrances.is_empty() {
            return Err(refusal::refusal(name, &hindrances));
        }
        self.spare_foreign_rows().await?;
        Ok(production)
    }

    /// Gives production the form that the batch needs.
    async fn reshape(&self, occasion: &Occasion<'_>) -> Result<()> {
        let changes = reshape::changes(occasion).map_err(|differences| {
            let message =
                format!("{} is not as this batch needs it: {}", self.objects.production, differences.join("; "));
            Error::new(Kind::TargetShape, message)
                .advice("Nothing was applied. Put back what was changed, or run 'delsert resync' for the table")
        })?;
        for Change { statement, retypes, makes_key } in changes {
            tracing::info!(table = %self.table.source_name, "{statement}");
            let views = retypes.map(|column| occasion.production.views_of(&column)).filter(|views| !views.is_empty());
            let views = views.map(|views| format!(", which {views} depends on")).unwrap_or_default();
            self.run(&format!("run {statement}{views}"), &statement).await.map_err(|error| match error.kind() {
                Kind::TargetRefused | Kind::TargetRights | Kind::TargetShape => error.advice(format!(
                    "Nothing was applied. Have it run by hand, without the views or whatever else it names that depends on the column, then run load again: {statement}"
                )),
                _ => error,
            })?;
            if makes_key {
                let signed = attached::sign_key(&self.transaction, self.table).await;
                signed.map_err(|error| self.failed("mark the primary key as delsert's", &error))?;
            }
        }
        Ok(())
    }

    /// What waits for the transaction's end is checked now, where its refusal can be explained.
    async fn check_deferred(&self) -> Result<()> {
        self.run("end the batch", "SET CONSTRAINTS ALL IMMEDIATE").await.map_err(|error| match error.kind() {
            Kind::TargetRefused => error.advice(
                "Nothing was applied. Where rows refer to one that is deleted at the source, delete them there first, or drop the foreign key that the message names",
            ),
            _ => error,
        })
    }

    async fn run(&self, doing: &str, statement: &str) -> Result<()> {
        self.transaction.batch_execute(statement).await.map_err(|error| self.failed(doing, &error))
    }

    fn failed(&self, doing: &str, error: &tokio_postgres::Error) -> Error {
        self.server.owned_by(self.server.failed(doing, error), SCHEMA, &self.objects.staging)
    }

    /// Compares what staging holds with what the manifest says.
    async fn count(&self, manifest: &Manifest) -> Result<()> {
        let counted = self.transaction.query(&delsert::count_operations(&self.objects), &[]).await;
        let rows = counted.map_err(|error| self.failed("count what was copied", &error))?;
        let (mut upserts, mut deletes, mut others) = (0, 0, 0);
        for row in &rows {
            let read =
                row.try_get::<_, Option<&str>>(0).and_then(|operation| Ok((operation, row.try_get::<_, i64>(1)?)));
            let (operation, count) = read.map_err(|error| self.failed("count what was copied", &error))?;
            match operation {
                Some("u") => upserts = count.unsigned_abs(),
                Some("d") => deletes = count.unsigned_abs(),
                _ => others += count.unsigned_abs(),
            }
        }
        batch::check_counts(manifest, (upserts, deletes, others))
    }

    async fn execute(&self, doing: &str, statement: &str) -> Result<u64> {
        let executed = self.transaction.execute(statement, &[]).await;
        executed.map_err(|error| {
            let (schema, production) = (quote(&self.table.schema), &self.objects.production);
            self.server.granted_by(self.failed(doing, &error), |login| {
                format!(
                    "GRANT USAGE ON SCHEMA {schema} TO {login}; GRANT SELECT, INSERT, DELETE ON {production} TO {login}"
                )
            })
        })
    }

    async fn move_watermark(&mut self, manifest: &Manifest) -> Result<()> {
        let statement = delsert::move_watermark(&self.objects, "clock_timestamp()");
        let position = manifest.window.to.to_string();
        let moved = self
            .transaction
            .execute(
                &statement,
                &[
                    &batch::number(manifest.generation)?,
                    &batch::number(manifest.sequence)?,
                    &position,
                    &manifest.attempt,
                    &self.table.sync,
                    &batch::number(self.watermark.generation)?,
                    &batch::number(self.watermark.sequence)?,
                ],
            )
            .await
            .map_err(|error| self.failed("move the watermark", &error))?;
        batch::check_moved(&self.objects, moved)
    }

    async fn apply_within(&mut self, manifest: &Manifest, bucket: &Bucket) -> Result<Applied> {
        batch::check_next(self.table, &self.watermark, manifest)?;
        let types = shape::wanted(&self.transaction, self.server, self.table).await?;
        key::check(&self.transaction, self.server, self.table, &types).await?;
        // Once more under the lock: this look only spares the copying.
        self.spare_foreign_rows().await?;
        self.staging().make_ready(self.table, &types).await?;
        let copier = Copier::new(&self.transaction, self.server, self.table, &self.objects, &manifest.encoding);
        for part in &manifest.parts {
            copier.copy(part, bucket).await?;
            crash::after(Step::PartCopied)?;
        }
        self.count(manifest).await?;
        if manifest.upserts + manifest.deletes >= ANALYZE_FROM {
            self.run("analyse staging", &format!("ANALYZE {}", self.objects.staging)).await?;
        }
        let applied = self.replace(manifest, &types).await?;
        self.move_watermark(manifest).await?;
        crash::after(Step::WatermarkMoved)?;
        self.staging().empty().await?;
        Ok(applied)
    }

    /// Deletes what staging replaces and inserts what it brings.
    async fn replace(&self, manifest: &Manifest, types: &[shape::Type]) -> Result<Applied> {
        let production = self.production().await?;
        if production.deferrable {
            self.run("begin the batch", "SET CONSTRAINTS ALL DEFERRED").await?;
        }
        // A copy's form comes after the old rows are gone, but rows whose deletion is yet to be checked hinder every ALTER.
        let first = manifest.kind != BatchKind::Snapshot || production.deferrable;
        let (production, table) = (&production, self.table);
        let occasion = Occasion { production, table, types, manifest, emptied: !first };
        if first {
            self.reshape(&occasion).await?;
        }
        let delete = delsert::delete(self.table, &self.objects, manifest.kind, delsert::as_staged);
        let deleted = self.execute(&format!("delete from {}", self.objects.production), &delete).await?;
        crash::after(Step::KeysDeleted)?;
        if !first {
            self.reshape(&occasion).await?;
        }
        let insert = delsert::insert(self.table, &self.objects, delsert::as_staged);
        let inserted = self.execute(&format!("insert into {}", self.objects.production), &insert).await?;
        if inserted != manifest.upserts {
            let (production, upserts) = (&self.objects.production, manifest.upserts);
            let message = format!("{production} took {inserted} of {upserts} rows");
            return Err(Error::new(Kind::TargetRefused, message)
                .advice("Nothing was applied. A trigger or rule on that table drops rows: remove it"));
        }
        if production.deferrable {
            self.check_deferred().await?;
        }
        crash::after(Step::RowsInserted)?;
        Ok(Applied { inserted, deleted })
    }
}

impl Load for PostgresLoad<'_> {
    fn watermark(&self) -> &Watermark {
        &self.watermark
    }

    async fn apply(&mut self, manifest: &Manifest, bucket: &Bucket) -> Result<Applied> {
        self.progress.begin(self.table)?;
        let applied = self.apply_within(manifest, bucket).await.map_err(|error| error.on(&self.table.source_name))?;
        self.progress.end();
        Ok(applied)
    }

    async fn commit(self) -> Result<()> {
        self.progress.check(self.table)?;
        let Self { transaction, server, table, .. } = self;
        transaction.commit().await.map_err(|error| server.not_committed(&error).on(&table.source_name))
    }

    async fn rollback(self) -> Result<()> {
        let Self { transaction, server, table, .. } = self;
        transaction.rollback().await.map_err(|error| server.failed("roll back", &error).on(&table.source_name))
    }
}
