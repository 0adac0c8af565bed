//! Rows as CSV: strings quoted, other values bare, NULL a bare sentinel that no cell equals.
//!
//! The first field is the operation, `u` (upsert) or `d` (delete); the table's columns follow in their order.

mod digits;
mod fit;

pub use self::fit::{Fit, Limit};

use self::digits::{write_date, write_decimal, write_display, write_float, write_hex, write_time, write_uuid};
use self::fit::{nearest, refused};
use crate::error::{Error, Kind, Result};
use crate::loss::{Loss, Losses, Policies};
use crate::row::{Cell, Operation};
use crate::table::Table;

/// How cells are written, where targets differ.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Dialect {
    /// What stands, bare, for NULL.
    pub null: String,
    /// What goes before the hexadecimal digits of bytes.
    pub binary_prefix: String,
}

/// Where a row and the key cells in it stand in the buffer, and which losses it took in which columns.
#[derive(Debug, Default)]
struct Span {
    start: usize,
    keys: Vec<(usize, usize)>,
    losses: Vec<(usize, Loss)>,
}

/// A column, as its cells are written.
#[derive(Debug)]
struct Written {
    name: String,
    in_key: bool,
    nullable: bool,
    fit: Fit,
    losses: [u64; Loss::ALL.len()],
}

/// Encodes rows into a buffer.
#[derive(Debug)]
pub struct Encoder {
    dialect: Dialect,
    columns: Vec<Written>,
    collapse: bool,
    longest_row: usize,
    buffer: Vec<u8>,
    /// Room for a text that is decoded.
    text: String,
    column: usize,
    operation: Operation,
    row: Span,
    previous: Option<Span>,
    upserts: u64,
    deletes: u64,
}

impl Encoder {
    /// An encoder for a table's rows, with a fit for each of its columns. With `collapse`, of neighbours with equal keys
    /// only the last is kept: a row that moved while it was being read in key order may come twice.
    pub fn new(table: &Table, fits: Vec<Fit>, dialect: Dialect, collapse: bool) -> Self {
        let columns = table.columns.iter().zip(fits).map(|(column, mut fit)| {
            let in_key = table.key.contains(&column.name);
            if in_key {
                // Keys are compared by their moment where they have an offset.
                fit.policies = Policies::STRICT.with(Loss::Offset, fit.policies.takes(Loss::Offset));
            } else if !column.nullable {
                fit.policies = fit.policies.with(Loss::Range, false);
            }
            Written { name: column.name.clone(), in_key, nullable: column.nullable, fit, losses: Default::default() }
        });
        Self {
            dialect,
            columns: columns.collect(),
            collapse,
            longest_row: usize::MAX,
            buffer: Vec::with_capacity(256 * 1024),
            text: String::new(),
            column: 0,
            operation: Operation::Upsert,
            row: Span::default(),
            previous: None,
            upserts: 0,
            deletes: 0,
        }
    }

    /// The same for a target that reads rows of so many bytes at most; `None` for any number.
    #[must_use]
    pub fn of_rows_up_to(mut self, longest: Option<usize>) -> Self {
        self.longest_row = longest.unwrap_or(usize::MAX);
        self
    }

    /// Rows upserted so far.
    pub fn upserts(&self) -> u64 {
        self.upserts
    }

    /// Rows deleted so far.
    pub fn deletes(&self) -> u64 {
        self.deletes
    }

    /// The losses taken so far, in rows that were kept.
    pub fn losses(&self) -> Losses {
        let mut losses = Losses::default();
        for column in &self.columns {
            for loss in Loss::ALL {
                losses.count(&column.name, loss, column.losses[loss as usize]);
            }
        }
        losses
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
        self.row.losses.clear();
        self.column = 0;
        self.operation = operation;
        self.buffer.push(if operation == Operation::Upsert { b'u' } else { b'd' });
    }

    /// Adds a cell.
    ///
    /// # Errors
    /// [`Kind::Value`] for what the target cannot hold and no policy takes, [`Kind::Sentinel`] for a text that equals the sentinel,
    /// [`Kind::Internal`] for a cell too many.
    pub fn cell(&mut self, cell: Cell<'_>) -> Result<()> {
        if self.column >= self.columns.len() {
            return Err(Error::new(Kind::Internal, format!("a row has more than {} cells", self.columns.len())));
        }
        self.buffer.push(b',');
        let start = self.buffer.len();
        self.write(cell)?;
        if self.columns[self.column].in_key {
            self.row.keys.push((start, self.buffer.len()));
        }
        self.column += 1;
        Ok(())
    }

    /// Ends the row.
    ///
    /// # Errors
    /// [`Kind::Value`] for a row that is too long for the target, [`Kind::Internal`] for a cell too few.
    pub fn end(&mut self) -> Result<()> {
        if self.column != self.columns.len() {
            let message = format!("a row has {} cells, its table {} columns", self.column, self.columns.len());
            return Err(Error::new(Kind::Internal, message));
        }
        self.buffer.push(b'\n');
        let length = self.buffer.len() - self.row.start;
        if length > self.longest_row {
            let message =
                format!("a row has {length} bytes as text, and the target reads {} at most", self.longest_row);
            return Err(Error::new(Kind::Value, message).advice(
                "Give its longest columns shorter types by 'columns' of the table's [[table]] entry, with length = \"truncate\"; or leave one out with exclude_columns",
            ));
        }
        match self.operation {
            Operation::Upsert => self.upserts += 1,
            Operation::Delete => self.deletes += 1,
        }
        for (column, loss) in &self.row.losses {
            self.columns[*column].losses[*loss as usize] += 1;
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
            // The row that is dropped is the one before.
            for (column, loss) in &self.row.losses {
                self.columns[*column].losses[*loss as usize] -= 1;
            }
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
        let cell = match cell {
            Cell::Text(text) => return self.write_text(text),
            Cell::Utf16(units) => return self.write_utf16(units),
            Cell::TimestampTz(.., offset) if offset != 0 => {
                self.take(Loss::Offset)?;
                cell
            }
            _ => cell,
        };
        let (cell, loss) = nearest(cell, self.columns[self.column].fit.limit);
        if let Some(loss) = loss {
            self.take(loss)?;
        }
        let out = &mut self.buffer;
        match cell {
            Cell::Null | Cell::Text(_) | Cell::Utf16(_) => out.extend_from_slice(self.dialect.null.as_bytes()),
            Cell::Boolean(value) => out.push(if value { b't' } else { b'f' }),
            Cell::Integer(value) => write_display(out, value),
            Cell::Decimal(value, scale) => write_decimal(out, value, scale),
            Cell::Float32(value) => write_float(out, value, value.abs() != 0.0 && !(1e-5..1e9).contains(&value.abs())),
            Cell::Float64(value) => write_float(out, value, value.abs() != 0.0 && !(1e-5..1e17).contains(&value.abs())),
            Cell::Date(days) => write_date(out, days),
            Cell::Time(ticks, digits) => write_time(out, ticks, digits),
            Cell::Timestamp(days, ticks, digits) => {
                write_date(out, days);
                out.push(b' ');
                write_time(out, ticks, digits);
            }
            Cell::TimestampTz(days, ticks, digits, _) => {
                write_date(out, days);
                out.push(b' ');
                write_time(out, ticks, digits);
                out.extend_from_slice(b"+00");
            }
            Cell::Bytes(bytes) => {
                out.extend_from_slice(self.dialect.binary_prefix.as_bytes());
                write_hex(out, bytes);
            }
            Cell::Uuid(bytes) => write_uuid(out, bytes),
        }
        Ok(())
    }

    /// Goes on in spite of a loss, which is counted, or does not.
    fn take(&mut self, loss: Loss) -> Result<()> {
        let column = &self.columns[self.column];
        if !column.fit.policies.takes(loss) {
            return Err(refused(&column.name, &column.fit, loss, column.in_key, column.nullable));
        }
        self.row.losses.push((self.column, loss));
        Ok(())
    }

    fn write_utf16(&mut self, units: &[u8]) -> Result<()> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let (mut broken, mut written) = (false, Ok(()));
        let units = units.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        text.extend(char::decode_utf16(units).map(|decoded| {
            decoded.unwrap_or_else(|_| {
                broken = true;
                char::REPLACEMENT_CHARACTER
            })
        }));
        if broken {
            written = self.take(Loss::Surrogate);
        }
        written = written.and_then(|()| self.write_text(&text));
        self.text = text;
        written
    }

    fn write_text(&mut self, text: &str) -> Result<()> {
        if text == self.dialect.null {
            let column = &self.columns[self.column].name;
            let message = format!("a text in column '{column}' equals the batch's NULL sentinel");
            return Err(Error::new(Kind::Sentinel, message));
        }
        if text.trim().is_empty() && self.columns[self.column].fit.limit == Limit::Filled {
            self.take(Loss::Range)?;
            self.buffer.extend_from_slice(self.dialect.null.as_bytes());
            return Ok(());
        }
        if text.as_bytes().contains(&0) {
            self.take(Loss::Nul)?;
            return self.write_text(&text.replace('\0', "\u{FFFD}"));
        }
        let end = match self.columns[self.column].fit.limit {
            Limit::Chars(most) => text.char_indices().nth(most as usize).map_or(text.len(), |(end, _)| end),
            Limit::Octets(most) => text.floor_char_boundary(most as usize),
            _ => text.len(),
        };
        if end < text.len() {
            self.take(Loss::Length)?;
        }
        let text = &text[..end];
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

#[cfg(test)]
mod tests;
