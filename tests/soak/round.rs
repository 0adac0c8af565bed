//! A round: who starts, who is hit, and when.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::stage::Stage;
use super::tally::Tally;
use super::worker::Task;
use super::writer::TABLES;

/// How many processes may be running, and how many frozen, when a round begins.
const RUNNING: usize = 3;
const FROZEN: usize = 4;

/// What happens at a moment of a round; processes by their place in the round.
#[derive(Debug)]
enum Deed {
    Start(usize),
    Kill(usize),
    Freeze(usize, u64),
    Wake(usize),
    Cut(usize),
}

/// Starts some tasks and hits them.
pub async fn round(stage: &mut Stage, random: &mut StdRng, tally: &mut Tally) -> anyhow::Result<()> {
    tally.rounds += 1;
    let round = tally.rounds;
    stage.reap(tally)?;
    wake(stage, random, round)?;
    let drafts: Vec<_> = (0..random.random_range(1..=4)).map(|_| draft(random)).collect();
    let mut timeline = timeline(stage, random, &drafts, round);
    timeline.sort_by_key(|(moment, _)| *moment);
    let mut numbers = vec![0; drafts.len()];
    let began = Instant::now();
    for (moment, deed) in timeline {
        tokio::time::sleep_until(began + moment).await;
        let worker = match deed {
            Deed::Start(at) => {
                let (task, arguments) = &drafts[at];
                numbers[at] = stage.begin(*task, arguments, tally)?;
                continue;
            }
            Deed::Cut(end) => {
                tally.cuts += u64::from(stage.cut(end)?);
                continue;
            }
            Deed::Kill(at) | Deed::Freeze(at, _) | Deed::Wake(at) => stage.worker(numbers[at]),
        };
        let Some(worker) = worker else { continue };
        match deed {
            Deed::Kill(_) => worker.kill()?,
            Deed::Freeze(_, until) => tally.frozen += u64::from(worker.freeze(until)?),
            _ => worker.wake()?,
        }
    }
    stage.thin_out(RUNNING, tally).await
}

/// Wakes those whose time has come, and the oldest of too many; some are killed in their sleep.
fn wake(stage: &mut Stage, random: &mut StdRng, round: u64) -> anyhow::Result<()> {
    let mut frozen = stage.workers.iter().filter(|worker| worker.frozen_until.is_some()).count();
    for worker in &mut stage.workers {
        let Some(until) = worker.frozen_until else { continue };
        if until > round && frozen <= FROZEN {
            continue;
        }
        frozen -= 1;
        if random.random_bool(0.15) {
            worker.kill()?;
        }
        worker.wake()?;
    }
    Ok(())
}

/// A task and its command line.
fn draft(random: &mut StdRng) -> (Task, Vec<String>) {
    let task = match random.random_range(0..100) {
        0..22 => Task::Check,
        22..58 => Task::Extract,
        58..88 => Task::Load,
        88..96 => Task::Run,
        _ => Task::Resync,
    };
    let mut arguments = vec![task.name().to_owned()];
    if task == Task::Check && random.random_bool(0.3) {
        arguments.push("--no-resume".to_owned());
    }
    let tables = match task {
        Task::Resync => 1,
        _ if random.random_bool(0.7) => 0,
        _ => random.random_range(1..TABLES.len()),
    };
    for at in rand::seq::index::sample(random, TABLES.len(), tables) {
        arguments.extend(["--table".to_owned(), TABLES[at].to_owned()]);
    }
    if task == Task::Resync {
        arguments.push("--yes".to_owned());
    }
    (task, arguments)
}

/// When what happens. A hit falls anywhere in the time that such a task took of late.
fn timeline(stage: &Stage, random: &mut StdRng, drafts: &[(Task, Vec<String>)], round: u64) -> Vec<(Duration, Deed)> {
    let mut timeline = Vec::new();
    let mut last = Duration::ZERO;
    for (at, (task, _)) in drafts.iter().enumerate() {
        let typical = stage.typical(*task);
        // Half of them start as one.
        let start = if random.random_bool(0.5) { Duration::ZERO } else { typical.mul_f64(random.random()) };
        let hit = start + typical.mul_f64(random.random());
        last = last.max(start + typical);
        timeline.push((start, Deed::Start(at)));
        match random.random_range(0..100) {
            0..45 => timeline.push((hit, Deed::Kill(at))),
            45..60 => {
                timeline.push((hit, Deed::Freeze(at, round + 1)));
                timeline.push((hit + typical.mul_f64(random.random()), Deed::Wake(at)));
            }
            60..80 => timeline.push((hit, Deed::Freeze(at, round + random.random_range(1..=7)))),
            _ => {}
        }
    }
    if random.random_bool(0.4) {
        timeline.push((last.mul_f64(random.random()), Deed::Cut(random.random_range(0..3))));
    }
    timeline
}
