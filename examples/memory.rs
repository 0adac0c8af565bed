//! `make memory`: the peak resident memory of check, extract and load of a table of 1,000,000 rows: its first copy, one
//! transaction that changes all of them, and a backlog of 100 windows.
//!
//! Each task is a process of its own, in a release build; its peak is `VmHWM` of `/proc/PID/status`, which the kernel
//! keeps. Source and bucket are stand-ins: the figures are those of `delsert`, not of the servers. Fails when a task
//! needs more than the limit.

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod support;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::ground::Ground;
use crate::support::source::SourceOptions;

const ROWS: u64 = 1_000_000;
/// Transactions of the backlog, an hour apart.
const WINDOWS: u64 = 100;
/// What `extract` and `load` may need at most, in KiB.
const LIMIT: u64 = 64 * 1024;

/// Ten columns of mixed types: name and type.
const COLUMNS: [(&str, &str, bool); 10] = [
    ("ID", "int", false),
    ("Name", "nvarchar(60)", false),
    ("Note", "nvarchar(200)", true),
    ("Amount", "money", false),
    ("Rate", "decimal(18,6)", false),
    ("Active", "bit", false),
    ("Day", "date", true),
    ("Changed", "datetime", false),
    ("Token", "uniqueidentifier", false),
    ("Content", "varbinary(32)", true),
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    ensure!(!cfg!(debug_assertions), "the figures are for a release build: make memory");
    let directory = tempfile::Builder::new().prefix("delsert-memory-").tempdir()?;
    write_table(directory.path())?;
    let options = SourceOptions { load: Some(directory.path().to_owned()), ..SourceOptions::default() };
    let ground = Ground::start(options, &["dbo.Big"]).await?;
    println!("peak resident memory, {ROWS} rows of {} columns, stand-ins as source and bucket:", COLUMNS.len());

    let mut over = measure(&ground, "first copy", 1).await?;
    let target = ground.target.connect().await?;
    let count: i64 = target.query_one("SELECT count(*) FROM dbo.big", &[]).await?.get(0);
    ensure!(u64::try_from(count)? == ROWS, "the target has {count} rows");

    let mut sql = ground.source.connect().await?;
    sql.run("UPDATE dbo.Big SET Amount = Amount + 1").await?;
    sql.capture_all().await?;
    over.extend(measure(&ground, "all rows changed", 1).await?);
    expect_added(&target, 1).await?;

    let config = ground.config(&["dbo.Big"]);
    ground.write_config(&config.replacen("[sync]", "[sync]\nmax_window = \"30m\"", 1))?;
    for window in 0..WINDOWS {
        let (from, to) = (window * ROWS / WINDOWS, (window + 1) * ROWS / WINDOWS);
        sql.run("EXEC sys.sp_standin_advance_clock @seconds = 3600").await?;
        sql.run(&format!("UPDATE dbo.Big SET Amount = Amount + 1 WHERE ID >= {from} AND ID < {to}")).await?;
    }
    sql.capture_all().await?;
    over.extend(measure(&ground, "a backlog", WINDOWS).await?);
    expect_added(&target, 2).await?;
    ensure!(over.is_empty(), "more than {} MiB: {}", LIMIT / 1024, over.join(", "));
    Ok(())
}

/// Fails unless every row has grown by so much.
async fn expect_added(target: &tokio_postgres::Client, added: i32) -> anyhow::Result<()> {
    let query = format!("SELECT count(*) FROM dbo.big WHERE amount = (id % 100000) + {added}.25");
    let changed: i64 = target.query_one(&query, &[]).await?.get(0);
    ensure!(u64::try_from(changed)? == ROWS, "the target has {changed} changed rows");
    Ok(())
}

/// Runs the three tasks, which must make and apply so many batches, prints what each needed, and returns those over the
/// limit.
async fn measure(ground: &Ground, what: &str, batches: u64) -> anyhow::Result<Vec<String>> {
    let mut over = Vec::new();
    for task in ["check", "extract", "load"] {
        let started = Instant::now();
        let running = ground.start_task(&[task])?;
        let process = running.child.id().context("the task has no process id")?;
        let watch = tokio::spawn(peak(process));
        let summary = running.outcome().await?.expect(0)?.summary()?;
        let seconds = started.elapsed().as_secs_f32();
        let peak = watch.await?;
        ensure!(peak > 0, "{task} ended before its memory could be read");
        let (mebibytes, hundredths) = (peak / 1024, peak % 1024 * 100 / 1024);
        println!(
            "  {what:<17} {task:<8} {mebibytes:>4}.{hundredths:02} MiB  {seconds:>6.1} s  {} rows, {} batches",
            summary.upserts(),
            summary.0["batches"]
        );
        ensure!(task == "check" || summary.0["batches"] == batches, "not {batches} batches: {}", summary.0);
        if task != "check" && peak > LIMIT {
            over.push(format!("{task} ({what})"));
        }
    }
    Ok(over)
}

/// A process's peak resident memory in KiB, read until it is gone.
async fn peak(process: u32) -> u64 {
    let path = format!("/proc/{process}/status");
    let mut peak = 0;
    while let Ok(status) = tokio::fs::read_to_string(&path).await {
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        // A process that has ended but was not yet waited for has no memory any more.
        let Some(line) = line else { break };
        peak = line.trim().trim_end_matches(" kB").parse().unwrap_or(peak).max(peak);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    peak
}

/// Writes the table as the stand-in loads tables: a schema and a gzip CSV file.
fn write_table(directory: &Path) -> anyhow::Result<()> {
    let column = |(name, kind, nullable): &(&str, &str, bool)| serde_json::json!({ "name": name, "type": kind, "nullable": nullable, "identity": false });
    let columns: Vec<_> = COLUMNS.iter().map(column).collect();
    let table = serde_json::json!({
        "table": "dbo.Big", "file": "dbo.Big.csv.gz", "rows": ROWS, "primary_key": ["ID"], "columns": columns,
    });
    fs::write(directory.join("schema.json"), serde_json::json!({ "tables": [table] }).to_string())?;

    let file = GzEncoder::new(File::create(directory.join("dbo.Big.csv.gz"))?, Compression::fast());
    let mut file = BufWriter::new(file);
    writeln!(file, "{}", COLUMNS.map(|(name, ..)| name).join(","))?;
    for id in 0..ROWS {
        let note = if id % 4 == 0 { String::new() } else { format!("\"a note, number {id}, of some length — é\"") };
        let day =
            if id % 5 == 0 { String::new() } else { format!("20{:02}-{:02}-{:02}", id % 50, id % 12 + 1, id % 28 + 1) };
        let content = if id % 3 == 0 { String::new() } else { format!("{id:032X}") };
        let clock = format!(
            "{:02}:{:02}:{:02}.{}",
            id % 24,
            id % 60,
            id / 60 % 60,
            ["000", "003", "007"][usize::try_from(id % 3)?]
        );
        writeln!(
            file,
            "{id},Name of {id},{note},{}.2500,{}.{:06},{},{day},2024-05-06 {clock},{id:08X}-0000-4000-8000-{id:012X},{content}",
            id % 100_000,
            id % 1_000_000,
            id % 999_983,
            id % 2,
        )?;
    }
    file.into_inner()?.finish()?.sync_all()?;
    Ok(())
}
