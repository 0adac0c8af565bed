//! T-SQL's types: names, ids, facets, precedence.

use crate::value::SqlType;

pub use super::declared::{Facet, build, parse};

/// A type's name and numbers as `sys.types` has them.
pub struct TypeInfo {
    /// Name.
    pub name: &'static str,
    /// `system_type_id`.
    pub system_type_id: i32,
    /// `user_type_id`.
    pub user_type_id: i32,
    /// `max_length` of the bare type.
    pub max_length: i32,
    /// `precision` of the bare type.
    pub precision: i32,
    /// `scale` of the bare type.
    pub scale: i32,
}

const fn info(name: &'static str, system: i32, user: i32, length: i32, precision: i32, scale: i32) -> TypeInfo {
    TypeInfo { name, system_type_id: system, user_type_id: user, max_length: length, precision, scale }
}

/// All system types.
pub const TYPES: &[TypeInfo] = &[
    info("image", 34, 34, 16, 0, 0),
    info("text", 35, 35, 16, 0, 0),
    info("uniqueidentifier", 36, 36, 16, 0, 0),
    info("date", 40, 40, 3, 10, 0),
    info("time", 41, 41, 5, 16, 7),
    info("datetime2", 42, 42, 8, 27, 7),
    info("datetimeoffset", 43, 43, 10, 34, 7),
    info("tinyint", 48, 48, 1, 3, 0),
    info("smallint", 52, 52, 2, 5, 0),
    info("int", 56, 56, 4, 10, 0),
    info("smalldatetime", 58, 58, 4, 16, 0),
    info("real", 59, 59, 4, 24, 0),
    info("money", 60, 60, 8, 19, 4),
    info("datetime", 61, 61, 8, 23, 3),
    info("float", 62, 62, 8, 53, 0),
    info("sql_variant", 98, 98, 8016, 0, 0),
    info("ntext", 99, 99, 16, 0, 0),
    info("bit", 104, 104, 1, 1, 0),
    info("decimal", 106, 106, 17, 38, 38),
    info("numeric", 108, 108, 17, 38, 38),
    info("smallmoney", 122, 122, 4, 10, 4),
    info("bigint", 127, 127, 8, 19, 0),
    info("varbinary", 165, 165, 8000, 0, 0),
    info("varchar", 167, 167, 8000, 0, 0),
    info("binary", 173, 173, 8000, 0, 0),
    info("char", 175, 175, 8000, 0, 0),
    info("timestamp", 189, 189, 8, 0, 0),
    info("nvarchar", 231, 231, 8000, 0, 0),
    info("nchar", 239, 239, 8000, 0, 0),
    info("hierarchyid", 240, 128, 892, 0, 0),
    info("geometry", 240, 129, -1, 0, 0),
    info("geography", 240, 130, -1, 0, 0),
    info("xml", 241, 241, -1, 0, 0),
    info("sysname", 231, 256, 256, 0, 0),
];

/// The bare name of a type.
pub fn name(ty: SqlType) -> &'static str {
    match ty {
        SqlType::Bit => "bit",
        SqlType::TinyInt => "tinyint",
        SqlType::SmallInt => "smallint",
        SqlType::Int => "int",
        SqlType::BigInt => "bigint",
        SqlType::Decimal { .. } => "decimal",
        SqlType::Numeric { .. } => "numeric",
        SqlType::SmallMoney => "smallmoney",
        SqlType::Money => "money",
        SqlType::Real => "real",
        SqlType::Float => "float",
        SqlType::Date => "date",
        SqlType::Time(_) => "time",
        SqlType::SmallDateTime => "smalldatetime",
        SqlType::DateTime => "datetime",
        SqlType::DateTime2(_) => "datetime2",
        SqlType::DateTimeOffset(_) => "datetimeoffset",
        SqlType::Char(_) => "char",
        SqlType::VarChar(_) => "varchar",
        SqlType::Text => "text",
        SqlType::NChar(_) => "nchar",
        SqlType::NVarChar(_) => "nvarchar",
        SqlType::NText => "ntext",
        SqlType::Binary(_) => "binary",
        SqlType::VarBinary(_) => "varbinary",
        SqlType::Image => "image",
        SqlType::RowVersion => "timestamp",
        SqlType::UniqueIdentifier => "uniqueidentifier",
        SqlType::Xml => "xml",
        SqlType::SqlVariant => "sql_variant",
        SqlType::HierarchyId => "hierarchyid",
        SqlType::Geometry => "geometry",
        SqlType::Geography => "geography",
    }
}

/// The entry of `sys.types` for a type.
pub fn info_of(ty: SqlType) -> &'static TypeInfo {
    let wanted = name(ty);
    TYPES.iter().find(|info| info.name == wanted).unwrap_or(&TYPES[0])
}

/// `max_length`, `precision` and `scale` as `sys.columns` shows them.
pub fn facets(ty: SqlType) -> (i32, i32, i32) {
    let base = info_of(ty);
    match ty {
        SqlType::Decimal { precision, scale } | SqlType::Numeric { precision, scale } => {
            let bytes = match precision {
                0..=9 => 5,
                10..=19 => 9,
                20..=28 => 13,
                _ => 17,
            };
            (bytes, i32::from(precision), i32::from(scale))
        }
        SqlType::Time(scale) => (fraction_bytes(scale), 8 + dotted(scale), i32::from(scale)),
        SqlType::DateTime2(scale) => (fraction_bytes(scale) + 3, 19 + dotted(scale), i32::from(scale)),
        SqlType::DateTimeOffset(scale) => (fraction_bytes(scale) + 5, 26 + dotted(scale), i32::from(scale)),
        SqlType::Char(length) | SqlType::Binary(length) => (i32::from(length), 0, 0),
        SqlType::NChar(length) => (2 * i32::from(length), 0, 0),
        SqlType::VarChar(length) | SqlType::VarBinary(length) => (length.map_or(-1, i32::from), 0, 0),
        SqlType::NVarChar(length) => (length.map_or(-1, |length| 2 * i32::from(length)), 0, 0),
        _ => (base.max_length, base.precision, base.scale),
    }
}

fn fraction_bytes(scale: u8) -> i32 {
    match scale {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}

fn dotted(scale: u8) -> i32 {
    if scale == 0 { 0 } else { i32::from(scale) + 1 }
}

/// The type as text, as DDL writes it: `decimal(10,2)`.
pub fn display(ty: SqlType) -> String {
    let base = name(ty);
    let sized = |length: Option<u16>| match length {
        Some(length) => format!("{base}({length})"),
        None => format!("{base}(max)"),
    };
    match ty {
        SqlType::Decimal { precision, scale } | SqlType::Numeric { precision, scale } => {
            format!("{base}({precision},{scale})")
        }
        SqlType::Time(scale) | SqlType::DateTime2(scale) | SqlType::DateTimeOffset(scale) => format!("{base}({scale})"),
        SqlType::Char(length) | SqlType::NChar(length) | SqlType::Binary(length) => sized(Some(length)),
        SqlType::VarChar(length) | SqlType::NVarChar(length) | SqlType::VarBinary(length) => sized(length),
        _ => base.to_owned(),
    }
}

/// Place in T-SQL's order of precedence; the greater wins.
pub fn precedence(ty: SqlType) -> u8 {
    const ORDER: &[&str] = &[
        "binary",
        "varbinary",
        "char",
        "varchar",
        "nchar",
        "nvarchar",
        "uniqueidentifier",
        "timestamp",
        "image",
        "text",
        "ntext",
        "bit",
        "tinyint",
        "smallint",
        "int",
        "bigint",
        "smallmoney",
        "money",
        "numeric",
        "decimal",
        "real",
        "float",
        "time",
        "date",
        "smalldatetime",
        "datetime",
        "datetime2",
        "datetimeoffset",
        "xml",
        "hierarchyid",
        "geometry",
        "geography",
        "sql_variant",
    ];
    let wanted = name(ty);
    ORDER.iter().position(|entry| *entry == wanted).and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
}

/// Whether it is tinyint to bigint, or bit.
pub fn is_integer(ty: SqlType) -> bool {
    matches!(ty, SqlType::Bit | SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt)
}

/// Whether it is a number of any kind.
pub fn is_number(ty: SqlType) -> bool {
    is_integer(ty)
        || matches!(
            ty,
            SqlType::Decimal { .. }
                | SqlType::Numeric { .. }
                | SqlType::SmallMoney
                | SqlType::Money
                | SqlType::Real
                | SqlType::Float
        )
}

/// Whether it is text.
pub fn is_text(ty: SqlType) -> bool {
    matches!(
        ty,
        SqlType::Char(_)
            | SqlType::VarChar(_)
            | SqlType::Text
            | SqlType::NChar(_)
            | SqlType::NVarChar(_)
            | SqlType::NText
    )
}

/// Whether it is text in UTF-16.
pub fn is_unicode(ty: SqlType) -> bool {
    matches!(ty, SqlType::NChar(_) | SqlType::NVarChar(_) | SqlType::NText)
}

/// Whether it is binary.
pub fn is_binary(ty: SqlType) -> bool {
    matches!(ty, SqlType::Binary(_) | SqlType::VarBinary(_) | SqlType::Image | SqlType::RowVersion)
}

/// Whether it is a date, a time, or both.
pub fn is_temporal(ty: SqlType) -> bool {
    matches!(
        ty,
        SqlType::Date
            | SqlType::Time(_)
            | SqlType::SmallDateTime
            | SqlType::DateTime
            | SqlType::DateTime2(_)
            | SqlType::DateTimeOffset(_)
    )
}

/// Length of a text or binary type in its own units; `None` is max.
pub fn length(ty: SqlType) -> Option<u16> {
    match ty {
        SqlType::Char(n) | SqlType::NChar(n) | SqlType::Binary(n) => Some(n),
        SqlType::VarChar(n) | SqlType::NVarChar(n) | SqlType::VarBinary(n) => n,
        SqlType::RowVersion => Some(8),
        _ => None,
    }
}

/// Precision and scale with which a number enters exact arithmetic.
pub fn exact_facets(ty: SqlType) -> (u8, u8) {
    match ty {
        SqlType::Bit => (1, 0),
        SqlType::TinyInt => (3, 0),
        SqlType::SmallInt => (5, 0),
        SqlType::Int => (10, 0),
        SqlType::BigInt => (19, 0),
        SqlType::SmallMoney => (10, 4),
        SqlType::Money => (19, 4),
        SqlType::Decimal { precision, scale } | SqlType::Numeric { precision, scale } => (precision, scale),
        _ => (38, 0),
    }
}

/// The type that two operands of a comparison, CASE or UNION meet in.
pub fn common(left: SqlType, right: SqlType) -> SqlType {
    let (high, low) = if precedence(left) >= precedence(right) { (left, right) } else { (right, left) };
    match high {
        SqlType::Decimal { .. } | SqlType::Numeric { .. } if is_number(low) => {
            let ((p1, s1), (p2, s2)) = (exact_facets(high), exact_facets(low));
            let scale = s1.max(s2);
            let whole = (p1 - s1).max(p2 - s2);
            let precision = (whole + scale).min(38);
            let scale = scale.min(38 - whole.min(38));
            if matches!(high, SqlType::Numeric { .. }) {
                SqlType::Numeric { precision, scale }
            } else {
                SqlType::Decimal { precision, scale }
            }
        }
        SqlType::Time(a) => {
            if let SqlType::Time(b) = low {
                SqlType::Time(a.max(b))
            } else {
                high
            }
        }
        SqlType::DateTime2(a) => match low {
            SqlType::DateTime2(b) | SqlType::Time(b) => SqlType::DateTime2(a.max(b)),
            SqlType::DateTime => SqlType::DateTime2(7),
            _ => high,
        },
        SqlType::DateTimeOffset(a) => match low {
            SqlType::DateTimeOffset(b) | SqlType::DateTime2(b) | SqlType::Time(b) => SqlType::DateTimeOffset(a.max(b)),
            _ => high,
        },
        _ if (is_text(high) && is_text(low)) || (is_binary(high) && is_binary(low)) => widen(high, low),
        _ => high,
    }
}

fn widen(high: SqlType, low: SqlType) -> SqlType {
    let longest = length(high).zip(length(low)).map(|(a, b)| a.max(b));
    match high {
        SqlType::Char(_) => longest.map_or(SqlType::VarChar(None), |n| {
            if length(high) == length(low) { SqlType::Char(n) } else { SqlType::VarChar(Some(n)) }
        }),
        SqlType::NChar(_) => SqlType::NVarChar(longest.map(|n| n.min(4000))),
        SqlType::VarChar(_) => SqlType::VarChar(longest),
        SqlType::NVarChar(_) => SqlType::NVarChar(longest.map(|n| n.min(4000))),
        SqlType::Binary(_) | SqlType::VarBinary(_) => {
            if high == low {
                high
            } else {
                SqlType::VarBinary(longest)
            }
        }
        _ => high,
    }
}
