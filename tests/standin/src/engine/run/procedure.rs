//! EXEC: system procedures, those of change data capture, and dynamic SQL.

use std::sync::Arc;

use super::super::bind::Variable;
use super::super::catalog::same;
use super::super::error::{Result, passed_on, unknown_procedure};
use super::super::script::{Argument, Execute};
use super::super::session::SqlSession;
use super::batch::{Step, cast};
use crate::cdc::Outcome;
use crate::session::{Param, Sink};
use crate::value::{SqlError, SqlType, Value};

/// How deep procedures and dynamic SQL may call each other.
const DEPTH: usize = 32;

impl SqlSession {
    /// EXEC as a statement.
    pub fn execute(&mut self, execute: &Execute, sink: &mut dyn Sink) -> Result<Step> {
        let mut params = Vec::new();
        for Argument { name, value, output } in &execute.args {
            let (sql_type, value) = match value {
                Some(value) => self.evaluate_any(value)?,
                None => continue,
            };
            params.push(Param { name: name.clone(), sql_type, value, output: *output });
        }
        let last = execute.name.last().cloned().unwrap_or_default();
        if last.eq_ignore_ascii_case("sp_executesql") {
            let outputs = self.execute_sql(&params, sink)?;
            let Some((step, outputs)) = outputs else { return Ok(Step::End) };
            self.return_outputs(execute, &outputs)?;
            return Ok(step);
        }
        let outcome = self.run_procedure(&execute.name, &params, sink)?;
        let named: Vec<(String, SqlType, Value)> = outcome.outputs.clone();
        self.return_outputs(execute, &named)?;
        if let Some(status) = &execute.status {
            self.assign(status, Value::Int(i64::from(outcome.status)))?;
        }
        Ok(Step::Next)
    }

    /// Gives OUTPUT arguments back to their variables.
    fn return_outputs(&mut self, execute: &Execute, outputs: &[(String, SqlType, Value)]) -> Result<()> {
        for (at, argument) in execute.args.iter().enumerate().filter(|(_, argument)| argument.output) {
            let Some(sqlparser::ast::Expr::Identifier(variable)) = &argument.value else { continue };
            let found = outputs.iter().enumerate().find(|(place, (name, _, _))| {
                if argument.name.is_empty() {
                    place + 2 == at || *place == at
                } else {
                    name.eq_ignore_ascii_case(&argument.name)
                }
            });
            if let Some((_, (_, from, value))) = found {
                let to = self.variables.get(&variable.value.to_lowercase()).map_or(*from, |variable| variable.ty);
                self.assign(&variable.value, cast(value, *from, to)?)?;
            }
        }
        Ok(())
    }

    /// Runs a batch inside another, with variables of its own.
    pub fn nested(&mut self, sql: &str, params: &[Param], sink: &mut dyn Sink) -> Result<Step> {
        if self.depth >= DEPTH {
            return Err(SqlError::new(
                217,
                "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).",
            ));
        }
        let outer = std::mem::take(&mut self.variables);
        self.depth += 1;
        let result = self
            .declare(params)
            .and_then(|()| self.parse(sql))
            .and_then(|statements| self.run_nested(&statements, sink));
        self.depth -= 1;
        let inner = std::mem::replace(&mut self.variables, outer);
        self.last_inner = inner;
        // RETURN ends the inner batch only.
        result.map(|step| if matches!(step, Step::Return(_)) { Step::Next } else { step })
    }

    fn run_nested(&mut self, statements: &[super::super::script::Statement], sink: &mut dyn Sink) -> Result<Step> {
        if self.tries > 0 { self.run_inner(statements, sink) } else { Ok(self.run(statements, sink)) }
    }

    /// `sp_executesql`: text, declarations, values.
    #[expect(
        clippy::type_complexity,
        reason = "the step and the values of OUTPUT parameters, or nothing when the client is gone"
    )]
    fn execute_sql(
        &mut self,
        params: &[Param],
        sink: &mut dyn Sink,
    ) -> Result<Option<(Step, Vec<(String, SqlType, Value)>)>> {
        let missing =
            || SqlError::new(214, "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.").state(2);
        let text = |at: usize| match params.get(at).map(|param| &param.value) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let sql = text(0).ok_or_else(missing)?;
        let mut declared = Vec::new();
        if let Some(list) = text(1).filter(|list| !list.trim().is_empty()) {
            declared = parameter_list(&list)?;
        }
        let mut values = Vec::new();
        for (at, (name, ty, output)) in declared.iter().enumerate() {
            let given = params
                .iter()
                .skip(2)
                .find(|param| param.name.eq_ignore_ascii_case(name))
                .or_else(|| params.get(at + 2).filter(|param| param.name.is_empty()));
            let Some(given) = given else {
                return Err(SqlError::new(
                    8178,
                    format!("The parameterized query '{sql}' expects the parameter '{name}', which was not supplied."),
                ));
            };
            values.push(Param {
                name: name.clone(),
                sql_type: *ty,
                value: cast(&given.value, given.sql_type, *ty)?,
                output: *output,
            });
        }
        if params.len() > declared.len() + 2 {
            return Err(SqlError::new(8144, "Procedure or function has too many arguments specified.").state(2));
        }
        let step = self.nested(&sql, &values, sink)?;
        let inner = std::mem::take(&mut self.last_inner);
        let outputs = values
            .iter()
            .filter(|param| param.output)
            .map(|param| {
                (
                    param.name.clone(),
                    param.sql_type,
                    inner.get(&param.name.to_lowercase()).map_or(Value::Null, |Variable { value, .. }| value.clone()),
                )
            })
            .collect();
        Ok(Some((step, outputs)))
    }

    /// A procedure called by RPC.
    pub fn call_procedure(&mut self, name: &str, params: &[Param], sink: &mut dyn Sink) {
        self.tries = 0;
        self.caught.clear();
        let parts = super::super::functions::meta::split_name(name);
        let result = if parts.last().is_some_and(|last| last.eq_ignore_ascii_case("sp_executesql")) {
            self.execute_sql(params, sink).map(|found| Outcome {
                outputs: found.map(|(_, outputs)| outputs).unwrap_or_default(),
                ..Outcome::default()
            })
        } else {
            self.run_procedure(&parts, params, sink)
        };
        match result {
            Ok(outcome) => {
                for (name, ty, value) in &outcome.outputs {
                    sink.output(name, *ty, value);
                }
                sink.return_status(outcome.status);
            }
            Err(error) => {
                self.error = error.number;
                if self.transaction.count > 0
                    && (self.settings.xact_abort || super::super::error::ends_transaction(&error))
                {
                    self.rollback_all(sink);
                }
                sink.message(&error);
            }
        }
    }

    /// Runs a system procedure and passes on what it gives.
    fn run_procedure(&mut self, name: &[String], params: &[Param], sink: &mut dyn Sink) -> Result<Outcome> {
        let full = name.join(".");
        let (last, before) = name.split_last().ok_or_else(|| unknown_procedure(&full))?;
        let schema = before.last().map_or("", String::as_str);
        if !(schema.is_empty() || same(schema, "sys") || same(schema, "dbo")) {
            return Err(unknown_procedure(&full));
        }
        let database = before.len().checked_sub(2).map(|at| before[at].clone());
        if let Some(database) = database.filter(|database| !same(database, &self.database) && !database.is_empty()) {
            return self.in_database(&database, |session| session.run_procedure(&name[name.len() - 2..], params, sink));
        }
        let lower = last.to_lowercase();
        let environment = self.enter()?;
        let flavour = environment.catalog.state.outside.flavour.as_str();
        if lower == "rds_cdc_enable_db" && flavour == "rds" && same(&self.database, "msdb") {
            let database = params.first().map(|param| &param.value);
            let Some(Value::Text(database)) = database else { return Err(unknown_procedure(&full)) };
            return self.enable_as_master(database);
        }
        if lower == "sp_cdc_enable_db" && flavour == "azure" && environment.in_user_database() {
            return self.enable_as_master(&self.database.clone());
        }
        if environment.in_user_database() && !same(schema, "dbo") {
            if let Some((outcome, roles)) = self.cdc_procedure(&lower, params)? {
                self.make_roles(&roles)?;
                self.pass(&outcome, sink);
                return Ok(outcome);
            }
        } else if lower.starts_with("sp_cdc_") {
            return Err(SqlError::new(
                22_901,
                format!(
                    "The database '{}' is not enabled for Change Data Capture. Ensure that the correct database context is set and retry the operation. To report on the databases enabled for Change Data Capture, query the is_cdc_enabled column in the sys.databases catalog view.",
                    self.database
                ),
            ));
        }
        let outcome = self.system_procedure(&lower, params, sink)?.ok_or_else(|| unknown_procedure(&full))?;
        self.pass(&outcome, sink);
        Ok(outcome)
    }

    /// Runs a procedure of change data capture; gives what it gave and the roles it asks for. Those that change what is
    /// captured of a table take its schema modification lock: they wait for whoever writes.
    fn cdc_procedure(&mut self, name: &str, params: &[Param]) -> Result<Option<(Outcome, Vec<String>)>> {
        let run = |session: &mut Self| {
            let environment = session.enter()?;
            let cdc = Arc::clone(&session.shared.cdc);
            super::outside::hindrance(name, &environment)?;
            let Some(result) = cdc.procedure(name, params, environment.as_ref()) else { return Ok(None) };
            let named = |error: SqlError| if error.procedure.is_empty() { error.procedure(name) } else { error };
            let outcome = result.map_err(named)?;
            let roles = environment.wanted_roles.lock().clone();
            Ok(Some((outcome, roles)))
        };
        let ran = if matches!(name, "sp_cdc_enable_table" | "sp_cdc_disable_table") {
            self.write(false, run)
        } else {
            run(self)
        };
        ran.map_err(|error| passed_on(name, error))
    }

    fn in_database<T>(&mut self, name: &str, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let known = ["master", "tempdb", "model", "msdb", self.shared.database.as_str()];
        let found = known.iter().find(|known| same(known, name)).map(|found| (*found).to_owned());
        let found = found.ok_or_else(|| {
            SqlError::new(
                911,
                format!("Database '{name}' does not exist. Make sure that the name is entered correctly."),
            )
        })?;
        let home = std::mem::replace(&mut self.database, found);
        let result = run(self);
        self.database = home;
        result
    }

    fn pass(&mut self, outcome: &Outcome, sink: &mut dyn Sink) {
        for message in &outcome.messages {
            sink.message(message);
        }
        for result in &outcome.results {
            sink.columns(&result.columns);
            for row in &result.rows {
                sink.row(row);
            }
            self.counted(result.rows.len() as u64, sink);
        }
    }
}

/// The declarations of `sp_executesql`: name, type, OUTPUT.
fn parameter_list(list: &str) -> Result<Vec<(String, SqlType, bool)>> {
    let tokens = super::super::script::lexer::tokens(list, true)?;
    let mut cursor = super::super::script::cursor::Cursor::new(tokens);
    let mut declared = Vec::new();
    loop {
        let name = cursor.variable()?;
        cursor.word("as");
        let ty = cursor.sql_type()?;
        let output = cursor.word("output") || cursor.word("out");
        declared.push((name, ty, output));
        if !cursor.token(&sqlparser::tokenizer::Token::Comma) {
            break;
        }
    }
    if cursor.is_end() { Ok(declared) } else { Err(cursor.error()) }
}
