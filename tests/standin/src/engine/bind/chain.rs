//! Chains of arithmetic operators.

use sqlparser::ast::{BinaryOperator, Expr};

use super::super::error::{Result, syntax};
use super::super::values::arithmetic::Operator;

/// The operator that a token stands for.
pub fn operator_of(op: &BinaryOperator) -> Result<Operator> {
    Ok(match op {
        BinaryOperator::Plus => Operator::Add,
        BinaryOperator::Minus => Operator::Subtract,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        BinaryOperator::Modulo => Operator::Modulo,
        BinaryOperator::BitwiseAnd => Operator::And,
        BinaryOperator::BitwiseOr => Operator::Or,
        BinaryOperator::BitwiseXor => Operator::Xor,
        BinaryOperator::And | BinaryOperator::Or => return Err(super::super::error::keyword(op.to_string())),
        other => return Err(syntax(other.to_string())),
    })
}

/// Whether it has the precedence of `+`.
pub fn is_additive(operator: Operator) -> bool {
    !matches!(operator, Operator::Multiply | Operator::Divide | Operator::Modulo)
}

/// The operands and operators of a chain without parentheses, as they were written.
pub fn flatten<'a>(expr: &'a Expr, operands: &mut Vec<&'a Expr>, operators: &mut Vec<Operator>) {
    if let Expr::BinaryOp { left, op, right } = expr
        && let Ok(operator) = operator_of(op)
        && is_additive(operator)
    {
        flatten(left, operands, operators);
        operators.push(operator);
        flatten(right, operands, operators);
    } else {
        operands.push(expr);
    }
}
