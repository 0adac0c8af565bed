//! The T-SQL engine, through the [`standin::session::Session`] that the protocol uses.

mod catalogue;
mod client;
mod ddl;
mod injected;
mod key_updates;
mod partitions;
mod purge;
mod reads;
mod restore;
mod rights;
mod rows;
mod scans;
mod strict;
mod transactions;
mod values;
mod wire;
