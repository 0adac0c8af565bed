//! Many misconfigurations at once, and servers of Amazon's and Microsoft's, which have ways of their own.

use anyhow::ensure;

use super::cases::{Case, GROUPS, Login, SOUND};
use super::ground::Ground;

/// All are told in one run, which goes on with what is sound; `--strict` makes them a failure.
#[tokio::test(flavor = "multi_thread")]
async fn all_is_told_at_once_and_the_rest_goes_on() -> anyhow::Result<()> {
    let many = [
        "there is no cleanup job",
        "the capture job is stopped",
        "SNAPSHOT isolation is not allowed",
        "long texts would be refused to the application",
        "the database comes from another server",
        "a table has no key",
        "a column is encrypted",
        "a column is of another code page",
        "a pattern matches nothing",
        "a column that is left out is not there",
        "a table of the target may not be written",
    ];
    let cases: Vec<_> = GROUPS.iter().flat_map(|(_, cases)| *cases).filter(|case| many.contains(&case.what)).collect();
    ensure!(cases.len() == many.len(), "{} of {} cases are known", cases.len(), many.len());
    let ground = Ground::start(cases[0]).await?;
    // What makes tables before what keeps them from being made.
    for case in cases.iter().rev() {
        ground.make_wrong(case).await?;
    }
    let told = ground.check(&["check"]).await?;
    let mut expected: Vec<_> = cases.iter().flat_map(|case| case.tells).map(|name| (*name).to_owned()).collect();
    // None of the new tables can be captured while the database's owner is not known.
    expected.push("SourceRefused".to_owned());
    ensure!(told.names() == expected.into_iter().collect(), "told {:?}: {told}", told.names());
    ensure!(told.code == 0, "exit {}: {told}", told.code);
    ensure!(told.summary["cut"].is_string(), "no cut: {told}");
    let strict = ground.check(&["check", "--strict"]).await?;
    ensure!(strict.code == 3 && strict.names() == told.names(), "{strict}");
    Ok(())
}

/// A piece of each statement that looks at something.
const STATEMENTS: &[&str] = &[
    "AS owner_agrees",
    "AS updateability",
    "N''OBJECT'', N''UNMASK'') AS unmasks FROM sys.tables",
    "AS is_inside",
    "WHERE c.is_masked = 1",
    "sys.security_predicates",
    "AS usual_page",
    "max text repl size",
    "sys.dm_server_services",
    "msdb.dbo.sysjobactivity",
    "sys.dm_cdc_errors",
];

/// What a server refuses to tell is told to be unknown; the work goes on.
#[tokio::test(flavor = "multi_thread")]
async fn each_look_that_is_refused_is_a_finding_and_no_failure() -> anyhow::Result<()> {
    let ground = Ground::start(&Case { login: Login::Reader, ..SOUND }).await?;
    // So that there is something to look at in each.
    ground
        .source(
            "CREATE TABLE dbo.Looked (ID int NOT NULL PRIMARY KEY, Code varchar(10) COLLATE Latin1_General_100_CI_AS_SC_UTF8 NULL, \
             Note varchar(max) NULL)",
        )
        .await?;
    let told = ground.check(&["check"]).await?;
    ensure!(!told.names().contains("Unreadable"), "unknown before anything is refused: {told}");
    for statement in STATEMENTS {
        let order =
            format!("EXEC sys.sp_standin_inject @number = 229, @text = N'{statement}', @times = 1, @after_rows = 0");
        ground.source(&order).await?;
        let told = ground.check(&["check"]).await?;
        ensure!(told.names().contains("Unreadable"), "{statement} is refused, and it is not told: {told}");
        ensure!(told.code == 0 && told.summary["cut"].is_string(), "{statement} is refused: {told}");
    }
    Ok(())
}

/// Nobody who reads needs the connection that enables and purges.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_login_that_does_not_come_to_the_server_is_a_finding_and_no_failure() -> anyhow::Result<()> {
    let ground = Ground::start(&Case { login: Login::Reader, ..SOUND }).await?;
    for (number, name, says) in [
        (978, "SourceReadOnly", "name the listener, or the primary, in source.host"),
        (40613, "OwnerRights", "the connection that enables and purges does not come about: "),
        (4060, "OwnerRights", "ALTER ROLE db_owner ADD MEMBER [sa]"),
    ] {
        // The second login of a check is the administrator's.
        let order = format!("EXEC sys.sp_standin_inject @number = {number}, @at_login = 1, @skip = 1, @times = 1");
        ground.source(&order).await?;
        let told = ground.check(&["check"]).await?;
        ensure!(told.names().into_iter().collect::<Vec<_>>() == [name], "{number}: {told}");
        ensure!(told.code == 0 && told.summary["cut"].is_string(), "{number}: {told}");
        ensure!(told.summary.to_string().contains(says), "{number} does not say '{says}': {told}");
    }
    let failing = "[source.admin]\ntoken_command = [\"false\"]\n";
    ground.configure(&[("[source.admin]\nuser = \"sa\"\npassword = \"${MSSQL_PASSWORD}\"\n", failing)])?;
    let told = ground.check(&["check"]).await?;
    ensure!(told.code == 0 && told.names().into_iter().collect::<Vec<_>>() == ["OwnerRights"], "{told}");
    ensure!(told.summary.to_string().contains("token command 'false' failed"), "{told}");
    Ok(())
}

/// Capture is the primary's: a replica's own server tells nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_replica_is_read_the_primarys_server_is_looked_at() -> anyhow::Result<()> {
    let ground = Ground::start(&Case { login: Login::Reader, ..SOUND }).await?;
    ground.configure(&[("[source]\n", "[source]\nread_only_replica = true\n")])?;
    let told = ground.check(&["check"]).await?;
    ensure!(told.code == 0 && told.names().is_empty(), "{told}");
    ground.source("EXEC sys.sp_standin_agent @running = 0").await?;
    let told = ground.check(&["check"]).await?;
    ensure!(told.code == 0 && told.names().into_iter().collect::<Vec<_>>() == ["AgentStopped"], "{told}");
    // The primary is away, when it is looked at and when the right to enable is.
    ground.source("EXEC sys.sp_standin_inject @number = 40613, @at_login = 1, @skip = 1, @times = 2").await?;
    let told = ground.check(&["check"]).await?;
    ensure!(told.code == 0 && told.names().into_iter().collect::<Vec<_>>() == ["OwnerRights", "Unreadable"], "{told}");
    Ok(())
}

/// Enabling is tried again when it is the second login that the server puts off.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_login_that_is_put_off_is_tried_again() -> anyhow::Result<()> {
    let ground = Ground::start(&Case { login: Login::Reader, ..SOUND }).await?;
    ground.source("CREATE TABLE dbo.Late (ID int NOT NULL PRIMARY KEY)").await?;
    // Once when it is looked at, and once more when it is needed.
    ground.source("EXEC sys.sp_standin_inject @number = 40613, @at_login = 1, @skip = 1, @times = 2").await?;
    let told = ground.check(&["check"]).await?;
    ensure!(told.code == 0 && told.names().into_iter().collect::<Vec<_>>() == ["OwnerRights"], "{told}");
    ensure!(told.summary["retries"]["40613"] == 1, "{told}");
    Ok(())
}

/// A server on which nobody is sysadmin: an owner enables the database in the server's own way.
async fn managed(flavour: &str) -> anyhow::Result<Ground> {
    let ground = Ground::start(&Case { login: Login::Owner, checked_before: false, ..SOUND }).await?;
    // What a customer is not given there.
    ground.source("USE master; REVOKE VIEW SERVER STATE TO [my reader]").await?;
    ground
        .source("USE msdb; REVOKE SELECT ON dbo.cdc_jobs TO [my reader]; REVOKE SELECT ON dbo.sysjobs TO [my reader]")
        .await?;
    ground.source(&format!("EXEC sys.sp_standin_flavour @name = N'{flavour}'")).await?;
    let told = ground.check(&["check", "--strict"]).await?;
    ensure!(told.code == 0 && told.names().is_empty(), "{flavour}: {told}");
    Ok(ground)
}

/// Commits have the server's local time, whose clock is put forward by an hour.
#[tokio::test(flavor = "multi_thread")]
async fn an_hour_by_which_the_clock_is_put_forward_is_no_lag() -> anyhow::Result<()> {
    let ground = Ground::start(&SOUND).await?;
    ground.source("EXEC sys.sp_cdc_change_job @job_type = N'capture', @pollinginterval = 86000").await?;
    ground
        .source("EXEC sys.sp_cdc_stop_job @job_type = N'capture'; EXEC sys.sp_cdc_start_job @job_type = N'capture'")
        .await?;
    ground.source("EXEC sys.sp_standin_advance_clock @seconds = 4200").await?;
    let told = ground.check(&["check"]).await?;
    ensure!(told.code == 0 && told.names().is_empty(), "{told}");
    Ok(())
}

/// Who may not enable is told to let it be done in the server's own way.
#[tokio::test(flavor = "multi_thread")]
async fn what_enables_a_database_is_told_as_its_server_does_it() -> anyhow::Result<()> {
    for (flavour, says) in [
        (
            "rds",
            "Let the master user, or a login that may execute it, run EXEC msdb.dbo.rds_cdc_enable_db N'shop' there",
        ),
        ("azure", "Let a db_owner run EXEC sys.sp_cdc_enable_db there"),
    ] {
        let ground = Ground::start(&Case { checked_before: false, ..SOUND }).await?;
        ground.source(&format!("EXEC sys.sp_standin_flavour @name = N'{flavour}'")).await?;
        ground.configure(&[("[source]\n", "[source]\nenable_cdc = false\n")])?;
        let told = ground.check(&["check"]).await?;
        ensure!(told.code == 3 && told.summary.to_string().contains(says), "{flavour}: {told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn amazons_way_to_enable_is_taken_and_its_hidden_jobs_are_not_missed() -> anyhow::Result<()> {
    managed("rds").await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn azures_owner_enables_and_its_retention_is_told_without_an_agent() -> anyhow::Result<()> {
    let ground = managed("azure").await?;
    ground.source("EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 60").await?;
    let told = ground.check(&["check"]).await?;
    ensure!(told.names().into_iter().collect::<Vec<_>>() == ["RetentionShort"], "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_in_the_database_names_its_user_whatever_the_login_is_called() -> anyhow::Result<()> {
    let ground = Ground::start(&Case { login: Login::Reader, ..SOUND }).await?;
    ground.source("REVOKE SELECT ON SCHEMA::cdc TO [my user]").await?;
    let told = ground.check(&["extract"]).await?;
    let grant = "GRANT SELECT ON SCHEMA::cdc TO [my user]";
    ensure!(told.code == 3 && told.summary.to_string().contains(grant), "{told}");
    Ok(())
}

/// That a table was sound when it was checked does not let a copy lack rows later; that it is meant does.
#[tokio::test(flavor = "multi_thread")]
async fn r9_a_table_filtered_after_the_check_is_copied_only_if_that_is_meant() -> anyhow::Result<()> {
    let ground = Ground::start(&SOUND).await?;
    ground.source("EXEC sys.sp_standin_policy @name = N'only mine', @table = N'dbo.Good'").await?;
    let told = ground.check(&["extract"]).await?;
    ensure!(told.code == 3 && told.names().into_iter().collect::<Vec<_>>() == ["Hidden"], "{told}");
    let mends = told.mends();
    ensure!(mends.len() == 1, "{mends:?}");
    ground.mend(&mends[0].0, &mends[0].1).await?;
    let told = ground.check(&["extract"]).await?;
    // The stand-in itself reads no filtered table.
    ensure!(told.names().into_iter().collect::<Vec<_>>() == ["SourceRefused"], "{told}");
    Ok(())
}

/// That a table was sound when it was checked does not let a copy hold masks later.
#[tokio::test(flavor = "multi_thread")]
async fn r9_a_column_masked_after_the_check_is_not_copied() -> anyhow::Result<()> {
    let ground = Ground::start(&Case { login: Login::Reader, ..SOUND }).await?;
    ground.source("ALTER TABLE dbo.Good ALTER COLUMN Note ADD MASKED WITH (FUNCTION = 'default()')").await?;
    let told = ground.check(&["extract"]).await?;
    ensure!(told.code == 3 && told.names().into_iter().collect::<Vec<_>>() == ["Hidden"], "{told}");
    Ok(())
}
