//! Batches written by hand with the library's own parts and ledger: what load finds, whoever extracted it.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use chrono::Utc;
use delsert::config::Compression;
use delsert::csv::Encoder;
use delsert::ledger::Publication;
use delsert::manifest::{BatchKind, Encoding, FORMAT, Fingerprint, Instance, Manifest, Opening, Window};
use delsert::part::{Sizes, Writer};
use delsert::position::Position;
use delsert::row::{Cell, Operation, RowSink};
use delsert::table::{Column, ColumnType, Table, TableName};
use delsert::target::delsert::Objects;
use delsert::target::postgres::Postgres;
use delsert::target::{Target, TargetTable};
use uuid::Uuid;

use super::stage::Stage;
use crate::support::ground::SYNC;

/// A row of a batch: its key, and its note, or `None` where it is deleted.
pub type Row<'a> = (i64, Option<&'a str>);

/// A table `dbo.<name>` of a number and a note.
pub fn table(name: &str) -> Table {
    let column = |name: &str, column_type, source_type: &str, nullable| Column {
        name: name.to_owned(),
        source_type: source_type.to_owned(),
        column_type,
        nullable,
        collation: None,
    };
    Table {
        name: TableName::new("dbo", name),
        key: vec!["ID".to_owned()],
        columns: vec![
            column("ID", ColumnType::Integer { bytes: 4 }, "int", false),
            column("Note", ColumnType::Text { max_chars: None, max_bytes: None }, "nvarchar(max)", true),
        ],
    }
}

/// The position at which a batch ends.
pub fn position(generation: u64, sequence: u64) -> Position {
    position_after(generation, sequence, 0)
}

/// A position so much after the end of a batch, and before that of the next.
pub fn position_after(generation: u64, sequence: u64, more: u8) -> Position {
    let mut bytes = [0; 10];
    bytes[1..9].copy_from_slice(&(generation * 1000 + sequence).to_be_bytes());
    bytes[9] = more;
    Position::new(bytes)
}

fn fingerprint() -> Fingerprint {
    Fingerprint { engine: "sqlserver".to_owned(), database: "shop".to_owned(), marks: BTreeMap::new() }
}

/// A manifest without parts, as an attempt of its own would write it.
pub fn manifest(table: &Table, generation: u64, sequence: u64) -> Manifest {
    let snapshot = sequence == 1;
    Manifest {
        format: FORMAT,
        sync: SYNC.to_owned(),
        attempt: Uuid::new_v4(),
        generation,
        sequence,
        table: table.clone(),
        kind: if snapshot { BatchKind::Snapshot } else { BatchKind::Changes },
        window: Window {
            from: (!snapshot).then(|| position(generation, sequence - 1)),
            to: position(generation, sequence),
        },
        instance: Instance { name: "by_hand".to_owned(), created: "2026-01-01 00:00:00.000".to_owned() },
        source: fingerprint(),
        committed: None,
        upserts: 0,
        deletes: 0,
        losses: delsert::loss::Losses::default(),
        types: Vec::new(),
        added: Vec::new(),
        encoding: Encoding {
            compression: Compression::None,
            dialect: delsert::target::types::dialect(delsert::config::Engine::Postgres),
        },
        parts: Vec::new(),
        written_at: Utc::now(),
    }
}

impl Stage {
    /// Makes the target's tables, as check does.
    pub async fn prepare(&self, table: &Table) -> anyhow::Result<TargetTable> {
        let config = self.parsed()?;
        let place = Postgres::place(&config, table)?;
        Postgres::connect(&config.target()?).await?.prepare(&place).await?;
        Ok(place)
    }

    /// The name of a table's lock and watermark in the target, quoted.
    pub fn mark(&self, table: &Table) -> anyhow::Result<String> {
        Ok(Objects::of(&Postgres::place(&self.parsed()?, table)?, 63).mark)
    }

    /// Opens a generation.
    pub async fn open(&self, table: &Table, generation: u64) -> anyhow::Result<()> {
        self.bucket()?.ensure().await?;
        let opening = Opening {
            format: FORMAT,
            attempt: Uuid::new_v4(),
            generation,
            table: table.clone(),
            source: fingerprint(),
            opened_at: Utc::now(),
        };
        self.ledger()?.open(&opening).await?;
        Ok(())
    }

    /// Writes the parts of a batch, one for each row, and gives its manifest, which is not in the bucket.
    pub async fn parts(&self, table: &Table, place: (u64, u64), rows: &[Row<'_>]) -> anyhow::Result<Manifest> {
        let mut manifest = manifest(table, place.0, place.1);
        let (bucket, ledger) = (self.bucket()?, self.ledger()?);
        let stem = ledger.part_stem(&table.name, place.0, place.1, manifest.attempt);
        let encoder = Encoder::new(
            table,
            crate::contract::batch::fits(table, delsert::config::Engine::Postgres)?,
            manifest.encoding.dialect.clone(),
            false,
        );
        let mut writer = Writer::new(&bucket, stem, Compression::None, Sizes { part: 1, abreast: 1 }, encoder);
        for (id, note) in rows {
            writer.begin(if note.is_some() { Operation::Upsert } else { Operation::Delete });
            writer.cell(Cell::Integer(*id))?;
            writer.cell(note.map_or(Cell::Null, Cell::Text))?;
            writer.end()?;
            writer.drain().await?;
        }
        let written = writer.finish().await?;
        ensure!(written.parts.len() == rows.len(), "not one part for each row");
        (manifest.upserts, manifest.deletes, manifest.parts) = (written.upserts, written.deletes, written.parts);
        Ok(manifest)
    }

    /// Makes a batch exist.
    pub async fn publish(&self, manifest: &Manifest) -> anyhow::Result<()> {
        let published = self.ledger()?.publish(manifest).await?;
        ensure!(published == Publication::Won, "a batch by hand found its place taken");
        Ok(())
    }

    /// Writes a batch.
    pub async fn batch(&self, table: &Table, place: (u64, u64), rows: &[Row<'_>]) -> anyhow::Result<Manifest> {
        let manifest = self.parts(table, place, rows).await?;
        self.publish(&manifest).await?;
        Ok(manifest)
    }

    /// The target's rows: key and note, in the order of the keys.
    pub async fn rows(&self, table: &Table) -> anyhow::Result<Vec<(i32, Option<String>)>> {
        let client = self.target.connect().await?;
        let query = format!("SELECT id, note FROM dbo.\"{}\" ORDER BY id", table.name.name.to_lowercase());
        Ok(client.query(&query, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Fails unless the target holds exactly these rows.
    pub async fn expect_rows(&self, table: &Table, expected: &[(i32, &str)]) -> anyhow::Result<()> {
        let found = self.rows(table).await?;
        let same = found.iter().map(|(id, note)| (*id, note.as_deref().unwrap_or_default()));
        ensure!(same.eq(expected.iter().copied()), "the target holds {found:?}, not {expected:?}");
        Ok(())
    }

    /// The watermark: generation and sequence.
    pub async fn watermark(&self, table: &Table) -> anyhow::Result<(i64, i64)> {
        let client = self.target.connect().await?;
        let query = format!("SELECT generation, sequence FROM {}", self.mark(table)?);
        let row = client.query_one(&query, &[]).await.context("the watermark")?;
        Ok((row.get(0), row.get(1)))
    }
}
