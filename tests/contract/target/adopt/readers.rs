//! Views, grants and owners stay as they are, through first loads, changes, copies and new forms.

use delsert::error::Kind;
use delsert::row::Cell::{Integer, Null, Text};
use delsert::row::Operation::Upsert;
use delsert::table::ColumnType;

use super::{Scene, Server, Warehouse, adopted, existing, failure};
use crate::contract::batch::{INTEGER, Row, TEXT, orders, table};
use crate::contract::target::place;

/// Everything of the table that its owner set and loads might lose.
const SET: &str = "SELECT c.relacl::text || ' ' || c.reloptions::text || ' ' || c.relreplident::text || ' ' || \
       obj_description(c.oid) || ' ' || (SELECT string_agg(indexrelid::regclass::text, ',' ORDER BY 1) FROM pg_index \
       WHERE indrelid = c.oid) || ' ' || (SELECT attacl::text FROM pg_attribute WHERE attrelid = c.oid AND attname = 'note') \
     FROM pg_class c WHERE c.oid = 'sales.orders'::regclass";

fn turn(scene: &mut Scene<Server>, columns: &[(&str, ColumnType)]) -> anyhow::Result<()> {
    scene.source = table("Orders", 1, columns);
    scene.table = place(&scene.warehouse, &scene.source)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn views_grants_and_settings_stay_whatever_is_loaded() -> anyhow::Result<()> {
    let sql = "CREATE TABLE sales.orders (orderid int PRIMARY KEY, note text) WITH (fillfactor = 70); \
               CREATE INDEX by_note ON sales.orders (note); COMMENT ON TABLE sales.orders IS 'theirs'; \
               ALTER TABLE sales.orders REPLICA IDENTITY FULL; \
               GRANT SELECT ON sales.orders TO PUBLIC; GRANT UPDATE (note) ON sales.orders TO PUBLIC; \
               CREATE VIEW sales.notes AS SELECT orderid, note FROM sales.orders; \
               CREATE MATERIALIZED VIEW sales.counted AS SELECT count(note) AS notes FROM sales.orders";
    let mut scene = existing("", orders(), sql).await?;
    let before = scene.warehouse.rows(SET).await?;
    adopted(&mut scene).await?;
    let note: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("one")])];
    let more: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("ONE"), Integer(5)])];
    let copy = scene.store.batch(&scene.source, (1, 1), &[note]).await?;
    scene.load(&copy).await?;
    // A column comes with changes, becomes wider, and is another type in a copy: none that a view reads.
    turn(&mut scene, &[("OrderID", INTEGER), ("Note", TEXT), ("More", INTEGER)])?;
    let mut changes = scene.store.batch(&scene.source, (1, 2), &[more]).await?;
    changes.added = vec!["More".to_owned()];
    scene.load(&changes).await?;
    turn(&mut scene, &[("OrderID", INTEGER), ("Note", TEXT), ("More", ColumnType::Integer { bytes: 8 })])?;
    let wider = scene.store.batch(&scene.source, (1, 3), &[more]).await?;
    scene.load(&wider).await?;
    turn(&mut scene, &[("OrderID", INTEGER), ("Note", TEXT), ("More", TEXT)])?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("uno"), Text("text")]), (Upsert, &[Integer(2), Null, Null])];
    let copy = scene.store.batch(&scene.source, (2, 1), &[rows]).await?;
    scene.load(&copy).await?;
    assert_eq!(scene.warehouse.rows("SELECT * FROM sales.notes ORDER BY 1").await?, ["1|uno", "2|∅"]);
    scene.warehouse.run("REFRESH MATERIALIZED VIEW sales.counted").await?;
    assert_eq!(scene.warehouse.rows("SELECT * FROM sales.counted").await?, ["1"]);
    assert_eq!(scene.warehouse.rows(SET).await?, before);
    Ok(())
}

/// A transaction that reads goes on reading what it read, also while the form changes, or the change waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_one_moment_through_a_copy() -> anyhow::Result<()> {
    let mut scene = Scene::<Server>::of(orders()).await?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("one")]), (Upsert, &[Integer(2), Text("two")])];
    let copy = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    scene.load(&copy).await?;
    let mut reader = scene.warehouse.beside().await?;
    let reading =
        reader.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead).start().await?;
    let count = "SELECT count(*) FROM sales.orders";
    assert_eq!(reading.query_one(count, &[]).await?.get::<_, i64>(0), 2);
    let copy = scene.store.batch(&scene.source, (2, 1), &[]).await?;
    scene.load(&copy).await?;
    assert_eq!(reading.query_one(count, &[]).await?.get::<_, i64>(0), 2);
    reading.rollback().await?;
    assert_eq!(reader.query_one(count, &[]).await?.get::<_, i64>(0), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_on_a_column_that_must_widen_is_named_by_the_load_with_the_statement() -> anyhow::Result<()> {
    let mut scene = Scene::<Server>::of(table("Orders", 1, &[("OrderID", INTEGER), ("Count", INTEGER)])).await?;
    let copy: &[Row<'_>] = &[(Upsert, &[Integer(1), Integer(1)])];
    let snapshot = scene.store.batch(&scene.source, (1, 1), &[copy]).await?;
    scene.load(&snapshot).await?;
    scene.warehouse.run("CREATE VIEW sales.sums AS SELECT sum(count) AS sum FROM sales.orders").await?;
    turn(&mut scene, &[("OrderID", INTEGER), ("Count", ColumnType::Integer { bytes: 8 })])?;
    let wide: &[Row<'_>] = &[(Upsert, &[Integer(1), Integer(9_000_000_000)])];
    let changes = scene.store.batch(&scene.source, (1, 2), &[wide]).await?;
    let snapshot = scene.store.batch(&scene.source, (2, 1), &[wide]).await?;
    for batch in [&changes, &snapshot] {
        let (kind, text) = failure(scene.load(batch).await);
        assert_eq!(kind, Kind::TargetRefused, "{text}");
        for part in ["0A000", "sales.sums", "ALTER TABLE \"sales\".\"orders\" ALTER COLUMN \"count\" TYPE bigint"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        assert_eq!((scene.rows().await?, scene.mark().await?), (vec!["1|1".to_owned()], (1, 1)));
    }
    let (_, text) = failure(scene.load(&changes).await);
    let statement = text.rsplit_once("run load again: ").map(|(_, statement)| statement).unwrap_or_default();
    let view = "CREATE VIEW sales.sums AS SELECT sum(count) AS sum FROM sales.orders";
    scene.warehouse.run(&format!("DROP VIEW sales.sums; {statement}; {view}")).await?;
    scene.load(&changes).await?;
    assert_eq!(scene.warehouse.rows("SELECT * FROM sales.sums").await?, ["9000000000"]);
    Ok(())
}
