//! A table that was there before and cannot be loaded into: all that keeps it from being so, each with what mends it.

use crate::error::{Error, Kind};
use crate::finding::Place;

/// Something that keeps a table from being loaded into.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// What is so.
    pub what: String,
    /// The statement that mends it, if one does.
    pub mend: Option<String>,
}

impl Difference {
    /// One that no statement mends.
    pub fn new(what: String) -> Self {
        Self { what, mend: None }
    }

    /// One that a statement mends.
    pub fn mended(what: String, mend: String) -> Self {
        Self { what, mend: Some(mend) }
    }
}

/// The refusal of a table for all that keeps it from being loaded into.
pub fn refusal(name: &str, differences: &[Difference]) -> Error {
    let what: Vec<_> = differences.iter().map(|difference| difference.what.as_str()).collect();
    let message = format!("{name} is there, but not as it should be: {}", what.join("; "));
    let error = Error::new(Kind::TargetShape, message);
    let mut mends = differences.iter().filter_map(|difference| difference.mend.as_deref()).peekable();
    if mends.peek().is_none() {
        return error.advice(
            "Alter the table, set the types in 'columns' of its [[table]] entry, or rename it out of the way and run 'delsert check' again",
        );
    }
    mends.fold(error, |error, statement| error.mend(Place::Target, statement))
}

/// That rows are there which no batch brought, and which the first snapshot would delete.
pub fn foreign_rows(count: i64, all: bool) -> Difference {
    let count = if all { count.to_string() } else { format!("more than {count}") };
    Difference::new(format!(
        "it holds rows that no batch brought ({count}), and the first snapshot would delete them: empty it, rename it out of the way, or set on_existing_rows = \"replace\" in [target] or in its [[table]] entry"
    ))
}
