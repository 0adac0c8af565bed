//! Amazon Redshift's types.
//!
//! Sources: Database Developer Guide, "Character types", "Numeric types", "VARBYTE type", "Data conversion parameters".

use super::shape::{Shape, decimal, split};
use crate::table::ColumnType;

/// What stands for NULL. Without a backslash, which a literal may take for the beginning of an escape.
pub const NULL: &str = "~NULL~";

/// The byte before all bytes, in hexadecimal digits, lest a field be empty: that is read as NULL.
pub const BEFORE_BYTES: &str = "00";

/// The most bytes of a row that COPY reads.
pub const LONGEST_ROW: usize = 4 << 20;

/// The most bytes of a VARCHAR, and of a CHAR.
const LONGEST_TEXT: u32 = 65_535;
const LONGEST_CHAR: u32 = 4096;

/// The most bytes of a VARBYTE in every version of the service, but for the one that stands before them in staging.
const LONGEST_BYTES: u32 = 1_023_999;

/// The most digits of a DECIMAL after the point.
const LARGEST_SCALE: u8 = 37;

/// VARCHAR counts bytes. A DECIMAL of up to 19 digits is one integer of eight bytes, which does not hold all of 19.
pub fn sql_type(column_type: ColumnType) -> String {
    let fixed = match column_type {
        ColumnType::Boolean => "boolean",
        ColumnType::Integer { bytes: ..=2 } => "smallint",
        ColumnType::Integer { bytes: 3..=4 } => "integer",
        ColumnType::Integer { .. } => "bigint",
        ColumnType::Decimal { precision, scale } => {
            let precision = if precision == 19 { 20 } else { precision };
            return format!("decimal({precision},{})", scale.min(LARGEST_SCALE));
        }
        ColumnType::Float { bytes: ..=4 } => "real",
        ColumnType::Float { .. } => "double precision",
        ColumnType::Date => "date",
        ColumnType::Time { .. } => "time",
        ColumnType::Timestamp { .. } => "timestamp",
        ColumnType::TimestampTz { .. } => "timestamptz",
        ColumnType::Text { max_chars, max_bytes } => {
            let bytes = max_bytes.or_else(|| max_chars.map(|chars| chars.saturating_mul(3)));
            return format!("varchar({})", bytes.unwrap_or(LONGEST_TEXT).clamp(1, LONGEST_TEXT));
        }
        ColumnType::Binary { max_bytes } => {
            return format!("varbyte({})", max_bytes.unwrap_or(LONGEST_BYTES).clamp(1, LONGEST_BYTES));
        }
        ColumnType::Uuid => "char(36)",
        ColumnType::Json => return format!("varchar({LONGEST_TEXT})"),
    };
    fixed.to_owned()
}

/// What a type holds, by any of its names.
pub fn shape(sql_type: &str) -> Shape {
    let (name, numbers) = split(sql_type);
    let Some(numbers) = numbers else {
        let longest = matches!(name.as_str(), "varchar" | "character varying" | "nvarchar");
        return if longest && is_max(sql_type) { Shape::Octets(LONGEST_TEXT) } else { Shape::Other };
    };
    let first = numbers.first().copied();
    match name.as_str() {
        "varchar" | "character varying" | "nvarchar" => Shape::Octets(first.unwrap_or(256).min(LONGEST_TEXT)),
        "text" if first.is_none() => Shape::Octets(256),
        "char" | "character" | "nchar" => Shape::Padded(first.unwrap_or(1).min(LONGEST_CHAR)),
        "bpchar" => Shape::Padded(256),
        "boolean" | "bool" => Shape::Boolean,
        "smallint" | "int2" => Shape::Integer(2),
        "integer" | "int" | "int4" => Shape::Integer(4),
        "bigint" | "int8" => Shape::Integer(8),
        "decimal" | "numeric" => match decimal(&numbers).unwrap_or((18, 0)) {
            // An integer of eight bytes, which holds 18 digits and some of 19.
            (19, scale) => Shape::Numeric(Some((18, scale))),
            digits => Shape::Numeric(Some(digits)),
        },
        "real" | "float4" => Shape::Float(4),
        "double precision" | "float8" | "float" => Shape::Float(8),
        "time" | "time without time zone" => Shape::Time(6),
        "timestamp" | "timestamp without time zone" => Shape::Timestamp(6),
        "timestamptz" | "timestamp with time zone" => Shape::TimestampTz(6),
        "date" => Shape::Date,
        "varbyte" | "varbinary" | "binary varying" => Shape::Bytes(Some(first.unwrap_or(64_000))),
        "super" => Shape::Parsed,
        _ => Shape::Other,
    }
}

/// Whether a type's brackets hold the word that stands for the greatest length.
fn is_max(sql_type: &str) -> bool {
    let inner = sql_type.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inner.is_some_and(|(inner, _)| inner.trim().eq_ignore_ascii_case("max"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_name() {
        let text = |max_chars, max_bytes| ColumnType::Text { max_chars, max_bytes };
        for (column_type, expected) in [
            (ColumnType::Boolean, "boolean"),
            (ColumnType::Integer { bytes: 2 }, "smallint"),
            (ColumnType::Integer { bytes: 4 }, "integer"),
            (ColumnType::Integer { bytes: 8 }, "bigint"),
            (ColumnType::Decimal { precision: 18, scale: 4 }, "decimal(18,4)"),
            (ColumnType::Decimal { precision: 19, scale: 4 }, "decimal(20,4)"),
            (ColumnType::Decimal { precision: 38, scale: 38 }, "decimal(38,37)"),
            (ColumnType::Float { bytes: 4 }, "real"),
            (ColumnType::Float { bytes: 8 }, "double precision"),
            (ColumnType::Date, "date"),
            (ColumnType::Time { digits: 7 }, "time"),
            (ColumnType::Timestamp { digits: 3 }, "timestamp"),
            (ColumnType::TimestampTz { digits: 7 }, "timestamptz"),
            (text(Some(5), Some(15)), "varchar(15)"),
            (text(Some(5), None), "varchar(15)"),
            (text(Some(30_000), Some(90_000)), "varchar(65535)"),
            (text(None, None), "varchar(65535)"),
            (ColumnType::Binary { max_bytes: Some(8) }, "varbyte(8)"),
            (ColumnType::Binary { max_bytes: None }, "varbyte(1023999)"),
            (ColumnType::Uuid, "char(36)"),
            (ColumnType::Json, "varchar(65535)"),
        ] {
            assert_eq!(sql_type(column_type), expected);
        }
    }

    #[test]
    fn types_are_known_by_all_their_names() {
        for (sql_type, expected) in [
            ("text", Shape::Octets(256)),
            ("varchar", Shape::Octets(256)),
            ("NVARCHAR(20)", Shape::Octets(20)),
            ("varchar(MAX)", Shape::Octets(65_535)),
            ("character varying ( max )", Shape::Octets(65_535)),
            ("char(3)", Shape::Padded(3)),
            ("decimal", Shape::Numeric(Some((18, 0)))),
            ("numeric(20,4)", Shape::Numeric(Some((20, 4)))),
            ("varbyte", Shape::Bytes(Some(64_000))),
            ("binary varying(8)", Shape::Bytes(Some(8))),
            ("super", Shape::Parsed),
            ("timestamp with time zone", Shape::TimestampTz(6)),
            ("geometry", Shape::Other),
            ("uuid", Shape::Other),
            ("jsonb", Shape::Other),
        ] {
            assert_eq!(shape(sql_type), expected, "{sql_type}");
        }
    }
}
