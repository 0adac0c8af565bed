//! Strict stand-ins for servers that `delsert` talks to and that cannot be run everywhere.
//!
//! | module | is |
//! |---|---|
//! | [`value`] | T-SQL types and values: the words that protocol and engine share |
//! | [`session`] | what the protocol asks of the engine, and what the engine answers |
//! | [`table`] | tables and row changes as catalogue and log hold them |
//! | [`tds`] | a TDS 7.4 server: framing, TLS, login, tokens |
//! | [`engine`] | T-SQL: parse, bind against an allow-list, run on `SQLite` |
//! | [`cdc`] | the log, the capture and cleanup jobs, CDC procedures, functions and views |
//! | [`load`] | reads a directory of tables to load: a schema and CSV files |
//! | [`browser`] | a SQL Browser, which tells the ports of named instances |
//! | [`redshift`] | Redshift's protocol, SQL and rules before a real PostgreSQL, with COPY from S3 |
//! | [`s3`] | an S3 server over a small in-memory store, atomic under conditional writes |
//!
//! A stand-in is as strict as the real server or stricter, and never linked into the binary.

pub mod browser;
pub mod cdc;
pub mod engine;
pub mod load;
pub mod redshift;
pub mod s3;
pub mod session;
pub mod table;
pub mod tds;
mod type_name;
mod utf16;
pub mod value;

pub use type_name::UnknownType;
