//! Amazon Redshift's protocol, SQL and rules, before a real PostgreSQL.
//!
//! | module | is |
//! |---|---|
//! | `server`, `login`, `wire`, [`tls`] | listener, start of a connection, messages |
//! | `session` | one client's connection and its own below: transactions, locks, tables |
//! | `lexer`, `statement` | what a client may ask, an allow-list, and its rewriting |
//! | `types`, `name`, `declared` | what is Redshift's own, as the server below has it |
//! | `copy` | COPY from S3 |
//! | `registry` | which table was written when: conflicts of whole tables |
//! | `iam` | logins that AWS lends |
//! | `upstream`, `audit`, `error` | the connection below, what was said, errors in Redshift's form |
//!
//! A statement reaches the server below only after it was read as Redshift's and rewritten.

mod audit;
mod copy;
mod declared;
mod error;
mod iam;
mod lexer;
mod login;
mod name;
mod registry;
mod server;
mod session;
mod statement;
pub mod tls;
mod types;
mod upstream;
mod wire;

pub use audit::Audit;
pub use iam::Lending;
pub use server::{Account, Isolation, Settings, Stored, serve};
pub use upstream::Address;

/// What the stand-in keeps below is in schemas of this name and of names that begin with it; clients may not name them.
const SCHEMA: &str = "redshift_standin";
