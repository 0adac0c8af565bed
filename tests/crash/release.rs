//! A release binary has no crash point.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

/// Builds `delsert` as it is released, but for the optimizer, which could only take away; gives its path.
fn release() -> anyhow::Result<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--profile",
            "unoptimized",
            "--no-default-features",
            "--bin",
            "delsert",
            "--message-format",
            "json-render-diagnostics",
        ])
        .current_dir(root)
        .output()?;
    ensure!(built.status.success(), "cargo build: {}", String::from_utf8_lossy(&built.stderr));
    let messages = String::from_utf8(built.stdout)?;
    let mut executables = messages.lines().rev().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    executables.next().context("cargo names no executable")
}

fn has(binary: &[u8], text: &str) -> bool {
    binary.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_release_binary_holds_no_crash_point() -> anyhow::Result<()> {
    let binary = std::fs::read(release()?)?;
    ensure!(has(&binary, "create-only.json"), "this is not the binary: it lacks what it must have");
    let words: Vec<_> = ["FAILPOINTS"].into_iter().chain(points()).collect();
    if cfg!(feature = "crash-points") {
        let armed = std::fs::read(crate::support::program("delsert")?)?;
        let absent = words.iter().find(|word| !has(&armed, word));
        ensure!(absent.is_none(), "a binary with crash points does not hold {absent:?}: the test proves nothing");
    }
    let found = words.iter().find(|word| has(&binary, word));
    ensure!(found.is_none(), "the release binary holds {found:?}");
    Ok(())
}

/// The crash points' names.
#[cfg(feature = "crash-points")]
fn points() -> impl Iterator<Item = &'static str> {
    delsert::crash::Step::ALL.iter().map(|step| step.name())
}

/// Unknown to a build without them.
#[cfg(not(feature = "crash-points"))]
fn points() -> impl Iterator<Item = &'static str> {
    std::iter::empty()
}
