//! ALTER TABLE: one change a statement.

use super::cursor::Cursor;
use super::ddl::{self, ColumnDefinition, Key};
use super::physical::{self, Attributes};
use super::{Statement, control};
use crate::redshift::error::SqlError;
use crate::redshift::name::Name;
use crate::redshift::types::Type;

/// One change of a table.
#[derive(Debug, Clone)]
pub enum Change {
    /// ADD COLUMN.
    Add(Box<ColumnDefinition>),
    /// DROP COLUMN.
    Drop { column: String, cascade: bool },
    /// RENAME COLUMN.
    RenameColumn { from: String, to: String },
    /// RENAME TO.
    Rename(String),
    /// SET SCHEMA.
    SetSchema(String),
    /// OWNER TO.
    Owner(String),
    /// ADD a key.
    AddKey(Key),
    /// DROP CONSTRAINT.
    DropKey(String),
    /// ALTER COLUMN TYPE.
    Retype { column: String, to: Type },
    /// ALTER COLUMN ENCODE.
    Encode { column: String, encode: String },
    /// ALTER DISTSTYLE, DISTKEY, SORTKEY.
    Physical(Attributes),
    /// APPEND FROM.
    Append(Name),
    /// What only an external table has.
    External,
}

/// Reads what follows ALTER.
pub fn parse(cursor: &mut Cursor) -> Result<Statement, SqlError> {
    if !cursor.accept("table") {
        return control::alter(cursor).map(Statement::Control);
    }
    let name = cursor.name()?;
    let change = change(cursor)?;
    Ok(Statement::Alter(name, change))
}

fn change(cursor: &mut Cursor) -> Result<Change, SqlError> {
    let external =
        [&["add", "partition"][..], &["drop", "partition"], &["set", "location"], &["set", "file", "format"]];
    if external.iter().any(|words| cursor.are(words)) {
        cursor.skip_rest();
        return Ok(Change::External);
    }
    if cursor.accept("add") {
        if let Some(key) = ddl::table_key(cursor)? {
            return Ok(Change::AddKey(key));
        }
        cursor.accept("column");
        let (column, keys) = ddl::column(cursor)?;
        if !keys.is_empty() || column.is_dist_key || column.is_sort_key {
            return Err(SqlError::unsupported("ADD COLUMN takes neither keys nor DISTKEY nor SORTKEY"));
        }
        if column.identity.is_some() {
            return Err(SqlError::unsupported("ADD COLUMN does not take IDENTITY"));
        }
        return Ok(Change::Add(Box::new(column)));
    }
    if cursor.accept("drop") {
        if cursor.accept("constraint") {
            let name = cursor.identifier()?;
            cascade(cursor);
            return Ok(Change::DropKey(name));
        }
        cursor.accept("column");
        let column = cursor.identifier()?;
        return Ok(Change::Drop { column, cascade: cascade(cursor) });
    }
    if cursor.accept("rename") {
        if cursor.accept("to") {
            return cursor.identifier().map(Change::Rename);
        }
        cursor.accept("column");
        let from = cursor.identifier()?;
        cursor.expect("to")?;
        return Ok(Change::RenameColumn { from, to: cursor.identifier()? });
    }
    if cursor.accept_all(&["owner", "to"]) {
        return cursor.identifier().map(Change::Owner);
    }
    if cursor.accept_all(&["set", "schema"]) {
        return cursor.identifier().map(Change::SetSchema);
    }
    if cursor.accept_all(&["append", "from"]) {
        let from = cursor.name()?;
        if !cursor.accept("ignoreextra") {
            cursor.accept("filltarget");
        }
        return Ok(Change::Append(from));
    }
    cursor.expect("alter")?;
    altered(cursor)
}

fn cascade(cursor: &mut Cursor) -> bool {
    let cascade = cursor.accept("cascade");
    if !cascade {
        cursor.accept("restrict");
    }
    cascade
}

fn altered(cursor: &mut Cursor) -> Result<Change, SqlError> {
    if cursor.accept_all(&["diststyle", "key", "distkey"]) || cursor.accept("distkey") {
        let key = if cursor.is("(") { cursor.list(Cursor::identifier)?.pop() } else { Some(cursor.identifier()?) };
        return Ok(Change::Physical(Attributes { dist_key: key, ..Attributes::default() }));
    }
    if cursor.is("diststyle") || cursor.is("sortkey") || cursor.is("compound") {
        return physical::attributes(cursor).map(Change::Physical);
    }
    cursor.accept("column");
    let column = cursor.identifier()?;
    if cursor.accept("type") {
        return Ok(Change::Retype { column, to: Type::parse(cursor)? });
    }
    if cursor.accept("encode") {
        return Ok(Change::Encode { column, encode: ddl::encoding(cursor)? });
    }
    // Neither SET nor DROP of NOT NULL or DEFAULT: Redshift has no such change.
    Err(cursor.unexpected())
}
