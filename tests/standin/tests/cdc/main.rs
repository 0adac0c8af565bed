//! Change data capture, called as the engine calls it.

mod bench;
mod capture;
mod cleanup;
mod definitions;
mod jobs;
mod key_updates;
mod net_changes;
mod procedures;
mod ranges;
mod values;
