//! The driver's cells as ours.

use tiberius::{ColumnData, Row};

use super::client::Parameter;
use crate::error::{Error, Kind, Result};
use crate::row::{Cell, Operation, RowSink};
use crate::table::{Column, ColumnType};

/// Days from 0001-01-01 to 1900-01-01, where datetime and smalldatetime begin.
const DAYS_TO_1900: i32 = 693_595;

const TICKS_A_MINUTE: i64 = 600_000_000;

/// Pushes a row into a sink: `skip` cells are not the table's; of a delete only the key is pushed.
pub fn push<S: RowSink>(
    row: &Row,
    skip: usize,
    operation: Operation,
    columns: &[Column],
    is_key: &[bool],
    sink: &mut S,
) -> Result<bool> {
    sink.begin(operation);
    let cells = row.cells().skip(skip).map(|(_, data)| data);
    for ((data, column), is_key) in cells.zip(columns).zip(is_key) {
        if operation == Operation::Delete && !is_key {
            sink.cell(Cell::Null)?;
            continue;
        }
        let cell = cell(data, column)?;
        if cell == Cell::Null && !column.nullable {
            let message = format!("column '{}' is NOT NULL, but the source gives NULL", column.name);
            return Err(Error::new(Kind::Drift, message).advice(
                "Its definition changed, or its capture does not cover it: run 'delsert resync' for the table",
            ));
        }
        sink.cell(cell)?;
    }
    sink.end()
}

/// A driver's cell as ours.
pub fn cell<'a>(data: &'a ColumnData<'static>, column: &Column) -> Result<Cell<'a>> {
    let digits = match column.column_type {
        ColumnType::Time { digits } | ColumnType::Timestamp { digits } | ColumnType::TimestampTz { digits } => digits,
        _ => 0,
    };
    Ok(match data {
        ColumnData::Bit(value) => value.map_or(Cell::Null, Cell::Boolean),
        ColumnData::U8(value) => value.map_or(Cell::Null, |value| Cell::Integer(value.into())),
        ColumnData::I16(value) => value.map_or(Cell::Null, |value| Cell::Integer(value.into())),
        ColumnData::I32(value) => value.map_or(Cell::Null, |value| Cell::Integer(value.into())),
        ColumnData::I64(value) => value.map_or(Cell::Null, Cell::Integer),
        ColumnData::F32(value) => value.map_or(Cell::Null, Cell::Float32),
        ColumnData::F64(value) => value.map_or(Cell::Null, Cell::Float64),
        ColumnData::Numeric(value) => value.map_or(Cell::Null, |value| Cell::Decimal(value.value(), value.scale())),
        ColumnData::String(value) => value.as_ref().map_or(Cell::Null, |text| Cell::Text(text)),
        ColumnData::Binary(value) => value.as_ref().map_or(Cell::Null, |bytes| {
            // The driver would give up a whole result for one unpaired surrogate.
            let is_text = matches!(column.column_type, ColumnType::Text { .. });
            if is_text { Cell::Utf16(bytes) } else { Cell::Bytes(bytes) }
        }),
        ColumnData::Guid(value) => value.map_or(Cell::Null, |uuid| Cell::Uuid(uuid.into_bytes())),
        ColumnData::Date(value) => value.map_or(Cell::Null, |date| Cell::Date(days(date.days()))),
        ColumnData::Time(value) => value.map_or(Cell::Null, |time| Cell::Time(ticks(time), digits)),
        ColumnData::SmallDateTime(value) => value.map_or(Cell::Null, |value| {
            let ticks = i64::from(value.seconds_fragments()) * TICKS_A_MINUTE;
            Cell::Timestamp(DAYS_TO_1900 + i32::from(value.days()), ticks, digits)
        }),
        ColumnData::DateTime(value) => value.map_or(Cell::Null, |value| {
            Cell::Timestamp(DAYS_TO_1900 + value.days(), datetime_ticks(value.seconds_fragments()), digits)
        }),
        ColumnData::DateTime2(value) => {
            value.map_or(Cell::Null, |value| Cell::Timestamp(days(value.date().days()), ticks(value.time()), digits))
        }
        ColumnData::DateTimeOffset(value) => value.map_or(Cell::Null, |value| {
            let utc = value.datetime2();
            Cell::TimestampTz(days(utc.date().days()), ticks(utc.time()), digits, value.offset())
        }),
        ColumnData::Xml(_) => {
            let message = format!("column '{}' came as a type that was not asked for", column.name);
            return Err(Error::new(Kind::Internal, message));
        }
    })
}

fn days(days: u32) -> i32 {
    // A date has three bytes on the wire.
    i32::try_from(days).unwrap_or(i32::MAX)
}

fn ticks(time: tiberius::time::Time) -> i64 {
    let unit = 10i64.pow(7u32.saturating_sub(u32::from(time.scale())));
    i64::try_from(time.increments()).unwrap_or(i64::MAX).saturating_mul(unit)
}

/// Ticks of a datetime's 1/300 s, rounded to the milliseconds .000, .003 and .007 that the server shows.
fn datetime_ticks(fragments: u32) -> i64 {
    (i64::from(fragments) * 10 + 1) / 3 * 10_000
}

/// A datetime cell as text, `YYYY-MM-DDTHH:MM:SS.fff`.
pub fn datetime_text(row: &Row, at: usize) -> Option<String> {
    let ColumnData::DateTime(Some(value)) = row.get_column_data(at).ok()? else { return None };
    Some(timestamp_text(DAYS_TO_1900 + value.days(), datetime_ticks(value.seconds_fragments()), 3))
}

fn timestamp_text(days: i32, ticks: i64, digits: usize) -> String {
    let date = chrono::NaiveDate::from_num_days_from_ce_opt(days + 1).unwrap_or_default();
    format!("{date}T{}", time_text(ticks, digits))
}

fn time_text(ticks: i64, digits: usize) -> String {
    let (seconds, fraction) = (ticks / 10_000_000, ticks % 10_000_000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if digits == 0 { clock } else { format!("{clock}.{}", &format!("{fraction:07}")[..digits]) }
}

/// A key cell as the parameter that gives it back to the server, exact to the last digit.
pub fn parameter(data: &ColumnData<'static>, column: &Column) -> Result<Parameter> {
    let digits = |digits: u8| usize::from(digits.min(7));
    Ok(match cell(data, column)? {
        Cell::Integer(value) => Parameter::Integer(value),
        Cell::Boolean(value) => Parameter::Integer(value.into()),
        Cell::Decimal(value, scale) => {
            let sign = if value < 0 { "-" } else { "" };
            let unit = 10u128.pow(u32::from(scale));
            let (whole, fraction) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
            let fraction =
                if scale == 0 { String::new() } else { format!(".{fraction:0width$}", width = usize::from(scale)) };
            Parameter::Text(format!("{sign}{whole}{fraction}"))
        }
        Cell::Float32(value) => Parameter::Float(value.into()),
        Cell::Float64(value) => Parameter::Float(value),
        Cell::Date(days) => Parameter::Text(timestamp_text(days, 0, 0)[..10].to_owned()),
        Cell::Time(ticks, scale) => Parameter::Text(time_text(ticks, digits(scale))),
        Cell::Timestamp(days, ticks, scale) => Parameter::Text(timestamp_text(days, ticks, digits(scale))),
        Cell::TimestampTz(days, ticks, scale, _) => {
            Parameter::Text(format!("{}+00:00", timestamp_text(days, ticks, digits(scale))))
        }
        Cell::Text(text) => Parameter::Text(text.to_owned()),
        Cell::Bytes(bytes) | Cell::Utf16(bytes) => Parameter::Bytes(bytes.to_vec()),
        Cell::Uuid(bytes) => Parameter::Text(uuid::Uuid::from_bytes(bytes).to_string()),
        Cell::Null => {
            return Err(Error::new(Kind::Value, format!("key column '{}' holds NULL", column.name)));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes_show_the_milliseconds_that_the_server_shows() {
        for (fragments, text) in [
            (0, "00:00:00.000"),
            (1, "00:00:00.003"),
            (2, "00:00:00.007"),
            (299, "00:00:00.997"),
            (25_919_999, "23:59:59.997"),
        ] {
            assert_eq!(time_text(datetime_ticks(fragments), 3), text);
        }
        assert_eq!(timestamp_text(DAYS_TO_1900, 0, 0), "1900-01-01T00:00:00");
    }
}
