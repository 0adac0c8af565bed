//! A logged-in connection, and the statements that it runs.

use futures_util::TryStreamExt;
use tiberius::{Client as Driver, ColumnData, Query, QueryItem, QueryStream, Row};
use tokio_util::compat::Compat;

use super::failure::classify;
use super::prelogin::Watched;
use crate::error::{Error, Result};

/// A logged-in connection.
pub struct Client {
    pub(super) driver: Driver<Compat<Watched>>,
    pub(super) place: String,
    /// Who logged in, as grants name it.
    pub(super) login: String,
}

/// A statement's parameter; SQL casts it to the type it stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    /// bigint.
    Integer(i64),
    /// float.
    Float(f64),
    /// nvarchar.
    Text(String),
    /// varbinary.
    Bytes(Vec<u8>),
}

impl Client {
    /// Who logged in, as grants name it.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// Runs a batch as it is, and gives the rows of its last result set.
    pub async fn batch(&mut self, sql: &str) -> Result<Vec<Row>> {
        let results = async { self.driver.simple_query(sql).await?.into_results().await };
        let mut results = results.await.map_err(|error| classify(&self.place, &self.login, &error))?;
        Ok(results.pop().unwrap_or_default())
    }

    /// Runs a statement with parameters `@P1`, `@P2` …, and gives its rows.
    pub async fn query(&mut self, sql: &str, parameters: Vec<Parameter>) -> Result<Vec<Row>> {
        let query = bind(sql, parameters);
        let rows = async { query.query(&mut self.driver).await?.into_first_result().await };
        rows.await.map_err(|error| classify(&self.place, &self.login, &error))
    }

    /// Runs a statement whose rows are read as they come.
    pub async fn stream(&mut self, sql: &str, parameters: Vec<Parameter>) -> Result<Rows<'_>> {
        let stream = bind(sql, parameters).query(&mut self.driver).await;
        let stream = stream.map_err(|error| classify(&self.place, &self.login, &error))?;
        Ok(Rows { stream, place: &self.place, login: &self.login })
    }
}

/// A result being read.
pub struct Rows<'a> {
    stream: QueryStream<'a>,
    place: &'a str,
    login: &'a str,
}

impl Rows<'_> {
    /// The next row; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Row>> {
        let (place, login) = (self.place, self.login);
        while let Some(item) = self.stream.try_next().await.map_err(|error| classify(place, login, &error))? {
            if let QueryItem::Row(row) = item {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

fn bind(sql: &str, parameters: Vec<Parameter>) -> Query<'_> {
    let mut query = Query::new(sql);
    for parameter in parameters {
        match parameter {
            Parameter::Integer(value) => query.bind(value),
            Parameter::Float(value) => query.bind(value),
            Parameter::Text(value) => query.bind(value),
            Parameter::Bytes(value) => query.bind(value),
        }
    }
    query
}

/// A text cell of a catalogue row; empty for NULL.
pub fn text(row: &Row, at: usize) -> String {
    match row.get_column_data(at) {
        Ok(ColumnData::String(Some(text))) => text.to_string(),
        _ => String::new(),
    }
}

/// An integer or bit cell of a catalogue row; 0 for NULL.
pub fn integer(row: &Row, at: usize) -> i64 {
    match row.get_column_data(at) {
        Ok(ColumnData::U8(Some(value))) => i64::from(*value),
        Ok(ColumnData::I16(Some(value))) => i64::from(*value),
        Ok(ColumnData::I32(Some(value))) => i64::from(*value),
        Ok(ColumnData::I64(Some(value))) => *value,
        Ok(ColumnData::Bit(Some(value))) => i64::from(*value),
        _ => 0,
    }
}

/// A binary cell of a catalogue row; `None` for NULL.
pub fn bytes(row: &Row, at: usize) -> Option<&[u8]> {
    match row.get_column_data(at) {
        Ok(ColumnData::Binary(Some(bytes))) => Some(bytes),
        _ => None,
    }
}

/// The number of the server's message that an error stems from.
pub fn number(error: &Error) -> Option<u32> {
    error.number()
}
