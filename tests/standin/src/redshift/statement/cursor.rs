//! Reads statements that Redshift has and general SQL parsers have not.

use crate::redshift::error::SqlError;
use crate::redshift::lexer::{Kind, Token, unescape};
use crate::redshift::name::Name;

/// The server's reserved words that stand for nothing else: bare, they are no names.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "authorization",
    "backup",
    "between",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "cross",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "deflate",
    "delta",
    "desc",
    "disable",
    "distinct",
    "do",
    "else",
    "enable",
    "encode",
    "end",
    "except",
    "false",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "identity",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "language",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "lun",
    "minus",
    "natural",
    "new",
    "not",
    "notnull",
    "null",
    "off",
    "offline",
    "offset",
    "oid",
    "old",
    "on",
    "only",
    "open",
    "or",
    "order",
    "outer",
    "overlaps",
    "parallel",
    "partition",
    "percent",
    "permissions",
    "placing",
    "primary",
    "raw",
    "references",
    "respect",
    "rejectlog",
    "resort",
    "restore",
    "right",
    "select",
    "session_user",
    "similar",
    "snapshot",
    "some",
    "sysdate",
    "system",
    "table",
    "tag",
    "then",
    "timestamp",
    "to",
    "top",
    "trailing",
    "true",
    "truncatecolumns",
    "union",
    "unique",
    "user",
    "using",
    "verbose",
    "wallet",
    "when",
    "where",
    "with",
    "without",
];

/// Is the bare word no name?
pub fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}

/// A place in a statement.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    /// The statement's tokens.
    pub tokens: &'a [Token],
    /// The next one.
    pub at: usize,
}

impl<'a> Cursor<'a> {
    /// At the beginning.
    pub fn new(tokens: &'a [Token]) -> Self {
        Self { tokens, at: 0 }
    }

    /// The next token.
    pub fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    /// Is everything read?
    pub fn is_at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// Passes over all that is left.
    pub fn skip_rest(&mut self) {
        self.at = self.tokens.len();
    }

    /// The error that nothing here is right.
    pub fn unexpected(&self) -> SqlError {
        match self.peek() {
            Some(token) => SqlError::syntax(&token.value),
            None => SqlError::new("42601", "syntax error at end of input"),
        }
    }

    /// Nothing may follow.
    pub fn end(&self) -> Result<(), SqlError> {
        if self.is_at_end() { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Is the next token this keyword or symbol?
    pub fn is(&self, wanted: &str) -> bool {
        self.peek().is_some_and(|token| matches!(token.kind, Kind::Word | Kind::Symbol) && token.value == wanted)
    }

    /// Are the next tokens these?
    pub fn are(&self, wanted: &[&str]) -> bool {
        let mut ahead = self.clone();
        wanted.iter().all(|wanted| ahead.accept(wanted))
    }

    /// Takes a keyword or symbol, if it is next.
    pub fn accept(&mut self, wanted: &str) -> bool {
        let is = self.is(wanted);
        self.at += usize::from(is);
        is
    }

    /// Takes keywords or symbols, if all of them are next.
    pub fn accept_all(&mut self, wanted: &[&str]) -> bool {
        let are = self.are(wanted);
        if are {
            self.at += wanted.len();
        }
        are
    }

    /// Takes a keyword or symbol, which must be next.
    pub fn expect(&mut self, wanted: &str) -> Result<(), SqlError> {
        if self.accept(wanted) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Takes a bare word.
    pub fn bare_word(&mut self) -> Result<String, SqlError> {
        match self.peek() {
            Some(token) if token.kind == Kind::Word => {
                self.at += 1;
                Ok(token.value.clone())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Takes a name, quoted or not reserved.
    pub fn identifier(&mut self) -> Result<String, SqlError> {
        match self.peek() {
            Some(token) if token.kind == Kind::Quoted => {
                self.at += 1;
                Ok(token.value.clone())
            }
            Some(token) if token.kind == Kind::Word && !is_reserved(&token.value) => self.bare_word(),
            _ => Err(self.unexpected()),
        }
    }

    /// Takes a relation's name.
    pub fn name(&mut self) -> Result<Name, SqlError> {
        let first = self.identifier()?;
        if !self.accept(".") {
            return Ok(Name { schema: None, name: first });
        }
        Ok(Name { schema: Some(first), name: self.identifier()? })
    }

    /// Takes a list in brackets.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, SqlError>) -> Result<Vec<T>, SqlError> {
        self.expect("(")?;
        let items = self.series(&mut item)?;
        self.expect(")")?;
        Ok(items)
    }

    /// Takes a list without brackets.
    pub fn series<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, SqlError>) -> Result<Vec<T>, SqlError> {
        let mut items = vec![item(self)?];
        while self.accept(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Takes a literal; a parameter has no place in such statements.
    pub fn text(&mut self) -> Result<String, SqlError> {
        self.raw_text().map(|raw| unescape(&raw, false))
    }

    /// Takes a literal with its backslashes.
    pub fn raw_text(&mut self) -> Result<String, SqlError> {
        match self.peek() {
            Some(token) if token.kind == Kind::Text => {
                self.at += 1;
                Ok(token.value.clone())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Takes a whole number.
    pub fn integer(&mut self) -> Result<i64, SqlError> {
        let negative = self.accept("-");
        let token = self.peek().filter(|token| token.kind == Kind::Number).ok_or_else(|| self.unexpected())?;
        let number: i64 = token.value.parse().map_err(|_| self.unexpected())?;
        self.at += 1;
        Ok(if negative { -number } else { number })
    }

    /// Takes sizes in brackets, if there are any.
    pub fn sizes(&mut self) -> Result<Vec<u32>, SqlError> {
        if !self.is("(") {
            return Ok(Vec::new());
        }
        self.list(|cursor| u32::try_from(cursor.integer()?).map_err(|_| SqlError::syntax("-")))
    }

    /// Takes the one size of a type that has a default and a longest.
    pub fn size(&mut self, what: &str, default: u32, longest: u32) -> Result<u32, SqlError> {
        let size = match self.sizes()?.as_slice() {
            [] => default,
            [size] => *size,
            _ => return Err(SqlError::syntax(",")),
        };
        if size == 0 {
            return Err(SqlError::new("22023", format!("length for type {what} must be at least 1")));
        }
        if size > longest {
            return Err(SqlError::new("22023", format!("length for type {what} cannot exceed {longest}")));
        }
        Ok(size)
    }

    /// Takes three tokens, if they are next.
    pub fn has_symbols_and(&mut self, open: &str, word: &str, close: &str) -> bool {
        self.accept_all(&[open, word, close])
    }

    /// Takes all tokens of an expression: up to a comma, a closing bracket or one of the words, outside brackets.
    pub fn expression(&mut self, until: &[&str]) -> Result<&'a [Token], SqlError> {
        let start = self.at;
        let mut depth = 0;
        while let Some(token) = self.peek() {
            if token.kind == Kind::Symbol {
                match token.value.as_str() {
                    "(" => depth += 1,
                    ")" | "," if depth == 0 => break,
                    ")" => depth -= 1,
                    _ => {}
                }
            }
            if depth == 0 && token.kind == Kind::Word && until.contains(&token.value.as_str()) && self.at > start {
                break;
            }
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected()) } else { Ok(&self.tokens[start..self.at]) }
    }
}
