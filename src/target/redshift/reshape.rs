//! A table that changes its form with a batch.
//!
//! "ALTER TABLE": the size of a VARCHAR can be altered, outside a transaction; nothing else of a type. Any other change is
//! a new column in the old one's place, within the load's transaction, which leaves the table with its grants; or a new
//! table, see [`rebuild`].

use tokio_postgres::GenericClient;

use super::shape::{self, Present, holds, wanted};
use super::{objects, read_watermark, rebuild};
use crate::error::{Error, Kind, Result};
use crate::manifest::{BatchKind, Manifest};
use crate::target::delsert::quote;
use crate::target::pgwire::Session;
use crate::target::pgwire::failure::Server;
use crate::target::types::Shape;
use crate::target::{TargetColumn, TargetTable};

/// The name of a column that is to take another's place.
const SUCCESSOR: &str = "delsert_successor";

/// Widens VARCHAR columns before a load, which cannot do so itself; a table that needs none costs a look. Wider columns
/// change nothing for anybody, so that it does no harm if the load then finds that it has nothing to do.
///
/// # Errors
/// The server's, or that of another sync's table.
pub async fn widen(session: &Session, table: &TargetTable) -> Result<()> {
    let Session { client, server, .. } = session;
    let name = objects(table).production;
    let found = shape::find(client, &table.schema, &table.name).await;
    let Some(production) = found.map_err(|error| server.failed(&format!("look up {name}"), &error))? else {
        return Ok(());
    };
    let narrow = table.columns.iter().filter(|column| {
        let present = production.column(&column.name).map(Present::shape);
        matches!((present, wanted(column)), (Some(Shape::Octets(present)), Shape::Octets(wanted)) if present < wanted)
    });
    let narrow: Vec<_> = narrow.collect();
    if narrow.is_empty() || read_watermark(client, server, table).await?.is_none_or(|mark| mark.generation == 0) {
        return Ok(());
    }
    for column in narrow {
        let statement = format!("ALTER TABLE {name} ALTER COLUMN {} TYPE {}", quote(&column.name), column.sql_type);
        // Another load may have done it, or a default or an encoding be in the way: then the load puts a column in its place.
        match client.batch_execute(&statement).await {
            Ok(()) => tracing::info!(table = %table.source_name, "{statement}"),
            Err(error) if error.as_db_error().is_some() => {
                let error = server.failed("widen a column", &error);
                tracing::info!(table = %table.source_name, %error, "a column cannot be altered, and is made anew");
            }
            Err(error) => return Err(server.failed("widen a column", &error)),
        }
    }
    Ok(())
}

/// What a table's form is changed for.
pub struct Occasion<'a> {
    /// The table's name, quoted and qualified.
    pub name: &'a str,
    /// The table as it is.
    pub production: &'a shape::Relation,
    /// The table as the batch has it.
    pub table: &'a TargetTable,
    /// The batch.
    pub manifest: &'a Manifest,
}

impl Occasion<'_> {
    /// Whether the batch is a copy of the whole table, so that no old row stays.
    pub fn is_copy(&self) -> bool {
        self.manifest.kind == BatchKind::Snapshot
    }

    /// What becomes of each column of the batch.
    fn fates(&self) -> Vec<Fate> {
        let fate = |(at, column): (usize, &TargetColumn)| {
            let added = self.manifest.table.columns.get(at);
            let added = added.is_some_and(|source| self.manifest.added.contains(&source.name));
            match self.production.column(&column.name) {
                None if self.is_copy() || added => Fate::Added,
                None => Fate::Unfit,
                Some(present) if present.is_identity() => Fate::Unfit,
                Some(present) => Fate::of(present, column, (self.is_copy(), added), self.table.key.contains(&at)),
            }
        };
        self.table.columns.iter().enumerate().map(fate).collect()
    }

    /// What no statement mends without losing values, in words.
    fn differences(&self, fates: &[Fate]) -> Vec<String> {
        let unfit = self.table.columns.iter().zip(fates).filter(|(_, fate)| **fate == Fate::Unfit);
        let unfit = unfit.map(|(column, _)| match self.production.column(&column.name) {
            // It would be NULL in all rows that this batch does not touch.
            None => format!("column '{}' is missing", column.name),
            Some(present) if present.is_identity() => {
                format!("column '{}' numbers itself and cannot be written", column.name)
            }
            Some(present) => format!("column '{}' is {}, not {}", column.name, present.type_name, column.sql_type),
        });
        let is_ours = |name: &String| self.table.columns.iter().any(|column| column.name == *name);
        let foreign = self.production.columns.iter().filter(|present| !is_ours(&present.name));
        let foreign = foreign.filter(|present| present.required && present.filled.is_none()).map(|present| {
            format!("column '{}' is NOT NULL without a default, and no batch has it; drop it by hand", present.name)
        });
        unfit.chain(foreign).collect()
    }

    /// Whether the table must be made anew: a column is to be replaced by which its rows are distributed or sorted.
    fn rebuilds(&self, fates: &[Fate]) -> bool {
        self.table.columns.iter().zip(fates).any(|(column, fate)| {
            let present = self.production.column(&column.name);
            matches!(fate, Fate::Replaced { .. })
                && present.is_some_and(|present| present.distributes || present.sort != 0)
        })
    }

    /// The statements that give the production table the form that the batch needs, in order, none as a rule; of a
    /// snapshot, once the rows are deleted.
    ///
    /// # Errors
    /// The server's; [`Kind::TargetShape`] with each difference that no statement mends without losing values.
    pub async fn changes(&self, client: &impl GenericClient, server: &Server) -> Result<Vec<String>> {
        let fates = self.fates();
        let differences = self.differences(&fates);
        if !differences.is_empty() {
            return Err(self.unmended(&differences));
        }
        if self.rebuilds(&fates) {
            let attached = rebuild::attached(client, self.table).await;
            let attached = attached.map_err(|error| server.failed(&format!("look up {}", self.name), &error))?;
            let statements = rebuild::statements(self, &fates, &attached).map_err(|hindrances| {
                let message = format!(
                    "{} must be made anew, since a column changes its type by which its rows are distributed or sorted: {}",
                    self.name,
                    hindrances.join("; ")
                );
                Error::new(Kind::TargetShape, message).advice("Nothing was applied. Do what is named, then run load again")
            })?;
            tracing::warn!(table = %self.table.source_name, "the table is made anew: what it had beyond columns, rows, rights, distribution and sort keys must be given to it again by hand, such as policies of row-level security and masking, declared keys, collations, encodings, comments");
            return Ok(statements);
        }
        let columns = self.table.columns.iter().zip(&fates);
        Ok(columns.flat_map(|(column, fate)| fate.statements(self.name, column)).collect())
    }

    fn unmended(&self, differences: &[String]) -> Error {
        let message = format!("{} is not as this batch needs it: {}", self.name, differences.join("; "));
        Error::new(Kind::TargetShape, message)
            .advice("Nothing was applied. Put back what was changed, or run 'delsert resync' for the table")
    }
}

/// What becomes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is new.
    Added,
    /// Nothing.
    Stays,
    /// Its values go, it stays.
    Emptied,
    /// Another takes its place, with its values or without.
    Replaced {
        /// Whether the values stay.
        values: bool,
    },
    /// It does not hold what the batch brings, and what does holds not what is in it.
    Unfit,
}

impl Fate {
    fn of(present: &Present, column: &TargetColumn, (snapshot, added): (bool, bool), is_key: bool) -> Self {
        let fits = holds(present.shape(), wanted(column));
        let refuses_null = present.required && column.nullable && !is_key;
        if !fits && !snapshot && !added && !holds(wanted(column), present.shape()) {
            return Self::Unfit;
        }
        if !fits || refuses_null {
            return Self::Replaced { values: !snapshot && !added };
        }
        if added && !snapshot { Self::Emptied } else { Self::Stays }
    }

    /// The statements that bring it about in the table as it is.
    fn statements(self, name: &str, column: &TargetColumn) -> Vec<String> {
        let (quoted, sql_type) = (quote(&column.name), &column.sql_type);
        match self {
            Self::Stays | Self::Unfit => Vec::new(),
            Self::Added => vec![format!("ALTER TABLE {name} ADD COLUMN {quoted} {sql_type}")],
            Self::Emptied => vec![format!("UPDATE {name} SET {quoted} = NULL WHERE {quoted} IS NOT NULL")],
            Self::Replaced { values } => {
                let mut changes = vec![format!("ALTER TABLE {name} ADD COLUMN {SUCCESSOR} {sql_type}")];
                if values {
                    changes.push(format!("UPDATE {name} SET {SUCCESSOR} = {quoted}"));
                }
                changes.push(format!("ALTER TABLE {name} DROP COLUMN {quoted}"));
                changes.push(format!("ALTER TABLE {name} RENAME COLUMN {SUCCESSOR} TO {quoted}"));
                changes
            }
        }
    }
}
