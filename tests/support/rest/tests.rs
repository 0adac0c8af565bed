//! Each thing is broken once, and must be found.

use super::*;
use crate::support::ground::Ground;
use crate::support::source::SourceOptions;

const TABLES: &[&str] = &["dbo.Things", "dbo.Pairs"];

/// Two tables that were synced, the first in several batches.
struct Synced {
    ground: Ground,
    sql: Sql,
    target: Client,
}

impl Synced {
    async fn new() -> anyhow::Result<Self> {
        let ground = Ground::start(SourceOptions::default(), &["dbo.*"]).await?;
        let mut sql = ground.source.connect().await?;
        sql.run(
            "CREATE TABLE dbo.Things (ID int NOT NULL PRIMARY KEY, Note nvarchar(max) NULL, Price decimal(9, 2) NULL,
                 Sold bit NULL, At date NULL, Mark uniqueidentifier NULL, Raw varbinary(8) NULL);
             INSERT INTO dbo.Things VALUES
                 (1, N'one é', 1.50, 1, '2026-01-31', '6F9619FF-8B86-D011-B42D-00C04FC964FF', 0xAB01),
                 (2, NULL, NULL, NULL, NULL, NULL, NULL), (3, N'', -0.05, 0, '0001-01-01', NULL, 0x);
             CREATE TABLE dbo.Pairs (A int NOT NULL, B nvarchar(5) NOT NULL, N bigint NOT NULL, PRIMARY KEY (B, A));
             INSERT INTO dbo.Pairs VALUES (1, N'x', 1), (1, N'y', 2)",
        )
        .await?;
        ground.sync().await?;
        for note in ["two", "three"] {
            sql.run(&format!("UPDATE dbo.Things SET Note = N'{note}' WHERE ID = 2")).await?;
            sql.capture_all().await?;
            ground.sync().await?;
        }
        let target = ground.target.connect().await?;
        target.batch_execute("ALTER TABLE dbo.pairs DROP CONSTRAINT pairs_pkey").await?;
        Ok(Self { ground, sql, target })
    }

    async fn faults(&mut self) -> anyhow::Result<Vec<String>> {
        faults(&mut self.sql, &self.ground.bucket(), &self.target, TABLES).await
    }

    /// Breaks the target, expects that one fault, and mends it.
    async fn target_fault(&mut self, damage: &str, fault: &str, repair: &str) -> anyhow::Result<()> {
        self.target.batch_execute(damage).await?;
        self.expect_one(fault).await?;
        self.target.batch_execute(repair).await?;
        Ok(())
    }

    /// Writes an object, expects that one fault, and removes it.
    async fn object_fault(&mut self, key: &str, body: &str, fault: &str) -> anyhow::Result<()> {
        let bucket = self.ground.bucket();
        bucket.put(key, body.as_bytes().to_vec()).await?;
        self.expect_one(fault).await?;
        bucket.delete(key).await
    }

    /// Removes an object, expects that one fault, and restores it.
    async fn absence_fault(&mut self, key: &str, fault: &str) -> anyhow::Result<()> {
        let bucket = self.ground.bucket();
        let body = bucket.get(key).await?;
        bucket.delete(key).await?;
        self.expect_one(fault).await?;
        bucket.put(key, body).await
    }

    async fn expect_one(&mut self, fault: &str) -> anyhow::Result<()> {
        let faults = self.faults().await?;
        ensure!(faults.len() == 1 && faults[0].contains(fault), "expected one fault '{fault}', found {faults:?}");
        Ok(())
    }
}

fn key(rest: &str) -> String {
    format!("{PREFIX}/{SYNC}/dbo.Things/{rest}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synced_system_is_at_rest() -> anyhow::Result<()> {
    let mut synced = Synced::new().await?;
    expect_at_rest(&mut synced.sql, &synced.ground.bucket(), &synced.target, TABLES).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_target_is_found() -> anyhow::Result<()> {
    let mut synced = Synced::new().await?;
    let mark: String = synced
        .target
        .query_one(r"SELECT tablename::text FROM pg_tables WHERE tablename LIKE 'mark\_dbo\_things\_%'", &[])
        .await?
        .get(0);
    let stage = mark.replacen("mark", "stage", 1);
    for (damage, fault, repair) in [
        (
            "DELETE FROM dbo.pairs WHERE n = 2",
            "missing row: dbo.Pairs B=\"y\", A=\"1\"",
            "INSERT INTO dbo.pairs VALUES (1, 'y', 2)",
        ),
        (
            "INSERT INTO dbo.pairs VALUES (1, 'y', 2)",
            "doubled row: dbo.Pairs B=\"y\", A=\"1\", 2 times",
            "DELETE FROM dbo.pairs a USING dbo.pairs b WHERE a.b = b.b AND a.ctid > b.ctid",
        ),
        (
            "UPDATE dbo.things SET note = NULL WHERE id = 3",
            "differing row: dbo.Things ID=\"3\": Note is NULL, at the source \"\"",
            "UPDATE dbo.things SET note = '' WHERE id = 3",
        ),
        ("INSERT INTO dbo.things VALUES (9)", "ghost row: dbo.Things ID=\"9\"", "DELETE FROM dbo.things WHERE id = 9"),
        (
            &format!("UPDATE delsert.{mark} SET sequence = 2"),
            "the watermark is 1/2, the tail 1/3",
            &format!("UPDATE delsert.{mark} SET sequence = 3"),
        ),
        (
            &format!("UPDATE delsert.{mark} SET position = position || '0'"),
            "is not of the tail's manifest",
            &format!("UPDATE delsert.{mark} SET position = left(position, 22)"),
        ),
        (
            &format!("UPDATE delsert.{mark} SET sync = 'other'"),
            "of sync 'other'",
            &format!("UPDATE delsert.{mark} SET sync = '{SYNC}'"),
        ),
        (
            &format!("INSERT INTO delsert.{stage} (id) VALUES (1)"),
            "staging: 1 rows",
            &format!("TRUNCATE delsert.{stage}"),
        ),
    ] {
        synced.target_fault(damage, fault, repair).await.with_context(|| damage.to_owned())?;
    }

    let other = synced.ground.target.connect().await?;
    other.batch_execute("BEGIN; SELECT 1").await?;
    synced.expect_one("open transaction").await?;
    other.batch_execute("ROLLBACK; SELECT pg_advisory_lock(1)").await?;
    synced.expect_one("1 advisory locks").await?;
    other.batch_execute("SELECT pg_advisory_unlock(1)").await?;
    ensure!(synced.faults().await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_bucket_is_found() -> anyhow::Result<()> {
    let mut synced = Synced::new().await?;
    let attempt = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
    let (batch, above) = ("0000000001/0000000002", "0000000001/0000000004");
    for (object, fault) in [
        (key(&format!("{batch}/{attempt}-0000.csv.zst")), "part left behind"),
        (key(&format!("{above}/{attempt}-0000.csv.zst")), "part left behind"),
        (key(&format!("{above}/applied.json")), "batch 4 has a mark and no manifest"),
        (key(&format!("{batch}/readme.txt")), "nothing of the ledger"),
        (key("0000000002/0000000001/manifest.json"), "object of generation 2"),
        (format!("{PREFIX}/probe-{attempt}"), "object of no table"),
    ] {
        synced.object_fault(&object, "{}", fault).await.with_context(|| object)?;
    }
    for (object, fault) in [
        (key(&format!("{batch}/applied.json")), "batch 2 is not marked applied"),
        (key("0000000001/open.json"), "no generation is open"),
        (key("0000000001/0000000003/manifest.json"), "the watermark is 1/3, the tail 1/2"),
        (key("0000000001/0000000002/manifest.json"), "gap: batch 3 follows 1"),
        (key("0000000001/0000000001/manifest.json"), "the oldest manifest kept is 2"),
    ] {
        let mark = object.replace("manifest.json", "applied.json");
        let both = object.ends_with("manifest.json").then(|| mark.clone());
        let bucket = synced.ground.bucket();
        let body = match &both {
            Some(mark) => Some(bucket.get(mark).await?),
            None => None,
        };
        if let Some(mark) = &both {
            bucket.delete(mark).await?;
        }
        synced.absence_fault(&object, fault).await.with_context(|| object)?;
        if let (Some(mark), Some(body)) = (both, body) {
            bucket.put(&mark, body).await?;
        }
    }
    let last = key("0000000001/0000000003/manifest.json");
    let bucket = synced.ground.bucket();
    let mut manifest = bucket.json(&last).await?;
    let (sound, from) = (manifest.to_string(), manifest["window"]["from"].take());
    ensure!(from.is_string());
    bucket.put(&last, manifest.to_string().into_bytes()).await?;
    synced.expect_one("batch 3 does not begin where 2 ends").await?;
    bucket.put(&last, sound.into_bytes()).await?;
    let mark = key("0000000001/0000000003/applied.json");
    let sound = bucket.get(&mark).await?;
    bucket.put(&mark, b"{}".to_vec()).await?;
    synced.expect_one("the mark of batch 3 names another attempt").await?;
    bucket.put(&mark, sound).await?;
    synced.ground.bucket().begin_upload(&key(&format!("{above}/{attempt}-0000.csv.zst"))).await?;
    synced.expect_one("unfinished multipart upload").await
}
