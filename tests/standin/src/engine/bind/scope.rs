//! Names in sight.

use std::sync::Arc;

use super::super::catalog::{Table, same};
use super::super::error::{Result, invalid_column};
use super::{Binder, Bound, Strength};
use crate::value::{SqlError, SqlType};

/// A column of a relation in sight.
#[derive(Debug, Clone)]
pub struct SourceColumn {
    /// Name.
    pub name: String,
    /// SQLite's name.
    pub stored: String,
    /// Type.
    pub ty: SqlType,
    /// Whether NULL may come.
    pub nullable: bool,
    /// Collation.
    pub collation: Option<&'static str>,
    /// Whether it is an identity column.
    pub identity: bool,
}

/// A relation in sight.
#[derive(Debug, Clone)]
pub struct Source {
    /// Name by which it is known.
    pub name: String,
    /// Schema, where it is a table without alias.
    pub schema: Option<String>,
    /// SQLite's alias.
    pub alias: String,
    /// Columns.
    pub columns: Vec<SourceColumn>,
    /// The table behind it.
    pub table: Option<Arc<Table>>,
}

/// The relations of one FROM.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Relations.
    pub sources: Vec<Source>,
    /// Columns used outside aggregates and GROUP BY expressions.
    pub bare: Vec<String>,
    /// Texts of GROUP BY expressions.
    pub groups: Vec<String>,
    /// SQL of GROUP BY columns.
    pub group_columns: Vec<String>,
    /// Whether an aggregate was used.
    pub aggregated: bool,
    /// How deep in aggregates (or GROUP BY expressions) binding stands.
    pub inside: usize,
}

impl Source {
    /// Whether a written qualifier means this relation.
    fn answers_to(&self, qualifier: &[String]) -> bool {
        let Some((name, before)) = qualifier.split_last() else { return true };
        same(&self.name, name)
            && before.last().is_none_or(|schema| self.schema.as_ref().is_some_and(|own| same(own, schema)))
    }

    /// 230 for a column that its table has, and the login may not read.
    fn refused(&self, column: &str, database: &str) -> Option<SqlError> {
        let table = self.table.as_ref()?;
        let known = table.columns.iter().find(|known| same(&known.name, column))?;
        let text = format!(
            "The SELECT permission was denied on the column '{}' of the object '{}', database '{database}', schema '{}'.",
            known.name, table.name, table.schema
        );
        let is_seen = self.columns.iter().any(|own| same(&own.name, column));
        (!is_seen).then(|| SqlError::new(230, text).severity(14))
    }

    /// A column of it, bound.
    pub fn bound(&self, column: &SourceColumn) -> Bound {
        let mut bound = Bound::new(format!("\"{}\".\"{}\"", self.alias, column.stored), column.ty);
        bound.nullable = column.nullable;
        if let Some(collation) = column.collation {
            bound.collation = (collation, Strength::Implicit);
        }
        bound.column = Some((column.name.clone(), column.identity));
        bound
    }
}

impl Binder<'_> {
    /// The innermost scope.
    pub fn scope(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// A column by its written name.
    pub fn column(&mut self, parts: &[String]) -> Result<Bound> {
        let (name, qualifier) =
            parts.split_last().map_or((String::new(), &[][..]), |(name, rest)| (name.clone(), rest));
        for scope in self.scopes.iter_mut().rev() {
            let mut found: Option<Bound> = None;
            for source in scope.sources.iter().filter(|source| source.answers_to(qualifier)) {
                for column in source.columns.iter().filter(|column| same(&column.name, &name)) {
                    if found.is_some() {
                        return Err(SqlError::new(209, format!("Ambiguous column name '{name}'.")));
                    }
                    found = Some(source.bound(column));
                }
            }
            if let Some(bound) = found {
                if scope.inside == 0 && !scope.group_columns.contains(&bound.sql) {
                    let full = match scope
                        .sources
                        .iter()
                        .find(|source| bound.sql.starts_with(&format!("\"{}\".", source.alias)))
                    {
                        Some(source) => format!(
                            "{}.{name}",
                            source
                                .schema
                                .as_ref()
                                .map_or(source.name.clone(), |schema| format!("{schema}.{}", source.name))
                        ),
                        None => name.clone(),
                    };
                    scope.bare.push(full);
                }
                return Ok(bound);
            }
        }
        if !qualifier.is_empty()
            && !self.scopes.iter().any(|scope| scope.sources.iter().any(|s| s.answers_to(qualifier)))
        {
            return Err(SqlError::new(
                4104,
                format!("The multi-part identifier \"{}\" could not be bound.", parts.join(".")),
            ));
        }
        let mut sources = self.scopes.iter().flat_map(|scope| &scope.sources);
        let refused = sources.find_map(|source| {
            source.answers_to(qualifier).then(|| source.refused(&name, &self.environment.database)).flatten()
        });
        Err(refused.unwrap_or_else(|| invalid_column(&name)))
    }

    /// All columns of the relations that a wildcard names.
    pub fn wildcard(&mut self, qualifier: &[String]) -> Result<Vec<Bound>> {
        let scope = self.scope();
        let sources: Vec<Source> =
            scope.sources.iter().filter(|source| source.answers_to(qualifier)).cloned().collect();
        if sources.is_empty() {
            return Err(if qualifier.is_empty() {
                SqlError::new(263, "Must specify table to select from.")
            } else {
                SqlError::new(
                    107,
                    format!(
                        "The column prefix '{}' does not match with a table name or alias name used in the query.",
                        qualifier.join(".")
                    ),
                )
                .severity(15)
            });
        }
        let mut bounds = Vec::new();
        for source in sources {
            let mut all = source.table.iter().flat_map(|table| &table.columns);
            if let Some(error) = all.find_map(|column| source.refused(&column.name, &self.environment.database)) {
                return Err(error);
            }
            for column in &source.columns {
                let bound = source.bound(column);
                let scope = self.scope();
                if scope.inside == 0 && !scope.group_columns.contains(&bound.sql) {
                    scope.bare.push(format!("{}.{}", source.name, column.name));
                }
                bounds.push(bound);
            }
        }
        Ok(bounds)
    }
}
