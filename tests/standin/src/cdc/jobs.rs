//! The capture and the cleanup job.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::value::{SqlError, SqlType, Value};

use super::Rows;
use super::capture;
use super::instance::column;
use super::state::State;

/// The state and the bell that wakes the capture job.
#[derive(Debug)]
pub struct Shared {
    /// The state.
    pub state: Mutex<State>,
    /// Rung when a job's settings or fate change.
    pub bell: Condvar,
}

/// Settings of the capture job.
#[derive(Debug, Clone, Copy)]
pub struct CaptureJob {
    /// `job_id`.
    pub id: [u8; 16],
    /// Transactions a cycle.
    pub maxtrans: i64,
    /// Cycles a poll.
    pub maxscans: i64,
    /// Whether it goes on after the first poll.
    pub continuous: bool,
    /// Time between polls.
    pub interval: Duration,
}

/// Settings of the cleanup job.
#[derive(Debug, Clone, Copy)]
pub struct CleanupJob {
    /// `job_id`.
    pub id: [u8; 16],
    /// Minutes that changes are kept.
    pub retention: i64,
    /// Rows a delete.
    pub threshold: i64,
}

/// Both jobs of a database.
#[derive(Debug)]
pub struct Jobs {
    /// The capture job, if it exists.
    pub capture: Option<CaptureJob>,
    /// The cleanup job, if it exists.
    pub cleanup: Option<CleanupJob>,
    /// Whether `msdb.dbo.cdc_jobs` is there: the server makes it with the first job.
    pub made: bool,
    interval: Duration,
    running: Option<u64>,
    runs: u64,
}

impl Jobs {
    /// No jobs yet; the capture job will poll in that interval.
    pub fn new(interval: Duration) -> Self {
        Self { capture: None, cleanup: None, made: false, interval, running: None, runs: 0 }
    }

    /// A capture job with default settings.
    pub fn default_capture(&self) -> CaptureJob {
        let id = *uuid::Uuid::new_v4().as_bytes();
        CaptureJob { id, maxtrans: 500, maxscans: 10, continuous: true, interval: self.interval }
    }

    /// A cleanup job with default settings.
    pub fn default_cleanup() -> CleanupJob {
        CleanupJob { id: *uuid::Uuid::new_v4().as_bytes(), retention: 4320, threshold: 5000 }
    }

    /// Whether the capture job runs.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Stops the capture job; whether it ran. The caller rings the bell.
    pub fn stop(&mut self) -> bool {
        self.running.take().is_some()
    }

    /// Stops and removes both jobs.
    pub fn drop_all(&mut self) {
        self.running = None;
        self.capture = None;
        self.cleanup = None;
    }

    /// The rows of `msdb.dbo.cdc_jobs`.
    pub fn rows(&self, database_id: i32) -> Rows {
        let columns = vec![
            column("database_id", SqlType::Int, false),
            column("job_type", SqlType::NVarChar(Some(20)), false),
            column("job_id", SqlType::UniqueIdentifier, true),
            column("maxtrans", SqlType::Int, true),
            column("maxscans", SqlType::Int, true),
            column("continuous", SqlType::Bit, true),
            column("pollinginterval", SqlType::BigInt, true),
            column("retention", SqlType::BigInt, true),
            column("threshold", SqlType::BigInt, true),
        ];
        let mut rows = Vec::new();
        if let Some(job) = self.capture {
            rows.push(vec![
                Value::Int(database_id.into()),
                Value::Text("capture".into()),
                Value::Guid(job.id),
                Value::Int(job.maxtrans),
                Value::Int(job.maxscans),
                Value::Bit(job.continuous),
                Value::Int(i64::try_from(job.interval.as_secs()).unwrap_or(i64::MAX)),
                Value::Int(0),
                Value::Int(0),
            ]);
        }
        if let Some(job) = self.cleanup {
            rows.push(vec![
                Value::Int(database_id.into()),
                Value::Text("cleanup".into()),
                Value::Guid(job.id),
                Value::Int(0),
                Value::Int(0),
                Value::Bit(false),
                Value::Int(0),
                Value::Int(job.retention),
                Value::Int(job.threshold),
            ]);
        }
        Rows { columns, rows }
    }
}

/// A polling interval of zero seconds still leaves the processor to others.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// Starts the capture job on a thread of its own; whether it did not run before. It takes its settings now: a change
/// waits for the next start.
pub fn start_capture(shared: &Arc<Shared>, state: &mut State) -> bool {
    let Some(job) = state.jobs.capture.filter(|_| !state.jobs.is_running()) else { return false };
    state.jobs.runs += 1;
    let run = state.jobs.runs;
    state.jobs.running = Some(run);
    let worker = Arc::clone(shared);
    thread::spawn(move || capture_until_stopped(&worker, run, job));
    true
}

fn capture_until_stopped(shared: &Shared, run: u64, job: CaptureJob) {
    loop {
        for _ in 0..job.maxscans {
            let mut state = shared.state.lock();
            if state.jobs.running != Some(run) {
                return;
            }
            match capture::cycle(&mut state, job.maxtrans) {
                Ok(read) if read < job.maxtrans => break,
                Ok(_) => {}
                // The job ends and stays stopped, as an Agent job does once its retries are used up.
                Err(error) => {
                    tracing::warn!(number = error.number, "the capture job failed");
                    state.jobs.running = None;
                    return;
                }
            }
        }
        let wake = Instant::now() + job.interval.max(SHORTEST_INTERVAL);
        let mut state = shared.state.lock();
        if !job.continuous && state.jobs.running == Some(run) {
            state.jobs.running = None;
        }
        while state.jobs.running == Some(run) && !shared.bell.wait_until(&mut state, wake).timed_out() {}
        if state.jobs.running != Some(run) {
            return;
        }
    }
}

/// One poll of the log, as `sys.sp_cdc_scan` makes it.
///
/// # Errors
/// Capture's error.
pub fn scan(shared: &Shared, maxtrans: i64, maxscans: i64) -> Result<(), SqlError> {
    for _ in 0..maxscans {
        if capture::cycle(&mut shared.state.lock(), maxtrans)? < maxtrans {
            break;
        }
    }
    Ok(())
}
