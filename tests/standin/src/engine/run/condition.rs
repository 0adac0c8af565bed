//! Values and conditions outside queries: IF, SET, arguments.

use rusqlite::params_from_iter;
use rusqlite::types::Value as Stored;
use sqlparser::ast::Expr;

use super::super::bind::{Binder, Variable};
use super::super::error::{Result, from_sqlite, syntax, undeclared};
use super::super::session::SqlSession;
use super::super::values::arithmetic::Operator;
use super::super::values::convert::Target;
use super::super::values::{storage, types};
use crate::value::{SqlType, Value};

impl SqlSession {
    /// Whether a condition is true; unknown is not.
    pub fn condition(&mut self, condition: &Expr) -> Result<bool> {
        let environment = self.enter()?;
        let mut binder = Binder::new(&environment, &self.operations, &self.variables);
        let sql = binder.predicate(condition)?;
        let (params, needed) = (binder.params, binder.needed);
        let touches = super::select::touches_data(&sql, &needed);
        self.open_read(touches)?;
        self.fill(&environment, &needed, &params)?;
        let found: Option<i64> = self.ask(&format!("SELECT {sql}"), &params)?;
        Ok(found == Some(1))
    }

    fn ask<T: rusqlite::types::FromSql>(&self, sql: &str, params: &[Stored]) -> Result<T> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| from_sqlite(&error))?;
        statement.query_row(params_from_iter(params), |row| row.get(0)).map_err(|error| from_sqlite(&error))
    }

    /// A value, brought to a type.
    pub fn evaluate(&mut self, expr: &Expr, ty: SqlType) -> Result<Value> {
        self.evaluate_with(expr, Some(ty), None).map(|(_, value)| value)
    }

    /// A value and the type it has.
    pub fn evaluate_any(&mut self, expr: &Expr) -> Result<(SqlType, Value)> {
        self.evaluate_with(expr, None, None)
    }

    /// A value for a variable.
    pub fn evaluate_for(&mut self, expr: &Expr, variable: &str) -> Result<Value> {
        let ty = self.variables.get(&variable.to_lowercase()).ok_or_else(|| undeclared(variable))?.ty;
        self.evaluate(expr, ty)
    }

    /// The value of `@v += expr` and its kin.
    pub fn evaluate_compound(&mut self, variable: &str, operator: char, expr: &Expr) -> Result<Value> {
        let ty = self.variables.get(&variable.to_lowercase()).ok_or_else(|| undeclared(variable))?.ty;
        self.evaluate_with(expr, Some(ty), Some((variable, operator))).map(|(_, value)| value)
    }

    fn evaluate_with(
        &mut self,
        expr: &Expr,
        ty: Option<SqlType>,
        compound: Option<(&str, char)>,
    ) -> Result<(SqlType, Value)> {
        let environment = self.enter()?;
        let mut binder = Binder::new(&environment, &self.operations, &self.variables);
        let mut bound = binder.expression(expr)?;
        if let Some((variable, operator)) = compound {
            let left = binder.variable(variable)?;
            bound = binder.arithmetic(
                compound_operator(operator).ok_or_else(|| syntax(operator.to_string()))?,
                left,
                bound,
            )?;
        }
        // Text too long for a variable is cut without a word.
        let bound = match ty {
            Some(ty) if types::is_text(ty) && types::is_text(bound.ty) => binder.convert(bound, Target::of(ty), false),
            Some(ty) => binder.coerce(bound, ty)?,
            None => bound,
        };
        let (params, needed) = (binder.params, binder.needed);
        self.open_read(super::select::touches_data(&bound.sql, &needed))?;
        self.fill(&environment, &needed, &params)?;
        let stored: Stored = self.ask(&format!("SELECT {}", bound.sql), &params)?;
        Ok((bound.ty, storage::decode((&stored).into(), bound.ty)))
    }

    /// Sets a variable.
    pub fn assign(&mut self, name: &str, value: Value) -> Result<()> {
        let variable: &mut Variable = self.variables.get_mut(&name.to_lowercase()).ok_or_else(|| undeclared(name))?;
        variable.value = value;
        Ok(())
    }
}

/// The operator of a compound assignment.
pub fn compound_operator(sign: char) -> Option<Operator> {
    Some(match sign {
        '+' => Operator::Add,
        '-' => Operator::Subtract,
        '*' => Operator::Multiply,
        '/' => Operator::Divide,
        '%' => Operator::Modulo,
        '&' => Operator::And,
        '|' => Operator::Or,
        '^' => Operator::Xor,
        _ => return None,
    })
}
