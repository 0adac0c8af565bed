//! Statements as tokens: names folded, literals unescaped.

use super::error::SqlError;
use super::name::{Names, fold_bare};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or a bare name, in lower case.
    Word,
    /// A quoted name, folded as the session says.
    Quoted,
    /// A number.
    Number,
    /// A literal, without its quotes.
    Text,
    /// `$1`.
    Parameter,
    /// Anything else.
    Symbol,
}

/// One token.
#[derive(Debug, Clone)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub value: String,
}

const SYMBOLS: &[&str] = &[
    "!~*", "::", "<>", "!=", "<=", ">=", "||", "~*", "!~", "<<", ">>", "=", "<", ">", "+", "-", "*", "/", "%", "(",
    ")", ",", ".", ";", "~", "^", "|", "&", "#",
];

/// Cuts a text into tokens.
pub fn tokens(text: &str, names: Names) -> Result<Vec<Token>, SqlError> {
    if let Some(place) = text.find('\0') {
        return Err(SqlError::syntax(&text[..place]));
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, value, length) = match first {
            _ if first.is_whitespace() => {
                at += first.len_utf8();
                continue;
            }
            _ if rest.starts_with("--") => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            _ if rest.starts_with("/*") => {
                at += comment(rest)?;
                continue;
            }
            '\'' => {
                let (value, length) = enclosed(rest, '\'')?;
                (Kind::Text, value, length)
            }
            '"' => {
                let (value, length) = enclosed(rest, '"')?;
                if value.is_empty() {
                    return Err(SqlError::new("42601", "zero-length delimited identifier at or near \"\"\"\""));
                }
                (Kind::Quoted, names.fold(&value), length)
            }
            '$' => {
                let length = 1 + digits(&rest[1..]);
                if length == 1 {
                    return Err(SqlError::syntax("$"));
                }
                (Kind::Parameter, rest[..length].to_owned(), length)
            }
            _ if first.is_ascii_digit() || first == '.' && digits(&rest[1..]) > 0 => {
                let length = number(rest);
                (Kind::Number, rest[..length].to_owned(), length)
            }
            _ if starts_name(first) => {
                let after = first.len_utf8();
                let length = rest[after..].find(|next| !continues_name(next)).map_or(rest.len(), |end| after + end);
                (Kind::Word, fold_bare(&rest[..length]), length)
            }
            _ => symbol(rest)?,
        };
        found.push(Token { kind, value });
        at += length;
    }
    Ok(found)
}

fn symbol(rest: &str) -> Result<(Kind, String, usize), SqlError> {
    let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
    let symbol = symbol.ok_or_else(|| SqlError::syntax(&rest.chars().take(1).collect::<String>()))?;
    Ok((Kind::Symbol, (*symbol).to_owned(), symbol.len()))
}

fn starts_name(first: char) -> bool {
    first.is_alphabetic() || first == '_' || first == '#' || !first.is_ascii()
}

fn continues_name(next: char) -> bool {
    starts_name(next) && next != '#' || next.is_ascii_digit() || next == '$'
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn number(text: &str) -> usize {
    let mut length = digits(text);
    if text[length..].starts_with('.') {
        length += 1 + digits(&text[length + 1..]);
    }
    let exponent = &text[length..];
    if exponent.starts_with(['e', 'E']) {
        let sign = usize::from(exponent[1..].starts_with(['+', '-']));
        let count = digits(&exponent[1 + sign..]);
        if count > 0 {
            length += 1 + sign + count;
        }
    }
    length
}

fn comment(text: &str) -> Result<usize, SqlError> {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Ok(at);
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    Err(SqlError::new("42601", "unterminated /* comment"))
}

/// What stands between quotes, literals with their backslashes, and the length with both quotes.
fn enclosed(text: &str, quote: char) -> Result<(String, usize), SqlError> {
    let mut value = String::new();
    let mut rest = text.char_indices().skip(1).peekable();
    while let Some((at, next)) = rest.next() {
        if next == quote {
            if rest.peek().is_some_and(|(_, following)| *following == quote) {
                rest.next();
                value.push(quote);
                continue;
            }
            return Ok((value, at + 1));
        }
        value.push(next);
        // A backslash takes the quote after it along: it is part of the literal, as before PostgreSQL 9.1.
        if next == '\\'
            && quote == '\''
            && let Some((_, following)) = rest.next()
        {
            value.push(following);
        }
    }
    Err(SqlError::new("42601", "unterminated quoted string"))
}

/// A literal's text: backslashes are escapes, as they are without `standard_conforming_strings`.
pub fn unescape(raw: &str, keep_unknown: bool) -> String {
    let mut out = String::new();
    let mut rest = raw.chars().peekable();
    while let Some(next) = rest.next() {
        if next != '\\' {
            out.push(next);
            continue;
        }
        match rest.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some(digit @ '0'..='7') => {
                let mut value = digit.to_digit(8).unwrap_or_default();
                for _ in 0..2 {
                    let Some(digit) = rest.peek().and_then(|next| next.to_digit(8)) else { break };
                    value = value * 8 + digit;
                    rest.next();
                }
                out.push(char::from_u32(value & 0xff).unwrap_or_default());
            }
            Some(other @ ('\\' | '\'')) => out.push(other),
            Some(other) => {
                if keep_unknown {
                    out.push('\\');
                }
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

/// Tokens as text that gives the same tokens.
pub fn render(tokens: &[Token]) -> String {
    let text = tokens.iter().map(|token| match token.kind {
        Kind::Quoted => format!("\"{}\"", token.value.replace('"', "\"\"")),
        Kind::Text => quoted_text(&token.value),
        _ => token.value.clone(),
    });
    text.collect::<Vec<_>>().join(" ")
}

/// A literal with its backslashes as they were given.
fn quoted_text(raw: &str) -> String {
    let mut out = "'".to_owned();
    let mut rest = raw.chars();
    while let Some(next) = rest.next() {
        out.push(next);
        match next {
            '\'' => out.push('\''),
            '\\' => out.extend(rest.next()),
            _ => {}
        }
    }
    out.push('\'');
    out
}
