//! Dates and times: days since 0001-01-01 and 100 ns ticks since midnight, read and written as T-SQL does.

use super::super::error::Result;
use crate::value::{SqlError, SqlType, Value};

/// Ticks of a day.
pub const DAY: i64 = 864_000_000_000;
/// Ticks of a second.
pub const SECOND: i64 = 10_000_000;
/// 1900-01-01.
pub const BASE_1900: i32 = 693_595;
/// 1753-01-01, the first day of datetime.
pub const FIRST_DATETIME: i32 = 639_905;
/// 9999-12-31.
pub const LAST_DAY: i32 = 3_652_058;

/// Days since 0001-01-01 of a civil date, if there is such a day.
pub fn days(year: i32, month: u32, day: u32) -> Option<i32> {
    let date = chrono::NaiveDate::from_ymd_opt(year, month, day)?;
    (1..=9999).contains(&year).then(|| chrono::Datelike::num_days_from_ce(&date) - 1)
}

/// Year, month and day of a day.
pub fn civil(day: i32) -> (i32, u32, u32) {
    let date = chrono::NaiveDate::from_num_days_from_ce_opt(day + 1).unwrap_or_default();
    (chrono::Datelike::year(&date), chrono::Datelike::month(&date), chrono::Datelike::day(&date))
}

/// Day and ticks with the ticks brought into one day.
pub fn normal(day: i32, ticks: i64) -> (i32, i64) {
    (day + i32::try_from(ticks.div_euclid(DAY)).unwrap_or_default(), ticks.rem_euclid(DAY))
}

/// Ticks rounded to so many digits of a second.
pub fn round_ticks(ticks: i64, scale: u8) -> i64 {
    let unit = 10_i64.pow(u32::from(7 - scale.min(7)));
    (ticks + unit / 2) / unit * unit
}

/// Ticks rounded to datetime's steps of 1/300 second.
pub fn round_datetime(day: i32, ticks: i64) -> (i32, i64) {
    let steps = (ticks * 300 + SECOND / 2) / SECOND;
    normal(day, (steps * SECOND + 150) / 300)
}

/// A temporal value in general form: day, ticks, offset in minutes where it has one. Local, not UTC.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Day.
    pub day: i32,
    /// Ticks since midnight.
    pub ticks: i64,
    /// Offset.
    pub offset: Option<i16>,
}

/// The moment in a value; a time falls on 1900-01-01.
pub fn moment(value: &Value) -> Option<Moment> {
    Some(match value {
        Value::Date(day) => Moment { day: *day, ticks: 0, offset: None },
        Value::Time(ticks) => Moment { day: BASE_1900, ticks: *ticks, offset: None },
        Value::DateTime(day, ticks) => Moment { day: *day, ticks: *ticks, offset: None },
        Value::DateTimeOffset(day, ticks, offset) => {
            let (day, ticks) = normal(*day, ticks + i64::from(*offset) * 60 * SECOND);
            Moment { day, ticks, offset: Some(*offset) }
        }
        _ => return None,
    })
}

/// The value of a temporal type for a moment.
pub fn from_moment(moment: Moment, ty: SqlType) -> Result<Value> {
    let range = || {
        SqlError::new(
            242,
            format!(
                "The conversion of a datetime2 data type to a {} data type resulted in an out-of-range value.",
                super::types::name(ty)
            ),
        )
        .state(3)
    };
    let Moment { day, ticks, offset } = moment;
    let value = match ty {
        SqlType::Date => Value::Date(day),
        SqlType::Time(scale) => Value::Time(round_ticks(ticks, scale).rem_euclid(DAY)),
        SqlType::SmallDateTime => {
            let minute = 60 * SECOND;
            // 29.998 s and less round down: the text is taken in thousandths.
            let (day, ticks) = normal(day, (round_ticks(ticks, 3) + minute / 2 + 10_000) / minute * minute);
            if !(BASE_1900..=BASE_1900 + 65_535).contains(&day) {
                return Err(range());
            }
            Value::DateTime(day, ticks)
        }
        SqlType::DateTime => {
            let (day, ticks) = round_datetime(day, ticks);
            if !(FIRST_DATETIME..=LAST_DAY).contains(&day) {
                return Err(range());
            }
            Value::DateTime(day, ticks)
        }
        SqlType::DateTime2(scale) => {
            let (day, ticks) = normal(day, round_ticks(ticks, scale));
            if !(0..=LAST_DAY).contains(&day) {
                return Err(range());
            }
            Value::DateTime(day, ticks)
        }
        SqlType::DateTimeOffset(scale) => {
            let offset = offset.unwrap_or(0);
            let (day, ticks) = normal(day, round_ticks(ticks, scale) - i64::from(offset) * 60 * SECOND);
            if !(0..=LAST_DAY).contains(&day) {
                return Err(range());
            }
            Value::DateTimeOffset(day, ticks, offset)
        }
        _ => return Err(range()),
    };
    Ok(value)
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn clock(ticks: i64) -> (i64, i64, i64, i64) {
    let seconds = ticks / SECOND;
    (seconds / 3600, seconds / 60 % 60, seconds % 60, ticks % SECOND)
}

fn fraction(ticks: i64, scale: u8) -> String {
    if scale == 0 { String::new() } else { format!(".{}", &format!("{ticks:07}")[..usize::from(scale)]) }
}

fn offset_text(offset: i16) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
}

/// Digits of a second that a type shows.
pub fn scale_of(ty: SqlType) -> u8 {
    match ty {
        SqlType::Time(scale) | SqlType::DateTime2(scale) | SqlType::DateTimeOffset(scale) => scale,
        SqlType::DateTime => 3,
        _ => 0,
    }
}

/// The text of a temporal value in a CONVERT style.
pub fn format(value: &Value, ty: SqlType, style: i32) -> Result<String> {
    let Some(Moment { day, ticks, offset }) = moment(value) else { return Ok(String::new()) };
    let (year, month, date) = civil(day);
    let (hour, minute, second, rest) = clock(ticks);
    let scale = scale_of(ty);
    // datetime shows its 1/300 s steps in thousandths, rounded.
    let rest = if ty == SqlType::DateTime { (rest + 5_000) / 10_000 * 10_000 } else { rest };
    let fraction = fraction(rest, scale);
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    let half = if hour < 12 { "AM" } else { "PM" };
    let month_name = MONTHS[usize::try_from(month - 1).unwrap_or(0)];
    let short = year % 100;
    let (has_date, has_time) = (!matches!(ty, SqlType::Time(_)), ty != SqlType::Date);
    let zone = offset.map(|offset| format!(" {}", offset_text(offset))).unwrap_or_default();
    let iso_time = format!("{hour:02}:{minute:02}:{second:02}{fraction}");
    let newer = matches!(ty, SqlType::Date | SqlType::Time(_) | SqlType::DateTime2(_) | SqlType::DateTimeOffset(_));
    let iso_date = format!("{year:04}-{month:02}-{date:02}");
    let style = if style == 0 && newer { 121 } else { style };
    Ok(match style {
        20 | 120 | 21 | 25 | 121 => {
            let time = if style % 100 == 20 {
                format!("{hour:02}:{minute:02}:{second:02}")
            } else if ty == SqlType::SmallDateTime {
                format!("{iso_time}.000")
            } else {
                iso_time
            };
            match (has_date, has_time) {
                (true, true) => format!("{iso_date} {time}{zone}"),
                (true, false) => iso_date,
                _ => time,
            }
        }
        126 | 127 => {
            let fraction = if rest == 0 && matches!(ty, SqlType::DateTime) { String::new() } else { fraction };
            let zone = match offset {
                Some(_) if style == 127 => "Z".to_owned(),
                Some(offset) => offset_text(offset),
                None => String::new(),
            };
            let (iso_date, time) = if style == 127 && offset.is_some() {
                let (day, ticks) = normal(day, ticks - i64::from(offset.unwrap_or(0)) * 60 * SECOND);
                let ((year, month, date), (hour, minute, second, _)) = (civil(day), clock(ticks));
                (format!("{year:04}-{month:02}-{date:02}"), format!("{hour:02}:{minute:02}:{second:02}{fraction}"))
            } else {
                (iso_date, format!("{hour:02}:{minute:02}:{second:02}{fraction}"))
            };
            match (has_date, has_time) {
                (true, true) => format!("{iso_date}T{time}{zone}"),
                (true, false) => iso_date,
                _ => time,
            }
        }
        23 => iso_date,
        0 | 100 => {
            if has_time && has_date {
                format!("{month_name} {date:>2} {year:04} {twelve:>2}:{minute:02}{half}")
            } else if has_date {
                format!("{month_name} {date:>2} {year:04}")
            } else {
                format!("{twelve:>2}:{minute:02}{half}")
            }
        }
        1 => format!("{month:02}/{date:02}/{short:02}"),
        101 => format!("{month:02}/{date:02}/{year:04}"),
        2 => format!("{short:02}.{month:02}.{date:02}"),
        102 => format!("{year:04}.{month:02}.{date:02}"),
        3 => format!("{date:02}/{month:02}/{short:02}"),
        103 => format!("{date:02}/{month:02}/{year:04}"),
        4 => format!("{date:02}.{month:02}.{short:02}"),
        104 => format!("{date:02}.{month:02}.{year:04}"),
        5 => format!("{date:02}-{month:02}-{short:02}"),
        105 => format!("{date:02}-{month:02}-{year:04}"),
        6 => format!("{date:02} {month_name} {short:02}"),
        106 => format!("{date:02} {month_name} {year:04}"),
        7 => format!("{month_name} {date:02}, {short:02}"),
        107 => format!("{month_name} {date:02}, {year:04}"),
        8 | 24 | 108 => format!("{hour:02}:{minute:02}:{second:02}"),
        10 => format!("{month:02}-{date:02}-{short:02}"),
        110 => format!("{month:02}-{date:02}-{year:04}"),
        11 => format!("{short:02}/{month:02}/{date:02}"),
        111 => format!("{year:04}/{month:02}/{date:02}"),
        12 => format!("{short:02}{month:02}{date:02}"),
        112 => format!("{year:04}{month:02}{date:02}"),
        13 | 113 => format!("{date:02} {month_name} {year:04} {hour:02}:{minute:02}:{second:02}:{:03}", rest / 10_000),
        14 | 114 => format!("{hour:02}:{minute:02}:{second:02}:{:03}", rest / 10_000),
        _ => {
            return Err(SqlError::new(
                281,
                format!(
                    "{style} is not a valid style number when converting from {} to a character string.",
                    super::types::name(ty)
                ),
            ));
        }
    })
}

/// Reads a date, a time or both, with an offset if there is one. Neither part: `None`.
pub fn parse(text: &str) -> Option<Moment> {
    let text = text.trim();
    if text.is_empty() {
        return Some(Moment { day: BASE_1900, ticks: 0, offset: None });
    }
    let (text, offset) = split_offset(text)?;
    let text = text.trim_end();
    let (date_part, time_part) = split_time(text);
    let day = if date_part.is_empty() { BASE_1900 } else { parse_date(date_part)? };
    let ticks = if time_part.is_empty() { 0 } else { parse_time(time_part)? };
    Some(Moment { day, ticks, offset })
}

fn split_offset(text: &str) -> Option<(&str, Option<i16>)> {
    if let Some(rest) = text.strip_suffix(['Z', 'z']) {
        return rest.contains(':').then_some((rest, Some(0)));
    }
    let Some(at) = text.rfind(['+', '-']).filter(|at| text[..*at].contains(':')) else { return Some((text, None)) };
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let (hours, minutes): (i16, i16) = (hours.parse().ok()?, minutes.parse().ok()?);
    if hours > 14 || minutes > 59 || (hours == 14 && minutes > 0) {
        return None;
    }
    let total = hours * 60 + minutes;
    Some((&text[..at], Some(if text.as_bytes()[at] == b'-' { -total } else { total })))
}

fn split_time(text: &str) -> (&str, &str) {
    let Some(colon) = text.find(':') else {
        let upper = text.to_ascii_uppercase();
        if (upper.ends_with("AM") || upper.ends_with("PM")) && !text.contains(['-', '/']) && text.len() <= 5 {
            return ("", text);
        }
        return (text, "");
    };
    match text[..colon].rfind([' ', 'T', 't']) {
        Some(at) => (text[..at].trim_end(), &text[at + 1..]),
        None => ("", text),
    }
}

fn parse_date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.iter().all(u8::is_ascii_digit) {
        let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
        return match bytes.len() {
            8 => days(i32::try_from(number(0..4)?).ok()?, number(4..6)?, number(6..8)?),
            6 => days(century(number(0..2)?), number(2..4)?, number(4..6)?),
            4 => days(i32::try_from(number(0..4)?).ok()?, 1, 1),
            _ => None,
        };
    }
    if bytes.iter().any(u8::is_ascii_alphabetic) {
        return parse_named(text);
    }
    let parts: Vec<&str> = text.split(['-', '/', '.']).collect();
    let [a, b, c] = parts.as_slice() else { return None };
    if a.len() == 4 {
        return days(a.parse().ok()?, b.parse().ok()?, c.parse().ok()?);
    }
    let year = if c.len() == 4 { c.parse().ok()? } else { century(c.parse().ok()?) };
    days(year, a.parse().ok()?, b.parse().ok()?)
}

fn century(year: u32) -> i32 {
    i32::try_from(if year < 50 { 2000 + year } else { 1900 + year }).unwrap_or(0)
}

/// `Jan 2 2020`, `2 January 2020`, `January 2, 2020`.
fn parse_named(text: &str) -> Option<i32> {
    let mut month = None;
    let mut numbers = Vec::new();
    for part in text.split([' ', ',', '-']).filter(|part| !part.is_empty()) {
        if part.as_bytes()[0].is_ascii_alphabetic() {
            let found = MONTHS
                .iter()
                .position(|m| part.len() >= 3 && part.is_char_boundary(3) && part[..3].eq_ignore_ascii_case(m))?;
            month = Some(u32::try_from(found + 1).ok()?);
        } else {
            numbers.push(part);
        }
    }
    let [first, second] = numbers.as_slice() else { return None };
    let (date, year) = if first.len() == 4 { (second, first) } else { (first, second) };
    let year = if year.len() == 4 { year.parse().ok()? } else { century(year.parse().ok()?) };
    days(year, month?, date.parse().ok()?)
}

fn parse_time(text: &str) -> Option<i64> {
    let upper = text.trim().to_ascii_uppercase();
    let (body, half) = match (upper.strip_suffix("AM"), upper.strip_suffix("PM")) {
        (Some(body), _) => (body.trim_end(), Some(0)),
        (_, Some(body)) => (body.trim_end(), Some(12)),
        _ => (upper.as_str(), None),
    };
    let parts: Vec<&str> = body.split(':').collect();
    let mut hour: i64 = parts.first()?.parse().ok()?;
    if let Some(half) = half {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + half;
    }
    let minute: i64 = parts.get(1).map_or(Some(0), |part| part.parse().ok())?;
    let (seconds, digits) = match (parts.get(2), parts.get(3)) {
        (None, _) => ("0", String::new()),
        (Some(seconds), Some(thousandths)) => (*seconds, format!("{thousandths:0>3}")),
        (Some(seconds), None) => seconds.split_once('.').map_or((*seconds, String::new()), |(s, f)| (s, f.to_owned())),
    };
    let second: i64 = seconds.parse().ok()?;
    if hour > 23 || minute > 59 || second > 59 || parts.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The eighth digit rounds, as in a conversion to time(7).
    let fraction =
        if digits.is_empty() { 0 } else { (format!("{digits:0<8}").get(..8)?.parse::<i64>().ok()? + 5) / 10 };
    Some(((hour * 60 + minute) * 60 + second) * SECOND + fraction)
}

/// A moment so much later.
pub fn later(moment: Moment, by: std::time::Duration) -> Moment {
    let ticks = i64::try_from(by.as_nanos() / 100).unwrap_or_default();
    let (day, ticks) = normal(moment.day, moment.ticks + ticks);
    Moment { day, ticks, ..moment }
}

/// The present moment, local to the server (which runs in UTC).
pub fn now() -> Moment {
    let now = chrono::Utc::now();
    let ticks = i64::from(chrono::Timelike::num_seconds_from_midnight(&now)) * SECOND
        + i64::from(chrono::Timelike::nanosecond(&now)) / 100;
    Moment { day: chrono::Datelike::num_days_from_ce(&now.date_naive()) - 1, ticks, offset: None }
}
