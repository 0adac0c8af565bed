//! Dates and times as COPY reads them: the ISO forms.

use chrono::{DateTime, NaiveDate};

use super::options::TimeFormat;

/// `YYYY-MM-DD` of the years 1 to 9999.
pub fn date(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let formed = bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(place, byte)| if matches!(place, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() });
    let valid = formed && !text.starts_with("0000") && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok();
    valid.then_some(text)
}

/// `HH:MM:SS` with up to six digits of a second.
pub fn time(text: &str) -> Option<&str> {
    let (clock, fraction) = text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let parts: Vec<_> = clock.split(':').collect();
    let [hour, minute, second] = parts.as_slice() else { return None };
    let below = |part: &str, limit: u32| {
        part.len() == 2
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && part.parse::<u32>().is_ok_and(|part| part < limit)
    };
    let fraction = fraction
        .is_none_or(|digits| (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()));
    (below(hour, 24) && below(minute, 60) && below(second, 60) && fraction).then_some(text)
}

/// A zone's offset: `Z`, `+00`, `+0000`, `+00:00`.
fn zone(text: &str) -> bool {
    if text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("utc") {
        return true;
    }
    let Some(digits) = text.strip_prefix(['+', '-']) else { return false };
    let digits = digits.replacen(':', "", 1);
    matches!(digits.len(), 2 | 4) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A time with a zone.
pub fn zoned_time(text: &str) -> Option<&str> {
    let (clock, offset) = split_zone(text);
    (time(clock).is_some() && (offset.is_empty() || zone(offset))).then_some(text)
}

fn split_zone(text: &str) -> (&str, &str) {
    match text.find(['+', '-', 'Z', 'z', 'U', 'u']) {
        Some(at) => (text[..at].trim_end(), &text[at..]),
        None => (text, ""),
    }
}

/// A timestamp; a zone only where the column has one and the form is `auto`.
pub fn timestamp(text: &str, format: TimeFormat, zoned: bool) -> Option<String> {
    match format {
        TimeFormat::EpochSeconds => {
            let seconds: i64 = text.parse().ok()?;
            return DateTime::from_timestamp(seconds, 0)
                .map(|moment| moment.format("%Y-%m-%d %H:%M:%S+00").to_string());
        }
        TimeFormat::EpochMilliseconds => {
            let milliseconds: i64 = text.parse().ok()?;
            let moment = DateTime::from_timestamp_millis(milliseconds)?;
            return Some(moment.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string());
        }
        TimeFormat::Default | TimeFormat::Auto => {}
    }
    let day = date(text.get(..10)?)?;
    let rest = &text[10..];
    if rest.is_empty() {
        return Some(day.to_owned());
    }
    let auto = format == TimeFormat::Auto;
    let clock = rest.strip_prefix(' ').or_else(|| rest.strip_prefix('T').filter(|_| auto))?;
    let (clock, offset) = split_zone(clock);
    time(clock)?;
    let may_have_zone = zoned && auto && zone(offset);
    (offset.is_empty() || may_have_zone).then(|| text.to_owned())
}
