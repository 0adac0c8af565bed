//! One try at one batch: parts, each verified, then the manifest, created only if absent.

use std::time::Duration;

use chrono::Utc;
use uuid::Uuid;

use super::Shared;
use super::window::{self, Step};
use crate::config::Engine;
use crate::crash::{self, Step as Durable};
use crate::csv::{Dialect, Encoder, Fit};
use crate::error::{Kind, Result};
use crate::ledger::Publication;
use crate::manifest::{CommitTime, Encoding, FORMAT, Manifest, Opening, Window};
use crate::part::{Sizes, Writer, Written};
use crate::position::Position;
use crate::source::{Source, Tracked};
use crate::target::{fits, redshift, types};

/// How often a batch is begun again because a text equals its NULL sentinel.
const SENTINELS: usize = 8;

/// How long an attempt that failed may still ask a bucket that may be what failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How an attempt ended.
pub enum Outcome {
    /// The batch is in the ledger.
    Won(Box<Manifest>),
    /// Another attempt's batch is.
    Lost,
    /// Nothing changed in the window, and no batch was due: the table stands where it stood.
    Empty(Position),
}

/// A batch's place, and what it is made of.
struct Attempt<'a, S> {
    shared: &'a Shared<S>,
    tracked: Tracked<'a>,
    opening: &'a Opening,
    tail: Option<&'a Manifest>,
    sequence: u64,
    id: Uuid,
    dialect: Dialect,
    fits: &'a [Fit],
}

/// Makes a batch, with another sentinel if a text equals the first.
pub async fn make<S: Source>(
    shared: &Shared<S>,
    source: &mut S,
    tracked: Tracked<'_>,
    opening: &Opening,
    tail: Option<&Manifest>,
    step: &Step,
) -> Result<Outcome> {
    let engine = shared.context.config.naming()?.engine;
    let fits = fits::fits(&shared.context.config, engine, tracked.table)?;
    let mut dialect = types::dialect(engine);
    let mut tries = 0;
    loop {
        let (sequence, id) = (step.sequence(), Uuid::new_v4());
        let attempt = Attempt { shared, tracked, opening, tail, sequence, id, dialect: dialect.clone(), fits: &fits };
        match attempt.run(source, step).await {
            Err(error) if error.kind() == Kind::Sentinel && tries < SENTINELS => {
                tries += 1;
                tracing::info!(table = %tracked.table.name, "{error}; beginning again with another");
                let another = &Uuid::new_v4().simple().to_string()[..12];
                dialect.null = format!("{}{another}", types::dialect(engine).null);
                // The source is in the middle of a result: only a new connection is sure to be clean.
                shared.connect_anew(source, &tracked.table.name).await?;
            }
            other => return other,
        }
    }
}

/// Makes the empty batch from the tail to the cut of a table in which nothing changed, as the source was asked.
pub async fn renew<S: Source>(
    shared: &Shared<S>,
    tracked: Tracked<'_>,
    opening: &Opening,
    tail: &Manifest,
    committed: CommitTime,
) -> Result<Outcome> {
    let engine = shared.context.config.naming()?.engine;
    let (dialect, fits) = (types::dialect(engine), fits::fits(&shared.context.config, engine, tracked.table)?);
    let compression = shared.context.config.bucket()?.compression;
    let (from, to, sequence) = (tail.window.to.clone(), shared.cut.clone(), tail.sequence + 1);
    let (tail, id) = (Some(tail), Uuid::new_v4());
    let attempt = Attempt { shared, tracked, opening, tail, sequence, id, dialect, fits: &fits };
    let step = Step::Window { sequence, from: from.clone(), to: to.clone(), even_if_empty: true };
    let window = Window { from: Some(from), to };
    let manifest = attempt.manifest(&step, window, Written::default(), Some(committed), compression);
    crash::after(Durable::PartsVerified)?;
    attempt.publish(manifest).await
}

impl<S: Source> Attempt<'_, S> {
    async fn run(&self, source: &mut S, step: &Step) -> Result<Outcome> {
        match self.write(source, step).await {
            Ok(Some(manifest)) => {
                crash::after(Durable::PartsVerified)?;
                self.publish(manifest).await
            }
            Ok(None) => {
                self.remove_own().await;
                let Step::Window { from, .. } = step else { return Ok(Outcome::Lost) };
                Ok(Outcome::Empty(from.clone()))
            }
            Err(error) => {
                self.remove_own().await;
                if error.kind() == Kind::Sentinel || !self.is_taken().await {
                    return Err(error);
                }
                // The winner removed our parts while we wrote them. The source is in the middle of a result.
                self.shared.connect_anew(source, &self.tracked.table.name).await?;
                Ok(Outcome::Lost)
            }
        }
    }

    /// Writes the parts, and gives the manifest that would make them a batch; `None` if there is nothing to tell.
    async fn write(&self, source: &mut S, step: &Step) -> Result<Option<Manifest>> {
        let shared = self.shared;
        let bucket = shared.context.config.bucket()?;
        let name = &self.tracked.table.name;
        // A copy may meet a row that moved twice.
        let copies = matches!(step, Step::Snapshot | Step::Backfill { .. });
        let target = shared.context.config.naming()?;
        let engine = target.engine;
        let encoder = Encoder::new(self.tracked.table, self.fits.to_vec(), self.dialect.clone(), copies);
        let encoder = encoder.of_rows_up_to(types::longest_row(engine));
        let part_names = shared.ledger.part_stem(name, self.opening.generation, self.sequence, self.id);
        let sizes = Sizes { part: bucket.part_size, abreast: target.slices };
        let writer = Writer::new(shared.ledger.bucket(), part_names.clone(), bucket.compression, sizes, encoder);
        let mut writer = writer.on(name);
        tracing::info!(table = %name, generation = self.opening.generation, sequence = self.sequence, kind = ?step.kind(), "extracting");
        let (window, written) = match step {
            Step::Idle(_) => return Ok(None),
            Step::Snapshot => {
                let to = source.snapshot(self.tracked, &mut writer).await?;
                (Window { from: None, to }, writer.finish().await?)
            }
            Step::Backfill { at, columns, .. } => {
                source.rows_holding(self.tracked.table, columns, &mut writer).await?;
                (Window { from: Some(at.clone()), to: at.clone() }, writer.finish().await?)
            }
            Step::Window { from, to, .. } => {
                source.changes(self.tracked, from, to, &mut writer).await?;
                let written = writer.finish().await?;
                (Window { from: Some(from.clone()), to: to.clone() }, written)
            }
        };
        // Cleanup may have passed the window's beginning while it was read.
        let bounds = source.bounds(self.tracked, &window.to).await?;
        if window.from.is_none() && bounds.minimum > window.to {
            return Err(window::outlived(&window.to, &bounds.minimum));
        }
        if window.from.as_ref().is_some_and(|from| bounds.minimum > *from) {
            return Err(self.tail.map_or_else(
                || window::outlived(&window.to, &bounds.minimum),
                |tail| window::gap(tail, &self.tracked.capture.instance, &bounds),
            ));
        }
        if let Step::Window { to, even_if_empty, .. } = step {
            window::check_captured(to, &bounds)?;
            if written.upserts + written.deletes == 0 && !even_if_empty {
                return Ok(None);
            }
        }
        if engine == Engine::Redshift && !written.parts.is_empty() {
            // The target reads the parts itself, by a list of them.
            let list = redshift::copy::list(shared.ledger.bucket().name(), &written.parts);
            shared.ledger.bucket().put(&format!("{part_names}.{}", redshift::copy::LIST), list.into()).await?;
        }
        Ok(Some(self.manifest(step, window, written, bounds.committed, bucket.compression)))
    }

    fn manifest(
        &self,
        step: &Step,
        window: Window,
        written: Written,
        committed: Option<CommitTime>,
        compression: crate::config::Compression,
    ) -> Manifest {
        Manifest {
            format: FORMAT,
            sync: self.shared.context.config.sync.name.clone(),
            attempt: self.id,
            generation: self.opening.generation,
            sequence: self.sequence,
            table: self.tracked.table.clone(),
            added: if let Step::Backfill { columns, .. } = step { columns.clone() } else { Vec::new() },
            kind: step.kind(),
            window,
            instance: self.tracked.capture.instance.clone(),
            source: self.shared.info.fingerprint.clone(),
            committed,
            upserts: written.upserts,
            deletes: written.deletes,
            losses: written.losses,
            types: self.fits.iter().map(|fit| fit.sql_type.clone()).collect(),
            encoding: Encoding { compression, dialect: self.dialect.clone() },
            parts: written.parts,
            written_at: Utc::now(),
        }
    }

    /// Rule 1. What fails here may have happened: nothing is then removed.
    async fn publish(&self, manifest: Manifest) -> Result<Outcome> {
        let name = &self.tracked.table.name;
        match self.shared.ledger.publish(&manifest).await? {
            Publication::Won => {
                tracing::info!(table = %name, upserts = manifest.upserts, deletes = manifest.deletes, to = %manifest.window.to, "wrote a batch");
                let (ledger, mine) = (&self.shared.ledger, self.id);
                let swept =
                    ledger.remove_attempts(name, manifest.generation, manifest.sequence, |attempt| attempt != mine);
                if let Err(error) = swept.await {
                    tracing::warn!(table = %name, %error, "could not remove what rivals left; check does");
                }
                Ok(Outcome::Won(Box::new(manifest)))
            }
            Publication::Lost(winner) => {
                tracing::info!(table = %name, %winner, "another worker wrote the batch");
                self.remove_own().await;
                Ok(Outcome::Lost)
            }
        }
    }

    /// Whether another attempt's manifest stands at this sequence.
    async fn is_taken(&self) -> bool {
        let found = self.shared.ledger.manifest(&self.tracked.table.name, self.opening.generation, self.sequence);
        let found = tokio::time::timeout(PATIENCE, found).await;
        matches!(found, Ok(Ok(Some(manifest))) if manifest.attempt != self.id)
    }

    /// Removes this attempt's own parts, as well as that can be done; what stays is an orphan that check removes.
    async fn remove_own(&self) {
        let (ledger, mine) = (&self.shared.ledger, self.id);
        let name = &self.tracked.table.name;
        let removal = ledger.remove_attempts(name, self.opening.generation, self.sequence, |attempt| attempt == mine);
        match tokio::time::timeout(PATIENCE, removal).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(table = %name, %error, "could not remove its own parts; check does"),
            Err(_) => tracing::warn!(table = %name, "could not remove its own parts in time; check does"),
        }
    }
}
