//! Values: types and their facets, conversion, arithmetic, and how SQLite stores them.

pub mod arithmetic;
pub mod binary;
pub mod collation;
pub mod convert;
pub mod datetime;
pub mod decimal;
pub mod numeric;
pub mod storage;
pub mod text;
pub mod types;
