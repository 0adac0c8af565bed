//! Dates and times: random ones, and their edges.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Timelike};
use rand::Rng;
use rand::rngs::StdRng;

use super::value::Value;

/// 100 ns ticks in a day.
const DAY: i64 = 24 * 3600 * 10_000_000;

/// A moment: a day counted from 0001-01-01, and ticks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    days: i64,
    ticks: i64,
}

impl Moment {
    pub fn first() -> Self {
        Self { days: 0, ticks: 0 }
    }

    pub fn last() -> Self {
        Self { days: 3_652_058, ticks: DAY - 1 }
    }

    pub fn random(rng: &mut StdRng) -> Self {
        // Most of them near enough to now that a person would have written them.
        let days =
            if rng.random_bool(0.3) { rng.random_range(0..=3_652_058) } else { rng.random_range(693_595..760_000) };
        Self { days, ticks: rng.random_range(0..DAY) }
    }

    /// Cut to so many digits of a second.
    pub fn cut(self, digits: u32) -> Self {
        Self { ticks: self.ticks - self.ticks % 10i64.pow(7 - digits), ..self }
    }

    /// Moved by minutes; none beyond the first and last day.
    fn moved(self, minutes: i64) -> Option<Self> {
        let ticks = self.ticks + minutes * 600_000_000;
        let days = self.days + ticks.div_euclid(DAY);
        (0..=3_652_058).contains(&days).then_some(Self { days, ticks: ticks.rem_euclid(DAY) })
    }

    pub fn date(self) -> String {
        let date = NaiveDate::from_num_days_from_ce_opt(i32::try_from(self.days).unwrap() + 1).unwrap();
        format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
    }

    /// `HH:MM:SS`, and the digits of the second that are asked for.
    pub fn time(self, digits: usize) -> String {
        let seconds = self.ticks / 10_000_000;
        let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        let fraction = format!("{:07}", self.ticks % 10_000_000);
        if digits == 0 { clock } else { format!("{clock}.{}", &fraction[..digits]) }
    }

    /// The time as PostgreSQL prints it: no zeros at its end.
    fn printed(self) -> String {
        let text = self.time(6);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// Whether there is more than so many digits of a second.
    fn exceeds(self, digits: u32) -> bool {
        self.ticks % 10i64.pow(7 - digits) != 0
    }
}

fn lossy(value: Value, losses: &[(bool, &'static str)]) -> Value {
    losses.iter().filter(|(lost, _)| *lost).fold(value, |value, (_, loss)| value.losing(&[loss]))
}

/// A time of so many digits.
pub fn time(moment: Moment, digits: u32) -> Value {
    let moment = moment.cut(digits);
    let value = Value::quoted(moment.time(digits as usize), moment.cut(6).printed());
    lossy(value, &[(moment.exceeds(6), "digits")])
}

/// A `datetime2` of so many digits, in a target type of `kept` digits.
pub fn datetime2(moment: Moment, digits: u32, kept: u32) -> Value {
    let moment = moment.cut(digits);
    let source = format!("{}T{}", moment.date(), moment.time(digits as usize));
    let target = format!("{} {}", moment.date(), moment.cut(kept).printed());
    lossy(Value::quoted(source, target), &[(moment.exceeds(kept), "digits")])
}

/// A `datetime2` of so many digits in a `date`.
pub fn day(moment: Moment, digits: u32) -> Value {
    let moment = moment.cut(digits);
    let source = format!("{}T{}", moment.date(), moment.time(digits as usize));
    lossy(Value::quoted(source, moment.date()), &[(moment.ticks != 0, "digits")])
}

/// A `datetimeoffset` of so many digits, whose clock is so many minutes ahead.
pub fn offset(moment: Moment, digits: u32, minutes: i64) -> Value {
    let utc = moment.cut(digits);
    let (utc, minutes) = if utc.moved(minutes).is_some() { (utc, minutes) } else { (utc, 0) };
    let local = utc.moved(minutes).unwrap();
    let sign = if minutes < 0 { '-' } else { '+' };
    let zone = format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
    let source = format!("{} {} {zone}", local.date(), local.time(digits as usize));
    let target = format!("{} {}+00", utc.date(), utc.cut(6).printed());
    lossy(Value::quoted(source, target), &[(utc.exceeds(6), "digits"), (minutes != 0, "offset")])
}

/// A `datetime`: a day from 1753 on, and three-hundredths of a second.
pub fn datetime(days_from_1900: i32, fragments: u32) -> Value {
    let milliseconds =
        i64::from(fragments / 300) * 1000 + [0, 3, 7][(fragments % 3) as usize] + i64::from(fragments % 300 / 3) * 10;
    let moment = NaiveDate::from_ymd_opt(1900, 1, 1).unwrap().and_hms_opt(0, 0, 0).unwrap()
        + TimeDelta::days(days_from_1900.into())
        + TimeDelta::milliseconds(milliseconds);
    let source = moment.format("%Y-%m-%dT%H:%M:%S%.3f").to_string();
    Value::quoted(source, printed(moment))
}

/// A `smalldatetime`: a day and a minute.
pub fn smalldatetime(days_from_1900: u16, minutes: u16) -> Value {
    let moment =
        DateTime::from_timestamp(i64::from(days_from_1900) * 86_400 - 2_208_988_800 + i64::from(minutes) * 60, 0);
    let moment = moment.unwrap().naive_utc();
    Value::quoted(moment.format("%Y-%m-%dT%H:%M:%S").to_string(), printed(moment))
}

fn printed(moment: NaiveDateTime) -> String {
    let second = moment.format("%Y-%m-%d %H:%M:%S").to_string();
    match moment.nanosecond() / 1_000_000 {
        0 => second,
        milliseconds => format!("{second}.{}", format!("{milliseconds:03}").trim_end_matches('0')),
    }
}
