//! `COPY … FROM 's3://…'`.
//!
//! | module | is |
//! |---|---|
//! | [`options`] | the statement, its options in any order |
//! | [`source`], [`manifest`] | the files: a prefix, or what a manifest names |
//! | [`csv`] | records of a file |
//! | [`convert`], [`moment`] | fields as the columns' types, or why they are none |
//! | [`load`] | rows into the table, errors into their view |

pub mod convert;
pub mod csv;
pub mod load;
pub mod manifest;
pub mod moment;
pub mod options;
pub mod source;

/// Why a field, or a record, is not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// As the "Load error reference" numbers them.
    pub code: u16,
    pub reason: String,
    /// Where in the record, from 0.
    pub position: usize,
    /// The field, from 0, if it is one field's fault.
    pub field: Option<usize>,
}

impl Rejected {
    /// The fault of a field, whose place the caller knows.
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), position: 0, field: None }
    }
}
