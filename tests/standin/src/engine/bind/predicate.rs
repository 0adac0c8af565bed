//! Conditions, which T-SQL keeps apart from values.

use sqlparser::ast::{BinaryOperator, Expr, Query, UnaryOperator};

use super::super::error::{Result, syntax};
use super::super::operation::Note;
use super::super::values::types;
use super::{Binder, Bound};
use crate::value::{SqlError, SqlType};

/// SQLite's spelling of a comparison.
fn comparison(op: &BinaryOperator) -> Option<&'static str> {
    Some(match op {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        _ => return None,
    })
}

impl Binder<'_> {
    /// A condition, as SQL that gives 1, 0 or NULL.
    pub fn predicate(&mut self, expr: &Expr) -> Result<String> {
        let negate = |negated: bool| if negated { "NOT " } else { "" };
        Ok(match expr {
            Expr::Nested(inner) => format!("({})", self.predicate(inner)?),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => format!("(NOT {})", self.predicate(expr)?),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                format!("({} AND {})", self.predicate(left)?, self.predicate(right)?)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                format!("({} OR {})", self.predicate(left)?, self.predicate(right)?)
            }
            Expr::BinaryOp { left, op, right } => {
                let Some(op) = comparison(op) else { return Err(not_boolean(expr)) };
                let (left, right) = (self.expression(left)?, self.expression(right)?);
                self.compare(left, op, right)?
            }
            Expr::IsNull(inner) => format!("({} IS NULL)", self.expression(inner)?.sql),
            Expr::IsNotNull(inner) => format!("({} IS NOT NULL)", self.expression(inner)?.sql),
            Expr::IsDistinctFrom(left, right) => {
                let (left, right) = (self.expression(left)?, self.expression(right)?);
                self.compare(left, "IS NOT", right)?
            }
            Expr::IsNotDistinctFrom(left, right) => {
                let (left, right) = (self.expression(left)?, self.expression(right)?);
                self.compare(left, "IS", right)?
            }
            Expr::Between { expr, negated, low, high } => {
                let value = self.expression(expr)?;
                let (low, high) = (self.expression(low)?, self.expression(high)?);
                let (low, high) = (self.compare(value.clone(), ">=", low)?, self.compare(value, "<=", high)?);
                format!("({}({low} AND {high}))", negate(*negated))
            }
            Expr::InList { expr, list, negated } => {
                let value = self.expression(expr)?;
                let mut tests = Vec::new();
                for item in list {
                    let item = self.expression(item)?;
                    tests.push(self.compare(value.clone(), "=", item)?);
                }
                if tests.is_empty() {
                    return Err(syntax(")"));
                }
                format!("({}({}))", negate(*negated), tests.join(" OR "))
            }
            Expr::InSubquery { expr, subquery, negated } => self.in_subquery(expr, subquery, *negated)?,
            Expr::Exists { subquery, negated } => {
                self.existence = super::bounds::asks_existence(subquery);
                let query = self.subquery(subquery);
                self.existence = false;
                let query = query?;
                format!("({}EXISTS ({}))", negate(*negated), query.sql)
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                let like = self.like(expr, pattern, escape_char.as_deref())?;
                format!("({}{like})", negate(*negated))
            }
            Expr::AnyOp { left, compare_op, right, is_some: _ } => self.quantified(left, compare_op, right, true)?,
            Expr::AllOp { left, compare_op, right } => self.quantified(left, compare_op, right, false)?,
            other => return Err(not_boolean(other)),
        })
    }

    /// A comparison of two values.
    pub fn compare(&mut self, left: Bound, op: &str, right: Bound) -> Result<String> {
        let (a, b) = (left.ty, right.ty);
        let large = |ty: SqlType| matches!(ty, SqlType::Text | SqlType::NText | SqlType::Image);
        if (large(a) || large(b)) && !left.null && !right.null {
            return Err(SqlError::new(
                402,
                format!(
                    "The data types {} and {} are incompatible in the {} operator.",
                    types::name(a),
                    types::name(b),
                    operator_name(op)
                ),
            ));
        }
        let opaque = |ty: SqlType| matches!(ty, SqlType::Xml | SqlType::Geography | SqlType::Geometry);
        for side in [&left, &right] {
            if opaque(side.ty) && !side.null {
                return Err(SqlError::new(
                    305,
                    format!(
                        "The {} data type cannot be compared or sorted, except when using the IS NULL operator.",
                        types::name(side.ty)
                    ),
                ));
            }
        }
        let (left, right) = self.unify(left, right)?;
        Ok(format!("({} {op} {})", left.collated(), right.sql))
    }

    fn in_subquery(&mut self, expr: &Expr, subquery: &Query, negated: bool) -> Result<String> {
        let value = self.expression(expr)?;
        let query = self.single_column(subquery)?;
        let column = Bound::new("k0", query.columns[0].ty);
        let column = Bound { collation: query.columns[0].collation, ..column };
        let (value, item) = self.unify(value, column)?;
        let inner = if item.sql == "k0" { query.sql } else { format!("SELECT {} FROM ({})", item.sql, query.sql) };
        Ok(format!("({} {}IN ({inner}))", value.collated(), if negated { "NOT " } else { "" }))
    }

    /// `value op ANY/ALL (subquery)`, by counting the rows that make it true, false or unknown.
    fn quantified(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr, any: bool) -> Result<String> {
        let Some(op) = comparison(op) else { return Err(syntax(op.to_string())) };
        let Expr::Subquery(subquery) = right else { return Err(syntax(right.to_string())) };
        let value = self.expression(left)?;
        let query = self.single_column(subquery)?;
        let column = Bound { collation: query.columns[0].collation, ..Bound::new("k0", query.columns[0].ty) };
        let test = self.compare(value, op, column)?;
        let (decides, otherwise) = if any { ("max", 0) } else { ("min", 1) };
        let _ = otherwise;
        Ok(format!(
            "(SELECT CASE WHEN count(*) = 0 THEN {otherwise} WHEN {decides}({test}) = {found} THEN {found} WHEN count({test}) < count(*) THEN NULL ELSE {otherwise} END FROM ({}))",
            query.sql,
            found = i32::from(any),
        ))
    }

    fn like(&mut self, expr: &Expr, pattern: &Expr, escape: Option<&Expr>) -> Result<String> {
        let (value, pattern) = (self.expression(expr)?, self.expression(pattern)?);
        let collation = super::common_collation(&value, &pattern)?;
        let text = |binder: &mut Self, bound: Bound| -> Result<Bound> {
            if types::is_text(bound.ty) { Ok(bound) } else { binder.coerce(bound, SqlType::NVarChar(None)) }
        };
        let mut args = vec![text(self, value)?, text(self, pattern)?];
        if let Some(escape) = escape {
            let escape = self.expression(escape)?;
            args.push(text(self, escape)?);
        }
        Ok(self.call(super::super::functions::pattern::like, &args, SqlType::Bit, Note::Collation(collation.0)).sql)
    }
}

fn operator_name(op: &str) -> &'static str {
    match op {
        "=" => "equal to",
        "<>" => "not equal to",
        "<" => "less than",
        "<=" => "less than or equal to",
        ">" => "greater than",
        _ => "greater than or equal to",
    }
}

/// 4145: a value where a condition must stand.
fn not_boolean(expr: &Expr) -> SqlError {
    match expr {
        Expr::ILike { .. }
        | Expr::SimilarTo { .. }
        | Expr::RLike { .. }
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::IsJson { .. }
        | Expr::IsNormalized { .. }
        | Expr::InUnnest { .. } => {
            let text = expr.to_string();
            syntax(text.split_whitespace().nth(1).unwrap_or_default())
        }
        Expr::BinaryOp { op, .. }
            if !matches!(
                op,
                BinaryOperator::Plus
                    | BinaryOperator::Minus
                    | BinaryOperator::Multiply
                    | BinaryOperator::Divide
                    | BinaryOperator::Modulo
                    | BinaryOperator::BitwiseAnd
                    | BinaryOperator::BitwiseOr
                    | BinaryOperator::BitwiseXor
            ) =>
        {
            syntax(op.to_string())
        }
        _ => SqlError::new(
            4145,
            "An expression of non-boolean type specified in a context where a condition is expected, near ')'.",
        )
        .severity(15),
    }
}
