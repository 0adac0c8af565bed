//! Random changes of the source through T-SQL, and of the model alike.

use std::collections::VecDeque;

use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::values::{self, Value};
use crate::comparator::kind::Kind;
use crate::comparator::model::{Cell, Database, Row, Table};
use crate::support::source::Sql;

/// How many inserted and deleted rows are remembered, to be deleted and inserted again.
const REMEMBERED: usize = 60;

/// The changes of one seed, in order.
pub struct Changes {
    rng: StdRng,
    /// Changes committed so far.
    pub committed: usize,
    /// Changes rolled back so far.
    pub rolled_back: usize,
    inserted: VecDeque<(usize, Row)>,
    deleted: VecDeque<(usize, Row)>,
}

/// What a transaction did to the model, to be undone.
enum Done {
    Inserted(usize, Row),
    Removed(usize, Row),
}

/// A connection, the model, and what the open transaction did.
struct Work<'a> {
    sql: &'a mut Sql,
    model: &'a mut Database,
    done: Vec<Done>,
    inserted: Vec<(usize, Row)>,
    deleted: Vec<(usize, Row)>,
    count: usize,
}

impl Changes {
    /// The changes of a seed.
    pub fn new(seed: u64) -> Self {
        let (inserted, deleted) = (VecDeque::new(), VecDeque::new());
        Self { rng: StdRng::seed_from_u64(seed), committed: 0, rolled_back: 0, inserted, deleted }
    }

    /// Runs one transaction of 1 to 20 changes, at source and model; some are rolled back.
    pub async fn transaction(&mut self, sql: &mut Sql, model: &mut Database) -> anyhow::Result<()> {
        let (done, inserted, deleted) = (Vec::new(), Vec::new(), Vec::new());
        let mut work = Work { sql, model, done, inserted, deleted, count: 0 };
        let wanted = self.rng.random_range(1..=20);
        let commit = self.rng.random_bool(0.9);
        work.sql.run("BEGIN TRANSACTION").await?;
        while work.count < wanted {
            self.change(&mut work).await?;
        }
        if commit {
            work.sql.run("COMMIT TRANSACTION").await?;
            self.committed += work.count;
            remember(&mut self.inserted, work.inserted);
            remember(&mut self.deleted, work.deleted);
        } else {
            work.sql.run("ROLLBACK TRANSACTION").await?;
            self.rolled_back += work.count;
            for done in work.done.into_iter().rev() {
                match done {
                    Done::Removed(table, row) => work.model.tables[table].insert(row)?,
                    Done::Inserted(table, row) => {
                        let place = work.model.tables[table].find(&row).context("the model lost a row")?;
                        work.model.tables[table].remove(place);
                    }
                }
            }
        }
        Ok(())
    }

    async fn change(&mut self, work: &mut Work<'_>) -> anyhow::Result<()> {
        let table = self.rng.random_range(0..work.model.tables.len());
        match self.rng.random_range(0..100) {
            0..30 => self.insert(work, table).await,
            30..38 => self.insert_again(work).await,
            38..60 => self.update(work, table).await,
            60..65 => self.update_many(work, table).await,
            65..78 => self.change_key(work, table).await,
            78..86 => self.delete_inserted(work).await,
            86..94 => self.delete(work, table).await.map(drop),
            94..97 => self.replace(work, table).await,
            _ => self.insert_and_delete(work, table).await,
        }
    }

    /// A new row, its identity given or left to the source.
    async fn insert(&mut self, work: &mut Work<'_>, table: usize) -> anyhow::Result<()> {
        let Some(values) = self.new_row(&work.model.tables[table]) else { return Ok(()) };
        let identity = work.model.tables[table].columns.iter().position(|column| column.identity);
        match identity {
            Some(identity) if work.model.tables[table].columns[identity].kind == Kind::Int && self.rng.random() => {
                work.insert_numbered(table, values, identity).await
            }
            _ => work.insert(table, values).await,
        }
    }

    /// A row that was deleted a while ago comes back, with some values new.
    async fn insert_again(&mut self, work: &mut Work<'_>) -> anyhow::Result<()> {
        if self.deleted.is_empty() {
            return Ok(());
        }
        let at = self.rng.random_range(0..self.deleted.len());
        let Some((table, row)) = self.deleted.remove(at) else { return Ok(()) };
        if work.model.tables[table].find(&row).is_some() {
            return Ok(());
        }
        let values = self.renewed(&work.model.tables[table], &row);
        work.insert(table, values).await
    }

    /// One to three columns of a row.
    async fn update(&mut self, work: &mut Work<'_>, table: usize) -> anyhow::Result<()> {
        let described = &work.model.tables[table];
        let Some(place) = self.any_row(described) else { return Ok(()) };
        let mut row: Row = described.row(place).clone();
        let mut assignments = Vec::new();
        for at in self.some_columns(described) {
            let value = values::random(&mut self.rng, &described.columns[at]);
            assignments.push(format!("{} = {}", bracketed(&described.columns[at].name), value.literal));
            row[at] = value.cell;
        }
        if assignments.is_empty() {
            return Ok(());
        }
        let sql =
            format!("UPDATE {} SET {} WHERE {}", name(described), assignments.join(", "), condition(described, place));
        work.replace(table, &sql, vec![(place, row)]).await
    }

    /// One column of several rows in one statement.
    async fn update_many(&mut self, work: &mut Work<'_>, table: usize) -> anyhow::Result<()> {
        let described = &work.model.tables[table];
        let first = described.key[0];
        let Some(place) = self.any_row(described) else { return Ok(()) };
        if !matches!(described.columns[first].kind, Kind::Int | Kind::SmallInt | Kind::TinyInt) {
            return Ok(());
        }
        let number = |row: &Row| row[first].as_deref().and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
        let low = number(described.row(place));
        let high = low + self.rng.random_range(0..12);
        let Some(at) = self.some_columns(described).first().copied() else { return Ok(()) };
        let value = values::random(&mut self.rng, &described.columns[at]);
        let mut rows = Vec::new();
        for place in 0..described.len() {
            if (low..=high).contains(&number(described.row(place))) {
                let mut row: Row = described.row(place).clone();
                row[at].clone_from(&value.cell);
                rows.push((place, row));
            }
        }
        let (column, key) = (bracketed(&described.columns[at].name), bracketed(&described.columns[first].name));
        let sql =
            format!("UPDATE {} SET {column} = {} WHERE {key} BETWEEN {low} AND {high}", name(described), value.literal);
        work.replace(table, &sql, rows).await
    }

    /// A row gets another key, or the same in other letters; where the source numbers the key, the row is replaced.
    async fn change_key(&mut self, work: &mut Work<'_>, table: usize) -> anyhow::Result<()> {
        let described = &work.model.tables[table];
        let free: Vec<_> = described.key.iter().copied().filter(|&at| !described.columns[at].identity).collect();
        let Some(place) = self.any_row(described) else { return Ok(()) };
        if free.is_empty() {
            work.delete(table, place).await?;
            return self.insert(work, table).await;
        }
        let at = free[self.rng.random_range(0..free.len())];
        let kind = described.columns[at].kind;
        let mut row: Row = described.row(place).clone();
        let value = match row[at].as_deref() {
            Some(text) if kind.is_text() && self.rng.random_bool(0.4) => values::of(kind, values::other_case(text)),
            _ => values::random_key(&mut self.rng, kind),
        };
        row[at].clone_from(&value.cell);
        if described.find(&row).is_some_and(|found| found != place) {
            return Ok(());
        }
        let column = bracketed(&described.columns[at].name);
        let sql = format!(
            "UPDATE {} SET {column} = {} WHERE {}",
            name(described),
            value.literal,
            condition(described, place)
        );
        work.replace(table, &sql, vec![(place, row)]).await
    }

    /// A row inserted a while ago goes.
    async fn delete_inserted(&mut self, work: &mut Work<'_>) -> anyhow::Result<()> {
        if self.inserted.is_empty() {
            return Ok(());
        }
        let at = self.rng.random_range(0..self.inserted.len());
        let Some((table, row)) = self.inserted.remove(at) else { return Ok(()) };
        match work.model.tables[table].find(&row) {
            Some(place) => work.delete(table, place).await.map(drop),
            None => Ok(()),
        }
    }

    async fn delete(&mut self, work: &mut Work<'_>, table: usize) -> anyhow::Result<Option<Row>> {
        match self.any_row(&work.model.tables[table]) {
            Some(place) => work.delete(table, place).await.map(Some),
            None => Ok(None),
        }
    }

    /// A row goes and comes back with other values.
    async fn replace(&mut self, work: &mut Work<'_>, table: usize) -> anyhow::Result<()> {
        let Some(row) = self.delete(work, table).await? else { return Ok(()) };
        let values = self.renewed(&work.model.tables[table], &row);
        work.insert(table, values).await
    }

    /// A row comes and goes.
    async fn insert_and_delete(&mut self, work: &mut Work<'_>, table: usize) -> anyhow::Result<()> {
        let Some(values) = self.new_row(&work.model.tables[table]) else { return Ok(()) };
        work.insert(table, values).await?;
        let last = work.model.tables[table].len() - 1;
        work.delete(table, last).await.map(drop)
    }

    fn any_row(&mut self, table: &Table) -> Option<usize> {
        (!table.is_empty()).then(|| self.rng.random_range(0..table.len()))
    }

    /// One to three columns that are neither key nor identity.
    fn some_columns(&mut self, table: &Table) -> Vec<usize> {
        let mut free: Vec<_> =
            (0..table.columns.len()).filter(|at| !table.key.contains(at) && !table.columns[*at].identity).collect();
        let wanted = self.rng.random_range(1..=3);
        while free.len() > wanted {
            let at = self.rng.random_range(0..free.len());
            free.swap_remove(at);
        }
        free
    }

    /// Values of a row whose key is not there; `None` if in fifty draws none is free.
    fn new_row(&mut self, table: &Table) -> Option<Vec<Value>> {
        for _ in 0..50 {
            let values: Vec<_> = table
                .columns
                .iter()
                .enumerate()
                .map(|(at, column)| {
                    if table.key.contains(&at) || column.identity {
                        values::random_key(&mut self.rng, column.kind)
                    } else {
                        values::random(&mut self.rng, column)
                    }
                })
                .collect();
            if table.find(&cells(&values)).is_none() {
                return Some(values);
            }
        }
        None
    }

    /// A row's values, some of those outside the key drawn again.
    fn renewed(&mut self, table: &Table, row: &Row) -> Vec<Value> {
        let renew = |(at, (column, cell)): (usize, (_, &Cell))| {
            let column: &crate::comparator::model::Column = column;
            if !table.key.contains(&at) && !column.identity && self.rng.random_bool(0.3) {
                return values::random(&mut self.rng, column);
            }
            let literal = cell.as_deref().map_or("NULL".to_owned(), |text| values::literal(column.kind, text));
            Value { literal, cell: cell.clone() }
        };
        table.columns.iter().zip(row).enumerate().map(renew).collect()
    }
}

impl Work<'_> {
    /// Runs a statement that must change so many rows.
    async fn run(&mut self, sql: &str, rows: usize) -> anyhow::Result<()> {
        self.count += 1;
        let changed = self.sql.number(&format!("{sql}; SELECT CAST(@@ROWCOUNT AS bigint)")).await?;
        ensure!(usize::try_from(changed)? == rows, "{changed} rows changed, not {rows}, by: {sql}");
        Ok(())
    }

    async fn insert(&mut self, table: usize, values: Vec<Value>) -> anyhow::Result<()> {
        let described = &self.model.tables[table];
        let name = name(described);
        let identity = described.columns.iter().any(|column| column.identity);
        let columns: Vec<_> = described.columns.iter().map(|column| bracketed(&column.name)).collect();
        let literals: Vec<_> = values.iter().map(|value| value.literal.as_str()).collect();
        let sql = format!("INSERT INTO {name} ({}) VALUES ({})", columns.join(", "), literals.join(", "));
        if identity {
            self.sql.run(&format!("SET IDENTITY_INSERT {name} ON")).await?;
        }
        self.run(&sql, 1).await?;
        if identity {
            self.sql.run(&format!("SET IDENTITY_INSERT {name} OFF")).await?;
        }
        self.inserted.push((table, cells(&values)));
        self.keep(table, cells(&values))
    }

    /// Inserts a row whose identity the source gives.
    async fn insert_numbered(&mut self, table: usize, values: Vec<Value>, identity: usize) -> anyhow::Result<()> {
        let described = &self.model.tables[table];
        let given = || described.columns.iter().zip(&values).enumerate().filter(|(at, _)| *at != identity);
        let columns: Vec<_> = given().map(|(_, (column, _))| bracketed(&column.name)).collect();
        let literals: Vec<_> = given().map(|(_, (_, value))| value.literal.as_str()).collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({}); SELECT CAST(SCOPE_IDENTITY() AS bigint)",
            name(described),
            columns.join(", "),
            literals.join(", ")
        );
        self.count += 1;
        let number = self.sql.number(&sql).await?;
        let mut row = cells(&values);
        row[identity] = Some(number.to_string().into_boxed_str());
        self.inserted.push((table, row.clone()));
        self.keep(table, row)
    }

    fn keep(&mut self, table: usize, row: Row) -> anyhow::Result<()> {
        self.model.tables[table].insert(row.clone())?;
        self.done.push(Done::Inserted(table, row));
        Ok(())
    }

    async fn delete(&mut self, table: usize, place: usize) -> anyhow::Result<Row> {
        let described = &self.model.tables[table];
        let sql = format!("DELETE FROM {} WHERE {}", name(described), condition(described, place));
        self.run(&sql, 1).await?;
        let row = self.model.tables[table].remove(place);
        self.done.push(Done::Removed(table, row.clone()));
        self.deleted.push((table, row.clone()));
        Ok(row)
    }

    /// Runs a statement that makes these rows of the rows at these places.
    async fn replace(&mut self, table: usize, sql: &str, mut rows: Vec<(usize, Row)>) -> anyhow::Result<()> {
        self.run(sql, rows.len()).await?;
        // From the last place down: taking a row out moves only rows behind it.
        rows.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
        for (place, _) in &rows {
            let old = self.model.tables[table].remove(*place);
            self.done.push(Done::Removed(table, old));
        }
        for (_, row) in rows {
            self.keep(table, row)?;
        }
        Ok(())
    }
}

fn remember(memory: &mut VecDeque<(usize, Row)>, rows: Vec<(usize, Row)>) {
    memory.extend(rows);
    memory.drain(..memory.len().saturating_sub(REMEMBERED));
}

fn cells(values: &[Value]) -> Row {
    values.iter().map(|value| value.cell.clone()).collect()
}

fn bracketed(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

fn name(table: &Table) -> String {
    format!("{}.{}", bracketed(&table.schema), bracketed(&table.name))
}

/// The condition that finds the row at a place by its key.
fn condition(table: &Table, place: usize) -> String {
    let row = table.row(place);
    let part = |&at: &usize| {
        let column = &table.columns[at];
        let literal = values::literal(column.kind, row[at].as_deref().unwrap_or_default());
        format!("{} = {literal}", bracketed(&column.name))
    };
    table.key.iter().map(part).collect::<Vec<_>>().join(" AND ")
}
