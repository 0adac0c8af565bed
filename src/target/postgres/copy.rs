//! A part on its way into staging: hashed as stored, unpacked, sent on, never held whole.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use sha2::{Digest, Sha256};
use tokio_postgres::{CopyInSink, Transaction};

use super::failure;
use super::unpack::Unpacker;
use crate::bucket::Bucket;
use crate::digest;
use crate::error::{Error, Kind, Result};
use crate::manifest::{Encoding, Part};
use crate::target::TargetTable;
use crate::target::batch::damaged;
use crate::target::delsert::{OPERATION, Objects, column_list, literal};
use crate::target::pgwire::failure::Server;

/// How much is sent at a time.
const CHUNK: usize = 128 << 10;

/// Copies parts of one batch.
pub struct Copier<'a> {
    transaction: &'a Transaction<'a>,
    server: &'a Server,
    table: &'a TargetTable,
    staging_name: String,
    encoding: &'a Encoding,
    statement: String,
}

/// What was read of a part, and how sending it ended.
struct Sent {
    bytes: u64,
    sha256: String,
    /// What kept it from being unpacked.
    fault: Option<std::io::Error>,
    /// Rows that the server took.
    rows: Result<u64, tokio_postgres::Error>,
}

impl<'a> Copier<'a> {
    /// A copier into a table's staging.
    pub fn new(
        transaction: &'a Transaction<'a>,
        server: &'a Server,
        table: &'a TargetTable,
        objects: &Objects,
        encoding: &'a Encoding,
    ) -> Self {
        let statement = format!(
            "COPY {} ({OPERATION}, {}) FROM STDIN (FORMAT csv, NULL {}, ENCODING 'UTF8')",
            objects.staging,
            column_list(table),
            literal(&encoding.dialect.null)
        );
        Self { transaction, server, table, staging_name: objects.staging_name.clone(), encoding, statement }
    }

    /// Copies a part.
    ///
    /// # Errors
    /// [`Kind::PartDamaged`] when it is not what the manifest says, also where the server stumbled over it first; the
    /// server's refusal of a part that is.
    pub async fn copy(&self, part: &Part, bucket: &Bucket) -> Result<()> {
        let sent = self.send(part, bucket).await?;
        let damaged = |what: &str| damaged(&part.key, what);
        if sent.bytes != part.bytes {
            return Err(damaged(&format!("has {} bytes, the manifest says {}", sent.bytes, part.bytes)));
        }
        if !sent.sha256.eq_ignore_ascii_case(&part.sha256) {
            return Err(damaged("is not what was written: its SHA-256 differs from the manifest's"));
        }
        if let Some(fault) = sent.fault {
            return Err(damaged(&format!("cannot be unpacked as {:?}", self.encoding.compression)).because(fault));
        }
        let rows = sent.rows.map_err(|error| self.refused(part, &error))?;
        if rows != part.rows {
            return Err(damaged(&format!("holds {rows} rows, the manifest says {}", part.rows)));
        }
        tracing::debug!(table = %self.table.source_name, part = %part.key, rows, bytes = sent.bytes, "part copied");
        Ok(())
    }

    fn refused(&self, part: &Part, error: &tokio_postgres::Error) -> Error {
        let columns: Vec<_> = self.table.columns.iter().map(|column| column.name.as_str()).collect();
        let place = failure::copy_place(error, &self.staging_name, &columns).map(|place| format!(", {place}"));
        self.server.failed(&format!("copy part '{}'{}", part.key, place.unwrap_or_default()), error)
    }

    /// Reads a part to its end, whatever becomes of the rows, so that damage is told from a refusal.
    async fn send(&self, part: &Part, bucket: &Bucket) -> Result<Sent> {
        let mut body = bucket.read(&part.key).await?;
        let sink = self.transaction.copy_in::<_, Bytes>(&self.statement).await;
        let sink = sink.map_err(|error| self.server.failed("begin to copy into staging", &error))?;
        tokio::pin!(sink);
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        let mut stream = Stream { sink, out: BytesMut::with_capacity(CHUNK), open: true };
        let mut fault = None;
        let mut unpacker = match Unpacker::new(self.encoding.compression) {
            Ok(unpacker) => unpacker,
            Err(error) => return Err(Error::new(Kind::Internal, "cannot begin to unpack").because(error)),
        };
        while let Some(chunk) = body.next().await? {
            hash.update(&chunk);
            bytes += chunk.len() as u64;
            let mut input = &chunk[..];
            while fault.is_none() && stream.open {
                match unpacker.step(&mut input, &mut stream.out) {
                    Ok(more) => {
                        stream.send(CHUNK).await;
                        if !more {
                            break;
                        }
                    }
                    Err(error) => fault = Some(error),
                }
            }
        }
        // Where the server stopped listening the rest was not unpacked, which says nothing of the part.
        if fault.is_none() && stream.open {
            fault = unpacker.finish(&mut stream.out).err();
        }
        stream.send(1).await;
        // After a fault the sink is dropped unfinished, which aborts the COPY.
        let rows = if fault.is_none() { stream.sink.as_mut().finish().await } else { Ok(0) };
        let sha256 = digest::hex(hash.finalize());
        Ok(Sent { bytes, sha256, fault, rows })
    }
}

/// The way to the server, and what waits to be sent.
struct Stream<'a> {
    sink: Pin<&'a mut CopyInSink<Bytes>>,
    out: BytesMut,
    /// Closed when the connection is; finishing the sink then says why.
    open: bool,
}

impl Stream<'_> {
    /// Sends what waits if it is at least so much.
    async fn send(&mut self, least: usize) {
        if self.open && self.out.len() >= least {
            let chunk = self.out.split().freeze();
            self.open = self.sink.send(chunk).await.is_ok();
            self.out.reserve(CHUNK);
        }
    }
}
