//! The Redshift stand-in as its clients see it, before a real PostgreSQL.

mod copy;
mod flow;
mod support;
