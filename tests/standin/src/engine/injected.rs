//! Errors that a test orders, by number, at statements that hold a text: what a server does on a bad day.
//!
//! `EXEC sys.sp_standin_inject @number = 1205, @text = N'…', @times = 1, @skip = 0, @after_rows = 0`: batches and calls
//! of `sp_executesql` that hold the text fail with that error, before they begin or after so many rows; with `@at_login =
//! 1` in the text's place, logins do. Number 0 ends the connection without a word. A number whose text the stand-in does
//! not know is refused. The connection ends where the server would end it.

use parking_lot::Mutex;

use super::controls::Orders;
use super::error::{Result, ends_transaction, passed_on};
use super::messages;
use super::session::SqlSession;
use super::slow::Slow;
use crate::session::{Flow, Param, Sink};
use crate::value::{Column, SqlError, SqlType, Value};

/// An error that is to come.
#[derive(Debug, Clone)]
struct Order {
    /// The error and whether it ends the connection; none for an end without a word.
    error: Option<(SqlError, bool)>,
    /// What a batch holds that is to fail; none where logins are.
    text: Option<String>,
    skip: i64,
    times: i64,
    after_rows: i64,
}

/// Errors that are to come, in the order in which they were asked for.
#[derive(Debug, Default)]
pub struct Injected(Mutex<Vec<Order>>);

impl Injected {
    /// The order that a batch fulfils, with one time less left of it.
    fn take(&self, sql: &str) -> Option<Order> {
        self.take_if(|order| order.text.as_ref().is_some_and(|text| sql.contains(text)))
    }

    /// The error that a login fails with.
    pub fn take_at_login(&self) -> Option<SqlError> {
        let order = self.take_if(|order| order.text.is_none())?;
        // A client is told at login why; an order without a word has no place there.
        order.error.map(|(error, _)| error)
    }

    fn take_if(&self, fulfils: impl Fn(&Order) -> bool) -> Option<Order> {
        let mut orders = self.0.lock();
        for order in orders.iter_mut().filter(|order| order.times > 0 && fulfils(order)) {
            if order.skip > 0 {
                order.skip -= 1;
            } else {
                order.times -= 1;
                return Some(order.clone());
            }
        }
        None
    }
}

impl SqlSession {
    /// `sp_standin_inject`.
    pub fn order_error(&mut self, orders: &Orders<'_>) -> Result<()> {
        let at_login = orders.number("@at_login", Some(0))? != 0;
        let text = if at_login { None } else { Some(orders.text("@text")?) };
        let wanted = orders.number("@number", None)?;
        let error = match (wanted, messages::find(wanted)) {
            (_, Some(known)) => Some((known.error(), known.closes)),
            (0, None) if !at_login => None,
            _ => return Err(orders.refused(format!("the text of error {wanted} is not known here"))),
        };
        let order = Order {
            error,
            text,
            skip: orders.number("@skip", Some(0))?,
            times: orders.number("@times", Some(1))?,
            after_rows: orders.number("@after_rows", Some(0))?,
        };
        self.shared.injected.0.lock().push(order);
        Ok(())
    }

    /// Runs a batch as far, and as slowly, as what was ordered lets it.
    pub fn run_as_ordered(&mut self, sql: &str, params: &[Param], sink: &mut dyn Sink) {
        // What orders errors holds their texts itself.
        if sql.contains("sp_standin_") {
            return self.run_batch(sql, params, sink);
        }
        match self.shared.slow_rows.take(sql) {
            Some(pause) => self.run_until_error(sql, params, &mut Slow { sink, pause }),
            None => self.run_until_error(sql, params, sink),
        }
    }

    fn run_until_error(&mut self, sql: &str, params: &[Param], sink: &mut dyn Sink) {
        let Some(order) = self.shared.injected.take(sql) else { return self.run_batch(sql, params, sink) };
        if order.after_rows > 0 {
            self.run_batch(sql, params, &mut Beginning { sink, left: order.after_rows, in_rows: false, ended: false });
        }
        let Some((error, closes)) = order.error else { return sink.close(false) };
        if self.transaction.count > 0 && ends_transaction(&error) {
            self.rollback_all(sink);
        }
        let error = passed_on(sql, error);
        self.error = error.number;
        sink.message(&error);
        if closes {
            sink.close(true);
        }
    }
}

/// Passes the first rows on, and nothing after them.
struct Beginning<'a> {
    sink: &'a mut dyn Sink,
    left: i64,
    in_rows: bool,
    ended: bool,
}

impl Beginning<'_> {
    fn pass(&mut self, pass: impl FnOnce(&mut dyn Sink) -> Flow) -> Flow {
        if self.ended { Flow::Stop } else { pass(self.sink) }
    }
}

impl Sink for Beginning<'_> {
    fn columns(&mut self, columns: &[Column]) -> Flow {
        self.in_rows = true;
        self.pass(|sink| sink.columns(columns))
    }

    fn poll(&mut self) -> Flow {
        self.pass(|sink| sink.poll())
    }

    fn row(&mut self, row: &[Value]) -> Flow {
        self.ended |= self.left == 0;
        self.left -= 1;
        self.pass(|sink| sink.row(row))
    }

    /// The statement does not come to its end, also where it has no more rows than were to be passed.
    fn done(&mut self, rows: Option<u64>) -> Flow {
        self.ended |= self.in_rows;
        self.pass(|sink| sink.done(rows))
    }

    fn message(&mut self, message: &SqlError) -> Flow {
        self.pass(|sink| sink.message(message))
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
