//! A model read from a directory of `schema.json` and gzip CSV files.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, ensure};
use flate2::read::GzDecoder;
use serde::Deserialize;

use super::kind::Kind;
use super::model::{Cell, Column, Database, Row, Table};

#[derive(Deserialize)]
struct Schema {
    tables: Vec<SchemaTable>,
}

#[derive(Deserialize)]
struct SchemaTable {
    table: String,
    file: String,
    rows: usize,
    primary_key: Vec<String>,
    columns: Vec<SchemaColumn>,
}

#[derive(Deserialize)]
struct SchemaColumn {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    nullable: bool,
    identity: bool,
}

/// Reads all tables of a directory.
pub fn read(directory: &Path) -> anyhow::Result<Database> {
    let path = directory.join("schema.json");
    let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let schema: Schema = serde_json::from_reader(std::io::BufReader::new(file))?;
    let tables = schema.tables.iter().map(|table| read_table(directory, table).with_context(|| table.table.clone()));
    Ok(Database { tables: tables.collect::<anyhow::Result<_>>()? })
}

fn read_table(directory: &Path, described: &SchemaTable) -> anyhow::Result<Table> {
    let (schema, name) = described.table.split_once('.').context("a table's name without a schema")?;
    let column = |column: &SchemaColumn| {
        let kind = Kind::parse(&column.kind)?;
        anyhow::Ok(Column { name: column.name.clone(), kind, nullable: column.nullable, identity: column.identity })
    };
    let columns = described.columns.iter().map(column).collect::<anyhow::Result<_>>()?;
    let key: Vec<_> = described.primary_key.iter().map(String::as_str).collect();
    let mut table = Table::new(schema, name, columns, &key)?;
    ensure!(table.key.len() == key.len(), "the primary key names a column that is not there");

    let file = File::open(directory.join(&described.file)).with_context(|| described.file.clone())?;
    let mut reader = csv::ReaderBuilder::new().from_reader(GzDecoder::new(file));
    let header: Vec<_> = reader.headers()?.iter().map(str::to_owned).collect();
    let names: Vec<_> = table.columns.iter().map(|column| column.name.clone()).collect();
    ensure!(header == names, "the file's header is {header:?}");
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let row = table.columns.iter().zip(&record).map(|(column, field)| cell(column, field));
        let row = row.collect::<anyhow::Result<Row>>()?;
        table.insert(row)?;
    }
    ensure!(table.len() == described.rows, "{} rows, not {}", table.len(), described.rows);
    Ok(table)
}

/// An empty field is NULL, or in a column that cannot be NULL the empty value.
fn cell(column: &Column, field: &str) -> anyhow::Result<Cell> {
    if field.is_empty() && column.nullable {
        return Ok(None);
    }
    let text = column.kind.expected(field).with_context(|| format!("column {}", column.name))?;
    Ok(Some(text.into_boxed_str()))
}
