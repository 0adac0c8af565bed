//! The three ends, each behind a relay, and a target that enforces no keys.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use delsert::config::Engine;
use tempfile::TempDir;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::Options;
use super::tally::Tally;
use super::worker::{Task, Worker};
use super::writer;
use crate::support::bucket::{Bucket, S3};
use crate::support::ground::{self, BUCKET};
use crate::support::postgres::{Database, Postgres};
use crate::support::redshift::Redshift;
use crate::support::relay::Relay;
use crate::support::server::Leash;
use crate::support::source::{Source, SourceOptions, Sql};

/// What a target that a person made might lack, and triggers that note each batch within its own transaction.
const AUDIT: &str = "
    CREATE TABLE public.applied (id bigserial, mark text, generation bigint, sequence bigint);
    CREATE TABLE public.loaded (rows bigint);
    CREATE FUNCTION public.note_batch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO public.applied (mark, generation, sequence) VALUES (TG_TABLE_NAME, NEW.generation, NEW.sequence);
        RETURN NULL;
    END $$;
    CREATE FUNCTION public.note_rows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO public.loaded SELECT count(*) FROM new_rows;
        RETURN NULL;
    END $$;
    DO $$
    DECLARE
        found record;
    BEGIN
        FOR found IN SELECT conrelid::regclass AS name, conname, pg_get_constraintdef(oid) AS definition
            FROM pg_constraint WHERE connamespace = 'dbo'::regnamespace AND contype IN ('p', 'u') LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.name, found.conname);
            EXECUTE format('CREATE INDEX ON %s %s', found.name, substring(found.definition FROM '\\(.*\\)'));
        END LOOP;
        FOR found IN SELECT tablename FROM pg_tables WHERE schemaname = 'dbo' LOOP
            EXECUTE format('CREATE TRIGGER note_rows AFTER INSERT ON dbo.%I REFERENCING NEW TABLE AS new_rows
                FOR EACH STATEMENT EXECUTE FUNCTION public.note_rows()', found.tablename);
        END LOOP;
        FOR found IN SELECT tablename FROM pg_tables WHERE schemaname = 'delsert' AND tablename LIKE 'mark\\_%' LOOP
            EXECUTE format('CREATE TRIGGER note_batch AFTER UPDATE ON delsert.%I
                FOR EACH ROW EXECUTE FUNCTION public.note_batch()', found.tablename);
        END LOOP;
    END $$";

/// Everything that runs.
pub struct Stage {
    /// A T-SQL connection that no relay cuts.
    pub sql: Sql,
    /// A look into the bucket.
    pub bucket: Bucket,
    /// A connection to the target that no relay cuts.
    pub target: Client,
    /// Processes that were not yet seen to end.
    pub workers: Vec<Worker>,
    /// How long each task took of late.
    typical: BTreeMap<Task, Duration>,
    /// Source, bucket, target.
    relays: [Relay; 3],
    writing: Arc<RwLock<()>>,
    written: Arc<AtomicU64>,
    writers: JoinSet<anyhow::Result<()>>,
    environment: Vec<(String, String)>,
    source: Source,
    s3: S3,
    database: Database,
    /// What is before it.
    cluster: Option<Redshift>,
    _postgres: Postgres,
    folder: Option<TempDir>,
    path: PathBuf,
}

impl Stage {
    /// Starts the ends and the writers, and checks once.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("delsert-soak-").tempdir()?;
        let path = folder.path().to_owned();
        fs::create_dir(path.join("logs"))?;
        let source_options = SourceOptions { capture_interval: Duration::from_millis(100), ..SourceOptions::default() };
        let start = || {
            let source = Source::start(&path, &source_options, &Leash::Owner)?;
            anyhow::Ok((source, S3::start(&path, &Leash::Owner)?, Postgres::start(&Leash::Owner)?))
        };
        let (source, s3, postgres) = tokio::task::block_in_place(start)?;
        let database = postgres.create_database("warehouse").await?;
        let cluster = match options.engine {
            Engine::Postgres => None,
            Engine::Redshift => Some(Redshift::before(database.clone(), &s3.endpoint(), &[])?),
        };
        let served = cluster.as_ref().map_or(database.port, |cluster| cluster.port);
        let relays = [Relay::start(source.port).await?, Relay::start(s3.port).await?, Relay::start(served).await?];
        let mut stage = Self {
            sql: source.connect().await?,
            bucket: s3.bucket(BUCKET),
            target: database.connect().await?,
            workers: Vec::new(),
            typical: BTreeMap::new(),
            relays,
            writing: Arc::default(),
            written: Arc::default(),
            writers: JoinSet::new(),
            environment: ground::environment(),
            source,
            s3,
            database,
            cluster,
            _postgres: postgres,
            folder: Some(folder),
            path,
        };
        stage.configure(0)?;
        let mut writers = writer::writers(options);
        for writer in &mut writers {
            writer.begin(&mut stage.sql).await?;
        }
        stage.run_once(Task::Check).await?;
        stage.target.batch_execute(AUDIT).await.context("cannot take the keys off the target")?;
        for task in [Task::Extract, Task::Load, Task::Run] {
            stage.run_once(task).await?;
        }
        for writer in writers {
            let (sql, writing) = (stage.source.connect().await?, Arc::clone(&stage.writing));
            stage.writers.spawn(writer.write(sql, writing, Arc::clone(&stage.written)));
        }
        Ok(stage)
    }

    /// Runs a task that nothing disturbs, and learns how long it takes.
    async fn run_once(&mut self, task: Task) -> anyhow::Result<()> {
        let arguments = [task.name().to_owned()];
        let mut worker = self.worker_of(task, &arguments, "first")?;
        ensure!(worker.wait(Duration::from_mins(1)).await?, "does not end: {}", worker.told());
        let ended = worker.ended()?.context("it has ended")?;
        if ended.how != "0" {
            let kept = self.keep();
            anyhow::bail!("before anything was hit: {}; kept: {}", ended.told, kept.display());
        }
        self.typical.extend(ended.took.map(|took| (task, took)));
        Ok(())
    }

    /// Writes the configuration of a group of rounds: how history is purged, and how many tables go at a time.
    pub fn configure(&self, group: u64) -> anyhow::Result<()> {
        let purge = ["after_extract", "after_extract", "after_load", "never"][(group % 4) as usize];
        let parallel = [4, 2, 1][(group % 3) as usize];
        // Such that a large row has a part of its own; in several pieces, where it may be as large as that.
        let part_size = if self.cluster.is_some() { "64KiB" } else { "256KiB" };
        let [source, bucket, target] = self.relays.each_ref().map(|relay| relay.port);
        let changes = [
            ("[sync]\n".to_owned(), format!("[sync]\npurge = \"{purge}\"\nparallel = {parallel}\n")),
            (format!("port = {}\n", self.source.port), format!("port = {source}\nconnect_timeout = \"5s\"\n")),
            (self.s3.endpoint(), format!("http://127.0.0.1:{bucket}")),
            ("[bucket]\n".to_owned(), format!("[bucket]\ncompression = \"none\"\npart_size = \"{part_size}\"\n")),
            (
                format!("port = {}\n", self.cluster.as_ref().map_or(self.database.port, |cluster| cluster.port)),
                format!("port = {target}\nconnect_timeout = \"5s\"\nlock_timeout = \"1s\"\n"),
            ),
        ];
        let usual = ground::config(&self.source, &self.s3, &self.database, &["dbo.*"]);
        let mut text = self.cluster.as_ref().map_or(usual.clone(), |cluster| cluster.config(&usual));
        for (from, to) in changes {
            ensure!(text.contains(&from), "the usual configuration has no {from}");
            text = text.replacen(&from, &to, 1);
        }
        Ok(fs::write(self.config(), text)?)
    }

    fn config(&self) -> PathBuf {
        self.path.join("con_defs.toml")
    }

    fn worker_of(&self, task: Task, arguments: &[String], number: &str) -> anyhow::Result<Worker> {
        let log = self.path.join("logs").join(format!("{number}-{}.log", task.name()));
        Worker::start(task, arguments, &self.config(), &self.environment, log)
    }

    /// Starts a task, and gives its number.
    pub fn begin(&mut self, task: Task, arguments: &[String], tally: &mut Tally) -> anyhow::Result<u64> {
        tally.processes += 1;
        let number = tally.processes;
        let mut worker = self.worker_of(task, arguments, &format!("{number:05}"))?;
        worker.number = number;
        self.workers.push(worker);
        Ok(number)
    }

    /// How long that task took of late.
    pub fn typical(&self, task: Task) -> Duration {
        // Nobody waits for a resync: it is as long as a check, more or less.
        self.typical.get(&task).or_else(|| self.typical.get(&Task::Check)).copied().unwrap_or_default()
    }

    /// A process that was started and not yet seen to end.
    pub fn worker(&mut self, number: u64) -> Option<&mut Worker> {
        self.workers.iter_mut().find(|worker| worker.number == number)
    }

    /// Cuts all connections of tasks to an end; `true` if that met a living process.
    pub fn cut(&mut self, end: usize) -> anyhow::Result<bool> {
        if self.relays[end].cut() == 0 {
            return Ok(false);
        }
        let mut met = false;
        for worker in &mut self.workers {
            worker.disturb();
            met |= worker.lives()?;
        }
        Ok(met)
    }

    /// Notes how processes ended.
    pub fn reap(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        let mut living = Vec::new();
        for mut worker in std::mem::take(&mut self.workers) {
            let Some(ended) = worker.ended()? else {
                living.push(worker);
                continue;
            };
            // Only here is it certain that a kill came before the end.
            tally.killed += u64::from(ended.killed);
            tally.slept_long += u64::from(ended.slept_long);
            tally.overtaken += u64::from(ended.overtaken);
            if !ended.is_fine() {
                tally.faults.push(ended.told);
            }
            *tally.exits.entry(ended.how).or_default() += 1;
            if let (Some(took), Some(typical)) = (ended.took, self.typical.get_mut(&ended.task)) {
                *typical = (*typical * 3 + took) / 4;
            }
        }
        self.workers = living;
        Ok(())
    }

    /// Waits until no more than so many run that are not frozen.
    pub async fn thin_out(&mut self, limit: usize, tally: &mut Tally) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            self.reap(tally)?;
            let running = self.workers.iter().filter(|worker| worker.frozen_until.is_none()).count();
            // Those who wait for one that is frozen may wait longer than this: the next round wakes somebody.
            if running <= limit || started.elapsed() > Duration::from_secs(2) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops the writers between two transactions, for as long as the guard is held.
    pub async fn pause_writers(&mut self) -> anyhow::Result<OwnedRwLockWriteGuard<()>> {
        let pause = Arc::clone(&self.writing).write_owned().await;
        if let Some(ended) = self.writers.try_join_next() {
            ended?.context("a writer at the source failed")?;
        }
        Ok(pause)
    }

    /// Rows changed by writers so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Removes the logs of processes that ended.
    pub fn forget_logs(&self) -> anyhow::Result<()> {
        for entry in fs::read_dir(self.path.join("logs"))? {
            let path = entry?.path();
            if self.workers.iter().all(|worker| worker.log() != path) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Keeps configuration and logs after the end, and says where.
    pub fn keep(&mut self) -> PathBuf {
        self.folder.take().map_or_else(|| self.path.clone(), TempDir::keep)
    }
}
