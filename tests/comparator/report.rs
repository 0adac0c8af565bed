//! What differs between a source's model and a target.

use std::fmt;

use anyhow::bail;

/// How many findings are kept to be shown; all are counted.
const KEPT: usize = 40;
/// How many characters of a value are shown.
const SHOWN: usize = 120;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The table, or a column of it, is not what the mapping asks for.
    Shape {
        /// Table at the source.
        table: String,
        /// What is wrong.
        problem: String,
    },
    /// A row of the source is not in the target.
    Missing {
        /// Table at the source.
        table: String,
        /// The row's key.
        key: String,
    },
    /// A row of the target is not in the source.
    Ghost {
        /// Table at the source.
        table: String,
        /// The row's key.
        key: String,
    },
    /// A row is in the target more than once.
    Doubled {
        /// Table at the source.
        table: String,
        /// The row's key.
        key: String,
    },
    /// A cell has another value.
    Stale {
        /// Table at the source.
        table: String,
        /// The row's key.
        key: String,
        /// The column.
        column: String,
        /// What the source holds.
        expected: Option<String>,
        /// What the target holds.
        found: Option<String>,
    },
}

/// What a comparison saw.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Tables compared.
    pub tables: usize,
    /// Rows read from the target.
    pub rows: usize,
    /// Cells compared.
    pub cells: usize,
    /// How many differences there are.
    pub count: usize,
    /// The first of them.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Counts a difference, and keeps it if it is among the first.
    pub fn add(&mut self, finding: Finding) {
        self.count += 1;
        if self.findings.len() < KEPT {
            self.findings.push(finding);
        }
    }

    /// Fails with the differences if there are any.
    pub fn expect_equal(self) -> anyhow::Result<Self> {
        if self.count > 0 {
            bail!("source and target differ: {self}");
        }
        Ok(self)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tables, {} rows, {} cells compared, {} differences",
            self.tables, self.rows, self.cells, self.count
        )?;
        for finding in &self.findings {
            write!(f, "\n  {finding}")?;
        }
        let more = self.count - self.findings.len();
        if more > 0 { write!(f, "\n  and {more} more") } else { Ok(()) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { table, problem } => write!(f, "shape: {table}: {problem}"),
            Self::Missing { table, key } => write!(f, "missing row: {table} {key}"),
            Self::Ghost { table, key } => write!(f, "ghost row: {table} {key}"),
            Self::Doubled { table, key } => write!(f, "doubled row: {table} {key}"),
            Self::Stale { table, key, column, expected, found } => {
                let (expected, found) = (shown(expected.as_deref()), shown(found.as_deref()));
                write!(f, "stale cell: {table} {key} column {column}: expected {expected}, found {found}")
            }
        }
    }
}

fn shown(value: Option<&str>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(text) if text.chars().count() > SHOWN => {
            format!("{:?}… ({} bytes)", text.chars().take(SHOWN).collect::<String>(), text.len())
        }
        Some(text) => format!("{text:?}"),
    }
}
