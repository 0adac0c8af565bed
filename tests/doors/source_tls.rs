//! TLS with SQL Server: whom we talk to, and whom we refuse.

use std::path::Path;

use super::certificate::{Authority, Identity};
use super::stub::{self, HANDSHAKE_FAILURE, WANTS_ENCRYPTION};
use super::{REFUSED, TRUSTING, filled_stage, source_at, stage_with};
use crate::messages::Wrong;
use crate::rules::stage::Stage;

async fn stage_showing(folder: &Path, identity: &Identity) -> anyhow::Result<Stage> {
    let file = identity.write(folder, "server.pem")?;
    filled_stage(&["--tls-identity", &file.display().to_string()]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_trusted_or_refused_for_its_own_reason() -> anyhow::Result<()> {
    let (known, unknown, namesake) = (Authority::new("known")?, Authority::new("unknown")?, Authority::new("known")?);
    let folder = tempfile::tempdir()?;
    let ca_file = format!("ca_file = \"{}\"\n", known.write(folder.path(), "ca.pem")?.display());
    let verifying: &[(&str, &str)] = &[(TRUSTING, &ca_file)];
    let names = ["localhost", "127.0.0.1"];

    let mut stage = stage_showing(folder.path(), &known.identity(&names)?).await?;
    for how in ["", "encrypt = \"login\"\n"] {
        stage.configure(|text| text.replace(TRUSTING, &format!("{ca_file}{how}")))?;
        stage.task(&["check"]).await?.expect(0)?;
    }
    stage.configure(|text| text.replace(TRUSTING, "encrypt = \"off\"\n"))?;
    stage.task(&["check"]).await?.expect(0)?;
    let says = &[
        "TLS with SQL Server",
        &source_at(&stage),
        "not trusted",
        "UnknownIssuer",
        "source.ca_file",
        "source.trust_server",
    ];
    Wrong { what: "source's authority unknown here", replace: &[(TRUSTING, "")], says, ..REFUSED }
        .expect(&mut stage)
        .await?;

    let mut stage = stage_showing(folder.path(), &unknown.identity(&names)?).await?;
    let says = &["TLS with SQL Server", &source_at(&stage), "not trusted", "source.ca_file"];
    // The message is that of the case before: what mends it is the same.
    Wrong { what: "source's authority unknown here", replace: verifying, says, ..REFUSED }.expect(&mut stage).await?;
    stage.configure(|text| text)?;
    stage.task(&["check"]).await?.expect(0)?;

    let mut stage = stage_showing(folder.path(), &namesake.identity(&names)?).await?;
    let says = &["TLS with SQL Server", &source_at(&stage), "of the same name", "source.ca_file"];
    Wrong { what: "source's authority made anew", replace: verifying, says, ..REFUSED }.expect(&mut stage).await?;

    let mut stage = stage_showing(folder.path(), &known.expired(&names)?).await?;
    let says = &["TLS with SQL Server", &source_at(&stage), "expired on 2021-01-01", "renewed", "clock"];
    Wrong { what: "source's certificate expired", replace: verifying, says, ..REFUSED }.expect(&mut stage).await?;
    let login_only = format!("{ca_file}encrypt = \"login\"\n");
    let replace: &[(&str, &str)] = &[(TRUSTING, &login_only)];
    Wrong { what: "source's certificate expired", replace, says, ..REFUSED }.expect(&mut stage).await?;

    let mut stage = stage_showing(folder.path(), &known.identity(&["other.example"])?).await?;
    let says = &["TLS with SQL Server", &source_at(&stage), "for another name", "other.example", "source.host"];
    Wrong { what: "source's certificate for another", replace: verifying, says, ..REFUSED }.expect(&mut stage).await?;
    Ok(())
}

/// Each way to ask for encryption against each server that answers otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_encrypts_otherwise_than_is_asked_is_refused() -> anyhow::Result<()> {
    let mut stage = stage_with(&["--no-encryption"]).await?;
    let place = source_at(&stage);
    for (what, how, says) in [
        ("source without TLS", "", "offers no encryption, and source.encrypt = \"required\""),
        ("source without TLS for the login", "encrypt = \"login\"\n", "offers no encryption, not even of the login"),
    ] {
        let replace: &[(&str, &str)] = &[(TRUSTING, how)];
        let says = &["TLS with SQL Server", &place, says, "source.encrypt = \"off\""];
        Wrong { what, replace, says, ..REFUSED }.expect(&mut stage).await?;
    }

    let mut stage = filled_stage(&["--require-encryption"]).await?;
    let says = &[
        "TLS with SQL Server",
        &source_at(&stage),
        "takes encrypted connections only",
        "source.encrypt = \"required\"",
    ];
    let replace: &[(&str, &str)] = &[(TRUSTING, "encrypt = \"off\"\n")];
    Wrong { what: "source that must encrypt", replace, says, ..REFUSED }.expect(&mut stage).await?;
    stage.configure(|text| text.replace(TRUSTING, "trust_server_certificate = true\nencrypt = \"login\"\n"))?;
    stage.task(&["check"]).await?.expect(0)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_begin_says_why() -> anyhow::Result<()> {
    let mut stage = Stage::without_source().await?;
    for (what, answers, code, says) in [
        (
            "source with old ciphers, which says so",
            &[WANTS_ENCRYPTION, HANDSHAKE_FAILURE][..],
            3,
            &["TLS with SQL Server", "no version or cipher of TLS in common", "HandshakeFailure", "ECDHE"][..],
        ),
        (
            "source with old ciphers, which hangs up",
            &[WANTS_ENCRYPTION, b""],
            75,
            &["ends the connection when TLS begins", "Windows Server 2012 R2"],
        ),
        ("source that hangs up", &[b""], 75, &["does not answer", "at the first word", "TDS 8.0"]),
        (
            "another service at source's port",
            &[b"HTTP/1.1 400 Bad Request\r\n\r\n"],
            75,
            &["does not answer", "speaks another protocol", "source.port"],
        ),
    ] {
        let port = format!("port = {}\n", stub::start(answers)?);
        let replace: &[(&str, &str)] = &[("port = 1\n", &port)];
        Wrong { what, replace, code, says, ..REFUSED }.expect(&mut stage).await?;
    }
    Ok(())
}
