//! TLS with PostgreSQL as the tasks see it, its Unix socket, a login without a password, and a standby.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use super::certificate::{Authority, Identity};
use super::{REFUSED, stage_to_load};
use crate::messages::Wrong;
use crate::rules::by_hand::table;
use crate::rules::stage::{Stage, until};
use crate::support::postgres::Postgres;
use crate::support::server::Leash;

const PLAIN: &str = "tls = \"disable\"\n";
const PASSWORD: &str = "password = \"${TARGET_PASSWORD}\"\n";

/// A PostgreSQL of the test's own, and a stage that loads into it.
async fn own_server() -> anyhow::Result<(Postgres, Stage)> {
    let server = tokio::task::block_in_place(|| Postgres::start(&Leash::Owner))?;
    let mut stage = Stage::without_source().await?;
    stage.target = server.database().await?;
    let things = table("Things");
    stage.open(&things, 1).await?;
    stage.prepare(&things).await?;
    stage.configure(|text| text)?;
    Ok((server, stage))
}

async fn data(stage: &Stage) -> anyhow::Result<String> {
    Ok(stage.target.connect_as_admin().await?.query_one("SHOW data_directory", &[]).await?.get(0))
}

/// Has the server read its files again.
async fn reload(server: &Postgres, stage: &Stage) -> anyhow::Result<()> {
    let reloaded = || server.messages().matches("reloading configuration files").count();
    let before = reloaded();
    stage.target.connect_as_admin().await?.execute("SELECT pg_reload_conf()", &[]).await?;
    until("the server reloads", || async { Ok(reloaded() > before) }).await
}

/// Has the server show a certificate from now on.
async fn show(server: &Postgres, stage: &Stage, identity: &Identity) -> anyhow::Result<()> {
    let folder = data(stage).await?;
    for (name, text) in [("server.crt", &identity.certificate), ("server.key", &identity.key)] {
        let (path, owner) = (Path::new(&folder).join(name), fs::metadata(&folder)?);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        chown(&path, Some(owner.uid()), Some(owner.gid()))?;
    }
    stage.target.connect_as_admin().await?.execute("ALTER SYSTEM SET ssl = on", &[]).await?;
    reload(server, stage).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_the_target_is_trusted_or_refused_for_its_own_reason() -> anyhow::Result<()> {
    let (server, mut stage) = own_server().await?;
    let (known, unknown, namesake) = (Authority::new("known")?, Authority::new("unknown")?, Authority::new("known")?);
    let names = ["localhost", "127.0.0.1"];
    let ca_file = known.write(stage.folder(), "ca.pem")?;
    let verify = format!("tls = \"verify-full\"\nca_file = \"{}\"\n", ca_file.display());
    let verifying: &[(&str, &str)] = &[(PLAIN, &verify)];
    let place = format!("127.0.0.1:{}", stage.target.port);
    let wrong = Wrong { task: &["load"], ..REFUSED };

    let says = &["PostgreSQL", &place, "does not speak TLS", "ssl = on", "target.tls = \"disable\""];
    Wrong { what: "target without TLS", replace: verifying, says, ..wrong }.expect(&mut stage).await?;

    show(&server, &stage, &known.identity(&names)?).await?;
    stage.configure(|text| text.replace(PLAIN, &verify))?;
    stage.task(&["load"]).await?.expect(0)?;

    for (what, identity, says) in [
        (
            "target's authority unknown here",
            unknown.identity(&names)?,
            &["not trusted", "UnknownIssuer", "target.ca_file", "target.tls = \"require\""][..],
        ),
        ("target's authority made anew", namesake.identity(&names)?, &["of the same name", "target.ca_file"]),
        ("target's certificate expired", known.expired(&names)?, &["expired on 2021-01-01", "renewed"]),
        (
            "target's certificate for another",
            known.identity(&["other.example"])?,
            &["for another name", "other.example", "target.host"],
        ),
    ] {
        show(&server, &stage, &identity).await?;
        let says: Vec<_> = ["PostgreSQL", &place, "TLS fails"].iter().chain(says).copied().collect();
        Wrong { what, replace: verifying, says: &says, ..wrong }.expect(&mut stage).await?;
        // Encrypted, whoever answers.
        stage.configure(|text| text.replace(PLAIN, "tls = \"require\"\n"))?;
        stage.task(&["load"]).await?.expect(0)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_and_a_login_without_a_password_serve() -> anyhow::Result<()> {
    let (server, mut stage) = own_server().await?;
    let folder = data(&stage).await?;
    let socket = Path::new(&folder).parent().unwrap_or(Path::new("/")).display().to_string();
    let port = stage.target.port;
    let by_socket = |text: String| {
        let (before, target) = text.split_once("[target]").unwrap_or_default();
        format!("{before}[target]{}", target.replace("127.0.0.1", &socket))
    };
    // As it is without a word of TLS.
    stage.configure(|text| by_socket(text).replace(PLAIN, ""))?;
    stage.task(&["load"]).await?.expect(0)?;

    let says = &["PostgreSQL", &format!("127.0.0.1:{port}"), "asks for a password, and target.password is not set"];
    let replace: &[(&str, &str)] = &[(PASSWORD, "")];
    Wrong { what: "target that asks for a password", replace, says, task: &["load"], ..REFUSED }
        .expect(&mut stage)
        .await?;

    let rules = Path::new(&folder).join("pg_hba.conf");
    let text = fs::read_to_string(&rules)?;
    fs::write(&rules, format!("local all loader trust\n{text}"))?;
    reload(&server, &stage).await?;
    stage.configure(|text| by_socket(text).replace(PASSWORD, ""))?;
    stage.environment.retain(|(name, _)| name != "TARGET_PASSWORD");
    stage.task(&["load"]).await?.expect(0)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_without_tls_is_refused_in_both_modes() -> anyhow::Result<()> {
    let mut stage = stage_to_load().await?;
    for tls in ["require", "verify-full"] {
        let asked = format!("tls = \"{tls}\"\n");
        let says = &["PostgreSQL", "does not speak TLS", "target.tls = \"disable\""];
        let replace: &[(&str, &str)] = &[(PLAIN, &asked)];
        Wrong { what: "target without TLS", replace, says, task: &["load"], ..REFUSED }.expect(&mut stage).await?;
    }
    Ok(())
}

/// It answers, and will take writes again once it is promoted, or its name leads to the primary.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_tried_again_and_the_primary_asked_for() -> anyhow::Result<()> {
    let (server, mut stage) = own_server().await?;
    stage.batch(&table("Things"), (1, 1), &[(7, Some("waits"))]).await?;
    stage.target.connect_as_admin().await?.batch_execute("CHECKPOINT").await?;
    fs::write(Path::new(&data(&stage).await?).join("standby.signal"), "")?;
    tokio::task::block_in_place(|| server.restart_at_once())?;
    let says = &["PostgreSQL", "is a standby, which takes no writes", "Name the primary in target.host"];
    Wrong { what: "standby", says, task: &["load"], code: 75, ..REFUSED }.expect(&mut stage).await?;
    stage.target.connect_as_admin().await?.execute("SELECT pg_promote()", &[]).await?;
    stage.task(&["load"]).await?.expect(0)?;
    Ok(())
}
