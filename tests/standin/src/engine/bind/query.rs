//! Queries: SELECT, set operations, CTEs, ORDER BY, TOP and OFFSET.

use sqlparser::ast::{
    Cte, Distinct, Expr, GroupByExpr, LimitClause, OrderByKind, OrderBySort, Query, Select, SelectFlavor, SelectInto,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, Top, TopQuantity, Values,
    WildcardAdditionalOptions, With,
};

use super::super::catalog::same;
use super::super::error::{Result, keyword, syntax};
use super::super::values::convert::Target;
use super::super::values::types;
use super::expression::common_of;
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

    /// Adds CTEs to those in sight.
    pub fn with(&mut self, with: &With) -> Result<()> {
        if with.recursive {
            return Err(syntax("RECURSIVE"));
        }
        for cte in &with.cte_tables {
            let Cte { alias, query, from: None, materialized: None, closing_paren_token: _ } = cte else {
                return Err(syntax("MATERIALIZED"));
            };
            reject_keyword(&alias.name)?;
            let names: Vec<String> = alias.columns.iter().map(|column| column.name.value.clone()).collect();
            let hidden = std::mem::take(&mut self.scopes);
            let bound = self.cte(&alias.name.value, &names, query);
            self.scopes = hidden;
            let bound = bound?;
            self.ctes.push(bound);
        }
        Ok(())
    }

    fn cte(&mut self, name: &str, names: &[String], query: &Query) -> Result<BoundCte> {
        let rename = |columns: Vec<OutputColumn>| -> Result<Vec<OutputColumn>> {
            if !names.is_empty() && names.len() != columns.len() {
                return Err(SqlError::new(
                    8158,
                    format!("'{name}' has more columns than were specified in the column list."),
                ));
            }
            Ok(columns
                .into_iter()
                .enumerate()
                .map(|(at, column)| OutputColumn {
                    name: names.get(at).cloned().unwrap_or(column.name.clone()),
                    identity: false,
                    ..column
                })
                .collect())
        };
        if let SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier: SetQuantifier::All, right } =
            query.body.as_ref()
            && right.to_string().to_lowercase().contains(&name.to_lowercase())
        {
            let anchor = self.set_expression(left)?;
            let columns = rename(anchor.columns)?;
            let own = format!("r{}", self.alias());
            self.ctes.push(BoundCte { name: name.to_owned(), columns: columns.clone(), relation: own.clone() });
            let step = self.set_expression(right);
            self.ctes.pop();
            let step = step?;
            if step.columns.len() != columns.len() {
                return Err(set_mismatch());
            }
            let list: Vec<String> = (0..columns.len()).map(|at| format!("k{at}")).collect();
            let list = list.join(", ");
            let relation = format!(
                "(WITH RECURSIVE {own}({list}) AS (SELECT * FROM ({}) UNION ALL {}) SELECT {list} FROM {own})",
                anchor.sql, step.sql
            );
            return Ok(BoundCte { name: name.to_owned(), columns, relation });
        }
        let bound = self.subquery(query)?;
        Ok(BoundCte { name: name.to_owned(), columns: rename(bound.columns)?, relation: format!("({})", bound.sql) })
    }

    fn set_expression(&mut self, body: &SetExpr) -> Result<BoundQuery> {
        match body {
            SetExpr::Select(select) => self.select(select, &[], "", false),
            SetExpr::Query(query) => self.subquery(query),
            SetExpr::Values(values) => self.values(values),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let word = match (op, set_quantifier) {
                    (SetOperator::Union, SetQuantifier::All) => "UNION ALL",
                    (SetOperator::Union, SetQuantifier::None) => "UNION",
                    (SetOperator::Except, SetQuantifier::None) => "EXCEPT",
                    (SetOperator::Intersect, SetQuantifier::None) => "INTERSECT",
                    (SetOperator::Minus, _) => return Err(syntax("MINUS")),
                    (_, quantifier) => return Err(keyword(quantifier.to_string())),
                };
                let (left, right) = (self.set_expression(left)?, self.set_expression(right)?);
                self.combine(left, word, right)
            }
            other => Err(syntax(other.to_string().split(' ').next().unwrap_or_default())),
        }
    }

    fn combine(&mut self, left: BoundQuery, word: &str, right: BoundQuery) -> Result<BoundQuery> {
        if left.columns.len() != right.columns.len() {
            return Err(set_mismatch());
        }
        let (mut columns, mut lists) = (Vec::new(), (Vec::new(), Vec::new()));
        for (at, (a, b)) in left.columns.iter().zip(&right.columns).enumerate() {
            let side = |column: &OutputColumn| Bound {
                collation: column.collation,
                nullable: column.nullable,
                ..Bound::new(format!("k{at}"), column.ty)
            };
            let (x, y) = self.unify(side(a), side(b))?;
            lists.0.push(format!("{} AS k{at}", x.collated()));
            lists.1.push(format!("{} AS k{at}", y.collated()));
            columns.push(OutputColumn {
                name: a.name.clone(),
                ty: x.ty,
                nullable: a.nullable || b.nullable,
                collation: x.collation,
                identity: false,
            });
        }
        let sql = format!(
            "SELECT {} FROM ({}) {word} SELECT {} FROM ({})",
            lists.0.join(", "),
            left.sql,
            lists.1.join(", "),
            right.sql
        );
        // Parenthesised, so that sets nest as they were written.
        let list: Vec<String> = (0..columns.len()).map(|at| format!("k{at}")).collect();
        let sql = format!("SELECT {} FROM ({sql})", list.join(", "));
        Ok(BoundQuery { sql, columns, ordered: false, pages: None, assigned: Vec::new(), into: left.into })
    }

    fn order_set(
        &mut self,
        bound: BoundQuery,
        order: &[&sqlparser::ast::OrderByExpr],
        limit: &str,
    ) -> Result<BoundQuery> {
        if order.is_empty() {
            return Ok(bound);
        }
        let mut terms = Vec::new();
        for item in order {
            let at = match &item.expr {
                Expr::Identifier(ident) => bound.columns.iter().position(|column| same(&column.name, &ident.value)),
                other => self
                    .constant_integer(other)
                    .ok()
                    .and_then(|at| usize::try_from(at - 1).ok())
                    .filter(|at| *at < bound.columns.len()),
            };
            let Some(at) = at else {
                return Err(SqlError::new(104, "ORDER BY items must appear in the select list if the statement contains a UNION, INTERSECT or EXCEPT operator.").severity(16));
            };
            let column = &bound.columns[at];
            let key = Bound { collation: column.collation, ..Bound::new(format!("k{at}"), column.ty) };
            terms.push(format!("{}{}", key.collated(), direction(item)));
        }
        let sql = format!("SELECT * FROM ({}) ORDER BY {}{limit}", bound.sql, terms.join(", "));
        Ok(BoundQuery { sql, ordered: true, ..bound })
    }

    fn values(&mut self, values: &Values) -> Result<BoundQuery> {
        let Values { explicit_row: false, value_keyword: false, rows } = values else { return Err(syntax("ROW")) };
        let mut bound_rows = Vec::new();
        for row in rows {
            bound_rows.push(row.content.iter().map(|expr| self.expression(expr)).collect::<Result<Vec<_>>>()?);
        }
        let width = bound_rows.first().map_or(0, Vec::len);
        if bound_rows.iter().any(|row| row.len() != width) {
            return Err(SqlError::new(
                10709,
                "The number of columns for each row in a table value constructor must be the same.",
            ));
        }
        let mut columns = Vec::new();
        for at in 0..width {
            let list: Vec<Bound> = bound_rows.iter().map(|row| row[at].clone()).collect();
            let (ty, collation) = common_of(&list)?;
            let nullable = list.iter().any(|bound| bound.nullable || bound.null);
            columns.push(OutputColumn { name: String::new(), ty, nullable, collation, identity: false });
        }
        let mut selects = Vec::new();
        for row in bound_rows {
            let mut list = Vec::new();
            for (at, bound) in row.into_iter().enumerate() {
                list.push(self.coerce(bound, columns[at].ty)?.sql);
            }
            selects.push(format!("({})", list.join(", ")));
        }
        let names: Vec<String> = (0..width).map(|at| format!("column{} AS k{at}", at + 1)).collect();
        let sql = format!("SELECT {} FROM (VALUES {})", names.join(", "), selects.join(", "));
        Ok(BoundQuery { sql, columns, ordered: false, pages: None, assigned: Vec::new(), into: None })
    }

    fn select(
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
        self.push_bounds(select.selection.as_ref());
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
            sql.push_str(&format!(" WHERE {condition}"));
        }
        if !groups.is_empty() {
            sql.push_str(&format!(" GROUP BY {}", groups.join(", ")));
        }
        if let Some(having) = having {
            sql.push_str(&format!(" HAVING {having}"));
        }
        let top = self.top(select.top.as_ref(), &terms)?;
        let plain = !distinct && !grouped && !windows && assigned.is_empty() && top_level && limit.is_empty();
        let pages = if plain && top.ties.is_none() {
            self.pages((&list.join(", "), &from), condition, &terms, top.limit.clone())
        } else {
            None
        };
        sql = finish(sql, &terms, limit, top, columns.len());
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

    fn projection(
        &mut self,
        projection: &[SelectItem],
        top_level: bool,
    ) -> Result<(Vec<(String, Bound)>, Vec<String>)> {
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

    fn order_terms(
        &mut self,
        order: &[&sqlparser::ast::OrderByExpr],
        items: &[(String, Bound)],
        distinct: bool,
    ) -> Result<Vec<(String, bool)>> {
        let mut terms = Vec::new();
        for item in order {
            let by_name = match &item.expr {
                Expr::Identifier(ident) => items.iter().position(|(name, _)| same(name, &ident.value)),
                _ => None,
            };
            let descending = direction(item) == " DESC";
            let bound = if let Some(at) = by_name {
                items[at].1.clone()
            } else {
                let bound = self.expression(&item.expr)?;
                match bound.literal {
                    None => bound,
                    Some(at) => usize::try_from(at - 1).ok().and_then(|at| items.get(at)).map(|(_, bound)| bound.clone()).ok_or_else(|| {
                        SqlError::new(108, format!("The ORDER BY position number {at} is out of range of the number of items in the select list."))
                    })?,
                }
            };
            if distinct && !items.iter().any(|(_, item)| item.sql == bound.sql) {
                return Err(SqlError::new(
                    145,
                    "ORDER BY items must appear in the select list if SELECT DISTINCT is specified.",
                )
                .severity(15));
            }
            if bound.null {
                return Err(SqlError::new(
                    408,
                    "A constant expression was encountered in the ORDER BY list, position 1.",
                ));
            }
            terms.push((bound.collated(), descending));
        }
        Ok(terms)
    }

    fn top(&mut self, top: Option<&Top>, terms: &[(String, bool)]) -> Result<TopClause> {
        let Some(Top { with_ties, percent, quantity }) = top else { return Ok(TopClause::default()) };
        let quantity = match quantity {
            Some(TopQuantity::Constant(count)) => count.to_string(),
            Some(TopQuantity::Expr(expr)) => {
                let bound = self.expression(expr)?;
                let ty = if *percent { SqlType::Float } else { SqlType::BigInt };
                let bound = if types::is_number(bound.ty) {
                    self.convert(bound, Target::of(ty), false)
                } else {
                    self.coerce(bound, ty)?
                };
                bound.sql
            }
            None => return Err(keyword("TOP")),
        };
        if *with_ties && terms.is_empty() {
            return Err(SqlError::new(
                1062,
                "The TOP N WITH TIES clause is not allowed without a corresponding ORDER BY clause.",
            )
            .severity(15));
        }
        if *percent {
            return Ok(TopClause { limit: None, ties: None, percent: Some(quantity) });
        }
        Ok(if *with_ties {
            TopClause { limit: None, ties: Some(quantity), percent: None }
        } else {
            TopClause { limit: Some(quantity), ties: None, percent: None }
        })
    }

    /// How a plain single-table query can be read in pages: by a unique key that its order names, or by row.
    fn pages(
        &mut self,
        (list, from): (&str, &str),
        condition: Option<String>,
        terms: &[(String, bool)],
        limit: Option<String>,
    ) -> Option<Pages> {
        let [source] = self.scopes.last()?.sources.as_slice() else { return None };
        let table = source.table.as_ref().filter(|table| !table.is_temporary())?;
        if limit.is_some() && terms.is_empty() {
            return None;
        }
        let key = if terms.is_empty() {
            vec![format!("\"{}\".rid", source.alias)]
        } else {
            let unique = table.indexes.iter().find(|index| {
                index.unique
                    && index.columns.len() == terms.len()
                    && index.columns.iter().zip(terms).all(|((id, _), (term, descending))| {
                        let column = table.columns.iter().zip(&source.columns).find(|(column, _)| column.id == *id);
                        !descending
                            && column.is_some_and(|(column, seen)| {
                                !column.nullable && source.bound(seen).collated() == *term
                            })
                    })
            });
            unique?;
            terms.iter().map(|(term, _)| term.clone()).collect()
        };
        Some(Pages { list: list.to_owned(), from: from.to_owned(), condition, key, limit })
    }
}

/// TOP, in whichever of its forms.
#[derive(Default)]
struct TopClause {
    limit: Option<String>,
    ties: Option<String>,
    percent: Option<String>,
}

fn finish(sql: String, terms: &[(String, bool)], limit: &str, top: TopClause, width: usize) -> String {
    let order: Vec<String> =
        terms.iter().map(|(term, descending)| format!("{term}{}", if *descending { " DESC" } else { "" })).collect();
    let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
    let list: Vec<String> = (0..width).map(|at| format!("k{at}")).collect();
    if let Some(ties) = top.ties {
        let head = sql.replacen("SELECT ", &format!("SELECT rank() OVER ({}) AS place, ", order.trim_start()), 1);
        return format!("SELECT {} FROM ({head}) WHERE place <= {ties} ORDER BY place", list.join(", "));
    }
    if let Some(percent) = top.percent {
        return format!("{sql}{order} LIMIT (SELECT CAST(ceil(count(*) * {percent} / 100.0) AS INTEGER) FROM ({sql}))");
    }
    match top.limit {
        Some(count) => format!("{sql}{order} LIMIT {count}"),
        None => format!("{sql}{order}{limit}"),
    }
}

fn named(bounds: Vec<Bound>) -> impl Iterator<Item = (String, Bound)> {
    bounds.into_iter().map(|bound| (bound.column.as_ref().map(|(name, _)| name.clone()).unwrap_or_default(), bound))
}

fn direction(item: &sqlparser::ast::OrderByExpr) -> &'static str {
    match item.options.sort {
        Some(OrderBySort::Desc) => " DESC",
        _ => "",
    }
}

fn set_mismatch() -> SqlError {
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

fn check_wildcard(options: &WildcardAdditionalOptions) -> Result<()> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    if opt_ilike.is_some()
        || opt_exclude.is_some()
        || opt_except.is_some()
        || opt_replace.is_some()
        || opt_rename.is_some()
        || opt_alias.is_some()
    {
        return Err(syntax("*"));
    }
    Ok(())
}

/// Refuses every clause of other dialects.
fn check_select(select: &Select) -> Result<()> {
    let Select {
        select_token: _,
        optimizer_hints: _,
        distinct,
        select_modifiers,
        top: _,
        top_before_distinct,
        projection,
        exclude,
        into: _,
        from: _,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    let foreign = [
        (matches!(distinct, Some(Distinct::On(_))), "ON"),
        (select_modifiers.is_some(), "SQL_NO_CACHE"),
        (*top_before_distinct && distinct.is_some(), "DISTINCT"),
        (exclude.is_some(), "EXCLUDE"),
        (!lateral_views.is_empty(), "LATERAL"),
        (prewhere.is_some(), "PREWHERE"),
        (!connect_by.is_empty(), "CONNECT"),
        (!cluster_by.is_empty(), "CLUSTER"),
        (!distribute_by.is_empty(), "DISTRIBUTE"),
        (!sort_by.is_empty(), "SORT"),
        (!named_window.is_empty(), "WINDOW"),
        (qualify.is_some(), "QUALIFY"),
        (value_table_mode.is_some(), "AS"),
        (!matches!(flavor, SelectFlavor::Standard), "FROM"),
        (projection.is_empty(), "FROM"),
    ];
    match foreign.iter().find(|(present, _)| *present) {
        Some((_, word)) => Err(syntax(word)),
        None => Ok(()),
    }
}
