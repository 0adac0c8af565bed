//! Whether a retry may help: one table for all kinds of error, and the exit codes that follow from it.

use std::time::Duration;

use crate::error::{Error, Kind, Result};

/// What a failure asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Usage or configuration: exit 2.
    Usage,
    /// A person is needed: exit 3.
    Person,
    /// Try again: exit 75.
    Retry,
}

impl Disposition {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Person => 3,
            Self::Retry => 75,
        }
    }
}

/// The table: for every kind, what it asks for.
pub fn table(kind: Kind) -> Disposition {
    match kind {
        Kind::Config | Kind::UnknownTable => Disposition::Usage,
        Kind::SourceUnreachable
        | Kind::SourceBusy
        | Kind::CaptureNeverRan
        | Kind::Sentinel
        | Kind::Outdated
        | Kind::Ahead
        | Kind::BucketUnreachable
        | Kind::LedgerUnreadable
        | Kind::TargetUnreachable
        | Kind::TargetBusy => Disposition::Retry,
        Kind::SourceLogin
        | Kind::SourceTls
        | Kind::SourceRights
        | Kind::SourceRefused
        | Kind::Value
        | Kind::CaptureOff
        | Kind::NoInstance
        | Kind::NoKey
        | Kind::Drift
        | Kind::TableGone
        | Kind::Untraced
        | Kind::Gap
        | Kind::Restored
        | Kind::ZeroMinimum
        | Kind::NotOpen
        | Kind::LedgerLost
        | Kind::LedgerGap
        | Kind::TargetBehind
        | Kind::OtherSync
        | Kind::BucketRights
        | Kind::BucketOverwrites
        | Kind::PartDamaged
        | Kind::TargetLogin
        | Kind::TargetTls
        | Kind::TargetRights
        | Kind::TargetShape
        | Kind::TargetRefused
        | Kind::NameClash
        | Kind::Local
        | Kind::Internal => Disposition::Person,
    }
}

/// The exit code for several failures: 75 if a retry may help one of them, else 3, or 2 if all are usage; 0 for none.
pub fn exit_code<'a>(errors: impl IntoIterator<Item = &'a Error>) -> u8 {
    let mut code = 0;
    for error in errors {
        code = match (code, table(error.kind())) {
            (75, _) | (_, Disposition::Retry) => 75,
            (3, _) | (_, Disposition::Person) => 3,
            (_, Disposition::Usage) => 2,
        };
    }
    code
}

/// How often an operation that a server asked to repeat is repeated within one process, and how long between.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(6)];

/// Runs an operation again while it fails in a way that a short wait may mend: the server said so (busy), not that it
/// is gone. What is gone is left to the caller's next run, so that an outage ends the task with 75 and not with a hang.
///
/// # Errors
/// The last failure.
pub async fn while_busy<T, F: Future<Output = Result<T>>>(what: &str, mut operation: impl FnMut() -> F) -> Result<T> {
    let mut pauses = PAUSES.iter();
    loop {
        match operation().await {
            Err(error) if matches!(error.kind(), Kind::SourceBusy | Kind::TargetBusy) => match pauses.next() {
                Some(pause) => {
                    tracing::warn!(%error, pause_ms = pause.as_millis(), "{what} failed, trying again");
                    tokio::time::sleep(*pause).await;
                }
                None => return Err(error),
            },
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_wins_over_a_person_and_a_person_over_usage() {
        let error = Error::new;
        assert_eq!(exit_code([]), 0);
        assert_eq!(exit_code([&error(Kind::Config, "a")]), 2);
        assert_eq!(exit_code([&error(Kind::Config, "a"), &error(Kind::NoKey, "b")]), 3);
        assert_eq!(exit_code([&error(Kind::NoKey, "a"), &error(Kind::Config, "b")]), 3);
        assert_eq!(exit_code([&error(Kind::SourceBusy, "a"), &error(Kind::Gap, "b")]), 75);
        assert_eq!(exit_code([&error(Kind::Gap, "a"), &error(Kind::TargetBusy, "b")]), 75);
    }
}
