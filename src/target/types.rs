//! What a column's type is called in a target, and which types the configuration puts in its place.

mod postgres;
mod redshift;
mod shape;

pub use shape::Shape;

use std::collections::BTreeMap;

use crate::config::{Config, Engine};
use crate::csv::Dialect;
use crate::error::{Error, Kind, Result};
use crate::finding::{Finding, Matter};
use crate::table::{ColumnType, Table, is_type, same_but_for_case};

/// The type of an engine that holds every value of a column's type, or the nearest to that.
pub fn sql_type(engine: Engine, column_type: ColumnType) -> String {
    match engine {
        Engine::Postgres => postgres::sql_type(column_type),
        Engine::Redshift => redshift::sql_type(column_type),
    }
}

/// What a type of an engine holds, by its name.
pub fn shape(engine: Engine, sql_type: &str) -> Shape {
    match engine {
        Engine::Postgres => postgres::shape(sql_type),
        Engine::Redshift => redshift::shape(sql_type),
    }
}

/// How cells are written for an engine, unless a text equals the NULL sentinel.
pub fn dialect(engine: Engine) -> Dialect {
    let (null, binary_prefix) = match engine {
        Engine::Postgres => ("\\N", "\\x"),
        Engine::Redshift => (redshift::NULL, redshift::BEFORE_BYTES),
    };
    Dialect { null: null.to_owned(), binary_prefix: binary_prefix.to_owned() }
}

/// The most bytes that a row may have as text; `None` for any number.
pub fn longest_row(engine: Engine) -> Option<usize> {
    match engine {
        Engine::Postgres => None,
        Engine::Redshift => Some(redshift::LONGEST_ROW),
    }
}

/// Checks what is configured for single columns of a table, given as the source has it and as it flows. Of one that
/// `is_open`, columns may have gone since: as with those that are left out, what is said of them is told as useless.
///
/// # Errors
/// [`Kind::Config`]: a type or a policy is configured for a column that the table does not have.
pub fn check_overrides(config: &Config, tables: &[&Table], is_open: bool) -> Result<Vec<Finding>> {
    let Some(table) = tables.first() else { return Ok(Vec::new()) };
    let options = config.options(&table.name);
    let columns = || tables.iter().flat_map(|table| &table.columns).map(|column| column.name.as_str());
    let typed = options.columns.keys().map(|column| (column, "a target type", "columns"));
    let mut useless = Vec::new();
    for (column, what, key) in typed.chain(options.values.keys().map(|column| (column, "a policy", "values"))) {
        if columns().any(|known| same_but_for_case(known, column)) {
            continue;
        }
        let message = format!("{what} is configured for column '{column}', which the table does not send");
        if is_open || options.exclude_columns.iter().any(|excluded| same_but_for_case(excluded, column)) {
            let message = format!("{message}: take it out of '{key}' in its [[table]] entry");
            useless.push(Finding::new(Matter::UselessOption, message).on(&table.name));
            continue;
        }
        let mut known: Vec<_> = columns().collect();
        known.dedup();
        return Err(Error::new(Kind::Config, message)
            .on(&table.name)
            .advice(format!("Mend '{key}' in its [[table]] entry; the table sends {}", known.join(", "))));
    }
    Ok(useless)
}

/// The target types of a table's columns, in order: those configured for it, the engine's own for the rest. Types for
/// columns that the table does not have wait for them.
///
/// # Errors
/// [`Kind::Config`]: what is configured is no type.
pub fn resolve(engine: Engine, table: &Table, overrides: &BTreeMap<String, String>) -> Result<Vec<String>> {
    for (column, configured) in overrides {
        if !is_type(configured) {
            let message = format!("'{configured}', configured for column '{column}', is not a type");
            return Err(Error::new(Kind::Config, message)
                .on(&table.name)
                .advice("Write a type as CREATE TABLE takes it, like varchar(2000)"));
        }
    }
    let of_column = |name: &str| {
        let exact = overrides.get(name);
        exact.or_else(|| {
            overrides.iter().find(|(column, _)| same_but_for_case(column, name)).map(|(_, configured)| configured)
        })
    };
    let resolved = table.columns.iter().map(|column| {
        of_column(&column.name).map_or_else(|| sql_type(engine, column.column_type), |text| text.trim().to_owned())
    });
    Ok(resolved.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Column, TableName};

    fn table(columns: &[&str]) -> Table {
        let column = |name: &&str| Column {
            name: (*name).to_owned(),
            source_type: "nvarchar(10)".to_owned(),
            column_type: ColumnType::Text { max_chars: Some(10), max_bytes: None },
            nullable: true,
            collation: None,
        };
        Table {
            name: TableName::new("Sales", "Orders"),
            key: vec![columns[0].to_owned()],
            columns: columns.iter().map(column).collect(),
        }
    }

    #[test]
    fn a_configured_type_replaces_the_engines_own_whatever_the_case_of_its_column() {
        let overrides = BTreeMap::from([("NOTE".to_owned(), " varchar(2000) ".to_owned())]);
        let types = resolve(Engine::Postgres, &table(&["Id", "Note"]), &overrides).unwrap();
        assert_eq!(types, ["text", "varchar(2000)"]);
    }

    #[test]
    fn of_columns_that_differ_by_case_each_has_its_own_type() {
        let overrides =
            BTreeMap::from([("a".to_owned(), "varchar(1)".to_owned()), ("A".to_owned(), "varchar(2)".to_owned())]);
        let types = resolve(Engine::Postgres, &table(&["A", "a"]), &overrides).unwrap();
        assert_eq!(types, ["varchar(2)", "varchar(1)"]);
    }

    #[test]
    fn a_type_for_an_unknown_column_names_table_and_column() {
        let config = "[sync]\nname = \"x\"\n[[table]]\nname = \"Sales.Orders\"\ncolumns = { Nota = \"varchar(9)\" }";
        let config = Config::parse(config).unwrap();
        let error = check_overrides(&config, &[&table(&["Id", "Note"])], false).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        let text = error.to_string();
        assert!(text.contains("Sales.Orders") && text.contains("'Nota'") && text.contains("Id, Note"), "{text}");
        assert_eq!(check_overrides(&config, &[&table(&["Id"]), &table(&["Id", "nota"])], false).unwrap(), []);
    }

    #[test]
    fn what_is_configured_for_a_column_that_went_or_is_left_out_is_useless() {
        let config = "[sync]\nname = \"x\"\n[[table]]\nname = \"Sales.Orders\"\ncolumns = { Gone = \"varchar(9)\" }\nvalues = { out = { nul = \"fail\" } }\nexclude_columns = [\"Out\"]";
        let config = Config::parse(config).unwrap();
        let tables = [&table(&["Id", "Note"])];
        let told: Vec<_> = check_overrides(&config, &tables, true).unwrap().iter().map(ToString::to_string).collect();
        let [gone, out] = &told[..] else { panic!("{told:?}") };
        assert!(
            gone.contains("Sales.Orders: ") && gone.contains("'Gone'") && gone.contains("out of 'columns'"),
            "{gone}"
        );
        assert!(out.contains("'out'") && out.contains("out of 'values'"), "{out}");
        assert_eq!(check_overrides(&config, &tables, false).unwrap_err().kind(), Kind::Config);
        let still_there = [&table(&["Id", "gone"])];
        assert_eq!(check_overrides(&config, &still_there, false).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for wrong in ["", "  ", "int); DROP TABLE x", "int -- no", "text 'a'", "\"x\""] {
            let overrides = BTreeMap::from([("Id".to_owned(), wrong.to_owned())]);
            assert_eq!(
                resolve(Engine::Postgres, &table(&["Id"]), &overrides).unwrap_err().kind(),
                Kind::Config,
                "{wrong}"
            );
        }
    }
}
