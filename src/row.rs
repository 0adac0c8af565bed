//! Rows in motion: a source pushes typed cells into a [`RowSink`]; nobody builds a row up in memory.

use crate::error::Result;

/// What is to become of a row in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The row exists, with these values.
    Upsert,
    /// The row with this key is gone; other cells are NULL.
    Delete,
}

/// A typed value, borrowed from whoever reads it.
///
/// Days count from 0001-01-01 (day 0) in the proleptic Gregorian calendar. Ticks are 100 ns since midnight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// NULL of any type.
    Null,
    /// True or false.
    Boolean(bool),
    /// Integer.
    Integer(i64),
    /// Unscaled value and scale: `(-12345, 4)` is −1.2345.
    Decimal(i128, u8),
    /// Four-byte floating point.
    Float32(f32),
    /// Eight-byte floating point.
    Float64(f64),
    /// Days.
    Date(i32),
    /// Ticks, and the decimal digits of a second that the source keeps.
    Time(i64, u8),
    /// Days, ticks, digits.
    Timestamp(i32, i64, u8),
    /// Days and ticks in UTC, digits, and the minutes by which the source's own clock is ahead.
    TimestampTz(i32, i64, u8, i16),
    /// Text.
    Text(&'a str),
    /// Text in UTF-16, little-endian, as it came: its surrogates may be unpaired.
    Utf16(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// UUID in the order of its text form.
    Uuid([u8; 16]),
}

/// Where a source pushes rows. Cells come in the order of the table's columns, one for each.
pub trait RowSink: Send {
    /// Begins a row.
    fn begin(&mut self, operation: Operation);

    /// Adds the next cell.
    ///
    /// # Errors
    /// The value cannot be carried, or equals the NULL sentinel.
    fn cell(&mut self, cell: Cell<'_>) -> Result<()>;

    /// Ends the row; `true` asks the source to call [`RowSink::drain`] before the next.
    ///
    /// # Errors
    /// The row cannot be written.
    fn end(&mut self) -> Result<bool>;

    /// Makes room: hands on what was gathered.
    fn drain(&mut self) -> impl Future<Output = Result<()>> + Send;
}
