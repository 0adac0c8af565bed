//! SELECT, INSERT, UPDATE, DELETE, MERGE.

use sqlparser::ast::{SelectItem, With};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::super::error::{Result, syntax};
use super::call::execute;
use super::control::{assignment_operator, starts};
use super::cursor::Cursor;
use super::{Assignment, Delete, Insert, InsertSource, Kind, Output, Statement, Update};

/// Whether a SELECT at the cursor goes on with the query before it.
fn continues(cursor: &Cursor) -> bool {
    cursor.at > 0 && {
        let before = Cursor { at: cursor.at - 1, ..cursor.clone() };
        ["union", "all", "except", "intersect"].iter().any(|word| before.is_word(word))
    }
}

/// Where a query that begins at `from` ends, its own first SELECT not counted.
fn query_end(cursor: &Cursor, from: usize) -> usize {
    let mut first = true;
    let with = Cursor { at: from, ..cursor.clone() }.is_word("with");
    cursor.find(from, |probe| {
        if probe.is_word("select") && (first && (with || probe.at == from) || continues(probe)) {
            first = false;
            return false;
        }
        starts(probe)
    })
}

/// Takes a query, with the OPTION clause that may follow it.
fn take_query(cursor: &mut Cursor) -> Result<Box<sqlparser::ast::Query>> {
    let end = query_end(cursor, cursor.at);
    let option = cursor.find(cursor.at, is_option).min(end);
    let query = cursor.query(option)?;
    options(cursor)?;
    if cursor.at == end { Ok(query) } else { Err(cursor.error()) }
}

fn is_option(cursor: &Cursor) -> bool {
    cursor.is_word("option") && cursor.peek_at(1) == Some(&Token::LParen)
}

/// OPTION (…): the hints there are, none of which changes an answer.
fn options(cursor: &mut Cursor) -> Result<()> {
    if !is_option(cursor) {
        return Ok(());
    }
    cursor.at += 2;
    loop {
        let word = cursor.any_word()?;
        match word.as_str() {
            "RECOMPILE" | "IGNORE_NONCLUSTERED_COLUMNSTORE_INDEX" => {}
            "MAXDOP" | "MAXRECURSION" | "FAST" | "QUERYTRACEON" => {
                cursor.number()?;
            }
            "LOOP" | "HASH" | "MERGE" if cursor.word("join") || cursor.word("union") || cursor.word("group") => {}
            "FORCE" | "KEEP" | "ROBUST" | "KEEPFIXED" | "ORDER" | "CONCAT" | "EXPAND" => {
                cursor.any_word()?;
            }
            "OPTIMIZE" => {
                cursor.expect_word("for")?;
                if !cursor.word("unknown") {
                    cursor.at = cursor.closing()?;
                }
            }
            "USE" => {
                cursor.expect_word("hint")?;
                cursor.at = cursor.closing()?;
            }
            "LABEL" => {
                cursor.expect(&Token::Eq)?;
                cursor.string()?;
            }
            _ => {
                cursor.at -= 1;
                return Err(cursor.error());
            }
        }
        if !cursor.token(&Token::Comma) {
            return cursor.expect(&Token::RParen);
        }
    }
}

/// SELECT.
pub fn query(cursor: &mut Cursor) -> Result<Kind> {
    take_query(cursor).map(Kind::Query)
}

/// WITH: CTEs, then a query, UPDATE, DELETE or INSERT.
pub fn with(cursor: &mut Cursor) -> Result<Kind> {
    let start = cursor.at;
    let main = cursor.find(start + 1, starts);
    let at_main = Cursor { at: main, ..cursor.clone() };
    let (update, delete, insert) = (at_main.is_word("update"), at_main.is_word("delete"), at_main.is_word("insert"));
    if !(update || delete || insert) {
        return query(cursor);
    }
    let with = cursor.parse(main, |parser| {
        parser.next_token();
        let recursive = false;
        let with_token = sqlparser::ast::helpers::attached_token::AttachedToken::empty();
        Ok(With { with_token, recursive, cte_tables: parser.parse_comma_separated(Parser::parse_cte)? })
    })?;
    if update {
        return self::update(cursor, Some(with));
    }
    if delete {
        return self::delete(cursor, Some(with));
    }
    let Kind::Insert(mut insert) = self::insert(cursor)? else { return Err(cursor.error()) };
    if let InsertSource::Query(query) = &mut insert.source
        && query.with.is_none()
    {
        query.with = Some(with);
    }
    Ok(Kind::Insert(insert))
}

fn top(cursor: &mut Cursor) -> Result<Option<sqlparser::ast::Expr>> {
    if !cursor.word("top") {
        return Ok(None);
    }
    if cursor.peek() != Some(&Token::LParen) {
        return Err(cursor.error());
    }
    let close = cursor.closing()?;
    let expr = cursor.expr(close)?;
    if cursor.is_word("percent") { Err(cursor.error()) } else { Ok(Some(expr)) }
}

/// The target of DML: a table, a `#table` or a table variable.
fn target(cursor: &mut Cursor) -> Result<Vec<String>> {
    if let Ok(variable) = cursor.variable() {
        return Ok(vec![variable]);
    }
    cursor.object()
}

/// WITH (hints), or nothing.
fn hints(cursor: &mut Cursor) -> Result<()> {
    if !cursor.is_word("with") || cursor.peek_at(1) != Some(&Token::LParen) {
        return Ok(());
    }
    cursor.at += 2;
    loop {
        let hint = cursor.any_word()?;
        if !super::super::bind::relation::is_hint(&hint) {
            cursor.at -= 1;
            return Err(cursor.error());
        }
        if hint == "INDEX" && cursor.peek() == Some(&Token::LParen) {
            cursor.at = cursor.closing()?;
        }
        if !cursor.token(&Token::Comma) {
            return cursor.expect(&Token::RParen);
        }
    }
}

fn output(cursor: &mut Cursor, stops: &[&str]) -> Result<Option<Output>> {
    if !cursor.word("output") {
        return Ok(None);
    }
    let stop = cursor.find(cursor.at, |probe| {
        probe.is_word("into")
            || stops.iter().any(|word| probe.is_word(word))
            || (starts(probe) && !probe.is_word("delete"))
    });
    let items: Vec<SelectItem> =
        cursor.parse(stop, |parser| parser.parse_comma_separated(Parser::parse_select_item))?;
    let mut into = None;
    if cursor.word("into") {
        let name = target(cursor)?;
        into = Some((name, columns(cursor)?));
    }
    Ok(Some(Output { items, action: false, into }))
}

fn columns(cursor: &mut Cursor) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if cursor.peek() != Some(&Token::LParen) || cursor.is_word_at(1, "select") {
        return Ok(names);
    }
    cursor.at += 1;
    loop {
        let mut parts = cursor.object()?;
        names.push(parts.pop().unwrap_or_default());
        if !cursor.token(&Token::Comma) {
            cursor.expect(&Token::RParen)?;
            return Ok(names);
        }
    }
}

/// INSERT.
pub fn insert(cursor: &mut Cursor) -> Result<Kind> {
    cursor.at += 1;
    let top = top(cursor)?;
    cursor.word("into");
    let table = target(cursor)?;
    hints(cursor)?;
    let columns = columns(cursor)?;
    let output = output(cursor, &["values", "select", "exec", "execute", "default"])?;
    let source = if cursor.words(&["default", "values"]) {
        InsertSource::Defaults
    } else if cursor.word("values") {
        InsertSource::Values(values(cursor)?)
    } else if cursor.is_word("exec") || cursor.is_word("execute") {
        let line = cursor.line();
        cursor.at += 1;
        InsertSource::Execute(Box::new(Statement { line, text: String::new(), kind: execute(cursor)? }))
    } else if cursor.is_word("select") || cursor.is_word("with") || cursor.peek() == Some(&Token::LParen) {
        InsertSource::Query(take_query(cursor)?)
    } else {
        return Err(cursor.error());
    };
    options(cursor)?;
    Ok(Kind::Insert(Box::new(Insert { top, table, columns, output, source })))
}

fn values(cursor: &mut Cursor) -> Result<Vec<Vec<Option<sqlparser::ast::Expr>>>> {
    let mut rows = Vec::new();
    loop {
        if cursor.peek() != Some(&Token::LParen) {
            return Err(cursor.error());
        }
        let close = cursor.closing()?;
        cursor.at += 1;
        let mut row = Vec::new();
        loop {
            let stop = cursor.find(cursor.at, |probe| probe.peek() == Some(&Token::Comma)).min(close - 1);
            if cursor.is_word("default") && stop == cursor.at + 1 {
                cursor.at += 1;
                row.push(None);
            } else {
                row.push(Some(cursor.expr(stop)?));
            }
            if !cursor.token(&Token::Comma) {
                break;
            }
        }
        cursor.expect(&Token::RParen)?;
        rows.push(row);
        if !cursor.token(&Token::Comma) {
            return Ok(rows);
        }
    }
}

fn from(cursor: &mut Cursor) -> Result<Vec<sqlparser::ast::TableWithJoins>> {
    if !cursor.word("from") {
        return Ok(Vec::new());
    }
    let stop = cursor.find(cursor.at, |probe| probe.is_word("where") || is_option(probe) || starts(probe));
    cursor.parse(stop, |parser| parser.parse_comma_separated(Parser::parse_table_and_joins))
}

fn selection(cursor: &mut Cursor) -> Result<Option<sqlparser::ast::Expr>> {
    if !cursor.word("where") {
        return Ok(None);
    }
    let stop = cursor.find(cursor.at, |probe| is_option(probe) || starts(probe));
    cursor.expr(stop).map(Some)
}

/// UPDATE.
pub fn update(cursor: &mut Cursor, with: Option<With>) -> Result<Kind> {
    cursor.at += 1;
    if cursor.is_word("statistics") {
        return Err(cursor.error());
    }
    let top = top(cursor)?;
    let table = target(cursor)?;
    hints(cursor)?;
    cursor.expect_word("set")?;
    let mut assignments = Vec::new();
    loop {
        assignments.push(assignment(cursor)?);
        if !cursor.token(&Token::Comma) {
            break;
        }
    }
    let output = output(cursor, &["from", "where", "option"])?;
    let from = from(cursor)?;
    let selection = selection(cursor)?;
    options(cursor)?;
    Ok(Kind::Update(Box::new(Update { with, top, table, assignments, output, from, selection })))
}

fn assignment(cursor: &mut Cursor) -> Result<Assignment> {
    let variable = cursor.variable().ok();
    let mut operator = None;
    let mut column = None;
    if variable.is_some() {
        operator = assignment_operator(cursor)?;
        let chained = matches!((cursor.peek(), cursor.peek_at(1)), (Some(Token::Word(word)), Some(Token::Eq)) if !word.value.starts_with('@'));
        if chained {
            column = cursor.object()?.pop();
            cursor.expect(&Token::Eq)?;
        }
    } else {
        column = cursor.object()?.pop();
        operator = assignment_operator(cursor).map(|found| found.or(operator))?;
    }
    let stop = cursor.find(cursor.at, |probe| {
        probe.peek() == Some(&Token::Comma)
            || ["output", "from", "where"].iter().any(|word| probe.is_word(word))
            || is_option(probe)
            || starts(probe)
    });
    let value = if cursor.is_word("default") && stop == cursor.at + 1 {
        cursor.at += 1;
        None
    } else {
        Some(cursor.expr(stop)?)
    };
    Ok(Assignment { variable, column, operator, value })
}

/// DELETE.
pub fn delete(cursor: &mut Cursor, with: Option<With>) -> Result<Kind> {
    cursor.at += 1;
    let top = top(cursor)?;
    cursor.word("from");
    let table = target(cursor)?;
    hints(cursor)?;
    let output = output(cursor, &["from", "where", "option"])?;
    let from = from(cursor)?;
    let selection = selection(cursor)?;
    options(cursor)?;
    Ok(Kind::Delete(Box::new(Delete { with, top, table, output, from, selection })))
}

/// MERGE, which must end with a semicolon.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method is not general enough over the parser's lifetime"
)]
pub fn merge(cursor: &mut Cursor) -> Result<Kind> {
    let end = cursor.find(cursor.at, |probe| probe.peek() == Some(&Token::SemiColon));
    if Cursor::peek(&Cursor { at: end, ..cursor.clone() }) != Some(&Token::SemiColon) {
        return Err(crate::value::SqlError::new(10713, "A MERGE statement must be terminated by a semi-colon (;).")
            .severity(15));
    }
    match cursor.parse(end, |parser| parser.parse_statement())? {
        sqlparser::ast::Statement::Merge(merge) => Ok(Kind::Merge(Box::new(merge))),
        _ => Err(syntax("MERGE")),
    }
}
