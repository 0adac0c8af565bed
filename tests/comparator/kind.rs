//! SQL Server's types: what PostgreSQL should make of a type, and of a value.

use anyhow::{Context, bail, ensure};

/// A column's type at the source. Lengths are in characters (UTF-16 units) or bytes; `None` is `(max)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Decimal(u8, u8),
    SmallMoney,
    Money,
    Real,
    Float,
    Date,
    Time,
    SmallDateTime,
    DateTime,
    DateTime2,
    DateTimeOffset,
    Char(usize),
    VarChar(Option<usize>),
    NChar(usize),
    NVarChar(Option<usize>),
    Xml,
    Binary(usize),
    VarBinary(Option<usize>),
    RowVersion,
    UniqueIdentifier,
    HierarchyId,
    Geography,
}

impl Kind {
    /// Reads a type as T-SQL writes it: `nvarchar(50)`.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (name, facets) = match text.split_once('(') {
            Some((name, rest)) => (name.trim(), rest.trim_end_matches(')').split(',').map(str::trim).collect()),
            None => (text.trim(), Vec::new()),
        };
        let facet = |at: usize| facets.get(at).and_then(|facet| facet.parse::<usize>().ok());
        let length = || facet(0).with_context(|| format!("{text} has no length"));
        let or_max = || if facets.first() == Some(&"max") { Ok(None) } else { length().map(Some) };
        Ok(match name.to_ascii_lowercase().as_str() {
            "bit" => Self::Bit,
            "tinyint" => Self::TinyInt,
            "smallint" => Self::SmallInt,
            "int" => Self::Int,
            "bigint" => Self::BigInt,
            "decimal" | "numeric" => {
                Self::Decimal(u8::try_from(facet(0).unwrap_or(18))?, u8::try_from(facet(1).unwrap_or(0))?)
            }
            "smallmoney" => Self::SmallMoney,
            "money" => Self::Money,
            "real" => Self::Real,
            "float" => Self::Float,
            "date" => Self::Date,
            "time" => Self::Time,
            "smalldatetime" => Self::SmallDateTime,
            "datetime" => Self::DateTime,
            "datetime2" => Self::DateTime2,
            "datetimeoffset" => Self::DateTimeOffset,
            "char" => Self::Char(length()?),
            "varchar" => Self::VarChar(or_max()?),
            "nchar" => Self::NChar(length()?),
            "nvarchar" => Self::NVarChar(or_max()?),
            "xml" => Self::Xml,
            "binary" => Self::Binary(length()?),
            "varbinary" => Self::VarBinary(or_max()?),
            "rowversion" | "timestamp" => Self::RowVersion,
            "uniqueidentifier" => Self::UniqueIdentifier,
            "hierarchyid" => Self::HierarchyId,
            "geography" => Self::Geography,
            _ => bail!("the comparator does not know the type {text}"),
        })
    }

    /// Whether PostgreSQL's type, as `format_type` gives it, is the one that the mapping asks for.
    pub fn may_be(self, target: &str) -> bool {
        let wanted = match self {
            Self::Bit => "boolean",
            Self::TinyInt | Self::SmallInt => "smallint",
            Self::Int => "integer",
            Self::BigInt => "bigint",
            Self::Decimal(precision, scale) => return target == format!("numeric({precision},{scale})"),
            Self::SmallMoney => "numeric(10,4)",
            Self::Money => "numeric(19,4)",
            Self::Real => "real",
            Self::Float => "double precision",
            Self::Date => "date",
            Self::Time => "time without time zone",
            Self::SmallDateTime | Self::DateTime | Self::DateTime2 => "timestamp without time zone",
            Self::DateTimeOffset => "timestamp with time zone",
            Self::UniqueIdentifier => "uuid",
            Self::Char(_) | Self::VarChar(_) | Self::NChar(_) | Self::NVarChar(_) | Self::Xml => "text",
            Self::Binary(_) | Self::VarBinary(_) | Self::RowVersion | Self::HierarchyId | Self::Geography => "bytea",
        };
        // Six digits are what PostgreSQL keeps in any case.
        target.replace("(6)", "") == wanted || (wanted == "text" && self.fits_varchar(target))
    }

    /// Whether it is the one that the mapping asks for at Amazon Redshift, as its stand-in has it below: characters are
    /// counted in bytes, and what a decimal of 19 digits does not hold one of 20 does.
    pub fn may_be_at_redshift(self, target: &str) -> bool {
        let bytes = |units: usize| target == format!("character varying({})", (3 * units).min(65_535));
        match self {
            Self::Char(length) | Self::NChar(length) => bytes(length),
            Self::VarChar(length) | Self::NVarChar(length) => bytes(length.unwrap_or(65_535)),
            Self::Xml => bytes(65_535),
            Self::Money => target == "numeric(20,4)",
            Self::Decimal(19, scale) => target == format!("numeric(20,{scale})"),
            Self::UniqueIdentifier => target == "character(36)",
            other => other.may_be(target),
        }
    }

    fn fits_varchar(self, target: &str) -> bool {
        let length = target.strip_prefix("character varying(").and_then(|rest| rest.strip_suffix(')')?.parse().ok());
        match self {
            Self::Char(wanted) | Self::NChar(wanted) => length.is_some_and(|length: usize| length >= wanted),
            Self::VarChar(Some(wanted)) | Self::NVarChar(Some(wanted)) => length.is_some_and(|length| length >= wanted),
            _ => false,
        }
    }

    /// Whether it holds text that the source compares by a collation.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Char(_) | Self::VarChar(_) | Self::NChar(_) | Self::NVarChar(_))
    }

    /// Whether it is written as hexadecimal digits.
    pub fn is_bytes(self) -> bool {
        matches!(self, Self::Binary(_) | Self::VarBinary(_) | Self::RowVersion | Self::HierarchyId | Self::Geography)
    }

    /// The text that PostgreSQL should print for a value written as the CSV files write it.
    pub fn expected(self, source: &str) -> anyhow::Result<String> {
        let wrong = || format!("'{source}' is no {self:?}");
        Ok(match self {
            Self::Bit => match source {
                "0" => "f".to_owned(),
                "1" => "t".to_owned(),
                _ => bail!(wrong()),
            },
            Self::TinyInt => source.parse::<u8>().with_context(wrong)?.to_string(),
            Self::SmallInt => source.parse::<i16>().with_context(wrong)?.to_string(),
            Self::Int => source.parse::<i32>().with_context(wrong)?.to_string(),
            Self::BigInt => source.parse::<i64>().with_context(wrong)?.to_string(),
            Self::Decimal(_, scale) => decimal(source, scale.into()).with_context(wrong)?,
            Self::SmallMoney | Self::Money => decimal(source, 4).with_context(wrong)?,
            Self::Real => source.parse::<f32>().with_context(wrong)?.to_string(),
            Self::Float => source.parse::<f64>().with_context(wrong)?.to_string(),
            Self::Date | Self::Xml | Self::VarChar(_) | Self::NVarChar(_) => source.to_owned(),
            Self::Time | Self::SmallDateTime | Self::DateTime | Self::DateTime2 => {
                microseconds(&source.replace('T', " "))
            }
            Self::DateTimeOffset => bail!("give a datetimeoffset as the target prints it: in UTC"),
            Self::Char(length) | Self::NChar(length) => {
                let blanks = length.saturating_sub(source.encode_utf16().count());
                format!("{source}{}", " ".repeat(blanks))
            }
            Self::Binary(length) => format!("\\x{:0<width$}", hex(source)?, width = 2 * length),
            Self::VarBinary(_) | Self::RowVersion | Self::HierarchyId | Self::Geography => {
                format!("\\x{}", hex(source)?)
            }
            Self::UniqueIdentifier => source.to_ascii_lowercase(),
        })
    }

    /// Whether a cell of the target is the one expected. Floating point is the same when it reads back as the same bits.
    pub fn same(self, expected: &str, found: &str) -> bool {
        match self {
            Self::Real => {
                matches!((expected.parse::<f32>(), found.parse::<f32>()), (Ok(a), Ok(b)) if a.to_bits() == b.to_bits())
            }
            Self::Float => {
                matches!((expected.parse::<f64>(), found.parse::<f64>()), (Ok(a), Ok(b)) if a.to_bits() == b.to_bits())
            }
            _ => expected == found,
        }
    }
}

/// A decimal number with exactly so many digits after the point, and one before it.
fn decimal(source: &str, scale: usize) -> anyhow::Result<String> {
    let (sign, digits) = source.strip_prefix('-').map_or(("", source), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    ensure!(all_digits && !(whole.is_empty() && fraction.is_empty()), "not a number");
    ensure!(fraction.trim_end_matches('0').len() <= scale, "more than {scale} digits after the point");
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(scale).collect();
    let sign = if whole == "0" && fraction.trim_matches('0').is_empty() { "" } else { sign };
    Ok(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// A time cut to six digits of a second, without zeros at its end, as PostgreSQL prints it.
fn microseconds(source: &str) -> String {
    match source.split_once('.') {
        None => source.to_owned(),
        Some((whole, fraction)) => {
            let kept = fraction.get(..6).unwrap_or(fraction).trim_end_matches('0');
            if kept.is_empty() { whole.to_owned() } else { format!("{whole}.{kept}") }
        }
    }
}

fn hex(source: &str) -> anyhow::Result<String> {
    ensure!(source.len().is_multiple_of(2) && source.bytes().all(|byte| byte.is_ascii_hexdigit()), "not hexadecimal");
    Ok(source.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_expected_as_postgresql_prints_them() -> anyhow::Result<()> {
        let cases = [
            ("bit", "1", "t"),
            ("smallmoney", ".0000", "0.0000"),
            ("money", "-922337203685477.5808", "-922337203685477.5808"),
            ("decimal(8, 2)", "-.5", "-0.50"),
            ("decimal(5,0)", "007", "7"),
            ("decimal(5,2)", "-0.00", "0.00"),
            ("time", "23:59:59.9999999", "23:59:59.999999"),
            ("time", "07:00:00.0000000", "07:00:00"),
            ("datetime", "2013-05-30 00:00:00.010", "2013-05-30 00:00:00.01"),
            ("datetime", "2013-05-30T00:00:00.000", "2013-05-30 00:00:00"),
            ("nchar(6)", "en", "en    "),
            ("nchar(3)", "😀", "😀 "),
            ("nvarchar(5)", "en ", "en "),
            ("uniqueidentifier", "9AADCB0D-36CF-483F-84D8-585C2D4EC6E9", "9aadcb0d-36cf-483f-84d8-585c2d4ec6e9"),
            ("hierarchyid", "5AC0", "\\x5ac0"),
            ("varbinary(max)", "", "\\x"),
            ("binary(4)", "FF", "\\xff000000"),
        ];
        for (kind, source, expected) in cases {
            assert_eq!(Kind::parse(kind)?.expected(source)?, expected, "{kind} '{source}'");
        }
        Ok(())
    }

    #[test]
    fn a_target_type_other_than_the_mapping_s_is_refused() -> anyhow::Result<()> {
        for (kind, target, may) in [
            ("tinyint", "smallint", true),
            ("tinyint", "integer", false),
            ("decimal(8,2)", "numeric(8,2)", true),
            ("decimal(8,2)", "numeric", false),
            ("nvarchar(50)", "character varying(50)", true),
            ("nvarchar(50)", "character varying(49)", false),
            ("nvarchar(max)", "character varying(50)", false),
            ("datetime", "timestamp(6) without time zone", true),
            ("datetime", "timestamp(3) without time zone", false),
            ("datetime", "timestamp with time zone", false),
        ] {
            assert_eq!(Kind::parse(kind)?.may_be(target), may, "{kind} as {target}");
        }
        Ok(())
    }
}
