//! A task caught at a crash point, its retry, and what must then hold.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use delsert::config::Engine;

use super::scene::Scene;
use crate::rules::watched::WatchedShop;
use crate::support::bucket::Bucket;
use crate::support::ground::BUCKET;
use crate::support::rest;
use crate::support::task::{self, Outcome, Running};

/// How long a task may take to come to its crash point.
const PATIENCE: Duration = Duration::from_mins(1);

/// What happens at the crash point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// SIGKILL, then the retry.
    Die,
    /// The answer to what was done is lost; the task ends as it may; then the retry.
    Lose,
    /// SIGSTOP, the retry beside it, then SIGCONT.
    Freeze,
}

/// Catches the scene's task at a point, so many times after it passed; then, after its retry, one quiet round must set all right.
pub async fn run((scene, engine): (Scene, Engine), point: &str, time: u32, end: End) -> anyhow::Result<()> {
    let mut shop = scene.set(engine).await?;
    let how = match end {
        End::Die => "die",
        End::Lose => "lose",
        End::Freeze => "freeze",
    };
    let before = if time > 1 { format!("{}*off->", time - 1) } else { String::new() };
    let mut caught = start(&shop, scene, &format!("{point}={before}1*return({how})"))?;
    if end == End::Freeze {
        frozen(&mut caught).await?;
        change(&mut shop, scene, 1).await?;
        may_end(&shop.stage.task(scene.task()).await?).context("the retry, beside the frozen one")?;
        change(&mut shop, scene, 2).await?;
        signal(&caught, "CONT")?;
        may_end(&caught.outcome().await?).context("the one that was frozen")?;
        return quiet_round(&mut shop, scene).await;
    }
    if end == End::Die {
        killed(caught).await?;
    } else {
        let outcome = caught.outcome().await?;
        let told = format!("the answer after '{point}' was lost");
        ensure!(outcome.stderr.contains(&told) || outcome.stdout.contains(&told), "not caught: {outcome:?}");
        may_end(&outcome)?;
    }
    change(&mut shop, scene, 1).await?;
    shop.stage.task(scene.task()).await?.expect(0).context("the retry, alone")?;
    quiet_round(&mut shop, scene).await
}

/// An extract is frozen before its manifest, overtaken, and killed as it removes its own parts.
pub async fn loser_dies() -> anyhow::Result<()> {
    let scene = Scene::ExtractSnapshot;
    let mut shop = scene.set(Engine::Postgres).await?;
    let mut loser = start(&shop, scene, "parts-verified=1*return(freeze);object-removed=1*return(die)")?;
    frozen(&mut loser).await?;
    // The winner removes what its rivals left, the loser's parts included: it must leave the loser one to remove.
    let mut winner = start(&shop, scene, "manifest-written=1*return(freeze)")?;
    frozen(&mut winner).await?;
    signal(&loser, "CONT")?;
    killed(loser).await?;
    signal(&winner, "CONT")?;
    winner.outcome().await?.expect(0).context("the winner")?;
    change(&mut shop, scene, 1).await?;
    quiet_round(&mut shop, scene).await
}

fn start(shop: &WatchedShop, scene: Scene, points: &str) -> anyhow::Result<Running> {
    let mut environment = shop.stage.environment.clone();
    environment.push(("FAILPOINTS".to_owned(), points.to_owned()));
    task::start(&shop.stage.config_path(), &environment, scene.task())
}

/// What a task that nothing is wrong with may end with.
fn may_end(outcome: &Outcome) -> anyhow::Result<()> {
    ensure!(matches!(outcome.code, Some(0 | 75)), "ended with {:?}: {}", outcome.code, outcome.stderr);
    Ok(())
}

async fn killed(mut task: Running) -> anyhow::Result<()> {
    let status = tokio::time::timeout(PATIENCE, task.child.wait()).await.context("the task does not end")??;
    if status.signal() == Some(9) {
        return Ok(());
    }
    bail!("not caught: {:?}", task.outcome().await?)
}

/// Waits until a task stands still.
async fn frozen(task: &mut Running) -> anyhow::Result<()> {
    let process = task.child.id().context("the task has ended")?;
    let started = Instant::now();
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T')) {
            return Ok(());
        }
        ensure!(task.child.try_wait()?.is_none(), "not caught: it ended");
        ensure!(started.elapsed() < PATIENCE, "not caught: it runs on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn signal(task: &Running, name: &str) -> anyhow::Result<()> {
    let process = task.child.id().context("the task has ended")?.to_string();
    let sent = std::process::Command::new("kill").args(["-s", name, &process]).status()?;
    ensure!(sent.success(), "kill -s {name} {process}: {sent}");
    Ok(())
}

/// The source goes on: another worker's window is another.
async fn change(shop: &mut WatchedShop, scene: Scene, turn: u32) -> anyhow::Result<()> {
    let sql = format!(
        "UPDATE dbo.Things SET Note = N'turn {turn}' WHERE ID = 1; INSERT INTO dbo.Things (ID, Note) VALUES ({}, N'new')",
        1000 + turn
    );
    // Before the first check nothing captures yet.
    if scene == Scene::FirstCheck { shop.sql.run(&sql).await } else { shop.change(&sql).await }
}

/// One round without faults or changes beside it: all is then as if nothing had happened.
async fn quiet_round(shop: &mut WatchedShop, scene: Scene) -> anyhow::Result<()> {
    change(shop, scene, 3).await?;
    for task in ["check", "extract", "load"] {
        shop.stage.task(&[task]).await?.expect(0).context("the quiet round")?;
    }
    let bucket = Bucket::at(&shop.stage.endpoint, BUCKET);
    let target = shop.stage.target.connect_as_admin().await?;
    rest::expect_at_rest(&mut shop.sql, &bucket, &target, &["dbo.Things"]).await
}
