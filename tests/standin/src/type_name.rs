//! Type names of T-SQL: `decimal(8, 2)` to [`SqlType`] and back.

use std::fmt;
use std::str::FromStr;

use crate::value::SqlType;

/// A text that names no T-SQL type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a defined system type")]
pub struct UnknownType(pub String);

impl SqlType {
    /// The type that a text such as `nvarchar(40)`, `decimal(8, 2)` or `varbinary(max)` names.
    ///
    /// # Errors
    /// When it names none, or its facets are out of range.
    pub fn parse(text: &str) -> Result<Self, UnknownType> {
        parsed(text).ok_or_else(|| UnknownType(text.to_owned()))
    }

    /// The name without facets, as `sys.types` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bit => "bit",
            Self::TinyInt => "tinyint",
            Self::SmallInt => "smallint",
            Self::Int => "int",
            Self::BigInt => "bigint",
            Self::Decimal { .. } => "decimal",
            Self::Numeric { .. } => "numeric",
            Self::SmallMoney => "smallmoney",
            Self::Money => "money",
            Self::Real => "real",
            Self::Float => "float",
            Self::Date => "date",
            Self::Time(_) => "time",
            Self::SmallDateTime => "smalldatetime",
            Self::DateTime => "datetime",
            Self::DateTime2(_) => "datetime2",
            Self::DateTimeOffset(_) => "datetimeoffset",
            Self::Char(_) => "char",
            Self::VarChar(_) => "varchar",
            Self::Text => "text",
            Self::NChar(_) => "nchar",
            Self::NVarChar(_) => "nvarchar",
            Self::NText => "ntext",
            Self::Binary(_) => "binary",
            Self::VarBinary(_) => "varbinary",
            Self::Image => "image",
            Self::RowVersion => "timestamp",
            Self::UniqueIdentifier => "uniqueidentifier",
            Self::Xml => "xml",
            Self::SqlVariant => "sql_variant",
            Self::HierarchyId => "hierarchyid",
            Self::Geometry => "geometry",
            Self::Geography => "geography",
        }
    }
}

impl FromStr for SqlType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        Self::parse(text)
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match *self {
            Self::Decimal { precision, scale } | Self::Numeric { precision, scale } => {
                write!(f, "({precision},{scale})")
            }
            Self::Time(scale) | Self::DateTime2(scale) | Self::DateTimeOffset(scale) => write!(f, "({scale})"),
            Self::Char(length) | Self::NChar(length) | Self::Binary(length) => write!(f, "({length})"),
            Self::VarChar(length) | Self::NVarChar(length) | Self::VarBinary(length) => match length {
                Some(length) => write!(f, "({length})"),
                None => f.write_str("(max)"),
            },
            _ => Ok(()),
        }
    }
}

/// A facet: a number, or `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Facet {
    Number(u16),
    Max,
}

fn parsed(text: &str) -> Option<SqlType> {
    let text = text.trim().to_ascii_lowercase();
    let (name, facets) = match text.split_once('(') {
        None => (text.as_str(), Vec::new()),
        Some((name, rest)) => {
            let inner = rest.trim_end().strip_suffix(')')?;
            (name.trim_end(), inner.split(',').map(facet).collect::<Option<Vec<_>>>()?)
        }
    };
    if let Some(plain) = plain(name).filter(|_| facets.is_empty()) {
        return Some(plain);
    }
    let scale = |default: u8| match facets.as_slice() {
        [] => Some(default),
        [Facet::Number(scale @ 0..=7)] => u8::try_from(*scale).ok(),
        _ => None,
    };
    let fixed = |limit: u16| match facets.as_slice() {
        [] => Some(1),
        [Facet::Number(length)] => (1..=limit).contains(length).then_some(*length),
        _ => None,
    };
    let varying = |limit: u16| match facets.as_slice() {
        [Facet::Max] => Some(None),
        _ => fixed(limit).map(Some),
    };
    Some(match name {
        "decimal" | "dec" | "numeric" => {
            let (precision, scale) = decimal_facets(&facets)?;
            match name {
                "numeric" => SqlType::Numeric { precision, scale },
                _ => SqlType::Decimal { precision, scale },
            }
        }
        "float" => match facets.as_slice() {
            [Facet::Number(1..=24)] => SqlType::Real,
            [Facet::Number(25..=53)] => SqlType::Float,
            _ => return None,
        },
        "time" => SqlType::Time(scale(7)?),
        "datetime2" => SqlType::DateTime2(scale(7)?),
        "datetimeoffset" => SqlType::DateTimeOffset(scale(7)?),
        "char" | "character" => SqlType::Char(fixed(8000)?),
        "varchar" => SqlType::VarChar(varying(8000)?),
        "nchar" => SqlType::NChar(fixed(4000)?),
        "nvarchar" => SqlType::NVarChar(varying(4000)?),
        "binary" => SqlType::Binary(fixed(8000)?),
        "varbinary" => SqlType::VarBinary(varying(8000)?),
        _ => return None,
    })
}

fn plain(name: &str) -> Option<SqlType> {
    Some(match name {
        "bit" => SqlType::Bit,
        "tinyint" => SqlType::TinyInt,
        "smallint" => SqlType::SmallInt,
        "int" | "integer" => SqlType::Int,
        "bigint" => SqlType::BigInt,
        "smallmoney" => SqlType::SmallMoney,
        "money" => SqlType::Money,
        "real" => SqlType::Real,
        "float" | "double precision" => SqlType::Float,
        "date" => SqlType::Date,
        "smalldatetime" => SqlType::SmallDateTime,
        "datetime" => SqlType::DateTime,
        "text" => SqlType::Text,
        "ntext" => SqlType::NText,
        "image" => SqlType::Image,
        "timestamp" | "rowversion" => SqlType::RowVersion,
        "uniqueidentifier" => SqlType::UniqueIdentifier,
        "xml" => SqlType::Xml,
        "sql_variant" => SqlType::SqlVariant,
        "hierarchyid" => SqlType::HierarchyId,
        "geometry" => SqlType::Geometry,
        "geography" => SqlType::Geography,
        "sysname" => SqlType::NVarChar(Some(128)),
        _ => return None,
    })
}

fn decimal_facets(facets: &[Facet]) -> Option<(u8, u8)> {
    let (precision, scale) = match facets {
        [] => (18, 0),
        [Facet::Number(precision)] => (*precision, 0),
        [Facet::Number(precision), Facet::Number(scale)] => (*precision, *scale),
        _ => return None,
    };
    ((1..=38).contains(&precision) && scale <= precision)
        .then_some((u8::try_from(precision).ok()?, u8::try_from(scale).ok()?))
}

fn facet(text: &str) -> Option<Facet> {
    match text.trim() {
        "max" => Some(Facet::Max),
        number => number.parse().ok().map(Facet::Number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_and_print() {
        for text in ["int", "decimal(8,2)", "nvarchar(max)", "varbinary(16)", "time(3)", "timestamp", "nchar(1)"] {
            assert_eq!(SqlType::parse(text).map(|found| found.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(SqlType::parse("Decimal(8, 2)"), Ok(SqlType::Decimal { precision: 8, scale: 2 }));
        assert_eq!(SqlType::parse("time"), Ok(SqlType::Time(7)));
        assert_eq!(SqlType::parse("float(24)"), Ok(SqlType::Real));
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for text in ["", "int(4)", "decimal(39,0)", "decimal(3,4)", "nvarchar(4001)", "varchar(0)", "text(3)", "blob"] {
            assert!(SqlType::parse(text).is_err(), "{text}");
        }
    }
}
