//! What a test orders of the stand-in by `EXEC sys.sp_standin_…`, so that all of it can be driven over the wire. Only a
//! sysadmin may; what is wrong with an order is error 50000.
//!
//! | procedure | does |
//! |---|---|
//! | `inject @number, @text, @at_login, @times, @skip, @after_rows` | raises an error at statements that hold a text |
//! | `fail_cleanup @number, @times` | lets cleanups fail as a deadlock with capture makes them fail |
//! | `during_read @capture_instance, @after_rows, @statement` | runs a batch in the middle of the next read of an instance |
//! | `slow_rows @milliseconds, @times, @text` | makes each row of some batches take so long |
//! | `advance_clock @seconds` | pushes the database's clock forward, commit times and all |
//! | `agent @running` | starts or stops SQL Server Agent, and the capture job with it |
//! | `flavour @name` | makes it a server of Amazon's (`rds`) or Microsoft's (`azure`): its ways to enable, its jobs |
//! | `orphan` | lets the database name another as dbo than the server does |
//! | `policy @schema, @name, @table` | lets an enabled security policy filter a table |
//! | `whole_updates @on` | no longer splits updates that change a key's spelling alone: a before- and an after-image |
//! | `backup @name`, `restore @name, @new_broker` | keeps the database, brings it back |

use std::time::Duration;

use super::error::Result;
use super::session::SqlSession;
use super::values::collation;
use crate::cdc::Outcome;
use crate::session::Param;
use crate::value::{SqlError, Value};

/// The arguments of a control, all of them by name.
pub struct Orders<'a> {
    procedure: &'a str,
    params: &'a [Param],
}

impl<'a> Orders<'a> {
    /// The arguments, if all are among those known.
    pub fn of(procedure: &'a str, params: &'a [Param], known: &[&str]) -> Result<Self> {
        let orders = Self { procedure, params };
        let other = params.iter().find(|param| !known.iter().any(|name| name.eq_ignore_ascii_case(&param.name)));
        match other {
            Some(other) => Err(orders.refused(format!("'{}' is no parameter", other.name))),
            None => Ok(orders),
        }
    }

    /// The error for an order that cannot be fulfilled.
    pub fn refused(&self, why: impl AsRef<str>) -> SqlError {
        SqlError::new(50_000, format!("{}: {}", self.procedure, why.as_ref()))
    }

    fn named(&self, name: &str) -> Option<&'a Value> {
        self.params.iter().find(|param| param.name.eq_ignore_ascii_case(name)).map(|param| &param.value)
    }

    /// A number that is not negative.
    pub fn number(&self, name: &str, default: Option<i64>) -> Result<i64> {
        match self.named(name) {
            Some(Value::Int(number)) if *number >= 0 => Ok(*number),
            None => default.ok_or_else(|| self.refused(format!("{name} is missing"))),
            _ => Err(self.refused(format!("{name} is no number"))),
        }
    }

    /// A text, or what stands for it where it is missing.
    pub fn text_or(&self, name: &str, default: &str) -> Result<String> {
        if self.named(name).is_some() { self.text(name) } else { Ok(default.to_owned()) }
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<String> {
        match self.named(name) {
            Some(Value::Text(text)) => Ok(text.clone()),
            _ => Err(self.refused(format!("{name} is missing"))),
        }
    }
}

/// Whether two values of a key are one under its collation; bytes are compared without the zeros at their end.
fn same_key(collation: Option<&'static str>, before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Text(before), Value::Text(after)) => {
            collation::compare(collation.unwrap_or(collation::DEFAULT), before, after).is_eq()
        }
        (Value::Bytes(before), Value::Bytes(after)) => {
            let end = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            before[..end(before)] == after[..end(after)]
        }
        (Value::DateTimeOffset(day, ticks, _), Value::DateTimeOffset(day_after, ticks_after, _)) => {
            (day, ticks) == (day_after, ticks_after)
        }
        _ => before == after,
    }
}

impl SqlSession {
    /// Runs a control; `None` if there is none of that name.
    pub fn control(&mut self, name: &str, params: &[Param]) -> Result<Option<Outcome>> {
        let orders = |known: &[&str]| Orders::of(name, params, known);
        if !self.enter()?.sysadmin {
            return Err(orders(&[])?.refused("only a sysadmin may"));
        }
        match name.trim_start_matches("sp_standin_") {
            "inject" => {
                let known = ["@number", "@text", "@at_login", "@times", "@skip", "@after_rows"];
                self.order_error(&orders(&known)?)?;
            }
            "during_read" => {
                let known = ["@capture_instance", "@after_rows", "@statement"];
                self.shared.during_reads.order(&orders(&known)?)?;
            }
            "fail_cleanup" => {
                let orders = orders(&["@number", "@times"])?;
                let (number, times) = (orders.number("@number", None)?, orders.number("@times", Some(1))?);
                let known = self.shared.cdc.fail_cleanups(number, times.unsigned_abs());
                known.ok_or_else(|| orders.refused(format!("no cleanup fails with {number}")))?;
            }
            "slow_rows" => self.shared.slow_rows.order(&orders(&["@milliseconds", "@times", "@text"])?)?,
            "advance_clock" => {
                let seconds = orders(&["@seconds"])?.number("@seconds", None)?;
                self.shared.cdc.advance_clock(Duration::from_secs(seconds.unsigned_abs()));
            }
            "agent" => self.order_agent(&orders(&["@running"])?)?,
            "flavour" => self.order_flavour(&orders(&["@name"])?)?,
            "orphan" => {
                orders(&[])?;
                self.order_orphan()?;
            }
            "policy" => self.order_policy(&orders(&["@schema", "@name", "@table"])?)?,
            "whole_updates" => {
                let on = orders(&["@on"])?.number("@on", None)? != 0;
                self.shared.cdc.set_same_key(if on { same_key } else { |_, before, after| before == after });
            }
            "backup" => self.back_up(&orders(&["@name"])?)?,
            "restore" => self.restore(&orders(&["@name", "@new_broker"])?)?,
            _ => return Ok(None),
        }
        Ok(Some(Outcome::default()))
    }
}
