//! Rows that no batch brought: refused or replaced, by check and, exactly, by the first load.

use std::time::Duration;

use delsert::error::Kind;
use delsert::target::Target;
use delsert::target::postgres::Postgres;

use super::{Scene, Server, Warehouse, adopted, existing, load_one, loads, refused};
use crate::contract::batch::{Row, orders};
use crate::contract::target::{LONG, failure, load};
use delsert::row::Cell::{Integer, Text};
use delsert::row::Operation::Upsert;

const TABLE: &str = "CREATE TABLE sales.orders (orderid int PRIMARY KEY, note text);";

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_refused_until_they_are_gone() -> anyhow::Result<()> {
    let mut scene = existing("", orders(), &format!("{TABLE} INSERT INTO sales.orders VALUES (7, 'theirs')")).await?;
    let (text, statements) = refused(&mut scene).await;
    for part in ["rows that no batch brought (1)", "empty it", "rename it", "on_existing_rows = \"replace\""] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert!(statements.is_empty(), "no statement is given that deletes rows: {text}");
    scene.warehouse.run("DELETE FROM sales.orders").await?;
    assert_eq!(adopted(&mut scene).await?, []);
    loads(&mut scene).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_replaced_where_that_is_configured_for_all_or_for_the_table() -> anyhow::Result<()> {
    for (more, is_replaced) in [
        ("on_existing_rows = \"replace\"", true),
        ("[[table]]\nname = \"sales.orders\"\non_existing_rows = \"replace\"", true),
        ("on_existing_rows = \"replace\"\n[[table]]\nname = \"Sales.Orders\"\non_existing_rows = \"fail\"", false),
        ("[[table]]\nname = \"Sales.Other\"\non_existing_rows = \"replace\"", false),
    ] {
        let rows = format!("{TABLE} INSERT INTO sales.orders VALUES (1, 'theirs'), (7, 'theirs')");
        let mut scene = existing(more, orders(), &rows).await?;
        if is_replaced {
            adopted(&mut scene).await?;
            assert_eq!(scene.rows().await?.len(), 2, "check deletes nothing");
            loads(&mut scene).await?;
        } else {
            refused(&mut scene).await;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_are_not_counted_to_their_end() -> anyhow::Result<()> {
    let rows = format!("{TABLE} INSERT INTO sales.orders SELECT n FROM generate_series(1, 100001) AS n");
    let mut scene = existing("", orders(), &rows).await?;
    let (text, _) = refused(&mut scene).await;
    assert!(text.contains("rows that no batch brought (more than 100000)"), "{text}");
    Ok(())
}

/// A check that found the table empty says nothing of what came since.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_came_after_the_check_are_refused_by_check_and_load() -> anyhow::Result<()> {
    for made_by_check in [true, false] {
        let mut scene = existing("", orders(), if made_by_check { "SELECT 1" } else { TABLE }).await?;
        adopted(&mut scene).await?;
        scene.warehouse.run("INSERT INTO sales.orders VALUES (7, 'theirs')").await?;
        refused(&mut scene).await;
        let (kind, text) = failure(load_one(&mut scene, (1, 1), 1, "ours").await);
        assert_eq!(kind, Kind::TargetShape, "{text}");
        assert!(text.contains("rows that no batch brought (1)"), "{text}");
        assert_eq!((scene.rows().await?, scene.mark().await?), (vec!["7|theirs".to_owned()], (0, 0)));
        // Rows of batches are ours: a second copy replaces whatever came meanwhile.
        scene.warehouse.run("DELETE FROM sales.orders").await?;
        loads(&mut scene).await?;
    }
    Ok(())
}

/// A row that is written while the first load copies is seen under the table's lock, whenever its writer commits.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_written_beside_the_first_load_is_neither_deleted_nor_left_among_ours() -> anyhow::Result<()> {
    for more in ["", "on_existing_rows = \"replace\""] {
        let mut scene = existing(more, orders(), TABLE).await?;
        adopted(&mut scene).await?;
        let mut other = scene.warehouse.beside().await?;
        let writing = other.transaction().await?;
        writing.execute("INSERT INTO sales.orders VALUES (7, 'theirs')", &[]).await?;
        let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("ours")])];
        let batch = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
        let outcome = {
            let loading = load(&mut scene.target, &scene.table, &batch, &scene.store);
            tokio::pin!(loading);
            loop {
                let waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'sales.orders'::regclass";
                if !scene.warehouse.rows(waits).await?.is_empty() {
                    break;
                }
                let ended = tokio::time::timeout(Duration::from_millis(5), &mut loading).await;
                assert!(ended.is_err(), "the load did not wait for the writer: {ended:?}");
            }
            writing.commit().await?;
            loading.await
        };
        if more.is_empty() {
            let (kind, text) = failure(outcome);
            assert_eq!(kind, Kind::TargetShape, "{text}");
            assert_eq!(scene.rows().await?, ["7|theirs"]);
        } else {
            outcome?;
            assert_eq!(scene.rows().await?, ["1|ours"], "what was committed before ours is replaced");
        }
    }
    Ok(())
}

/// The first load may commit between a check's look at the watermark and its look at the rows.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_first_load_that_commits_beside_a_check_are_not_taken_for_anothers() -> anyhow::Result<()> {
    let mut scene = existing("", orders(), "SELECT 1").await?;
    adopted(&mut scene).await?;
    let query = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'delsert' AND tablename LIKE 'mark%'";
    let mark = scene.warehouse.rows(query).await?.remove(0);
    let mut other = scene.warehouse.beside().await?;
    let loading = other.transaction().await?;
    let load = format!(
        "LOCK TABLE sales.orders; INSERT INTO sales.orders VALUES (1, 'ours'); \
         UPDATE delsert.{mark} SET generation = 1, sequence = 1"
    );
    loading.batch_execute(&load).await?;
    let checking = scene.target.prepare(&scene.table);
    tokio::pin!(checking);
    loop {
        let waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'sales.orders'::regclass";
        if !scene.warehouse.rows(waits).await?.is_empty() {
            break;
        }
        let ended = tokio::time::timeout(Duration::from_millis(5), &mut checking).await;
        assert!(ended.is_err(), "the check did not look at the rows: {ended:?}");
    }
    loading.commit().await?;
    assert_eq!(checking.await?.changes, Vec::<String>::new());
    Ok(())
}

/// Whoever drops the watermark, or restores the tables without it, makes rows that nobody vouches for.
#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_watermark_are_refused_though_batches_brought_them() -> anyhow::Result<()> {
    let mut scene: Scene<Server> = existing("", orders(), "SELECT 1").await?;
    adopted(&mut scene).await?;
    load_one(&mut scene, (1, 1), 1, "ours").await?;
    scene.warehouse.run("DROP SCHEMA delsert CASCADE").await?;
    let (text, _) = refused(&mut scene).await;
    assert!(text.contains("rows that no batch brought (1)"), "{text}");
    let config = scene.warehouse.config("shop", "on_existing_rows = \"replace\"");
    scene.table = Postgres::place(&config, &scene.source)?;
    adopted(&mut scene).await?;
    assert_eq!(
        scene.warehouse.connect(LONG).await?.watermark(&scene.table).await?.map(|mark| mark.generation),
        Some(0)
    );
    loads(&mut scene).await
}
