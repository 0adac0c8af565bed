//! What two that work beside each other at PostgreSQL see of each other's changes.

use delsert::target::Target;

use super::postgres::{MINUTE, Server};
use super::{Warehouse, place};
use crate::contract::batch::{INTEGER, TEXT, orders, table};

#[tokio::test(flavor = "multi_thread")]
async fn checks_that_make_staging_anew_beside_each_other_see_no_stranger() -> anyhow::Result<()> {
    let server = Server::create("").await?;
    let wider = table("Orders", 1, &[("OrderID", INTEGER), ("Note", TEXT), ("Added", TEXT)]);
    let mut checks: tokio::task::JoinSet<delsert::error::Result<usize>> = tokio::task::JoinSet::new();
    for form in [orders(), wider] {
        let form = place(&server, &form)?;
        let mut target = server.connect(MINUTE).await?;
        checks.spawn(async move {
            let mut changes = 0;
            for _ in 0..150 {
                changes += target.prepare(&form).await?.changes.len();
            }
            Ok(changes)
        });
    }
    while let Some(changes) = checks.join_next().await {
        assert!(changes?? > 50, "the forms took no turns");
    }
    Ok(())
}
