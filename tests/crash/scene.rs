//! How things stand before a task is caught, and which task that is.

use anyhow::Context;
use bytes::Bytes;
use delsert::config::Engine;
use delsert::crash::Step;
use uuid::Uuid;

use crate::rules::by_hand::table;
use crate::rules::watched::WatchedShop;

/// A state of all three ends, and the task that is caught in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// A source that was never synced; check.
    FirstCheck,
    /// Batches that no load has applied; check.
    CheckPending,
    /// Parts and an upload that attempts left at an applied sequence; check that leaves loading to load.
    CheckLeftovers,
    /// An open generation, and what another attempt left in it; extract.
    ExtractSnapshot,
    /// An open generation, and rows so large that a part goes in pieces; extract.
    ExtractPieces,
    /// A snapshot that is applied, changes, and what another attempt left; extract.
    ExtractWindow,
    /// History purged before it was read; extract that may open a generation.
    ExtractGap,
    /// A column that was added, and an instance that has it, not yet gone over to; extract.
    ExtractHandover,
    /// A table that has gone over to an instance with an added column; check, which drops the old one.
    CheckHandedOver,
    /// The rows that hold a value in an added column, not applied; load.
    LoadBackfill,
    /// A snapshot that is not applied; load.
    LoadSnapshot,
    /// Two windows that are not applied; load.
    LoadWindows,
    /// A snapshot that a resync asked for, above a generation that is applied; load.
    LoadResync,
    /// All applied; resync.
    Resync,
}

impl Scene {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::FirstCheck,
        Self::CheckPending,
        Self::CheckLeftovers,
        Self::ExtractSnapshot,
        Self::ExtractPieces,
        Self::ExtractWindow,
        Self::ExtractGap,
        Self::ExtractHandover,
        Self::CheckHandedOver,
        Self::LoadBackfill,
        Self::LoadSnapshot,
        Self::LoadWindows,
        Self::LoadResync,
        Self::Resync,
    ];

    /// The task that is caught.
    pub fn task(self) -> &'static [&'static str] {
        match self {
            Self::FirstCheck | Self::CheckPending | Self::CheckHandedOver => &["check"],
            Self::CheckLeftovers => &["check", "--no-resume"],
            Self::ExtractSnapshot
            | Self::ExtractPieces
            | Self::ExtractWindow
            | Self::ExtractGap
            | Self::ExtractHandover => &["extract"],
            Self::LoadBackfill | Self::LoadSnapshot | Self::LoadWindows | Self::LoadResync => &["load"],
            Self::Resync => &["resync", "--table", "dbo.Things", "--yes"],
        }
    }

    /// The durable steps that the task takes here.
    pub fn steps(self) -> &'static [Step] {
        use Step::{
            AppliedMarked, BucketCreated, Committed, DatabaseEnabled, GenerationOpened, HistoryPurged, InstanceDropped,
            InstanceMade, KeysDeleted, Locked, ManifestWritten, ObjectRemoved, PartCopied, PartPut, PartsVerified,
            PieceSent, ProbeWritten, RowsInserted, SchemasCommitted, TablesCommitted, TablesMade, UploadAborted,
            UploadBegun, UploadCompleted, WatermarkMoved,
        };
        match self {
            Self::FirstCheck => &[
                BucketCreated,
                ProbeWritten,
                DatabaseEnabled,
                InstanceMade,
                SchemasCommitted,
                TablesMade,
                TablesCommitted,
                GenerationOpened,
            ],
            Self::CheckLeftovers => &[ObjectRemoved, UploadAborted],
            Self::CheckHandedOver => &[InstanceDropped],
            Self::ExtractHandover => &[PartPut, PartsVerified, ManifestWritten],
            Self::LoadBackfill => &[KeysDeleted, RowsInserted, WatermarkMoved, Committed],
            Self::ExtractPieces => &[UploadBegun, PieceSent, UploadCompleted, PartPut],
            // Behind a first copy there is nothing to purge.
            Self::ExtractSnapshot => &[PartPut, PartsVerified, ManifestWritten, UploadAborted, ObjectRemoved],
            Self::ExtractGap => &[GenerationOpened, PartPut, PartsVerified, ManifestWritten],
            Self::ExtractWindow => {
                &[PartPut, PartsVerified, ManifestWritten, UploadAborted, ObjectRemoved, HistoryPurged]
            }
            Self::CheckPending | Self::LoadSnapshot | Self::LoadWindows | Self::LoadResync => &[
                Locked,
                PartCopied,
                KeysDeleted,
                RowsInserted,
                WatermarkMoved,
                Committed,
                AppliedMarked,
                ObjectRemoved,
            ],
            Self::Resync => &[GenerationOpened],
        }
    }

    /// How often the task takes a step here at least: it is caught after each time.
    pub fn times(self, step: Step) -> u32 {
        match (self, step) {
            // Two parts; of the generation before: two marks and three manifests at least.
            (Self::ExtractSnapshot | Self::ExtractWindow | Self::CheckLeftovers, Step::ObjectRemoved)
            | (Self::LoadWindows | Self::CheckPending, Step::Committed | Step::AppliedMarked | Step::WatermarkMoved)
            // The window up to the new instance, and the backfill.
            | (Self::ExtractHandover | Self::LoadBackfill, _) => 2,
            (Self::LoadResync, Step::ObjectRemoved) => 5,
            _ => 1,
        }
    }

    /// Sets it before such a target.
    pub async fn set(self, engine: Engine) -> anyhow::Result<WatchedShop> {
        let mut shop = WatchedShop::unchecked().await?;
        if self == Self::ExtractPieces {
            pieces(&mut shop, engine).await?;
        }
        if engine == Engine::Redshift {
            shop.stage.put_redshift_before()?;
        }
        configure(&shop, self == Self::ExtractGap)?;
        if self == Self::FirstCheck {
            return Ok(shop);
        }
        shop.check().await?;
        match self {
            Self::FirstCheck | Self::ExtractPieces => {}
            Self::CheckPending | Self::LoadWindows => {
                shop.stage.extract_and_load().await?;
                extract_twice(&mut shop).await?;
            }
            Self::CheckLeftovers => {
                shop.stage.extract_and_load().await?;
                extract_twice(&mut shop).await?;
                leave(&shop, 1).await?;
                leave(&shop, 2).await?;
            }
            Self::ExtractSnapshot => {
                leave(&shop, 1).await?;
            }
            Self::ExtractWindow => {
                shop.stage.extract_and_load().await?;
                shop.change("UPDATE dbo.Things SET Note = N'changed' WHERE ID = 1").await?;
                shop.change("DELETE dbo.Things WHERE ID = 2").await?;
                leave(&shop, 2).await?;
            }
            Self::ExtractGap => {
                shop.stage.extract_and_load().await?;
                extract_twice(&mut shop).await?;
                shop.change("UPDATE dbo.Things SET Note = N'purged unread' WHERE ID = 3").await?;
                purge(&mut shop).await?;
            }
            Self::ExtractHandover => {
                hand_over(&mut shop).await?;
            }
            Self::LoadBackfill => {
                hand_over(&mut shop).await?;
                shop.stage.task(&["extract"]).await?.expect(0)?;
            }
            Self::CheckHandedOver => {
                hand_over(&mut shop).await?;
                shop.stage.extract_and_load().await?;
            }
            Self::LoadResync => {
                shop.stage.extract_and_load().await?;
                extract_twice(&mut shop).await?;
                shop.stage.task(&["load"]).await?.expect(0)?;
                shop.stage.task(Self::Resync.task()).await?.expect(0)?;
                shop.stage.task(&["extract"]).await?.expect(0)?;
            }
            Self::LoadSnapshot => {
                shop.stage.task(&["extract"]).await?.expect(0)?;
            }
            Self::Resync => {
                shop.stage.extract_and_load().await?;
            }
        }
        Ok(shop)
    }
}

/// Small, uncompressed parts, so that few rows make several; and locks that nobody waits long for.
fn configure(shop: &WatchedShop, over_gaps: bool) -> anyhow::Result<()> {
    shop.stage.configure(|text| {
        let text = text.replace("path_style = true", "path_style = true\ncompression = \"none\"\npart_size = \"5MiB\"");
        let text = text.replace("lock_timeout = \"60s\"", "lock_timeout = \"1s\"");
        if over_gaps { text.replace("[sync]", "[sync]\non_gap = \"resync\"") } else { text }
    })
}

/// Over 5 MiB in some rows, and one or more after them: a part in pieces, and one in one piece. Amazon Redshift takes no
/// text of more than 64 KiB.
async fn pieces(shop: &mut WatchedShop, engine: Engine) -> anyhow::Result<()> {
    let big = |times: u32| format!("REPLICATE(CAST(N'0123456789abcdef' AS nvarchar(max)), {times})");
    if engine == Engine::Postgres {
        return shop.sql.run(&format!("UPDATE dbo.Things SET Note = {} WHERE ID < 3", big(170_000))).await;
    }
    let rows: Vec<_> = (10..100).map(|id| format!("({id}, {})", big(4095))).collect();
    shop.sql.run(&format!("INSERT INTO dbo.Things VALUES {}", rows.join(", "))).await
}

/// Two batches of changes that nobody loads.
async fn extract_twice(shop: &mut WatchedShop) -> anyhow::Result<()> {
    for change in [
        "UPDATE dbo.Things SET Note = N'second' WHERE ID = 1; DELETE dbo.Things WHERE ID = 2",
        "INSERT INTO dbo.Things VALUES (4, N'four')",
    ] {
        shop.change(change).await?;
        shop.stage.task(&["extract"]).await?.expect(0)?;
    }
    Ok(())
}

/// A synced table with a column added and an instance that has it, changes before and after.
async fn hand_over(shop: &mut WatchedShop) -> anyhow::Result<()> {
    shop.stage.extract_and_load().await?;
    shop.sql.run("ALTER TABLE dbo.Things ADD Colour nvarchar(20) NULL").await?;
    shop.sql.run("UPDATE dbo.Things SET Colour = N'early' WHERE ID < 3").await?;
    shop.check().await?;
    shop.change("UPDATE dbo.Things SET Colour = N'late' WHERE ID = 2").await
}

/// Two parts and an unfinished upload of an attempt that is no more.
async fn leave(shop: &WatchedShop, sequence: u64) -> anyhow::Result<()> {
    let (ledger, bucket) = (shop.stage.ledger()?, shop.stage.bucket()?);
    let stem = ledger.part_stem(&table("Things").name, 1, sequence, Uuid::new_v4());
    for number in 0..2 {
        bucket.put(&format!("{stem}-000{number}.csv"), Bytes::from_static(b"left")).await?;
    }
    bucket.begin_upload(&format!("{stem}-0002.csv")).await?;
    Ok(())
}

/// Purges all history there is, as a cleanup job does whose retention has passed.
async fn purge(shop: &mut WatchedShop) -> anyhow::Result<()> {
    let rows = shop.sql.rows("SELECT capture_instance FROM cdc.change_tables").await?;
    let instance = rows.first().and_then(|row| row.try_get::<&str, _>(0).transpose()).context("no instance")??;
    let cleanup = format!(
        "DECLARE @lsn binary(10) = sys.fn_cdc_get_max_lsn();
         EXEC sys.sp_cdc_cleanup_change_table @capture_instance = N'{instance}', @low_water_mark = @lsn, @threshold = 5000"
    );
    shop.sql.run(&cleanup).await
}
