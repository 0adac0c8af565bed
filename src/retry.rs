//! Whether a retry may help: one table for all kinds of error, and the exit codes that follow from it.

use std::collections::BTreeMap;

use crate::error::{Error, Kind};

/// What was tried again within a task, and how often: by the number of the failure, or `connection` where one was lost.
pub type Retries = BTreeMap<String, u64>;

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
        | Kind::TargetBusy
        | Kind::TargetConflict => Disposition::Retry,
        Kind::SourceLogin
        | Kind::SourceTls
        | Kind::SourceRights
        | Kind::SourceRefused
        | Kind::Value
        | Kind::CaptureOff
        | Kind::NoInstance
        | Kind::InstancesTaken
        | Kind::NoKey
        | Kind::Drift
        | Kind::TableGone
        | Kind::Untraced
        | Kind::Hidden
        | Kind::Gap
        | Kind::Restored
        | Kind::ZeroMinimum
        | Kind::NotOpen
        | Kind::LedgerLost
        | Kind::LedgerGap
        | Kind::TargetBehind
        | Kind::OtherSync
        | Kind::BucketRights
        | Kind::BucketTls
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
