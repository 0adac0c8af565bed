//! The database's clock: the time as `datetime` holds it, which tests can push forward. SQL Server writes its local
//! time; the stand-in stands in UTC, as `GETDATE()` of its engine does.

use std::time::Duration;

use chrono::{Datelike as _, Timelike as _, Utc};

use crate::value::Value;

/// A moment as `datetime` holds it: days since 0001-01-01, 100 ns ticks since midnight.
pub type Moment = (i32, i64);

/// Ticks in a day.
pub const DAY: i64 = 864_000_000_000;

/// A clock that runs with the machine's, ahead of it by what tests added.
#[derive(Debug, Default)]
pub struct Clock {
    ahead: Duration,
}

impl Clock {
    /// Pushes the clock forward.
    pub fn advance(&mut self, by: Duration) {
        self.ahead += by;
    }

    /// How far it is ahead of the machine's.
    pub fn ahead(&self) -> Duration {
        self.ahead
    }

    /// Now, rounded to the 1/300 s steps of `datetime`.
    pub fn now(&self) -> Moment {
        let ahead = chrono::Duration::from_std(self.ahead).unwrap_or_default();
        let now = Utc::now().naive_utc() + ahead;
        let ticks = i64::from(now.num_seconds_from_midnight()) * 10_000_000 + i64::from(now.nanosecond() / 100);
        datetime(now.num_days_from_ce() - 1, ticks)
    }
}

/// A moment rounded to the 1/300 s steps of `datetime`.
pub fn datetime(day: i32, ticks: i64) -> Moment {
    let steps = (ticks * 3 + 50_000) / 100_000;
    let rounded = (steps * 100_000 + 1) / 3;
    if rounded >= DAY { (day + 1, 0) } else { (day, rounded) }
}

/// A moment some minutes earlier.
pub fn minutes_before(moment: Moment, minutes: i64) -> Moment {
    let ticks = i128::from(moment.0) * i128::from(DAY) + i128::from(moment.1) - i128::from(minutes) * 600_000_000;
    let day = ticks.div_euclid(i128::from(DAY));
    let rest = ticks.rem_euclid(i128::from(DAY));
    (i32::try_from(day).unwrap_or(0).max(0), i64::try_from(rest).unwrap_or(0))
}

/// How long it is from one moment to a later one; nothing if the clock was set back.
pub fn elapsed(from: Moment, to: Moment) -> Duration {
    let ticks = (i128::from(to.0) - i128::from(from.0)) * i128::from(DAY) + i128::from(to.1) - i128::from(from.1);
    Duration::from_nanos(u64::try_from(ticks.max(0) * 100).unwrap_or(u64::MAX))
}

/// A moment as a value of type `datetime`.
pub fn value(moment: Moment) -> Value {
    Value::DateTime(moment.0, moment.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetime_rounds_to_its_steps() {
        // .0016666 rounds to .000, .0016667 to .003, .9983334 to the next second.
        assert_eq!(datetime(5, 16_666), (5, 0));
        assert_eq!(datetime(5, 16_667), (5, 33_333));
        assert_eq!(datetime(5, 9_983_334), (5, 10_000_000));
        assert_eq!(datetime(5, DAY - 1), (6, 0));
    }

    #[test]
    fn minutes_before_crosses_midnight() {
        assert_eq!(minutes_before((10, 600_000_000), 2), (9, DAY - 600_000_000));
    }
}
