//! The watermark as its table's rows tell it.

use tokio_postgres::Row;
use uuid::Uuid;

use super::failure::Server;
use crate::error::{Error, Kind, Result};
use crate::target::delsert::Objects;
use crate::target::{TargetTable, Watermark};

/// The watermark of a table, from the rows that [`read_watermark`](crate::target::delsert::read_watermark) gave.
///
/// # Errors
/// [`Kind::OtherSync`] for another sync's, [`Kind::TargetShape`] for what no `delsert` wrote.
pub fn read(server: &Server, table: &TargetTable, objects: &Objects, rows: &[Row]) -> Result<Watermark> {
    let damaged = |what: &str| {
        server
            .error(Kind::TargetShape, &format!("has {what} in {}, which no delsert wrote", objects.mark))
            .advice(format!("Restore it, or drop that table, set on_existing_rows = \"replace\" for {}, and run 'delsert check', then 'delsert resync' for the table", objects.production))
    };
    let [row] = rows else {
        return Err(damaged(&format!("{} rows instead of one", rows.len())));
    };
    let field =
        |error: tokio_postgres::Error| server.failed(&format!("understand the watermark in {}", objects.mark), &error);
    let sync: String = row.try_get(0).map_err(field)?;
    if sync != table.sync {
        let message = format!("{} is written by sync '{sync}', not by '{}'", objects.production, table.sync);
        return Err(Error::new(Kind::OtherSync, message).advice(format!(
            "Give this sync a target schema of its own, or use the other sync's name; if '{sync}' is gone for good, drop {}, and let the first snapshot replace its rows by on_existing_rows = \"replace\"",
            objects.mark
        )));
    }
    let count = |at: usize| {
        let value: i64 = row.try_get(at).map_err(field)?;
        u64::try_from(value).map_err(|_| damaged("a negative number"))
    };
    let position: Option<String> = row.try_get(3).map_err(field)?;
    let attempt: Option<String> = row.try_get(4).map_err(field)?;
    Ok(Watermark {
        generation: count(1)?,
        sequence: count(2)?,
        position: position.map(|text| text.parse().map_err(|_| damaged("a wrong position"))).transpose()?,
        attempt: attempt.map(|text| Uuid::parse_str(&text).map_err(|_| damaged("a wrong attempt"))).transpose()?,
    })
}
