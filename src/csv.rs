//! Rows as CSV: strings quoted, other values bare, NULL a bare sentinel that no cell equals.
//!
//! The first field is the operation, `u` (upsert) or `d` (delete); the table's columns follow in their order.

use std::io::Write;

use crate::error::{Error, Kind, Result};
use crate::row::{Cell, Operation};
use crate::table::{ColumnType, Table};

/// The sentinel that a batch tries first.
pub const FIRST_SENTINEL: &str = "\\N";

/// How cells are written, where targets differ.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Dialect {
    /// What stands, bare, for NULL.
    pub null: String,
    /// What goes before the hexadecimal digits of bytes.
    pub binary_prefix: String,
}

/// Where the last row and the key cells in it stand in the buffer.
#[derive(Debug, Default)]
struct Span {
    start: usize,
    keys: Vec<(usize, usize)>,
}

/// Encodes rows into a buffer.
#[derive(Debug)]
pub struct Encoder {
    dialect: Dialect,
    columns: Vec<(String, ColumnType)>,
    is_key: Vec<bool>,
    collapse: bool,
    buffer: Vec<u8>,
    column: usize,
    operation: Operation,
    row: Span,
    previous: Option<Span>,
    upserts: u64,
    deletes: u64,
    cut_digits: u64,
}

impl Encoder {
    /// An encoder for a table's rows. With `collapse`, of neighbours with equal keys only the last is kept: a row that
    /// moved while it was being read in key order may come twice.
    pub fn new(table: &Table, dialect: Dialect, collapse: bool) -> Self {
        let is_key = table.columns.iter().map(|column| table.key.contains(&column.name)).collect();
        let columns = table.columns.iter().map(|column| (column.name.clone(), column.column_type)).collect();
        Self {
            dialect,
            columns,
            is_key,
            collapse,
            buffer: Vec::with_capacity(256 * 1024),
            column: 0,
            operation: Operation::Upsert,
            row: Span::default(),
            previous: None,
            upserts: 0,
            deletes: 0,
            cut_digits: 0,
        }
    }

    /// Rows upserted so far.
    pub fn upserts(&self) -> u64 {
        self.upserts
    }

    /// Rows deleted so far.
    pub fn deletes(&self) -> u64 {
        self.deletes
    }

    /// Values so far whose seventh digit of a second was cut and was not zero.
    pub fn cut_digits(&self) -> u64 {
        self.cut_digits
    }

    /// Bytes in the buffer.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Rows counted that [`Encoder::drain`] has not handed on while rows are still to come.
    pub fn held(&self) -> u64 {
        u64::from(self.previous.is_some())
    }

    /// Begins a row.
    pub fn begin(&mut self, operation: Operation) {
        self.row.start = self.buffer.len();
        self.row.keys.clear();
        self.column = 0;
        self.operation = operation;
        self.buffer.push(if operation == Operation::Upsert { b'u' } else { b'd' });
    }

    /// Adds a cell.
    ///
    /// # Errors
    /// [`Kind::Value`] for what CSV or the target cannot carry, [`Kind::Sentinel`] for a text that equals the sentinel,
    /// [`Kind::Internal`] for a cell too many.
    pub fn cell(&mut self, cell: Cell<'_>) -> Result<()> {
        if self.column >= self.columns.len() {
            return Err(Error::new(Kind::Internal, format!("a row has more than {} cells", self.columns.len())));
        }
        self.buffer.push(b',');
        let start = self.buffer.len();
        self.write(cell)?;
        if self.is_key[self.column] {
            self.row.keys.push((start, self.buffer.len()));
        }
        self.column += 1;
        Ok(())
    }

    /// Ends the row.
    ///
    /// # Errors
    /// [`Kind::Internal`] for a cell too few.
    pub fn end(&mut self) -> Result<()> {
        if self.column != self.columns.len() {
            let message = format!("a row has {} cells, its table {} columns", self.column, self.columns.len());
            return Err(Error::new(Kind::Internal, message));
        }
        self.buffer.push(b'\n');
        match self.operation {
            Operation::Upsert => self.upserts += 1,
            Operation::Delete => self.deletes += 1,
        }
        if self.collapse {
            self.collapse_neighbours();
        }
        Ok(())
    }

    fn collapse_neighbours(&mut self) {
        let Some(previous) = &mut self.previous else {
            self.previous = Some(std::mem::take(&mut self.row));
            return;
        };
        let (buffer, row) = (&self.buffer, &self.row);
        let key = |span: &(usize, usize)| &buffer[span.0..span.1];
        let equal = previous.keys.iter().map(key).eq(row.keys.iter().map(key));
        std::mem::swap(previous, &mut self.row);
        if equal {
            let length = previous.start - self.row.start;
            self.buffer.drain(self.row.start..previous.start);
            previous.start -= length;
            previous.keys.iter_mut().for_each(|key| *key = (key.0 - length, key.1 - length));
            self.upserts -= 1;
        }
    }

    /// Hands what is settled to `take` and forgets it; all of it when the rows are `finished`.
    ///
    /// # Errors
    /// What `take` gives.
    pub fn drain(&mut self, finished: bool, take: impl FnOnce(&[u8]) -> Result<()>) -> Result<()> {
        let keep_from = match &self.previous {
            Some(previous) if !finished => previous.start,
            _ => self.buffer.len(),
        };
        take(&self.buffer[..keep_from])?;
        self.buffer.drain(..keep_from);
        match &mut self.previous {
            Some(previous) if !finished => {
                previous.start = 0;
                previous.keys.iter_mut().for_each(|key| *key = (key.0 - keep_from, key.1 - keep_from));
            }
            previous => *previous = None,
        }
        Ok(())
    }

    fn write(&mut self, cell: Cell<'_>) -> Result<()> {
        let out = &mut self.buffer;
        match cell {
            Cell::Null => out.extend_from_slice(self.dialect.null.as_bytes()),
            Cell::Boolean(value) => out.push(if value { b't' } else { b'f' }),
            Cell::Integer(value) => write_display(out, value),
            Cell::Decimal(value, scale) => write_decimal(out, value, scale),
            Cell::Float32(value) => write_float(out, value, value.abs() != 0.0 && !(1e-5..1e9).contains(&value.abs())),
            Cell::Float64(value) => write_float(out, value, value.abs() != 0.0 && !(1e-5..1e17).contains(&value.abs())),
            Cell::Date(days) => write_date(out, days),
            Cell::Time(ticks, digits) => self.cut_digits += write_time(out, ticks, digits),
            Cell::Timestamp(days, ticks, digits) => {
                write_date(out, days);
                out.push(b' ');
                self.cut_digits += write_time(out, ticks, digits);
            }
            Cell::TimestampTz(days, ticks, digits) => {
                write_date(out, days);
                out.push(b' ');
                self.cut_digits += write_time(out, ticks, digits);
                out.extend_from_slice(b"+00");
            }
            Cell::Text(text) => return self.write_text(text),
            Cell::Bytes(bytes) => {
                out.extend_from_slice(self.dialect.binary_prefix.as_bytes());
                write_hex(out, bytes);
            }
            Cell::Uuid(bytes) => {
                for (at, group) in
                    [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]].iter().enumerate()
                {
                    if at > 0 {
                        out.push(b'-');
                    }
                    write_hex(out, group);
                }
            }
        }
        Ok(())
    }

    fn write_text(&mut self, text: &str) -> Result<()> {
        let column = &self.columns[self.column].0;
        if text == self.dialect.null {
            let message = format!("a text in column '{column}' equals the batch's NULL sentinel");
            return Err(Error::new(Kind::Sentinel, message));
        }
        if text.as_bytes().contains(&0) {
            return Err(Error::new(
                Kind::Value,
                format!("a text in column '{column}' holds a NUL character, which no target can store"),
            )
            .advice("Remove it at the source, or leave the column out with exclude_columns"));
        }
        self.buffer.push(b'"');
        // A quote at most doubles: the output always fits.
        let start = self.buffer.len();
        self.buffer.resize(start + 2 * text.len(), 0);
        let (_, _, written) = csv_core::quote(text.as_bytes(), &mut self.buffer[start..], b'"', b'"', true);
        self.buffer.truncate(start + written);
        self.buffer.push(b'"');
        Ok(())
    }
}

fn write_display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{value}");
}

fn write_float<T: std::fmt::Display + std::fmt::LowerExp>(out: &mut Vec<u8>, value: T, exponent: bool) {
    let _ = if exponent { write!(out, "{value:e}") } else { write!(out, "{value}") };
}

fn write_decimal(out: &mut Vec<u8>, value: i128, scale: u8) {
    if value < 0 {
        out.push(b'-');
    }
    let magnitude = value.unsigned_abs();
    if scale == 0 {
        return write_display(out, magnitude);
    }
    // 10^38 fits: the source's scales end at 38.
    let unit = 10u128.pow(u32::from(scale));
    let _ = write!(out, "{}.{:0width$}", magnitude / unit, magnitude % unit, width = usize::from(scale));
}

fn write_digits(out: &mut Vec<u8>, value: u32, width: u32) {
    for place in (0..width).rev() {
        let digit = value / 10u32.pow(place) % 10;
        out.push(b'0' + u8::try_from(digit).unwrap_or(0));
    }
}

/// `YYYY-MM-DD` of a day counted from 0001-01-01, by the method of whole 400-year eras beginning in March.
fn write_date(out: &mut Vec<u8>, days: i32) {
    let shifted = i64::from(days) + 306;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let number = |value: i64| u32::try_from(value).unwrap_or(0);
    write_digits(out, number(year), 4);
    out.push(b'-');
    write_digits(out, number(month), 2);
    out.push(b'-');
    write_digits(out, number(day), 2);
}

/// `HH:MM:SS` and at most six digits of 100 ns ticks. A seventh is cut, since rounding could reach the next day; gives
/// 1 if it was not zero.
fn write_time(out: &mut Vec<u8>, ticks: i64, digits: u8) -> u64 {
    let number = |value: i64| u32::try_from(value).unwrap_or(0);
    let (seconds, fraction) = (number(ticks / 10_000_000), number(ticks % 10_000_000));
    write_digits(out, seconds / 3600, 2);
    out.push(b':');
    write_digits(out, seconds / 60 % 60, 2);
    out.push(b':');
    write_digits(out, seconds % 60, 2);
    let digits = digits.min(6);
    if digits > 0 {
        out.push(b'.');
        write_digits(out, fraction / 10u32.pow(7 - u32::from(digits)), u32::from(digits));
    }
    u64::from(fraction % 10u32.pow(7 - u32::from(digits)) != 0)
}

fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Column, TableName};

    fn table(columns: usize) -> Table {
        let column = |at| Column {
            name: format!("c{at}"),
            source_type: "text".to_owned(),
            column_type: ColumnType::Text { max_chars: None, max_bytes: None },
            nullable: true,
            collation: None,
        };
        Table {
            name: TableName::new("s", "t"),
            key: vec!["c0".to_owned()],
            columns: (0..columns).map(column).collect(),
        }
    }

    fn dialect() -> Dialect {
        Dialect { null: "\\N".to_owned(), binary_prefix: "\\x".to_owned() }
    }

    fn encode(cell: Cell<'_>) -> Result<String> {
        let mut encoder = Encoder::new(&table(1), dialect(), false);
        encoder.begin(Operation::Upsert);
        encoder.cell(cell)?;
        encoder.end()?;
        Ok(String::from_utf8(encoder.buffer).unwrap().trim_start_matches("u,").trim_end_matches('\n').to_owned())
    }

    #[test]
    fn each_type_has_its_text() {
        let day = 24 * 3600 * 10_000_000;
        let uuid = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];
        for (cell, text) in [
            (Cell::Null, "\\N"),
            (Cell::Boolean(true), "t"),
            (Cell::Boolean(false), "f"),
            (Cell::Integer(i64::MIN), "-9223372036854775808"),
            (Cell::Decimal(-1, 9), "-0.000000001"),
            (Cell::Decimal(-12_345, 4), "-1.2345"),
            (Cell::Decimal(0, 2), "0.00"),
            (Cell::Decimal(10i128.pow(38) - 1, 38), "0.99999999999999999999999999999999999999"),
            (Cell::Decimal(1 - 10i128.pow(38), 0), "-99999999999999999999999999999999999999"),
            (Cell::Float32(0.1), "0.1"),
            (Cell::Float64(0.1 + 0.2), "0.30000000000000004"),
            (Cell::Float64(-1.797_693_134_862_315_7e308), "-1.7976931348623157e308"),
            (Cell::Float64(0.0), "0"),
            (Cell::Date(0), "0001-01-01"),
            (Cell::Date(3_652_058), "9999-12-31"),
            (Cell::Date(730_178), "2000-02-29"),
            (Cell::Date(693_595), "1900-01-01"),
            (Cell::Time(day - 1, 7), "23:59:59.999999"),
            (Cell::Time(0, 0), "00:00:00"),
            (Cell::Timestamp(3_652_058, day - 1, 7), "9999-12-31 23:59:59.999999"),
            (Cell::Timestamp(730_178, 12_345_670_000, 3), "2000-02-29 00:20:34.567"),
            (Cell::TimestampTz(730_178, 0, 0), "2000-02-29 00:00:00+00"),
            (Cell::Text(""), "\"\""),
            (Cell::Text("a\"b\",\r\n\\N"), "\"a\"\"b\"\",\r\n\\N\""),
            (Cell::Bytes(&[]), "\\x"),
            (Cell::Bytes(&[0, 0xAB]), "\\x00ab"),
            (Cell::Uuid(uuid), "00010203-0405-0607-0809-0a0b0c0d0eff"),
        ] {
            assert_eq!(encode(cell).unwrap(), text, "{cell:?}");
        }
    }

    #[test]
    fn a_text_that_equals_the_sentinel_and_a_nul_are_refused() {
        assert_eq!(encode(Cell::Text("\\N")).unwrap_err().kind(), Kind::Sentinel);
        assert_eq!(encode(Cell::Text("a\0b")).unwrap_err().kind(), Kind::Value);
    }

    #[test]
    fn a_cut_seventh_digit_is_counted_unless_zero() {
        let mut encoder = Encoder::new(&table(2), dialect(), false);
        encoder.begin(Operation::Upsert);
        encoder.cell(Cell::Time(11, 7)).unwrap();
        encoder.cell(Cell::Time(10, 7)).unwrap();
        encoder.end().unwrap();
        assert_eq!(encoder.cut_digits(), 1);
    }

    #[test]
    fn of_neighbours_with_equal_keys_the_last_stays_even_across_a_drain() {
        let mut encoder = Encoder::new(&table(2), dialect(), true);
        let mut written = Vec::new();
        for (at, (key, value)) in
            [("a", "1"), ("a", "22"), ("b", "3"), ("b", "44"), ("b", "5"), ("c", "6")].iter().enumerate()
        {
            encoder.begin(Operation::Upsert);
            encoder.cell(Cell::Text(key)).unwrap();
            encoder.cell(Cell::Text(value)).unwrap();
            encoder.end().unwrap();
            if at % 2 == 0 {
                encoder
                    .drain(false, |bytes| {
                        written.extend_from_slice(bytes);
                        Ok(())
                    })
                    .unwrap();
            }
        }
        encoder
            .drain(true, |bytes| {
                written.extend_from_slice(bytes);
                Ok(())
            })
            .unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), "u,\"a\",\"22\"\nu,\"b\",\"5\"\nu,\"c\",\"6\"\n");
        assert_eq!((encoder.upserts(), encoder.buffered()), (3, 0));
    }

    #[test]
    fn a_row_with_too_few_or_too_many_cells_is_refused() {
        let mut encoder = Encoder::new(&table(2), dialect(), false);
        encoder.begin(Operation::Delete);
        encoder.cell(Cell::Null).unwrap();
        assert!(encoder.end().is_err());
        encoder.cell(Cell::Null).unwrap();
        assert!(encoder.cell(Cell::Null).is_err());
    }
}
