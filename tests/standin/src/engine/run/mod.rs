//! Running statements.

mod alter;
mod batch;
mod capture;
mod change;
mod condition;
mod database;
mod ddl;
mod define;
mod insert;
mod into;
mod merge;
mod msdb;
mod needed;
mod option;
mod output;
mod outside;
mod partition;
mod permission;
mod procedure;
mod raise;
mod rename;
mod restore;
mod select;
pub mod store;
mod system;
pub mod transaction;
mod write;
