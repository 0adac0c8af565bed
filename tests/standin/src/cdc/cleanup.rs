//! Removing old changes: the cleanup job and `sys.sp_cdc_cleanup_change_table`.

use crate::value::SqlError;

use super::clock;
use super::lsn::{self, Lsn};
use super::state::State;

/// One run of the cleanup job: raises the low end of all instances to the first transaction that ended within the
/// retention, then deletes what lies below, then prunes the time mapping.
pub fn run(state: &mut State, retention: i64) {
    let Some(newest) = state.mapping.iter().map(|mapping| mapping.times.1).max() else { return };
    let oldest = clock::minutes_before(newest, retention);
    let kept = state.mapping.iter().filter(|mapping| mapping.times.1 >= oldest).map(|mapping| mapping.start).min();
    let Some(watermark) = kept else { return };
    for instance in &mut state.instances {
        instance.start_lsn = instance.start_lsn.max(watermark);
    }
    for instance in &mut state.instances {
        instance.changes.remove_below(instance.start_lsn);
    }
    prune_mapping(state);
}

/// Raises the low end of one instance to a watermark and deletes what lies below; without a watermark only deletes
/// what a former call left.
///
/// # Errors
/// 22964 for a watermark that the time mapping does not hold, 22957 for one below the instance's low end.
pub fn change_table(state: &mut State, index: usize, watermark: Option<Lsn>) -> Result<(), SqlError> {
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
        instance.start_lsn = instance.start_lsn.max(watermark.smallest);
    }
    let instance = &mut state.instances[index];
    instance.changes.remove_below(instance.start_lsn);
    prune_mapping(state);
    Ok(())
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
