//! Parts: rows on their way into the bucket, compressed, hashed and uploaded piece by piece as they come.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use aws_sdk_s3::types::CompletedPart;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::bucket::{Bucket, Upload};
use crate::config::Compression;
use crate::crash::{self, Step};
use crate::csv::Encoder;
use crate::digest;
use crate::error::{Error, Kind, Result};
use crate::loss::Losses;
use crate::manifest;
use crate::row::{Cell, Operation, RowSink};
use crate::table::TableName;

/// The least that S3 takes as a piece that is not the last.
const PIECE: usize = 5 << 20;

/// Encoded rows gathered before they are compressed.
const GATHER: usize = 192 << 10;

/// The least, compressed, that is worth a part of its own.
const LEAST: u64 = 1 << 20;

/// How large parts get, and how many are filled alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes, compressed, at which a part ends.
    pub part: u64,
    /// How many parts are filled at a time, all to about the same size, once a batch is large enough: it then has a
    /// multiple of so many. Each costs up to 7 MiB of memory.
    pub abreast: usize,
}

/// What [`Writer::finish`] gives.
#[derive(Debug, Default)]
pub struct Written {
    /// The parts, each verified in the bucket.
    pub parts: Vec<manifest::Part>,
    /// Rows upserted.
    pub upserts: u64,
    /// Keys deleted.
    pub deletes: u64,
    /// What was lost of values, as the configuration allows.
    pub losses: Losses,
}

/// A [`RowSink`] that writes an attempt's parts.
pub struct Writer<'a> {
    bucket: &'a Bucket,
    stem: String,
    compression: Compression,
    sizes: Sizes,
    encoder: Encoder,
    open: Vec<OpenPart>,
    finished: Vec<manifest::Part>,
    rows_in_parts: u64,
    progress: Progress,
}

/// Tells from time to time how far the rows have come.
struct Progress {
    table: String,
    every: Duration,
    started: Instant,
    told: Instant,
    bytes: u64,
}

/// A part being written.
struct OpenPart {
    key: String,
    rows: u64,
    compressor: Compressor,
    hash: Sha256,
    bytes: u64,
    upload: Option<Upload>,
    pieces: Vec<CompletedPart>,
}

enum Compressor {
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    Gzip(Box<flate2::write::GzEncoder<Vec<u8>>>),
    None(Vec<u8>),
}

/// The file ending of parts.
pub fn extension(compression: Compression) -> &'static str {
    match compression {
        Compression::Zstd => "csv.zst",
        Compression::Gzip => "csv.gz",
        Compression::None => "csv",
    }
}

impl Compressor {
    fn new(compression: Compression) -> Result<Self> {
        Ok(match compression {
            Compression::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).map_err(local)?;
                // Where the target reads a part by itself nobody else sees that it is not what was written.
                encoder.include_checksum(true).map_err(local)?;
                Self::Zstd(Box::new(encoder))
            }
            Compression::Gzip => {
                Self::Gzip(Box::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(4))))
            }
            Compression::None => Self::None(Vec::new()),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.write_all(bytes).map_err(local),
            Self::Gzip(encoder) => encoder.write_all(bytes).map_err(local),
            Self::None(buffer) => {
                buffer.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Bytes that came out and were not sent yet.
    fn held(&self) -> u64 {
        match self {
            Self::Zstd(encoder) => encoder.get_ref().len() as u64,
            Self::Gzip(encoder) => encoder.get_ref().len() as u64,
            Self::None(buffer) => buffer.len() as u64,
        }
    }

    fn output(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::None(buffer) => buffer,
        }
    }

    fn finish(self) -> Result<Vec<u8>> {
        match self {
            Self::Zstd(encoder) => encoder.finish().map_err(local),
            Self::Gzip(encoder) => encoder.finish().map_err(local),
            Self::None(buffer) => Ok(buffer),
        }
    }
}

fn local(error: std::io::Error) -> Error {
    Error::new(Kind::Internal, "compression failed").because(error)
}

impl<'a> Writer<'a> {
    /// A writer of parts named `<stem>-<n>.<ending>`.
    pub fn new(bucket: &'a Bucket, stem: String, compression: Compression, sizes: Sizes, encoder: Encoder) -> Self {
        Self {
            bucket,
            stem,
            compression,
            sizes,
            encoder,
            open: Vec::new(),
            finished: Vec::new(),
            rows_in_parts: 0,
            progress: Progress::new(),
        }
    }

    /// The same, telling its progress under a table's name.
    #[must_use]
    pub fn on(mut self, table: &TableName) -> Self {
        self.progress.table = table.to_string();
        self
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.encoder.upserts() + self.encoder.deletes()
    }

    /// Ends the last parts; all parts are then verified in the bucket.
    ///
    /// # Errors
    /// The bucket's, or [`Kind::BucketUnreachable`] where it stored something else.
    pub async fn finish(&mut self) -> Result<Written> {
        self.compress(true)?;
        self.finish_parts().await?;
        Ok(Written {
            parts: std::mem::take(&mut self.finished),
            upserts: self.encoder.upserts(),
            deletes: self.encoder.deletes(),
            losses: self.encoder.losses(),
        })
    }

    /// The part that the next rows go into, perhaps one that is not open yet.
    fn next_part(&self) -> usize {
        // A small batch is one part; once there are several, they are to be as many as are filled abreast.
        let least = if self.finished.is_empty() { LEAST.min(self.sizes.part) } else { 0 };
        let small = self.open.iter().position(|part| part.size() < least);
        small.unwrap_or_else(|| {
            if self.open.len() < self.sizes.abreast.max(1) {
                return self.open.len();
            }
            let smallest = self.open.iter().enumerate().min_by_key(|(_, part)| part.size());
            smallest.map_or(0, |(at, _)| at)
        })
    }

    /// Compresses what is gathered into one part, and tells which; `None` if nothing was.
    fn compress(&mut self, finished: bool) -> Result<Option<usize>> {
        if self.encoder.buffered() == 0 {
            return Ok(None);
        }
        let at = self.next_part();
        if at == self.open.len() {
            let number = self.finished.len() + at;
            let key = format!("{}-{number:04}.{}", self.stem, extension(self.compression));
            let compressor = Compressor::new(self.compression)?;
            let hash = Sha256::new();
            self.open.push(OpenPart { key, rows: 0, compressor, hash, bytes: 0, upload: None, pieces: Vec::new() });
        }
        let part = &mut self.open[at];
        self.encoder.drain(finished, |bytes| part.compressor.write(bytes))?;
        // A row that the encoder holds back is counted there, but goes into a later part.
        let rows = self.encoder.upserts() + self.encoder.deletes() - self.encoder.held();
        part.rows += rows - self.rows_in_parts;
        self.rows_in_parts = rows;
        Ok(Some(at))
    }

    async fn send_pieces(&mut self, at: usize) -> Result<()> {
        let part = &mut self.open[at];
        while part.compressor.output().len() >= PIECE {
            let rest = part.compressor.output().split_off(PIECE);
            let piece = std::mem::replace(part.compressor.output(), rest);
            self.progress.bytes += piece.len() as u64;
            part.send(self.bucket, piece).await?;
        }
        Ok(())
    }

    async fn finish_parts(&mut self) -> Result<()> {
        for part in std::mem::take(&mut self.open) {
            self.finished.push(part.finish(self.bucket).await?);
        }
        Ok(())
    }
}

impl Progress {
    fn new() -> Self {
        // A terminal is watched, a log is read later.
        let every = Duration::from_secs(if std::io::stderr().is_terminal() { 2 } else { 10 });
        Self { table: String::new(), every, started: Instant::now(), told: Instant::now(), bytes: 0 }
    }

    fn tell(&mut self, rows: u64) {
        if self.told.elapsed() < self.every {
            return;
        }
        self.told = Instant::now();
        let rate = u128::from(rows) * 1000 / self.started.elapsed().as_millis().max(1);
        tracing::info!(table = self.table, rows, rows_per_second = rate, bytes = self.bytes, "extracting");
    }
}

impl OpenPart {
    /// Bytes so far, compressed, as far as the compressor has let go of them.
    fn size(&self) -> u64 {
        self.bytes + self.compressor.held()
    }

    /// Ends it, and verifies it in the bucket.
    async fn finish(mut self, bucket: &Bucket) -> Result<manifest::Part> {
        let rest = std::mem::replace(&mut self.compressor, Compressor::None(Vec::new())).finish()?;
        let tag = match self.upload.clone() {
            None => {
                self.account(&rest);
                let tag = bucket.put(&self.key, Bytes::from(rest)).await?;
                crash::after(Step::PartPut)?;
                tag
            }
            Some(upload) => {
                for piece in rest.chunks(PIECE) {
                    self.send(bucket, piece.to_vec()).await?;
                }
                let tag = bucket.complete_upload(&upload, std::mem::take(&mut self.pieces)).await?;
                crash::after(Step::UploadCompleted)?;
                tag
            }
        };
        let stored = bucket.head(&self.key).await?;
        // Some servers quote a tag in a header and not in a document.
        let bare = |tag: &Option<String>| tag.as_ref().map(|tag| tag.trim_matches('"').to_owned());
        if stored.as_ref().is_none_or(|stored| stored.bytes != self.bytes || bare(&stored.tag) != bare(&tag)) {
            let message = format!("bucket '{}' stored '{}' otherwise than it was sent", bucket.name(), self.key);
            return Err(Error::new(Kind::BucketUnreachable, message).advice("Try again"));
        }
        let sha256 = digest::hex(self.hash.finalize());
        Ok(manifest::Part { key: self.key, rows: self.rows, bytes: self.bytes, sha256 })
    }

    fn account(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    async fn send(&mut self, bucket: &Bucket, piece: Vec<u8>) -> Result<()> {
        self.account(&piece);
        let upload = if let Some(upload) = &self.upload {
            upload
        } else {
            let begun = bucket.begin_upload(&self.key).await?;
            crash::after(Step::UploadBegun)?;
            self.upload.insert(begun)
        };
        let number = i32::try_from(self.pieces.len() + 1).unwrap_or(i32::MAX);
        self.pieces.push(bucket.upload_piece(upload, number, Bytes::from(piece)).await?);
        crash::after(Step::PieceSent)
    }
}

impl RowSink for Writer<'_> {
    fn begin(&mut self, operation: Operation) {
        self.encoder.begin(operation);
    }

    fn cell(&mut self, cell: Cell<'_>) -> Result<()> {
        self.encoder.cell(cell)
    }

    fn end(&mut self) -> Result<bool> {
        self.encoder.end()?;
        Ok(self.encoder.buffered() >= GATHER)
    }

    async fn drain(&mut self) -> Result<()> {
        let Some(at) = self.compress(false)? else { return Ok(()) };
        self.progress.tell(self.rows());
        self.send_pieces(at).await?;
        let full = self.open.iter().filter(|part| part.size() >= self.sizes.part).count();
        if full >= self.sizes.abreast.max(1) {
            self.finish_parts().await?;
        }
        Ok(())
    }
}
