//! Random histories: what happens at a source and what tasks do meanwhile, from a seed; at the end the target equals the
//! source.
//!
//! A seed makes tables and steps; nothing of what runs is asked for that. The tasks run in this process, by the library,
//! with SQL Server's stand-in and the bucket's beside them and a real PostgreSQL, or Redshift's stand-in before it. What happens *within* a task happens at
//! points that the source passes (see [`between`]), always the same for a seed; only tasks that run twice at once, and
//! writers beside a task, meet as the threads let them.
//!
//! | module | is |
//! |---|---|
//! | [`kind`], [`plot`], [`ddl`] | a table as the generator knows it, and statements that change its rows and itself |
//! | [`step`], [`generate`] | a history from a seed |
//! | [`stage`] | the three ends of a history |
//! | [`between`] | what stands between tasks and source: points at which steps happen, and bugs |
//! | [`bug`] | bugs put in on purpose |
//! | [`play`], [`at_source`], [`quiet`] | a history as it runs, what of it only the source sees, and its end |
//! | [`tally`] | what was counted |

mod at_source;
mod between;
mod bug;
mod ddl;
mod generate;
mod kind;
mod play;
mod plot;
mod quiet;
mod stage;
mod step;
mod tally;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use delsert::config::Engine;
use futures_util::future::try_join_all;
use tokio::sync::Semaphore;

pub use bug::Bug;
pub use generate::Flavour;
use generate::History;
use play::Play;
use stage::{Stage, Target};
use tally::Failure;
pub use tally::Tally;

/// Histories at once, of one run and of all runs of a process.
const AT_ONCE: usize = 3;
static TURNS: Semaphore = Semaphore::const_new(4);

/// Which histories.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// What they are made of.
    pub flavour: Flavour,
    /// The warehouse.
    pub engine: Engine,
    /// A bug to put in.
    pub bug: Option<Bug>,
    /// Whether what was done is told also of those that end as they must.
    pub tells: bool,
}

/// Runs histories until one fails or all have run.
pub async fn run(options: Options) -> anyhow::Result<Tally> {
    let next = Arc::new(AtomicU64::new(0));
    let tally = Arc::new(Mutex::new(Tally::default()));
    let worker = || {
        let (next, tally) = (next.clone(), tally.clone());
        let handle = tokio::runtime::Handle::current();
        // Threads of their own: a history waits for tasks and does itself what happens within them.
        tokio::task::spawn_blocking(move || handle.block_on(several(options, &next, &tally)))
    };
    let workers: Vec<_> = (0..AT_ONCE).map(|_| worker()).collect();
    try_join_all(workers).await?.into_iter().collect::<anyhow::Result<Vec<()>>>()?;
    let tally = std::mem::take(&mut *tally.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(tally)
}

/// One history after the other, as long as there are any.
async fn several(options: Options, next: &AtomicU64, tally: &Mutex<Tally>) -> anyhow::Result<()> {
    let target = Target::new(options.engine).await?;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= options.count {
            return Ok(());
        }
        let seed = options.first + number;
        let _turn = TURNS.acquire().await?;
        let (counts, failure) = one(seed, options, &target).await?;
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.histories += 1;
        tally.counts += counts;
        if let Some(failure) = failure {
            next.store(options.count, Ordering::Relaxed);
            tally.failures.push(failure);
        }
        if tally.histories.is_multiple_of(500) {
            println!("{tally}");
        }
    }
}

/// One history, from its beginning to its end.
async fn one(seed: u64, options: Options, target: &Target) -> anyhow::Result<(tally::Counts, Option<Failure>)> {
    target.clear().await?;
    let stage = Stage::start(target).await?;
    let play = Arc::new(Play::new(History::of(seed, options.flavour), stage, target, options.bug).await?);
    let _entered = between::enter(&play);
    let ended = async {
        play.run().await?;
        if play.faults().is_empty() { quiet::quiet(&play, target).await } else { Ok(()) }
    };
    if let Err(error) = ended.await {
        play.fault(format!("{error:#}"));
    }
    let faults = play.faults();
    if options.tells && faults.is_empty() {
        println!("{}", play.log().join("\n"));
    }
    let failure = (!faults.is_empty()).then(|| Failure { seed, flavour: options.flavour, faults, log: play.log() });
    Ok((play.counts(), failure))
}
