//! The T-SQL engine, through the [`standin::session::Session`] that the protocol uses.

mod client;
mod rows;
