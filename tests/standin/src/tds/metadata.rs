//! Types on the wire: `TYPE_INFO`, COLMETADATA, and reading a client's `TYPE_INFO`.

use bytes::{Buf, BufMut};

use super::collation::{self, Collation};
use super::token::{b_text, us_text};
use crate::value::{Column, SqlType};

/// Type bytes.
pub mod wire {
    #![allow(missing_docs, reason = "each constant is the TDS type of its name")]
    pub const NULL: u8 = 0x1F;
    pub const INT1: u8 = 0x30;
    pub const BIT: u8 = 0x32;
    pub const INT2: u8 = 0x34;
    pub const INT4: u8 = 0x38;
    pub const DATETIM4: u8 = 0x3A;
    pub const FLT4: u8 = 0x3B;
    pub const MONEY: u8 = 0x3C;
    pub const DATETIME: u8 = 0x3D;
    pub const FLT8: u8 = 0x3E;
    pub const MONEY4: u8 = 0x7A;
    pub const INT8: u8 = 0x7F;
    pub const GUID: u8 = 0x24;
    pub const INTN: u8 = 0x26;
    pub const BITN: u8 = 0x68;
    pub const DECIMALN: u8 = 0x6A;
    pub const NUMERICN: u8 = 0x6C;
    pub const FLTN: u8 = 0x6D;
    pub const MONEYN: u8 = 0x6E;
    pub const DATETIMN: u8 = 0x6F;
    pub const DATEN: u8 = 0x28;
    pub const TIMEN: u8 = 0x29;
    pub const DATETIME2N: u8 = 0x2A;
    pub const DATETIMEOFFSETN: u8 = 0x2B;
    pub const BIGVARBIN: u8 = 0xA5;
    pub const BIGVARCHR: u8 = 0xA7;
    pub const BIGBINARY: u8 = 0xAD;
    pub const BIGCHAR: u8 = 0xAF;
    pub const NVARCHAR: u8 = 0xE7;
    pub const NCHAR: u8 = 0xEF;
    pub const XML: u8 = 0xF1;
    pub const UDT: u8 = 0xF0;
    pub const TEXT: u8 = 0x23;
    pub const IMAGE: u8 = 0x22;
    pub const NTEXT: u8 = 0x63;
    pub const VARIANT: u8 = 0x62;
}

/// A column as rows are encoded by: type, whether it takes NULL, and collation.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Type.
    pub sql_type: SqlType,
    /// Whether the fixed-length form without a length byte is used.
    pub fixed: bool,
    /// Collation of character types.
    pub collation: Collation,
}

impl Shape {
    /// The shape of a result's column.
    pub fn of(column: &Column) -> Self {
        Self {
            sql_type: column.sql_type,
            fixed: !column.nullable && fixed_type(column.sql_type).is_some(),
            collation: Collation::named(column.collation.unwrap_or(collation::DEFAULT)),
        }
    }

    /// The shape of a return value or variant, which is always nullable.
    pub fn nullable(sql_type: SqlType) -> Self {
        Self { sql_type, fixed: false, collation: Collation::named(collation::DEFAULT) }
    }
}

/// COLMETADATA of a result set.
pub fn column_metadata(out: &mut Vec<u8>, columns: &[Column]) {
    out.put_u8(0x81);
    out.put_u16_le(u16::try_from(columns.len()).unwrap_or(u16::MAX));
    for column in columns {
        user_type_and_flags(out, column.sql_type, column.nullable, column.identity);
        type_info(out, &Shape::of(column));
        if matches!(column.sql_type, SqlType::Text | SqlType::NText | SqlType::Image) {
            // The engine does not say which table the column came from: one part, unnamed.
            out.put_u8(1);
            us_text(out, "");
        }
        b_text(out, &column.name);
    }
}

/// The user type and the flags that stand before a `TYPE_INFO`.
pub fn user_type_and_flags(out: &mut Vec<u8>, sql_type: SqlType, nullable: bool, identity: bool) {
    const UPDATABLE_UNKNOWN: u16 = 0x08;
    out.put_u32_le(if sql_type == SqlType::RowVersion { 80 } else { 0 });
    out.put_u16_le(u16::from(nullable) | UPDATABLE_UNKNOWN | u16::from(identity) << 4);
}

fn fixed_type(sql_type: SqlType) -> Option<u8> {
    Some(match sql_type {
        SqlType::Bit => wire::BIT,
        SqlType::TinyInt => wire::INT1,
        SqlType::SmallInt => wire::INT2,
        SqlType::Int => wire::INT4,
        SqlType::BigInt => wire::INT8,
        SqlType::Real => wire::FLT4,
        SqlType::Float => wire::FLT8,
        SqlType::SmallMoney => wire::MONEY4,
        SqlType::Money => wire::MONEY,
        SqlType::SmallDateTime => wire::DATETIM4,
        SqlType::DateTime => wire::DATETIME,
        _ => return None,
    })
}

/// Bytes a decimal of that precision takes, sign included.
pub fn decimal_size(precision: u8) -> u8 {
    match precision {
        0..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}

/// `TYPE_INFO` of a shape.
pub fn type_info(out: &mut Vec<u8>, shape: &Shape) {
    let sql_type = shape.sql_type;
    if let Some(fixed) = fixed_type(sql_type).filter(|_| shape.fixed) {
        out.put_u8(fixed);
        return;
    }
    match sql_type {
        SqlType::Bit => out.extend([wire::BITN, 1]),
        SqlType::TinyInt => out.extend([wire::INTN, 1]),
        SqlType::SmallInt => out.extend([wire::INTN, 2]),
        SqlType::Int => out.extend([wire::INTN, 4]),
        SqlType::BigInt => out.extend([wire::INTN, 8]),
        SqlType::Real => out.extend([wire::FLTN, 4]),
        SqlType::Float => out.extend([wire::FLTN, 8]),
        SqlType::SmallMoney => out.extend([wire::MONEYN, 4]),
        SqlType::Money => out.extend([wire::MONEYN, 8]),
        SqlType::SmallDateTime => out.extend([wire::DATETIMN, 4]),
        SqlType::DateTime => out.extend([wire::DATETIMN, 8]),
        SqlType::Decimal { precision, scale } => {
            out.extend([wire::DECIMALN, decimal_size(precision), precision, scale]);
        }
        SqlType::Numeric { precision, scale } => {
            out.extend([wire::NUMERICN, decimal_size(precision), precision, scale]);
        }
        SqlType::Date => out.put_u8(wire::DATEN),
        SqlType::Time(scale) => out.extend([wire::TIMEN, scale]),
        SqlType::DateTime2(scale) => out.extend([wire::DATETIME2N, scale]),
        SqlType::DateTimeOffset(scale) => out.extend([wire::DATETIMEOFFSETN, scale]),
        SqlType::UniqueIdentifier => out.extend([wire::GUID, 16]),
        SqlType::SqlVariant => {
            out.put_u8(wire::VARIANT);
            out.put_u32_le(8009);
        }
        _ => long_type_info(out, sql_type, &shape.collation),
    }
}

fn long_type_info(out: &mut Vec<u8>, sql_type: SqlType, collation: &Collation) {
    let sized = |out: &mut Vec<u8>, kind: u8, length: u16| {
        out.put_u8(kind);
        out.put_u16_le(length);
    };
    match sql_type {
        SqlType::Binary(length) => sized(out, wire::BIGBINARY, length),
        SqlType::RowVersion => sized(out, wire::BIGBINARY, 8),
        SqlType::VarBinary(length) => sized(out, wire::BIGVARBIN, length.unwrap_or(u16::MAX)),
        SqlType::Char(length) => sized(out, wire::BIGCHAR, length),
        SqlType::VarChar(length) => sized(out, wire::BIGVARCHR, length.unwrap_or(u16::MAX)),
        SqlType::NChar(length) => sized(out, wire::NCHAR, length * 2),
        SqlType::NVarChar(length) => sized(out, wire::NVARCHAR, length.map_or(u16::MAX, |units| units * 2)),
        SqlType::Text => long(out, wire::TEXT, 0x7FFF_FFFF),
        SqlType::NText => long(out, wire::NTEXT, 0x7FFF_FFFE),
        SqlType::Image => long(out, wire::IMAGE, 0x7FFF_FFFF),
        SqlType::Xml => out.extend([wire::XML, 0]),
        SqlType::HierarchyId => user_defined(out, 892, "hierarchyid", "SqlHierarchyId"),
        SqlType::Geometry => user_defined(out, u16::MAX, "geometry", "SqlGeometry"),
        SqlType::Geography => user_defined(out, u16::MAX, "geography", "SqlGeography"),
        other => unreachable!("{other:?} is written by type_info"),
    }
    if is_character(sql_type) {
        out.extend_from_slice(&collation.bytes);
    }
}

fn long(out: &mut Vec<u8>, kind: u8, length: u32) {
    out.put_u8(kind);
    out.put_u32_le(length);
}

fn user_defined(out: &mut Vec<u8>, length: u16, name: &str, class: &str) {
    out.put_u8(wire::UDT);
    out.put_u16_le(length);
    b_text(out, "master");
    b_text(out, "sys");
    b_text(out, name);
    us_text(
        out,
        &format!(
            "Microsoft.SqlServer.Types.{class}, Microsoft.SqlServer.Types, Version=11.0.0.0, Culture=neutral, \
             PublicKeyToken=89845dcd8080cc91"
        ),
    );
}

/// Whether a type carries a collation.
pub fn is_character(sql_type: SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Char(_)
            | SqlType::VarChar(_)
            | SqlType::Text
            | SqlType::NChar(_)
            | SqlType::NVarChar(_)
            | SqlType::NText
    )
}

/// A `TYPE_INFO` that a client sent: the type, the form of its values, and the collation.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// The T-SQL type meant.
    pub sql_type: SqlType,
    /// The type byte, which says how values are framed.
    pub wire: u8,
    /// Collation of character types.
    pub collation: Collation,
}

/// Why a client's bytes cannot be read.
pub type Malformed = &'static str;

/// Takes `length` bytes off the front.
pub fn take<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    if input.len() < length {
        return Err("truncated request");
    }
    let (head, tail) = input.split_at(length);
    *input = tail;
    Ok(head)
}

/// Takes UTF-16 text whose length in units stands in one byte.
pub fn take_b_text(input: &mut &[u8]) -> Result<String, Malformed> {
    let units = usize::from(take(input, 1)?[0]);
    take_utf16(input, units)
}

/// Takes so many UTF-16 units.
pub fn take_utf16(input: &mut &[u8], units: usize) -> Result<String, Malformed> {
    Ok(encoding_rs::UTF_16LE.decode_without_bom_handling(take(input, units * 2)?).0.into_owned())
}

/// The type of a type byte that needs no facets.
fn fixed_sql_type(kind: u8) -> Option<SqlType> {
    Some(match kind {
        wire::BIT => SqlType::Bit,
        wire::INT1 => SqlType::TinyInt,
        wire::INT2 => SqlType::SmallInt,
        wire::INT4 | wire::NULL => SqlType::Int,
        wire::INT8 => SqlType::BigInt,
        wire::FLT4 => SqlType::Real,
        wire::FLT8 => SqlType::Float,
        wire::MONEY4 => SqlType::SmallMoney,
        wire::MONEY => SqlType::Money,
        wire::DATETIM4 => SqlType::SmallDateTime,
        wire::DATETIME => SqlType::DateTime,
        wire::DATEN => SqlType::Date,
        _ => return None,
    })
}

/// Reads a client's `TYPE_INFO`.
///
/// # Errors
/// A type that clients may not send, or truncated bytes.
pub fn take_type_info(input: &mut &[u8]) -> Result<Sent, Malformed> {
    let kind = take(input, 1)?[0];
    let mut collation = Collation::named(collation::DEFAULT);
    if let Some(sql_type) = fixed_sql_type(kind) {
        return Ok(Sent { sql_type, wire: kind, collation });
    }
    let sql_type = match kind {
        wire::TIMEN | wire::DATETIME2N | wire::DATETIMEOFFSETN => {
            let scale = take(input, 1)?[0];
            match kind {
                _ if scale > 7 => return Err("time scale above 7"),
                wire::TIMEN => SqlType::Time(scale),
                wire::DATETIME2N => SqlType::DateTime2(scale),
                _ => SqlType::DateTimeOffset(scale),
            }
        }
        wire::DECIMALN | wire::NUMERICN => {
            let facets = take(input, 3)?;
            let (precision, scale) = (facets[1], facets[2]);
            if precision == 0 || precision > 38 || scale > precision {
                return Err("decimal facets out of range");
            }
            if kind == wire::DECIMALN {
                SqlType::Decimal { precision, scale }
            } else {
                SqlType::Numeric { precision, scale }
            }
        }
        wire::INTN | wire::BITN | wire::FLTN | wire::MONEYN | wire::DATETIMN | wire::GUID => {
            sized_type(kind, take(input, 1)?[0])?
        }
        wire::BIGVARBIN | wire::BIGVARCHR | wire::BIGBINARY | wire::BIGCHAR | wire::NVARCHAR | wire::NCHAR => {
            let length = take(input, 2)?.get_u16_le();
            if !matches!(kind, wire::BIGVARBIN | wire::BIGBINARY) {
                collation = take_collation(input)?;
            }
            string_type(kind, length)
        }
        wire::TEXT | wire::NTEXT | wire::IMAGE => {
            take(input, 4)?;
            if kind != wire::IMAGE {
                collation = take_collation(input)?;
            }
            match kind {
                wire::TEXT => SqlType::Text,
                wire::NTEXT => SqlType::NText,
                _ => SqlType::Image,
            }
        }
        wire::XML => {
            if take(input, 1)?[0] != 0 {
                take_b_text(input)?;
                take_b_text(input)?;
                let units = usize::from(take(input, 2)?.get_u16_le());
                take_utf16(input, units)?;
            }
            SqlType::Xml
        }
        wire::UDT => {
            take_b_text(input)?;
            take_b_text(input)?;
            match take_b_text(input)?.to_ascii_lowercase().as_str() {
                "hierarchyid" => SqlType::HierarchyId,
                "geometry" => SqlType::Geometry,
                "geography" => SqlType::Geography,
                _ => return Err("unknown CLR type"),
            }
        }
        wire::VARIANT => {
            take(input, 4)?;
            SqlType::SqlVariant
        }
        0xF3 => return Err("table-valued parameters are not supported"),
        _ => return Err("unknown type"),
    };
    Ok(Sent { sql_type, wire: kind, collation })
}

fn take_collation(input: &mut &[u8]) -> Result<Collation, Malformed> {
    let bytes = take(input, 5)?;
    Ok(Collation::from_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4]]))
}

fn sized_type(kind: u8, length: u8) -> Result<SqlType, Malformed> {
    Ok(match (kind, length) {
        (wire::INTN, 1) => SqlType::TinyInt,
        (wire::INTN, 2) => SqlType::SmallInt,
        (wire::INTN, 4) => SqlType::Int,
        (wire::INTN, 8) => SqlType::BigInt,
        (wire::BITN, 1) => SqlType::Bit,
        (wire::FLTN, 4) => SqlType::Real,
        (wire::FLTN, 8) => SqlType::Float,
        (wire::MONEYN, 4) => SqlType::SmallMoney,
        (wire::MONEYN, 8) => SqlType::Money,
        (wire::DATETIMN, 4) => SqlType::SmallDateTime,
        (wire::DATETIMN, 8) => SqlType::DateTime,
        (wire::GUID, 16) => SqlType::UniqueIdentifier,
        _ => return Err("impossible length of a type"),
    })
}

fn string_type(kind: u8, length: u16) -> SqlType {
    let bounded = |length: u16| if length == u16::MAX { None } else { Some(length.max(1)) };
    match kind {
        wire::BIGVARBIN => SqlType::VarBinary(bounded(length)),
        wire::BIGVARCHR => SqlType::VarChar(bounded(length)),
        wire::BIGBINARY => SqlType::Binary(length.max(1)),
        wire::BIGCHAR => SqlType::Char(length.max(1)),
        wire::NCHAR => SqlType::NChar((length / 2).max(1)),
        _ => SqlType::NVarChar(bounded(length).map(|bytes| (bytes / 2).max(1))),
    }
}
