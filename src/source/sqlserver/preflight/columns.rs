//! Settings and collations that would harm values, or the application that writes them.

use super::super::client::{Client, integer, text};
use super::super::describe::Platform;
use super::super::sql as common;
use super::{Survey, sql};
use crate::error::{Error, Kind, Result};
use crate::finding::{Finding, Matter, Place};
use crate::table::{Column, ColumnType};

/// Names in a message.
const NAMED: usize = 5;

/// Whether a column's values may be longer than any fixed bound.
fn is_large(column: &Column) -> bool {
    let base = column.source_type.as_str();
    base.ends_with("(max)") || matches!(base, "text" | "ntext" | "image" | "xml")
}

/// Whether a column holds characters as bytes of its collation's code page.
fn is_bytes(column: &Column) -> bool {
    ["char(", "varchar("].iter().any(|base| column.source_type.starts_with(base)) || column.source_type == "text"
}

impl Survey<'_> {
    /// Long values.
    pub async fn text_size(&mut self, client: &mut Client) -> Result<()> {
        let all = self.found.iter().flat_map(|found| {
            found.table.columns.iter().filter(|column| is_large(column)).map(|column| (&found.table.name, &column.name))
        });
        let large: Vec<_> = all.map(|(table, column)| format!("'{column}' of {table}")).collect();
        if large.is_empty() || self.database.platform == Platform::AzureDatabase {
            return Ok(());
        }
        let rows = self.ask(client, sql::TEXT_SIZE, "how long captured texts may be", String::new()).await?;
        let Some(bytes) =
            rows.first().map(|row| integer(row, 0)).filter(|bytes| (0..i64::from(i32::MAX)).contains(bytes))
        else {
            return Ok(());
        };
        let more = if large.len() > NAMED { format!(" and {} more", large.len() - NAMED) } else { String::new() };
        let named = large.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        let message = format!(
            "max text repl size is {bytes} bytes: once captured, a longer value in column {named}{more} is refused to the application that writes it (7139)"
        );
        let mut finding = Finding::new(Matter::TextSize, message);
        if self.database.platform == Platform::Rds {
            finding.message.push_str("; set it to -1 in the instance's parameter group");
        } else {
            finding = finding.mend(Place::Source, "EXEC sys.sp_configure N'max text repl size (B)', -1; RECONFIGURE");
        }
        self.tell(finding);
        Ok(())
    }

    /// Capture keeps characters for a moment in the database's code page, and what that lacks is lost.
    pub async fn code_pages(&mut self, client: &mut Client) -> Result<()> {
        if !self.found.iter().any(|found| found.table.columns.iter().any(is_bytes)) {
            return Ok(());
        }
        let rows = self.ask(client, sql::CODE_PAGES, "the code pages of columns", String::new()).await?;
        let pages = rows.iter().map(|row| (text(row, 0), integer(row, 1), integer(row, 2)));
        let foreign: Vec<_> = pages.filter(|(_, page, usual)| page != usual).collect();
        for found in self.found {
            for column in found.table.columns.iter().filter(|column| is_bytes(column)) {
                let collation = column.collation.as_deref().unwrap_or_default();
                let Some((_, page, usual)) = foreign.iter().find(|(name, ..)| name == collation) else { continue };
                let name = &found.table.name;
                let message = format!(
                    "column '{}' is {} of collation {collation}, whose code page {page} is not the database's {usual}: capture may store other characters than the table has",
                    column.name, column.source_type
                );
                if found.table.key.contains(&column.name) {
                    let lines = self.config.excluding([name])?;
                    let error = Error::new(Kind::NoKey, format!("key {message}"))
                        .advice("Make the column nvarchar at the source, or leave the table out")
                        .mend(Place::Config, lines);
                    self.block(name, error);
                } else {
                    let statement = widened(&common::table(name), column, collation);
                    self.tell(Finding::new(Matter::CodePage, message).on(name).mend(Place::Source, statement));
                }
            }
        }
        Ok(())
    }
}

/// The statement that makes a column one of Unicode.
fn widened(table: &str, column: &Column, collation: &str) -> String {
    let length = match column.column_type {
        ColumnType::Text { max_chars: Some(chars @ 1..=4000), .. } => chars.to_string(),
        _ => "max".to_owned(),
    };
    let base = if column.source_type.starts_with("char(") && length != "max" { "nchar" } else { "nvarchar" };
    let null = if column.nullable { "NULL" } else { "NOT NULL" };
    format!(
        "ALTER TABLE {table} ALTER COLUMN {} {base}({length}) COLLATE {collation} {null}",
        common::name(&column.name)
    )
}
