//! What happens at the source meanwhile: transactions of all sorts on tables with keys of one to three columns.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use delsert::config::Engine;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::sync::RwLock;

use super::Options;
use crate::support::source::Sql;

/// All tables.
pub const TABLES: &[&str] = &["dbo.One", "dbo.Two", "dbo.Three", "dbo.Large"];

/// Rows that a table has at the beginning, and at most.
const ROWS: (usize, usize) = (60, 240);

/// Characters of a large row's text: three bytes each, so that it is more than the least piece of a multipart upload.
const LARGE: usize = 1_850_000;
/// The same for Amazon Redshift: nearly all that a VARCHAR holds, with a number before them.
const LARGE_AT_REDSHIFT: usize = 21_800;

/// A table, and how its statements look.
#[derive(Debug, Clone, Copy)]
struct Shape {
    name: &'static str,
    columns: &'static str,
    key: &'static [&'static str],
}

const ONE: Shape = Shape {
    name: "dbo.One",
    columns: "ID int NOT NULL PRIMARY KEY, Note nvarchar(200) NULL, Amount decimal(12, 2) NULL, Flag bit NULL",
    key: &["ID"],
};

const TWO: Shape = Shape {
    name: "dbo.Two",
    columns: "Region nvarchar(10) NOT NULL, ID int NOT NULL, Note nvarchar(200) NULL, Amount decimal(12, 2) NULL,
        PRIMARY KEY (Region, ID)",
    key: &["Region", "ID"],
};

const THREE: Shape = Shape {
    name: "dbo.Three",
    columns: "A int NOT NULL, B nvarchar(8) NOT NULL, Note nvarchar(200) NULL, C bigint NOT NULL,
        Amount decimal(12, 2) NULL, PRIMARY KEY (C, B, A)",
    key: &["A", "B", "C"],
};

const LARGE_ROWS: Shape = Shape {
    name: "dbo.Large",
    columns: "ID int NOT NULL PRIMARY KEY, Note nvarchar(max) NULL, Amount decimal(12, 2) NULL",
    key: &["ID"],
};

/// A key's literals, in the order of [`Shape::key`].
type Key = Vec<String>;

/// A table as its only writer knows it: keys by how the source compares them, without regard to case.
struct Plot {
    shape: Shape,
    keys: BTreeMap<Key, Key>,
    /// Keys of large rows, oldest first.
    large: Vec<Key>,
    /// Characters of a large row's text.
    length: usize,
}

/// One connection's worth of writing.
pub struct Writer {
    random: StdRng,
    plots: Vec<Plot>,
}

/// The writers, each with tables of its own.
pub fn writers(options: Options) -> Vec<Writer> {
    let tables: [&[Shape]; 3] = [&[ONE, THREE], &[TWO], &[LARGE_ROWS]];
    let length = if options.engine == Engine::Redshift { LARGE_AT_REDSHIFT } else { LARGE };
    let plot = |shape: &Shape| Plot { shape: *shape, keys: BTreeMap::new(), large: Vec::new(), length };
    let writer = |(number, shapes): (u64, &[Shape])| Writer {
        // Streams of their own, so that none depends on how far another came.
        random: StdRng::seed_from_u64(options.seed.wrapping_mul(31).wrapping_add(1 + number)),
        plots: shapes.iter().map(plot).collect(),
    };
    (0..).zip(tables).map(writer).collect()
}

impl Writer {
    /// Makes the tables, with their first rows.
    pub async fn begin(&mut self, sql: &mut Sql) -> anyhow::Result<()> {
        for plot in &mut self.plots {
            sql.run(&format!("CREATE TABLE {} ({})", plot.shape.name, plot.shape.columns)).await?;
            let inserts: Vec<_> = (0..ROWS.0).map(|_| plot.insert(&mut self.random)).collect();
            sql.run(&inserts.join(";\n")).await?;
        }
        Ok(())
    }

    /// Writes for ever. Whoever holds `writing` for itself stops it between two transactions.
    pub async fn write(
        mut self,
        mut sql: Sql,
        writing: Arc<RwLock<()>>,
        written: Arc<AtomicU64>,
    ) -> anyhow::Result<()> {
        loop {
            let pause = Duration::from_millis(self.random.random_range(20..200));
            {
                let _writing = writing.read().await;
                let rows = self.transaction(&mut sql).await?;
                written.fetch_add(rows, Ordering::Relaxed);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// One transaction, or a few; gives the rows changed.
    async fn transaction(&mut self, sql: &mut Sql) -> anyhow::Result<u64> {
        let random = &mut self.random;
        match random.random_range(0..100) {
            0..40 => {
                let at = random.random_range(0..self.plots.len());
                let statement = self.plots[at].change(random);
                sql.run(&statement).await?;
                Ok(1)
            }
            40..70 => {
                let statements = self.changes(2..12);
                sql.run(&format!("BEGIN TRANSACTION;\n{};\nCOMMIT", statements.join(";\n"))).await?;
                Ok(statements.len() as u64)
            }
            70..85 => {
                // A row that comes and goes, in one transaction or in two.
                let at = random.random_range(0..self.plots.len());
                let plot = &mut self.plots[at];
                let (key, insert) = plot.insert_of(random);
                let delete = plot.delete_of(&key);
                if random.random_bool(0.5) {
                    sql.run(&format!("BEGIN TRANSACTION;\n{insert};\n{delete};\nCOMMIT")).await?;
                } else {
                    sql.run(&insert).await?;
                    sql.run(&delete).await?;
                }
                Ok(2)
            }
            _ => {
                let before: Vec<_> = self.plots.iter().map(|plot| (plot.keys.clone(), plot.large.clone())).collect();
                let statements = self.changes(1..6);
                sql.run(&format!("BEGIN TRANSACTION;\n{};\nROLLBACK", statements.join(";\n"))).await?;
                for (plot, (keys, large)) in self.plots.iter_mut().zip(before) {
                    (plot.keys, plot.large) = (keys, large);
                }
                Ok(0)
            }
        }
    }

    /// Changes to all this writer's tables.
    fn changes(&mut self, count: std::ops::Range<usize>) -> Vec<String> {
        let count = self.random.random_range(count);
        let change = |_| {
            let at = self.random.random_range(0..self.plots.len());
            self.plots[at].change(&mut self.random)
        };
        (0..count).map(change).collect()
    }
}

impl Plot {
    fn change(&mut self, random: &mut StdRng) -> String {
        // A large row does not stay long: it costs each copy of the table dearly.
        if !self.large.is_empty() && random.random_bool(0.006) {
            let key = self.large.remove(0);
            return format!("UPDATE {} SET Note = N'small again' WHERE {}", self.shape.name, self.place(&key));
        }
        match random.random_range(0..100) {
            0..30 if self.keys.len() < ROWS.1 => self.insert(random),
            30..65 => self.update(random),
            65..85 if self.keys.len() > 1 => {
                let key = self.some_key(random);
                self.delete_of(&key)
            }
            _ => self.rename(random),
        }
    }

    fn some_key(&self, random: &mut StdRng) -> Key {
        let keys: Vec<_> = self.keys.values().collect();
        keys.choose(random).map(|key| (*key).clone()).unwrap_or_default()
    }

    /// Literals of a key that is free.
    fn free_key(&self, random: &mut StdRng) -> Key {
        loop {
            let key: Key = self.shape.key.iter().map(|column| literal(column, random)).collect();
            if !self.keys.contains_key(&folded(&key)) {
                return key;
            }
        }
    }

    fn insert(&mut self, random: &mut StdRng) -> String {
        self.insert_of(random).1
    }

    fn insert_of(&mut self, random: &mut StdRng) -> (Key, String) {
        let key = self.free_key(random);
        self.keys.insert(folded(&key), key.clone());
        let (columns, values) = (self.shape.key.join(", "), key.join(", "));
        let (note, amount) = (note(random), amount(random));
        let insert =
            format!("INSERT INTO {} ({columns}, Note, Amount) VALUES ({values}, {note}, {amount})", self.shape.name);
        (key, insert)
    }

    fn update(&mut self, random: &mut StdRng) -> String {
        let key = self.some_key(random);
        let (name, place) = (self.shape.name, self.place(&key));
        if name != LARGE_ROWS.name || !self.large.is_empty() || random.random_bool(0.95) {
            self.large.retain(|large| *large != key);
            return format!("UPDATE {name} SET Note = {}, Amount = {} WHERE {place}", note(random), amount(random));
        }
        let mut update = String::new();
        if self.large.len() > 1 {
            let oldest = self.large.remove(0);
            let oldest = self.place(&oldest);
            update = format!("UPDATE {name} SET Note = N'small again' WHERE {oldest};\n");
        }
        self.large.retain(|large| *large != key);
        self.large.push(key);
        let (number, length): (u32, _) = (random.random(), self.length);
        format!(
            "{update}UPDATE {name} SET Note = N'{number}' + REPLICATE(CAST(N'表' AS nvarchar(max)), {length}) WHERE {place}"
        )
    }

    fn delete_of(&mut self, key: &Key) -> String {
        self.keys.remove(&folded(key));
        self.large.retain(|large| large != key);
        format!("DELETE FROM {} WHERE {}", self.shape.name, self.place(key))
    }

    /// Gives a row another key, or its own in another spelling, which the source takes for the same.
    fn rename(&mut self, random: &mut StdRng) -> String {
        let old = self.some_key(random);
        let new = if random.random_bool(0.3) {
            old.iter().map(|part| respelt(part, random)).collect()
        } else {
            self.free_key(random)
        };
        self.keys.remove(&folded(&old));
        self.keys.insert(folded(&new), new.clone());
        self.large.iter_mut().filter(|large| **large == old).for_each(|large| large.clone_from(&new));
        let parts: Vec<_> =
            self.shape.key.iter().zip(&new).map(|(column, part)| format!("{column} = {part}")).collect();
        format!("UPDATE {} SET {} WHERE {}", self.shape.name, parts.join(", "), self.place(&old))
    }

    fn place(&self, key: &Key) -> String {
        let parts: Vec<_> = self.shape.key.iter().zip(key).map(|(column, part)| format!("{column} = {part}")).collect();
        parts.join(" AND ")
    }
}

/// A literal that the source takes for the same.
fn respelt(literal: &str, random: &mut StdRng) -> String {
    match literal.strip_prefix("N'") {
        Some(text) if random.random() => format!("N'{}", text.to_lowercase()),
        Some(text) if random.random() => format!("N'{}", text.to_uppercase()),
        _ => literal.to_owned(),
    }
}

/// A key as the source compares it.
fn folded(key: &Key) -> Key {
    key.iter().map(|part| part.to_lowercase()).collect()
}

fn literal(column: &str, random: &mut StdRng) -> String {
    let pick = |texts: &[&str], random: &mut StdRng| (*texts.choose(random).unwrap_or(&"")).to_owned();
    match column {
        "Region" => pick(&["N'north'", "N'North'", "N'SOUTH'", "N'east'", "N'West'"], random),
        "B" => pick(&["N'a'", "N'A'", "N'b c'", "N'é'", "N'it''s'"], random),
        "A" => random.random_range(-3..4).to_string(),
        "C" => random.random_range(4_000_000_000_i64..4_000_000_040).to_string(),
        _ => random.random_range(0..500).to_string(),
    }
}

fn note(random: &mut StdRng) -> String {
    match random.random_range(0..10) {
        0 => "NULL".to_owned(),
        1 => "N''".to_owned(),
        2 => "N'it''s \"quoted\", with a comma\nand a second line'".to_owned(),
        3 => "N'\\N'".to_owned(),
        4 => format!("N'né {} 表'", random.random::<u32>()),
        _ => format!("N'note {}'", random.random::<u64>()),
    }
}

fn amount(random: &mut StdRng) -> String {
    if random.random_bool(0.1) {
        return "NULL".to_owned();
    }
    format!("{}.{:02}", random.random_range(-9999..9999), random.random_range(0..100))
}
