//! Batches: one statement after the other, control flow, and what an error ends.

use sqlparser::ast::Expr;

use super::super::bind::Variable;
use super::super::catalog::same;
use super::super::error::{Result, ends_batch, ends_transaction};
use super::super::script::{self, Declaration, DeclaredKind, Kind, Statement};
use super::super::session::SqlSession;
use super::super::values::convert::Target;
use super::super::values::types;
use crate::session::{Flow, Param, Sink};
use crate::value::{Column, SqlError, SqlType, Value};

/// Where to go on after a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// At the next one.
    Next,
    /// Past the loop.
    Break,
    /// At the loop's condition.
    Continue,
    /// Past the batch, with a status.
    Return(i32),
    /// Past everything: an error ended it, or the client is gone.
    End,
}

impl SqlSession {
    /// Runs a batch with its parameters as variables.
    pub fn run_batch(&mut self, sql: &str, params: &[Param], sink: &mut dyn Sink) {
        self.tries = 0;
        self.caught.clear();
        let statements = self.declare(params).and_then(|()| self.parse(sql));
        match statements {
            Ok(statements) => {
                self.run(&statements, sink);
                if self.transaction.doomed {
                    self.rollback_all(sink);
                    sink.message(&SqlError::new(3998, "Uncommittable transaction is detected at the end of the batch. The transaction is rolled back."));
                }
            }
            Err(error) => self.report(&error, sink),
        }
        self.drop_table_variables();
    }

    /// Parses a batch.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>> {
        let known: Vec<String> = self.variables.keys().cloned().collect();
        script::parse(sql, self.settings.options.contains("QUOTED_IDENTIFIER"), &known)
    }

    /// Runs statements and says how they ended, errors already told.
    pub fn run(&mut self, statements: &[Statement], sink: &mut dyn Sink) -> Step {
        match self.run_list(statements, sink) {
            Ok(step) => step,
            Err(error) => {
                self.report(&error, sink);
                Step::End
            }
        }
    }

    /// Runs statements inside TRY: errors go to its CATCH.
    pub fn run_inner(&mut self, statements: &[Statement], sink: &mut dyn Sink) -> Result<Step> {
        self.run_list(statements, sink)
    }

    fn report(&mut self, error: &SqlError, sink: &mut dyn Sink) {
        self.error = error.number;
        sink.message(error);
    }

    fn run_list(&mut self, statements: &[Statement], sink: &mut dyn Sink) -> Result<Step> {
        for statement in statements {
            if sink.poll() == Flow::Stop {
                return Ok(Step::End);
            }
            let mut error = match self.statement(statement, sink) {
                Ok(Step::Next) => continue,
                Ok(step) => return Ok(step),
                Err(error) => error,
            };
            if error.line <= 1 {
                error.line = statement.line;
            }
            if self.tries > 0 {
                return Err(error);
            }
            let everything = self.settings.xact_abort && error.number != 50_000;
            if self.transaction.count > 0 && (everything || ends_transaction(&error)) {
                self.rollback_all(sink);
            }
            let ends = everything || ends_batch(&error);
            self.report(&error, sink);
            if ends {
                return Ok(Step::End);
            }
            sink.done(None);
        }
        Ok(Step::Next)
    }

    fn statement(&mut self, statement: &Statement, sink: &mut dyn Sink) -> Result<Step> {
        if self.settings.no_exec && !matches!(statement.kind, Kind::SetOption { .. }) {
            return Ok(Step::Next);
        }
        let step = self.perform(statement, sink)?;
        // What a statement leaves in @@ERROR is 0, unless it only looked at it.
        if !matches!(
            statement.kind,
            Kind::Declare(_)
                | Kind::If { .. }
                | Kind::While { .. }
                | Kind::Block(_)
                | Kind::Try { .. }
                | Kind::RaisError(_)
        ) {
            self.error = 0;
        }
        Ok(step)
    }

    fn perform(&mut self, statement: &Statement, sink: &mut dyn Sink) -> Result<Step> {
        match &statement.kind {
            Kind::Query(query) => self.select_statement(query, sink)?,
            Kind::Insert(insert) => self.insert_statement(insert, sink)?,
            Kind::Update(update) => self.update_statement(update, sink)?,
            Kind::Delete(delete) => self.delete_statement(delete, sink)?,
            Kind::Merge(merge) => self.merge_statement(merge, sink)?,
            Kind::Declare(list) => self.declare_all(list)?,
            Kind::SetVariable { name, operator, value } => {
                let value = match operator {
                    None => self.evaluate_for(value, name)?,
                    Some(operator) => self.evaluate_compound(name, *operator, value)?,
                };
                self.assign(name, value)?;
                self.row_count = 1;
            }
            Kind::SetOption { names, value } => {
                for name in names {
                    self.set_option(name, value)?;
                }
                sink.done(None);
            }
            Kind::SetIsolation(level) => {
                if *level == 5 && self.transaction.open && self.settings.isolation != 5 {
                    return Err(SqlError::new(
                        3951,
                        format!(
                            "Transaction failed in database '{}' because the statement was run under snapshot isolation but the transaction did not start in snapshot isolation.",
                            self.database
                        ),
                    ));
                }
                self.settings.isolation = *level;
                sink.done(None);
            }
            Kind::SetIdentityInsert { table, on } => {
                self.set_identity_insert(table, *on)?;
                sink.done(None);
            }
            Kind::If { condition, then, otherwise } => {
                if self.condition(condition)? {
                    return self.inner(then, sink);
                } else if let Some(otherwise) = otherwise {
                    return self.inner(otherwise, sink);
                }
            }
            Kind::While { condition, body } => return self.while_loop(condition, body, sink),
            Kind::Block(statements) => return self.run_list(statements, sink),
            Kind::Try { body, catch } => return self.try_catch(body, catch, sink),
            Kind::Break => return Ok(Step::Break),
            Kind::Continue => return Ok(Step::Continue),
            Kind::Return(value) => {
                let status = match value {
                    Some(value) => match self.evaluate(value, SqlType::Int)? {
                        Value::Int(status) => i32::try_from(status).unwrap_or_default(),
                        _ => 0,
                    },
                    None => 0,
                };
                return Ok(Step::Return(status));
            }
            Kind::Execute(execute) => return self.execute(execute, sink),
            Kind::ExecuteText(parts) => {
                let mut text = String::new();
                for part in parts {
                    if let Value::Text(part) = self.evaluate(part, SqlType::NVarChar(None))? {
                        text.push_str(&part);
                    }
                }
                return self.nested(&text, &[], sink);
            }
            _ => return self.perform_other(statement, sink),
        }
        Ok(Step::Next)
    }

    fn perform_other(&mut self, statement: &Statement, sink: &mut dyn Sink) -> Result<Step> {
        match &statement.kind {
            Kind::Print(value) => {
                let text = match self.evaluate(value, SqlType::NVarChar(None))? {
                    Value::Text(text) => text,
                    _ => " ".to_owned(),
                };
                let mut message = SqlError::new(0, text).severity(0);
                message.line = statement.line;
                sink.message(&message);
            }
            Kind::Throw(args) => {
                let mut error = self.thrown(args.as_deref())?;
                error.line = statement.line;
                if self.tries > 0 {
                    return Err(error);
                }
                // Unlike RAISERROR, THROW ends the batch.
                if self.settings.xact_abort {
                    self.rollback_all(sink);
                }
                self.report(&error, sink);
                return Ok(Step::End);
            }
            Kind::RaisError(args) => self.raise_error(args, statement.line, sink)?,
            Kind::WaitFor(delay) => return self.wait(delay, sink),
            Kind::Use(name) => self.use_database(name, sink)?,
            Kind::Begin(name) => {
                self.begin(name.clone(), sink);
                sink.done(None);
            }
            Kind::Commit => {
                self.commit(sink)?;
                sink.done(None);
            }
            Kind::Rollback(to) => {
                self.rollback(to.as_ref(), sink)?;
                sink.done(None);
            }
            Kind::Save(name) => {
                self.save(name)?;
                sink.done(None);
            }
            Kind::Reconfigure | Kind::Checkpoint => {
                sink.done(None);
            }
            Kind::Kill(spid) => {
                return Err(SqlError::new(6106, format!("Process ID {spid} is not an active process ID.")));
            }
            _ => {
                self.begin_implicit(sink);
                self.define(statement, sink)?;
                self.row_count = 0;
                sink.done(None);
            }
        }
        Ok(Step::Next)
    }

    fn inner(&mut self, statement: &Statement, sink: &mut dyn Sink) -> Result<Step> {
        self.run_list(std::slice::from_ref(statement), sink)
    }

    fn while_loop(&mut self, condition: &Expr, body: &Statement, sink: &mut dyn Sink) -> Result<Step> {
        while self.condition(condition)? {
            if sink.poll() == Flow::Stop {
                return Ok(Step::End);
            }
            match self.inner(body, sink)? {
                Step::Next | Step::Continue => {}
                Step::Break => break,
                step => return Ok(step),
            }
        }
        Ok(Step::Next)
    }

    fn try_catch(&mut self, body: &[Statement], catch: &[Statement], sink: &mut dyn Sink) -> Result<Step> {
        self.tries += 1;
        let result = self.run_list(body, sink);
        self.tries -= 1;
        let error = match result {
            Ok(step) => return Ok(step),
            Err(error) if error.severity >= 20 => return Err(error),
            Err(error) => error,
        };
        if error.number == 1205 || error.number == 3960 {
            self.rollback_all(sink);
        } else if self.transaction.count > 0 && (self.settings.xact_abort || ends_transaction(&error)) {
            self.transaction.doomed = true;
        }
        self.error = error.number;
        self.caught.push(error);
        let step = self.run_list(catch, sink);
        self.caught.pop();
        step
    }

    fn wait(&mut self, delay: &Expr, sink: &mut dyn Sink) -> Result<Step> {
        let Value::Time(ticks) = self.evaluate(delay, SqlType::Time(7))? else { return Ok(Step::Next) };
        let end = std::time::Instant::now() + std::time::Duration::from_nanos(u64::try_from(ticks * 100).unwrap_or(0));
        while std::time::Instant::now() < end {
            if sink.poll() == Flow::Stop {
                return Ok(Step::End);
            }
            let left = end.saturating_duration_since(std::time::Instant::now());
            std::thread::sleep(left.min(std::time::Duration::from_millis(20)));
        }
        sink.done(None);
        Ok(Step::Next)
    }

    fn declare_all(&mut self, list: &[Declaration]) -> Result<()> {
        for Declaration { name, kind, value } in list {
            match kind {
                DeclaredKind::Table(table) => self.create_table_variable(name, table)?,
                DeclaredKind::Scalar(ty) => {
                    let value = match value {
                        Some(value) => self.evaluate(value, *ty)?,
                        None => Value::Null,
                    };
                    self.variables.insert(name.to_lowercase(), Variable { ty: *ty, value });
                }
            }
        }
        Ok(())
    }

    /// USE.
    pub fn use_database(&mut self, name: &str, sink: &mut dyn Sink) -> Result<()> {
        let known = ["master", "tempdb", "model", "msdb", self.shared.database.as_str()];
        let Some(found) = known.iter().find(|known| same(known, name)).map(|found| (*found).to_owned()) else {
            return Err(SqlError::new(
                911,
                format!("Database '{name}' does not exist. Make sure that the name is entered correctly."),
            ));
        };
        let environment = self.enter()?;
        let login = &environment.login;
        let mut principals = environment.catalog.state.principals.iter();
        let is_user_of_it =
            environment.sysadmin || principals.any(|user| user.login.as_ref().is_some_and(|own| same(own, login)));
        if same(&found, &self.shared.database) && !is_user_of_it {
            let text = format!(
                "The server principal \"{login}\" is not able to access the database \"{found}\" under the current security context."
            );
            return Err(SqlError::new(916, text).severity(14));
        }
        let old = std::mem::replace(&mut self.database, found);
        sink.database_changed(&old, &self.database);
        let message =
            SqlError::new(5701, format!("Changed database context to '{}'.", self.database)).severity(0).state(2);
        sink.message(&message);
        sink.done(None);
        Ok(())
    }

    /// The columns of the first result set of a batch.
    pub fn describe_batch(&mut self, sql: &str) -> Result<Option<Vec<Column>>> {
        let statements = self.parse(sql)?;
        for statement in &statements {
            match &statement.kind {
                Kind::Query(query) => {
                    if let Some(columns) = self.describe_query(query)? {
                        return Ok(Some(columns));
                    }
                }
                Kind::Declare(list) => self.declare_all(list)?,
                Kind::Insert(insert) => {
                    if let Some(columns) = self.describe_insert(insert)? {
                        return Ok(Some(columns));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

/// The conversion of a value given for a variable or parameter.
pub fn cast(value: &Value, from: SqlType, to: SqlType) -> Result<Value> {
    if matches!(value, Value::Null) {
        return Ok(Value::Null);
    }
    if !super::super::values::convert::implicit(from, to) {
        return Err(SqlError::new(
            206,
            format!("Operand type clash: {} is incompatible with {}", types::name(from), types::name(to)),
        )
        .state(2));
    }
    super::super::values::convert::convert(value, from, Target::of(to))
}
