//! PostgreSQL's types.

use super::shape::{Shape, decimal, split};
use crate::table::ColumnType;

/// Text has no bound of its own, so that a column widened at the source needs no change here. Times hold six digits of
/// a second unasked. `json` keeps its text as it is, which `jsonb` does not.
pub fn sql_type(column_type: ColumnType) -> String {
    let fixed = match column_type {
        ColumnType::Boolean => "boolean",
        ColumnType::Integer { bytes: ..=2 } => "smallint",
        ColumnType::Integer { bytes: 3..=4 } => "integer",
        ColumnType::Integer { .. } => "bigint",
        ColumnType::Decimal { precision, scale } => return format!("numeric({precision},{scale})"),
        ColumnType::Float { bytes: ..=4 } => "real",
        ColumnType::Float { .. } => "double precision",
        ColumnType::Date => "date",
        ColumnType::Time { .. } => "time",
        ColumnType::Timestamp { .. } => "timestamp",
        ColumnType::TimestampTz { .. } => "timestamptz",
        ColumnType::Text { .. } => "text",
        ColumnType::Binary { .. } => "bytea",
        ColumnType::Uuid => "uuid",
        ColumnType::Json => "json",
    };
    fixed.to_owned()
}

/// What a type holds, by any of its names. One that is not known is [`Shape::Other`]: a domain may be of any type.
pub fn shape(sql_type: &str) -> Shape {
    let (name, numbers) = split(sql_type);
    // A negative scale rounds before the point.
    let Some(numbers) = numbers else { return Shape::Other };
    let first = numbers.first().copied();
    let digits = u8::try_from(first.unwrap_or(6).min(6)).unwrap_or(6);
    let text = |length: Option<u32>| length.map_or(Shape::Text, Shape::Chars);
    match name.strip_prefix("pg_catalog.").unwrap_or(&name) {
        "text" => Shape::Text,
        "varchar"
        | "character varying"
        | "char varying"
        | "national character varying"
        | "national char varying"
        | "nchar varying" => text(first),
        "bpchar" if first.is_none() => Shape::Text,
        "char" | "character" | "national character" | "national char" | "nchar" | "bpchar" => {
            Shape::Padded(first.unwrap_or(1))
        }
        "boolean" | "bool" => Shape::Boolean,
        "smallint" | "int2" => Shape::Integer(2),
        "integer" | "int" | "int4" => Shape::Integer(4),
        "bigint" | "int8" => Shape::Integer(8),
        "numeric" | "decimal" | "dec" => Shape::Numeric(decimal(&numbers)),
        "real" | "float4" => Shape::Float(4),
        "float" if first.is_some_and(|bits| bits <= 24) => Shape::Float(4),
        "double precision" | "float8" | "float" => Shape::Float(8),
        "time" | "time without time zone" => Shape::Time(digits),
        "timestamp" | "timestamp without time zone" => Shape::Timestamp(digits),
        "timestamptz" | "timestamp with time zone" => Shape::TimestampTz(digits),
        "date" => Shape::Date,
        "bytea" => Shape::Bytes(None),
        "uuid" => Shape::Uuid,
        "json" | "jsonb" | "xml" | "citext" | "inet" | "cidr" | "macaddr" => Shape::Parsed,
        _ => Shape::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_name() {
        for (column_type, expected) in [
            (ColumnType::Boolean, "boolean"),
            (ColumnType::Integer { bytes: 2 }, "smallint"),
            (ColumnType::Integer { bytes: 4 }, "integer"),
            (ColumnType::Integer { bytes: 8 }, "bigint"),
            (ColumnType::Decimal { precision: 19, scale: 4 }, "numeric(19,4)"),
            (ColumnType::Decimal { precision: 38, scale: 38 }, "numeric(38,38)"),
            (ColumnType::Float { bytes: 4 }, "real"),
            (ColumnType::Float { bytes: 8 }, "double precision"),
            (ColumnType::Date, "date"),
            (ColumnType::Time { digits: 7 }, "time"),
            (ColumnType::Timestamp { digits: 3 }, "timestamp"),
            (ColumnType::TimestampTz { digits: 7 }, "timestamptz"),
            (ColumnType::Text { max_chars: Some(5), max_bytes: None }, "text"),
            (ColumnType::Binary { max_bytes: Some(8) }, "bytea"),
            (ColumnType::Uuid, "uuid"),
            (ColumnType::Json, "json"),
        ] {
            assert_eq!(sql_type(column_type), expected);
        }
    }

    #[test]
    fn types_are_known_by_all_their_names() {
        for (sql_type, expected) in [
            ("text", Shape::Text),
            ("pg_catalog.text", Shape::Text),
            ("varchar", Shape::Text),
            ("VARCHAR ( 20 )", Shape::Chars(20)),
            ("character  varying(20)", Shape::Chars(20)),
            ("char varying(20)", Shape::Chars(20)),
            ("national character varying (20)", Shape::Chars(20)),
            ("char", Shape::Padded(1)),
            ("character(3)", Shape::Padded(3)),
            ("nchar(3)", Shape::Padded(3)),
            ("bpchar", Shape::Text),
            ("bool", Shape::Boolean),
            ("int4", Shape::Integer(4)),
            ("pg_catalog.int8", Shape::Integer(8)),
            ("numeric", Shape::Numeric(None)),
            ("decimal(10)", Shape::Numeric(Some((10, 0)))),
            ("numeric(10, 2)", Shape::Numeric(Some((10, 2)))),
            ("numeric(5,-2)", Shape::Other),
            ("float(24)", Shape::Float(4)),
            ("float(25)", Shape::Float(8)),
            ("double precision", Shape::Float(8)),
            ("time", Shape::Time(6)),
            ("time(3) without time zone", Shape::Time(3)),
            ("timestamp(0)", Shape::Timestamp(0)),
            ("timestamp (2) with time zone", Shape::TimestampTz(2)),
            ("timestamptz(9)", Shape::TimestampTz(6)),
            ("date", Shape::Date),
            ("jsonb", Shape::Parsed),
            ("name", Shape::Other),
            ("money", Shape::Other),
            ("interval(0)", Shape::Other),
            ("mood", Shape::Other),
        ] {
            assert_eq!(shape(sql_type), expected, "{sql_type}");
        }
    }
}
