//! DISTSTYLE, DISTKEY, SORTKEY, and what of a table's declaration contradicts itself.

use super::cursor::Cursor;
use super::ddl::{ColumnDefinition, CreateTable, no_column};
use crate::redshift::error::SqlError;

/// How rows are spread and sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    pub dist_style: Option<String>,
    pub dist_key: Option<String>,
    pub sort_key: Vec<String>,
    pub interleaved: bool,
}

/// Reads DISTSTYLE, DISTKEY, SORTKEY and ENCODE AUTO of a table.
pub fn attributes(cursor: &mut Cursor) -> Result<Attributes, SqlError> {
    let mut found = Attributes::default();
    loop {
        if cursor.accept("backup") {
            if !cursor.accept("yes") && !cursor.accept("no") {
                return Err(cursor.unexpected());
            }
        } else if cursor.accept("diststyle") {
            found.dist_style = Some(dist_style(cursor)?);
        } else if cursor.accept("distkey") {
            match cursor.list(Cursor::identifier)?.as_slice() {
                [column] => found.dist_key = Some(column.clone()),
                _ => return Err(SqlError::new("42601", "DISTKEY takes one column")),
            }
        } else if cursor.accept_all(&["encode", "auto"]) || cursor.accept_all(&["sortkey", "auto"]) {
        } else if cursor.are(&["compound", "sortkey"])
            || cursor.are(&["interleaved", "sortkey"])
            || cursor.is("sortkey")
        {
            found.interleaved = cursor.accept("interleaved");
            cursor.accept("compound");
            cursor.expect("sortkey")?;
            found.sort_key = cursor.list(Cursor::identifier)?;
            let most = if found.interleaved { 8 } else { 400 };
            if found.sort_key.len() > most {
                return Err(SqlError::new("54011", format!("sort key has more than {most} columns")));
            }
        } else {
            return Ok(found);
        }
    }
}

/// Reads AUTO, EVEN, ALL or KEY.
pub fn dist_style(cursor: &mut Cursor) -> Result<String, SqlError> {
    let at = cursor.clone();
    let style = cursor.bare_word()?;
    if ["auto", "even", "all", "key"].contains(&style.as_str()) { Ok(style) } else { Err(at.unexpected()) }
}

/// Brings together what columns and table say, and refuses what contradicts itself.
pub fn finish(table: &mut CreateTable) -> Result<(), SqlError> {
    let has_dist_key = table.columns.iter().any(|column| column.is_dist_key);
    for column in &mut table.columns {
        if column.is_dist_key && table.attributes.dist_key.replace(column.name.clone()).is_some() {
            return Err(SqlError::new("42601", "a table has one DISTKEY"));
        }
    }
    for column in table.columns.iter().filter(|column| column.is_sort_key) {
        table.attributes.sort_key.push(column.name.clone());
    }
    let style = table.attributes.dist_style.as_deref();
    if style == Some("key") && table.attributes.dist_key.is_none() {
        return Err(SqlError::new("42601", "DISTSTYLE KEY needs a DISTKEY"));
    }
    if matches!(style, Some("even" | "all" | "auto")) && (has_dist_key || table.attributes.dist_key.is_some()) {
        return Err(SqlError::new("42601", "DISTKEY contradicts DISTSTYLE"));
    }
    let keys = table.attributes.dist_key.iter().chain(&table.attributes.sort_key);
    for key in keys {
        check_physical_key(&table.columns, key, table.like.is_some())?;
    }
    for key in &table.keys {
        for name in &key.columns {
            let column = table.columns.iter_mut().find(|column| column.name == *name);
            match column {
                Some(column) => column.not_null |= key.kind == 'p',
                None if table.like.is_some() => {}
                None => return Err(no_column(name)),
            }
        }
    }
    if table.keys.iter().filter(|key| key.kind == 'p').count() > 1 {
        return Err(SqlError::new(
            "42P16",
            format!("multiple primary keys for table \"{}\" are not allowed", table.name.name),
        ));
    }
    if table.columns.len() > 1600 {
        return Err(SqlError::new("54011", "tables can have at most 1600 columns"));
    }
    Ok(())
}

fn check_physical_key(columns: &[ColumnDefinition], key: &str, has_more: bool) -> Result<(), SqlError> {
    match columns.iter().find(|column| column.name == key) {
        Some(column) if column.column_type.is_no_key() => Err(SqlError::new(
            "0A000",
            format!("column \"{key}\" of type {} cannot be a distribution or sort key", column.column_type),
        )),
        None if !has_more => Err(no_column(key)),
        _ => Ok(()),
    }
}
