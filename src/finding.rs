//! What `check` finds that a person should know or mend, while the work goes on.
//!
//! What stops a table, or a task, is an [`Error`](crate::error::Error); a finding stops nothing unless `--strict` is given.

use std::fmt;

use serde::Serialize;

use crate::table::TableName;

macro_rules! matters {
    ($($(#[$doc:meta])* $matter:ident,)+) => {
        /// What a finding is about. Each has its row in `docs/findings.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Matter {
            $($(#[$doc])* $matter,)+
        }

        impl Matter {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$matter,)+];

            /// Its name, as logs, summaries and `docs/findings.md` have it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$matter => stringify!($matter),)+
                }
            }
        }
    };
}

matters! {
    /// SNAPSHOT isolation is not allowed: first copies read committed rows.
    SnapshotIsolation,
    /// What the login may not read, so that it is not known.
    Unreadable,
    /// The login may not read the change tables.
    ChangeTableRights,
    /// No login may enable and purge that must.
    OwnerRights,
    /// Where enabling and purging would go nothing can be written.
    SourceReadOnly,
    /// The database's owner is unknown, or not the one that the database itself names.
    DatabaseOwner,
    /// SQL Server Agent, which runs the jobs, does not run.
    AgentStopped,
    /// The capture job does not run.
    CaptureStopped,
    /// The capture job failed at its last try.
    CaptureFailed,
    /// There is no capture job, or it is disabled.
    CaptureJob,
    /// Capture is far behind the log.
    CaptureBehind,
    /// There is no cleanup job, or it is disabled: history grows.
    CleanupJob,
    /// History is kept for a shorter time than the work may stand still.
    RetentionShort,
    /// A table was not extracted for so long that its history ends soon.
    HistoryEnding,
    /// Long texts and binaries that the application writes are refused once their columns are captured.
    TextSize,
    /// A column is encrypted by clients, and is left out.
    EncryptedColumn,
    /// Capture may change characters of a column, whose code page is not the database's.
    CodePage,
    /// Row-level security may hide rows, and the configuration says that this is meant.
    RowFilter,
    /// A pattern matches no table, or none that is not excluded.
    UselessPattern,
    /// A `[[table]]` entry, or a column in it, names nothing.
    UselessOption,
    /// A column of a type that cannot be carried is left out.
    UnsupportedColumn,
    /// Partitions may be switched away unseen.
    PartitionSwitch,
    /// No table is included.
    NoTables,
    /// A column flows no more.
    LostColumn,
    /// A capture instance that nothing reads could not be dropped.
    NeedlessInstance,
    /// New columns do not flow.
    NewColumns,
    /// The target takes no writes.
    TargetReadOnly,
    /// The target's encoding lacks characters.
    TargetEncoding,
    /// The target's login may not make or use a schema.
    TargetSchema,
    /// The target is given keys for reading the bucket, where a role would do.
    CopyKeys,
    /// An adopted table has columns of its own.
    OwnColumn,
    /// Something that belongs to an adopted table may refuse rows that the source has, or runs with each batch.
    Attached,
    /// An adopted table has no index on its key.
    KeyIndex,
    /// There is a table whose name differs by case only.
    CaseVariant,
}

impl Serialize for Matter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Where what mends a finding is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A statement at the source.
    Source,
    /// A statement at the target.
    Target,
    /// The bucket.
    Bucket,
    /// A line of `con_defs.toml`.
    Config,
    /// A command of a shell.
    Shell,
}

/// What mends a finding, as it is typed in at its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mend {
    /// Where.
    pub at: Place,
    /// The statement or command; for the configuration, lines that take the place of those of the same keys there.
    pub statement: String,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    #[serde(rename = "name")]
    pub matter: Matter,
    /// The table, if it is about one.
    pub table: Option<String>,
    /// What is so, and what comes of it.
    pub message: String,
    /// What mends it, one thing after the other; none where that is a person's decision, which the message then names.
    pub mend: Vec<Mend>,
}

impl Finding {
    /// A finding that says what is so and what comes of it.
    pub fn new(matter: Matter, message: impl Into<String>) -> Self {
        Self { matter, table: None, message: message.into(), mend: Vec::new() }
    }

    /// On a table.
    #[must_use]
    pub fn on(mut self, table: &TableName) -> Self {
        self.table = Some(table.to_string());
        self
    }

    /// Mended by a statement, line or command; called again, by this one after those before.
    #[must_use]
    pub fn mend(mut self, at: Place, statement: impl Into<String>) -> Self {
        self.mend.push(Mend { at, statement: statement.into() });
        self
    }
}

/// One line, whatever stands in names.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(table) = &self.table {
            write!(f, "{table}: ")?;
        }
        f.write_str(&self.message)?;
        write_mends(f, &self.mend)
    }
}

/// Writes what mends something, behind a sentence that says what is so.
pub fn write_mends(f: &mut fmt::Formatter<'_>, mends: &[Mend]) -> fmt::Result {
    for (at, mend) in mends.iter().enumerate() {
        let before = if at == 0 { ". To mend it, " } else { "; then " };
        let place = match mend.at {
            Place::Source => "at the source: ",
            Place::Target => "at the target: ",
            Place::Bucket => "at the bucket: ",
            Place::Config => "in con_defs.toml: ",
            Place::Shell => "run: ",
        };
        write!(f, "{before}{place}{}", mend.statement.replace('\n', " "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINDINGS: &str = include_str!("../docs/findings.md");

    #[test]
    fn each_matter_has_its_row() {
        for matter in Matter::ALL {
            let row = format!("| `{}` |", matter.name());
            assert!(FINDINGS.lines().any(|line| line.starts_with(&row)), "docs/findings.md lacks {}", matter.name());
        }
    }

    #[test]
    fn a_finding_is_one_sentence_with_what_mends_it() {
        let finding = Finding::new(Matter::NewColumns, "new columns do not flow")
            .on(&TableName::new("Sales", "Orders"))
            .mend(Place::Config, "[source]\nenable_cdc = true")
            .mend(Place::Shell, "delsert check");
        assert_eq!(
            finding.to_string(),
            "Sales.Orders: new columns do not flow. To mend it, in con_defs.toml: [source] enable_cdc = true; then run: delsert check"
        );
    }
}
