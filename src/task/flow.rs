//! How a table goes on flowing when its definition changes at the source: pure decisions over what flowed before and what
//! the catalogue says now.

use crate::config::OnNewColumn;
use crate::error::{Error, Kind, Result};
use crate::manifest::Manifest;
use crate::source::{Capture, Source, SourceTable};
use crate::table::{Column, Table};

const RESYNC: &str = "Run 'delsert resync' for the table, which carries it as it is now";

/// How a table goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// As it flows at once: the columns that flowed before and are still those, as they are defined now.
    pub table: Table,
    /// Columns that do not flow yet and shall.
    pub gained: Vec<Column>,
    /// Names of columns that flowed and do not any more.
    pub lost: Vec<String>,
}

impl Course {
    /// As the table flows once all columns gained do.
    pub fn wanted(&self) -> Table {
        let mut table = self.table.clone();
        table.columns.extend(self.gained.iter().cloned());
        table
    }

    /// The newest instance that serves the table and has columns gained, with the names of those; `None` if none has any.
    /// While one is handed over to, the newest columns may have to wait for the next.
    pub fn servable<'a>(&self, found: &'a SourceTable) -> Option<(&'a Capture, Vec<String>)> {
        found.captures.iter().rev().filter(|capture| capture.serves(&self.table)).find_map(|capture| {
            let names = self.gained.iter().map(|column| column.name.clone());
            let served: Vec<_> = names.filter(|name| capture.columns.contains(name)).collect();
            (!served.is_empty()).then_some((capture, served))
        })
    }
}

/// How a table goes on that flowed as `before`; `tail` is the newest batch of its open generation.
///
/// # Errors
/// [`Kind::Drift`] for a change that is not followed, each naming the column.
pub fn course<S: Source>(
    before: &Table,
    found: &SourceTable,
    tail: Option<&Manifest>,
    policy: OnNewColumn,
) -> Result<Course> {
    check_key(before, found, tail)?;
    if tail.is_none() {
        return Ok(unread(before, found));
    }
    let mut course = Course {
        table: Table { name: before.name.clone(), key: before.key.clone(), columns: Vec::new() },
        gained: Vec::new(),
        lost: Vec::new(),
    };
    for column in &before.columns {
        let now = found.table.columns.iter().find(|now| now.name == column.name);
        let Some(now) = now.filter(|now| is_captured(found, tail, &now.name)) else {
            course.lost.push(column.name.clone());
            continue;
        };
        course.table.columns.push(follow::<S>(column, now, found, tail)?);
    }
    if let Some(key) = course.lost.iter().find(|lost| before.key.contains(lost)) {
        return Err(Error::new(Kind::Drift, format!("key column '{key}' is gone, or is excluded now")).advice(RESYNC));
    }
    let flows = |name: &String| course.table.columns.iter().any(|column| column.name == *name);
    let gained = found.table.columns.iter().filter(|column| !flows(&column.name)).cloned();
    match policy {
        OnNewColumn::Follow => course.gained = gained.collect(),
        OnNewColumn::Ignore => {}
        OnNewColumn::Fail => {
            if let Some(column) = gained.into_iter().next() {
                let message = format!("column '{}' ({}) is new", column.name, column.source_type);
                return Err(Error::new(Kind::Drift, message)
                    .advice("Set on_new_column to \"follow\" or \"ignore\", or name the column in exclude_columns"));
            }
        }
    }
    Ok(course)
}

/// As what a column flows on, through all that it became since the tail.
fn follow<S: Source>(column: &Column, now: &Column, found: &SourceTable, tail: Option<&Manifest>) -> Result<Column> {
    let since = tail.map(|tail| &tail.window.to);
    let meanwhile = found.altered.iter().filter(|altered| since.is_some_and(|since| altered.at > *since));
    let meanwhile = meanwhile.filter(|altered| altered.column.name == column.name);
    let became = meanwhile.map(|altered| Column { collation: column.collation.clone(), ..altered.column.clone() });
    let mut flows = column.clone();
    for next in became.chain([now.clone()]) {
        flows = S::follow(&flows, &next).ok_or_else(|| {
            let there = if next.source_type == now.source_type { "and is" } else { "and became meanwhile" };
            let fault = format!("column '{}' was {} {there} {}", column.name, flows.source_type, next.source_type);
            Error::new(Kind::Drift, fault).advice(RESYNC)
        })?;
    }
    Ok(Column { nullable: column.nullable || now.nullable, ..flows })
}

/// How a table begins of which nothing was read yet in its open generation: as it is now, whatever it was when that was
/// opened. Columns that came since wait, if its instance lacks them.
fn unread(before: &Table, found: &SourceTable) -> Course {
    let capture = found.captures.iter().rev().find(|capture| capture.key == found.table.key);
    let begins = |column: &Column| {
        let is_captured = capture.is_none_or(|capture| capture.columns.contains(&column.name));
        is_captured || before.columns.iter().any(|known| known.name == column.name)
    };
    let mut course = Course { table: found.table.clone(), gained: Vec::new(), lost: Vec::new() };
    (course.table.columns, course.gained) = course.table.columns.into_iter().partition(begins);
    course
}

/// How a table goes on, and the instance from which the window after `tail` is read, if nothing about the table's columns
/// is to be decided before.
pub fn settled<'a, S: Source>(
    found: &'a SourceTable,
    tail: &Manifest,
    policy: OnNewColumn,
    may_enable: bool,
) -> Option<(Course, &'a Capture)> {
    let course = course::<S>(&tail.table, found, Some(tail), policy).ok()?;
    let from = &tail.window.to;
    let waits = || course.servable(found).is_none() && cannot_follow(&course, found, may_enable).is_none();
    if found.blocked.is_some() || !(course.gained.is_empty() || waits()) {
        return None;
    }
    let capture = found.capture_after(&course.table, from).filter(|capture| capture.start <= *from)?;
    Some((course, capture))
}

/// The key may only change with a new generation: it says which rows are one.
fn check_key(before: &Table, found: &SourceTable, tail: Option<&Manifest>) -> Result<()> {
    if let (Some(error), true) = (&found.blocked, found.table.key.is_empty()) {
        return Err(Error::new(error.kind(), "has no key that identifies a row any more").advice(RESYNC));
    }
    if tail.is_none() || before.key == found.table.key || found.captures.iter().any(|capture| capture.key == before.key)
    {
        return Ok(());
    }
    let message = format!("its key was ({}) and is ({})", before.key.join(", "), found.table.key.join(", "));
    Err(Error::new(Kind::Drift, message).advice(RESYNC))
}

/// Whether the column of that name is the one that the tail's instance captured: one that was dropped and added again is
/// another, and of its values that instance knows nothing.
fn is_captured(found: &SourceTable, tail: Option<&Manifest>, name: &String) -> bool {
    let read_from = tail.and_then(|tail| found.captures.iter().find(|capture| capture.instance == tail.instance));
    read_from.is_none_or(|capture| capture.columns.contains(name))
}

/// Why nobody will make an instance with the columns gained; `None` while `check` may.
pub fn cannot_follow(course: &Course, found: &SourceTable, may_enable: bool) -> Option<Error> {
    let gained: Vec<_> = course.gained.iter().map(|column| format!("'{}'", column.name)).collect();
    let message = format!("no capture instance has its new column {}", gained.join(", "));
    let ignore = "or set on_new_column = \"ignore\", or name the column in exclude_columns";
    let foreign = found.captures.iter().filter(|capture| !capture.ours).count();
    let advice = if !may_enable {
        format!(
            "Let a db_owner run sys.sp_cdc_enable_table for the table once more, under another @capture_instance, {ignore}"
        )
    } else if found.captures.len() >= 2 && foreign > 0 {
        format!("A table can have only two, and others use {foreign}: drop one with sys.sp_cdc_disable_table, {ignore}")
    } else if found.primary_key != found.table.key && found.key_index.is_none() {
        format!(
            "Its key is another than the primary key: let a db_owner run sys.sp_cdc_enable_table for the table once more, with the same @index_name and another @capture_instance, {ignore}"
        )
    } else {
        return None;
    };
    Some(Error::new(Kind::Drift, message).advice(advice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Instance;
    use crate::position::Position;
    use crate::source::Alteration;
    use crate::source::sqlserver::SqlServer;
    use crate::table::{ColumnType, TableName};

    fn column(text: &str) -> Column {
        let (name, source_type) = text.split_once(' ').unwrap_or((text, "int"));
        let column_type = if source_type == "int" { ColumnType::Integer { bytes: 4 } } else { ColumnType::Date };
        Column {
            name: name.to_owned(),
            source_type: source_type.to_owned(),
            column_type,
            nullable: true,
            collation: None,
        }
    }

    fn table(columns: &[&str]) -> Table {
        let columns: Vec<_> = columns.iter().map(|text| column(text)).collect();
        Table { name: TableName::new("dbo", "T"), key: vec![columns[0].name.clone()], columns }
    }

    fn found(columns: &[&str], captures: &[(&str, bool)]) -> SourceTable {
        let capture = |(columns, ours): &(&str, bool)| Capture {
            instance: Instance { name: (*columns).to_owned(), created: String::new() },
            start: Position::new([0]),
            ours: *ours,
            columns: columns.split(' ').map(str::to_owned).collect(),
            key: vec!["id".to_owned()],
            partition_switch: true,
        };
        SourceTable {
            table: table(columns),
            partial: false,
            captures: captures.iter().map(capture).collect(),
            blocked: None,
            findings: Vec::new(),
            primary_key: vec!["id".to_owned()],
            key_index: None,
            incarnation: String::new(),
            altered: Vec::new(),
        }
    }

    fn tail(instance: &str) -> Manifest {
        let json = serde_json::json!({
            "format": 1, "sync": "s", "attempt": uuid::Uuid::nil(), "generation": 1, "sequence": 1,
            "table": {"schema": "dbo", "name": "T"}, "key": ["id"], "columns": [], "kind": "snapshot",
            "window": {"from": null, "to": "0x00"}, "instance": {"name": instance, "created": ""},
            "source": {"engine": "sqlserver", "database": "d"}, "committed": null, "upserts": 0, "deletes": 0,
            "encoding": {"compression": "none", "null": "N", "binary_prefix": ""}, "parts": [],
            "written_at": "2026-01-01T00:00:00Z",
        });
        serde_json::from_value(json).unwrap()
    }

    fn names(columns: &[Column]) -> Vec<&str> {
        columns.iter().map(|column| column.name.as_str()).collect()
    }

    #[test]
    fn what_is_gained_flows_by_policy_and_what_is_lost_does_not() {
        let (before, now) = (table(&["id", "a", "b"]), found(&["id", "b", "c"], &[("id a b", true)]));
        let followed = course::<SqlServer>(&before, &now, Some(&tail("")), OnNewColumn::Follow).unwrap();
        assert_eq!((names(&followed.table.columns), names(&followed.gained)), (vec!["id", "b"], vec!["c"]));
        assert_eq!(followed.lost, ["a"]);
        assert_eq!(names(&followed.wanted().columns), ["id", "b", "c"]);
        assert!(followed.servable(&now).is_none());
        let handed = found(&["id", "b", "c", "d"], &[("id a b", true), ("id b c", true)]);
        let followed = course::<SqlServer>(&before, &handed, Some(&tail("")), OnNewColumn::Follow).unwrap();
        let (capture, columns) = followed.servable(&handed).unwrap();
        assert_eq!((capture.instance.name.as_str(), columns), ("id b c", vec!["c".to_owned()]), "d waits");
        assert!(course::<SqlServer>(&before, &now, Some(&tail("")), OnNewColumn::Ignore).unwrap().gained.is_empty());
        let refused = course::<SqlServer>(&before, &now, Some(&tail("")), OnNewColumn::Fail).unwrap_err();
        assert!(refused.kind() == Kind::Drift && refused.to_string().contains("'c'"), "{refused}");
    }

    #[test]
    fn a_column_that_came_back_under_its_name_is_another() {
        let (before, now) = (table(&["id", "a"]), found(&["id", "a"], &[("id", true), ("id a", true)]));
        let course = course::<SqlServer>(&before, &now, Some(&tail("id")), OnNewColumn::Follow).unwrap();
        assert_eq!((course.lost, names(&course.gained)), (vec!["a".to_owned()], vec!["a"]));
    }

    #[test]
    fn a_type_that_went_there_and_back_is_not_followed() {
        let mut now = found(&["id", "a"], &[("id a", true)]);
        let altered = |at: u8, text: &str| Alteration { at: Position::new([at]), column: column(text) };
        let course =
            |now: &SourceTable| course::<SqlServer>(&table(&["id", "a"]), now, Some(&tail("")), OnNewColumn::Follow);
        now.altered = vec![altered(1, "a date"), altered(2, "a")];
        let error = course(&now).unwrap_err();
        assert!(error.to_string().contains("column 'a' was int and became meanwhile date"), "{error}");
        now.altered = vec![altered(0, "a date"), altered(1, "a")];
        course(&now).unwrap();
    }

    #[test]
    fn what_nothing_was_read_of_begins_as_it_is_now() {
        let before = table(&["id", "a", "b"]);
        let now = found(&["id", "a date", "c", "d"], &[("id a c", true)]);
        let course = course::<SqlServer>(&before, &now, None, OnNewColumn::Follow).unwrap();
        assert_eq!((names(&course.table.columns), names(&course.gained)), (vec!["id", "a", "c"], vec!["d"]));
        assert!(course.lost.is_empty());
    }

    #[test]
    fn what_changes_values_or_the_key_is_not_followed() {
        let before = table(&["id", "a"]);
        for (now, named) in [
            (found(&["id", "a date"], &[("id a", true)]), "column 'a' was int and is date"),
            (found(&["a"], &[]), "its key was (id) and is (a)"),
            (found(&["a"], &[("id a", true)]), "key column 'id' is gone"),
        ] {
            let error = course::<SqlServer>(&before, &now, Some(&tail("")), OnNewColumn::Follow).unwrap_err();
            assert!(error.kind() == Kind::Drift && error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn nobody_is_waited_for_who_cannot_come() {
        let of = |captures: &[(&str, bool)]| {
            let now = found(&["id", "a"], captures);
            (course::<SqlServer>(&table(&["id"]), &now, Some(&tail("")), OnNewColumn::Follow).unwrap(), now)
        };
        for (captures, may_enable, possible) in [
            (&[("id", true)][..], true, true),
            (&[("id", true)], false, false),
            (&[("id", false)], true, true),
            (&[("id", false), ("id", true)], true, false),
            (&[("id", true), ("id", true)], true, true),
        ] {
            let (course, now) = of(captures);
            assert_eq!(cannot_follow(&course, &now, may_enable).is_none(), possible, "{captures:?} {may_enable}");
        }
    }
}
