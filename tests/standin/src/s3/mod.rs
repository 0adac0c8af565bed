//! An S3 server over memory, atomic under conditional writes, with a seam for faults.
//!
//! | module | is |
//! |---|---|
//! | [`store`], [`upload`], [`listing`] | buckets, objects, multipart uploads, pages of keys |
//! | [`checksum`] | `ETag`s and the checksums that clients send |
//! | [`fault`] | what a test makes go wrong, before or after the work is done |
//! | [`front`] | TLS, and the region that a request is signed for |
//! | [`access`], [`policy`] | keys and what they may do; host names |
//! | `service`, [`server`] | the store behind the protocol, and the listener |
//!
//! One lock covers the whole store, so that each operation happens at one moment: of many conditional writes to a
//! key, exactly one wins.

pub mod access;
pub mod checksum;
pub mod fault;
pub mod front;
pub mod listing;
pub mod policy;
pub mod server;
mod service;
pub mod store;
#[cfg(test)]
mod tests;
pub mod upload;

pub use access::{Keys, Rights};
pub use fault::{Fault, Faults, Moment, Operation, Rule, Script, Spoilt};
pub use front::{Front, Misled};
pub use policy::Policy;
pub use server::{serve, serve_behind, serve_with};
pub use store::Store;
