//! Bugs put in on purpose, which the histories must find.

use std::collections::BTreeSet;

use anyhow::Context;
use delsert::position::Position;
use delsert::source::Tracked;

use crate::support::source::Sql;

/// A bug between tasks and source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A row inserted and deleted within a window is not told, as the generated net function does not tell it.
    DeletesOfTheWindowsInserts,
    /// The position from which changes follow a copy is read after the copy.
    StartAfterCopy,
    /// The minimum is read before the changes, and not again after.
    MinimumOnlyBefore,
    /// A row that changes its key is only written under the new one.
    KeyChangeAsUpdate,
    /// The instance that a newer one replaces goes before all was read from it.
    OldInstanceDroppedAtOnce,
}

/// Deletes that are to be dropped.
#[derive(Default)]
pub struct Filter {
    /// Where the key's columns are in a row.
    pub at: Vec<usize>,
    /// Keys, as text.
    pub keys: BTreeSet<Vec<String>>,
}

impl Filter {
    /// Whether nothing is dropped.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What the bug drops of a window.
    pub async fn of(
        bug: Bug,
        sql: &mut Sql,
        tracked: Tracked<'_>,
        from: &Position,
        to: &Position,
    ) -> anyhow::Result<Self> {
        let change_table = format!("cdc.[{}_CT]", tracked.capture.instance.name);
        let which = match bug {
            Bug::DeletesOfTheWindowsInserts => "t.[__$operation] = 2".to_owned(),
            Bug::KeyChangeAsUpdate => format!(
                "t.[__$operation] = 1 AND EXISTS (SELECT 1 FROM {change_table} AS i WHERE i.[__$operation] = 2
                 AND i.[__$start_lsn] = t.[__$start_lsn] AND i.[__$seqval] = t.[__$seqval])"
            ),
            Bug::StartAfterCopy | Bug::MinimumOnlyBefore | Bug::OldInstanceDroppedAtOnce => return Ok(Self::default()),
        };
        let key = &tracked.table.key;
        let columns: Vec<_> = key.iter().map(|name| format!("CAST(t.[{name}] AS nvarchar(60))")).collect();
        let query = format!(
            "SELECT {} FROM {change_table} AS t WHERE t.[__$start_lsn] > {from} AND t.[__$start_lsn] <= {to} AND {which}",
            columns.join(", ")
        );
        let mut keys = BTreeSet::new();
        for row in sql.rows(&query).await? {
            let cell = |at| row.try_get::<&str, _>(at)?.map(str::to_owned).context("NULL in a key");
            keys.insert((0..key.len()).map(cell).collect::<anyhow::Result<_>>()?);
        }
        Ok(Self { at: tracked.table.key_indexes(), keys })
    }
}
