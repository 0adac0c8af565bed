//! Aggregates that SQLite does not have, or has with other overflows.

use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, Result};

use super::super::error::{overflow, to_sqlite};
use super::super::values::{decimal, storage};
use crate::value::SqlError;

/// What a total adds up, and where it overflows.
#[derive(Clone, Copy)]
enum Kind {
    Int,
    BigInt,
    Money,
    Decimal,
    Float,
}

/// A running total that rows can leave again, for window frames.
#[derive(Default, Clone)]
struct Sum {
    count: i64,
    exact: i128,
    float: f64,
}

struct Total(Kind);

impl Total {
    fn add(context: &Context<'_>, sum: &mut Sum, sign: i128) -> Result<()> {
        match context.get_raw(0) {
            ValueRef::Null => return Ok(()),
            ValueRef::Integer(int) => sum.exact += sign * i128::from(int),
            #[expect(clippy::cast_precision_loss, reason = "the sign is 1 or -1")]
            ValueRef::Real(real) => sum.float += sign as f64 * real,
            ValueRef::Blob(bytes) => {
                let value = sign * storage::blob_decimal(bytes);
                sum.exact = sum
                    .exact
                    .checked_add(value)
                    .ok_or_else(|| to_sqlite(&overflow("expression to data type numeric")))?;
            }
            ValueRef::Text(_) => {}
        }
        sum.count += i64::try_from(sign).unwrap_or(1);
        Ok(())
    }

    fn result(&self, sum: Option<&Sum>) -> Result<Stored> {
        let Some(sum) = sum.filter(|sum| sum.count > 0) else { return Ok(Stored::Null) };
        let limited = |name: &str, fits: bool| {
            if fits {
                Ok(Stored::Integer(i64::try_from(sum.exact).unwrap_or_default()))
            } else {
                Err(to_sqlite(&overflow(&format!("expression to data type {name}"))))
            }
        };
        match self.0 {
            Kind::Int => limited("int", i32::try_from(sum.exact).is_ok()),
            Kind::BigInt => limited("bigint", i64::try_from(sum.exact).is_ok()),
            Kind::Money => limited("money", i64::try_from(sum.exact).is_ok()),
            Kind::Decimal if decimal::fits(sum.exact, 38) => Ok(Stored::Blob(storage::decimal_blob(sum.exact))),
            Kind::Decimal => Err(to_sqlite(&overflow("expression to data type numeric"))),
            #[expect(clippy::cast_precision_loss, reason = "a whole float comes as an integer")]
            Kind::Float => Ok(Stored::Real(sum.float + sum.exact as f64)),
        }
    }
}

impl Aggregate<Sum, Stored> for Total {
    fn init(&self, _: &mut Context<'_>) -> Result<Sum> {
        Ok(Sum::default())
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Sum) -> Result<()> {
        Self::add(context, sum, 1)
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Sum>) -> Result<Stored> {
        self.result(sum.as_ref())
    }
}

impl WindowAggregate<Sum, Stored> for Total {
    fn value(&self, sum: Option<&mut Sum>) -> Result<Stored> {
        self.result(sum.as_deref())
    }

    fn inverse(&self, context: &mut Context<'_>, sum: &mut Sum) -> Result<()> {
        Self::add(context, sum, -1)
    }
}

/// Variance and standard deviation, of a sample or of all.
struct Spread {
    sample: bool,
    root: bool,
}

impl Aggregate<Vec<f64>, Stored> for Spread {
    fn init(&self, _: &mut Context<'_>) -> Result<Vec<f64>> {
        Ok(Vec::new())
    }

    fn step(&self, context: &mut Context<'_>, list: &mut Vec<f64>) -> Result<()> {
        if let Some(value) = context.get::<Option<f64>>(0)? {
            list.push(value);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, list: Option<Vec<f64>>) -> Result<Stored> {
        let list = list.unwrap_or_default();
        let less = usize::from(self.sample);
        if list.len() <= less {
            return Ok(Stored::Null);
        }
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        let (count, divisor) = (list.len() as f64, (list.len() - less) as f64);
        let mean = list.iter().sum::<f64>() / count;
        let variance = list.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / divisor;
        Ok(Stored::Real(if self.root { variance.sqrt() } else { variance }))
    }
}

struct ChecksumTotal;

impl Aggregate<i64, Stored> for ChecksumTotal {
    fn init(&self, _: &mut Context<'_>) -> Result<i64> {
        Ok(0)
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut i64) -> Result<()> {
        *sum ^= context.get::<Option<i64>>(0)?.unwrap_or(0);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<i64>) -> Result<Stored> {
        Ok(sum.map_or(Stored::Null, Stored::Integer))
    }
}

/// The value of a scalar subquery: its only row's.
struct OneRow;

impl Aggregate<(usize, Stored), Stored> for OneRow {
    fn init(&self, _: &mut Context<'_>) -> Result<(usize, Stored)> {
        Ok((0, Stored::Null))
    }

    fn step(&self, context: &mut Context<'_>, (count, value): &mut (usize, Stored)) -> Result<()> {
        *count += 1;
        if *count > 1 {
            return Err(to_sqlite(&SqlError::new(
                512,
                "Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, >= or when the subquery is used as an expression.",
            )));
        }
        *value = context.get(0)?;
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<(usize, Stored)>) -> Result<Stored> {
        Ok(state.map_or(Stored::Null, |(_, value)| value))
    }
}

/// Makes the aggregates known to a connection.
pub fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let totals = [
        ("total_int", Kind::Int),
        ("total_bigint", Kind::BigInt),
        ("total_money", Kind::Money),
        ("total_decimal", Kind::Decimal),
        ("total_float", Kind::Float),
    ];
    for (name, kind) in totals {
        connection.create_window_function(name, 1, flags, Total(kind))?;
    }
    for (name, sample, root) in
        [("stdev_of", true, true), ("stdevp_of", false, true), ("var_of", true, false), ("varp_of", false, false)]
    {
        connection.create_aggregate_function(name, 1, flags, Spread { sample, root })?;
    }
    connection.create_aggregate_function("checksum_total", 1, flags, ChecksumTotal)?;
    connection.create_aggregate_function("one_row", 1, flags, OneRow)
}
