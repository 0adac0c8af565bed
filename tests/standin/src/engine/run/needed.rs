//! Filling the relations that a statement reads and SQLite does not hold: catalogue views and change tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::params_from_iter;
use rusqlite::types::Value as Stored;

use super::super::bind::bounds::{Edge, Seen};
use super::super::bind::{Needed, NeededSource};
use super::super::environment::Environment;
use super::super::error::{Result, from_sqlite};
use super::super::session::SqlSession;
use super::super::values::{collation, storage, types};
use crate::cdc::{LAST, Lsn, ZERO, decrement, increment};
use crate::value::{Column, SqlType, Value};

/// Lower and upper bound of the LSN, both inclusive.
type Bounds = (Option<Lsn>, Option<Lsn>);

/// Rows asked of a change table at a time.
const PAGE: usize = 2000;

impl SqlSession {
    /// Fills what a statement needs.
    pub fn fill(&mut self, environment: &Arc<Environment>, needed: &[Needed], params: &[Stored]) -> Result<()> {
        for Needed { table, source, columns } in needed {
            match source {
                NeededSource::View(view, user) => {
                    let lasting = view.lasting
                        && self.filled.get(table) == Some(&environment.catalog.version)
                        && !environment.shared.cdc.enabled();
                    if lasting {
                        continue;
                    }
                    let counts = if super::super::views::counts_rows(view) {
                        self.row_counts(environment)?
                    } else {
                        BTreeMap::new()
                    };
                    let rows = (view.rows)(&super::super::views::Sight { environment, user: *user, rows: counts });
                    self.refill(table, columns, rows.into_iter())?;
                    if view.lasting && !self.transaction.open {
                        self.filled.insert(table.clone(), environment.catalog.version);
                    } else {
                        self.filled.remove(table);
                    }
                }
                NeededSource::Cdc { name, seen } => {
                    let (bounds, first) = self.window(seen, params)?;
                    self.fill_changes(table, columns, name, bounds, first)?;
                }
                NeededSource::CdcFunction { name, args } => {
                    let mut values = Vec::new();
                    for (sql, ty) in args {
                        let stored: Stored = self.one(sql, params)?;
                        values.push(storage::decode((&stored).into(), *ty));
                    }
                    let mut rows = self.shared.cdc.table_function(name, &values, environment.as_ref())?.rows;
                    if let Some(order) = self.shared.during_reads.take(name) {
                        let before = order.rows();
                        order.run(&self.shared)?;
                        rows = super::super::during::left_of(rows, before, self.shared.cdc.lowest_change(name));
                    }
                    self.refill(table, columns, rows.into_iter())?;
                }
            }
        }
        Ok(())
    }

    /// The inclusive bounds of what is seen, and whether its first row is enough.
    fn window(&self, seen: &Seen, params: &[Stored]) -> Result<(Bounds, bool)> {
        let lsn = |edge: &Option<Edge>| -> Result<Option<Lsn>> {
            let Some(edge) = edge else { return Ok(None) };
            // A value of another length is compared by WHERE alone.
            Ok(match self.one(&edge.sql, params)? {
                Stored::Blob(bytes) => bytes.try_into().ok(),
                _ => None,
            })
        };
        let (mut low, mut high) = (lsn(&seen.low)?, lsn(&seen.high)?);
        let first = seen.first && low.is_some() == seen.low.is_some() && high.is_some() == seen.high.is_some();
        let open = |edge: &Option<Edge>| edge.as_ref().is_some_and(|edge| edge.open);
        if open(&seen.low) && low != Some(LAST) {
            low = low.map(increment);
        }
        if open(&seen.high) && high != Some(ZERO) {
            high = high.map(decrement);
        }
        Ok(((low, high), first))
    }

    /// Fills a table of schema `cdc` page by page: what capture and cleanup do meanwhile is seen from the next page on.
    fn fill_changes(&mut self, table: &str, columns: &[Column], name: &str, bounds: Bounds, first: bool) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let mut order = shared.during_reads.take(name);
        let (mut place, mut read, mut failed) = (Some(None), 0, None);
        let pages = std::iter::from_fn(|| {
            let due = order.take_if(|order| read >= order.rows() || place.is_none());
            if let Some(Err(error)) = due.map(|order| order.run(&shared)) {
                failed = Some(error);
                return None;
            }
            let after = place?;
            let page = if first { 1 } else { PAGE };
            let limit = order.as_ref().map_or(page, |order| page.min(order.rows() - read));
            let (rows, next) = shared.cdc.scan(name, bounds, after, limit);
            read += rows.len();
            place = next.filter(|_| !first).map(Some);
            Some(rows)
        });
        self.refill(table, columns, pages.flatten())?;
        failed.map_or(Ok(()), Err)
    }

    /// The rows of every table of the user database, by table and partition.
    fn row_counts(&self, environment: &Arc<Environment>) -> Result<BTreeMap<(i32, i32), i64>> {
        let mut counts = BTreeMap::new();
        for table in environment.catalog.tables.values() {
            counts.extend((1..).zip(self.partition_rows(environment, table)?).map(|(at, rows)| ((table.id, at), rows)));
        }
        Ok(counts)
    }

    fn one(&self, sql: &str, params: &[Stored]) -> Result<Stored> {
        let mut statement = self.connection.prepare(&format!("SELECT {sql}")).map_err(|error| from_sqlite(&error))?;
        let wanted = statement.parameter_count().min(params.len());
        statement.query_row(params_from_iter(&params[..wanted]), |row| row.get(0)).map_err(|error| from_sqlite(&error))
    }

    fn refill(&mut self, table: &str, columns: &[Column], rows: impl Iterator<Item = Vec<Value>>) -> Result<()> {
        let described: Vec<String> =
            columns.iter().enumerate().map(|(at, column)| format!("k{at}{}", collate(column))).collect();
        let run = |sql: String| self.connection.execute_batch(&sql).map_err(|error| from_sqlite(&error));
        run(format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} ({})", described.join(", ")))?;
        // One transaction for all rows, unless one is open already.
        let own = self.connection.is_autocommit();
        if own {
            run("BEGIN".to_owned())?;
        }
        let marks: Vec<&str> = columns.iter().map(|_| "?").collect();
        let result = (|| {
            let mut statement = self
                .connection
                .prepare(&format!("INSERT INTO {table} VALUES ({})", marks.join(", ")))
                .map_err(|error| from_sqlite(&error))?;
            for row in rows {
                statement
                    .execute(params_from_iter(row.iter().map(storage::encode)))
                    .map_err(|error| from_sqlite(&error))?;
            }
            Ok(())
        })();
        if own {
            run(if result.is_ok() { "COMMIT" } else { "ROLLBACK" }.to_owned())?;
        }
        result
    }
}

/// The COLLATE clause of a stored column.
fn collate(column: &Column) -> String {
    match column.sql_type {
        SqlType::DateTimeOffset(_) => format!(" COLLATE \"{}\"", collation::OFFSET),
        ty if types::is_text(ty) => format!(" COLLATE \"{}\"", column.collation.unwrap_or(collation::DEFAULT)),
        _ => String::new(),
    }
}
