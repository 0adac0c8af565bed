//! The termination log: one line that says why the process ended, which Kubernetes shows as the container's message.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::table::is_unprintable;
use crate::task::summary::{Summary, TableStatus, TableSummary};

/// What Kubernetes keeps of a message, in bytes.
const MOST: usize = 4096;

/// Writes why a task ended otherwise than with 0.
pub fn tell(path: &Path, summary: &Summary) {
    write(path, &message(summary));
}

/// Writes why a command line is refused, where it can be read so far that it names the file.
pub fn tell_usage(error: &clap::Error, arguments: impl IntoIterator<Item = OsString>) {
    if let Some(path) = named(arguments) {
        let text = error.render().to_string();
        let said = text.split("\n\nUsage:").next().unwrap_or(&text);
        write(&path, &format!("delsert: exit 2. {}", said.trim_start_matches("error: ")));
    }
}

/// The file that a command line names, however little of the rest can be read.
fn named(arguments: impl IntoIterator<Item = OsString>) -> Option<PathBuf> {
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_bytes().strip_prefix(b"--termination-log") {
            Some(b"") => return arguments.next().map(PathBuf::from),
            Some([b'=', path @ ..]) => return Some(OsStr::from_bytes(path).into()),
            _ => {}
        }
    }
    None
}

/// What failed as a whole, then the tables: those that need a person before those that a retry may mend.
fn message(summary: &Summary) -> String {
    let of = |status: TableStatus| summary.tables.iter().filter(move |table| table.status == status);
    let failed: Vec<_> =
        [TableStatus::Failed, TableStatus::Blocked, TableStatus::Retry].into_iter().flat_map(of).collect();
    let count = match failed.len() {
        0 => String::new(),
        count => format!(", {count} of {} tables failed", summary.tables.len()),
    };
    let whole = summary.error.iter().map(|error| with_kind(summary.error_kind, error));
    let tables =
        failed.iter().filter_map(|table: &&TableSummary| Some(with_kind(table.error_kind, table.error.as_ref()?)));
    let mut said: Vec<_> = whole.chain(tables).collect();
    if said.is_empty() {
        said.extend(
            summary.findings.iter().map(|finding| with_kind(Some(finding.matter.name()), &finding.to_string())),
        );
    }
    format!("delsert {}: exit {}{count}. {}", summary.task, summary.exit_code, said.join(" | "))
}

fn with_kind(kind: Option<&str>, text: &str) -> String {
    kind.map_or_else(|| text.to_owned(), |kind| format!("{kind}: {text}"))
}

/// The text as one line of at most [`MOST`] bytes, its end included.
fn line(text: &str) -> String {
    const CUT: &str = "…";
    let words: Vec<_> = text.split_whitespace().collect();
    let mut line = String::new();
    for letter in words.join(" ").chars() {
        if is_unprintable(letter) {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    if line.len() >= MOST {
        line.truncate(line.floor_char_boundary(MOST - 1 - CUT.len()));
        line += CUT;
    }
    line + "\n"
}

/// Writes into the file that is there, which Kubernetes has mounted, or a new one. No failure changes what the process
/// ends with.
fn write(path: &Path, text: &str) {
    let written = OpenOptions::new().write(true).create(true).truncate(true).open(path);
    let written: io::Result<()> = written.and_then(|mut file| file.write_all(line(text).as_bytes()));
    if let Err(error) = written {
        tracing::warn!("cannot write --termination-log '{}': {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_and_cut_between_characters() {
        assert_eq!(line("a\n\tb\u{85}c\u{202e}"), "a b c\\u{202e}\n");
        for before in 0..4 {
            let cut = line(&format!("{}{}", "a".repeat(before), "日".repeat(2000)));
            assert!(cut.len() <= MOST && cut.len() > MOST - 8, "{} bytes", cut.len());
            assert!(cut.ends_with("日…\n"), "{cut}");
        }
        assert_eq!(line(&"a".repeat(MOST - 1)).len(), MOST);
        assert!(!line(&"a".repeat(MOST - 1)).contains('…'));
    }

    #[test]
    fn the_file_is_found_in_a_command_line_that_is_refused() {
        let named = |arguments: &[&str]| named(arguments.iter().map(OsString::from));
        assert_eq!(named(&["delsert", "chekc", "--termination-log", "/dev/t"]), Some("/dev/t".into()));
        assert_eq!(named(&["delsert", "--termination-log=/dev/t", "--x"]), Some("/dev/t".into()));
        assert_eq!(named(&["delsert", "--termination-log"]), None);
        assert_eq!(named(&["delsert", "--termination-logs", "a"]), None);
    }
}
