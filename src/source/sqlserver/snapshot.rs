//! The copy of a whole table, by key ranges.
//!
//! The position L0 from which windows start is read before the first row. Rows newer than L0 may be in the copy; the
//! windows that follow set them right, since they always include deletes.

use tiberius::Row;

use super::cdc;
use super::client::{Client, Parameter};
use super::decode::{parameter, push};
use super::{sql, types};
use crate::error::{Error, Kind, Result};
use crate::position::Position;
use crate::row::{Operation, RowSink};
use crate::source::Tracked;
use crate::table::Column;

/// Rows in a range: large enough that a table without a clustered key is not sorted too often.
const RANGE: usize = 100_000;

/// Copies a table and gives L0. `isolated` reads all ranges in one SNAPSHOT transaction.
pub async fn copy<S: RowSink>(
    client: &mut Client,
    tracked: Tracked<'_>,
    isolated: bool,
    sink: &mut S,
) -> Result<Position> {
    let maximum = cdc::maximum(client).await?;
    // A new instance may start above the maximum: what it does not capture is in the copy.
    let start = maximum.max(tracked.capture.start.clone());
    if isolated {
        client.batch("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION").await?;
    }
    ranges(client, tracked, sink).await?;
    if isolated {
        client.batch("COMMIT TRANSACTION; SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    }
    Ok(start)
}

async fn ranges<S: RowSink>(client: &mut Client, tracked: Tracked<'_>, sink: &mut S) -> Result<()> {
    let table = tracked.table;
    let name = format!("{}.{}", sql::name(&table.name.schema), sql::name(&table.name.name));
    let columns: Vec<_> =
        table.columns.iter().map(|column| (column.name.clone(), types::reading(column).to_owned())).collect();
    let key = table.key_indexes();
    let is_key: Vec<_> = (0..table.columns.len()).map(|at| key.contains(&at)).collect();
    let (mut after, mut parameters) = (Vec::new(), Vec::new());
    let mut before = Vec::new();
    loop {
        let statement = sql::range(&name, &columns, &table.key, &after, RANGE);
        let mut rows = client.stream(&statement, parameters).await?;
        let mut count = 0;
        let mut last = None;
        while let Some(row) = rows.next().await? {
            count += 1;
            if push(&row, 0, Operation::Upsert, &table.columns, &is_key, sink)? {
                sink.drain().await?;
            }
            last = (count == RANGE).then_some(row);
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
