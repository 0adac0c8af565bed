//! Tokens of a batch: those of T-SQL and no others.

use std::sync::Arc;

use sqlparser::dialect::MsSqlDialect;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use super::super::error::{Result, syntax};
use crate::value::SqlError;

/// The tokens of a batch without blanks and comments, with the text they came from.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Tokens.
    pub list: Arc<[TokenWithSpan]>,
    /// The batch.
    pub source: Arc<str>,
}

/// Splits a batch into tokens. With `quoted_identifier` off, `"text"` is a string.
pub fn tokens(sql: &str, quoted_identifier: bool) -> Result<Tokens> {
    let dialect = MsSqlDialect {};
    let all =
        Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|error| unfinished(&error.message, sql))?;
    let mut letters = Letters::new(sql);
    let mut list = Vec::with_capacity(all.len());
    for mut entry in all {
        if let Token::Word(word) = &entry.token
            && word.quote_style == Some('"')
            && !quoted_identifier
        {
            entry.token = Token::SingleQuotedString(word.value.clone());
        }
        if let Token::Placeholder(text) = &entry.token
            && let Some(token) = dollar(text)
        {
            entry.token = token;
        }
        let first = letters.at(&entry);
        if !known(&entry.token, first) {
            return Err(syntax(near(&entry.token)).at_line(&entry));
        }
        if !matches!(entry.token, Token::Whitespace(_) | Token::EOF) {
            list.push(entry);
        }
    }
    Ok(Tokens { list: list.into(), source: sql.into() })
}

/// Money, or MERGE's `$action`, which sqlparser takes for placeholders.
fn dollar(text: &str) -> Option<Token> {
    let rest = text.strip_prefix('$')?;
    if rest.eq_ignore_ascii_case("action") {
        return Some(Token::make_word("$action", None));
    }
    let money = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    money.then(|| Token::Number(text.to_owned(), false))
}

/// Sets an error's line from a token.
pub trait AtLine {
    /// The error, on the token's line.
    #[must_use]
    fn at_line(self, token: &TokenWithSpan) -> Self;
}

impl AtLine for SqlError {
    fn at_line(mut self, token: &TokenWithSpan) -> Self {
        self.line = u32::try_from(token.span.start.line).unwrap_or(1).max(1);
        self
    }
}

/// Reads a batch forward, token by token: a place in a long line is not sought from its beginning again.
struct Letters<'a> {
    lines: std::str::Split<'a, char>,
    line: u64,
    rest: std::str::Chars<'a>,
    column: u64,
}

impl<'a> Letters<'a> {
    fn new(sql: &'a str) -> Self {
        let mut lines = sql.split('\n');
        let rest = lines.next().unwrap_or_default().chars();
        Self { lines, line: 1, rest, column: 1 }
    }

    /// The letter at which a token begins, which lies behind the one asked for before.
    fn at(&mut self, entry: &TokenWithSpan) -> Option<char> {
        let start = entry.span.start;
        while self.line < start.line {
            self.rest = self.lines.next()?.chars();
            (self.line, self.column) = (self.line + 1, 1);
        }
        while self.column < start.column {
            self.rest.next()?;
            self.column += 1;
        }
        self.rest.clone().next()
    }
}

/// A tokenizer's complaint is an unclosed string or comment.
fn unfinished(message: &str, sql: &str) -> SqlError {
    if message.contains("multi-line comment") {
        return SqlError::new(113, "Missing end comment mark '*/'.").severity(15);
    }
    let tail: String = sql.rsplit('\'').next().unwrap_or_default().chars().take(60).collect();
    SqlError::new(105, format!("Unclosed quotation mark after the character string '{tail}'.")).severity(15)
}

fn known(token: &Token, first: Option<char>) -> bool {
    match token {
        Token::Word(word) => word.quote_style != Some('`'),
        Token::Number(_, long) => !long,
        Token::Placeholder(text) => is_money(text),
        // SQLite's X'00' is the same token as T-SQL's 0x00.
        Token::HexStringLiteral(_) => first == Some('0'),
        Token::Whitespace(Whitespace::SingleLineComment { prefix, .. }) => prefix == "--",
        Token::Neq
        | Token::Whitespace(_)
        | Token::EOF
        | Token::SingleQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::Comma
        | Token::Eq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::LParen
        | Token::RParen
        | Token::Period
        | Token::SemiColon
        | Token::Ampersand
        | Token::Pipe
        | Token::Caret
        | Token::Tilde
        | Token::DoubleColon
        | Token::LBrace
        | Token::RBrace => true,
        _ => false,
    }
}

/// Whether a placeholder of sqlparser's is a money constant of T-SQL's, such as `$1.5`.
fn is_money(text: &str) -> bool {
    text.strip_prefix('$').is_some_and(|digits| {
        digits.starts_with(|first: char| first.is_ascii_digit())
            && digits.chars().all(|digit| digit.is_ascii_digit() || digit == '.')
    })
}

/// A token as an error quotes it.
pub fn near(token: &Token) -> String {
    match token {
        Token::Word(word) => word.value.clone(),
        Token::SingleQuotedString(text) | Token::NationalStringLiteral(text) => text.clone(),
        Token::HexStringLiteral(text) => format!("0x{text}"),
        other => other.to_string(),
    }
}
