//! Tables and their columns, in words that no source and no target owns.

mod name;

use serde::{Deserialize, Serialize};

pub use name::{Named, ParsePatternError, ParseTableNameError, Pattern, TableName, escape_json, is_unprintable};

/// What a column holds, in terms that each target maps to a type of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// Signed integer of so many bytes: 2, 4 or 8.
    Integer {
        /// 2, 4 or 8.
        bytes: u8,
    },
    /// Exact decimal number.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// Binary floating point of so many bytes: 4 or 8.
    Float {
        /// 4 or 8.
        bytes: u8,
    },
    /// Calendar date.
    Date,
    /// Time of day, with so many decimal digits of a second at the source.
    Time {
        /// 0 to 7.
        digits: u8,
    },
    /// Date and time without a zone.
    Timestamp {
        /// 0 to 7.
        digits: u8,
    },
    /// Date and time with an offset.
    TimestampTz {
        /// 0 to 7.
        digits: u8,
    },
    /// Text.
    Text {
        /// At most so many characters; absent for no bound.
        max_chars: Option<u32>,
        /// At most so many bytes in UTF-8; absent for no bound.
        max_bytes: Option<u32>,
    },
    /// Bytes.
    Binary {
        /// At most so many; absent for no bound.
        max_bytes: Option<u32>,
    },
    /// UUID.
    Uuid,
    /// JSON, as its text.
    Json,
}

/// A column that flows from source to target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name as the source spells it.
    pub name: String,
    /// The source's own type, as its catalogue would write it: `decimal(19,4)`.
    pub source_type: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// How text compares at the source, by its own name for it; absent for what is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
}

/// A table as it flows: name, columns in the source's order, and the key that identifies a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Name.
    #[serde(rename = "table")]
    pub name: TableName,
    /// Names of the key's columns, in key order.
    pub key: Vec<String>,
    /// Columns.
    pub columns: Vec<Column>,
}

impl Table {
    /// The indexes into `columns` of the key's columns, in key order.
    pub fn key_indexes(&self) -> Vec<usize> {
        self.key.iter().filter_map(|key| self.columns.iter().position(|column| column.name == *key)).collect()
    }
}

/// Whether two names are one but for the case of their letters.
pub fn same_but_for_case(left: &str, right: &str) -> bool {
    left == right || left.to_lowercase() == right.to_lowercase()
}

/// Whether a text can stand where a type of a target is wanted, and is nothing more than that.
pub fn is_type(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains([';', '\0', '"', '\'']) && !text.contains("--") && !text.contains("/*")
}
