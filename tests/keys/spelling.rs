//! Keys whose spelling alone changes leave no ghosts: the target compares to the last bit, the source does not.

use anyhow::ensure;

use crate::rules::watched::WatchedShop;
use crate::support::source::Sql;

/// A class of collation, a column of it, and spellings that are one under it.
struct Class {
    column: &'static str,
    spellings: &'static [&'static str],
}

const CLASSES: &[Class] = &[
    Class { column: "nvarchar(20)", spellings: &["abc", "ABC", "aBc", "abc ", "abc   ", "ＡＢＣ"] },
    Class { column: "varchar(20)", spellings: &["abc", "ABC", "abc  "] },
    Class { column: "char(8)", spellings: &["abc", "ABC", "Abc"] },
    Class { column: "nchar(8)", spellings: &["äbc", "ÄBC", "Äbc"] },
    Class { column: "nvarchar(20) COLLATE Latin1_General_CI_AI", spellings: &["ÀÉ", "ae", "áê", "AE "] },
    Class { column: "nvarchar(20) COLLATE Latin1_General_CS_AI", spellings: &["é", "e", "ê", "e "] },
    Class { column: "nvarchar(20) COLLATE Latin1_General_CI_AS", spellings: &["ｶａ", "カA", "かＡ", "カa "] },
    Class { column: "nvarchar(20) COLLATE Latin1_General_CI_AS_KS_WS", spellings: &["カa", "カA", "カa  "] },
    Class { column: "nvarchar(20) COLLATE SQL_Latin1_General_CP1_CS_AS", spellings: &["aB", "aB ", "ａＢ"] },
    Class { column: "nvarchar(20) COLLATE Latin1_General_BIN2", spellings: &["aB", "aB ", "aB   "] },
];

/// What happens to a row of a key in one spelling on its way to the next.
const WAYS: &[&str] =
    &["update", "delete and insert", "within a transaction", "there, back and there", "not loaded between"];

fn text(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// A table of a key of each class, and one of all of them together.
async fn create(sql: &mut Sql) -> anyhow::Result<()> {
    for (at, class) in CLASSES.iter().enumerate() {
        let columns = format!("K {} NOT NULL, Line int NOT NULL, Note nvarchar(40) NULL", class.column);
        sql.run(&format!("CREATE TABLE dbo.Class{at} ({columns}, PRIMARY KEY (K, Line))")).await?;
        let first = text(class.spellings[0]);
        // Each other spelling is the same key: were it not, the class would try nothing.
        sql.run(&format!(
            "INSERT INTO dbo.Class{at} VALUES ({first}, 1, N'first'), ({first}, 2, N'stays'), (N'zz', 3, N'stays')"
        ))
        .await?;
        for other in &class.spellings[1..] {
            let refused = sql.run(&format!("INSERT INTO dbo.Class{at} VALUES ({}, 1, N'no')", text(other))).await;
            ensure!(refused.is_err(), "{} takes '{other}' for another than '{}'", class.column, class.spellings[0]);
        }
    }
    Ok(())
}

/// Takes the row of each table from one spelling to the next.
async fn respell(sql: &mut Sql, way: &str, turn: usize) -> anyhow::Result<()> {
    for (at, class) in CLASSES.iter().enumerate() {
        let spelling = |turn: usize| text(class.spellings[turn % class.spellings.len()]);
        let (from, to) = (spelling(turn), spelling(turn + 1));
        let update = |to: &str| {
            format!("UPDATE dbo.Class{at} SET K = {to}, Note = N'{way} {turn}' WHERE K = {from} AND Line = 1")
        };
        let delete = format!("DELETE FROM dbo.Class{at} WHERE K = {to} AND Line = 1");
        let insert = format!("INSERT INTO dbo.Class{at} VALUES ({to}, 1, N'{way} {turn}')");
        match way {
            "delete and insert" => {
                sql.run(&delete).await?;
                sql.run(&insert).await?;
            }
            "within a transaction" => {
                sql.run(&format!("BEGIN TRANSACTION; {delete}; {insert}; {}; COMMIT TRANSACTION", update(&to))).await?;
            }
            "there, back and there" => {
                for to in [&to, &from, &to] {
                    sql.run(&update(to)).await?;
                }
            }
            // Both rows in one statement.
            _ => {
                sql.run(&format!("UPDATE dbo.Class{at} SET K = {to}, Note = N'{way} {turn}' WHERE K = {from}")).await?;
            }
        }
    }
    Ok(())
}

/// What each table holds at the source, spelled out.
async fn at_source(sql: &mut Sql, at: usize) -> anyhow::Result<Vec<(String, i32, String)>> {
    let rows =
        sql.rows(&format!("SELECT CAST(K AS nvarchar(40)), Line, Note FROM dbo.Class{at} ORDER BY Line")).await?;
    let mut found = Vec::new();
    for row in rows {
        let text = |at: usize| anyhow::Ok(row.try_get::<&str, _>(at)?.unwrap_or_default().to_owned());
        found.push((text(0)?, row.try_get::<i32, _>(1)?.unwrap_or_default(), text(2)?));
    }
    Ok(found)
}

async fn expect_equal(shop: &mut WatchedShop, when: &str) -> anyhow::Result<()> {
    let target = shop.stage.target.connect().await?;
    for (at, class) in CLASSES.iter().enumerate() {
        let query = format!("SELECT k::text, line, note FROM dbo.class{at} ORDER BY line, k COLLATE \"C\"");
        let found = target.query(&query, &[]).await?;
        let found: Vec<(String, i32, String)> = found.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        let expected = at_source(&mut shop.sql, at).await?;
        ensure!(found == expected, "{}, {when}: {found:?}, not {expected:?}", class.column);
    }
    Ok(())
}

/// Each way, from spelling to spelling, in windows of their own and in one; the server may split such updates or not.
async fn spellings_leave_no_ghosts(whole: bool) -> anyhow::Result<()> {
    let mut shop = WatchedShop::on(crate::support::source::SourceOptions::default()).await?;
    create(&mut shop.sql).await?;
    shop.check().await?;
    shop.sql.run(&format!("EXEC sys.sp_standin_whole_updates @on = {}", u8::from(whole))).await?;
    // In the copy, and in the log behind it: captured before the copy's position, changed after.
    shop.sql.stop_capture().await?;
    respell(&mut shop.sql, "update", 0).await?;
    shop.stage.extract_and_load().await?;
    expect_equal(&mut shop, "copied").await?;
    respell(&mut shop.sql, "delete and insert", 1).await?;
    shop.sql.capture_all().await?;
    shop.stage.extract_and_load().await?;
    expect_equal(&mut shop, "after the copy").await?;
    let mut turn = 2;
    for way in WAYS {
        for _ in 0..2 {
            respell(&mut shop.sql, way, turn).await?;
            turn += 1;
            shop.sql.capture_all().await?;
            if *way == "not loaded between" {
                shop.stage.task(&["extract"]).await?.expect(0)?;
            } else {
                shop.stage.extract_and_load().await?;
                expect_equal(&mut shop, way).await?;
            }
        }
    }
    shop.stage.extract_and_load().await?;
    expect_equal(&mut shop, "two batches at once").await?;
    for way in WAYS {
        respell(&mut shop.sql, way, turn).await?;
        turn += 1;
    }
    shop.sql.capture_all().await?;
    shop.stage.extract_and_load().await?;
    expect_equal(&mut shop, "all ways in one window").await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_spelled_anew_leave_no_ghosts_where_updates_are_split() -> anyhow::Result<()> {
    spellings_leave_no_ghosts(false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_spelled_anew_leave_no_ghosts_where_updates_are_whole() -> anyhow::Result<()> {
    spellings_leave_no_ghosts(true).await
}
