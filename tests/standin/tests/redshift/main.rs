//! The Redshift stand-in as its clients see it, before a real PostgreSQL.

mod accepted;
mod access;
mod copy;
mod crowd;
mod flow;
mod refused;
mod support;
mod tls;
mod transactions;
mod values;
