//! Functions by name.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value as Literal};

use super::super::catalog::same;
use super::super::error::{Result, argument_count, invalid_object, syntax, unknown_function};
use super::super::functions;
use super::super::operation::{Call, Note};
use super::super::values::types;
use super::aggregate::{is_aggregate, is_ranking};
use super::expression::common_of;
use super::relation::names;
use super::{Binder, Bound};
use crate::value::{SqlError, SqlType, Value};

impl Binder<'_> {
    /// A function call.
    pub fn function(&mut self, function: &Function) -> Result<Bound> {
        let Function { name, uses_odbc_syntax: _, parameters, args, within_group, filter, null_treatment, over } =
            function;
        let names = names(name)?;
        if !matches!(parameters, FunctionArguments::None) || filter.is_some() || null_treatment.is_some() {
            return Err(syntax("("));
        }
        let upper = names.last().map(|name| name.to_uppercase()).unwrap_or_default();
        if names.len() == 1 && is_aggregate(&upper) {
            return self.aggregate(&upper, function);
        }
        if names.len() == 1 && is_ranking(&upper) {
            return self.ranking(&upper, function);
        }
        if over.is_some() || !within_group.is_empty() {
            return Err(unknown_function(&upper));
        }
        let list = match args {
            FunctionArguments::None => Vec::new(),
            FunctionArguments::Subquery(_) => return Err(syntax("SELECT")),
            FunctionArguments::List(list) => {
                if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
                    return Err(syntax(&upper));
                }
                list.args
                    .iter()
                    .map(|arg| match arg {
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
                        other => Err(syntax(other.to_string())),
                    })
                    .collect::<Result<Vec<_>>>()?
            }
        };
        if names.len() > 1 {
            return self.qualified_function(&names, &list);
        }
        self.plain_function(&upper, &list).map_err(|error| {
            let written = names.last().map_or("", String::as_str);
            if error.number == 195 && error.message.contains(&format!("'{upper}'")) {
                unknown_function(written)
            } else {
                error
            }
        })
    }

    /// `sys.fn_…`.
    fn qualified_function(&mut self, names: &[String], args: &[&Expr]) -> Result<Bound> {
        let full = names.join(".");
        let (last, before) = names.split_last().ok_or_else(|| invalid_object(&full))?;
        if !before.last().is_some_and(|schema| same(schema, "sys")) {
            return Err(SqlError::new(
                4121,
                format!(
                    "Cannot find either column \"{}\" or the user-defined function or aggregate \"{full}\", or the name is ambiguous.",
                    names[0]
                ),
            ));
        }
        let bound = args.iter().map(|arg| self.expression(arg)).collect::<Result<Vec<_>>>()?;
        if same(last, "fn_varbintohexstr") || same(last, "fn_varbintohexsubstring") {
            let text = bound.into_iter().next().ok_or_else(|| argument_count(last, 1))?;
            return Ok(self.call(functions::meta::hex_text, &[text], SqlType::NVarChar(None), Note::None));
        }
        let lower = last.to_lowercase();
        let Some(ty) = self.environment.shared.cdc.function_type(&lower, bound.len()) else {
            return Err(SqlError::new(
                4121,
                format!(
                    "Cannot find either column \"{}\" or the user-defined function or aggregate \"{full}\", or the name is ambiguous.",
                    names[0]
                ),
            ));
        };
        Ok(self.call_volatile(functions::meta::cdc_function, &bound, ty, Note::Text(lower)))
    }

    fn plain_function(&mut self, name: &str, args: &[&Expr]) -> Result<Bound> {
        match name {
            "IIF" => {
                let [test, yes, no] = args else { return Err(argument_count(name, 3)) };
                let test = self.predicate(test)?;
                let (yes, no) = (self.expression(yes)?, self.expression(no)?);
                self.choice(&[test], vec![yes, no])
            }
            "COALESCE" => {
                let bound = self.expressions(args)?;
                if bound.is_empty() {
                    return Err(syntax(")"));
                }
                let (ty, collation) = common_of(&bound)?;
                if bound.iter().all(|bound| bound.null) {
                    return Err(SqlError::new(
                        4127,
                        "At least one of the arguments to COALESCE must be an expression that is not the NULL constant.",
                    ));
                }
                let nullable = bound.iter().all(|bound| bound.nullable);
                let list =
                    bound.into_iter().map(|bound| Ok(self.coerce(bound, ty)?.sql)).collect::<Result<Vec<_>>>()?;
                let sql = if list.len() == 1 { list[0].clone() } else { format!("coalesce({})", list.join(", ")) };
                Ok(Bound { nullable, collation, ..Bound::new(sql, ty) })
            }
            "ISNULL" => {
                let [first, second] =
                    <[Bound; 2]>::try_from(self.expressions(args)?).map_err(|_| argument_count(name, 2))?;
                let ty = if first.null { second.ty } else { first.ty };
                let (collation, nullable) =
                    (if first.null { second.collation } else { first.collation }, first.nullable && second.nullable);
                let second = if types::is_text(ty) && types::is_text(second.ty) {
                    self.convert(second, super::super::values::convert::Target::of(ty), false)
                } else {
                    self.coerce(second, ty)?
                };
                Ok(Bound { nullable, collation, ..Bound::new(format!("ifnull({}, {})", first.sql, second.sql), ty) })
            }
            "NULLIF" => {
                let [first, second] =
                    <[Bound; 2]>::try_from(self.expressions(args)?).map_err(|_| argument_count(name, 2))?;
                let test = self.compare(first.clone(), "=", second)?;
                Ok(Bound {
                    nullable: true,
                    column: None,
                    sql: format!("CASE WHEN {test} THEN NULL ELSE {} END", first.sql),
                    ..first
                })
            }
            "CHOOSE" => {
                let mut bound = self.expressions(args)?;
                if bound.len() < 2 {
                    return Err(argument_count(name, 2));
                }
                let index = bound.remove(0);
                let index = self.coerce(index, SqlType::Int)?;
                let tests: Vec<String> = (1..=bound.len()).map(|at| format!("({} = {at})", index.sql)).collect();
                self.choice(&tests, bound)
            }
            "DATEADD" | "DATEDIFF" | "DATEDIFF_BIG" | "DATEPART" | "DATENAME" | "DATETRUNC" => {
                self.date_function(name, args)
            }
            _ => {
                let bound = self.expressions(args)?;
                self.named_function(name, bound)
            }
        }
    }

    fn expressions(&mut self, args: &[&Expr]) -> Result<Vec<Bound>> {
        args.iter().map(|arg| self.expression(arg)).collect()
    }

    /// CASE over conditions; a result without condition is ELSE.
    fn choice(&mut self, tests: &[String], results: Vec<Bound>) -> Result<Bound> {
        if results.iter().all(|result| result.null) {
            return Err(SqlError::new(
                8133,
                "At least one of the result expressions in a CASE specification must be an expression other than the NULL constant.",
            ));
        }
        let (ty, collation) = common_of(&results)?;
        let nullable = results.len() == tests.len() || results.iter().any(|bound| bound.nullable);
        let mut sql = "CASE".to_owned();
        for (at, result) in results.into_iter().enumerate() {
            let result = self.coerce(result, ty)?.sql;
            match tests.get(at) {
                Some(test) => sql = format!("{sql} WHEN {test} THEN {result}"),
                None => sql = format!("{sql} ELSE {result}"),
            }
        }
        Ok(Bound { nullable, collation, ..Bound::new(sql + " END", ty) })
    }

    fn date_function(&mut self, name: &str, args: &[&Expr]) -> Result<Bound> {
        let wanted = match name {
            "DATEPART" | "DATENAME" | "DATETRUNC" => 2,
            _ => 3,
        };
        if args.len() != wanted {
            return Err(argument_count(name, wanted));
        }
        let part = match args[0] {
            Expr::Identifier(ident) if ident.quote_style.is_none() => ident.value.to_lowercase(),
            Expr::Value(value) if matches!(value.value, Literal::SingleQuotedString(_)) => {
                return Err(SqlError::new(1023, format!("Invalid parameter 1 specified for {}.", name.to_lowercase()))
                    .severity(15));
            }
            other => other.to_string().to_lowercase(),
        };
        let part = functions::date::part(&part).ok_or_else(|| {
            SqlError::new(155, format!("'{part}' is not a recognized {} option.", name.to_lowercase())).severity(15)
        })?;
        let mut bound = self.expressions(&args[1..])?;
        let note = Note::Text(part.to_owned());
        match name {
            "DATEADD" => {
                let moment = bound.pop().ok_or_else(|| argument_count(name, 3))?;
                let count = bound.pop().ok_or_else(|| argument_count(name, 3))?;
                let count = self.convert(count, super::super::values::convert::Target::of(SqlType::BigInt), false);
                let moment = self.as_moment(moment)?;
                let ty = moment.ty;
                Ok(self.call(functions::date::add, &[count, moment], ty, note))
            }
            "DATEPART" | "DATENAME" => {
                let moment = bound.pop().ok_or_else(|| argument_count(name, 2))?;
                let moment = self.as_moment(moment)?;
                let (apply, ty): (super::super::operation::Apply, SqlType) = if name == "DATEPART" {
                    (functions::date::part_of, SqlType::Int)
                } else {
                    (functions::date::name_of, SqlType::NVarChar(Some(30)))
                };
                Ok(self.call(apply, &[moment], ty, note))
            }
            "DATETRUNC" => {
                let moment = bound.pop().ok_or_else(|| argument_count(name, 2))?;
                let moment = self.as_moment(moment)?;
                let ty = moment.ty;
                Ok(self.call(functions::date::truncate, &[moment], ty, note))
            }
            _ => {
                let moments = bound.into_iter().map(|bound| self.as_moment(bound)).collect::<Result<Vec<_>>>()?;
                let ty = if name == "DATEDIFF" { SqlType::Int } else { SqlType::BigInt };
                Ok(self.call(functions::date::difference, &moments, ty, note))
            }
        }
    }

    /// A date or time: text becomes datetime2, a number datetime.
    pub fn as_moment(&mut self, bound: Bound) -> Result<Bound> {
        if types::is_temporal(bound.ty) && !bound.null {
            return Ok(bound);
        }
        let ty = if bound.null || types::is_number(bound.ty) { SqlType::DateTime } else { SqlType::DateTime2(7) };
        self.coerce(bound, ty)
    }

    /// A function all of whose arguments are values.
    pub fn named_function(&mut self, name: &str, args: Vec<Bound>) -> Result<Bound> {
        let Some(signature) = functions::find(name) else { return Err(unknown_function(&name.replace("_OF", ""))) };
        let (least, most) = signature.count;
        if args.len() < least || args.len() > most {
            return Err(if least == most {
                argument_count(name, least)
            } else {
                SqlError::new(
                    189,
                    format!("The {} function requires {least} to {most} arguments.", name.to_lowercase()),
                )
                .severity(15)
            });
        }
        (signature.bind)(self, name, args)
    }

    /// Calls an operation with its arguments brought to some types; `None` leaves one as it is.
    pub fn call_with(
        &mut self,
        apply: super::super::operation::Apply,
        args: Vec<Bound>,
        wanted: &[Option<SqlType>],
        result: SqlType,
        note: Note,
    ) -> Result<Bound> {
        let mut converted = Vec::new();
        for (at, arg) in args.into_iter().enumerate() {
            converted.push(match wanted.get(at).copied().flatten() {
                Some(ty) => self.coerce(arg, ty)?,
                None => arg,
            });
        }
        Ok(self.call(apply, &converted, result, note))
    }

    /// `@@NAME`.
    pub fn global(&mut self, name: &str) -> Result<Bound> {
        let (value, ty) = functions::meta::global(self.environment, &name.to_uppercase())
            .ok_or_else(|| super::super::error::undeclared(name))?;
        let mut bound = self.constant(&value, ty);
        bound.nullable = true;
        Ok(bound)
    }
}

/// NULL arguments give NULL: for operations that have no other way with them.
pub fn any_null(args: &[Value]) -> bool {
    args.iter().any(|value| matches!(value, Value::Null))
}

/// An argument's integer.
pub fn integer(args: &[Value], at: usize) -> i64 {
    match args.get(at) {
        Some(Value::Int(int)) => *int,
        Some(Value::Bit(bit)) => i64::from(*bit),
        _ => 0,
    }
}

/// An argument's text.
pub fn text<'a>(args: &'a [Value], at: usize, _: &Call<'_>) -> &'a str {
    match args.get(at) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}
