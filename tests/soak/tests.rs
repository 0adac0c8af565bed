//! A short soak, so that the long one can be run at any time.

use delsert::config::Engine;

use super::{Options, soak};

#[tokio::test(flavor = "multi_thread")]
async fn a_few_kills_do_no_harm() -> anyhow::Result<()> {
    few(Engine::Postgres).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_kills_do_no_harm_at_redshift() -> anyhow::Result<()> {
    few(Engine::Redshift).await
}

async fn few(engine: Engine) -> anyhow::Result<()> {
    let tally = soak(Options { kills: 10, seed: 3, engine }).await?;
    anyhow::ensure!(tally.faults.is_empty(), "{tally}");
    anyhow::ensure!(tally.hits() >= 10, "only {} were hit: {tally}", tally.hits());
    Ok(())
}
