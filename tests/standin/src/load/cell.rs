//! One cell of a CSV file as a value of its type, strictly.

use anyhow::{Context as _, anyhow, bail, ensure};
use chrono::{Datelike as _, NaiveDate};

use crate::value::{SqlType, Value};

/// Ticks of 100 ns in a day.
const DAY: i64 = 864_000_000_000;

/// The value of a field.
///
/// # Errors
/// When the type does not hold what the field says.
pub fn parse(field: &str, sql_type: SqlType, nullable: bool) -> anyhow::Result<Value> {
    if field.is_empty() && nullable {
        return Ok(Value::Null);
    }
    match sql_type {
        SqlType::Bit => match field {
            "0" => Ok(Value::Bit(false)),
            "1" => Ok(Value::Bit(true)),
            _ => bail!("neither 0 nor 1"),
        },
        SqlType::TinyInt => whole(field, 0, i64::from(u8::MAX)),
        SqlType::SmallInt => whole(field, i16::MIN.into(), i16::MAX.into()),
        SqlType::Int => whole(field, i32::MIN.into(), i32::MAX.into()),
        SqlType::BigInt => whole(field, i64::MIN, i64::MAX),
        SqlType::Decimal { precision, scale } | SqlType::Numeric { precision, scale } => {
            let number = fixed_point(field, scale)?;
            ensure!(number.unsigned_abs() < 10_u128.pow(precision.into()), "more than {precision} digits");
            Ok(Value::Decimal(number, scale))
        }
        SqlType::Money => Ok(Value::Money(i64::try_from(fixed_point(field, 4)?).context("out of range")?)),
        SqlType::SmallMoney => {
            let number = i32::try_from(fixed_point(field, 4)?).context("out of range")?;
            Ok(Value::Money(number.into()))
        }
        SqlType::Real => Ok(Value::Real(finite(field.parse::<f32>()?, f32::is_finite)?)),
        SqlType::Float => Ok(Value::Float(finite(field.parse::<f64>()?, f64::is_finite)?)),
        SqlType::Date => Ok(Value::Date(date(field)?)),
        SqlType::Time(scale) => Ok(Value::Time(time(field, scale)?)),
        SqlType::SmallDateTime | SqlType::DateTime | SqlType::DateTime2(_) => date_and_time(field, sql_type),
        SqlType::DateTimeOffset(scale) => date_time_offset(field, scale),
        SqlType::Char(length) => padded(field, length, field.chars().count()),
        SqlType::NChar(length) => padded(field, length, field.encode_utf16().count()),
        SqlType::VarChar(length) => limited(field, length, field.chars().count()),
        SqlType::NVarChar(length) => limited(field, length, field.encode_utf16().count()),
        SqlType::Text | SqlType::NText | SqlType::Xml => Ok(Value::Text(field.to_owned())),
        SqlType::Binary(length) => sized_bytes(field, usize::from(length), usize::from(length)),
        SqlType::RowVersion => sized_bytes(field, 8, 8),
        SqlType::VarBinary(length) => sized_bytes(field, 0, length.map_or(usize::MAX, usize::from)),
        SqlType::Image | SqlType::HierarchyId | SqlType::Geometry | SqlType::Geography => {
            sized_bytes(field, 0, usize::MAX)
        }
        SqlType::UniqueIdentifier => {
            ensure!(field.len() == 36, "not the usual form of a uniqueidentifier");
            Ok(Value::Guid(*uuid::Uuid::try_parse(field)?.as_bytes()))
        }
        SqlType::SqlVariant => bail!("sql_variant cannot be loaded: a field does not tell its base type"),
    }
}

fn whole(field: &str, low: i64, high: i64) -> anyhow::Result<Value> {
    let number: i64 = field.parse()?;
    ensure!((low..=high).contains(&number), "out of range");
    Ok(Value::Int(number))
}

fn finite<T: Copy>(number: T, is_finite: fn(T) -> bool) -> anyhow::Result<T> {
    ensure!(is_finite(number), "not a finite number");
    Ok(number)
}

/// An exact number as its unscaled integer: digits, at most `scale` of them behind the point.
fn fixed_point(field: &str, scale: u8) -> anyhow::Result<i128> {
    let (negative, digits) = match field.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, field),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    ensure!(!(whole.is_empty() && fraction.is_empty()), "no digits");
    ensure!(fraction.len() <= usize::from(scale), "more than {scale} digits behind the point");
    let mut number: i128 = 0;
    let filled = fraction.bytes().chain(std::iter::repeat(b'0')).take(usize::from(scale));
    for digit in whole.bytes().chain(filled) {
        ensure!(digit.is_ascii_digit(), "not a number");
        number = number
            .checked_mul(10)
            .and_then(|number| number.checked_add(i128::from(digit - b'0')))
            .ok_or_else(|| anyhow!("too many digits"))?;
    }
    Ok(if negative { -number } else { number })
}

fn date(text: &str) -> anyhow::Result<i32> {
    ensure!(text.len() == 10, "not a date of the form yyyy-mm-dd");
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d")?;
    ensure!((1..=9999).contains(&date.year()), "out of range");
    Ok(date.num_days_from_ce() - 1)
}

/// Ticks since midnight, of `hh:mm:ss` with at most `scale` digits of a fraction.
fn time(text: &str, scale: u8) -> anyhow::Result<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    ensure!(fraction.len() <= usize::from(scale), "a fraction of more than {scale} digits");
    let parts: Vec<&str> = clock.split(':').collect();
    let [hours, minutes, seconds] = parts.as_slice() else { bail!("not a time of the form hh:mm:ss") };
    let part = |text: &str, limit: i64| {
        ensure!(text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()), "not a time of the form hh:mm:ss");
        let number: i64 = text.parse()?;
        ensure!(number < limit, "out of range");
        Ok(number)
    };
    let whole = (part(hours, 24)? * 60 + part(minutes, 60)?) * 60 + part(seconds, 60)?;
    let ticks = i64::try_from(fixed_point(&format!("0.{fraction}"), 7)?)?;
    Ok(whole * 10_000_000 + ticks)
}

fn date_and_time(field: &str, sql_type: SqlType) -> anyhow::Result<Value> {
    let (day, clock) = field.split_once([' ', 'T']).unwrap_or((field, "00:00:00"));
    let scale = match sql_type {
        SqlType::DateTime2(scale) => scale,
        SqlType::DateTime => 3,
        _ => 0,
    };
    let (day, ticks) = (date(day)?, time(clock, scale)?);
    match sql_type {
        SqlType::DateTime => {
            ensure!(day >= DATETIME_BEGINS, "before 1753");
            // A step of 1/300 s prints as .000, .003 or .007; anything else would change on its way.
            let steps = (ticks * 3 + 50_000) / 100_000;
            ensure!((steps * 10 + 1) / 3 * 10_000 == ticks, "not a value that datetime holds");
            Ok(Value::DateTime(day, (steps * 100_000 + 1) / 3))
        }
        SqlType::SmallDateTime => {
            ensure!(ticks % 600_000_000 == 0, "smalldatetime holds whole minutes");
            Ok(Value::DateTime(day, ticks))
        }
        _ => Ok(Value::DateTime(day, ticks)),
    }
}

/// 1753-01-01, the first day of datetime.
const DATETIME_BEGINS: i32 = 639_905;

fn date_time_offset(field: &str, scale: u8) -> anyhow::Result<Value> {
    let parts: Vec<&str> = field.split(' ').collect();
    let [day, clock, offset] = parts.as_slice() else { bail!("not of the form yyyy-mm-dd hh:mm:ss +hh:mm") };
    let sign = match offset.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => bail!("no offset"),
    };
    let minutes = sign * (time(&format!("{}:00", &offset[1..]), 0)? / 600_000_000);
    ensure!(minutes.abs() <= 14 * 60, "an offset of more than 14 hours");
    let local = i64::from(date(day)?) * DAY + time(clock, scale)?;
    let utc = local - minutes * 600_000_000;
    let day = i32::try_from(utc.div_euclid(DAY))?;
    Ok(Value::DateTimeOffset(day, utc.rem_euclid(DAY), i16::try_from(minutes)?))
}

fn padded(field: &str, width: u16, length: usize) -> anyhow::Result<Value> {
    let missing = usize::from(width).checked_sub(length).ok_or_else(|| anyhow!("{length} characters"))?;
    Ok(Value::Text(format!("{field}{}", " ".repeat(missing))))
}

fn limited(field: &str, limit: Option<u16>, length: usize) -> anyhow::Result<Value> {
    ensure!(limit.is_none_or(|limit| length <= usize::from(limit)), "{length} characters");
    Ok(Value::Text(field.to_owned()))
}

fn sized_bytes(field: &str, least: usize, most: usize) -> anyhow::Result<Value> {
    ensure!(field.len().is_multiple_of(2), "an odd number of hexadecimal digits");
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> =
        field.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
    let bytes = bytes.ok_or_else(|| anyhow!("not hexadecimal"))?;
    ensure!((least..=most).contains(&bytes.len()), "{} bytes", bytes.len());
    Ok(Value::Bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &str, sql_type: &str) -> Option<Value> {
        parse(field, SqlType::parse(sql_type).ok()?, false).ok()
    }

    #[test]
    fn values_of_every_family() {
        let table = [
            (".0000", "smallmoney", Value::Money(0)),
            ("-12.5", "money", Value::Money(-125_000)),
            ("1.5", "decimal(8,2)", Value::Decimal(150, 2)),
            ("2018-12-03 00:00:00.003", "datetime", Value::DateTime(737_030, 33_333)),
            ("2018-12-03 23:59:59.997", "datetime", Value::DateTime(737_030, DAY - 33_333)),
            ("0001-01-01", "date", Value::Date(0)),
            ("07:00:00.0000001", "time", Value::Time(7 * 36_000_000_000 + 1)),
            ("0001-01-02 01:00:00 +02:00", "datetimeoffset(0)", Value::DateTimeOffset(0, DAY - 36_000_000_000, 120)),
            ("ab", "nchar(3)", Value::Text("ab ".into())),
            ("", "nvarchar(3)", Value::Text(String::new())),
            ("", "hierarchyid", Value::Bytes(Vec::new())),
            ("5aC0", "varbinary(2)", Value::Bytes(vec![0x5A, 0xC0])),
        ];
        for (field, sql_type, value) in table {
            assert_eq!(read(field, sql_type), Some(value), "{field} as {sql_type}");
        }
        assert_eq!(parse("", SqlType::Xml, true).ok(), Some(Value::Null));
    }

    #[test]
    fn what_a_type_does_not_hold_is_refused() {
        let table = [
            ("256", "tinyint"),
            ("+", "int"),
            ("", "int"),
            ("2", "bit"),
            ("1.234", "decimal(8,2)"),
            ("1000", "decimal(3,0)"),
            (".", "money"),
            ("1.00001", "money"),
            ("214748.3648", "smallmoney"),
            ("2018-12-03 00:00:00.001", "datetime"),
            ("1752-12-31 00:00:00", "datetime"),
            ("2018-02-29", "date"),
            ("24:00:00", "time"),
            ("abcd", "nvarchar(3)"),
            ("ABC", "varbinary(max)"),
            ("XY", "varbinary(max)"),
            ("9AADCB0D36CF483F84D8585C2D4EC6E9", "uniqueidentifier"),
            ("inf", "float"),
        ];
        for (field, sql_type) in table {
            assert_eq!(read(field, sql_type), None, "{field} as {sql_type}");
        }
    }
}
