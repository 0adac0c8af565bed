//! One value: how T-SQL writes it, what the target must hold, and what is lost on the way.

use delsert::config::Engine;

/// What the target must hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// NULL.
    Null,
    /// This text, as the target prints the value.
    Text(String),
    /// True or false.
    Boolean(bool),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Floating point of eight bytes, bit for bit.
    Double(f64),
    /// Floating point of four bytes, bit for bit.
    Single(f32),
}

impl Expected {
    /// Whether the target holds it, by the text that it prints.
    pub fn is(&self, engine: Engine, found: Option<&str>) -> bool {
        match (self, found) {
            (Self::Null, None) => true,
            (Self::Text(text), Some(found)) => text == found,
            (Self::Boolean(value), Some(found)) => found == if *value { "t" } else { "f" },
            (Self::Bytes(bytes), Some(found)) => {
                let prefix = if engine == Engine::Postgres { "\\x" } else { "" };
                found.strip_prefix(prefix) == hex(bytes).to_lowercase().strip_prefix("0x")
            }
            (Self::Double(value), Some(found)) => {
                found.parse().is_ok_and(|found: f64| found.to_bits() == value.to_bits())
            }
            (Self::Single(value), Some(found)) => {
                found.parse().is_ok_and(|found: f32| found.to_bits() == value.to_bits())
            }
            _ => false,
        }
    }
}

/// A value.
#[derive(Debug, Clone)]
pub struct Value {
    /// For a statement.
    pub literal: String,
    /// In the target.
    pub expected: Expected,
    /// Names of the losses.
    pub losses: Vec<&'static str>,
}

/// The character by which others are replaced.
const REPLACEMENT: char = '\u{FFFD}';

impl Value {
    pub fn null() -> Self {
        Self { literal: "NULL".to_owned(), expected: Expected::Null, losses: Vec::new() }
    }

    /// Both sides write it alike.
    pub fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::quoted(text.clone(), text)
    }

    /// A text for the server to convert, and what the target prints.
    pub fn quoted(source: impl AsRef<str>, target: impl Into<String>) -> Self {
        Self::literal(format!("N'{}'", source.as_ref().replace('\'', "''")), target)
    }

    pub fn literal(literal: impl Into<String>, target: impl Into<String>) -> Self {
        Self { literal: literal.into(), expected: Expected::Text(target.into()), losses: Vec::new() }
    }

    pub fn double(value: f64) -> Self {
        Self { literal: format!("{value:e}"), expected: Expected::Double(value), losses: Vec::new() }
    }

    pub fn single(value: f32) -> Self {
        Self { literal: format!("{value:e}"), expected: Expected::Single(value), losses: Vec::new() }
    }

    /// UTF-16 of a type such as `nvarchar(50)`, given to the server by its bytes.
    pub fn utf16(units: &[u16], sql_type: &str) -> Self {
        let bytes: Vec<_> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let (mut text, mut losses) = (String::new(), Vec::new());
        for decoded in char::decode_utf16(units.iter().copied()) {
            match decoded {
                Ok('\0') => losses.push("nul"),
                Ok(_) => {}
                Err(_) => losses.push("surrogate"),
            }
            text.push(decoded.ok().filter(|character| *character != '\0').unwrap_or(REPLACEMENT));
        }
        losses.sort_unstable();
        losses.dedup();
        Self { literal: format!("CAST({} AS {sql_type})", hex(&bytes)), expected: Expected::Text(text), losses }
    }

    /// Bytes.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self { literal: hex(bytes), expected: Expected::Bytes(bytes.to_vec()), losses: Vec::new() }
    }

    /// A bit.
    pub fn bit(value: bool) -> Self {
        let literal = if value { "1" } else { "0" };
        Self { literal: literal.to_owned(), expected: Expected::Boolean(value), losses: Vec::new() }
    }

    /// The same, with these losses besides.
    #[must_use]
    pub fn losing(mut self, losses: &[&'static str]) -> Self {
        self.losses.extend(losses);
        self
    }

    /// A number beyond the target's type.
    pub fn beyond(literal: impl Into<String>) -> Self {
        Self { literal: literal.into(), expected: Expected::Null, losses: vec!["range"] }
    }
}

/// `0x…`, as T-SQL writes bytes.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// An unscaled number with its point put in.
pub fn scaled(value: i128, scale: u32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 {
        return value.to_string();
    }
    let unit = 10u128.pow(scale);
    let (whole, fraction) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
    format!("{sign}{whole}.{fraction:0width$}", width = scale as usize)
}
