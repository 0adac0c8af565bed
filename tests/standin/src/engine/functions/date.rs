//! Date and time functions.

use super::super::bind::function::{any_null, integer};
use super::super::bind::{Binder, Bound};
use super::super::error::{Result, overflow};
use super::super::operation::{Call, Note};
use super::super::values::datetime::{self, DAY, Moment, SECOND};
use super::super::values::types;
use crate::value::{SqlError, SqlType, Value};

/// The full name of a date part, from any of its abbreviations.
pub fn part(name: &str) -> Option<&'static str> {
    Some(match name {
        "year" | "yy" | "yyyy" => "year",
        "quarter" | "qq" | "q" => "quarter",
        "month" | "mm" | "m" => "month",
        "dayofyear" | "dy" | "y" => "dayofyear",
        "day" | "dd" | "d" => "day",
        "week" | "wk" | "ww" => "week",
        "iso_week" | "isowk" | "isoww" => "iso_week",
        "weekday" | "dw" | "w" => "weekday",
        "hour" | "hh" => "hour",
        "minute" | "mi" | "n" => "minute",
        "second" | "ss" | "s" => "second",
        "millisecond" | "ms" => "millisecond",
        "microsecond" | "mcs" => "microsecond",
        "nanosecond" | "ns" => "nanosecond",
        "tzoffset" | "tz" => "tzoffset",
        _ => return None,
    })
}

/// How many arguments a date function takes.
pub fn count(name: &str) -> Option<(usize, usize)> {
    Some(match name {
        "GETDATE" | "SYSDATETIME" | "SYSUTCDATETIME" | "GETUTCDATE" | "SYSDATETIMEOFFSET" | "CURRENT_TIMESTAMP"
        | "CURRENT_TIMEZONE" => (0, 0),
        "YEAR" | "MONTH" | "DAY" | "ISDATE" => (1, 1),
        "EOMONTH" => (1, 2),
        "SWITCHOFFSET" | "TODATETIMEOFFSET" => (2, 2),
        "DATEFROMPARTS" => (3, 3),
        "DATETIMEFROMPARTS" => (7, 7),
        "DATETIME2FROMPARTS" => (8, 8),
        "TIMEFROMPARTS" => (5, 5),
        _ => return None,
    })
}

/// Binds a date function.
pub fn bind(binder: &mut Binder<'_>, name: &str, args: Vec<Bound>) -> Result<Bound> {
    let now = match name {
        "GETDATE" | "CURRENT_TIMESTAMP" | "GETUTCDATE" => Some(SqlType::DateTime),
        "SYSDATETIME" | "SYSUTCDATETIME" => Some(SqlType::DateTime2(7)),
        "SYSDATETIMEOFFSET" => Some(SqlType::DateTimeOffset(7)),
        _ => None,
    };
    if let Some(ty) = now {
        let value = datetime::from_moment(binder.environment.now, ty)?;
        return Ok(binder.constant(&value, ty));
    }
    match name {
        "CURRENT_TIMEZONE" => {
            Ok(binder.constant(&Value::Text("(UTC) Coordinated Universal Time".into()), SqlType::VarChar(Some(128))))
        }
        "YEAR" | "MONTH" | "DAY" => {
            let moment = args.into_iter().next().map(|arg| binder.as_moment(arg)).transpose()?;
            Ok(binder.call(part_of, moment.as_slice(), SqlType::Int, Note::Text(name.to_lowercase())))
        }
        "EOMONTH" => {
            let mut args = args.into_iter();
            let mut bound = args.next().map(|arg| binder.as_moment(arg)).transpose()?.into_iter().collect::<Vec<_>>();
            if let Some(months) = args.next() {
                bound.push(binder.coerce(months, SqlType::Int)?);
            }
            Ok(binder.call(end_of_month, &bound, SqlType::Date, Note::None))
        }
        "SWITCHOFFSET" | "TODATETIMEOFFSET" => {
            let scale = if types::is_temporal(args[0].ty) { datetime::scale_of(args[0].ty) } else { 7 };
            let first = if name == "SWITCHOFFSET" { SqlType::DateTimeOffset(scale) } else { SqlType::DateTime2(scale) };
            let wanted = [
                Some(first),
                if types::is_integer(args[1].ty) { Some(SqlType::Int) } else { Some(SqlType::NVarChar(Some(10))) },
            ];
            binder.call_with(with_offset, args, &wanted, SqlType::DateTimeOffset(scale), Note::Text(name.to_owned()))
        }
        "ISDATE" => Ok(binder.call(is_date, &args, SqlType::Int, Note::None)),
        _ => from_parts(binder, name, args),
    }
}

fn from_parts(binder: &mut Binder<'_>, name: &str, args: Vec<Bound>) -> Result<Bound> {
    let scale =
        args.last().and_then(|bound| bound.literal).and_then(|scale| u8::try_from(scale).ok()).unwrap_or(7).min(7);
    let ty = match name {
        "DATEFROMPARTS" => SqlType::Date,
        "TIMEFROMPARTS" => SqlType::Time(scale),
        "DATETIMEFROMPARTS" => SqlType::DateTime,
        _ => SqlType::DateTime2(scale),
    };
    let wanted = vec![Some(SqlType::Int); args.len()];
    binder.call_with(parts, args, &wanted, ty, Note::Text(name.to_owned()))
}

fn parts(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let invalid = || {
        SqlError::new(
            289,
            format!(
                "Cannot construct data type {}, some of the arguments have values which are not valid.",
                types::name(call.operation.result)
            ),
        )
    };
    let small = |at: usize| u32::try_from(integer(args, at)).map_err(|_| invalid());
    let has_date = call.operation.result != SqlType::Time(datetime::scale_of(call.operation.result));
    let day = if has_date {
        datetime::days(i32::try_from(integer(args, 0)).map_err(|_| invalid())?, small(1)?, small(2)?)
            .ok_or_else(invalid)?
    } else {
        datetime::BASE_1900
    };
    let from = if has_date { 3 } else { 0 };
    let mut ticks = 0;
    if args.len() > from {
        let (hour, minute, second, fraction) =
            (small(from)?, small(from + 1)?, small(from + 2)?, i64::from(small(from + 3)?));
        if hour > 23 || minute > 59 || second > 59 {
            return Err(invalid());
        }
        let unit = if call.operation.result == SqlType::DateTime {
            10_000
        } else {
            10_i64.pow(u32::from(7 - datetime::scale_of(call.operation.result)))
        };
        if fraction * unit >= SECOND {
            return Err(invalid());
        }
        ticks = i64::from(hour * 3600 + minute * 60 + second) * SECOND + fraction * unit;
    }
    datetime::from_moment(Moment { day, ticks, offset: None }, call.operation.result)
}

fn value_of(args: &[Value], at: usize) -> Option<Moment> {
    args.get(at).and_then(datetime::moment)
}

/// DATEPART.
pub fn part_of(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let Some(moment) = value_of(args, 0) else { return Ok(Value::Null) };
    Ok(Value::Int(number(call.text(), moment)))
}

fn number(part: &str, moment: Moment) -> i64 {
    let Moment { day, ticks, offset } = moment;
    let (year, month, date) = datetime::civil(day);
    let first = datetime::days(year, 1, 1).unwrap_or(day);
    match part {
        "year" => i64::from(year),
        "quarter" => i64::from((month - 1) / 3 + 1),
        "month" => i64::from(month),
        "day" => i64::from(date),
        "dayofyear" => i64::from(day - first + 1),
        // Weeks begin on Sunday; 0001-01-01 was a Monday.
        "weekday" => i64::from((day + 1) % 7 + 1),
        "week" => i64::from((day - first + (first + 1) % 7) / 7 + 1),
        "iso_week" => chrono::NaiveDate::from_num_days_from_ce_opt(day + 1)
            .map_or(0, |date| i64::from(chrono::Datelike::iso_week(&date).week())),
        "hour" => ticks / (3600 * SECOND),
        "minute" => ticks / (60 * SECOND) % 60,
        "second" => ticks / SECOND % 60,
        "millisecond" => ticks % SECOND / 10_000,
        "microsecond" => ticks % SECOND / 10,
        "nanosecond" => ticks % SECOND * 100,
        _ => i64::from(offset.unwrap_or(0)),
    }
}

/// DATENAME.
pub fn name_of(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let Some(moment) = value_of(args, 0) else { return Ok(Value::Null) };
    let number = number(call.text(), moment);
    let months = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let pick = |list: &[&str]| {
        list.get(usize::try_from(number - 1).unwrap_or(0)).map_or(String::new(), |name| (*name).to_owned())
    };
    Ok(Value::Text(match call.text() {
        "month" => pick(&months),
        "weekday" => pick(&days),
        _ => number.to_string(),
    }))
}

fn add_months(moment: Moment, months: i64) -> Option<Moment> {
    let (year, month, date) = datetime::civil(moment.day);
    let total = i64::from(year) * 12 + i64::from(month) - 1 + months;
    let (year, month) = (i32::try_from(total.div_euclid(12)).ok()?, u32::try_from(total.rem_euclid(12)).ok()? + 1);
    let day = (0..4).find_map(|less| datetime::days(year, month, date.saturating_sub(less)))?;
    Some(Moment { day, ..moment })
}

/// DATEADD.
pub fn add(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let Some(moment) = value_of(args, 1) else { return Ok(Value::Null) };
    if any_null(args) {
        return Ok(Value::Null);
    }
    let ty = call.operation.result;
    let count = integer(args, 0);
    let failed = || SqlError::new(517, format!("Adding a value to a '{}' column caused an overflow.", types::name(ty)));
    let part = call.text();
    let time_part = matches!(part, "hour" | "minute" | "second" | "millisecond" | "microsecond" | "nanosecond");
    if (ty == SqlType::Date && time_part) || (matches!(ty, SqlType::Time(_)) && !time_part) {
        return Err(SqlError::new(
            9810,
            format!("The datepart {part} is not supported by date function dateadd for data type {}.", types::name(ty)),
        ));
    }
    let moved = match part {
        "year" => add_months(moment, count.saturating_mul(12)),
        "quarter" => add_months(moment, count.saturating_mul(3)),
        "month" => add_months(moment, count),
        "day" | "dayofyear" | "weekday" | "week" => {
            let days = if part == "week" { count.saturating_mul(7) } else { count };
            i32::try_from(days).ok().and_then(|days| moment.day.checked_add(days)).map(|day| Moment { day, ..moment })
        }
        _ => {
            let ticks = match part {
                "hour" => i128::from(count) * 3600 * i128::from(SECOND),
                "minute" => i128::from(count) * 60 * i128::from(SECOND),
                "second" => i128::from(count) * i128::from(SECOND),
                "millisecond" => i128::from(count) * 10_000,
                "microsecond" => i128::from(count) * 10,
                _ => i128::from(count) / 100,
            };
            let total = i128::from(moment.day) * i128::from(DAY) + i128::from(moment.ticks) + ticks;
            let (day, ticks) = (total.div_euclid(i128::from(DAY)), total.rem_euclid(i128::from(DAY)));
            i32::try_from(day).ok().map(|day| Moment { day, ticks: i64::try_from(ticks).unwrap_or_default(), ..moment })
        }
    };
    let moved = moved.ok_or_else(failed)?;
    if matches!(ty, SqlType::Time(_)) {
        return datetime::from_moment(Moment { day: datetime::BASE_1900, ..moved }, ty);
    }
    if !(0..=datetime::LAST_DAY).contains(&moved.day) {
        return Err(failed());
    }
    datetime::from_moment(moved, ty).map_err(|_| failed())
}

/// DATEDIFF: boundaries crossed.
pub fn difference(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let (Some(from), Some(to)) = (value_of(args, 0), value_of(args, 1)) else { return Ok(Value::Null) };
    // Offsets are compared in UTC.
    let utc = |moment: Moment| {
        datetime::normal(moment.day, moment.ticks - i64::from(moment.offset.unwrap_or(0)) * 60 * SECOND)
    };
    let ((d1, t1), (d2, t2)) = (utc(from), utc(to));
    let months = |day: i32| {
        let (year, month, _) = datetime::civil(day);
        i64::from(year) * 12 + i64::from(month) - 1
    };
    let steps = |unit: i64| {
        let count = |day: i32, ticks: i64| i128::from(day) * i128::from(DAY / unit) + i128::from(ticks / unit);
        i64::try_from(count(d2, t2) - count(d1, t1)).unwrap_or(i64::MAX)
    };
    let value = match call.text() {
        "year" => months(d2).div_euclid(12) - months(d1).div_euclid(12),
        "quarter" => months(d2).div_euclid(3) - months(d1).div_euclid(3),
        "month" => months(d2) - months(d1),
        "day" | "dayofyear" | "weekday" => i64::from(d2 - d1),
        "week" | "iso_week" => i64::from((d2 + 1).div_euclid(7) - (d1 + 1).div_euclid(7)),
        "hour" => steps(3600 * SECOND),
        "minute" => steps(60 * SECOND),
        "second" => steps(SECOND),
        "millisecond" => steps(10_000),
        "microsecond" => steps(10),
        _ => steps(1).saturating_mul(100),
    };
    if call.operation.result == SqlType::Int && i32::try_from(value).is_err() {
        return Err(SqlError::new(
            535,
            "The datediff function resulted in an overflow. The number of dateparts separating two date/time instances is too large. Try to use datediff with a less precise datepart.",
        ));
    }
    Ok(Value::Int(value))
}

/// DATETRUNC.
pub fn truncate(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let Some(moment) = value_of(args, 0) else { return Ok(Value::Null) };
    let (year, month, _) = datetime::civil(moment.day);
    let first = |month| datetime::days(year, month, 1).unwrap_or(moment.day);
    let unit = match call.text() {
        "hour" => 3600 * SECOND,
        "minute" => 60 * SECOND,
        "second" => SECOND,
        "millisecond" => 10_000,
        "microsecond" => 10,
        _ => DAY,
    };
    let day = match call.text() {
        "year" => first(1),
        "quarter" => first((month - 1) / 3 * 3 + 1),
        "month" => first(month),
        "week" => moment.day - (moment.day + 1) % 7,
        _ => moment.day,
    };
    datetime::from_moment(Moment { day, ticks: moment.ticks / unit * unit, ..moment }, call.operation.result)
}

fn end_of_month(_: &Call<'_>, args: &[Value]) -> Result<Value> {
    let Some(moment) = value_of(args, 0) else { return Ok(Value::Null) };
    let months = integer(args, 1);
    let (year, month, _) = datetime::civil(moment.day);
    let first = Moment { day: datetime::days(year, month, 1).unwrap_or(0), ticks: 0, offset: None };
    let next = add_months(first, months + 1).ok_or_else(|| overflow("expression to data type date"))?;
    Ok(Value::Date(next.day - 1))
}

fn offset_of(value: &Value) -> Result<i16> {
    let invalid = || SqlError::new(9812, "The timezone provided to builtin function is invalid.");
    match value {
        Value::Int(minutes) => i16::try_from(*minutes).ok().filter(|minutes| minutes.abs() <= 840).ok_or_else(invalid),
        Value::Text(text) => {
            let moment = datetime::parse(&format!("2000-01-01 00:00 {text}")).and_then(|moment| moment.offset);
            moment.ok_or_else(invalid)
        }
        _ => Err(invalid()),
    }
}

fn with_offset(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let offset = offset_of(&args[1])?;
    match &args[0] {
        Value::DateTimeOffset(day, ticks, _) => Ok(Value::DateTimeOffset(*day, *ticks, offset)),
        Value::DateTime(day, ticks) => {
            datetime::from_moment(Moment { day: *day, ticks: *ticks, offset: Some(offset) }, call.operation.result)
        }
        _ => Ok(Value::Null),
    }
}

/// AT TIME ZONE, for the zone UTC.
pub fn at_time_zone(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let Value::Text(zone) = &args[1] else { return Ok(Value::Null) };
    if !zone.eq_ignore_ascii_case("UTC") {
        return Err(SqlError::new(
            9820,
            format!("The time zone parameter '{zone}' provided to AT TIME ZONE clause is invalid."),
        ));
    }
    match &args[0] {
        Value::DateTimeOffset(day, ticks, _) => Ok(Value::DateTimeOffset(*day, *ticks, 0)),
        Value::DateTime(day, ticks) => {
            datetime::from_moment(Moment { day: *day, ticks: *ticks, offset: Some(0) }, call.operation.result)
        }
        _ => Ok(Value::Null),
    }
}

fn is_date(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let target = super::super::values::convert::Target::of(SqlType::DateTime);
    let good = match &args[0] {
        Value::Text(text) if !text.trim().is_empty() => {
            super::super::values::convert::convert(&args[0], call.arg(0), target).is_ok()
        }
        Value::DateTime(..) => true,
        _ => false,
    };
    Ok(Value::Int(i64::from(good)))
}
