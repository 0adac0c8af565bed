//! How the catalogue holds partitions.

use serde::{Deserialize, Serialize};

use super::catalog::{Catalog, Column, Table};
use crate::value::SqlType;

/// A partition function.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PartitionFunction {
    /// `function_id`.
    pub id: i32,
    /// Name.
    pub name: String,
    /// Type of the column.
    #[serde(with = "super::catalog::type_text")]
    pub ty: SqlType,
    /// RANGE RIGHT: a boundary begins the partition at its right.
    pub right: bool,
    /// Boundaries in order, as they were written.
    pub boundaries: Vec<String>,
}

/// A partition scheme, all of whose partitions lie in the primary file group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PartitionScheme {
    /// `data_space_id`.
    pub id: i32,
    /// Name.
    pub name: String,
    /// Its function.
    pub function: i32,
}

/// Where a partitioned table lies.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Partitioned {
    /// Scheme.
    pub scheme: i32,
    /// Column that decides.
    pub column: i32,
}

impl Catalog {
    /// The function and the column by which a table is partitioned.
    pub fn partitioning<'a>(&'a self, table: &'a Table) -> Option<(&'a PartitionFunction, &'a Column)> {
        let placed = table.partition?;
        let scheme = self.state.partition_schemes.iter().find(|scheme| scheme.id == placed.scheme)?;
        let function = self.state.partition_functions.iter().find(|function| function.id == scheme.function)?;
        let column = table.columns.iter().find(|column| column.id == placed.column)?;
        Some((function, column))
    }
}
