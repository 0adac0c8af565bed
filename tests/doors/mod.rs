//! Every door of the three ends: certificates that are refused, addresses, instances, tokens, sockets, profiles, regions.

mod bucket;
mod bucket_tls;
mod certificate;
mod configuration;
mod source_tls;
mod stub;
mod target;
mod tokens;
mod ways;

use crate::messages::Wrong;
use crate::rules::by_hand::table;
use crate::rules::stage::Stage;
use crate::support::source::SourceOptions;

/// Something that a person must mend.
const REFUSED: Wrong<'_> = Wrong { what: "", replace: &[], variables: &[], task: &["check"], code: 3, says: &[] };

/// Any certificate of the source is good.
const TRUSTING: &str = "trust_server_certificate = true\n";

/// All three ends, the source started so.
async fn stage_with(arguments: &[&str]) -> anyhow::Result<Stage> {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    Stage::start_with(SourceOptions { arguments, ..SourceOptions::default() }).await
}

/// The same, with a table in the source.
async fn filled_stage(arguments: &[&str]) -> anyhow::Result<Stage> {
    let stage = stage_with(arguments).await?;
    Box::pin(stage.sql())
        .await?
        .run("CREATE TABLE dbo.Things (Id int NOT NULL PRIMARY KEY, Name nvarchar(20))")
        .await?;
    Ok(stage)
}

/// Bucket and target, with a table for which nothing is to be loaded.
async fn stage_to_load() -> anyhow::Result<Stage> {
    let stage = Stage::without_source().await?;
    let things = table("Things");
    stage.open(&things, 1).await?;
    stage.prepare(&things).await?;
    Ok(stage)
}

/// Where the source of a stage is.
fn source_at(stage: &Stage) -> String {
    format!("127.0.0.1:{}", stage.source.as_ref().map_or(0, |source| source.port))
}
