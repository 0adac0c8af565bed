//! Values: types and their facets, conversion, arithmetic, and how SQLite stores them.

pub mod arithmetic;
pub mod binary;
pub mod collation;
pub mod convert;
pub mod datetime;
pub mod decimal;
mod declared;
pub mod numeric;
pub mod storage;
pub mod text;
mod to_number;
pub mod types;
