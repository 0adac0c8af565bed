//! Tables that were there before the first check: adopted, or refused with all that differs, each with what mends it.

mod adopted;
mod ours;
mod readers;
mod redshift;
mod references;
mod refused;
mod rows;

use delsert::error::Kind;
use delsert::finding::Finding;
use delsert::row::Cell::{Integer, Null, Text};
use delsert::row::Operation::{Delete, Upsert};
use delsert::table::Table;
use delsert::target::Target;

use super::postgres::Server;
use super::{LONG, Scene, Warehouse, failure};
use crate::contract::batch::{INTEGER, Row, Store, TEXT, table};

/// Schema sales with what this SQL makes in it, before any check; `more` is configuration.
async fn existing(more: &str, source: Table, sql: &str) -> anyhow::Result<Scene<Server>> {
    existing_in(more, source, sql).await
}

/// The same in any warehouse.
async fn existing_in<W: Warehouse>(more: &str, source: Table, sql: &str) -> anyhow::Result<Scene<W>> {
    let store = Store::start(W::ENGINE).await?;
    let warehouse = W::create(&store.endpoint).await?;
    warehouse.run(&format!("CREATE SCHEMA sales; {sql}")).await?;
    let place = W::Target::place(&warehouse.config("shop", more), &source)?;
    let target = warehouse.connect(LONG).await?;
    Ok(Scene { table: place, target, store, warehouse, source })
}

/// A table of that name with a number as its key and a note.
fn numbered(name: &str) -> Table {
    table(name, 1, &[("OrderID", INTEGER), ("Note", TEXT)])
}

/// Goes on with another table of the same database.
fn turn_to<W: Warehouse>(scene: &mut Scene<W>, source: Table) -> anyhow::Result<()> {
    scene.table = W::Target::place(&scene.warehouse.config("shop", ""), &source)?;
    scene.source = source;
    Ok(())
}

/// The message by which a check refuses the table, and the statements that it gives.
async fn refused<W: Warehouse>(scene: &mut Scene<W>) -> (String, Vec<String>) {
    let error = scene.target.prepare(&scene.table).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), Kind::TargetShape, "{text}");
    assert!(text.starts_with(&scene.source.name.to_string()), "{text}");
    (text, error.mends().iter().map(|mend| mend.statement.clone()).collect())
}

/// What a check tells of a table that it adopts.
async fn adopted<W: Warehouse>(scene: &mut Scene<W>) -> anyhow::Result<Vec<Finding>> {
    Ok(scene.target.prepare(&scene.table).await?.findings)
}

/// A copy, changes and a second copy of a table as [`numbered`] makes it, after each of which its rows are as they should.
async fn loads<W: Warehouse>(scene: &mut Scene<W>) -> anyhow::Result<()> {
    let copy: &[Row<'_>] = &[
        (Upsert, &[Integer(1), Text("one")]),
        (Upsert, &[Integer(2), Null]),
        (Upsert, &[Integer(3), Text("more than ten letters")]),
    ];
    let changes: &[Row<'_>] = &[(Upsert, &[Integer(1), Text("ONE")]), (Delete, &[Integer(3), Null])];
    let name = format!("sales.{}", scene.table.name);
    let rows = format!("SELECT orderid, note FROM {name} ORDER BY 1");
    let snapshot = scene.store.batch(&scene.source, (1, 1), &[copy]).await?;
    scene.load(&snapshot).await?;
    assert_eq!(scene.warehouse.rows(&rows).await?, ["1|one", "2|∅", "3|more than ten letters"], "{name}");
    let changes = scene.store.batch(&scene.source, (1, 2), &[changes]).await?;
    scene.load(&changes).await?;
    assert_eq!(scene.warehouse.rows(&rows).await?, ["1|ONE", "2|∅"], "{name}");
    let snapshot = scene.store.batch(&scene.source, (2, 1), &[copy]).await?;
    scene.load(&snapshot).await?;
    assert_eq!(scene.warehouse.rows(&rows).await?, ["1|one", "2|∅", "3|more than ten letters"], "{name}");
    Ok(())
}

/// A load of one row.
async fn load_one(scene: &mut Scene<Server>, number: (u64, u64), id: i64, note: &str) -> delsert::error::Result<()> {
    let rows: &[Row<'_>] = &[(Upsert, &[Integer(id), Text(note)])];
    let batch = scene.store.batch(&scene.source, number, &[rows]).await.expect("a batch");
    scene.load(&batch).await.map(drop)
}
