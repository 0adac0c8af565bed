//! Foreign keys that refer to a table: rows are deleted and inserted again beneath them.

use delsert::error::Kind;
use delsert::row::Cell::{Integer, Null, Text};
use delsert::row::Operation::{Delete, Upsert};

use super::{Scene, Server, Warehouse, adopted, existing, refused};
use crate::contract::batch::{INTEGER, Row, TEXT, orders, table};
use crate::contract::target::{failure, place};

/// Orders that lines refer to, by a foreign key declared so.
async fn with_lines(declared: &str) -> anyhow::Result<Scene<Server>> {
    let sql = format!(
        "CREATE TABLE sales.orders (orderid int PRIMARY KEY, note text); \
         CREATE TABLE sales.lines (line int, orderid int CONSTRAINT of_order REFERENCES sales.orders {declared})"
    );
    let mut scene = existing("", orders(), &sql).await?;
    let findings = adopted(&mut scene).await?;
    assert!(findings.iter().any(|finding| finding.message.contains("of_order of sales.lines")), "{findings:?}");
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("one")]), (Upsert, &[Integer(2), Text("two")])];
    let copy = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    scene.load(&copy).await?;
    scene.warehouse.run("INSERT INTO sales.lines VALUES (1, 1), (2, 1), (3, 2)").await?;
    Ok(scene)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_referred_to_is_replaced_by_changes_and_by_copies() -> anyhow::Result<()> {
    for declared in ["DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"] {
        let mut scene = with_lines(declared).await?;
        let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("ONE")])];
        let changes = scene.store.batch(&scene.source, (1, 2), &[rows]).await?;
        scene.load(&changes).await?;
        assert_eq!(scene.rows().await?, ["1|ONE", "2|two"]);
        let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("1")]), (Upsert, &[Integer(2), Null])];
        let copy = scene.store.batch(&scene.source, (2, 1), &[rows]).await?;
        scene.load(&copy).await?;
        assert_eq!(scene.rows().await?, ["1|1", "2|∅"]);
        assert_eq!(scene.warehouse.rows("SELECT * FROM sales.lines ORDER BY 1").await?, ["1|1", "2|1", "3|2"]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_gone_at_the_source_and_still_referred_to_stops_the_load_by_name() -> anyhow::Result<()> {
    let mut scene = with_lines("DEFERRABLE").await?;
    let gone: &[Row<'_>] = &[(Delete, &[Integer(2), Null]), (Upsert, &[Integer(1), Text("ONE")])];
    let changes = scene.store.batch(&scene.source, (1, 2), &[gone]).await?;
    let kept: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("one")])];
    let copy = scene.store.batch(&scene.source, (2, 1), &[kept]).await?;
    for batch in [&changes, &copy] {
        let (kind, text) = failure(scene.load(batch).await);
        assert_eq!(kind, Kind::TargetRefused, "{text}");
        for part in ["23503", "of_order", "\"lines\"", "Nothing was applied", "delete them there first"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        assert_eq!((scene.rows().await?, scene.mark().await?), (vec!["1|one".to_owned(), "2|two".to_owned()], (1, 1)));
    }
    scene.warehouse.run("DELETE FROM sales.lines WHERE orderid = 2").await?;
    scene.load(&changes).await?;
    assert_eq!(scene.rows().await?, ["1|ONE"]);
    Ok(())
}

/// Rows whose deletion is yet to be checked keep a table from being altered (55006): the form comes first.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_another_form_is_loaded_beneath_a_deferrable_foreign_key() -> anyhow::Result<()> {
    let mut scene = with_lines("DEFERRABLE INITIALLY DEFERRED").await?;
    // Note becomes a number, though old notes are none and may not be NULL; a column comes.
    scene.warehouse.run("ALTER TABLE sales.orders ALTER COLUMN note SET NOT NULL").await?;
    scene.source = table("Orders", 1, &[("OrderID", INTEGER), ("Note", INTEGER), ("More", TEXT)]);
    scene.table = place(&scene.warehouse, &scene.source)?;
    let rows: &[Row<'_>] = &[
        (Upsert, &[Integer(1), Integer(10), Text("m")]),
        (Upsert, &[Integer(2), Null, Null]),
        (Upsert, &[Integer(3), Integer(30), Null]),
    ];
    let copy = scene.store.batch(&scene.source, (2, 1), &[rows]).await?;
    scene.load(&copy).await?;
    assert_eq!(scene.rows().await?, ["1|10|m", "2|∅|∅", "3|30|∅"]);
    assert_eq!(scene.warehouse.rows("SELECT * FROM sales.lines ORDER BY 1").await?, ["1|1", "2|1", "3|2"]);
    Ok(())
}

/// Old values of a column that comes again are taken away after the last ALTER, or what waits for them would hinder it.
#[tokio::test(flavor = "multi_thread")]
async fn columns_come_beneath_a_trigger_that_waits_for_the_end() -> anyhow::Result<()> {
    let sql = "CREATE TABLE sales.orders (orderid int PRIMARY KEY, note text); \
               CREATE FUNCTION sales.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; \
               CREATE CONSTRAINT TRIGGER told AFTER INSERT OR UPDATE OR DELETE ON sales.orders \
               DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sales.nothing()";
    let mut scene = existing("", orders(), sql).await?;
    adopted(&mut scene).await?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("one")]), (Upsert, &[Integer(2), Text("two")])];
    let copy = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    scene.load(&copy).await?;
    scene.source = table("Orders", 1, &[("OrderID", INTEGER), ("Note", TEXT), ("More", TEXT)]);
    scene.table = place(&scene.warehouse, &scene.source)?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("again"), Text("m")])];
    let mut changes = scene.store.batch(&scene.source, (1, 2), &[rows]).await?;
    changes.added = vec!["Note".to_owned(), "More".to_owned()];
    scene.load(&changes).await?;
    assert_eq!(scene.rows().await?, ["1|again|m", "2|∅|∅"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_another_form_is_loaded_above_a_partition_whose_trigger_waits() -> anyhow::Result<()> {
    let sql = "CREATE TABLE sales.orders (orderid int PRIMARY KEY, note text) PARTITION BY RANGE (orderid); \
               CREATE TABLE sales.orders_all PARTITION OF sales.orders DEFAULT; \
               CREATE FUNCTION sales.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; \
               CREATE CONSTRAINT TRIGGER told AFTER DELETE ON sales.orders_all \
               DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sales.nothing()";
    let mut scene = existing("", orders(), sql).await?;
    adopted(&mut scene).await?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("one")])];
    let copy = scene.store.batch(&scene.source, (1, 1), &[rows]).await?;
    scene.load(&copy).await?;
    scene.source = table("Orders", 1, &[("OrderID", INTEGER), ("Note", INTEGER)]);
    scene.table = place(&scene.warehouse, &scene.source)?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Integer(10)])];
    let copy = scene.store.batch(&scene.source, (2, 1), &[rows]).await?;
    scene.load(&copy).await?;
    assert_eq!(scene.rows().await?, ["1|10"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_type_of_the_key_beneath_a_foreign_key_is_refused_by_name() -> anyhow::Result<()> {
    let mut scene = with_lines("DEFERRABLE").await?;
    scene.source = table("Orders", 1, &[("OrderID", TEXT), ("Note", TEXT)]);
    scene.table = place(&scene.warehouse, &scene.source)?;
    let rows: &[Row<'_>] = &[(Upsert, &[Text("1"), Text("one")])];
    let copy = scene.store.batch(&scene.source, (2, 1), &[rows]).await?;
    let (kind, text) = failure(scene.load(&copy).await);
    assert_eq!(kind, Kind::TargetShape, "{text}");
    assert!(text.contains("key column 'orderid' is integer, not text") && text.contains("deferrable"), "{text}");
    assert_eq!((scene.rows().await?.len(), scene.mark().await?), (2, (1, 1)));
    scene.warehouse.run("ALTER TABLE sales.lines DROP CONSTRAINT of_order").await?;
    scene.load(&copy).await?;
    assert_eq!(scene.rows().await?, ["1|one"]);
    Ok(())
}

/// A foreign key that came after the check would carry our deletes into somebody's rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_that_came_later_is_refused_by_load_and_check() -> anyhow::Result<()> {
    let mut scene = with_lines("DEFERRABLE").await?;
    scene
        .warehouse
        .run(
            "ALTER TABLE sales.lines DROP CONSTRAINT of_order, \
             ADD CONSTRAINT carried FOREIGN KEY (orderid) REFERENCES sales.orders ON DELETE CASCADE",
        )
        .await?;
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("ONE")])];
    let changes = scene.store.batch(&scene.source, (1, 2), &[rows]).await?;
    let (kind, text) = failure(scene.load(&changes).await);
    assert_eq!(kind, Kind::TargetShape, "{text}");
    assert!(text.contains("carried of sales.lines") && text.contains("DROP CONSTRAINT carried"), "{text}");
    let (_, statements) = refused(&mut scene).await;
    assert_eq!(scene.warehouse.rows("SELECT count(*) FROM sales.lines").await?, ["3"], "rows of others went");
    scene.warehouse.run(&statements[0]).await?;
    scene.load(&changes).await?;
    assert_eq!(scene.rows().await?, ["1|ONE", "2|two"]);
    Ok(())
}
