//! Types as declared: a name and its arguments.

use super::super::error::Result;
use crate::value::{SqlError, SqlType};

/// One argument of a type: a number or `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facet {
    /// A number.
    Number(u32),
    /// `max`.
    Max,
}

/// The type of that name with those arguments; `default_length` is for character and binary types without one
/// (1 in a declaration, 30 in CAST).
pub fn build(name: &str, facets: &[Facet], default_length: u16) -> Result<SqlType> {
    let lower = name.to_lowercase();
    let numbers: Vec<u32> =
        facets.iter().filter_map(|f| if let Facet::Number(n) = f { Some(*n) } else { None }).collect();
    let max = facets.contains(&Facet::Max);
    let allowed = allowed_facets(&lower)
        .ok_or_else(|| SqlError::new(243, format!("Type {name} is not a defined system type.")))?;
    if facets.len() > allowed || (max && facets.len() > 1) {
        return Err(SqlError::new(2716, format!("Cannot specify a column width on data type {lower}.")));
    }
    let length = |limit: u32| -> Result<Option<u16>> {
        if max {
            return Ok(None);
        }
        match numbers.first() {
            None => Ok(Some(default_length)),
            Some(0) => Err(SqlError::new(1001, "Length or precision specification 0 is invalid.").severity(15)),
            Some(n) if *n > limit => Err(SqlError::new(
                131,
                format!(
                    "The size ({n}) given to the type '{lower}' exceeds the maximum allowed for any data type (8000)."
                ),
            )
            .severity(15)),
            Some(n) => Ok(Some(u16::try_from(*n).unwrap_or(u16::MAX))),
        }
    };
    let fixed = |limit: u32| -> Result<u16> { length(limit)?.ok_or_else(|| super::super::error::syntax("max")) };
    let scale = || -> Result<u8> {
        match numbers.first() {
            None => Ok(7),
            Some(n) if *n <= 7 => Ok(u8::try_from(*n).unwrap_or(7)),
            Some(n) => Err(SqlError::new(1002, format!("Line 1: Specified scale {n} is invalid.")).severity(15)),
        }
    };
    Ok(match lower.as_str() {
        "bit" => SqlType::Bit,
        "tinyint" => SqlType::TinyInt,
        "smallint" => SqlType::SmallInt,
        "int" | "integer" => SqlType::Int,
        "bigint" => SqlType::BigInt,
        "decimal" | "dec" => exact(&numbers).map(|(precision, scale)| SqlType::Decimal { precision, scale })?,
        "numeric" => exact(&numbers).map(|(precision, scale)| SqlType::Numeric { precision, scale })?,
        "smallmoney" => SqlType::SmallMoney,
        "money" => SqlType::Money,
        "real" => SqlType::Real,
        "float" | "double precision" => match numbers.first() {
            Some(0 | 54..) => {
                return Err(SqlError::new(
                    2750,
                    "Column or parameter: Specified column precision is greater than the maximum precision of 53.",
                ));
            }
            Some(n) if *n <= 24 => SqlType::Real,
            _ => SqlType::Float,
        },
        "date" => SqlType::Date,
        "time" => SqlType::Time(scale()?),
        "smalldatetime" => SqlType::SmallDateTime,
        "datetime" => SqlType::DateTime,
        "datetime2" => SqlType::DateTime2(scale()?),
        "datetimeoffset" => SqlType::DateTimeOffset(scale()?),
        "char" | "character" => SqlType::Char(fixed(8000)?),
        "varchar" | "char varying" | "character varying" => SqlType::VarChar(length(8000)?),
        "text" => SqlType::Text,
        "nchar" | "national character" | "national char" => SqlType::NChar(fixed(4000)?),
        "nvarchar" | "national character varying" | "national char varying" => SqlType::NVarChar(length(4000)?),
        "ntext" => SqlType::NText,
        "sysname" => SqlType::NVarChar(Some(128)),
        "binary" => SqlType::Binary(fixed(8000)?),
        "varbinary" | "binary varying" => SqlType::VarBinary(length(8000)?),
        "image" => SqlType::Image,
        "rowversion" | "timestamp" => SqlType::RowVersion,
        "uniqueidentifier" => SqlType::UniqueIdentifier,
        "xml" => SqlType::Xml,
        "sql_variant" => SqlType::SqlVariant,
        "hierarchyid" => SqlType::HierarchyId,
        "geometry" => SqlType::Geometry,
        _ => SqlType::Geography,
    })
}

/// How many arguments a type may carry; `None` for what is no type.
fn allowed_facets(lower: &str) -> Option<usize> {
    Some(match lower {
        "decimal" | "dec" | "numeric" => 2,
        "float"
        | "time"
        | "datetime2"
        | "datetimeoffset"
        | "char"
        | "character"
        | "varchar"
        | "char varying"
        | "character varying"
        | "nchar"
        | "nvarchar"
        | "national character"
        | "national char"
        | "national character varying"
        | "national char varying"
        | "binary"
        | "varbinary"
        | "binary varying" => 1,
        "bit" | "tinyint" | "smallint" | "int" | "integer" | "bigint" | "smallmoney" | "money" | "real"
        | "double precision" | "date" | "smalldatetime" | "datetime" | "text" | "ntext" | "sysname" | "image"
        | "rowversion" | "timestamp" | "uniqueidentifier" | "xml" | "sql_variant" | "hierarchyid" | "geometry"
        | "geography" => 0,
        _ => return None,
    })
}

fn exact(numbers: &[u32]) -> Result<(u8, u8)> {
    let precision = numbers.first().copied().unwrap_or(18);
    let scale = numbers.get(1).copied().unwrap_or(0);
    if precision == 0 || precision > 38 {
        return Err(SqlError::new(
            2750,
            format!(
                "Column or parameter #1: Specified column precision {precision} is greater than the maximum precision of 38."
            ),
        ));
    }
    if scale > precision {
        return Err(SqlError::new(
            183,
            format!("The scale ({scale}) for column '' must be within the range 0 to {precision}."),
        )
        .severity(15));
    }
    Ok((u8::try_from(precision).unwrap_or(38), u8::try_from(scale).unwrap_or(0)))
}

/// Reads a type that [`super::types::display`] wrote.
pub fn parse(text: &str) -> Result<SqlType> {
    let (name, rest) = text.split_once('(').unwrap_or((text, ""));
    let facets: Vec<Facet> = rest
        .trim_end_matches(')')
        .split(',')
        .filter(|part| !part.trim().is_empty())
        .map(|part| {
            let part = part.trim();
            if part.eq_ignore_ascii_case("max") {
                Ok(Facet::Max)
            } else {
                part.parse().map(Facet::Number).map_err(|_| super::super::error::syntax(part))
            }
        })
        .collect::<Result<_>>()?;
    build(name.trim(), &facets, 1)
}
