//! Messages of the PostgreSQL protocol, version 3: framed, read and written.

use std::io;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::error::SqlError;

/// No message that the stand-in has a use for is longer.
const LONGEST: usize = 256 << 20;

/// One message: its kind and what it says.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The kind.
    pub tag: u8,
    /// All after the length.
    pub body: Bytes,
}

/// Reads the next message; none at the end of the connection.
pub async fn read_frame<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<Option<Frame>> {
    let tag = match reader.read_u8().await {
        Ok(tag) => tag,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let body = read_body(reader).await?;
    Ok(Some(Frame { tag, body }))
}

/// Reads a length and what it counts.
pub async fn read_body<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<Bytes> {
    let length = reader.read_u32().await? as usize;
    if !(4..=LONGEST).contains(&length) {
        return Err(malformed("a message's length"));
    }
    let mut body = vec![0; length - 4];
    reader.read_exact(&mut body).await?;
    Ok(body.into())
}

/// A message that breaks the protocol.
pub fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} breaks the protocol"))
}

/// Takes a text that a zero ends.
pub fn take_text(body: &mut Bytes) -> io::Result<String> {
    let end = body.iter().position(|byte| *byte == 0).ok_or_else(|| malformed("a text without its end"))?;
    let text = body.split_to(end);
    body.advance(1);
    String::from_utf8(text.to_vec()).map_err(|_| malformed("a text that is no UTF-8"))
}

/// Takes a number of two bytes.
pub fn take_i16(body: &mut Bytes) -> io::Result<i16> {
    if body.len() < 2 { Err(malformed("a short message")) } else { Ok(body.get_i16()) }
}

/// Takes a number of four bytes.
pub fn take_u32(body: &mut Bytes) -> io::Result<u32> {
    if body.len() < 4 { Err(malformed("a short message")) } else { Ok(body.get_u32()) }
}

/// Writes one message.
pub fn put(out: &mut BytesMut, tag: u8, write: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    let start = out.len();
    out.put_u32(0);
    write(out);
    let length = u32::try_from(out.len() - start).expect("messages are bounded");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Writes a text and the zero that ends it.
pub fn put_text(out: &mut BytesMut, text: &str) {
    out.put_slice(text.as_bytes());
    out.put_u8(0);
}

/// `CommandComplete`.
pub fn complete(out: &mut BytesMut, tag: &str) {
    put(out, b'C', |out| put_text(out, tag));
}

/// `ParameterStatus`.
pub fn parameter(out: &mut BytesMut, name: &str, value: &str) {
    put(out, b'S', |out| {
        put_text(out, name);
        put_text(out, value);
    });
}

/// `ReadyForQuery`.
pub fn ready(out: &mut BytesMut, status: u8) {
    put(out, b'Z', |out| out.put_u8(status));
}

/// `ErrorResponse`.
pub fn error(out: &mut BytesMut, severity: &str, error: &SqlError) {
    put(out, b'E', |out| fields(out, severity, error));
}

/// `NoticeResponse`.
pub fn notice(out: &mut BytesMut, severity: &str, notice: &SqlError) {
    put(out, b'N', |out| fields(out, severity, notice));
}

fn fields(out: &mut BytesMut, severity: &str, error: &SqlError) {
    let mut field = |kind: u8, value: &str| {
        out.put_u8(kind);
        put_text(out, value);
    };
    field(b'S', severity);
    field(b'C', &error.code);
    field(b'M', &error.message);
    for (kind, value) in [(b'D', &error.detail), (b'H', &error.hint), (b'P', &error.position)] {
        if let Some(value) = value {
            field(kind, value);
        }
    }
    out.put_u8(0);
}

/// One column of `RowDescription`.
#[derive(Debug, Clone)]
pub struct Column {
    /// The name.
    pub name: String,
    /// The table that it comes from, or 0.
    pub table: u32,
    /// The place in that table.
    pub place: i16,
    /// The type.
    pub oid: u32,
    /// Its size.
    pub size: i16,
    /// What modifies the type.
    pub modifier: i32,
    /// 0 is text, 1 is binary.
    pub format: i16,
}

impl Column {
    /// A column of text that comes from no table.
    pub fn text(name: &str) -> Self {
        Self { name: name.to_owned(), table: 0, place: 0, oid: 1043, size: -1, modifier: -1, format: 0 }
    }
}

/// Reads `RowDescription`.
pub fn read_columns(mut body: Bytes) -> io::Result<Vec<Column>> {
    let count = take_i16(&mut body)?;
    (0..count)
        .map(|_| {
            let name = take_text(&mut body)?;
            if body.len() < 18 {
                return Err(malformed("a column's description"));
            }
            Ok(Column {
                name,
                table: body.get_u32(),
                place: body.get_i16(),
                oid: body.get_u32(),
                size: body.get_i16(),
                modifier: body.get_i32(),
                format: body.get_i16(),
            })
        })
        .collect()
}

/// `RowDescription`.
pub fn columns(out: &mut BytesMut, columns: &[Column]) {
    put(out, b'T', |out| {
        out.put_i16(i16::try_from(columns.len()).expect("a table has at most 1600 columns"));
        for column in columns {
            put_text(out, &column.name);
            out.put_u32(column.table);
            out.put_i16(column.place);
            out.put_u32(column.oid);
            out.put_i16(column.size);
            out.put_i32(column.modifier);
            out.put_i16(column.format);
        }
    });
}

/// Reads `DataRow`.
pub fn read_row(mut body: Bytes) -> io::Result<Vec<Option<Bytes>>> {
    let count = take_i16(&mut body)?;
    (0..count)
        .map(|_| match take_u32(&mut body)? {
            u32::MAX => Ok(None),
            length if length as usize > body.len() => Err(malformed("a row")),
            length => Ok(Some(body.split_to(length as usize))),
        })
        .collect()
}

/// `DataRow`.
pub fn row<C: AsRef<[u8]>>(out: &mut BytesMut, cells: &[Option<C>]) {
    put(out, b'D', |out| {
        out.put_i16(i16::try_from(cells.len()).expect("a row has at most 1600 cells"));
        for cell in cells {
            match cell {
                None => out.put_i32(-1),
                Some(cell) => {
                    let cell = cell.as_ref();
                    out.put_u32(u32::try_from(cell.len()).expect("messages are bounded"));
                    out.put_slice(cell);
                }
            }
        }
    });
}
