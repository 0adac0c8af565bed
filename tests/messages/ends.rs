//! An end that does not answer, or refuses.

use std::net::TcpListener;

use standin::s3::{Fault, Moment};

use super::Wrong;
use crate::rules::by_hand::table;
use crate::rules::stage::{POOR_KEY, Stage, remove};

/// A port on which nobody listens.
fn closed_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A stage whose bucket and one table are there, as after a first check.
async fn checked_stage() -> anyhow::Result<Stage> {
    let stage = Stage::start().await?;
    let things = table("Things");
    stage.open(&things, 1).await?;
    stage.prepare(&things).await?;
    Ok(stage)
}

fn source_port(stage: &Stage) -> u16 {
    stage.source.as_ref().map_or(0, |source| source.port)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_does_not_answer_is_named_with_its_address() -> anyhow::Result<()> {
    let mut stage = checked_stage().await?;
    let closed = closed_port()?;
    let (at_closed, to_closed) = (format!("127.0.0.1:{closed}"), format!("port = {closed}\n"));
    let source = format!("port = {}\n", source_port(&stage));
    let target = format!("port = {}\n", stage.target.port);
    let (endpoint, closed_endpoint) = (stage.endpoint.clone(), format!("http://{at_closed}"));
    let away = Wrong { code: 75, ..Wrong::default() };
    let all = [
        Wrong {
            what: "source away",
            replace: &[(&source, &to_closed)],
            task: &["extract"],
            says: &["SQL Server", &at_closed, "does not answer", "refused", "Check source.host and source.port"],
            ..away
        },
        Wrong {
            what: "source's host that has no address",
            replace: &[("host = \"127.0.0.1\"", "connect_timeout = \"5s\"\nhost = \"no-such-host.invalid\"")],
            task: &["extract"],
            says: &["SQL Server", "no-such-host.invalid", "does not answer", "Check source.host"],
            ..away
        },
        Wrong {
            what: "target away",
            replace: &[(&target, &to_closed)],
            task: &["load"],
            says: &["PostgreSQL", &at_closed, "cannot log in", "refused", "Check target.host and target.port"],
            ..away
        },
        Wrong {
            what: "bucket away",
            replace: &[(&endpoint, &closed_endpoint)],
            task: &["load"],
            says: &["bucket 'sync-machine-bucket'", "cannot be listed", "refused", "Check bucket.endpoint"],
            ..away
        },
        Wrong {
            what: "all of them away",
            replace: &[(&source, &to_closed), (&target, &to_closed), (&endpoint, &closed_endpoint)],
            says: &["SQL Server", "; bucket 'sync-machine-bucket'", "; PostgreSQL"],
            ..away
        },
    ];
    for wrong in &all {
        wrong.expect(&mut stage).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_refuses_is_named_with_the_login() -> anyhow::Result<()> {
    let mut stage = checked_stage().await?;
    let at_source = format!("127.0.0.1:{}/shop", source_port(&stage));
    let (target_port, database) = (stage.target.port, stage.target.name.clone());
    let at_target = format!("127.0.0.1:{target_port}/{database}");
    let person = Wrong { code: 3, ..Wrong::default() };
    let all = [
        Wrong {
            what: "source's password",
            variables: &[("MSSQL_PASSWORD", Some("not-the-password"))],
            task: &["extract"],
            says: &["SQL Server", &at_source, "refuses the login 'sa'", "18456", "source.user and source.password"],
            ..person
        },
        Wrong {
            what: "source's database",
            replace: &[("database = \"shop\"", "database = \"shoe\"")],
            task: &["extract"],
            says: &["SQL Server", "/shoe", "does not open the database", "'sa'", "4060", "Check source.database"],
            ..person
        },
        Wrong {
            what: "target's password",
            variables: &[("TARGET_PASSWORD", Some("not-the-password"))],
            task: &["load"],
            says: &["PostgreSQL", &at_target, "cannot log in as 'loader'", "28P01", "target.password"],
            ..person
        },
        Wrong {
            what: "target's database",
            replace: &[(&database, "no_such_warehouse")],
            task: &["load"],
            says: &["PostgreSQL", "/no_such_warehouse", "does not exist", "3D000", "target.database"],
            ..person
        },
        Wrong {
            what: "bucket's name",
            replace: &[("sync-machine-bucket", "No_Bucket")],
            says: &["bucket 'No_Bucket'", "bucket.name"],
            ..person
        },
        Wrong {
            what: "bucket that is not there",
            replace: &[("sync-machine-bucket", "another-bucket")],
            task: &["load"],
            says: &["bucket 'another-bucket'", "NoSuchBucket", "delsert check", "bucket.name"],
            ..person
        },
        Wrong {
            what: "bucket without rights",
            variables: &[("AWS_ACCESS_KEY_ID", Some(POOR_KEY))],
            task: &["load"],
            says: &[
                "bucket 'sync-machine-bucket'",
                "cannot be listed",
                "AccessDenied",
                "Grant",
                "s3:ListBucket on arn:aws:s3:::sync-machine-bucket;",
            ],
            ..person
        },
        Wrong {
            what: "bucket's secret key",
            variables: &[("AWS_SECRET_ACCESS_KEY", Some("not-the-password"))],
            task: &["load"],
            says: &["bucket 'sync-machine-bucket'", "SignatureDoesNotMatch", "AWS credentials"],
            ..person
        },
        Wrong {
            what: "bucket's access key",
            variables: &[("AWS_ACCESS_KEY_ID", Some("no-such-key"))],
            task: &["load"],
            says: &["bucket 'sync-machine-bucket'", "InvalidAccessKeyId", "AWS credentials"],
            ..person
        },
        Wrong {
            what: "no credentials at all",
            variables: &[("AWS_ACCESS_KEY_ID", None), ("AWS_SECRET_ACCESS_KEY", None)],
            task: &["load"],
            says: &["bucket 'sync-machine-bucket'", "credentials", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"],
            ..person
        },
    ];
    for wrong in &all {
        wrong.expect(&mut stage).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_cannot_be_is_named_with_the_key_that_asks_for_it() -> anyhow::Result<()> {
    let mut stage = checked_stage().await?;
    let at_source = format!("127.0.0.1:{}", source_port(&stage));
    let at_target = format!("127.0.0.1:{}", stage.target.port);
    let person = Wrong { code: 3, ..Wrong::default() };
    let all = [
        Wrong {
            what: "source's authority unknown here",
            replace: &[("trust_server_certificate = true", "trust_server_certificate = false")],
            task: &["extract"],
            says: &[
                "TLS with SQL Server",
                &at_source,
                "UnknownIssuer",
                "source.ca_file",
                "source.trust_server_certificate",
            ],
            ..person
        },
        Wrong {
            what: "target without TLS",
            replace: &[("tls = \"disable\"", "tls = \"require\"")],
            task: &["load"],
            says: &["PostgreSQL", &at_target, "does not speak TLS", "target.tls"],
            ..person
        },
    ];
    for wrong in &all {
        wrong.expect(&mut stage).await?;
    }
    Ok(())
}

/// A server that takes `If-None-Match` and does not heed it.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_overwrites_is_refused() -> anyhow::Result<()> {
    let mut stage = checked_stage().await?;
    let store = std::sync::Arc::clone(&stage.store);
    stage.watch(move |operation, moment| {
        if moment == Moment::Before && operation.name == "PutObject" {
            remove(&store, operation.key);
        }
        Fault::None
    });
    let says = &["bucket 'sync-machine-bucket'", "overwrites", "If-None-Match", "conditional writes"];
    Wrong { what: "bucket that overwrites", says, ..Wrong::default() }.expect(&mut stage).await?;
    Ok(())
}
