//! A logged-in connection, and the statements that it runs.

use futures_util::TryStreamExt;
use tiberius::{Client as Driver, ColumnData, Query, QueryItem, QueryStream, Row};
use tokio_util::compat::Compat;

use super::failure::classify;
use super::prelogin::Watched;
use super::sql;
use crate::error::{Error, Kind, Result};

/// A logged-in connection.
pub struct Client {
    driver: Driver<Compat<Watched>>,
    place: String,
    who: Option<Who>,
}

/// Who logged in.
#[derive(Debug, Clone, Default)]
pub struct Who {
    /// The login at the server.
    pub login: String,
    /// The user in the database that stands for it, whom grants there name.
    pub user: String,
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
    /// The client of a connection.
    pub fn new(driver: Driver<Compat<Watched>>, place: String) -> Self {
        Self { driver, place, who: None }
    }

    /// Who logged in: asked once, and only where something is to be mended. Without names where the connection is gone.
    pub async fn who(&mut self) -> Who {
        if self.who.is_none() {
            let asked = async { self.driver.simple_query(sql::WHO).await?.into_first_result().await };
            let rows = asked.await.unwrap_or_default();
            self.who = rows.first().map(|row| Who { login: text(row, 0), user: text(row, 1) });
        }
        self.who.clone().unwrap_or_default()
    }

    /// What a statement failed of, with what grants a right that it lacked.
    async fn failed(&mut self, error: tiberius::error::Error) -> Error {
        let failed = classify(&self.place, &Who::default(), &error);
        if failed.kind() != Kind::SourceRights {
            return failed;
        }
        let who = self.who().await;
        classify(&self.place, &who, &error)
    }

    /// Runs a batch as it is, and gives the rows of its last result set.
    pub async fn batch(&mut self, sql: &str) -> Result<Vec<Row>> {
        let results = async { self.driver.simple_query(sql).await?.into_results().await };
        match results.await {
            Ok(mut results) => Ok(results.pop().unwrap_or_default()),
            Err(error) => Err(self.failed(error).await),
        }
    }

    /// Runs a statement with parameters `@P1`, `@P2` …, and gives its rows.
    pub async fn query(&mut self, sql: &str, parameters: Vec<Parameter>) -> Result<Vec<Row>> {
        let query = bind(sql, parameters);
        let rows = async { query.query(&mut self.driver).await?.into_first_result().await };
        match rows.await {
            Ok(rows) => Ok(rows),
            Err(error) => Err(self.failed(error).await),
        }
    }

    /// Runs a statement whose rows are read as they come.
    pub async fn stream(&mut self, sql: &str, parameters: Vec<Parameter>) -> Result<Rows<'_>> {
        let stream = bind(sql, parameters).query(&mut self.driver).await;
        let stream = stream.map_err(|error| classify(&self.place, &Who::default(), &error))?;
        Ok(Rows { stream, place: &self.place })
    }
}

/// A result being read.
pub struct Rows<'a> {
    stream: QueryStream<'a>,
    place: &'a str,
}

impl Rows<'_> {
    /// The next row; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Row>> {
        let place = self.place;
        while let Some(item) = self.stream.try_next().await.map_err(|error| classify(place, &Who::default(), &error))? {
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
