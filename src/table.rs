//! Tables and their columns, in words that no source and no target owns.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A table's name as the source's catalogue spells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// Schema.
    pub schema: String,
    /// Table.
    pub name: String,
}

impl TableName {
    /// A name from its two parts.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }
}

/// Writes `schema.name`, a part in brackets where it would not read back as itself.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: &str| {
            if part.is_empty() || part.contains(['.', '[', ']', '"']) || part.trim() != part {
                format!("[{}]", part.replace(']', "]]"))
            } else {
                part.to_owned()
            }
        };
        write!(f, "{}.{}", part(&self.schema), part(&self.name))
    }
}

/// The text is not `schema.name`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a table name: write schema.name, and brackets around a part that holds a dot: [a.b].[c d]")]
pub struct ParseTableNameError(String);

impl FromStr for TableName {
    type Err = ParseTableNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = split_name(text).filter(|parts| parts.len() == 2 && parts.iter().all(|part| !part.is_empty()));
        match parts.map(|mut parts| (parts.pop(), parts.pop())) {
            Some((Some(name), Some(schema))) => Ok(Self { schema, name }),
            _ => Err(ParseTableNameError(text.to_owned())),
        }
    }
}

/// Splits at dots outside brackets or double quotes, and takes those off.
fn split_name(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut characters = text.trim().chars().peekable();
    while let Some(character) = characters.next() {
        let part = parts.last_mut()?;
        match character {
            '.' => parts.push(String::new()),
            '[' | '"' if part.is_empty() => {
                let close = if character == '[' { ']' } else { '"' };
                loop {
                    let inner = characters.next()?;
                    if inner != close {
                        part.push(inner);
                    } else if characters.peek() == Some(&close) {
                        part.push(inner);
                        characters.next();
                    } else {
                        break;
                    }
                }
            }
            other => part.push(other),
        }
    }
    Some(parts)
}

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

/// Whether a name matches a pattern in which `*` stands for any characters; both sides are given in the form in which
/// the source compares names.
pub fn matches_pattern(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut last = None;
    for piece in pieces {
        if let Some(middle) = last.replace(piece) {
            match rest.find(middle) {
                Some(at) => rest = &rest[at + middle.len()..],
                None => return false,
            }
        }
    }
    match last {
        None => rest.is_empty(),
        Some(end) => rest.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_themselves() {
        for (schema, name) in [("Sales", "Orders"), ("a.b", "c d"), ("a", "b]c"), ("x", "\"q\""), ("dbo", " lead")] {
            let table = TableName::new(schema, name);
            assert_eq!(table.to_string().parse::<TableName>().unwrap(), table, "{table}");
        }
        assert_eq!("[Sales].[Orders]".parse::<TableName>().unwrap(), TableName::new("Sales", "Orders"));
        for wrong in ["", "Orders", "a.b.c", ".b", "a.", "[a.b"] {
            assert!(wrong.parse::<TableName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("Sales.*", "Sales.Orders", true),
            ("Sales.*", "Sales2.Orders", false),
            ("*.Audit*", "Sales.AuditLog", true),
            ("*.Audit*", "Sales.MyAudit", false),
            ("Person.Address", "Person.Address", true),
            ("Person.Address", "Person.AddressType", false),
            ("*", "a.b", true),
            ("a*b*c", "a.xbxc", true),
            ("a*b*c", "a.xc", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches_pattern(pattern, name), expected, "{pattern} {name}");
        }
    }
}
