//! Tables that change their form: VARCHAR sizes, columns put in another's place, readers' grants.

use anyhow::ensure;

use super::Stage;

/// Columns with their types, as the catalogue has them.
const FORM: &str = "SELECT CAST(a.attname AS varchar(128)), CAST(format_type(a.atttypid, a.atttypmod) AS varchar(128)) \
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = 'dbo' AND c.relname = 'things' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1";

#[tokio::test(flavor = "multi_thread")]
async fn columns_follow_the_source_and_readers_keep_their_grants() -> anyhow::Result<()> {
    let mut stage = Stage::start(
        "grant_select_to = [\"reader\"]\n[[table]]\nname = \"dbo.Things\"\nextra = \"DISTKEY (id) SORTKEY (id)\"",
    )
    .await?;
    stage
        .cluster
        .connect_upstream()
        .await?
        .batch_execute("DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        .await?;
    stage
        .sql
        .run(
            "CREATE TABLE dbo.Things (Id int NOT NULL PRIMARY KEY, Note nvarchar(10) NULL, N int NOT NULL);
             INSERT INTO dbo.Things VALUES (1, N'one', 1)",
        )
        .await?;
    stage.ground.sync().await?;
    let form = stage.rows(FORM).await?;
    ensure!(form == ["id|integer", "n|integer", "note|character varying(30)"], "{form:?}");
    for change in [
        "ALTER TABLE dbo.Things ALTER COLUMN Note nvarchar(20) NULL",
        "ALTER TABLE dbo.Things ALTER COLUMN N bigint NOT NULL",
        "ALTER TABLE dbo.Things ADD Extra nvarchar(5) NULL",
    ] {
        stage.sql.run(change).await?;
    }
    stage.change("INSERT INTO dbo.Things VALUES (2, N'twenty letters here.', 5000000000, N'more')").await?;
    for _ in 0..3 {
        stage.ground.sync().await?;
    }
    let form = stage.rows(FORM).await?;
    ensure!(
        form == ["extra|character varying(15)", "id|integer", "n|bigint", "note|character varying(60)"],
        "{form:?}"
    );
    let rows = stage.rows("SELECT id, note, n, extra FROM dbo.things ORDER BY id").await?;
    ensure!(rows == ["1|one|1|∅", "2|twenty letters here.|5000000000|more"], "{rows:?}");
    let granted = stage.rows("SELECT has_table_privilege('reader', 'dbo.things', 'SELECT')").await?;
    ensure!(granted == ["t"], "{granted:?}");
    Ok(())
}
