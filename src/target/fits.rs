//! What a target's columns hold of a table's values: where their types hold less, and which types cannot tell.

use crate::config::{Config, Engine};
use crate::csv::{Fit, Limit};
use crate::error::{Error, Kind, Result};
use crate::table::{Column, ColumnType, Table};
use crate::target::types::{self, Shape};

/// What becomes of each column's values in the target, in the order of the table's columns. Pure: asks no server.
///
/// # Errors
/// [`Kind::Config`]: a configured type is none, or would change values without a word.
pub fn fits(config: &Config, engine: Engine, table: &Table) -> Result<Vec<Fit>> {
    let options = config.options(&table.name);
    let types = types::resolve(engine, table, &options.columns)?;
    let fit = |(column, sql_type): (&Column, String)| {
        let limit = limit_at(engine, column.column_type, types::shape(engine, &sql_type)).map_err(|reason| {
            let message = format!("column '{}' ({}) cannot be a {sql_type}: {reason}", column.name, column.source_type);
            Error::new(Kind::Config, message).on(&table.name).advice(
                "Choose another type in 'columns' of its [[table]] entry, or none: delsert's own holds every value",
            )
        })?;
        Ok(Fit { limit, sql_type, policies: options.policies(config.values, &column.name) })
    };
    table.columns.iter().zip(types).map(fit).collect()
}

/// The same as [`limit`], and what an engine reads otherwise than it is written.
fn limit_at(engine: Engine, column_type: ColumnType, shape: Shape) -> Result<Limit, &'static str> {
    const ZONE: &str = "COPY reads no offset for it; take timestamptz";
    let limit = limit(column_type, shape)?;
    match (engine, column_type, shape) {
        (Engine::Redshift, ColumnType::TimestampTz { .. }, Shape::Timestamp(_)) => Err(ZONE),
        // "Data conversion parameters": an empty or blank field of anything but a text is NULL.
        (Engine::Redshift, ColumnType::Text { .. } | ColumnType::Json, _) if limit == Limit::None => Ok(Limit::Filled),
        _ => Ok(limit),
    }
}

/// Where a type holds less than a column's values; or why it would change them without a word.
fn limit(column_type: ColumnType, shape: Shape) -> Result<Limit, &'static str> {
    const BLANKS: &str = "it fills texts up with blanks; take varchar";
    const OTHER: &str = "it is not known to hold its values as they are";
    match (column_type, shape) {
        (ColumnType::Uuid, Shape::Padded(36..)) => Ok(Limit::None),
        (_, Shape::Padded(_)) => Err(BLANKS),
        (ColumnType::Text { .. } | ColumnType::Json, _) => of_text(shape),
        (ColumnType::Integer { .. } | ColumnType::Decimal { .. } | ColumnType::Float { .. }, _) => {
            of_number(column_type, shape)
        }
        (ColumnType::Time { .. } | ColumnType::Timestamp { .. } | ColumnType::TimestampTz { .. }, _) => {
            of_moment(column_type, shape)
        }
        (ColumnType::Boolean, Shape::Integer(bytes)) => Ok(Limit::Integer(bytes)),
        (ColumnType::Binary { .. }, Shape::Bytes(Some(most))) => Ok(Limit::Varbyte(most)),
        (_, Shape::Text | Shape::Chars(_) | Shape::Octets(_))
        | (ColumnType::Boolean, Shape::Boolean)
        | (ColumnType::Date, Shape::Date | Shape::Timestamp(_) | Shape::TimestampTz(_))
        | (ColumnType::Binary { .. }, Shape::Bytes(None))
        | (ColumnType::Uuid, Shape::Uuid) => Ok(Limit::None),
        _ => Err(OTHER),
    }
}

fn of_text(shape: Shape) -> Result<Limit, &'static str> {
    const READ: &str = "the server would read its texts as well as it can, and round or cut them unseen";
    match shape {
        Shape::Chars(most) => Ok(Limit::Chars(most)),
        Shape::Octets(most) => Ok(Limit::Octets(most)),
        // What reads a text whole, or refuses it.
        Shape::Text | Shape::Boolean | Shape::Integer(_) | Shape::Numeric(None) | Shape::Uuid | Shape::Parsed => {
            Ok(Limit::None)
        }
        _ => Err(READ),
    }
}

fn of_number(column_type: ColumnType, shape: Shape) -> Result<Limit, &'static str> {
    const FLOATING: &str = "floating point would be rounded unseen; take numeric without digits";
    const UNKNOWN: &str = "it is not known to hold every digit, and what it does not hold would be rounded unseen";
    let floating = matches!(column_type, ColumnType::Float { .. });
    match shape {
        Shape::Integer(_) | Shape::Numeric(Some(_)) if floating => Err(FLOATING),
        Shape::Float(4) if column_type == (ColumnType::Float { bytes: 4 }) => Ok(Limit::None),
        Shape::Float(8) if floating => Ok(Limit::None),
        Shape::Float(bytes) => Ok(Limit::Float(bytes)),
        Shape::Integer(bytes) => Ok(Limit::Integer(bytes)),
        Shape::Numeric(Some((precision, scale))) => Ok(Limit::Decimal { precision, scale }),
        Shape::Numeric(None) | Shape::Text | Shape::Chars(_) | Shape::Octets(_) => Ok(Limit::None),
        _ => Err(UNKNOWN),
    }
}

fn of_moment(column_type: ColumnType, shape: Shape) -> Result<Limit, &'static str> {
    const MOMENT: &str = "its values have more than that, which would be dropped unseen";
    const UNKNOWN: &str = "it is not known to hold every digit, and what it does not hold would be rounded unseen";
    match (matches!(column_type, ColumnType::Time { .. }), shape) {
        (true, Shape::Time(digits)) | (false, Shape::Timestamp(digits) | Shape::TimestampTz(digits)) => {
            Ok(Limit::Digits(digits))
        }
        (false, Shape::Date) => Ok(Limit::Day),
        (false, Shape::Time(_)) => Err(MOMENT),
        // As text, every digit has room.
        (_, Shape::Text | Shape::Chars(_) | Shape::Octets(_)) => Ok(Limit::Digits(7)),
        _ => Err(UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(engine: Engine, column_type: ColumnType, sql_type: &str) -> Result<Limit, ()> {
        limit_at(engine, column_type, types::shape(engine, sql_type)).map_err(drop)
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
            (text, "nchar(5)", Err(())),
            (text, "name", Err(())),
            (text, "money", Err(())),
            (text, "interval(0)", Err(())),
            (text, "bytea", Err(())),
            (text, "numeric(5,2)", Err(())),
            (text, "timestamp", Err(())),
            (text, "date", Err(())),
            (ColumnType::Json, "jsonb", Ok(Limit::None)),
            (ColumnType::Json, "varchar(9)", Ok(Limit::Chars(9))),
            (ColumnType::Boolean, "smallint", Ok(Limit::Integer(2))),
            (ColumnType::Boolean, "numeric", Err(())),
            (ColumnType::Boolean, "text", Ok(Limit::None)),
            (ColumnType::Integer { bytes: 8 }, "integer", Ok(Limit::Integer(4))),
            (ColumnType::Integer { bytes: 8 }, "numeric(5,-2)", Err(())),
            (ColumnType::Integer { bytes: 8 }, "pg_catalog.float4", Ok(Limit::Float(4))),
            (ColumnType::Integer { bytes: 8 }, "mood", Err(())),
            (ColumnType::Integer { bytes: 8 }, "money", Err(())),
            (
                ColumnType::Decimal { precision: 19, scale: 4 },
                "numeric(10,2)",
                Ok(Limit::Decimal { precision: 10, scale: 2 }),
            ),
            (ColumnType::Decimal { precision: 19, scale: 4 }, "real", Ok(Limit::Float(4))),
            (ColumnType::Float { bytes: 8 }, "real", Ok(Limit::Float(4))),
            (ColumnType::Float { bytes: 4 }, "real", Ok(Limit::None)),
            (ColumnType::Float { bytes: 4 }, "float8", Ok(Limit::None)),
            (ColumnType::Float { bytes: 8 }, "numeric(10,2)", Err(())),
            (ColumnType::Float { bytes: 8 }, "numeric", Ok(Limit::None)),
            (ColumnType::Date, "timestamp", Ok(Limit::None)),
            (ColumnType::Date, "time", Err(())),
            (ColumnType::Timestamp { digits: 7 }, "timestamp(3)", Ok(Limit::Digits(3))),
            (ColumnType::Timestamp { digits: 7 }, "date", Ok(Limit::Day)),
            (ColumnType::Timestamp { digits: 7 }, "text", Ok(Limit::Digits(7))),
            (ColumnType::TimestampTz { digits: 7 }, "time", Err(())),
            (ColumnType::Time { digits: 7 }, "interval(0)", Err(())),
            (ColumnType::Time { digits: 7 }, "timestamp", Err(())),
            (ColumnType::Decimal { precision: 19, scale: 4 }, "money", Err(())),
            (ColumnType::Decimal { precision: 19, scale: 4 }, "numeric(5,-2)", Err(())),
            (ColumnType::Decimal { precision: 19, scale: 4 }, "numeric", Ok(Limit::None)),
            (ColumnType::Binary { max_bytes: None }, "bytea", Ok(Limit::None)),
            (ColumnType::Binary { max_bytes: None }, "uuid", Err(())),
            (ColumnType::Uuid, "char(36)", Ok(Limit::None)),
            (ColumnType::Uuid, "char(35)", Err(())),
        ] {
            assert_eq!(of(Engine::Postgres, column_type, sql_type), limited, "{column_type:?} {sql_type}");
        }
    }

    #[test]
    fn amazon_redshift_counts_bytes() {
        let text = ColumnType::Text { max_chars: None, max_bytes: None };
        let decimal = ColumnType::Decimal { precision: 19, scale: 4 };
        for (column_type, sql_type, limited) in [
            (text, "varchar(65535)", Ok(Limit::Octets(65_535))),
            (text, "text", Ok(Limit::Octets(256))),
            (text, "super", Ok(Limit::Filled)),
            (text, "integer", Ok(Limit::Filled)),
            (ColumnType::TimestampTz { digits: 7 }, "timestamp", Err(())),
            (ColumnType::TimestampTz { digits: 7 }, "timestamptz", Ok(Limit::Digits(6))),
            (text, "uuid", Err(())),
            (decimal, "decimal(20,4)", Ok(Limit::Decimal { precision: 20, scale: 4 })),
            (decimal, "decimal(19,4)", Ok(Limit::Decimal { precision: 18, scale: 4 })),
            (decimal, "decimal", Ok(Limit::Decimal { precision: 18, scale: 0 })),
            (ColumnType::Binary { max_bytes: None }, "varbyte(9)", Ok(Limit::Varbyte(9))),
            (ColumnType::Time { digits: 7 }, "time", Ok(Limit::Digits(6))),
            (ColumnType::Uuid, "char(36)", Ok(Limit::None)),
        ] {
            assert_eq!(of(Engine::Redshift, column_type, sql_type), limited, "{column_type:?} {sql_type}");
        }
    }
}
