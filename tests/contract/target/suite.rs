//! What every warehouse does: prepare, begin, apply, commit.

use std::sync::Arc;
use std::time::Duration;

use delsert::config::Compression;
use delsert::error::Kind;
use delsert::row::Cell::{Integer, Null, Text};
use delsert::row::Operation::{Delete, Upsert};
use delsert::target::{Applied, Load, Target, Watermark};
use tokio::sync::Barrier;

use super::{LONG, Scene, Warehouse, failure, load, place};
use crate::contract::batch::{INTEGER, Row, TEXT, orders, table};

const MINUTE: Duration = Duration::from_mins(1);

pub async fn prepare_makes_what_is_missing_and_nothing_twice<W: Warehouse>() -> anyhow::Result<()> {
    let warehouse = W::create("").await?;
    let orders = place(&warehouse, &orders())?;
    let mut target = warehouse.connect(MINUTE).await?;
    assert_eq!(target.watermark(&orders).await?, None, "nothing was prepared");
    let (kind, text) = failure(target.begin(&orders, LONG).await.map(drop));
    assert_eq!(kind, Kind::TargetShape);
    assert!(text.contains("delsert check") && text.contains("Sales.Orders"), "{text}");

    let changes = target.prepare(&orders).await?.changes;
    assert!(changes.iter().any(|change| change.contains("CREATE TABLE \"sales\".\"orders\"")), "{changes:?}");
    assert_eq!(target.prepare(&orders).await?.changes, Vec::<String>::new());
    assert_eq!(target.watermark(&orders).await?, Some(Watermark::default()));
    assert_eq!(target.begin(&orders, LONG).await?.watermark(), &Watermark::default());
    Ok(())
}

pub async fn many_prepares_at_once_do_no_harm<W: Warehouse>() -> anyhow::Result<()> {
    let warehouse = W::create("").await?;
    // The first round races for the schemas too, the others for the tables alone.
    for round in 0..4 {
        let start = Arc::new(Barrier::new(8));
        let mut running = Vec::new();
        for at in 0..8 {
            let name = if at < 6 { format!("Orders{round}") } else { format!("Customers{round}") };
            let place = place(&warehouse, &table(&name, 1, &[("Id", INTEGER)]))?;
            let (mut target, start) = (warehouse.connect(MINUTE).await?, Arc::clone(&start));
            running.push(tokio::spawn(async move {
                start.wait().await;
                target.prepare(&place).await
            }));
        }
        let mut changes = Vec::new();
        for prepared in running {
            changes.extend(prepared.await??.changes);
        }
        changes.sort_unstable();
        let all = changes.len();
        changes.dedup();
        assert_eq!(changes.len(), all, "something was made twice: {changes:?}");
    }
    let marks = "SELECT tablename FROM pg_tables WHERE schemaname = 'delsert' AND tablename LIKE 'mark%'";
    assert_eq!(warehouse.rows(marks).await?.len(), 8);
    Ok(())
}

pub async fn another_sync_is_refused<W: Warehouse>() -> anyhow::Result<()> {
    let mut scene = Scene::<W>::of(orders()).await?;
    let other = W::Target::place(&scene.warehouse.config("other", ""), &scene.source)?;
    for (kind, text) in [
        failure(scene.target.prepare(&other).await),
        failure(scene.target.watermark(&other).await),
        failure(scene.target.begin(&other, LONG).await.map(drop)),
    ] {
        assert_eq!(kind, Kind::OtherSync);
        assert!(text.contains("'shop'") && text.contains("'other'"), "{text}");
    }
    assert_eq!(scene.mark().await?, (0, 0), "the first sync is not disturbed");
    Ok(())
}

pub async fn a_snapshot_and_then_changes<W: Warehouse>() -> anyhow::Result<()> {
    let lines = table("OrderLines", 2, &[("OrderID", INTEGER), ("Line", INTEGER), ("Note", TEXT)]);
    let mut scene = Scene::<W>::of(lines.clone()).await?;
    let first: &[Row<'_>] = &[
        (Upsert, &[Integer(1), Integer(1), Text("one")]),
        (Upsert, &[Integer(1), Integer(2), Text("two")]),
        (Upsert, &[Integer(2), Integer(1), Null]),
    ];
    let second: &[Row<'_>] = &[(Upsert, &[Integer(3), Integer(1), Text("three")])];
    let snapshot = scene.store.batch(&lines, (1, 1), &[first, second]).await?;
    assert_eq!(scene.load(&snapshot).await?, Applied { inserted: 4, deleted: 0 });
    assert_eq!(scene.rows().await?, ["1|1|one", "1|2|two", "2|1|∅", "3|1|three"]);

    let changes: &[Row<'_>] = &[
        (Upsert, &[Integer(1), Integer(2), Text("TWO")]),
        (Delete, &[Integer(2), Integer(1), Null]),
        (Delete, &[Integer(9), Integer(9), Null]),
        (Upsert, &[Integer(2), Integer(2), Text("new")]),
    ];
    let changes = scene.store.batch(&lines, (1, 2), &[changes]).await?;
    assert_eq!(scene.load(&changes).await?, Applied { inserted: 2, deleted: 2 });
    assert_eq!(scene.rows().await?, ["1|1|one", "1|2|TWO", "2|2|new", "3|1|three"]);

    let idle = scene.store.batch(&lines, (1, 3), &[]).await?;
    assert_eq!(scene.load(&idle).await?, Applied::default());
    let watermark = scene.target.watermark(&scene.table).await?.expect("there is one");
    let expected =
        Watermark { generation: 1, sequence: 3, position: Some(idle.window.to.clone()), attempt: Some(idle.attempt) };
    assert_eq!(watermark, expected);

    let resync = scene.store.packed_batch(Compression::Gzip, &lines, (2, 1), &[second]).await?;
    assert_eq!(scene.load(&resync).await?, Applied { inserted: 1, deleted: 4 });
    assert_eq!((scene.rows().await?, scene.mark().await?), (vec!["3|1|three".to_owned()], (2, 1)));
    assert_eq!(scene.staged().await?, 0);
    Ok(())
}

pub async fn r4_table_and_watermark_change_together_or_not_at_all<W: Warehouse>() -> anyhow::Result<()> {
    let mut scene = Scene::<W>::of(orders()).await?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("one")])];
    let snapshot = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    for rolled_back in [true, false] {
        let mut load = scene.target.begin(&scene.table, LONG).await?;
        assert_eq!(load.apply(&snapshot, &scene.store.bucket).await?, Applied { inserted: 1, deleted: 0 });
        assert!(scene.warehouse.rows("SELECT * FROM sales.orders").await?.is_empty(), "seen before the commit");
        if rolled_back {
            load.rollback().await?;
        } else {
            drop(load);
        }
        assert_eq!((scene.rows().await?.len(), scene.mark().await?, scene.staged().await?), (0, (0, 0), 0));
    }
    scene.load(&snapshot).await?;
    assert_eq!((scene.rows().await?.len(), scene.mark().await?), (1, (1, 1)));
    Ok(())
}

pub async fn r4_a_batch_is_not_applied_twice<W: Warehouse>() -> anyhow::Result<()> {
    let mut scene = Scene::<W>::of(orders()).await?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("one")])];
    let snapshot = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    let mut load = scene.target.begin(&scene.table, LONG).await?;
    load.apply(&snapshot, &scene.store.bucket).await?;
    // The watermark has moved within the transaction: it is not what was read.
    assert!(load.apply(&snapshot, &scene.store.bucket).await.is_err());
    assert!(load.commit().await.is_err(), "after a failure there is nothing to commit");
    assert_eq!((scene.rows().await?.len(), scene.mark().await?), (0, (0, 0)));

    scene.load(&snapshot).await?;
    assert!(scene.load(&snapshot).await.is_err(), "it lies at the watermark");
    assert_eq!((scene.rows().await?.len(), scene.mark().await?), (1, (1, 1)));
    Ok(())
}

pub async fn r4_the_lock_comes_first_and_the_second_load_reads_what_the_first_wrote<W: Warehouse>() -> anyhow::Result<()>
{
    let mut scene = Scene::<W>::of(orders()).await?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("one")])];
    let snapshot = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    let mut first = scene.target.begin(&scene.table, LONG).await?;
    let (mut other, table) = (scene.warehouse.connect(MINUTE).await?, scene.table.clone());
    let second = tokio::spawn(async move { other.begin(&table, LONG).await.map(|load| load.watermark().clone()) });
    first.apply(&snapshot, &scene.store.bucket).await?;
    // It must be seen to wait for us, or the order proves nothing.
    while scene.warehouse.rows("SELECT 1 FROM pg_locks WHERE NOT granted").await?.is_empty() {
        assert!(!second.is_finished(), "the second load did not wait for the first");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut reader = scene.warehouse.connect(MINUTE).await?;
    assert_eq!(reader.watermark(&scene.table).await?, Some(Watermark::default()), "readers pass");
    first.commit().await?;
    let seen = second.await??;
    assert_eq!((seen.generation, seen.sequence, seen.attempt), (1, 1, Some(snapshot.attempt)));
    Ok(())
}

pub async fn r4_waiting_for_the_lock_is_bounded<W: Warehouse>() -> anyhow::Result<()> {
    let mut scene = Scene::<W>::of(orders()).await?;
    let held = scene.target.begin(&scene.table, LONG).await?;
    let mut other = scene.warehouse.connect(LONG).await?;
    let (kind, text) = failure(other.begin(&scene.table, Duration::from_millis(50)).await.map(drop));
    assert_eq!(kind, Kind::TargetBusy);
    assert!(text.contains("Sales.Orders") && text.contains("holds it"), "{text}");
    held.rollback().await?;
    other.begin(&scene.table, LONG).await?.rollback().await?;
    Ok(())
}

pub async fn r4_one_tables_load_does_not_wait_for_anothers<W: Warehouse>() -> anyhow::Result<()> {
    let mut scene = Scene::<W>::of(orders()).await?;
    let held = scene.target.begin(&scene.table, LONG).await?;
    let customers = place(&scene.warehouse, &table("Customers", 1, &[("Id", INTEGER)]))?;
    let mut other = scene.warehouse.connect(Duration::from_millis(200)).await?;
    other.prepare(&customers).await?;
    other.begin(&customers, LONG).await?.rollback().await?;
    assert!(
        other.prepare(&scene.table).await?.changes.is_empty(),
        "a check of a table being loaded has nothing to wait for"
    );
    held.rollback().await?;
    Ok(())
}

pub async fn a_load_that_is_given_up_frees_the_table<W: Warehouse>() -> anyhow::Result<()> {
    let mut scene = Scene::<W>::of(orders()).await?;
    let note = "x".repeat(2000);
    let cells: Vec<_> = (0..5000).map(|at| [Integer(at), Text(&note)]).collect();
    let rows: Vec<_> = cells.iter().map(|cells| (Upsert, &cells[..])).collect();
    let snapshot = scene.store.packed_batch(Compression::None, &scene.source, (1, 1), &[&rows]).await?;
    for polls in [1, 5, 20, 60] {
        let mut load = scene.target.begin(&scene.table, LONG).await?;
        {
            let mut applying = std::pin::pin!(load.apply(&snapshot, &scene.store.bucket));
            for _ in 0..polls {
                // Given up wherever it stands, as by SIGTERM; one that came through is given up uncommitted.
                if tokio::time::timeout(Duration::from_millis(1), &mut applying).await.is_ok() {
                    break;
                }
            }
        }
        drop(load);
        assert_eq!((scene.rows().await?.len(), scene.mark().await?, scene.staged().await?), (0, (0, 0), 0));
    }
    let mut other = scene.warehouse.connect(Duration::from_secs(5)).await?;
    load(&mut other, &scene.table, &snapshot, &scene.store).await?;
    assert_eq!(scene.rows().await?.len(), 5000);
    Ok(())
}

pub async fn an_existing_table_with_other_columns_is_refused_with_each_difference<W: Warehouse>() -> anyhow::Result<()>
{
    let warehouse = W::create("").await?;
    warehouse.run("CREATE SCHEMA sales").await?;
    warehouse
        .run("CREATE TABLE sales.orders (orderid smallint NOT NULL, note varchar(10), need int NOT NULL, more int NOT NULL, fine int)")
        .await?;
    let columns = [("OrderID", INTEGER), ("Note", TEXT), ("Need", INTEGER), ("Added", TEXT)];
    let orders = place(&warehouse, &table("Orders", 1, &columns))?;
    let mut target = warehouse.connect(MINUTE).await?;
    let (kind, text) = failure(target.prepare(&orders).await);
    assert_eq!(kind, Kind::TargetShape);
    for part in [
        "Sales.Orders",
        "'orderid' is smallint, not integer",
        &format!("'note' is character varying(10), not {}", W::TEXT),
        "'need' is NOT NULL",
        "'more'",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert!(!text.contains("fine"), "{text}");
    Ok(())
}

pub async fn an_existing_table_gets_its_missing_columns_and_keeps_its_own<W: Warehouse>() -> anyhow::Result<()> {
    let store = crate::contract::batch::Store::start(W::ENGINE).await?;
    let warehouse = W::create(&store.endpoint).await?;
    warehouse.run("CREATE SCHEMA sales").await?;
    let text = W::TEXT;
    let create =
        format!("CREATE TABLE sales.orders (own int DEFAULT 7 NOT NULL, note {text}, orderid int PRIMARY KEY)");
    warehouse.run(&create).await?;
    let columns = [("OrderID", INTEGER), ("Note", TEXT), ("Added", TEXT)];
    let source = table("Orders", 1, &columns);
    let mut scene = Scene::<W> {
        table: place(&warehouse, &source)?,
        target: warehouse.connect(MINUTE).await?,
        store,
        source,
        warehouse,
    };
    let changes = scene.target.prepare(&scene.table).await?.changes;
    let added = format!("ALTER TABLE \"sales\".\"orders\" ADD COLUMN \"added\" {text}");
    assert!(changes.contains(&added), "{changes:?}");
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("n"), Text("a")])];
    let snapshot = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    scene.load(&snapshot).await?;
    assert_eq!(scene.warehouse.rows("SELECT own, note, orderid, added FROM sales.orders").await?, ["7|n|1|a"]);
    Ok(())
}

pub async fn staging_follows_the_batch<W: Warehouse>() -> anyhow::Result<()> {
    let mut scene =
        Scene::<W>::of(table("Orders", 1, &[("OrderID", INTEGER), ("Note", TEXT), ("Added", TEXT)])).await?;
    // A batch from before the column came, after a check that knows it.
    scene.source = orders();
    scene.table = place(&scene.warehouse, &scene.source)?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("n")])];
    let snapshot = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    scene.load(&snapshot).await?;
    assert_eq!(scene.rows().await?, ["1|n|∅"]);
    Ok(())
}

pub async fn a_table_that_was_dropped_begins_anew<W: Warehouse>() -> anyhow::Result<()> {
    let mut scene = Scene::<W>::of(orders()).await?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("one")])];
    let snapshot = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    scene.load(&snapshot).await?;
    scene.warehouse.run("DROP TABLE sales.orders").await?;
    let idle = scene.store.batch(&scene.source, (1, 2), &[]).await?;
    let (kind, text) = failure(scene.load(&idle).await);
    assert_eq!(kind, Kind::TargetShape, "{text}");
    scene.target.prepare(&scene.table).await?;
    assert_eq!(scene.mark().await?, (0, 0), "an empty table is at no batch");
    Ok(())
}
