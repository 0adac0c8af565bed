//! Schemas, tables and columns of each kind, copied, changed, and named on the command line.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use tokio_postgres::Client;

use super::{awkward, expect_sound_lines, here, text, there};
use crate::rules::stage::Stage;
use crate::support::ground::{PREFIX, SYNC};
use crate::support::source::Sql;
use crate::support::task::Summary;

/// Names that are of the server's own, by which no schema can go.
const NO_SCHEMAS: &[&str] = &["USER"];

/// Names of tables that live for a session only.
const NO_TABLES: &[&str] = &["#"];

/// How many columns a key has here: as many as the oldest server allows.
const KEY: usize = 16;

/// A table on its way.
struct Traveller {
    schema: String,
    table: String,
    columns: Vec<String>,
    /// How many of the columns, from the first, are the key.
    key: usize,
    /// What each row holds beside its number.
    rows: BTreeMap<i32, String>,
}

impl Traveller {
    /// A table with a number for its key, and one column.
    fn new(schema: &str, table: &str, column: &str) -> Self {
        let columns = vec!["Number".to_owned(), column.to_owned()];
        Self { schema: schema.to_owned(), table: table.to_owned(), columns, key: 1, rows: BTreeMap::new() }
    }

    fn name(&self) -> String {
        format!("{}.{}", here(&self.schema), here(&self.table))
    }

    /// The cells of a row: the number in the first column, in each other what tells both its column and its row.
    fn cells(&self, number: i32, note: &str) -> Vec<String> {
        let others = self.columns.iter().skip(1).enumerate();
        let cells =
            others.map(|(at, _)| if at + 1 < self.key { format!("{at} of {number}") } else { format!("{note} {at}") });
        std::iter::once(number.to_string()).chain(cells).collect()
    }

    async fn create(&self, sql: &mut Sql) -> anyhow::Result<()> {
        let columns = self.columns.iter().enumerate().map(|(at, column)| match at {
            0 => format!("{} int NOT NULL", here(column)),
            _ if at < self.key => format!("{} nvarchar(20) NOT NULL", here(column)),
            _ => format!("{} nvarchar(200) NULL", here(column)),
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let key: Vec<_> = self.columns[..self.key].iter().map(|column| here(column)).collect();
        sql.run(&format!("CREATE TABLE {} ({columns}, PRIMARY KEY ({}))", self.name(), key.join(", "))).await
    }

    async fn insert(&mut self, sql: &mut Sql, number: i32, note: &str) -> anyhow::Result<()> {
        let cells: Vec<_> = self.cells(number, note).iter().map(|cell| text(cell)).collect();
        sql.run(&format!("INSERT INTO {} VALUES ({})", self.name(), cells.join(", "))).await?;
        self.rows.insert(number, note.to_owned());
        Ok(())
    }

    async fn change(&mut self, sql: &mut Sql) -> anyhow::Result<()> {
        let (table, number) = (self.name(), here(&self.columns[0]));
        sql.run(&format!("DELETE FROM {table} WHERE {number} = 1")).await?;
        self.rows.remove(&1);
        let cells = self.cells(2, "changed");
        let set = self.columns.iter().zip(&cells).skip(self.key);
        let set: Vec<_> = set.map(|(column, cell)| format!("{} = {}", here(column), text(cell))).collect();
        sql.run(&format!("UPDATE {table} SET {} WHERE {number} = 2", set.join(", "))).await?;
        self.rows.insert(2, "changed".to_owned());
        self.insert(sql, 3, "new").await
    }

    /// Fails unless the target holds just these rows, under the source's names in lower case or what stands for them.
    async fn expect_arrived(&self, target: &Client, shortened: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let name = |name: &str| {
            let lower = name.to_lowercase();
            if lower.len() <= 63 {
                return Ok(there(&lower));
            }
            let short = shortened.get(name).with_context(|| format!("nothing is told to stand for {name}"))?;
            ensure!(
                short.len() <= 63 && lower.starts_with(&short[..short.floor_char_boundary(short.len() - 9)]),
                "{short}"
            );
            Ok(there(short))
        };
        let columns: Vec<_> =
            self.columns.iter().map(|column| Ok(format!("{}::text", name(column)?))).collect::<anyhow::Result<_>>()?;
        let query = format!(
            "SELECT {} FROM {}.{} ORDER BY {}",
            columns.join(", "),
            name(&self.schema)?,
            name(&self.table)?,
            name(&self.columns[0])?
        );
        let found = target.query(&query, &[]).await.with_context(|| query.clone())?;
        let found: Vec<Vec<String>> =
            found.iter().map(|row| (0..self.columns.len()).map(|at| row.get(at)).collect()).collect();
        let expected: Vec<_> = self.rows.iter().map(|(number, note)| self.cells(*number, note)).collect();
        ensure!(found == expected, "{}: {found:?}, not {expected:?}", self.name());
        Ok(())
    }
}

/// A table of each name, a schema of each name, all names as columns of one table, and as columns of keys.
fn travellers() -> Vec<Traveller> {
    let names = awkward();
    let columns = names.iter().skip(7).chain(&names);
    let tables = names.iter().zip(columns).filter(|(table, _)| !NO_TABLES.contains(&table.as_str()));
    let mut all: Vec<_> = tables.map(|(table, column)| Traveller::new("dbo", table, column)).collect();
    all.extend(
        names.iter().filter(|name| !NO_SCHEMAS.contains(&name.as_str())).map(|schema| Traveller::new(schema, "T", "v")),
    );
    let long = "N".repeat(128);
    all.extend([
        Traveller::new("a.b", "c", "v"),
        Traveller::new("a", "b.c", "v"),
        Traveller::new("a", "b_c", "v"),
        Traveller::new("a_b", "c", "v"),
        Traveller::new(&long, &long, &long),
    ]);
    let mut wide = Traveller::new("dbo", "wide", "v");
    wide.columns.extend(names.iter().cloned());
    all.push(wide);
    for (at, keys) in names.chunks(KEY - 1).enumerate() {
        let mut keyed = Traveller::new("dbo", &format!("keyed{at}"), "v");
        let value = keyed.columns.pop();
        keyed.columns.extend(keys.iter().cloned().chain(value));
        keyed.key = keys.len() + 1;
        all.push(keyed);
    }
    all
}

/// What check tells of names that are too long, by table.
fn shortened(check: &Summary) -> BTreeMap<String, BTreeMap<String, String>> {
    let of = |table: &serde_json::Value| {
        let shortened = serde_json::from_value(table["shortened"].clone()).unwrap_or_default();
        (table["table"].as_str().unwrap_or_default().to_owned(), shortened)
    };
    check.tables().iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_each_kind_make_the_whole_journey() -> anyhow::Result<()> {
    let stage = Stage::start().await?;
    stage.configure(|text| text.replace("include = [\"dbo.*\"]", "include = [\"*\"]\nexclude = [\"dbo.Canary\"]"))?;
    let mut sql = stage.sql().await?;
    let target = stage.target.connect().await?;
    sql.run("CREATE TABLE dbo.Canary (ID int NOT NULL PRIMARY KEY); INSERT INTO dbo.Canary VALUES (1)").await?;
    target.batch_execute("CREATE TABLE public.canary AS SELECT 1 AS id").await?;
    let mut travellers = travellers();
    let mut schemas = vec!["dbo".to_owned()];
    for traveller in &mut travellers {
        if !schemas.contains(&traveller.schema) {
            sql.run(&format!("CREATE SCHEMA {}", here(&traveller.schema))).await?;
            schemas.push(traveller.schema.clone());
        }
        traveller.create(&mut sql).await?;
        traveller.insert(&mut sql, 1, "first").await?;
        traveller.insert(&mut sql, 2, "first").await?;
    }

    let check = stage.task(&["check"]).await?.expect(0)?;
    expect_sound_lines(&check, false)?;
    let check = check.summary()?;
    let stopped: Vec<_> = check.tables().iter().filter(|table| !table["error"].is_null()).collect();
    ensure!(
        stopped.is_empty() && check.tables().len() == travellers.len(),
        "{} tables; {stopped:?}",
        check.tables().len()
    );
    let shortened = shortened(&check);
    let by_name: BTreeMap<_, _> = travellers
        .iter()
        .map(|traveller| {
            let name = delsert::table::TableName::new(&traveller.schema, &traveller.table);
            (name.to_string(), traveller.name())
        })
        .collect();
    ensure!(shortened.keys().eq(by_name.keys()), "names are told otherwise: {:?}", shortened.keys());
    for task in ["extract", "load"] {
        let outcome = stage.task(&["--log-format", "json", task]).await?.expect(0)?;
        expect_sound_lines(&outcome, true)?;
    }
    let arrived = async |travellers: &[Traveller]| {
        for traveller in travellers {
            let name = delsert::table::TableName::new(&traveller.schema, &traveller.table).to_string();
            traveller.expect_arrived(&target, &shortened[&name]).await?;
        }
        anyhow::Ok(())
    };
    arrived(&travellers).await?;

    for traveller in &mut travellers {
        traveller.change(&mut sql).await?;
    }
    sql.capture_all().await?;
    // Each by its name, as the summary writes it.
    let arguments = by_name.keys().flat_map(|name| ["--table", name.as_str()]).chain(["extract"]).collect::<Vec<_>>();
    let extract = stage.task(&arguments).await?.expect(0)?;
    expect_sound_lines(&extract, false)?;
    let (extract, count) = (extract.summary()?, travellers.len() as u64);
    ensure!(extract.upserts() == 2 * count && extract.deletes() >= count, "{}", extract.0);
    for name in by_name.keys() {
        let (loaded, lone) = (stage.task(&["--table", name, "load"]).await?.expect(0)?, [name.as_str()]);
        expect_sound_lines(&loaded, false)?;
        let loaded = loaded.summary()?;
        ensure!(
            loaded.tables().iter().map(|table| table["table"].as_str().unwrap_or_default()).eq(lone),
            "{name}: {}",
            loaded.0
        );
        ensure!(loaded.upserts() == 2, "{name}: {}", loaded.0);
    }
    arrived(&travellers).await?;

    ensure!(sql.rows("SELECT ID FROM dbo.Canary").await?.len() == 1, "the source's canary is gone");
    ensure!(target.query("SELECT id FROM public.canary", &[]).await?.len() == 1, "the target's canary is gone");
    let folder = format!("{PREFIX}/{SYNC}/");
    for key in stage.keys() {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.~%/".contains(letter);
        ensure!(
            key.chars().all(is_plain)
                && key.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255),
            "{key}"
        );
        ensure!(key.starts_with(&folder) || key == format!("{PREFIX}/create-only.json"), "outside: {key}");
    }
    Ok(())
}
