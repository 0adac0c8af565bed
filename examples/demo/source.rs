//! What the source holds, read by SQL: its catalogue, and every row of every table.

use std::collections::BTreeMap;

use anyhow::Context;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use tiberius::Row;
use tiberius::numeric::Numeric;

use crate::comparator::kind::Kind;
use crate::comparator::model::{Cell, Column, Database, Table};
use crate::support::source::Sql;

const COLUMNS: &str = "
    SELECT s.name, t.name, c.name, y.name, CAST(c.max_length AS int), CAST(c.precision AS int), CAST(c.scale AS int),
        c.is_nullable, c.is_identity, CAST(ISNULL(k.key_ordinal, 0) AS int)
    FROM sys.tables t
    JOIN sys.schemas s ON s.schema_id = t.schema_id
    JOIN sys.columns c ON c.object_id = t.object_id
    JOIN sys.types y ON y.user_type_id = c.user_type_id
    JOIN sys.indexes i ON i.object_id = t.object_id AND i.is_primary_key = 1
    LEFT JOIN sys.index_columns k
        ON k.object_id = c.object_id AND k.index_id = i.index_id AND k.column_id = c.column_id
    WHERE t.is_ms_shipped = 0
    ORDER BY s.name, t.name, c.column_id";

/// All tables that have a primary key, with their rows as the target should hold them.
pub async fn read(sql: &mut Sql) -> anyhow::Result<Database> {
    let mut database = Database { tables: tables(sql).await? };
    for table in &mut database.tables {
        let columns: Vec<_> = table.columns.iter().map(expression).collect();
        let query = format!("SELECT {} FROM [{}].[{}]", columns.join(", "), table.schema, table.name);
        for row in sql.rows(&query).await? {
            let cells = table.columns.iter().enumerate().map(|(at, column)| {
                cell(column.kind, &row, at).with_context(|| format!("{}.{}", table.full_name(), column.name))
            });
            let cells = cells.collect::<anyhow::Result<_>>()?;
            table.insert(cells)?;
        }
    }
    Ok(database)
}

/// A table as the catalogue's rows describe it: its columns, and its key's columns by their place in the key.
#[derive(Default)]
struct Described {
    columns: Vec<Column>,
    key: BTreeMap<i32, String>,
}

async fn tables(sql: &mut Sql) -> anyhow::Result<Vec<Table>> {
    let mut described: BTreeMap<(String, String), Described> = BTreeMap::new();
    for row in sql.rows(COLUMNS).await? {
        let text = |at: usize| anyhow::Ok(row.try_get::<&str, _>(at)?.context("NULL in the catalogue")?.to_owned());
        let number = |at: usize| row.try_get::<i32, _>(at)?.context("NULL in the catalogue");
        let flag = |at: usize| row.try_get::<bool, _>(at)?.context("NULL in the catalogue");
        let table = described.entry((text(0)?, text(1)?)).or_default();
        let kind = Kind::parse(&type_name(&text(3)?, number(4)?, number(5)?, number(6)?))?;
        table.columns.push(Column { name: text(2)?, kind, nullable: flag(7)?, identity: flag(8)? });
        if number(9)? > 0 {
            table.key.insert(number(9)?, text(2)?);
        }
    }
    let table = |((schema, name), described): ((String, String), Described)| {
        let key: Vec<_> = described.key.values().map(String::as_str).collect();
        Table::new(&schema, &name, described.columns, &key)
    };
    described.into_iter().map(table).collect()
}

/// A type as T-SQL writes it, from the catalogue's words.
fn type_name(name: &str, max_length: i32, precision: i32, scale: i32) -> String {
    match (name, max_length) {
        ("varchar" | "nvarchar" | "varbinary", -1) => format!("{name}(max)"),
        ("char" | "varchar" | "binary" | "varbinary", length) => format!("{name}({length})"),
        ("nchar" | "nvarchar", length) => format!("{name}({})", length / 2),
        ("decimal" | "numeric", _) => format!("{name}({precision},{scale})"),
        _ => name.to_owned(),
    }
}

/// How a column is selected: as a type that the client reads without loss.
fn expression(column: &Column) -> String {
    let name = format!("[{}]", column.name);
    match column.kind {
        Kind::Money | Kind::SmallMoney => format!("CAST({name} AS decimal(19, 4))"),
        Kind::Xml => format!("CAST({name} AS nvarchar(max))"),
        Kind::HierarchyId | Kind::Geography => format!("CAST({name} AS varbinary(max))"),
        _ => name,
    }
}

/// A cell in the text that the target should print.
fn cell(kind: Kind, row: &Row, at: usize) -> anyhow::Result<Cell> {
    let text = match kind {
        Kind::Bit => row.try_get::<bool, _>(at)?.map(|value| if value { "t" } else { "f" }.to_owned()),
        Kind::TinyInt => row.try_get::<u8, _>(at)?.map(|value| value.to_string()),
        Kind::SmallInt => row.try_get::<i16, _>(at)?.map(|value| value.to_string()),
        Kind::Int => row.try_get::<i32, _>(at)?.map(|value| value.to_string()),
        Kind::BigInt => row.try_get::<i64, _>(at)?.map(|value| value.to_string()),
        Kind::Decimal(..) | Kind::Money | Kind::SmallMoney => row.try_get::<Numeric, _>(at)?.map(decimal),
        Kind::Real => row.try_get::<f32, _>(at)?.map(|value| value.to_string()),
        Kind::Float => row.try_get::<f64, _>(at)?.map(|value| value.to_string()),
        Kind::Date => row.try_get::<NaiveDate, _>(at)?.map(|value| value.to_string()),
        Kind::Time => row
            .try_get::<NaiveTime, _>(at)?
            .map(|value| seconds(&value.format("%H:%M:%S").to_string(), value.nanosecond() / 1000)),
        Kind::DateTime | Kind::SmallDateTime => row.try_get::<NaiveDateTime, _>(at)?.map(|value| {
            // 1/300 s, which the server shows in whole milliseconds.
            let milliseconds = (value.nanosecond() + 500_000) / 1_000_000;
            seconds(&value.format("%Y-%m-%d %H:%M:%S").to_string(), milliseconds * 1000)
        }),
        Kind::DateTime2 => row
            .try_get::<NaiveDateTime, _>(at)?
            .map(|value| seconds(&value.format("%Y-%m-%d %H:%M:%S").to_string(), value.nanosecond() / 1000)),
        // The driver's own conversion to UTC subtracts the offset twice.
        Kind::DateTimeOffset => row.try_get::<DateTime<FixedOffset>, _>(at)?.map(|value| {
            let value = value.to_utc();
            seconds(&value.format("%Y-%m-%d %H:%M:%S").to_string(), value.nanosecond() / 1000) + "+00"
        }),
        Kind::UniqueIdentifier => row.try_get::<tiberius::Uuid, _>(at)?.map(|value| value.to_string()),
        kind if kind.is_bytes() => row.try_get::<&[u8], _>(at)?.map(|bytes| {
            let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("\\x{}", digits.concat())
        }),
        _ => row.try_get::<&str, _>(at)?.map(str::to_owned),
    };
    Ok(text.map(String::into_boxed_str))
}

fn decimal(number: Numeric) -> String {
    let (value, scale) = (number.value(), usize::from(number.scale()));
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A time with its fraction as PostgreSQL prints it: without zeros at its end.
fn seconds(whole: &str, microseconds: u32) -> String {
    let fraction = format!("{microseconds:06}");
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}
