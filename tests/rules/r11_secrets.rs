//! Rule 11: secrets stay in the config's secret type, whatever the logs are asked to tell.

use std::fs;

use anyhow::{Context, ensure};

use super::stage::{Stage, read};
use super::watched::WatchedShop;
use crate::support::bucket::SECRET_KEY;
use crate::support::postgres::LOADER_PASSWORD;
use crate::support::source::PASSWORD;

/// Passwords that are refused, and must not be told either.
const WRONG: [&str; 3] = ["Wrong-Source-Canary", "Wrong-Target-Canary", "Wrong-Bucket-Canary"];

/// The forms in which a program gives bytes away: as they are, encoded, listed, or as SQL Server's login hides them.
fn disguises(secret: &str) -> Vec<String> {
    let plain = secret.as_bytes().to_vec();
    let wide: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let hidden = wide.iter().map(|byte| byte.rotate_left(4) ^ 0xA5).collect();
    let mut disguises = vec![secret.to_owned()];
    for bytes in [plain, wide, hidden] {
        let bytes: Vec<u8> = bytes;
        let listed = bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let escaped: String = bytes.iter().map(|byte| byte.escape_ascii().to_string()).collect();
        disguises.extend([
            listed,
            digits.to_uppercase(),
            digits,
            escaped.replace("\\x", "\\\\x"),
            escaped,
            base64(&bytes),
        ]);
    }
    disguises
}

/// Base64 without its last, incomplete group.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = bytes.chunks_exact(3).flat_map(|three| {
        let all = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        [18, 12, 6, 0].map(|shift| char::from(LETTERS[(all >> shift & 63) as usize]))
    });
    letters.collect()
}

fn expect_none(place: &str, text: &[u8]) -> anyhow::Result<()> {
    for secret in [PASSWORD, LOADER_PASSWORD, SECRET_KEY].iter().chain(&WRONG) {
        for disguise in disguises(secret) {
            let found = text.windows(disguise.len()).position(|window| window == disguise.as_bytes());
            if let Some(at) = found {
                let around = &text[at.saturating_sub(300)..(at + 300).min(text.len())];
                anyhow::bail!("{place} holds '{secret}' as {disguise}: {}", String::from_utf8_lossy(around));
            }
        }
    }
    Ok(())
}

/// Runs a task with all logs there are, and looks wherever it could have left a secret.
async fn try_task(stage: &Stage, arguments: &[&str], code: i32) -> anyhow::Result<()> {
    for format in ["text", "json"] {
        let what = format!("{} in {format}, exit {code}", arguments.join(" "));
        let file = stage.folder().join("summary.json");
        let mut all = arguments.to_vec();
        all.extend(["--log-format", format, "--summary-file", file.to_str().context("the folder's name")?]);
        let running = stage.start_task(&all)?;
        let process = running.child.id().context("the task has ended")?;
        let command_line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let outcome = running.outcome().await?.expect(code)?;
        ensure!(outcome.stderr.contains("TRACE"), "{what}: the logs were not all told: {}", outcome.stderr);
        expect_none(&format!("standard output of {what}"), outcome.stdout.as_bytes())?;
        expect_none(&format!("the logs of {what}"), outcome.stderr.as_bytes())?;
        expect_none(&format!("the command line of {what}"), &command_line)?;
        expect_none(&format!("the summary file of {what}"), &fs::read(&file)?)?;
        for key in stage.keys() {
            expect_none(&key, &read(&stage.store, &key)?)?;
        }
    }
    Ok(())
}

fn set(stage: &mut Stage, name: &str, value: &str) {
    stage.environment.retain(|(known, _)| known != name);
    stage.environment.push((name.to_owned(), value.to_owned()));
}

#[test]
fn a_disguise_is_seen_through() {
    let [listed, hidden] = [&[97u8, 98, 99, 49][..], &[0xB3, 0xA5, 0x83, 0xA5, 0x93, 0xA5, 0xB6, 0xA5]];
    let disguises = disguises("abc1");
    assert!(disguises.contains(&format!("{listed:?}").trim_matches(['[', ']']).to_owned()), "{disguises:?}");
    assert!(disguises.contains(&format!("{hidden:?}").trim_matches(['[', ']']).to_owned()), "{disguises:?}");
    assert!(disguises.contains(&"61626331".to_owned()) && disguises.contains(&"YWJj".to_owned()), "{disguises:?}");
    assert!(expect_none("a text", format!("xx {PASSWORD} xx").as_bytes()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_no_secret_is_told_by_any_task_at_any_level_of_log() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    set(&mut shop.stage, "RUST_LOG", "trace");
    for task in [&["check"][..], &["extract"], &["load"], &["run"], &["resync", "--table", "dbo.Things", "--yes"]] {
        try_task(&shop.stage, task, 0).await?;
    }
    try_task(&shop.stage, &["run"], 0).await?;
    ensure!(shop.stage.keys().len() >= 3, "there was nothing to look at: {:?}", shop.stage.keys());
    Ok(())
}

/// Refused passwords; passwords written into the configuration itself; and the line with one that does not parse.
#[tokio::test(flavor = "multi_thread")]
async fn r11_no_secret_is_told_by_a_task_that_fails() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    set(&mut shop.stage, "RUST_LOG", "trace");
    let sound = shop.stage.environment.clone();
    for (variable, wrong, task) in [
        ("MSSQL_PASSWORD", WRONG[0], "extract"),
        ("TARGET_PASSWORD", WRONG[1], "load"),
        ("AWS_SECRET_ACCESS_KEY", WRONG[2], "load"),
    ] {
        set(&mut shop.stage, variable, wrong);
        try_task(&shop.stage, &[task], 3).await?;
        try_task(&shop.stage, &["check"], 3).await?;
        shop.stage.environment.clone_from(&sound);
    }
    shop.stage.configure(|text| text.replace("${MSSQL_PASSWORD}", PASSWORD).replace("${TARGET_PASSWORD}", WRONG[1]))?;
    try_task(&shop.stage, &["check"], 3).await?;
    for spoil in [
        "password = \"Wrong-Source-Canary\nuser",
        "password = [\"Wrong-Source-Canary\"]\nuser",
        "pasword = \"Wrong-Source-Canary\"\nuser",
    ] {
        shop.stage
            .configure(|text| text.replacen("password = \"${MSSQL_PASSWORD}\"\n", "", 1).replacen("user", spoil, 1))?;
        let outcome = shop.stage.task(&["check"]).await?.expect(2)?;
        expect_none("standard output", outcome.stdout.as_bytes())?;
        expect_none("the logs", outcome.stderr.as_bytes())?;
    }
    Ok(())
}
