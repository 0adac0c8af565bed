//! Queries: SELECT, set operations, CTEs, ORDER BY, TOP and OFFSET.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, LimitClause, OrderByKind, OrderBySort, Query, Select, SelectInto, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr,
};

use super::super::error::{Result, keyword, syntax};
use super::super::values::types;
use super::foreign::{check_select, check_wildcard};
use super::order::finish;
use super::relation::{names, ordered_legally, reject_keyword};
use super::scope::Scope;
use super::{Binder, Bound, Strength};
use crate::value::{Column, SqlError, SqlType};

/// A column that a query gives.
#[derive(Debug, Clone)]
pub struct OutputColumn {
    /// Name; empty for none.
    pub name: String,
    /// Type.
    pub ty: SqlType,
    /// Whether NULL may come.
    pub nullable: bool,
    /// Collation.
    pub collation: (&'static str, Strength),
    /// Whether it is an identity column.
    pub identity: bool,
}

/// A bound query: its columns are named `k0`, `k1`, ….
#[derive(Debug, Clone)]
pub struct BoundQuery {
    /// SQLite SQL.
    pub sql: String,
    /// Columns.
    pub columns: Vec<OutputColumn>,
    /// Whether the order is asked for.
    pub ordered: bool,
    /// How it can be read in pages.
    pub pages: Option<Pages>,
    /// Variables assigned, when it is `SELECT @v = …`.
    pub assigned: Vec<String>,
    /// Target of INTO.
    pub into: Option<Vec<String>>,
}

/// A single-table query that can be read page by page.
#[derive(Debug, Clone)]
pub struct Pages {
    /// SELECT list.
    pub list: String,
    /// FROM.
    pub from: String,
    /// WHERE's condition.
    pub condition: Option<String>,
    /// Columns of the key that orders the pages, in SQL.
    pub key: Vec<String>,
    /// TOP.
    pub limit: Option<String>,
}

/// Items of a select list with their names.
type Items = Vec<(String, Bound)>;

/// A CTE in sight.
#[derive(Debug, Clone)]
pub struct BoundCte {
    /// Name.
    pub name: String,
    /// Columns.
    pub columns: Vec<OutputColumn>,
    /// What to write in FROM.
    pub relation: String,
}

impl OutputColumn {
    /// As the client sees it.
    pub fn described(&self) -> Column {
        Column {
            name: self.name.clone(),
            sql_type: self.ty,
            nullable: self.nullable,
            identity: self.identity,
            collation: types::is_text(self.ty).then_some(self.collation.0),
        }
    }

    fn of(name: String, bound: &Bound) -> Self {
        Self {
            name,
            ty: bound.ty,
            nullable: bound.nullable || bound.null,
            collation: bound.collation,
            identity: bound.column.as_ref().is_some_and(|(_, identity)| *identity),
        }
    }
}

impl Binder<'_> {
    /// A query at the top of a statement.
    pub fn query(&mut self, query: &Query) -> Result<BoundQuery> {
        self.query_in(query, true)
    }

    /// A query inside another.
    pub fn subquery(&mut self, query: &Query) -> Result<BoundQuery> {
        if query.order_by.is_some() && !ordered_legally(query) {
            return Err(SqlError::new(1033, "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, and common table expressions, unless TOP, OFFSET or FOR XML is also specified.").severity(15));
        }
        let bound = self.query_in(query, false)?;
        if !bound.assigned.is_empty() {
            return Err(syntax("="));
        }
        if bound.into.is_some() {
            return Err(keyword("INTO"));
        }
        Ok(bound)
    }

    /// A subquery with one column.
    pub fn single_column(&mut self, query: &Query) -> Result<BoundQuery> {
        let bound = self.subquery(query)?;
        if bound.columns.len() != 1 {
            return Err(SqlError::new(
                116,
                "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.",
            ));
        }
        Ok(bound)
    }

    /// A subquery that is a value; 512 when it gives more than one row.
    pub fn scalar_subquery(&mut self, query: &Query) -> Result<Bound> {
        let inner = self.single_column(query)?;
        let column = &inner.columns[0];
        let sql = format!("(SELECT one_row(k0) FROM (SELECT k0 FROM ({}) LIMIT 2))", inner.sql);
        let mut bound = Bound::new(sql, column.ty);
        bound.collation = column.collation;
        Ok(bound)
    }

    fn query_in(&mut self, query: &Query, top_level: bool) -> Result<BoundQuery> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if !locks.is_empty() || for_clause.is_some() {
            return Err(keyword("FOR"));
        }
        if settings.is_some() || format_clause.is_some() || !pipe_operators.is_empty() {
            return Err(syntax("SETTINGS"));
        }
        let ctes = self.ctes.len();
        if let Some(with) = with {
            self.with(with)?;
        }
        let order = match order_by {
            None => Vec::new(),
            Some(order) => match &order.kind {
                OrderByKind::Expressions(list) if order.interpolate.is_none() => list.iter().collect(),
                _ => return Err(keyword("ALL")),
            },
        };
        for item in &order {
            if item.with_fill.is_some() || item.options.nulls_first.is_some() {
                return Err(syntax("NULLS"));
            }
        }
        let limit = self.limit(limit_clause.as_ref(), fetch.as_ref(), !order.is_empty())?;
        let bound = match body.as_ref() {
            SetExpr::Select(select) => self.select(select, &order, &limit, top_level),
            other => self.set_expression(other).and_then(|bound| self.order_set(bound, &order, &limit)),
        };
        self.ctes.truncate(ctes);
        bound
    }

    /// OFFSET … FETCH as SQLite's LIMIT.
    fn limit(
        &mut self,
        clause: Option<&LimitClause>,
        fetch: Option<&sqlparser::ast::Fetch>,
        ordered: bool,
    ) -> Result<String> {
        let mut offset_sql = None;
        match clause {
            None => {}
            Some(LimitClause::LimitOffset { limit: None, offset: Some(offset), limit_by }) if limit_by.is_empty() => {
                if !ordered || matches!(offset.rows, sqlparser::ast::OffsetRows::None) {
                    return Err(syntax("OFFSET"));
                }
                let bound = self.expression(&offset.value)?;
                offset_sql = Some(self.coerce(bound, SqlType::BigInt)?.sql);
            }
            Some(_) => return Err(syntax("LIMIT")),
        }
        let Some(fetch) = fetch else {
            return Ok(offset_sql.map_or_else(String::new, |offset| format!(" LIMIT -1 OFFSET {offset}")));
        };
        let (Some(offset), Some(quantity), false, false) =
            (&offset_sql, &fetch.quantity, fetch.with_ties, fetch.percent)
        else {
            return Err(SqlError::new(153, "Invalid usage of the option NEXT in the FETCH statement.").severity(15));
        };
        let bound = self.expression(quantity)?;
        Ok(format!(" LIMIT {} OFFSET {offset}", self.coerce(bound, SqlType::BigInt)?.sql))
    }

    /// SELECT.
    pub fn select(
        &mut self,
        select: &Select,
        order: &[&sqlparser::ast::OrderByExpr],
        limit: &str,
        top_level: bool,
    ) -> Result<BoundQuery> {
        check_select(select)?;
        self.scopes.push(Scope::default());
        let bound = self.select_inner(select, order, limit, top_level);
        self.scopes.pop();
        bound
    }

    fn select_inner(
        &mut self,
        select: &Select,
        order: &[&sqlparser::ast::OrderByExpr],
        limit: &str,
        top_level: bool,
    ) -> Result<BoundQuery> {
        let distinct = matches!(select.distinct, Some(Distinct::Distinct));
        let (existence, before) = (std::mem::take(&mut self.existence), self.needed.len());
        let from = self.from(&select.from)?;
        let condition = match &select.selection {
            Some(condition) => {
                self.scope().inside += 1;
                let condition = self.predicate(condition);
                self.scope().inside -= 1;
                Some(condition?)
            }
            None => None,
        };
        self.narrow(select, before, &from, existence);
        let groups = self.group_by(&select.group_by)?;
        let (mut items, assigned) = self.projection(&select.projection, top_level)?;
        let having = select.having.as_ref().map(|having| self.predicate(having)).transpose()?;
        let terms = self.order_terms(order, &items, distinct)?;
        let grouped = !groups.is_empty() || self.scope().aggregated || having.is_some();
        if grouped && let Some(column) = self.scope().bare.first().cloned() {
            return Err(SqlError::new(
                8120,
                format!(
                    "Column '{column}' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause."
                ),
            ));
        }
        let windows = items.iter().any(|(_, bound)| bound.sql.contains(" OVER ("));
        if distinct {
            for (_, bound) in &mut items {
                bound.sql = bound.collated();
            }
        }
        let list: Vec<String> =
            items.iter().enumerate().map(|(at, (_, bound))| format!("{} AS k{at}", bound.sql)).collect();
        let columns: Vec<OutputColumn> =
            items.iter().map(|(name, bound)| OutputColumn::of(name.clone(), bound)).collect();
        let from_sql = if from.is_empty() { String::new() } else { format!(" FROM {from}") };
        let head = format!("SELECT {}{}{from_sql}", if distinct { "DISTINCT " } else { "" }, list.join(", "));
        let mut sql = head.clone();
        if let Some(condition) = &condition {
            sql = format!("{sql} WHERE {condition}");
        }
        if !groups.is_empty() {
            sql = format!("{sql} GROUP BY {}", groups.join(", "));
        }
        if let Some(having) = having {
            sql = format!("{sql} HAVING {having}");
        }
        let top = self.top(select.top.as_ref(), &terms)?;
        let plain = !distinct && !grouped && !windows && assigned.is_empty() && top_level && limit.is_empty();
        let pages = if plain && top.ties.is_none() && top.percent.is_none() {
            self.pages((&list.join(", "), &from), condition, &terms, top.limit.clone())
        } else {
            None
        };
        sql = finish(&sql, &terms, limit, top, columns.len());
        let into = select.into.as_ref().map(into_target).transpose()?;
        Ok(BoundQuery { sql, columns, ordered: !terms.is_empty(), pages, assigned, into })
    }

    fn group_by(&mut self, group_by: &GroupByExpr) -> Result<Vec<String>> {
        let GroupByExpr::Expressions(list, modifiers) = group_by else { return Err(keyword("ALL")) };
        if !modifiers.is_empty() {
            return Err(keyword("WITH"));
        }
        let mut groups = Vec::new();
        for expr in list {
            self.scope().inside += 1;
            let bound = self.expression(expr);
            self.scope().inside -= 1;
            let bound = bound?;
            if bound.literal.is_some() {
                return Err(SqlError::new(
                    164,
                    "Each GROUP BY expression must contain at least one column that is not an outer reference.",
                )
                .severity(15));
            }
            groups.push(bound.collated());
            let scope = self.scope();
            scope.groups.push(expr.to_string().to_lowercase());
            scope.group_columns.push(bound.sql);
        }
        Ok(groups)
    }

    fn projection(&mut self, projection: &[SelectItem], top_level: bool) -> Result<(Items, Vec<String>)> {
        let (mut items, mut assigned) = (Vec::new(), Vec::new());
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let bound = self.expression(expr)?;
                    let name = bound
                        .column
                        .as_ref()
                        .filter(|_| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)))
                        .map(|(name, _)| name.clone());
                    items.push((name.unwrap_or_default(), bound));
                }
                SelectItem::ExprWithAlias { expr, alias }
                    if alias.quote_style.is_none() && alias.value.starts_with('@') && top_level =>
                {
                    let bound = self.expression(expr)?;
                    let variable = self
                        .variables
                        .get(&alias.value.to_lowercase())
                        .ok_or_else(|| super::super::error::undeclared(&alias.value))?;
                    let ty = variable.ty;
                    let bound = self.coerce(bound, ty)?;
                    assigned.push(alias.value.clone());
                    items.push((String::new(), bound));
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    if alias.quote_style != Some('\'') {
                        reject_keyword(alias)?;
                    }
                    let bound = self.expression(expr)?;
                    items.push((alias.value.clone(), bound));
                }
                SelectItem::ExprWithAliases { aliases, .. } => {
                    return Err(syntax(aliases.first().map_or("(", |alias| alias.value.as_str())));
                }
                SelectItem::Wildcard(options) => {
                    check_wildcard(options)?;
                    items.extend(named(self.wildcard(&[])?));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    check_wildcard(options)?;
                    items.extend(named(self.wildcard(&names(name)?)?));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expr), _) => {
                    return Err(syntax(expr.to_string()));
                }
            }
        }
        if !assigned.is_empty() && assigned.len() != items.len() {
            return Err(SqlError::new(141, "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations.").severity(15));
        }
        Ok((items, assigned))
    }

    /// Items of a select list outside a query: OUTPUT's.
    pub fn items(&mut self, projection: &[SelectItem]) -> Result<(Vec<String>, Vec<OutputColumn>)> {
        let (items, _) = self.projection(projection, false)?;
        Ok((
            items.iter().map(|(_, bound)| bound.sql.clone()).collect(),
            items.iter().map(|(name, bound)| OutputColumn::of(name.clone(), bound)).collect(),
        ))
    }
}

fn named(bounds: Vec<Bound>) -> impl Iterator<Item = (String, Bound)> {
    bounds.into_iter().map(|bound| (bound.column.as_ref().map(|(name, _)| name.clone()).unwrap_or_default(), bound))
}

/// DESC, if an item says so.
pub fn direction(item: &sqlparser::ast::OrderByExpr) -> &'static str {
    match item.options.sort {
        Some(OrderBySort::Desc) => " DESC",
        _ => "",
    }
}

/// 205.
pub fn set_mismatch() -> SqlError {
    SqlError::new(
        205,
        "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists.",
    )
}

fn into_target(into: &SelectInto) -> Result<Vec<String>> {
    let SelectInto { temporary: false, unlogged: false, table: false, targets } = into else {
        return Err(keyword("INTO"));
    };
    match targets.as_slice() {
        [Expr::Identifier(ident)] => Ok(vec![ident.value.clone()]),
        [Expr::CompoundIdentifier(idents)] => Ok(idents.iter().map(|ident| ident.value.clone()).collect()),
        _ => Err(keyword("INTO")),
    }
}
