//! Batches made by hand, in a bucket of the S3 stand-in.

use std::collections::BTreeMap;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use chrono::Utc;
use delsert::bucket::Bucket;
use delsert::config::{self, Compression, Config, Engine};
use delsert::csv::{Dialect, Encoder, Fit};
use delsert::manifest::{BatchKind, Encoding, FORMAT, Fingerprint, Instance, Manifest, Part, Window};
use delsert::position::Position;
use delsert::row::{Cell, Operation};
use delsert::table::{Column, ColumnType, Table, TableName};
use delsert::target::{redshift, types};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::bucket::{self, S3};
use crate::support::server::Leash;

/// A row: what becomes of it, and its cells.
pub type Row<'a> = (Operation, &'a [Cell<'a>]);

/// A bucket of a test's own.
pub struct Store {
    /// As `delsert` sees it.
    pub bucket: Bucket,
    /// As anybody sees it.
    pub objects: bucket::Bucket,
    /// Where it is served.
    pub endpoint: String,
    engine: Engine,
    _s3: S3,
    _folder: TempDir,
}

impl Store {
    /// Starts the stand-in and creates the bucket, for batches that such a target reads.
    pub async fn start(engine: Engine) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("delsert-store-").tempdir()?;
        let s3 = tokio::task::block_in_place(|| S3::start(folder.path(), &Leash::Owner))?;
        let config = config::Bucket {
            name: "sync-machine-bucket".to_owned(),
            prefix: "delsert".to_owned(),
            region: Some("us-east-1".to_owned()),
            compression: Compression::Zstd,
            part_size: 64 << 20,
            request_timeout: std::time::Duration::from_mins(1),
            endpoint: Some(s3.endpoint()),
            path_style: true,
            ca_file: None,
            profile: None,
            role: None,
            encryption: config::Encryption::Default,
        };
        let keys = Credentials::new(bucket::ACCESS_KEY, bucket::SECRET_KEY, None, None, "test");
        let bucket = Bucket::with_client(client(&s3, keys.clone()), &config);
        let bucket = bucket.with_credentials(Some(SharedCredentialsProvider::new(keys)));
        bucket.ensure().await?;
        let (objects, endpoint) = (s3.bucket(&config.name), s3.endpoint());
        Ok(Self { bucket, objects, endpoint, engine, _s3: s3, _folder: folder })
    }

    /// Writes a batch of one part for each slice of rows, and gives its manifest, which is not in the bucket.
    pub async fn batch(&self, table: &Table, number: (u64, u64), parts: &[&[Row<'_>]]) -> anyhow::Result<Manifest> {
        self.packed_batch(Compression::Zstd, table, number, parts).await
    }

    /// The same with another compression.
    pub async fn packed_batch(
        &self,
        compression: Compression,
        table: &Table,
        number: (u64, u64),
        parts: &[&[Row<'_>]],
    ) -> anyhow::Result<Manifest> {
        let mut manifest = empty(compression, table, number, types::dialect(self.engine));
        for (at, rows) in parts.iter().enumerate() {
            let text = encode(table, self.engine, &manifest.encoding.dialect, rows)?;
            let packed = pack(compression, &text)?;
            let key = self.bucket.key(&format!("shop/{}/{}-{at}", manifest.table.name, manifest.attempt));
            let mut part = Part { key, rows: rows.len() as u64, bytes: 0, sha256: String::new() };
            self.write(&mut part, packed).await?;
            manifest.parts.push(part);
            let upserts = rows.iter().filter(|(operation, _)| *operation == Operation::Upsert).count() as u64;
            manifest.upserts += upserts;
            manifest.deletes += rows.len() as u64 - upserts;
        }
        self.list(&manifest).await?;
        Ok(manifest)
    }

    /// Writes the list of a batch's parts, where the target reads them by one.
    pub async fn list(&self, manifest: &Manifest) -> anyhow::Result<()> {
        if self.engine != Engine::Redshift || manifest.parts.is_empty() {
            return Ok(());
        }
        let list = redshift::copy::list(self.bucket.name(), &manifest.parts);
        let key = format!("shop/{}/{}.{}", manifest.table.name, manifest.attempt, redshift::copy::LIST);
        self.objects.put(&self.bucket.key(&key), list).await
    }

    /// Writes a part's object, and its size and checksum into the part.
    pub async fn write(&self, part: &mut Part, bytes: Vec<u8>) -> anyhow::Result<()> {
        part.bytes = bytes.len() as u64;
        part.sha256 = hex(&Sha256::digest(&bytes));
        self.objects.put(&part.key, bytes).await
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn client(s3: &S3, keys: Credentials) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(keys)
        .region(Region::new("us-east-1"))
        .endpoint_url(s3.endpoint())
        .force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

/// A batch without parts; sequence 1 is the snapshot.
fn empty(compression: Compression, table: &Table, (generation, sequence): (u64, u64), dialect: Dialect) -> Manifest {
    let position = |sequence: u64| Position::new((generation * 1000 + sequence).to_be_bytes());
    let snapshot = sequence == 1;
    Manifest {
        format: FORMAT,
        sync: "shop".to_owned(),
        attempt: Uuid::new_v4(),
        generation,
        sequence,
        table: table.clone(),
        kind: if snapshot { BatchKind::Snapshot } else { BatchKind::Changes },
        window: Window { from: (!snapshot).then(|| position(sequence - 1)), to: position(sequence) },
        instance: Instance { name: "i".to_owned(), created: "2026-01-01 00:00:00.000".to_owned() },
        source: Fingerprint { engine: "test".to_owned(), database: "shop".to_owned(), marks: BTreeMap::new() },
        committed: None,
        upserts: 0,
        deletes: 0,
        losses: delsert::loss::Losses::default(),
        types: Vec::new(),
        added: Vec::new(),
        encoding: Encoding { compression, dialect },
        parts: Vec::new(),
        written_at: Utc::now(),
    }
}

/// What becomes of the table's values in the target, where nothing is configured.
pub fn fits(table: &Table, engine: Engine) -> anyhow::Result<Vec<Fit>> {
    Ok(delsert::target::fits::fits(&Config::parse("[sync]\nname = \"shop\"")?, engine, table)?)
}

fn encode(table: &Table, engine: Engine, dialect: &Dialect, rows: &[Row<'_>]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = Encoder::new(table, fits(table, engine)?, dialect.clone(), false);
    for (operation, cells) in rows {
        encoder.begin(*operation);
        for cell in *cells {
            encoder.cell(*cell)?;
        }
        encoder.end()?;
    }
    let mut text = Vec::new();
    encoder.drain(true, |bytes| {
        text.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(text)
}

fn pack(compression: Compression, text: &[u8]) -> anyhow::Result<Vec<u8>> {
    Ok(match compression {
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1)?;
            encoder.include_checksum(true)?;
            std::io::Write::write_all(&mut encoder, text)?;
            encoder.finish()?
        }
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, text)?;
            encoder.finish()?
        }
        Compression::None => text.to_vec(),
    })
}

/// A table whose first `key` columns are the key; only they are NOT NULL.
pub fn table(name: &str, key: usize, columns: &[(&str, ColumnType)]) -> Table {
    let column = |(at, (name, column_type)): (usize, &(&str, ColumnType))| Column {
        name: (*name).to_owned(),
        source_type: "any".to_owned(),
        column_type: *column_type,
        nullable: at >= key,
        collation: None,
    };
    Table {
        name: TableName::new("Sales", name),
        key: columns[..key].iter().map(|(name, _)| (*name).to_owned()).collect(),
        columns: columns.iter().enumerate().map(column).collect(),
    }
}

/// Text of any length.
pub const TEXT: ColumnType = ColumnType::Text { max_chars: None, max_bytes: None };

/// A four-byte integer.
pub const INTEGER: ColumnType = ColumnType::Integer { bytes: 4 };

/// Orders: a number and a note.
pub fn orders() -> Table {
    table("Orders", 1, &[("OrderID", INTEGER), ("Note", TEXT)])
}
