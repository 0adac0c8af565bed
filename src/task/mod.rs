//! What a person or Airflow runs. Only here do source, ledger and target meet.

pub mod check;
pub mod extract;
mod flow;
mod idle;
pub mod load;
mod places;
pub mod resync;
pub mod run;
pub mod summary;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell, Semaphore};
use tokio::task::JoinSet;

use crate::bucket::Bucket;
use crate::config::{Config, literal};
use crate::error::{Error, Kind, Result};
use crate::ledger::Ledger;
use crate::source::{is_included, same_name, sqlserver::SqlServer};
use crate::table::TableName;
use crate::target::any::Any;
use summary::{Report, TableSummary};

/// The source that the configuration names.
pub type AnySource = SqlServer;

/// The target that the configuration names.
pub type AnyTarget = Any;

/// What all tasks are given.
#[derive(Debug, Clone)]
pub struct Context {
    /// The configuration.
    pub config: Arc<Config>,
    /// Tables named on the command line; empty for all.
    pub tables: Arc<[String]>,
    /// Opened once for all tasks of a process.
    bucket: Arc<OnceCell<Bucket>>,
}

impl Context {
    /// A context of all that these tables name.
    pub fn new(config: Config, tables: &[String]) -> Self {
        Self { config: Arc::new(config), tables: tables.into(), bucket: Arc::default() }
    }

    /// The same with a bucket that was opened elsewhere, such as by another context.
    #[must_use]
    pub fn with_bucket(self, bucket: Bucket) -> Self {
        Self { bucket: Arc::new(OnceCell::new_with(Some(bucket))), ..self }
    }

    /// The configured bucket.
    ///
    /// # Errors
    /// The configuration's.
    pub async fn bucket(&self) -> Result<Bucket> {
        let config = self.config.bucket()?;
        Ok(self.bucket.get_or_try_init(|| Box::pin(Bucket::open(&config))).await?.clone())
    }

    /// The ledger in the configured bucket.
    ///
    /// # Errors
    /// The configuration's.
    pub async fn ledger(&self) -> Result<Ledger> {
        Ok(Ledger::new(self.bucket().await?, self.config.sync.name.clone()))
    }

    /// Tables that were synced and are not at the source any more, each with its error: those that have an open
    /// generation and that the configuration still includes. Where tables are named on the command line, of those
    /// `missing` at the source; `present` are those that are there.
    ///
    /// # Errors
    /// The bucket's, or that of a missing one that was never synced.
    pub async fn gone(
        &self,
        ledger: &Ledger,
        present: &[TableName],
        mut missing: Vec<Missing>,
        ignores_case: bool,
    ) -> Result<Vec<(TableName, Error)>> {
        if !self.tables.is_empty() && missing.is_empty() {
            return Ok(Vec::new());
        }
        let (include, exclude) = self.config.patterns()?;
        let mut gone = Vec::new();
        for table in ledger.tables().await? {
            let same = |other: &TableName| same_table(ignores_case, other, &table);
            let is_named = missing.iter().any(|missing| same(&missing.name));
            let is_here = if self.tables.is_empty() { present.iter().any(same) } else { !is_named };
            if is_here || !is_included(&include, &exclude, &table, ignores_case) {
                continue;
            }
            if ledger.view(&table).await?.newest_open().is_some() {
                let message = "was synced, and is not at the source any more, or not to be seen by the login";
                let error = Error::new(Kind::TableGone, message).advice(format!(
                    "The target keeps it as it was. If it was dropped or renamed, add {} to source.exclude; else grant the login SELECT on it",
                    literal(&table.to_string())
                ));
                missing.retain(|missing| !same(&missing.name));
                gone.push((table, error));
            }
        }
        match missing.into_iter().next() {
            Some(unknown) => Err(unknown.error),
            None => Ok(gone),
        }
    }

    /// Keeps the tables named on the command line, or all if none is.
    ///
    /// # Errors
    /// [`Kind::UnknownTable`] for a name that is not among them, with those that come near.
    pub fn select<T>(
        &self,
        found: Vec<T>,
        name: impl Fn(&T) -> &TableName,
        ignores_case: bool,
        place: &str,
    ) -> Result<Vec<T>> {
        let (selected, missing) = self.split(found, name, ignores_case, place)?;
        match missing.into_iter().next() {
            Some(unknown) => Err(unknown.error),
            None => Ok(selected),
        }
    }

    /// As [`Context::select`], with the names that are not among them instead of an error.
    ///
    /// # Errors
    /// [`Kind::UnknownTable`] for what is no name of a table.
    pub fn split<T>(
        &self,
        found: Vec<T>,
        name: impl Fn(&T) -> &TableName,
        ignores_case: bool,
        place: &str,
    ) -> Result<(Vec<T>, Vec<Missing>)> {
        if self.tables.is_empty() {
            return Ok((found, Vec::new()));
        }
        let (mut wanted, mut missing) = (Vec::new(), Vec::new());
        for text in &*self.tables {
            let table: TableName =
                text.parse().map_err(|error| Error::new(Kind::UnknownTable, format!("--table: {error}")))?;
            let position = |ignores_case| found.iter().position(|item| same_table(ignores_case, name(item), &table));
            if let Some(index) = position(false).or_else(|| position(ignores_case)) {
                wanted.push(index);
            } else {
                let error = unknown(&table, found.iter().map(&name), place);
                missing.push(Missing { name: table, error });
            }
        }
        let keep = |(index, item)| wanted.contains(&index).then_some(item);
        Ok((found.into_iter().enumerate().filter_map(keep).collect(), missing))
    }
}

/// A table that the command line names and that is not there.
pub struct Missing {
    name: TableName,
    error: Error,
}

fn same_table(ignores_case: bool, left: &TableName, right: &TableName) -> bool {
    same_name(ignores_case, &left.schema, &right.schema) && same_name(ignores_case, &left.name, &right.name)
}

fn unknown<'a>(wanted: &TableName, found: impl Iterator<Item = &'a TableName>, place: &str) -> Error {
    let lower = wanted.name.to_lowercase();
    let near: Vec<_> = found
        .filter(|name| {
            let other = name.name.to_lowercase();
            other.contains(&lower) || lower.contains(&other)
        })
        .take(5)
        .map(ToString::to_string)
        .collect();
    let near = if near.is_empty() { String::new() } else { format!("; near it: {}", near.join(", ")) };
    Error::new(Kind::UnknownTable, format!("--table {wanted}: no such table {place}{near}"))
        .advice("Write it as schema.name, as the source spells it, and include it in source.include")
}

/// Connections that are made when needed and used again; one on which something failed is not.
pub struct Pool<C> {
    idle: Mutex<Vec<C>>,
}

impl<C> Default for Pool<C> {
    fn default() -> Self {
        Self { idle: Mutex::new(Vec::new()) }
    }
}

impl<C: Send> Pool<C> {
    /// Takes a connection, or makes one.
    ///
    /// # Errors
    /// Connecting failed.
    pub async fn take(&self, connect: impl Future<Output = Result<C>>) -> Result<C> {
        let idle = self.idle.lock().await.pop();
        match idle {
            Some(connection) => Ok(connection),
            None => connect.await,
        }
    }

    /// Gives a connection back.
    pub async fn give(&self, connection: C) {
        self.idle.lock().await.push(connection);
    }
}

/// Runs `work` on each table, at most `parallel` at a time. One table's failure stops that table only.
pub async fn for_each_table<I, F>(
    items: Vec<(TableName, I)>,
    parallel: usize,
    work: impl Fn(I) -> F,
    report: &mut Report,
) where
    F: Future<Output = Result<TableSummary>> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(parallel));
    let mut running = JoinSet::new();
    let mut names = BTreeMap::new();
    for (name, item) in items {
        let (permits, work) = (permits.clone(), work(item));
        let handle = running.spawn(async move {
            let _permit = permits.acquire_owned().await;
            work.await
        });
        names.insert(handle.id(), name);
    }
    while let Some(joined) = running.join_next_with_id().await {
        let (id, result) = match joined {
            Ok((id, result)) => (id, result),
            Err(error) => (
                error.id(),
                Err(Error::new(Kind::Internal, "the work on the table ended without a result").because(error)),
            ),
        };
        let Some(name) = names.get(&id) else { continue };
        match result {
            Ok(summary) => report.table(summary),
            Err(error) => report.table_failed(name, error),
        }
    }
}
