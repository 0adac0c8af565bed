//! The T-SQL engine: parses, binds against an allow-list, runs on `SQLite`.
//!
//! | module | is |
//! |---|---|
//! | `script` | statements and control flow, read from tokens |
//! | `bind` | names, types and operators: sqlparser's tree to typed `SQLite` SQL |
//! | `functions` | built-in functions, by family |
//! | `values` | types, conversion, arithmetic, collation, storage |
//! | `operation` | how `SQLite` calls back into `functions` |
//! | `catalog`, `views` | the catalogue, and the views that show it |
//! | `injected` | errors that a test orders |
//! | `run` | runs statements: rows out, rows in, DDL, transactions, procedures |
//! | `session`, `server` | a connection, and what connections share |

mod bind;
mod catalog;
mod environment;
mod error;
mod functions;
mod injected;
mod operation;
mod run;
mod script;
mod server;
mod session;
mod values;
mod views;

pub use server::{Engine, EngineConfig, TableSpec};
