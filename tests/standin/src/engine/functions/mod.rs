//! Built-in functions, by family.

#![expect(clippy::unnecessary_wraps, reason = "operations have one shape, whether they can fail or not")]

pub mod aggregate;
pub mod date;
mod hash;
pub mod math;
pub mod meta;
pub mod pattern;
pub mod property;
pub mod string;

use super::bind::{Binder, Bound};
use super::error::Result;

/// Binds a call.
pub type Bind = fn(&mut Binder<'_>, &str, Vec<Bound>) -> Result<Bound>;
/// How many arguments a function takes, least and most; `None` if it is not one of the family.
pub type Count = fn(&str) -> Option<(usize, usize)>;

/// How a function is called: how many arguments, and how they are bound.
pub struct Signature {
    /// Least and most arguments.
    pub count: (usize, usize),
    /// Binds a call.
    pub bind: Bind,
}

/// The function of that name, in upper case.
pub fn find(name: &str) -> Option<Signature> {
    let families: [(Count, Bind); 5] = [
        (string::count, string::bind),
        (math::count, math::bind),
        (date::count, date::bind),
        (meta::count, meta::bind),
        (property::count, property::bind),
    ];
    families.into_iter().find_map(|(count, bind)| count(name).map(|count| Signature { count, bind }))
}
