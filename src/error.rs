//! The one error type: what failed, on which table, why, and what to do next.
//!
//! A [`Kind`] names a way to fail; [`crate::retry`] holds the one table that says, for each, whether a retry may help.
//! Nobody else decides that.

use std::fmt;

use crate::finding::{Mend, Place, write_mends};

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn std::error::Error + Send + Sync>;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident,)+) => {
        /// A way to fail. Each has its row in [`crate::retry::table`], and in `docs/recovery.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $kind,)+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// Its name, as logs, summaries and `docs/recovery.md` have it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($kind),)+
                }
            }
        }
    };
}

kinds! {
    /// The command line or the configuration is wrong.
    Config,
    /// A `--table` or an include pattern names nothing.
    UnknownTable,
    /// The source does not answer.
    SourceUnreachable,
    /// The source refuses the login or the database.
    SourceLogin,
    /// TLS with the source fails.
    SourceTls,
    /// The source's login lacks a right.
    SourceRights,
    /// The source says that trying again helps: deadlock, failover, throttling.
    SourceBusy,
    /// The source refuses a statement.
    SourceRefused,
    /// The source sends a value that cannot be carried.
    Value,
    /// A text equals the batch's NULL sentinel; the attempt starts again with another.
    Sentinel,
    /// Change data capture is off and must be enabled by hand.
    CaptureOff,
    /// The capture job never ran: the maximum position is NULL.
    CaptureNeverRan,
    /// The capture instance is gone or was never made.
    NoInstance,
    /// Both places for capture instances that a table has are taken by such as lack something.
    InstancesTaken,
    /// The table has no key that identifies a row.
    NoKey,
    /// The table's columns or key differ from those of its open generation in a way that is not followed.
    Drift,
    /// What was read of the table's definition is older than its ledger, or the table changed meanwhile.
    Outdated,
    /// The table was synced and is not at the source any more.
    TableGone,
    /// Rows of the table may move without a trace in its history.
    Untraced,
    /// The login would read masked values, or not all rows.
    Hidden,
    /// History was purged before it was read.
    Gap,
    /// The source was restored, or another database answers in its place.
    Restored,
    /// The position asked for lies above what the source has captured so far.
    Ahead,
    /// Minimum position zero: unknown instance or missing right.
    ZeroMinimum,
    /// No generation of the table is open.
    NotOpen,
    /// The ledger is empty but the target holds a watermark.
    LedgerLost,
    /// A batch between watermark and tail is missing, or does not continue the one before.
    LedgerGap,
    /// A batch above the watermark is marked applied: the target was restored or replaced.
    TargetBehind,
    /// Another sync writes this target table.
    OtherSync,
    /// The bucket does not answer, or says to slow down.
    BucketUnreachable,
    /// The bucket refuses: credentials, rights, name.
    BucketRights,
    /// TLS with the bucket fails.
    BucketTls,
    /// The bucket does not honour `If-None-Match`.
    BucketOverwrites,
    /// An object of the ledger cannot be read as what it should be.
    LedgerUnreadable,
    /// A part differs from its manifest.
    PartDamaged,
    /// The target does not answer.
    TargetUnreachable,
    /// The target refuses the login or the database.
    TargetLogin,
    /// TLS with the target fails.
    TargetTls,
    /// The target's login lacks a right.
    TargetRights,
    /// The target says that trying again helps: lock time-out, deadlock, restart, disk full.
    TargetBusy,
    /// Another transaction of the target came between: the whole of ours is to be run again.
    TargetConflict,
    /// The target's tables are not those that `check` makes.
    TargetShape,
    /// The target refuses a statement or a value.
    TargetRefused,
    /// Two source tables fall on one target name.
    NameClash,
    /// A file of this machine cannot be read or written.
    Local,
    /// A task inside this process ended without a result.
    Internal,
}

/// An error: kind, what failed and why, the way out, the table, and the cause beneath.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    advice: String,
    mend: Vec<Mend>,
    table: Option<String>,
    number: Option<u32>,
    tries: u32,
    cause: Option<Cause>,
}

impl Error {
    /// An error that says what failed and why.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            advice: String::new(),
            mend: Vec::new(),
            table: None,
            number: None,
            tries: 0,
            cause: None,
        }))
    }

    /// The same with what to do next, a full sentence.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = advice.into();
        self
    }

    /// The same with a statement, line or command that mends it; called again, by this one after those before.
    #[must_use]
    pub fn mend(mut self, at: Place, statement: impl Into<String>) -> Self {
        self.0.mend.push(Mend { at, statement: statement.into() });
        self
    }

    /// The same on a table, unless one is named already.
    #[must_use]
    pub fn on(mut self, table: impl fmt::Display) -> Self {
        if self.0.table.is_none() {
            self.0.table = Some(table.to_string());
        }
        self
    }

    /// The same with the number by which the end names it.
    #[must_use]
    pub fn numbered(mut self, number: u32) -> Self {
        self.0.number = Some(number);
        self
    }

    /// The same after so many tries in vain: it is not tried again within the task.
    #[must_use]
    pub fn tried(mut self, tries: u32) -> Self {
        self.0.tries = tries;
        self
    }

    /// The same with the error beneath.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same error told once more, without the one beneath.
    #[must_use]
    pub fn again(&self) -> Self {
        let Inner { kind, message, advice, mend, table, number, tries, .. } = &*self.0;
        Self(Box::new(Inner {
            kind: *kind,
            message: message.clone(),
            advice: advice.clone(),
            mend: mend.clone(),
            table: table.clone(),
            number: *number,
            tries: *tries,
            cause: None,
        }))
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The number by which the end names it.
    pub fn number(&self) -> Option<u32> {
        self.0.number
    }

    /// How often it was tried in vain; 0 where trying again was not thought of.
    pub fn tries(&self) -> u32 {
        self.0.tries
    }

    /// What mends it, one thing after the other; none where that is a person's decision.
    pub fn mends(&self) -> &[Mend] {
        &self.0.mend
    }

    /// The error beneath.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }

    /// The table, as the source writes it.
    pub fn table(&self) -> Option<&str> {
        self.0.table.as_deref()
    }
}

/// What stands in an advice for the exact command that copies the error's table anew.
const RESYNC: &str = "'delsert resync' for the table";

/// The command that copies a table anew, as a shell takes it.
fn resync(table: Option<&str>) -> String {
    format!("delsert resync --table {} --yes", shell_word(table.unwrap_or("SCHEMA.NAME")))
}

/// A table's name as a shell takes it.
pub fn shell_word(table: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if table.chars().all(is_plain) {
        table.to_owned()
    } else {
        let escaped = table.chars().flat_map(|letter| {
            let escape = matches!(letter, '"' | '\\' | '$' | '`').then_some('\\');
            escape.into_iter().chain([letter])
        });
        format!("\"{}\"", escaped.collect::<String>())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(table) = &self.0.table {
            write!(f, "{table}: ")?;
        }
        f.write_str(&self.0.message)?;
        if self.0.tries > 1 {
            write!(f, " (tried {} times)", self.0.tries)?;
        }
        let mut cause = self.0.cause.as_deref().map(|cause| cause as &dyn std::error::Error);
        let mut said = self.0.message.clone();
        while let Some(error) = cause {
            let text = error.to_string();
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            cause = error.source();
        }
        if !self.0.advice.is_empty() {
            write!(f, ". {}", self.0.advice.replace(RESYNC, &format!("'{}'", resync(self.table()))))?;
        }
        write_mends(f, &self.0.mend)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TableName;

    #[test]
    fn the_command_that_repairs_is_told_as_a_shell_takes_it() {
        for (schema, name, command) in [
            ("dbo", "Things", "delsert resync --table dbo.Things --yes"),
            ("dbo", "Order Details", "delsert resync --table \"dbo.Order Details\" --yes"),
            ("a.b", "it's", "delsert resync --table \"[a.b].it's\" --yes"),
            ("s", "$x`y\\z\"q", "delsert resync --table \"s.[\\$x\\`y\\\\z\\\"q]\" --yes"),
        ] {
            let error = Error::new(Kind::Gap, "gone").advice("Run 'delsert resync' for the table, soon");
            let error = error.on(TableName::new(schema, name));
            assert!(error.to_string().ends_with(&format!(". Run '{command}', soon")), "{error}");
        }
    }
}
