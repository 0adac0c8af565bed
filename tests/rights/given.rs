//! What the files leave to their reader: other modes, optional rights.

use anyhow::{Context, ensure};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use delsert::bucket::Bucket;
use delsert::config::Config;
use delsert::error::Kind;

use super::field::{Field, Files, broken, ensure_rows, whole};
use super::files::{filled, read};
use crate::support::bucket::SECRET_KEY;

/// Others enable and nobody purges: then the reader does without the second login.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_alone_needs_no_second_login_where_others_enable() -> anyhow::Result<()> {
    let files = Files { loader: read("postgres-loader-in-schemas.sql")?, ..Files::whole()? };
    let mut field = Field::start(files.clone()).await?;
    field.configure(|text| {
        let (before, rest) = text.split_once("[source.admin]").unwrap_or((&text, ""));
        let after = rest.split_once("[bucket]").map_or("", |(_, after)| after);
        let text = format!("{before}[bucket]{after}").replace("[sync]", "[sync]\npurge = \"never\"");
        text.replace("include =", "enable_cdc = false\ninclude =")
    })?;
    field.sql.run("EXEC sys.sp_cdc_enable_db").await?;
    let enable = "EXEC sys.sp_cdc_enable_table @source_schema = N'Sales', @source_name = N'Orders', @role_name = NULL";
    field.sql.run(enable).await?;
    let way = async {
        field.source_script("reader's script", &files.reader).await?;
        field.target_script("loader's script", &files.loader).await?;
        for step in ["check", "extract", "load"] {
            field.sound(step, step, &[]).await?;
        }
        field.change("UPDATE Sales.Orders SET Note = N'alone' WHERE ID = 1").await?;
        for step in ["extract", "load", "check"] {
            field.sound(step, step, &[]).await?;
        }
        Ok(())
    };
    whole(way.await)?;
    ensure_rows(&field.rows().await?, &[(1, "alone"), (2, "two")])
}

/// Names of any characters go where the files have them, also when a script is run again.
#[tokio::test(flavor = "multi_thread")]
async fn the_sources_scripts_take_names_of_any_characters() -> anyhow::Result<()> {
    let mut field = Field::start(Files::whole()?).await?;
    for (file, placeholder) in [("sqlserver-admin.sql", "admin"), ("sqlserver-reader.sql", "reader")] {
        let login = format!("the {placeholder}-1.0");
        let with = [("database", "shop"), ("schema", "Sales"), (placeholder, &login), ("password", "Secret-Words-1")];
        let script = filled(&read(file)?, &with)?;
        for _ in 0..2 {
            field.sql.run(&script).await.with_context(|| script.clone())?;
        }
    }
    Ok(())
}

/// A purge that its login may not do is told with the way out, and left to others.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_without_its_right_is_told_and_nothing_else_stops() -> anyhow::Result<()> {
    let mut field = Field::start(Files::whole()?).await?;
    whole(field.open().await)?;
    field.sql.run("ALTER ROLE db_owner DROP MEMBER delsert_admin").await?;
    field.change("UPDATE Sales.Orders SET Note = N'kept' WHERE ID = 1").await?;
    let extract = field.task("extract").await?.expect(0)?;
    field.change("UPDATE Sales.Orders SET Note = N'kept on' WHERE ID = 1").await?;
    let again = field.task("extract").await?.expect(0)?;
    let said = format!("{}{}", extract.stderr, again.stderr);
    for word in ["could not purge history", "ALTER ROLE db_owner ADD MEMBER [delsert_admin]", "sync.purge = \"never\""]
    {
        ensure!(said.replace("\\\"", "\"").contains(word), "'{word}' is not in: {said}");
    }
    field.task("load").await?.expect(0)?;
    ensure_rows(&field.rows().await?, &[(1, "kept on"), (2, "two")])
}

/// A table of another owner is loaded with three rights on it, of which none is too many.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_owner_needs_three_rights() -> anyhow::Result<()> {
    let script = read("postgres-loader-in-schemas.sql")?;
    let optional = script.lines().find_map(|line| line.strip_prefix("-- GRANT ")).unwrap_or_default();
    let optional = format!("GRANT {}\n", optional.replace("<table>", "orders"));
    ensure!(optional.contains("SELECT, INSERT, DELETE"), "{optional}");
    let mut field = Field::start(Files { loader: script.clone(), ..Files::whole()? }).await?;
    let create = "CREATE SCHEMA shop; CREATE TABLE shop.orders (id integer PRIMARY KEY, note text)";
    field.warehouse.batch_execute(create).await?;
    let files = Files::whole()?;
    let way = async {
        field.source_script("admin's script", &files.admin).await?;
        field.source_script("reader's script", &files.reader).await?;
        field.target_script("loader's script", &script).await?;
        let check = field.task("check").await?.summary()?;
        if check.table("Sales.Orders")?["error_kind"] != "TargetRights" {
            return Err(broken("check", format!("the rights are not missed: {}", check.0)));
        }
        field.target_script("grant", &optional).await?;
        // Now that the first table is captured, msdb.dbo.cdc_jobs is there.
        field.source_script("reader's script again", &files.reader).await?;
        field.sound("check", "check", &[]).await?;
        field.sound("extract", "extract", &[]).await?;
        field.sound("load of a copy", "load", &[]).await?;
        field.change("UPDATE Sales.Orders SET Note = N'granted' WHERE ID = 1").await?;
        field.sound("extract of changes", "extract", &[]).await?;
        for right in ["SELECT", "INSERT", "DELETE"] {
            field.target_script("revoke", &format!("REVOKE {right} ON <schema>.orders FROM <loader>;\n")).await?;
            let load = field.task("load").await?.expect(3)?;
            for word in ["permission denied for table orders", "GRANT SELECT, INSERT, DELETE ON"] {
                if !load.stderr.contains(word) {
                    return Err(broken("load", format!("without {right}: {}", load.stderr)));
                }
            }
            field.target_script("grant", &optional).await?;
        }
        field.sound("load of changes", "load", &[]).await?;
        Ok(())
    };
    whole(way.await)?;
    ensure_rows(&field.rows().await?, &[(1, "granted"), (2, "two")])
}

/// To credentials that may list below the prefix only, a read of nothing is refused like any other.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_absent_is_told_from_what_is_refused() -> anyhow::Result<()> {
    let mut field = Field::start(Files::whole()?).await?;
    whole(field.open().await)?;
    let config = Config::read(&field.config_path())?.bucket()?;
    let settings = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("load-key", SECRET_KEY, None, None, "test"))
        .region(Region::new("us-east-1"))
        .endpoint_url(config.endpoint.clone().unwrap_or_default())
        .force_path_style(true);
    let bucket = Bucket::with_client(Client::from_conf(settings.build()), &config);
    let absent = bucket.key("test/Sales.Orders/0000000001/0000000009/manifest.json");
    ensure!(bucket.get(&absent).await?.is_none(), "something is there");
    ensure!(bucket.head(&absent).await?.is_none(), "something is there");
    let refused = bucket.get(&bucket.key("create-only.json")).await.err().map(|error| error.kind());
    ensure!(refused == Some(Kind::BucketRights), "{refused:?}");
    let refused = bucket.head(&bucket.key("create-only.json")).await.err().map(|error| error.kind());
    ensure!(refused == Some(Kind::BucketRights), "{refused:?}");
    Ok(())
}
