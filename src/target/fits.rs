//! What a target's columns hold of a table's values: where their types hold less, and which types cannot tell.

use crate::config::{Config, Engine};
use crate::csv::{Fit, Limit};
use crate::error::{Error, Kind, Result};
use crate::table::{Column, ColumnType, Table};
use crate::target::types;

/// What becomes of each column's values in the target, in the order of the table's columns. Pure: asks no server.
///
/// # Errors
/// [`Kind::Config`]: a configured type is none, or would change values without a word.
pub fn fits(config: &Config, engine: Engine, table: &Table) -> Result<Vec<Fit>> {
    let options = config.options(&table.name);
    let types = types::resolve(engine, table, &options.columns)?;
    let fit = |(column, sql_type): (&Column, String)| {
        let limit = limit(column.column_type, parse(&sql_type)).map_err(|reason| {
            let message = format!("column '{}' ({}) cannot be a {sql_type}: {reason}", column.name, column.source_type);
            Error::new(Kind::Config, message).on(&table.name).advice(
                "Choose another type in 'columns' of its [[table]] entry, or none: delsert's own holds every value",
            )
        })?;
        Ok(Fit { limit, sql_type, policies: options.policies(config.values, &column.name) })
    };
    table.columns.iter().zip(types).map(fit).collect()
}

/// A type of the target, as far as it matters for what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Text of any, or of so many characters.
    Text(Option<u32>),
    /// Text that is filled up with blanks.
    Padded(u32),
    Integer(u8),
    Numeric(Option<(u16, u8)>),
    Float(u8),
    Time(u8),
    Timestamp(u8),
    TimestampTz(u8),
    Date,
    /// Another, which takes what is written in its own form, or refuses it.
    Other,
}

/// PostgreSQL's names of its types, with their synonyms.
fn parse(sql_type: &str) -> Shape {
    let lower = sql_type.to_lowercase();
    let (before, facets) = match lower.split_once('(') {
        Some((before, rest)) => (before, rest.split_once(')').unwrap_or((rest, ""))),
        None => (lower.as_str(), ("", "")),
    };
    let words = format!("{before} {}", facets.1);
    let name = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let facet = |text: &str| text.trim().parse::<u32>();
    let Ok(numbers) =
        facets.0.split(',').filter(|text| !text.trim().is_empty()).map(facet).collect::<Result<Vec<_>, _>>()
    else {
        // A negative scale, which rounds before the point.
        return Shape::Other;
    };
    let first = numbers.first().copied();
    let digits = u8::try_from(first.unwrap_or(6).min(6)).unwrap_or(6);
    match name.as_str() {
        "text" => Shape::Text(None),
        "varchar" | "character varying" => Shape::Text(first),
        "bpchar" if first.is_none() => Shape::Text(None),
        "char" | "character" | "bpchar" => Shape::Padded(first.unwrap_or(1)),
        "smallint" | "int2" => Shape::Integer(2),
        "integer" | "int" | "int4" => Shape::Integer(4),
        "bigint" | "int8" => Shape::Integer(8),
        "numeric" | "decimal" => Shape::Numeric(first.map(|precision| {
            let scale = numbers.get(1).copied().unwrap_or(0);
            (u16::try_from(precision).unwrap_or(u16::MAX), u8::try_from(scale).unwrap_or(u8::MAX))
        })),
        "real" | "float4" => Shape::Float(4),
        "float" if first.is_some_and(|bits| bits <= 24) => Shape::Float(4),
        "double precision" | "float8" | "float" => Shape::Float(8),
        "time" | "time without time zone" => Shape::Time(digits),
        "timestamp" | "timestamp without time zone" => Shape::Timestamp(digits),
        "timestamptz" | "timestamp with time zone" => Shape::TimestampTz(digits),
        "date" => Shape::Date,
        _ => Shape::Other,
    }
}

/// Where a type holds less than a column's values; or why it would change them without a word.
fn limit(column_type: ColumnType, shape: Shape) -> Result<Limit, &'static str> {
    use ColumnType as Source;
    const MOMENT: &str = "its values have more than that, which would be dropped unseen";
    const READ: &str = "the server would read its texts as well as it can, and round them unseen";
    const UNKNOWN: &str = "it is not known to hold every digit, and what it does not hold would be rounded unseen";
    Ok(match (column_type, shape) {
        (Source::Text { .. }, Shape::Text(Some(chars))) => Limit::Chars(chars),
        (Source::Text { .. }, Shape::Padded(_)) => return Err("it fills texts up with blanks; take varchar"),
        (
            Source::Text { .. },
            Shape::Numeric(Some(_)) | Shape::Float(_) | Shape::Time(_) | Shape::Timestamp(_) | Shape::TimestampTz(_),
        )
        | (Source::Text { .. }, Shape::Date) => return Err(READ),
        (Source::Boolean | Source::Integer { .. } | Source::Decimal { .. }, Shape::Integer(bytes)) => {
            Limit::Integer(bytes)
        }
        (Source::Integer { .. } | Source::Decimal { .. }, Shape::Numeric(Some((precision, scale)))) => {
            Limit::Decimal { precision, scale }
        }
        (Source::Integer { .. } | Source::Decimal { .. }, Shape::Float(bytes)) => Limit::Float(bytes),
        (Source::Float { bytes: 8 }, Shape::Float(4)) => Limit::Float(4),
        (Source::Float { .. }, Shape::Numeric(Some(_)) | Shape::Integer(_)) => {
            return Err("floating point would be rounded unseen; take numeric without digits");
        }
        (Source::Time { .. }, Shape::Time(digits))
        | (
            Source::Timestamp { .. } | Source::TimestampTz { .. },
            Shape::Timestamp(digits) | Shape::TimestampTz(digits),
        ) => Limit::Digits(digits),
        (Source::Timestamp { .. } | Source::TimestampTz { .. }, Shape::Date) => Limit::Day,
        (Source::Timestamp { .. } | Source::TimestampTz { .. }, Shape::Time(_)) => return Err(MOMENT),
        (
            Source::Decimal { .. }
            | Source::Float { .. }
            | Source::Time { .. }
            | Source::Timestamp { .. }
            | Source::TimestampTz { .. },
            Shape::Other,
        ) => return Err(UNKNOWN),
        // As text, every digit has room.
        (Source::Time { .. } | Source::Timestamp { .. } | Source::TimestampTz { .. }, Shape::Text(_)) => {
            Limit::Digits(7)
        }
        (Source::Time { .. } | Source::Timestamp { .. } | Source::TimestampTz { .. }, _) => Limit::Digits(6),
        _ => Limit::None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_all_their_names() {
        for (sql_type, shape) in [
            ("text", Shape::Text(None)),
            ("varchar", Shape::Text(None)),
            ("VARCHAR ( 20 )", Shape::Text(Some(20))),
            ("character  varying(20)", Shape::Text(Some(20))),
            ("char", Shape::Padded(1)),
            ("character(3)", Shape::Padded(3)),
            ("bpchar", Shape::Text(None)),
            ("int4", Shape::Integer(4)),
            ("numeric", Shape::Numeric(None)),
            ("decimal(10)", Shape::Numeric(Some((10, 0)))),
            ("numeric(10, 2)", Shape::Numeric(Some((10, 2)))),
            ("float(24)", Shape::Float(4)),
            ("float(25)", Shape::Float(8)),
            ("double precision", Shape::Float(8)),
            ("time", Shape::Time(6)),
            ("time(3) without time zone", Shape::Time(3)),
            ("timestamp(0)", Shape::Timestamp(0)),
            ("timestamp (2) with time zone", Shape::TimestampTz(2)),
            ("timestamptz(9)", Shape::TimestampTz(6)),
            ("date", Shape::Date),
            ("jsonb", Shape::Other),
            ("citext", Shape::Other),
            ("numeric(5,-2)", Shape::Other),
        ] {
            assert_eq!(parse(sql_type), shape, "{sql_type}");
        }
    }

    #[test]
    fn what_would_be_changed_without_a_word_is_refused() {
        let text = ColumnType::Text { max_chars: None, max_bytes: None };
        for (column_type, sql_type, limited) in [
            (text, "varchar(5)", Ok(Limit::Chars(5))),
            (text, "text", Ok(Limit::None)),
            (text, "jsonb", Ok(Limit::None)),
            (text, "integer", Ok(Limit::None)),
            (text, "char(5)", Err(())),
            (text, "numeric(5,2)", Err(())),
            (text, "timestamp", Err(())),
            (text, "date", Err(())),
            (ColumnType::Boolean, "smallint", Ok(Limit::Integer(2))),
            (ColumnType::Integer { bytes: 8 }, "integer", Ok(Limit::Integer(4))),
            (
                ColumnType::Decimal { precision: 19, scale: 4 },
                "numeric(10,2)",
                Ok(Limit::Decimal { precision: 10, scale: 2 }),
            ),
            (ColumnType::Decimal { precision: 19, scale: 4 }, "real", Ok(Limit::Float(4))),
            (ColumnType::Float { bytes: 8 }, "real", Ok(Limit::Float(4))),
            (ColumnType::Float { bytes: 8 }, "numeric(10,2)", Err(())),
            (ColumnType::Float { bytes: 8 }, "numeric", Ok(Limit::None)),
            (ColumnType::Timestamp { digits: 7 }, "timestamp(3)", Ok(Limit::Digits(3))),
            (ColumnType::Timestamp { digits: 7 }, "date", Ok(Limit::Day)),
            (ColumnType::Timestamp { digits: 7 }, "text", Ok(Limit::Digits(7))),
            (ColumnType::TimestampTz { digits: 7 }, "time", Err(())),
            (ColumnType::Time { digits: 7 }, "interval(0)", Err(())),
            (ColumnType::Decimal { precision: 19, scale: 4 }, "money", Err(())),
            (ColumnType::Decimal { precision: 19, scale: 4 }, "numeric(5,-2)", Err(())),
            (ColumnType::Decimal { precision: 19, scale: 4 }, "numeric", Ok(Limit::None)),
            (ColumnType::Uuid, "char(36)", Ok(Limit::None)),
        ] {
            assert_eq!(limit(column_type, parse(sql_type)).map_err(drop), limited, "{column_type:?} {sql_type}");
        }
    }
}
