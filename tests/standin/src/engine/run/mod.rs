//! Running statements.

mod alter;
mod batch;
mod change;
mod condition;
mod database;
mod ddl;
mod insert;
mod merge;
mod needed;
mod output;
mod permission;
mod procedure;
mod select;
pub mod store;
mod system;
pub mod transaction;
mod write;
