//! The rows at both ends, as text, compared as multisets: a target may have no key constraints.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use tokio_postgres::Client;

use crate::support::source::Sql;

/// How much of a cell a message shows.
const SHOWN: usize = 40;

/// A row's cells.
type Row = Vec<Option<String>>;

/// A table as the source's catalogue describes it: how its columns are read at either end, and which are the key.
struct Described {
    source: Vec<String>,
    target: Vec<String>,
    names: Vec<String>,
    key: Vec<usize>,
}

/// What differs, one line for each key.
pub async fn differences(source: &mut Sql, target: &Client, schema: &str, name: &str) -> anyhow::Result<Vec<String>> {
    let table = describe(source, schema, name).await?;
    let mut expected: BTreeMap<Row, Row> = BTreeMap::new();
    for row in source.rows(&format!("SELECT {} FROM [{schema}].[{name}]", table.source.join(", "))).await? {
        let cells = (0..table.names.len()).map(|at| anyhow::Ok(row.try_get::<&str, _>(at)?.map(str::to_owned)));
        let cells: Row = cells.collect::<anyhow::Result<_>>()?;
        expected.insert(table.key_of(&cells), cells);
    }
    let mut found: BTreeMap<Row, Vec<Row>> = BTreeMap::new();
    let (schema_there, name_there) = (schema.to_lowercase(), name.to_lowercase());
    let query = format!("SELECT {} FROM \"{schema_there}\".\"{name_there}\"", table.target.join(", "));
    let rows = target.query(&query, &[]).await.with_context(|| format!("{schema}.{name} in the target"))?;
    for row in rows {
        let cells: Row = (0..table.names.len()).map(|at| row.get(at)).collect();
        found.entry(table.key_of(&cells)).or_default().push(cells);
    }
    let mut differences = Vec::new();
    let mut tell = |what: &str, key: &Row, more: String| {
        differences.push(format!("{what} row: {schema}.{name} {}{more}", table.key_text(key)));
    };
    for (key, row) in &expected {
        match found.get(key).map(Vec::as_slice) {
            None => tell("missing", key, String::new()),
            Some([one]) if one == row => {}
            Some([one]) => tell("differing", key, table.difference(row, one)),
            Some(many) => tell("doubled", key, format!(", {} times", many.len())),
        }
    }
    for key in found.keys().filter(|key| !expected.contains_key(*key)) {
        tell("ghost", key, String::new());
    }
    Ok(differences)
}

async fn describe(source: &mut Sql, schema: &str, name: &str) -> anyhow::Result<Described> {
    let columns = source
        .rows(&format!(
            "SELECT c.name, y.name FROM sys.columns c JOIN sys.types y ON y.user_type_id = c.user_type_id
             WHERE c.object_id = OBJECT_ID(N'{schema}.{name}') ORDER BY c.column_id"
        ))
        .await?;
    ensure!(!columns.is_empty(), "the source has no table {schema}.{name}");
    let mut table = Described { source: Vec::new(), target: Vec::new(), names: Vec::new(), key: Vec::new() };
    for row in &columns {
        let text = |at: usize| row.try_get::<&str, _>(at)?.context("NULL in the catalogue");
        let (name, kind) = (text(0)?, text(1)?);
        let (here, there) = (format!("[{name}]"), format!("\"{}\"", name.to_lowercase()));
        let (here, there) = match kind {
            "tinyint" | "smallint" | "int" | "bigint" | "decimal" | "numeric" => {
                (format!("CAST({here} AS nvarchar(60))"), format!("{there}::text"))
            }
            "bit" => (format!("CAST({here} AS nvarchar(1))"), format!("{there}::int::text")),
            "char" | "varchar" | "nchar" | "nvarchar" => {
                (format!("CAST({here} AS nvarchar(max))"), format!("{there}::text"))
            }
            "date" => (format!("CONVERT(nvarchar(10), {here}, 23)"), format!("to_char({there}, 'YYYY-MM-DD')")),
            "money" | "smallmoney" => {
                (format!("CAST(CAST({here} AS decimal(19,4)) AS nvarchar(60))"), format!("{there}::text"))
            }
            // To the last bit.
            "real" | "float" => (
                format!("CONVERT(nvarchar(16), CAST(CAST({here} AS float) AS binary(8)), 2)"),
                format!("upper(encode(float8send({there}::float8), 'hex'))"),
            ),
            "time" => {
                (format!("CAST(CAST({here} AS time(6)) AS nvarchar(15))"), format!("to_char({there}, 'HH24:MI:SS.US')"))
            }
            "datetime" | "smalldatetime" => (
                format!("CONVERT(nvarchar(23), {here}, 121) + N'000'"),
                format!("to_char({there}, 'YYYY-MM-DD HH24:MI:SS.US')"),
            ),
            "datetime2" => (
                format!("CONVERT(nvarchar(26), CAST({here} AS datetime2(6)), 121)"),
                format!("to_char({there}, 'YYYY-MM-DD HH24:MI:SS.US')"),
            ),
            "datetimeoffset" => (
                format!("CONVERT(nvarchar(26), CAST(SWITCHOFFSET({here}, '+00:00') AS datetime2(6)), 121)"),
                format!("to_char({there} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"),
            ),
            "sql_variant" => (format!("CAST({here} AS nvarchar(4000))"), format!("{there}::text")),
            "hierarchyid" | "timestamp" => (
                format!("CONVERT(nvarchar(max), CAST({here} AS varbinary(892)), 2)"),
                format!("upper(encode({there}, 'hex'))"),
            ),
            "uniqueidentifier" => (format!("LOWER(CAST({here} AS nvarchar(36)))"), format!("{there}::text")),
            "binary" | "varbinary" => {
                (format!("CONVERT(nvarchar(max), {here}, 2)"), format!("upper(encode({there}, 'hex'))"))
            }
            other => bail!("{schema}.{name}: {other} is not compared; say here how it reads alike at both ends"),
        };
        table.source.push(here);
        table.target.push(there);
        table.names.push(name.to_owned());
    }
    let key = format!(
        "SELECT c.name, i.index_id FROM sys.indexes i
         JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id
         JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id
         WHERE i.object_id = OBJECT_ID(N'{schema}.{name}') AND i.is_unique = 1 AND k.key_ordinal > 0
         ORDER BY i.is_primary_key DESC, i.index_id, k.key_ordinal"
    );
    // The primary key, or any: of unique rows each tells which they are.
    let mut first = None;
    for row in source.rows(&key).await? {
        let index = row.try_get::<i32, _>(1)?;
        if *first.get_or_insert(index) != index {
            break;
        }
        let name = row.try_get::<&str, _>(0)?.context("NULL in the catalogue")?;
        table.key.extend(table.names.iter().position(|column| column == name));
    }
    ensure!(!table.key.is_empty(), "{schema}.{name} has no unique index");
    Ok(table)
}

impl Described {
    fn key_of(&self, row: &Row) -> Row {
        self.key.iter().map(|&at| row[at].clone()).collect()
    }

    fn key_text(&self, key: &Row) -> String {
        let part = |(&at, cell): (&usize, &Option<String>)| format!("{}={}", self.names[at], shown(cell.as_ref()));
        self.key.iter().zip(key).map(part).collect::<Vec<_>>().join(", ")
    }

    /// The columns that differ.
    fn difference(&self, expected: &Row, found: &Row) -> String {
        let cells =
            self.names.iter().zip(expected.iter().zip(found)).filter(|(_, (expected, found))| expected != found);
        let told = cells.map(|(name, (expected, found))| {
            format!(": {name} is {}, at the source {}", shown(found.as_ref()), shown(expected.as_ref()))
        });
        told.collect()
    }
}

fn shown(cell: Option<&String>) -> String {
    let Some(text) = cell else { return "NULL".to_owned() };
    let end = text.char_indices().nth(SHOWN).map_or(text.len(), |(at, _)| at);
    format!("{:?}{}", &text[..end], if end < text.len() { "…" } else { "" })
}
