//! What a client may ask: an allow-list. All else is refused as Redshift refuses it.
//!
//! | module | is |
//! |---|---|
//! | [`cursor`] | reads statements that general SQL parsers have not |
//! | [`query`] | SELECT, INSERT, UPDATE, DELETE, MERGE, and their rewriting |
//! | `clauses`, `target`, [`expression`], [`functions`], [`relation`] | what is allowed in them |
//! | [`ddl`], [`physical`], [`alter`] | tables |
//! | [`control`] | transactions, settings, rights, upkeep |

pub mod alter;
mod clauses;
pub mod control;
pub mod cursor;
pub mod ddl;
pub mod expression;
pub mod functions;
pub mod physical;
pub mod query;
pub mod relation;
mod target;

use super::copy::options::Copy;
use super::error::SqlError;
use super::lexer::{Kind, Token};
use super::name::Name;
use cursor::Cursor;

/// One statement that is allowed.
#[derive(Debug, Clone)]
pub enum Statement {
    /// Nothing between two semicolons.
    Empty,
    /// Reads.
    Select(query::Relayed),
    /// INSERT, UPDATE, DELETE or MERGE.
    Write(query::Write),
    /// COPY.
    Copy(Box<Copy>),
    /// CREATE TABLE.
    CreateTable(Box<ddl::CreateTable>),
    /// CREATE TABLE … AS.
    CreateTableAs(Box<ddl::CreateTableAs>),
    /// CREATE VIEW.
    CreateView(ddl::CreateView),
    /// ALTER TABLE.
    Alter(Name, alter::Change),
    /// DROP TABLE, VIEW.
    Drop(ddl::Drop),
    /// Transactions, settings, rights, upkeep.
    Control(control::Control),
}

/// Cuts a text at its semicolons.
pub fn split(tokens: &[Token]) -> Vec<&[Token]> {
    let is_end = |token: &Token| token.kind == Kind::Symbol && token.value == ";";
    tokens.split(is_end).filter(|statement| !statement.is_empty()).collect()
}

/// Reads one statement.
pub fn parse(tokens: &[Token]) -> Result<Statement, SqlError> {
    if let Some(token) = tokens.iter().find(|token| token.value.starts_with(super::SCHEMA) && token.kind != Kind::Text)
    {
        return Err(SqlError::new("42501", format!("permission denied for \"{}\"", token.value)));
    }
    let mut cursor = Cursor::new(tokens);
    let Some(first) = tokens.first() else { return Ok(Statement::Empty) };
    if first.kind == Kind::Symbol && first.value == "(" {
        return query::parse(tokens);
    }
    if first.kind != Kind::Word {
        return Err(SqlError::syntax(&first.value));
    }
    match first.value.as_str() {
        "select" | "with" | "insert" | "update" | "delete" | "merge" => return query::parse(tokens),
        _ => {}
    }
    if let Some(parameter) = tokens.iter().find(|token| token.kind == Kind::Parameter) {
        return Err(SqlError::syntax(&parameter.value));
    }
    let word = cursor.bare_word()?;
    let statement = match word.as_str() {
        "copy" => Statement::Copy(Box::new(Copy::parse(&mut cursor)?)),
        "create" => ddl::create(&mut cursor)?,
        "drop" => ddl::drop(&mut cursor)?,
        "alter" => alter::parse(&mut cursor)?,
        _ => Statement::Control(control::parse(&word, &mut cursor)?),
    };
    cursor.end()?;
    Ok(statement)
}
