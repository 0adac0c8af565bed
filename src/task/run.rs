//! `run`: check, extract and load in order, for a machine without Airflow.

use super::summary::Report;
use super::{Context, check, extract, load};

/// Runs one round. A task that fails as a whole ends it; one table's failure does not.
pub async fn round(context: &Context) -> Report {
    let mut report = Report::new("run", &context.config.sync.name);
    let checked = Box::pin(check::check(context, check::Options::default())).await;
    let stopped = checked.exit_code() != 0 && checked.failed_as_a_whole();
    report.absorb(checked);
    if stopped {
        return report;
    }
    let extracted = Box::pin(extract::extract(context, None)).await;
    report.absorb(extracted);
    let loaded = Box::pin(load::load(context)).await;
    report.absorb(loaded);
    report
}
