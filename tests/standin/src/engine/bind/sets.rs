//! CTEs, set operations and row constructors.

use sqlparser::ast::{Cte, Expr, Query, SetExpr, SetOperator, SetQuantifier, Values, With};

use super::super::catalog::same;
use super::super::error::{Result, keyword, syntax};
use super::expression::common_of;
use super::query::{BoundCte, BoundQuery, OutputColumn, direction, set_mismatch};
use super::relation::reject_keyword;
use super::{Binder, Bound};
use crate::value::SqlError;

impl Binder<'_> {
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

    /// SELECT, VALUES, or sets of them.
    pub fn set_expression(&mut self, body: &SetExpr) -> Result<BoundQuery> {
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
                self.combine(left, word, &right)
            }
            other => Err(syntax(other.to_string().split(' ').next().unwrap_or_default())),
        }
    }

    fn combine(&mut self, left: BoundQuery, word: &str, right: &BoundQuery) -> Result<BoundQuery> {
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

    /// ORDER BY over a set.
    pub fn order_set(
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
}
