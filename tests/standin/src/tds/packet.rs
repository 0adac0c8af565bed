//! Packets: an 8-byte header and a payload; a message is packets up to the one marked as its last.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Length of a packet's header.
pub const HEADER: usize = 8;
/// Packet size before login negotiates another.
pub const DEFAULT_SIZE: usize = 4096;
/// A message longer than this is an attack or an accident.
const MESSAGE_LIMIT: usize = 256 << 20;

/// Message types a client sends, and the one a server sends.
pub mod kind {
    /// SQL batch.
    pub const BATCH: u8 = 0x01;
    /// Remote procedure call.
    pub const RPC: u8 = 0x03;
    /// What a server answers with.
    pub const RESPONSE: u8 = 0x04;
    /// Cancel.
    pub const ATTENTION: u8 = 0x06;
    /// Bulk load rows.
    pub const BULK: u8 = 0x07;
    /// Transaction manager request.
    pub const TRANSACTION: u8 = 0x0E;
    /// Login.
    pub const LOGIN: u8 = 0x10;
    /// Prelogin, and TLS records while they are wrapped.
    pub const PRELOGIN: u8 = 0x12;
}

/// Status bits of a packet.
pub mod status {
    /// Last packet of its message.
    pub const END: u8 = 0x01;
    /// The client gave the message up.
    pub const IGNORE: u8 = 0x02;
    /// Reset the connection before the message.
    pub const RESET: u8 = 0x08;
    /// The same, keeping the transaction.
    pub const RESET_KEEP: u8 = 0x10;
}

/// A whole message.
#[derive(Debug)]
pub struct Message {
    /// Its type (see [`kind`]).
    pub kind: u8,
    /// Whether the session is to be reset before it.
    pub reset: bool,
    /// Whether the client gave it up while sending.
    pub ignore: bool,
    /// Payloads of its packets, joined.
    pub body: Bytes,
}

/// Reads one message; `None` when the client has closed the connection between messages.
///
/// # Errors
/// A broken connection, or bytes that are no TDS packet.
pub async fn read_message<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<Option<Message>> {
    let mut body = BytesMut::new();
    let mut first: Option<(u8, u8)> = None;
    loop {
        let mut header = [0u8; HEADER];
        match reader.read_exact(&mut header).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && first.is_none() => return Ok(None),
            other => other?,
        };
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let (kind, first_status) = *first.get_or_insert((header[0], header[1]));
        if length < HEADER || header[0] != kind {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "malformed TDS packet"));
        }
        let start = body.len();
        if start + length > MESSAGE_LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "TDS message too long"));
        }
        body.resize(start + length - HEADER, 0);
        reader.read_exact(&mut body[start..]).await?;
        if header[1] & status::END != 0 {
            return Ok(Some(Message {
                kind,
                reset: first_status & (status::RESET | status::RESET_KEEP) != 0,
                ignore: header[1] & status::IGNORE != 0,
                body: body.freeze(),
            }));
        }
    }
}

/// Cuts a response's bytes into packets.
#[derive(Debug)]
pub struct Packets {
    size: usize,
    spid: u16,
    sequence: u8,
}

impl Packets {
    /// Packets of at most `size` bytes, header included.
    pub fn new(size: usize, spid: u16) -> Self {
        Self { size, spid, sequence: 0 }
    }

    /// Moves as many full packets from `body` to `out` as there are, and with `last` the rest too.
    pub fn cut(&mut self, body: &mut Vec<u8>, out: &mut Vec<u8>, last: bool) {
        let room = self.size - HEADER;
        let mut start = 0;
        while body.len() - start > room {
            self.packet(&body[start..start + room], out, false);
            start += room;
        }
        if last {
            self.packet(&body[start..], out, true);
            body.clear();
            self.sequence = 0;
        } else if start > 0 {
            body.copy_within(start.., 0);
            body.truncate(body.len() - start);
        }
    }

    fn packet(&mut self, payload: &[u8], out: &mut Vec<u8>, last: bool) {
        self.sequence = self.sequence.wrapping_add(1);
        out.put_u8(kind::RESPONSE);
        out.put_u8(if last { status::END } else { 0 });
        out.put_u16(u16::try_from(payload.len() + HEADER).unwrap_or(u16::MAX));
        out.put_u16(self.spid);
        out.put_u8(self.sequence);
        out.put_u8(0);
        out.extend_from_slice(payload);
    }
}

/// One packet of a given type that is a whole message.
pub fn single(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + HEADER);
    out.put_u8(kind);
    out.put_u8(status::END);
    out.put_u16(u16::try_from(payload.len() + HEADER).unwrap_or(u16::MAX));
    out.extend_from_slice(&[0, 0, 1, 0]);
    out.extend_from_slice(payload);
    out
}
