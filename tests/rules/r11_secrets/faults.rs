//! No secret while things fail: logins of characters that are escaped somewhere, every task, every log.

use anyhow::{Context, ensure};
use standin::s3::{Fault, Moment};

use super::super::stage::{CANARY_KEY, CANARY_SECRET, CANARY_SESSION, POOR_KEY, Stage};
use super::super::watched::WatchedShop;
use super::{set, try_task};
use crate::support::relay::{Relay, Trap};

/// Passwords of the stage's canaries.
const SOURCE: &str = "Cänary-Source%41\"\\&+/='1";
const ADMIN: &str = "Cänary-Admin%41\"\\&+/='1";
const TARGET: &str = "Cänary-Target%41\"\\&+/='1";

pub const CANARIES: [&str; 4] = [SOURCE, ADMIN, TARGET, CANARY_SESSION];

/// A shop whose ends are reached as canaries: three logins, a key and a session token.
async fn canary_shop() -> anyhow::Result<WatchedShop> {
    let mut shop = WatchedShop::unchecked().await?;
    let literal = |password: &str| password.replace('\'', "''");
    shop.sql
        .run(&format!(
            "CREATE LOGIN canary WITH PASSWORD = N'{}'; CREATE USER canary FOR LOGIN canary;
             ALTER ROLE db_owner ADD MEMBER canary;
             CREATE LOGIN canary_admin WITH PASSWORD = N'{}'; ALTER SERVER ROLE sysadmin ADD MEMBER canary_admin",
            literal(SOURCE),
            literal(ADMIN)
        ))
        .await?;
    let admin = shop.stage.target.connect_as_admin().await?;
    let create = format!("CREATE ROLE canary LOGIN PASSWORD '{}' IN ROLE loader", literal(TARGET));
    admin.batch_execute(&create).await?;
    for (name, value) in [
        ("RUST_LOG", "trace"),
        ("MSSQL_PASSWORD", SOURCE),
        ("ADMIN_PASSWORD", ADMIN),
        ("TARGET_PASSWORD", TARGET),
        ("AWS_ACCESS_KEY_ID", CANARY_KEY),
        ("AWS_SECRET_ACCESS_KEY", CANARY_SECRET),
        ("AWS_SESSION_TOKEN", CANARY_SESSION),
    ] {
        set(&mut shop.stage, name, value);
    }
    configure(&shop.stage, |text| text)?;
    Ok(shop)
}

/// Writes the canaries' configuration, changed.
fn configure(stage: &Stage, change: impl FnOnce(String) -> String) -> anyhow::Result<()> {
    stage.configure(|text| {
        let admin = "[source.admin]\nuser = \"canary_admin\"\npassword = \"${ADMIN_PASSWORD}\"\n\n[bucket]";
        let text = text.replace("user = \"sa\"", "user = \"canary\"").replace("user = \"loader\"", "user = \"canary\"");
        change(text.replace("[bucket]", admin))
    })
}

/// Every task, as it goes well and as each end fails it.
#[tokio::test(flavor = "multi_thread")]
async fn r11_no_secret_is_told_while_an_end_fails() -> anyhow::Result<()> {
    let mut shop = canary_shop().await?;
    let mut told = 0;
    for task in
        [&["check"][..], &["extract"], &["load"], &["run"], &["resync", "--table", "dbo.Things", "--yes"], &["run"]]
    {
        told += try_task(&shop.stage, task, 0).await?;
    }
    let sound = shop.stage.environment.clone();
    // Rights: a key that may do nothing, and refusals for ever.
    set(&mut shop.stage, "AWS_ACCESS_KEY_ID", POOR_KEY);
    for task in ["check", "extract", "load"] {
        told += try_task(&shop.stage, &[task], 3).await?;
    }
    shop.stage.environment = sound;
    for (status, code) in [(503, "SlowDown"), (403, "AccessDenied"), (400, "BadDigest")] {
        let code = code.to_owned();
        shop.stage.watch(move |operation, moment| match (moment, operation.name) {
            (Moment::Before, "ListObjectsV2" | "PutObject") => Fault::Error { status, code: code.clone() },
            _ => Fault::None,
        });
        let exit = if status == 403 { 3 } else { 75 };
        for task in ["check", "extract", "load"] {
            told += try_task(&shop.stage, &[task], exit).await?;
        }
    }
    shop.stage.store.set_faults(None);
    told += broken_connections(&shop.stage).await?;
    // TLS that cannot be, and logins without rights.
    configure(&shop.stage, |text| text.replace("trust_server_certificate = true", "trust_server_certificate = false"))?;
    told += try_task(&shop.stage, &["extract"], 3).await?;
    configure(&shop.stage, |text| text.replace("tls = \"disable\"", "tls = \"require\""))?;
    told += try_task(&shop.stage, &["load"], 3).await?;
    configure(&shop.stage, |text| text)?;
    let revoke = "REASSIGN OWNED BY canary TO postgres; REVOKE loader FROM canary";
    shop.stage.target.connect_as_admin().await?.batch_execute(revoke).await?;
    told += try_task(&shop.stage, &["check"], 3).await?;
    shop.sql.run("ALTER ROLE db_owner DROP MEMBER canary").await?;
    told += try_task(&shop.stage, &["extract"], 3).await?;
    eprintln!("{told} bytes of logs were looked through");
    ensure!(told > 1_000_000, "only {told} bytes of logs: not all were told");
    Ok(())
}

/// Connections that break in the login, among statements and among rows.
async fn broken_connections(stage: &Stage) -> anyhow::Result<usize> {
    let mut told = 0;
    let source = stage.source.as_ref().context("this stage has no source")?.port;
    for (port, task, places) in [(source, "extract", [200, 2000, 6000]), (stage.target.port, "load", [20, 200, 900])] {
        for bytes in places {
            let relay = Relay::start(port).await?;
            let (direct, relayed) = (format!("port = {port}\n"), format!("port = {}\n", relay.port));
            // Nothing is mended within the task: its end must be told.
            let once = |text: String| text.replace("[source]", "[source]\nretries = 0");
            configure(stage, |text| once(text.replace(&direct, &relayed)))?;
            // A trap for each format: what comes after the first is sound again.
            relay.set_trap(Trap::Bytes(bytes));
            told += super::try_in(stage, "text", &[task], 75).await?;
            ensure!(!relay.is_trap_set(), "{task} sends less than {bytes} bytes");
            relay.set_trap(Trap::Bytes(bytes));
            told += super::try_in(stage, "json", &[task], 75).await?;
        }
    }
    configure(stage, |text| text)?;
    Ok(told)
}
