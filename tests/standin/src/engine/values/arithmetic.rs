//! Arithmetic on values of one type, with T-SQL's result types and overflows.

use super::super::error::{Result, divide_by_zero, overflow};
use super::{datetime, decimal, types};
use crate::value::{SqlError, SqlType, Value};

/// An arithmetic operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Modulo,
    /// `&`.
    And,
    /// `|`.
    Or,
    /// `^`.
    Xor,
}

impl Operator {
    /// Its name in error 402 and 8117.
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Subtract => "subtract",
            Self::Multiply => "multiply",
            Self::Divide => "divide",
            Self::Modulo => "modulo",
            Self::And => "'&'",
            Self::Or => "'|'",
            Self::Xor => "'^'",
        }
    }
}

/// The types that the operands are brought to, and that of the result.
pub fn types_of(operator: Operator, left: SqlType, right: SqlType) -> Result<(SqlType, SqlType, SqlType)> {
    let high = types::common(left, right);
    let clash = || {
        if !super::convert::allowed(left, right) {
            return SqlError::new(
                206,
                format!("Operand type clash: {} is incompatible with {}", types::name(right), types::name(left)),
            );
        }
        SqlError::new(
            402,
            format!(
                "The data types {} and {} are incompatible in the {} operator.",
                types::name(left),
                types::name(right),
                operator.word()
            ),
        )
    };
    match high {
        _ if matches!(high, SqlType::DateTime | SqlType::SmallDateTime)
            && matches!(operator, Operator::Add | Operator::Subtract) =>
        {
            Ok((high, high, high))
        }
        SqlType::Float | SqlType::Real if !matches!(operator, Operator::And | Operator::Or | Operator::Xor) => {
            Ok((high, high, high))
        }
        SqlType::Decimal { .. } | SqlType::Numeric { .. }
            if !matches!(operator, Operator::And | Operator::Or | Operator::Xor) =>
        {
            let exact = |ty: SqlType| {
                let (precision, scale) = types::exact_facets(ty);
                if types::is_number(ty) { SqlType::Decimal { precision, scale } } else { high }
            };
            let result = decimal_result(operator, types::exact_facets(exact(left)), types::exact_facets(exact(right)));
            let (precision, scale) = result;
            let numeric = matches!(high, SqlType::Numeric { .. });
            let result =
                if numeric { SqlType::Numeric { precision, scale } } else { SqlType::Decimal { precision, scale } };
            Ok((exact(left), exact(right), result))
        }
        SqlType::Money | SqlType::SmallMoney => Ok((SqlType::Money, SqlType::Money, high)),
        SqlType::Bit => Ok((
            SqlType::Bit,
            SqlType::Bit,
            if matches!(operator, Operator::And | Operator::Or | Operator::Xor) {
                SqlType::Bit
            } else {
                return Err(SqlError::new(
                    8117,
                    format!("Operand data type bit is invalid for {} operator.", operator.word()),
                ));
            },
        )),
        _ if types::is_integer(high) => Ok((high, high, high)),
        _ => Err(clash()),
    }
}

/// Precision and scale of a decimal result.
fn decimal_result(operator: Operator, (p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> (u8, u8) {
    let (p1, s1, p2, s2) = (i32::from(p1), i32::from(s1), i32::from(p2), i32::from(s2));
    let (precision, scale) = match operator {
        Operator::Multiply => (p1 + p2 + 1, s1 + s2),
        Operator::Divide => {
            let scale = 6.max(s1 + p2 + 1);
            (p1 - s1 + s2 + scale, scale)
        }
        Operator::Modulo => ((p1 - s1).min(p2 - s2) + s1.max(s2), s1.max(s2)),
        _ => ((p1 - s1).max(p2 - s2) + s1.max(s2) + 1, s1.max(s2)),
    };
    let (precision, scale) = if precision <= 38 {
        (precision, scale)
    } else {
        let whole = precision - scale;
        let scale = if matches!(operator, Operator::Add | Operator::Subtract | Operator::Modulo) {
            scale.min((38 - whole).max(0))
        } else if whole < 32 {
            scale.min(38 - whole)
        } else {
            scale.min(6)
        };
        (38, scale)
    };
    (u8::try_from(precision.max(1)).unwrap_or(38), u8::try_from(scale).unwrap_or(0))
}

/// Applies an operator to two values already of the operand types.
pub fn apply(operator: Operator, left: &Value, right: &Value, result: SqlType) -> Result<Value> {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::Bit(a), Value::Bit(b)) => Ok(Value::Bit(match operator {
            Operator::And => a & b,
            Operator::Or => a | b,
            _ => a ^ b,
        })),
        (Value::Int(a), Value::Int(b)) => integers(operator, *a, *b, result),
        (Value::Float(a), Value::Float(b)) => floats(operator, *a, *b).map(Value::Float),
        (Value::Real(a), Value::Real(b)) => {
            #[expect(clippy::cast_possible_truncation, reason = "real is narrower; the range is checked")]
            let real = floats(operator, f64::from(*a), f64::from(*b))? as f32;
            if real.is_finite() { Ok(Value::Real(real)) } else { Err(overflow("expression to data type real")) }
        }
        (Value::Decimal(a, s1), Value::Decimal(b, s2)) => decimals(operator, (*a, *s1), (*b, *s2), result),
        (Value::Money(a), Value::Money(b)) => moneys(operator, *a, *b, result),
        (Value::DateTime(d1, t1), Value::DateTime(d2, t2)) => {
            let base = datetime::BASE_1900;
            let (day, ticks) = if operator == Operator::Add {
                datetime::normal(d1 + d2 - base, t1 + t2)
            } else {
                datetime::normal(d1 - d2 + base, t1 - t2)
            };
            datetime::from_moment(datetime::Moment { day, ticks, offset: None }, result)
        }
        _ => Err(SqlError::new(402, "The data types are incompatible in the operator.")),
    }
}

fn integers(operator: Operator, a: i64, b: i64, result: SqlType) -> Result<Value> {
    let (wide_a, wide_b) = (i128::from(a), i128::from(b));
    let value = match operator {
        Operator::Add => wide_a + wide_b,
        Operator::Subtract => wide_a - wide_b,
        Operator::Multiply => wide_a * wide_b,
        Operator::Divide | Operator::Modulo if b == 0 => return Err(divide_by_zero()),
        Operator::Divide => wide_a / wide_b,
        Operator::Modulo => wide_a % wide_b,
        Operator::And => i128::from(a & b),
        Operator::Or => i128::from(a | b),
        Operator::Xor => i128::from(a ^ b),
    };
    let fits = match result {
        SqlType::TinyInt => (0..=255).contains(&value),
        SqlType::SmallInt => i16::try_from(value).is_ok(),
        SqlType::Int => i32::try_from(value).is_ok(),
        _ => i64::try_from(value).is_ok(),
    };
    if !fits {
        return Err(overflow(&format!("expression to data type {}", types::name(result))));
    }
    Ok(Value::Int(i64::try_from(value).unwrap_or_default()))
}

fn floats(operator: Operator, a: f64, b: f64) -> Result<f64> {
    let value = match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        _ if b == 0.0 => return Err(divide_by_zero()),
        Operator::Divide => a / b,
        _ => a % b,
    };
    if value.is_finite() { Ok(value) } else { Err(overflow("expression to data type float")) }
}

fn decimals(operator: Operator, (a, s1): (i128, u8), (b, s2): (i128, u8), result: SqlType) -> Result<Value> {
    let (precision, scale) = types::exact_facets(result);
    if matches!(operator, Operator::Divide | Operator::Modulo) && b == 0 {
        return Err(divide_by_zero());
    }
    let value = match operator {
        Operator::Multiply => decimal::multiply(a, b, s1 + s2, scale.min(s1 + s2)),
        Operator::Divide => decimal::divide(a, b, i16::from(scale) + i16::from(s2) - i16::from(s1)),
        _ => {
            let common = s1.max(s2);
            decimal::rescale(a, s1, common).zip(decimal::rescale(b, s2, common)).and_then(|(a, b)| {
                let value = match operator {
                    Operator::Add => a.checked_add(b)?,
                    Operator::Subtract => a.checked_sub(b)?,
                    _ => a % b,
                };
                decimal::rescale(value, common, scale)
            })
        }
    };
    value
        .filter(|value| decimal::fits(*value, precision))
        .map(|value| Value::Decimal(value, scale))
        .ok_or_else(|| overflow("expression to data type numeric"))
}

fn moneys(operator: Operator, a: i64, b: i64, result: SqlType) -> Result<Value> {
    let (wide_a, wide_b) = (i128::from(a), i128::from(b));
    let value = match operator {
        Operator::Add => wide_a + wide_b,
        Operator::Subtract => wide_a - wide_b,
        Operator::Multiply => decimal::rescale(wide_a * wide_b, 8, 4).unwrap_or(i128::MAX),
        _ if b == 0 => return Err(divide_by_zero()),
        Operator::Divide => wide_a * 10_000 / wide_b,
        _ => wide_a % wide_b,
    };
    let fits = if result == SqlType::SmallMoney { i32::try_from(value).is_ok() } else { i64::try_from(value).is_ok() };
    if !fits {
        return Err(overflow(&format!("expression to data type {}", types::name(result))));
    }
    Ok(Value::Money(i64::try_from(value).unwrap_or_default()))
}

/// The value with its sign turned.
pub fn negate(value: &Value, ty: SqlType) -> Result<Value> {
    Ok(match value {
        Value::Int(int) => {
            let limit = match ty {
                SqlType::SmallInt => i64::from(i16::MIN),
                SqlType::Int => i64::from(i32::MIN),
                _ => i64::MIN,
            };
            if *int == limit || (ty == SqlType::TinyInt && *int > 0) {
                return Err(overflow(&format!("expression to data type {}", types::name(ty))));
            }
            Value::Int(-int)
        }
        Value::Decimal(unscaled, scale) => Value::Decimal(-unscaled, *scale),
        Value::Money(money) => {
            Value::Money(money.checked_neg().ok_or_else(|| overflow("expression to data type money"))?)
        }
        Value::Real(real) => Value::Real(-real),
        Value::Float(float) => Value::Float(-float),
        Value::Null => Value::Null,
        _ => {
            return Err(SqlError::new(
                8117,
                format!("Operand data type {} is invalid for minus operator.", types::name(ty)),
            ));
        }
    })
}
