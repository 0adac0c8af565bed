//! Names of every awkward kind, on the whole way: catalogue, statements at both ends, keys of objects, logs, `--table`.
//!
//! | module | tries |
//! |---|---|
//! | [`journey`] | schemas, tables and columns of each kind, copied, changed, named on the command line |
//! | [`configured`] | names that come from the configuration: sync, prefix, target schema, `[[table]]`, patterns |
//! | [`clash`] | names that fall together, are kept, or are too long |
//! | [`shared`] | tables that share a target table: two of the source, one made again under another spelling, another's batch |

mod clash;
mod configured;
mod journey;
mod shared;

use anyhow::ensure;
use delsert::table::is_unprintable;

use crate::support::task::Outcome;

/// Names of each kind, none of which is another by the source's collation or once in lower case.
pub fn awkward() -> Vec<String> {
    let plain = [
        "two words",
        " blank before",
        "]",
        "[",
        "a]b]]c[[d",
        "[a].[b]",
        "\"",
        "a\"b\"\"c",
        "'",
        "it's",
        "''",
        ".",
        "..",
        "a.b.c",
        "/",
        "a/b//c",
        "../../other/0000000001/manifest.json",
        "\\",
        "a\\nb",
        "%",
        "%2e%2e",
        "%s%d",
        "*",
        "a*",
        "?",
        "~",
        "a~0123456789abcdef",
        "$",
        "${HOME}",
        "$1",
        "{}",
        "{0}",
        "@P1",
        "#",
        "x;--",
        "/* x */",
        "x]; DROP TABLE [dbo].[Canary]; --",
        "x'; DROP TABLE dbo.Canary; --",
        "x\"; DROP TABLE public.canary; --",
        "'); DELETE FROM public.canary; --",
        "a\nb",
        "a\r\n2001-01-01T00:00:00Z ERROR forged",
        "\t",
        "\u{1}\u{1b}[31m",
        "\u{7f}\u{85}",
        "a\u{2028}b\u{202e}c",
        "U&\"\\000A\"",
        "ÄÖÜ ß éà",
        "e\u{301}",
        "שלום",
        "表",
        "Ａ１",
        "😀",
        "👩\u{200d}👩\u{200d}👧",
        "-",
        "_",
        "select",
        "Table",
        "USER",
        "default",
        "true",
        "null",
        "group by",
        "u",
        "d",
        "stage_dbo_x",
        "__$newest",
        "c",
        "t",
    ];
    let mut names: Vec<_> = plain.iter().map(|name| (*name).to_owned()).collect();
    names.push("N".repeat(128));
    names.push(format!("{}1", "表".repeat(127)));
    names.push("😀".repeat(64));
    names.push("\"".repeat(128));
    names.push("%".repeat(128));
    names
}

/// A name as T-SQL takes it.
pub fn here(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// A name as PostgreSQL takes it.
pub fn there(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as T-SQL takes it.
pub fn text(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// Fails if something in what a task said begins a line or moves a cursor that should not.
pub fn expect_sound_lines(outcome: &Outcome, json: bool) -> anyhow::Result<()> {
    for line in outcome.stderr.lines() {
        ensure!(!line.chars().any(is_unprintable), "an unprintable character: {line:?}");
        let begins = line.get(..4).is_some_and(|year| year.bytes().all(|digit| digit.is_ascii_digit()));
        ensure!(json || begins && !line.starts_with("2001"), "a line that no event began: {line:?}");
        if json {
            serde_json::from_str::<serde_json::Value>(line)?;
        }
    }
    outcome.summary()?;
    let summary = outcome.stdout.trim_end_matches('\n');
    ensure!(!summary.chars().any(is_unprintable), "an unprintable character: {summary:?}");
    Ok(())
}
