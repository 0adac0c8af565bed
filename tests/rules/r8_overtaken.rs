//! Rule 8, for an extract that sleeps after it looked at the source: what it knows is of yesterday.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;
use standin::s3::{Fault, Moment};

use super::stage::Gate;
use super::watched::WatchedShop;
use crate::support::bucket::Bucket;
use crate::support::ground::BUCKET;
use crate::support::rest;

/// Meanwhile a column is added, and a resync opens a generation that carries it.
#[tokio::test(flavor = "multi_thread")]
async fn r8_an_extract_that_sleeps_through_a_resync_takes_the_table_as_it_became() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    let (gate, first) = (Gate::new(), AtomicBool::new(true));
    let held = Arc::clone(&gate);
    shop.stage.watch(move |operation, moment| {
        if moment == Moment::Before && operation.name == "ListObjectsV2" && first.swap(false, Ordering::SeqCst) {
            held.pass();
        }
        Fault::None
    });
    let sleeper = shop.stage.start_task(&["extract"])?;
    gate.reached(1).await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD Colour nvarchar(20) NULL").await?;
    shop.sql.run("UPDATE dbo.Things SET Colour = N'red' WHERE ID = 1").await?;
    shop.stage.task(&["resync", "--table", "dbo.Things", "--yes"]).await?.expect(0)?;
    shop.check().await?;
    gate.open();
    let extract = sleeper.outcome().await?.expect(0)?.summary()?;
    ensure!(extract.upserts() == 3, "{}", extract.0);
    shop.change("UPDATE dbo.Things SET Colour = N'blue' WHERE ID = 2").await?;
    shop.stage.extract_and_load().await?;
    let target = shop.stage.target.connect_as_admin().await?;
    let bucket = Bucket::at(&shop.stage.endpoint, BUCKET);
    rest::expect_at_rest(&mut shop.sql, &bucket, &target, &["dbo.Things"]).await
}
