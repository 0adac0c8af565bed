//! EXEC, THROW and RAISERROR, and their arguments.

use sqlparser::tokenizer::Token;

use super::super::error::{Result, syntax};
use super::control::starts;
use super::cursor::Cursor;
use super::{Argument, Execute, Kind};

/// A call without EXEC, at the beginning of a batch.
pub fn execute_call(cursor: &mut Cursor) -> Result<Kind> {
    let call = execute(cursor)?;
    if cursor.is_end() || starts(cursor) { Ok(call) } else { Err(cursor.error()) }
}

/// Expressions with commas between them, up to `end`.
pub fn arguments(cursor: &mut Cursor, end: usize) -> Result<Vec<sqlparser::ast::Expr>> {
    let mut list = Vec::new();
    while cursor.at < end {
        let stop = cursor.find(cursor.at, |probe| probe.peek() == Some(&Token::Comma)).min(end);
        list.push(cursor.expr(stop)?);
        if cursor.at < end {
            cursor.expect(&Token::Comma)?;
        }
    }
    Ok(list)
}

/// EXEC, past its keyword.
pub fn execute(cursor: &mut Cursor) -> Result<Kind> {
    if cursor.peek() == Some(&Token::LParen) {
        let close = cursor.closing()?;
        cursor.expect(&Token::LParen)?;
        let expr = cursor.expr(close - 1)?;
        cursor.expect(&Token::RParen)?;
        return Ok(Kind::ExecuteText(vec![expr]));
    }
    let status = match cursor.variable() {
        Ok(name) => {
            cursor.expect(&Token::Eq)?;
            Some(name)
        }
        Err(_) => None,
    };
    let name = cursor.object()?;
    let mut args = Vec::new();
    if !cursor.is_end() && !starts(cursor) {
        loop {
            args.push(argument(cursor)?);
            if !cursor.token(&Token::Comma) {
                break;
            }
        }
    }
    if cursor.words(&["with", "recompile"]) && cursor.is_end() {
        return Ok(Kind::Execute(Box::new(Execute { status, name, args })));
    }
    if !cursor.is_end() && !starts(cursor) {
        return Err(cursor.error());
    }
    Ok(Kind::Execute(Box::new(Execute { status, name, args })))
}

/// A constant, a variable, a bare word (which is text), or DEFAULT.
fn argument(cursor: &mut Cursor) -> Result<Argument> {
    use sqlparser::ast::{Expr, Value};
    let mut name = String::new();
    if matches!(cursor.peek_at(1), Some(Token::Eq)) {
        name = cursor.variable()?;
        cursor.expect(&Token::Eq)?;
    }
    let value = if cursor.word("default") {
        None
    } else if matches!(cursor.peek(), Some(Token::Word(word)) if is_bare(word)) {
        let text = match cursor.next() {
            Some(Token::Word(word)) => word.value,
            _ => String::new(),
        };
        Some(Expr::Value(Value::NationalStringLiteral(text).into()))
    } else if matches!(cursor.peek(), Some(Token::Word(word)) if !word.value.starts_with('@'))
        && !cursor.is_word("null")
    {
        return Err(cursor.error());
    } else {
        let end = cursor.at + if matches!(cursor.peek(), Some(Token::Minus | Token::Plus)) { 2 } else { 1 };
        if end > cursor.find(cursor.at, |_| false) {
            return Err(cursor.error());
        }
        Some(cursor.expr(end)?)
    };
    let output = cursor.word("output") || cursor.word("out");
    Ok(Argument { name, value, output })
}

/// THROW, past its keyword.
pub fn throw(cursor: &mut Cursor) -> Result<Kind> {
    if cursor.is_end() || starts(cursor) {
        return Ok(Kind::Throw(None));
    }
    let comma = |cursor: &Cursor| cursor.find(cursor.at, |probe| starts(probe) || probe.peek() == Some(&Token::Comma));
    let number = cursor.expr(comma(cursor))?;
    cursor.expect(&Token::Comma)?;
    let message = cursor.expr(comma(cursor))?;
    cursor.expect(&Token::Comma)?;
    let state = cursor.expr(comma(cursor))?;
    Ok(Kind::Throw(Some(Box::new((number, message, state)))))
}

/// RAISERROR, past its keyword.
pub fn raise(cursor: &mut Cursor) -> Result<Kind> {
    let close = cursor.closing()?;
    cursor.expect(&Token::LParen)?;
    let args = arguments(cursor, close - 1)?;
    cursor.expect(&Token::RParen)?;
    if cursor.word("with") {
        loop {
            let word = cursor.any_word()?;
            if !matches!(word.as_str(), "NOWAIT" | "LOG" | "SETERROR") {
                cursor.at -= 1;
                return Err(cursor.error());
            }
            if !cursor.token(&Token::Comma) {
                break;
            }
        }
    }
    if args.len() < 3 {
        return Err(syntax(")"));
    }
    Ok(Kind::RaisError(args))
}

/// Whether a word stands for a text: a name, not a variable and not reserved.
fn is_bare(word: &sqlparser::tokenizer::Word) -> bool {
    word.quote_style.is_some() || !(word.value.starts_with('@') || super::cursor::is_reserved(&word.value))
}
