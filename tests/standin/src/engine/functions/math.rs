//! Mathematical functions.

use super::super::bind::function::{any_null, integer};
use super::super::bind::{Binder, Bound};
use super::super::error::{Result, overflow};
use super::super::operation::{Apply, Call, Note};
use super::super::values::{decimal, storage, types};
use crate::value::{SqlError, SqlType, Value};

/// How many arguments a mathematical function takes.
pub fn count(name: &str) -> Option<(usize, usize)> {
    Some(match name {
        "PI" => (0, 0),
        "RAND" => (0, 1),
        "ABS" | "CEILING" | "CEILING_OF" | "FLOOR" | "SIGN" | "SQRT" | "SQUARE" | "EXP" | "LOG10" | "SIN" | "COS"
        | "TAN" | "ASIN" | "ACOS" | "ATAN" | "DEGREES" | "RADIANS" => (1, 1),
        "LOG" => (1, 2),
        "POWER" | "ATN2" => (2, 2),
        "ROUND" => (2, 3),
        "GREATEST" | "LEAST" | "CHECKSUM" | "BINARY_CHECKSUM" => (1, 254),
        _ => return None,
    })
}

/// Binds a mathematical function.
pub fn bind(binder: &mut Binder<'_>, name: &str, args: Vec<Bound>) -> Result<Bound> {
    match name {
        "CEILING_OF" => return Err(super::super::error::unknown_function("CEIL")),
        "PI" => return Ok(binder.constant(&Value::Float(std::f64::consts::PI), SqlType::Float)),
        "RAND" => {
            let args = args.into_iter().map(|arg| binder.coerce(arg, SqlType::Int)).collect::<Result<Vec<_>>>()?;
            return Ok(binder.call(random, &args, SqlType::Float, Note::Text(rand::random::<u64>().to_string())));
        }
        "CHECKSUM" | "BINARY_CHECKSUM" => return Ok(binder.call(checksum, &args, SqlType::Int, Note::None)),
        "GREATEST" | "LEAST" => return extreme(binder, name, args),
        "ABS" | "CEILING" | "FLOOR" | "SIGN" | "ROUND" | "POWER" => return numeric(binder, name, args),
        _ => {}
    }
    let wanted = vec![Some(SqlType::Float); args.len()];
    binder.call_with(float_function, args, &wanted, SqlType::Float, Note::Text(name.to_owned()))
}

/// Functions whose result has their first argument's kind.
fn numeric(binder: &mut Binder<'_>, name: &str, mut args: Vec<Bound>) -> Result<Bound> {
    let first = args.remove(0);
    let ty = if first.null {
        SqlType::Int
    } else if types::is_number(first.ty) {
        match first.ty {
            SqlType::Bit | SqlType::Real => SqlType::Float,
            SqlType::TinyInt | SqlType::SmallInt if name != "ABS" => SqlType::Int,
            SqlType::SmallMoney => SqlType::Money,
            other => other,
        }
    } else if types::is_text(first.ty) {
        SqlType::Float
    } else {
        return Err(SqlError::new(
            8116,
            format!(
                "Argument data type {} is invalid for argument 1 of {} function.",
                types::name(first.ty),
                name.to_lowercase()
            ),
        ));
    };
    let exact = |precision, scale| {
        if matches!(ty, SqlType::Numeric { .. }) {
            SqlType::Numeric { precision, scale }
        } else {
            SqlType::Decimal { precision, scale }
        }
    };
    let result = match (ty, name) {
        (SqlType::Decimal { precision, .. } | SqlType::Numeric { precision, .. }, "CEILING" | "FLOOR") => {
            exact(precision, 0)
        }
        (SqlType::Decimal { scale, .. } | SqlType::Numeric { scale, .. }, "POWER" | "SIGN") => exact(38, scale),
        _ => ty,
    };
    let mut bound = vec![binder.coerce(first, ty)?];
    for arg in args {
        let ty = if name == "POWER" { SqlType::Float } else { SqlType::Int };
        bound.push(binder.coerce(arg, ty)?);
    }
    let apply: Apply = match name {
        "ABS" => absolute,
        "ROUND" => round,
        "POWER" => power,
        _ => whole,
    };
    Ok(binder.call(apply, &bound, result, Note::Text(name.to_owned())))
}

fn extreme(binder: &mut Binder<'_>, name: &str, args: Vec<Bound>) -> Result<Bound> {
    let (ty, collation) = super::super::bind::expression::common_of(&args)?;
    let list =
        args.into_iter().map(|arg| Ok(Bound { collation, ..binder.coerce(arg, ty)? })).collect::<Result<Vec<_>>>()?;
    // NULLs are passed over, so the list becomes rows of an aggregate.
    let rows: Vec<String> = list.iter().map(|bound| format!("SELECT {} AS k0", bound.collated())).collect();
    let function = if name == "GREATEST" { "max" } else { "min" };
    let key = Bound { collation, ..Bound::new("k0", ty) }.collated();
    Ok(Bound { collation, ..Bound::new(format!("(SELECT {function}({key}) FROM ({}))", rows.join(" UNION ALL ")), ty) })
}

fn absolute(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    Ok(match &args[0] {
        Value::Int(int) => {
            let value = int
                .checked_abs()
                .filter(|value| call.operation.result != SqlType::Int || i32::try_from(*value).is_ok());
            Value::Int(
                value.ok_or_else(|| {
                    overflow(&format!("expression to data type {}", types::name(call.operation.result)))
                })?,
            )
        }
        Value::Decimal(value, scale) => Value::Decimal(value.abs(), *scale),
        Value::Money(value) => Value::Money(value.abs()),
        Value::Float(value) => Value::Float(value.abs()),
        other => other.clone(),
    })
}

fn whole(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let name = call.text();
    let (_, scale) = types::exact_facets(call.operation.result);
    Ok(match &args[0] {
        Value::Int(int) => Value::Int(if name == "SIGN" { int.signum() } else { *int }),
        Value::Float(value) => Value::Float(match name {
            "SIGN" if *value == 0.0 => 0.0,
            "SIGN" => value.signum(),
            "FLOOR" => value.floor(),
            _ => value.ceil(),
        }),
        Value::Money(money) => Value::Money(match name {
            "SIGN" => money.signum() * 10_000,
            "FLOOR" => money.div_euclid(10_000) * 10_000,
            _ => -(-money).div_euclid(10_000) * 10_000,
        }),
        Value::Decimal(value, from) => {
            let unit = decimal::power(*from);
            Value::Decimal(
                match name {
                    "SIGN" => value.signum() * decimal::power(scale),
                    "FLOOR" => value.div_euclid(unit),
                    _ => -(-value).div_euclid(unit),
                },
                scale,
            )
        }
        other => other.clone(),
    })
}

fn round(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let (places, cut) = (integer(args, 1), integer(args, 2) != 0);
    let at_scale = |value: i128, scale: u8| -> i128 {
        let drop = i64::from(scale) - places;
        let Ok(drop) = u8::try_from(drop) else { return value };
        if drop > 37 {
            return 0;
        }
        let kept =
            if cut { value / decimal::power(drop) } else { decimal::rescale(value, drop, 0).unwrap_or_default() };
        kept * decimal::power(drop)
    };
    Ok(match &args[0] {
        Value::Int(int) => {
            let value = at_scale(i128::from(*int), 0);
            let fits = if call.operation.result == SqlType::Int {
                i32::try_from(value).is_ok()
            } else {
                i64::try_from(value).is_ok()
            };
            if !fits {
                return Err(overflow(&format!("expression to data type {}", types::name(call.operation.result))));
            }
            Value::Int(i64::try_from(value).unwrap_or_default())
        }
        Value::Money(money) => Value::Money(i64::try_from(at_scale(i128::from(*money), 4)).unwrap_or_default()),
        Value::Decimal(value, scale) => {
            let rounded = at_scale(*value, *scale);
            let (precision, _) = types::exact_facets(call.operation.result);
            if !decimal::fits(rounded, precision) {
                return Err(overflow("expression to data type numeric"));
            }
            Value::Decimal(rounded, *scale)
        }
        Value::Float(value) => {
            let unit = 10_f64.powi(i32::try_from(places).unwrap_or(0));
            let scaled = value * unit;
            let kept = if cut { scaled.trunc() } else { scaled.round() };
            Value::Float(if kept.is_finite() { kept / unit } else { *value })
        }
        other => other.clone(),
    })
}

fn power(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let Value::Float(exponent) = args[1] else { return Ok(Value::Null) };
    let from = super::super::values::convert::Target::of(SqlType::Float);
    let Value::Float(base) = super::super::values::convert::convert(&args[0], call.arg(0), from)? else {
        return Ok(Value::Null);
    };
    let value = base.powf(exponent);
    if !value.is_finite() {
        return Err(SqlError::new(3623, "An invalid floating point operation occurred."));
    }
    let target = super::super::values::convert::Target::of(call.operation.result);
    super::super::values::convert::convert(&Value::Float(value), SqlType::Float, target)
}

fn float_function(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let (Value::Float(value), second) = (&args[0], args.get(1)) else { return Ok(Value::Null) };
    let second = match second {
        Some(Value::Float(second)) => Some(*second),
        Some(_) => return Ok(Value::Null),
        None => None,
    };
    let result = match call.text() {
        "SQRT" => value.sqrt(),
        "SQUARE" => value * value,
        "EXP" => value.exp(),
        "LOG" => second.map_or_else(|| value.ln(), |base| value.log(base)),
        "LOG10" => value.log10(),
        "SIN" => value.sin(),
        "COS" => value.cos(),
        "TAN" => value.tan(),
        "ASIN" => value.asin(),
        "ACOS" => value.acos(),
        "ATAN" => value.atan(),
        "ATN2" => value.atan2(second.unwrap_or(1.0)),
        "DEGREES" => value.to_degrees(),
        _ => value.to_radians(),
    };
    if result.is_finite() {
        Ok(Value::Float(result))
    } else {
        Err(SqlError::new(3623, "An invalid floating point operation occurred."))
    }
}

/// One number a call in the statement, as RAND has it: the note holds its seed.
fn random(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    use rand::{Rng as _, SeedableRng as _};
    let seed = match args.first() {
        Some(Value::Int(seed)) => seed.unsigned_abs(),
        _ => call.text().parse().unwrap_or_default(),
    };
    Ok(Value::Float(rand::rngs::StdRng::seed_from_u64(seed).random()))
}

fn checksum(_: &Call<'_>, args: &[Value]) -> Result<Value> {
    let mut sum: i32 = 0;
    for arg in args {
        let part = match storage::encode(arg) {
            rusqlite::types::Value::Null => vec![0],
            rusqlite::types::Value::Integer(int) if args.len() == 1 && i32::try_from(int).is_ok() => {
                return Ok(Value::Int(int));
            }
            rusqlite::types::Value::Integer(int) => int.to_be_bytes().to_vec(),
            rusqlite::types::Value::Real(real) => real.to_be_bytes().to_vec(),
            rusqlite::types::Value::Text(text) => text.trim_end().to_lowercase().into_bytes(),
            rusqlite::types::Value::Blob(blob) => blob,
        };
        for byte in part {
            sum = sum.rotate_left(4) ^ i32::from(byte);
        }
    }
    Ok(Value::Int(i64::from(sum)))
}
