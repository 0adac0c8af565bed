//! A shop with one table, changed at source and model alike, for tests of the tasks.

use std::pin::Pin;

use anyhow::ensure;
use delsert::config::Engine;

use crate::comparator::compare::compare_tables;
use crate::comparator::kind::Kind;
use crate::comparator::model::{Cell, Column, Row, Table};
use crate::support::ground::Ground;
use crate::support::source::{SourceOptions, Sql};

/// A shop with one table, and what the table should hold.
pub struct Shop {
    pub ground: Ground,
    pub sql: Sql,
    pub things: Table,
}

impl Shop {
    /// A table of `(Region, ID)` keys with these rows, checked but not yet copied.
    pub async fn open(rows: &[(&str, i64)]) -> anyhow::Result<Self> {
        Self::open_with(rows, |_| Box::pin(async { Ok(()) })).await
    }

    /// The same, something done at the source before the check.
    pub async fn open_with(
        rows: &[(&str, i64)],
        before: impl for<'a> FnOnce(&'a mut Sql) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>,
    ) -> anyhow::Result<Self> {
        let ground = Ground::start(SourceOptions::default(), &["dbo.Things"]).await?;
        let mut sql = ground.source.connect().await?;
        sql.run(
            "CREATE TABLE dbo.Things (Region nvarchar(10) NOT NULL, ID int NOT NULL, Note nvarchar(max) NULL,
             CONSTRAINT PK_Things PRIMARY KEY (Region, ID))",
        )
        .await?;
        let column = |name: &str, kind, nullable| Column { name: name.to_owned(), kind, nullable, identity: false };
        let columns = vec![
            column("Region", Kind::NVarChar(Some(10)), false),
            column("ID", Kind::Int, false),
            column("Note", Kind::NVarChar(None), true),
        ];
        let things = Table::new("dbo", "Things", columns, &["Region", "ID"])?;
        let mut shop = Self { ground, sql, things };
        for (region, id) in rows {
            shop.insert(region, *id, "first").await?;
        }
        before(&mut shop.sql).await?;
        shop.ground.task(&["check"]).await?.expect(0)?;
        Ok(shop)
    }

    pub async fn insert(&mut self, region: &str, id: i64, note: &str) -> anyhow::Result<()> {
        self.sql.run(&format!("INSERT INTO dbo.Things VALUES (N'{region}', {id}, N'{note}')")).await?;
        self.things.insert(row(region, id, note))
    }

    pub async fn update(&mut self, region: &str, id: i64, note: &str) -> anyhow::Result<()> {
        self.sql
            .run(&format!("UPDATE dbo.Things SET Note = N'{note}' WHERE Region = N'{region}' AND ID = {id}"))
            .await?;
        self.take(region, id)?;
        self.things.insert(row(region, id, note))
    }

    pub async fn delete(&mut self, region: &str, id: i64) -> anyhow::Result<()> {
        self.sql.run(&format!("DELETE FROM dbo.Things WHERE Region = N'{region}' AND ID = {id}")).await?;
        self.take(region, id).map(drop)
    }

    /// Gives a row another key.
    pub async fn rename(&mut self, from: (&str, i64), to: (&str, i64)) -> anyhow::Result<()> {
        let sql = format!(
            "UPDATE dbo.Things SET Region = N'{}', ID = {} WHERE Region = N'{}' AND ID = {}",
            to.0, to.1, from.0, from.1
        );
        self.sql.run(&sql).await?;
        let note = self.take(from.0, from.1)?[2].clone().unwrap_or_default();
        self.things.insert(row(to.0, to.1, &note))
    }

    pub fn take(&mut self, region: &str, id: i64) -> anyhow::Result<Row> {
        let place = self.things.find(&row(region, id, ""));
        Ok(self.things.remove(place.ok_or_else(|| anyhow::anyhow!("no row {region}, {id}"))?))
    }

    pub async fn extract_and_load(&self) -> anyhow::Result<()> {
        self.ground.task(&["extract"]).await?.expect(0)?;
        self.ground.task(&["load"]).await?.expect(0)?;
        Ok(())
    }

    /// Extracts and loads all that was committed, and compares.
    pub async fn expect_equal(&mut self) -> anyhow::Result<()> {
        self.sql.capture_all().await?;
        self.extract_and_load().await?;
        let report = compare_tables(&[&self.things], &self.ground.target.connect().await?, Engine::Postgres)
            .await?
            .expect_equal()?;
        ensure!(report.rows == self.things.len(), "not all was compared: {report}");
        Ok(())
    }
}

pub fn row(region: &str, id: i64, note: &str) -> Row {
    let cells: [Cell; 3] = [Some(region.into()), Some(id.to_string().into()), Some(note.into())];
    Box::new(cells)
}
