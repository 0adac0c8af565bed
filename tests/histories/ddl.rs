//! Statements that change a table's definition.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom, IndexedRandom};

use super::kind::{Kind, OF_VALUES};
use super::plot::{Column, Plot};

/// A change of a table's definition.
#[derive(Debug, Clone)]
pub struct Redefinition {
    pub table: String,
    pub batches: Vec<String>,
    /// Whether its capture instances are dropped before.
    pub uncaptures: bool,
    /// Whether it cannot be followed: the table stops until it is copied anew.
    pub stops: bool,
}

impl Plot {
    /// Changes the definition somehow.
    pub fn redefine(&mut self, random: &mut StdRng) -> Redefinition {
        let (mut uncaptures, mut stops) = (false, false);
        let batches = match random.random_range(0..100) {
            0..34 => vec![self.add(None, random)],
            34..46 => self.drop_one(random).into_iter().map(|(statement, _)| statement).collect(),
            46..58 => match self.drop_one(random) {
                Some((drop, name)) => {
                    // Of another type, it may stop a table that was not copied yet.
                    stops = true;
                    vec![drop, self.add(Some(name), random)]
                }
                None => vec![self.add(None, random)],
            },
            58..82 => self.alter(random).into_iter().collect(),
            82..88 => {
                stops = true;
                self.change_type(random).into_iter().collect()
            }
            88..94 => {
                stops = true;
                self.make_anew(random)
            }
            _ => {
                (uncaptures, stops) = (true, true);
                self.change_key()
            }
        };
        Redefinition { table: self.full_name(), batches, uncaptures, stops }
    }

    /// Adds one column or two; the first under a name that may have been another's.
    fn add(&mut self, name: Option<String>, random: &mut StdRng) -> String {
        let mut declared = Vec::new();
        let count = if random.random_bool(0.2) { 2 } else { 1 };
        for name in [name, None].into_iter().take(count) {
            let name = name.unwrap_or_else(|| {
                self.added += 1;
                format!("A{}", self.added)
            });
            let kind = *OF_VALUES.choose(random).unwrap_or(&Kind::Int);
            let mut column = Column { name, kind, nullable: random.random_bool(0.6), default: None };
            let mut text = column.declared();
            if !column.nullable || random.random_bool(0.2) {
                self.added += 1;
                let default = format!("DF_{}_{}", self.name, self.added);
                text = format!("{text} CONSTRAINT {default} DEFAULT {}", kind.literal(false, random));
                column.default = Some(default);
            }
            declared.push(text);
            self.columns.push(column);
        }
        format!("ALTER TABLE {} ADD {}", self.full_name(), declared.join(", "))
    }

    /// Drops a column, if there is one to drop; gives its name too.
    fn drop_one(&mut self, random: &mut StdRng) -> Option<(String, String)> {
        let first = self.key + 1;
        if self.columns.len() <= first {
            return None;
        }
        let column = self.columns.remove(random.random_range(first..self.columns.len()));
        let table = self.full_name();
        let constraint =
            column.default.map_or(String::new(), |name| format!("ALTER TABLE {table} DROP CONSTRAINT {name};\n"));
        Some((format!("{constraint}ALTER TABLE {table} DROP COLUMN {}", column.name), column.name))
    }

    /// Widens a column, narrows it so far as its values fit, or lets it be NULL.
    fn alter(&mut self, random: &mut StdRng) -> Option<String> {
        let table = self.full_name();
        let first = self.key + 1;
        let column = self.columns[first..].choose_mut(random)?;
        let kind = match column.kind {
            Kind::Text(width) if width > 30 && random.random_bool(0.4) => Kind::Text(width - 10),
            Kind::Text(width) => Kind::Text(width + 20),
            Kind::Decimal(precision) if precision > 10 && random.random_bool(0.4) => Kind::Decimal(precision - 1),
            Kind::Decimal(precision) if precision < 30 => Kind::Decimal(precision + 3),
            Kind::Int if column.default.is_none() => Kind::BigInt,
            other => other,
        };
        if kind == column.kind && (column.nullable || column.default.is_some()) {
            return None;
        }
        column.kind = kind;
        column.nullable |= column.default.is_none() && random.random_bool(0.5);
        Some(format!("ALTER TABLE {table} ALTER COLUMN {}", column.declared()))
    }

    /// Makes numbers or dates texts.
    fn change_type(&mut self, random: &mut StdRng) -> Option<String> {
        let table = self.full_name();
        let first = self.key + 1;
        let mut fit: Vec<_> = self.columns[first..]
            .iter_mut()
            .filter(|column| column.default.is_none() && matches!(column.kind, Kind::Int | Kind::Date | Kind::BigInt))
            .collect();
        let column = fit.choose_mut(random)?;
        column.kind = Kind::Text(40);
        Some(format!("ALTER TABLE {table} ALTER COLUMN {}", column.declared()))
    }

    /// Drops the table, and makes it again with other columns.
    fn make_anew(&mut self, random: &mut StdRng) -> Vec<String> {
        self.clear();
        self.by_serial = false;
        if random.random_bool(0.5) {
            self.drop_one(random);
        }
        for column in &mut self.columns {
            column.default = None;
        }
        let drop = format!("DROP TABLE {}", self.full_name());
        let create = self.create(random);
        let rows = random.random_range(1..10);
        vec![drop, create, self.insert_first(rows, random)]
    }

    /// Makes the rows' number the key.
    fn change_key(&mut self) -> Vec<String> {
        if std::mem::replace(&mut self.by_serial, true) {
            return Vec::new();
        }
        let (table, name) = (self.full_name(), &self.name);
        vec![
            format!("ALTER TABLE {table} DROP CONSTRAINT PK_{name}"),
            format!("ALTER TABLE {table} ADD CONSTRAINT PK_{name} PRIMARY KEY (Serial)"),
        ]
    }
}
