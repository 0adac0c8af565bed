//! The runbook `docs/recovery.md` against the program: every kind of error, its exit code, what is seen, what to run.
//!
//! [`lost`] loses each end and does what the runbook says.

mod lost;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use clap::Parser;
use delsert::cli::Cli;
use delsert::error::Kind;
use delsert::retry;

/// The runbook.
fn runbook() -> anyhow::Result<String> {
    Ok(fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recovery.md"))?)
}

/// The rows of the tables below the headings `### Exit <code>: …`: exit code and cells.
fn rows(runbook: &str) -> anyhow::Result<Vec<(u8, Vec<&str>)>> {
    let mut rows = Vec::new();
    let mut code = None;
    for line in runbook.lines() {
        if line.starts_with('#') {
            let heading = line.strip_prefix("### Exit ").and_then(|rest| rest.split(':').next());
            code = heading.map(str::parse).transpose()?;
        }
        if let (Some(code), Some(row)) = (code, line.strip_prefix("| ")) {
            let cells: Vec<_> = row.trim_end_matches('|').split('|').map(str::trim).collect();
            if cells[0] != "kind" {
                rows.push((code, cells));
            }
        }
    }
    Ok(rows)
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// All text of the program's source.
fn source(folder: &Path, text: &mut String) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            source(&path, text)?;
        } else {
            text.push_str(&fs::read_to_string(path)?);
        }
    }
    Ok(())
}

#[test]
fn the_runbook_has_every_kind_once_with_its_exit_code() -> anyhow::Result<()> {
    let runbook = runbook()?;
    let mut told: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for (code, cells) in rows(&runbook)? {
        ensure!(cells.len() == 4 && cells.iter().all(|cell| !cell.is_empty()), "not four cells: {cells:?}");
        told.entry(cells[0]).or_default().push(code);
    }
    for kind in Kind::ALL {
        let code = retry::table(*kind).exit_code();
        let found = told.remove(kind.name()).unwrap_or_default();
        ensure!(found == [code], "{}: exit {code}, and the runbook says {found:?}", kind.name());
    }
    ensure!(told.is_empty(), "the runbook has kinds that there are not: {told:?}");
    Ok(())
}

#[test]
fn what_the_runbook_shows_is_what_the_program_says() -> anyhow::Result<()> {
    let mut program = String::new();
    source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut program)?;
    let runbook = runbook()?;
    for (_, cells) in rows(&runbook)? {
        for message in quoted(cells[1]) {
            let pieces = message.split('…').map(str::trim).filter(|piece| piece.chars().any(char::is_alphabetic));
            for piece in pieces {
                ensure!(program.contains(piece), "{}: nothing in the program says '{piece}'", cells[0]);
            }
        }
    }
    Ok(())
}

#[test]
fn what_the_runbook_says_to_run_is_a_command() -> anyhow::Result<()> {
    let runbook = runbook()?;
    let mut commands = 0;
    for command in quoted(&runbook.replace("```", "")).filter(|text| text.starts_with("delsert ")) {
        let command = command.replace("TABLE", "--table Sales.Orders");
        let parsed = Cli::try_parse_from(command.split_whitespace());
        parsed.map(drop).with_context(|| format!("'{command}' is no command"))?;
        commands += 1;
    }
    ensure!(commands > 10, "only {commands} commands were found");
    for (_, cells) in rows(&runbook)? {
        let run = cells[3];
        ensure!(run.contains("the same") || run.contains("`delsert "), "{}: no command in '{run}'", cells[0]);
    }
    Ok(())
}
