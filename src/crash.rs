//! Crash points: after each durable step a test build can die, freeze, or lose the answer to what it just did.
//!
//! They exist only with the feature `crash-points`, which is for tests; without it [`after`] is empty. With it, the
//! `fail` crate's variable `FAILPOINTS` arms them by the names in `Step::name`: `part-put=1*return(die)` kills the
//! process by SIGKILL after the first part, `2*off->1*return(freeze)` stops it by SIGSTOP after the third and lets it go
//! on when it is continued, `1*return(lose)` goes on as if the answer had never come.

/// A step whose effect outlives the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The bucket was created.
    BucketCreated,
    /// The object that proves create-only writes was written.
    ProbeWritten,
    /// The source's database captures changes.
    DatabaseEnabled,
    /// A capture instance was made.
    InstanceMade,
    /// A capture instance that another has replaced was dropped.
    InstanceDropped,
    /// The target's schemas were made and committed.
    SchemasCommitted,
    /// The target's tables were made, not yet committed.
    TablesMade,
    /// The target's tables were committed.
    TablesCommitted,
    /// A generation was opened.
    GenerationOpened,
    /// A multipart upload was begun.
    UploadBegun,
    /// A piece of a part was sent.
    PieceSent,
    /// A multipart upload was completed.
    UploadCompleted,
    /// A part was written in one piece.
    PartPut,
    /// All parts of a batch are verified in the bucket; its manifest is not yet written.
    PartsVerified,
    /// A manifest was written.
    ManifestWritten,
    /// History was purged at the source.
    HistoryPurged,
    /// The table's own lock in the target is held.
    Locked,
    /// A part was copied into staging.
    PartCopied,
    /// What the batch replaces was deleted.
    KeysDeleted,
    /// What the batch upserts was inserted.
    RowsInserted,
    /// The watermark was moved, not yet committed.
    WatermarkMoved,
    /// The load's transaction was committed.
    Committed,
    /// A batch was marked applied.
    AppliedMarked,
    /// An object was removed from the bucket.
    ObjectRemoved,
    /// An unfinished upload was aborted.
    UploadAborted,
}

/// Nothing.
///
/// # Errors
/// None.
#[cfg(not(feature = "crash-points"))]
#[inline]
pub fn after(_: Step) -> crate::error::Result<()> {
    Ok(())
}

#[cfg(feature = "crash-points")]
pub use armed::{Armed, after, arm};

#[cfg(feature = "crash-points")]
mod armed {
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    use super::Step;
    use crate::error::{Error, Kind, Result};

    /// The crash points as `FAILPOINTS` sets them; disarmed when dropped.
    pub type Armed = fail::FailScenario<'static>;

    /// Arms the crash points that `FAILPOINTS` names.
    ///
    /// # Errors
    /// [`Kind::Config`] for a name that no step has.
    pub fn arm() -> Result<Armed> {
        let armed = Armed::setup();
        let unknown = fail::list().into_iter().find(|(name, _)| Step::ALL.iter().all(|step| step.name() != name));
        match unknown {
            None => Ok(armed),
            Some((name, _)) => Err(Error::new(Kind::Config, format!("FAILPOINTS: there is no crash point '{name}'"))),
        }
    }

    /// Dies, freezes, or gives the error of a lost answer, if the point was armed so.
    ///
    /// # Errors
    /// As if the answer had been lost.
    pub fn after(step: Step) -> Result<()> {
        fail::fail_point!(step.name(), |how| match how.as_deref() {
            Some("die") => signal(Signal::KILL),
            Some("freeze") => signal(Signal::STOP),
            _ =>
                Err(Error::new(step.lost(), format!("the answer after '{}' was lost", step.name())).advice("Try again")),
        });
        Ok(())
    }

    fn signal(signal: Signal) -> Result<()> {
        let sent = kill_process(getpid(), signal);
        sent.map_err(|error| Error::new(Kind::Internal, "cannot signal itself").because(error))?;
        // Another thread may take the signal, and on a busy machine late: this one must not go on before all stand still.
        std::thread::sleep(Duration::from_millis(500));
        Ok(())
    }

    impl Step {
        /// All of them, in the order of a sync's life.
        pub const ALL: [Self; 25] = [
            Self::BucketCreated,
            Self::ProbeWritten,
            Self::DatabaseEnabled,
            Self::InstanceMade,
            Self::InstanceDropped,
            Self::SchemasCommitted,
            Self::TablesMade,
            Self::TablesCommitted,
            Self::GenerationOpened,
            Self::UploadBegun,
            Self::PieceSent,
            Self::UploadCompleted,
            Self::PartPut,
            Self::PartsVerified,
            Self::ManifestWritten,
            Self::HistoryPurged,
            Self::Locked,
            Self::PartCopied,
            Self::KeysDeleted,
            Self::RowsInserted,
            Self::WatermarkMoved,
            Self::Committed,
            Self::AppliedMarked,
            Self::ObjectRemoved,
            Self::UploadAborted,
        ];

        /// Its name in `FAILPOINTS`.
        pub fn name(self) -> &'static str {
            match self {
                Self::BucketCreated => "bucket-created",
                Self::ProbeWritten => "probe-written",
                Self::DatabaseEnabled => "database-enabled",
                Self::InstanceMade => "instance-made",
                Self::InstanceDropped => "instance-dropped",
                Self::SchemasCommitted => "schemas-committed",
                Self::TablesMade => "tables-made",
                Self::TablesCommitted => "tables-committed",
                Self::GenerationOpened => "generation-opened",
                Self::UploadBegun => "upload-begun",
                Self::PieceSent => "piece-sent",
                Self::UploadCompleted => "upload-completed",
                Self::PartPut => "part-put",
                Self::PartsVerified => "parts-verified",
                Self::ManifestWritten => "manifest-written",
                Self::HistoryPurged => "history-purged",
                Self::Locked => "table-locked",
                Self::PartCopied => "part-copied",
                Self::KeysDeleted => "keys-deleted",
                Self::RowsInserted => "rows-inserted",
                Self::WatermarkMoved => "watermark-moved",
                Self::Committed => "load-committed",
                Self::AppliedMarked => "applied-marked",
                Self::ObjectRemoved => "object-removed",
                Self::UploadAborted => "upload-aborted",
            }
        }

        /// The kind of error that a lost answer is.
        fn lost(self) -> Kind {
            match self {
                Self::DatabaseEnabled | Self::InstanceMade | Self::InstanceDropped | Self::HistoryPurged => {
                    Kind::SourceUnreachable
                }
                Self::SchemasCommitted
                | Self::TablesMade
                | Self::TablesCommitted
                | Self::Locked
                | Self::PartCopied
                | Self::KeysDeleted
                | Self::RowsInserted
                | Self::WatermarkMoved
                | Self::Committed => Kind::TargetUnreachable,
                _ => Kind::BucketUnreachable,
            }
        }
    }
}
