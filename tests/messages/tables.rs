//! Tables and their history: what cannot be synced, what is not there, what is not there yet.

use anyhow::ensure;

use super::Wrong;
use crate::rules::stage::Stage;
use crate::support::source::Sql;

/// A source with a table that has a key, and one that has none.
async fn shop() -> anyhow::Result<(Stage, Sql)> {
    let stage = Stage::start().await?;
    let mut sql = stage.sql().await?;
    sql.run(
        "CREATE TABLE dbo.Keyed (ID int NOT NULL PRIMARY KEY, Note nvarchar(50) NULL);
         CREATE TABLE dbo.Keyless (ID int NULL, Note nvarchar(50) NULL);
         INSERT INTO dbo.Keyed VALUES (1, N'one'); INSERT INTO dbo.Keyless VALUES (1, N'one')",
    )
    .await?;
    Ok((stage, sql))
}

/// The table without a key is blocked, and fails in its own tasks; the other goes on.
#[tokio::test(flavor = "multi_thread")]
async fn r12_a_table_without_a_key_stops_alone() -> anyhow::Result<()> {
    let (mut stage, _sql) = shop().await?;
    let says = &["dbo.Keyless: has no key", "Give it a primary key", "exclude = [\"dbo.Keyless\"]"][..];
    let blocked = Wrong { what: "table without a key", code: 0, says, ..Wrong::default() };
    blocked.expect(&mut stage).await?;
    let check = stage.task(&["check"]).await?.expect(0)?.summary()?;
    ensure!(check.table("dbo.Keyless")?["status"] == "blocked", "{}", check.0);
    stage.task(&["check", "--strict"]).await?.expect(3)?;

    Wrong { task: &["extract"], code: 3, ..blocked }.expect(&mut stage).await?;
    let extract = stage.task(&["extract", "--table", "dbo.Keyed"]).await?.expect(0)?.summary()?;
    ensure!(extract.table("dbo.Keyed")?["work"] == true, "the other table was not extracted: {}", extract.0);
    let load = stage.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(load.table("dbo.Keyed")?["upserts"] == 1, "{}", load.0);
    Ok(())
}

/// Until a person decides, not even a copy is taken: what `check` refuses it does not open.
#[tokio::test(flavor = "multi_thread")]
async fn r12_a_target_table_with_rows_stops_alone_until_they_may_be_replaced() -> anyhow::Result<()> {
    let (mut stage, mut sql) = shop().await?;
    sql.run("DROP TABLE dbo.Keyless; CREATE TABLE dbo.Other (ID int NOT NULL PRIMARY KEY)").await?;
    let target = stage.target.connect().await?;
    target
        .batch_execute(
            "CREATE SCHEMA dbo; CREATE TABLE dbo.keyed (id int PRIMARY KEY, note text, own int DEFAULT 5); \
             INSERT INTO dbo.keyed VALUES (1, 'theirs'), (9, 'theirs')",
        )
        .await?;
    let says = &["dbo.Keyed: \"dbo\".\"keyed\" is there", "rows that no batch brought (2)", "on_existing_rows"][..];
    Wrong { what: "target table with rows", code: 0, says, ..Wrong::default() }.expect(&mut stage).await?;
    let check = stage.task(&["check"]).await?.expect(0)?.summary()?;
    ensure!(check.table("dbo.Keyed")?["status"] == "blocked", "{}", check.0);
    ensure!(check.table("dbo.Other")?["error"].is_null(), "{}", check.0);
    stage.task(&["extract", "--table", "dbo.Keyed"]).await?.expect(3)?;

    let entry = "\n[[table]]\nname = \"dbo.Keyed\"\non_existing_rows = \"replace\"\n";
    stage.configure(|text| text + entry)?;
    let check = stage.task(&["check"]).await?.expect(0)?.summary()?;
    let findings = check.0["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let own = findings.iter().find(|finding| finding["name"] == "OwnColumn");
    ensure!(own.is_some_and(|finding| finding["table"] == "dbo.Keyed"), "it is not told: {}", check.0);
    stage.extract_and_load().await?;
    let rows = target.query("SELECT id || ' ' || note || ' ' || own FROM dbo.keyed ORDER BY 1", &[]).await?;
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    ensure!(rows == ["1 one 5"], "{rows:?}");
    let check = stage.task(&["check"]).await?.expect(0)?.summary()?;
    ensure!(!check.0["findings"].to_string().contains("OwnColumn"), "told again: {}", check.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_does_not_exist_is_named_with_those_near_it() -> anyhow::Result<()> {
    let (mut stage, _sql) = shop().await?;
    stage.task(&["check"]).await?.expect(0)?;
    let usage = Wrong { code: 2, ..Wrong::default() };
    for task in ["check", "extract", "load"] {
        let place = if task == "load" { "in the ledger" } else { "among those included" };
        let advice = "Write it as schema.name, as the source spells it";
        let unknown = Wrong {
            what: if task == "load" { "table not in the ledger" } else { "table not at the source" },
            task: &[task, "--table", "dbo.Keye"],
            says: &["--table dbo.Keye", "no such table", place, "near it: dbo.Keye", advice, "source.include"],
            ..usage
        };
        unknown.expect(&mut stage).await?;
    }
    let says = &["--table", "'Keyed'", "schema"];
    Wrong { what: "table without a schema", task: &["extract", "--table", "Keyed"], says, ..usage }
        .expect(&mut stage)
        .await?;
    let says = &["resync", "Add --table"];
    Wrong { what: "resync of nothing", task: &["resync", "--yes"], says, ..usage }.expect(&mut stage).await?;
    let says = &["resync", "dbo.Keyed", "Nothing was done", "--yes"];
    let task = &["resync", "--table", "dbo.Keyed"];
    Wrong { what: "resync without yes", task, says, ..usage }.expect(&mut stage).await?;
    // Another spelling of the source's case is the same table.
    stage.task(&["extract", "--table", "DBO.keyed"]).await?.expect(0)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_before_the_first_check_name_it() -> anyhow::Result<()> {
    let (mut stage, mut sql) = shop().await?;
    let person = Wrong { code: 3, ..Wrong::default() };
    let says = &["database 'shop' does not capture changes", "Run 'delsert check'"][..];
    Wrong { what: "extract before check", task: &["extract"], says, ..person }.expect(&mut stage).await?;
    let says = &["does not capture changes", "enable_cdc is false", "sp_cdc_enable_db"];
    let off = [("[source]", "[source]\nenable_cdc = false")];
    Wrong { what: "capture that may not be enabled", replace: &off, says, ..person }.expect(&mut stage).await?;

    stage.task(&["check"]).await?.expect(0)?;
    sql.run("CREATE TABLE dbo.Late (ID int NOT NULL PRIMARY KEY)").await?;
    let says = &["dbo.Late: no generation of the table is open", "Run 'delsert check'", "bucket.prefix"];
    let task = &["extract", "--table", "dbo.Late"];
    Wrong { what: "extract of a table not checked", task, says, ..person }.expect(&mut stage).await?;
    let says = &["dbo.Late: no capture instance", "source.enable_cdc = true", "sp_cdc_enable_table"];
    let blocked = Wrong { what: "table that may not be enabled", replace: &off, says, code: 0, ..person };
    Wrong { task: &["check", "--table", "dbo.Late", "--table", "dbo.Keyed"], ..blocked }.expect(&mut stage).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_cannot_be_is_named() -> anyhow::Result<()> {
    let (mut stage, _sql) = shop().await?;
    let check = stage.task(&["check"]).await?.expect(0)?.summary()?;
    let cut = check.0["cut"].as_str().unwrap_or_default().to_owned();
    let above = "0x7FFFFFFF000000000001";
    let extract = ["extract", "--table", "dbo.Keyed", "--until"];
    let [task, table, name, until] = extract;
    let says = &["--until", above, "above 0x", "never clamped"];
    let ahead = Wrong {
        what: "until above the maximum",
        task: &[task, table, name, until, above],
        says,
        code: 75,
        ..Wrong::default()
    };
    ahead.expect(&mut stage).await?;
    ensure!(stage.keys_ending("/manifest.json").is_empty(), "a batch was written up to a position not reached");
    stage.task(&[task, table, name, until, &cut]).await?.expect(0)?;
    let again = stage.task(&[task, table, name, until, "0x00000000000000000001"]).await?.expect(0)?.summary()?;
    ensure!(again.table("dbo.Keyed")?["status"] == "idle", "a position before the tail is nothing to do: {}", again.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_job_that_never_ran_is_named() -> anyhow::Result<()> {
    let (mut stage, mut sql) = shop().await?;
    sql.run("EXEC sys.sp_cdc_enable_db").await?;
    // Only the first instance makes the job, which would begin at once.
    let says = &["capture job never ran", "sys.fn_cdc_get_max_lsn() is NULL", "SQL Server Agent", "sp_cdc_start_job"];
    let task = &["extract", "--table", "dbo.Keyed"];
    Wrong { what: "capture job that never ran", task, says, code: 75, ..Wrong::default() }.expect(&mut stage).await?;
    Ok(())
}

/// The commit times stay as long as another instance's history does: only the minimum tells.
#[tokio::test(flavor = "multi_thread")]
async fn r10_history_purged_of_a_table_that_seems_idle_is_a_gap() -> anyhow::Result<()> {
    let (mut stage, mut sql) = shop().await?;
    sql.run("CREATE TABLE dbo.Other (ID int NOT NULL PRIMARY KEY)").await?;
    stage.task(&["check"]).await?.expect(0)?;
    stage.task(&["extract", "--table", "dbo.Keyed"]).await?.expect(0)?;
    sql.run("UPDATE dbo.Keyed SET Note = N'never read'").await?;
    sql.run("INSERT INTO dbo.Other VALUES (1)").await?;
    sql.capture_all().await?;
    sql.run(
        "DECLARE @instance sysname = (SELECT ct.capture_instance FROM cdc.change_tables AS ct
             WHERE ct.source_object_id = OBJECT_ID(N'dbo.Keyed'));
         DECLARE @lsn binary(10) = sys.fn_cdc_get_max_lsn();
         EXEC sys.sp_cdc_cleanup_change_table @capture_instance = @instance, @low_water_mark = @lsn, @threshold = 5000",
    )
    .await?;
    let says = &["dbo.Keyed: changes after 0x", "were purged at the source before they were read", "delsert resync"];
    let task = &["extract", "--table", "dbo.Keyed"];
    Wrong { what: "history purged of an idle table", task, says, code: 3, ..Wrong::default() }
        .expect(&mut stage)
        .await?;
    Ok(())
}
