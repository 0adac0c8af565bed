//! What is wrong in the configuration or on the command line.

use anyhow::ensure;

use super::{Wrong, r11_no_secret};
use crate::rules::by_hand::table;
use crate::rules::stage::Stage;

/// The words of the advice for what cannot be parsed.
const EXAMPLE: &str = "con_defs.example.toml shows every key";

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_is_named_with_its_key() -> anyhow::Result<()> {
    let mut stage = Stage::without_source().await?;
    stage.bucket()?.ensure().await?;
    let usage = Wrong { code: 2, ..Wrong::default() };
    for wrong in [
        Wrong {
            what: "unknown key",
            replace: &[("lock_timeout = \"60s\"", "look_timeout = \"60s\"")],
            says: &["con_defs.toml", "line 30", "unknown field `look_timeout`", "`lock_timeout`", EXAMPLE],
            ..usage
        },
        Wrong {
            what: "unknown section",
            replace: &[("[bucket]", "[buckets]")],
            says: &["con_defs.toml", "line 15", "unknown field `buckets`", "`bucket`", EXAMPLE],
            ..usage
        },
        Wrong {
            what: "wrong type of a switch",
            replace: &[("path_style = true", "path_style = \"yes\"")],
            says: &["con_defs.toml", "line 20", "string \"yes\"", "true or false", EXAMPLE],
            ..usage
        },
        Wrong {
            what: "wrong type of a list",
            replace: &[("include = [\"dbo.*\"]", "include = \"dbo.*\"")],
            says: &["con_defs.toml", "line 12", "expected a sequence", EXAMPLE],
            ..usage
        },
        Wrong {
            what: "two entries of one table",
            replace: &[("[bucket]", "[[table]]\nname = \"dbo.T\"\n[[table]]\nname = \"[dbo].T\"\n[bucket]")],
            says: &["con_defs.toml", "table.name", "'dbo.T' has two [[table]] entries", "into one entry"],
            ..usage
        },
        Wrong {
            what: "no TOML",
            replace: &[("[source]", "[source")],
            says: &["con_defs.toml", "line 4", EXAMPLE],
            ..usage
        },
        Wrong {
            what: "wrong word",
            replace: &[("[sync]", "[sync]\npurge = \"always\"")],
            says: &["con_defs.toml", "sync.purge = 'always'", "\"after_extract\" or \"after_load\" or \"never\""],
            ..usage
        },
        Wrong {
            what: "number out of range",
            replace: &[("[sync]", "[sync]\nparallel = 1000")],
            says: &["con_defs.toml", "sync.parallel = 1000", "1 to 64"],
            ..usage
        },
        Wrong {
            what: "wrong duration",
            replace: &[("\"60s\"", "\"a minute\"")],
            task: &["load"],
            says: &["target.lock_timeout = 'a minute'", "ms, s, m, h or d"],
            ..usage
        },
        Wrong {
            what: "missing key",
            replace: &[("database = \"shop\"\n", "")],
            task: &["extract"],
            says: &["source.database is missing", EXAMPLE],
            ..usage
        },
        Wrong {
            what: "no tables",
            replace: &[("include = [\"dbo.*\"]", "")],
            task: &["extract"],
            says: &["source.include is missing", "include = [\"Sales.*\"]"],
            ..usage
        },
        Wrong {
            what: "two that exclude each other",
            replace: &[("tls = ", "schema = \"s\"\nschema_map = { dbo = \"d\" }\ntls = ")],
            task: &["extract"],
            says: &["target.schema and target.schema_map are both set", "Keep one of them"],
            ..usage
        },
        Wrong {
            what: "engine that is not known",
            replace: &[("engine = \"postgres\"", "engine = \"oracle\"")],
            task: &["load"],
            says: &["target.engine = 'oracle'", "\"postgres\""],
            ..usage
        },
        Wrong {
            what: "file of certificates that is not there",
            replace: &[("tls = \"disable\"", "tls = \"verify-full\"\nca_file = \"/no/such.pem\"")],
            task: &["load"],
            says: &["target.ca_file '/no/such.pem'", "No such file", "PEM"],
            ..usage
        },
    ] {
        wrong.expect(&mut stage).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_variable_is_named_by_the_task_that_needs_it() -> anyhow::Result<()> {
    let mut stage = Stage::without_source().await?;
    let usage = Wrong { code: 2, ..Wrong::default() };
    for wrong in [
        Wrong {
            what: "missing variable of the source",
            variables: &[("MSSQL_PASSWORD", None)],
            task: &["extract"],
            says: &["source.password", "environment variable MSSQL_PASSWORD is not set", "Set MSSQL_PASSWORD"],
            ..usage
        },
        Wrong {
            what: "missing variable of the target",
            variables: &[("TARGET_PASSWORD", None)],
            task: &["load"],
            says: &["target.password", "environment variable TARGET_PASSWORD is not set", "Set TARGET_PASSWORD"],
            ..usage
        },
        Wrong {
            what: "missing variable of the sync",
            replace: &[("name = \"test\"", "name = \"${SYNC_NAME}\"")],
            task: &["load"],
            says: &["sync.name", "environment variable SYNC_NAME is not set"],
            ..usage
        },
        Wrong {
            what: "variable that is not closed",
            replace: &[("${TARGET_PASSWORD}", "${TARGET_PASSWORD")],
            task: &["load"],
            says: &["target.password", "'${' without '}'", "$${"],
            ..usage
        },
        Wrong {
            what: "variable that holds no number",
            replace: &[("region = ", "# region = "), ("port = 1\n", "port = \"${PORT}\"\n")],
            variables: &[("PORT", Some("many"))],
            task: &["extract"],
            says: &["source.port = 'many'", "a whole number"],
            ..usage
        },
    ] {
        wrong.expect(&mut stage).await?;
    }
    // Load has no use for the source's password.
    let things = table("Things");
    stage.open(&things, 1).await?;
    stage.prepare(&things).await?;
    stage.environment.retain(|(name, _)| name != "MSSQL_PASSWORD");
    stage.task(&["load"]).await?.expect(0)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_named() -> anyhow::Result<()> {
    let stage = Stage::without_source().await?;
    std::fs::remove_file(stage.config_path())?;
    let outcome = stage.task(&["load"]).await?.expect(2)?;
    let error = outcome.summary()?.0["error"].as_str().unwrap_or_default().to_owned();
    for word in ["cannot read", "con_defs.toml", "No such file", "--config"] {
        ensure!(error.contains(word), "the message does not say '{word}': {error}");
    }
    r11_no_secret("missing file", &error)
}

/// Usage that the command line's parser refuses: no summary, since no task began.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_named() -> anyhow::Result<()> {
    let stage = Stage::without_source().await?;
    for (arguments, words) in [
        (&["extract", "--until", "0x12345"][..], &["--until", "0x12345", "even number of hexadecimal digits"][..]),
        (&["extract", "--until", "tomorrow"], &["--until", "'tomorrow' is not a position"]),
        (&["run", "--every", "0s"], &["--every", "0s", "above 0"]),
        (&["launch"], &["unrecognized subcommand", "launch"]),
        (&["load", "--until", "0x00"], &["unexpected argument", "--until"]),
    ] {
        let outcome = stage.task(arguments).await?.expect(2)?;
        for word in words {
            ensure!(outcome.stderr.contains(word), "{arguments:?} does not say '{word}': {}", outcome.stderr);
        }
    }
    Ok(())
}
