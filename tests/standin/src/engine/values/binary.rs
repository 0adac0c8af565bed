//! Binary text forms.

use std::fmt::Write as _;

/// Bytes as upper-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// Bytes behind hex digits; an odd count has a zero put before.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let padded = if text.len() % 2 == 1 { format!("0{text}") } else { text.to_owned() };
    if !padded.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..padded.len()).step_by(2).map(|at| u8::from_str_radix(&padded[at..at + 2], 16).ok()).collect()
}

/// A uniqueidentifier in SQL Server's spelling.
pub fn guid_text(guid: &[u8; 16]) -> String {
    let digits = hex(guid);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// Reads a uniqueidentifier, with or without braces; what follows its 36 characters is ignored, as the server does.
pub fn parse_guid(text: &str) -> Option<[u8; 16]> {
    let text = text.trim_start();
    let body = if let Some(rest) = text.strip_prefix('{') {
        rest.get(36..)?.starts_with('}').then_some(())?;
        rest.get(..36)?
    } else {
        text.get(..36)?
    };
    let dashes = body
        .char_indices()
        .all(|(at, c)| if matches!(at, 8 | 13 | 18 | 23) { c == '-' } else { c.is_ascii_hexdigit() });
    if !dashes {
        return None;
    }
    unhex(&body.replace('-', ""))?.try_into().ok()
}

/// A uniqueidentifier as its sixteen bytes on the wire and in a binary: three groups little-endian.
pub fn guid_bytes(guid: &[u8; 16]) -> [u8; 16] {
    let mut bytes = *guid;
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}
