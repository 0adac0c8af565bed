//! What a test orders to happen in the middle of a read of change data.
//!
//! The server's functions read change tables WITH (NOLOCK) (reference, section 5), so a cleanup that runs beside a read
//! takes rows away that the read has not reached. `EXEC sys.sp_standin_during_read @capture_instance = N'…', @after_rows
//! = 100, @statement = N'…'` makes that moment: the next read of the instance, by its change table or a function, scans so
//! many rows, then the statement runs in a session of its own, then the read goes on over what is left. A read of fewer
//! rows runs it at its end.

use std::sync::Arc;

use parking_lot::Mutex;

use super::controls::Orders;
use super::error::Result;
use super::server::Shared;
use crate::cdc::Lsn;
use crate::session::{Flow, Session as _, Sink};
use crate::value::{Column, SqlError, SqlType, Value};

/// Statements that are to come.
#[derive(Debug, Default)]
pub struct DuringReads(Mutex<Vec<DuringRead>>);

/// A statement that is to run in the middle of a read.
#[derive(Debug)]
pub struct DuringRead {
    instance: String,
    rows: u64,
    statement: String,
}

impl DuringReads {
    /// `sp_standin_during_read`.
    pub fn order(&self, orders: &Orders<'_>) -> Result<()> {
        let instance = orders.text("@capture_instance")?;
        let rows = orders.number("@after_rows", Some(0))?.unsigned_abs();
        let statement = orders.text("@statement")?;
        self.0.lock().push(DuringRead { instance, rows, statement });
        Ok(())
    }

    /// The order that a read of this relation fulfils: a change table or a generated function.
    pub fn take(&self, relation: &str) -> Option<DuringRead> {
        let relation = relation.to_lowercase();
        let instance = relation
            .strip_prefix("fn_cdc_get_all_changes_")
            .or_else(|| relation.strip_prefix("fn_cdc_get_net_changes_"))
            .or_else(|| relation.strip_suffix("_ct"))?;
        let mut orders = self.0.lock();
        let at = orders.iter().position(|order| order.instance.to_lowercase() == instance)?;
        Some(orders.remove(at))
    }
}

impl DuringRead {
    /// How many rows are read before.
    pub fn rows(&self) -> usize {
        usize::try_from(self.rows).unwrap_or(usize::MAX)
    }

    /// Runs it.
    ///
    /// # Errors
    /// 50000 with the statement's own error.
    pub fn run(self, shared: &Arc<Shared>) -> Result<()> {
        let mut heard = Heard::default();
        shared.own_session()?.batch(&self.statement, &[], &mut heard);
        match heard.0 {
            None => Ok(()),
            Some(error) => Err(SqlError::new(50_000, format!("sp_standin_during_read: {error}"))),
        }
    }
}

/// The rows of a function's answer that are there when something ran after the first `rows`: from there on, those of
/// transactions that the change table still holds.
pub fn left_of(answer: Vec<Vec<Value>>, rows: usize, lowest: Option<Lsn>) -> Vec<Vec<Value>> {
    let held = |row: &Vec<Value>| match (row.first(), lowest) {
        (Some(Value::Bytes(start)), Some(lowest)) => start.as_slice() >= lowest.as_slice(),
        _ => false,
    };
    answer.into_iter().enumerate().filter(|(at, row)| *at < rows || held(row)).map(|(_, row)| row).collect()
}

/// Hears the first error, and nothing else.
#[derive(Default)]
struct Heard(Option<SqlError>);

impl Sink for Heard {
    fn columns(&mut self, _: &[Column]) -> Flow {
        Flow::Continue
    }

    fn row(&mut self, _: &[Value]) -> Flow {
        Flow::Continue
    }

    fn done(&mut self, _: Option<u64>) -> Flow {
        Flow::Continue
    }

    fn message(&mut self, message: &SqlError) -> Flow {
        if message.severity > 10 {
            self.0.get_or_insert_with(|| message.clone());
        }
        Flow::Continue
    }

    fn database_changed(&mut self, _: &str, _: &str) {}

    fn transaction(&mut self, _: Option<u64>, _: bool) {}

    fn output(&mut self, _: &str, _: SqlType, _: &Value) {}

    fn return_status(&mut self, _: i32) {}
}
