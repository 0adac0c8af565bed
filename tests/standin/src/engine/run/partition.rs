//! Partition functions and schemes, and the switch of a partition from one table to another.

use std::cmp::Ordering;
use std::sync::Arc;

use rusqlite::params_from_iter;
use rusqlite::types::Value as Stored;
use sqlparser::ast::Expr;

use super::super::bind::Binder;
use super::super::catalog::{Catalog, Index, PartitionFunction, PartitionScheme, Partitioned, Table, same};
use super::super::environment::Environment;
use super::super::error::{Result, cannot_drop, from_sqlite};
use super::super::script::{self, Name};
use super::super::session::SqlSession;
use super::super::values::{collation, storage, types};
use super::store;
use super::write::parse_expression;
use crate::cdc::DdlKind;
use crate::value::SqlError;

fn stored<T>(result: rusqlite::Result<T>) -> Result<T> {
    result.map_err(|error| from_sqlite(&error))
}

fn taken(kind: &str, name: &str) -> SqlError {
    SqlError::new(2714, format!("There is already a {kind} named '{name}' in the database."))
}

/// 4902.
fn no_table(name: &[String]) -> SqlError {
    SqlError::new(
        4902,
        format!(
            "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
            name.join(".")
        ),
    )
}

/// Part of a table that a switch moves: the table, and the partition if it has any.
struct Part {
    table: Arc<Table>,
    number: Option<usize>,
}

impl SqlSession {
    /// CREATE PARTITION FUNCTION. Boundaries are kept in order, as the server does.
    pub fn create_partition_function(&mut self, spec: &script::PartitionFunction) -> Result<()> {
        let mut boundaries = Vec::new();
        for text in &spec.boundaries {
            let value = self.evaluate(&parse_expression(text)?, spec.ty)?;
            boundaries.push((storage::encode(&value), text.clone()));
        }
        boundaries.sort_by(|(a, _), (b, _)| order(a, b));
        if boundaries.windows(2).any(|pair| order(&pair[0].0, &pair[1].0).is_eq()) {
            return Err(SqlError::new(
                7708,
                "Duplicate values are not allowed in partition function boundary values list.",
            ));
        }
        self.change_catalog(false, |_, _, changed| {
            if changed.state.partition_functions.iter().any(|own| same(&own.name, &spec.name)) {
                return Err(taken("partition function", &spec.name));
            }
            let id = 65_535 + i32::try_from(changed.state.partition_functions.len()).unwrap_or(0) + 1;
            changed.state.partition_functions.push(PartitionFunction {
                id,
                name: spec.name.clone(),
                ty: spec.ty,
                right: spec.right,
                boundaries: boundaries.into_iter().map(|(_, text)| text).collect(),
            });
            Ok(())
        })
    }

    /// CREATE PARTITION SCHEME.
    pub fn create_partition_scheme(&mut self, name: &str, function: &str, all: bool, groups: &[String]) -> Result<()> {
        self.change_catalog(false, |_, _, changed| {
            let found = changed.state.partition_functions.iter().find(|own| same(&own.name, function));
            let function = found.ok_or_else(|| {
                SqlError::new(7720, format!("Data space '{name}' refers to no partition function '{function}'."))
            })?;
            if !all && groups.len() < function.boundaries.len() + 1 {
                let text = format!(
                    "The associated partition function '{}' generates more partitions than there are file groups mentioned in the scheme '{name}'.",
                    function.name
                );
                return Err(SqlError::new(7707, text));
            }
            if changed.state.partition_schemes.iter().any(|own| same(&own.name, name)) {
                return Err(taken("partition scheme", name));
            }
            let id = 65_600 + i32::try_from(changed.state.partition_schemes.len()).unwrap_or(0) + 1;
            let scheme = PartitionScheme { id, name: name.to_owned(), function: function.id };
            changed.state.partition_schemes.push(scheme);
            Ok(())
        })
    }

    /// DROP PARTITION FUNCTION and SCHEME: not while something stands on it.
    pub fn drop_partition(&mut self, scheme: bool, name: &str) -> Result<()> {
        self.change_catalog(false, |_, _, changed| {
            let state = &mut changed.state;
            if scheme {
                let found = state.partition_schemes.iter().find(|own| same(&own.name, name)).map(|own| own.id);
                let id = found.ok_or_else(|| cannot_drop("partition scheme", name))?;
                let used = |table: &Arc<Table>| table.partition.is_some_and(|placed| placed.scheme == id);
                if changed.tables.values().any(used) {
                    let text = format!(
                        "The partition scheme \"{name}\" is currently being used to partition one or more tables."
                    );
                    return Err(SqlError::new(7717, text));
                }
                state.partition_schemes.retain(|own| own.id != id);
                return Ok(());
            }
            let found = state.partition_functions.iter().find(|own| same(&own.name, name)).map(|own| own.id);
            let id = found.ok_or_else(|| cannot_drop("partition function", name))?;
            if state.partition_schemes.iter().any(|own| own.function == id) {
                let text = format!("Partition function '{name}' is being used by one or more partition schemes.");
                return Err(SqlError::new(7706, text));
            }
            state.partition_functions.retain(|own| own.id != id);
            Ok(())
        })
    }

    /// ALTER TABLE … SWITCH: rows change their table, and no record of them is written (reference, section 8).
    pub fn switch_partition(
        &mut self,
        environment: &Arc<Environment>,
        source: &Arc<Table>,
        from: Option<i64>,
        to: &Name,
        into: Option<i64>,
    ) -> Result<()> {
        let target = environment.find_table(to).ok_or_else(|| no_table(to))?;
        let catalog = &environment.catalog;
        let source = Part { number: part_number(catalog, source, from)?, table: Arc::clone(source) };
        let target = Part { number: part_number(catalog, &target, into)?, table: target };
        same_shape(&source.table, &target.table)?;
        self.shared.cdc.check_ddl(source.table.id, DdlKind::SwitchOut)?;
        self.shared.cdc.check_ddl(target.table.id, DdlKind::SwitchIn)?;
        if self.any_row(environment, &target.table, &[target.condition(catalog)?])? {
            let name = target.table.full_name();
            let (number, text) = match target.number {
                Some(part) => (4904, format!("The specified partition {part} of target table '{name}' must be empty.")),
                None => (4905, format!("The target table '{name}' must be empty.")),
            };
            return Err(SqlError::new(number, format!("ALTER TABLE SWITCH statement failed. {text}")));
        }
        let leaves = parse_expression(&source.text(catalog))?;
        let misplaced = parse_expression(&format!("NOT ({})", target.text(catalog)))?;
        if self.any_row(environment, &source.table, &[leaves.clone(), misplaced])? {
            let text = format!(
                "ALTER TABLE SWITCH statement failed. Check constraints of source table '{}' allow values that are not allowed by range defined by partition {} on target table '{}'.",
                source.table.full_name(),
                target.number.unwrap_or(1),
                target.table.full_name()
            );
            return Err(SqlError::new(4972, text));
        }
        self.move_rows(environment, &source.table, &leaves, &target.table)
    }

    fn move_rows(&mut self, environment: &Arc<Environment>, from: &Arc<Table>, which: &Expr, to: &Table) -> Result<()> {
        let mut binder = Binder::new(environment, &self.operations, &self.variables);
        let rows = binder.table_source(from, from.name.clone(), None)?;
        let condition = binder.predicate(which)?;
        let alias = format!("\"{}\"", binder.scope().sources[0].alias);
        let names: Vec<String> = to.columns.iter().map(store::column_name).collect();
        let moved = format!(
            "INSERT INTO {} ({}) SELECT {} FROM {rows} WHERE {condition}",
            to.stored(),
            names.join(", "),
            store::column_list(from, &alias),
        );
        let gone =
            format!("DELETE FROM {} WHERE rid IN (SELECT {alias}.rid FROM {rows} WHERE {condition})", from.stored());
        for sql in [moved, gone] {
            let mut statement = stored(self.connection.prepare(&sql))?;
            stored(statement.execute(params_from_iter(&binder.params)))?;
        }
        Ok(())
    }

    /// Whether a table has a row that fulfils all conditions.
    fn any_row(&self, environment: &Arc<Environment>, table: &Arc<Table>, conditions: &[Expr]) -> Result<bool> {
        self.count_rows(environment, table, conditions).map(|count| count > 0)
    }

    fn count_rows(&self, environment: &Arc<Environment>, table: &Arc<Table>, conditions: &[Expr]) -> Result<i64> {
        let mut binder = Binder::new(environment, &self.operations, &self.variables);
        let rows = binder.table_source(table, table.name.clone(), None)?;
        let terms = conditions.iter().map(|condition| binder.predicate(condition)).collect::<Result<Vec<_>>>()?;
        let mut statement =
            stored(self.connection.prepare(&format!("SELECT count(*) FROM {rows} WHERE {}", terms.join(" AND "))))?;
        stored(statement.query_row(params_from_iter(&binder.params), |row| row.get(0)))
    }

    /// The rows of each partition of a table, from the first on.
    pub fn partition_rows(&self, environment: &Arc<Environment>, table: &Arc<Table>) -> Result<Vec<i64>> {
        let catalog = &environment.catalog;
        let Some((function, _)) = catalog.partitioning(table) else {
            let sql = format!("SELECT count(*) FROM {}", table.stored());
            return stored(self.connection.query_row(&sql, [], |row| row.get(0))).map(|count| vec![count]);
        };
        (1..=function.boundaries.len() + 1)
            .map(|number| {
                let part = Part { table: Arc::clone(table), number: Some(number) };
                self.count_rows(environment, table, &[part.condition(catalog)?])
            })
            .collect()
    }
}

impl Part {
    /// The condition, as T-SQL, that its rows fulfil. NULL lies in the first partition.
    fn text(&self, catalog: &Catalog) -> String {
        let (Some(number), Some((function, column))) = (self.number, catalog.partitioning(&self.table)) else {
            return "1 = 1".to_owned();
        };
        let name = format!("[{}]", column.name.replace(']', "]]"));
        let (above, below) = if function.right { (">=", "<") } else { (">", "<=") };
        let mut terms = Vec::new();
        if let Some(low) = number.checked_sub(2).and_then(|at| function.boundaries.get(at)) {
            terms.push(format!("{name} {above} {low}"));
        }
        if let Some(high) = function.boundaries.get(number - 1) {
            terms.push(format!("{name} {below} {high}"));
        }
        let inside = if terms.is_empty() { "1 = 1".to_owned() } else { terms.join(" AND ") };
        if number == 1 { format!("({inside} OR {name} IS NULL)") } else { format!("({inside} AND {name} IS NOT NULL)") }
    }

    fn condition(&self, catalog: &Catalog) -> Result<Expr> {
        parse_expression(&self.text(catalog))
    }
}

/// The partition that a statement names; 7722 for one that there is not. Only a partitioned table has numbers.
fn part_number(catalog: &Catalog, table: &Table, named: Option<i64>) -> Result<Option<usize>> {
    let last = catalog.partitioning(table).map(|(function, _)| function.boundaries.len() + 1);
    match (last, named) {
        (None, None | Some(1)) => Ok(None),
        (Some(last), Some(number)) => usize::try_from(number)
            .ok()
            .filter(|number| (1..=last).contains(number))
            .map(Some)
            .ok_or_else(|| invalid_number(number, table, last)),
        (Some(_), None) => {
            let text = format!(
                "ALTER TABLE SWITCH statement failed. The table '{}' is partitioned while index or table is not, and no partition was named.",
                table.full_name()
            );
            Err(SqlError::new(4911, text))
        }
        (None, Some(number)) => Err(invalid_number(number, table, 1)),
    }
}

fn invalid_number(number: i64, table: &Table, last: usize) -> SqlError {
    SqlError::new(
        7722,
        format!(
            "Invalid partition number {number} specified for table '{}', partition number can range from 1 to {last}.",
            table.full_name()
        ),
    )
}

/// Both tables of a switch have the same columns.
fn same_shape(source: &Table, target: &Table) -> Result<()> {
    let (from, to) = (source.full_name(), target.full_name());
    let failed =
        |number, text: String| Err(SqlError::new(number, format!("ALTER TABLE SWITCH statement failed {text}")));
    if source.columns.len() != target.columns.len() {
        let (one, other) = (source.columns.len(), target.columns.len());
        return failed(4943, format!("because table '{from}' has {one} columns and table '{to}' has {other} columns."));
    }
    for (one, other) in source.columns.iter().zip(&target.columns) {
        if !same(&one.name, &other.name) {
            return failed(4957, format!("because column '{}' has another name in table '{to}'.", one.name));
        }
        if one.ty != other.ty || one.nullable != other.nullable {
            let (own, there) = (types::display(one.ty), types::display(other.ty));
            let name = &one.name;
            return failed(
                4944,
                format!(
                    "because column '{name}' has data type {own} in source table '{from}' which is different from its type {there} in target table '{to}'."
                ),
            );
        }
    }
    Ok(())
}

/// Where a new table is to lie: 1921 for a scheme that there is not, 1911 for such a column, 1908 where a unique index
/// lacks the column.
pub fn placed(catalog: &Catalog, table: &Table, (scheme, column): &(String, String)) -> Result<Partitioned> {
    let found = catalog.state.partition_schemes.iter().find(|own| same(&own.name, scheme));
    let found = found.ok_or_else(|| SqlError::new(1921, format!("Invalid partition scheme '{scheme}' specified.")))?;
    let unknown = || SqlError::new(1911, format!("Column name '{column}' does not exist in the target table or view."));
    let column = table.column(column).ok_or_else(unknown)?;
    let without = |index: &&Index| index.unique && !index.columns.iter().any(|(id, _)| *id == column.id);
    if let Some(index) = table.indexes.iter().find(without) {
        let text = format!(
            "Column '{}' is partitioning column of the index '{}'. Partition columns for a unique index must be a subset of the index key.",
            column.name, index.name
        );
        return Err(SqlError::new(1908, text));
    }
    Ok(Partitioned { scheme: found.id, column: column.id })
}

/// The order of boundaries of one type.
fn order(a: &Stored, b: &Stored) -> Ordering {
    match (a, b) {
        (Stored::Integer(a), Stored::Integer(b)) => a.cmp(b),
        (Stored::Real(a), Stored::Real(b)) => a.total_cmp(b),
        (Stored::Text(a), Stored::Text(b)) => collation::compare(collation::DEFAULT, a, b),
        (Stored::Blob(a), Stored::Blob(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}
