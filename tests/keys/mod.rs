//! Keys: spelled otherwise and yet the same to the source, of every type, in ranges, by an index; and what is none.
//!
//! | module | tries |
//! |---|---|
//! | [`spelling`] | keys whose spelling alone changes, under collations of every class |
//! | [`types`] | keys of every type, by key ranges and by changes |
//! | [`choice`] | tables without a primary key, and keys that are none |
//! | [`target`] | types and collations of the target in which two keys would become one |

mod choice;
mod spelling;
mod target;
mod types;
