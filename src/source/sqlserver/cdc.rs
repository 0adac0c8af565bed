//! Change data capture: enabling, how far history reaches, the changes of a window, purging.
//!
//! Changes are netted here and not by the generated net function, which stays silent about a row inserted and deleted
//! inside the window: right only if the target equals the source just before it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use tiberius::ColumnData;

use super::catalog::instance_name;
use super::client::{Client, Parameter, bytes, integer, text};
use super::decode::{datetime_text, push};
use super::describe::{Database, Platform};
use super::{rights, sql, types};
use crate::error::{Error, Kind, Result};
use crate::finding::Place;
use crate::manifest::CommitTime;
use crate::position::Position;
use crate::row::{Operation, RowSink};
use crate::source::{Answer, Bounds, Capture, Committed, Owner, Question, SourceTable, Tracked};
use crate::table::{ColumnType, Table, TableName};

/// Questions in one statement: each is a subquery or two, and a server compiles them all.
const QUESTIONS_AT_ONCE: usize = 250;

/// The number of a purge's deadlock with the capture job.
const PURGE_DEADLOCK: u32 = 22852;

/// Positions in one statement.
const POSITIONS_AT_ONCE: usize = 1000;

/// Enables the database. One that another has enabled meanwhile is no error.
pub async fn enable_database(client: &mut Client, database: &Database) -> Result<()> {
    let statement = enabling_database(database);
    match client.batch(&statement).await {
        Err(error) if error.number() == Some(22905) => Ok(()),
        Err(error) if is_denied(&error) => {
            Err(Error::new(Kind::SourceRights, "change data capture cannot be enabled for the database")
                .because(error)
                .advice(format!("Let {}, or give such a login in [source.admin]", how_to_enable(database)))
                .mend(Place::Source, statement))
        }
        other => other.map(drop),
    }
}

/// Who may enable a database, and by what.
pub fn how_to_enable(database: &Database) -> String {
    let who = match database.platform {
        Platform::Server | Platform::ManagedInstance => "a sysadmin",
        Platform::Rds => "the master user, or a login that may execute it,",
        Platform::AzureDatabase => "a db_owner",
    };
    format!("{who} run {} there", enabling_database(database))
}

/// The statement that enables a database.
pub fn enabling_database(database: &Database) -> String {
    match database.platform {
        Platform::Rds => sql::enable_rds_database(&database.name),
        _ => sql::ENABLE_DATABASE.to_owned(),
    }
}

/// Whether a refusal to enable is one of rights; any other says itself what is wrong.
fn is_denied(error: &Error) -> bool {
    matches!(error.number(), Some(22902 | 22904 | 229 | 15247))
}

/// The statement that makes the sync's instance for a table.
pub fn enabling(owner: &Owner, found: &SourceTable, table: &Table) -> String {
    // Naming columns keeps those that do not flow out of the change table.
    let columns = found.partial.then(|| table.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>());
    let instance = instance_name(owner, table, &found.incarnation);
    let TableName { schema, name } = &table.name;
    sql::enable_table(schema, name, &instance, columns.as_deref(), found.key_index.as_deref())
}

/// Makes the sync's instance for a table. One of that name is ours, made by a rival.
pub async fn enable_table(client: &mut Client, owner: &Owner, found: &SourceTable, table: &Table) -> Result<()> {
    let statement = enabling(owner, found, table);
    match bounded(client, &statement).await {
        Err(error) if matches!(error.number(), Some(22926 | 2714)) => Ok(()),
        Err(error) if is_denied(&error) => {
            Err(Error::new(Kind::SourceRights, "change data capture cannot be enabled for the table").because(error).advice(format!(
                "Let whoever may grant it: {}; or give such a login in [source.admin]; or let such a login enable the table, and set source.enable_cdc = false",
                rights::owner(&client.who().await.user)
            )).mend(Place::Source, statement))
        }
        Err(error) if error.number() == Some(22962) => Err(taken(found, error)),
        other => other,
    }
}

/// Both places that a table has for instances are taken.
fn taken(found: &SourceTable, refusal: Error) -> Error {
    let names: Vec<_> = found.captures.iter().map(|capture| format!("'{}'", capture.instance.name)).collect();
    let message = format!(
        "neither of its two capture instances, {}, has all columns and the key, and a table can have only two",
        names.join(" and ")
    );
    let error = Error::new(Kind::InstancesTaken, message).because(refusal).advice(
        "Drop one that nobody reads any more with sys.sp_cdc_disable_table, or name the columns they lack in exclude_columns",
    );
    // Ours come last, and are dropped by check itself.
    match found.captures.first() {
        Some(capture) => {
            let name = &found.table.name;
            error.mend(Place::Source, sql::disable_table(&name.schema, &name.name, &capture.instance.name))
        }
        None => error,
    }
}

/// Runs what needs a table for itself: whoever waits for that makes everybody else wait behind it, so not for long.
async fn bounded(client: &mut Client, statement: &str) -> Result<()> {
    client.batch(sql::BOUND_LOCKS).await?;
    let ran = client.batch(statement).await;
    let unbound = client.batch(sql::UNBOUND_LOCKS).await;
    ran.and(unbound).map(drop)
}

/// Drops an instance. One that another has dropped meanwhile is no error.
pub async fn disable_table(client: &mut Client, table: &TableName, instance: &str) -> Result<()> {
    let statement = sql::disable_table(&table.schema, &table.name, instance);
    match bounded(client, &statement).await {
        Err(error) if matches!(error.number(), Some(22960 | 22985)) => Ok(()),
        other => other,
    }
}

/// The end of a window that begins at `from`, ends at `to` at the latest, and spans no more time than `span`, counted
/// from its first change.
pub async fn reach(
    client: &mut Client,
    instance: &str,
    from: &Position,
    to: &Position,
    span: Duration,
) -> Result<Position> {
    let parameters = vec![
        Parameter::Bytes(from.as_bytes().to_vec()),
        Parameter::Bytes(to.as_bytes().to_vec()),
        // Seconds are added as an int.
        Parameter::Integer(i32::try_from(span.as_secs()).unwrap_or(i32::MAX).into()),
    ];
    let rows = client.query(&sql::reach(instance), parameters).await?;
    // NULL: nothing changed up to the end.
    Ok(rows.first().and_then(|row| bytes(row, 0)).map_or_else(|| to.clone(), Position::new))
}

/// The first commit known at or after a position.
pub async fn commit_from(client: &mut Client, at: &Position) -> Result<Option<Position>> {
    commit(client, sql::COMMIT_FROM, at).await
}

/// The last commit known at or before a position.
pub async fn commit_until(client: &mut Client, at: &Position) -> Result<Option<Position>> {
    commit(client, sql::COMMIT_UNTIL, at).await
}

async fn commit(client: &mut Client, statement: &str, at: &Position) -> Result<Option<Position>> {
    let rows = client.query(statement, vec![Parameter::Bytes(at.as_bytes().to_vec())]).await?;
    Ok(rows.first().and_then(|row| bytes(row, 0)).map(Position::new))
}

/// The last position captured; a capture job that was just made is waited for.
pub async fn maximum(client: &mut Client, platform: Platform) -> Result<Position> {
    let deadline = tokio::time::Instant::now() + platform.patience();
    loop {
        let rows = client.batch(sql::MAXIMUM).await?;
        if let Some(maximum) = rows.first().and_then(|row| bytes(row, 0)) {
            return Ok(Position::new(maximum));
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(never_ran(platform));
        }
        tokio::time::sleep(super::CAPTURE_LOOK).await;
    }
}

/// The maximum is NULL.
fn never_ran(platform: Platform) -> Error {
    let what = "the capture job never ran: sys.fn_cdc_get_max_lsn() is NULL";
    let advice = if platform.has_jobs() {
        "Start SQL Server Agent, then EXEC sys.sp_cdc_start_job; EXEC sys.sp_cdc_help_jobs shows whether the job is there"
    } else {
        "Azure's scheduler captures every 20 seconds, but not while the database is paused: try again, and look in sys.dm_cdc_errors"
    };
    Error::new(Kind::CaptureNeverRan, what).advice(advice)
}

/// Maximum, minimum, and the commit time at a position, in one statement.
pub async fn bounds(client: &mut Client, platform: Platform, tracked: Tracked<'_>, at: &Position) -> Result<Bounds> {
    let instance = &tracked.capture.instance.name;
    let parameters = vec![Parameter::Text(instance.clone()), Parameter::Bytes(at.as_bytes().to_vec())];
    let rows = client.query(sql::BOUNDS, parameters).await?;
    let row = rows
        .first()
        .ok_or_else(|| Error::new(Kind::SourceRefused, "the source does not tell how far its history reaches"))?;
    // NULL: the capture job has not yet come to a new instance, whose start the catalogue tells. Zero: unknown, or denied.
    let minimum = bytes(row, 1).map_or_else(|| tracked.capture.start.clone(), Position::new);
    if minimum.is_zero() {
        let user = client.who().await.user;
        let message = format!("the source gives no minimum LSN for capture instance '{instance}'");
        return Err(Error::new(Kind::ZeroMinimum, message).advice(format!(
            "It was dropped, or the login may not read it: grant SELECT on all captured columns ({}) and membership in the instance's gating role (ALTER ROLE … ADD MEMBER {}), or run 'delsert check'",
            rights::table(&user, &tracked.table.name),
            sql::name(&user)
        )));
    }
    let utc_offset = round_to_quarter(integer(row, 3));
    let committed = datetime_text(row, 2).and_then(|source| commit_time(source, utc_offset));
    Ok(Bounds {
        maximum: bytes(row, 0).map(Position::new).ok_or_else(|| never_ran(platform))?,
        minimum,
        committed,
        minimum_committed: datetime_text(row, 4),
    })
}

/// Offsets of zones are whole quarters of an hour; the two clocks were read a moment apart.
fn round_to_quarter(seconds: i64) -> i64 {
    (seconds + 450).div_euclid(900) * 900
}

fn commit_time(source: String, utc_offset: i64) -> Option<CommitTime> {
    let local = NaiveDateTime::parse_from_str(&source, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
    let utc: DateTime<Utc> = (local - chrono::TimeDelta::seconds(utc_offset)).and_utc();
    Some(CommitTime { source, utc })
}

/// When the transactions at these positions committed.
pub async fn commit_times(client: &mut Client, positions: &[Position]) -> Result<BTreeMap<Position, Committed>> {
    let mut times = BTreeMap::new();
    for some in positions.chunks(POSITIONS_AT_ONCE) {
        for row in client.batch(&sql::commit_times(some)).await? {
            let utc_offset = round_to_quarter(integer(&row, 3));
            let time = datetime_text(&row, 1).and_then(|source| commit_time(source, utc_offset));
            if let (Some(position), Some(time), Some(first)) = (bytes(&row, 0), time, bytes(&row, 2)) {
                times.insert(Position::new(position), Committed { time, first: Position::new(first) });
            }
        }
    }
    Ok(times)
}

/// The lowest position from which each instance still has all changes, by its name.
pub async fn minimums(client: &mut Client) -> Result<BTreeMap<String, Position>> {
    let rows = client.batch(sql::MINIMUMS).await?;
    Ok(rows.iter().filter_map(|row| Some((text(row, 0), Position::new(bytes(row, 1)?)))).collect())
}

/// What each question asks.
pub async fn changed(client: &mut Client, questions: &[Question<'_>]) -> Result<Vec<Answer>> {
    let mut answers = Vec::with_capacity(questions.len());
    for some in questions.chunks(QUESTIONS_AT_ONCE) {
        let rows = client.batch(&sql::changed(some)).await?;
        let row =
            rows.first().ok_or_else(|| Error::new(Kind::SourceRefused, "the source does not tell what changed"))?;
        let answer = |at| Answer { changed: integer(row, at) & 1 != 0, purgeable: integer(row, at) & 2 != 0 };
        answers.extend((0..some.len()).map(answer));
    }
    Ok(answers)
}

/// Pushes the last change of each key in `(from, to]`.
pub async fn changes<S: RowSink>(
    client: &mut Client,
    tracked: Tracked<'_>,
    from: &Position,
    to: &Position,
    sink: &mut S,
) -> Result<()> {
    let table = tracked.table;
    let key = table.key_indexes();
    let is_key: Vec<_> = (0..table.columns.len()).map(|at| key.contains(&at)).collect();
    let mut request = sql::Changes {
        instance: &tracked.capture.instance.name,
        columns: table.columns.iter().map(|column| (column.name.clone(), types::reading_history(column))).collect(),
        identity: key.iter().map(|at| identity(&table.columns[*at])).collect(),
        command_id: true,
    };
    loop {
        let statement = sql::changes(&request);
        let window = vec![Parameter::Bytes(from.as_bytes().to_vec()), Parameter::Bytes(to.as_bytes().to_vec())];
        let pushed = async {
            let mut rows = client.stream(&statement, window).await?;
            while let Some(row) = rows.next().await? {
                if push(&row, 1, operation(&row)?, &table.columns, &is_key, sink)? {
                    sink.drain().await?;
                }
            }
            Ok::<_, Error>(())
        };
        match pushed.await {
            // Builds from before 2012 have no such column; nothing was pushed yet.
            Err(error) if error.number() == Some(207) && request.command_id => request.command_id = false,
            Err(error) if error.number() == Some(208) => {
                let message = format!("capture instance '{}' is gone", request.instance);
                return Err(Error::new(Kind::NoInstance, message).because(error).advice(
                    "Run 'delsert check', which makes one; what happened in between is lost, so 'delsert resync' for the table follows",
                ));
            }
            Err(error) => return Err(rights::reading(client, error, rights::history).await),
            Ok(()) => return Ok(()),
        }
    }
}

/// What identifies a row exactly as its key is spelled: under a collation, `abc` and `ABC ` may be one, and bytes are
/// compared without regard to zeros at their end.
fn identity(column: &crate::table::Column) -> String {
    let name = format!("t.{}", sql::name(&column.name));
    match column.column_type {
        ColumnType::Text { .. } | ColumnType::Binary { .. } => {
            format!("CAST({name} AS varbinary(1800)), DATALENGTH({name})")
        }
        _ => name,
    }
}

fn operation(row: &tiberius::Row) -> Result<Operation> {
    match row.get_column_data(0) {
        Ok(ColumnData::I32(Some(1 | 3))) => Ok(Operation::Delete),
        Ok(ColumnData::I32(Some(2 | 4))) => Ok(Operation::Upsert),
        other => Err(Error::new(Kind::SourceRefused, format!("a change has the operation {other:?}, expected 1 to 4"))),
    }
}

/// Purges an instance up to a position, in one statement, and gives whether there was a mark to purge to. A mark that
/// another has passed meanwhile is no error.
pub async fn purge(client: &mut Client, tracked: Tracked<'_>, up_to: &Position) -> Result<bool> {
    let Capture { instance, start, .. } = tracked.capture;
    let purged = match client.batch(&sql::purge(&instance.name, start, up_to, true)).await {
        // 8145, 8144: a build whose procedure has no failure flag.
        Err(error) if matches!(error.number(), Some(8144 | 8145)) => {
            client.batch(&sql::purge(&instance.name, start, up_to, false)).await
        }
        other => other,
    };
    let rows = match purged {
        Err(error) if matches!(error.number(), Some(22957 | 22964)) => return Ok(false),
        Err(error) => return Err(rights::purging(error, &client.who().await.user)),
        Ok(rows) => rows,
    };
    if rows.first().is_some_and(|row| integer(row, 0) != 0) {
        // What the procedure tells at a severity that is no error.
        let message = format!("purging '{}' met the capture job", instance.name);
        let error = Error::new(Kind::SourceBusy, message).advice("The next run purges what is left");
        return Err(error.numbered(PURGE_DEADLOCK));
    }
    Ok(rows.first().is_some_and(|row| integer(row, 1) != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_times_are_told_in_utc_by_whole_quarters() {
        assert_eq!(round_to_quarter(7199), 7200);
        assert_eq!(round_to_quarter(-12_601), -12_600);
        assert_eq!(round_to_quarter(20_700), 20_700);
        let time = commit_time("2026-11-20T01:00:00.003".to_owned(), 7200).unwrap();
        assert_eq!(time.utc.to_rfc3339(), "2026-11-19T23:00:00.003+00:00");
    }
}
