//! Remote procedure calls as clients send them.

use bytes::Buf;

use super::metadata::{Malformed, take, take_b_text, take_utf16};
use super::request::take_headers;
use super::types_decode::take_typed;
use crate::session::Param;

/// Procedures that have a number instead of a name.
const NUMBERED: [&str; 15] = [
    "sp_cursor",
    "sp_cursoropen",
    "sp_cursorprepare",
    "sp_cursorexecute",
    "sp_cursorprepexec",
    "sp_cursorunprepare",
    "sp_cursorfetch",
    "sp_cursoroption",
    "sp_cursorclose",
    "sp_executesql",
    "sp_prepare",
    "sp_execute",
    "sp_prepexec",
    "sp_prepexecrpc",
    "sp_unprepare",
];

/// One call.
#[derive(Debug)]
pub struct Call {
    /// The procedure's name as sent, or that of its number.
    pub name: String,
    /// Parameters in order.
    pub params: Vec<Param>,
}

impl Call {
    /// The bare name in lower case: `[sys].[sp_executesql]` is `sp_executesql`.
    pub fn bare_name(&self) -> String {
        let last = self.name.rsplit('.').next().unwrap_or_default();
        last.trim().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
    }
}

/// Reads the calls of an RPC message.
///
/// # Errors
/// Bytes that are no RPC.
pub fn parse(mut body: &[u8]) -> Result<Vec<Call>, Malformed> {
    take_headers(&mut body)?;
    let mut calls = Vec::new();
    loop {
        calls.push(take_call(&mut body)?);
        match body.first() {
            None => return Ok(calls),
            // A separator after the last call is allowed.
            Some(_) if body.len() == 1 => return Ok(calls),
            Some(_) => body.advance(1),
        }
    }
}

/// Whether a byte separates calls. No parameter's name is that long.
fn is_separator(byte: u8) -> bool {
    matches!(byte, 0x80 | 0xFE | 0xFF)
}

fn take_call(body: &mut &[u8]) -> Result<Call, Malformed> {
    let length = take(body, 2)?.get_u16_le();
    let name = if length == u16::MAX {
        let number = usize::from(take(body, 2)?.get_u16_le());
        (*number.checked_sub(1).and_then(|index| NUMBERED.get(index)).ok_or("unknown procedure number")?).to_owned()
    } else {
        take_utf16(body, length.into())?
    };
    take(body, 2)?;
    let mut params = Vec::new();
    while body.first().is_some_and(|byte| !is_separator(*byte)) {
        let name = take_b_text(body)?;
        let status = take(body, 1)?[0];
        let (sql_type, value) = take_typed(body)?;
        params.push(Param { name, sql_type, value, output: status & 1 != 0 });
    }
    Ok(Call { name, params })
}
