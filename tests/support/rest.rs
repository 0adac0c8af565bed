//! Whether a system is at rest: nothing under way, nothing left behind, and the target equal to the source.
//!
//! Shares no code with `delsert`: the bucket is read as keys and JSON, source and target by SQL. It is to be asked when
//! nobody writes at the source, the capture job has all, and no task runs.
//!
//! | module | is |
//! |---|---|
//! | [`rows`] | the rows at both ends, compared as text |
//! | [`ledger`] | what the bucket holds of a table, against its watermark |

mod ledger;
mod rows;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio_postgres::Client;

use super::bucket::Bucket;
use super::ground::{PREFIX, SYNC};
use super::source::Sql;

/// How long sessions of tasks that were killed may take to be gone: the server looks every ten seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// A table's watermark, as the target holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Watermark {
    generation: u64,
    sequence: u64,
    position: String,
    attempt: String,
}

/// Fails, with all its faults, unless the system is at rest. Sessions that the server has yet to end are waited for.
pub async fn expect_at_rest(source: &mut Sql, bucket: &Bucket, target: &Client, tables: &[&str]) -> anyhow::Result<()> {
    settled(target).await?;
    let faults = faults(source, bucket, target, tables).await?;
    ensure!(faults.is_empty(), "not at rest: {} faults\n{}", faults.len(), faults.join("\n"));
    Ok(())
}

/// Waits until no other session of the target's database has a transaction open; what is open after a minute stays so.
pub async fn settled(target: &Client) -> anyhow::Result<()> {
    let started = Instant::now();
    while !open_transactions(target).await?.is_empty() && started.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Everything that is not as it must be at rest, for these tables (`schema.name`), which must be all that are synced.
///
/// A row's fault begins with `missing row`, `doubled row`, `differing row` or `ghost row`.
pub async fn faults(
    source: &mut Sql,
    bucket: &Bucket,
    target: &Client,
    tables: &[&str],
) -> anyhow::Result<Vec<String>> {
    let mut faults = open_transactions(target).await?;
    faults.extend(unfinished(bucket).await?);
    let keys = bucket.keys().await?;
    let mut known = Vec::new();
    for table in tables {
        let (schema, name) = table.split_once('.').with_context(|| format!("{table} is not schema.name"))?;
        faults.extend(rows::differences(source, target, schema, name).await?);
        let folder = format!("{PREFIX}/{SYNC}/{}.{}/", encoded(schema), encoded(name));
        let mine: Vec<_> = keys.iter().filter_map(|key| key.strip_prefix(&folder)).collect();
        let found = match watermark(target, schema, name).await? {
            Ok(watermark) => ledger::faults(bucket, &folder, &mine, &watermark).await?,
            Err(fault) => vec![fault],
        };
        faults.extend(found.into_iter().map(|fault| format!("{table}: {fault}")));
        known.push(folder);
    }
    known.push(format!("{PREFIX}/create-only.json"));
    let strange = keys.iter().filter(|key| known.iter().all(|folder| !key.starts_with(folder)));
    faults.extend(strange.map(|key| format!("object of no table: {key}")));
    faults.extend(staging(target).await?);
    Ok(faults)
}

/// A name as keys have it.
fn encoded(name: &str) -> String {
    let byte = |byte: u8| match byte {
        b'_' | b'-' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    name.bytes().map(byte).collect()
}

async fn unfinished(bucket: &Bucket) -> anyhow::Result<Vec<String>> {
    let uploads = bucket.uploads().await?;
    Ok(uploads.into_iter().map(|key| format!("unfinished multipart upload: {key}")).collect())
}

/// Open transactions of other sessions, and locks that outlive a transaction.
async fn open_transactions(target: &Client) -> anyhow::Result<Vec<String>> {
    let query = "SELECT a.pid, a.application_name, a.state, left(a.query, 100),
               (SELECT count(*) FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory')
        FROM pg_stat_activity a
        WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'";
    let mut faults = Vec::new();
    for row in target.query(query, &[]).await? {
        let state: Option<String> = row.get(2);
        let (idle, advisory_locks) = (state.as_deref().is_none_or(|state| state == "idle"), row.get::<_, i64>(4));
        if !idle || advisory_locks > 0 {
            let (pid, application, query): (i32, String, String) = (row.get(0), row.get(1), row.get(3));
            let state = state.unwrap_or_default();
            faults.push(format!(
                "open transaction: backend {pid} of '{application}' is {state} with {advisory_locks} advisory locks: {query}"
            ));
        }
    }
    Ok(faults)
}

/// Rows left in staging tables.
async fn staging(target: &Client) -> anyhow::Result<Vec<String>> {
    let query = r"SELECT tablename::text FROM pg_tables WHERE schemaname = 'delsert' AND tablename LIKE 'stage\_%'";
    let mut faults = Vec::new();
    for row in target.query(query, &[]).await? {
        let name: String = row.get(0);
        let count: i64 = target.query_one(&format!("SELECT count(*) FROM delsert.\"{name}\""), &[]).await?.get(0);
        if count > 0 {
            faults.push(format!("staging: {count} rows in {name}"));
        }
    }
    Ok(faults)
}

/// A table's watermark, or what is wrong with it.
async fn watermark(target: &Client, schema: &str, name: &str) -> anyhow::Result<Result<Watermark, String>> {
    let pattern = format!("^mark_{}_{}_[0-9a-f]{{8}}$", schema.to_lowercase(), name.to_lowercase());
    let query = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'delsert' AND tablename ~ $1";
    let marks = target.query(query, &[&pattern]).await?;
    let [mark] = marks.as_slice() else {
        return Ok(Err(format!("{} watermark tables", marks.len())));
    };
    let mark: String = mark.get(0);
    let query = format!("SELECT generation, sequence, position, attempt::text, sync FROM delsert.\"{mark}\"");
    let rows = target.query(&query, &[]).await?;
    let [row] = rows.as_slice() else {
        return Ok(Err(format!("{} rows in the watermark table {mark}", rows.len())));
    };
    let sync: String = row.get(4);
    if sync != SYNC {
        return Ok(Err(format!("the watermark is of sync '{sync}'")));
    }
    let number = |at: usize| row.get::<_, i64>(at).unsigned_abs();
    let text = |at: usize| row.get::<_, Option<String>>(at).unwrap_or_default();
    Ok(Ok(Watermark { generation: number(0), sequence: number(1), position: text(2), attempt: text(3) }))
}

#[cfg(test)]
mod tests;
