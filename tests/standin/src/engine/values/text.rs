//! Text: code page 1252, lengths in T-SQL's units, padding and cutting.

use super::{collation, types};
use crate::utf16;
use crate::value::SqlType;

/// Text as varchar of code page 1252 can hold it: other characters become `?`.
pub fn to_code_page(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    text.chars().map(|c| if in_code_page(c) { c } else { '?' }).collect()
}

fn in_code_page(letter: char) -> bool {
    if letter.is_ascii() {
        return true;
    }
    let mut buffer = [0; 4];
    let (_, _, unmappable) = encoding_rs::WINDOWS_1252.encode(letter.encode_utf8(&mut buffer));
    !unmappable
}

/// Bytes of a text in a type: UTF-16, UTF-8 or code page 1252.
pub fn to_bytes(text: &str, ty: SqlType, collation: Option<&str>) -> Vec<u8> {
    if types::is_unicode(ty) || ty == SqlType::Xml {
        utf16::bytes(text).collect()
    } else if collation.is_some_and(collation::is_utf8) {
        text.as_bytes().to_vec()
    } else {
        encoding_rs::WINDOWS_1252.encode(text).0.into_owned()
    }
}

/// The text in the bytes of a type.
pub fn from_bytes(bytes: &[u8], ty: SqlType) -> String {
    if types::is_unicode(ty) {
        utf16::text_of_bytes(bytes)
    } else {
        encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
    }
}

/// Length in the unit in which a type counts: UTF-16 units for `n` types, bytes otherwise.
pub fn length(text: &str, ty: SqlType, utf8: bool) -> usize {
    if types::is_unicode(ty) {
        if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
    } else if utf8 || text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    }
}

/// The longest beginning of a text within a length.
pub fn cut(text: &str, ty: SqlType, utf8: bool, limit: usize) -> &str {
    let mut used = 0;
    for (at, letter) in text.char_indices() {
        used += if types::is_unicode(ty) {
            letter.len_utf16()
        } else if utf8 {
            letter.len_utf8()
        } else {
            1
        };
        if used > limit {
            return &text[..at];
        }
    }
    text
}

/// A text padded with blanks to a fixed length.
pub fn pad(text: String, ty: SqlType, utf8: bool, width: usize) -> String {
    let missing = width.saturating_sub(length(&text, ty, utf8));
    if missing == 0 { text } else { text + &" ".repeat(missing) }
}

/// A text's UTF-16 units.
pub fn units(text: &str) -> Vec<u16> {
    utf16::units(text).collect()
}

/// The text of some UTF-16 units.
pub fn from_units(units: &[u16]) -> String {
    utf16::text(units.iter().copied())
}
