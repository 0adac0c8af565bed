//! Aggregates and window functions.

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, OrderBySort, WindowFrame,
    WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

use super::super::error::{Result, argument_count, keyword, syntax};
use super::super::operation::{Call, Note};
use super::super::values::types;
use super::{Binder, Bound};
use crate::value::{SqlError, SqlType, Value};

/// Whether a name is an aggregate's.
pub fn is_aggregate(name: &str) -> bool {
    matches!(
        name,
        "COUNT"
            | "COUNT_BIG"
            | "SUM"
            | "AVG"
            | "MIN"
            | "MAX"
            | "STRING_AGG"
            | "STDEV"
            | "STDEVP"
            | "VAR"
            | "VARP"
            | "CHECKSUM_AGG"
    )
}

/// Whether a name is a function that needs OVER.
pub fn is_ranking(name: &str) -> bool {
    matches!(
        name,
        "ROW_NUMBER"
            | "RANK"
            | "DENSE_RANK"
            | "NTILE"
            | "LAG"
            | "LEAD"
            | "FIRST_VALUE"
            | "LAST_VALUE"
            | "PERCENT_RANK"
            | "CUME_DIST"
    )
}

fn arguments(function: &Function) -> Result<(Vec<&FunctionArgExpr>, bool)> {
    let FunctionArguments::List(list) = &function.args else { return Err(syntax(")")) };
    if !list.clauses.is_empty() {
        return Err(keyword("ORDER"));
    }
    let distinct = matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct));
    let args = list
        .args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(arg) => Ok(arg),
            other => Err(syntax(other.to_string())),
        })
        .collect::<Result<_>>()?;
    Ok((args, distinct))
}

impl Binder<'_> {
    /// An aggregate, over groups or over a window.
    pub fn aggregate(&mut self, name: &str, function: &Function) -> Result<Bound> {
        let (args, distinct) = arguments(function)?;
        let windowed = function.over.is_some();
        let over = self.over(function.over.as_ref())?;
        if !windowed {
            if self.scopes.last().is_none_or(|scope| scope.inside > 0) && !self.scopes.is_empty() {
                return Err(if self.scope().groups.is_empty() && !self.scope().aggregated {
                    SqlError::new(147, "An aggregate may not appear in the WHERE clause unless it is in a subquery contained in a HAVING clause or a select list, and the column being aggregated is an outer reference.").severity(15)
                } else {
                    SqlError::new(
                        130,
                        "Cannot perform an aggregate function on an expression containing an aggregate or a subquery.",
                    )
                });
            }
            self.scope().aggregated = true;
        }
        if let [FunctionArgExpr::Wildcard] = args.as_slice() {
            let ty = if name == "COUNT_BIG" { SqlType::BigInt } else { SqlType::Int };
            if !matches!(name, "COUNT" | "COUNT_BIG") || distinct {
                return Err(syntax("*"));
            }
            return Ok(Bound { nullable: true, ..Bound::new(format!("count(*){over}"), ty) });
        }
        self.scope().inside += usize::from(!windowed);
        let bound = args
            .iter()
            .map(|arg| match arg {
                FunctionArgExpr::Expr(expr) => self.expression(expr),
                other => Err(syntax(other.to_string())),
            })
            .collect::<Result<Vec<_>>>();
        self.scope().inside -= usize::from(!windowed);
        let bound = bound?;
        if name == "STRING_AGG" {
            return self.string_agg(function, bound, &over);
        }
        if !function.within_group.is_empty() {
            return Err(keyword("WITHIN"));
        }
        let [value] = <[Bound; 1]>::try_from(bound).map_err(|_| argument_count(name, 1))?;
        self.plain_aggregate(name, value, distinct, &over)
    }

    fn plain_aggregate(&mut self, name: &str, value: Bound, distinct: bool, over: &str) -> Result<Bound> {
        let word = if distinct { "DISTINCT " } else { "" };
        let invalid = |ty: SqlType| {
            SqlError::new(
                8117,
                format!("Operand data type {} is invalid for {} operator.", types::name(ty), name.to_lowercase()),
            )
        };
        match name {
            "COUNT" | "COUNT_BIG" => {
                let ty = if name == "COUNT_BIG" { SqlType::BigInt } else { SqlType::Int };
                Ok(Bound::new(format!("count({word}{}){over}", value.collated()), ty))
            }
            "MIN" | "MAX" => {
                if matches!(
                    value.ty,
                    SqlType::Bit
                        | SqlType::Xml
                        | SqlType::Text
                        | SqlType::NText
                        | SqlType::Image
                        | SqlType::Geography
                        | SqlType::Geometry
                ) {
                    return Err(invalid(value.ty));
                }
                let sql = format!("{}({}){over}", name.to_lowercase(), value.collated());
                Ok(Bound { collation: value.collation, ..Bound::new(sql, value.ty) })
            }
            "SUM" | "AVG" => {
                if value.null || !types::is_number(value.ty) || value.ty == SqlType::Bit {
                    return Err(invalid(value.ty));
                }
                Ok(self.total(name, &value, word, over))
            }
            "CHECKSUM_AGG" => {
                let value = self.coerce(value, SqlType::Int)?;
                Ok(Bound::new(format!("checksum_total({word}{}){over}", value.sql), SqlType::Int))
            }
            _ => {
                if !types::is_number(value.ty) || value.ty == SqlType::Bit {
                    return Err(invalid(value.ty));
                }
                let value = self.coerce(value, SqlType::Float)?;
                Ok(Bound::new(format!("{}_of({word}{}){over}", name.to_lowercase(), value.sql), SqlType::Float))
            }
        }
    }

    fn total(&mut self, name: &str, value: &Bound, word: &str, over: &str) -> Bound {
        let (function, ty) = match value.ty {
            SqlType::BigInt => ("total_bigint", SqlType::BigInt),
            SqlType::Money | SqlType::SmallMoney => ("total_money", SqlType::Money),
            SqlType::Real | SqlType::Float => ("total_float", SqlType::Float),
            SqlType::Decimal { scale, .. } | SqlType::Numeric { scale, .. } => {
                ("total_decimal", SqlType::Decimal { precision: 38, scale })
            }
            _ => ("total_int", SqlType::Int),
        };
        if name == "SUM" {
            return Bound::new(format!("{function}({word}{}){over}", value.sql), ty);
        }
        // An average sums in a type that cannot overflow before the count divides it.
        let wide = if function == "total_int" { "total_bigint" } else { function };
        let sum = Bound::new(
            format!("{wide}({word}{}){over}", value.sql),
            if wide == "total_bigint" { SqlType::BigInt } else { ty },
        );
        let count = Bound::new(format!("count({word}{}){over}", value.sql), SqlType::BigInt);
        let result = match ty {
            SqlType::Decimal { scale, .. } => SqlType::Decimal { precision: 38, scale: scale.max(6) },
            other => other,
        };
        self.call(average, &[sum, count], result, Note::None)
    }

    fn string_agg(&mut self, function: &Function, bound: Vec<Bound>, over: &str) -> Result<Bound> {
        let [value, separator] = <[Bound; 2]>::try_from(bound).map_err(|_| argument_count("STRING_AGG", 2))?;
        let ty =
            if types::is_unicode(value.ty) || !types::is_text(value.ty) { SqlType::NVarChar(None) } else { value.ty };
        let value = self.coerce(value, ty)?;
        let separator = self.coerce(separator, SqlType::NVarChar(None))?;
        let mut order = String::new();
        if !function.within_group.is_empty() {
            self.scope().inside += 1;
            let terms = function
                .within_group
                .iter()
                .map(|item| Ok(format!("{}{}", self.expression(&item.expr)?.collated(), descending(item))))
                .collect::<Result<Vec<_>>>();
            self.scope().inside -= 1;
            order = format!(" ORDER BY {}", terms?.join(", "));
        }
        let sql = format!("group_concat({}, {}{order}){over}", value.sql, separator.sql);
        Ok(Bound { collation: value.collation, ..Bound::new(sql, ty) })
    }

    /// `ROW_NUMBER` and its kin.
    pub fn ranking(&mut self, name: &str, function: &Function) -> Result<Bound> {
        let (args, _) = arguments(function)?;
        let Some(WindowType::WindowSpec(spec)) = &function.over else {
            return Err(SqlError::new(10753, format!("The function '{name}' must have an OVER clause.")).severity(15));
        };
        if spec.order_by.is_empty() {
            return Err(SqlError::new(4112, format!("The function '{name}' must have an OVER clause with ORDER BY."))
                .severity(15));
        }
        let over = self.over(function.over.as_ref())?;
        let mut bound = args
            .iter()
            .map(|arg| match arg {
                FunctionArgExpr::Expr(expr) => self.expression(expr),
                other => Err(syntax(other.to_string())),
            })
            .collect::<Result<Vec<_>>>()?;
        let lower = name.to_lowercase();
        let (wanted, ty) = match name {
            "ROW_NUMBER" | "RANK" | "DENSE_RANK" => (0..=0, SqlType::BigInt),
            "PERCENT_RANK" | "CUME_DIST" => (0..=0, SqlType::Float),
            "NTILE" => (1..=1, SqlType::BigInt),
            "LAG" | "LEAD" => (1..=3, bound.first().map_or(SqlType::Int, |value| value.ty)),
            _ => (1..=1, bound.first().map_or(SqlType::Int, |value| value.ty)),
        };
        if !wanted.contains(&bound.len()) {
            return Err(argument_count(name, *wanted.end()));
        }
        if let Some(default) = bound.get(2).cloned() {
            bound[2] = self.coerce(default, ty)?;
        }
        let list: Vec<&str> = bound.iter().map(|bound| bound.sql.as_str()).collect();
        let mut result = Bound::new(format!("{lower}({}){over}", list.join(", ")), ty);
        if let Some(first) = bound.first() {
            result.collation = first.collation;
        }
        result.nullable = !matches!(name, "ROW_NUMBER" | "RANK" | "DENSE_RANK" | "NTILE");
        Ok(result)
    }

    fn over(&mut self, over: Option<&WindowType>) -> Result<String> {
        let Some(over) = over else { return Ok(String::new()) };
        let WindowType::WindowSpec(WindowSpec { window_name: None, partition_by, order_by, window_frame }) = over
        else {
            return Err(syntax("OVER"));
        };
        let mut parts = Vec::new();
        if !partition_by.is_empty() {
            let list =
                partition_by.iter().map(|expr| Ok(self.expression(expr)?.collated())).collect::<Result<Vec<_>>>()?;
            parts.push(format!("PARTITION BY {}", list.join(", ")));
        }
        if !order_by.is_empty() {
            let list = order_by
                .iter()
                .map(|item| {
                    let bound = self.expression(&item.expr)?;
                    if bound.literal.is_some() {
                        return Err(SqlError::new(5308, "Windowed functions, aggregates and NEXT VALUE FOR functions do not support integer indices as ORDER BY clause expressions."));
                    }
                    Ok(format!("{}{}", bound.collated(), descending(item)))
                })
                .collect::<Result<Vec<_>>>()?;
            parts.push(format!("ORDER BY {}", list.join(", ")));
        }
        if let Some(frame) = window_frame {
            parts.push(self.frame(frame)?);
        }
        Ok(format!(" OVER ({})", parts.join(" ")))
    }

    fn frame(&mut self, frame: &WindowFrame) -> Result<String> {
        let units = match frame.units {
            WindowFrameUnits::Rows => "ROWS",
            WindowFrameUnits::Range => "RANGE",
            WindowFrameUnits::Groups => return Err(syntax("GROUPS")),
        };
        let mut bound = |place: &WindowFrameBound| -> Result<String> {
            let count = |binder: &mut Self, expr: &Option<Box<Expr>>| match expr {
                None => Ok("UNBOUNDED".to_owned()),
                Some(expr) => binder.constant_integer(expr).map(|count| count.to_string()),
            };
            Ok(match place {
                WindowFrameBound::CurrentRow => "CURRENT ROW".to_owned(),
                WindowFrameBound::Preceding(expr) => format!("{} PRECEDING", count(self, expr)?),
                WindowFrameBound::Following(expr) => format!("{} FOLLOWING", count(self, expr)?),
            })
        };
        let start = bound(&frame.start_bound)?;
        Ok(match &frame.end_bound {
            Some(end) => format!("{units} BETWEEN {start} AND {}", bound(end)?),
            None => format!("{units} {start}"),
        })
    }
}

fn descending(item: &sqlparser::ast::OrderByExpr) -> &'static str {
    match item.options.sort {
        Some(OrderBySort::Desc) => " DESC",
        _ => "",
    }
}

fn average(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let Value::Int(count) = args[1] else { return Ok(Value::Null) };
    if count == 0 {
        return Ok(Value::Null);
    }
    Ok(match &args[0] {
        Value::Int(sum) => Value::Int(sum / count),
        Value::Money(sum) => Value::Money(sum / count),
        #[expect(clippy::cast_precision_loss, reason = "an average of floats is a float")]
        Value::Float(sum) => Value::Float(sum / count as f64),
        Value::Decimal(sum, scale) => {
            let (_, wanted) = types::exact_facets(call.operation.result);
            let shift = i16::from(wanted) - i16::from(*scale);
            let value = super::super::values::decimal::divide(*sum, i128::from(count), shift)
                .ok_or_else(|| super::super::error::overflow("expression to data type numeric"))?;
            Value::Decimal(value, wanted)
        }
        _ => Value::Null,
    })
}
