//! What a source holds and COPY would refuse, or change without a word: mapped to what holds it, or stopped by extract or
//! check, before there is a part of it.
//!
//! Sources: Database Developer Guide, "Load error reference", "Data conversion parameters".

use anyhow::{Context, ensure};

use super::Stage;
use crate::support::task::Summary;

/// Where something must end.
enum End {
    /// In the warehouse, as this text.
    Arrives(&'static str),
    /// At extract, with this message; and with this policy in the warehouse, as this text.
    Stops(&'static str, &'static str, &'static str),
    /// At check, with this message.
    IsRefused(&'static str),
}

use End::{Arrives, IsRefused, Stops};

/// The code of the error; the column's type, and what is configured for it; a value; its end.
const VALUES: &[(u32, &str, &str, &str, End)] = &[
    (1200, "nvarchar(20)", "", "N'\"a\"b'", Arrives("\"a\"b")),
    (1202, "nvarchar(20)", "", "N'a,b,'", Arrives("a,b,")),
    (1203, "nvarchar(20)", "", "N'a' + NCHAR(13) + NCHAR(10) + N'b'", Arrives("a\r\nb")),
    (1204, "nvarchar(4)", "", "N'日本日本'", Arrives("日本日本")),
    (
        1204,
        "nvarchar(max)",
        "",
        "REPLICATE(CAST(N'a' AS nvarchar(max)), 65536)",
        Stops("longer than its target type varchar(65535)", "length = \"truncate\"", "65535"),
    ),
    (1204, "decimal(19,4)", "", "-999999999999999.9999", Arrives("-999999999999999.9999")),
    (1204, "money", "", "-922337203685477.5808", Arrives("-922337203685477.5808")),
    (1204, "float", "real", "1e39", Stops("a number beyond its target type real", "range = \"null\"", "∅")),
    (
        1204,
        "bigint",
        "decimal(19,0)",
        "9223372036854775807",
        Stops("a number beyond its target type decimal(19,0)", "range = \"null\"", "∅"),
    ),
    (
        1204,
        "varbinary(8)",
        "varbyte(2)",
        "0x010203",
        Stops("longer than its target type varbyte(2)", "length = \"truncate\"", "0102"),
    ),
    (1205, "date", "", "'0001-01-01'", Arrives("0001-01-01")),
    (1205, "nvarchar(20)", "date", "N'soon'", IsRefused("cannot be a date")),
    (1206, "datetime2(7)", "", "'9999-12-31T23:59:59.9999999'", Arrives("9999-12-31 23:59:59.999999")),
    (1206, "datetimeoffset(0)", "timestamp", "'2024-01-02 03:04:05 +00:00'", IsRefused("take timestamptz")),
    (1206, "datetimeoffset(0)", "", "'2024-01-02 03:04:05 +02:00'", Arrives("2024-01-02 01:04:05+00")),
    (1208, "float", "", "1.7976931348623157e308", Arrives("1.7976931348623157e+308")),
    (1209, "nvarchar(20)", "decimal(10,2)", "N'1e2'", IsRefused("cannot be a decimal(10,2)")),
    (1209, "float", "decimal(10,2)", "1e-7", IsRefused("floating point would be rounded unseen")),
    (1210, "bit", "", "1", Arrives("t")),
    (1211, "nvarchar(20)", "", "N''", Arrives("")),
    (1213, "nvarchar(20)", "", "NULL", Arrives("∅")),
    (1215, "nvarchar(20)", "char(20)", "N'é'", IsRefused("it fills texts up with blanks")),
    (
        1218,
        "nvarchar(20)",
        "",
        "N'a' + NCHAR(0)",
        Stops("a text with a NUL character", "nul = \"replace\"", "a\u{fffd}"),
    ),
    (
        1220,
        "nvarchar(20)",
        "",
        "CAST(0x3DD8 AS nvarchar(20))",
        Stops("half of a surrogate pair", "surrogate = \"replace\"", "\u{fffd}"),
    ),
    (1220, "nvarchar(20)", "", "NCHAR(65535)", Arrives("\u{ffff}")),
    (
        1222,
        "bigint",
        "integer",
        "2147483648",
        Stops("a number beyond its target type integer", "range = \"null\"", "∅"),
    ),
    (1223, "varbinary(8)", "", "0x", Arrives("")),
    // An empty field of these is NULL, and no error.
    (0, "nvarchar(20)", "integer", "N''", Stops("an empty or blank text", "range = \"null\"", "∅")),
    (0, "nvarchar(20)", "boolean", "N''", Stops("an empty or blank text", "range = \"null\"", "∅")),
    (0, "nvarchar(20)", "integer", "N'   '", Stops("an empty or blank text", "range = \"null\"", "∅")),
    (0, "nvarchar(20)", "super", "N''", Stops("an empty or blank text", "range = \"null\"", "∅")),
    (0, "nvarchar(20)", "integer", "N'12'", Arrives("12")),
    // COPY cuts what is too much behind the point.
    (
        0,
        "decimal(38,38)",
        "",
        "0.00000000000000000000000000000000000001",
        Arrives("0.0000000000000000000000000000000000000"),
    ),
];

/// Each has a table of its own; `taken` writes the policies into the configuration.
fn configuration(taken: bool) -> String {
    let table = |(at, (_, _, target, _, end)): (usize, &(u32, &str, &str, &str, End))| {
        let typed = if target.is_empty() { String::new() } else { format!("columns = {{ V = \"{target}\" }}\n") };
        let lines = format!("[[table]]\nname = \"dbo.V{at}\"\n{typed}");
        match end {
            Stops(_, policy, _) if taken => lines + &format!("values = {{ V = {{ {policy} }} }}\n"),
            _ => lines,
        }
    };
    let strict = "[values]\nnul = \"fail\"\nsurrogate = \"fail\"\nlength = \"fail\"\nrange = \"fail\"\n";
    strict.to_owned() + &VALUES.iter().enumerate().map(table).collect::<String>()
}

/// Fails unless what a task told of each table is right: its error, or none.
fn expect_told(summary: &Summary, error_of: impl Fn(&End) -> Option<&'static str>) -> anyhow::Result<()> {
    for (at, (code, sql_type, target, _, end)) in VALUES.iter().enumerate() {
        let name = format!("dbo.V{at}");
        // What check refuses may be left out after it.
        if matches!(end, IsRefused(_)) && error_of(end).is_none() {
            continue;
        }
        let (error, expected) = (summary.table(&name)?["error"].as_str(), error_of(end));
        let is_right = match expected {
            Some(part) => error.is_some_and(|error| error.contains(part)),
            None => error.is_none(),
        };
        ensure!(is_right, "{code}, {sql_type} as {target:?}: not {expected:?} but {error:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_copy_would_refuse_or_change_does_not_come_to_it() -> anyhow::Result<()> {
    let mut stage = Stage::start(&configuration(false)).await?;
    for (at, (_, sql_type, _, value, _)) in VALUES.iter().enumerate() {
        let create = format!("CREATE TABLE dbo.V{at} (Id int NOT NULL PRIMARY KEY, V {sql_type} NULL)");
        stage.sql.run(&format!("{create}; INSERT INTO dbo.V{at} VALUES (1, {value})")).await?;
    }
    let check = stage.ground.task(&["check"]).await?.expect(0)?;
    expect_told(&check.summary()?, |end| if let IsRefused(error) = end { Some(error) } else { None })?;
    let extract = stage.ground.task(&["extract"]).await?.expect(3)?;
    expect_told(&extract.summary()?, |end| if let Stops(error, ..) = end { Some(error) } else { None })?;
    stage.configure(&configuration(true))?;
    for task in ["extract", "load"] {
        let outcome = stage.ground.task(&[task]).await?;
        expect_told(&outcome.summary()?, |_| None).with_context(|| format!("{task}, with the policies"))?;
    }
    stage.client.batch_execute("SET extra_float_digits TO 2").await?;
    let mut wrong = Vec::new();
    for (at, (code, sql_type, target, _, end)) in VALUES.iter().enumerate() {
        let expected = match end {
            Arrives(text) | Stops(_, _, text) => text,
            IsRefused(_) => continue,
        };
        let rows = stage.rows(&format!("SELECT v FROM dbo.v{at}")).await?;
        let found = match &rows[..] {
            [one] if one.len() > LONG => one.len().to_string(),
            [one] => one.clone(),
            _ => format!("{} rows", rows.len()),
        };
        if found != *expected {
            wrong.push(format!("{code}, {sql_type} as {target:?}: {found:?}, not {expected:?}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Of what is longer only the length is compared.
const LONG: usize = 1000;
