//! Which tables have nothing to extract: asked in few statements for all, so that an idle table costs nothing more.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Utc;

use crate::error::{Error, Kind, Result};
use crate::manifest::Manifest;
use crate::position::Position;
use crate::source::{Capture, Source, SourceInfo};

/// How long a source keeps history where nothing tells: the default of its cleanup job.
const DEFAULT_RETENTION: Duration = Duration::from_hours(72);

/// A table's newest batch and the instance that the next would be read from; a table that lacks one is not idle.
pub type Place<'a> = (Option<&'a Manifest>, Option<&'a Capture>);

/// Whether a table's place must be renewed by an empty batch, before cleanup passes it.
pub fn is_stale(tail: &Manifest, info: &SourceInfo) -> bool {
    age(tail, info) > info.retention.unwrap_or(DEFAULT_RETENTION) / 4
}

/// How long ago a table's newest batch ended.
pub fn age(tail: &Manifest, _: &SourceInfo) -> Duration {
    let since = tail.committed.as_ref().map_or(tail.written_at, |committed| committed.utc);
    (Utc::now() - since).to_std().unwrap_or_default()
}

/// For each table, whether nothing changed up to the cut and nothing else is due. What is doubtful, such as a source
/// that may have been restored, is not idle: its own work names it.
///
/// # Errors
/// The connection failed. What the source refuses makes tables not idle.
pub async fn idle<S: Source>(
    source: &mut S,
    info: &SourceInfo,
    maximum: &Position,
    cut: &Position,
    places: &[Place<'_>],
) -> Result<Vec<bool>> {
    let mut positions: Vec<_> =
        places.iter().filter_map(|(tail, _)| tail.filter(|tail| tail.committed.is_some())).collect();
    positions.sort_by(|left, right| left.window.to.cmp(&right.window.to));
    positions.dedup_by(|left, right| left.window.to == right.window.to);
    let positions: Vec<_> = positions.into_iter().map(|tail| tail.window.to.clone()).collect();
    let times = unless_refused(source.commit_times(&positions).await)?.unwrap_or_default();
    let quiet: Vec<_> = places.iter().map(|place| quiet(*place, info, maximum, &times)).collect();
    let windows: Vec<_> = quiet
        .iter()
        .flatten()
        .filter(|(tail, _)| tail.window.to < *cut)
        .map(|(tail, capture)| (*capture, tail.window.to.clone(), cut.clone()))
        .collect();
    let answers = unless_refused(source.changed(&windows).await)?.unwrap_or_else(|| vec![true; windows.len()]);
    let mut answers = answers.into_iter();
    let is_idle = |place: &Option<(&Manifest, &Capture)>| match place {
        None => false,
        Some((tail, _)) if tail.window.to >= *cut => true,
        Some(_) => answers.next() == Some(false),
    };
    Ok(quiet.iter().map(is_idle).collect())
}

/// The place, if only changes could make it not idle.
fn quiet<'a>(
    (tail, capture): Place<'a>,
    info: &SourceInfo,
    maximum: &Position,
    times: &BTreeMap<Position, String>,
) -> Option<(&'a Manifest, &'a Capture)> {
    let (tail, capture) = (tail?, capture?);
    let to = &tail.window.to;
    let same_log = match &tail.committed {
        Some(committed) => *to <= *maximum && times.get(to) == Some(&committed.source),
        None => true,
    };
    let same = same_log && tail.source.difference(&info.fingerprint).is_none();
    (same && capture.start <= *to && !is_stale(tail, info)).then_some((tail, capture))
}

/// What the source refuses to tell of all tables at once, each table's own work finds out.
fn unless_refused<T>(answer: Result<T, Error>) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(error.kind(), Kind::SourceRefused | Kind::SourceRights) => {
            tracing::debug!(%error, "asking each table by itself");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
