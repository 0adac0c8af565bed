//! Ways to the source: the SQL Browser, and servers that send us on.

use std::fs;

use tokio::net::UdpSocket;

use super::certificate::Authority;
use super::{REFUSED, TRUSTING, filled_stage, source_at, stage_with};
use crate::messages::Wrong;

#[tokio::test(flavor = "multi_thread")]
async fn a_named_instance_is_found_by_the_browser() -> anyhow::Result<()> {
    let mut stage = filled_stage(&[]).await?;
    let port = stage.source.as_ref().map(|source| source.port);
    let browser = UdpSocket::bind("127.0.0.1:0").await?;
    let browser_port = browser.local_addr()?.port();
    tokio::spawn(async move { standin::browser::serve(browser, &[("SHOP", port), ("Pipes", None)]).await });
    let direct = format!("port = {}\n", port.unwrap_or_default());
    let named = |name: &str, port: u16| format!("instance = \"{name}\"\nport = {port}\n");

    stage.configure(|text| text.replacen(&direct, &named("shop", browser_port), 1))?;
    stage.task(&["check"]).await?.expect(0)?;

    let silent = UdpSocket::bind("127.0.0.1:0").await?;
    let closed = UdpSocket::bind("127.0.0.1:0").await?.local_addr()?.port();
    for (what, to, says) in [
        (
            "instance that is not there",
            named("OTHER", browser_port),
            &["SQL Server 127.0.0.1\\OTHER/shop", "knows no such instance, only SHOP, Pipes", "source.instance"][..],
        ),
        (
            "instance without TCP",
            named("pipes", browser_port),
            &["SQL Server 127.0.0.1\\pipes/shop does not listen on TCP", "Configuration Manager"],
        ),
        (
            "silent browser",
            named("SHOP", silent.local_addr()?.port()),
            &["the SQL Browser", "is silent", "no answer to 3 questions", "Start the SQL Server Browser service"],
        ),
        ("browser that is not there", named("SHOP", closed), &["the SQL Browser", "is silent", "refused", "UDP port"]),
    ] {
        Wrong { what, replace: &[(&direct, &to)], says, code: 75, ..REFUSED }.expect(&mut stage).await?;
    }
    Ok(())
}

/// A gateway sends us on: the certificate there must name whom we were sent to, not the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_sends_us_on_is_followed() -> anyhow::Result<()> {
    let authority = Authority::new("known")?;
    let folder = tempfile::tempdir()?;
    let identity = |name: &str| {
        let file = authority.identity(&[name])?.write(folder.path(), name)?;
        anyhow::Ok(file.display().to_string())
    };
    let behind = filled_stage(&["--tls-identity", &identity("localhost")?]).await?;
    let port = behind.source.as_ref().map_or(0, |source| source.port);
    let ca_file = authority.write(folder.path(), "ca.pem")?;
    let verifying = format!("ca_file = \"{}\"\n", ca_file.display());

    let gateway = ["--tls-identity", &identity("127.0.0.1")?, "--route-to"];
    let stage = stage_with(&[&gateway[..], &[&format!("localhost:{port}")]].concat()).await?;
    stage.configure(|text| text.replace(TRUSTING, &verifying))?;
    stage.task(&["check"]).await?.expect(0)?;
    // With an instance, as Azure names it.
    let stage = stage_with(&[&gateway[..], &[&format!("localhost\\a1b2:{port}")]].concat()).await?;
    stage.configure(|text| text.replace(TRUSTING, &verifying))?;
    stage.task(&["check"]).await?.expect(0)?;

    let mut stage = stage_with(&[&gateway[..], &[&format!("127.0.0.1:{port}")]].concat()).await?;
    let sent = format!("(to which {}/shop sends us)", source_at(&stage));
    let says = &["TLS with SQL Server", &format!("127.0.0.1:{port}/shop"), &sent, "for another name", "localhost"];
    let what = "sent on to a server with another name";
    Wrong { what, replace: &[(TRUSTING, &verifying)], says, ..REFUSED }.expect(&mut stage).await?;
    fs::remove_file(ca_file)?;
    Ok(())
}
