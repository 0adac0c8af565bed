//! Bounds on a change table's LSN, read off WHERE, so that only its window is copied.

use sqlparser::ast::{BinaryOperator, Expr};

use super::super::catalog::same;
use super::super::values::types;
use super::{Binder, NeededSource};

impl Binder<'_> {
    /// Narrows the change tables in FROM by the conjuncts `lsn >= x`, `lsn > x`, `lsn <= x`, `lsn < x`, `lsn = x` and
    /// BETWEEN, where x is constant. Bounds only leave out rows that WHERE would leave out.
    pub fn push_bounds(&mut self, selection: Option<&Expr>) {
        let wanted = |needed: &super::Needed| matches!(needed.source, NeededSource::Cdc { .. });
        if self.needed.iter().filter(|needed| wanted(needed)).count() != 1 || self.scopes.len() != 1 {
            return;
        }
        let Some(selection) = selection else { return };
        let mut found = (None, None);
        self.collect_bounds(selection, &mut found);
        if let Some(needed) = self.needed.iter_mut().find(|needed| wanted(needed))
            && let NeededSource::Cdc { bounds, .. } = &mut needed.source
        {
            *bounds = found;
        }
    }

    fn collect_bounds(&mut self, expr: &Expr, found: &mut (Option<String>, Option<String>)) {
        match expr {
            Expr::Nested(inner) => self.collect_bounds(inner, found),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.collect_bounds(left, found);
                self.collect_bounds(right, found);
            }
            Expr::Between { expr, negated: false, low, high } if is_lsn(expr) => {
                found.0 = self.constant_lsn(low).or(found.0.take());
                found.1 = self.constant_lsn(high).or(found.1.take());
            }
            Expr::BinaryOp { left, op, right } => {
                let (op, value) = if is_lsn(left) {
                    (op.clone(), right)
                } else if is_lsn(right) {
                    (turned(op), left)
                } else {
                    return;
                };
                if matches!(op, BinaryOperator::Eq | BinaryOperator::Gt | BinaryOperator::GtEq) {
                    found.0 = self.constant_lsn(value).or(found.0.take());
                }
                if matches!(op, BinaryOperator::Eq | BinaryOperator::Lt | BinaryOperator::LtEq) {
                    found.1 = self.constant_lsn(value).or(found.1.take());
                }
            }
            _ => {}
        }
    }

    /// The SQL of a binary value in which no column stands.
    fn constant_lsn(&mut self, expr: &Expr) -> Option<String> {
        let scopes = std::mem::take(&mut self.scopes);
        let bound = self.expression(expr);
        self.scopes = scopes;
        bound.ok().filter(|bound| types::is_binary(bound.ty) && !bound.null).map(|bound| bound.sql)
    }
}

fn is_lsn(expr: &Expr) -> bool {
    let name = match expr {
        Expr::Identifier(ident) => &ident.value,
        Expr::CompoundIdentifier(idents) => match idents.last() {
            Some(ident) => &ident.value,
            None => return false,
        },
        _ => return false,
    };
    same(name, "__$start_lsn") || same(name, "start_lsn")
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
