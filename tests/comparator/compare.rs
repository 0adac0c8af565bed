//! Model against target: every row, every cell.

use std::pin::pin;

use anyhow::Context;
use delsert::config::Engine;
use futures_util::StreamExt;
use tokio_postgres::Client;

use super::model::{Cell, Database, Table};
use super::report::{Finding, Report};

/// Compares all tables with a target that keeps the source's names in lower case.
pub async fn compare(source: &Database, target: &Client, engine: Engine) -> anyhow::Result<Report> {
    let tables: Vec<_> = source.tables.iter().collect();
    compare_tables(&tables, target, engine).await
}

/// Compares these tables.
pub async fn compare_tables(tables: &[&Table], target: &Client, engine: Engine) -> anyhow::Result<Report> {
    // The server's own defaults may be anything.
    let settings =
        "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET bytea_output = 'hex'; SET extra_float_digits = 1";
    target.batch_execute(settings).await?;
    let mut report = Report::default();
    for table in tables {
        compare_table(table, (target, engine), &mut report)
            .await
            .with_context(|| format!("comparing {}", table.full_name()))?;
    }
    Ok(report)
}

async fn compare_table(table: &Table, (target, engine): (&Client, Engine), report: &mut Report) -> anyhow::Result<()> {
    report.tables += 1;
    if !compare_shape(table, (target, engine), report).await? {
        return Ok(());
    }
    let columns: Vec<_> = table.columns.iter().map(|column| quoted(&column.name)).collect();
    let query = format!("COPY {} ({}) TO STDOUT", quoted_table(table), columns.join(", "));
    let mut stream = pin!(target.copy_out(&query).await?);
    let mut seen = vec![false; table.len()];
    let mut pending = Vec::new();
    while let Some(chunk) = stream.next().await {
        pending.extend_from_slice(&chunk?);
        let mut rest = pending.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let row = cells(&rest[..end])?;
            rest = &rest[end + 1..];
            compare_row(table, &row, &mut seen, report);
        }
        pending = rest.to_vec();
    }
    for (place, _) in seen.iter().enumerate().filter(|(_, seen)| !**seen) {
        report.add(Finding::Missing { table: table.full_name(), key: key(table, table.row(place)) });
    }
    Ok(())
}

/// Whether the target has the table with exactly the source's columns; a wrong type is reported, and the cells compared.
async fn compare_shape(
    table: &Table,
    (target, engine): (&Client, Engine),
    report: &mut Report,
) -> anyhow::Result<bool> {
    let query = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a
                 JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped";
    let found = target.query(query, &[&table.schema.to_lowercase(), &table.name.to_lowercase()]).await?;
    let mut found: Vec<(String, String)> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut complete = true;
    let mut problem = |problem: String| report.add(Finding::Shape { table: table.full_name(), problem });
    if found.is_empty() {
        problem("the table is not in the target".to_owned());
        return Ok(false);
    }
    for column in &table.columns {
        let name = column.name.to_lowercase();
        match found.iter().position(|(found, _)| *found == name) {
            None => {
                problem(format!("column {name} is not in the target"));
                complete = false;
            }
            Some(at) => {
                let (_, kind) = found.swap_remove(at);
                let fits = match engine {
                    Engine::Postgres => column.kind.may_be(&kind),
                    Engine::Redshift => column.kind.may_be_at_redshift(&kind),
                };
                if !fits {
                    problem(format!("column {name} is {kind} in the target, but {:?} in the source", column.kind));
                }
            }
        }
    }
    for (name, _) in found {
        problem(format!("column {name} is in the target only"));
    }
    Ok(complete)
}

fn compare_row(table: &Table, row: &[Cell], seen: &mut [bool], report: &mut Report) {
    report.rows += 1;
    let Some(place) = table.find(row) else {
        report.add(Finding::Ghost { table: table.full_name(), key: key(table, row) });
        return;
    };
    if std::mem::replace(&mut seen[place], true) {
        report.add(Finding::Doubled { table: table.full_name(), key: key(table, row) });
    }
    for ((column, expected), found) in table.columns.iter().zip(table.row(place)).zip(row) {
        report.cells += 1;
        let same = match (expected, found) {
            (None, None) => true,
            (Some(expected), Some(found)) => column.kind.same(expected, found),
            _ => false,
        };
        if !same {
            report.add(Finding::Stale {
                table: table.full_name(),
                key: key(table, row),
                column: column.name.clone(),
                expected: expected.as_deref().map(str::to_owned),
                found: found.as_deref().map(str::to_owned),
            });
        }
    }
}

/// A row's key for a person: `OrderID=1, Line=2`.
fn key(table: &Table, row: &[Cell]) -> String {
    let part = |&at: &usize| format!("{}={}", table.columns[at].name, row[at].as_deref().unwrap_or("NULL"));
    table.key.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// The cells of a line of COPY's text format.
fn cells(line: &[u8]) -> anyhow::Result<Vec<Cell>> {
    line.split(|byte| *byte == b'\t').map(cell).collect()
}

fn cell(field: &[u8]) -> anyhow::Result<Cell> {
    if field == b"\\N" {
        return Ok(None);
    }
    let mut text = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        text.push(match bytes.next() {
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'v') => 11,
            Some(b'\\') => b'\\',
            other => anyhow::bail!("PostgreSQL escaped {other:?}"),
        });
    }
    Ok(Some(String::from_utf8(text)?.into_boxed_str()))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.to_lowercase().replace('"', "\"\""))
}

fn quoted_table(table: &Table) -> String {
    format!("{}.{}", quoted(&table.schema), quoted(&table.name))
}

#[cfg(test)]
mod tests {
    use super::super::kind::Kind;
    use super::super::model::Column;
    use super::*;
    use crate::support::postgres::Postgres;

    fn source() -> anyhow::Result<Table> {
        let column = |name: &str, kind: &str, nullable| {
            anyhow::Ok(Column { name: name.to_owned(), kind: Kind::parse(kind)?, nullable, identity: false })
        };
        let columns = vec![
            column("Region", "nvarchar(10)", false)?,
            column("ID", "int", false)?,
            column("Note", "nvarchar(max)", true)?,
            column("Price", "money", true)?,
        ];
        let mut table = Table::new("Shop", "Things", columns, &["Region", "ID"])?;
        for (region, id, note, price) in [
            ("north", 1, Some("a\tb\\N\n"), Some("1.0000")),
            ("north", 2, None, None),
            ("South", 1, Some(""), Some("-0.5000")),
        ] {
            let row = [Some(region), Some(&id.to_string()), note, price].map(|cell| cell.map(Box::from));
            table.insert(Box::new(row))?;
        }
        Ok(table)
    }

    /// Compares a target that equals the source but for what this SQL did to it.
    async fn findings(damage: &str) -> anyhow::Result<Vec<String>> {
        let target = Postgres::shared()?.database().await?.connect().await?;
        let sql = format!(
            r"CREATE SCHEMA shop;
              CREATE TABLE shop.things (region text, id integer, note text, price numeric(19,4));
              INSERT INTO shop.things VALUES
                ('north', 1, E'a\tb\\N\n', 1), ('north', 2, NULL, NULL), ('South', 1, '', -0.5);
              {damage}"
        );
        target.batch_execute(&sql).await?;
        let report = compare_tables(&[&source()?], &target, Engine::Postgres).await?;
        assert_eq!(report.count, report.findings.len());
        Ok(report.findings.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn equal_is_equal() -> anyhow::Result<()> {
        assert_eq!(findings("").await?, Vec::<String>::new());
        Ok(())
    }

    #[tokio::test]
    async fn one_wrong_cell_is_found() -> anyhow::Result<()> {
        for (damage, finding) in [
            ("note = '' WHERE id = 2", "north, ID=2 column Note: expected NULL, found \"\""),
            ("note = NULL WHERE region = 'South'", "South, ID=1 column Note: expected \"\", found NULL"),
            (
                "price = -0.5001 WHERE region = 'South'",
                "South, ID=1 column Price: expected \"-0.5000\", found \"-0.5001\"",
            ),
            (
                "region = 'south' WHERE region = 'South'",
                "south, ID=1 column Region: expected \"South\", found \"south\"",
            ),
        ] {
            let found = findings(&format!("UPDATE shop.things SET {damage}")).await?;
            assert_eq!(found, [format!("stale cell: Shop.Things Region={finding}")]);
        }
        Ok(())
    }

    #[tokio::test]
    async fn one_missing_row_is_found() -> anyhow::Result<()> {
        let found = findings("DELETE FROM shop.things WHERE region = 'north' AND id = 2").await?;
        assert_eq!(found, ["missing row: Shop.Things Region=north, ID=2"]);
        Ok(())
    }

    #[tokio::test]
    async fn one_ghost_row_is_found() -> anyhow::Result<()> {
        let found = findings("INSERT INTO shop.things VALUES ('south', 2, NULL, NULL)").await?;
        assert_eq!(found, ["ghost row: Shop.Things Region=south, ID=2"]);
        Ok(())
    }

    #[tokio::test]
    async fn one_doubled_row_is_found() -> anyhow::Result<()> {
        let found = findings("INSERT INTO shop.things SELECT * FROM shop.things WHERE id = 2").await?;
        assert_eq!(found, ["doubled row: Shop.Things Region=north, ID=2"]);
        Ok(())
    }

    #[tokio::test]
    async fn a_wrong_shape_is_found() -> anyhow::Result<()> {
        for (damage, finding) in [
            (
                "ALTER COLUMN price TYPE numeric(20,4)",
                "column price is numeric(20,4) in the target, but Money in the source",
            ),
            ("DROP COLUMN note", "column note is not in the target"),
            ("ADD COLUMN more text", "column more is in the target only"),
            ("RENAME TO other", "the table is not in the target"),
        ] {
            assert_eq!(
                findings(&format!("ALTER TABLE shop.things {damage}")).await?,
                [format!("shape: Shop.Things: {finding}")]
            );
        }
        Ok(())
    }
}
