//! Values of every type, at their edges and at random, through the copy and through changes, compared with what they must
//! become by an expectation of our own; and every loss, counted exactly.

mod columns;
mod moment;
mod narrow;
mod value;
mod warehouse;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::{Context, ensure};
use delsert::config::Engine;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use self::columns::Column;
use self::value::Value;
use crate::support::ground::Ground;
use crate::support::redshift::Redshift;
use crate::support::source::{SourceOptions, Sql};
use crate::support::task::Summary;

/// Rows in one INSERT.
const ROWS_AT_ONCE: usize = 20;

/// Differences that are told; all are counted.
const TOLD: usize = 20;

/// What is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Random values, at least, besides the edges.
    pub values: u64,
    /// Where they are drawn from.
    pub seed: u64,
    /// The warehouse.
    pub engine: Engine,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Tally {
    /// Values compared.
    pub values: u64,
    /// Those of them that could not be carried exactly, by loss, as counted here.
    pub losses: BTreeMap<String, u64>,
    /// Values that arrived otherwise, or losses counted otherwise.
    pub differences: u64,
    /// The first of them.
    pub told: Vec<String>,
}

impl Tally {
    fn differ(&mut self, what: String) {
        self.differences += 1;
        if self.told.len() < TOLD {
            self.told.push(what);
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} values, {} differences; losses {:?}", self.values, self.differences, self.losses)?;
        self.told.iter().try_for_each(|told| write!(f, "\n  {told}"))
    }
}

/// Losses by column and name.
type Losses = BTreeMap<(String, String), u64>;

/// The three ends, the columns, and what the target should hold.
struct Stage {
    ground: Ground,
    cluster: Option<Redshift>,
    sql: Sql,
    columns: Vec<Column>,
    rows: BTreeMap<i32, Vec<Value>>,
    /// Rows written since the tasks ran.
    written: BTreeSet<i32>,
}

/// Sends the edges twice, by the copy and by changes, and random values half by each.
pub async fn run(options: Options) -> anyhow::Result<Tally> {
    let mut stage = Stage::open(options.engine).await?;
    let mut rng = StdRng::seed_from_u64(options.seed);
    let mut tally = Tally::default();
    let width = stage.columns.len() as u64;
    let half = options.values.div_ceil(width).div_ceil(2);
    let mut rows = stage.edges();
    rows.extend((0..half).map(|_| stage.random(&mut rng)));
    stage.insert(rows).await?;
    stage.sync(&mut tally).await?;
    // Half of what is there becomes something else, and more comes.
    stage.shuffle().await?;
    let mut rows = stage.edges();
    rows.extend((0..half).map(|_| stage.random(&mut rng)));
    stage.insert(rows).await?;
    stage.sql.capture_all().await?;
    stage.sync(&mut tally).await?;
    Ok(tally)
}

impl Stage {
    async fn open(engine: Engine) -> anyhow::Result<Self> {
        let ground = Ground::start(SourceOptions::default(), &["dbo.*"]).await?;
        let cluster = match engine {
            Engine::Postgres => None,
            Engine::Redshift => Some(Redshift::before(ground.target.clone(), &ground.s3.endpoint(), &[])?),
        };
        let mut sql = ground.source.connect().await?;
        let columns = columns::all(engine);
        let mut ddl = "CREATE TABLE dbo.[Values] (id int NOT NULL PRIMARY KEY".to_owned();
        let mut types = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            write!(ddl, ", c{at} {} NULL", column.sql_type)?;
            types.extend(column.target.map(|target| format!("c{at} = \"{target}\"")));
        }
        sql.run(&format!("{ddl})")).await?;
        let usual = ground.config(&["dbo.*"]);
        let mut config = cluster.as_ref().map_or(usual.clone(), |cluster| cluster.config(&usual));
        config.push_str(
            "\n[values]\nnul = \"replace\"\nsurrogate = \"replace\"\nlength = \"truncate\"\nrange = \"null\"\n",
        );
        write!(config, "\n[[table]]\nname = \"dbo.Values\"\ncolumns = {{ {} }}\n", types.join(", "))?;
        ground.write_config(&config)?;
        Ok(Self { ground, cluster, sql, columns, rows: BTreeMap::new(), written: BTreeSet::new() })
    }

    /// Rows that hold each edge of each column once, and NULL beside them.
    fn edges(&self) -> Vec<Vec<Value>> {
        let most = self.columns.iter().map(|column| column.edges.len()).max().unwrap_or_default();
        let row =
            |at| self.columns.iter().map(|column| column.edges.get(at).cloned().unwrap_or_else(Value::null)).collect();
        (0..=most).map(row).collect()
    }

    fn random(&self, rng: &mut StdRng) -> Vec<Value> {
        let mut draw = |column: &Column| if rng.random_bool(0.1) { Value::null() } else { (column.draw)(rng) };
        self.columns.iter().map(&mut draw).collect()
    }

    async fn insert(&mut self, rows: Vec<Vec<Value>>) -> anyhow::Result<()> {
        for rows in rows.chunks(ROWS_AT_ONCE) {
            let mut tuples = Vec::new();
            for row in rows {
                let id = self.rows.last_key_value().map_or(1, |(id, _)| id + 1);
                let literals: Vec<_> = row.iter().map(|value| value.literal.as_str()).collect();
                tuples.push(format!("({id}, {})", literals.join(", ")));
                self.rows.insert(id, row.clone());
                self.written.insert(id);
            }
            self.sql.run(&format!("INSERT INTO dbo.[Values] VALUES {}", tuples.join(", "))).await?;
        }
        Ok(())
    }

    /// Each second row takes the values of the row before it, in one statement each; every seventh goes.
    async fn shuffle(&mut self) -> anyhow::Result<()> {
        let ids: Vec<_> = self.rows.keys().copied().collect();
        for pair in ids.chunks_exact(2) {
            let [from, to] = [pair[0], pair[1]];
            let values = self.rows[&from].clone();
            if values.iter().zip(&self.rows[&to]).all(|(from, to)| from.literal == to.literal) {
                continue;
            }
            let set: Vec<_> =
                values.iter().enumerate().map(|(at, value)| format!("c{at} = {}", value.literal)).collect();
            self.sql.run(&format!("UPDATE dbo.[Values] SET {} WHERE id = {to}", set.join(", "))).await?;
            self.rows.insert(to, values);
            self.written.insert(to);
        }
        for id in ids.into_iter().filter(|id| id % 7 == 0) {
            self.sql.run(&format!("DELETE FROM dbo.[Values] WHERE id = {id}")).await?;
            self.rows.remove(&id);
        }
        Ok(())
    }

    /// Runs the three tasks, and compares rows and losses.
    async fn sync(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        let (extract, load) = self.ground.sync().await?;
        let written = std::mem::take(&mut self.written);
        let new = self.rows.iter().filter(|(id, _)| written.contains(id));
        let mut expected = Losses::new();
        for (at, value) in new.flat_map(|(_, row)| row.iter().enumerate()) {
            for loss in &value.losses {
                *expected.entry((format!("c{at}"), (*loss).to_owned())).or_default() += 1;
                *tally.losses.entry((*loss).to_owned()).or_default() += 1;
            }
        }
        for (task, summary) in [("extract", &extract), ("load", &load)] {
            let told = told_losses(summary)?;
            if told != expected {
                tally.differ(format!("{task} counts {told:?}, there were {expected:?}"));
            }
        }
        self.compare(tally).await
    }

    /// The target's rows, as it prints them.
    async fn rows(&self) -> anyhow::Result<Vec<SimpleQueryRow>> {
        let client = if let Some(cluster) = &self.cluster {
            cluster.connect().await?
        } else {
            let client = self.ground.target.connect().await?;
            client.batch_execute("SET bytea_output TO 'hex'").await?;
            client
        };
        let settings = "SET TimeZone TO 'UTC'; SET DateStyle TO 'ISO, YMD'; SET extra_float_digits TO 2";
        client.batch_execute(settings).await?;
        let messages = client.simple_query("SELECT * FROM dbo.values").await?;
        let row = |message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None };
        Ok(messages.into_iter().filter_map(row).collect())
    }

    async fn compare(&self, tally: &mut Tally) -> anyhow::Result<()> {
        let engine = if self.cluster.is_some() { Engine::Redshift } else { Engine::Postgres };
        let rows = self.rows().await?;
        ensure!(rows.len() == self.rows.len(), "the target has {} rows, the source {}", rows.len(), self.rows.len());
        for row in &rows {
            let id: i32 = row.get(0).context("a row without its number")?.parse()?;
            let values = self.rows.get(&id).with_context(|| format!("row {id} is not at the source"))?;
            for (at, (value, column)) in values.iter().zip(&self.columns).enumerate() {
                let found: Option<&str> = row.get(at + 1);
                tally.values += 1;
                if !value.expected.is(engine, found) {
                    let texts = [value.literal.clone(), format!("{found:?}"), format!("{:?}", value.expected)];
                    let [literal, found, expected] = texts.each_ref().map(|text| shown(text));
                    let sql_type = column.sql_type;
                    tally.differ(format!("row {id}, {sql_type}, {literal}: {found} instead of {expected}"));
                }
            }
        }
        Ok(())
    }
}

/// The beginning of a text that may be long.
fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(200)]
}

/// The losses that a summary tells of the one table.
fn told_losses(summary: &Summary) -> anyhow::Result<Losses> {
    let table = summary.0["tables"].as_array().and_then(|tables| tables.first()).context("no table in the summary")?;
    let columns = table["losses"].as_object().context("no losses in the summary")?;
    let mut told = Losses::new();
    for (column, losses) in columns {
        for (loss, times) in losses.as_object().context("losses of a column")? {
            told.insert((column.clone(), loss.clone()), times.as_u64().context("times")?);
        }
    }
    Ok(told)
}
