//! Tables that change at the source while they are synced.

mod followed;
mod refused;
