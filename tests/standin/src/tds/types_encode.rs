//! Values on the wire, from the server to the client.

use bytes::BufMut;

use super::metadata::{Shape, decimal_size, wire};
use super::token::utf16;
use crate::value::{SqlType, Value};

/// Days from 0001-01-01 to 1900-01-01, where `datetime` begins.
pub const DAYS_TO_1900: i32 = 693_595;
const NULL_PLP: u64 = u64::MAX;

/// The value does not fit the column's type: a fault of the engine, never of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfit;

/// Appends a row, as NBCROW when it has NULLs.
///
/// # Errors
/// A value that does not fit its column; `out` is then as before.
pub fn row(out: &mut Vec<u8>, shapes: &[Shape], values: &[Value]) -> Result<(), Misfit> {
    let start = out.len();
    let result = write_row(out, shapes, values);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn write_row(out: &mut Vec<u8>, shapes: &[Shape], values: &[Value]) -> Result<(), Misfit> {
    if shapes.len() != values.len() {
        return Err(Misfit);
    }
    if values.iter().any(|value| matches!(value, Value::Null)) {
        out.put_u8(0xD2);
        let bitmap = out.len();
        out.resize(bitmap + shapes.len().div_ceil(8), 0);
        for (index, (shape, value)) in shapes.iter().zip(values).enumerate() {
            match value {
                Value::Null if shape.fixed => return Err(Misfit),
                Value::Null => out[bitmap + index / 8] |= 1 << (index % 8),
                _ => cell(out, shape, value)?,
            }
        }
    } else {
        out.put_u8(0xD1);
        for (shape, value) in shapes.iter().zip(values) {
            cell(out, shape, value)?;
        }
    }
    Ok(())
}

/// Appends one value with its length, as the shape asks.
///
/// # Errors
/// A value that does not fit.
pub fn cell(out: &mut Vec<u8>, shape: &Shape, value: &Value) -> Result<(), Misfit> {
    match (shape.sql_type, value) {
        (sql_type, Value::Null) if !shape.fixed => null(out, sql_type),
        (SqlType::Char(_) | SqlType::VarChar(_) | SqlType::Text, Value::Text(text)) => {
            framed(out, shape.sql_type, |out| shape.collation.encode(text, out))?;
        }
        (SqlType::NChar(_) | SqlType::NVarChar(_) | SqlType::NText | SqlType::Xml, Value::Text(text)) => {
            framed(out, shape.sql_type, |out| utf16(out, text))?;
        }
        (
            SqlType::Binary(_)
            | SqlType::VarBinary(_)
            | SqlType::Image
            | SqlType::RowVersion
            | SqlType::HierarchyId
            | SqlType::Geometry
            | SqlType::Geography,
            Value::Bytes(bytes),
        ) => framed(out, shape.sql_type, |out| out.extend_from_slice(bytes))?,
        (SqlType::SqlVariant, Value::Variant(inner)) => variant(out, inner.0, &inner.1)?,
        (sql_type, value) if shape.fixed => scalar(out, sql_type, value)?,
        (sql_type, value) => {
            let length = out.len();
            out.put_u8(0);
            scalar(out, sql_type, value)?;
            out[length] = u8::try_from(out.len() - length - 1).map_err(|_| Misfit)?;
        }
    }
    Ok(())
}

fn is_partial(sql_type: SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::VarChar(None)
            | SqlType::NVarChar(None)
            | SqlType::VarBinary(None)
            | SqlType::Xml
            | SqlType::HierarchyId
            | SqlType::Geometry
            | SqlType::Geography
    )
}

fn null(out: &mut Vec<u8>, sql_type: SqlType) {
    match sql_type {
        _ if is_partial(sql_type) => out.put_u64_le(NULL_PLP),
        SqlType::SqlVariant => out.put_u32_le(0),
        SqlType::Char(_)
        | SqlType::VarChar(_)
        | SqlType::NChar(_)
        | SqlType::NVarChar(_)
        | SqlType::Binary(_)
        | SqlType::VarBinary(_)
        | SqlType::RowVersion => out.put_u16_le(u16::MAX),
        _ => out.put_u8(0),
    }
}

/// Writes content behind the length that its type asks for, and lengths once they are known.
fn framed(out: &mut Vec<u8>, sql_type: SqlType, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Misfit> {
    if is_partial(sql_type) {
        let start = out.len();
        out.put_u64_le(0);
        out.put_u32_le(0);
        write(out);
        let length = out.len() - start - 12;
        out[start..start + 8].copy_from_slice(&(length as u64).to_le_bytes());
        if length == 0 {
            out.truncate(start + 8);
        } else {
            let chunk = u32::try_from(length).map_err(|_| Misfit)?;
            out[start + 8..start + 12].copy_from_slice(&chunk.to_le_bytes());
        }
        out.put_u32_le(0);
    } else if matches!(sql_type, SqlType::Text | SqlType::NText | SqlType::Image) {
        // A text pointer and a timestamp that nobody here may dereference.
        out.put_u8(16);
        out.extend_from_slice(b"dummy textptr\0\0\0");
        out.extend_from_slice(b"dummyTS\0");
        let start = out.len();
        out.put_u32_le(0);
        write(out);
        let length = u32::try_from(out.len() - start - 4).map_err(|_| Misfit)?;
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    } else {
        let start = out.len();
        out.put_u16_le(0);
        write(out);
        let length = u16::try_from(out.len() - start - 2).ok().filter(|length| *length <= 8000).ok_or(Misfit)?;
        out[start..start + 2].copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

/// A value of a type whose length its type byte or one length byte gives, without that length.
fn scalar(out: &mut Vec<u8>, sql_type: SqlType, value: &Value) -> Result<(), Misfit> {
    match (sql_type, value) {
        (SqlType::Bit, Value::Bit(bit)) => out.put_u8(u8::from(*bit)),
        (SqlType::TinyInt, Value::Int(int)) => out.put_u8(u8::try_from(*int).map_err(|_| Misfit)?),
        (SqlType::SmallInt, Value::Int(int)) => out.put_i16_le(i16::try_from(*int).map_err(|_| Misfit)?),
        (SqlType::Int, Value::Int(int)) => out.put_i32_le(i32::try_from(*int).map_err(|_| Misfit)?),
        (SqlType::BigInt, Value::Int(int)) => out.put_i64_le(*int),
        (SqlType::Real, Value::Real(real)) => out.put_f32_le(*real),
        (SqlType::Float, Value::Float(float)) => out.put_f64_le(*float),
        (SqlType::SmallMoney, Value::Money(money)) => out.put_i32_le(i32::try_from(*money).map_err(|_| Misfit)?),
        (SqlType::Money, Value::Money(money)) => {
            let bytes = money.to_le_bytes();
            out.extend_from_slice(&bytes[4..]);
            out.extend_from_slice(&bytes[..4]);
        }
        (
            SqlType::Decimal { precision, scale } | SqlType::Numeric { precision, scale },
            Value::Decimal(unscaled, given),
        ) => decimal(out, precision, scale, *unscaled, *given)?,
        (SqlType::Date, Value::Date(days)) => put_days(out, *days)?,
        (SqlType::Time(scale), Value::Time(ticks)) => put_ticks(out, scale, *ticks)?,
        (SqlType::SmallDateTime, Value::DateTime(days, ticks)) => {
            out.put_u16_le(u16::try_from(days - DAYS_TO_1900).map_err(|_| Misfit)?);
            out.put_u16_le(u16::try_from(ticks / 600_000_000).map_err(|_| Misfit)?);
        }
        (SqlType::DateTime, Value::DateTime(days, ticks)) => {
            let steps = (ticks * 300 + 5_000_000) / 10_000_000;
            out.put_i32_le(days - DAYS_TO_1900);
            out.put_u32_le(u32::try_from(steps).map_err(|_| Misfit)?);
        }
        (SqlType::DateTime2(scale), Value::DateTime(days, ticks)) => {
            put_ticks(out, scale, *ticks)?;
            put_days(out, *days)?;
        }
        (SqlType::DateTimeOffset(scale), Value::DateTimeOffset(days, ticks, offset)) => {
            put_ticks(out, scale, *ticks)?;
            put_days(out, *days)?;
            out.put_i16_le(*offset);
        }
        (SqlType::UniqueIdentifier, Value::Guid(bytes)) => out.extend_from_slice(&swap_guid(*bytes)),
        _ => return Err(Misfit),
    }
    Ok(())
}

/// Between a GUID's text order and its order on the wire: the first three groups are little-endian there.
pub fn swap_guid(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}

fn decimal(out: &mut Vec<u8>, precision: u8, scale: u8, unscaled: i128, given: u8) -> Result<(), Misfit> {
    let shift = scale.checked_sub(given).ok_or(Misfit)?;
    let unscaled = 10i128.checked_pow(shift.into()).and_then(|power| unscaled.checked_mul(power)).ok_or(Misfit)?;
    let magnitude = unscaled.unsigned_abs().to_le_bytes();
    let size = usize::from(decimal_size(precision)) - 1;
    if magnitude[size..].iter().any(|byte| *byte != 0) {
        return Err(Misfit);
    }
    out.put_u8(u8::from(unscaled >= 0));
    out.extend_from_slice(&magnitude[..size]);
    Ok(())
}

fn put_days(out: &mut Vec<u8>, days: i32) -> Result<(), Misfit> {
    let days = u32::try_from(days).map_err(|_| Misfit)?;
    out.extend_from_slice(&days.to_le_bytes()[..3]);
    Ok(())
}

/// Bytes that a time of that scale takes.
pub fn time_size(scale: u8) -> usize {
    match scale {
        0..=2 => 3,
        3 | 4 => 4,
        _ => 5,
    }
}

fn put_ticks(out: &mut Vec<u8>, scale: u8, ticks: i64) -> Result<(), Misfit> {
    let units = ticks / 10i64.pow(7u32.checked_sub(scale.into()).ok_or(Misfit)?);
    let units = u64::try_from(units).map_err(|_| Misfit)?;
    out.extend_from_slice(&units.to_le_bytes()[..time_size(scale)]);
    Ok(())
}

fn variant(out: &mut Vec<u8>, base: SqlType, value: &Value) -> Result<(), Misfit> {
    let start = out.len();
    out.put_u32_le(0);
    let shape = Shape::nullable(base);
    match (base, value) {
        (_, Value::Null) => return Ok(()),
        (SqlType::Char(length) | SqlType::VarChar(Some(length)), Value::Text(text)) => {
            out.extend([if matches!(base, SqlType::Char(_)) { wire::BIGCHAR } else { wire::BIGVARCHR }, 7]);
            out.extend_from_slice(&shape.collation.bytes);
            out.put_u16_le(length);
            shape.collation.encode(text, out);
        }
        (SqlType::NChar(length) | SqlType::NVarChar(Some(length)), Value::Text(text)) => {
            out.extend([if matches!(base, SqlType::NChar(_)) { wire::NCHAR } else { wire::NVARCHAR }, 7]);
            out.extend_from_slice(&shape.collation.bytes);
            out.put_u16_le(length * 2);
            utf16(out, text);
        }
        (SqlType::Binary(length) | SqlType::VarBinary(Some(length)), Value::Bytes(bytes)) => {
            out.extend([if matches!(base, SqlType::Binary(_)) { wire::BIGBINARY } else { wire::BIGVARBIN }, 2]);
            out.put_u16_le(length);
            out.extend_from_slice(bytes);
        }
        _ => {
            let (kind, properties) = variant_base(base)?;
            out.put_u8(kind);
            out.put_u8(u8::try_from(properties.len()).map_err(|_| Misfit)?);
            out.extend(properties);
            scalar(out, base, value)?;
        }
    }
    let length = u32::try_from(out.len() - start - 4).map_err(|_| Misfit)?;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

fn variant_base(base: SqlType) -> Result<(u8, Vec<u8>), Misfit> {
    Ok(match base {
        SqlType::Bit => (wire::BIT, vec![]),
        SqlType::TinyInt => (wire::INT1, vec![]),
        SqlType::SmallInt => (wire::INT2, vec![]),
        SqlType::Int => (wire::INT4, vec![]),
        SqlType::BigInt => (wire::INT8, vec![]),
        SqlType::Real => (wire::FLT4, vec![]),
        SqlType::Float => (wire::FLT8, vec![]),
        SqlType::SmallMoney => (wire::MONEY4, vec![]),
        SqlType::Money => (wire::MONEY, vec![]),
        SqlType::SmallDateTime => (wire::DATETIM4, vec![]),
        SqlType::DateTime => (wire::DATETIME, vec![]),
        SqlType::UniqueIdentifier => (wire::GUID, vec![]),
        SqlType::Date => (wire::DATEN, vec![]),
        SqlType::Time(scale) => (wire::TIMEN, vec![scale]),
        SqlType::DateTime2(scale) => (wire::DATETIME2N, vec![scale]),
        SqlType::DateTimeOffset(scale) => (wire::DATETIMEOFFSETN, vec![scale]),
        SqlType::Decimal { precision, scale } => (wire::DECIMALN, vec![precision, scale]),
        SqlType::Numeric { precision, scale } => (wire::NUMERICN, vec![precision, scale]),
        _ => return Err(Misfit),
    })
}
