//! What `delsert` drops, truncates and deletes is its own: what stands under its names and is not stays as it is.

use std::time::{Duration, Instant};

use delsert::error::Kind;
use delsert::row::Cell::{Integer, Null, Text};
use delsert::row::Operation::{Delete, Upsert};
use delsert::target::Target;

use super::{Scene, Server, Warehouse, adopted, existing, failure, load_one, loads};
use crate::contract::batch::{INTEGER, Row, TEXT, orders, table};
use crate::contract::target::place;

/// The name of the table's own that begins so.
async fn own(scene: &Scene<Server>, prefix: &str) -> anyhow::Result<String> {
    let query = format!(
        "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'delsert' AND tablename LIKE '{prefix}%'"
    );
    Ok(scene.warehouse.rows(&query).await?.remove(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_somebodys_under_our_names_is_refused_and_left_alone() -> anyhow::Result<()> {
    for (prefix, what) in [("stage", "no staging of delsert's"), ("mark", "no watermark of delsert's")] {
        for theirs in ["TABLE @ AS SELECT 7 AS orderid", "VIEW @ AS SELECT 7 AS orderid"] {
            let mut scene = Scene::<Server>::of(orders()).await?;
            let name = own(&scene, prefix).await?;
            let theirs = theirs.replace('@', &format!("delsert.{name}"));
            scene.warehouse.run(&format!("DROP TABLE delsert.{name}; CREATE {theirs}")).await?;
            let refusals = [
                failure(scene.target.prepare(&scene.table).await),
                failure(load_one(&mut scene, (1, 1), 1, "n").await),
            ];
            for (kind, text) in refusals {
                assert_eq!(kind, Kind::TargetShape, "{text}");
                assert!(text.contains(name.trim_matches('"')), "{text}");
                // LOCK TABLE of a view passes, and its reading says what it lacks.
                assert!(text.contains(what), "{text}");
            }
            assert_eq!(scene.warehouse.rows(&format!("SELECT * FROM delsert.{name}")).await?, ["7"]);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn staging_of_ours_is_made_anew_for_other_columns() -> anyhow::Result<()> {
    let mut scene = Scene::<Server>::of(orders()).await?;
    scene.source = table("Orders", 1, &[("OrderID", INTEGER), ("Note", TEXT), ("More", TEXT)]);
    scene.table = place(&scene.warehouse, &scene.source)?;
    let changes = scene.target.prepare(&scene.table).await?.changes;
    assert!(changes.iter().any(|change| change.starts_with("DROP TABLE \"delsert\".\"stage_")), "{changes:?}");
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("one"), Null])];
    let copy = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    scene.load(&copy).await?;
    assert_eq!(scene.rows().await?, ["1|one|∅"]);
    Ok(())
}

/// What one wait for a lock takes, and all loads beside a reader together do not.
const WAIT: Duration = Duration::from_secs(20);

/// A dump reads every table for as long as it takes, staging too.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_every_table_hinders_no_load() -> anyhow::Result<()> {
    let mut scene = Scene::<Server>::of(orders()).await?;
    load_one(&mut scene, (1, 1), 1, "one").await?;
    let (stage, mark) = (own(&scene, "stage").await?, own(&scene, "mark").await?);
    let mut dump = scene.warehouse.beside().await?;
    let dump = dump.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead).start().await?;
    dump.batch_execute(&format!("LOCK TABLE sales.orders, delsert.{stage}, delsert.{mark} IN ACCESS SHARE MODE"))
        .await?;
    // Whoever waits for the reader waits longer than all of this may take.
    scene.target = scene.warehouse.connect(WAIT).await?;
    let started = Instant::now();
    // More than what is deleted row by row, and little.
    let note = "x".repeat(700);
    let cells: Vec<_> = (0..2000).map(|id| [Integer(id), Text(&note)]).collect();
    let many: Vec<_> = cells.iter().map(|cells| (Upsert, &cells[..])).collect();
    let few: &[Row<'_>] = &[(Delete, &[Integer(7), Null])];
    for (sequence, rows, left) in [(2, &many[..], 2000), (3, few, 1999), (4, &many[..], 2000), (5, few, 1999)] {
        let batch = scene.store.batch(&scene.source, (1, sequence), &[rows]).await?;
        scene.load(&batch).await?;
        assert_eq!((scene.rows().await?.len(), scene.mark().await?), (left, (1, sequence)));
        assert_eq!(scene.staged().await?, 0);
    }
    let copy = scene.store.batch(&scene.source, (2, 1), &[&many]).await?;
    scene.load(&copy).await?;
    assert_eq!(scene.rows().await?.len(), 2000);
    assert!(started.elapsed() < WAIT, "the loads waited for the reader");
    // Once nobody reads it, staging gives back what it took.
    dump.rollback().await?;
    load_one(&mut scene, (2, 2), 1, "after").await?;
    let size = format!("SELECT pg_relation_size('delsert.{stage}')");
    assert_eq!(scene.warehouse.rows(&size).await?, ["8192"]);
    Ok(())
}

/// The primary key of a table that was there before is its owner's.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_key_that_somebody_made_is_not_replaced() -> anyhow::Result<()> {
    let sql = "CREATE TABLE sales.orders (orderid int CONSTRAINT theirs PRIMARY KEY, line int)";
    let mut scene = existing("", table("Orders", 1, &[("OrderID", INTEGER), ("Line", INTEGER)]), sql).await?;
    adopted(&mut scene).await?;
    for (generation, key) in [(1, 1), (2, 2), (3, 2)] {
        scene.source = table("Orders", key, &[("OrderID", INTEGER), ("Line", INTEGER)]);
        scene.table = place(&scene.warehouse, &scene.source)?;
        let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Integer(1)]), (Upsert, &[Integer(2), Integer(1)])];
        let copy = scene.store.batch(&scene.source, (generation, 1), &[rows]).await?;
        scene.load(&copy).await?;
    }
    let keys = "SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p' \
                AND conrelid = 'sales.orders'::regclass";
    assert_eq!(scene.warehouse.rows(keys).await?, ["theirs PRIMARY KEY (orderid)"]);
    Ok(())
}

/// One that check made follows the source's key, by a copy.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_key_that_check_made_follows_the_sources() -> anyhow::Result<()> {
    let mut scene = Scene::<Server>::of(table("Orders", 2, &[("OrderID", INTEGER), ("Note", TEXT)])).await?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("one")])];
    let copy = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    scene.load(&copy).await?;
    let keys = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p' \
                AND conrelid = 'sales.orders'::regclass";
    for (generation, key) in [(2, 1), (3, 2), (4, 1)] {
        scene.source = table("Orders", key, &[("OrderID", INTEGER), ("Note", TEXT)]);
        scene.table = place(&scene.warehouse, &scene.source)?;
        let copy = scene.store.batch(&scene.source, (generation, 1), &[rows]).await?;
        scene.load(&copy).await?;
        let expected = if key == 1 { "PRIMARY KEY (orderid)" } else { "PRIMARY KEY (orderid, note)" };
        assert_eq!(scene.warehouse.rows(keys).await?, [expected]);
    }
    Ok(())
}

/// A table that was renamed out of the way keeps its rows and its key's name.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_renamed_out_of_the_way_is_left_alone() -> anyhow::Result<()> {
    let mut scene = Scene::<Server>::of(orders()).await?;
    load_one(&mut scene, (1, 1), 1, "old").await?;
    scene.warehouse.run("ALTER TABLE sales.orders RENAME TO orders_before").await?;
    adopted(&mut scene).await?;
    loads(&mut scene).await?;
    assert_eq!(scene.warehouse.rows("SELECT * FROM sales.orders_before").await?, ["1|old"]);
    Ok(())
}
