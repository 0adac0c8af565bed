//! Names that come from the configuration.

use anyhow::ensure;
use delsert::config::literal;

use super::{expect_sound_lines, here};
use crate::rules::stage::Stage;

/// A name that would break out of a statement at either end.
const BREAKS_OUT: &str = "x'\"]; DROP TABLE public.canary; -- ${HOME} %2e";

#[tokio::test(flavor = "multi_thread")]
async fn names_of_sync_prefix_and_target_schema_are_names_only() -> anyhow::Result<()> {
    let stage = Stage::start().await?;
    let mut sql = stage.sql().await?;
    sql.run(&format!("CREATE TABLE dbo.{} (ID int NOT NULL PRIMARY KEY, [{{}}] nvarchar(20) NULL)", here("a*.b")))
        .await?;
    sql.run(&format!("INSERT INTO dbo.{} VALUES (1, N'one')", here("a*.b"))).await?;
    sql.run("CREATE TABLE dbo.[axx.b] (ID int NOT NULL PRIMARY KEY)").await?;
    let target = stage.target.connect().await?;
    target.batch_execute("CREATE TABLE public.canary AS SELECT 1 AS id").await?;
    let table = "\n[[table]]\nname = \"dbo.[a*.b]\"\ncolumns = { \"{}\" = \"varchar(20)\" }\n";
    stage.configure(|text| {
        let name = literal(BREAKS_OUT);
        let text = text.replace("name = \"test\"", &format!("name = {name}"));
        let text = text.replace("prefix = \"delsert\"", &format!("prefix = {name}"));
        let text = text.replace("include = [\"dbo.*\"]", "include = [\"dbo.[a*.b]\"]");
        text.replace("[target]", &format!("[target]\nschema = {name}")) + table
    })?;
    for task in ["check", "extract", "load", "check"] {
        let outcome = stage.task(&[task]).await?.expect(0)?;
        expect_sound_lines(&outcome, false)?;
        ensure!(outcome.summary()?.tables().len() == 1, "a star in brackets stood for more: {}", outcome.stdout);
    }
    let schema = super::there(BREAKS_OUT);
    let rows = target.query(&format!("SELECT \"{{}}\", pg_typeof(\"{{}}\")::text FROM {schema}.\"a*.b\""), &[]).await?;
    let found: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    ensure!(found == [("one".to_owned(), "character varying".to_owned())], "{found:?}");
    ensure!(target.query("SELECT id FROM public.canary", &[]).await?.len() == 1, "the canary is gone");
    let strange: Vec<_> = stage.keys().into_iter().filter(|key| !key.starts_with(&format!("{BREAKS_OUT}/"))).collect();
    ensure!(strange.is_empty(), "outside the prefix: {strange:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_name_is_refused_before_anything_is_asked() -> anyhow::Result<()> {
    let stage = Stage::without_source().await?;
    for (from, to, says) in [
        ("include = [\"dbo.*\"]", "include = [\"dbo.[x\"]", "source.include: 'dbo.[x' is not a pattern"),
        ("prefix = \"delsert\"", "prefix = \"a/../b\"", "bucket.prefix"),
        ("prefix = \"delsert\"", "prefix = \"a//b\"", "bucket.prefix"),
        ("prefix = \"delsert\"", "prefix = \"a\\nb\"", "bucket.prefix"),
        ("[bucket]", "[[table]]\nname = \"a.b.c\"\n[bucket]", "table.name: 'a.b.c' is not a table name"),
    ] {
        stage.configure(|text| text.replace(from, to))?;
        let outcome = stage.task(&["load"]).await?.expect(2)?;
        ensure!(outcome.stderr.contains(says), "{says} is not in {}", outcome.stderr);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_entry_of_a_table_stops_it_before_anything_is_read() -> anyhow::Result<()> {
    let stage = Stage::start().await?;
    let mut sql = stage.sql().await?;
    sql.run("CREATE TABLE dbo.Cards (ID int NOT NULL PRIMARY KEY, CardNumber nvarchar(20) NULL)").await?;
    sql.run("CREATE TABLE dbo.Other (ID int NOT NULL PRIMARY KEY)").await?;
    let entries =
        "\n[[table]]\nname = \"dbo.Cards\"\n[[table]]\nname = \"DBO.cards\"\nexclude_columns = [\"CardNumber\"]\n";
    stage.configure(|text| text + entries)?;
    let says = "the [[table]] entries 'dbo.Cards' and 'DBO.cards' are of one table";
    let blocked = |found: &serde_json::Value| {
        found["error_kind"] == "Config" && found["error"].as_str().is_some_and(|error| error.contains(says))
    };
    let check = stage.task(&["check"]).await?.expect(0)?.summary()?;
    ensure!(blocked(check.table("dbo.Cards")?) && check.table("dbo.Other")?["error"].is_null(), "{}", check.0);

    // Opened before the second entry came.
    stage.configure(|text| text)?;
    stage.task(&["check"]).await?.expect(0)?;
    stage.configure(|text| text + entries)?;
    let extract = stage.task(&["extract"]).await?.expect(2)?.summary()?;
    ensure!(blocked(extract.table("dbo.Cards")?), "{}", extract.0);
    let parts = stage.keys().into_iter().filter(|key| key.contains("dbo.Cards") && key.contains(".csv"));
    ensure!(parts.count() == 0, "it was read: {:?}", stage.keys());
    Ok(())
}
