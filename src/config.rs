//! `con_defs.toml`: parsed strictly, each section resolved when a task first uses it.
//!
//! The file is read twice over: as `raw` data, whose every leaf may hold `${NAME}`, with unknown keys and wrong types
//! refused at their line; then a section at a time into the typed structs here, with the environment put in. So a task
//! needs only the variables of the sections it uses.

mod auth;
mod bucket;
mod lines;
mod raw;
mod resolve;
mod source;
mod target;

pub use auth::{Auth, Iam, Login, Warehouse};
pub use bucket::{Bucket, Compression, Encryption, Role};
pub use resolve::parse_duration;
pub use source::{Encrypt, Source, SourceLogin, Token};
pub use target::{Engine, Naming, RedshiftOptions, SchemaMap, Target, Tls};

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::loss::{Loss, Policies};
use crate::table::{TableName, is_unprintable, same_but_for_case};

/// The most bytes of a file that Amazon Redshift copies well, compressed ("Loading data files").
const COPY_TAKES: u64 = 1 << 30;

/// The configuration: what all tasks need resolved, and the sections that are resolved when used.
#[derive(Debug)]
pub struct Config {
    /// `[sync]`.
    pub sync: Sync,
    /// `[values]`: which losses are taken, unless a column has policies of its own.
    pub values: Policies,
    /// `[[table]]`.
    pub tables: Vec<TableOptions>,
    raw: raw::File,
}

/// `[sync]`.
#[derive(Debug, Clone)]
pub struct Sync {
    /// Ledger folder, and owner of the watermarks.
    pub name: String,
    /// When history is purged at the source.
    pub purge: Purge,
    /// Whether instances that this sync did not create may be purged.
    pub purge_shared: bool,
    /// What a gap does.
    pub on_gap: OnGap,
    /// What a column does that the source has gained.
    pub on_new_column: OnNewColumn,
    /// What a partitioned table does from which partitions may be switched away unseen.
    pub on_partition_switch: OnPartitionSwitch,
    /// What a table does of which row-level security may hide rows.
    pub on_row_filter: OnRowFilter,
    /// Longest time that one window spans, by the source's commit times, from its first change.
    pub max_window: Duration,
    /// Tables worked on at a time.
    pub parallel: usize,
}

/// When history is purged at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purge {
    /// Behind the tail of the ledger.
    AfterExtract,
    /// Behind the newest batch marked applied.
    AfterLoad,
    /// Not by `delsert`.
    Never,
}

/// What happens when history was purged before it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnGap {
    /// The table stops until a person decides.
    Fail,
    /// The table gets a new snapshot.
    Resync,
}

/// What happens when a table has a column that does not flow yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnNewColumn {
    /// It flows, from a capture instance that has it.
    Follow,
    /// It stays behind.
    Ignore,
    /// The table stops until a person decides.
    Fail,
}

/// What happens when partitions of a table may be switched, which leaves no trace in its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPartitionSwitch {
    /// The table stops until a person decides.
    Fail,
    /// It is told, and synced.
    Ignore,
}

/// What happens when row-level security may hide rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRowFilter {
    /// The table stops until a person decides.
    Fail,
    /// It is told, and synced: the filter lets the login see all rows, or those that it hides are not wanted.
    Ignore,
}

/// What happens when a target table holds rows that no batch brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExistingRows {
    /// The table stops until a person decides.
    Fail,
    /// The first snapshot replaces them.
    Replace,
}

/// `[[table]]`: where a table differs.
#[derive(Debug, Clone, Default)]
pub struct TableOptions {
    /// The table's name, as the source spells it; absent where nothing is configured for a table.
    pub name: Option<TableName>,
    /// Columns that do not flow.
    pub exclude_columns: Vec<String>,
    /// Target types, by column.
    pub columns: BTreeMap<String, String>,
    /// What is said of single losses, by column.
    pub values: BTreeMap<String, Vec<(Loss, bool)>>,
    /// Text appended to CREATE TABLE.
    pub extra: Option<String>,
    /// What rows that are there before the first snapshot do, where it is not as for all tables.
    pub on_existing_rows: Option<OnExistingRows>,
}

impl TableOptions {
    /// The policies of a column, where `usual` holds but for what is said of it.
    pub fn policies(&self, usual: Policies, column: &str) -> Policies {
        let exact = self.values.get(column);
        let said = exact
            .or_else(|| self.values.iter().find(|(name, _)| same_but_for_case(name, column)).map(|(_, said)| said));
        said.into_iter().flatten().fold(usual, |policies, (loss, taken)| policies.with(*loss, *taken))
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`Kind::Config`]: not readable, not TOML, an unknown key, a wrong type, a missing or wrong value.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::new(Kind::Config, format!("cannot read the configuration '{}'", path.display()))
                .because(error)
                .advice("Name the file with --config; con_defs.example.toml shows every key")
        })?;
        Self::parse(&text).map_err(|error| match error.kind() {
            Kind::Config => Error::new(Kind::Config, format!("configuration '{}': {error}", path.display())),
            _ => error,
        })
    }

    /// Checks a text.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str) -> Result<Self> {
        let raw: raw::File = toml::from_str(text).map_err(|error| {
            // Not the error's own text: it quotes the line, which may hold a password.
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            let message = error.message().split('\n').collect::<Vec<_>>().join(", ");
            Error::new(Kind::Config, format!("line {line}: {message}"))
                .advice("con_defs.example.toml shows every key with its type")
        })?;
        resolve::config(raw)
    }

    /// `[source]`, resolved.
    ///
    /// # Errors
    /// [`Kind::Config`]: a variable is not set, or a value is missing or wrong.
    pub fn source(&self) -> Result<Source> {
        source::source(&self.raw.source, self.sync.on_row_filter)
    }

    /// The include and exclude patterns of `[source]`; needs no variable of its login.
    ///
    /// # Errors
    /// As [`Config::source`].
    pub fn patterns(&self) -> Result<(Vec<String>, Vec<String>)> {
        source::patterns(&self.raw.source)
    }

    /// `[bucket]`, resolved.
    ///
    /// # Errors
    /// As [`Config::source`].
    pub fn bucket(&self) -> Result<Bucket> {
        let bucket = bucket::bucket(&self.raw.bucket)?;
        if bucket.part_size > COPY_TAKES && self.naming().is_ok_and(|naming| naming.engine == Engine::Redshift) {
            let message = "bucket.part_size is above 1GB, and Amazon Redshift copies files of 1 MB to 1 GB best";
            return Err(Error::new(Kind::Config, message).advice("Choose a smaller one, such as \"64MiB\""));
        }
        Ok(bucket)
    }

    /// `[target]`, resolved.
    ///
    /// # Errors
    /// As [`Config::source`].
    pub fn target(&self) -> Result<Target> {
        target::target(&self.raw.target)
    }

    /// The part of `[target]` that names depend on.
    ///
    /// # Errors
    /// As [`Config::source`].
    pub fn naming(&self) -> Result<Naming> {
        target::naming(&self.raw.target)
    }

    /// What `[[table]]` says of a table: the entry spelled as the source spells it before one that differs by case.
    pub fn options(&self, table: &TableName) -> TableOptions {
        let exact = self.tables.iter().find(|options| options.name.as_ref() == Some(table));
        exact.or_else(|| self.entries(table).next()).cloned().unwrap_or_default()
    }

    /// The entries whose names are the table's but for case.
    fn entries(&self, table: &TableName) -> impl Iterator<Item = &TableOptions> {
        self.tables.iter().filter(|options| options.name.as_ref().is_some_and(|name| name.is_same_but_for_case(table)))
    }

    /// Checks that [`Config::options`] means what the source means, by whether it ignores case in names.
    ///
    /// # Errors
    /// [`Kind::Config`]: two entries name the table, or the only one is spelled as another table would be.
    pub fn check_entries(&self, table: &TableName, ignores_case: bool) -> Result<()> {
        let names: Vec<_> = self.entries(table).filter_map(|options| options.name.as_ref()).collect();
        let (message, advice) = match names[..] {
            [first, second, ..] if ignores_case => (
                format!("the [[table]] entries '{first}' and '{second}' are of one table"),
                "Put what they say into one entry",
            ),
            [other, ..] if !ignores_case && !names.contains(&table) => (
                format!("the [[table]] entry '{other}' differs from its name by case, which the source tells apart"),
                "Write the name in the entry as the source spells it, or take the entry out",
            ),
            _ => return Ok(()),
        };
        Err(Error::new(Kind::Config, message).on(table).advice(advice))
    }
}

/// A text as the configuration takes it for itself: quoted, and no variable of the environment.
pub fn literal(text: &str) -> String {
    let mut literal = String::from("\"");
    for letter in text.replace("${", "$${").chars() {
        match letter {
            '"' | '\\' => literal.extend(['\\', letter]),
            _ if is_unprintable(letter) => drop(write!(literal, "\\u{:04X}", u32::from(letter))),
            _ => literal.push(letter),
        }
    }
    literal + "\""
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    const EXAMPLE: &str = include_str!("../con_defs.example.toml");

    /// The example with the keys put in that it shows as comments.
    fn whole_example() -> String {
        let uncomment = |line: &'static str| {
            let shown = line.strip_prefix("# ").filter(|rest| {
                let key = rest.split([' ', '=']).next().unwrap_or_default();
                rest.starts_with('[') || (rest.contains(" = ") && !key.is_empty() && key == key.to_lowercase())
            });
            shown.unwrap_or(line)
        };
        EXAMPLE.lines().map(uncomment).collect::<Vec<_>>().join("\n")
    }

    /// The keys of a section, as it names them when it meets one that it does not know.
    fn keys<T: DeserializeOwned>() -> Vec<String> {
        let refused = toml::from_str::<T>("no_such_key = 1").err().unwrap().message().to_owned();
        let listed = refused.split_once("expected").unwrap().1;
        listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn an_entry_is_of_a_table_as_the_source_compares_names() {
        let config = |names: &[&str]| {
            let entries = names.iter().map(|name| format!("[[table]]\nname = \"dbo.{name}\"\nextra = \"{name}\"\n"));
            Config::parse(&format!("[sync]\nname = \"s\"\n{}", entries.collect::<String>())).unwrap()
        };
        let table = TableName::new("dbo", "Orders");
        for (names, chosen, where_case_is_ignored, where_it_counts) in [
            (&[][..], None, true, true),
            (&["Other"], None, true, true),
            (&["Orders"], Some("Orders"), true, true),
            (&["ORDERS"], Some("ORDERS"), true, false),
            (&["ORDERS", "Orders"], Some("Orders"), false, true),
            (&["ORDERS", "orders"], Some("ORDERS"), false, false),
        ] {
            let config = config(names);
            assert_eq!(config.options(&table).extra.as_deref(), chosen, "{names:?}");
            assert_eq!(config.check_entries(&table, true).is_ok(), where_case_is_ignored, "{names:?}");
            assert_eq!(config.check_entries(&table, false).is_ok(), where_it_counts, "{names:?}");
        }
    }

    #[test]
    fn the_example_parses_and_needs_only_its_variables() {
        let unset = |text: &str| text.replace("_PASSWORD}", "_PASSWORD_THAT_NOBODY_SETS}");
        let config = Config::parse(&unset(EXAMPLE)).unwrap();
        assert_eq!(config.sync.name, "shop");
        assert_eq!(config.bucket().unwrap().part_size, 64 << 20);
        config.naming().unwrap();
        assert_eq!(config.patterns().unwrap().0, ["Sales.*", "Person.Address"]);
        for (refused, variable) in [
            (config.source().unwrap_err(), "MSSQL_PASSWORD_THAT_NOBODY_SETS"),
            (config.target().unwrap_err(), "TARGET_PASSWORD_THAT_NOBODY_SETS"),
        ] {
            assert!(refused.to_string().contains(&format!("variable {variable} is not set")), "{refused}");
        }
    }

    #[test]
    fn the_example_shows_every_key_and_none_that_is_not_known() {
        let whole = whole_example();
        toml::from_str::<raw::File>(&whole).unwrap();
        let shown: toml::Table = whole.parse().unwrap();
        let section = |path: &[&str]| {
            path.iter().fold(toml::Value::Table(shown.clone()), |at, name| match &at[*name] {
                toml::Value::Array(entries) => entries[0].clone(),
                section => section.clone(),
            })
        };
        for (path, keys) in [
            (&[][..], keys::<raw::File>()),
            (&["sync"], keys::<raw::Sync>()),
            (&["source"], keys::<raw::Source>()),
            (&["source", "admin"], keys::<raw::Admin>()),
            (&["bucket"], keys::<raw::Bucket>()),
            (&["target"], keys::<raw::Target>()),
            (&["values"], keys::<raw::Values>()),
            (&["table"], keys::<raw::Table>()),
        ] {
            assert!(keys.len() >= 2, "{path:?}: {keys:?}");
            for key in keys {
                assert!(section(path).get(&key).is_some(), "con_defs.example.toml does not show {path:?} {key}");
            }
        }
    }
}
