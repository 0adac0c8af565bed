//! What a table was declared with and the server below has no place for: kept as the comment of a constraint of the
//! table, so that it is created, rolled back and dropped with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::statement::ddl::{Identity, Key};

/// Of a table.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Declared {
    /// As `SVV_TABLE_INFO` tells it.
    pub diststyle: String,
    pub interleaved: bool,
    /// Recorded, not enforced.
    pub keys: Vec<Key>,
    /// By the column's number.
    pub columns: BTreeMap<i16, DeclaredColumn>,
}

/// Of a column.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DeclaredColumn {
    /// As `format_type` tells it.
    #[serde(rename = "type")]
    pub column_type: String,
    /// Of VARBYTE.
    pub size: Option<u32>,
    pub encode: Option<String>,
    pub dist: bool,
    /// The place among the sort keys, from 1; 0 is none.
    pub sort: i32,
    pub identity: Option<Identity>,
    pub case_insensitive: bool,
}

impl Declared {
    /// Makes a column the distribution key.
    pub fn distribute_by(&mut self, number: Option<i16>, style: &str) {
        for (each, column) in &mut self.columns {
            column.dist = Some(*each) == number;
        }
        style.clone_into(&mut self.diststyle);
    }
}
