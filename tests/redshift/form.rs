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
        .batch_execute(
            "DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
        )
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

/// A table whose rows lie by a column that is to change its type, with what hangs on it.
async fn distributed(extra: &str) -> anyhow::Result<Stage> {
    let stage = Stage::start(&format!("[[table]]\nname = \"dbo.Things\"\n{extra}")).await?;
    let mut stage = stage;
    stage
        .sql
        .run(
            "CREATE TABLE dbo.Things (Id int NOT NULL PRIMARY KEY, Note nvarchar(10) NULL, N int NOT NULL);
             INSERT INTO dbo.Things VALUES (1, N'one', 1), (2, NULL, 2)",
        )
        .await?;
    stage.ground.sync().await?;
    Ok(stage)
}

/// Name, type, distribution, and place among the sort keys of each column, in order.
const LAID_OUT: &str = "SELECT CAST(a.attname AS varchar(128)), CAST(format_type(a.atttypid, a.atttypmod) AS varchar(128)), a.attisdistkey, a.attsortkeyord \
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = 'dbo' AND c.relname = 'things' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_everywhere_stays_so_when_only_its_order_changes() -> anyhow::Result<()> {
    let mut stage = distributed("").await?;
    for alter in ["ALTER DISTSTYLE ALL", "ALTER SORTKEY (n)"] {
        stage.client.batch_execute(&format!("ALTER TABLE dbo.things {alter}")).await?;
    }
    stage.sql.run("ALTER TABLE dbo.Things ALTER COLUMN N bigint NOT NULL").await?;
    stage.change("INSERT INTO dbo.Things VALUES (3, N'three', 5000000000)").await?;
    for _ in 0..3 {
        stage.ground.sync().await?;
    }
    let style = "SELECT releffectivediststyle FROM pg_class_info WHERE relname = 'things'";
    ensure!(stage.rows(style).await? == ["8"], "{:?}", stage.rows(style).await?);
    let form = stage.rows(LAID_OUT).await?;
    ensure!(form.contains(&"n|bigint|f|1".to_owned()), "{form:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_anew_where_its_rows_lie_by_the_column_that_changes() -> anyhow::Result<()> {
    for extra in ["extra = \"DISTKEY (n) SORTKEY (n, id)\"", ""] {
        let mut stage = distributed(extra).await?;
        let below = stage.cluster.connect_upstream().await?;
        below
            .batch_execute(
                "DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
                 DO $$ BEGIN CREATE ROLE clerk LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
                 GRANT SELECT ON dbo.things TO clerk WITH GRANT OPTION; GRANT SELECT, INSERT ON dbo.things TO reader;
                 GRANT SELECT (note) ON dbo.things TO reader",
            )
            .await?;
        if extra.is_empty() {
            for alter in ["ALTER DISTKEY n", "ALTER SORTKEY (n, id)"] {
                stage.client.batch_execute(&format!("ALTER TABLE dbo.things {alter}")).await?;
            }
        }
        stage.client.batch_execute("ALTER TABLE dbo.things ADD COLUMN own varchar(20) DEFAULT 'mine'").await?;
        let late = "CREATE VIEW dbo.late AS SELECT id, n FROM dbo.things WITH NO SCHEMA BINDING";
        stage.client.batch_execute(late).await?;
        stage.sql.run("ALTER TABLE dbo.Things ALTER COLUMN N bigint NOT NULL").await?;
        stage.change("INSERT INTO dbo.Things VALUES (3, N'three', 5000000000)").await?;
        for _ in 0..3 {
            stage.ground.sync().await?;
        }
        let form = stage.rows(LAID_OUT).await?;
        let expected =
            ["id|integer|f|2", "note|character varying(30)|f|0", "n|bigint|t|1", "own|character varying(20)|f|0"];
        ensure!(form == expected, "{extra}: {form:?}");
        let rows = stage.rows("SELECT id, note, n, own FROM dbo.things ORDER BY id").await?;
        ensure!(rows == ["1|one|1|mine", "2|∅|2|mine", "3|three|5000000000|mine"], "{extra}: {rows:?}");
        let late = stage.rows("SELECT n FROM dbo.late ORDER BY id").await?;
        ensure!(late == ["1", "2", "5000000000"], "{extra}: {late:?}");
        let rights = stage
            .rows(
                "SELECT has_table_privilege('reader', 'dbo.things', 'INSERT'), has_table_privilege('clerk', 'dbo.things', 'SELECT')",
            )
            .await?;
        ensure!(rights == ["t|t"], "{extra}: {rights:?}");
        let passed_on = below
            .query_one(
                "SELECT has_table_privilege('clerk', 'dbo.things', 'SELECT WITH GRANT OPTION'),
                        (SELECT attacl::text FROM pg_attribute WHERE attrelid = 'dbo.things'::regclass AND attname = 'note')",
                &[],
            )
            .await?;
        ensure!(passed_on.get::<_, bool>(0), "{extra}: the option to grant is lost");
        let column: Option<String> = passed_on.get(1);
        ensure!(column.is_some_and(|rights| rights.contains("reader=r")), "{extra}: a column's grant is lost");
        let left = stage.rows("SELECT relname FROM pg_class WHERE relname LIKE 'next_%'").await?;
        ensure!(left.is_empty(), "{extra}: {left:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_would_stay_with_the_old_table_is_named_before_anything_is_touched() -> anyhow::Result<()> {
    let mut stage = distributed("extra = \"DISTKEY (n)\"").await?;
    stage.client.batch_execute("CREATE VIEW dbo.bound AS SELECT id, note FROM dbo.things").await?;
    stage.sql.run("ALTER TABLE dbo.Things ALTER COLUMN N bigint NOT NULL").await?;
    stage.change("INSERT INTO dbo.Things VALUES (3, N'three', 5000000000)").await?;
    let mut code = Some(0);
    for _ in 0..3 {
        stage.ground.task(&["check", "--no-resume"]).await?.expect(0)?;
        stage.ground.task(&["extract"]).await?.expect(0)?;
        let load = stage.ground.task(&["load"]).await?;
        code = load.code;
        if code != Some(0) {
            let named = load.stderr.contains("\"dbo\".\"bound\"") && load.stderr.contains("WITH NO SCHEMA BINDING");
            ensure!(code == Some(3) && named, "{}", load.stderr);
            break;
        }
    }
    ensure!(code == Some(3), "the table was made anew beneath a view");
    ensure!(stage.rows("SELECT id FROM dbo.bound ORDER BY id").await? == ["1", "2"]);
    stage.client.batch_execute("DROP VIEW dbo.bound").await?;
    // Nor is it made anew while a reader holds it for longer than is waited.
    let config = std::fs::read_to_string(stage.ground.config_path())?;
    stage.ground.write_config(&config.replace("[target]\n", "[target]\nlock_timeout = \"1s\"\n"))?;
    let reader = stage.cluster.connect().await?;
    reader.batch_execute("BEGIN; SELECT count(*) FROM dbo.things").await?;
    let load = stage.ground.task(&["load"]).await?.expect(75)?;
    ensure!(load.stderr.contains("DROP TABLE"), "{}", load.stderr);
    reader.batch_execute("ROLLBACK").await?;
    let load = stage.ground.task(&["load"]).await?.expect(0)?;
    ensure!(load.stderr.contains("row-level security"), "nothing tells what does not follow: {}", load.stderr);
    let rows = stage.rows("SELECT id, n FROM dbo.things ORDER BY id").await?;
    ensure!(rows == ["1|1", "2|2", "3|5000000000"], "{rows:?}");
    Ok(())
}
