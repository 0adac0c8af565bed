//! Typed operations: how SQLite calls T-SQL's functions.
//!
//! The binder knows the type of every argument, so it writes `op(7, a, b)`, where 7 names an operation with its
//! argument types; one registered function decodes, applies and encodes for all of them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value as Stored;

use super::environment::Environment;
use super::error::{Result, to_sqlite};
use super::values::arithmetic::Operator;
use super::values::convert::Target;
use super::values::storage;
use crate::value::{SqlType, Value};

/// What an operation needs besides its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Note {
    /// Nothing.
    None,
    /// A text: a date part, a collation, a function's name.
    Text(String),
    /// An operator.
    Operator(Operator),
    /// A conversion, and whether a failure gives NULL.
    Convert(Target, bool),
    /// A collation.
    Collation(&'static str),
}

/// A call of an operation.
pub struct Call<'a> {
    /// The operation.
    pub operation: &'a Operation,
    /// What the statement sees.
    pub environment: &'a Environment,
}

/// What an operation does.
pub type Apply = fn(&Call<'_>, &[Value]) -> Result<Value>;

/// An operation with its types.
#[derive(Clone)]
pub struct Operation {
    /// What it does.
    pub apply: Apply,
    /// Types of its arguments.
    pub args: Vec<SqlType>,
    /// Type of its result.
    pub result: SqlType,
    /// What else it needs.
    pub note: Note,
}

impl Call<'_> {
    /// The note's text.
    pub fn text(&self) -> &str {
        match &self.operation.note {
            Note::Text(text) => text,
            Note::Collation(name) => name,
            _ => "",
        }
    }

    /// Type of an argument.
    pub fn arg(&self, at: usize) -> SqlType {
        self.operation.args.get(at).copied().unwrap_or(SqlType::Int)
    }
}

type Key = (usize, Vec<SqlType>, SqlType, Note);

#[derive(Default)]
struct Known {
    list: Vec<Arc<Operation>>,
    ids: HashMap<Key, usize>,
}

/// The operations of a session, and what its running statement sees.
#[derive(Default)]
pub struct Operations {
    known: RwLock<Known>,
    environment: RwLock<Option<Arc<Environment>>>,
}

impl Operations {
    /// The number of an operation; the same one for the same operation.
    pub fn id(&self, operation: Operation) -> usize {
        let key = (operation.apply as usize, operation.args.clone(), operation.result, operation.note.clone());
        if let Some(id) = self.known.read().ids.get(&key) {
            return *id;
        }
        let mut known = self.known.write();
        let id = known.list.len();
        known.list.push(Arc::new(operation));
        known.ids.insert(key, id);
        id
    }

    /// Sets what the next statement sees.
    pub fn enter(&self, environment: Arc<Environment>) {
        *self.environment.write() = Some(environment);
    }

    fn call(&self, context: &Context<'_>) -> rusqlite::Result<Stored> {
        let id: i64 = context.get(0)?;
        let operation = usize::try_from(id).ok().and_then(|id| self.known.read().list.get(id).cloned());
        let (Some(operation), Some(environment)) = (operation, self.environment.read().clone()) else {
            return Err(rusqlite::Error::InvalidQuery);
        };
        let args: Vec<Value> =
            (1..context.len()).map(|at| storage::decode(context.get_raw(at), operation.args[at - 1])).collect();
        let call = Call { operation: &operation, environment: &environment };
        (operation.apply)(&call, &args).map(|value| storage::encode(&value)).map_err(|error| to_sqlite(&error))
    }
}

/// Registers `op` (for what depends on its arguments alone) and `opv` (for NEWID, RAND and their like).
pub fn register(connection: &Connection, operations: &Arc<Operations>) -> rusqlite::Result<()> {
    for (name, flags) in
        [("op", FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC), ("opv", FunctionFlags::SQLITE_UTF8)]
    {
        let operations = Arc::clone(operations);
        connection.create_scalar_function(name, -1, flags, move |context| operations.call(context))?;
    }
    Ok(())
}
