//! A session's answers become tokens, tokens become packets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::BufMut;
use tokio::sync::mpsc;

use super::metadata::{self, Shape};
use super::packet::Packets;
use super::token::{self, DoneKind, done};
use super::types_encode;
use crate::session::{Flow, Sink};
use crate::value::{Column, SqlError, SqlType, Value};

/// Bytes gathered before they are handed to the writer.
const CHUNK: usize = 64 << 10;

/// What the reader tells a running session.
#[derive(Debug, Default)]
pub struct Signals {
    /// Attentions received so far.
    pub attentions: AtomicU32,
    /// Whether the client is gone.
    pub gone: AtomicBool,
}

/// The way to the client: one for a connection.
#[derive(Debug)]
pub struct Wire {
    sender: mpsc::Sender<Vec<u8>>,
    packets: Packets,
    body: Vec<u8>,
    signals: Arc<Signals>,
    answered: u32,
    transaction: u64,
}

impl Wire {
    /// A way that hands chunks of packets to `sender`.
    pub fn new(sender: mpsc::Sender<Vec<u8>>, packets: Packets, signals: Arc<Signals>) -> Self {
        Self { sender, packets, body: Vec::new(), signals, answered: 0, transaction: 0 }
    }

    /// Packets from here on have this size.
    pub fn resize(&mut self, packets: Packets) {
        self.packets = packets;
    }

    /// Tokens may be written here directly, before or after a [`Response`].
    pub fn body(&mut self) -> &mut Vec<u8> {
        &mut self.body
    }

    /// Ends a message that no [`Response`] ends.
    pub fn end(&mut self) {
        self.send(true);
    }

    /// The descriptor of the open transaction, 0 for none.
    pub fn transaction(&self) -> u64 {
        self.transaction
    }

    /// Forgets the transaction, after a reset.
    pub fn forget_transaction(&mut self) {
        self.transaction = 0;
    }

    /// Answers the attention of that number, unless the response it stopped has already done so.
    pub fn answer_attention(&mut self, number: u32) {
        if number > self.answered {
            self.answered = number;
            token::done(&mut self.body, DoneKind::Done, done::ATTENTION, 0, 0);
            self.send(true);
        }
    }

    fn flow(&self) -> Flow {
        if self.signals.attentions.load(Ordering::Acquire) > self.answered || self.signals.gone.load(Ordering::Acquire)
        {
            Flow::Stop
        } else {
            Flow::Continue
        }
    }

    fn send_if_full(&mut self) {
        if self.body.len() >= CHUNK {
            self.send(false);
        }
    }

    fn send(&mut self, last: bool) {
        let mut out = Vec::with_capacity(self.body.len() + self.body.len() / 64 + 64);
        self.packets.cut(&mut self.body, &mut out, last);
        if !out.is_empty() && self.sender.blocking_send(out).is_err() {
            self.signals.gone.store(true, Ordering::Release);
        }
    }
}

/// What a call returns beside its results.
#[derive(Debug)]
struct Output {
    name: String,
    sql_type: SqlType,
    value: Value,
}

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lives,
    /// It ends once the client was told.
    Ends,
    /// It ended in the middle of the answer.
    BrokenOff,
}

/// The answer to one request; the sink a session writes to.
#[derive(Debug)]
pub struct Response<'a> {
    wire: &'a mut Wire,
    statement: DoneKind,
    shapes: Vec<Shape>,
    in_rows: bool,
    pending: Option<(u16, u16, u64)>,
    failed: bool,
    last_error: i32,
    fate: Fate,
    status: Option<i32>,
    outputs: Vec<Output>,
}

impl<'a> Response<'a> {
    /// The answer to a batch.
    pub fn batch(wire: &'a mut Wire) -> Self {
        Self::new(wire, DoneKind::Done)
    }

    /// The answer to a procedure call.
    pub fn call(wire: &'a mut Wire) -> Self {
        Self::new(wire, DoneKind::InProcedure)
    }

    fn new(wire: &'a mut Wire, statement: DoneKind) -> Self {
        Self {
            wire,
            statement,
            shapes: Vec::new(),
            in_rows: false,
            pending: None,
            failed: false,
            last_error: 0,
            fate: Fate::Lives,
            status: None,
            outputs: Vec::new(),
        }
    }

    /// The number of the last error, 0 if there was none.
    pub fn last_error(&self) -> i32 {
        self.last_error
    }

    /// Ends a batch's answer. Whether the connection may go on.
    pub fn end_batch(mut self) -> bool {
        if self.failed {
            self.close_failed();
        }
        let (status, command, rows) = self.pending.take().unwrap_or_default();
        self.end(status, command, rows)
    }

    /// Ends a call's answer; `more` calls of the same message may follow. Whether the connection may go on.
    pub fn end_call(mut self, more: bool) -> bool {
        let failed = self.failed;
        if self.fate == Fate::BrokenOff {
            return false;
        }
        if self.wire.flow() == Flow::Continue {
            self.flush_pending();
            let body = &mut self.wire.body;
            token::return_status(body, self.status.unwrap_or(0));
            for (ordinal, output) in self.outputs.iter().enumerate() {
                return_value(body, ordinal, output);
            }
        }
        let status = if failed { done::ERROR } else { 0 };
        self.statement = DoneKind::Procedure;
        if more && self.wire.flow() == Flow::Continue && self.fate == Fate::Lives {
            token::done(&mut self.wire.body, self.statement, status | done::MORE, 0xE0, 0);
            return true;
        }
        self.end(status, 0xE0, 0)
    }

    fn end(self, status: u16, command: u16, rows: u64) -> bool {
        if self.fate == Fate::BrokenOff {
            return false;
        }
        let seen = self.wire.signals.attentions.load(Ordering::Acquire);
        if seen > self.wire.answered {
            self.wire.answered = seen;
            token::done(&mut self.wire.body, DoneKind::Done, done::ATTENTION, 0, 0);
        } else {
            token::done(&mut self.wire.body, self.statement, status, command, rows);
        }
        self.wire.send(true);
        self.fate == Fate::Lives
    }

    fn flush_pending(&mut self) {
        if let Some((status, command, rows)) = self.pending.take() {
            token::done(&mut self.wire.body, self.statement, status | done::MORE, command, rows);
        }
    }

    /// A statement that failed without a count still has its DONE.
    fn close_failed(&mut self) {
        self.flush_pending();
        self.failed = false;
        self.in_rows = false;
        self.pending = Some((done::ERROR, 0, 0));
    }
}

fn return_value(out: &mut Vec<u8>, ordinal: usize, output: &Output) {
    out.put_u8(0xAC);
    out.put_u16_le(u16::try_from(ordinal).unwrap_or(0));
    token::b_text(out, &output.name);
    out.put_u8(1);
    let shape = Shape::nullable(output.sql_type);
    metadata::user_type_and_flags(out, output.sql_type, true, false);
    metadata::type_info(out, &shape);
    let start = out.len();
    if types_encode::cell(out, &shape, &output.value).is_err() {
        out.truncate(start);
        let null = types_encode::cell(out, &shape, &Value::Null);
        tracing::error!(?output, ?null, "output value does not fit its type");
    }
}

impl Sink for Response<'_> {
    fn columns(&mut self, columns: &[Column]) -> Flow {
        if self.failed && self.statement == DoneKind::Done {
            self.close_failed();
        }
        self.flush_pending();
        self.shapes.clear();
        self.shapes.extend(columns.iter().map(Shape::of));
        self.in_rows = true;
        metadata::column_metadata(&mut self.wire.body, columns);
        self.wire.flow()
    }

    fn poll(&mut self) -> Flow {
        if self.fate == Fate::Lives { self.wire.flow() } else { Flow::Stop }
    }

    fn row(&mut self, row: &[Value]) -> Flow {
        if self.fate != Fate::Lives || self.wire.flow() == Flow::Stop {
            return Flow::Stop;
        }
        if types_encode::row(&mut self.wire.body, &self.shapes, row).is_err() {
            let types: Vec<SqlType> = self.shapes.iter().map(|shape| shape.sql_type).collect();
            tracing::error!(?types, ?row, "a row does not fit its columns");
            let text = "The stand-in made a row that does not fit its columns; its log has the row.";
            self.message(&SqlError::new(21_000, text).severity(20));
            return Flow::Stop;
        }
        self.wire.send_if_full();
        Flow::Continue
    }

    fn done(&mut self, rows: Option<u64>) -> Flow {
        self.flush_pending();
        let mut status = if rows.is_some() { done::COUNT } else { 0 };
        if self.failed && self.statement == DoneKind::Done {
            status |= done::ERROR;
            self.failed = false;
        }
        let command = match (self.in_rows, rows) {
            (true, _) => token::COMMAND_SELECT,
            (false, Some(_)) => token::COMMAND_INSERT,
            (false, None) => 0,
        };
        self.in_rows = false;
        self.pending = Some((status, command, rows.unwrap_or(0)));
        self.poll()
    }

    fn message(&mut self, message: &SqlError) -> Flow {
        if self.wire.flow() == Flow::Stop {
            return Flow::Stop;
        }
        self.flush_pending();
        token::message(&mut self.wire.body, message);
        if message.severity > 10 {
            self.failed = true;
            self.last_error = message.number;
        }
        if message.severity >= 20 {
            self.fate = Fate::Ends;
        }
        self.poll()
    }

    fn database_changed(&mut self, old: &str, new: &str) {
        self.flush_pending();
        token::database_changed(&mut self.wire.body, old, new);
    }

    fn transaction(&mut self, descriptor: Option<u64>, committed: bool) {
        self.flush_pending();
        if let Some(descriptor) = descriptor {
            token::transaction_began(&mut self.wire.body, descriptor);
        } else {
            token::transaction_ended(&mut self.wire.body, self.wire.transaction, committed);
        }
        self.wire.transaction = descriptor.unwrap_or(0);
    }

    fn output(&mut self, name: &str, sql_type: SqlType, value: &Value) {
        self.outputs.push(Output { name: name.to_owned(), sql_type, value: value.clone() });
    }

    fn return_status(&mut self, status: i32) {
        self.status = Some(status);
    }

    fn close(&mut self, told: bool) {
        self.fate = if told { Fate::Ends } else { Fate::BrokenOff };
        if !told {
            // What fills a packet may be read; the answer has no end.
            self.wire.send(false);
        }
    }
}
