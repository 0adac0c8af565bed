//! A target whose connection breaks around COPY and COMMIT, whose tables are locked, whose disk is full, that crashes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use standin::s3::{Fault, Moment};
use tempfile::TempDir;

use super::{NEW, expect_mended, expect_told, expect_untouched, extracted_shop, timed};
use crate::rules::by_hand::table;
use crate::rules::stage::Gate;
use crate::rules::watched::WatchedShop;
use crate::support::postgres::{Database, Postgres, give_to_server};
use crate::support::relay::{Relay, Trap};
use crate::support::server::Leash;
use crate::support::skip;

/// Starting a process of a debug build, connecting and logging in, on a machine that does other things too.
const SLACK: Duration = Duration::from_secs(10);

/// What every message about a broken connection to the target says.
const BROKEN: [&str; 2] = ["dbo.Things", "un the task again"];

/// A relay before the target, which the configuration then names.
async fn relay(shop: &WatchedShop) -> anyhow::Result<Relay> {
    let relay = Relay::start(shop.stage.target.port).await?;
    through(shop, &relay)?;
    Ok(relay)
}

fn through(shop: &WatchedShop, relay: &Relay) -> anyhow::Result<()> {
    let (direct, relayed) = (format!("port = {}\n", shop.stage.target.port), format!("port = {}\n", relay.port));
    shop.stage.configure(|text| text.replace(&direct, &relayed))
}

/// Before each statement of a load, and after it with its answer lost: nothing of it stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_at_any_statement_leaves_nothing() -> anyhow::Result<()> {
    let mut shop = extracted_shop().await?;
    let relay = relay(&shop).await?;
    for statement in [
        "LOCK TABLE",
        "DELETE FROM \"delsert\"",
        "COPY ",
        "count(*) FROM \"delsert\"",
        "DELETE FROM \"dbo\"",
        "INSERT INTO",
        "UPDATE ",
    ] {
        let text = statement.as_bytes().to_vec();
        for trap in [Trap::Before(text.clone()), Trap::AnswerLost(text)] {
            relay.set_trap(trap);
            let (outcome, _) = timed(&shop, &["load"], 75).await.with_context(|| format!("cut at {statement}"))?;
            ensure!(!relay.is_trap_set(), "no load sends {statement}");
            expect_told(&outcome, &BROKEN)?;
            expect_untouched(&shop).await?;
        }
    }
    expect_mended(&mut shop, NEW).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_in_mid_copy_leaves_nothing() -> anyhow::Result<()> {
    let mut shop = changed_much().await?;
    shop.stage.task(&["extract"]).await?.expect(0)?;
    let relay = relay(&shop).await?;
    // The login and its settings are some thousand bytes; the rows some million.
    for bytes in [100_000, 500_000, 1_500_000] {
        relay.set_trap(Trap::Bytes(bytes));
        let (outcome, _) = timed(&shop, &["load"], 75).await?;
        ensure!(!relay.is_trap_set(), "no load sends {bytes} bytes");
        expect_told(&outcome, &BROKEN)?;
        expect_told(&outcome, &["cannot copy part"])?;
        expect_untouched(&shop).await?;
    }
    expect_mended_whole(&mut shop).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_does_not_reach_the_server_is_none() -> anyhow::Result<()> {
    let mut shop = extracted_shop().await?;
    let relay = relay(&shop).await?;
    relay.set_trap(Trap::Before(b"COMMIT\0".to_vec()));
    let (outcome, _) = timed(&shop, &["load"], 75).await?;
    ensure!(!relay.is_trap_set(), "no load commits");
    expect_told(&outcome, &["dbo.Things", "during COMMIT", "may or may not have happened", "un the task again"])?;
    expect_untouched(&shop).await?;
    ensure!(shop.stage.keys_ending("0000000002/applied.json").is_empty(), "marked applied, and is not");
    expect_mended(&mut shop, NEW).await
}

/// The next load finds out by the watermark, and applies nothing twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_reply_is_lost_is_found_by_the_next_load() -> anyhow::Result<()> {
    let mut shop = extracted_shop().await?;
    let relay = relay(&shop).await?;
    relay.set_trap(Trap::AnswerLost(b"COMMIT\0".to_vec()));
    let (outcome, _) = timed(&shop, &["load"], 75).await?;
    ensure!(!relay.is_trap_set(), "no load commits");
    expect_told(&outcome, &["dbo.Things", "during COMMIT", "may or may not have happened", "un the task again"])?;
    shop.expect_rows(NEW).await?;
    ensure!(shop.stage.watermark(&table("Things")).await? == (1, 2), "the watermark was left behind");
    let target = shop.stage.target.connect().await?;
    let versions = || async {
        let query = "SELECT string_agg(id || ' by ' || xmin, ', ' ORDER BY id) FROM dbo.things";
        anyhow::Ok(target.query_one(query, &[]).await?.get::<_, Option<String>>(0))
    };
    let before = versions().await?;
    let load = shop.stage.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(load.0["batches"] == 0 && versions().await? == before, "the batch was applied twice: {}", load.0);
    ensure!(shop.stage.keys_ending("0000000002/applied.json").len() == 1, "the next load did not mark it");
    expect_mended(&mut shop, NEW).await
}

/// Whoever holds a table longer than the bound is named by where to look.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_somebody_holds_is_waited_for_within_the_bound() -> anyhow::Result<()> {
    let mut shop = extracted_shop().await?;
    let bound = Duration::from_secs(1);
    let holder = shop.stage.target.connect().await?;
    let staging: String = holder
        .query_one("SELECT format('delsert.%I', tablename) FROM pg_tables WHERE tablename LIKE 'stage%'", &[])
        .await?
        .get(0);
    let mark = shop.stage.mark(&table("Things"))?;
    for (held, named) in [("dbo.things", "things"), (&staging, "staging"), (&mark, &mark)] {
        shop.stage.configure(|text| text.replace("lock_timeout = \"60s\"", "lock_timeout = \"1s\""))?;
        holder.batch_execute(&format!("BEGIN; LOCK TABLE {held} IN ACCESS EXCLUSIVE MODE")).await?;
        let (outcome, took) = timed(&shop, &["load"], 75).await?;
        expect_told(&outcome, &["dbo.Things", "PostgreSQL", named, "lock timeout", "pg_locks"])?;
        ensure!(bound < took && took < bound + SLACK, "load took {took:?} to give up on {held}");
        holder.batch_execute("ROLLBACK").await?;
        expect_untouched(&shop).await?;
    }
    expect_mended(&mut shop, NEW).await
}

/// Readers are not waited for, and keep seeing what they began with.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_holds_no_load_up() -> anyhow::Result<()> {
    let mut shop = extracted_shop().await?;
    shop.stage.configure(|text| text.replace("lock_timeout = \"60s\"", "lock_timeout = \"1s\""))?;
    let reader = shop.stage.target.connect().await?;
    reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM dbo.things").await?;
    shop.stage.task(&["load"]).await?.expect(0)?;
    let seen: i64 = reader.query_one("SELECT sum(id) FROM dbo.things", &[]).await?.get(0);
    ensure!(seen == 6, "the reader's table changed under it");
    reader.batch_execute("COMMIT").await?;
    expect_mended(&mut shop, NEW).await
}

/// A server of the test's own in the place of the shared one.
async fn own_server(shop: &mut WatchedShop) -> anyhow::Result<Postgres> {
    let postgres = tokio::task::block_in_place(|| Postgres::start(&Leash::Owner))?;
    shop.stage.target = postgres.database().await?;
    shop.stage.configure(|text| text)?;
    Ok(postgres)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_in_mid_load_has_nothing_of_it() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    let postgres = own_server(&mut shop).await?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    shop.change("UPDATE dbo.Things SET Note = N'changed' WHERE ID = 2").await?;
    shop.stage.task(&["extract"]).await?.expect(0)?;
    let gate = Gate::new();
    let passing = Arc::clone(&gate);
    shop.stage.watch(move |operation, moment| {
        if moment == Moment::Before && operation.name == "GetObject" && operation.key.contains(".csv") {
            passing.pass();
        }
        Fault::None
    });
    let load = shop.stage.start_task(&["load"])?;
    gate.reached(1).await?;
    tokio::task::block_in_place(|| postgres.restart_at_once())?;
    gate.open();
    let outcome = load.outcome().await?.expect(75)?;
    expect_told(&outcome, &BROKEN)?;
    expect_untouched(&shop).await?;
    expect_mended(&mut shop, &[(1, "one"), (2, "changed"), (3, "three")]).await
}

/// A file system of its own, of so many MiB, in memory.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one; `None`, said loudly, where that is not allowed.
    fn mount(size: u32) -> anyhow::Result<Option<Self>> {
        let folder = tempfile::Builder::new().prefix("delsert-disk-").tempdir()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}m,mode=0755"), "tmpfs"]).arg(folder.path());
        let mounted = mount.output().context("cannot start mount")?;
        if !mounted.status.success() {
            let why = String::from_utf8_lossy(&mounted.stderr);
            skip(&format!("no full disk without the right to mount a small one: {}", why.trim()))?;
            return Ok(None);
        }
        Ok(Some(Self { folder }))
    }

    /// A folder on it that the server may write to.
    fn folder(&self) -> anyhow::Result<PathBuf> {
        let folder = self.folder.path().join("tables");
        fs::create_dir(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        give_to_server(&folder)?;
        Ok(folder)
    }

    /// Leaves so many bytes free, at most.
    fn fill_up_to(&self, free: u64) -> anyhow::Result<()> {
        let filler = self.folder.path().join("filler");
        fs::write(&filler, b"")?;
        let output = Command::new("df").args(["--output=avail", "-B1"]).arg(self.folder.path()).output()?;
        let said = String::from_utf8(output.stdout)?;
        let available: u64 = said.lines().nth(1).context("df says nothing")?.trim().parse()?;
        fs::write(&filler, vec![0; usize::try_from(available.saturating_sub(free))?])?;
        Ok(())
    }

    /// Frees what was filled.
    fn free(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.folder.path().join("filler"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let ended = Command::new("umount").arg(self.folder.path()).status();
        if !ended.is_ok_and(|status| status.success()) {
            let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
        }
    }
}

/// Puts all tables that are made from now on onto that disk.
async fn put_tables_on(disk: &SmallDisk, database: &Database) -> anyhow::Result<()> {
    let admin = database.connect_as_admin().await?;
    let folder = disk.folder()?.display().to_string();
    admin.batch_execute(&format!("CREATE TABLESPACE small OWNER loader LOCATION '{folder}'")).await?;
    admin.batch_execute(&format!("ALTER DATABASE \"{}\" SET default_tablespace = small", database.name)).await?;
    Ok(())
}

/// Full at once, and full once staging has its rows: nothing is applied; with space again the next load does it.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_the_next_load_with_space_applies() -> anyhow::Result<()> {
    let Some(disk) = SmallDisk::mount(32)? else { return Ok(()) };
    let mut shop = WatchedShop::unchecked().await?;
    let _postgres = own_server(&mut shop).await?;
    put_tables_on(&disk, &shop.stage.target).await?;
    shop.check().await?;
    shop.stage.extract_and_load().await?;
    change_much(&mut shop).await?;
    shop.stage.task(&["extract"]).await?.expect(0)?;
    for (free, at) in [(200_000, "copy part"), (5_000_000, "insert into")] {
        disk.fill_up_to(free)?;
        let (outcome, _) = timed(&shop, &["load"], 75).await?;
        expect_told(&outcome, &["dbo.Things", "PostgreSQL", at, "No space left on device", "53100", "disk"])?;
        expect_untouched(&shop).await?;
        disk.free()?;
    }
    expect_mended_whole(&mut shop).await
}

/// Some 3 MB of rows to come: each short enough to be stored in its place, uncompressed.
async fn change_much(shop: &mut WatchedShop) -> anyhow::Result<()> {
    for thousand in 1..=2 {
        let rows: Vec<_> = (0..1000).map(|row| format!("({}, N'{:x<1500}')", thousand * 1000 + row, row)).collect();
        for some in rows.chunks(250) {
            shop.sql.run(&format!("INSERT INTO dbo.Things VALUES {}", some.join(", "))).await?;
        }
    }
    shop.sql.capture_all().await
}

async fn changed_much() -> anyhow::Result<WatchedShop> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    change_much(&mut shop).await?;
    Ok(shop)
}

async fn expect_mended_whole(shop: &mut WatchedShop) -> anyhow::Result<()> {
    let mut rows = vec![(1, "one".to_owned()), (2, "two".to_owned()), (3, "three".to_owned())];
    rows.extend((0..2000).map(|row| (1000 + row, format!("{:x<1500}", row % 1000))));
    let rows: Vec<_> = rows.iter().map(|(id, note)| (*id, note.as_str())).collect();
    expect_mended(shop, &rows).await
}
