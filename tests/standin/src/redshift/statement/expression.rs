//! Expressions: what is allowed, and the rewriting.

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, UnaryOperator, Value,
};

use super::cursor::Cursor;
use super::functions;
use crate::redshift::SCHEMA;
use crate::redshift::error::SqlError;
use crate::redshift::lexer;
use crate::redshift::name::Names;
use crate::redshift::types::Type;

/// Refuses what Redshift has not, and rewrites what the server below has otherwise.
pub fn check(expression: &mut Expr) -> Result<(), SqlError> {
    match expression {
        Expr::Identifier(name) if name.quote_style.is_none() && name.value == "sysdate" => {
            *expression = call("redshift_standin.sysdate", Vec::new());
        }
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Between { .. }
        | Expr::Like { any: false, .. }
        | Expr::ILike { any: false, .. }
        | Expr::SimilarTo { .. }
        | Expr::Extract { .. }
        | Expr::Ceil { .. }
        | Expr::Floor { .. }
        | Expr::Position { .. }
        | Expr::Substring { .. }
        | Expr::Trim { .. }
        | Expr::Nested(_)
        | Expr::Case { .. }
        | Expr::Exists { .. }
        | Expr::Subquery(_)
        | Expr::Tuple(_)
        | Expr::AtTimeZone { .. }
        | Expr::Interval(_) => {}
        Expr::AnyOp { .. } | Expr::AllOp { .. } | Expr::Array(_) => {
            return Err(SqlError::unsupported("arrays are not supported"));
        }
        Expr::UnaryOp { op, .. } => check_unary(*op)?,
        Expr::BinaryOp { op, .. } => check_binary(op)?,
        Expr::Value(value) => {
            if let Value::SingleQuotedString(text) = &value.value {
                // Written with escapes: what is printed as it came could end the literal early.
                value.value = Value::EscapedStringLiteral(text.clone());
            }
        }
        Expr::TypedString(typed) => {
            if let Value::SingleQuotedString(text) = &typed.value.value {
                typed.value.value = Value::EscapedStringLiteral(text.clone());
            }
            below(&typed.data_type)?;
        }
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, format: None, expr, data_type } => {
            let inner = std::mem::replace(&mut **expr, Expr::value(Value::Null));
            *expression = cast(Box::new(inner), data_type)?;
        }
        Expr::Function(function) => check_function(function)?,
        other => return Err(SqlError::syntax(&other.to_string())),
    }
    Ok(())
}

fn check_unary(op: UnaryOperator) -> Result<(), SqlError> {
    match op {
        UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not | UnaryOperator::BitwiseNot => Ok(()),
        other => Err(SqlError::syntax(&other.to_string())),
    }
}

fn check_binary(op: &BinaryOperator) -> Result<(), SqlError> {
    use BinaryOperator as Op;
    match op {
        Op::Plus
        | Op::Minus
        | Op::Multiply
        | Op::Divide
        | Op::Modulo
        | Op::StringConcat
        | Op::Gt
        | Op::Lt
        | Op::GtEq
        | Op::LtEq
        | Op::Eq
        | Op::NotEq
        | Op::And
        | Op::Or
        | Op::BitwiseOr
        | Op::BitwiseAnd
        | Op::PGBitwiseXor
        | Op::PGBitwiseShiftLeft
        | Op::PGBitwiseShiftRight
        | Op::PGRegexMatch
        | Op::PGRegexNotMatch
        | Op::PGExp => Ok(()),
        other => Err(SqlError::syntax(&other.to_string())),
    }
}

/// Reads a type as Redshift's.
pub fn declared(data_type: &DataType) -> Result<Type, SqlError> {
    let text = data_type.to_string();
    if text.ends_with(']') {
        return Err(SqlError::unsupported("arrays are not supported"));
    }
    let tokens = lexer::tokens(&text, Names::default())?;
    let mut cursor = Cursor::new(&tokens);
    let declared = Type::parse(&mut cursor)?;
    cursor.end()?;
    Ok(declared)
}

fn below(data_type: &DataType) -> Result<String, SqlError> {
    declared(data_type).map(Type::below)
}

/// A cast: characters are cut to the bytes that are declared, wide decimals held to eight bytes.
fn cast(inner: Box<Expr>, data_type: &DataType) -> Result<Expr, SqlError> {
    if matches!(data_type.to_string().to_ascii_lowercase().as_str(), "regclass" | "oid" | "name") {
        return Ok(to(inner, &data_type.to_string().to_ascii_lowercase()));
    }
    let declared = declared(data_type)?;
    let text = |inner| Box::new(to(inner, "varchar"));
    Ok(match declared {
        Type::Varchar(bytes) => {
            to(Box::new(call(&format!("{SCHEMA}.cut"), vec![*text(inner), number(bytes)])), "varchar")
        }
        Type::Char(bytes) => {
            to(Box::new(call(&format!("{SCHEMA}.cut"), vec![*text(inner), number(bytes)])), &declared.below())
        }
        Type::Decimal(19, scale) => {
            call(&format!("{SCHEMA}.eight_bytes"), vec![to(inner, &declared.below()), number(scale)])
        }
        _ => to(inner, &declared.below()),
    })
}

fn number(number: u32) -> Expr {
    Expr::value(Value::Number(number.to_string(), false))
}

fn to(inner: Box<Expr>, below: &str) -> Expr {
    let name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(below))]);
    Expr::Cast { kind: CastKind::Cast, expr: inner, data_type: DataType::Custom(name, Vec::new()), format: None }
}

/// A call of a function below.
pub fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    Expr::Function(Function {
        name: named(name),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(sqlparser::ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn named(name: &str) -> ObjectName {
    ObjectName(name.split('.').map(|part| ObjectNamePart::Identifier(Ident::new(part))).collect())
}

fn check_function(function: &mut Function) -> Result<(), SqlError> {
    let parts: Vec<_> =
        function.name.0.iter().filter_map(ObjectNamePart::as_ident).map(|part| part.value.clone()).collect();
    let name = match parts.as_slice() {
        [schema, name] if schema == "pg_catalog" => name.clone(),
        [name] => name.clone(),
        _ => parts.join("."),
    };
    if function.filter.is_some() || !matches!(function.parameters, FunctionArguments::None) || function.uses_odbc_syntax
    {
        return Err(SqlError::syntax(&function.to_string()));
    }
    if matches!(name.as_str(), "current_date" | "current_timestamp" | "current_time" | "localtime" | "localtimestamp") {
        return Ok(());
    }
    if matches!(name.as_str(), "dateadd" | "datediff") {
        return date_arithmetic(function, &name);
    }
    let below =
        functions::below(&name).ok_or_else(|| SqlError::new("42883", format!("function {name}() does not exist")))?;
    if name == "listagg" {
        return aggregate_list(function);
    }
    if below != name {
        function.name = named(below);
    }
    Ok(())
}

/// `DATEADD(day, 1, x)`: the unit is a bare word.
fn date_arithmetic(function: &mut Function, name: &str) -> Result<(), SqlError> {
    if let FunctionArguments::List(list) = &mut function.args
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(unit))) = list.args.first_mut()
        && let Expr::Identifier(word) = unit
    {
        *unit = Expr::value(Value::EscapedStringLiteral(word.value.clone()));
        function.name = named(&format!("{SCHEMA}.{name}"));
        return Ok(());
    }
    Err(SqlError::syntax(&function.to_string()))
}

/// `LISTAGG(x, ',') WITHIN GROUP (ORDER BY y)`.
fn aggregate_list(function: &mut Function) -> Result<(), SqlError> {
    let order = std::mem::take(&mut function.within_group);
    let FunctionArguments::List(list) = &mut function.args else {
        return Err(SqlError::syntax(&function.to_string()));
    };
    if !order.is_empty() {
        list.clauses.push(sqlparser::ast::FunctionArgumentClause::OrderBy(order));
    }
    if list.args.len() == 1 {
        let empty = Expr::value(Value::EscapedStringLiteral(String::new()));
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(empty)));
    }
    function.name = named("string_agg");
    Ok(())
}
