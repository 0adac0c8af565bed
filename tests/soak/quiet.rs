//! A quiet round: nobody writes, nobody is hit, and the tasks run as a scheduler would run them. Then all is at rest.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;

use super::stage::Stage;
use super::tally::Tally;
use super::worker::Task;
use super::writer::TABLES;
use crate::support::rest;

/// How long a process that nobody stops may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// How often a scheduler tries a task again that asks for it.
const TRIES: u32 = 10;

/// How many extracts sleep through quiet rounds at a time, and how many rounds each.
const SLEEPERS: usize = 2;
const LONG_SLEEP: u64 = 100;

/// What an extract that sleeps may have left so far.
const OF_SLEEPERS: [&str; 2] = ["part left behind", "unfinished multipart upload"];

/// Quiets all, and notes what is not as it must be.
pub async fn quiet(stage: &mut Stage, last: bool, tally: &mut Tally) -> anyhow::Result<()> {
    tally.quiet_rounds += 1;
    let pause = stage.pause_writers().await?;
    let mut sleepers = 0;
    for worker in &mut stage.workers {
        worker.disturb();
        if !last && sleepers < SLEEPERS && worker.sleeps_on(tally.rounds + LONG_SLEEP) {
            sleepers += 1;
        } else {
            worker.wake()?;
        }
    }
    for worker in stage.workers.iter_mut().filter(|worker| worker.frozen_until.is_none()) {
        if !worker.wait(PATIENCE).await? {
            tally.faults.push(format!("does not end: {}", worker.told()));
            worker.kill()?;
            worker.wait(PATIENCE).await?;
        }
    }
    stage.reap(tally)?;
    stage.sql.capture_all().await?;
    for task in [Task::Check, Task::Extract, Task::Load] {
        scheduled(stage, tally, task).await?;
    }
    rest::settled(&stage.target).await?;
    let faults = rest::faults(&mut stage.sql, &stage.bucket, &stage.target, TABLES).await?;
    // What a sleeper wrote of a batch that is not made yet is its own.
    let of_sleepers = |fault: &String| sleepers > 0 && OF_SLEEPERS.iter().any(|what| fault.contains(what));
    tally.faults.extend(faults.into_iter().filter(|fault| !of_sleepers(fault)));
    count_batches(stage, tally).await?;
    tally.written = stage.written();
    if tally.faults.is_empty() {
        stage.forget_logs()?;
    }
    drop(pause);
    Ok(())
}

/// Runs a task, again and again while it asks for that.
async fn scheduled(stage: &mut Stage, tally: &mut Tally, task: Task) -> anyhow::Result<()> {
    for tries in 1..=TRIES {
        let number = stage.begin(task, &[task.name().to_owned()], tally)?;
        let worker = stage.worker(number).context("it was just started")?;
        if !worker.wait(PATIENCE).await? {
            tally.faults.push(format!("does not end in a quiet round: {}", worker.told()));
            worker.kill()?;
            worker.wait(PATIENCE).await?;
            return stage.reap(tally);
        }
        let ended = worker.ended()?;
        stage.reap(tally)?;
        match ended {
            Some(ended) if ended.how == "75" => {
                if tries == TRIES {
                    tally.faults.push(format!("not done after {TRIES} tries: {}", ended.told));
                }
                tokio::time::sleep(Duration::from_millis(200) * tries).await;
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Counts what the target's own triggers noted: each batch once, in order.
async fn count_batches(stage: &Stage, tally: &mut Tally) -> anyhow::Result<()> {
    let mut last: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let rows = stage.target.query("SELECT mark, generation, sequence FROM public.applied ORDER BY id", &[]).await?;
    (tally.batches, tally.resyncs) = (rows.len() as u64, 0);
    for row in &rows {
        let (mark, next): (String, _) = (row.get(0), (row.get::<_, i64>(1), row.get::<_, i64>(2)));
        let before = last.insert(mark.clone(), next);
        let follows = match before {
            None => next == (1, 1),
            Some((generation, sequence)) => next == (generation, sequence + 1) || (next.0 > generation && next.1 == 1),
        };
        if before.is_some() && next.1 == 1 {
            tally.resyncs += 1;
        }
        if !follows {
            tally.faults.push(format!("batch {next:?} was applied after {before:?}: {mark}"));
        }
    }
    let loaded = stage.target.query_one("SELECT coalesce(sum(rows), 0)::bigint FROM public.loaded", &[]).await?;
    tally.loaded = loaded.get::<_, i64>(0).unsigned_abs();
    Ok(())
}
