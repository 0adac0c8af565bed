//! What holds for any input whatever: each function takes one, and panics if a promise is broken.
//!
//! The fuzz targets and the test over the corpus both run these.

mod config;
mod listing;
mod manifest;
mod names;

/// A name, and what is promised of it.
pub type Target = (&'static str, fn(&[u8]));

/// All of them, as the folders of the corpus are named.
pub const TARGETS: [Target; 4] = [
    ("config", config::promises),
    ("manifest", manifest::promises),
    ("names", names::promises),
    ("listing", listing::promises),
];

/// Runs the promises of one name on an input.
pub fn hold(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, promises) = target.unwrap_or_else(|| panic!("no promises are named {name}"));
    promises(input);
}
