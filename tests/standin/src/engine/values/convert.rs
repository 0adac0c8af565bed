//! Conversion between types, explicit and implicit.

use super::super::error::{Result, overflow};
use super::to_number::{to_decimal, to_float, to_integer, to_money};
use super::{binary, datetime, decimal, numeric, text, types};
use crate::value::{SqlError, SqlType, Value};

/// What a conversion aims at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// Type.
    pub ty: SqlType,
    /// CONVERT's style.
    pub style: i32,
    /// Whether varchar is UTF-8 there.
    pub utf8: bool,
}

impl Target {
    /// A type, without style.
    pub fn of(ty: SqlType) -> Self {
        Self { ty, style: 0, utf8: false }
    }
}

/// Converts a value; text too long is cut, as CAST does.
pub fn convert(value: &Value, from: SqlType, target: Target) -> Result<Value> {
    let to = target.ty;
    if let Value::Variant(inner) = value {
        return if to == SqlType::SqlVariant { Ok(value.clone()) } else { convert(&inner.1, inner.0, target) };
    }
    if matches!(value, Value::Null) {
        return Ok(Value::Null);
    }
    // Rows of VALUES travel as variants whatever their types; a CAST to one was refused when it was bound.
    if to != SqlType::SqlVariant && !allowed(from, to) {
        return Err(SqlError::new(
            529,
            format!("Explicit conversion from data type {} to {} is not allowed.", types::name(from), types::name(to)),
        ));
    }
    match to {
        SqlType::SqlVariant => Ok(Value::Variant(Box::new((from, value.clone())))),
        _ if types::is_text(to) || to == SqlType::Xml => to_text(value, from, target),
        _ if types::is_binary(to) => to_binary(value, from, target),
        SqlType::HierarchyId | SqlType::Geometry | SqlType::Geography => match value {
            Value::Bytes(bytes) => Ok(Value::Bytes(bytes.clone())),
            _ => Err(not_allowed(from, to)),
        },
        SqlType::UniqueIdentifier => to_guid(value, from),
        _ if types::is_temporal(to) => to_temporal(value, from, to, target.style),
        SqlType::Real | SqlType::Float => to_float(value, from, to),
        SqlType::Decimal { precision, scale } | SqlType::Numeric { precision, scale } => {
            to_decimal(value, from, precision, scale)
        }
        SqlType::Money | SqlType::SmallMoney => to_money(value, from, to),
        _ => to_integer(value, from, to),
    }
}

/// 206.
pub fn not_allowed(from: SqlType, to: SqlType) -> SqlError {
    SqlError::new(206, format!("Operand type clash: {} is incompatible with {}", types::name(from), types::name(to)))
        .state(2)
}

/// Whether T-SQL converts between two types at all.
pub fn allowed(from: SqlType, to: SqlType) -> bool {
    let blob = |ty| matches!(ty, SqlType::HierarchyId | SqlType::Geometry | SqlType::Geography);
    if from == to || from == SqlType::SqlVariant {
        return true;
    }
    if blob(from) || blob(to) {
        return types::name(from) == types::name(to)
            || types::is_binary(from)
            || types::is_binary(to)
            || (types::is_text(to) && blob(from));
    }
    if from == SqlType::Xml || to == SqlType::Xml {
        let other = if from == SqlType::Xml { to } else { from };
        return types::is_text(other) || types::is_binary(other);
    }
    let newer =
        |ty| matches!(ty, SqlType::Date | SqlType::Time(_) | SqlType::DateTime2(_) | SqlType::DateTimeOffset(_));
    if (newer(from) && types::is_number(to)) || (newer(to) && types::is_number(from)) {
        return false;
    }
    if matches!((from, to), (SqlType::Date, SqlType::Time(_)) | (SqlType::Time(_), SqlType::Date)) {
        return false;
    }
    if from == SqlType::UniqueIdentifier || to == SqlType::UniqueIdentifier {
        let other = if from == SqlType::UniqueIdentifier { to } else { from };
        return types::is_text(other) || types::is_binary(other) || other == SqlType::SqlVariant;
    }
    true
}

/// Whether T-SQL converts so without being asked.
pub fn implicit(from: SqlType, to: SqlType) -> bool {
    let text_to_binary = types::is_text(from) && types::is_binary(to);
    let older = |ty| matches!(ty, SqlType::DateTime | SqlType::SmallDateTime);
    let date_to_number = older(from) && types::is_number(to);
    let variant = from == SqlType::SqlVariant && to != SqlType::SqlVariant;
    let blob = matches!(to, SqlType::Geometry | SqlType::Geography | SqlType::HierarchyId) && types::is_text(from);
    allowed(from, to) && !text_to_binary && !date_to_number && !variant && !blob
}

fn to_text(value: &Value, from: SqlType, target: Target) -> Result<Value> {
    let (to, style) = (target.ty, target.style);
    let written = match value {
        Value::Text(text) => text.clone(),
        Value::Bit(bit) => u8::from(*bit).to_string(),
        Value::Int(int) => int.to_string(),
        Value::Decimal(unscaled, scale) => decimal::format(*unscaled, *scale),
        Value::Money(money) => numeric::money(*money, style),
        Value::Real(real) => match style {
            0 => numeric::general(f64::from(*real), 6),
            1 => numeric::scientific(f64::from(*real), 8),
            _ => numeric::scientific(f64::from(*real), 9),
        },
        Value::Float(float) => match style {
            0 => numeric::general(*float, 6),
            1 => numeric::scientific(*float, 8),
            2 => numeric::scientific(*float, 16),
            _ => numeric::scientific(*float, 17),
        },
        Value::Guid(guid) => binary::guid_text(guid),
        Value::Bytes(bytes) => match style {
            1 => format!("0x{}", binary::hex(bytes)),
            2 => binary::hex(bytes),
            _ => text::from_bytes(bytes, if to == SqlType::Xml { SqlType::VarChar(None) } else { to }),
        },
        Value::Date(_) | Value::Time(_) | Value::DateTime(..) | Value::DateTimeOffset(..) => {
            datetime::format(value, from, style)?
        }
        Value::Null | Value::Variant(_) => return Ok(Value::Null),
    };
    let written =
        if types::is_unicode(to) || target.utf8 || to == SqlType::Xml { written } else { text::to_code_page(&written) };
    let Some(limit) = types::length(to) else { return Ok(Value::Text(written)) };
    let limit = usize::from(limit);
    let width = text::length(&written, to, target.utf8);
    if width > limit {
        return cut_text(&written, from, target, limit);
    }
    let fixed = matches!(to, SqlType::Char(_) | SqlType::NChar(_));
    Ok(Value::Text(if fixed { text::pad(written, to, target.utf8, limit) } else { written }))
}

/// Text longer than its target: text and binary are cut; a number becomes `*` or an error, as its kind has it.
fn cut_text(written: &str, from: SqlType, target: Target, limit: usize) -> Result<Value> {
    let to = target.ty;
    match from {
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int if !types::is_unicode(to) => Ok(Value::Text(text::pad(
            "*".to_owned(),
            to,
            false,
            if matches!(to, SqlType::Char(_)) { limit } else { 0 },
        ))),
        _ if types::is_number(from) => {
            Err(overflow(&format!("{} to data type {}", types::name(from), types::name(to))))
        }
        SqlType::UniqueIdentifier => {
            Err(SqlError::new(8170, "Insufficient result space to convert uniqueidentifier value to char.").state(2))
        }
        _ => Ok(Value::Text(text::cut(written, to, target.utf8, limit).to_owned())),
    }
}

fn to_binary(value: &Value, from: SqlType, target: Target) -> Result<Value> {
    let (to, style) = (target.ty, target.style);
    let from_number = types::is_number(from);
    let mut bytes = match value {
        Value::Bytes(bytes) => bytes.clone(),
        Value::Text(text) if style == 1 || style == 2 => {
            let digits = if style == 1 {
                text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
            } else {
                Some(text.as_str())
            };
            digits
                .filter(|digits| digits.len() % 2 == 0)
                .and_then(|digits| binary::unhex(digits.trim_end()))
                .ok_or_else(|| {
                    SqlError::new(
                        8114,
                        format!("Error converting data type {} to {}.", types::name(from), types::name(to)),
                    )
                    .state(5)
                })?
        }
        Value::Text(text) => text::to_bytes(text, from, None),
        Value::Guid(guid) => binary::guid_bytes(guid).to_vec(),
        Value::Bit(bit) => vec![u8::from(*bit)],
        Value::Int(int) => {
            let width = match from {
                SqlType::TinyInt => 1,
                SqlType::SmallInt => 2,
                SqlType::Int => 4,
                _ => 8,
            };
            int.to_be_bytes()[8 - width..].to_vec()
        }
        Value::Money(money) => money.to_be_bytes()[if from == SqlType::SmallMoney { 4 } else { 0 }..].to_vec(),
        Value::Real(real) => real.to_be_bytes().to_vec(),
        Value::Float(float) => float.to_be_bytes().to_vec(),
        Value::Decimal(unscaled, scale) => {
            let (precision, _) = types::exact_facets(from);
            let mut bytes = vec![precision, *scale, 0, u8::from(*unscaled >= 0)];
            let size = usize::try_from(types::facets(from).0 - 1).unwrap_or(16);
            bytes.extend(&unscaled.unsigned_abs().to_le_bytes()[..size]);
            bytes
        }
        _ => {
            let moment = datetime::moment(value).unwrap_or(datetime::Moment { day: 0, ticks: 0, offset: None });
            let mut bytes = (moment.day - datetime::BASE_1900).to_be_bytes().to_vec();
            let steps =
                i32::try_from((moment.ticks * 300 + datetime::SECOND / 2) / datetime::SECOND).unwrap_or_default();
            bytes.extend(steps.to_be_bytes());
            bytes
        }
    };
    let Some(limit) = types::length(to).map(usize::from) else { return Ok(Value::Bytes(bytes)) };
    let fixed = matches!(to, SqlType::Binary(_) | SqlType::RowVersion);
    if from_number && !matches!(value, Value::Decimal(..)) {
        // A number keeps its low end.
        if bytes.len() > limit {
            bytes.drain(..bytes.len() - limit);
        } else if fixed {
            bytes = [vec![0; limit - bytes.len()], bytes].concat();
        }
    } else if bytes.len() > limit || fixed {
        bytes.resize(limit, 0);
    }
    Ok(Value::Bytes(bytes))
}

fn to_guid(value: &Value, from: SqlType) -> Result<Value> {
    match value {
        Value::Guid(guid) => Ok(Value::Guid(*guid)),
        Value::Text(text) => binary::parse_guid(text).map(Value::Guid).ok_or_else(|| {
            SqlError::new(8169, "Conversion failed when converting from a character string to uniqueidentifier.")
                .state(2)
        }),
        Value::Bytes(bytes) => {
            let mut guid = [0; 16];
            for (to, byte) in guid.iter_mut().zip(bytes) {
                *to = *byte;
            }
            Ok(Value::Guid(binary::guid_bytes(&guid)))
        }
        _ => Err(not_allowed(from, SqlType::UniqueIdentifier)),
    }
}

fn to_temporal(value: &Value, from: SqlType, to: SqlType, style: i32) -> Result<Value> {
    let failed = || SqlError::new(241, "Conversion failed when converting date and/or time from character string.");
    let moment = match value {
        Value::Text(text) => parse_styled(text, style).ok_or_else(failed)?,
        Value::Bytes(bytes) => {
            let padded = [vec![0; 8_usize.saturating_sub(bytes.len())], bytes.clone()].concat();
            let days = i32::from_be_bytes(padded[..4].try_into().unwrap_or_default());
            let steps = i64::from(i32::from_be_bytes(padded[4..8].try_into().unwrap_or_default()));
            datetime::Moment {
                day: datetime::BASE_1900 + days,
                ticks: (steps * datetime::SECOND + 150) / 300,
                offset: None,
            }
        }
        Value::Date(_) | Value::Time(_) | Value::DateTime(..) | Value::DateTimeOffset(..) => {
            datetime::moment(value).ok_or_else(failed)?
        }
        // A number is days since 1900.
        _ => {
            let Value::Float(days) = to_float(value, from, SqlType::Float)? else { return Err(failed()) };
            #[expect(clippy::cast_possible_truncation, reason = "the range is checked below")]
            let (whole, rest) = (days.floor() as i64, ((days - days.floor()) * 864e9).round() as i64);
            let day = i32::try_from(whole + i64::from(datetime::BASE_1900))
                .map_err(|_| overflow("expression to data type datetime"))?;
            if !(datetime::FIRST_DATETIME..=datetime::LAST_DAY).contains(&day) {
                return Err(overflow("expression to data type datetime"));
            }
            datetime::Moment { day, ticks: rest, offset: None }
        }
    };
    datetime::from_moment(moment, to).map_err(|mut error| {
        if error.number == 242 {
            error.message = error.message.replace("a datetime2", &format!("a {}", types::name(from)));
        }
        error
    })
}

/// Reads a date in a style that puts the day first, or in any order that needs none.
fn parse_styled(text: &str, style: i32) -> Option<datetime::Moment> {
    if matches!(style, 3 | 4 | 5 | 103 | 104 | 105) {
        let (date, time) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let parts: Vec<&str> = date.split(['/', '.', '-']).collect();
        let [day, month, year] = parts.as_slice() else { return None };
        return datetime::parse(format!("{month}/{day}/{year} {time}").trim());
    }
    datetime::parse(text)
}
