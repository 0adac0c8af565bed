//! What a statement can see of a table of schema `cdc`, read off its WHERE: only that is copied. SQL Server seeks it in
//! the clustered index, so a narrow question about a long table costs as little here.

use sqlparser::ast::{BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};
use sqlparser::ast::{GroupByExpr, Query, Select, SelectItem, SetExpr};

use super::super::catalog::same;
use super::super::values::types;
use super::{Binder, Needed, NeededSource};

/// The rows within bounds of the LSN.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Lower bound.
    pub low: Option<Edge>,
    /// Upper bound.
    pub high: Option<Edge>,
    /// Whether the first of them is enough.
    pub first: bool,
}

/// A bound of the LSN.
#[derive(Debug, Clone)]
pub struct Edge {
    /// A constant expression, as SQL.
    pub sql: String,
    /// Whether the LSN itself is beyond it.
    pub open: bool,
}

impl Binder<'_> {
    /// Narrows the table of schema `cdc` that a SELECT reads alone, by the conjuncts `lsn >= x`, `lsn > x`, `lsn <= x`,
    /// `lsn < x`, `lsn = x` and BETWEEN, where x is constant. That leaves out rows only that WHERE would leave out, or
    /// that are behind the first where no more is asked than whether there are rows, or their least LSN. `before` is how
    /// many relations were needed before FROM.
    pub fn narrow(&mut self, select: &Select, before: usize, from: &str, existence: bool) {
        let sources = self.scopes.last().map_or(&[][..], |scope| &scope.sources);
        let alone = |needed: &Needed| {
            let whole = |alias: &str| from == format!("{} AS \"{alias}\"", needed.table);
            matches!(needed.source, NeededSource::Cdc { .. }) && matches!(sources, [one] if whole(&one.alias))
        };
        if !self.needed.get(before).is_some_and(alone) {
            return;
        }
        let mut found = Seen::default();
        let all = select.selection.as_ref().is_none_or(|selection| self.collect(selection, &mut found));
        found.first = all && (existence || self.asks_least_lsn(select)) && !grouped(select);
        if let NeededSource::Cdc { seen, .. } = &mut self.needed[before].source {
            *seen = found;
        }
    }

    /// Collects bounds; whether they say all that the expression says.
    fn collect(&mut self, expr: &Expr, found: &mut Seen) -> bool {
        match expr {
            Expr::Nested(inner) => self.collect(inner, found),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.collect(left, found) & self.collect(right, found)
            }
            Expr::Between { expr, negated: false, low, high } if self.is_lsn(expr) => {
                self.edge(low, false, &mut found.low) & self.edge(high, false, &mut found.high)
            }
            Expr::BinaryOp { left, op, right } if self.is_lsn(left) => self.compared(op, right, found),
            Expr::BinaryOp { left, op, right } if self.is_lsn(right) => self.compared(&turned(op), left, found),
            _ => false,
        }
    }

    fn compared(&mut self, op: &BinaryOperator, value: &Expr, found: &mut Seen) -> bool {
        match op {
            BinaryOperator::Eq => self.edge(value, false, &mut found.low) & self.edge(value, false, &mut found.high),
            BinaryOperator::Gt | BinaryOperator::GtEq => self.edge(value, *op == BinaryOperator::Gt, &mut found.low),
            BinaryOperator::Lt | BinaryOperator::LtEq => self.edge(value, *op == BinaryOperator::Lt, &mut found.high),
            _ => false,
        }
    }

    /// Takes a binary value for an edge, if there is none yet, and neither column nor relation stands in it.
    fn edge(&mut self, expr: &Expr, open: bool, place: &mut Option<Edge>) -> bool {
        let (scopes, needed) = (std::mem::take(&mut self.scopes), self.needed.len());
        let bound = self.expression(expr);
        self.scopes = scopes;
        if self.needed.len() > needed {
            self.needed.truncate(needed);
            return false;
        }
        let Some(bound) = bound.ok().filter(|bound| types::is_binary(bound.ty) && !bound.null) else { return false };
        let free = place.is_none();
        place.get_or_insert(Edge { sql: bound.sql, open });
        free
    }

    /// Whether an expression is the LSN of the relation that stands alone in FROM.
    fn is_lsn(&self, expr: &Expr) -> bool {
        let (name, qualifier) = match expr {
            Expr::Identifier(ident) => (&ident.value, None),
            Expr::CompoundIdentifier(idents) => match idents.as_slice() {
                [.., qualifier, name] => (&name.value, Some(&qualifier.value)),
                _ => return false,
            },
            _ => return false,
        };
        let Some(source) = self.scopes.last().and_then(|scope| scope.sources.first()) else { return false };
        (same(name, "__$start_lsn") || same(name, "start_lsn"))
            && source.columns.iter().any(|column| same(&column.name, name))
            && qualifier.is_none_or(|qualifier| same(&source.name, qualifier))
    }

    /// Whether a SELECT asks for `MIN(lsn)` alone.
    fn asks_least_lsn(&self, select: &Select) -> bool {
        let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] = &*select.projection else {
            return false;
        };
        let Expr::Function(Function { name, args: FunctionArguments::List(list), over: None, .. }) = item else {
            return false;
        };
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = &*list.args else { return false };
        same(&name.to_string(), "min") && self.is_lsn(argument)
    }
}

/// Whether a subquery of EXISTS has rows if its WHERE leaves any.
pub fn asks_existence(query: &Query) -> bool {
    let select = |body: &SetExpr| matches!(body, SetExpr::Select(select) if select.top.is_none());
    select(&query.body) && query.with.is_none() && query.limit_clause.is_none() && query.order_by.is_none()
}

fn grouped(select: &Select) -> bool {
    select.having.is_some() || !matches!(&select.group_by, GroupByExpr::Expressions(terms, _) if terms.is_empty())
}

fn turned(op: &BinaryOperator) -> BinaryOperator {
    match op {
        BinaryOperator::Gt => BinaryOperator::Lt,
        BinaryOperator::GtEq => BinaryOperator::LtEq,
        BinaryOperator::Lt => BinaryOperator::Gt,
        BinaryOperator::LtEq => BinaryOperator::GtEq,
        other => other.clone(),
    }
}
