//! Catalogue views: what they are called, their columns, and the rows that show the catalogue.

mod agent;
mod column;
mod database;
mod index;
mod information;
pub mod object;
mod partition;
mod policy;
pub mod rights;
pub mod server;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::catalog::{Table, same};
use super::environment::Environment;
use super::values::{collation, types};
use crate::value::{Column, SqlType, Value};

/// What a view looks at.
pub struct Sight<'a> {
    /// What the statement sees.
    pub environment: &'a Environment,
    /// Whether the view is one of the user database, not of `master` and its like.
    pub user: bool,
    /// Rows of each table's partitions, for the views that tell them.
    pub rows: BTreeMap<(i32, i32), i64>,
}

impl Sight<'_> {
    /// The tables of the database.
    pub fn tables(&self) -> Vec<&Arc<Table>> {
        static NONE: BTreeMap<i32, Arc<Table>> = BTreeMap::new();
        let all = if self.user { &self.environment.catalog.tables } else { &NONE };
        all.values().filter(|table| self.environment.sees(table)).collect()
    }

    /// The id of a schema.
    pub fn schema_id(&self, name: &str) -> i64 {
        self.environment.catalog.schema(name).map_or(1, |(id, _)| i64::from(id))
    }
}

/// A view.
#[derive(Debug)]
pub struct View {
    /// Schema.
    pub schema: &'static str,
    /// Name.
    pub name: &'static str,
    /// Columns.
    pub columns: fn() -> Vec<Column>,
    /// Rows.
    pub rows: fn(&Sight<'_>) -> Vec<Vec<Value>>,
    /// Whether it changes with the catalogue only.
    pub lasting: bool,
}

/// The type of names.
pub const NAME: SqlType = SqlType::NVarChar(Some(128));
/// The type of short words.
pub const WORD: SqlType = SqlType::NVarChar(Some(60));

/// Columns of a view, all of them nullable to the client.
pub fn columns(list: &[(&str, SqlType)]) -> Vec<Column> {
    list.iter()
        .map(|(name, sql_type)| Column {
            name: (*name).to_owned(),
            sql_type: *sql_type,
            nullable: true,
            identity: false,
            collation: types::is_text(*sql_type).then_some(collation::DEFAULT),
        })
        .collect()
}

/// A text cell.
pub fn text(text: impl AsRef<str>) -> Value {
    Value::Text(text.as_ref().to_owned())
}

/// An integer cell.
pub fn int(int: impl Into<i64>) -> Value {
    Value::Int(int.into())
}

/// A bit cell.
pub fn bit(bit: bool) -> Value {
    Value::Bit(bit)
}

/// A datetime cell from ticks.
pub fn moment(ticks: i64) -> Value {
    let day = i32::try_from(ticks.div_euclid(super::values::datetime::DAY)).unwrap_or_default();
    let (day, rest) = super::values::datetime::round_datetime(day, ticks.rem_euclid(super::values::datetime::DAY));
    Value::DateTime(day, rest)
}

/// The view of that name in a database.
pub fn find(database: &str, schema: &str, name: &str, user_database: &str) -> Option<(&'static View, bool)> {
    let user = same(database, user_database);
    let known = user || ["master", "msdb", "tempdb", "model"].iter().any(|system| same(database, system));
    let families: [&[View]; 9] = [
        agent::VIEWS,
        policy::VIEWS,
        object::VIEWS,
        column::VIEWS,
        index::VIEWS,
        database::VIEWS,
        information::VIEWS,
        partition::VIEWS,
        server::VIEWS,
    ];
    let found = families.into_iter().flatten().find(|view| same(view.schema, schema) && same(view.name, name))?;
    let jobs = found.schema == "dbo";
    (known && (!jobs || same(database, "msdb"))).then_some((found, user))
}

/// Whether a view tells how many rows tables have.
pub fn counts_rows(view: &View) -> bool {
    partition::VIEWS.iter().any(|own| own.name == view.name)
}
