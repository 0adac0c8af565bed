//! A source with one table, checked and not yet extracted.

use anyhow::ensure;

use super::stage::Stage;
use crate::support::bucket::Bucket;
use crate::support::ground::BUCKET;
use crate::support::rest;
use crate::support::source::{SourceOptions, Sql};
use crate::support::task::Outcome;

/// A source with one table, and the ends around it.
pub struct WatchedShop {
    /// The ends.
    pub stage: Stage,
    /// A T-SQL connection.
    pub sql: Sql,
}

impl WatchedShop {
    /// A table `dbo.Things` of a number and a note with three rows, checked.
    pub async fn open() -> anyhow::Result<Self> {
        let mut shop = Self::unchecked().await?;
        shop.check().await?;
        Ok(shop)
    }

    /// The same before its first check.
    pub async fn unchecked() -> anyhow::Result<Self> {
        let stage = Stage::start().await?;
        let mut sql = stage.sql().await?;
        sql.run(
            "CREATE TABLE dbo.Things (ID int NOT NULL PRIMARY KEY, Note nvarchar(max) NULL);
             INSERT INTO dbo.Things VALUES (1, N'one'), (2, N'two'), (3, N'three')",
        )
        .await?;
        Ok(Self { stage, sql })
    }

    /// The same on a source of one's own choosing.
    pub async fn on(options: SourceOptions) -> anyhow::Result<Self> {
        let stage = Stage::start_with(options).await?;
        let sql = stage.sql().await?;
        Ok(Self { stage, sql })
    }

    /// Checks, which must end with 0.
    pub async fn check(&mut self) -> anyhow::Result<()> {
        self.stage.task(&["check"]).await?.expect(0)?;
        Ok(())
    }

    /// Makes a change, and waits until the change tables have it.
    pub async fn change(&mut self, sql: &str) -> anyhow::Result<()> {
        self.sql.run(sql).await?;
        self.sql.capture_all().await
    }

    /// Fails unless nothing is left over anywhere and the target equals the source.
    pub async fn expect_at_rest(&mut self) -> anyhow::Result<()> {
        self.expect_tables_at_rest(&["dbo.Things"]).await
    }

    /// The same of other tables, which must be all that are synced.
    pub async fn expect_tables_at_rest(&mut self, tables: &[&str]) -> anyhow::Result<()> {
        let (bucket, target) = (Bucket::at(&self.stage.endpoint, BUCKET), self.stage.target.connect().await?);
        rest::expect_at_rest(&mut self.sql, &bucket, &target, tables).await
    }

    /// Fails unless the target holds exactly these rows.
    pub async fn expect_rows(&self, expected: &[(i32, &str)]) -> anyhow::Result<()> {
        self.stage.expect_rows(&super::by_hand::table("Things"), expected).await
    }
}

/// The one table's status in a summary.
pub fn status(outcome: &Outcome) -> anyhow::Result<String> {
    let summary = outcome.summary()?;
    ensure!(summary.tables().len() == 1, "not one table: {}", summary.0);
    Ok(summary.tables()[0]["status"].as_str().unwrap_or_default().to_owned())
}
