//! A table as the generator knows it: its columns, its key and its rows' keys; and statements that change it.

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::kind::{Kind, OF_KEYS, OF_VALUES, folded, respelt};

/// Rows that single statements keep a table at, at most.
const ROWS: usize = 50;

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    pub nullable: bool,
    /// The name of its default's constraint.
    pub default: Option<String>,
}

/// A key's literals, in the order of the key's columns.
type Key = Vec<String>;

/// A table.
#[derive(Debug, Clone)]
pub struct Plot {
    pub name: String,
    /// The key's columns come first.
    pub columns: Vec<Column>,
    pub key: usize,
    /// By how the source compares them.
    rows: BTreeMap<Key, Key>,
    /// Numbers of the rows, unique over the table's life.
    serial: u64,
    /// How many names of columns and constraints were made up.
    pub added: u32,
    /// Whether the rows' number is the key.
    pub by_serial: bool,
}

impl Plot {
    /// A table with a key of one to three columns and a few others.
    pub fn random(number: usize, random: &mut StdRng) -> Self {
        let key = *[1, 1, 2, 3].choose(random).unwrap_or(&1);
        let mut columns: Vec<_> = (0..key)
            .map(|at| {
                let kind = *OF_KEYS.choose(random).unwrap_or(&Kind::Int);
                Column { name: format!("K{at}"), kind, nullable: false, default: None }
            })
            .collect();
        columns.push(Column { name: "Serial".to_owned(), kind: Kind::BigInt, nullable: false, default: None });
        for at in 0..random.random_range(1..5) {
            let kind = *OF_VALUES.choose(random).unwrap_or(&Kind::Int);
            columns.push(Column { name: format!("V{at}"), kind, nullable: random.random_bool(0.7), default: None });
        }
        Self { name: format!("T{number}"), columns, key, rows: BTreeMap::new(), serial: 0, added: 0, by_serial: false }
    }

    /// `CREATE TABLE`, the key's columns in a random order.
    pub fn create(&self, random: &mut StdRng) -> String {
        let columns: Vec<_> = self.columns.iter().map(Column::declared).collect();
        let mut key: Vec<_> = self.key_columns().map(|column| column.name.as_str()).collect();
        if random.random_bool(0.5) {
            key.reverse();
        }
        format!(
            "CREATE TABLE {} ({}, CONSTRAINT PK_{} PRIMARY KEY ({}))",
            self.full_name(),
            columns.join(", "),
            self.name,
            key.join(", ")
        )
    }

    pub fn full_name(&self) -> String {
        format!("dbo.{}", self.name)
    }

    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns[..self.key].iter()
    }

    /// The columns that are neither of the key nor the number.
    pub fn value_columns(&self) -> &[Column] {
        &self.columns[self.key + 1..]
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.rows.clear();
    }

    /// One statement that changes it somehow.
    pub fn change(&mut self, random: &mut StdRng) -> String {
        match random.random_range(0..100) {
            0..34 if self.rows.len() < ROWS => self.insert(random).1,
            0..58 => self.update(random),
            58..74 => self.delete(random),
            74..86 => self.rename(random),
            86..94 => self.cycle(random),
            94..97 => self.shift(random),
            _ => self.no_change(random),
        }
    }

    /// Puts in one row, and gives its key; where all keys are taken, takes one out.
    pub fn insert(&mut self, random: &mut StdRng) -> (Vec<String>, String) {
        if let Some(key) = self.free_key(random) {
            let values = self.new_row(&key, random);
            return (key, format!("INSERT INTO {} ({}) VALUES ({values})", self.full_name(), self.names()));
        }
        let key = self.some_key(random).unwrap_or_default();
        let delete = self.delete_of(&key);
        (key, delete)
    }

    /// Puts in the first rows by one statement.
    pub fn insert_first(&mut self, count: usize, random: &mut StdRng) -> String {
        let mut rows = Vec::new();
        for _ in 0..count {
            if let Some(key) = self.free_key(random) {
                rows.push(format!("({})", self.new_row(&key, random)));
            }
        }
        format!("INSERT INTO {} ({}) VALUES {}", self.full_name(), self.names(), rows.join(", "))
    }

    /// Puts in many rows by one statement.
    pub fn insert_many(&mut self, count: usize, random: &mut StdRng) -> String {
        let first = 1000 + random.random_range(0..1000) * 1000;
        let rows: Vec<_> = (0..count)
            .map(|at| {
                let mut key: Key = self.key_columns().map(|column| column.kind.key_literal(random)).collect();
                key[0] = (first + at).to_string();
                format!("({})", self.new_row(&key, random))
            })
            .collect();
        format!("INSERT INTO {} ({}) VALUES {}", self.full_name(), self.names(), rows.join(", "))
    }

    /// Whether it has room for as many rows as anybody likes.
    pub fn is_wide(&self) -> bool {
        self.columns[0].kind == Kind::Int
    }

    /// Takes out all rows that [`Plot::insert_many`] put in.
    pub fn delete_many(&mut self) -> String {
        let name = self.columns[0].name.clone();
        self.rows.retain(|key, _| key[0].parse::<i64>().is_ok_and(|number| number < 1000));
        format!("DELETE FROM {} WHERE {name} >= 1000", self.full_name())
    }

    /// Takes out the row of that key.
    pub fn delete_of(&mut self, key: &[String]) -> String {
        self.rows.remove(&fold(key));
        format!("DELETE FROM {} WHERE {}", self.full_name(), self.place(key))
    }

    /// Notes a row, and gives all its literals.
    fn new_row(&mut self, key: &[String], random: &mut StdRng) -> String {
        self.rows.insert(fold(key), key.to_vec());
        self.serial += 1;
        let mut values = key.to_vec();
        values.push(self.serial.to_string());
        values.extend(self.value_columns().iter().map(|column| column.kind.literal(column.nullable, random)));
        values.join(", ")
    }

    fn names(&self) -> String {
        self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// A key that no row has, if chance finds one.
    fn free_key(&self, random: &mut StdRng) -> Option<Key> {
        let mut any = || self.key_columns().map(|column| column.kind.key_literal(random)).collect::<Key>();
        (0..50).map(|_| any()).find(|key| !self.rows.contains_key(&fold(key)))
    }

    fn some_key(&self, random: &mut StdRng) -> Option<Key> {
        let at = random.random_range(0..self.rows.len().max(1));
        self.rows.values().nth(at).cloned()
    }

    fn some_values(&self, random: &mut StdRng) -> Vec<String> {
        let mut values = Vec::new();
        for column in self.value_columns() {
            if values.is_empty() || random.random_bool(0.5) {
                values.push(format!("{} = {}", column.name, column.kind.literal(column.nullable, random)));
            }
        }
        values
    }

    fn update(&mut self, random: &mut StdRng) -> String {
        let Some(key) = self.some_key(random) else { return self.insert(random).1 };
        let values = self.some_values(random);
        if values.is_empty() {
            return self.rename(random);
        }
        let place = if random.random_bool(0.1) { "Serial % 3 = 1".to_owned() } else { self.place(&key) };
        format!("UPDATE {} SET {} WHERE {place}", self.full_name(), values.join(", "))
    }

    fn delete(&mut self, random: &mut StdRng) -> String {
        match self.some_key(random) {
            Some(key) => self.delete_of(&key),
            None => self.insert(random).1,
        }
    }

    fn no_change(&mut self, random: &mut StdRng) -> String {
        let column = self.columns.choose(random).map_or("Serial", |column| column.name.as_str());
        let place = self.some_key(random).map_or("1 = 1".to_owned(), |key| self.place(&key));
        format!("UPDATE {} SET {column} = {column} WHERE {place}", self.full_name())
    }

    /// Gives a row another key, or its own in another spelling; other columns now and then change with it.
    fn rename(&mut self, random: &mut StdRng) -> String {
        let Some(old) = self.some_key(random) else { return self.insert(random).1 };
        let free = self.free_key(random).filter(|_| random.random_bool(0.7));
        let new = free.unwrap_or_else(|| old.iter().map(|part| respelt(part, random)).collect());
        self.rows.remove(&fold(&old));
        self.rows.insert(fold(&new), new.clone());
        let mut parts = self.assign(&new);
        if random.random_bool(0.3) {
            parts.extend(self.some_values(random));
        }
        format!("UPDATE {} SET {} WHERE {}", self.full_name(), parts.join(", "), self.place(&old))
    }

    /// Two or three rows change keys among themselves in one statement; the last may take a free one instead.
    fn cycle(&mut self, random: &mut StdRng) -> String {
        let count = random.random_range(2..4);
        let mut keys: Vec<Key> = self.rows.values().cloned().collect();
        while keys.len() > count {
            keys.swap_remove(random.random_range(0..keys.len()));
        }
        if keys.len() < 2 {
            return self.insert(random).1;
        }
        let mut new = keys.clone();
        new.rotate_left(1);
        let last = new.len() - 1;
        if let Some(free) = self.free_key(random).filter(|_| random.random_bool(0.4)) {
            new[last] = free;
        }
        for key in &keys {
            self.rows.remove(&fold(key));
        }
        self.rows.extend(new.iter().map(|key| (fold(key), key.clone())));
        let parts: Vec<_> = (0..self.key)
            .map(|at| {
                let cases = keys.iter().zip(&new).map(|(old, new)| {
                    let literal = typed(&new[at], self.columns[at].kind);
                    format!("WHEN {} THEN {literal}", self.place(old))
                });
                format!("{} = CASE {} END", self.columns[at].name, cases.collect::<Vec<_>>().join(" "))
            })
            .collect();
        let places: Vec<_> = keys.iter().map(|key| format!("({})", self.place(key))).collect();
        format!("UPDATE {} SET {} WHERE {}", self.full_name(), parts.join(", "), places.join(" OR "))
    }

    /// Pushes the upper keys one further, each to where the next was.
    fn shift(&mut self, random: &mut StdRng) -> String {
        if self.key != 1 || !matches!(self.columns[0].kind, Kind::Int | Kind::BigInt) {
            return self.cycle(random);
        }
        let Some(from) = self.some_key(random).and_then(|key| key[0].parse::<i64>().ok()) else {
            return self.insert(random).1;
        };
        let number = |key: &Key| key[0].parse::<i64>().unwrap_or_default();
        let (upper, lower): (Vec<_>, Vec<_>) = self.rows.values().cloned().partition(|key| number(key) >= from);
        let upper = upper.iter().map(|key| vec![(number(key) + 1).to_string()]);
        self.rows = lower.into_iter().chain(upper).map(|key| (fold(&key), key)).collect();
        let name = &self.columns[0].name;
        format!("UPDATE {} SET {name} = {name} + 1 WHERE {name} >= {from}", self.full_name())
    }

    fn assign(&self, key: &[String]) -> Vec<String> {
        self.key_columns().zip(key).map(|(column, part)| format!("{} = {part}", column.name)).collect()
    }

    fn place(&self, key: &[String]) -> String {
        self.assign(key).join(" AND ")
    }
}

impl Column {
    /// As `CREATE TABLE` has it.
    pub fn declared(&self) -> String {
        let null = if self.nullable { "NULL" } else { "NOT NULL" };
        format!("{} {} {null}", self.name, self.kind.declared())
    }
}

/// A literal of the column's own type, where several of one CASE must agree.
fn typed(literal: &str, kind: Kind) -> String {
    format!("CAST({literal} AS {})", kind.declared())
}

fn fold(key: &[String]) -> Key {
    key.iter().map(|part| folded(part)).collect()
}
