//! Tables that were in Amazon Redshift before: which are adopted, and what of the others is named with what mends it.

use delsert::finding::Matter;

use super::super::redshift::Cluster;
use super::{Warehouse, adopted, existing_in, loads, numbered, refused, turn_to};
use crate::contract::batch::orders;

/// What makes a table, `@`, and what is told of it.
const ADOPTED: &[(&str, &[(Matter, &str)])] = &[
    ("CREATE TABLE @ (orderid int NOT NULL, note varchar(max))", &[]),
    ("CREATE TABLE @ (note varchar(65535) ENCODE lzo, orderid bigint NOT NULL)", &[]),
    ("CREATE TABLE @ (orderid int, note varchar(65535)) DISTKEY (orderid) SORTKEY (orderid)", &[]),
    ("CREATE TABLE @ (orderid int, note varchar(65535)) DISTSTYLE ALL COMPOUND SORTKEY (note, orderid)", &[]),
    ("CREATE TABLE @ (orderid int)", &[]),
    ("CREATE TABLE @ (orderid int PRIMARY KEY, note varchar(65535))", &[(Matter::Attached, "planner trusts")]),
    ("CREATE TABLE @ (orderid int, note varchar(65535) UNIQUE)", &[(Matter::Attached, "planner trusts")]),
    (
        "CREATE TABLE @ (own varchar(9) DEFAULT 'x' NOT NULL, orderid int, more int, note varchar(65535))",
        &[(Matter::OwnColumn, "('own', 'more')")],
    ),
    (
        "CREATE TABLE @ (number bigint IDENTITY(1, 1), orderid int, note varchar(65535))",
        &[(Matter::OwnColumn, "('number')")],
    ),
    (
        "CREATE TABLE @ (orderid int, note varchar(65535)); CREATE VIEW @_of AS SELECT note FROM @; \
         CREATE VIEW @_late AS SELECT note FROM sales.@ WITH NO SCHEMA BINDING",
        &[],
    ),
];

/// What makes a table, what its refusal names, and how many statements it takes to mend it; `None` for what no statement
/// mends.
const REFUSED: &[(&str, &str, Option<usize>)] = &[
    ("CREATE TABLE @ (note varchar(65535))", "key column 'orderid' is missing", Some(1)),
    ("CREATE TABLE @ (orderid smallint, note varchar(65535))", "'orderid' is smallint, not integer", Some(2)),
    (
        "CREATE TABLE @ (orderid int, note varchar(65534))",
        "'note' is character varying(65534), not varchar(65535)",
        Some(1),
    ),
    ("CREATE TABLE @ (orderid int, note text)", "'note' is character varying(256), not varchar(65535)", Some(1)),
    ("CREATE TABLE @ (orderid int, note super)", "'note' is super, not varchar(65535)", Some(1)),
    ("CREATE TABLE @ (orderid int IDENTITY(1, 1), note varchar(65535))", "'orderid' numbers itself", None),
    ("CREATE TABLE @ (orderid int, note varchar(65535) NOT NULL)", "'note' is NOT NULL", None),
    (
        "CREATE TABLE @ (orderid int, note varchar(65535), more int NOT NULL)",
        "'more' is NOT NULL without a default, but not the source's",
        Some(1),
    ),
    ("CREATE VIEW @ AS SELECT 1 AS orderid", "no table", None),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_form_is_adopted_and_what_a_person_should_know_is_told_at_redshift() -> anyhow::Result<()> {
    let mut scene = existing_in::<Cluster>("", orders(), "SET search_path TO sales").await?;
    for (at, (sql, told)) in ADOPTED.iter().enumerate() {
        turn_to(&mut scene, numbered(&format!("a{at:02}")))?;
        scene.warehouse.run(&sql.replace('@', &scene.table.name)).await?;
        let findings = adopted(&mut scene).await?;
        assert_eq!(findings.len(), told.len(), "{sql}: {findings:?}");
        for (finding, (matter, part)) in findings.iter().zip(*told) {
            assert!(finding.matter == *matter && finding.message.contains(part), "{sql}: {findings:?}");
        }
        for mend in findings.iter().flat_map(|finding| &finding.mend) {
            scene.warehouse.run(&mend.statement).await?;
        }
        let left = adopted(&mut scene).await?;
        assert!(left.iter().all(|finding| finding.matter == Matter::OwnColumn), "{sql}: {left:?}");
        loads(&mut scene).await.map_err(|error| error.context(*sql))?;
        assert_eq!(adopted(&mut scene).await?, [], "{sql}: it is as batches made it");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_difference_is_named_and_its_statement_mends_it_at_redshift() -> anyhow::Result<()> {
    let mut scene = existing_in::<Cluster>("", orders(), "SET search_path TO sales").await?;
    for (at, (sql, named, mends)) in REFUSED.iter().enumerate() {
        turn_to(&mut scene, numbered(&format!("r{at:02}")))?;
        scene.warehouse.run(&sql.replace('@', &scene.table.name)).await?;
        let Some(count) = mends else {
            let (text, statements) = refused(&mut scene).await;
            assert!(text.contains(named) && statements.is_empty(), "{sql}: {text}");
            continue;
        };
        for turn in 0..*count {
            let (text, statements) = refused(&mut scene).await;
            assert!(turn > 0 || text.contains(named), "{sql}: {text}");
            assert_eq!(statements.len(), 1, "{sql}: {text}");
            scene.warehouse.run(&statements[0]).await?;
        }
        adopted(&mut scene).await?;
        loads(&mut scene).await.map_err(|error| error.context(*sql))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_no_batch_brought_are_refused_or_replaced_at_redshift() -> anyhow::Result<()> {
    let rows = "CREATE TABLE sales.orders (orderid int, note varchar(65535)); \
                INSERT INTO sales.orders VALUES (1, 'theirs'), (7, 'theirs')";
    for (more, is_replaced) in [
        ("", false),
        ("on_existing_rows = \"replace\"", true),
        ("[[table]]\nname = \"sales.orders\"\non_existing_rows = \"replace\"", true),
        ("on_existing_rows = \"replace\"\n[[table]]\nname = \"Sales.Orders\"\non_existing_rows = \"fail\"", false),
    ] {
        let mut scene = existing_in::<Cluster>(more, orders(), rows).await?;
        if is_replaced {
            adopted(&mut scene).await?;
            assert_eq!(scene.rows().await?.len(), 2, "check deletes nothing");
            loads(&mut scene).await?;
            continue;
        }
        let (text, statements) = refused(&mut scene).await;
        assert!(text.contains("rows that no batch brought (2)") && statements.is_empty(), "{text}");
        scene.warehouse.run("DELETE FROM sales.orders").await?;
        adopted(&mut scene).await?;
        loads(&mut scene).await?;
    }
    Ok(())
}
