//! ALTER TABLE and ALTER DATABASE.

use sqlparser::tokenizer::Token;

use super::super::error::Result;
use super::control::starts;
use super::cursor::Cursor;
use super::ddl::{column, constraint};
use super::{AlterAction, AlterTable, Kind};

/// ALTER TABLE, past its keywords.
pub fn table(cursor: &mut Cursor) -> Result<AlterTable> {
    let table = cursor.object()?;
    if cursor.words(&["alter", "column"]) {
        let place = cursor.at;
        let name = cursor.name()?;
        if cursor.words(&["add", "masked", "with"]) {
            super::security::mask(cursor)?;
            return Ok(AlterTable { table, action: AlterAction::Mask { column: name, on: true } });
        }
        if cursor.words(&["drop", "masked"]) {
            return Ok(AlterTable { table, action: AlterAction::Mask { column: name, on: false } });
        }
        cursor.at = place;
        let mut spec = column(cursor)?;
        if spec.computed.is_some() || spec.identity.is_some() {
            return Err(cursor.error());
        }
        spec.constraints.clear();
        return Ok(AlterTable { table, action: AlterAction::AlterColumn(spec) });
    }
    if cursor.words(&["drop", "column"]) {
        let if_exists = cursor.words(&["if", "exists"]);
        let mut names = vec![cursor.name()?];
        while cursor.token(&Token::Comma) {
            cursor.word("column");
            names.push(cursor.name()?);
        }
        return Ok(AlterTable { table, action: AlterAction::DropColumns { names, if_exists } });
    }
    if cursor.word("drop") {
        cursor.word("constraint");
        let if_exists = cursor.words(&["if", "exists"]);
        let mut names = vec![cursor.name()?];
        while cursor.token(&Token::Comma) {
            names.push(cursor.name()?);
        }
        return Ok(AlterTable { table, action: AlterAction::DropConstraints { names, if_exists } });
    }
    if cursor.word("switch") {
        return Ok(AlterTable { table, action: super::partition::switch(cursor)? });
    }
    if cursor.words(&["enable", "change_tracking"]) || cursor.words(&["disable", "change_tracking"]) {
        return Ok(AlterTable { table, action: AlterAction::ChangeTracking });
    }
    if cursor.word("with") {
        let known = cursor.word("check") || cursor.word("nocheck");
        if !known {
            return Err(cursor.error());
        }
    }
    if cursor.word("check") || cursor.word("nocheck") {
        cursor.expect_word("constraint")?;
        let _ = cursor.word("all") || cursor.name().is_ok();
        return Ok(AlterTable { table, action: AlterAction::Check });
    }
    cursor.expect_word("add")?;
    let (mut columns, mut constraints) = (Vec::new(), Vec::new());
    loop {
        if let Some(found) = constraint(cursor, None)? {
            constraints.push(found);
        } else {
            columns.push(column(cursor)?);
        }
        if !cursor.token(&Token::Comma) {
            return Ok(AlterTable { table, action: AlterAction::Add { columns, constraints } });
        }
    }
}

/// ALTER DATABASE, past its keywords.
pub fn database(cursor: &mut Cursor) -> Result<Kind> {
    let name = if cursor.word("current") { None } else { Some(cursor.name()?) };
    cursor.expect_word("set")?;
    let mut options = Vec::new();
    loop {
        let option = cursor.any_word()?;
        cursor.token(&Token::Eq);
        let value = match cursor.peek() {
            Some(Token::Number(..)) => cursor.number()?.to_string(),
            Some(Token::Word(_)) if !starts(cursor) && !cursor.is_word("with") => cursor.any_word()?,
            _ => String::new(),
        };
        options.push((option, value));
        if !cursor.token(&Token::Comma) {
            break;
        }
    }
    if cursor.words(&["with", "rollback"]) {
        if cursor.word("after") {
            cursor.number()?;
            cursor.word("seconds");
        } else {
            cursor.expect_word("immediate")?;
        }
    } else {
        cursor.words(&["with", "no_wait"]);
    }
    Ok(Kind::AlterDatabase { name, options })
}
