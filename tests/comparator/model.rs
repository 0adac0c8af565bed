//! Tables in memory: what the source holds, in the text that the target should print.

use std::collections::HashMap;

use anyhow::ensure;

use super::kind::Kind;

/// A cell in the target's text; `None` is NULL.
pub type Cell = Option<Box<str>>;
/// A row: a cell for each column.
pub type Row = Box<[Cell]>;

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name at the source.
    pub name: String,
    /// Type at the source.
    pub kind: Kind,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Whether the source numbers it.
    pub identity: bool,
}

/// A table and its rows. Rows have places, so that one can be drawn at random again and again alike.
#[derive(Debug, Clone)]
pub struct Table {
    /// Schema at the source.
    pub schema: String,
    /// Name at the source.
    pub name: String,
    /// Columns, in order.
    pub columns: Vec<Column>,
    /// The key columns' places, in key order.
    pub key: Vec<usize>,
    rows: Vec<Row>,
    places: HashMap<String, usize>,
}

impl Table {
    /// An empty table.
    pub fn new(schema: &str, name: &str, columns: Vec<Column>, key: &[&str]) -> anyhow::Result<Self> {
        let place = |name: &&str| columns.iter().position(|column| column.name == **name);
        let key: Vec<_> = key.iter().filter_map(place).collect();
        ensure!(!key.is_empty(), "{schema}.{name} has no key");
        let (schema, name) = (schema.to_owned(), name.to_owned());
        Ok(Self { schema, name, columns, key, rows: Vec::new(), places: HashMap::new() })
    }

    /// `schema.name`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row at a place below [`Table::len`].
    pub fn row(&self, place: usize) -> &Row {
        &self.rows[place]
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }

    /// What makes a row the same row at the source, whose collation ignores case and trailing blanks.
    pub fn identity<'a>(&self, cell: impl Fn(usize) -> &'a Cell) -> String {
        let mut identity = String::new();
        for &at in &self.key {
            let text = cell(at).as_deref().unwrap_or_default();
            if self.columns[at].kind.is_text() {
                identity.push_str(&text.trim_end_matches(' ').to_lowercase());
            } else {
                identity.push_str(text);
            }
            identity.push('\u{1f}');
        }
        identity
    }

    /// The place of the row that the source would find for this one's key.
    pub fn find(&self, row: &[Cell]) -> Option<usize> {
        self.places.get(&self.identity(|at| &row[at])).copied()
    }

    /// Adds a row; refuses a key that is there.
    pub fn insert(&mut self, row: Row) -> anyhow::Result<()> {
        ensure!(row.len() == self.columns.len(), "a row of {} with {} cells", self.full_name(), row.len());
        let identity = self.identity(|at| &row[at]);
        ensure!(!self.places.contains_key(&identity), "{} has two rows of the key {identity:?}", self.full_name());
        self.places.insert(identity, self.rows.len());
        self.rows.push(row);
        Ok(())
    }

    /// Takes out the row at a place; the last row takes its place.
    pub fn remove(&mut self, place: usize) -> Row {
        let row = self.rows.swap_remove(place);
        self.places.remove(&self.identity(|at| &row[at]));
        if place < self.rows.len() {
            let moved = self.identity(|at| &self.rows[place][at]);
            self.places.insert(moved, place);
        }
        row
    }
}

/// The tables of a source.
#[derive(Debug, Clone, Default)]
pub struct Database {
    /// Its tables.
    pub tables: Vec<Table>,
}

impl Database {
    /// Rows of all tables.
    pub fn row_count(&self) -> usize {
        self.tables.iter().map(Table::len).sum()
    }
}
