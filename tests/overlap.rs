//! Ghost rows, lost deletes, stale cells: each tried for by name.
//!
//! A snapshot's position is read before the copy, so that the copy may hold what the windows after it bring again, and
//! a window may hold a row that came and went. Two ways to be there at the right moment, neither by the clock: the
//! capture job is stopped, so that what is committed is not yet in the source's maximum position; or the source's
//! answer is held back in the middle of the copy.

use anyhow::ensure;

use crate::shop::{Shop, row};
use crate::support::relay::Relay;
use crate::support::task::Running;

#[tokio::test(flavor = "multi_thread")]
async fn ghost_row_copied_by_the_snapshot_inserted_and_deleted_in_the_first_window() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1)]).await?;
    shop.sql.stop_capture().await?;
    shop.insert("north", 2, "in the copy, and in the log behind it").await?;
    shop.extract_and_load().await?;
    let copied = shop.ground.target.connect().await?.query("SELECT FROM dbo.things WHERE id = 2", &[]).await?;
    ensure!(copied.len() == 1, "the snapshot did not copy the row: the test tries nothing");
    shop.delete("north", 2).await?;
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn ghost_row_inserted_and_deleted_within_one_window() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1)]).await?;
    shop.extract_and_load().await?;
    shop.insert("north", 2, "in two transactions").await?;
    shop.delete("north", 2).await?;
    shop.sql.run("BEGIN TRANSACTION").await?;
    shop.insert("north", 3, "in one transaction").await?;
    shop.update("north", 3, "changed").await?;
    shop.delete("north", 3).await?;
    shop.sql.run("COMMIT TRANSACTION").await?;
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_delete_between_the_snapshot_s_position_and_its_copy() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1), ("north", 2), ("north", 3)]).await?;
    shop.sql.stop_capture().await?;
    shop.delete("north", 2).await?;
    shop.delete("north", 3).await?;
    shop.extract_and_load().await?;
    shop.insert("north", 3, "again").await?;
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_delete_of_a_row_deleted_inserted_again_and_deleted_in_one_window() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1), ("north", 2), ("north", 3)]).await?;
    shop.extract_and_load().await?;
    shop.sql.run("BEGIN TRANSACTION").await?;
    for id in [2, 3] {
        shop.delete("north", id).await?;
        shop.insert("north", id, "again").await?;
    }
    shop.delete("north", 2).await?;
    shop.sql.run("COMMIT TRANSACTION").await?;
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_cell_of_a_row_updated_many_times_in_one_transaction_and_window() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1), ("south", 1)]).await?;
    shop.sql.stop_capture().await?;
    shop.update("south", 1, "before the copy").await?;
    shop.extract_and_load().await?;
    shop.sql.run("BEGIN TRANSACTION").await?;
    for turn in 0..30 {
        shop.update("north", 1, &format!("turn {turn}")).await?;
    }
    shop.sql.run("COMMIT TRANSACTION").await?;
    shop.update("south", 1, "").await?;
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_row_whose_key_moves_through_others_in_one_transaction() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1), ("north", 2), ("south", 1)]).await?;
    shop.extract_and_load().await?;
    shop.sql.run("BEGIN TRANSACTION").await?;
    shop.rename(("north", 1), ("east", 9)).await?;
    shop.rename(("north", 2), ("north", 1)).await?;
    shop.rename(("east", 9), ("north", 2)).await?;
    shop.rename(("south", 1), ("west", 1)).await?;
    shop.rename(("west", 1), ("south", 1)).await?;
    shop.sql.run("COMMIT TRANSACTION").await?;
    shop.rename(("south", 1), ("south", 2)).await?;
    shop.insert("south", 1, "takes the key that was left").await?;
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn ghost_row_of_a_key_that_changes_only_its_case() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[("north", 1), ("South", 1), ("east", 1)]).await?;
    shop.extract_and_load().await?;
    shop.rename(("north", 1), ("NORTH", 1)).await?;
    shop.delete("South", 1).await?;
    shop.insert("south", 1, "the same key in other letters").await?;
    shop.rename(("east", 1), ("EAST", 1)).await?;
    shop.delete("EAST", 1).await?;
    shop.expect_equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn ghost_rows_of_keys_all_moved_by_one_statement() -> anyhow::Result<()> {
    let rows: Vec<_> = (1..=50).map(|id| ("north", id)).collect();
    let mut shop = Shop::open(&rows).await?;
    shop.extract_and_load().await?;
    shop.sql.run("UPDATE dbo.Things SET ID = ID + 25").await?;
    for id in (1..=50).rev() {
        let note = shop.take("north", id)?[2].clone().unwrap_or_default();
        shop.things.insert(row("north", id + 25, &note))?;
    }
    shop.expect_equal().await
}

/// The copy stands still in its middle while rows on both sides of it come, go, change, and cross it.
#[tokio::test(flavor = "multi_thread")]
async fn ghost_rows_lost_deletes_and_stale_cells_of_changes_in_the_middle_of_the_copy() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[]).await?;
    let (relay, extract) = extract_held(&mut shop).await?;

    // The copy goes through the keys in some order; whichever that is, one of each pair is behind it.
    for (region, id) in [("r0", 5), ("r3", 3995)] {
        shop.update(region, id, "changed in the middle").await?;
        shop.delete(region, id + 1).await?;
        shop.delete(region, id + 2).await?;
        shop.insert(region, id + 2, "deleted and inserted again").await?;
        shop.insert(region, id + 10_000, "new").await?;
        shop.insert(region, id + 10_001, "new, and deleted").await?;
        shop.delete(region, id + 10_001).await?;
    }
    shop.rename(("r0", 10), ("r3", 20_010)).await?;
    shop.rename(("r3", 3990), ("r0", 20_390)).await?;
    shop.rename(("r0", 11), ("r9", 11)).await?;
    shop.rename(("r3", 3991), ("a", 3991)).await?;
    relay.open();
    extract.outcome().await?.expect(0)?;
    shop.ground.task(&["load"]).await?.expect(0)?;
    shop.expect_equal().await
}

/// No window could follow a copy whose beginning was purged; the next try needs nobody.
#[tokio::test(flavor = "multi_thread")]
async fn lost_changes_after_a_copy_that_cleanup_overtook() -> anyhow::Result<()> {
    let mut shop = Shop::open(&[]).await?;
    let (relay, extract) = extract_held(&mut shop).await?;
    shop.update("r0", 5, "changed in the middle").await?;
    shop.delete("r3", 3995).await?;
    shop.sql.capture_all().await?;
    shop.sql
        .run(
            "DECLARE @instance sysname = (SELECT ct.capture_instance FROM cdc.change_tables AS ct
                 WHERE ct.source_object_id = OBJECT_ID(N'dbo.Things'));
             DECLARE @lsn binary(10) = sys.fn_cdc_get_max_lsn();
             EXEC sys.sp_cdc_cleanup_change_table @capture_instance = @instance, @low_water_mark = @lsn, @threshold = 5000",
        )
        .await?;
    relay.open();
    let refused = extract.outcome().await?.expect(75)?;
    let said = &refused.stderr;
    ensure!(said.contains("were purged at the source while the table was copied"), "another reason: {said}");
    shop.expect_equal().await
}

/// Fills the table, and starts an extract whose copy stands still in its middle.
async fn extract_held(shop: &mut Shop) -> anyhow::Result<(Relay, Running)> {
    const ROWS: i64 = 4000;
    let long = "x".repeat(1500);
    for block in (0..ROWS).step_by(200) {
        let tuple = |id: i64| format!("(N'r{}', {id}, N'{long}')", id / 1000);
        let tuples: Vec<_> = (block..block + 200).map(tuple).collect();
        shop.sql.run(&format!("INSERT INTO dbo.Things VALUES {}", tuples.join(", "))).await?;
        for id in block..block + 200 {
            shop.things.insert(row(&format!("r{}", id / 1000), id, &long))?;
        }
    }
    let relay = Relay::start(shop.ground.source.port).await?;
    shop.ground.write_config(&shop.ground.config_through(relay.port, &["dbo.Things"]))?;
    relay.hold_after(6_000_000);
    let extract = shop.ground.start_task(&["extract"])?;
    relay.held().await?;
    Ok((relay, extract))
}
