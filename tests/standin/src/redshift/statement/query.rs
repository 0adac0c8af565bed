//! SELECT, INSERT, UPDATE, DELETE and MERGE.

use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SetExpr, Statement as Parsed, TableAlias,
    TableAliasColumnDef, TableFactor, VisitMut, VisitorMut,
};
use sqlparser::dialect::RedshiftSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token as ParserToken, Word};

use super::clauses::{check_factor, check_query, check_select};
use super::relation::{Relation, resolve};
use super::target::{delete_target, insert_target, is_values, merge_target, update_target};
use super::{Statement, expression};
use crate::redshift::error::SqlError;
use crate::redshift::lexer::{Kind, Token, unescape};
use crate::redshift::name::{Name, shortened};

/// What is relayed to the server below.
#[derive(Debug, Clone, Default)]
pub struct Relayed {
    /// The statement for the server below.
    pub sql: String,
    /// Relations of users that it names.
    pub relations: Vec<Name>,
    /// A relation that only a provisioned cluster has.
    pub provisioned: Option<String>,
}

/// What changes rows.
#[derive(Debug, Clone)]
pub struct Write {
    /// The table.
    pub target: Name,
    /// The statement below.
    pub relayed: Relayed,
    /// Does it look at rows, so that it sees the table as its snapshot has it?
    pub reads: bool,
}

/// Names that are reserved in Redshift and nowhere else ("Reserved words").
const ONLY_HERE: &[&str] = &[
    "backup",
    "delta",
    "deflate",
    "disable",
    "enable",
    "identity",
    "language",
    "lun",
    "minus",
    "new",
    "offline",
    "offset",
    "old",
    "open",
    "partition",
    "percent",
    "permissions",
    "raw",
    "respect",
    "snapshot",
    "system",
    "tag",
    "timestamp",
    "top",
    "wallet",
];

/// A view that is bound to its tables when it is read.
#[derive(Debug, Clone)]
pub struct LateView {
    /// Names of its columns, if it was given any.
    pub columns: Vec<String>,
    /// Its query.
    pub query: Vec<Token>,
}

/// Finds late-binding views.
pub type FindView<'a> = &'a dyn Fn(&Name) -> Option<Arc<LateView>>;

/// Late-binding views within each other go no deeper.
const DEEPEST: usize = 32;

/// Reads a query or a change of rows.
pub fn parse(tokens: &[Token]) -> Result<Statement, SqlError> {
    parse_with(tokens, &|_| None)
}

/// Reads a query or a change of rows, late-binding views in it replaced by their queries.
pub fn parse_with(tokens: &[Token], views: FindView<'_>) -> Result<Statement, SqlError> {
    let mut parsed = parse_statement(tokens)?;
    let (target, reads) = match &parsed {
        Parsed::Query(_) => (None, true),
        Parsed::Insert(insert) => (Some(insert_target(insert)?), !is_values(insert.source.as_deref())),
        Parsed::Delete(delete) => (Some(delete_target(delete)?), true),
        Parsed::Update(update) => (Some(update_target(update)?), true),
        Parsed::Merge(merge) => (Some(merge_target(merge)?), true),
        _ => return Err(SqlError::syntax(&tokens[0].value)),
    };
    let mut rewriter = Rewriter::new(views);
    rewriter.may_have_values = target.is_some() && !reads;
    if let ControlFlow::Break(error) = VisitMut::visit(&mut parsed, &mut rewriter) {
        return Err(error);
    }
    let mut relayed = rewriter.relayed;
    relayed.sql = parsed.to_string();
    let Some(target) = target else { return Ok(Statement::Select(relayed)) };
    match resolve(&target)? {
        Relation::User(_) => Ok(Statement::Write(Write { target, relayed, reads })),
        _ => Err(SqlError::new("42501", format!("permission denied for relation {target}"))),
    }
}

/// Reads a query on its own, such as that of a view, as the server below has it.
pub fn parse_select(tokens: &[Token]) -> Result<Relayed, SqlError> {
    match parse(tokens)? {
        Statement::Select(relayed) => Ok(relayed),
        _ => Err(SqlError::syntax(&tokens[0].value)),
    }
}

/// Reads an expression on its own, such as a default.
pub fn parse_expression(tokens: &[Token]) -> Result<String, SqlError> {
    let mut parser = parser(tokens);
    let mut parsed = parser.parse_expr().map_err(|error| told(&error.to_string()))?;
    at_end(&mut parser)?;
    let mut rewriter = Rewriter::new(&|_| None);
    match VisitMut::visit(&mut parsed, &mut rewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(parsed.to_string()),
    }
}

fn parser(tokens: &[Token]) -> Parser<'static> {
    Parser::new(&RedshiftSqlDialect {}).with_tokens(tokens.iter().map(for_parser).collect())
}

fn parse_statement(tokens: &[Token]) -> Result<Parsed, SqlError> {
    let mut parser = parser(tokens);
    let parsed = parser.parse_statement().map_err(|error| told(&error.to_string()))?;
    at_end(&mut parser)?;
    Ok(parsed)
}

fn at_end(parser: &mut Parser<'_>) -> Result<(), SqlError> {
    match parser.next_token().token {
        ParserToken::EOF => Ok(()),
        token => Err(SqlError::syntax(&token.to_string())),
    }
}

/// The parser's complaint in the server's words.
fn told(message: &str) -> SqlError {
    let found = message.rsplit_once("found: ").map(|(_, found)| found.split(" at Line").next().unwrap_or(found));
    match found {
        Some("EOF") | None => SqlError::new("42601", "syntax error at end of input"),
        Some(found) => SqlError::syntax(found),
    }
}

fn for_parser(token: &Token) -> ParserToken {
    match token.kind {
        Kind::Word => ParserToken::make_word(&token.value, None),
        Kind::Quoted => ParserToken::Word(Word {
            value: token.value.clone(),
            quote_style: Some('"'),
            keyword: sqlparser::keywords::Keyword::NoKeyword,
        }),
        Kind::Number => ParserToken::Number(token.value.clone(), false),
        Kind::Text => ParserToken::SingleQuotedString(unescape(&token.value, false)),
        Kind::Parameter => ParserToken::Placeholder(token.value.clone()),
        Kind::Symbol => symbol(&token.value),
    }
}

fn symbol(symbol: &str) -> ParserToken {
    match symbol {
        "!~*" => ParserToken::ExclamationMarkTildeAsterisk,
        "::" => ParserToken::DoubleColon,
        "<>" | "!=" => ParserToken::Neq,
        "<=" => ParserToken::LtEq,
        ">=" => ParserToken::GtEq,
        "||" => ParserToken::StringConcat,
        "~*" => ParserToken::TildeAsterisk,
        "!~" => ParserToken::ExclamationMarkTilde,
        "<<" => ParserToken::ShiftLeft,
        ">>" => ParserToken::ShiftRight,
        "=" => ParserToken::Eq,
        "<" => ParserToken::Lt,
        ">" => ParserToken::Gt,
        "+" => ParserToken::Plus,
        "-" => ParserToken::Minus,
        "*" => ParserToken::Mul,
        "/" => ParserToken::Div,
        "%" => ParserToken::Mod,
        "(" => ParserToken::LParen,
        ")" => ParserToken::RParen,
        "," => ParserToken::Comma,
        "." => ParserToken::Period,
        "~" => ParserToken::Tilde,
        "^" => ParserToken::Caret,
        "|" => ParserToken::Pipe,
        "&" => ParserToken::Ampersand,
        "#" => ParserToken::Sharp,
        _ => ParserToken::SemiColon,
    }
}

/// A relation's name, of one part or two.
pub(super) fn relation_name(name: &ObjectName) -> Result<Name, SqlError> {
    let parts: Option<Vec<_>> = name.0.iter().map(|part| part.as_ident().map(|part| part.value.clone())).collect();
    match parts.as_deref() {
        Some([name]) => Ok(Name { schema: None, name: name.clone() }),
        Some([schema, name]) => Ok(Name { schema: Some(schema.clone()), name: name.clone() }),
        _ => Err(SqlError::unmodelled("a name of more than two parts")),
    }
}

struct Rewriter<'a> {
    relayed: Relayed,
    views: FindView<'a>,
    replaced: usize,
    /// The next query is what INSERT inserts; lists of values have no other place.
    may_have_values: bool,
}

type Flow = ControlFlow<SqlError>;

fn flow(result: Result<(), SqlError>) -> Flow {
    result.map_or_else(ControlFlow::Break, ControlFlow::Continue)
}

impl VisitorMut for Rewriter<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> Flow {
        let values = std::mem::take(&mut self.may_have_values);
        if matches!(*query.body, SetExpr::Values(_)) && !values {
            return ControlFlow::Break(SqlError::syntax("values"));
        }
        flow(check_query(query))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> Flow {
        flow(check_select(select))
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> Flow {
        flow(check_factor(factor).and_then(|()| self.replace_view(factor)))
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> Flow {
        flow(relation_name(relation).and_then(|name| self.rewrite(&name)).map(|below| *relation = below))
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> Flow {
        flow(expression::check(expression))
    }

    fn pre_visit_ident(&mut self, ident: &mut Ident) -> Flow {
        if ident.quote_style.is_none() && ONLY_HERE.contains(&ident.value.as_str()) {
            return ControlFlow::Break(SqlError::syntax(&ident.value));
        }
        let below = shortened(&ident.value);
        if below != ident.value {
            // The mark of a shortened name needs quotes.
            *ident = Ident::with_quote('"', below);
        }
        ControlFlow::Continue(())
    }
}

impl<'a> Rewriter<'a> {
    fn new(views: FindView<'a>) -> Self {
        Self { relayed: Relayed::default(), views, replaced: 0, may_have_values: false }
    }

    /// A late-binding view is what its query is now.
    fn replace_view(&mut self, factor: &mut TableFactor) -> Result<(), SqlError> {
        let TableFactor::Table { name, alias, .. } = factor else { return Ok(()) };
        let name = relation_name(name)?;
        let Some(view) = (self.views)(&name) else { return Ok(()) };
        self.replaced += 1;
        if self.replaced > DEEPEST {
            return Err(SqlError::new("54001", format!("view \"{name}\" refers to itself")));
        }
        let Parsed::Query(subquery) = parse_statement(&view.query)? else { return Err(SqlError::syntax(&name.name)) };
        let alias = alias.take().unwrap_or_else(|| TableAlias {
            explicit: true,
            name: Ident::with_quote('"', &name.name),
            columns: view.columns.iter().map(|column| TableAliasColumnDef::from_name(column.as_str())).collect(),
            at: None,
        });
        *factor = TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None };
        Ok(())
    }

    fn rewrite(&mut self, name: &Name) -> Result<ObjectName, SqlError> {
        let below = match resolve(name)? {
            Relation::User(name) => {
                let parts = name.schema.iter().chain([&name.name]);
                let parts =
                    parts.map(|part| ObjectNamePart::Identifier(Ident::with_quote('"', shortened(part)))).collect();
                self.relayed.relations.push(name);
                return Ok(ObjectName(parts));
            }
            Relation::Catalogue(below) => below,
            Relation::Provisioned(below) => {
                self.relayed.provisioned = Some(name.name.clone());
                below
            }
        };
        let parts = below.split('.').map(|part| Ident::with_quote('"', part.trim_matches('"')));
        Ok(ObjectName(parts.map(ObjectNamePart::Identifier).collect()))
    }
}
