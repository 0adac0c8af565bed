//! Real processes killed, frozen and cut off at random moments, under continuous writes, until so many were hit.
//!
//! Each round starts a few tasks, duplicates included, and hits them where it hurts. After every twenty hits or so a
//! quiet round follows: the writers stop, the frozen wake and end, but for a few extracts that sleep on for a hundred
//! rounds, and the three tasks run as a scheduler would run them. Then the system must be at rest: target equal to source,
//! nothing left behind, no batch applied twice.
//!
//! Every choice comes from one seed; how far a process gets in a moment does not, so that a seed replays what was done,
//! not what it met.
//!
//! | module | is |
//! |---|---|
//! | [`stage`] | the three ends behind relays, and a target that enforces no keys |
//! | [`writer`] | what happens at the source meanwhile |
//! | [`worker`] | a process of `delsert`, and what is done to it |
//! | [`round`] | a round: who starts, who is hit, and when |
//! | [`quiet`] | a quiet round, and what must hold after it |
//! | [`tally`] | what was counted |

mod quiet;
mod round;
mod stage;
mod tally;
#[cfg(test)]
mod tests;
mod worker;
mod writer;

use delsert::config::Engine;
use rand::SeedableRng;
use rand::rngs::StdRng;

use stage::Stage;
use tally::Tally;

/// Hits between two quiet rounds.
const HITS_BETWEEN: u64 = 20;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many times a living process is to be killed, frozen or cut off.
    pub kills: u64,
    /// Where all choices come from.
    pub seed: u64,
    /// The warehouse.
    pub engine: Engine,
}

/// Runs until so many were hit; the faults are in the tally.
pub async fn soak(options: Options) -> anyhow::Result<Tally> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let mut stage = Stage::start(options).await?;
    let mut tally = Tally::new(options);
    let mut group = 0;
    while tally.hits() < options.kills && tally.faults.is_empty() {
        stage.configure(group)?;
        let until = options.kills.min(tally.hits() + HITS_BETWEEN);
        while tally.hits() < until {
            round::round(&mut stage, &mut random, &mut tally).await?;
        }
        let last = tally.hits() >= options.kills;
        quiet::quiet(&mut stage, last, &mut tally).await?;
        println!("{}", tally.progress());
        group += 1;
    }
    if !tally.faults.is_empty() {
        tally.kept = Some(stage.keep());
    }
    Ok(tally)
}
