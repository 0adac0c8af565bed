//! CREATE, ALTER, DROP, TRUNCATE.

use sqlparser::tokenizer::Token;

use super::super::error::Result;
use super::control::starts;
use super::cursor::Cursor;
use super::{ColumnSpec, ConstraintKind, ConstraintSpec, CreateIndex, CreateTable, Kind, Name, Security};

/// A statement that begins with CREATE, ALTER, DROP or TRUNCATE.
pub fn statement(cursor: &mut Cursor) -> Result<Kind> {
    if cursor.words(&["create", "table"]) {
        let name = cursor.object()?;
        return table_body(cursor, name).map(|table| Kind::CreateTable(Box::new(table)));
    }
    if cursor.words(&["truncate", "table"]) {
        return cursor.object().map(Kind::Truncate);
    }
    if cursor.words(&["drop", "table"]) {
        let if_exists = cursor.words(&["if", "exists"]);
        let mut names = vec![cursor.object()?];
        while cursor.token(&Token::Comma) {
            names.push(cursor.object()?);
        }
        return Ok(Kind::DropTable { names, if_exists });
    }
    if cursor.words(&["alter", "table"]) {
        return super::alter::table(cursor).map(|alter| Kind::AlterTable(Box::new(alter)));
    }
    if cursor.words(&["drop", "index"]) {
        return drop_index(cursor);
    }
    if cursor.words(&["create", "schema"]) {
        let name = cursor.name()?;
        if cursor.word("authorization") {
            cursor.name()?;
        }
        return Ok(Kind::CreateSchema(name));
    }
    if cursor.words(&["drop", "schema"]) {
        let if_exists = cursor.words(&["if", "exists"]);
        return Ok(Kind::DropSchema { name: cursor.name()?, if_exists });
    }
    if cursor.words(&["create", "database"]) {
        return cursor.name().map(Kind::CreateDatabase);
    }
    if cursor.words(&["alter", "database"]) {
        return super::alter::database(cursor);
    }
    if let Some(partition) = super::partition::statement(cursor)? {
        return Ok(partition);
    }
    let place = cursor.at;
    if cursor.word("create") {
        let unique = cursor.word("unique");
        let clustered = cursor.word("clustered");
        let _ = !clustered && cursor.word("nonclustered");
        if cursor.word("index") {
            return create_index(cursor, unique, clustered);
        }
    }
    cursor.at = place;
    super::security::statement(cursor).map(|security: Security| Kind::Security(security))
}

fn create_index(cursor: &mut Cursor, unique: bool, clustered: bool) -> Result<Kind> {
    let name = cursor.name()?;
    cursor.expect_word("on")?;
    let table = cursor.object()?;
    let columns = key_columns(cursor)?;
    let included = if cursor.word("include") { plain_columns(cursor)? } else { Vec::new() };
    // A clustered index has no filter.
    let holding = if clustered { None } else { filter(cursor)? };
    storage(cursor)?;
    Ok(Kind::CreateIndex(Box::new(CreateIndex { name, unique, clustered, table, columns, included, holding })))
}

/// The filter of an index: of all that T-SQL has, `WHERE column IS NOT NULL`.
fn filter(cursor: &mut Cursor) -> Result<Option<String>> {
    if !cursor.word("where") {
        return Ok(None);
    }
    let column = cursor.name()?;
    if cursor.words(&["is", "not", "null"]) { Ok(Some(column)) } else { Err(cursor.error()) }
}

fn drop_index(cursor: &mut Cursor) -> Result<Kind> {
    let if_exists = cursor.words(&["if", "exists"]);
    let mut name = cursor.object()?;
    if cursor.word("on") {
        let table = cursor.object()?;
        let index = name.pop().unwrap_or_default();
        return if name.is_empty() { Ok(Kind::DropIndex { index, table, if_exists }) } else { Err(cursor.error()) };
    }
    if name.len() < 2 {
        return Err(cursor.error());
    }
    let index = name.pop().unwrap_or_default();
    Ok(Kind::DropIndex { index, table: name, if_exists })
}

/// `(a, b DESC)`.
fn key_columns(cursor: &mut Cursor) -> Result<Vec<(String, bool)>> {
    cursor.expect(&Token::LParen)?;
    let mut columns = Vec::new();
    loop {
        let name = cursor.name()?;
        let descending = cursor.word("desc");
        let _ = !descending && cursor.word("asc");
        columns.push((name, descending));
        if !cursor.token(&Token::Comma) {
            cursor.expect(&Token::RParen)?;
            return Ok(columns);
        }
    }
}

fn plain_columns(cursor: &mut Cursor) -> Result<Vec<String>> {
    Ok(key_columns(cursor)?.into_iter().map(|(name, _)| name).collect())
}

/// `WITH (option = value, …)` and `ON [PRIMARY]`, which say how and where to store.
fn storage(cursor: &mut Cursor) -> Result<()> {
    loop {
        if cursor.is_word("with") && cursor.peek_at(1) == Some(&Token::LParen) {
            cursor.at += 1;
            cursor.at = cursor.closing()?;
        } else if super::partition::placed(cursor)?.is_some() {
            // An index of a partitioned table lies where the table does.
        } else if cursor.is_word("on")
            && (cursor.is_word_at(1, "primary")
                || matches!(cursor.peek_at(1), Some(Token::Word(w)) if w.quote_style.is_some()))
        {
            cursor.at += 2;
        } else if cursor.word("textimage_on") {
            cursor.at += 1;
        } else {
            return Ok(());
        }
    }
}

/// The body of CREATE TABLE: `(columns and constraints)`.
pub fn table_body(cursor: &mut Cursor, name: Name) -> Result<CreateTable> {
    cursor.expect(&Token::LParen)?;
    let (mut columns, mut constraints) = (Vec::new(), Vec::new());
    loop {
        if let Some(constraint) = constraint(cursor, None)? {
            constraints.push(constraint);
        } else {
            columns.push(column(cursor)?);
        }
        if !cursor.token(&Token::Comma) {
            break;
        }
        if cursor.peek() == Some(&Token::RParen) {
            break;
        }
    }
    cursor.expect(&Token::RParen)?;
    let partition = super::partition::placed(cursor)?;
    storage(cursor)?;
    Ok(CreateTable { name, columns, constraints, partition })
}

/// Where a column's or constraint's inner expression without parentheses ends.
fn expression_end(cursor: &Cursor) -> usize {
    const NEXT: &[&str] = &[
        "not",
        "null",
        "constraint",
        "primary",
        "unique",
        "check",
        "references",
        "collate",
        "identity",
        "with",
        "for",
        "rowguidcol",
        "default",
    ];
    let from = cursor.at + 1;
    cursor.find(from, |probe| {
        probe.peek() == Some(&Token::Comma) || starts(probe) || NEXT.iter().any(|word| probe.is_word(word))
    })
}

fn expression_text(cursor: &mut Cursor, end: usize) -> Result<String> {
    let start = cursor.at;
    cursor.expr(end)?;
    Ok(cursor.text(start, end))
}

/// A column as declared.
pub fn column(cursor: &mut Cursor) -> Result<ColumnSpec> {
    let name = cursor.name()?;
    let mut spec = ColumnSpec {
        name,
        sql_type: None,
        computed: None,
        nullable: None,
        identity: None,
        collation: None,
        rowguid: false,
        masked: false,
        encryption: None,
        shows_sparse: false,
        constraints: Vec::new(),
    };
    if cursor.word("as") {
        let end = if cursor.peek() == Some(&Token::LParen) {
            cursor.closing()?
        } else {
            cursor.find(cursor.at, |probe| probe.peek() == Some(&Token::Comma) || probe.is_word("persisted"))
        };
        spec.computed = Some(expression_text(cursor, end)?);
        cursor.word("persisted");
    } else {
        if !matches!(cursor.peek(), Some(Token::Word(_))) {
            // `timestamp` alone is a column of that name and type; any other name needs a type.
            if spec.name.eq_ignore_ascii_case("timestamp") {
                spec.sql_type = Some(crate::value::SqlType::RowVersion);
                return Ok(spec);
            }
            return Err(crate::value::SqlError::new(
                173,
                format!("The definition for column '{}' must include a data type.", spec.name),
            )
            .severity(15));
        }
        spec.sql_type = Some(cursor.sql_type()?);
    }
    column_options(cursor, &mut spec)?;
    Ok(spec)
}

fn column_options(cursor: &mut Cursor, spec: &mut ColumnSpec) -> Result<()> {
    loop {
        if cursor.words(&["not", "null"]) {
            spec.nullable = Some(false);
        } else if cursor.word("null") {
            spec.nullable = Some(true);
        } else if cursor.word("identity") {
            let mut seed = (1, 1);
            if cursor.token(&Token::LParen) {
                seed.0 = cursor.number()?;
                cursor.expect(&Token::Comma)?;
                seed.1 = cursor.number()?;
                cursor.expect(&Token::RParen)?;
            }
            cursor.words(&["not", "for", "replication"]);
            spec.identity = Some(seed);
        } else if cursor.word("collate") {
            spec.collation = Some(cursor.name()?);
        } else if cursor.word("rowguidcol") {
            spec.rowguid = true;
        } else if cursor.words(&["masked", "with"]) {
            super::security::mask(cursor)?;
            spec.masked = true;
        } else if cursor.words(&["encrypted", "with"]) {
            spec.encryption = Some(super::security::encryption(cursor)?);
        } else if cursor.word("sparse") {
        } else if cursor.words(&["column_set", "for", "all_sparse_columns"]) {
            spec.shows_sparse = true;
        } else if let Some(found) = constraint(cursor, Some(&spec.name))? {
            spec.constraints.push(found);
        } else {
            return Ok(());
        }
    }
}

/// A constraint, if one comes next; `column` when it belongs to a column.
pub fn constraint(cursor: &mut Cursor, column: Option<&str>) -> Result<Option<ConstraintSpec>> {
    let name = if cursor.word("constraint") { Some(cursor.name()?) } else { None };
    let own = |columns: Vec<(String, bool)>| match column {
        Some(column) if columns.is_empty() => vec![(column.to_owned(), false)],
        _ => columns,
    };
    let primary = cursor.words(&["primary", "key"]);
    if primary || cursor.word("unique") {
        let clustered = if cursor.word("clustered") {
            Some(true)
        } else if cursor.word("nonclustered") {
            Some(false)
        } else {
            None
        };
        let columns = if cursor.peek() == Some(&Token::LParen) { key_columns(cursor)? } else { Vec::new() };
        storage(cursor)?;
        let columns = own(columns);
        if columns.is_empty() {
            return Err(cursor.error());
        }
        return Ok(Some(ConstraintSpec { name, kind: ConstraintKind::Unique { primary, clustered, columns } }));
    }
    if cursor.word("check") {
        cursor.words(&["not", "for", "replication"]);
        if cursor.peek() != Some(&Token::LParen) {
            return Err(cursor.error());
        }
        let end = cursor.closing()?;
        let text = expression_text(cursor, end)?;
        return Ok(Some(ConstraintSpec { name, kind: ConstraintKind::Check(text) }));
    }
    if cursor.word("default") {
        let end = if cursor.peek() == Some(&Token::LParen) { cursor.closing()? } else { expression_end(cursor) };
        let text = expression_text(cursor, end)?;
        let target = if column.is_none() && cursor.word("for") { Some(cursor.name()?) } else { None };
        cursor.words(&["with", "values"]);
        return Ok(Some(ConstraintSpec {
            name,
            kind: ConstraintKind::Default { text, column: target.or(column.map(str::to_owned)) },
        }));
    }
    if column.is_none() && cursor.word("index") {
        let index_name = cursor.name()?;
        let unique = cursor.word("unique");
        let clustered = cursor.word("clustered");
        let _ = cursor.word("nonclustered");
        let columns = key_columns(cursor)?;
        storage(cursor)?;
        let index = CreateIndex {
            name: index_name,
            unique,
            clustered,
            table: Vec::new(),
            columns,
            included: Vec::new(),
            holding: None,
        };
        return Ok(Some(ConstraintSpec { name, kind: ConstraintKind::Index(index) }));
    }
    let foreign = cursor.words(&["foreign", "key"]);
    if foreign || (column.is_some() && cursor.is_word("references")) {
        return foreign_key(cursor, name, column).map(Some);
    }
    if name.is_some() { Err(cursor.error()) } else { Ok(None) }
}

fn foreign_key(cursor: &mut Cursor, name: Option<String>, column: Option<&str>) -> Result<ConstraintSpec> {
    let columns = if cursor.peek() == Some(&Token::LParen) {
        plain_columns(cursor)?
    } else {
        column.map(str::to_owned).into_iter().collect()
    };
    cursor.expect_word("references")?;
    let table = cursor.object()?;
    let references = if cursor.peek() == Some(&Token::LParen) { plain_columns(cursor)? } else { Vec::new() };
    let (mut on_delete, mut on_update) = ("NO_ACTION".to_owned(), "NO_ACTION".to_owned());
    while cursor.is_word("on") && (cursor.is_word_at(1, "delete") || cursor.is_word_at(1, "update")) {
        let deletes = cursor.is_word_at(1, "delete");
        cursor.at += 2;
        let action = if cursor.words(&["no", "action"]) {
            "NO_ACTION"
        } else if cursor.word("cascade") {
            "CASCADE"
        } else if cursor.words(&["set", "null"]) {
            "SET_NULL"
        } else if cursor.words(&["set", "default"]) {
            "SET_DEFAULT"
        } else {
            return Err(cursor.error());
        };
        action.clone_into(if deletes { &mut on_delete } else { &mut on_update });
    }
    cursor.words(&["not", "for", "replication"]);
    Ok(ConstraintSpec { name, kind: ConstraintKind::Foreign { columns, table, references, on_delete, on_update } })
}
