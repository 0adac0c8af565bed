//! A table that was there before: adopted, or refused with all that keeps it from being so, each with what mends it.
//!
//! Refused is what would make loads impossible, change or drop rows of ours on their way, or reach rows of others. What
//! may refuse a row, loudly and with nothing applied, is its owner's affair, and told once.

use super::attached::{Attached, Hiding, Index, Production, What};
use super::shape::{self, Filling, Present, Requirement, Type, holds};
use crate::finding::{Finding, Matter, Place};
use crate::target::delsert::quote;
use crate::target::refusal::Difference;
use crate::target::{TargetColumn, TargetTable};

/// What makes loads impossible or wrong, whatever a batch brings.
pub fn hindrances(production: &Production, table: &TargetTable) -> Vec<Difference> {
    if !production.is_table() {
        let kind = match production.relation.kind.as_str() {
            "v" => "a view",
            "m" => "a materialized view",
            "f" => "a foreign table",
            "S" => "a sequence",
            "i" | "I" => "an index",
            _ => "something else",
        };
        return vec![Difference::new(format!("it is {kind}, not a table"))];
    }
    let name = &production.name;
    let mut found = Vec::new();
    if !production.durable {
        let what = "it is unlogged or temporary, and a crash of the server would empty it unseen".to_owned();
        found.push(Difference::mended(what, format!("ALTER TABLE {name} SET LOGGED")));
    }
    if let Some(hiding) = production.hides_rows {
        let mend = match hiding {
            Hiding::FromOwner => format!("ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY"),
            Hiding::FromOthers => format!("ALTER ROLE {} BYPASSRLS", production.login),
        };
        found.push(Difference::mended("row-level security hides rows of it from the login".to_owned(), mend));
    }
    found.extend(production.attached.iter().filter_map(|attached| hindrance(name, attached)));
    found.extend(table.key.iter().filter_map(|&at| folding(production, &table.columns[at])));
    found
}

/// A key column in which texts are equal that the source tells apart.
fn folding(production: &Production, wanted: &TargetColumn) -> Option<Difference> {
    let present = shape::column(&production.relation, &wanted.name)?;
    if !present.folds || wanted.sql_type.to_lowercase().contains("collate") {
        return None;
    }
    let (shown, sql_type) = (&wanted.name, &wanted.sql_type);
    let what = format!("key column '{shown}' has a collation by which different texts are equal");
    let change = format!("ALTER COLUMN {} TYPE {sql_type} COLLATE pg_catalog.\"default\"", quote(shown));
    Some(retyped(production, shown, what, &change))
}

/// What a column's other type mends. Types of a column that a view reads cannot be altered, and a view is not ours to
/// drop.
fn retyped(production: &Production, column: &str, what: String, change: &str) -> Difference {
    let statement = format!("ALTER TABLE {} {change}", production.name);
    match production.views_of(column).as_str() {
        "" => Difference::mended(what, statement),
        views => Difference::new(format!("{what}, and while {views} reads it nobody can alter that: {statement}")),
    }
}

fn hindrance(table: &str, attached: &Attached) -> Option<Difference> {
    let Attached { what, name, of, detail, .. } = attached;
    Some(match (what, detail.as_str()) {
        (What::Incoming, "") => return None,
        (What::Incoming, "a") => Difference::mended(
            format!("foreign key {name} of {of} refuses that its rows are deleted and inserted again"),
            format!("ALTER TABLE {of} ALTER CONSTRAINT {name} DEFERRABLE"),
        ),
        (What::Incoming, "r") => Difference::mended(
            format!(
                "foreign key {name} of {of} is ON DELETE RESTRICT and refuses that its rows are deleted and inserted again (NO ACTION with DEFERRABLE would not)"
            ),
            format!("ALTER TABLE {of} DROP CONSTRAINT {name}"),
        ),
        (What::Incoming, _) => Difference::mended(
            format!(
                "foreign key {name} of {of} changes rows there when ours are deleted and inserted again (NO ACTION with DEFERRABLE would not)"
            ),
            format!("ALTER TABLE {of} DROP CONSTRAINT {name}"),
        ),
        (What::RowTrigger, _) => Difference::mended(
            format!("trigger {name} of {of} may change or drop rows before they are written"),
            format!("ALTER TABLE {of} DISABLE TRIGGER {name}"),
        ),
        (What::Rule, _) => Difference::mended(
            format!("rule {name} of {of} puts something else in the place of what is written"),
            format!("ALTER TABLE {of} DISABLE RULE {name}"),
        ),
        (What::ForeignPartition, _) => Difference::mended(
            format!(
                "partition {of} is a foreign table, whose rows do not change in one transaction with the watermark"
            ),
            format!("ALTER TABLE {table} DETACH PARTITION {of}"),
        ),
        (What::UnloggedPartition, _) => Difference::mended(
            format!("partition {of} is unlogged, and a crash of the server would empty it unseen"),
            format!("ALTER TABLE {of} SET LOGGED"),
        ),
        (What::Child, _) => Difference::mended(
            format!("{of} inherits from it, and its rows would be deleted with ours"),
            format!("ALTER TABLE {of} NO INHERIT {table}"),
        ),
        (What::Parent, "partition") => Difference::mended(
            format!("it is a partition of {of}, and its columns cannot follow the source"),
            format!("ALTER TABLE {of} DETACH PARTITION {table}"),
        ),
        (What::Parent, _) => Difference::mended(
            format!("it inherits from {of}, and its columns cannot follow the source"),
            format!("ALTER TABLE {table} NO INHERIT {of}"),
        ),
        _ => return None,
    })
}

/// What of a table that no batch was loaded into cannot be mended by adding columns.
pub fn differences(production: &Production, table: &TargetTable, types: &[Type]) -> Vec<Difference> {
    let mut found = hindrances(production, table);
    if !production.is_table() {
        return found;
    }
    let name = &production.name;
    if !production.lacks.is_empty() {
        let rights = production.lacks.join(", ");
        let mend = format!("GRANT {rights} ON {name} TO {}", production.login);
        found.push(Difference::mended(format!("the login lacks {rights} on it"), mend));
    }
    for (at, (wanted, wanted_type)) in table.columns.iter().zip(types).enumerate() {
        let is_key = table.key.contains(&at);
        match shape::column(&production.relation, &wanted.name) {
            Some(present) => {
                of_column(production, (present, wanted, *wanted_type), is_key, &mut found);
            }
            None => found.extend(of_missing(production, wanted, is_key)),
        }
    }
    // One that differs by case is to be renamed, and is no column of the table's own.
    let lower: Vec<_> = table.columns.iter().map(|wanted| wanted.name.to_lowercase()).collect();
    for present in &production.relation.columns {
        if !present.is_needed() || lower.contains(&present.name.to_lowercase()) {
            continue;
        }
        let what = format!("column '{}' is NOT NULL without a default, but not the source's", present.name);
        found.push(if present.required == Some(Requirement::Column) {
            Difference::mended(what, drop_not_null(production, present))
        } else {
            Difference::new(format!("{what}, by its domain {}", present.type_name))
        });
    }
    found
}

/// A name that differs by case only is the same to whoever made it.
fn of_missing(production: &Production, wanted: &TargetColumn, is_key: bool) -> Option<Difference> {
    let (name, column) = (&production.name, &wanted.name);
    let lower = column.to_lowercase();
    let variant = production.relation.columns.iter().find(|present| present.name.to_lowercase() == lower);
    if let Some(variant) = variant {
        return Some(Difference::mended(
            format!("column '{column}' is spelt '{}'", variant.name),
            format!("ALTER TABLE {name} RENAME COLUMN {} TO {}", quote(&variant.name), quote(column)),
        ));
    }
    let mend = format!("ALTER TABLE {name} ADD COLUMN {} {}", quote(column), wanted.sql_type);
    is_key.then(|| Difference::mended(format!("key column '{column}' is missing"), mend))
}

fn drop_not_null(production: &Production, present: &Present) -> String {
    let keyed = production.primary().filter(|key| key.columns.contains(&present.name));
    let constraint = keyed.and_then(|key| key.constraint.as_ref());
    let first = constraint.map(|key| format!("DROP CONSTRAINT IF EXISTS {key}, ")).unwrap_or_default();
    format!("ALTER TABLE {} {first}ALTER COLUMN {} DROP NOT NULL", production.name, quote(&present.name))
}

fn of_column(
    production: &Production,
    (present, wanted, wanted_type): (&Present, &TargetColumn, Type),
    is_key: bool,
    found: &mut Vec<Difference>,
) {
    let (table, shown, column) = (&production.name, &wanted.name, quote(&wanted.name));
    let alter = |change: String| format!("ALTER TABLE {table} {change}");
    if present.is_generated() {
        let what = format!("column '{shown}' is generated and cannot be written");
        let change = make_writable(present.filled, &column, production.server_version);
        found.push(Difference::mended(what, alter(change)));
    }
    if present.filled == Some(Filling::Virtual) {
        return;
    }
    let nullable = wanted.nullable && !is_key;
    if !holds(present.column_type, wanted_type) {
        let what = format!("column '{shown}' is {}, not {}", present.type_name, wanted.sql_type);
        found.push(retyped(production, shown, what, &retype(present, wanted, wanted_type)));
    } else if nullable && present.required == Some(Requirement::Domain) {
        let what =
            format!("column '{shown}' is NOT NULL by its domain {}, but the source allows NULL", present.type_name);
        found.push(retyped(production, shown, what, &retype(present, wanted, wanted_type)));
    }
    if nullable && present.required == Some(Requirement::Column) {
        let what = format!("column '{shown}' is NOT NULL, but the source allows NULL");
        found.push(Difference::mended(what, drop_not_null(production, present)));
    }
}

/// The change that lets a generated column be written.
fn make_writable(filled: Option<Filling>, column: &str, server_version: i32) -> String {
    match filled {
        Some(Filling::OnlyIdentity) => format!("ALTER COLUMN {column} DROP IDENTITY"),
        Some(Filling::Stored) if server_version >= 130_000 => format!("ALTER COLUMN {column} DROP EXPRESSION"),
        _ => format!("DROP COLUMN {column}"),
    }
}

/// The change of a column's type, and of what would hinder it.
fn retype(present: &Present, wanted: &TargetColumn, wanted_type: Type) -> String {
    let (column, sql_type) = (quote(&wanted.name), &wanted.sql_type);
    let first = match present.filled {
        Some(Filling::Identity) => format!("ALTER COLUMN {column} DROP IDENTITY, "),
        Some(Filling::Default) => format!("ALTER COLUMN {column} DROP DEFAULT, "),
        _ => String::new(),
    };
    let using = if present.column_type.casts_to(wanted_type) {
        String::new()
    } else {
        format!(" USING CAST(CAST({column} AS text) AS {sql_type})")
    };
    format!("{first}ALTER COLUMN {column} TYPE {sql_type}{using}")
}

/// What a person should know of a table that is adopted.
pub fn findings(production: &Production, table: &TargetTable) -> Vec<Finding> {
    let name = &production.name;
    let mut found = Vec::new();
    let is_ours = |column: &String| table.columns.iter().any(|wanted| wanted.name == *column);
    let own = production.relation.columns.iter().filter(|present| !is_ours(&present.name) && !present.is_generated());
    let own: Vec<_> = own.map(|present| format!("'{}'", present.name)).collect();
    if !own.is_empty() {
        let message = format!(
            "{name} has columns of its own ({}): a row that changes is deleted and inserted again, and they then hold their default, or NULL, in it, and one whose name the source gains is the source's; keep values that must stay in a table beside it",
            own.join(", ")
        );
        found.push(Finding::new(Matter::OwnColumn, message));
    }
    for attached in &production.attached {
        found.extend(
            may_refuse(name, attached)
                .map(|(message, statement)| Finding::new(Matter::Attached, message).mend(Place::Target, statement)),
        );
    }
    let key: Vec<_> = table.key.iter().map(|&at| &table.columns[at].name).collect();
    for index in production.indexes.iter().filter(|index| may_meet(index, &key, production, is_ours)) {
        let statement = match &index.constraint {
            Some(constraint) => format!("ALTER TABLE {name} DROP CONSTRAINT {constraint}"),
            None => format!("DROP INDEX {}", index.name),
        };
        let message = format!(
            "unique index {} of {name} is not on the key: it refuses rows that the source allows, also those that meet only while a copy is not yet followed by its changes",
            index.name
        );
        found.push(Finding::new(Matter::Attached, message).mend(Place::Target, statement));
    }
    if !production.key_is_indexed(table) {
        let columns: Vec<_> = key.iter().map(|column| quote(column)).collect();
        let columns = columns.join(", ");
        let statement = if production.primary().is_some() {
            format!("CREATE UNIQUE INDEX ON {name} ({columns})")
        } else {
            format!("ALTER TABLE {name} ADD PRIMARY KEY ({columns})")
        };
        let message =
            format!("{name} has no index on its key: each load reads all of it, and no doubled key is refused");
        found.push(Finding::new(Matter::KeyIndex, message).mend(Place::Target, statement));
    }
    found
}

/// Whether a unique index may refuse rows of which each has its own key. One that a column of the table's own fills with
/// numbers does not.
fn may_meet(index: &Index, key: &[&String], production: &Production, is_ours: impl Fn(&String) -> bool) -> bool {
    let fills_itself = |column: &String| {
        !is_ours(column) && shape::column(&production.relation, column).is_some_and(|present| present.filled.is_some())
    };
    let holds_key = key.iter().all(|column| index.columns.contains(column));
    index.unique && !holds_key && !index.columns.iter().any(fills_itself)
}

/// What may refuse rows, or does more than is asked: in words, with the statement that takes it away.
fn may_refuse(table: &str, attached: &Attached) -> Option<(String, String)> {
    let Attached { what, name, of, .. } = attached;
    let drop = |of: &str| format!("ALTER TABLE {of} DROP CONSTRAINT {name}");
    Some(match what {
        What::Incoming => {
            let message = format!(
                "foreign key {name} of {of} refers to {table}: while a row is referred to that is deleted at the source, load stops"
            );
            (message, drop(of))
        }
        What::Outgoing => {
            let message = format!(
                "foreign key {name} of {table}: tables are loaded one after the other, and rows that come before those they refer to stop the load"
            );
            (message, drop(table))
        }
        What::Check | What::Exclusion => {
            let message =
                format!("constraint {name} of {table} refuses rows that the source may have, and load then stops");
            (message, drop(table))
        }
        What::Domain => {
            let message = format!(
                "constraint {name} of domain {of} refuses values that the source may have, and load then stops"
            );
            (message, format!("ALTER DOMAIN {of} DROP CONSTRAINT {name}"))
        }
        What::Trigger => {
            let message =
                format!("trigger {name} of {of} runs with each batch, which deletes and inserts rows and updates none");
            (message, format!("ALTER TABLE {of} DISABLE TRIGGER {name}"))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_column_is_made_writable_as_the_servers_version_can() {
        for (filled, version, expected) in [
            (Filling::Stored, 120_022, "DROP COLUMN c"),
            (Filling::Stored, 130_000, "ALTER COLUMN c DROP EXPRESSION"),
            (Filling::Virtual, 180_000, "DROP COLUMN c"),
            (Filling::OnlyIdentity, 120_000, "ALTER COLUMN c DROP IDENTITY"),
        ] {
            assert_eq!(make_writable(Some(filled), "c", version), expected, "{filled:?} {version}");
        }
    }
}
