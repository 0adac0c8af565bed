//! Rows as they are written, and what is lost and counted.

use super::*;
use crate::table::{Column, ColumnType, TableName};

fn table(columns: usize) -> Table {
    let column = |at| Column {
        name: format!("c{at}"),
        source_type: "text".to_owned(),
        column_type: ColumnType::Text { max_chars: None, max_bytes: None },
        nullable: true,
        collation: None,
    };
    Table { name: TableName::new("s", "t"), key: vec!["c0".to_owned()], columns: (0..columns).map(column).collect() }
}

fn dialect() -> Dialect {
    Dialect { null: "\\N".to_owned(), binary_prefix: "\\x".to_owned() }
}

fn fit(limit: Limit, policies: Policies) -> Fit {
    Fit { limit, sql_type: "a type".to_owned(), policies }
}

/// An encoder of text columns that hold everything.
fn encoder(columns: usize, collapse: bool) -> Encoder {
    let fits = vec![fit(Limit::None, Policies::usual()); columns];
    Encoder::new(&table(columns), fits, dialect(), collapse)
}

fn encode(cell: Cell<'_>) -> Result<String> {
    let mut encoder = encoder(1, false);
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
        (Cell::Time(day - 10, 6), "23:59:59.999999"),
        (Cell::Time(0, 0), "00:00:00"),
        (Cell::Timestamp(3_652_058, day - 1, 7), "9999-12-31 23:59:59.9999999"),
        (Cell::Timestamp(730_178, 12_345_670_000, 3), "2000-02-29 00:20:34.567"),
        (Cell::TimestampTz(730_178, 0, 0, 0), "2000-02-29 00:00:00+00"),
        (Cell::Text(""), "\"\""),
        (Cell::Utf16(&[]), "\"\""),
        (Cell::Utf16(&[0x61, 0, 0x22, 0, 0x3D, 0xD8, 0, 0xDE]), "\"a\"\"\u{1F600}\""),
        (Cell::Text("a\"b\",\r\n\\N"), "\"a\"\"b\"\",\r\n\\N\""),
        (Cell::Bytes(&[]), "\\x"),
        (Cell::Bytes(&[0, 0xAB]), "\\x00ab"),
        (Cell::Uuid(uuid), "00010203-0405-0607-0809-0a0b0c0d0eff"),
    ] {
        assert_eq!(encode(cell).unwrap(), text, "{cell:?}");
    }
}

#[test]
fn a_text_that_equals_the_sentinel_is_refused_in_either_form() {
    assert_eq!(encode(Cell::Text("\\N")).unwrap_err().kind(), Kind::Sentinel);
    assert_eq!(encode(Cell::Utf16(b"\\\0N\0")).unwrap_err().kind(), Kind::Sentinel);
}

/// Writes a cell as the second of a row, under one policy; gives what is written and the losses.
fn written(cell: Cell<'_>, limit: Limit, policies: Policies) -> Result<(String, Losses)> {
    let fits = vec![fit(Limit::None, Policies::STRICT), fit(limit, policies)];
    let mut encoder = Encoder::new(&table(2), fits, dialect(), false);
    encoder.begin(Operation::Upsert);
    encoder.cell(Cell::Text("k"))?;
    encoder.cell(cell)?;
    encoder.end()?;
    let text = String::from_utf8(encoder.buffer.clone()).unwrap();
    Ok((text.trim_start_matches("u,\"k\",").trim_end().to_owned(), encoder.losses()))
}

#[test]
fn each_loss_fails_or_is_taken_and_counted() {
    let lone = [0x61, 0, 0x3D, 0xD8, 0x62, 0];
    for (cell, limit, loss, expected) in [
        (Cell::Time(11, 7), Limit::Digits(6), Loss::Digits, "00:00:00.000001"),
        (Cell::TimestampTz(0, 0, 0, -60), Limit::Digits(6), Loss::Offset, "0001-01-01 00:00:00+00"),
        (Cell::Text("a\0b\0"), Limit::None, Loss::Nul, "\"a\u{FFFD}b\u{FFFD}\""),
        (Cell::Utf16(&lone), Limit::None, Loss::Surrogate, "\"a\u{FFFD}b\""),
        (Cell::Text("\u{1F600}bcd"), Limit::Chars(3), Loss::Length, "\"\u{1F600}bc\""),
        (Cell::Text("ab  "), Limit::Chars(3), Loss::Length, "\"ab \""),
        (Cell::Text("\u{E4}\u{E4}"), Limit::Octets(3), Loss::Length, "\"\u{E4}\""),
        (Cell::Bytes(&[1, 2, 3]), Limit::Varbyte(2), Loss::Length, "\\x0102"),
        (Cell::Integer(40_000), Limit::Integer(2), Loss::Range, "\\N"),
    ] {
        let taken = Policies::STRICT.with(loss, true);
        let (text, losses) = written(cell, limit, taken).unwrap();
        assert_eq!(text, expected, "{cell:?}");
        let mut counted = Losses::default();
        counted.count("c1", loss, 1);
        assert_eq!(losses, counted, "{cell:?}");
        let others = Loss::ALL.into_iter().filter(|other| *other != loss);
        let others = others.fold(Policies::STRICT, |policies, other| policies.with(other, true));
        let refused = written(cell, limit, others).unwrap_err();
        assert_eq!(refused.kind(), Kind::Value);
        assert!(refused.to_string().contains(&format!("{} = \"{}\"", loss.name(), loss.remedy())), "{refused}");
    }
}

#[test]
fn in_a_key_nothing_is_lost_but_an_offset() {
    let all = Loss::ALL.into_iter().fold(Policies::STRICT, |policies, loss| policies.with(loss, true));
    let mut encoder = Encoder::new(&table(1), vec![fit(Limit::Digits(6), all)], dialect(), false);
    encoder.begin(Operation::Delete);
    encoder.cell(Cell::TimestampTz(0, 0, 6, 60)).unwrap();
    encoder.end().unwrap();
    assert_eq!(encoder.losses().of("c0", Loss::Offset), 1);
    encoder.begin(Operation::Delete);
    assert!(encoder.cell(Cell::Text("a\0")).unwrap_err().to_string().contains("two rows could become one"));
}

#[test]
fn a_row_that_is_dropped_for_its_neighbour_lost_nothing() {
    let mut encoder = encoder(2, true);
    for (key, offset) in [("a", 60), ("a", 0), ("a", 60), ("b", 60), ("b", 0)] {
        encoder.begin(Operation::Upsert);
        encoder.cell(Cell::Text(key)).unwrap();
        encoder.cell(Cell::TimestampTz(0, 0, 0, offset)).unwrap();
        encoder.end().unwrap();
    }
    assert_eq!(encoder.losses().of("c1", Loss::Offset), 1);
}

#[test]
fn of_neighbours_with_equal_keys_the_last_stays_even_across_a_drain() {
    let mut encoder = encoder(2, true);
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
    let mut encoder = encoder(2, false);
    encoder.begin(Operation::Delete);
    encoder.cell(Cell::Null).unwrap();
    assert!(encoder.end().is_err());
    encoder.cell(Cell::Null).unwrap();
    assert!(encoder.cell(Cell::Null).is_err());
}

#[test]
fn what_fits_to_the_byte_is_no_loss() {
    for (cell, limit, written) in [
        (Cell::Text("\u{E4}\u{E4}"), Limit::Octets(4), "\"\u{E4}\u{E4}\""),
        (Cell::Text(""), Limit::Octets(1), "\"\""),
        (Cell::Bytes(&[1, 2]), Limit::Varbyte(2), "\\x0102"),
        (Cell::Bytes(&[]), Limit::Varbyte(2), "\\x"),
    ] {
        let fits = vec![fit(Limit::None, Policies::STRICT), fit(limit, Policies::STRICT)];
        let mut encoder = Encoder::new(&table(2), fits, dialect(), false);
        encoder.begin(Operation::Upsert);
        encoder.cell(Cell::Integer(1)).unwrap();
        encoder.cell(cell).unwrap();
        encoder.end().unwrap();
        let mut text = Vec::new();
        let taken = encoder.drain(true, |bytes| {
            text.extend_from_slice(bytes);
            Ok(())
        });
        taken.unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), format!("u,1,{written}\n"));
    }
}

#[test]
fn a_row_that_the_target_cannot_read_is_refused() {
    for (longest, fits) in [(Some(8), true), (Some(7), false), (None, true)] {
        let none = vec![fit(Limit::None, Policies::STRICT)];
        let mut encoder = Encoder::new(&table(1), none, dialect(), false).of_rows_up_to(longest);
        encoder.begin(Operation::Upsert);
        encoder.cell(Cell::Text("abc")).unwrap();
        let ended = encoder.end();
        assert_eq!(ended.is_ok(), fits, "{longest:?}");
        assert!(ended.err().is_none_or(|error| error.kind() == Kind::Value && error.to_string().contains("8 bytes")));
    }
}
