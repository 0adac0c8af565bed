//! `make demo`: delsert does its whole job on a small shop, on this machine, in a few seconds.
//!
//! Starts a SQL Server stand-in, an S3 stand-in and a temporary PostgreSQL; runs the real binary (check, extract, load),
//! changes the source, runs it again, and compares source and target cell by cell. Ends with an error on any
//! difference. `KEEP=1` leaves all running, and says how to connect.
//!
//! | file | is |
//! |---|---|
//! | `shop.sql` | the source's tables and rows, in T-SQL |
//! | `changes.sql` | what happens to them |
//! | [`stage`] | the servers, and the binary |
//! | [`source`] | what the source holds, read by SQL, for the comparison |
//! | [`show`] | what is printed |

#[path = "../../tests/comparator/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod comparator;
mod show;
mod source;
mod stage;
#[path = "../../tests/support/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod support;

use std::process::ExitCode;

use anyhow::ensure;
use delsert::config::Engine;

use crate::comparator::compare::compare_tables;
use crate::stage::Stage;

/// What is shown of the target, before and after.
const SHOWN: &[(&str, &str)] = &[
    ("sales.customers", "SELECT customerid, name, email, rating, balance, registered FROM sales.customers ORDER BY 1"),
    ("sales.orders", "SELECT orderid, customerid, orderedat, status, freight FROM sales.orders ORDER BY 1"),
    (
        "sales.orderlines",
        "SELECT orderid, line, productid, quantity, discount, total FROM sales.orderlines ORDER BY 1, 2",
    ),
    ("catalog.products", "SELECT productid, name, weight, attributes, onsalefrom FROM catalog.products ORDER BY 1"),
    ("catalog.prices", "SELECT sku, validfrom, price, currency FROM catalog.prices ORDER BY 1, 2"),
    ("catalog.attachments", "SELECT attachmentid, name, content FROM catalog.attachments ORDER BY name"),
];

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("The demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let keep = std::env::var("KEEP").is_ok_and(|keep| !keep.is_empty() && keep != "0");
    println!("delsert keeps a warehouse equal to the databases that feed it. Here: SQL Server -> S3 -> PostgreSQL.");
    let mut number = 0;
    show::step(&mut number, "Three servers start, on free ports of this machine:");
    let stage = Stage::start(keep).await?;
    stage.describe();
    let told = tell(&stage, &mut number).await;
    if keep {
        stage.say_how_to_connect()?;
    }
    told
}

/// The story: the first copy, the changes, and what became of them.
async fn tell(stage: &Stage, number: &mut u32) -> anyhow::Result<()> {
    show::step(number, "A shop is set up in the source (examples/demo/shop.sql).");
    let mut sql = stage.source.connect().await?;
    for batch in batches(include_str!("shop.sql")) {
        sql.run(batch).await?;
    }

    show::step(number, "The three tasks run, each a process of its own: the first time they copy whole tables.");
    let target = stage.target.connect().await?;
    target.batch_execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET bytea_output = 'hex'").await?;
    for task in ["check", "extract", "load"] {
        stage.run(task)?;
    }
    show_target(&target).await?;

    show::step(number, "The source changes:");
    for batch in batches(include_str!("changes.sql")) {
        for line in batch.trim().lines() {
            println!("   {line}");
        }
        println!();
        sql.run(batch).await?;
    }
    println!("   (SQL Server's capture job reads its log now and then; here it is asked to do so at once.)");
    sql.capture_all().await?;

    show::step(number, "The three tasks run again: now they move only what changed.");
    for task in ["check", "extract", "load"] {
        stage.run(task)?;
    }
    show_target(&target).await?;

    show::step(number, "Source and target are read by SQL and compared, cell by cell.");
    compare(&mut sql, &target).await
}

async fn show_target(target: &tokio_postgres::Client) -> anyhow::Result<()> {
    println!("   The target now:\n");
    for (title, sql) in SHOWN {
        show::query(target, title, sql).await?;
    }
    Ok(())
}

async fn compare(sql: &mut support::source::Sql, target: &tokio_postgres::Client) -> anyhow::Result<()> {
    let source = source::read(sql).await?;
    ensure!(source.tables.len() == SHOWN.len(), "the source has {} tables", source.tables.len());
    let mut differences = 0;
    for table in &source.tables {
        let report = compare_tables(&[table], target, Engine::Postgres).await?;
        let verdict = if report.count == 0 { "equal".to_owned() } else { format!("{} DIFFERENCES", report.count) };
        let (name, rows, cells) = (table.full_name(), report.rows, report.cells);
        println!("   {name:<20} {rows:>3} rows {cells:>4} cells  {verdict}");
        for finding in &report.findings {
            println!("      {finding}");
        }
        differences += report.count;
    }
    ensure!(differences == 0, "source and target differ in {differences} places");
    println!("\n   Source and target are equal.\n");
    Ok(())
}

/// A script's batches, which lines that say GO part.
fn batches(script: &str) -> impl Iterator<Item = &str> {
    script.split("\nGO\n").filter(|batch| !batch.trim().is_empty())
}
