//! The T-SQL engine: parses, binds against an allow-list, runs on `SQLite`.
//!
//! | module | is |
//! |---|---|
//! | `script` | statements and control flow, read from tokens |
//! | `bind` | names, types and operators: sqlparser's tree to typed `SQLite` SQL |
//! | `functions` | built-in functions, by family |
//! | `values` | types, conversion, arithmetic, collation, storage |
//! | `operation` | how `SQLite` calls back into `functions` |
//! | `catalog`, `partitions`, `views` | the catalogue, and the views that show it |
//! | `controls` | what a test orders by `EXEC sys.sp_standin_…` |
//! | `injected`, `during`, `slow` | errors (`messages` has their texts), cleanups in mid-read and slow rows that a test orders |
//! | `run` | runs statements: rows out, rows in, DDL, transactions, procedures |
//! | `bulk` | loading tables past the log |
//! | `session`, `server` | a connection, and what connections share |

mod bind;
mod bulk;
mod catalog;
mod controls;
mod during;
mod environment;
mod error;
mod functions;
mod injected;
mod messages;
mod operation;
mod partitions;
mod run;
mod script;
mod server;
mod session;
mod slow;
mod values;
mod views;

pub use bulk::TableSpec;
pub use server::{Engine, EngineConfig};
