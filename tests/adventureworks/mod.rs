//! AdventureWorks: 60 tables, 244,063 rows, kept equal through thousands of random changes.

mod changes;
mod values;

use std::path::PathBuf;

use anyhow::ensure;
use delsert::config::Engine;

use self::changes::Changes;
use crate::comparator::compare::compare;
use crate::comparator::directory;
use crate::comparator::model::Database;
use crate::support;
use crate::support::ground::Ground;
use crate::support::redshift::Redshift;
use crate::support::source::{SourceOptions, Sql};

/// Changes in all; half of them while `extract` runs.
const CHANGES: usize = 5000;

/// The data's directory; says loudly when it is absent, which in CI is a failure.
fn data() -> anyhow::Result<Option<PathBuf>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/adventureworks");
    let directory = std::env::var_os("DELSERT_ADVENTUREWORKS").map_or_else(beside, PathBuf::from);
    if directory.join("schema.json").is_file() {
        return Ok(Some(directory));
    }
    support::skip(&format!("no AdventureWorks at {} (set DELSERT_ADVENTUREWORKS)", directory.display()))?;
    Ok(None)
}

/// The seed of the random changes: `DELSERT_SEED`, to repeat a run.
fn seed() -> anyhow::Result<u64> {
    let seed = std::env::var("DELSERT_SEED").map_or(Ok(20_061_015), |seed| seed.parse())?;
    eprintln!("seed: DELSERT_SEED={seed}");
    Ok(seed)
}

#[test]
fn the_comparator_reads_60_tables_of_244_063_rows() -> anyhow::Result<()> {
    let Some(directory) = data()? else { return Ok(()) };
    let model = directory::read(&directory)?;
    assert_eq!((model.tables.len(), model.row_count()), (60, 244_063));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn adventureworks_is_equal_at_first_and_after_5000_random_changes() -> anyhow::Result<()> {
    is_equal(Engine::Postgres).await
}

#[tokio::test(flavor = "multi_thread")]
async fn adventureworks_is_equal_at_redshift_too() -> anyhow::Result<()> {
    is_equal(Engine::Redshift).await
}

async fn is_equal(engine: Engine) -> anyhow::Result<()> {
    let Some(directory) = data()? else { return Ok(()) };
    let seed = seed()?;
    let mut model = directory::read(&directory)?;
    let options =
        SourceOptions { database: "AdventureWorks".to_owned(), load: Some(directory), ..SourceOptions::default() };
    let ground = Ground::start(options, &["*"]).await?;
    let cluster = (engine == Engine::Redshift)
        .then(|| {
            let before = || Redshift::before(ground.target.clone(), &ground.s3.endpoint(), &[]);
            tokio::task::block_in_place(before)
        })
        .transpose()?;
    if let Some(cluster) = &cluster {
        ground.write_config(&cluster.config(&ground.config(&["*"])))?;
    }

    let (extract, load) = ground.sync().await?;
    assert_eq!((extract.tables().len(), extract.upserts(), load.upserts()), (60, 244_063, 244_063));
    expect_equal(&ground, &model, engine).await?;
    nothing_is_done_twice(&ground).await?;

    let mut changes = Changes::new(seed);
    let mut sql = ground.source.connect().await?;
    while changes.committed < CHANGES / 2 {
        changes.transaction(&mut sql, &mut model).await?;
    }
    let rounds = change_while_extract_runs(&ground, &mut changes, &mut sql, &mut model).await?;
    eprintln!("{} changes committed, {} rolled back, {rounds} extracts beside", changes.committed, changes.rolled_back);
    until_quiet(&ground, &mut sql).await?;
    expect_equal(&ground, &model, engine).await?;
    nothing_is_done_twice(&ground).await
}

/// Amazon Redshift's tables are looked at in the PostgreSQL below its stand-in.
async fn expect_equal(ground: &Ground, model: &Database, engine: Engine) -> anyhow::Result<()> {
    let report = compare(model, &ground.target.connect_as_admin().await?, engine).await?.expect_equal()?;
    ensure!(report.tables == model.tables.len() && report.rows == model.row_count(), "not all was compared: {report}");
    eprintln!("{report}");
    Ok(())
}

/// All three again at once: no rows, no new object, exit code 0.
async fn nothing_is_done_twice(ground: &Ground) -> anyhow::Result<()> {
    let before = ground.bucket().keys().await?;
    let (extract, load) = ground.sync().await?;
    assert_eq!((extract.upserts(), extract.deletes(), load.upserts(), load.deletes()), (0, 0, 0, 0));
    let after = ground.bucket().keys().await?;
    let new: Vec<_> = after.iter().filter(|key| !before.contains(key)).collect();
    assert!(new.is_empty(), "objects written though nothing had changed: {new:?}");
    Ok(())
}

/// The second half of the changes, each transaction beside an `extract` that runs; loads in between.
async fn change_while_extract_runs(
    ground: &Ground,
    changes: &mut Changes,
    sql: &mut Sql,
    model: &mut Database,
) -> anyhow::Result<usize> {
    let mut rounds = 0;
    while changes.committed < CHANGES {
        rounds += 1;
        let mut extract = ground.start_task(&["extract"])?;
        while changes.committed < CHANGES && extract.child.try_wait()?.is_none() {
            changes.transaction(sql, model).await?;
        }
        extract.outcome().await?.expect(0)?;
        ground.task(&["load"]).await?.expect(0)?;
    }
    Ok(rounds)
}

/// Extract and load until a round finds nothing.
async fn until_quiet(ground: &Ground, sql: &mut Sql) -> anyhow::Result<()> {
    sql.capture_all().await?;
    for _ in 0..5 {
        let extract = ground.task(&["extract"]).await?.expect(0)?.summary()?;
        let load = ground.task(&["load"]).await?.expect(0)?.summary()?;
        if extract.upserts() + extract.deletes() + load.upserts() + load.deletes() == 0 {
            return Ok(());
        }
    }
    anyhow::bail!("still changes after five rounds at a source at rest")
}
