//! No credential goes anywhere but into COPY's own clause, and there only where no role is configured.

use anyhow::ensure;

use super::Stage;
use crate::support::bucket::{ACCESS_KEY, SECRET_KEY};
use crate::support::postgres::LOADER_PASSWORD;
use crate::support::redshift::ROLE;

#[tokio::test(flavor = "multi_thread")]
async fn r11_keys_go_into_copy_alone_and_only_without_a_role() -> anyhow::Result<()> {
    let mut stage = Stage::start("").await?;
    stage
        .sql
        .run("CREATE TABLE dbo.Things (Id int NOT NULL PRIMARY KEY, Note nvarchar(20) NULL); INSERT INTO dbo.Things VALUES (1, N'one')")
        .await?;
    let check = stage.ground.task(&["check"]).await?.expect(0)?;
    ensure!(!check.stdout.contains("CopyKeys"), "{}", check.stdout);
    stage.ground.sync().await?;
    let statements = stage.cluster.statements()?;
    ensure!(statements.contains(&format!("IAM_ROLE '{ROLE}'")) && statements.contains("COPY "), "no COPY was seen");
    for secret in [ACCESS_KEY, SECRET_KEY, LOADER_PASSWORD] {
        ensure!(!statements.contains(secret), "{secret} was in a statement");
    }

    let with = |role: &str| -> anyhow::Result<()> {
        let config = std::fs::read_to_string(stage.ground.config_path())?;
        let given = config.lines().map(|line| if line.starts_with("iam_role") { role } else { line });
        stage.ground.write_config(&given.collect::<Vec<_>>().join("\n"))
    };
    with("")?;
    stage.ground.environment.push(("RUST_LOG".to_owned(), "trace".to_owned()));
    stage.change("INSERT INTO dbo.Things VALUES (2, N'two')").await?;
    let mut said = String::new();
    for task in ["check", "extract", "load"] {
        let outcome = stage.ground.task(&[task]).await?.expect(0)?;
        said += &(outcome.stdout + &outcome.stderr);
    }
    ensure!(
        said.contains("\"CopyKeys\"") && said.contains("iam_role = \\\"default\\\""),
        "check does not advise a role: {said}"
    );
    let statements = stage.cluster.statements()?;
    let given: Vec<_> = statements.lines().filter(|line| line.contains(SECRET_KEY)).collect();
    ensure!(given.len() == 1 && given[0].contains("COPY "), "{given:?}");
    for secret in [SECRET_KEY, LOADER_PASSWORD] {
        ensure!(!said.contains(secret), "a task told {secret}");
    }
    ensure!(stage.rows("SELECT id FROM dbo.things ORDER BY id").await? == ["1", "2"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_by_default_and_a_password_that_cannot_be_given() -> anyhow::Result<()> {
    let mut stage = Stage::start_with("", &["--sha256-user", "modern"]).await?;
    stage.sql.run("CREATE TABLE dbo.Things (Id int NOT NULL PRIMARY KEY)").await?;
    let config = std::fs::read_to_string(stage.ground.config_path())?;
    let config = config.replace(&format!("iam_role = \"{ROLE}\""), "iam_role = \"default\"");
    stage.ground.write_config(&config)?;
    stage.ground.sync().await?;
    let modern = config.replace("user = \"loader\"", "user = \"modern\"");
    stage.ground.write_config(&modern)?;
    let load = stage.ground.task(&["load"]).await?.expect(3)?;
    ensure!(load.stderr.contains("in a form of its own") && load.stderr.contains("PASSWORD 'md5"), "{}", load.stderr);
    Ok(())
}
