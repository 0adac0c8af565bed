//! How SQLite holds each type, so that its comparison is T-SQL's.
//!
//! | type | stored as |
//! |---|---|
//! | integers, bit, money | INTEGER |
//! | decimal | 16 bytes, big-endian, sign bit turned |
//! | real, float | REAL |
//! | date, time, datetime … | INTEGER: days, or ticks |
//! | datetimeoffset | TEXT: UTC ticks in 19 digits, then the offset, which the collation ignores |
//! | text | TEXT under the column's collation |
//! | uniqueidentifier | 16 bytes in SQL Server's order of comparison |
//! | `sql_variant` | its type's text, a NUL, its own storage |

use rusqlite::types::{Value as Stored, ValueRef};

use super::{datetime, types};
use crate::value::{SqlType, Value};

/// Order in which SQL Server compares the groups of a uniqueidentifier given in text order.
const GUID_ORDER: [usize; 16] = [10, 11, 12, 13, 14, 15, 8, 9, 7, 6, 5, 4, 3, 2, 1, 0];

/// The stored form of a decimal.
pub fn decimal_blob(value: i128) -> Vec<u8> {
    (value ^ i128::MIN).to_be_bytes().to_vec()
}

/// The decimal in a stored form.
pub fn blob_decimal(bytes: &[u8]) -> i128 {
    bytes.try_into().map_or(0, i128::from_be_bytes) ^ i128::MIN
}

/// The stored form of a value.
pub fn encode(value: &Value) -> Stored {
    match value {
        Value::Null => Stored::Null,
        Value::Bit(bit) => Stored::Integer(i64::from(*bit)),
        Value::Int(int) | Value::Money(int) | Value::Time(int) => Stored::Integer(*int),
        Value::Decimal(unscaled, _) => Stored::Blob(decimal_blob(*unscaled)),
        Value::Real(real) => Stored::Real(f64::from(*real)),
        Value::Float(float) => Stored::Real(*float),
        Value::Date(day) => Stored::Integer(i64::from(*day)),
        Value::DateTime(day, ticks) => Stored::Integer(i64::from(*day) * datetime::DAY + ticks),
        Value::DateTimeOffset(day, ticks, offset) => {
            Stored::Text(format!("{:019}{offset:+05}", i64::from(*day) * datetime::DAY + ticks))
        }
        Value::Text(text) => Stored::Text(text.clone()),
        Value::Bytes(bytes) => Stored::Blob(bytes.clone()),
        Value::Guid(guid) => Stored::Blob(GUID_ORDER.iter().map(|at| guid[*at]).collect()),
        Value::Variant(inner) => Stored::Blob(encode_variant(inner.0, &inner.1)),
    }
}

fn encode_variant(ty: SqlType, value: &Value) -> Vec<u8> {
    let mut bytes = types::display(ty).into_bytes();
    bytes.push(0);
    match encode(value) {
        Stored::Null => {}
        Stored::Integer(int) => bytes.extend((int ^ i64::MIN).to_be_bytes()),
        Stored::Real(real) => bytes.extend(real.to_be_bytes()),
        Stored::Text(text) => bytes.extend(text.into_bytes()),
        Stored::Blob(blob) => bytes.extend(blob),
    }
    bytes
}

fn decode_variant(bytes: &[u8]) -> Value {
    let at = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let (head, body) = (&bytes[..at], bytes.get(at + 1..).unwrap_or_default());
    let Ok(ty) = types::parse(&String::from_utf8_lossy(head)) else { return Value::Null };
    let eight = || body.try_into().unwrap_or([0; 8]);
    let stored = match ty {
        SqlType::Real | SqlType::Float => Stored::Real(f64::from_be_bytes(eight())),
        _ if types::is_text(ty) || matches!(ty, SqlType::DateTimeOffset(_) | SqlType::Xml) => {
            Stored::Text(String::from_utf8_lossy(body).into_owned())
        }
        _ if types::is_binary(ty)
            || matches!(ty, SqlType::Decimal { .. } | SqlType::Numeric { .. } | SqlType::UniqueIdentifier)
            || matches!(ty, SqlType::HierarchyId | SqlType::Geometry | SqlType::Geography) =>
        {
            Stored::Blob(body.to_vec())
        }
        _ => Stored::Integer(i64::from_be_bytes(eight()) ^ i64::MIN),
    };
    Value::Variant(Box::new((ty, decode((&stored).into(), ty))))
}

/// The value of a type behind its stored form.
pub fn decode(stored: ValueRef<'_>, ty: SqlType) -> Value {
    match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(int) => decode_integer(int, ty),
        ValueRef::Real(real) => decode_real(real, ty),
        ValueRef::Text(text) => match ty {
            SqlType::DateTimeOffset(_) => decode_offset(text),
            _ => Value::Text(String::from_utf8_lossy(text).into_owned()),
        },
        ValueRef::Blob(bytes) => match ty {
            SqlType::Decimal { scale, .. } | SqlType::Numeric { scale, .. } => {
                Value::Decimal(blob_decimal(bytes), scale)
            }
            SqlType::UniqueIdentifier => {
                let mut guid = [0; 16];
                for (from, to) in GUID_ORDER.iter().enumerate() {
                    guid[*to] = bytes.get(from).copied().unwrap_or_default();
                }
                Value::Guid(guid)
            }
            SqlType::SqlVariant => decode_variant(bytes),
            _ => Value::Bytes(bytes.to_vec()),
        },
    }
}

fn decode_integer(int: i64, ty: SqlType) -> Value {
    match ty {
        SqlType::Bit => Value::Bit(int != 0),
        SqlType::Money | SqlType::SmallMoney => Value::Money(int),
        SqlType::Date => Value::Date(i32::try_from(int).unwrap_or_default()),
        SqlType::Time(_) => Value::Time(int),
        SqlType::SmallDateTime | SqlType::DateTime | SqlType::DateTime2(_) => Value::DateTime(
            i32::try_from(int.div_euclid(datetime::DAY)).unwrap_or_default(),
            int.rem_euclid(datetime::DAY),
        ),
        #[expect(clippy::cast_precision_loss, reason = "SQLite gives a whole float as an integer")]
        SqlType::Float | SqlType::Real => decode_real(int as f64, ty),
        _ => Value::Int(int),
    }
}

fn decode_real(real: f64, ty: SqlType) -> Value {
    match ty {
        #[expect(clippy::cast_possible_truncation, reason = "a real was widened when it was stored")]
        SqlType::Real => Value::Real(real as f32),
        _ => Value::Float(real),
    }
}

fn decode_offset(text: &[u8]) -> Value {
    let text = String::from_utf8_lossy(text);
    let ticks: i64 = text.get(..19).and_then(|part| part.parse().ok()).unwrap_or_default();
    let offset: i16 = text.get(19..).and_then(|part| part.parse().ok()).unwrap_or_default();
    Value::DateTimeOffset(
        i32::try_from(ticks.div_euclid(datetime::DAY)).unwrap_or_default(),
        ticks.rem_euclid(datetime::DAY),
        offset,
    )
}

/// Whether a value of one type is stored exactly as the same value of the other, so that nothing need be converted.
pub fn same_form(from: SqlType, to: SqlType) -> bool {
    if from == to {
        return true;
    }
    match (from, to) {
        (
            SqlType::Decimal { precision: p1, scale: s1 } | SqlType::Numeric { precision: p1, scale: s1 },
            SqlType::Decimal { precision: p2, scale: s2 } | SqlType::Numeric { precision: p2, scale: s2 },
        ) => s1 == s2 && p1 <= p2,
        (SqlType::Time(a), SqlType::Time(b))
        | (SqlType::DateTime2(a), SqlType::DateTime2(b))
        | (SqlType::DateTimeOffset(a), SqlType::DateTimeOffset(b)) => a <= b,
        // The steps of 1/300 s are kept in ticks.
        (SqlType::SmallMoney, SqlType::Money)
        | (SqlType::Real, SqlType::Float)
        | (SqlType::SmallDateTime, SqlType::DateTime | SqlType::DateTime2(_))
        | (SqlType::DateTime, SqlType::DateTime2(7)) => true,
        _ if types::is_integer(from) && types::is_integer(to) => types::precedence(from) <= types::precedence(to),
        _ if types::is_text(from) && types::is_text(to) => same_text(from, to),
        (
            SqlType::Binary(_) | SqlType::VarBinary(_) | SqlType::Image | SqlType::RowVersion,
            SqlType::VarBinary(limit),
        ) => limit.is_none_or(|limit| types::length(from).is_some_and(|length| length <= limit)),
        _ => false,
    }
}

fn same_text(from: SqlType, to: SqlType) -> bool {
    if (types::is_unicode(from) && !types::is_unicode(to)) || matches!(to, SqlType::Char(_) | SqlType::NChar(_)) {
        return false;
    }
    match to {
        SqlType::VarChar(Some(limit)) | SqlType::NVarChar(Some(limit)) => {
            types::length(from).is_some_and(|length| length <= limit)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_sort_as_bytes() {
        let values = [-super::super::decimal::MAX, -10, -1, 0, 1, 9, 10, super::super::decimal::MAX];
        let blobs: Vec<_> = values.iter().map(|v| decimal_blob(*v)).collect();
        assert!(blobs.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(values.iter().all(|v| blob_decimal(&decimal_blob(*v)) == *v));
    }

    #[test]
    fn every_form_comes_back() {
        let guid = Value::Guid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        let cases = [
            (SqlType::UniqueIdentifier, guid),
            (SqlType::DateTimeOffset(7), Value::DateTimeOffset(730_000, 5, -330)),
            (SqlType::DateTime2(7), Value::DateTime(0, 1)),
            (SqlType::SqlVariant, Value::Variant(Box::new((SqlType::Int, Value::Int(-5))))),
            (SqlType::SqlVariant, Value::Variant(Box::new((SqlType::NVarChar(Some(9)), Value::Text("ü".into()))))),
            (SqlType::Money, Value::Money(-1)),
        ];
        for (ty, value) in cases {
            assert_eq!(decode((&encode(&value)).into(), ty), value);
        }
    }
}
