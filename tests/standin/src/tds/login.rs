//! LOGIN7: who comes, and what is acknowledged.

use bytes::{Buf, BufMut};

use crate::session::Login;

const FEATURE_UTF8: u8 = 0x0A;
const FEATURE_FEDERATED: u8 = 0x02;
/// The library of a token that the client brings with it.
const SECURITY_TOKEN: u8 = 0x01;
const FEATURE_END: u8 = 0xFF;
const FIXED: usize = 94;

/// What a LOGIN7 message says.
#[derive(Debug)]
pub struct Login7 {
    /// Version of TDS asked for, such as `0x7400_0004`.
    pub version: u32,
    /// Packet size asked for.
    pub packet_size: u32,
    /// Whether the client wants integrated authentication, which is not to be had here.
    pub integrated: bool,
    /// User, password, database and programs.
    pub login: Login,
    /// The acknowledgement of feature extensions, if the client sent any.
    pub features: Option<Vec<u8>>,
    /// The token that stands in place of user and password.
    pub token: Option<Token>,
    /// The new password of a client that changes it at login, which is not to be had here.
    pub changes_password: bool,
}

/// A Microsoft Entra token, as a login holds it.
#[derive(Debug, PartialEq, Eq)]
pub struct Token {
    /// The token.
    pub text: String,
    /// Whether the client heard from the server that tokens are taken.
    pub echo: bool,
}

/// Reads a LOGIN7 message.
///
/// # Errors
/// A message that is no LOGIN7.
pub fn parse(body: &[u8]) -> Result<Login7, &'static str> {
    if body.len() < FIXED {
        return Err("truncated LOGIN7");
    }
    let mut fixed = body;
    fixed.advance(4);
    let version = fixed.get_u32_le();
    let packet_size = fixed.get_u32_le();
    let (flags2, type_flags, flags3) = (body[25], body[26], body[27]);
    let login = Login {
        host_name: text(body, 36)?,
        user: text(body, 40)?,
        password: password(body, 44)?,
        app_name: text(body, 48)?,
        database: text(body, 68)?,
        read_only_intent: type_flags & 0x20 != 0,
        by_token: false,
    };
    let (features, token) = if flags3 & 0x10 == 0 { (None, None) } else { extensions(body)? };
    if token.is_some() && (flags2 & 0x80 != 0 || !login.user.is_empty() || !login.password.is_empty()) {
        return Err("a token beside another way to log in");
    }
    Ok(Login7 {
        version,
        packet_size,
        integrated: flags2 & 0x80 != 0,
        login,
        features,
        token,
        changes_password: flags3 & 0x01 != 0,
    })
}

fn place(body: &[u8], at: usize) -> (usize, usize) {
    let mut entry = &body[at..at + 4];
    (usize::from(entry.get_u16_le()), usize::from(entry.get_u16_le()))
}

fn units(body: &[u8], at: usize) -> Result<&[u8], &'static str> {
    let (offset, length) = place(body, at);
    if length == 0 {
        return Ok(&[]);
    }
    body.get(offset..offset + length * 2).ok_or("LOGIN7 field out of bounds")
}

fn text(body: &[u8], at: usize) -> Result<String, &'static str> {
    utf16(units(body, at)?)
}

fn password(body: &[u8], at: usize) -> Result<String, &'static str> {
    let clear: Vec<u8> = units(body, at)?.iter().map(|byte| (byte ^ 0xA5).rotate_left(4)).collect();
    utf16(&clear)
}

fn utf16(bytes: &[u8]) -> Result<String, &'static str> {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16(&units).map_err(|_| "LOGIN7 field is not UTF-16")
}

/// Reads a token, and acknowledges it and UTF-8 support: an unacknowledged feature is one the server lacks.
fn extensions(body: &[u8]) -> Result<(Option<Vec<u8>>, Option<Token>), &'static str> {
    const BROKEN: &str = "malformed feature extensions";
    let (offset, length) = place(body, 56);
    let mut pointer = body.get(offset..offset + 4).filter(|_| length >= 4).ok_or(BROKEN)?;
    let mut rest = body.get(pointer.get_u32_le() as usize..).ok_or(BROKEN)?;
    let (mut out, mut token) = (Vec::new(), None);
    loop {
        let id = *rest.first().ok_or(BROKEN)?;
        if id == FEATURE_END {
            out.put_u8(FEATURE_END);
            return Ok((Some(out), token));
        }
        let length = rest.get(1..5).ok_or(BROKEN)?.get_u32_le() as usize;
        let data = rest.get(5..).and_then(|data| data.get(..length)).ok_or(BROKEN)?;
        rest = &rest[5 + length..];
        if id == FEATURE_FEDERATED {
            if token.replace(federated(data)?).is_some() {
                return Err("two tokens");
            }
            out.put_u8(FEATURE_FEDERATED);
            out.put_u32_le(0);
        }
        if id == FEATURE_UTF8 {
            out.put_u8(FEATURE_UTF8);
            out.put_u32_le(1);
            out.put_u8(1);
        }
    }
}

/// The token of a login by a token that the client brings with it. No nonce was given, so none may come back.
fn federated(data: &[u8]) -> Result<Token, &'static str> {
    const BROKEN: &str = "malformed FEDAUTH feature";
    let (options, mut rest) = data.split_first().ok_or(BROKEN)?;
    if options >> 1 != SECURITY_TOKEN {
        return Err("a library of FEDAUTH that is not known");
    }
    if rest.len() < 4 {
        return Err(BROKEN);
    }
    let length = rest.get_u32_le() as usize;
    if rest.len() != length || length == 0 || !length.is_multiple_of(2) {
        return Err(BROKEN);
    }
    Ok(Token { text: utf16(rest)?, echo: options & 1 != 0 })
}
