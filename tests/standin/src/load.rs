//! Reads tables to load from a directory: `schema.json` names the tables, their types and files; the files are gzip
//! CSV with a header row.
//!
//! An empty field is NULL, or in a column that cannot be NULL the empty value. Reading is strict: a cell that its type
//! does not hold, a header or a number of rows other than the schema says are errors that name their place.

mod cell;

use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail, ensure};
use csv::{ByteRecord, Reader, ReaderBuilder};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::table::ColumnDef;
use crate::value::{SqlType, Value};

/// The collation that loaded character columns get: the usual default of a server.
pub const COLLATION: &str = "SQL_Latin1_General_CP1_CI_AS";

/// A table to load.
#[derive(Debug, Clone)]
pub struct LoadTable {
    /// Schema's name.
    pub schema: String,
    /// Table's name.
    pub name: String,
    /// Columns, with ids from 1.
    pub columns: Vec<ColumnDef>,
    /// The primary key's columns, in key order; empty for a table without.
    pub primary_key: Vec<String>,
    /// How many rows the file holds.
    pub row_count: u64,
    file: PathBuf,
}

#[derive(Debug, Deserialize)]
struct SchemaFile {
    tables: Vec<SchemaTable>,
}

#[derive(Debug, Deserialize)]
struct SchemaTable {
    table: String,
    file: String,
    rows: u64,
    primary_key: Vec<String>,
    columns: Vec<SchemaColumn>,
}

#[derive(Debug, Deserialize)]
struct SchemaColumn {
    name: String,
    #[serde(rename = "type")]
    sql_type: String,
    nullable: bool,
    #[serde(default)]
    identity: bool,
}

/// The tables of a directory, in the order of its `schema.json`.
///
/// # Errors
/// When `schema.json` cannot be read, names a type that T-SQL does not know, or contradicts itself.
pub fn tables(directory: &Path) -> anyhow::Result<Vec<LoadTable>> {
    let path = directory.join("schema.json");
    let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let schema: SchemaFile =
        serde_json::from_reader(BufReader::new(file)).with_context(|| format!("cannot read {}", path.display()))?;
    schema
        .tables
        .into_iter()
        .map(|table| {
            let name = table.table.clone();
            load_table(directory, table).with_context(|| format!("table {name} in {}", path.display()))
        })
        .collect()
}

fn load_table(directory: &Path, table: SchemaTable) -> anyhow::Result<LoadTable> {
    let (schema, name) = table.table.split_once('.').ok_or_else(|| anyhow!("its name has no schema"))?;
    let mut columns = Vec::with_capacity(table.columns.len());
    for (column_id, column) in (1..).zip(table.columns) {
        let sql_type = SqlType::parse(&column.sql_type).with_context(|| format!("column {}", column.name))?;
        columns.push(ColumnDef {
            column_id,
            name: column.name,
            sql_type,
            nullable: column.nullable,
            identity: column.identity,
            computed: false,
            collation: is_character(sql_type).then_some(COLLATION),
        });
    }
    let mut names = HashSet::new();
    for column in &columns {
        ensure!(names.insert(column.name.to_lowercase()), "column {} comes twice", column.name);
    }
    for key in &table.primary_key {
        let column = columns.iter().find(|column| column.name == *key);
        let column = column.ok_or_else(|| anyhow!("key column {key} is no column"))?;
        ensure!(!column.nullable, "key column {key} may be NULL");
    }
    Ok(LoadTable {
        schema: schema.to_owned(),
        name: name.to_owned(),
        columns,
        primary_key: table.primary_key,
        row_count: table.rows,
        file: directory.join(table.file),
    })
}

fn is_character(sql_type: SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Char(_)
            | SqlType::VarChar(_)
            | SqlType::Text
            | SqlType::NChar(_)
            | SqlType::NVarChar(_)
            | SqlType::NText
    )
}

impl LoadTable {
    /// The rows, read as they are asked for; one value for each column. After an error comes nothing more.
    ///
    /// # Errors
    /// When the file cannot be opened or its header is not that of the schema.
    pub fn rows(&self) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Vec<Value>>> + use<>> {
        let place = || format!("{}.{} in {}", self.schema, self.name, self.file.display());
        let file = File::open(&self.file).with_context(place)?;
        let mut reader = ReaderBuilder::new().from_reader(MultiGzDecoder::new(BufReader::new(file)));
        let header = reader.headers().with_context(place)?;
        let expected = self.columns.iter().map(|column| column.name.as_str());
        if !header.iter().eq(expected) {
            bail!("{}: the header is not the schema's columns: {header:?}", place());
        }
        Ok(RowReader { table: self.clone(), reader, record: ByteRecord::new(), read: 0, done: false })
    }
}

/// Reads a table's file.
struct RowReader {
    table: LoadTable,
    reader: Reader<MultiGzDecoder<BufReader<File>>>,
    record: ByteRecord,
    read: u64,
    done: bool,
}

impl RowReader {
    fn next_row(&mut self) -> anyhow::Result<Option<Vec<Value>>> {
        if !self.reader.read_byte_record(&mut self.record)? {
            let expected = self.table.row_count;
            ensure!(self.read == expected, "{} rows where the schema says {expected}", self.read);
            return Ok(None);
        }
        self.read += 1;
        let mut values = Vec::with_capacity(self.table.columns.len());
        for (column, field) in self.table.columns.iter().zip(&self.record) {
            let value = std::str::from_utf8(field)
                .map_err(anyhow::Error::from)
                .and_then(|field| cell::parse(field, column.sql_type, column.nullable))
                .with_context(|| format!("row {}, column {} ({})", self.read, column.name, column.sql_type))?;
            values.push(value);
        }
        Ok(Some(values))
    }
}

impl Iterator for RowReader {
    type Item = anyhow::Result<Vec<Value>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let row = self
            .next_row()
            .with_context(|| format!("{}.{} in {}", self.table.schema, self.table.name, self.table.file.display()));
        self.done = !matches!(row, Ok(Some(_)));
        row.transpose()
    }
}
