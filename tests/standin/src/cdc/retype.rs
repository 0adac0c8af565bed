//! Values of a change table under a column's new type, after ALTER COLUMN on the source.

use crate::value::{SqlError, SqlType, Value};

use super::clock::{self, DAY, Moment};

/// Why a value does not fit a new type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// Too long; the value as far as it fits.
    Truncated(String),
    /// Too large.
    Overflow(&'static str),
    /// Not convertible.
    Conversion,
}

impl Misfit {
    /// The server's error, for a change table and its column.
    pub fn error(self, (table, column): (String, String)) -> SqlError {
        match self {
            Self::Truncated(head) => SqlError::new(
                2628,
                format!(
                    "String or binary data would be truncated in table 'cdc.{table}', column '{column}'. Truncated \
                     value: '{head}'."
                ),
            ),
            Self::Overflow(name) => {
                SqlError::new(8115, format!("Arithmetic overflow error converting expression to data type {name}."))
                    .state(2)
            }
            Self::Conversion => SqlError::new(
                22976,
                format!(
                    "Could not alter column '{column}' of change table '{table}' in response to a data type change in \
                     the corresponding column of the source table."
                ),
            ),
        }
    }
}

/// How the server converts a value from one type to another; none where it does not.
pub type Conversion = fn(&Value, SqlType, SqlType) -> Option<Value>;

/// The value as the new type holds it, where need be by the server's own conversion.
///
/// # Errors
/// When the new type cannot hold it.
pub fn converted(value: &Value, (from, to): (SqlType, SqlType), conversion: Conversion) -> Result<Value, Misfit> {
    match retype(value, to) {
        Err(Misfit::Conversion) => conversion(value, from, to).ok_or(Misfit::Conversion),
        settled => settled,
    }
}

/// The value as the new type holds it.
///
/// # Errors
/// When the new type cannot hold it.
pub fn retype(value: &Value, to: SqlType) -> Result<Value, Misfit> {
    match (value, to) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::Text(text), to) => text_as(text, to),
        (Value::Bytes(bytes), SqlType::Binary(length)) => {
            let mut bytes = fit_bytes(bytes, Some(length))?;
            bytes.resize(usize::from(length), 0);
            Ok(Value::Bytes(bytes))
        }
        (Value::Bytes(bytes), SqlType::VarBinary(length)) => Ok(Value::Bytes(fit_bytes(bytes, length)?)),
        (Value::Bytes(_), SqlType::Image) | (Value::DateTimeOffset(..), SqlType::DateTimeOffset(_)) => {
            Ok(value.clone())
        }
        (Value::Date(day), SqlType::DateTime | SqlType::DateTime2(_) | SqlType::SmallDateTime) => {
            Ok(Value::DateTime(*day, 0))
        }
        (Value::DateTime(day, ticks), SqlType::DateTime) => Ok(clock::value(clock::datetime(*day, *ticks))),
        (Value::DateTime(day, ticks), SqlType::DateTime2(scale)) => {
            Ok(clock::value(to_step(*day, *ticks, 10_i64.pow(7 - u32::from(scale.min(7))))))
        }
        (Value::DateTime(day, ticks), SqlType::SmallDateTime) => Ok(clock::value(to_step(*day, *ticks, 600_000_000))),
        (Value::DateTime(day, _), SqlType::Date) => Ok(Value::Date(*day)),
        (Value::Time(ticks), SqlType::Time(scale)) => {
            // A time that rounds up to midnight begins the day again.
            Ok(Value::Time(to_step(0, *ticks, 10_i64.pow(7 - u32::from(scale.min(7)))).1))
        }
        (Value::Real(number), SqlType::Float) => Ok(Value::Float(f64::from(*number))),
        (Value::Int(_) | Value::Bit(_) | Value::Decimal(..) | Value::Money(_), to) => number_as(value, to),
        _ => Err(Misfit::Conversion),
    }
}

/// A moment rounded to steps of so many ticks.
fn to_step(day: i32, ticks: i64, step: i64) -> Moment {
    let rounded = (ticks + step / 2) / step * step;
    if rounded >= DAY { (day + 1, 0) } else { (day, rounded) }
}

fn text_as(text: &str, to: SqlType) -> Result<Value, Misfit> {
    let (length, limit) = match to {
        SqlType::NChar(limit) => (text.encode_utf16().count(), Some(limit)),
        SqlType::NVarChar(limit) => (text.encode_utf16().count(), limit),
        SqlType::Char(limit) => (text.chars().count(), Some(limit)),
        SqlType::VarChar(limit) => (text.chars().count(), limit),
        SqlType::Text | SqlType::NText | SqlType::Xml => (0, None),
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => {
            let number = text.trim().parse().map_err(|_| Misfit::Conversion)?;
            return number_as(&Value::Int(number), to);
        }
        SqlType::Decimal { .. } | SqlType::Numeric { .. } => return number_as(&decimal_of(text)?, to),
        _ => return Err(Misfit::Conversion),
    };
    let limit = limit.map_or(usize::MAX, usize::from);
    // Blanks at the end are cut without an error.
    let filled = text.trim_end_matches(' ').encode_utf16().count();
    if length > limit && filled > limit {
        return Err(Misfit::Truncated(text.chars().take(limit).collect()));
    }
    let mut text: String = if length > limit { text.trim_end_matches(' ').to_owned() } else { text.to_owned() };
    if let SqlType::Char(width) | SqlType::NChar(width) = to {
        let missing = usize::from(width).saturating_sub(text.encode_utf16().count());
        text.extend(std::iter::repeat_n(' ', missing));
    }
    Ok(Value::Text(text))
}

/// The exact number that a text writes.
fn decimal_of(text: &str) -> Result<Value, Misfit> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let scale = u8::try_from(fraction.len()).map_err(|_| Misfit::Conversion)?;
    let unscaled = format!("{whole}{fraction}").parse().map_err(|_| Misfit::Conversion)?;
    Ok(Value::Decimal(unscaled, scale))
}

fn fit_bytes(bytes: &[u8], limit: Option<u16>) -> Result<Vec<u8>, Misfit> {
    let limit = limit.map_or(usize::MAX, usize::from);
    if bytes.len() > limit {
        return Err(Misfit::Truncated(super::lsn::text(&bytes[..limit])));
    }
    Ok(bytes.to_vec())
}

/// An exact number as another type: by its unscaled value and scale.
fn number_as(value: &Value, to: SqlType) -> Result<Value, Misfit> {
    let (unscaled, scale) = match value {
        Value::Bit(bit) => (i128::from(*bit), 0),
        Value::Int(number) => (i128::from(*number), 0),
        Value::Decimal(number, scale) => (*number, *scale),
        Value::Money(number) => (i128::from(*number), 4),
        _ => return Err(Misfit::Conversion),
    };
    let whole = |low: i64, high: i64, name| {
        let number = i64::try_from(unscaled / 10_i128.pow(u32::from(scale))).map_err(|_| Misfit::Overflow(name))?;
        if (low..=high).contains(&number) { Ok(Value::Int(number)) } else { Err(Misfit::Overflow(name)) }
    };
    match to {
        SqlType::Bit => Ok(Value::Bit(unscaled != 0)),
        SqlType::TinyInt => whole(0, 255, "tinyint"),
        SqlType::SmallInt => whole(i16::MIN.into(), i16::MAX.into(), "smallint"),
        SqlType::Int => whole(i32::MIN.into(), i32::MAX.into(), "int"),
        SqlType::BigInt => whole(i64::MIN, i64::MAX, "bigint"),
        SqlType::Decimal { precision, scale: to } | SqlType::Numeric { precision, scale: to } => {
            let number = rescaled(unscaled, scale, to).ok_or(Misfit::Overflow("numeric"))?;
            if number.unsigned_abs() >= 10_u128.pow(u32::from(precision)) {
                return Err(Misfit::Overflow("numeric"));
            }
            Ok(Value::Decimal(number, to))
        }
        SqlType::Money | SqlType::SmallMoney => rescaled(unscaled, scale, 4)
            .and_then(|number| i64::try_from(number).ok())
            .map(Value::Money)
            .ok_or(Misfit::Overflow("money")),
        #[expect(clippy::cast_precision_loss, reason = "float holds what it can of an exact number")]
        SqlType::Float => Ok(Value::Float(unscaled as f64 / 10_f64.powi(i32::from(scale)))),
        SqlType::VarChar(_) | SqlType::NVarChar(_) | SqlType::Char(_) | SqlType::NChar(_) => {
            text_as(&decimal_text(unscaled, scale), to)
        }
        _ => Err(Misfit::Conversion),
    }
}

/// An unscaled number at another scale, rounded half away from zero.
fn rescaled(unscaled: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        return unscaled.checked_mul(10_i128.checked_pow(u32::from(to - from))?);
    }
    let divisor = 10_i128.checked_pow(u32::from(from - to))?;
    let half = if unscaled < 0 { -divisor / 2 } else { divisor / 2 };
    Some((unscaled + half) / divisor)
}

fn decimal_text(unscaled: i128, scale: u8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_new_type() {
        let to = SqlType::Decimal { precision: 6, scale: 1 };
        assert_eq!(retype(&Value::Decimal(-1_255, 2), to), Ok(Value::Decimal(-126, 1)));
        assert_eq!(retype(&Value::Int(300), SqlType::TinyInt), Err(Misfit::Overflow("tinyint")));
        assert_eq!(retype(&Value::Money(-5), SqlType::NVarChar(Some(10))), Ok(Value::Text("-0.0005".into())));
    }

    #[test]
    fn text_that_is_too_long_is_refused() {
        let long = Value::Text("abcdef".into());
        assert_eq!(retype(&long, SqlType::VarChar(Some(3))), Err(Misfit::Truncated("abc".into())));
        assert_eq!(retype(&Value::Text("ab ".into()), SqlType::NChar(2)), Ok(Value::Text("ab".into())));
    }

    #[test]
    fn text_becomes_the_number_that_it_writes() {
        let to = SqlType::Decimal { precision: 6, scale: 2 };
        assert_eq!(retype(&Value::Text("-1.5".into()), to), Ok(Value::Decimal(-150, 2)));
        assert_eq!(retype(&Value::Text(" 7 ".into()), SqlType::Int), Ok(Value::Int(7)));
        assert_eq!(retype(&Value::Text("7a".into()), SqlType::Int), Err(Misfit::Conversion));
    }
}
