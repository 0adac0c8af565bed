//! Conversion to numbers.

use super::super::error::{Result, overflow};
use super::convert::not_allowed;
use super::{datetime, decimal, numeric, types};
use crate::value::{SqlError, SqlType, Value};

/// A value as that kind of number.
pub fn to_float(value: &Value, from: SqlType, to: SqlType) -> Result<Value> {
    let float = match value {
        Value::Float(float) => *float,
        Value::Real(real) => f64::from(*real),
        Value::Bit(bit) => f64::from(u8::from(*bit)),
        #[expect(clippy::cast_precision_loss, reason = "a float is what was asked for")]
        Value::Int(int) => *int as f64,
        Value::Decimal(unscaled, scale) => decimal::to_float(*unscaled, *scale),
        Value::Money(money) => decimal::to_float(i128::from(*money), 4),
        Value::Text(text) => {
            let trimmed = text.trim();
            let plain = trimmed.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
            if trimmed.is_empty() {
                0.0
            } else {
                trimmed.parse().ok().filter(|_| plain).ok_or_else(|| {
                    SqlError::new(
                        8114,
                        format!("Error converting data type {} to {}.", types::name(from), types::name(to)),
                    )
                    .state(5)
                })?
            }
        }
        Value::DateTime(day, ticks) => {
            #[expect(clippy::cast_precision_loss, reason = "a float is what was asked for")]
            let part = *ticks as f64 / 864e9;
            f64::from(day - datetime::BASE_1900) + part
        }
        _ => return Err(not_allowed(from, to)),
    };
    if to == SqlType::Real {
        #[expect(clippy::cast_possible_truncation, reason = "real is narrower; the range is checked")]
        let real = float as f32;
        return if real.is_finite() { Ok(Value::Real(real)) } else { Err(overflow("float to data type real")) };
    }
    Ok(Value::Float(float))
}

/// Any value as an exact number and its scale.
fn exact(value: &Value, from: SqlType, to: SqlType) -> Result<(i128, u8)> {
    let clash = || {
        SqlError::new(8114, format!("Error converting data type {} to {}.", types::name(from), types::name(to)))
            .state(5)
    };
    Ok(match value {
        Value::Bit(bit) => (i128::from(*bit), 0),
        Value::Int(int) => (i128::from(*int), 0),
        Value::Money(money) => (i128::from(*money), 4),
        Value::Decimal(unscaled, scale) => (*unscaled, *scale),
        Value::Real(_) | Value::Float(_) => {
            let float = if let Value::Real(real) = value {
                f64::from(*real)
            } else if let Value::Float(float) = value {
                *float
            } else {
                0.0
            };
            if float.abs() >= 1e38 {
                return Err(overflow(&format!("{} to data type {}", types::name(from), types::name(to))));
            }
            let scale = match to {
                SqlType::Decimal { scale, .. } | SqlType::Numeric { scale, .. } => scale,
                SqlType::Money | SqlType::SmallMoney => 4,
                _ => 0,
            };
            // Seventeen significant digits are what a float holds.
            let text = format!("{float:.16e}");
            scientific_exact(&text, scale.saturating_add(1).min(38))
                .ok_or_else(|| overflow("float to data type numeric"))?
        }
        Value::Text(text) => decimal::parse(text).ok_or_else(clash)?,
        Value::Bytes(bytes) => (i128::from(bytes_integer(bytes)), 0),
        Value::DateTime(..) => {
            let Value::Float(float) = to_float(value, from, SqlType::Float)? else { return Err(clash()) };
            return exact(&Value::Float(float), SqlType::Float, to);
        }
        _ => return Err(not_allowed(from, to)),
    })
}

fn scientific_exact(text: &str, scale: u8) -> Option<(i128, u8)> {
    let (mantissa, exponent) = text.split_once('e')?;
    let (value, digits) = decimal::parse(mantissa)?;
    let shift = exponent.parse::<i32>().ok()? - i32::from(digits) + i32::from(scale);
    if shift >= 0 {
        let value = value.checked_mul(decimal::power(u8::try_from(shift).ok().filter(|s| *s <= 38)?))?;
        return Some((value, scale));
    }
    let shift = u8::try_from(-shift).unwrap_or(38).min(38);
    Some((decimal::rescale(value, shift, 0)?, scale))
}

fn bytes_integer(bytes: &[u8]) -> i64 {
    let mut all = [0; 8];
    let tail = &bytes[bytes.len().saturating_sub(8)..];
    all[8 - tail.len()..].copy_from_slice(tail);
    i64::from_be_bytes(all)
}

/// A value as that kind of number.
pub fn to_decimal(value: &Value, from: SqlType, precision: u8, scale: u8) -> Result<Value> {
    let to = SqlType::Numeric { precision, scale };
    let (unscaled, have) = exact(value, from, to)?;
    decimal::rescale(unscaled, have, scale)
        .filter(|value| decimal::fits(*value, precision))
        .map(|value| Value::Decimal(value, scale))
        .ok_or_else(|| {
            let kind = if matches!(from, SqlType::Decimal { .. }) { "numeric" } else { types::name(from) };
            overflow(&format!("{kind} to data type numeric")).state(8)
        })
}

/// A value as that kind of number.
pub fn to_money(value: &Value, from: SqlType, to: SqlType) -> Result<Value> {
    let money = if let Value::Text(text) = value {
        numeric::parse_money(text).map(i128::from).ok_or_else(|| {
            SqlError::new(235, "Cannot convert a char value to money. The char value has incorrect syntax.")
        })?
    } else {
        let (unscaled, scale) = exact(value, from, to)?;
        decimal::rescale(unscaled, scale, 4).ok_or_else(|| overflow("expression to data type money"))?
    };
    let fits = if to == SqlType::SmallMoney { i32::try_from(money).is_ok() } else { i64::try_from(money).is_ok() };
    if !fits {
        return Err(overflow(&format!("{} to data type {}", types::name(from), types::name(to))));
    }
    Ok(Value::Money(i64::try_from(money).unwrap_or_default()))
}

/// A value as that kind of number.
pub fn to_integer(value: &Value, from: SqlType, to: SqlType) -> Result<Value> {
    let int = match value {
        Value::Text(text) => {
            let trimmed = text.trim();
            if to == SqlType::Bit && (trimmed.eq_ignore_ascii_case("true") || trimmed.eq_ignore_ascii_case("false")) {
                return Ok(Value::Bit(trimmed.eq_ignore_ascii_case("true")));
            }
            let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
            if trimmed.is_empty() {
                0
            } else if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(bad_integer(text, from, to));
            } else {
                trimmed.parse::<i128>().unwrap_or(i128::MAX)
            }
        }
        Value::Bytes(bytes) => i128::from(match to {
            SqlType::Int => {
                i64::from(i32::from_be_bytes(bytes_integer(bytes).to_be_bytes()[4..].try_into().unwrap_or_default()))
            }
            SqlType::SmallInt => {
                i64::from(i16::from_be_bytes(bytes_integer(bytes).to_be_bytes()[6..].try_into().unwrap_or_default()))
            }
            SqlType::TinyInt => bytes_integer(bytes) & 0xff,
            _ => bytes_integer(bytes),
        }),
        Value::Real(_) | Value::Float(_) => {
            let Value::Float(float) = to_float(value, from, SqlType::Float)? else { return Ok(Value::Null) };
            #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and the range is checked")]
            let int = float.trunc() as i128;
            int
        }
        Value::Money(money) => decimal::rescale(i128::from(*money), 4, 0).unwrap_or_default(),
        _ => {
            let (unscaled, scale) = exact(value, from, to)?;
            unscaled / decimal::power(scale)
        }
    };
    if to == SqlType::Bit {
        let set = match value {
            Value::Decimal(unscaled, _) => *unscaled != 0,
            Value::Money(money) => *money != 0,
            Value::Float(float) => *float != 0.0,
            _ => int != 0,
        };
        return Ok(Value::Bit(set));
    }
    let range = match to {
        SqlType::TinyInt => 0..=255,
        SqlType::SmallInt => -32_768..=32_767,
        SqlType::Int => i128::from(i32::MIN)..=i128::from(i32::MAX),
        _ => i128::from(i64::MIN)..=i128::from(i64::MAX),
    };
    if range.contains(&int) {
        return Ok(Value::Int(i64::try_from(int).unwrap_or_default()));
    }
    Err(integer_overflow(value, int, from, to))
}

fn bad_integer(text: &str, from: SqlType, to: SqlType) -> SqlError {
    if to == SqlType::BigInt {
        return SqlError::new(8114, format!("Error converting data type {} to bigint.", types::name(from))).state(5);
    }
    SqlError::new(
        245,
        format!(
            "Conversion failed when converting the {} value '{text}' to data type {}.",
            types::name(from),
            types::name(to)
        ),
    )
}

fn integer_overflow(value: &Value, int: i128, from: SqlType, to: SqlType) -> SqlError {
    match value {
        Value::Text(text) if to == SqlType::Int => SqlError::new(
            248,
            format!("The conversion of the {} value '{text}' overflowed an int column.", types::name(from)),
        ),
        Value::Text(text) if matches!(to, SqlType::TinyInt | SqlType::SmallInt) => SqlError::new(
            244,
            format!(
                "The conversion of the {} value '{text}' overflowed an {} column. Use a larger integer column.",
                types::name(from),
                if to == SqlType::TinyInt { "INT1" } else { "INT2" }
            ),
        ),
        Value::Int(_) if matches!(to, SqlType::TinyInt | SqlType::SmallInt) && from != SqlType::BigInt => {
            SqlError::new(220, format!("Arithmetic overflow error for data type {}, value = {int}.", types::name(to)))
                .state(2)
        }
        _ => overflow(&format!("expression to data type {}", types::name(to))),
    }
}
