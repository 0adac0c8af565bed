//! What the seams promise, tried on every implementation of theirs.

pub mod batch;
mod target;
