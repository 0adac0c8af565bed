//! Columns and constraints of a table's definition.

use std::sync::Arc;

use super::super::catalog::{Catalog, Check, Column, Foreign, Index, Table, same};
use super::super::environment::Environment;
use super::super::error::Result;
use super::super::script::{ColumnSpec, ConstraintKind, ConstraintSpec, Name};
use super::super::session::SqlSession;
use super::super::values::{collation, types};
use super::ddl::index_of;
use crate::value::{SqlError, SqlType};

impl SqlSession {
    /// Adds a column and what was declared with it.
    pub fn add_column(
        &mut self,
        environment: &Arc<Environment>,
        changed: &mut Catalog,
        table: &mut Table,
        spec: &ColumnSpec,
    ) -> Result<()> {
        if table.column(&spec.name).is_some() {
            return Err(SqlError::new(2705, format!("Column names in each table must be unique. Column name '{}' in table '{}' is specified more than once.", spec.name, table.name)).state(3));
        }
        let column = self.new_column(environment, table, spec)?;
        table.columns.push(column);
        table.last_column += 1;
        table.last_slot += 1;
        for constraint in &spec.constraints {
            self.add_constraint(environment, changed, table, constraint, Some(&spec.name))?;
        }
        Ok(())
    }

    /// A column as declared, without its constraints.
    pub fn new_column(&mut self, environment: &Arc<Environment>, table: &Table, spec: &ColumnSpec) -> Result<Column> {
        let (ty, computed_nullable) = match (&spec.sql_type, &spec.computed) {
            (Some(ty), _) => (*ty, true),
            (None, Some(text)) => self.computed_type(environment, table, text)?,
            (None, None) => return Err(super::super::error::syntax(&spec.name)),
        };
        let collation = match &spec.collation {
            Some(name) => {
                Some(collation::find(name).ok_or_else(|| SqlError::new(448, format!("Invalid collation '{name}'.")))?)
            }
            None => Some(collation::DEFAULT),
        };
        if spec.identity.is_some()
            && !matches!(
                ty,
                SqlType::TinyInt
                    | SqlType::SmallInt
                    | SqlType::Int
                    | SqlType::BigInt
                    | SqlType::Decimal { scale: 0, .. }
                    | SqlType::Numeric { scale: 0, .. }
            )
        {
            return Err(SqlError::new(
                2749,
                format!(
                    "Identity column '{}' must be of data type int, bigint, smallint, tinyint, or decimal or numeric with a scale of 0, unencrypted, and constrained to be nonnullable.",
                    spec.name
                ),
            ));
        }
        if ty == SqlType::RowVersion && table.columns.iter().any(|column| column.ty == SqlType::RowVersion) {
            return Err(SqlError::new(
                2738,
                format!(
                    "A table can only have one timestamp column. Because table '{}' already has one, the column '{}' cannot be added.",
                    table.name, spec.name
                ),
            ));
        }
        let key = spec
            .constraints
            .iter()
            .any(|constraint| matches!(constraint.kind, ConstraintKind::Unique { primary: true, .. }));
        let nullable =
            spec.nullable.unwrap_or(computed_nullable && ty != SqlType::RowVersion) && spec.identity.is_none() && !key;
        Ok(Column {
            id: table.last_column + 1,
            slot: table.last_slot + 1,
            name: spec.name.clone(),
            ty,
            nullable,
            identity: spec.identity,
            computed: spec.computed.clone(),
            default: None,
            collation: if types::is_text(ty) { collation.map(str::to_owned) } else { None },
            rowguid: spec.rowguid,
            masked: spec.masked,
            encryption: spec.encryption,
            shows_sparse: spec.shows_sparse,
        })
    }

    /// The type that a computed column has.
    fn computed_type(&mut self, environment: &Arc<Environment>, table: &Table, text: &str) -> Result<(SqlType, bool)> {
        let mut binder = super::super::bind::Binder::new(environment, &self.operations, &self.variables);
        binder.table_source(&Arc::new(table.clone()), table.name.clone(), None)?;
        let bound = binder.expression(&super::write::parse_expression(text)?)?;
        Ok((bound.ty, bound.nullable))
    }

    /// Adds a constraint to a table's definition.
    pub fn add_constraint(
        &mut self,
        environment: &Arc<Environment>,
        changed: &mut Catalog,
        table: &mut Table,
        spec: &ConstraintSpec,
        column: Option<&str>,
    ) -> Result<()> {
        let id = if table.is_temporary() { self.shared.next_local_id() } else { changed.new_id() };
        let base = format!("{:.30}", table.name);
        let hash = format!("{:08X}", u64::from(id.unsigned_abs()) * 2_654_435_761 % 0xffff_ffff);
        let named = |prefix: &str| spec.name.clone().unwrap_or_else(|| format!("{prefix}__{base:.20}__{hash}"));
        if let Some(name) = &spec.name
            && constraint_exists(changed, table, name)
        {
            return Err(
                SqlError::new(2714, format!("There is already an object named '{name}' in the database.")).state(5)
            );
        }
        match &spec.kind {
            ConstraintKind::Unique { primary, clustered, columns } => {
                if *primary && table.indexes.iter().any(|index| index.primary) {
                    return Err(SqlError::new(
                        1779,
                        format!("Table '{}' already has a primary key defined on it.", table.name),
                    ));
                }
                let key = key_columns(table, columns)?;
                if *primary {
                    for (key_id, _) in &key {
                        if let Some(at) = table.position(*key_id) {
                            table.columns[at].nullable = false;
                        }
                    }
                }
                let clustered = clustered.unwrap_or(*primary) && !table.indexes.iter().any(|index| index.clustered);
                let index = Index {
                    id: next_index(table, clustered),
                    name: named(if *primary { "PK" } else { "UQ" }),
                    unique: true,
                    primary: *primary,
                    constraint: Some(id),
                    clustered,
                    columns: key,
                    included: Vec::new(),
                    holding: None,
                };
                table.indexes.push(index);
            }
            ConstraintKind::Check(text) => table.checks.push(Check { id, name: named("CK"), text: text.clone() }),
            ConstraintKind::Default { text, column: own } => {
                let name = own.as_deref().or(column).unwrap_or_default();
                let at = table.columns.iter().position(|column| same(&column.name, name)).ok_or_else(|| {
                    SqlError::new(
                        1752,
                        format!(
                            "Column '{name}' in table '{}' is invalid for creating a default constraint.",
                            table.name
                        ),
                    )
                })?;
                if table.columns[at].default.is_some() {
                    return Err(SqlError::new(1781, "Column already has a DEFAULT bound to it."));
                }
                table.columns[at].default = Some((id, named("DF"), text.clone()));
            }
            ConstraintKind::Foreign { columns, table: parent, references, on_delete, on_update } => {
                let foreign = foreign_key(
                    environment,
                    table,
                    (id, named("FK")),
                    columns,
                    parent,
                    references,
                    (on_delete, on_update),
                )?;
                table.foreign.push(foreign);
            }
            ConstraintKind::Index(index) => {
                let index = index_of(table, index)?;
                table.indexes.push(index);
            }
        }
        Ok(())
    }
}

fn constraint_exists(catalog: &Catalog, table: &Table, name: &str) -> bool {
    let has = |table: &Table| {
        table.indexes.iter().any(|index| index.constraint.is_some() && same(&index.name, name))
            || table.checks.iter().any(|check| same(&check.name, name))
            || table.foreign.iter().any(|foreign| same(&foreign.name, name))
            || table.columns.iter().any(|column| column.default.as_ref().is_some_and(|(_, own, _)| same(own, name)))
    };
    has(table) || catalog.tables.values().any(|other| other.schema == table.schema && has(other))
}

/// The id that the next index gets.
pub fn next_index(table: &Table, clustered: bool) -> i32 {
    if clustered { 1 } else { table.indexes.iter().map(|index| index.id).max().unwrap_or(1).max(1) + 1 }
}

/// The columns of a key; 1911 and 1919.
pub fn key_columns(table: &Table, columns: &[(String, bool)]) -> Result<Vec<(i32, bool)>> {
    columns
        .iter()
        .map(|(name, descending)| {
            let column = table.column(name).ok_or_else(|| SqlError::new(1911, format!("Column name '{name}' does not exist in the target table or view.")))?;
            if matches!(column.ty, SqlType::Text | SqlType::NText | SqlType::Image | SqlType::Xml | SqlType::Geography | SqlType::Geometry)
                || matches!(column.ty, SqlType::VarChar(None) | SqlType::NVarChar(None) | SqlType::VarBinary(None))
            {
                return Err(SqlError::new(1919, format!("Column '{name}' in table '{}' is of a type that is invalid for use as a key column in an index.", table.full_name())));
            }
            Ok((column.id, *descending))
        })
        .collect()
}

fn foreign_key(
    environment: &Environment,
    table: &Table,
    (id, name): (i32, String),
    columns: &[String],
    parent: &Name,
    references: &[String],
    (on_delete, on_update): (&str, &str),
) -> Result<Foreign> {
    let own_name = [table.schema.clone(), table.name.clone()];
    let itself = parent.last().is_some_and(|last| same(last, &table.name))
        && (parent.len() == 1 || same(&parent[parent.len() - 2], &own_name[0]));
    let found = if itself { Some(Arc::new(table.clone())) } else { environment.find_table(parent) };
    let found = found.ok_or_else(|| {
        SqlError::new(1767, format!("Foreign key '{name}' references invalid table '{}'.", parent.join(".")))
    })?;
    let own = columns
        .iter()
        .map(|column| {
            table.column(column).map(|column| column.id).ok_or_else(|| {
                SqlError::new(
                    1769,
                    format!(
                        "Foreign key '{name}' references invalid column '{column}' in referencing table '{}'.",
                        table.name
                    ),
                )
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let there: Vec<i32> = if references.is_empty() {
        found
            .indexes
            .iter()
            .find(|index| index.primary)
            .map(|index| index.columns.iter().map(|(id, _)| *id).collect())
            .unwrap_or_default()
    } else {
        references
            .iter()
            .map(|column| {
                found.column(column).map(|column| column.id).ok_or_else(|| {
                    SqlError::new(
                        1770,
                        format!(
                            "Foreign key '{name}' references invalid column '{column}' in referenced table '{}'.",
                            parent.join(".")
                        ),
                    )
                })
            })
            .collect::<Result<_>>()?
    };
    let unique = found.indexes.iter().any(|index| {
        index.unique
            && index.holding.is_none()
            && index.columns.len() == there.len()
            && index.columns.iter().all(|(id, _)| there.contains(id))
    });
    if !unique || own.len() != there.len() {
        return Err(SqlError::new(
            1776,
            format!(
                "There are no primary or candidate keys in the referenced table '{}' that match the referencing column list in the foreign key '{name}'.",
                parent.join(".")
            ),
        ));
    }
    Ok(Foreign {
        id,
        name,
        columns: own,
        table: if itself { table.id } else { found.id },
        references: there,
        on_delete: on_delete.to_owned(),
        on_update: on_update.to_owned(),
    })
}
