//! Each thing that is wrong gets its own message (what, where, why, what to do) and the right exit code, and no message
//! ever holds a secret.

use std::net::TcpListener;

use anyhow::ensure;

use crate::support::bucket::{self, S3};
use crate::support::ground::Ground;
use crate::support::postgres::{ADMIN_PASSWORD, LOADER_PASSWORD};
use crate::support::server::Leash;
use crate::support::source::{self, SourceOptions};

/// Something wrong: the configuration's text to replace, by what, the task to run, and what must come of it.
struct Wrong {
    what: &'static str,
    replace: (String, String),
    without: Option<&'static str>,
    task: &'static [&'static str],
    code: i32,
    says: Vec<String>,
}

fn wrong(what: &'static str, from: &str, to: &str, task: &'static [&'static str], code: i32, says: &[&str]) -> Wrong {
    let says = says.iter().map(ToString::to_string).collect();
    Wrong { what, replace: (from.to_owned(), to.to_owned()), without: None, task, code, says }
}

async fn ground() -> anyhow::Result<Ground> {
    let ground = Ground::start(SourceOptions::default(), &["dbo.*"]).await?;
    let mut sql = ground.source.connect().await?;
    sql.run(
        "CREATE TABLE dbo.Keyed (ID int NOT NULL PRIMARY KEY, Note nvarchar(50) NULL);
         CREATE TABLE dbo.Keyless (ID int NULL, Note nvarchar(50) NULL);
         INSERT INTO dbo.Keyed VALUES (1, N'one'); INSERT INTO dbo.Keyless VALUES (1, N'one')",
    )
    .await?;
    Ok(ground)
}

/// Runs a wrong thing on a sound ground, and holds what was said against what must be.
async fn try_one(ground: &mut Ground, wrong: &Wrong) -> anyhow::Result<()> {
    let sound = ground.config(&["dbo.*"]);
    let (from, to) = &wrong.replace;
    ensure!(sound.contains(from.as_str()), "{}: the configuration has no '{from}'", wrong.what);
    ground.write_config(&sound.replacen(from, to, 1))?;
    let environment = ground.environment.clone();
    ground.environment.retain(|(name, _)| Some(name.as_str()) != wrong.without);
    let outcome = ground.task(wrong.task).await;
    ground.environment = environment;
    let outcome = outcome?;
    let said = format!("{}\n{}", outcome.stdout, outcome.stderr);
    ensure!(outcome.code == Some(wrong.code), "{}: exit {:?}, not {}:\n{said}", wrong.what, outcome.code, wrong.code);
    let summary = outcome.summary()?;
    ensure!(summary.0["exit_code"] == wrong.code, "{}: the summary says {}", wrong.what, summary.0["exit_code"]);
    let errors = summary.0.to_string();
    for word in &wrong.says {
        ensure!(errors.contains(word.as_str()), "{}: the summary does not say '{word}':\n{said}", wrong.what);
        ensure!(outcome.stderr.contains(word.as_str()), "{}: the log does not say '{word}':\n{said}", wrong.what);
    }
    r11_no_secret(wrong.what, &said)
}

fn r11_no_secret(what: &str, said: &str) -> anyhow::Result<()> {
    for secret in [source::PASSWORD, LOADER_PASSWORD, ADMIN_PASSWORD, bucket::SECRET_KEY, "not-the-password"] {
        ensure!(!said.contains(secret), "{what}: the secret {secret} was printed:\n{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_is_named_with_its_key() -> anyhow::Result<()> {
    let mut ground = ground().await?;
    let all = [
        wrong("unknown key", "tls = ", "tsl = ", &["check"], 2, &["tsl"]),
        wrong("unknown section", "[bucket]", "[buckets]", &["check"], 2, &["buckets"]),
        wrong("wrong type", "path_style = true", "path_style = \"yes\"", &["check"], 2, &["true or false"]),
        wrong(
            "wrong word",
            "encrypt = \"required\"",
            "encrypt = \"always\"",
            &["check"],
            2,
            &["encrypt", "always", "login"],
        ),
        wrong("no TOML", "[source]", "[source", &["check"], 2, &["con_defs.toml"]),
        wrong("missing key", "database = \"shop\"", "", &["extract"], 2, &["source.database"]),
        Wrong {
            without: Some("MSSQL_PASSWORD"),
            ..wrong("missing variable", "[source]", "[source]", &["extract"], 2, &["MSSQL_PASSWORD", "source.password"])
        },
        Wrong {
            without: Some("TARGET_PASSWORD"),
            ..wrong("missing variable", "[target]", "[target]", &["load"], 2, &["TARGET_PASSWORD", "target.password"])
        },
    ];
    for one in &all {
        try_one(&mut ground, one).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_does_not_answer_or_refuses_is_named_with_its_address() -> anyhow::Result<()> {
    let mut ground = ground().await?;
    ground.task(&["check"]).await?.expect(0)?;
    let (source, target, endpoint) = (ground.source.port, ground.target.port, ground.s3.endpoint());
    let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let (source_port, target_port) = (format!("port = {source}\n"), format!("port = {target}\n"));
    let (closed_port, at_closed) = (format!("port = {closed}\n"), format!("127.0.0.1:{closed}"));
    let at_closed = at_closed.as_str();
    let (at_source, at_target) = (format!("127.0.0.1:{source}"), format!("127.0.0.1:{target}"));
    let closed_endpoint = format!("http://{at_closed}");
    let all = [
        wrong("source away", &source_port, &closed_port, &["extract"], 75, &[at_closed]),
        wrong("target away", &target_port, &closed_port, &["load"], 75, &[at_closed]),
        wrong("bucket away", &endpoint, &closed_endpoint, &["extract"], 75, &[at_closed]),
        wrong("source's password", "${MSSQL_PASSWORD}", "not-the-password", &["extract"], 3, &["sa", &at_source]),
        wrong("source's database", "database = \"shop\"", "database = \"shoe\"", &["extract"], 3, &["shoe"]),
        wrong("target's password", "${TARGET_PASSWORD}", "not-the-password", &["load"], 3, &["loader", &at_target]),
        wrong("bucket's name", "sync-machine-bucket", "No_Bucket", &["check"], 3, &["No_Bucket"]),
    ];
    for one in &all {
        try_one(&mut ground, one).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_rights_is_named() -> anyhow::Result<()> {
    let mut ground = ground().await?;
    ground.s3 = S3::start_with(ground.folder(), &Leash::Owner, &["--no-rights-key", "poor-key:poor-secret"])?;
    for (name, value) in &mut ground.environment {
        match name.as_str() {
            "AWS_ACCESS_KEY_ID" => "poor-key".clone_into(value),
            "AWS_SECRET_ACCESS_KEY" => "poor-secret".clone_into(value),
            _ => {}
        }
    }
    let denied = wrong("no rights", "[bucket]", "[bucket]", &["check"], 3, &["sync-machine-bucket", "AccessDenied"]);
    try_one(&mut ground, &denied).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_does_not_exist_is_named() -> anyhow::Result<()> {
    let mut ground = ground().await?;
    ground.task(&["check"]).await?.expect(0)?;
    for task in [&["check", "--table", "dbo.Missing"], &["extract", "--table", "dbo.Missing"]] {
        try_one(&mut ground, &wrong("no such table", "[sync]", "[sync]", task, 2, &["dbo.Missing"])).await?;
    }
    Ok(())
}

/// The table without a key is blocked, and fails in its own tasks; the other goes on.
#[tokio::test(flavor = "multi_thread")]
async fn r12_a_table_without_a_key_stops_alone() -> anyhow::Result<()> {
    let ground = ground().await?;
    let check = ground.task(&["check"]).await?.expect(0)?.summary()?;
    let keyless = check.table("dbo.Keyless")?;
    ensure!(keyless["status"] == "blocked", "not blocked: {keyless}");
    ensure!(keyless["error"].as_str().is_some_and(|error| error.contains("key")), "no reason: {keyless}");
    ground.task(&["check", "--strict"]).await?.expect(3)?;

    let extract = ground.task(&["extract"]).await?.expect(3)?.summary()?;
    ensure!(extract.table("dbo.Keyed")?["status"] == "done", "the other table stopped too: {}", extract.0);
    ground.task(&["extract", "--table", "dbo.Keyed"]).await?.expect(0)?;
    ground.task(&["load", "--table", "dbo.Keyed"]).await?.expect(0)?;
    let rows = ground.target.connect().await?.query("SELECT FROM dbo.keyed", &[]).await?;
    ensure!(rows.len() == 1, "{} rows arrived", rows.len());
    Ok(())
}
