//! What breaks without which right.

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt};

use super::field::{Broken, Field, Files, Stop, whole};
use super::files::{Right, read, rights_of_policy, rights_of_script};

/// A right, the step that breaks without it, and words of what is said.
type Loss = (&'static str, &'static str, &'static [&'static str]);

/// What grants both rights on a schema of the target.
const USAGE: &str = "GRANT USAGE, CREATE ON SCHEMA";

/// Fields that are played at once.
const AT_ONCE: usize = 3;

/// Goes the whole way without each right in turn, and holds what breaks against the table.
async fn each_is_needed(
    rights: Vec<Right>,
    losses: &[Loss],
    put: impl Fn(&mut Files, String) + Copy,
) -> anyhow::Result<()> {
    for (name, ..) in losses {
        ensure!(rights.iter().any(|right| right.name == *name), "no right is called '{name}' any more");
    }
    let play = |right: Right| async move {
        let mut files = Files::whole()?;
        put(&mut files, right.rest);
        match Box::pin(Box::pin(Field::start(files)).await?.go()).await {
            Err(Stop::Failed(error)) => Err(error).context(right.name),
            Ok(()) => Ok(Some(format!("nothing breaks without '{}'", right.name))),
            Err(Stop::Broken(broken)) => Ok(unlike(&right.name, losses, &broken)),
        }
    };
    let played = futures_util::stream::iter(rights).map(play).buffer_unordered(AT_ONCE);
    let wrong: Vec<_> = played.try_filter_map(|wrong| async { anyhow::Ok(wrong) }).try_collect().await?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    Ok(())
}

/// How what broke differs from what the table says of it.
fn unlike(right: &str, losses: &[Loss], Broken { step, said }: &Broken) -> Option<String> {
    let Some((_, expected, words)) = losses.iter().find(|(name, ..)| *name == right) else {
        return Some(format!("no loss is told of '{right}': {step}: {said}"));
    };
    if step != expected {
        return Some(format!("without '{right}' {step} broke, not {expected}: {said}"));
    }
    let missing = words.iter().find(|word| !said.contains(**word))?;
    Some(format!("without '{right}' {step} does not say '{missing}': {said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tasks_pass_with_exactly_the_rights_of_the_files() -> anyhow::Result<()> {
    whole(Box::pin(Field::start(Files::whole()?).await?.go()).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_of_the_source_is_needed() -> anyhow::Result<()> {
    let reader: &[Loss] = &[
        (
            "CREATE LOGIN [<reader>] WITH PASSWORD = N'<password>'",
            "reader's script",
            &["'delsert_reader' is not a valid login"],
        ),
        ("CREATE USER [<reader>] FOR LOGIN [<reader>]", "reader's script", &["Cannot find the user 'delsert_reader'"]),
        (
            "GRANT SELECT ON SCHEMA::[<schema>] TO [<reader>]",
            "first check",
            &["exit Some(3)", "may not read the table", "GRANT SELECT ON [Sales].[Orders] TO [delsert_reader]"],
        ),
        (
            "GRANT SELECT ON SCHEMA::cdc TO [<reader>]",
            "first check",
            &["says 229", "GRANT SELECT ON SCHEMA::cdc TO [delsert_reader]"],
        ),
        (
            "msdb: CREATE USER [<reader>] FOR LOGIN [<reader>]",
            "reader's script",
            &["Cannot find the user 'delsert_reader'"],
        ),
        (
            "msdb: GRANT SELECT ON dbo.cdc_jobs TO [<reader>]",
            "second check",
            &["GRANT SELECT ON dbo.cdc_jobs TO [delsert_reader]"],
        ),
        ("GRANT VIEW DEFINITION TO [<reader>]", "first check", &["GRANT VIEW DEFINITION TO [delsert_reader]"]),
        (
            "msdb: GRANT SELECT ON dbo.sysjobs TO [<reader>]",
            "second check",
            &["GRANT SELECT ON dbo.sysjobs TO [delsert_reader]"],
        ),
        (
            "msdb: GRANT SELECT ON dbo.sysjobactivity TO [<reader>]",
            "second check",
            &["GRANT SELECT ON dbo.sysjobactivity TO [delsert_reader]"],
        ),
        (
            "msdb: GRANT SELECT ON dbo.syssessions TO [<reader>]",
            "second check",
            &["GRANT SELECT ON dbo.syssessions TO [delsert_reader]"],
        ),
        ("GRANT VIEW SERVER STATE TO [<reader>]", "first check", &["GRANT VIEW SERVER STATE TO [delsert_reader]"]),
    ];
    let admin: &[Loss] = &[
        (
            "CREATE LOGIN [<admin>] WITH PASSWORD = N'<password>'",
            "admin's script",
            &["'delsert_admin' is not a valid login"],
        ),
        ("EXEC sys.sp_cdc_enable_db", "reader's script", &["Cannot find the schema 'cdc'"]),
        ("CREATE USER [<admin>] FOR LOGIN [<admin>]", "admin's script", &["'delsert_admin'"]),
        (
            "ALTER ROLE db_owner ADD MEMBER [<admin>]",
            "first check",
            &["cannot be enabled for the table", "ALTER ROLE db_owner ADD MEMBER [delsert_admin]"],
        ),
    ];
    each_is_needed(rights_of_script(&read("sqlserver-reader.sql")?), reader, |files, rest| files.reader = rest).await?;
    each_is_needed(rights_of_script(&read("sqlserver-admin.sql")?), admin, |files, rest| files.admin = rest).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_of_the_target_is_needed() -> anyhow::Result<()> {
    let connect: Loss = (
        "GRANT CONNECT ON DATABASE <database> TO <loader>",
        "first check",
        &["permission denied for database", "42501", "GRANT CONNECT ON DATABASE"],
    );
    let login: Loss =
        ("CREATE ROLE <loader> LOGIN PASSWORD '<password>'", "loader's script", &["role", "does not exist"]);
    let alone: &[Loss] = &[
        login,
        connect,
        (
            "GRANT CREATE ON DATABASE <database> TO <loader>",
            "first check",
            &["the login may not create schema delsert", "CREATE SCHEMA IF NOT EXISTS \\\"delsert\\\" AUTHORIZATION"],
        ),
    ];
    let in_schemas: &[Loss] = &[
        login,
        connect,
        ("CREATE SCHEMA IF NOT EXISTS delsert", "loader's script", &["schema \"delsert\" does not exist"]),
        ("GRANT USAGE ON SCHEMA delsert TO <loader>", "first check", &["may not use delsert's own schema", USAGE]),
        ("GRANT CREATE ON SCHEMA delsert TO <loader>", "first check", &["may not use delsert's own schema", USAGE]),
        ("CREATE SCHEMA IF NOT EXISTS <schema>", "loader's script", &["schema \"shop\" does not exist"]),
        ("GRANT USAGE ON SCHEMA <schema> TO <loader>", "first check", &["permission denied for schema shop", USAGE]),
        ("GRANT CREATE ON SCHEMA <schema> TO <loader>", "first check", &["permission denied for schema shop", USAGE]),
    ];
    each_is_needed(rights_of_script(&read("postgres-loader.sql")?), alone, |files, rest| files.loader = rest).await?;
    let second = rights_of_script(&read("postgres-loader-in-schemas.sql")?);
    each_is_needed(second, in_schemas, |files, rest| files.loader = rest).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_of_the_bucket_is_needed() -> anyhow::Result<()> {
    let check: &[Loss] = &[
        (
            "s3:CreateBucket",
            "first check",
            &["does not exist and cannot be created", "Grant the credentials s3:CreateBucket"],
        ),
        ("s3:ListBucket", "first check", &["cannot be read", "Grant the credentials s3:ListBucket on"]),
        ("s3:ListBucketMultipartUploads", "first check", &["Grant the credentials s3:ListBucketMultipartUploads on"]),
        ("s3:GetObject */open.json", "second check", &["open.json", "Grant the credentials s3:GetObject on"]),
        (
            "s3:GetObject */manifest.json",
            "check that loads",
            &["manifest.json", "Grant the credentials s3:GetObject on"],
        ),
        ("s3:GetObject *.csv*", "check that loads", &[".csv.zst", "Grant the credentials s3:GetObject on"]),
        (
            "s3:PutObject create-only.json",
            "first check",
            &["create-only.json", "Grant the credentials s3:PutObject on"],
        ),
        ("s3:PutObject */open.json", "first check", &["open.json", "Grant the credentials s3:PutObject on"]),
        ("s3:PutObject */applied.json", "check that loads", &["applied.json", "Grant the credentials s3:PutObject on"]),
        ("s3:DeleteObject *", "check that loads", &["cannot remove", "Grant the credentials s3:DeleteObject on"]),
        ("s3:AbortMultipartUpload *.csv*", "check that loads", &["Grant the credentials s3:AbortMultipartUpload on"]),
    ];
    let extract: &[Loss] = &[
        ("s3:ListBucket", "first extract", &["cannot be listed", "Grant the credentials s3:ListBucket on"]),
        ("s3:ListBucketMultipartUploads", "first extract", &["Grant the credentials s3:ListBucketMultipartUploads on"]),
        ("s3:GetObject */open.json", "first extract", &["open.json", "Grant the credentials s3:GetObject on"]),
        ("s3:GetObject */manifest.json", "first extract", &["manifest.json", "Grant the credentials s3:GetObject on"]),
        ("s3:GetObject *.csv*", "first extract", &["cannot show", ".csv.zst", "Grant the credentials s3:GetObject on"]),
        ("s3:PutObject *.csv*", "first extract", &[".csv.zst", "Grant the credentials s3:PutObject on"]),
        ("s3:PutObject */manifest.json", "first extract", &["manifest.json", "Grant the credentials s3:PutObject on"]),
        ("s3:PutObject */open.json", "extract over a gap", &["open.json", "Grant the credentials s3:PutObject on"]),
        (
            "s3:DeleteObject *.csv*",
            "extract beside a rival",
            &["could not remove what rivals left", "s3:DeleteObject on"],
        ),
        (
            "s3:AbortMultipartUpload *.csv*",
            "extract beside a rival",
            &["could not remove what rivals left", "s3:AbortMultipartUpload on"],
        ),
    ];
    let load: &[Loss] = &[
        ("s3:ListBucket", "first load", &["cannot be listed", "Grant the credentials s3:ListBucket on"]),
        ("s3:GetObject */open.json", "first load", &["open.json", "Grant the credentials s3:GetObject on"]),
        ("s3:GetObject */manifest.json", "first load", &["manifest.json", "Grant the credentials s3:GetObject on"]),
        ("s3:GetObject *.csv*", "first load", &[".csv.zst", "Grant the credentials s3:GetObject on"]),
        ("s3:PutObject */applied.json", "first load", &["applied.json", "Grant the credentials s3:PutObject on"]),
        ("s3:DeleteObject *", "first load", &["cannot remove", "Grant the credentials s3:DeleteObject on"]),
    ];
    each_is_needed(rights_of_policy(&read("s3-check.json")?)?, check, |files, rest| files.check = rest).await?;
    each_is_needed(rights_of_policy(&read("s3-extract.json")?)?, extract, |files, rest| files.extract = rest).await?;
    each_is_needed(rights_of_policy(&read("s3-load.json")?)?, load, |files, rest| files.load = rest).await
}
