//! The runbook `docs/recovery.md` against the program: every kind of error, its exit code, what is seen, what to run.
//!
//! [`lost`] loses each end and does what the runbook says; [`by_hand`] is the page on one table.

mod by_hand;
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

/// The lines of the program's source, file by file, without comments and unit tests.
fn source(folder: &Path, files: &mut Vec<Vec<String>>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            source(&path, files)?;
            continue;
        }
        let text = fs::read_to_string(path)?;
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
        files.push(lines.filter(|line| !line.trim_start().starts_with("//")).map(str::to_owned).collect());
    }
    Ok(())
}

/// How many lines a message may stand from the kind of error that it belongs to.
const NEAR: usize = 20;

/// Whether some file has that text, and, where `kind` is named, near that kind.
fn says(files: &[Vec<String>], text: &str, kind: Option<Kind>) -> bool {
    let at = |file: &[String], text: &str| -> Vec<usize> {
        file.iter().enumerate().filter(|(_, line)| line.contains(text)).map(|(at, _)| at).collect()
    };
    files.iter().any(|file| {
        let found = at(file, text);
        let Some(kind) = kind else { return !found.is_empty() };
        let named = at(file, &format!("Kind::{}", kind.name()));
        found.iter().any(|found| named.iter().any(|named| named.abs_diff(*found) <= NEAR))
    })
}

/// What every error of an end begins with, whatever its kind, which follows from what that end says.
const BY_ANSWER: [&str; 4] = ["PostgreSQL …", "SQL Server … says", "bucket … :", "a refused"];

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
fn what_the_runbook_shows_is_what_the_program_says_of_that_kind() -> anyhow::Result<()> {
    let mut program = Vec::new();
    source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut program)?;
    let runbook = runbook()?;
    let (mut by_kind, mut messages) = (0, 0);
    for (_, cells) in rows(&runbook)? {
        let kind = Kind::ALL.iter().find(|kind| kind.name() == cells[0]).context("a row of no kind")?;
        for message in quoted(cells[1]) {
            let kind = (!BY_ANSWER.iter().any(|start| message.starts_with(start))).then_some(*kind);
            messages += 1;
            by_kind += usize::from(kind.is_some());
            let pieces = message.split('…').map(str::trim).filter(|piece| piece.chars().any(char::is_alphabetic));
            for piece in pieces {
                ensure!(says(&program, piece, kind), "{}: nothing in the program says '{piece}'", cells[0]);
            }
        }
    }
    ensure!(by_kind > 40 && messages > by_kind, "{by_kind} of {messages} messages were looked for by their kind");
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
