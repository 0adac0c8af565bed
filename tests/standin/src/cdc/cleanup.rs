//! Removing old changes: the cleanup job and `sys.sp_cdc_cleanup_change_table`.

use crate::value::SqlError;

use super::clock;
use super::lsn::{self, Lsn};
use super::state::State;

/// How a cleanup fails that meets capture (reference, section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// 22851: the low end could not be raised.
    LowEnd,
    /// 22852: the low end is raised, and the changes below it stay.
    Changes,
    /// 22853: the changes are gone, and their times stay.
    Times,
    /// 22954: an error before anything was done.
    Whole,
}

impl Failure {
    /// The failure of that number.
    pub fn of(number: i64) -> Option<Self> {
        Some(match number {
            22851 => Self::LowEnd,
            22852 => Self::Changes,
            22853 => Self::Times,
            22954 => Self::Whole,
            _ => return None,
        })
    }

    /// What the server says. A deadlock with capture is a message of severity 10, which a caller overlooks who does not
    /// ask for `@fCleanupFailed`.
    pub fn message(self, database: &str) -> SqlError {
        let end = "The error returned was 1205: 'Transaction was deadlocked on lock resources with another process and \
                   has been chosen as the deadlock victim. Rerun the transaction.'.";
        match self {
            Self::LowEnd => SqlError::new(
                22851,
                format!(
                    "Could not update cdc.change_tables to indicate a change in the low water mark for database \
                     {database}. {end}"
                ),
            ),
            Self::Changes => SqlError::new(
                22852,
                format!(
                    "Could not delete change table entries made obsolete by a change in one or more low water marks for \
                     capture instances of database {database}. {end}"
                ),
            )
            .severity(10),
            Self::Times => SqlError::new(
                22853,
                format!("Could not delete obsolete entries in the cdc.lsn_time_mapping table for database {database}. {end}"),
            )
            .severity(10),
            Self::Whole => {
                SqlError::new(22954, format!("Could not clean up change tables of database {database}. {end}"))
            }
        }
    }

    fn stops(self) -> bool {
        matches!(self, Self::LowEnd | Self::Whole)
    }
}

/// One run of the cleanup job: raises the low end of all instances to the first transaction that ended within the
/// retention, then deletes what lies below, then prunes the time mapping. It says nothing where it fails: that is in the
/// job's history.
pub fn run(state: &mut State, retention: i64) {
    let failure = state.cleanup_failures.pop_front();
    let Some(newest) = state.mapping.iter().map(|mapping| mapping.times.1).max() else { return };
    let oldest = clock::minutes_before(newest, retention);
    let kept = state.mapping.iter().filter(|mapping| mapping.times.1 >= oldest).map(|mapping| mapping.start).min();
    let Some(watermark) = kept.filter(|_| !failure.is_some_and(Failure::stops)) else { return };
    for instance in &mut state.instances {
        instance.start_lsn = instance.start_lsn.max(watermark);
    }
    if failure == Some(Failure::Changes) {
        return;
    }
    for instance in &mut state.instances {
        instance.changes.remove_below(instance.start_lsn);
    }
    if failure.is_none() {
        prune_mapping(state);
    }
}

/// Raises the low end of one instance to a watermark and deletes what lies below; without a watermark only deletes
/// what a former call left. Gives how it failed on the way, which leaves the low end raised.
///
/// # Errors
/// 22964 for a watermark that the time mapping does not hold, 22957 for one below the instance's low end.
pub fn change_table(state: &mut State, index: usize, watermark: Option<Lsn>) -> Result<Option<Failure>, SqlError> {
    if let Some(watermark) = watermark {
        let watermark = smallest_of_its_moment(state, watermark)?;
        let max = state.max_lsn().unwrap_or(lsn::ZERO);
        let instance = &mut state.instances[index];
        if watermark.given < instance.start_lsn {
            let message = format!(
                "LSN {}, specified as the new low end point for the change table associated with capture instance \
                 '{}', is not within the Change Data Capture timeline [{}, {}].",
                lsn::text(&watermark.given),
                instance.name,
                lsn::text(&instance.start_lsn),
                lsn::text(&max),
            );
            return Err(SqlError::new(22957, message));
        }
        if !state.cleanup_failures.front().is_some_and(|failure| failure.stops()) {
            instance.start_lsn = instance.start_lsn.max(watermark.smallest);
        }
    }
    let failure = state.cleanup_failures.pop_front();
    if matches!(failure, None | Some(Failure::Times)) {
        let instance = &mut state.instances[index];
        instance.changes.remove_below(instance.start_lsn);
    }
    if failure.is_none() {
        prune_mapping(state);
    }
    Ok(failure)
}

struct Watermark {
    given: Lsn,
    smallest: Lsn,
}

/// Transactions that ended at the same moment share a watermark: the smallest of them.
fn smallest_of_its_moment(state: &State, given: Lsn) -> Result<Watermark, SqlError> {
    let Some(entry) = state.mapping.between(Some(given), Some(given)).next() else {
        let message = format!(
            "LSN {}, specified as the new low end point for change table cleanup must represent the start_lsn value of \
             a current entry in the cdc.lsn_time_mapping table. Choose an LSN value that satisfies this requirement.",
            lsn::text(&given)
        );
        return Err(SqlError::new(22964, message));
    };
    let same = state.mapping.iter().filter(|mapping| mapping.times.1 == entry.times.1);
    Ok(Watermark { given, smallest: same.map(|mapping| mapping.start).min().unwrap_or(given) })
}

/// Forgets the times of transactions below every instance.
fn prune_mapping(state: &mut State) {
    if let Some(lowest) = state.instances.iter().map(|instance| instance.start_lsn).min() {
        // The newest entry stays, or the maximum LSN would vanish.
        let newest = state.max_lsn().unwrap_or(lowest);
        state.mapping.remove_below(lowest.min(newest));
    }
}
