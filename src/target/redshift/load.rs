//! The one transaction of a load.
//!
//! The table's own lock first: LOCK takes no snapshot ("Serializable isolation"), so that what is read after the wait is
//! what the one before committed. No TRUNCATE, VACUUM or APPEND, which commit or are refused.

use std::time::Duration;

use tokio_postgres::Transaction;
use tokio_postgres::types::{ToSql, Type};

use super::copy::Copier;
use super::reshape::Occasion;
use super::shape::{self, Relation};
use super::{Redshift, adopt, objects, prepare, read_watermark, staging};
use crate::bucket::Bucket;
use crate::config::RedshiftOptions;
use crate::crash::{self, Step};
use crate::error::{Error, Kind, Result};
use crate::manifest::{BatchKind, Manifest};
use crate::target::batch::{self, Progress};
use crate::target::delsert::{self, Objects, SCHEMA, quote};
use crate::target::pgwire::failure::Server;
use crate::target::pgwire::{Session, foreign, milliseconds};
use crate::target::{Applied, Load, TargetTable, Watermark, refusal};

/// What lifts the bound on statements, and so that on waiting.
pub const UNBOUND: &str = "SET statement_timeout TO 0";

/// The statement that bounds those which follow, their time in the queue and their waits for locks included.
pub fn bound(most: Duration) -> String {
    format!("SET statement_timeout TO {}", milliseconds(most))
}

/// A load in progress. Dropped, it rolls back; the connection can then be used again.
pub struct RedshiftLoad<'a> {
    transaction: Transaction<'a>,
    server: &'a Server,
    options: &'a RedshiftOptions,
    lock_timeout: Duration,
    table: &'a TargetTable,
    objects: Objects,
    watermark: Watermark,
    progress: Progress,
}

impl<'a> RedshiftLoad<'a> {
    /// As [`Target::begin`](crate::target::Target::begin).
    ///
    /// # Errors
    /// As there.
    pub(super) async fn begin(
        redshift: &'a mut Redshift,
        table: &'a TargetTable,
        patience: Duration,
    ) -> Result<RedshiftLoad<'a>> {
        let Redshift { session, lock_timeout, options } = redshift;
        let Session { client, server, .. } = session;
        let objects = objects(table);
        // Before the transaction, whose end by ROLLBACK takes back what was set within it.
        let bounded = client.batch_execute(&bound(patience)).await;
        bounded.map_err(|error| server.failed("bound a wait", &error))?;
        let begun = client.transaction().await;
        let transaction = begun.map_err(|error| server.failed("begin a transaction", &error))?;
        for statement in [&prepare::lock_statement(&objects), UNBOUND] {
            transaction.batch_execute(statement).await.map_err(|error| {
                let failed = server.failed(&format!("lock {}", objects.mark), &error);
                match error.code().map_or("", |code| code.code()) {
                    "57014" => failed.advice(format!(
                        "Another load or check of this table holds it, or a session that someone left open: wait for it, or look in svv_transactions for {}",
                        objects.mark
                    )),
                    "42P01" | "3F000" => batch::no_watermark(&objects),
                    _ => server.owned_by(failed, SCHEMA, &objects.mark),
                }
            })?;
        }
        let watermark =
            read_watermark(&transaction, server, table).await?.ok_or_else(|| batch::no_watermark(&objects))?;
        let lock_timeout = *lock_timeout;
        Ok(Self {
            transaction,
            server,
            options,
            lock_timeout,
            table,
            objects,
            watermark,
            progress: Progress::default(),
        })
    }

    async fn run(&self, doing: &str, statement: &str) -> Result<()> {
        self.transaction.batch_execute(statement).await.map_err(|error| self.failed(doing, &error))
    }

    async fn execute(&self, doing: &str, statement: &str) -> Result<u64> {
        let executed = self.transaction.execute_typed(statement, &[]).await;
        executed.map_err(|error| {
            let (schema, production) = (quote(&self.table.schema), &self.objects.production);
            self.server.granted_by(self.failed(doing, &error), |login| {
                format!(
                    "GRANT USAGE ON SCHEMA {schema} TO {login}; GRANT SELECT, INSERT, DELETE ON TABLE {production} TO {login}"
                )
            })
        })
    }

    fn failed(&self, doing: &str, error: &tokio_postgres::Error) -> Error {
        self.server.failed(doing, error)
    }

    /// Whether no batch was loaded yet, so that the table may hold rows that are not ours to delete.
    fn is_first(&self) -> bool {
        self.watermark.generation == 0
    }

    /// Refuses, before the first batch, rows that no batch brought, unless they may be replaced. Rows that come later than
    /// our snapshot end the transaction when it writes the table.
    async fn spare_foreign_rows(&self) -> Result<()> {
        if !self.is_first() {
            return Ok(());
        }
        foreign::spare(&self.transaction, self.server, self.table, &self.objects.production).await
    }

    async fn production(&self) -> Result<Relation> {
        let name = &self.objects.production;
        let found = shape::find(&self.transaction, &self.table.schema, &self.table.name).await;
        let found = found.map_err(|error| self.failed(&format!("look up {name}"), &error))?;
        let production = found.ok_or_else(|| batch::no_production(&self.objects))?;
        let hindrances = adopt::hindrances(&production);
        if hindrances.is_empty() { Ok(production) } else { Err(refusal::refusal(name, &hindrances)) }
    }

    async fn apply_within(&mut self, manifest: &Manifest, bucket: &Bucket) -> Result<Applied> {
        batch::check_next(self.table, &self.watermark, manifest)?;
        let production = self.production().await?;
        self.spare_foreign_rows().await?;
        self.run("make staging", &staging::create(self.table, &self.objects, &production)).await?;
        if !manifest.parts.is_empty() {
            let copier = Copier::new(&self.transaction, self.server, self.options, self.table, &self.objects);
            copier.copy(manifest, bucket).await?;
            crash::after(Step::PartCopied)?;
        }
        self.count(manifest).await?;
        let applied = self.replace(manifest, &production).await?;
        self.move_watermark(manifest).await?;
        crash::after(Step::WatermarkMoved)?;
        self.run("drop staging", &format!("DROP TABLE {}", self.objects.staging)).await?;
        Ok(applied)
    }

    /// Compares what staging holds with what the manifest says.
    async fn count(&self, manifest: &Manifest) -> Result<()> {
        let counted = self.transaction.query_typed(&delsert::count_operations(&self.objects), &[]).await;
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

    /// Deletes what staging replaces and inserts what it brings.
    async fn replace(&self, manifest: &Manifest, production: &Relation) -> Result<Applied> {
        self.lock_out_writers().await?;
        let occasion = Occasion { name: &self.objects.production, production, table: self.table, manifest };
        // A copy's form comes after the old rows are gone, which then need not be carried over.
        let first = manifest.kind != BatchKind::Snapshot;
        if first {
            self.reshape(&occasion).await?;
        }
        let delete = delsert::delete(self.table, &self.objects, manifest.kind, staging::read);
        let deleted = self.execute(&format!("delete from {}", self.objects.production), &delete).await?;
        crash::after(Step::KeysDeleted)?;
        if !first {
            self.reshape(&occasion).await?;
        }
        let insert = delsert::insert(self.table, &self.objects, staging::read);
        let inserted = self.execute(&format!("insert into {}", self.objects.production), &insert).await?;
        if inserted != manifest.upserts {
            let (production, upserts) = (&self.objects.production, manifest.upserts);
            return Err(Error::new(Kind::TargetRefused, format!("{production} took {inserted} of {upserts} rows"))
                .advice("Nothing was applied. Run the task again"));
        }
        crash::after(Step::RowsInserted)?;
        Ok(Applied { inserted, deleted })
    }

    /// Takes the lock that every write takes, waiting no longer than is configured: a statement that changes nothing is
    /// the only one that waits for it and for nothing else.
    async fn lock_out_writers(&self) -> Result<()> {
        let name = &self.objects.production;
        self.run("bound a wait", &bound(self.lock_timeout)).await?;
        self.execute(&format!("lock {name} against writers"), &format!("DELETE FROM {name} WHERE 1 = 0")).await?;
        self.run("bound a wait", UNBOUND).await
    }

    /// Gives production the form that the batch needs.
    async fn reshape(&self, occasion: &Occasion<'_>) -> Result<()> {
        let changes = occasion.changes(&self.transaction, self.server).await?;
        for statement in changes {
            tracing::info!(table = %self.table.source_name, "{statement}");
            let drops = statement.contains(" DROP COLUMN ") || statement.starts_with("DROP TABLE ");
            // Readers keep these waiting, but for no longer than is configured; what copies rows may take its time.
            let waits = drops || statement.starts_with("ALTER TABLE ");
            if waits {
                self.run("bound a wait", &bound(self.lock_timeout)).await?;
            }
            self.run(&format!("run {statement}"), &statement).await.map_err(|error| match error.kind() {
                Kind::TargetRefused | Kind::TargetShape if drops => error.advice(
                    "Nothing was applied. A view that reads what is replaced keeps it from being dropped: make it a late-binding one (WITH NO SCHEMA BINDING), or drop it, run load, and make it again",
                ),
                _ => error,
            })?;
            if waits {
                self.run("bound a wait", UNBOUND).await?;
            }
        }
        Ok(())
    }

    async fn move_watermark(&self, manifest: &Manifest) -> Result<()> {
        let statement = delsert::move_watermark(&self.objects, "getdate()");
        let (position, attempt) = (manifest.window.to.to_string(), manifest.attempt.to_string());
        let (generation, sequence) = (batch::number(manifest.generation)?, batch::number(manifest.sequence)?);
        let (from, after) = (batch::number(self.watermark.generation)?, batch::number(self.watermark.sequence)?);
        let values: [(&(dyn ToSql + Sync), Type); 7] = [
            (&generation, Type::INT8),
            (&sequence, Type::INT8),
            (&position, Type::VARCHAR),
            (&attempt, Type::VARCHAR),
            (&self.table.sync, Type::VARCHAR),
            (&from, Type::INT8),
            (&after, Type::INT8),
        ];
        let moved = self.transaction.execute_typed(&statement, &values);
        let moved = moved.await.map_err(|error| self.failed("move the watermark", &error))?;
        batch::check_moved(&self.objects, moved)
    }
}

impl Load for RedshiftLoad<'_> {
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
        self.run("bound the next wait", &bound(self.lock_timeout))
            .await
            .map_err(|error| error.on(&self.table.source_name))?;
        let Self { transaction, server, table, .. } = self;
        transaction.commit().await.map_err(|error| server.not_committed(&error).on(&table.source_name))
    }

    async fn rollback(self) -> Result<()> {
        let Self { transaction, server, table, .. } = self;
        transaction.rollback().await.map_err(|error| server.failed("roll back", &error).on(&table.source_name))
    }
}
