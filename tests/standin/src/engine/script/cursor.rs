//! A place in a batch's tokens, and the way from there to sqlparser for queries and expressions.

use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, Query};
use sqlparser::dialect::MsSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::error::{Result, keyword, syntax};
use super::super::values::types::{self, Facet};
use super::lexer::{AtLine, Tokens, near};
use crate::value::{SqlError, SqlType};

/// A place in the tokens of a batch.
#[derive(Debug, Clone)]
pub struct Cursor {
    pub(super) tokens: Tokens,
    /// Index of the next token.
    pub at: usize,
    pub(super) end: usize,
}

impl Cursor {
    /// At the first token.
    pub fn new(tokens: Tokens) -> Self {
        let end = tokens.list.len();
        Self { tokens, at: 0, end }
    }

    /// The next token, `None` at the end.
    pub fn peek(&self) -> Option<&Token> {
        self.peek_at(0)
    }

    /// The token so many places on.
    pub fn peek_at(&self, ahead: usize) -> Option<&Token> {
        let at = self.at + ahead;
        (at < self.end).then(|| &self.tokens.list[at].token)
    }

    /// Takes the next token.
    pub fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned()?;
        self.at += 1;
        Some(token)
    }

    /// Whether nothing is left.
    pub fn is_end(&self) -> bool {
        self.at >= self.end
    }

    /// Line of the next token, or of the last one.
    pub fn line(&self) -> u32 {
        let at = self.at.min(self.tokens.list.len().saturating_sub(1));
        self.tokens.list.get(at).map_or(1, |token| u32::try_from(token.span.start.line).unwrap_or(1))
    }

    /// 102 (or 156 for a reserved word) near the next token; at the end, near the last.
    pub fn error(&self) -> SqlError {
        let at = if self.at < self.end { self.at } else { self.end.saturating_sub(1) };
        let Some(token) = self.tokens.list.get(at) else { return syntax("") };
        let error = match &token.token {
            Token::Word(word) if word.quote_style.is_none() && is_reserved(&word.value) && self.at < self.end => {
                keyword(&word.value)
            }
            other => syntax(near(other)),
        };
        error.at_line(token)
    }

    /// Whether the token so many places on is that unquoted word.
    pub fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek_at(ahead), Some(Token::Word(w)) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
    }

    /// Whether the next token is that unquoted word.
    pub fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    /// Takes that word if it comes next.
    pub fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    /// Takes those words if they come next, all or none.
    pub fn words(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(ahead, word)| self.is_word_at(ahead, word));
        self.at += if found { words.len() } else { 0 };
        found
    }

    /// Takes that word or fails.
    pub fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.word(word) { Ok(()) } else { Err(self.error()) }
    }

    /// Takes that token if it comes next.
    pub fn token(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    /// Takes that token or fails.
    pub fn expect(&mut self, token: &Token) -> Result<()> {
        if self.token(token) { Ok(()) } else { Err(self.error()) }
    }

    /// Takes any unquoted word, in upper case.
    pub fn any_word(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::Word(word)) if word.quote_style.is_none() => {
                let upper = word.value.to_uppercase();
                self.at += 1;
                Ok(upper)
            }
            _ => Err(self.error()),
        }
    }

    /// Takes an identifier that is no variable.
    pub fn name(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::Word(word))
                if word.quote_style.is_some() || (!is_reserved(&word.value) && !word.value.starts_with('@')) =>
            {
                let name = word.value.clone();
                self.at += 1;
                if name.encode_utf16().count() > 128 {
                    let start: String = name.chars().take(128).collect();
                    return Err(SqlError::new(
                        103,
                        format!("The identifier that starts with '{start}' is too long. Maximum length is 128."),
                    )
                    .severity(15));
                }
                Ok(name)
            }
            _ => Err(self.error()),
        }
    }

    /// Takes a variable's name, with its `@`.
    pub fn variable(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::Word(word)) if word.quote_style.is_none() && word.value.starts_with('@') => {
                let name = word.value.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.error()),
        }
    }

    /// Takes a dotted name of up to four parts; `db..table` has an empty part.
    pub fn object(&mut self) -> Result<Vec<String>> {
        let mut parts = vec![self.name()?];
        while self.token(&Token::Period) {
            if self.peek() == Some(&Token::Period) {
                parts.push(String::new());
            } else {
                parts.push(self.name()?);
            }
        }
        if parts.len() > 4 {
            return Err(self.error());
        }
        Ok(parts)
    }

    /// Takes a whole number.
    pub fn number(&mut self) -> Result<i64> {
        let negative = self.token(&Token::Minus);
        match self.peek() {
            Some(Token::Number(text, _)) => {
                let number = text.parse::<i64>().map_err(|_| self.error())?;
                self.at += 1;
                Ok(if negative { -number } else { number })
            }
            _ => Err(self.error()),
        }
    }

    /// Takes a string literal.
    pub fn string(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::SingleQuotedString(text) | Token::NationalStringLiteral(text)) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.error()),
        }
    }

    /// Takes a type with its arguments.
    pub fn sql_type(&mut self) -> Result<SqlType> {
        let at = self.at;
        let mut name = self.name_or_reserved_type()?;
        if name.eq_ignore_ascii_case("sys") && self.token(&Token::Period) {
            name = self.name()?;
        }
        for second in ["varying", "precision", "character", "char"] {
            let joined = format!("{name} {second}");
            if self.is_word(second) && types::build(&joined, &[], 1).is_ok() {
                self.at += 1;
                name = joined;
                if self.word("varying") {
                    name.push_str(" varying");
                }
            }
        }
        let mut facets = Vec::new();
        if self.token(&Token::LParen) {
            loop {
                if self.word("max") {
                    facets.push(Facet::Max);
                } else {
                    facets.push(Facet::Number(u32::try_from(self.number()?).map_err(|_| self.error())?));
                }
                if !self.token(&Token::Comma) {
                    break;
                }
            }
            self.expect(&Token::RParen)?;
        }
        types::build(&name, &facets, 1).map_err(|error| error.at_line(&self.tokens.list[at]))
    }

    fn name_or_reserved_type(&mut self) -> Result<String> {
        if self.word("national") {
            Ok("national".to_owned())
        } else if self.word("double") {
            Ok("double".to_owned())
        } else {
            self.name()
        }
    }

    /// The source text from one token up to another.
    pub fn text(&self, from: usize, to: usize) -> String {
        let (Some(first), Some(last)) =
            (self.tokens.list.get(from), to.checked_sub(1).and_then(|at| self.tokens.list.get(at)))
        else {
            return String::new();
        };
        let place = |location: sqlparser::tokenizer::Location| {
            let line = usize::try_from(location.line).unwrap_or(1).saturating_sub(1);
            let start: usize = self.tokens.source.split('\n').take(line).map(|text| text.len() + 1).sum();
            let column = usize::try_from(location.column).unwrap_or(1).saturating_sub(1);
            let rest = self.tokens.source.get(start..).unwrap_or_default();
            start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
        };
        self.tokens.source.get(place(first.span.start)..place(last.span.end)).unwrap_or_default().to_owned()
    }

    /// The index just past the parenthesis that closes the one at the next token.
    pub fn closing(&self) -> Result<usize> {
        let mut depth = 0_usize;
        for at in self.at..self.end {
            match &self.tokens.list[at].token {
                Token::LParen => depth += 1,
                Token::RParen => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Ok(at + 1);
                    }
                }
                _ => {}
            }
        }
        Err(Self { at: self.end, ..self.clone() }.error())
    }

    /// The first place from here on, outside parentheses and CASE, at which `stop` says so.
    pub fn find(&self, from: usize, mut stop: impl FnMut(&Cursor) -> bool) -> usize {
        let mut probe = Self { at: from, ..self.clone() };
        let (mut depth, mut cases) = (0_i32, 0_i32);
        while !probe.is_end() {
            if depth == 0 && cases == 0 && stop(&probe) {
                return probe.at;
            }
            if probe.is_word("case") {
                cases += 1;
            } else if probe.is_word("end") {
                cases -= 1;
            }
            match probe.peek() {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth -= 1,
                _ => {}
            }
            if depth < 0 {
                return probe.at;
            }
            probe.at += 1;
        }
        self.end
    }

    /// Runs sqlparser over the tokens up to `end`, all of which it must take.
    pub fn parse<T>(
        &mut self,
        end: usize,
        run: impl FnOnce(&mut Parser<'_>) -> std::result::Result<T, ParserError>,
    ) -> Result<T> {
        let dialect = MsSqlDialect {};
        let slice: Vec<TokenWithSpan> = self.tokens.list[self.at..end].to_vec();
        let mut parser = Parser::new(&dialect).with_recursion_limit(200).with_tokens_with_locations(slice);
        let value = run(&mut parser).map_err(|error| self.parser_error(end, &error))?;
        let left = parser.peek_token();
        if left.token != Token::EOF {
            let at = (self.at..end).find(|at| self.tokens.list[*at].span == left.span).unwrap_or(self.at);
            return Err(Self { at, ..self.clone() }.error());
        }
        self.at = end;
        Ok(value)
    }

    fn parser_error(&self, end: usize, error: &ParserError) -> SqlError {
        let text = error.to_string();
        let place = text.rsplit_once(" at Line: ").and_then(|(_, place)| {
            let (line, column) = place.split_once(", Column: ")?;
            Some((line.trim().parse::<u64>().ok()?, column.trim().parse::<u64>().ok()?))
        });
        let at = place.and_then(|(line, column)| {
            (self.at..end).find(|at| {
                let start = self.tokens.list[*at].span.start;
                (start.line, start.column) == (line, column)
            })
        });
        match at {
            Some(at) => Self { at, ..self.clone() }.error(),
            None => Self { at: end, end, ..self.clone() }.error(),
        }
    }

    /// An expression in the tokens up to `end`.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method is not general enough over the parser's lifetime"
    )]
    pub fn expr(&mut self, end: usize) -> Result<Expr> {
        if self.at >= end {
            return Err(self.error());
        }
        self.parse(end, |parser| parser.parse_expr())
    }

    /// A query in the tokens up to `end`.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method is not general enough over the parser's lifetime"
    )]
    pub fn query(&mut self, end: usize) -> Result<Box<Query>> {
        self.parse(end, |parser| parser.parse_query())
    }
}

/// The identifiers of a plain name.
pub fn parts(name: &ObjectName) -> Result<Vec<&Ident>> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok(ident),
            ObjectNamePart::Function(function) => Err(syntax(&function.name.value)),
        })
        .collect()
}

/// Whether T-SQL reserves a word, so that it can only be a name in brackets or quotes.
pub fn is_reserved(word: &str) -> bool {
    const RESERVED: &str = " add all alter and any as asc authorization backup begin between break browse bulk by cascade \
        case check checkpoint close clustered coalesce collate column commit compute constraint contains containstable \
        continue convert create cross current current_date current_time current_timestamp current_user cursor database dbcc \
        deallocate declare default delete deny desc disk distinct distributed double drop dump else end errlvl escape except \
        exec execute exists exit external fetch file fillfactor for foreign freetext freetexttable from full function goto \
        grant group having holdlock identity identity_insert identitycol if in index inner insert intersect into is join key \
        kill left like lineno load merge national nocheck nonclustered not null nullif of off offsets on open opendatasource \
        openquery openrowset openxml option or order outer over percent pivot plan primary print proc procedure \
        public raiserror read readtext reconfigure references replication restore restrict return revert revoke right \
        rollback rowcount rowguidcol rule save schema securityaudit select session_user set setuser shutdown some statistics \
        system_user table tablesample textsize then to top tran transaction trigger truncate try_convert tsequal union unique \
        unpivot update updatetext use user values varying view waitfor when where while with within writetext ";
    !word.is_empty() && RESERVED.contains(&format!(" {} ", word.to_ascii_lowercase()))
}
