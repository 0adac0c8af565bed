//! Binding: from sqlparser's tree to typed SQLite SQL, by an allow-list.
//!
//! Every node, function and type must be known as T-SQL; anything else is the server's error.

pub mod aggregate;
pub mod bounds;
mod chain;
pub mod expression;
mod foreign;
pub mod function;
mod literal;
mod order;
pub mod predicate;
pub mod query;
pub mod relation;
pub mod scope;
mod sets;

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::Value as Stored;

use super::environment::Environment;
use super::error::{Result, undeclared};
use super::operation::{Apply, Note, Operation, Operations};
use super::values::convert::{self, Target};
use super::values::{collation, storage, types};
use crate::value::{SqlError, SqlType, Value};
use scope::Scope;

/// How firmly an expression holds its collation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// A literal or variable: takes any other.
    Coercible,
    /// A column.
    Implicit,
    /// COLLATE.
    Explicit,
}

/// A bound expression.
#[derive(Debug, Clone)]
pub struct Bound {
    /// SQLite SQL.
    pub sql: String,
    /// Type.
    pub ty: SqlType,
    /// Whether NULL may come.
    pub nullable: bool,
    /// Collation of text.
    pub collation: (&'static str, Strength),
    /// The literal NULL, which takes any type.
    pub null: bool,
    /// An integer literal: its value, for its exact precision and for ordinals.
    pub literal: Option<i64>,
    /// A bare column: its name, and whether it is an identity.
    pub column: Option<(String, bool)>,
}

impl Bound {
    /// An expression of a type.
    pub fn new(sql: impl Into<String>, ty: SqlType) -> Self {
        Self {
            sql: sql.into(),
            ty,
            nullable: true,
            collation: (collation::DEFAULT, Strength::Coercible),
            null: false,
            literal: None,
            column: None,
        }
    }

    /// The SQL under the collation that comparisons need, if they need one.
    pub fn collated(&self) -> String {
        match self.ty {
            SqlType::DateTimeOffset(_) => format!("{} COLLATE \"{}\"", self.sql, collation::OFFSET),
            ty if types::is_text(ty) => format!("{} COLLATE \"{}\"", self.sql, self.collation.0),
            _ => self.sql.clone(),
        }
    }

    /// Whether varchar in it is UTF-8.
    pub fn utf8(&self) -> bool {
        collation::is_utf8(self.collation.0)
    }
}

/// A variable.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Type.
    pub ty: SqlType,
    /// Value.
    pub value: Value,
}

/// Variables by lower-cased name.
pub type Variables = HashMap<String, Variable>;

/// A relation that must be filled before the statement runs.
#[derive(Debug, Clone)]
pub struct Needed {
    /// The temporary table to fill.
    pub table: String,
    /// What fills it.
    pub source: NeededSource,
    /// Its columns.
    pub columns: Vec<crate::value::Column>,
}

/// What fills a relation.
#[derive(Debug, Clone)]
pub enum NeededSource {
    /// A catalogue view, and whether it is the user database's.
    View(&'static super::views::View, bool),
    /// A table of schema `cdc`.
    Cdc {
        /// Name.
        name: String,
        /// The rows of it that the statement can see.
        seen: bounds::Seen,
    },
    /// A generated CDC function with its arguments as SQL and type.
    CdcFunction {
        /// Name.
        name: String,
        /// Arguments.
        args: Vec<(String, SqlType)>,
    },
}

/// Binds one statement.
pub struct Binder<'a> {
    /// What the statement sees.
    pub environment: &'a Arc<Environment>,
    /// Operations of the session.
    pub operations: &'a Operations,
    /// Variables.
    pub variables: &'a Variables,
    /// Parameters for SQLite, in order.
    pub params: Vec<Stored>,
    /// Scopes, innermost last.
    pub scopes: Vec<Scope>,
    /// CTEs in sight, innermost last.
    pub ctes: Vec<query::BoundCte>,
    /// Relations to fill.
    pub needed: Vec<Needed>,
    next_alias: usize,
    /// Whether only the existence of rows is asked of the SELECT to come.
    existence: bool,
}

impl<'a> Binder<'a> {
    /// A binder for one statement.
    pub fn new(environment: &'a Arc<Environment>, operations: &'a Operations, variables: &'a Variables) -> Self {
        Self {
            environment,
            operations,
            variables,
            params: Vec::new(),
            scopes: Vec::new(),
            ctes: Vec::new(),
            needed: Vec::new(),
            next_alias: 0,
            existence: false,
        }
    }

    /// A new name for a relation.
    pub fn alias(&mut self) -> String {
        self.next_alias += 1;
        format!("a{}", self.next_alias)
    }

    /// A value as SQL: written out where that is safe, a parameter elsewhere.
    pub fn constant(&mut self, value: &Value, ty: SqlType) -> Bound {
        let mut bound = match storage::encode(value) {
            Stored::Null => Bound::new("NULL", ty),
            Stored::Integer(int) => Bound::new(int.to_string(), ty),
            Stored::Text(text) if !text.contains('\0') && text.len() < 4000 => {
                Bound::new(format!("'{}'", text.replace('\'', "''")), ty)
            }
            other => {
                self.params.push(other);
                Bound::new(format!("?{}", self.params.len()), ty)
            }
        };
        bound.nullable = matches!(value, Value::Null);
        bound
    }

    /// A variable's value.
    pub fn variable(&mut self, name: &str) -> Result<Bound> {
        let Variable { ty, value } =
            self.variables.get(&name.to_lowercase()).cloned().ok_or_else(|| undeclared(name))?;
        let mut bound = self.constant(&value, ty);
        bound.nullable = true;
        Ok(bound)
    }

    /// A call of an operation; NULL if any argument is, is the operation's own affair.
    pub fn call(&mut self, apply: Apply, args: &[Bound], result: SqlType, note: Note) -> Bound {
        self.call_named("op", apply, args, result, note)
    }

    /// A call of an operation that may answer differently each time.
    pub fn call_volatile(&mut self, apply: Apply, args: &[Bound], result: SqlType, note: Note) -> Bound {
        self.call_named("opv", apply, args, result, note)
    }

    fn call_named(&mut self, function: &str, apply: Apply, args: &[Bound], result: SqlType, note: Note) -> Bound {
        let operation = Operation { apply, args: args.iter().map(|arg| arg.ty).collect(), result, note };
        let id = self.operations.id(operation);
        let mut sql = format!("{function}({id}");
        for arg in args {
            sql.push_str(", ");
            sql.push_str(&arg.sql);
        }
        sql.push(')');
        let mut bound = Bound::new(sql, result);
        if let Some(text) = args.iter().filter(|arg| types::is_text(arg.ty)).max_by_key(|arg| arg.collation.1) {
            bound.collation = text.collation;
        }
        bound.nullable = args.iter().any(|arg| arg.nullable) || args.is_empty();
        bound
    }

    /// An implicit conversion; 206 or 257 where T-SQL has none.
    pub fn coerce(&mut self, bound: Bound, to: SqlType) -> Result<Bound> {
        if bound.null || storage::same_form(bound.ty, to) {
            return Ok(Bound { ty: to, ..bound });
        }
        if !convert::allowed(bound.ty, to) {
            return Err(SqlError::new(
                206,
                format!("Operand type clash: {} is incompatible with {}", types::name(bound.ty), types::name(to)),
            )
            .state(2));
        }
        if !convert::implicit(bound.ty, to) {
            return Err(SqlError::new(
                257,
                format!(
                    "Implicit conversion from data type {} to {} is not allowed. Use the CONVERT function to run this query.",
                    types::name(bound.ty),
                    types::name(to)
                ),
            )
            .state(3));
        }
        Ok(self.convert(bound, Target::of(to), false))
    }

    /// A conversion, whether T-SQL would do it unasked or not.
    pub fn convert(&mut self, bound: Bound, target: Target, try_convert: bool) -> Bound {
        if bound.null || (storage::same_form(bound.ty, target.ty) && target.style == 0) {
            return Bound { ty: target.ty, literal: None, column: None, ..bound };
        }
        let target = Target { utf8: target.utf8 || bound.utf8(), ..target };
        let (collation, nullable) = (bound.collation, bound.nullable);
        let mut converted = self.call(converted_value, &[bound], target.ty, Note::Convert(target, try_convert));
        converted.nullable = nullable || try_convert;
        converted.collation = collation;
        converted
    }

    /// Two expressions brought to one type and one collation.
    pub fn unify(&mut self, left: Bound, right: Bound) -> Result<(Bound, Bound)> {
        let ty = match (left.null, right.null) {
            (true, _) => right.ty,
            (_, true) => left.ty,
            _ => types::common(left.ty, right.ty),
        };
        let shared = common_collation(&left, &right)?;
        let (mut left, mut right) = (self.coerce(left, ty)?, self.coerce(right, ty)?);
        (left.collation, right.collation) = (shared, shared);
        Ok((left, right))
    }
}

/// The collation in which two expressions meet; 468 if both insist on their own.
pub fn common_collation(left: &Bound, right: &Bound) -> Result<(&'static str, Strength)> {
    if !types::is_text(left.ty) || left.null {
        return Ok(right.collation);
    }
    if !types::is_text(right.ty) || right.null {
        return Ok(left.collation);
    }
    let ((a, firm_a), (b, firm_b)) = (left.collation, right.collation);
    if a == b || firm_a > firm_b {
        return Ok((a, firm_a));
    }
    if firm_b > firm_a || firm_a == Strength::Coercible {
        return Ok((b, firm_b));
    }
    Err(SqlError::new(
        468,
        format!("Cannot resolve the collation conflict between \"{b}\" and \"{a}\" in the equal to operation."),
    )
    .state(9))
}

fn converted_value(call: &super::operation::Call<'_>, args: &[Value]) -> Result<Value> {
    let Note::Convert(target, try_convert) = call.operation.note else { return Ok(Value::Null) };
    match convert::convert(&args[0], call.arg(0), target) {
        // A conversion that T-SQL does not have at all fails under TRY_ too.
        Err(error) if try_convert && error.number != 529 => Ok(Value::Null),
        result => result,
    }
}
