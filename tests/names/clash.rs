//! Names that fall together, or are kept, are refused with the choices; the choices work.

use anyhow::ensure;

use crate::rules::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_columns_that_fall_together_are_refused_with_the_choices() -> anyhow::Result<()> {
    let stage = Stage::start().await?;
    let mut sql = stage.sql().await?;
    sql.run("CREATE SCHEMA hr").await?;
    for statement in [
        "CREATE TABLE dbo.[One Name] (ID int NOT NULL PRIMARY KEY)",
        "CREATE TABLE hr.[One Name] (ID int NOT NULL PRIMARY KEY)",
        "CREATE TABLE dbo.Columns (ID int NOT NULL PRIMARY KEY, [delsert_operation] int NULL)",
        "CREATE TABLE dbo.[Key] (XMIN int NOT NULL PRIMARY KEY)",
        "CREATE TABLE dbo.Captured (ID int NOT NULL PRIMARY KEY, [__$seqval] int NULL)",
        "INSERT INTO dbo.[One Name] VALUES (1); INSERT INTO hr.[One Name] VALUES (2)",
    ] {
        sql.run(statement).await?;
    }
    let include = |text: String| text.replace("[\"dbo.*\"]", "[\"dbo.*\", \"hr.*\"]");
    stage.configure(|text| include(text).replace("[target]", "[target]\nschema = \"shop\""))?;
    let check = stage.task(&["check"]).await?.expect(3)?.summary()?;
    for (table, says) in [
        (
            "dbo.One Name",
            &[
                "dbo.One Name and hr.One Name all go to the target table shop.one name",
                "schema_map = { \"dbo\" = ",
                "exclude = [\"hr.One Name\"]",
            ][..],
        ),
        ("hr.One Name", &["exclude = [\"dbo.One Name\"]"]),
        ("dbo.Columns", &["'delsert_operation'", "exclude_columns = [\"delsert_operation\"]"]),
        ("dbo.Key", &["'XMIN'", "It is of the key"]),
        ("dbo.Captured", &["'__$seqval'", "exclude_columns = [\"__$seqval\"]"]),
    ] {
        let found = check.table(table)?;
        let error = found["error"].as_str().unwrap_or_default();
        ensure!(found["status"] == "blocked" && found["error_kind"] == "NameClash", "{found}");
        ensure!(says.iter().all(|says| error.contains(says)), "{says:?} are not all in {error}");
    }
    ensure!(stage.keys_ending("open.json").is_empty(), "a generation was opened: {:?}", stage.keys());

    let tables = "\n[[table]]\nname = \"dbo.Columns\"\nexclude_columns = [\"delsert_operation\"]\n[[table]]\nname = \"dbo.Captured\"\nexclude_columns = [\"__$seqval\"]\n";
    stage.configure(|text| {
        let map = "[target]\nschema_map = { \"dbo\" = \"schema1\", \"hr\" = \"schema2\" }";
        include(text)
            .replace("[\"dbo.*\", \"hr.*\"]", "[\"dbo.*\", \"hr.*\"]\nexclude = [\"dbo.Key\"]")
            .replace("[target]", map)
            + tables
    })?;
    let check = stage.task(&["check"]).await?.expect(0)?.summary()?;
    ensure!(check.tables().iter().all(|table| table["error"].is_null()) && check.tables().len() == 4, "{}", check.0);
    stage.extract_and_load().await?;
    let target = stage.target.connect().await?;
    for (schema, id) in [("schema1", 1), ("schema2", 2)] {
        let found: i32 = target.query_one(&format!("SELECT id FROM {schema}.\"one name\""), &[]).await?.get(0);
        ensure!(found == id, "{schema} holds {found}");
    }
    Ok(())
}
