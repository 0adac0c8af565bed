//! Partition functions and schemes, and ALTER TABLE … SWITCH.

use sqlparser::tokenizer::Token;

use super::super::error::Result;
use super::cursor::Cursor;
use super::{AlterAction, Kind, PartitionFunction};

/// A statement about partitions, if one comes next.
pub fn statement(cursor: &mut Cursor) -> Result<Option<Kind>> {
    if cursor.words(&["create", "partition", "function"]) {
        return function(cursor).map(Some);
    }
    if cursor.words(&["create", "partition", "scheme"]) {
        return scheme(cursor).map(Some);
    }
    if cursor.words(&["drop", "partition"]) {
        let scheme = cursor.word("scheme");
        if !scheme {
            cursor.expect_word("function")?;
        }
        return Ok(Some(Kind::DropPartition { scheme, name: cursor.name()? }));
    }
    Ok(None)
}

fn function(cursor: &mut Cursor) -> Result<Kind> {
    let name = cursor.name()?;
    cursor.expect(&Token::LParen)?;
    let ty = cursor.sql_type()?;
    cursor.expect(&Token::RParen)?;
    cursor.expect_word("as")?;
    cursor.expect_word("range")?;
    let right = cursor.word("right");
    let _ = !right && cursor.word("left");
    cursor.expect_word("for")?;
    cursor.expect_word("values")?;
    let close = cursor.closing()?;
    cursor.expect(&Token::LParen)?;
    let mut boundaries = Vec::new();
    while cursor.at < close - 1 {
        let start = cursor.at;
        let end = cursor.find(start, |probe| probe.peek() == Some(&Token::Comma)).min(close - 1);
        cursor.expr(end)?;
        boundaries.push(cursor.text(start, end));
        cursor.token(&Token::Comma);
    }
    cursor.expect(&Token::RParen)?;
    Ok(Kind::CreatePartitionFunction(Box::new(PartitionFunction { name, ty, right, boundaries })))
}

fn scheme(cursor: &mut Cursor) -> Result<Kind> {
    let name = cursor.name()?;
    cursor.expect_word("as")?;
    cursor.expect_word("partition")?;
    let function = cursor.name()?;
    let all = cursor.word("all");
    cursor.expect_word("to")?;
    cursor.expect(&Token::LParen)?;
    let mut groups = Vec::new();
    loop {
        // PRIMARY is a keyword, and a file group where it stands in brackets.
        groups.push(cursor.name()?);
        if !cursor.token(&Token::Comma) {
            break;
        }
    }
    cursor.expect(&Token::RParen)?;
    Ok(Kind::CreatePartitionScheme { name, function, all, groups })
}

/// `ON scheme (column)`.
pub fn placed(cursor: &mut Cursor) -> Result<Option<(String, String)>> {
    if !(cursor.is_word("on") && cursor.peek_at(2) == Some(&Token::LParen)) {
        return Ok(None);
    }
    cursor.at += 1;
    let scheme = cursor.name()?;
    cursor.expect(&Token::LParen)?;
    let column = cursor.name()?;
    cursor.expect(&Token::RParen)?;
    Ok(Some((scheme, column)))
}

/// `[PARTITION n] TO table [PARTITION m]`, past SWITCH.
pub fn switch(cursor: &mut Cursor) -> Result<AlterAction> {
    let partition = |cursor: &mut Cursor| if cursor.word("partition") { cursor.number().map(Some) } else { Ok(None) };
    let from = partition(cursor)?;
    cursor.expect_word("to")?;
    let to = cursor.object()?;
    Ok(AlterAction::Switch { from, to, into: partition(cursor)? })
}
