//! Redshift's types: as they are written, as they are told, and as the server below has them.

use super::error::SqlError;
use super::name::quoted;
use super::statement::cursor::{Cursor, is_reserved};

/// A column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    SmallInt,
    Integer,
    BigInt,
    Decimal(u32, u32),
    Real,
    Double,
    Boolean,
    Char(u32),
    Varchar(u32),
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Varbyte(u32),
    Super,
}

/// Longest CHAR, VARCHAR and VARBYTE.
const CHAR: u32 = 4096;
const VARCHAR: u32 = 65535;
const VARBYTE: u32 = 1_024_000;

impl Type {
    /// Reads a type.
    pub fn parse(cursor: &mut Cursor) -> Result<Self, SqlError> {
        let word = cursor.bare_word()?;
        Ok(match word.as_str() {
            "smallint" | "int2" => Self::SmallInt,
            "integer" | "int" | "int4" => Self::Integer,
            "bigint" | "int8" => Self::BigInt,
            "decimal" | "numeric" => Self::decimal(cursor)?,
            "real" | "float4" => Self::Real,
            "double" => {
                cursor.expect("precision")?;
                Self::Double
            }
            "float" => match cursor.sizes()?.as_slice() {
                [] | [25..=53] => Self::Double,
                [1..=24] => Self::Real,
                _ => return Err(SqlError::new("22023", "precision for FLOAT must be between 1 and 53")),
            },
            "float8" => Self::Double,
            "boolean" | "bool" => Self::Boolean,
            "char" | "character" | "nchar" if cursor.accept("varying") => Self::varchar(cursor)?,
            "char" | "character" | "nchar" => Self::Char(cursor.size("char", 1, CHAR)?),
            "bpchar" => Self::Char(256),
            "varchar" | "nvarchar" => Self::varchar(cursor)?,
            "text" => Self::Varchar(256),
            "date" => Self::Date,
            "time" => Self::zoned(cursor, Self::Time, Self::TimeTz)?,
            "timetz" => Self::TimeTz,
            "timestamp" => Self::zoned(cursor, Self::Timestamp, Self::TimestampTz)?,
            "timestamptz" => Self::TimestampTz,
            "varbyte" | "varbinary" => Self::Varbyte(cursor.size("varbyte", 64000, VARBYTE)?),
            "binary" => {
                cursor.expect("varying")?;
                Self::Varbyte(cursor.size("varbyte", 64000, VARBYTE)?)
            }
            "super" => Self::Super,
            "uuid" | "json" | "jsonb" | "bytea" | "money" | "xml" | "bit" | "inet" | "cidr" | "serial"
            | "bigserial" | "interval" | "geometry" | "geography" | "hllsketch" | "tsvector" | "hstore" => {
                return Err(SqlError::unsupported(format!("Column type \"{word}\" is not supported")));
            }
            _ if is_reserved(&word) => return Err(SqlError::syntax(&word)),
            _ => return Err(SqlError::new("42704", format!("type \"{word}\" does not exist"))),
        })
    }

    fn decimal(cursor: &mut Cursor) -> Result<Self, SqlError> {
        let (precision, scale) = match cursor.sizes()?.as_slice() {
            [] => (18, 0),
            [precision] => (*precision, 0),
            [precision, scale] => (*precision, *scale),
            _ => return Err(SqlError::syntax(",")),
        };
        if !(1..=38).contains(&precision) {
            return Err(SqlError::new("22023", format!("DECIMAL precision {precision} must be between 1 and 38")));
        }
        if scale > 37 || scale > precision {
            return Err(SqlError::new("22023", format!("DECIMAL scale {scale} must be between 0 and {precision}")));
        }
        Ok(Self::Decimal(precision, scale))
    }

    fn varchar(cursor: &mut Cursor) -> Result<Self, SqlError> {
        if cursor.has_symbols_and("(", "max", ")") {
            return Ok(Self::Varchar(VARCHAR));
        }
        Ok(Self::Varchar(cursor.size("varchar", 256, VARCHAR)?))
    }

    fn zoned(cursor: &mut Cursor, without: Self, with: Self) -> Result<Self, SqlError> {
        let zone = cursor.accept("with");
        if zone || cursor.accept("without") {
            cursor.expect("time")?;
            cursor.expect("zone")?;
        }
        Ok(if zone { with } else { without })
    }

    /// The type below.
    pub fn below(self) -> String {
        match self {
            Self::Varbyte(_) => "bytea".to_owned(),
            Self::Super => "jsonb".to_owned(),
            _ => self.to_string(),
        }
    }

    /// The check below that holds what the type below would not, and the name that tells the client's error.
    pub fn check(self, column: &str, place: usize) -> Option<String> {
        let column = quoted(column);
        let (kind, check) = match self {
            Self::Varchar(bytes) | Self::Varbyte(bytes) => ("bytes", format!("octet_length({column}) <= {bytes}")),
            Self::Char(_) => ("single", format!("octet_length({column}::text) = char_length({column}::text)")),
            Self::Decimal(19, scale) => (
                "range",
                format!(
                    "{column} <> 'NaN' AND abs({column}) <= trunc(9223372036854775807::numeric / 10::numeric ^ {scale}, {scale})"
                ),
            ),
            Self::Decimal(..) => ("range", format!("{column} <> 'NaN'")),
            Self::Date | Self::Timestamp | Self::TimestampTz => ("finite", format!("isfinite({column})")),
            _ => return None,
        };
        Some(format!("CONSTRAINT \"redshift_standin:{kind}:{self}:{place}\" CHECK ({check})"))
    }

    /// Has it neither distribution nor sort keys?
    pub fn is_no_key(self) -> bool {
        matches!(self, Self::Varbyte(_) | Self::Super)
    }
}

/// As `format_type` tells it.
impl std::fmt::Display for Type {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SmallInt => out.write_str("smallint"),
            Self::Integer => out.write_str("integer"),
            Self::BigInt => out.write_str("bigint"),
            Self::Decimal(precision, scale) => write!(out, "numeric({precision},{scale})"),
            Self::Real => out.write_str("real"),
            Self::Double => out.write_str("double precision"),
            Self::Boolean => out.write_str("boolean"),
            Self::Char(size) => write!(out, "character({size})"),
            Self::Varchar(size) => write!(out, "character varying({size})"),
            Self::Date => out.write_str("date"),
            Self::Time => out.write_str("time without time zone"),
            Self::TimeTz => out.write_str("time with time zone"),
            Self::Timestamp => out.write_str("timestamp without time zone"),
            Self::TimestampTz => out.write_str("timestamp with time zone"),
            Self::Varbyte(size) => write!(out, "binary varying({size})"),
            Self::Super => out.write_str("super"),
        }
    }
}
