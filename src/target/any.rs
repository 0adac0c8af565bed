//! The target that the configuration names, chosen when it is connected to.

use std::time::Duration;

use super::postgres::Postgres;
use super::postgres::load::PostgresLoad;
use super::redshift::Redshift;
use super::redshift::load::RedshiftLoad;
use super::{Applied, Load, Prepared, Target, TargetInfo, TargetTable, Watermark};
use crate::bucket::Bucket;
use crate::config::{self, Config, Engine};
use crate::error::Result;
use crate::manifest::Manifest;
use crate::table::Table;

/// A connection to a target of either engine.
#[derive(Debug)]
pub enum Any {
    /// PostgreSQL.
    Postgres(Postgres),
    /// Amazon Redshift.
    Redshift(Redshift),
}

/// A load in progress at either.
pub enum AnyLoad<'a> {
    /// At PostgreSQL.
    Postgres(PostgresLoad<'a>),
    /// At Amazon Redshift.
    Redshift(RedshiftLoad<'a>),
}

/// Does the same with whichever target it is.
macro_rules! either {
    ($self:expr, $kind:ident, $target:ident => $does:expr) => {
        match $self {
            $kind::Postgres($target) => $does,
            $kind::Redshift($target) => $does,
        }
    };
}

impl Target for Any {
    type Load<'a> = AnyLoad<'a>;

    async fn connect(config: &config::Target) -> Result<Self> {
        Ok(match config.engine {
            Engine::Postgres => Self::Postgres(Postgres::connect(config).await?),
            Engine::Redshift => Self::Redshift(Redshift::connect(config).await?),
        })
    }

    async fn describe(&mut self) -> Result<TargetInfo> {
        either!(self, Self, target => target.describe().await)
    }

    fn place(config: &Config, table: &Table) -> Result<TargetTable> {
        match config.naming()?.engine {
            Engine::Postgres => Postgres::place(config, table),
            Engine::Redshift => Redshift::place(config, table),
        }
    }

    async fn prepare(&mut self, table: &TargetTable) -> Result<Prepared> {
        either!(self, Self, target => target.prepare(table).await)
    }

    async fn watermark(&mut self, table: &TargetTable) -> Result<Option<Watermark>> {
        either!(self, Self, target => target.watermark(table).await)
    }

    async fn begin<'a>(&'a mut self, table: &'a TargetTable, patience: Duration) -> Result<AnyLoad<'a>> {
        Ok(match self {
            Self::Postgres(target) => AnyLoad::Postgres(target.begin(table, patience).await?),
            Self::Redshift(target) => AnyLoad::Redshift(target.begin(table, patience).await?),
        })
    }

    async fn settle(&mut self, table: &TargetTable, applied: Applied) -> Result<()> {
        either!(self, Self, target => target.settle(table, applied).await)
    }
}

impl Load for AnyLoad<'_> {
    fn watermark(&self) -> &Watermark {
        either!(self, Self, load => load.watermark())
    }

    async fn apply(&mut self, manifest: &Manifest, bucket: &Bucket) -> Result<Applied> {
        either!(self, Self, load => load.apply(manifest, bucket).await)
    }

    async fn commit(self) -> Result<()> {
        either!(self, Self, load => load.commit().await)
    }

    async fn rollback(self) -> Result<()> {
        either!(self, Self, load => load.rollback().await)
    }
}
