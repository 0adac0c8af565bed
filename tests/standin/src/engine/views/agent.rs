//! SQL Server Agent's jobs, as `msdb` has them.

use super::{NAME, Sight, View, columns, int, moment, text};
use crate::value::{Column, SqlType, Value};

/// The views of this family.
pub const VIEWS: &[View] = &[
    View { schema: "dbo", name: "sysjobs", columns: job_columns, rows: jobs, lasting: false },
    View { schema: "dbo", name: "sysjobactivity", columns: activity_columns, rows: activities, lasting: false },
    View { schema: "dbo", name: "syssessions", columns: session_columns, rows: sessions, lasting: false },
    View {
        schema: "cdc",
        name: "cdc_jobs",
        columns: super::database::job_columns,
        rows: super::database::jobs,
        lasting: false,
    },
];

/// Type and id of each job of change data capture.
fn own_jobs(sight: &Sight<'_>) -> Vec<(String, Value)> {
    let rows = sight.environment.shared.cdc.jobs(5).map(|jobs| jobs.rows).unwrap_or_default();
    let job = |row: Vec<Value>| match (row.get(1), row.get(2)) {
        (Some(Value::Text(kind)), Some(id)) => Some((kind.clone(), id.clone())),
        _ => None,
    };
    rows.into_iter().filter_map(job).collect()
}

fn job_columns() -> Vec<Column> {
    columns(&[("job_id", SqlType::UniqueIdentifier), ("name", NAME), ("enabled", SqlType::TinyInt)])
}

fn jobs(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let environment = sight.environment;
    let row = |(kind, id): (String, Value)| {
        let name = format!("cdc.{}_{kind}", environment.shared.database);
        let enabled = !environment.catalog.state.outside.disabled_jobs.contains(&name);
        vec![id, text(name), int(i64::from(enabled))]
    };
    own_jobs(sight).into_iter().map(row).collect()
}

fn activity_columns() -> Vec<Column> {
    columns(&[
        ("session_id", SqlType::Int),
        ("job_id", SqlType::UniqueIdentifier),
        ("start_execution_date", SqlType::DateTime),
        ("stop_execution_date", SqlType::DateTime),
    ])
}

/// A job of an earlier session of the Agent is not told to have stopped: that it was running is no sign that it runs.
fn activities(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let shared = &sight.environment.shared;
    let mut rows = Vec::new();
    for (kind, id) in own_jobs(sight) {
        let runs = kind == "capture" && shared.cdc.is_capturing();
        let stop = if runs { Value::Null } else { moment(shared.started) };
        rows.push(vec![int(1), id.clone(), moment(shared.started), Value::Null]);
        rows.push(vec![int(2), id, moment(shared.started), stop]);
    }
    rows
}

fn session_columns() -> Vec<Column> {
    columns(&[("session_id", SqlType::Int), ("agent_start_date", SqlType::DateTime)])
}

fn sessions(sight: &Sight<'_>) -> Vec<Vec<Value>> {
    let started = sight.environment.shared.started;
    vec![vec![int(1), moment(started)], vec![int(2), moment(started)]]
}
