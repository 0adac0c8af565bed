//! What ALTER COLUMN did between two batches, by `cdc.ddl_history`: a type that went there and back rounds values, and the
//! catalogue shows nothing of it.

use std::collections::HashMap;

use super::client::{Client, bytes, integer, text};
use super::sql;
use super::types::Described;
use crate::error::{Kind, Result};
use crate::position::Position;
use crate::source::Alteration;

/// The alterations of each table's columns, in the order of the log. A server that does not know of them has none.
pub async fn alterations(client: &mut Client) -> Result<HashMap<i64, Vec<Alteration>>> {
    let rows = match client.batch(sql::ALTERED).await {
        Ok(rows) => rows,
        Err(error) if error.kind() == Kind::SourceRefused => return Ok(HashMap::new()),
        Err(error) => return Err(error),
    };
    let mut found: HashMap<i64, Vec<Alteration>> = HashMap::new();
    for row in &rows {
        let Some((at, described)) = bytes(row, 2).zip(altered(&text(row, 1))) else { continue };
        let Some(column) = described.column() else { continue };
        let (alteration, known) =
            (Alteration { at: Position::new(at), column }, found.entry(integer(row, 0)).or_default());
        // Of two instances each has a row.
        if !known.contains(&alteration) {
            known.push(alteration);
        }
    }
    Ok(found)
}

/// The column that a command alters, as it leaves it; `None` if it alters none, or to a type that is not the server's own.
fn altered(command: &str) -> Option<Described> {
    let (name, rest) = word(behind_alter_column(command)?.trim_start())?;
    let (base, rest) = word(rest.trim_start())?;
    let facets = rest.trim_start().strip_prefix('(').and_then(|rest| rest.split(')').next()).unwrap_or_default();
    let facet = |at: usize| facets.split(',').nth(at).map(str::trim).filter(|text| !text.is_empty());
    let number = |at, default: i64| facet(at).map_or(Some(default), |text| text.parse().ok());
    let small = |at, default| number(at, default).and_then(|number| u8::try_from(number).ok());
    let mut described = Described { name, base: base.to_ascii_lowercase(), nullable: true, ..Described::default() };
    match described.base.as_str() {
        "decimal" | "numeric" => (described.precision, described.scale) = (small(0, 18)?, small(1, 0)?),
        "time" | "datetime2" | "datetimeoffset" => described.scale = small(0, 7)?,
        "float" => described.max_length = if number(0, 53)? <= 24 { 4 } else { 8 },
        _ if facet(0).is_some_and(|text| text.eq_ignore_ascii_case("max")) => described.max_length = -1,
        "nchar" | "nvarchar" => described.max_length = number(0, 1)? * 2,
        "char" | "varchar" | "binary" | "varbinary" => described.max_length = number(0, 1)?,
        _ => {}
    }
    Some(described)
}

/// What follows ALTER COLUMN: those words themselves, not in a name, a literal or a comment.
fn behind_alter_column(command: &str) -> Option<&str> {
    let mut rest = command;
    let mut altering = false;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '[' | '"' => word(rest)?.1,
            '\'' => rest[1..].split_once('\'')?.1,
            _ if rest.starts_with("--") => rest.split_once('\n').map_or("", |(_, rest)| rest),
            _ if rest.starts_with("/*") => rest.split_once("*/")?.1,
            _ if first.is_alphabetic() || first == '_' => {
                let end = rest.find(|end: char| !(end.is_alphanumeric() || "_@#$".contains(end)));
                let (keyword, behind) = rest.split_at(end.unwrap_or(rest.len()));
                if altering && keyword.eq_ignore_ascii_case("column") {
                    return Some(behind);
                }
                altering = keyword.eq_ignore_ascii_case("alter");
                rest = behind;
                continue;
            }
            _ if first.is_whitespace() => {
                rest = rest.trim_start();
                continue;
            }
            _ => &rest[first.len_utf8()..],
        };
        // A comment parts no more than a blank does.
        altering = altering && (rest.starts_with("--") || rest.starts_with("/*"));
        rest = skipped;
    }
    None
}

/// The name at the beginning of a text, without its brackets or quotes, and what follows.
fn word(text: &str) -> Option<(String, &str)> {
    let close = match text.chars().next()? {
        '[' => ']',
        '"' => '"',
        _ => {
            let end = text.find(|end: char| end.is_whitespace() || end == '(').unwrap_or(text.len());
            return Some((text[..end].to_owned(), &text[end..]));
        }
    };
    let (mut name, mut rest) = (String::new(), &text[1..]);
    loop {
        let at = rest.find(close)?;
        name.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if !rest.starts_with(close) {
            return Some((name, rest));
        }
        name.push(close);
        rest = &rest[1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_leaves_a_column_as() {
        for (command, expected) in [
            ("ALTER TABLE dbo.T ALTER COLUMN Price decimal(9, 1) NULL", Some(("Price", "decimal(9,1)"))),
            (
                "alter table [dbo].[T]\n alter   column [the ]]name] [nvarchar] (50)",
                Some(("the ]name", "nvarchar(50)")),
            ),
            ("ALTER TABLE T ALTER COLUMN \"a b\" varchar(max) NOT NULL", Some(("a b", "varchar(max)"))),
            ("ALTER TABLE T ALTER COLUMN n decimal", Some(("n", "decimal(18,0)"))),
            ("ALTER TABLE T ALTER COLUMN f float(24)", Some(("f", "real"))),
            ("ALTER TABLE T ALTER COLUMN d datetime2", Some(("d", "datetime2(7)"))),
            ("ALTER TABLE T ALTER COLUMN n bigint", Some(("n", "bigint"))),
            ("ALTER TABLE T ALTER COLUMN n dbo.Money2", None),
            ("ALTER TABLE s.[alter column x date] ALTER COLUMN n bigint", Some(("n", "bigint"))),
            ("ALTER TABLE \"alter column x\" /* alter column y */ ALTER -- it's\n COLUMN n int", Some(("n", "int"))),
            ("ALTER TABLE T ADD d varchar(20) DEFAULT 'alter column x int'", None),
            ("ALTER TABLE T ADD [alter] int, [column] int", None),
            ("ALTER TABLE T ADD altercolumn int", None),
            ("ALTER TABLE T DROP COLUMN c", None),
        ] {
            let column = altered(command).and_then(|described| described.column());
            let found = column.as_ref().map(|column| (column.name.as_str(), column.source_type.as_str()));
            assert_eq!(found, expected, "{command}");
        }
    }
}
