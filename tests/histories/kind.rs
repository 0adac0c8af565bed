//! What columns hold, and literals of it: of keys from a small choice, so that keys come again, of others from a large one.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// A column's type at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int,
    BigInt,
    /// `nvarchar` of so many characters, in the database's collation, which does not tell case.
    Text(u16),
    Guid,
    /// `datetime2(6)`.
    Moment,
    /// `decimal(p, 2)`.
    Decimal(u8),
    /// `binary(n)`.
    Bytes(u8),
    Bit,
    Date,
}

/// Words of text keys, each no matter how it is spelt.
const WORDS: &[&str] = &["north", "south", "east", "west", "it''s", "né", "a b", "a", "Z9", "-", "straße", "ÅR"];

/// What a key may be made of.
pub const OF_KEYS: &[Kind] =
    &[Kind::Int, Kind::BigInt, Kind::Text(12), Kind::Guid, Kind::Moment, Kind::Decimal(9), Kind::Bytes(4)];

/// What other columns may be.
pub const OF_VALUES: &[Kind] = &[
    Kind::Text(40),
    Kind::Int,
    Kind::Decimal(12),
    Kind::Bit,
    Kind::Date,
    Kind::Moment,
    Kind::Guid,
    Kind::Bytes(6),
    Kind::BigInt,
];

impl Kind {
    /// The type as DDL writes it.
    pub fn declared(self) -> String {
        match self {
            Self::Int => "int".to_owned(),
            Self::BigInt => "bigint".to_owned(),
            Self::Text(width) => format!("nvarchar({width})"),
            Self::Guid => "uniqueidentifier".to_owned(),
            Self::Moment => "datetime2(6)".to_owned(),
            Self::Decimal(precision) => format!("decimal({precision}, 2)"),
            Self::Bytes(width) => format!("binary({width})"),
            Self::Bit => "bit".to_owned(),
            Self::Date => "date".to_owned(),
        }
    }

    /// A literal for a key column.
    pub fn key_literal(self, random: &mut StdRng) -> String {
        let small: u32 = random.random_range(0..60);
        match self {
            Self::Int => (i64::from(small) - 4).to_string(),
            Self::BigInt => (4_000_000_000 + i64::from(small)).to_string(),
            Self::Text(_) => {
                let word = WORDS.choose(random).unwrap_or(&"");
                respelt(&format!("N'{word}{}'", small % 5), random)
            }
            Self::Guid => format!("'6F9619FF-8B86-D011-B42D-00C04FC9{small:04X}'"),
            Self::Moment => format!("'2026-03-29 02:{:02}:00.{:06}'", small % 7, small),
            Self::Decimal(_) => format!("{}.{:02}", i64::from(small % 10) - 4, small / 10),
            Self::Bytes(width) => format!("0x{small:0width$X}", width = usize::from(width) * 2),
            Self::Bit => (small % 2).to_string(),
            Self::Date => format!("'2026-02-{:02}'", small % 28 + 1),
        }
    }

    /// A literal for any other column; of text, at most so long as the narrowest that DDL makes of it.
    pub fn literal(self, nullable: bool, random: &mut StdRng) -> String {
        if nullable && random.random_bool(0.15) {
            return "NULL".to_owned();
        }
        let large: u32 = random.random();
        match self {
            Self::Int => large.cast_signed().to_string(),
            Self::BigInt => random.random::<i64>().max(i64::MIN + 1).to_string(),
            Self::Text(_) => text(large, random),
            Self::Guid => format!("'{}'", uuid::Uuid::from_u128(random.random())),
            Self::Moment => {
                format!("'{}-02-28 23:59:{:02}.{:06}'", 1900 + large % 200, large % 60, large % 1_000_000)
            }
            Self::Decimal(_) => format!("{}.{:02}", i64::from(large % 19_999) - 9999, large % 100),
            Self::Bytes(width) => format!("0x{:0width$X}", large % 65_536, width = usize::from(width) * 2),
            Self::Bit => (large % 2).to_string(),
            Self::Date => format!("'{}-{:02}-{:02}'", 1900 + large % 200, large % 12 + 1, large % 28 + 1),
        }
    }
}

fn text(large: u32, random: &mut StdRng) -> String {
    match random.random_range(0..10) {
        0 => "N''".to_owned(),
        1 => "N'it''s, \"q\"\n2'".to_owned(),
        2 => "N'\\N'".to_owned(),
        3 => "N' né 表 '".to_owned(),
        4 => "N'NULL'".to_owned(),
        _ => format!("N'note {large}'"),
    }
}

/// A literal that the source takes for the same, now and then spelt otherwise.
pub fn respelt(literal: &str, random: &mut StdRng) -> String {
    let Some(text) = literal.strip_prefix("N'") else { return literal.to_owned() };
    match random.random_range(0..8) {
        0 => format!("N'{}", text.to_lowercase()),
        1 => format!("N'{}", text.to_uppercase().replace("STRASSE", "STRAßE")),
        2 if !text.ends_with(" '") => format!("N'{} '", text.trim_end_matches('\'')),
        _ => literal.to_owned(),
    }
}

/// A key's literal as the source compares it.
pub fn folded(literal: &str) -> String {
    literal.to_lowercase().trim_end_matches('\'').trim_end().to_owned()
}
