//! `sp_executesql` and the prepare family, which become batches with parameters.

use std::collections::HashMap;

use super::declare::{self, Declared};
use super::response::Response;
use super::rpc::Call;
use crate::session::{Param, Session, Sink};
use crate::value::{SqlError, SqlType, Value};

/// Statements a connection has prepared.
#[derive(Debug, Default)]
pub struct Prepared {
    statements: HashMap<i32, Statement>,
    last_handle: i32,
}

#[derive(Debug, Clone)]
struct Statement {
    declared: Vec<Declared>,
    sql: String,
}

impl Prepared {
    /// Forgets all, as a reset connection does.
    pub fn clear(&mut self) {
        self.statements.clear();
    }

    fn keep(&mut self, statement: Statement) -> i32 {
        self.last_handle += 1;
        self.statements.insert(self.last_handle, statement);
        self.last_handle
    }
}

/// Runs a call that belongs here.
///
/// # Errors
/// What the call itself did wrong; errors of its statements go to the response.
pub fn run(
    name: &str,
    call: &Call,
    prepared: &mut Prepared,
    session: &mut dyn Session,
    response: &mut Response<'_>,
) -> Result<(), SqlError> {
    match name {
        "sp_executesql" => {
            let sql = text(call, 0, "sp_executesql", "statement")?;
            let declared = declarations(call.params.get(1))?;
            let passed = call.params.get(2..).unwrap_or_default();
            execute(&declared, passed, &sql, session, response)
        }
        "sp_prepare" => {
            let statement =
                Statement { declared: declarations(call.params.get(1))?, sql: text(call, 2, "sp_prepare", "stmt")? };
            describe(&statement, session, response)?;
            let handle = prepared.keep(statement);
            response.output(&handle_name(call), SqlType::Int, &Value::Int(handle.into()));
            Ok(())
        }
        "sp_prepexec" => {
            let statement =
                Statement { declared: declarations(call.params.get(1))?, sql: text(call, 2, "sp_prepexec", "stmt")? };
            let handle = prepared.keep(statement.clone());
            // The handle comes first among the outputs, as it does among the parameters.
            response.output(&handle_name(call), SqlType::Int, &Value::Int(handle.into()));
            let passed = call.params.get(3..).unwrap_or_default();
            execute(&statement.declared, passed, &statement.sql, session, response)
        }
        "sp_execute" => {
            let handle = handle(call)?;
            let statement = prepared.statements.get(&handle).cloned().ok_or_else(|| unknown_handle(handle))?;
            execute(&statement.declared, &call.params[1..], &statement.sql, session, response)
        }
        _ => {
            let handle = handle(call)?;
            prepared.statements.remove(&handle).map(|_| ()).ok_or_else(|| unknown_handle(handle))
        }
    }
}

/// Whether a procedure belongs here.
pub fn knows(name: &str) -> bool {
    matches!(name, "sp_executesql" | "sp_prepare" | "sp_prepexec" | "sp_execute" | "sp_unprepare")
}

fn execute(
    declared: &[Declared],
    passed: &[Param],
    sql: &str,
    session: &mut dyn Session,
    response: &mut Response<'_>,
) -> Result<(), SqlError> {
    let params = declare::bind(declared, passed, sql)?;
    session.batch(sql, &params, response);
    response.return_status(response.last_error());
    Ok(())
}

fn describe(statement: &Statement, session: &mut dyn Session, response: &mut Response<'_>) -> Result<(), SqlError> {
    let params: Vec<Param> = statement
        .declared
        .iter()
        .map(|known| Param {
            name: known.name.clone(),
            sql_type: known.sql_type,
            value: Value::Null,
            output: known.output,
        })
        .collect();
    match session.describe(&statement.sql, &params) {
        Ok(Some(columns)) => {
            response.columns(&columns);
            response.done(None);
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error) => {
            response.message(&error);
            Err(SqlError::new(8180, "Statement(s) could not be prepared."))
        }
    }
}

fn handle_name(call: &Call) -> String {
    call.params.first().map(|param| param.name.clone()).unwrap_or_default()
}

fn handle(call: &Call) -> Result<i32, SqlError> {
    match call.params.first().map(|param| &param.value) {
        Some(Value::Int(handle)) => i32::try_from(*handle).map_err(|_| unknown_handle(0)),
        _ => Err(unknown_handle(0)),
    }
}

fn unknown_handle(handle: i32) -> SqlError {
    SqlError::new(8179, format!("Could not find prepared statement with handle {handle}."))
}

/// The text a procedure expects at a place.
///
/// # Errors
/// 214 when something else is there.
pub fn text(call: &Call, index: usize, procedure: &str, parameter: &str) -> Result<String, SqlError> {
    match call.params.get(index).map(|param| &param.value) {
        Some(Value::Text(text)) => Ok(text.clone()),
        _ => Err(SqlError::new(
            214,
            format!("Procedure expects parameter '@{parameter}' of type 'ntext/nchar/nvarchar'."),
        )
        .state(2)
        .procedure(procedure)),
    }
}

/// The declarations in a parameter; none when it is absent or NULL.
///
/// # Errors
/// Text that is no declaration.
pub fn declarations(param: Option<&Param>) -> Result<Vec<Declared>, SqlError> {
    match param.map(|param| &param.value) {
        Some(Value::Text(text)) => declare::parse(text),
        _ => Ok(Vec::new()),
    }
}
