//! Empty text and NULL stay apart, whatever the text is.

use anyhow::ensure;

use super::Stage;

/// Texts that something on the way may take for something else.
const TEXTS: [&str; 18] = [
    "",
    " ",
    "  trailing  ",
    "\\N",
    "\\",
    "~NULL~",
    "~NULL~0",
    "NULL",
    "\"",
    "\"\"",
    "a\"b,c\"",
    "a,b",
    "one\ntwo",
    "one\r\ntwo\r",
    "\t|",
    "'; DROP TABLE x; --",
    "äöü😀表",
    "\\.",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_text_arrives_as_it_is_by_copy_and_by_change() -> anyhow::Result<()> {
    let mut stage = Stage::start("").await?;
    stage
        .sql
        .run("CREATE TABLE dbo.Texts (Id int NOT NULL PRIMARY KEY, A nvarchar(40) NULL, B nvarchar(max) NULL, C varbinary(20) NULL)")
        .await?;
    let literal = |text: &str| {
        let units = text.encode_utf16().flat_map(u16::to_le_bytes).map(|byte| format!("{byte:02X}"));
        format!("CAST(0x{} AS nvarchar(40))", units.collect::<String>())
    };
    let insert = |from: usize| {
        let rows = TEXTS.iter().enumerate().map(|(at, text)| {
            let text = if text.is_empty() { "N''".to_owned() } else { literal(text) };
            format!("INSERT INTO dbo.Texts VALUES ({}, {text}, {text}, 0x0102);", from + at)
        });
        rows.collect::<String>() + &format!("INSERT INTO dbo.Texts VALUES ({}, NULL, NULL, NULL)", from + TEXTS.len())
    };
    stage.sql.run(&insert(0)).await?;
    stage.ground.sync().await?;
    stage.change(&insert(100)).await?;
    stage.ground.sync().await?;
    for from in [0, 100] {
        for (at, text) in TEXTS.iter().enumerate() {
            let query = format!("SELECT a, b FROM dbo.texts WHERE id = {}", from + at);
            let rows = stage.rows(&query).await?;
            ensure!(rows == [format!("{text}|{text}")], "{text:?} became {rows:?}");
        }
        let rows = stage.rows(&format!("SELECT a, b, c FROM dbo.texts WHERE id = {}", from + TEXTS.len())).await?;
        ensure!(rows == ["∅|∅|∅"], "NULL became {rows:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_a_policy_and_counted() -> anyhow::Result<()> {
    let mut stage = Stage::start("").await?;
    stage
        .sql
        .run(
            "CREATE TABLE dbo.Wide (Id int NOT NULL PRIMARY KEY, T nvarchar(max) NULL, B varbinary(max) NULL, D decimal(38,38) NULL, M money NULL);
             INSERT INTO dbo.Wide VALUES (1, REPLICATE(CAST(N'ä' AS nvarchar(max)), 40000), 0x01, 0.1, 922337203685477.5807), (2, N'short', 0x, 0.12345678901234567890123456789012345678, -922337203685477.5808)",
        )
        .await?;
    stage.ground.task(&["check"]).await?.expect(0)?;
    let refused = stage.ground.task(&["extract"]).await?.expect(3)?;
    ensure!(
        refused.stderr.contains("column 'T' holds a text longer than its target type varchar(65535)"),
        "{}",
        refused.stderr
    );
    stage.configure("[values]\nlength = \"truncate\"")?;
    let (extract, load) = stage.ground.sync().await?;
    let expected = serde_json::json!({"T": {"length": 1}, "D": {"digits": 1}});
    for summary in [&extract, &load] {
        ensure!(summary.table("dbo.Wide")?["losses"] == expected, "{}", summary.table("dbo.Wide")?);
    }
    let rows = stage.rows("SELECT id, octet_length(t), b, d, m FROM dbo.wide ORDER BY id").await?;
    let expected = [
        "1|65534|01|0.1000000000000000000000000000000000000|922337203685477.5807",
        "2|5||0.1234567890123456789012345678901234567|-922337203685477.5808",
    ];
    ensure!(rows == expected, "{rows:?}");
    Ok(())
}
