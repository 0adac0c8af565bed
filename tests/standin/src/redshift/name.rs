//! Identifiers: folded, cut at 127 bytes, and shortened for the server below, which has room for 63.

use std::collections::HashMap;

use md5::{Digest as _, Md5};
use parking_lot::Mutex;

/// Redshift's longest name.
const LONGEST: usize = 127;
/// The longest name of the server below.
const LONGEST_BELOW: usize = 63;

/// How a session reads names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names {
    /// `enable_case_sensitive_identifier`.
    pub case_sensitive: bool,
}

impl Names {
    /// A quoted name.
    pub fn fold(self, name: &str) -> String {
        let name = cut(name, LONGEST);
        if self.case_sensitive { name.to_owned() } else { name.to_ascii_lowercase() }
    }
}

/// A bare name.
pub fn fold_bare(name: &str) -> String {
    cut(name, LONGEST).to_ascii_lowercase()
}

/// The longest beginning of so many bytes that ends between characters.
pub fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    &text[..end]
}

/// The name below, quoted.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", shortened(name).replace('"', "\"\""))
}

/// A literal for the server below.
pub fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''");
    format!("E'{escaped}'")
}

/// The name below: its beginning and a hash, where it is too long.
pub fn shortened(name: &str) -> String {
    if name.len() <= LONGEST_BELOW {
        return name.to_owned();
    }
    format!("{}~{}", cut(name, 40), hex(&Md5::digest(name.as_bytes())[..10]))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |digit: u8| char::from(b"0123456789abcdef"[usize::from(digit)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Which short name stands for which long one.
#[derive(Debug, Default)]
pub struct LongNames(Mutex<HashMap<String, String>>);

impl LongNames {
    /// Notes names that were shortened; gives those that were not known.
    pub fn note<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
        let mut known = self.0.lock();
        let long = names.filter(|name| name.len() > LONGEST_BELOW);
        let new: Vec<_> = long.map(|name| (shortened(name), name.to_owned())).collect();
        new.into_iter().filter(|(short, name)| known.insert(short.clone(), name.clone()).is_none()).collect()
    }

    /// The name that the client knows.
    pub fn full(&self, short: &str) -> Option<String> {
        self.0.lock().get(short).cloned()
    }
}

/// A relation's name, with its schema if one is given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The schema.
    pub schema: Option<String>,
    /// The name in it.
    pub name: String,
}

impl Name {
    /// The name below, quoted.
    pub fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&self.name)),
            None => quoted(&self.name),
        }
    }

    /// `#t` names a temporary table.
    pub fn is_temporary(&self) -> bool {
        self.schema.is_none() && self.name.starts_with('#')
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(out, "{schema}.{}", self.name),
            None => out.write_str(&self.name),
        }
    }
}
