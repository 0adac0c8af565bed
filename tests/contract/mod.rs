//! What the seams promise, tried on every implementation of theirs.

mod batch;
mod target;
