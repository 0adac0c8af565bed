//! The script of the loader's rights: with it all goes, and without any one of its rights something does not.

use anyhow::ensure;

use super::Stage;
use crate::rights::files::{Right, filled, read, rights_of_script, statements};

const LOADER: &str = "least";
const PASSWORD: &str = "Least-secret-1";

/// A warehouse in which nobody may do what is not granted, with what a script grants.
async fn granted(script: &str) -> anyhow::Result<Stage> {
    let mut stage = Stage::start_with("", &["--superuser", "owner:Owner-secret-1"]).await?;
    let named = [("database", stage.cluster.database.as_str()), ("loader", LOADER), ("password", PASSWORD)];
    let owner = stage.cluster.connect_as("owner", "Owner-secret-1").await?;
    owner.batch_execute(&format!("REVOKE TEMP ON DATABASE {} FROM PUBLIC", stage.cluster.database)).await?;
    for statement in statements(&filled(script, &named)?) {
        owner.batch_execute(&statement).await?;
    }
    let config = std::fs::read_to_string(stage.ground.config_path())?;
    let config = config.replace("user = \"loader\"", &format!("user = \"{LOADER}\""));
    stage.ground.write_config(&config.replace("${TARGET_PASSWORD}", PASSWORD))?;
    stage
        .sql
        .run("CREATE TABLE dbo.Things (Id int NOT NULL PRIMARY KEY, Note nvarchar(20) NULL); INSERT INTO dbo.Things VALUES (1, N'one')")
        .await?;
    Ok(stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loader_has_what_it_needs_and_nothing_more() -> anyhow::Result<()> {
    let script = read("redshift-loader.sql")?;
    let mut stage = granted(&script).await?;
    stage.ground.sync().await?;
    stage.change("UPDATE dbo.Things SET Note = N'changed'").await?;
    let (_, load) = stage.ground.sync().await?;
    ensure!(load.upserts() == 1, "nothing was loaded");

    let rights = rights_of_script(&script);
    ensure!(rights.len() == 3, "the script has {} rights", rights.len());
    for Right { name, rest } in rights {
        let stage = granted(&rest).await?;
        let mut said = String::new();
        let mut failed = false;
        for task in ["check", "extract", "load"] {
            let outcome = stage.ground.task(&[task]).await?;
            failed |= outcome.code != Some(0);
            said += &(outcome.stdout + &outcome.stderr);
        }
        ensure!(failed, "nothing failed without {name}");
        let mend = match name.split(' ').nth(1) {
            Some("CREATE") => "CREATE SCHEMA IF NOT EXISTS",
            Some("TEMP") => "GRANT TEMP ON DATABASE",
            _ => "Check target.user ('least')",
        };
        ensure!(said.contains(mend), "without {name} nothing says {mend}: {said}");
    }
    Ok(())
}
