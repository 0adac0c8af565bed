//! The contract of [`Target`] and [`Load`], as a suite that every warehouse runs.

mod adopt;
mod beside;
mod damage;
mod postgres;
mod redshift;
mod suite;
mod tls;
mod values;

use std::time::Duration;

use delsert::config::{Config, Engine};
use delsert::error::{Kind, Result};
use delsert::manifest::Manifest;
use delsert::table::Table;
use delsert::target::{Applied, Load, Target, TargetTable};

use super::batch::Store;

/// What the suite needs of a warehouse beside its [`Target`].
pub trait Warehouse: Sized + Send + Sync {
    /// The target.
    type Target: Target + Send + 'static;

    /// Its engine.
    const ENGINE: Engine;

    /// Its type for texts of any length.
    const TEXT: &str;

    /// The most digits after the point of a decimal with 38 of them.
    const SCALE: u8;

    /// An expression that shows a column's bytes as hexadecimal digits.
    const HEX: &str;

    /// A database of a test's own, and where the bucket is served, for one that reads it by itself.
    async fn create(bucket: &str) -> anyhow::Result<Self>;

    /// A connection that waits so long for a lock.
    async fn connect(&self, lock_timeout: Duration) -> Result<Self::Target>;

    /// A configuration of this engine, with these lines under `[target]` and after it.
    fn config(&self, sync: &str, more: &str) -> Config;

    /// Runs SQL beside `delsert`.
    async fn run(&self, sql: &str) -> anyhow::Result<()>;

    /// Rows as text, cells parted by `|`, NULL as `∅`.
    async fn rows(&self, sql: &str) -> anyhow::Result<Vec<String>>;
}

/// Longer than any test waits for a lock.
pub const LONG: Duration = Duration::from_mins(1);

/// A warehouse, a connection to it, a bucket, and a table placed and prepared.
pub struct Scene<W: Warehouse> {
    /// The warehouse.
    pub warehouse: W,
    /// The bucket.
    pub store: Store,
    /// The source's table.
    pub source: Table,
    /// Its place.
    pub table: TargetTable,
    /// The connection.
    pub target: W::Target,
}

impl<W: Warehouse> Scene<W> {
    /// Everything prepared for a table.
    pub async fn of(source: Table) -> anyhow::Result<Self> {
        let store = Store::start(W::ENGINE).await?;
        let warehouse = W::create(&store.endpoint).await?;
        let table = place::<W>(&warehouse, &source)?;
        let mut target = warehouse.connect(LONG).await?;
        target.prepare(&table).await?;
        Ok(Self { warehouse, store, source, table, target })
    }

    /// One whole load of a batch.
    pub async fn load(&mut self, manifest: &Manifest) -> Result<Applied> {
        load(&mut self.target, &self.table, manifest, &self.store).await
    }

    /// The table's rows in the order of its first column.
    pub async fn rows(&self) -> anyhow::Result<Vec<String>> {
        self.warehouse.rows(&format!("SELECT * FROM {}.{} ORDER BY 1", self.table.schema, self.table.name)).await
    }

    /// Generation and sequence, as committed.
    pub async fn mark(&mut self) -> anyhow::Result<(u64, u64)> {
        let watermark = self.target.watermark(&self.table).await?.expect("prepare made a watermark");
        Ok((watermark.generation, watermark.sequence))
    }

    /// Rows that staging tables hold.
    pub async fn staged(&self) -> anyhow::Result<u64> {
        let names = "SELECT tablename FROM pg_tables WHERE schemaname = 'delsert' AND tablename LIKE 'stage%'";
        let mut count = 0;
        for name in self.warehouse.rows(names).await? {
            count += self.warehouse.rows(&format!("SELECT 1 FROM delsert.\"{name}\"")).await?.len() as u64;
        }
        Ok(count)
    }
}

/// A table's place under the sync `shop`.
pub fn place<W: Warehouse>(warehouse: &W, source: &Table) -> Result<TargetTable> {
    W::Target::place(&warehouse.config("shop", ""), source)
}

/// One whole load of a batch.
pub async fn load<T: Target>(
    target: &mut T,
    table: &TargetTable,
    manifest: &Manifest,
    store: &Store,
) -> Result<Applied> {
    let mut load = target.begin(table, LONG).await?;
    match load.apply(manifest, &store.bucket).await {
        Ok(applied) => {
            load.commit().await?;
            Ok(applied)
        }
        Err(error) => {
            load.rollback().await?;
            Err(error)
        }
    }
}

/// The kind and text of what must have failed.
pub fn failure<V: std::fmt::Debug>(result: Result<V>) -> (Kind, String) {
    let error = result.expect_err("this must fail");
    (error.kind(), error.to_string())
}

/// Makes each named function of a suite a test on a warehouse.
macro_rules! contract {
    ($warehouse:ty: $($suite:ident { $($test:ident),+ $(,)? })+) => {
        $($(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() -> anyhow::Result<()> {
                super::$suite::$test::<$warehouse>().await
            }
        )+)+
    };
}
pub(crate) use contract;
