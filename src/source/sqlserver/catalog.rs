//! The catalogue: tables, columns, keys and capture instances, in a handful of statements for all tables.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tiberius::Row;

use super::altered::alterations;
use super::client::{Client, bytes, integer, text};
use super::decode::datetime_text;
use super::key::{Known, Unique};
use super::sql;
use super::types::Described;
use crate::config::{Config, OnPartitionSwitch, Source};
use crate::digest;
use crate::error::{Error, Kind, Result};
use crate::finding::{Finding, Matter, Place};
use crate::manifest::Instance;
use crate::position::Position;
use crate::source::{Capture, Owner, SourceTable, is_included, same_name};
use crate::table::{Table, TableName};

/// Rows by the `object_id` in their first cell, in order.
fn by_object(rows: Vec<Row>) -> HashMap<i64, Vec<Row>> {
    let mut map: HashMap<i64, Vec<Row>> = HashMap::new();
    for row in rows {
        map.entry(integer(&row, 0)).or_default().push(row);
    }
    map
}

/// All included tables.
pub async fn tables(
    client: &mut Client,
    source: &Source,
    config: &Config,
    enabled: bool,
    ignores_case: bool,
) -> Result<Vec<SourceTable>> {
    let names: Vec<_> = client
        .batch(sql::TABLES)
        .await?
        .iter()
        .map(|row| (integer(row, 0), TableName::new(text(row, 1), text(row, 2))))
        .filter(|(_, name)| is_included(&source.include, &source.exclude, name, ignores_case))
        .collect();
    let mut columns = by_object(columns(client).await?);
    let mut uniques = uniques(client.batch(sql::UNIQUES).await?);
    let mut instances = if enabled { instances(client, &Owner::of(config)?).await? } else { HashMap::new() };
    let partitioned = partitioned(client).await?;
    let mut altered = if enabled { alterations(client).await? } else { HashMap::new() };
    let mut found = Vec::with_capacity(names.len());
    for (object_id, name) in names {
        let rows = columns.remove(&object_id).unwrap_or_default();
        let described: Vec<_> = rows.iter().map(describe).collect();
        let uniques = uniques.remove(&object_id).unwrap_or_default();
        let captured = instances.remove(&object_id).unwrap_or_default();
        let mut table = assemble(config, name, &described, &uniques, captured, ignores_case);
        table.incarnation = incarnation(object_id, &rows);
        table.altered = altered.remove(&object_id).unwrap_or_default();
        if partitioned.contains(&object_id) {
            watch_switches(&mut table, config.sync.on_partition_switch);
        }
        found.push(table);
    }
    Ok(found)
}

/// The unique indexes of each table.
fn uniques(rows: Vec<Row>) -> HashMap<i64, Vec<Unique>> {
    let mut map: HashMap<i64, Vec<Unique>> = HashMap::new();
    for row in rows {
        let (found, name) = (map.entry(integer(&row, 0)).or_default(), text(&row, 1));
        if found.last().is_none_or(|last| last.name != name) {
            found.push(Unique { name, primary: integer(&row, 2) != 0, columns: Vec::new() });
        }
        if let Some(unique) = found.last_mut() {
            unique.columns.push(text(&row, 3));
        }
    }
    map
}

/// The columns of all tables. A server that does not know of encryption (207) has none encrypted.
async fn columns(client: &mut Client) -> Result<Vec<Row>> {
    match client.batch(sql::COLUMNS).await {
        Err(error) if error.number() == Some(207) => client.batch(sql::OLD_COLUMNS).await,
        other => other,
    }
}

/// What tells a table and its columns from others of the same names that stood there before.
fn incarnation(object_id: i64, columns: &[Row]) -> String {
    let ids: Vec<_> = columns.iter().map(|row| format!("{}:{}", integer(row, 10), text(row, 1))).collect();
    format!("{object_id} {}", ids.join(" "))
}

/// Tables whose rows lie in partitions. A server that does not tell has none.
async fn partitioned(client: &mut Client) -> Result<HashSet<i64>> {
    match client.batch(sql::PARTITIONED).await {
        Ok(rows) => Ok(rows.iter().map(|row| integer(row, 0)).collect()),
        Err(error) if matches!(error.kind(), Kind::SourceRefused | Kind::SourceRights) => Ok(HashSet::new()),
        Err(error) => Err(error),
    }
}

/// A switched partition moves its rows without a change record: told, or the table stops.
fn watch_switches(table: &mut SourceTable, policy: OnPartitionSwitch) {
    let name = &table.table.name;
    // One that forbids it is enough: the server refuses the statement.
    if table.captures.iter().any(|capture| !capture.partition_switch) {
        return;
    }
    let message = "is partitioned, and ALTER TABLE ... SWITCH moves rows without a trace in its history".to_owned();
    match policy {
        OnPartitionSwitch::Ignore => {
            let message = format!("{message}: after a switch, run 'delsert resync' for the table");
            table.findings.push(Finding::new(Matter::PartitionSwitch, message).on(name));
        }
        OnPartitionSwitch::Fail => {
            let statement = format!(
                "EXEC sys.sp_cdc_enable_table @source_schema = {}, @source_name = {}, @role_name = NULL, @supports_net_changes = 0, @allow_partition_switch = 0",
                sql::literal(&name.schema),
                sql::literal(&name.name)
            );
            let error = Error::new(Kind::Untraced, message)
                .advice("Have it captured by an instance that forbids switching; or, if nobody switches or you resync after it, set on_partition_switch = \"ignore\"")
                .mend(Place::Source, statement)
                .on(name);
            table.blocked.get_or_insert(Arc::new(error));
        }
    }
}

fn describe(row: &Row) -> Described {
    let (type_name, base) = (text(row, 2), text(row, 3));
    let small = |at| u8::try_from(integer(row, at)).unwrap_or(0);
    Described {
        name: text(row, 1),
        // An alias type's base; a CLR type has none and stands for itself.
        base: if base.is_empty() { type_name } else { base },
        max_length: integer(row, 4),
        precision: small(5),
        scale: small(6),
        collation: text(row, 7),
        nullable: integer(row, 8) != 0,
        computed: integer(row, 9) != 0,
        column_set: integer(row, 11) != 0,
        encrypted: integer(row, 12) != 0,
    }
}

async fn instances(client: &mut Client, owner: &Owner) -> Result<HashMap<i64, Vec<Capture>>> {
    let list = client.batch(sql::INSTANCES).await?;
    let names = |rows: Vec<Row>| -> HashMap<i64, Vec<String>> {
        by_object(rows).into_iter().map(|(id, rows)| (id, rows.iter().map(|row| text(row, 1)).collect())).collect()
    };
    let mut captured = client.batch(sql::CAPTURED).await?;
    captured.retain(|row| text(row, 1) == text(row, 2));
    let mut columns = names(captured);
    let mut keys = names(client.batch(sql::INSTANCE_KEYS).await?);
    let mut found: HashMap<i64, Vec<Capture>> = HashMap::new();
    for row in &list {
        let id = integer(row, 0);
        let name = text(row, 2);
        let Some(start) = bytes(row, 3) else { continue };
        let capture = Capture {
            ours: name.starts_with(&instance_prefix(owner)),
            instance: Instance { name, created: datetime_text(row, 4).unwrap_or_default() },
            start: Position::new(start),
            columns: columns.remove(&id).unwrap_or_default(),
            key: keys.remove(&id).unwrap_or_default(),
            partition_switch: integer(row, 5) != 0,
        };
        found.entry(integer(row, 1)).or_default().push(capture);
    }
    // The list came in order of creation, which a stable sort keeps.
    for captures in found.values_mut() {
        captures.sort_by_key(|capture| capture.ours);
    }
    Ok(found)
}

fn assemble(
    config: &Config,
    name: TableName,
    described: &[Described],
    uniques: &[Unique],
    captures: Vec<Capture>,
    ignores_case: bool,
) -> SourceTable {
    let options = config.options(&name);
    let is_excluded = |column: &str| {
        let is_there = |name: &String| described.iter().any(|known| known.name == *name);
        let same = |name: &&String| *name == column || !is_there(name) && same_name(ignores_case, name, column);
        options.exclude_columns.iter().any(|name| same(&name))
    };
    let mut columns = Vec::new();
    let mut left_out = Vec::new();
    for column in described.iter().filter(|column| !column.computed && !is_excluded(&column.name)) {
        match column.column() {
            Some(column) => columns.push(column),
            None => left_out.push(column),
        }
    }
    let lines = || {
        let names: Vec<_> = left_out.iter().map(|column| column.name.as_str()).collect();
        config.excluding_columns(&name, &names)
    };
    let findings =
        left_out.iter().map(|column| left_out_by_type(column).on(&name).mend(Place::Config, lines())).collect();
    let keyed = captures.iter().rev().map(|capture| capture.key.clone()).find(|key| !key.is_empty());
    let known = Known { described, columns: &columns, uniques };
    let key = keyed.unwrap_or_else(|| known.key());
    let key_index = known.index(&key);
    let table = Table { name, key, columns: columns.clone() };
    let blocked = config.check_entries(&table.name, ignores_case).err();
    let blocked = blocked.or_else(|| known.block(&table, &is_excluded));
    let blocked = blocked.map(|error| Arc::new(with_way_out(error, config, &table)));
    let primary = uniques.iter().find(|unique| unique.primary);
    let partial = table.columns.len() < described.iter().filter(|column| !column.computed).count();
    SourceTable {
        table,
        partial,
        captures,
        blocked,
        findings,
        primary_key: primary.map(|unique| unique.columns.clone()).unwrap_or_default(),
        key_index,
        incarnation: String::new(),
        altered: Vec::new(),
    }
}

/// A column that cannot be carried.
fn left_out_by_type(column: &Described) -> Finding {
    let name = &column.name;
    if column.encrypted {
        let message = format!(
            "column '{name}' is encrypted by clients: only they can read it, so it is left out; the lines say that this is meant"
        );
        return Finding::new(Matter::EncryptedColumn, message);
    }
    if column.column_set {
        let message = format!(
            "column '{name}' is the table's column set, which shows its sparse columns as XML; they flow themselves, and it is left out; the lines say that this is meant"
        );
        return Finding::new(Matter::UnsupportedColumn, message);
    }
    let message = format!(
        "column '{name}' is of type {}, which cannot be carried, and is left out; the lines say that this is meant",
        column.base
    );
    Finding::new(Matter::UnsupportedColumn, message)
}

/// With the lines that leave the table out: what always helps.
fn with_way_out(error: Error, config: &Config, table: &Table) -> Error {
    match config.excluding([&table.name]) {
        Ok(lines) if error.kind() == Kind::NoKey => error.mend(Place::Config, lines),
        _ => error,
    }
}

/// Letters and digits of a name, at most so many.
fn plain(name: &str, most: usize) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).take(most).collect()
}

/// How the names of all instances begin that a sync makes.
fn instance_prefix(owner: &Owner) -> String {
    format!("delsert_{}_{}_", plain(&owner.sync, 20), digest::short(&[&owner.sync, &owner.ledger], 8))
}

/// The name of the instance that a sync makes for a table with these columns: at most 100 characters, and no other's.
pub fn instance_name(owner: &Owner, table: &Table, incarnation: &str) -> String {
    let mut parts = vec![table.name.schema.as_str(), table.name.name.as_str(), incarnation];
    parts.extend(table.columns.iter().map(|column| column.name.as_str()));
    format!("{}{}_{}", instance_prefix(owner), plain(&table.name.name, 30), digest::short(&parts, 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(schema: &str, name: &str) -> Table {
        Table { name: TableName::new(schema, name), key: Vec::new(), columns: Vec::new() }
    }

    fn owner(sync: &str, ledger: &str) -> Owner {
        Owner { sync: sync.to_owned(), ledger: ledger.to_owned() }
    }

    #[test]
    fn instance_names_fit_and_do_not_fall_together() {
        let long = "x".repeat(128);
        assert!(instance_name(&owner(&long, "b/p"), &table(&long, &long), &long).len() <= 100);
        let shop = owner("shop", "b/p");
        assert_ne!(instance_name(&shop, &table("a", "b_c"), "1"), instance_name(&shop, &table("a_b", "c"), "1"));
        let again = instance_name(&shop, &table("a", "b"), "2");
        assert_ne!(instance_name(&shop, &table("a", "b"), "1"), again, "a column that came back is another");
        for other in [owner("shop_eu", "b/p"), owner("shop", "b/staging")] {
            assert!(!instance_name(&other, &table("a", "b"), "1").starts_with(&instance_prefix(&shop)));
        }
    }
}
