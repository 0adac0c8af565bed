//! Rows that are in a table before its first batch: not ours to delete, unless the configuration says so.

use tokio_postgres::GenericClient;

use super::failure::Server;
use crate::config::OnExistingRows;
use crate::error::Result;
use crate::target::TargetTable;
use crate::target::refusal::{self, Difference};

/// The rows of a table, counted as far as that is quick.
#[derive(Debug, Default)]
pub struct Rows {
    counted: i64,
    and_more: bool,
}

impl Rows {
    /// Counts those of a table by its quoted name.
    ///
    /// # Errors
    /// The server's.
    pub async fn of(client: &impl GenericClient, server: &Server, name: &str) -> Result<Self> {
        const ENOUGH: i64 = 100_000;
        let count = format!("SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT {}) AS counted", ENOUGH + 1);
        let counted = client.query_typed_one(&count, &[]).await.and_then(|row| row.try_get::<_, i64>(0));
        let counted = counted.map_err(|error| server.failed(&format!("count the rows of {name}"), &error))?;
        Ok(Self { counted: counted.min(ENOUGH), and_more: counted > ENOUGH })
    }

    /// Whether there are any.
    pub fn are_there(&self) -> bool {
        self.counted > 0
    }

    /// That they keep a table from its first batch, if they do.
    pub fn in_the_way(&self, table: &TargetTable) -> Option<Difference> {
        let stay = self.are_there() && table.on_existing_rows == OnExistingRows::Fail;
        stay.then(|| refusal::foreign_rows(self.counted, !self.and_more))
    }
}

/// Refuses a first batch for a table, by its quoted name, that holds rows which no batch brought, unless they may be replaced.
///
/// # Errors
/// That refusal; the server's.
pub async fn spare(client: &impl GenericClient, server: &Server, table: &TargetTable, name: &str) -> Result<()> {
    if table.on_existing_rows == OnExistingRows::Replace {
        return Ok(());
    }
    match Rows::of(client, server, name).await?.in_the_way(table) {
        Some(rows) => Err(refusal::refusal(name, &[rows])),
        None => Ok(()),
    }
}
