//! Values arrive as they were sent.

use delsert::row::Cell::{
    self, Boolean, Bytes, Date, Decimal, Float32, Float64, Integer, Null, Text, Time, Timestamp, TimestampTz, Uuid,
};
use delsert::row::Operation::Upsert;
use delsert::table::ColumnType;

use super::{Scene, Warehouse};
use crate::contract::batch::{INTEGER, Row, TEXT, hex, table};

/// Loads one column of values, and gives them back by `show`, an expression of the column `v`.
async fn through<W: Warehouse>(column_type: ColumnType, cells: &[Cell<'_>], show: &str) -> anyhow::Result<Vec<String>> {
    let mut scene = Scene::<W>::of(table("Values", 1, &[("Id", INTEGER), ("V", column_type)])).await?;
    let rows: Vec<_> = (0..).zip(cells).map(|(at, cell)| [Integer(at), *cell]).collect();
    let rows: Vec<_> = rows.iter().map(|cells| (Upsert, &cells[..])).collect();
    let snapshot = scene.store.batch(&scene.source, (1, 1), &[&rows]).await?;
    scene.load(&snapshot).await?;
    scene.warehouse.rows(&format!("SELECT {show} FROM sales.values ORDER BY id")).await
}

pub async fn texts_arrive_as_they_are<W: Warehouse>() -> anyhow::Result<()> {
    let texts = [
        "",
        " ",
        "\\.",
        "a\n\\.\nb",
        "\\n",
        "NULL",
        "\"",
        "\"\"",
        "a,b",
        "a\r\nb",
        "\r",
        "\t",
        "\\",
        "'",
        "\\x41",
        "u",
        "ÄÖ\u{1F600}\u{301}",
        "trailing ",
        "\u{1}\u{7f}",
        "\u{feff}bom",
        "\\\\N",
        "\\N ",
    ];
    let mut cells: Vec<_> = texts.iter().map(|text| Text(text)).collect();
    cells.push(Null);
    let found = through::<W>(TEXT, &cells, "v").await?;
    let expected: Vec<_> = texts.iter().copied().chain(["∅"]).collect();
    assert_eq!(found, expected);
    Ok(())
}

pub async fn a_text_that_looks_like_another_batchs_null_stays_a_text<W: Warehouse>() -> anyhow::Result<()> {
    let mut scene = Scene::<W>::of(table("Values", 1, &[("Id", INTEGER), ("V", TEXT)])).await?;
    let rows: &[Row<'_>] =
        &[(Upsert, &[Integer(1), Text("x'y")]), (Upsert, &[Integer(2), Text("")]), (Upsert, &[Integer(3), Null])];
    let mut snapshot = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    // Written anew with a sentinel that SQL must quote.
    let text = "u,1,\"\\N\"\nu,2,\"\"\nu,3,it's null\n".as_bytes().to_vec();
    snapshot.encoding.compression = delsert::config::Compression::None;
    "it's null".clone_into(&mut snapshot.encoding.dialect.null);
    scene.store.write(&mut snapshot.parts[0], text).await?;
    scene.load(&snapshot).await?;
    assert_eq!(scene.rows().await?, ["1|\\N", "2|", "3|∅"]);
    Ok(())
}

pub async fn bytes_and_uuids_arrive_as_they_are<W: Warehouse>() -> anyhow::Result<()> {
    let all: Vec<u8> = (0..=255).collect();
    let cells = [Bytes(&[]), Bytes(&[0]), Bytes(&all), Bytes(b"\\x41"), Null];
    let found = through::<W>(ColumnType::Binary { max_bytes: None }, &cells, W::HEX).await?;
    assert_eq!(found, [String::new(), "00".to_owned(), hex(&all), hex(b"\\x41"), "∅".to_owned()]);

    let uuid: [u8; 16] = core::array::from_fn(|at| u8::try_from(at * 17).unwrap_or_default());
    let found = through::<W>(ColumnType::Uuid, &[Uuid(uuid), Uuid([0; 16]), Null], "v").await?;
    assert_eq!(found, ["00112233-4455-6677-8899-aabbccddeeff", "00000000-0000-0000-0000-000000000000", "∅"]);
    Ok(())
}

pub async fn numbers_arrive_digit_by_digit<W: Warehouse>() -> anyhow::Result<()> {
    let most = 10i128.pow(38) - 1;
    let (scale, digits) = (W::SCALE, "9".repeat(38));
    let cells = [Decimal(most, scale), Decimal(-1, scale), Null];
    let found = through::<W>(ColumnType::Decimal { precision: 38, scale }, &cells, "v").await?;
    let (whole, fraction) = digits.split_at(38 - usize::from(scale));
    let whole = if whole.is_empty() { "0" } else { whole };
    let least = format!("-0.{:0>1$}", 1, usize::from(scale));
    assert_eq!(found, [format!("{whole}.{fraction}"), least, "∅".to_owned()]);
    let found =
        through::<W>(ColumnType::Decimal { precision: 38, scale: 0 }, &[Decimal(-most, 0), Decimal(0, 0)], "v").await?;
    assert_eq!(found, [format!("-{}", "9".repeat(38)), "0".to_owned()]);
    let found =
        through::<W>(ColumnType::Decimal { precision: 19, scale: 4 }, &[Decimal(-9_223_372_036_854_775_808, 4)], "v")
            .await?;
    assert_eq!(found, ["-922337203685477.5808"]);
    let found =
        through::<W>(ColumnType::Integer { bytes: 8 }, &[Integer(i64::MIN), Integer(i64::MAX), Null], "v").await?;
    assert_eq!(found, [i64::MIN.to_string(), i64::MAX.to_string(), "∅".to_owned()]);
    let found = through::<W>(ColumnType::Integer { bytes: 2 }, &[Integer(255), Integer(-32768)], "v").await?;
    assert_eq!(found, ["255", "-32768"]);
    let found = through::<W>(ColumnType::Boolean, &[Boolean(true), Boolean(false), Null], "CAST(v AS int)").await?;
    assert_eq!(found, ["1", "0", "∅"]);
    Ok(())
}

pub async fn floats_arrive_bit_by_bit<W: Warehouse>() -> anyhow::Result<()> {
    let doubles =
        [0.0, -0.0, 0.1 + 0.2, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 1e15, 1e16, 1e17, 123_456_789.123_456_79];
    let cells: Vec<_> = doubles.iter().map(|value| Float64(*value)).collect();
    let found = through::<W>(ColumnType::Float { bytes: 8 }, &cells, "v").await?;
    let found: Vec<_> = found.iter().map(|text| text.parse::<f64>().map(f64::to_bits)).collect::<Result<_, _>>()?;
    assert_eq!(found, doubles.map(f64::to_bits));
    let singles = [0.1, -0.0, f32::MAX, f32::MIN_POSITIVE, 1e-45, 16_777_216.0, 1e8, 1e9];
    let cells: Vec<_> = singles.iter().map(|value| Float32(*value)).collect();
    let found = through::<W>(ColumnType::Float { bytes: 4 }, &cells, "v").await?;
    let found: Vec<_> = found.iter().map(|text| text.parse::<f32>().map(f32::to_bits)).collect::<Result<_, _>>()?;
    assert_eq!(found, singles.map(f32::to_bits));
    Ok(())
}

pub async fn times_arrive_whatever_the_servers_zone<W: Warehouse>() -> anyhow::Result<()> {
    const DAY: i64 = 24 * 3600 * 10_000_000;
    let found = through::<W>(ColumnType::Date, &[Date(0), Date(3_652_058), Date(730_178), Null], "v").await?;
    assert_eq!(found, ["0001-01-01", "9999-12-31", "2000-02-29", "∅"]);
    let found = through::<W>(ColumnType::Time { digits: 7 }, &[Time(DAY - 1, 7), Time(0, 7)], "v").await?;
    assert_eq!(found, ["23:59:59.999999", "00:00:00"]);
    let cells = [Timestamp(3_652_058, DAY - 1, 7), Timestamp(0, 0, 7), Timestamp(730_178, 12_345_670_000, 3)];
    let found = through::<W>(ColumnType::Timestamp { digits: 7 }, &cells, "v").await?;
    assert_eq!(found, ["9999-12-31 23:59:59.999999", "0001-01-01 00:00:00", "2000-02-29 00:20:34.567"]);
    let cells =
        [TimestampTz(0, 0, 7, 0), TimestampTz(730_178, DAY - 1, 7, -840), TimestampTz(3_652_058, DAY - 1, 7, 840)];
    let found = through::<W>(ColumnType::TimestampTz { digits: 7 }, &cells, "v AT TIME ZONE 'UTC'").await?;
    assert_eq!(found, ["0001-01-01 00:00:00", "2000-02-29 23:59:59.999999", "9999-12-31 23:59:59.999999"]);
    Ok(())
}
