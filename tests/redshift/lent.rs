//! Logins that AWS lends.

use anyhow::{Context as _, ensure};

use super::Stage;
use crate::support::bucket::{ACCESS_KEY, SECRET_KEY};
use crate::support::postgres::LOADER;

/// A stage whose warehouse lends logins, its tasks told where.
async fn start(login: &str, arguments: &[&str]) -> anyhow::Result<Stage> {
    let key = format!("{ACCESS_KEY}:{SECRET_KEY}");
    let mut all = vec!["--iam-listen", "127.0.0.1:0", "--iam-key", &key, "--iam-user", LOADER];
    all.extend(arguments);
    let mut stage = Stage::start_with("", &all).await?;
    let endpoint = format!("http://{}", stage.cluster.said("iam ")?);
    for service in ["REDSHIFT", "REDSHIFT_SERVERLESS"] {
        stage.ground.environment.push((format!("AWS_ENDPOINT_URL_{service}"), endpoint.clone()));
    }
    stage.sql.run("CREATE TABLE dbo.Things (Id int NOT NULL PRIMARY KEY); INSERT INTO dbo.Things VALUES (1)").await?;
    log_in(&stage, login)?;
    Ok(stage)
}

/// Has these lines in place of name and password.
fn log_in(stage: &Stage, login: &str) -> anyhow::Result<()> {
    let config = stage.cluster.config(&stage.ground.config(&["dbo.*"]));
    let own = format!("user = \"{LOADER}\"\npassword = \"${{TARGET_PASSWORD}}\"");
    ensure!(config.contains(&own), "the usual configuration has another login");
    stage.ground.write_config(&config.replace(&own, login))
}

const CLUSTER: &str = "auth = \"iam\"\ncluster = \"warehouse\"\nregion = \"us-east-1\"";

#[tokio::test(flavor = "multi_thread")]
async fn r11_a_lent_login_loads_and_is_told_nowhere() -> anyhow::Result<()> {
    let mut stage = start(&format!("{CLUSTER}\nuser = \"{LOADER}\""), &[]).await?;
    stage.ground.environment.retain(|(name, _)| name != "TARGET_PASSWORD");
    stage.ground.environment.push(("RUST_LOG".to_owned(), "trace".to_owned()));
    let mut said = String::new();
    for task in ["check", "extract", "load"] {
        let outcome = stage.ground.task(&[task]).await?.expect(0)?;
        said += &(outcome.stdout + &outcome.stderr);
    }
    ensure!(said.contains("trace") || said.contains("TRACE"), "nothing was traced: {said}");
    ensure!(!said.contains("lent-"), "a lent password was told");
    ensure!(!stage.cluster.statements()?.contains("lent-"), "a lent password was in a statement");
    ensure!(stage.rows("SELECT id FROM dbo.things").await? == ["1"]);
    let owner = stage.rows("SELECT tableowner FROM pg_tables WHERE tablename = 'things'").await?;
    ensure!(owner == [LOADER], "the login became {owner:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_identity_has_a_login_of_its_own_at_a_cluster_and_at_serverless() -> anyhow::Result<()> {
    for (login, arguments) in [
        (CLUSTER, &[][..]),
        ("auth = \"iam\"\nworkgroup = \"warehouse\"\nregion = \"us-east-1\"", &["--serverless"][..]),
    ] {
        let stage = start(login, arguments).await?;
        // The first login makes the user, who may nothing yet.
        let check = stage.ground.task(&["check"]).await?.expect(3)?;
        ensure!(check.stdout.contains("AUTHORIZATION \\\"IAMR:delsert\\\""), "{}", check.stdout);
        let database = &stage.ground.target.name;
        let granted = format!("GRANT CREATE, TEMP ON DATABASE \"{database}\" TO \"IAMR:delsert\"");
        stage.cluster.connect_upstream().await?.batch_execute(&granted).await?;
        stage.ground.sync().await?;
        let rows = stage.cluster.connect_upstream().await?.query_one("SELECT count(*) FROM dbo.things", &[]).await?;
        ensure!(rows.get::<_, i64>(0) == 1, "{login}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_a_login_names_the_way_out() -> anyhow::Result<()> {
    let mut stage = start("", &[]).await?;
    for (login, code, says) in [
        ("auth = \"iam\"\ncluster = \"wharehouse\"\nregion = \"us-east-1\"", 3, "Check target.cluster"),
        ("auth = \"iam\"\nworkgroup = \"warehouse\"\nregion = \"us-east-1\"", 3, "target.workgroup"),
        ("auth = \"iam\"\ncluster = \"warehouse\"\nregion = \"eu-west-1\"", 3, "Credential should be scoped"),
        (&format!("{CLUSTER}\nuser = \"stranger\""), 3, "dbuser:warehouse/stranger"),
        ("auth = \"iam\"\ncluster = \"warehouse\"", 2, "AWS_REGION"),
        ("auth = \"iam\"\nuser = \"loader\"", 2, "does not tell which warehouse"),
    ] {
        log_in(&stage, login)?;
        let check = stage.ground.task(&["check"]).await?.expect(code).with_context(|| login.to_owned())?;
        ensure!(check.stderr.contains(says), "{login}: {}", check.stderr);
    }
    log_in(&stage, CLUSTER)?;
    let told = |check: &str, says: &str| check.contains(says);
    stage.ground.environment.push(("AWS_ENDPOINT_URL_REDSHIFT".to_owned(), "http://127.0.0.1:9".to_owned()));
    let check = stage.ground.task(&["check"]).await?.expect(75)?;
    ensure!(told(&check.stderr, "AWS's own endpoints"), "{}", check.stderr);
    Ok(())
}
