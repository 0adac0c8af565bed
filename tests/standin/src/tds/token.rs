//! Tokens other than rows.

use bytes::BufMut;

use super::collation::{self, Collation};
use super::prelogin::SERVER_VERSION;
use crate::value::SqlError;

/// Name the server gives itself in messages.
pub const SERVER_NAME: &str = "STANDIN";

/// DONE's three forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoneKind {
    /// A statement of a batch.
    Done = 0xFD,
    /// A procedure.
    Procedure = 0xFE,
    /// A statement in a procedure.
    InProcedure = 0xFF,
}

/// Status bits of DONE.
pub mod done {
    /// More results follow.
    pub const MORE: u16 = 0x01;
    /// The statement failed.
    pub const ERROR: u16 = 0x02;
    /// The count is valid.
    pub const COUNT: u16 = 0x10;
    /// Answer to an attention.
    pub const ATTENTION: u16 = 0x20;
}

/// `SELECT`, as DONE names the statement.
pub const COMMAND_SELECT: u16 = 0xC1;
/// `INSERT`, which stands for all statements with a count and no rows.
pub const COMMAND_INSERT: u16 = 0xC3;

/// DONE, DONEPROC or DONEINPROC.
pub fn done(out: &mut Vec<u8>, kind: DoneKind, status: u16, command: u16, rows: u64) {
    out.put_u8(kind as u8);
    out.put_u16_le(status);
    out.put_u16_le(command);
    out.put_u64_le(rows);
}

/// ERROR above severity 10, else INFO.
pub fn message(out: &mut Vec<u8>, error: &SqlError) {
    let mut body = Vec::new();
    body.put_i32_le(error.number);
    body.put_u8(error.state);
    body.put_u8(error.severity);
    // The token's length is 16 bits; SQL Server itself cuts messages at 2047 characters.
    let text: String = error.message.chars().take(2047).collect();
    us_text(&mut body, &text);
    b_text(&mut body, SERVER_NAME);
    b_text(&mut body, &error.procedure);
    body.put_u32_le(error.line);
    out.put_u8(if error.severity > 10 { 0xAA } else { 0xAB });
    out.put_u16_le(u16::try_from(body.len()).unwrap_or(u16::MAX));
    out.extend(body);
}

/// RETURNSTATUS.
pub fn return_status(out: &mut Vec<u8>, status: i32) {
    out.put_u8(0x79);
    out.put_i32_le(status);
}

/// Server's answer to a good login.
pub fn login_acknowledged(out: &mut Vec<u8>, version: u32) {
    let mut body = vec![1];
    body.put_u32(version);
    b_text(&mut body, "Microsoft SQL Server");
    body.extend_from_slice(&SERVER_VERSION);
    out.put_u8(0xAD);
    out.put_u16_le(u16::try_from(body.len()).unwrap_or(u16::MAX));
    out.extend(body);
}

/// FEATUREEXTACK with an acknowledgement already encoded.
pub fn features(out: &mut Vec<u8>, acknowledgement: &[u8]) {
    out.put_u8(0xAE);
    out.extend_from_slice(acknowledgement);
}

/// ENVCHANGE: database.
pub fn database_changed(out: &mut Vec<u8>, old: &str, new: &str) {
    env_text(out, 1, new, old);
}

/// ENVCHANGE: language.
pub fn language_changed(out: &mut Vec<u8>, old: &str, new: &str) {
    env_text(out, 2, new, old);
}

/// ENVCHANGE: packet size.
pub fn packet_size_changed(out: &mut Vec<u8>, old: usize, new: usize) {
    env_text(out, 4, &new.to_string(), &old.to_string());
}

/// ENVCHANGE: the server's collation.
pub fn collation(out: &mut Vec<u8>) {
    env_bytes(out, 7, &Collation::named(collation::DEFAULT).bytes, &[]);
}

/// ENVCHANGE: a transaction began.
pub fn transaction_began(out: &mut Vec<u8>, descriptor: u64) {
    env_bytes(out, 8, &descriptor.to_le_bytes(), &[]);
}

/// ENVCHANGE: a transaction ended.
pub fn transaction_ended(out: &mut Vec<u8>, descriptor: u64, committed: bool) {
    env_bytes(out, if committed { 9 } else { 10 }, &[], &descriptor.to_le_bytes());
}

/// ENVCHANGE: the client is to go elsewhere.
pub fn routed(out: &mut Vec<u8>, host: &str, port: u16) {
    let mut value = vec![0];
    value.put_u16_le(port);
    us_text(&mut value, host);
    let mut body = vec![20];
    body.put_u16_le(u16::try_from(value.len()).unwrap_or(u16::MAX));
    body.extend(value);
    body.put_u16_le(0);
    env(out, &body);
}

/// ENVCHANGE: the connection was reset.
pub fn connection_reset(out: &mut Vec<u8>) {
    env_bytes(out, 18, &[], &[]);
}

fn env_text(out: &mut Vec<u8>, kind: u8, new: &str, old: &str) {
    let mut body = vec![kind];
    b_text(&mut body, new);
    b_text(&mut body, old);
    env(out, &body);
}

fn env_bytes(out: &mut Vec<u8>, kind: u8, new: &[u8], old: &[u8]) {
    let mut body = vec![kind];
    for part in [new, old] {
        body.put_u8(u8::try_from(part.len()).unwrap_or(u8::MAX));
        body.extend_from_slice(part);
    }
    env(out, &body);
}

fn env(out: &mut Vec<u8>, body: &[u8]) {
    out.put_u8(0xE3);
    out.put_u16_le(u16::try_from(body.len()).unwrap_or(u16::MAX));
    out.extend_from_slice(body);
}

/// Appends UTF-16.
pub fn utf16(out: &mut Vec<u8>, text: &str) {
    if text.is_ascii() {
        out.reserve(text.len() * 2);
        for byte in text.bytes() {
            out.extend_from_slice(&[byte, 0]);
        }
    } else {
        out.extend(crate::utf16::bytes(text));
    }
}

/// UTF-16 with its length in one byte; longer text is cut at 255 units, which names never reach.
pub fn b_text(out: &mut Vec<u8>, text: &str) {
    let units: Vec<u16> = text.encode_utf16().take(255).collect();
    out.put_u8(u8::try_from(units.len()).unwrap_or(u8::MAX));
    for unit in units {
        out.put_u16_le(unit);
    }
}

/// UTF-16 with its length in two bytes.
pub fn us_text(out: &mut Vec<u8>, text: &str) {
    let units: Vec<u16> = text.encode_utf16().take(usize::from(u16::MAX)).collect();
    out.put_u16_le(u16::try_from(units.len()).unwrap_or(u16::MAX));
    for unit in units {
        out.put_u16_le(unit);
    }
}
