//! Tables as the catalogue holds them: shared by the engine, which owns the catalogue, and [`crate::cdc`].

use crate::value::{SqlType, Value};

/// A user table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDef {
    /// `object_id`.
    pub object_id: i32,
    /// Schema's name.
    pub schema: String,
    /// Table's name.
    pub name: String,
    /// Columns in `column_id` order (ids have gaps after DROP COLUMN).
    pub columns: Vec<ColumnDef>,
    /// Indexes, the primary key among them.
    pub indexes: Vec<IndexDef>,
    /// Whether it is partitioned.
    pub partitioned: bool,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDef {
    /// `column_id`.
    pub column_id: i32,
    /// Name.
    pub name: String,
    /// Type.
    pub sql_type: SqlType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// Whether it is an identity column.
    pub identity: bool,
    /// Whether it is computed.
    pub computed: bool,
    /// Collation of character columns.
    pub collation: Option<&'static str>,
}

/// An index.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexDef {
    /// `index_id`.
    pub index_id: i32,
    /// Name.
    pub name: String,
    /// Whether it is unique.
    pub unique: bool,
    /// Whether it is the primary key.
    pub primary_key: bool,
    /// Key columns' ids, in key order.
    pub columns: Vec<i32>,
}

impl TableDef {
    /// The primary key, if there is one.
    pub fn primary_key(&self) -> Option<&IndexDef> {
        self.indexes.iter().find(|index| index.primary_key)
    }
}

/// One row change of a transaction, as the log holds it. Rows have one value per table column, in `columns` order.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The table's `object_id`.
    pub object_id: i32,
    /// Which statement of the transaction made it, from 1.
    pub statement: u32,
    /// What happened.
    pub kind: ChangeKind,
}

/// What happened to a row.
#[derive(Debug, Clone, PartialEq)]
pub enum ChangeKind {
    /// The row inserted.
    Insert(Vec<Value>),
    /// The row deleted.
    Delete(Vec<Value>),
    /// The row before and after.
    Update(Vec<Value>, Vec<Value>),
}

/// A change of a table's definition, as the log holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ddl {
    /// The table's `object_id`.
    pub object_id: i32,
    /// The statement's text.
    pub command: String,
    /// The table afterwards; `None` when it was dropped.
    pub after: Option<TableDef>,
}

/// What a transaction wrote, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum LogEntry {
    /// A row.
    Row(Change),
    /// A definition.
    Ddl(Ddl),
}
