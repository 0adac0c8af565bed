//! The whole way to Amazon Redshift, by its stand-in: what only it has, seen from outside.

mod crowd;
mod form;
mod lent;
mod prevented;
mod reported;
mod rights;
mod secrets;
mod slices;
mod texts;
mod troubles;

use tokio_postgres::Client;

use crate::support::ground::Ground;
use crate::support::postgres;
use crate::support::redshift::Redshift;
use crate::support::source::{SourceOptions, Sql};

/// A source, a bucket and a warehouse.
struct Stage {
    ground: Ground,
    cluster: Redshift,
    sql: Sql,
    /// A look into the warehouse.
    client: Client,
}

impl Stage {
    /// All of schema dbo; `target` is lines of `[target]` and what follows it.
    async fn start(target: &str) -> anyhow::Result<Self> {
        Self::start_with(target, &[]).await
    }

    /// The same with more arguments for the warehouse.
    async fn start_with(target: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let ground = Ground::start(SourceOptions::default(), &["dbo.*"]).await?;
        let cluster = Redshift::before(ground.target.clone(), &ground.s3.endpoint(), arguments)?;
        let (sql, client) = (ground.source.connect().await?, cluster.connect().await?);
        let stage = Self { ground, cluster, sql, client };
        stage.configure(target)?;
        Ok(stage)
    }

    /// Writes a configuration with these lines of `[target]` and what follows it.
    fn configure(&self, target: &str) -> anyhow::Result<()> {
        let usual = self.cluster.config(&self.ground.config(&["dbo.*"]));
        self.ground.write_config(&format!("{usual}{target}\n"))
    }

    /// Makes a change, and waits until the change tables have it.
    async fn change(&mut self, sql: &str) -> anyhow::Result<()> {
        self.sql.run(sql).await?;
        self.sql.capture_all().await
    }

    /// Rows of the warehouse as text, cells parted by `|`, NULL as `∅`.
    async fn rows(&self, sql: &str) -> anyhow::Result<Vec<String>> {
        postgres::rows(&self.client, sql).await
    }
}
