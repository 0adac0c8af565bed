//! Which types a key may have: those in which no two keys of the source become one, and that compare as the source does
//! or more strictly.
//!
//! What a type refuses stops a load with a message; what it rounds or cuts silently, or takes for equal, would lose rows.
//! `char(n)` may be: like the source's every text it compares without regard to blanks at its end.

use tokio_postgres::GenericClient;

use super::shape::Type;
use crate::error::{Error, Kind, Result};
use crate::table::ColumnType;
use crate::target::TargetTable;
use crate::target::pgwire::failure::Server;

const BOOLEAN: u32 = 16;
const BYTEA: u32 = 17;
/// Integers, from the narrowest, each with the digits of all its values and of its longest.
const INTEGERS: [(u32, i32, i32); 3] = [(21, 4, 5), (23, 9, 10), (20, 18, 19)];
const FLOATS: [u32; 2] = [700, 701];
const DATE: u32 = 1082;
const TIME: u32 = 1083;
const TIMESTAMPS: [u32; 2] = [1114, 1184];
const NUMERIC: u32 = 1700;
const UUID: u32 = 2950;
/// `text`, `varchar`, `char(n)`.
const TEXTS: [u32; 3] = [25, 1043, 1042];

/// Whether a type has a key of the source's type in it, each value told from all others.
fn holds(target: Type, source: ColumnType) -> bool {
    let (number, modifier) = (target.number, target.modifier);
    // Lengths have that of a header added.
    let text = |least: Option<u32>| {
        let fits = modifier == -1 || least.is_some_and(|least| i64::from(modifier) - 4 >= i64::from(least));
        TEXTS.contains(&number) && fits
    };
    let numeric = |whole: i32, scale: i32| {
        let (digits, places) = ((modifier - 4) >> 16, (((modifier - 4) & 0x7ff) ^ 0x400) - 0x400);
        number == NUMERIC && (modifier == -1 || (places >= scale && digits - places >= whole))
    };
    let time = |digits: u8| modifier == -1 || modifier >= i32::from(digits);
    match source {
        ColumnType::Boolean => number == BOOLEAN || text(Some(1)),
        ColumnType::Integer { bytes } => {
            let rank = match bytes {
                ..=2 => 0,
                3..=4 => 1,
                _ => 2,
            };
            let longest = INTEGERS[rank].2;
            INTEGERS[rank..].iter().any(|(wider, ..)| *wider == number) || numeric(longest, 0) || text(Some(20))
        }
        ColumnType::Decimal { precision, scale } => {
            let (digits, places) = (i32::from(precision), i32::from(scale));
            let integer = || INTEGERS.iter().any(|(wider, holds, _)| *wider == number && *holds >= digits);
            numeric(digits - places, places) || (scale == 0 && integer()) || text(Some(u32::from(precision) + 3))
        }
        // As text, 0 and -0 are two.
        ColumnType::Float { bytes } => FLOATS[usize::from(bytes > 4)..].contains(&number),
        ColumnType::Date => number == DATE || TIMESTAMPS.contains(&number) || text(Some(10)),
        ColumnType::Time { digits } => (number == TIME && time(digits)) || text(Some(16)),
        ColumnType::Timestamp { digits } | ColumnType::TimestampTz { digits } => {
            (TIMESTAMPS.contains(&number) && time(digits)) || text(Some(33))
        }
        ColumnType::Text { max_chars, .. } => text(max_chars),
        ColumnType::Binary { max_bytes } => number == BYTEA || text(max_bytes.map(|bytes| bytes * 2 + 2)),
        ColumnType::Uuid => number == UUID || text(Some(36)),
        // No key at the source.
        ColumnType::Json => false,
    }
}

/// Refuses types in which two keys could become one.
///
/// # Errors
/// [`Kind::Config`], naming the column and what may be configured for it; the server's.
pub async fn check(client: &impl GenericClient, server: &Server, table: &TargetTable, types: &[Type]) -> Result<()> {
    for &at in &table.key {
        let (column, wanted) = (&table.columns[at], types[at]);
        let fault = if !holds(wanted, column.column_type) {
            Some("two keys could become one in it, or some do not fit")
        } else if TEXTS.contains(&wanted.number) && !compares_exactly(client, server, &column.sql_type).await? {
            Some("its collation takes texts for one that are two at the source")
        } else {
            None
        };
        if let Some(fault) = fault {
            let message = format!("key column '{}' cannot be {}: {fault}", column.name, column.sql_type);
            return Err(Error::new(Kind::Config, message).advice(format!(
                "Take it out of 'columns' of the table's [[table]] entry, so that it is {}, or give it a type that holds every key and compares to the last bit",
                column.own_type
            )));
        }
    }
    Ok(())
}

/// Whether texts of a type are equal only if all their bytes are; a domain may have a collation that says otherwise.
async fn compares_exactly(client: &impl GenericClient, server: &Server, sql_type: &str) -> Result<bool> {
    let query = format!(
        "SELECT c.collisdeterministic FROM pg_catalog.pg_type t JOIN pg_catalog.pg_collation c ON c.oid = t.typcollation \
         WHERE t.oid = pg_catalog.pg_typeof(CAST(NULL AS {sql_type}))::oid"
    );
    let row = client.query_opt(&query, &[]).await;
    let row = row.and_then(|row| row.map(|row| row.try_get(0)).transpose());
    row.map(|exact| exact.unwrap_or(true)).map_err(|error| server.failed("find a type's collation", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_s_type_tells_all_keys_apart() {
        let varchar = |length: i32| (1043, length + 4);
        let numeric = |precision: i32, scale: i32| (1700, ((precision << 16) | (scale & 0x7ff)) + 4);
        let text = ColumnType::Text { max_chars: Some(10), max_bytes: Some(30) };
        let decimal = ColumnType::Decimal { precision: 9, scale: 2 };
        for (source, right, wrong) in [
            (ColumnType::Boolean, vec![(16, -1), (25, -1)], vec![(23, -1)]),
            (
                ColumnType::Integer { bytes: 4 },
                vec![(23, -1), (20, -1), numeric(10, 0)],
                vec![(21, -1), (700, -1), numeric(9, 0)],
            ),
            (ColumnType::Integer { bytes: 8 }, vec![(20, -1), varchar(20), (1700, -1)], vec![(701, -1), varchar(3)]),
            (
                decimal,
                vec![numeric(9, 2), numeric(12, 4)],
                vec![numeric(9, 1), numeric(9, 3), numeric(9, -2), (701, -1), (790, -1)],
            ),
            (ColumnType::Decimal { precision: 9, scale: 0 }, vec![(23, -1), numeric(9, 0)], vec![(21, -1)]),
            (ColumnType::Float { bytes: 4 }, vec![(700, -1), (701, -1)], vec![(25, -1), (1700, -1)]),
            (ColumnType::Float { bytes: 8 }, vec![(701, -1)], vec![(700, -1)]),
            (ColumnType::Date, vec![(1082, -1), (1114, -1)], vec![(1083, -1)]),
            (ColumnType::Time { digits: 3 }, vec![(1083, -1), (1083, 3)], vec![(1083, 0)]),
            (ColumnType::Timestamp { digits: 3 }, vec![(1114, -1), (1184, 3)], vec![(1082, -1), (1114, 2)]),
            (
                text,
                vec![(25, -1), varchar(10), (1042, 14)],
                vec![varchar(9), (1042, 7), (19, -1), (2950, -1), (16_500, -1)],
            ),
            (ColumnType::Binary { max_bytes: Some(8) }, vec![(17, -1), varchar(18)], vec![varchar(17)]),
            (ColumnType::Uuid, vec![(2950, -1), (1042, 40)], vec![(1042, 36)]),
        ] {
            let target = |(number, modifier): &(u32, i32)| Type { number: *number, modifier: *modifier };
            assert!(right.iter().all(|right| holds(target(right), source)), "{source:?} {right:?}");
            let wrong: Vec<_> = wrong.iter().filter(|wrong| holds(target(wrong), source)).collect();
            assert!(wrong.is_empty(), "{source:?} {wrong:?}");
        }
    }
}
