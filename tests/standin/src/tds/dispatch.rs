//! The session's thread: requests in, answers out, one at a time.

use tokio::sync::mpsc;

use super::cursor::{self, Cursors};
use super::metadata::Malformed;
use super::packet::{Message, kind};
use super::prepared::{self, Prepared};
use super::response::{Response, Wire};
use super::rpc::{self, Call};
use super::{describe, request, token};
use crate::session::{Session, Sink};
use crate::value::SqlError;

/// What the reader hands to the session's thread.
#[derive(Debug)]
pub enum Inbound {
    /// A request.
    Request(Message),
    /// The attention of that number.
    Attention(u32),
}

/// Serves a logged-in session until its client goes.
pub fn run(mut session: Box<dyn Session>, mut inbound: mpsc::Receiver<Inbound>, wire: &mut Wire) {
    let mut prepared = Prepared::default();
    let mut cursors = Cursors::default();
    while let Some(next) = inbound.blocking_recv() {
        let message = match next {
            Inbound::Attention(number) => {
                wire.answer_attention(number);
                continue;
            }
            Inbound::Request(message) => message,
        };
        if message.reset {
            reset(session.as_mut(), &mut prepared, &mut cursors, wire);
        }
        let go_on = if message.ignore {
            Response::batch(wire).end_batch()
        } else {
            let answering = || answer(&message, session.as_mut(), &mut prepared, &mut cursors, wire);
            // A fault of the engine ends this session, as an assertion does on the server, and no other.
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(answering)).unwrap_or_else(|_| {
                let mut response = Response::batch(wire);
                let text = "A system assertion check has failed. The stand-in's log has the place.";
                response.message(&SqlError::new(3624, text).severity(20));
                response.end_batch()
            })
        };
        if !go_on {
            return;
        }
    }
}

fn reset(session: &mut dyn Session, prepared: &mut Prepared, cursors: &mut Cursors, wire: &mut Wire) {
    let old = session.database();
    session.reset();
    prepared.clear();
    cursors.clear();
    let open = wire.transaction();
    if open != 0 {
        token::transaction_ended(wire.body(), open, false);
        wire.forget_transaction();
    }
    let new = session.database();
    if old != new {
        token::database_changed(wire.body(), &old, &new);
    }
    token::connection_reset(wire.body());
}

fn answer(
    message: &Message,
    session: &mut dyn Session,
    prepared: &mut Prepared,
    cursors: &mut Cursors,
    wire: &mut Wire,
) -> bool {
    match message.kind {
        kind::BATCH => match request::batch(&message.body) {
            Ok(sql) => {
                let mut response = Response::batch(wire);
                session.batch(&sql, &[], &mut response);
                response.end_batch()
            }
            Err(why) => refuse(wire, 4002, why),
        },
        kind::RPC => match rpc::parse(&message.body) {
            Ok(calls) => run_calls(&calls, session, prepared, cursors, wire),
            Err(why) => refuse(wire, 8009, why),
        },
        kind::TRANSACTION => match request::transaction(&message.body) {
            Ok(wanted) => {
                let mut response = Response::batch(wire);
                session.transaction(&wanted, &mut response);
                response.end_batch()
            }
            Err(why) => refuse(wire, 3989, why),
        },
        kind::BULK => refuse(wire, 4002, "bulk load is not supported"),
        _ => refuse(wire, 4002, "unknown message type"),
    }
}

fn run_calls(
    calls: &[Call],
    session: &mut dyn Session,
    prepared: &mut Prepared,
    cursors: &mut Cursors,
    wire: &mut Wire,
) -> bool {
    for (index, call) in calls.iter().enumerate() {
        let name = call.bare_name();
        let mut response = Response::call(wire);
        let result = if prepared::knows(&name) {
            prepared::run(&name, call, prepared, session, &mut response)
        } else if describe::knows(&name) {
            describe::run(call, session, &mut response)
        } else if cursor::knows(&name) {
            cursor::run(&name, call, cursors, session, &mut response)
        } else {
            session.procedure(&call.name, &call.params, &mut response);
            Ok(())
        };
        if let Err(error) = result {
            response.message(&error);
            response.return_status(error.number);
        }
        let more = index + 1 < calls.len();
        if !response.end_call(more) {
            return false;
        }
    }
    true
}

/// Answers a request that cannot be read. Its packets were whole, so the connection goes on.
fn refuse(wire: &mut Wire, number: i32, why: Malformed) -> bool {
    let mut response = Response::batch(wire);
    let text = format!("The incoming tabular data stream (TDS) protocol stream is incorrect: {why}.");
    response.message(&SqlError::new(number, text));
    response.end_batch()
}
