//! `con_defs.toml`: parsed strictly, each section resolved when a task first uses it.
//!
//! The file is read twice over: as `raw` data, whose every leaf may hold `${NAME}`, with unknown keys and wrong types
//! refused at their line; then a section at a time into the typed structs here, with the environment put in. So a task
//! needs only the variables of the sections it uses.

mod lines;
mod raw;
mod resolve;

pub use lines::quoted;
pub use resolve::parse_duration;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use crate::error::{Error, Kind, Result};
use crate::table::TableName;

/// The configuration: what all tasks need resolved, and the sections that are resolved when used.
#[derive(Debug)]
pub struct Config {
    /// `[sync]`.
    pub sync: Sync,
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

/// `[source]`.
#[derive(Debug, Clone)]
pub struct Source {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Named instance, found through the SQL Browser; then `port` is not used.
    pub instance: Option<String>,
    /// Database.
    pub database: String,
    /// Login.
    pub login: Login,
    /// A second login for enabling and purging.
    pub admin: Option<Login>,
    /// Encryption.
    pub encrypt: Encrypt,
    /// Accept any certificate.
    pub trust_server_certificate: bool,
    /// File of certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Ask for a readable secondary.
    pub read_only_replica: bool,
    /// Bound on connecting and logging in.
    pub connect_timeout: Duration,
    /// Bound on the server's silence within a statement.
    pub statement_timeout: Duration,
    /// How often one piece of work is tried again within a task.
    pub retries: u32,
    /// The first wait before trying again after a failover.
    pub retry_wait: Duration,
    /// How long the source keeps history, where it cannot be read from the source.
    pub retention: Option<Duration>,
    /// Tables to sync, as patterns.
    pub include: Vec<String>,
    /// Tables to leave out, as patterns.
    pub exclude: Vec<String>,
    /// Whether `check` may enable change data capture.
    pub enable_cdc: bool,
}

/// A login.
#[derive(Debug, Clone)]
pub struct Login {
    /// Name.
    pub user: String,
    /// Password.
    pub password: SecretString,
}

/// How the connection to the source is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encrypt {
    /// All of it, or no connection.
    Required,
    /// The login only.
    Login,
    /// Nothing.
    Off,
}

/// `[bucket]`.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Name.
    pub name: String,
    /// Prefix of all keys, without slashes at its ends.
    pub prefix: String,
    /// Region.
    pub region: Option<String>,
    /// Compression of parts.
    pub compression: Compression,
    /// Size at which a part ends, in bytes after compression.
    pub part_size: u64,
    /// Endpoint of an S3-compatible server.
    pub endpoint: Option<String>,
    /// Bucket in the path, not in the host name.
    pub path_style: bool,
    /// Longest time from a request, its upload included, to the answer.
    pub request_timeout: Duration,
}

/// Compression of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Zstandard.
    Zstd,
    /// gzip.
    Gzip,
    /// Plain.
    None,
}

/// `[target]`.
#[derive(Debug, Clone)]
pub struct Target {
    /// Engine.
    pub engine: Engine,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// Login.
    pub login: Login,
    /// TLS.
    pub tls: Tls,
    /// File of certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Bound on connecting and logging in.
    pub connect_timeout: Duration,
    /// Bound on waiting for a lock.
    pub lock_timeout: Duration,
}

/// The target's engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
}

/// TLS with the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// None.
    Disable,
    /// Encrypted, certificate not verified.
    Require,
    /// Encrypted, certificate and host name verified.
    VerifyFull,
}

/// Where target tables go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaMap {
    /// The source's schema in lower case.
    Lower,
    /// All into one schema.
    One(String),
    /// By source schema; those not named in lower case.
    Map(BTreeMap<String, String>),
}

/// What of the target a batch's form depends on; needs no variable of its login.
#[derive(Debug, Clone)]
pub struct Naming {
    /// Engine.
    pub engine: Engine,
    /// Schemas.
    pub schemas: SchemaMap,
}

/// `[[table]]`: where a table differs.
#[derive(Debug, Clone, Default)]
pub struct TableOptions {
    /// The table's name, as the source spells it.
    pub name: String,
    /// Columns that do not flow.
    pub exclude_columns: Vec<String>,
    /// Target types, by column.
    pub columns: BTreeMap<String, String>,
    /// Text appended to CREATE TABLE.
    pub extra: Option<String>,
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
        resolve::source(&self.raw.source)
    }

    /// The include and exclude patterns of `[source]`; needs no variable of its login.
    ///
    /// # Errors
    /// As [`Config::source`].
    pub fn patterns(&self) -> Result<(Vec<String>, Vec<String>)> {
        resolve::patterns(&self.raw.source)
    }

    /// `[bucket]`, resolved.
    ///
    /// # Errors
    /// As [`Config::source`].
    pub fn bucket(&self) -> Result<Bucket> {
        resolve::bucket(&self.raw.bucket)
    }

    /// `[target]`, resolved.
    ///
    /// # Errors
    /// As [`Config::source`].
    pub fn target(&self) -> Result<Target> {
        resolve::target(&self.raw.target)
    }

    /// The part of `[target]` that names depend on.
    ///
    /// # Errors
    /// As [`Config::source`].
    pub fn naming(&self) -> Result<Naming> {
        resolve::naming(&self.raw.target)
    }

    /// What `[[table]]` says of a table; the names are compared by `same`, as the source compares them.
    pub fn options(&self, table: &TableName, same: impl Fn(&str, &str) -> bool) -> TableOptions {
        let plain = format!("{}.{}", table.schema, table.name);
        let found = self.tables.iter().find(|options| {
            same(&options.name, &plain)
                || options
                    .name
                    .parse::<TableName>()
                    .is_ok_and(|name| same(&name.schema, &table.schema) && same(&name.name, &table.name))
        });
        found.cloned().unwrap_or_default()
    }
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
            (&["table"], keys::<raw::Table>()),
        ] {
            assert!(keys.len() >= 2, "{path:?}: {keys:?}");
            for key in keys {
                assert!(section(path).get(&key).is_some(), "con_defs.example.toml does not show {path:?} {key}");
            }
        }
    }
}
