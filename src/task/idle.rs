//! Which tables have nothing to extract: asked in few statements for all, so that an idle table costs nothing more.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::manifest::{CommitTime, Manifest};
use crate::position::Position;
use crate::source::{Answer, Capture, Committed, Question, Source, SourceInfo};

/// How long a source keeps history where nothing tells: the default of its cleanup job.
const DEFAULT_RETENTION: Duration = Duration::from_hours(72);

/// What is known of a table before the source is asked.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its newest batch; a table without one is not idle.
    pub tail: Option<&'a Manifest>,
    /// The instance that the next would be read from; a table without one is not idle.
    pub capture: Option<&'a Capture>,
    /// Whether history may be purged up to the tail.
    pub purges: bool,
    /// Whether its place may be renewed without work of its own.
    pub renews: bool,
}

/// What the source says of a table's place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Whether nothing changed up to the cut and nothing else is due.
    pub idle: bool,
    /// Whether the ledger is known to have all up to the cut, and no more.
    pub at_cut: bool,
    /// Whether there is history that may be purged. What was not asked is left to the table's own work.
    pub purgeable: bool,
    /// Set where nothing changed up to the cut, but an empty batch is due.
    pub renewal: Option<Renewal>,
}

/// What an empty batch up to the cut says of the cut: the source had all history from the tail on after it said that
/// nothing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// When the transaction at the cut committed: without it a restore of the source could not be told.
    pub committed: CommitTime,
}

/// Whether a table's place must be renewed by an empty batch, before cleanup passes it.
pub fn is_stale(tail: &Manifest, info: &SourceInfo) -> bool {
    age(tail, info) > info.retention.unwrap_or(DEFAULT_RETENTION) / 4
}

/// Whether a table's newest batch ended so long ago that the history behind it may soon be gone, if nobody renews it.
pub fn is_ending(tail: &Manifest, info: &SourceInfo) -> bool {
    age(tail, info) > info.retention.unwrap_or(DEFAULT_RETENTION) / 2
}

/// How long ago a table's newest batch ended.
pub fn age(tail: &Manifest, info: &SourceInfo) -> Duration {
    let since = tail.committed.as_ref().map_or(tail.written_at, |committed| committed.utc);
    (info.now - since).to_std().unwrap_or_default()
}

/// For each table, whether there is anything to do. What is doubtful, such as a source that may have been restored, is not
/// idle: its own work names it.
///
/// # Errors
/// The connection failed. What the source refuses makes tables not idle.
pub async fn look<S: Source>(
    source: &mut S,
    info: &SourceInfo,
    maximum: &Position,
    cut: &Position,
    places: &[Place<'_>],
) -> Result<Vec<Look>> {
    let tails = places.iter().filter_map(|place| place.tail).filter(|tail| tail.committed.is_some());
    let mut positions: Vec<_> = tails.map(|tail| tail.window.to.clone()).collect();
    positions.extend(places.iter().any(|place| place.renews).then(|| cut.clone()));
    positions.sort();
    positions.dedup();
    let times = unless_refused(source.commit_times(&positions).await)?.unwrap_or_default();
    let sound: Vec<_> = places.iter().map(|place| sound(place, info, maximum, &times)).collect();
    let question = |(place, (tail, capture)): (&Place<'_>, (&Manifest, _))| {
        let to = &tail.window.to;
        let mark = times.get(to).filter(|_| place.purges).map(|committed| committed.first.clone());
        Question { capture, window: (to < cut).then(|| (to.clone(), cut.clone())), mark }
    };
    let questions: Vec<_> =
        places.iter().zip(&sound).filter_map(|(place, sound)| sound.map(|sound| question((place, sound)))).collect();
    let asked = |question: &&Question<'_>| question.window.is_some() || question.mark.is_some();
    let to_ask: Vec<_> = questions.iter().filter(asked).cloned().collect();
    let doubt = Answer { changed: true, purgeable: false };
    let answers = unless_refused(source.changed(&to_ask).await)?.unwrap_or_else(|| vec![doubt; to_ask.len()]);
    let (mut questions, mut answers) = (questions.iter(), answers.into_iter());
    let mut looks = Vec::with_capacity(places.len());
    // After the answers: cleanup may have passed a table's place before it was asked for changes.
    let minimums = if to_ask.is_empty() { None } else { unless_refused(source.minimums().await)? };
    for (place, sound) in places.iter().zip(sound) {
        let Some((tail, capture)) = sound else {
            looks.push(Look::default());
            continue;
        };
        let is_asked = questions.next().is_some_and(|question| asked(&question));
        let answer = if is_asked { answers.next().unwrap_or(doubt) } else { Answer::default() };
        let to = &tail.window.to;
        let minimum = minimums.as_ref().and_then(|minimums| minimums.get(&capture.instance.name));
        if is_asked && minimum.is_none_or(|minimum| minimum > to) {
            looks.push(Look::default());
            continue;
        }
        let is_due = to < cut && is_stale(tail, info);
        let is_renewed = place.renews && is_due && !answer.changed;
        let renewal = times.get(cut).filter(|_| is_renewed).map(|at| Renewal { committed: at.time.clone() });
        let (idle, at_cut) = (!answer.changed && !is_due, !answer.changed && to <= cut);
        looks.push(Look { idle, at_cut, purgeable: answer.purgeable, renewal });
    }
    Ok(looks)
}

/// Tail and instance of a table, if the source still is the one that the tail was read from and has all that follows.
fn sound<'a>(
    place: &Place<'a>,
    info: &SourceInfo,
    maximum: &Position,
    times: &BTreeMap<Position, Committed>,
) -> Option<(&'a Manifest, &'a Capture)> {
    let (tail, capture) = (place.tail?, place.capture?);
    let to = &tail.window.to;
    let same_log = match &tail.committed {
        Some(then) => *to <= *maximum && times.get(to).is_some_and(|now| now.time.source == then.source),
        None => true,
    };
    let same = same_log && tail.source.difference(&info.fingerprint).is_none();
    (same && capture.start <= *to).then_some((tail, capture))
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
