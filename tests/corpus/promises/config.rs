//! The configuration: refused by line or by key, never with a password in what is said, and in its bounds if accepted.

use std::fmt::Debug;
use std::time::Duration;

use delsert::config::Config;
use delsert::error::{Error, Kind, Result};

/// A password that no input has of itself.
const SECRET: &str = "hunter2-Xq";

/// Ways to write it, and to write it wrong.
const WRITTEN: [&str; 14] = [
    "\"S\"",
    "'S'",
    "\"S",
    "S",
    "\"S${\"",
    "\"${S}\"",
    "\"S${PATH}\"",
    "\"S\\q\"",
    "\"S\" S",
    "[\"S\"]",
    "{ S = 1 }",
    "7.S",
    "1979-05-27S",
    "\"$${S}S\"",
];

/// The same of a command that holds it.
const COMMANDS: [&str; 8] = [
    "\"az S\"",
    "[\"az\", \"S\"]",
    "[\"az\", 7, \"S\"]",
    "[[\"S\"]]",
    "{ az = \"S\" }",
    "[\"az\", \"S]",
    "[\"az\", \"S${\"]",
    "[\"az\", \"${S}\"]",
];

pub fn promises(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Config::parse(text) {
        Err(error) => is_told(&error, text),
        Ok(config) => {
            is_bounded(&config);
            let unknown = format!("{text}\nno_such_key = 1");
            assert!(Config::parse(&unknown).is_err(), "an unknown key is taken");
        }
    }
    if let Some(text) = with_secret(text) {
        keeps_secret(&text);
    }
}

/// An error of the whole file names a line that it has, or the key.
fn is_told(error: &Error, text: &str) {
    assert_eq!(error.kind(), Kind::Config);
    let said = error.to_string();
    match said.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
        Some((line, _)) => {
            let line: usize = line.parse().unwrap_or_else(|_| panic!("no number of a line: {said}"));
            assert!((1..=text.matches('\n').count() + 1).contains(&line), "a line that is not there: {said}");
        }
        None => names_key(error, &["sync", "table"]),
    }
}

/// An error begins with a key of one of the sections.
fn names_key(error: &Error, sections: &[&str]) {
    assert_eq!(error.kind(), Kind::Config);
    let said = error.to_string();
    let key = said.split([' ', ':']).next().unwrap_or_default();
    let section = key.split_once('.').map(|(section, _)| section);
    assert!(section.is_some_and(|section| sections.contains(&section)), "names no key of {sections:?}: {said}");
}

/// What a section gives; an error must name one of its keys.
fn resolved<T>(section: &str, result: Result<T>) -> Option<T> {
    result.map_err(|error| names_key(&error, &[section])).ok()
}

fn is_bounded(config: &Config) {
    let sync = &config.sync;
    assert!((1..=64).contains(&sync.parallel) && (1..=63).contains(&sync.name.len()) && !sync.max_window.is_zero());
    let patterns = resolved("source", config.patterns());
    if let Some(source) = resolved("source", config.source()) {
        assert_eq!(patterns, Some((source.include, source.exclude)));
        assert!(source.port > 0 && source.retries <= 20);
        let waits = [Some(source.connect_timeout), Some(source.statement_timeout), source.retention];
        assert!(!waits.contains(&Some(Duration::ZERO)));
    }
    if let Some(bucket) = resolved("bucket", config.bucket()) {
        assert!((1..=48_000_000_000).contains(&bucket.part_size) && !bucket.request_timeout.is_zero());
        assert!(!bucket.prefix.starts_with('/') && !bucket.prefix.ends_with('/'));
    }
    let naming = resolved("target", config.naming());
    if let Some(target) = resolved("target", config.target()) {
        assert!(target.port > 0 && !target.connect_timeout.is_zero() && !target.lock_timeout.is_zero());
        assert!(naming.is_none_or(|naming| naming.engine == target.engine));
    }
    for table in &config.tables {
        let name = table.name.as_ref().unwrap();
        assert_eq!(config.options(name).name.as_ref(), Some(name));
    }
}

/// The text with each password and command replaced by one that is looked for in what is said; `None` where that could stand in
/// another value, or no password is written.
fn with_secret(text: &str) -> Option<String> {
    // In these a password is the name of a schema or a column, and its value no secret.
    let is_map = |line: &str| line.contains("schema_map") || line.contains("columns");
    let is_open = |line: &str| is_map(line) && line.contains('{') && !line.contains('}');
    if text.contains("\"\"\"") || text.contains("'''") || text.contains(SECRET) || text.lines().any(is_open) {
        return None;
    }
    let (mut written, mut within) = (false, false);
    let secret = |(number, line): (usize, &str)| {
        if line.trim_start().starts_with('[') {
            within = is_map(line);
        }
        let key = |name: &str, ways| line.find(name).map(|at| (at + name.len(), ways));
        let found = key("password", &WRITTEN[..]).or_else(|| key("token_command", &COMMANDS[..]));
        let Some((after, ways)) = found else { return line.to_owned() };
        let is_set = line[after..].trim_start_matches(['"', '\'', ' ', '\t']).starts_with('=');
        if !is_set || within || is_map(line) {
            return line.to_owned();
        }
        written = true;
        let close = if line[..after].contains('{') { " }" } else { "" };
        let value = ways[(number + text.len()) % ways.len()].replace('S', SECRET);
        format!("{}= {value}{close}", line[..after].trim_end())
    };
    let lines: Vec<_> = text.split('\n').enumerate().map(secret).collect();
    written.then(|| lines.join("\n"))
}

fn keeps_secret(text: &str) {
    let config = match Config::parse(text) {
        Ok(config) => config,
        Err(error) => return hides(&error),
    };
    hides(&config);
    said(config.source());
    said(config.target());
    said(config.bucket());
    said(config.naming());
    said(config.patterns());
}

fn said<T: Debug>(result: Result<T>) {
    match result {
        Ok(section) => hides(&section),
        Err(error) => hides(&error),
    }
}

fn hides(shown: &impl Debug) {
    let shown = format!("{shown:?}");
    assert!(!shown.contains(SECRET), "a password is told: {shown}");
}
