//! What COPY does not take is told with file, line and column, and nothing of it is applied.

use anyhow::ensure;

use super::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_copy_does_not_take_is_told_without_its_value() -> anyhow::Result<()> {
    let table = "[[table]]\nname = \"dbo.Things\"\ncolumns = { Note = \"super\" }";
    let mut stage = Stage::start(table).await?;
    stage
        .sql
        .run(
            "CREATE TABLE dbo.Things (Id int NOT NULL PRIMARY KEY, Note nvarchar(40) NULL);
             INSERT INTO dbo.Things VALUES (1, N'{\"a\": 1}')",
        )
        .await?;
    stage.ground.sync().await?;
    stage.change("INSERT INTO dbo.Things VALUES (2, N'secret-value')").await?;
    stage.ground.task(&["extract"]).await?.expect(0)?;
    let load = stage.ground.task(&["load"]).await?.expect(3)?;
    for part in ["line 1", "column 'note'", "(code 1224)", ".csv.zst"] {
        ensure!(load.stderr.contains(part), "{part} is not in {}", load.stderr);
    }
    ensure!(!(load.stderr + &load.stdout).contains("secret-value"), "the value was told");
    ensure!(stage.rows("SELECT id FROM dbo.things").await? == ["1"]);
    stage.configure(&format!("log_values = true\n{table}"))?;
    let load = stage.ground.task(&["load"]).await?.expect(3)?;
    ensure!(load.stderr.contains("secret-value"), "{}", load.stderr);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_part_is_known_for_what_it_is() -> anyhow::Result<()> {
    let mut stage = Stage::start("").await?;
    stage
        .sql
        .run("CREATE TABLE dbo.Things (Id int NOT NULL PRIMARY KEY, Note nvarchar(40) NULL); INSERT INTO dbo.Things VALUES (1, N'one')")
        .await?;
    stage.ground.task(&["check"]).await?.expect(0)?;
    stage.ground.task(&["extract"]).await?.expect(0)?;
    let bucket = stage.ground.bucket();
    let keys = bucket.keys().await?;
    let part = keys.iter().find(|key| key.ends_with(".csv.zst")).expect("a part");
    let whole = bucket.get(part).await?;
    for at in [whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bucket.put(part, bytes).await?;
        let load = stage.ground.task(&["load"]).await?.expect(3)?;
        ensure!(load.stderr.contains("PartDamaged") && load.stderr.contains(part), "{}", load.stderr);
        ensure!(stage.rows("SELECT id FROM dbo.things").await?.is_empty());
    }
    bucket.put(part, whole).await?;
    stage.ground.task(&["load"]).await?.expect(0)?;
    ensure!(stage.rows("SELECT id FROM dbo.things").await? == ["1"]);
    Ok(())
}
