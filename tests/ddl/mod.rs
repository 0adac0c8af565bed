//! Tables that change at the source while they are synced.

mod followed;
mod refused;

use crate::rules::watched::WatchedShop;

/// A round of check, extract and load of all that is written, each of which must end with 0.
async fn round(shop: &mut WatchedShop) -> anyhow::Result<()> {
    shop.stage.task(&["check"]).await?.expect(0)?;
    shop.sql.capture_all().await?;
    shop.stage.extract_and_load().await?;
    Ok(())
}

/// Fails unless so many rounds leave nothing behind and the target equal to the source, in every column of every row.
async fn expect_equal(shop: &mut WatchedShop, rounds: usize) -> anyhow::Result<()> {
    for _ in 0..rounds {
        round(shop).await?;
    }
    shop.expect_at_rest().await
}
