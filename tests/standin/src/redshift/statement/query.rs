//! SELECT, INSERT, UPDATE, DELETE and MERGE.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, FromTable, Ident, LimitClause, Merge, MergeAction, MergeClauseKind, ObjectName,
    ObjectNamePart, Query, Select, SetExpr, Statement as Parsed, TableFactor, TableObject, TopQuantity,
    UpdateTableFromKind, VisitMut, VisitorMut,
};
use sqlparser::dialect::RedshiftSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token as ParserToken, Word};

use super::relation::{Relation, resolve};
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

/// Reads a query or a change of rows.
pub fn parse(tokens: &[Token]) -> Result<Statement, SqlError> {
    let mut parsed = parse_statement(tokens)?;
    let (target, reads) = match &parsed {
        Parsed::Query(_) => (None, true),
        Parsed::Insert(insert) => (Some(insert_target(insert)?), !is_values(insert.source.as_deref())),
        Parsed::Delete(delete) => (Some(delete_target(delete)?), true),
        Parsed::Update(update) => (Some(update_target(update)?), true),
        Parsed::Merge(merge) => (Some(merge_target(merge)?), true),
        _ => return Err(SqlError::syntax(&tokens[0].value)),
    };
    let mut rewriter = Rewriter { may_have_values: target.is_some() && !reads, ..Rewriter::default() };
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
    let mut rewriter = Rewriter::default();
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

fn is_values(source: Option<&Query>) -> bool {
    source.is_none_or(|query| matches!(*query.body, SetExpr::Values(_)))
}

fn insert_target(insert: &sqlparser::ast::Insert) -> Result<Name, SqlError> {
    if insert.on.is_some() {
        return Err(SqlError::syntax("on"));
    }
    if insert.returning.is_some() {
        return Err(SqlError::syntax("returning"));
    }
    let plain = insert.or.is_none()
        && !insert.ignore
        && insert.into
        && insert.table_alias.is_none()
        && !insert.overwrite
        && insert.assignments.is_empty()
        && insert.partitioned.is_none()
        && insert.after_columns.is_empty()
        && !insert.has_table_keyword
        && !insert.replace_into
        && insert.priority.is_none()
        && insert.insert_alias.is_none()
        && insert.settings.is_none()
        && insert.output.is_none()
        && insert.format_clause.is_none();
    match &insert.table {
        TableObject::TableName(name) if plain => relation_name(name),
        _ => Err(SqlError::syntax("insert")),
    }
}

fn delete_target(delete: &sqlparser::ast::Delete) -> Result<Name, SqlError> {
    if delete.returning.is_some() {
        return Err(SqlError::syntax("returning"));
    }
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let plain = delete.tables.is_empty() && delete.output.is_none() && delete.order_by.is_empty();
    match from.as_slice() {
        [table] if plain && delete.limit.is_none() && table.joins.is_empty() => factor_name(&table.relation),
        _ => Err(SqlError::syntax("delete")),
    }
}

fn update_target(update: &sqlparser::ast::Update) -> Result<Name, SqlError> {
    if update.returning.is_some() {
        return Err(SqlError::syntax("returning"));
    }
    let plain = update.output.is_none()
        && update.or.is_none()
        && update.order_by.is_empty()
        && update.limit.is_none()
        && update.table.joins.is_empty()
        && !matches!(update.from, Some(UpdateTableFromKind::BeforeSet(_)));
    if plain { factor_name(&update.table.relation) } else { Err(SqlError::syntax("update")) }
}

/// MERGE: one clause for rows that match, one for those that do not, and nothing more.
fn merge_target(merge: &Merge) -> Result<Name, SqlError> {
    let TableFactor::Table { alias: None, .. } = &merge.table else {
        return Err(SqlError::syntax("using"));
    };
    if !matches!(merge.source, TableFactor::Table { .. }) {
        return Err(SqlError::syntax("("));
    }
    if merge.output.is_some() || !is_equality(&merge.on) {
        return Err(SqlError::unsupported("MERGE joins by equality only"));
    }
    let kinds: Vec<_> = merge.clauses.iter().map(|clause| (clause.clause_kind, clause.predicate.is_some())).collect();
    let complete = [(MergeClauseKind::Matched, false), (MergeClauseKind::NotMatched, false)];
    if kinds != complete {
        return Err(SqlError::new(
            "42601",
            "MERGE takes one WHEN MATCHED and one WHEN NOT MATCHED clause, in this order and without AND",
        ));
    }
    for clause in &merge.clauses {
        match &clause.action {
            MergeAction::DoNothing { .. } => return Err(SqlError::syntax("do")),
            MergeAction::Insert(insert) if insert.insert_predicate.is_some() => return Err(SqlError::syntax("where")),
            MergeAction::Update(update) if update.update_predicate.is_some() || update.delete_predicate.is_some() => {
                return Err(SqlError::syntax("where"));
            }
            _ => {}
        }
    }
    factor_name(&merge.table)
}

fn is_equality(on: &Expr) -> bool {
    match on {
        Expr::Nested(inner) => is_equality(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => is_equality(left) && is_equality(right),
        Expr::BinaryOp { op: BinaryOperator::Eq, .. } => true,
        _ => false,
    }
}

fn factor_name(factor: &TableFactor) -> Result<Name, SqlError> {
    match factor {
        TableFactor::Table { name, .. } => relation_name(name),
        other => Err(SqlError::syntax(&other.to_string())),
    }
}

fn relation_name(name: &ObjectName) -> Result<Name, SqlError> {
    let parts: Option<Vec<_>> = name.0.iter().map(|part| part.as_ident().map(|part| part.value.clone())).collect();
    match parts.as_deref() {
        Some([name]) => Ok(Name { schema: None, name: name.clone() }),
        Some([schema, name]) => Ok(Name { schema: Some(schema.clone()), name: name.clone() }),
        _ => Err(SqlError::unmodelled("a name of more than two parts")),
    }
}

#[derive(Debug, Default)]
struct Rewriter {
    relayed: Relayed,
    /// The next query is what INSERT inserts; lists of values have no other place.
    may_have_values: bool,
}

type Flow = ControlFlow<SqlError>;

fn flow(result: Result<(), SqlError>) -> Flow {
    result.map_or_else(ControlFlow::Break, ControlFlow::Continue)
}

impl VisitorMut for Rewriter {
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
        flow(check_factor(factor))
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

impl Rewriter {
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

fn check_query(query: &mut Query) -> Result<(), SqlError> {
    if !query.locks.is_empty() {
        return Err(SqlError::syntax("for"));
    }
    if query.fetch.is_some()
        || query.for_clause.is_some()
        || query.settings.is_some()
        || query.format_clause.is_some()
        || !query.pipe_operators.is_empty()
    {
        return Err(SqlError::syntax(&query.to_string()));
    }
    match &query.limit_clause {
        None | Some(LimitClause::LimitOffset { .. }) => {}
        Some(other) => return Err(SqlError::syntax(&other.to_string())),
    }
    if let Some(with) = &query.with
        && with.cte_tables.iter().any(|cte| cte.materialized.is_some() || cte.from.is_some())
    {
        return Err(SqlError::syntax("materialized"));
    }
    match &mut *query.body {
        SetExpr::Select(select) => {
            let Some(top) = select.top.take() else { return Ok(()) };
            let (Some(TopQuantity::Constant(count)), false, None) =
                (&top.quantity, top.percent || top.with_ties, &query.limit_clause)
            else {
                return Err(SqlError::syntax("top"));
            };
            let limit = Some(Expr::value(sqlparser::ast::Value::Number(count.to_string(), false)));
            query.limit_clause = Some(LimitClause::LimitOffset { limit, offset: None, limit_by: Vec::new() });
            Ok(())
        }
        SetExpr::Query(_) | SetExpr::SetOperation { .. } | SetExpr::Values(_) => Ok(()),
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) | SetExpr::Table(_) => {
            Err(SqlError::syntax(&query.body.to_string()))
        }
    }
}

fn check_select(select: &mut Select) -> Result<(), SqlError> {
    if matches!(select.distinct, Some(Distinct::On(_))) {
        return Err(SqlError::unsupported("SELECT DISTINCT ON is not supported"));
    }
    if select.into.is_some() {
        return Err(SqlError::unmodelled("SELECT INTO"));
    }
    if select.qualify.is_some() || select.exclude.is_some() || !select.connect_by.is_empty() {
        return Err(SqlError::unmodelled("QUALIFY, EXCLUDE or CONNECT BY"));
    }
    let plain = select.select_modifiers.is_none()
        && select.top.is_none()
        && select.lateral_views.is_empty()
        && select.prewhere.is_none()
        && select.cluster_by.is_empty()
        && select.distribute_by.is_empty()
        && select.sort_by.is_empty()
        && select.named_window.is_empty()
        && select.value_table_mode.is_none();
    if plain { Ok(()) } else { Err(SqlError::syntax(&select.to_string())) }
}

fn check_factor(factor: &TableFactor) -> Result<(), SqlError> {
    match factor {
        TableFactor::Table { name, args: Some(_), .. } => Err(SqlError::unsupported(format!(
            "Specified types or functions ({name}) not supported on Redshift tables."
        ))),
        TableFactor::Table {
            with_hints, version: None, with_ordinality: false, sample: None, json_path: None, ..
        } if with_hints.is_empty() => Ok(()),
        TableFactor::Derived { lateral: false, sample: None, .. } | TableFactor::NestedJoin { .. } => Ok(()),
        TableFactor::Derived { lateral: true, .. } => Err(SqlError::syntax("lateral")),
        other => Err(SqlError::syntax(&other.to_string())),
    }
}
