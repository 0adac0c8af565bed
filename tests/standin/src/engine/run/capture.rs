//! INSERT … EXEC: the rows of a procedure's first result set.

use super::super::error::Result;
use super::super::script::{Kind, Statement};
use super::super::session::SqlSession;
use super::output::Given;
use crate::session::Sink;
use crate::value::{Column, SqlError, SqlType, Value};

impl SqlSession {
    /// The rows of the first result set of EXEC.
    pub fn captured(&mut self, statement: &Statement, sink: &mut dyn Sink) -> Result<Given> {
        let mut capture = Capture { sink, columns: Vec::new(), rows: Vec::new(), error: None };
        match &statement.kind {
            Kind::Execute(execute) => {
                self.execute(execute, &mut capture)?;
            }
            Kind::ExecuteText(parts) => {
                let mut text = String::new();
                for part in parts {
                    if let Value::Text(part) = self.evaluate(part, SqlType::NVarChar(None))? {
                        text.push_str(&part);
                    }
                }
                self.nested(&text, &[], &mut capture)?;
            }
            _ => {}
        }
        match capture.error.take() {
            Some(error) => Err(error),
            None => Ok((capture.columns, capture.rows)),
        }
    }
}

/// Keeps the first result set of a procedure.
struct Capture<'a> {
    sink: &'a mut dyn Sink,
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
    error: Option<SqlError>,
}

impl Sink for Capture<'_> {
    fn columns(&mut self, columns: &[Column]) -> crate::session::Flow {
        self.columns = columns.to_vec();
        crate::session::Flow::Continue
    }
    fn row(&mut self, row: &[Value]) -> crate::session::Flow {
        self.rows.push(row.to_vec());
        self.sink.poll()
    }
    fn done(&mut self, _: Option<u64>) -> crate::session::Flow {
        self.sink.poll()
    }
    fn message(&mut self, message: &SqlError) -> crate::session::Flow {
        if message.severity > 10 {
            self.error.get_or_insert_with(|| message.clone());
            return crate::session::Flow::Continue;
        }
        self.sink.message(message)
    }
    fn poll(&mut self) -> crate::session::Flow {
        self.sink.poll()
    }
    fn database_changed(&mut self, old: &str, new: &str) {
        self.sink.database_changed(old, new);
    }
    fn transaction(&mut self, descriptor: Option<u64>, committed: bool) {
        self.sink.transaction(descriptor, committed);
    }
    fn output(&mut self, name: &str, sql_type: SqlType, value: &Value) {
        self.sink.output(name, sql_type, value);
    }
    fn return_status(&mut self, _: i32) {}
}
