//! The ledger: a table's batches in order, as objects in the bucket. The ledger is the state.
//!
//! [`layout`] names objects, [`view`] is what a listing says, [`decide`] holds every decision over it as pure
//! functions, and [`Ledger`] reads and writes.

pub mod decide;
pub mod layout;
pub mod view;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

use crate::bucket::{Bucket, Created, Upload};
use crate::crash::{self, Step};
use crate::error::{Error, Kind, Result};
use crate::manifest::{Manifest, Opening};
use crate::table::TableName;
use view::View;

/// Small objects read side by side.
const READS_AT_ONCE: usize = 16;

/// The ledger of one sync.
#[derive(Debug, Clone)]
pub struct Ledger {
    bucket: Bucket,
    sync: String,
}

/// `applied.json`: says that a batch was committed to the target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppliedMark {
    /// Format version.
    pub format: u32,
    /// The attempt that made the batch.
    pub attempt: Uuid,
    /// When it was marked, by the clock of the machine that wrote it.
    pub applied_at: DateTime<Utc>,
}

/// How publishing a manifest ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Publication {
    /// The batch is ours.
    Won,
    /// Another attempt's manifest stands there.
    Lost(Uuid),
}

impl Ledger {
    /// The ledger of a sync in a bucket.
    pub fn new(bucket: Bucket, sync: impl Into<String>) -> Self {
        Self { bucket, sync: sync.into() }
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    fn path(&self, table: &TableName) -> String {
        layout::table_path(&self.sync, table)
    }

    /// The stem of an attempt's parts: their keys without `-<n>` and ending.
    pub fn part_stem(&self, table: &TableName, generation: u64, sequence: u64, attempt: Uuid) -> String {
        self.bucket.key(&format!("{}{attempt}", layout::batch_path(&self.path(table), generation, sequence)))
    }

    /// What stands in the ledger of one table.
    ///
    /// # Errors
    /// The bucket's.
    pub async fn view(&self, table: &TableName) -> Result<View> {
        let path = self.path(table);
        let keys = self.bucket.list(&path).await?;
        Ok(View::from_keys(&self.bucket.key(&path), keys))
    }

    /// What stands in the ledgers of many tables, by one listing.
    ///
    /// # Errors
    /// The bucket's.
    pub async fn views(&self, tables: &[TableName]) -> Result<BTreeMap<TableName, View>> {
        if let [table] = tables {
            return Ok([(table.clone(), self.view(table).await?)].into());
        }
        let keys = self.bucket.list(&layout::sync_path(&self.sync)).await?;
        let view = |table: &TableName| {
            let prefix = self.bucket.key(&self.path(table));
            let from = keys.partition_point(|key| *key < prefix);
            let mine = keys[from..].iter().take_while(|key| key.starts_with(&prefix));
            View::from_keys(&prefix, mine.cloned())
        };
        Ok(tables.iter().map(|table| (table.clone(), view(table))).collect())
    }

    /// The tables that have a folder here.
    ///
    /// # Errors
    /// The bucket's, or [`Kind::LedgerUnreadable`].
    pub async fn tables(&self) -> Result<Vec<TableName>> {
        let sync = layout::sync_path(&self.sync);
        let mut tables = Vec::new();
        for folder in self.bucket.folders(&sync).await? {
            match layout::table_of(&folder) {
                Some(table) => tables.push(table),
                None => tables.extend(self.name_in(&format!("{sync}{folder}/")).await?),
            }
        }
        Ok(tables)
    }

    /// The table that a folder with a shortened name belongs to, as its newest `open.json` spells it.
    async fn name_in(&self, path: &str) -> Result<Option<TableName>> {
        let prefix = self.bucket.key(path);
        let view = View::from_keys(&prefix, self.bucket.list(path).await?);
        let Some(newest) = view.newest_open() else { return Ok(None) };
        let named = self.read_opening(path, newest).await?.map(|opening| opening.table.name);
        // A folder that was copied is not its table's.
        Ok(named.filter(|table| self.path(table) == path))
    }

    /// Opens a generation; [`Created::Exists`] if it was open.
    ///
    /// # Errors
    /// The bucket's.
    pub async fn open(&self, opening: &Opening) -> Result<Created> {
        let path = layout::open_path(&self.path(&opening.table.name), opening.generation);
        let created = self.bucket.create(&self.bucket.key(&path), json(opening)?).await?;
        if created == Created::New {
            crash::after(Step::GenerationOpened)?;
        }
        Ok(created)
    }

    /// A generation's `open.json`; `None` if it is not open.
    ///
    /// # Errors
    /// [`Kind::LedgerUnreadable`], or the bucket's.
    pub async fn opening(&self, table: &TableName, generation: u64) -> Result<Option<Opening>> {
        self.read_opening(&self.path(table), generation).await
    }

    async fn read_opening(&self, path: &str, generation: u64) -> Result<Option<Opening>> {
        let key = self.bucket.key(&layout::open_path(path, generation));
        let Some(bytes) = self.bucket.get(&key).await? else { return Ok(None) };
        Opening::read(&bytes, &key, generation).map(Some)
    }

    /// A batch's manifest; `None` if there is no such batch.
    ///
    /// # Errors
    /// [`Kind::LedgerUnreadable`], or the bucket's.
    pub async fn manifest(&self, table: &TableName, generation: u64, sequence: u64) -> Result<Option<Manifest>> {
        let key = self.bucket.key(&layout::manifest_path(&self.path(table), generation, sequence));
        let Some(bytes) = self.bucket.get(&key).await? else { return Ok(None) };
        let manifest = Manifest::read(&bytes, &key, generation, sequence)?;
        if manifest.table.name != *table || manifest.sync != self.sync {
            let message = format!("manifest '{key}' is of table {} in sync '{}'", manifest.table.name, manifest.sync);
            return Err(
                Error::new(Kind::LedgerUnreadable, message).advice("It was copied here by other hands: remove it")
            );
        }
        Ok(Some(manifest))
    }

    /// The newest manifests of the newest open generations, read side by side. One that cannot be read is left out: it
    /// stops its own table, in that table's work.
    pub async fn tails(&self, views: &BTreeMap<TableName, View>) -> BTreeMap<TableName, Manifest> {
        let wanted = views.iter().filter_map(|(table, view)| view.tail().map(|place| (table.clone(), place)));
        let read = |(table, (generation, sequence)): (TableName, (u64, u64))| async move {
            let found = self.manifest(&table, generation, sequence).await;
            found.ok().flatten().map(|manifest| (table, manifest))
        };
        let read = futures_util::stream::iter(wanted).map(read).buffer_unordered(READS_AT_ONCE);
        read.filter_map(std::future::ready).collect().await
    }

    /// What opened the newest open generations, read side by side, each with its own error.
    pub async fn openings(&self, views: &BTreeMap<TableName, View>) -> BTreeMap<TableName, Result<Opening>> {
        let wanted = views.iter().filter_map(|(table, view)| view.newest_open().map(|newest| (table.clone(), newest)));
        let read = |(table, generation): (TableName, u64)| async move {
            let found = self.opening(&table, generation).await.transpose();
            found.map(|opening| (table, opening))
        };
        let read = futures_util::stream::iter(wanted).map(read).buffer_unordered(READS_AT_ONCE);
        read.filter_map(std::future::ready).collect().await
    }

    /// Makes a batch exist, if no other has taken its place. Its parts must have been verified.
    ///
    /// # Errors
    /// The bucket's, or [`Kind::LedgerUnreadable`] when what stands there cannot be read: then it is unknown who won,
    /// and nothing may be removed.
    pub async fn publish(&self, manifest: &Manifest) -> Result<Publication> {
        let table = &manifest.table.name;
        let path = layout::manifest_path(&self.path(table), manifest.generation, manifest.sequence);
        let key = self.bucket.key(&path);
        if self.bucket.create(&key, json(manifest)?).await? == Created::New {
            crash::after(Step::ManifestWritten)?;
            return Ok(Publication::Won);
        }
        let found = self.manifest(table, manifest.generation, manifest.sequence).await?;
        let found = found.ok_or_else(|| {
            Error::new(Kind::LedgerUnreadable, format!("manifest '{key}' was there and is gone")).advice("Try again")
        })?;
        Ok(decide::winner(manifest.attempt, found.attempt))
    }

    /// Marks a batch applied. Its commit must be known.
    ///
    /// # Errors
    /// The bucket's.
    pub async fn mark_applied(&self, table: &TableName, generation: u64, sequence: u64, attempt: Uuid) -> Result<()> {
        let path = layout::applied_path(&self.path(table), generation, sequence);
        let mark = AppliedMark { format: crate::manifest::FORMAT, attempt, applied_at: Utc::now() };
        match self.bucket.create(&self.bucket.key(&path), json(&mark)?).await? {
            Created::New => crash::after(Step::AppliedMarked),
            Created::Exists => Ok(()),
        }
    }

    /// Removes objects.
    ///
    /// # Errors
    /// The bucket's.
    pub async fn remove(&self, keys: &[String]) -> Result<()> {
        self.bucket.remove(keys).await
    }

    /// Removes what attempts left at a sequence: parts and unfinished uploads of those that `doomed` names.
    ///
    /// # Errors
    /// The bucket's.
    pub async fn remove_attempts(
        &self,
        table: &TableName,
        generation: u64,
        sequence: u64,
        doomed: impl Fn(Uuid) -> bool,
    ) -> Result<()> {
        let path = layout::batch_path(&self.path(table), generation, sequence);
        let is_doomed = |key: &str| layout::attempt_of(key).is_some_and(&doomed);
        for upload in self.bucket.uploads(&path).await? {
            if is_doomed(&upload.key) {
                self.bucket.abort_upload(&upload).await?;
            }
        }
        let keys: Vec<_> = self.bucket.list(&path).await?.into_iter().filter(|key| is_doomed(key)).collect();
        self.bucket.remove(&keys).await
    }

    /// Unfinished uploads of a table, each with its place and attempt.
    ///
    /// # Errors
    /// The bucket's.
    pub async fn uploads(&self, table: &TableName) -> Result<Vec<(decide::Place, Uuid, Upload)>> {
        let path = self.path(table);
        let prefix = self.bucket.key(&path);
        let placed = |upload: Upload| match upload.key.strip_prefix(&prefix).and_then(layout::parse)? {
            layout::Place::Batch(generation, sequence, layout::Object::Attempt(attempt)) => {
                Some(((generation, sequence), attempt, upload))
            }
            _ => None,
        };
        Ok(self.bucket.uploads(&path).await?.into_iter().filter_map(placed).collect())
    }
}

fn json(value: &impl Serialize) -> Result<Bytes> {
    let text = serde_json::to_vec_pretty(value);
    text.map(Bytes::from).map_err(|error| Error::new(Kind::Internal, "cannot write JSON").because(error))
}
