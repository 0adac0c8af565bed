//! The copy of a whole table, or of its rows that hold a value in some columns, by key ranges.
//!
//! The position L0 from which windows start is read before the first row. Rows newer than L0 may be in the copy; the
//! windows that follow set them right, since they always include deletes.

use tiberius::Row;

use super::client::{Client, Parameter};
use super::decode::{parameter, push};
use super::preflight::{self, Guard};
use super::{rights, sql, types};
use crate::error::{Error, Kind, Result};
use crate::position::Position;
use crate::row::{Operation, RowSink};
use crate::source::Tracked;
use crate::table::{Column, Table};

/// Rows in a range: large enough that a table without a clustered key is not sorted too often.
pub const RANGE: usize = 100_000;

/// How a copy is read.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Reads all ranges in one SNAPSHOT transaction.
    pub isolated: bool,
    /// Rows in a range.
    pub range: usize,
    /// What the login is guarded against.
    pub guard: Guard,
}

/// Copies a table and gives L0, of what was the `maximum` before.
pub async fn copy<S: RowSink>(
    client: &mut Client,
    tracked: Tracked<'_>,
    maximum: Position,
    reading: Reading,
    sink: &mut S,
) -> Result<Position> {
    // A new instance may start above the maximum: what it does not capture is in the copy.
    let start = maximum.max(tracked.capture.start.clone());
    rows(client, tracked.table, &[], reading, sink).await?;
    Ok(start)
}

/// Pushes the rows in which one of the columns `holding` is not NULL, or all rows if there are none.
pub async fn rows<S: RowSink>(
    client: &mut Client,
    table: &Table,
    holding: &[String],
    reading: Reading,
    sink: &mut S,
) -> Result<()> {
    preflight::refuse_hidden(client, table, reading.guard).await?;
    if reading.isolated {
        client.batch("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION").await?;
    }
    let copied = ranges(client, table, holding, reading.range, sink).await;
    if let Err(error) = copied {
        return Err(match error.number() {
            Some(207 | 208) => Error::new(Kind::Outdated, "the table changed while it was read")
                .because(error)
                .advice("Run the task again"),
            _ => rights::reading(client, error, |user| rights::table(user, &table.name)).await,
        });
    }
    if reading.isolated {
        client.batch("COMMIT TRANSACTION; SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    }
    Ok(())
}

async fn ranges<S: RowSink>(
    client: &mut Client,
    table: &Table,
    holding: &[String],
    range: usize,
    sink: &mut S,
) -> Result<()> {
    let copied = sql::Copied {
        table: sql::table(&table.name),
        columns: table.columns.iter().map(|column| (column.name.clone(), types::reading(column))).collect(),
        key: &table.key,
        holding,
    };
    let key = table.key_indexes();
    let is_key: Vec<_> = (0..table.columns.len()).map(|at| key.contains(&at)).collect();
    let (mut after, mut parameters) = (Vec::new(), Vec::new());
    let mut before = Vec::new();
    loop {
        let statement = sql::range(&copied, &after, range);
        let mut rows = client.stream(&statement, parameters).await?;
        let mut count = 0;
        let mut last = None;
        while let Some(row) = rows.next().await? {
            count += 1;
            if push(&row, 0, Operation::Upsert, &table.columns, &is_key, sink)? {
                sink.drain().await?;
            }
            last = (count == range).then_some(row);
        }
        let Some(last) = last else { return Ok(()) };
        (after, parameters) = bound(&last, &key, &table.columns)?;
        if parameters == before {
            return Err(Error::new(
                Kind::Value,
                "the copy does not get past a key: the server does not find it again as it gave it",
            )
            .advice("Its code page may lack a character; change the key's collation, or leave the table out"));
        }
        before.clone_from(&parameters);
    }
}

/// The key of the last row read, as expressions and parameters.
fn bound(last: &Row, key: &[usize], columns: &[Column]) -> Result<(Vec<String>, Vec<Parameter>)> {
    let expressions = key.iter().enumerate().map(|(number, at)| types::bound(&columns[*at], number + 1)).collect();
    let value = |at: &usize| {
        let data = last.get_column_data(*at);
        parameter(
            data.map_err(|error| Error::new(Kind::Internal, "a row lacks its key").because(error))?,
            &columns[*at],
        )
    };
    Ok((expressions, key.iter().map(value).collect::<Result<_>>()?))
}
