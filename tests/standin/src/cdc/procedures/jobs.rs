//! The procedures that make, change, start and stop the jobs, and the one that scans the log by hand.

use std::time::Duration;

use crate::session::Param;
use crate::value::{Column, SqlError, SqlType, Value};

use super::super::arguments::{Arguments, Parameter, optional, required};
use super::super::instance::column;
use super::super::jobs::{CaptureJob, Jobs, scan as scan_log, start_capture};
use super::super::relations::{COLLATION, name_column};
use super::super::state::State;
use super::super::{Outcome, Rows, cleanup, rights};
use super::{Call, message};

/// Which job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobType {
    Capture,
    Cleanup,
}

impl JobType {
    fn of(args: &Arguments<'_>) -> Result<Self, SqlError> {
        let text = args.text("@job_type")?.unwrap_or_default();
        match text.trim().to_lowercase().as_str() {
            "capture" => Ok(Self::Capture),
            "cleanup" => Ok(Self::Cleanup),
            _ => Err(SqlError::new(
                22992,
                format!(
                    "The specified @job_type, {text}, is not supported. The value specified for the parameter \
                     @job_type must be N'capture' to indicate a capture job, or N'cleanup' to indicate a cleanup job."
                ),
            )),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Cleanup => "cleanup",
        }
    }

    fn exists(self, jobs: &Jobs) -> bool {
        match self {
            Self::Capture => jobs.capture.is_some(),
            Self::Cleanup => jobs.cleanup.is_some(),
        }
    }
}

/// Settings given in a call; `None` leaves a setting as it is.
#[derive(Debug, Default)]
struct Given {
    maxtrans: Option<i64>,
    maxscans: Option<i64>,
    continuous: Option<bool>,
    polling: Option<i64>,
    retention: Option<i64>,
    threshold: Option<i64>,
}

impl Given {
    fn of(args: &Arguments<'_>, job: JobType) -> Result<Self, SqlError> {
        let given = Self {
            maxtrans: args.int("@maxtrans")?,
            maxscans: args.int("@maxscans")?,
            continuous: args.bit("@continuous")?,
            polling: args.int("@pollinginterval")?,
            retention: args.int("@retention")?,
            threshold: args.int("@threshold")?,
        };
        match job {
            JobType::Capture => given.check_capture()?,
            JobType::Cleanup => given.check_cleanup()?,
        }
        Ok(given)
    }

    fn check_capture(&self) -> Result<(), SqlError> {
        if self.retention.is_some() {
            return Err(SqlError::new(
                22995,
                "A value for the parameter @retention cannot be specified when the job type is 'capture'. Specify NULL \
                 for the parameter, or omit the parameter from the statement.",
            ));
        }
        check_scan(self.maxtrans, self.maxscans, self.polling)
    }

    fn check_cleanup(&self) -> Result<(), SqlError> {
        let foreign = [self.maxtrans, self.maxscans, self.polling, self.continuous.map(i64::from)];
        if foreign.iter().any(Option::is_some) {
            return Err(SqlError::new(
                22996,
                "When adding or modifying the CDC cleanup job, @pollinginterval, @maxtrans, @maxscans, and @continuous \
                 may not be assigned non-null values.",
            ));
        }
        if self.retention.is_some_and(|minutes| !(1..=52_594_800).contains(&minutes)) {
            return Err(SqlError::new(
                22994,
                "The retention value specified for the Change Data Capture cleanup process must be greater than 0 and \
                 less than or equal to 52594800. When creating or modifying the cleanup job, specify a retention value \
                 (in minutes) that is within that range. If this error is encountered when executing the \
                 sys.sp_cdc_cleanup_change_table stored procedure, reset the retention value associated with the job \
                 to a non-negative value less than 52594800 by using the sp_cdc_change_job stored procedure.",
            ));
        }
        if self.threshold.is_some_and(|rows| rows <= 0) { Err(bad_threshold()) } else { Ok(()) }
    }

    fn apply(&self, job: JobType, jobs: &mut Jobs) {
        match job {
            JobType::Capture => {
                if let Some(capture) = &mut jobs.capture {
                    self.apply_to(capture);
                }
            }
            JobType::Cleanup => {
                if let Some(cleanup) = &mut jobs.cleanup {
                    cleanup.retention = self.retention.unwrap_or(cleanup.retention);
                    cleanup.threshold = self.threshold.unwrap_or(cleanup.threshold);
                }
            }
        }
    }

    fn apply_to(&self, job: &mut CaptureJob) {
        job.maxtrans = self.maxtrans.unwrap_or(job.maxtrans);
        job.maxscans = self.maxscans.unwrap_or(job.maxscans);
        job.continuous = self.continuous.unwrap_or(job.continuous);
        if let Some(seconds) = self.polling.and_then(|seconds| u64::try_from(seconds).ok()) {
            job.interval = Duration::from_secs(seconds);
        }
    }
}

/// The error for a threshold that deletes nothing.
pub fn bad_threshold() -> SqlError {
    SqlError::new(
        22850,
        "The threshold value specified for the Change Data Capture cleanup process must be greater than 0. When \
         creating or modifying the cleanup job, specify a positive threshold value. If this error is encountered when \
         executing the sys.sp_cdc_cleanup_change_table stored procedure, reset the threshold value associated with the \
         job to a non-negative value by using the sp_cdc_change_job stored procedure.",
    )
}

fn check_scan(maxtrans: Option<i64>, maxscans: Option<i64>, polling: Option<i64>) -> Result<(), SqlError> {
    if polling.is_some_and(|seconds| !(0..86_400).contains(&seconds)) {
        return Err(SqlError::new(
            22990,
            "The value specified for the parameter @pollinginterval must be greater than or equal to 0 and less than \
             24 hours(Max: 86399 seconds). Specify a polling interval (in seconds) that is less than 24 hours (86,400 \
             seconds).",
        ));
    }
    if maxtrans.is_some_and(|count| count <= 0) {
        return Err(SqlError::new(22991, "The value specified for the parameter @maxtrans must be greater than 0."));
    }
    if maxscans.is_some_and(|count| count <= 0) {
        let text =
            "The value for parameter @maxscans specified for the Change Data Capture job must be greater than 0.";
        return Err(SqlError::new(22970, text));
    }
    Ok(())
}

fn require(call: &Call<'_>) -> Result<String, SqlError> {
    let database = call.caller.database();
    call.shared.state.lock().require_enabled(&database)?;
    rights::require_owner(call.caller)?;
    Ok(database)
}

fn require_job(state: &State, job: JobType) -> Result<(), SqlError> {
    if job.exists(&state.jobs) {
        return Ok(());
    }
    Err(SqlError::new(
        22997,
        format!(
            "The Change Data Capture '{}' job does not exist in the system table 'msdb.dbo.cdc_jobs'. Use the stored \
             procedure 'sys.sp_cdc_add_job' to add the Change Data Capture job.",
            job.word()
        ),
    ))
}

/// `sys.sp_cdc_help_jobs`
pub fn help(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    Arguments::bind("sp_cdc_help_jobs", &[], args)?;
    let database = require(call)?;
    let jobs = call.shared.state.lock().jobs.rows(0);
    let mut columns = vec![
        column("job_id", SqlType::UniqueIdentifier, true),
        Column { collation: Some(COLLATION), ..column("job_type", SqlType::NVarChar(Some(20)), false) },
        name_column("job_name", true),
    ];
    columns.extend(jobs.columns.into_iter().skip(3));
    let rows = jobs
        .rows
        .into_iter()
        .map(|row| {
            let mut cells = row.into_iter().skip(1);
            let job_type = cells.next().unwrap_or(Value::Null);
            let id = cells.next().unwrap_or(Value::Null);
            let word = if let Value::Text(word) = &job_type { word.as_str() } else { "" };
            let name = Value::Text(format!("cdc.{database}_{word}"));
            [id, job_type, name].into_iter().chain(cells).collect()
        })
        .collect();
    Ok(Outcome { results: vec![Rows { columns, rows }], ..Outcome::default() })
}

const SETTINGS: [Parameter; 7] = [
    required("@job_type"),
    optional("@maxtrans"),
    optional("@maxscans"),
    optional("@continuous"),
    optional("@pollinginterval"),
    optional("@retention"),
    optional("@threshold"),
];

/// `sys.sp_cdc_add_job`
pub fn add(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    const DECLARED: [Parameter; 8] = [
        required("@job_type"),
        optional("@start_job"),
        optional("@maxtrans"),
        optional("@maxscans"),
        optional("@continuous"),
        optional("@pollinginterval"),
        optional("@retention"),
        optional("@threshold"),
    ];
    let args = Arguments::bind("sp_cdc_add_job", &DECLARED, args)?;
    let database = require(call)?;
    let job = JobType::of(&args)?;
    let given = Given::of(&args, job)?;
    let start = args.bit("@start_job")?.unwrap_or(true);
    let mut state = call.shared.state.lock();
    if job.exists(&state.jobs) {
        let text = format!("The specified @job_name ('cdc.{database}_{}') already exists.", job.word());
        return Err(SqlError::new(14261, text));
    }
    state.jobs.made = true;
    match job {
        JobType::Capture => state.jobs.capture = Some(state.jobs.default_capture()),
        JobType::Cleanup => state.jobs.cleanup = Some(Jobs::default_cleanup()),
    }
    given.apply(job, &mut state.jobs);
    let mut outcome = Outcome::default();
    if start && job == JobType::Capture && start_capture(call.shared, &mut state) {
        outcome.messages.push(started(&database, job));
    }
    Ok(outcome)
}

/// `sys.sp_cdc_change_job`; a running job goes on as it was until its next start.
pub fn change(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    const DECLARED: [Parameter; 7] = SETTINGS;
    let args = Arguments::bind("sp_cdc_change_job", &DECLARED, args)?;
    require(call)?;
    let job = JobType::of(&args)?;
    let given = Given::of(&args, job)?;
    let mut state = call.shared.state.lock();
    require_job(&state, job)?;
    given.apply(job, &mut state.jobs);
    Ok(Outcome::default())
}

/// `sys.sp_cdc_drop_job`
pub fn drop(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    let args = Arguments::bind("sp_cdc_drop_job", const { &[required("@job_type")] }, args)?;
    require(call)?;
    let job = JobType::of(&args)?;
    let mut state = call.shared.state.lock();
    require_job(&state, job)?;
    match job {
        JobType::Capture => {
            state.jobs.stop();
            state.jobs.capture = None;
            call.shared.bell.notify_all();
        }
        JobType::Cleanup => state.jobs.cleanup = None,
    }
    Ok(Outcome::default())
}

fn started(database: &str, job: JobType) -> SqlError {
    message(14243, 0, format!("Job 'cdc.{database}_{}' started successfully.", job.word()))
}

fn refused_by_agent(request: &str, database: &str, job: JobType, reason: &str) -> SqlError {
    let name = format!("cdc.{database}_{}", job.word());
    SqlError::new(
        22022,
        format!("SQLServerAgent Error: Request to {request} job {name} (from User sa) refused because {reason}."),
    )
}

/// `sys.sp_cdc_start_job`: the capture job runs on, the cleanup job runs once.
pub fn start(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    let args = Arguments::bind("sp_cdc_start_job", const { &[optional("@job_type")] }, args)?;
    let database = require(call)?;
    let job = if args.text("@job_type")?.is_none() { JobType::Capture } else { JobType::of(&args)? };
    let mut state = call.shared.state.lock();
    require_job(&state, job)?;
    match job {
        JobType::Capture => {
            if !start_capture(call.shared, &mut state) {
                let reason = "the job is already running from a request by User sa";
                return Err(refused_by_agent("run", &database, job, reason));
            }
        }
        JobType::Cleanup => {
            let retention = state.jobs.cleanup.map_or(4320, |job| job.retention);
            cleanup::run(&mut state, retention);
        }
    }
    Ok(Outcome { messages: vec![started(&database, job)], ..Outcome::default() })
}

/// `sys.sp_cdc_stop_job`
pub fn stop(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    let args = Arguments::bind("sp_cdc_stop_job", const { &[optional("@job_type")] }, args)?;
    let database = require(call)?;
    let job = if args.text("@job_type")?.is_none() { JobType::Capture } else { JobType::of(&args)? };
    let mut state = call.shared.state.lock();
    require_job(&state, job)?;
    // A cleanup run is over before anybody could stop it.
    if job == JobType::Cleanup || !state.jobs.stop() {
        return Err(refused_by_agent("stop", &database, job, "the job is not currently running"));
    }
    call.shared.bell.notify_all();
    let text = format!("Job 'cdc.{database}_{}' stopped successfully.", job.word());
    Ok(Outcome { messages: vec![message(14254, 0, text)], ..Outcome::default() })
}

/// `sys.sp_cdc_scan`: one poll of the log. It fits in between two polls of a running job, as it does on the server.
pub fn scan(call: &Call<'_>, args: &[Param]) -> Result<Outcome, SqlError> {
    const DECLARED: [Parameter; 4] =
        [optional("@maxtrans"), optional("@maxscans"), optional("@continuous"), optional("@pollinginterval")];
    let args = Arguments::bind("sp_cdc_scan", &DECLARED, args)?;
    require(call)?;
    let maxtrans = args.int("@maxtrans")?;
    let maxscans = args.int("@maxscans")?;
    let continuous = args.bit("@continuous")?.unwrap_or(false);
    let polling = args.int("@pollinginterval")?;
    check_scan(maxtrans, maxscans, polling)?;
    if !continuous && polling.unwrap_or(0) != 0 {
        return Err(SqlError::new(
            22999,
            "The value specified for the parameter @pollinginterval must be null or 0 when the stored procedure \
             'sys.sp_cdc_scan' is not being run in continuous mode.",
        ));
    }
    scan_log(call.shared, maxtrans.unwrap_or(500), maxscans.unwrap_or(10))?;
    Ok(Outcome::default())
}
