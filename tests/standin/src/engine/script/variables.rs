//! Variables used before they are declared, which the server tells before it runs anything of a batch.

use sqlparser::tokenizer::{Token, Word};

use super::super::error::undeclared;
use super::lexer::{AtLine as _, Tokens};
use crate::value::SqlError;

/// Words after which a list of declarations or of arguments has ended.
const ENDS: &[&str] = &[
    "select",
    "insert",
    "update",
    "delete",
    "merge",
    "set",
    "if",
    "else",
    "while",
    "begin",
    "end",
    "return",
    "print",
    "use",
    "create",
    "alter",
    "drop",
    "truncate",
    "commit",
    "rollback",
    "save",
    "waitfor",
    "raiserror",
    "throw",
];

/// 137 for the first variable that no DECLARE before it and no parameter names.
pub fn check(tokens: &Tokens, known: &[String]) -> Result<(), SqlError> {
    let mut declared: Vec<String> = known.iter().map(|name| name.to_lowercase()).collect();
    let (mut declaring, mut calling, mut depth) = (false, false, 0_i32);
    for (at, entry) in tokens.list.iter().enumerate() {
        let word = match &entry.token {
            Token::LParen => {
                depth += 1;
                continue;
            }
            Token::RParen => {
                depth -= 1;
                continue;
            }
            Token::SemiColon => {
                (declaring, calling) = (false, false);
                continue;
            }
            Token::Word(word) if word.quote_style.is_none() => word,
            _ => continue,
        };
        if is(word, "declare") {
            (declaring, calling) = (true, false);
        } else if is(word, "exec") || is(word, "execute") {
            (declaring, calling) = (false, true);
        } else if depth == 0 && ENDS.iter().any(|end| is(word, end)) {
            (declaring, calling) = (false, false);
        }
        if !word.value.starts_with('@') || word.value.starts_with("@@") {
            continue;
        }
        let name = word.value.to_lowercase();
        let before = at.checked_sub(1).map(|at| &tokens.list[at].token);
        let after = tokens.list.get(at + 1).map(|entry| &entry.token);
        let opens =
            matches!(before, Some(Token::Comma)) || matches!(before, Some(Token::Word(word)) if is(word, "declare"));
        if declaring && depth == 0 && opens {
            declared.push(name);
            continue;
        }
        // `@name = value` passes an argument, unless it takes the status right after EXEC.
        let status = matches!(before, Some(Token::Word(word)) if is(word, "exec") || is(word, "execute"));
        let argument = (calling || at_call(tokens)) && after == Some(&Token::Eq) && !status;
        if !argument && !declared.contains(&name) {
            return Err(undeclared(&word.value).at_line(entry));
        }
    }
    Ok(())
}

fn is(word: &Word, wanted: &str) -> bool {
    word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted)
}

/// Whether a batch is a call without EXEC: it begins with a name that is no statement's word.
fn at_call(tokens: &Tokens) -> bool {
    match tokens.list.first().map(|entry| &entry.token) {
        Some(Token::Word(word)) => {
            word.quote_style.is_some() || !super::cursor::is_reserved(&word.value) && !is(word, "throw")
        }
        _ => false,
    }
}
