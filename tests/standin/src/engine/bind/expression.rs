//! Expressions that are values.

use sqlparser::ast::{BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DataType, DateTimeField, Expr, UnaryOperator};

use super::super::error::{Result, syntax, undeclared};
use super::super::operation::{Call, Note};
use super::super::script::cursor::Cursor;
use super::super::script::lexer;
use super::super::values::arithmetic::{self, Operator};
use super::super::values::convert::Target;
use super::super::values::{collation, types};
use super::chain::{flatten, is_additive, operator_of};
use super::{Binder, Bound, Strength, common_collation};
use crate::value::{SqlError, SqlType, Value};

impl Binder<'_> {
    /// A value.
    pub fn expression(&mut self, expr: &Expr) -> Result<Bound> {
        let grouped = self.scopes.last().is_some_and(|scope| !scope.groups.is_empty() && scope.inside == 0)
            && !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_));
        if grouped {
            let text = expr.to_string().to_lowercase();
            if self.scope().groups.contains(&text) {
                self.scope().inside += 1;
                let bound = self.plain_expression(expr);
                self.scope().inside -= 1;
                return bound;
            }
        }
        self.plain_expression(expr)
    }

    fn plain_expression(&mut self, expr: &Expr) -> Result<Bound> {
        match expr {
            Expr::Nested(inner) => {
                let inner = self.expression(inner)?;
                Ok(Bound { sql: format!("({})", inner.sql), column: None, ..inner })
            }
            Expr::Identifier(ident) => self.identifier(ident),
            Expr::CompoundIdentifier(idents) => {
                self.column(&idents.iter().map(|ident| ident.value.clone()).collect::<Vec<_>>())
            }
            Expr::Value(value) => self.literal(&value.value),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::Cast { kind, expr, data_type, format: None } => {
                let try_convert = match kind {
                    CastKind::Cast => false,
                    CastKind::TryCast => true,
                    CastKind::SafeCast | CastKind::DoubleColon => return Err(syntax("::")),
                };
                self.cast(expr, data_type, 0, try_convert)
            }
            Expr::Convert { is_try, expr, data_type: Some(ty), charset: None, target_before_value: true, styles } => {
                let style = match styles.as_slice() {
                    [] => 0,
                    [style] => self.constant_integer(style)?,
                    _ => return Err(super::super::error::argument_count("convert", 3)),
                };
                self.cast(expr, ty, i32::try_from(style).unwrap_or(-1), *is_try)
            }
            Expr::AtTimeZone { timestamp, time_zone } => self.at_time_zone(timestamp, time_zone),
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                self.function_of("CEILING_OF", &[expr])
            }
            Expr::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                self.function_of("FLOOR", &[expr])
            }
            Expr::Substring {
                expr,
                substring_from: Some(from),
                substring_for: Some(length),
                special: true,
                shorthand: false,
            } => self.function_of("SUBSTRING", &[expr, from, length]),
            Expr::Substring { shorthand: true, .. } => Err(super::super::error::unknown_function("substr")),
            Expr::Trim { trim_where: None, trim_what: None, expr, trim_characters: None } => {
                self.function_of("TRIM", &[expr])
            }
            Expr::Trim { trim_where: None, trim_what: Some(what), expr, trim_characters: None } => {
                self.function_of("TRIM", &[expr, what])
            }
            Expr::Collate { expr, collation } => {
                let name = collation.to_string();
                let name = name.trim_matches(['[', ']', '"']);
                let found = collation::find(name)
                    .ok_or_else(|| SqlError::new(448, format!("Invalid collation '{name}'.")).severity(16))?;
                let mut bound = self.expression(expr)?;
                if !types::is_text(bound.ty) {
                    return Err(SqlError::new(
                        447,
                        format!("Expression type {} is invalid for COLLATE clause.", types::name(bound.ty)),
                    ));
                }
                bound.collation = (found, Strength::Explicit);
                Ok(bound)
            }
            Expr::Function(function) => self.function(function),
            Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Subquery(query) => self.scalar_subquery(query),
            Expr::TypedString(typed) if typed.uses_odbc_syntax => self.odbc_literal(typed),
            other => Err(refused(other)),
        }
    }

    fn function_of(&mut self, name: &str, args: &[&Expr]) -> Result<Bound> {
        let args = args.iter().map(|arg| self.expression(arg)).collect::<Result<Vec<_>>>()?;
        self.named_function(name, args)
    }

    fn identifier(&mut self, ident: &sqlparser::ast::Ident) -> Result<Bound> {
        if ident.quote_style.is_none() {
            if ident.value.starts_with("@@") {
                return self.global(&ident.value);
            }
            if ident.value.starts_with('@') {
                return self.variable(&ident.value);
            }
            let upper = ident.value.to_uppercase();
            if matches!(
                upper.as_str(),
                "CURRENT_TIMESTAMP" | "CURRENT_USER" | "SESSION_USER" | "SYSTEM_USER" | "USER" | "CURRENT_DATE"
            ) {
                return self.named_function(&upper, Vec::new());
            }
        }
        self.column(std::slice::from_ref(&ident.value))
    }

    /// An integer that must be known now: a style, a length.
    pub fn constant_integer(&mut self, expr: &Expr) -> Result<i64> {
        match expr {
            Expr::Identifier(ident) if ident.value.starts_with('@') => {
                let variable =
                    self.variables.get(&ident.value.to_lowercase()).ok_or_else(|| undeclared(&ident.value))?;
                match variable.value {
                    Value::Int(int) => Ok(int),
                    _ => Err(syntax(&ident.value)),
                }
            }
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => self.constant_integer(expr).map(|int| -int),
            Expr::Nested(inner) => self.constant_integer(inner),
            _ => {
                let bound = self.expression(expr)?;
                bound.literal.ok_or_else(|| {
                    SqlError::new(8116, "Argument data type is invalid for argument 3 of convert function.")
                })
            }
        }
    }

    fn cast(&mut self, expr: &Expr, data_type: &DataType, style: i32, try_convert: bool) -> Result<Bound> {
        let ty = cast_type(data_type)?;
        let bound = self.expression(expr)?;
        if !bound.null && !super::super::values::convert::allowed(bound.ty, ty) {
            return Err(SqlError::new(
                529,
                format!(
                    "Explicit conversion from data type {} to {} is not allowed.",
                    types::name(bound.ty),
                    types::name(ty)
                ),
            ));
        }
        let collation =
            if types::is_text(bound.ty) { bound.collation } else { (collation::DEFAULT, Strength::Coercible) };
        let converted = self.convert(bound, Target { ty, style, utf8: false }, try_convert);
        Ok(Bound { collation, literal: None, column: None, ..converted })
    }

    fn at_time_zone(&mut self, timestamp: &Expr, zone: &Expr) -> Result<Bound> {
        let (moment, zone) = (self.expression(timestamp)?, self.expression(zone)?);
        let scale = super::super::values::datetime::scale_of(moment.ty);
        if !types::is_temporal(moment.ty) || matches!(moment.ty, SqlType::Date | SqlType::Time(_)) {
            return Err(SqlError::new(
                8116,
                format!(
                    "Argument data type {} is invalid for argument 1 of AT TIME ZONE function.",
                    types::name(moment.ty)
                ),
            ));
        }
        let zone = self.coerce(zone, SqlType::NVarChar(Some(128)))?;
        Ok(self.call(
            super::super::functions::date::at_time_zone,
            &[moment, zone],
            SqlType::DateTimeOffset(scale),
            Note::None,
        ))
    }

    fn binary(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Bound> {
        let operator = operator_of(op)?;
        if !is_additive(operator) {
            let (left, right) = (self.expression(left)?, self.expression(right)?);
            return self.arithmetic(operator, left, right);
        }
        // `+ - & ^ |` have one precedence in T-SQL and go from left to right; sqlparser gives each its own.
        let (mut operands, mut operators) = (Vec::new(), Vec::new());
        flatten(left, &mut operands, &mut operators);
        operators.push(operator);
        flatten(right, &mut operands, &mut operators);
        let mut operands = operands.into_iter();
        let Some(first) = operands.next() else { return Err(syntax(op.to_string())) };
        let mut result = self.expression(first)?;
        for (operator, operand) in operators.into_iter().zip(operands) {
            let operand = self.expression(operand)?;
            result = self.arithmetic(operator, result, operand)?;
        }
        Ok(result)
    }

    /// An operator between two values.
    pub fn arithmetic(&mut self, operator: Operator, left: Bound, right: Bound) -> Result<Bound> {
        let (mut left, mut right) = (left, right);
        match (left.null, right.null) {
            (true, false) => left.ty = right.ty,
            (false, true) => right.ty = left.ty,
            _ => {}
        }
        if operator == Operator::Add && types::is_text(left.ty) && types::is_text(right.ty) {
            return concatenate(&left, &right);
        }
        if operator == Operator::Add && types::is_binary(left.ty) && types::is_binary(right.ty) {
            let length = types::length(left.ty)
                .zip(types::length(right.ty))
                .and_then(|(a, b)| a.checked_add(b))
                .map(|n| n.min(8000));
            return Ok(self.call(join_bytes, &[left, right], SqlType::VarBinary(length), Note::None));
        }
        let literal = |bound: &Bound| match bound.literal {
            // An integer literal counts with its own digits, not with int's ten.
            Some(int) => SqlType::Numeric {
                precision: u8::try_from(int.unsigned_abs().max(1).ilog10() + 1).unwrap_or(10),
                scale: 0,
            },
            None => bound.ty,
        };
        let exact = |ty| matches!(ty, SqlType::Decimal { .. } | SqlType::Numeric { .. });
        let (left_type, right_type) = match (exact(left.ty), exact(right.ty)) {
            (true, false) => (left.ty, literal(&right)),
            (false, true) => (literal(&left), right.ty),
            _ => (left.ty, right.ty),
        };
        let (left_type, right_type, result) = arithmetic::types_of(operator, left_type, right_type)?;
        let (left, right) = (self.coerce(left, left_type)?, self.coerce(right, right_type)?);
        Ok(self.call(apply_operator, &[left, right], result, Note::Operator(operator)))
    }

    fn unary(&mut self, op: UnaryOperator, expr: &Expr) -> Result<Bound> {
        let bound = self.expression(expr)?;
        match op {
            UnaryOperator::Plus => Ok(bound),
            UnaryOperator::Minus => {
                let text = types::is_text(bound.ty);
                let ty = if text || bound.ty == SqlType::Bit { SqlType::Int } else { bound.ty };
                let literal = bound.literal.map(|int| -int);
                let bound = self.coerce(bound, ty)?;
                let mut negative = self.call(negated, &[bound], ty, Note::None);
                if let Some(int) = literal {
                    negative.sql = format!("({int})");
                    negative.literal = literal;
                }
                Ok(negative)
            }
            UnaryOperator::BitwiseNot => {
                if !types::is_integer(bound.ty) {
                    return Err(SqlError::new(
                        8117,
                        format!("Operand data type {} is invalid for '~' operator.", types::name(bound.ty)),
                    ));
                }
                let ty = bound.ty;
                Ok(self.call(complement, &[bound], ty, Note::None))
            }
            other => Err(syntax(other.to_string())),
        }
    }

    fn case(&mut self, operand: Option<&Expr>, conditions: &[CaseWhen], otherwise: Option<&Expr>) -> Result<Bound> {
        let mut tests = Vec::new();
        for CaseWhen { condition, .. } in conditions {
            tests.push(match operand {
                Some(operand) => {
                    let (left, right) = (self.expression(operand)?, self.expression(condition)?);
                    self.compare(left, "=", right)?
                }
                None => self.predicate(condition)?,
            });
        }
        let mut results = conditions.iter().map(|when| self.expression(&when.result)).collect::<Result<Vec<_>>>()?;
        let has_else = otherwise.is_some();
        if let Some(otherwise) = otherwise {
            results.push(self.expression(otherwise)?);
        }
        if results.iter().all(|result| result.null) {
            return Err(SqlError::new(
                8133,
                "At least one of the result expressions in a CASE specification must be an expression other than the NULL constant.",
            ));
        }
        let (ty, collation) = common_of(&results)?;
        let nullable = !has_else || results.iter().any(|result| result.nullable);
        let mut parts = results.into_iter().map(|result| self.coerce(result, ty)).collect::<Result<Vec<_>>>()?;
        let last = if has_else { parts.pop() } else { None };
        let mut sql = "CASE".to_owned();
        for (test, part) in tests.iter().zip(&parts) {
            sql = format!("{sql} WHEN {test} THEN {}", part.sql);
        }
        if let Some(last) = last {
            sql = format!("{sql} ELSE {}", last.sql);
        }
        let mut bound = Bound::new(sql + " END", ty);
        (bound.collation, bound.nullable) = (collation, nullable);
        Ok(bound)
    }
}

/// The type and collation in which several expressions meet.
pub fn common_of(bounds: &[Bound]) -> Result<(SqlType, (&'static str, Strength))> {
    let mut result: Option<Bound> = None;
    for bound in bounds.iter().filter(|bound| !bound.null) {
        result = Some(match result {
            None => bound.clone(),
            Some(so_far) => {
                let collation = common_collation(&so_far, bound)?;
                let ty = types::common(so_far.ty, bound.ty);
                Bound { ty, collation, ..so_far }
            }
        });
    }
    Ok(result.map_or((SqlType::Int, (collation::DEFAULT, Strength::Coercible)), |bound| (bound.ty, bound.collation)))
}

fn concatenate(left: &Bound, right: &Bound) -> Result<Bound> {
    let unicode = types::is_unicode(left.ty) || types::is_unicode(right.ty);
    for side in [left, right] {
        if matches!(side.ty, SqlType::Text | SqlType::NText) {
            return Err(SqlError::new(
                402,
                format!(
                    "The data types {} and {} are incompatible in the add operator.",
                    types::name(left.ty),
                    types::name(right.ty)
                ),
            ));
        }
    }
    let limit = if unicode { 4000 } else { 8000 };
    let length = types::length(left.ty).zip(types::length(right.ty)).map(|(a, b)| a.saturating_add(b).min(limit));
    let ty = if unicode { SqlType::NVarChar(length) } else { SqlType::VarChar(length) };
    let mut bound = Bound::new(format!("({} || {})", left.sql, right.sql), ty);
    bound.collation = common_collation(left, right)?;
    bound.nullable = left.nullable || right.nullable;
    Ok(bound)
}

/// The type that CAST names.
pub fn cast_type(data_type: &DataType) -> Result<SqlType> {
    let text = data_type.to_string();
    let tokens = lexer::tokens(&text, true)?;
    let mut cursor = Cursor::new(tokens);
    let ty = cursor.sql_type().map_err(|error| if error.number == 102 { syntax(&text) } else { error })?;
    if !cursor.is_end() {
        return Err(cursor.error());
    }
    // Without a length, CAST makes 30 characters.
    let bare = !text.contains('(');
    Ok(match ty {
        SqlType::VarChar(_) if bare => SqlType::VarChar(Some(30)),
        SqlType::NVarChar(_) if bare && !text.eq_ignore_ascii_case("sysname") => SqlType::NVarChar(Some(30)),
        SqlType::Char(_) if bare => SqlType::Char(30),
        SqlType::NChar(_) if bare => SqlType::NChar(30),
        SqlType::VarBinary(_) if bare => SqlType::VarBinary(Some(30)),
        SqlType::Binary(_) if bare => SqlType::Binary(30),
        other => other,
    })
}

/// The error for a node that is no value in T-SQL.
pub fn refused(expr: &Expr) -> SqlError {
    match expr {
        Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..) => super::super::error::keyword("IS"),
        Expr::InList { .. } | Expr::InSubquery { .. } => super::super::error::keyword("IN"),
        Expr::Between { .. } => super::super::error::keyword("BETWEEN"),
        Expr::Like { .. } => super::super::error::keyword("LIKE"),
        Expr::Exists { .. } => super::super::error::keyword("EXISTS"),
        other => {
            let text = other.to_string();
            syntax(text.split([' ', '(']).next().unwrap_or_default())
        }
    }
}

fn apply_operator(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let Note::Operator(operator) = call.operation.note else { return Ok(Value::Null) };
    arithmetic::apply(operator, &args[0], &args[1], call.operation.result)
}

fn negated(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    arithmetic::negate(&args[0], call.arg(0))
}

#[expect(clippy::unnecessary_wraps, reason = "operations have one shape")]
fn complement(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    Ok(match &args[0] {
        Value::Bit(bit) => Value::Bit(!bit),
        Value::Int(int) if call.arg(0) == SqlType::TinyInt => Value::Int(!int & 0xff),
        Value::Int(int) => Value::Int(!int),
        _ => Value::Null,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "operations have one shape")]
fn join_bytes(_: &Call<'_>, args: &[Value]) -> Result<Value> {
    Ok(match (&args[0], &args[1]) {
        (Value::Bytes(a), Value::Bytes(b)) => Value::Bytes([a.as_slice(), b].concat()),
        _ => Value::Null,
    })
}
