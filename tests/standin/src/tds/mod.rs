//! A TDS 7.4 server over [`crate::session::Server`].
//!
//! | module | is |
//! |---|---|
//! | [`server`] | the listener |
//! | `connection` | one connection: prelogin, TLS, login, then requests to a session thread |
//! | `packet` | packets and messages |
//! | `prelogin`, `tls`, `login`, `federated` | how a connection begins |
//! | `request`, `dispatch` | batches, transaction requests, and who answers them |
//! | `rpc`, `declare`, `prepared`, `cursor`, `describe` | remote procedure calls and the procedures that the protocol itself knows |
//! | `types_decode`, `types_encode`, `metadata`, `collation` | values and types on the wire |
//! | `token`, `response` | what goes back |
//!
//! Each connection has one asynchronous reader, one writer, and a blocking thread that runs the session. The writer's
//! channel is bounded, so a slow client slows the engine; the reader keeps listening meanwhile, so that an attention
//! or a vanished client stops a statement.

mod collation;
mod connection;
mod cursor;
mod declare;
mod describe;
mod dispatch;
mod federated;
mod login;
mod metadata;
mod packet;
mod prelogin;
mod prepared;
mod request;
mod response;
mod rpc;
pub mod server;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod types_decode;
mod types_encode;

pub use server::{Encryption, Settings, serve};
