//! Rows that come slowly, as over a bad line or from a busy server.
//!
//! `EXEC sys.sp_standin_slow_rows @milliseconds = 5, @times = 1, @text = N''`: the next batches that hold the text take so
//! long for each row.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::controls::Orders;
use super::error::Result;
use crate::session::{Flow, Sink};
use crate::value::{Column, SqlError, SqlType, Value};

/// How often a waiting row looks whether the client still waits.
const LOOK: Duration = Duration::from_millis(20);

/// Batches whose rows are to be slow.
#[derive(Debug, Default)]
pub struct SlowRows(Mutex<Vec<Order>>);

#[derive(Debug)]
struct Order {
    pause: Duration,
    times: i64,
    text: String,
}

impl SlowRows {
    /// `sp_standin_slow_rows`.
    pub fn order(&self, orders: &Orders<'_>) -> Result<()> {
        let pause = Duration::from_millis(orders.number("@milliseconds", None)?.unsigned_abs());
        let times = orders.number("@times", Some(1))?;
        let text = orders.text_or("@text", "")?;
        self.0.lock().push(Order { pause, times, text });
        Ok(())
    }

    /// How long each row of a batch takes, with one time less left of the order.
    pub fn take(&self, sql: &str) -> Option<Duration> {
        let mut orders = self.0.lock();
        orders.retain(|order| order.times > 0);
        let order = orders.iter_mut().find(|order| sql.contains(&order.text))?;
        order.times -= 1;
        Some(order.pause)
    }
}

/// Passes each row on after a pause.
pub struct Slow<'a> {
    /// Where it goes.
    pub sink: &'a mut dyn Sink,
    /// How long a row takes.
    pub pause: Duration,
}

impl Sink for Slow<'_> {
    fn columns(&mut self, columns: &[Column]) -> Flow {
        self.sink.columns(columns)
    }

    fn poll(&mut self) -> Flow {
        self.sink.poll()
    }

    fn row(&mut self, row: &[Value]) -> Flow {
        let end = Instant::now() + self.pause;
        loop {
            if self.sink.poll() == Flow::Stop {
                return Flow::Stop;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.sink.row(row);
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    fn done(&mut self, rows: Option<u64>) -> Flow {
        self.sink.done(rows)
    }

    fn message(&mut self, message: &SqlError) -> Flow {
        self.sink.message(message)
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

    fn return_status(&mut self, status: i32) {
        self.sink.return_status(status);
    }

    fn close(&mut self, told: bool) {
        self.sink.close(told);
    }
}
