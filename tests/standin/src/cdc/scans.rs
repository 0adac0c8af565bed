//! What log scans report: `sys.dm_cdc_log_scan_sessions` and `sys.dm_cdc_errors`.

use std::collections::VecDeque;

use crate::value::{SqlError, SqlType, Value};

use super::Rows;
use super::clock::{self, Moment};
use super::instance::column;
use super::lsn::{self, Lsn};

/// Sessions that the server remembers.
const REMEMBERED: usize = 32;

/// A scan that read something or failed.
#[derive(Debug)]
struct Scan {
    session: i64,
    start: Moment,
    end: Moment,
    first: Lsn,
    last: Lsn,
    transactions: i64,
    commands: i64,
    error: Option<SqlError>,
}

/// What one cycle did.
#[derive(Debug, Default)]
pub struct Progress {
    /// Commit LSN of the first and the last transaction read.
    pub range: Option<(Lsn, Lsn)>,
    /// Transactions read.
    pub transactions: i64,
    /// Rows written.
    pub commands: i64,
    /// Why it stopped early.
    pub error: Option<SqlError>,
}

/// The scans of the log so far.
#[derive(Debug, Default)]
pub struct Scans {
    newest: i64,
    recent: VecDeque<Scan>,
}

impl Scans {
    /// Remembers a scan; one that found nothing leaves no trace.
    pub fn remember(&mut self, start: Moment, end: Moment, progress: &Progress) {
        if progress.transactions == 0 && progress.error.is_none() {
            return;
        }
        self.newest += 1;
        let (first, last) = progress.range.unwrap_or_default();
        self.recent.push_front(Scan {
            session: self.newest,
            start,
            end,
            first,
            last,
            transactions: progress.transactions,
            commands: progress.commands,
            error: progress.error.clone(),
        });
        self.recent.truncate(REMEMBERED);
    }

    /// `sys.dm_cdc_log_scan_sessions`, session 0 being the sum.
    pub fn sessions(&self) -> Rows {
        let columns = vec![
            column("session_id", SqlType::Int, false),
            column("start_time", SqlType::DateTime, false),
            column("end_time", SqlType::DateTime, true),
            column("duration", SqlType::BigInt, false),
            column("scan_phase", SqlType::NVarChar(Some(200)), false),
            column("error_count", SqlType::Int, false),
            column("start_lsn", SqlType::NVarChar(Some(23)), false),
            column("end_lsn", SqlType::NVarChar(Some(23)), false),
            column("tran_count", SqlType::BigInt, false),
            column("command_count", SqlType::BigInt, false),
            column("latency", SqlType::Int, false),
        ];
        let row = |session: i64, scan: &Scan, transactions: i64, commands: i64, errors: i64| {
            let phase = if scan.error.is_some() { "Aborted" } else { "Done" };
            vec![
                Value::Int(session),
                clock::value(scan.start),
                clock::value(scan.end),
                Value::Int(i64::try_from(clock::elapsed(scan.start, scan.end).as_secs()).unwrap_or(0)),
                Value::Text(phase.into()),
                Value::Int(errors),
                Value::Text(lsn_text(scan.first)),
                Value::Text(lsn_text(scan.last)),
                Value::Int(transactions),
                Value::Int(commands),
                Value::Int(0),
            ]
        };
        let mut rows = Vec::new();
        if let Some(newest) = self.recent.front() {
            let sum = |of: fn(&Scan) -> i64| self.recent.iter().map(of).sum();
            let errors = sum(|scan| i64::from(scan.error.is_some()));
            rows.push(row(0, newest, sum(|scan| scan.transactions), sum(|scan| scan.commands), errors));
        }
        rows.extend(
            self.recent
                .iter()
                .map(|scan| row(scan.session, scan, scan.transactions, scan.commands, i64::from(scan.error.is_some()))),
        );
        Rows { columns, rows }
    }

    /// `sys.dm_cdc_errors`.
    pub fn errors(&self) -> Rows {
        let columns = vec![
            column("session_id", SqlType::Int, false),
            column("phase_number", SqlType::Int, false),
            column("entry_time", SqlType::DateTime, false),
            column("error_number", SqlType::Int, false),
            column("error_severity", SqlType::Int, false),
            column("error_state", SqlType::Int, false),
            column("error_message", SqlType::NVarChar(Some(1024)), false),
            column("start_lsn", SqlType::NVarChar(Some(23)), false),
            column("begin_lsn", SqlType::NVarChar(Some(23)), false),
            column("sequence_value", SqlType::NVarChar(Some(23)), false),
        ];
        let rows = self
            .recent
            .iter()
            .filter_map(|scan| Some((scan, scan.error.as_ref()?)))
            .map(|(scan, error)| {
                vec![
                    Value::Int(scan.session),
                    Value::Int(7),
                    clock::value(scan.end),
                    Value::Int(i64::from(error.number)),
                    Value::Int(i64::from(error.severity)),
                    Value::Int(i64::from(error.state)),
                    Value::Text(error.message.clone()),
                    Value::Text(lsn_text(scan.first)),
                    Value::Text(lsn_text(scan.last)),
                    Value::Text(lsn_text(lsn::ZERO)),
                ]
            })
            .collect();
        Rows { columns, rows }
    }
}

/// The text form with colons: `xxxxxxxx:xxxxxxxx:xxxx`.
fn lsn_text(lsn: Lsn) -> String {
    let digits = lsn::text(&lsn).to_lowercase();
    format!("{}:{}:{}", &digits[2..10], &digits[10..18], &digits[18..])
}
