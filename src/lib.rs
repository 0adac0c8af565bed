//! `delsert` keeps a warehouse equal to the databases that feed it.
//!
//! Imports run downward only:
//!
//! | modules | are |
//! |---|---|
//! | [`cli`] | arguments, logs, signals, exit codes |
//! | [`task`] | what a person or Airflow runs: check, extract, load, run, resync |
//! | [`source`], [`target`], [`ledger`] | the database read, the warehouse written, the batches between; never each other |
//! | [`bucket`], [`part`], [`csv`], [`manifest`] | objects, files of rows, and what names them |
//! | [`config`], [`table`], [`row`], [`position`], [`digest`], [`error`], [`finding`], [`loss`], [`retry`], [`tls`], [`aws`], [`crash`] | words that all share |

pub mod aws;
pub mod bucket;
pub mod cli;
pub mod config;
pub mod crash;
pub mod csv;
pub mod digest;
pub mod error;
pub mod finding;
pub mod ledger;
pub mod loss;
pub mod manifest;
pub mod part;
pub mod position;
pub mod retry;
pub mod row;
pub mod source;
pub mod table;
pub mod target;
pub mod task;
pub mod tls;
