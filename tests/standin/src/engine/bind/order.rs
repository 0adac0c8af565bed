//! ORDER BY, TOP, and the pages in which a plain scan is read.

use sqlparser::ast::{Expr, Top, TopQuantity};

use super::super::catalog::same;
use super::super::error::{Result, keyword};
use super::super::values::convert::Target;
use super::super::values::types;
use super::query::{Pages, direction};
use super::{Binder, Bound};
use crate::value::{SqlError, SqlType};

impl Binder<'_> {
    /// The terms of ORDER BY, and whether each descends.
    pub fn order_terms(
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

    /// TOP.
    pub fn top(&mut self, top: Option<&Top>, terms: &[(String, bool)]) -> Result<TopClause> {
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
    pub fn pages(
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
pub struct TopClause {
    /// Plain.
    pub limit: Option<String>,
    /// WITH TIES.
    pub ties: Option<String>,
    /// PERCENT.
    pub percent: Option<String>,
}

/// Adds ORDER BY and what limits the rows.
pub fn finish(sql: &str, terms: &[(String, bool)], limit: &str, top: TopClause, width: usize) -> String {
    let order: Vec<String> =
        terms.iter().map(|(term, descending)| format!("{term}{}", if *descending { " DESC" } else { "" })).collect();
    let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
    let list: Vec<String> = (0..width).map(|at| format!("k{at}")).collect();
    if let Some(ties) = top.ties {
        let head = sql.replacen("SELECT ", &format!("SELECT rank() OVER ({}) AS place, ", order.trim_start()), 1);
        return format!("SELECT {} FROM ({head}) WHERE place <= {ties} ORDER BY place", list.join(", "));
    }
    if let Some(percent) = top.percent {
        // The share rounded up: SQLite has no ceil here.
        let share = format!("SELECT count(*) * {percent} / 100.0 AS share FROM ({sql})");
        let rounded = "CAST(share AS INTEGER) + (share > CAST(share AS INTEGER))";
        return format!("{sql}{order} LIMIT (SELECT {rounded} FROM ({share}))");
    }
    match top.limit {
        Some(count) => format!("{sql}{order} LIMIT {count}"),
        None => format!("{sql}{order}{limit}"),
    }
}
