//! Keys of every type that the source lets be one: in ranges of a few rows, and by changes.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use delsert::error::Result as DelsertResult;
use delsert::row::{Cell, Operation, RowSink};
use delsert::source::sqlserver::SqlServer;
use delsert::source::{Source, Tracked};

use crate::rules::watched::WatchedShop;
use crate::support::source::{SourceOptions, Sql};

/// A key's type, and values of it in no order, as T-SQL writes them.
const KEYS: &[(&str, &[&str])] = &[
    ("bit", &["1", "0"]),
    ("tinyint", &["255", "0", "7", "128"]),
    ("smallint", &["32767", "-32768", "0", "-1"]),
    ("int", &["2147483647", "-2147483648", "0", "-1", "1"]),
    ("bigint", &["9223372036854775807", "-9223372036854775808", "0", "-1", "9007199254740993"]),
    (
        "decimal(38,0)",
        &["99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", "0", "-1"],
    ),
    ("decimal(38,10)", &["0.0000000001", "-0.0000000001", "9999999999999999999999999999.9999999999", "0", "1.5"]),
    (
        "decimal(38,38)",
        &["0.00000000000000000000000000000000000001", "-0.5", "0", "0.99999999999999999999999999999999999999"],
    ),
    ("numeric(9,2)", &["1234567.89", "-0.01", "0", "0.01"]),
    ("money", &["922337203685477.5807", "-922337203685477.5808", "0", "-0.0001", "0.0001"]),
    ("smallmoney", &["214748.3647", "-214748.3648", "0", "0.5"]),
    ("real", &["3.4028235E38", "-3.4028235E38", "1.17549435E-38", "0.1", "-0.1", "16777217"]),
    (
        "float",
        &[
            "1.7976931348623157E308",
            "-1.7976931348623157E308",
            "2.2250738585072014E-308",
            "0.1",
            "0.30000000000000004",
            "0.3",
            "-1",
        ],
    ),
    ("date", &["'0001-01-01'", "'9999-12-31'", "'2026-02-28'", "'1753-01-01'"]),
    ("time(0)", &["'00:00:00'", "'23:59:59'", "'12:00:01'"]),
    ("time(3)", &["'00:00:00.001'", "'23:59:59.999'", "'12:00:00.500'", "'12:00:00.501'"]),
    ("time(6)", &["'00:00:00.000001'", "'23:59:59.999999'", "'12:00:00'"]),
    (
        "datetime",
        &[
            "'1753-01-01T00:00:00.000'",
            "'9999-12-31T23:59:59.997'",
            "'2026-01-01T00:00:00.003'",
            "'2026-01-01T00:00:00.007'",
            "'2026-01-01T00:00:00.010'",
        ],
    ),
    ("smalldatetime", &["'1900-01-01T00:00:00'", "'2079-06-06T23:59:00'", "'2026-01-01T12:01:00'"]),
    ("datetime2(0)", &["'0001-01-01T00:00:00'", "'9999-12-31T23:59:59'", "'2026-01-01T00:00:01'"]),
    ("datetime2(3)", &["'0001-01-01T00:00:00.001'", "'9999-12-31T23:59:59.999'", "'2026-01-01T00:00:00.123'"]),
    ("datetime2(6)", &["'0001-01-01T00:00:00.000001'", "'9999-12-31T23:59:59.999999'", "'2026-01-01T00:00:00.123456'"]),
    (
        "datetimeoffset(0)",
        &[
            "'2026-01-01T12:00:00+14:00'",
            "'2026-01-01T12:00:00-14:00'",
            "'2026-01-01T12:00:00+00:00'",
            "'0002-01-01T00:00:00+00:00'",
        ],
    ),
    (
        "datetimeoffset(6)",
        &[
            "'2026-01-01T12:00:00.000001+01:00'",
            "'2026-01-01T11:00:00.000002+00:00'",
            "'2026-01-01T13:00:00.000003+02:00'",
        ],
    ),
    ("char(5)", &["'a'", "'b   c'", "''", "'ÿé'"]),
    ("varchar(40)", &["'a'", "''", "'a-b'", "'ab'", "'it''s'", "'€'"]),
    ("nchar(5)", &["N'a'", "N'表'", "N''", "N'ß'"]),
    ("nvarchar(40)", &["N'a'", "N''", "N'co-op'", "N'coop'", "N'ä'", "N'z'", "N'表'", "N'😀'", "N'%_[x]'"]),
    ("nvarchar(40) COLLATE Latin1_General_BIN2", &["N'a'", "N'A'", "N'Z'", "N'ä'", "N'｡'", "N'😀'"]),
    ("binary(3)", &["0x000000", "0xFFFFFF", "0x010000", "0x0100FF"]),
    ("varbinary(20)", &["0x", "0x01", "0x0101", "0xFF", "0x00FF"]),
    (
        "uniqueidentifier",
        &[
            "'00000000-0000-0000-0000-000000000001'",
            "'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'",
            "'01000000-0000-0000-0000-000000000000'",
            "'00000000-0000-0000-0100-000000000000'",
        ],
    ),
    ("hierarchyid", &["0x", "0x58", "0x5B40", "0x68", "0x5AC0"]),
];

/// Rows, so that ranges are full, half full and empty.
const RANGES: [usize; 3] = [1, 2, 3];

fn name(at: usize) -> String {
    format!("Key{at}")
}

/// A table of each key, twice each value, and one of a key of sixteen columns.
async fn create(sql: &mut Sql) -> anyhow::Result<()> {
    for (at, (key, values)) in KEYS.iter().enumerate() {
        let (table, columns) = (name(at), format!("K {key} NOT NULL, Line int NOT NULL, Note nvarchar(40) NULL"));
        sql.run(&format!("CREATE TABLE dbo.{table} ({columns}, PRIMARY KEY (K, Line))")).await?;
        let rows: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(row, value)| format!("({value}, {row}, N'first'), ({value}, {}, N'first')", row + 100))
            .collect();
        sql.run(&format!("INSERT INTO dbo.{table} VALUES {}", rows.join(", "))).await.context(*key)?;
    }
    sql.run("CREATE TABLE dbo.Stamped (Stamp rowversion NOT NULL PRIMARY KEY, Note nvarchar(40) NULL)").await?;
    sql.run("INSERT INTO dbo.Stamped (Note) VALUES (N'one'), (N'two'), (N'three'), (N'four')").await?;
    let columns: Vec<_> = (0..16).map(|at| format!("K{at} int NOT NULL")).collect();
    let key: Vec<_> = (0..16).map(|at| format!("K{at}")).collect();
    sql.run(&format!(
        "CREATE TABLE dbo.Wide ({}, Note nvarchar(40) NULL, PRIMARY KEY ({}))",
        columns.join(", "),
        key.join(", ")
    ))
    .await?;
    for row in 0..9 {
        // All equal up to the column that the row's number says.
        let values: Vec<_> =
            (0..16).map(|at| if at + row >= 15 { (at * 7 + row) % 3 } else { 1 }.to_string()).collect();
        sql.run(&format!("INSERT INTO dbo.Wide VALUES ({}, N'{row}')", values.join(", "))).await?;
    }
    Ok(())
}

/// Notes what comes.
#[derive(Default)]
struct Notes {
    rows: Vec<String>,
    row: Vec<String>,
}

impl RowSink for Notes {
    fn begin(&mut self, _: Operation) {
        self.row.clear();
    }

    fn cell(&mut self, cell: Cell<'_>) -> DelsertResult<()> {
        self.row.push(format!("{cell:?}"));
        Ok(())
    }

    fn end(&mut self) -> DelsertResult<bool> {
        self.rows.push(self.row.join(" "));
        Ok(false)
    }

    async fn drain(&mut self) -> DelsertResult<()> {
        Ok(())
    }
}

async fn at_rest(shop: &mut WatchedShop) -> anyhow::Result<()> {
    let names: Vec<_> = (0..KEYS.len()).map(name).chain(["Stamped".to_owned(), "Wide".to_owned()]).collect();
    let names: Vec<_> = names.iter().map(|name| format!("dbo.{name}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    shop.expect_tables_at_rest(&names).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_type_are_copied_in_ranges_and_changed() -> anyhow::Result<()> {
    let mut shop = WatchedShop::on(SourceOptions::default()).await?;
    create(&mut shop.sql).await?;
    let check = shop.stage.task(&["check"]).await?.expect(0)?.summary()?;
    let stopped: Vec<_> = check.tables().iter().filter(|table| !table["error"].is_null()).collect();
    ensure!(stopped.is_empty(), "{stopped:?}");

    // In ranges of every size, the same rows as in one.
    let config = shop.stage.parsed()?;
    for found in SqlServer::connect(&config.source()?).await?.tables(&config).await? {
        let tracked = Tracked { table: &found.table, capture: found.captures.first().context("no instance")? };
        let mut whole = Notes::default();
        SqlServer::connect(&config.source()?).await?.snapshot(tracked, &mut whole).await?;
        let count = shop.sql.number(&format!("SELECT COUNT_BIG(*) FROM dbo.{}", found.table.name.name)).await?;
        ensure!(
            i64::try_from(whole.rows.len())? == count,
            "{}: {} of {count} rows",
            found.table.name,
            whole.rows.len()
        );
        ensure!(
            whole.rows.iter().collect::<BTreeSet<_>>().len() == whole.rows.len(),
            "{}: rows twice",
            found.table.name
        );
        for range in RANGES {
            let mut ranges = Notes::default();
            let mut source = SqlServer::connect(&config.source()?).await?.with_range(range);
            source.snapshot(tracked, &mut ranges).await.with_context(|| format!("{} by {range}", found.table.name))?;
            ensure!(
                ranges.rows == whole.rows,
                "{} in ranges of {range}: {:?}, not {:?}",
                found.table.name,
                ranges.rows,
                whole.rows
            );
        }
    }

    shop.stage.extract_and_load().await?;
    at_rest(&mut shop).await?;
    for (at, (_, values)) in KEYS.iter().enumerate() {
        let table = name(at);
        // One key goes, one becomes another, two are swapped, and one goes and comes back.
        shop.sql.run(&format!("DELETE FROM dbo.{table} WHERE K = {} AND Line = 0", values[0])).await?;
        shop.sql
            .run(&format!(
                "UPDATE dbo.{table} SET K = {}, Note = N'moved' WHERE K = {} AND Line = 1",
                values[0], values[1]
            ))
            .await?;
        shop.sql.run(&format!("UPDATE dbo.{table} SET K = CASE WHEN Line = 100 THEN {} ELSE {} END, Note = N'swapped' WHERE Line IN (100, 101)", values[1], values[0])).await?;
        shop.sql.run(&format!("INSERT INTO dbo.{table} VALUES ({}, 7, N'came'); DELETE FROM dbo.{table} WHERE Line = 7; INSERT INTO dbo.{table} VALUES ({}, 7, N'again')", values[0], values[0])).await?;
    }
    shop.sql
        .run(
            "UPDATE dbo.Stamped SET Note = N'changed' WHERE Note = N'two'; DELETE FROM dbo.Stamped WHERE Note = N'one'",
        )
        .await?;
    shop.sql
        .run("UPDATE dbo.Wide SET K15 = K15 + 5 WHERE Note IN (N'1', N'2'); DELETE FROM dbo.Wide WHERE Note = N'3'")
        .await?;
    shop.sql.capture_all().await?;
    shop.stage.extract_and_load().await?;
    at_rest(&mut shop).await
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_and_minus_zero_are_one_key_at_both_ends() -> anyhow::Result<()> {
    let mut shop = WatchedShop::on(SourceOptions::default()).await?;
    shop.sql.run("CREATE TABLE dbo.Things (K float NOT NULL PRIMARY KEY, Note nvarchar(40) NULL)").await?;
    shop.sql.run("INSERT INTO dbo.Things VALUES (0E0, N'zero'), (1E0, N'one')").await?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    for (statement, note) in [
        ("UPDATE dbo.Things SET K = -0E0, Note = N'minus' WHERE K = 0", "minus"),
        ("UPDATE dbo.Things SET K = 0E0, Note = N'again' WHERE K = 0", "again"),
    ] {
        shop.change(statement).await?;
        shop.stage.extract_and_load().await?;
        let target = shop.stage.target.connect().await?;
        let rows = target.query("SELECT note FROM dbo.things WHERE k = 0", &[]).await?;
        let found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        ensure!(found == [note], "{found:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_alone_makes_no_other_key() -> anyhow::Result<()> {
    let mut shop = WatchedShop::on(SourceOptions::default()).await?;
    shop.sql.run("CREATE TABLE dbo.Things (K datetimeoffset(3) NOT NULL PRIMARY KEY, Note nvarchar(40) NULL)").await?;
    shop.sql.run("INSERT INTO dbo.Things VALUES ('2026-01-01T12:00:00.000+01:00', N'first'), ('2026-01-01T12:00:00.001+01:00', N'stays')").await?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    for whole in [0, 1] {
        shop.sql.run(&format!("EXEC sys.sp_standin_whole_updates @on = {whole}")).await?;
        for offset in ["11:00:00.000+00:00", "13:00:00.000+02:00", "12:00:00.000+01:00"] {
            shop.change(&format!(
                "UPDATE dbo.Things SET K = '2026-01-01T{offset}', Note = N'{offset}' WHERE Note <> N'stays'"
            ))
            .await?;
            shop.stage.extract_and_load().await?;
            let target = shop.stage.target.connect().await?;
            let rows = target
                .query("SELECT to_char(k AT TIME ZONE 'UTC', 'HH24:MI:SS.MS'), note FROM dbo.things ORDER BY k", &[])
                .await?;
            let found: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            let expected =
                [("11:00:00.000", offset), ("11:00:00.001", "stays")].map(|(k, note)| (k.to_owned(), note.to_owned()));
            ensure!(found == expected, "{found:?}");
        }
    }
    Ok(())
}
