//! Says whether a target equals a source, cell by cell, without trusting the code that filled it.
//!
//! Shares no code with `delsert`, nor with the stand-in's loader. A [`model::Database`] holds what the source holds, in
//! the text that PostgreSQL should print for it; a test that changes the source changes the model alike.
//!
//! | module | is |
//! |---|---|
//! | [`kind`] | SQL Server's types: what PostgreSQL should make of a type, and of a value |
//! | [`model`] | tables in memory |
//! | [`directory`] | a model read from `schema.json` and gzip CSV |
//! | [`compare`] | model against target |
//! | [`report`] | what differs |

pub mod compare;
pub mod directory;
pub mod kind;
pub mod model;
pub mod report;
