//! Random values of every type, and how T-SQL writes a value.

use chrono::{Days, NaiveDate};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::comparator::kind::Kind;
use crate::comparator::model::{Cell, Column};

/// A value: how T-SQL writes it, and what the target should print.
#[derive(Debug, Clone)]
pub struct Value {
    /// For a statement.
    pub literal: String,
    /// For the model.
    pub cell: Cell,
}

/// What text is made of: what CSV, COPY and T-SQL quote, what looks like NULL, and characters of one to four bytes.
const PIECES: &[&str] = &[
    "a", "Zq", "word", " ", "  ", "'", "''", "\"", "\"\"", ",", ";", "\\", "\\N", "\\.", "NULL", "\t", "\n", "\r\n",
    "\r", "--", "/*", "%", "_", "[", "]", "0", "-1", "é", "ß", "Ÿ", "€", "Ω", "я", "עב", "日本", "😀", "𝄞", "e\u{301}",
    "\u{200d}", "\u{feff}", "\u{a0}", "\u{1}", "\u{7f}", "\u{fffd}",
];

/// The same for varchar, whose code page is 1252.
const PIECES_1252: &[&str] =
    &["a", "Zq", "word", " ", "'", "\"", ",", "\\N", "NULL", "\t", "\r\n", "é", "ß", "Ÿ", "€", "™", "0"];

/// What keys are made of: the source ignores their case.
const KEY_PIECES: &[&str] = &["a", "B", "c", "D", "x", "Y", "1", "2", "7", "é", "Ö"];

/// A random value for a column.
pub fn random(rng: &mut StdRng, column: &Column) -> Value {
    if column.nullable && rng.random_bool(0.2) {
        return Value { literal: "NULL".to_owned(), cell: None };
    }
    let text = match column.kind {
        Kind::Time => return time(rng),
        Kind::Bit => if rng.random() { "t" } else { "f" }.to_owned(),
        Kind::TinyInt => rng.random::<u8>().to_string(),
        Kind::SmallInt => edged(rng, i16::MIN.into(), i16::MAX.into()).to_string(),
        Kind::Int => edged(rng, i32::MIN.into(), i32::MAX.into()).to_string(),
        Kind::BigInt => edged(rng, i64::MIN, i64::MAX).to_string(),
        Kind::Decimal(precision, scale) => {
            let limit = 10_i64.pow(u32::from(precision.min(18))) - 1;
            scaled(edged(rng, -limit, limit), scale.into())
        }
        Kind::SmallMoney => scaled(edged(rng, i32::MIN.into(), i32::MAX.into()), 4),
        Kind::Money => scaled(edged(rng, i64::MIN, i64::MAX), 4),
        Kind::Real => f32::from_bits(rng.random_range(0x0080_0000..0x7f00_0000)).to_string(),
        Kind::Float => rng.random_range(-1e15..1e15).to_string(),
        Kind::Date => date(rng, 1),
        Kind::SmallDateTime | Kind::DateTime | Kind::DateTime2 => date_time(rng),
        Kind::DateTimeOffset => format!("{}+00", date_time(rng)),
        Kind::Char(length) | Kind::NChar(length) => {
            let text = text(rng, pieces(column.kind), length);
            let blanks = length - text.encode_utf16().count();
            text + &" ".repeat(blanks)
        }
        Kind::VarChar(length) | Kind::NVarChar(length) => text(rng, pieces(column.kind), length.unwrap_or(3000)),
        Kind::Xml => xml(rng),
        Kind::Binary(length) => bytes(rng, length),
        Kind::VarBinary(length) => {
            let length = rng.random_range(0..=length.unwrap_or(3000));
            bytes(rng, length)
        }
        Kind::RowVersion => unreachable!("the source writes rowversions itself"),
        Kind::UniqueIdentifier => uuid::Builder::from_random_bytes(rng.random()).into_uuid().to_string(),
        Kind::HierarchyId => hierarchy(rng),
        Kind::Geography => point(rng),
    };
    of(column.kind, text)
}

/// A random value for a key column: few enough that keys meet again, text that differs by case only among them.
pub fn random_key(rng: &mut StdRng, kind: Kind) -> Value {
    let text = match kind {
        Kind::TinyInt => rng.random_range(0..250).to_string(),
        Kind::SmallInt => rng.random_range(1..30_000).to_string(),
        Kind::Int => rng.random_range(1..1_000_000).to_string(),
        Kind::Date => date(rng, 700_000),
        Kind::NChar(length) => {
            let text = text(rng, KEY_PIECES, length);
            let blanks = length - text.encode_utf16().count();
            text + &" ".repeat(blanks)
        }
        Kind::NVarChar(Some(length)) => text(rng, KEY_PIECES, length),
        _ => {
            let column = Column { name: String::new(), kind, nullable: false, identity: false };
            return random(rng, &column);
        }
    };
    of(kind, text)
}

/// A value of which only the target's text is known.
pub fn of(kind: Kind, text: String) -> Value {
    Value { literal: literal(kind, &text), cell: Some(text.into_boxed_str()) }
}

/// How T-SQL writes the value that the target prints so.
pub fn literal(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Bit => if text == "t" { "1" } else { "0" }.to_owned(),
        Kind::SmallDateTime | Kind::DateTime | Kind::DateTime2 => format!("'{}'", text.replace(' ', "T")),
        Kind::HierarchyId => format!("CAST(0x{} AS hierarchyid)", &text[2..]),
        Kind::Geography => format!("CAST(0x{} AS geography)", &text[2..]),
        kind if kind.is_bytes() => format!("0x{}", &text[2..]),
        Kind::Date | Kind::Time | Kind::DateTimeOffset | Kind::UniqueIdentifier => format!("'{text}'"),
        Kind::Char(_) | Kind::VarChar(_) | Kind::NChar(_) | Kind::NVarChar(_) | Kind::Xml => {
            format!("N'{}'", text.replace('\'', "''"))
        }
        _ => text.to_owned(),
    }
}

/// Upper and lower case exchanged: another text, the same key.
pub fn other_case(text: &str) -> String {
    let swap = |character: char| match character {
        'a'..='z' => character.to_ascii_uppercase(),
        'A'..='Z' => character.to_ascii_lowercase(),
        'é' => 'É',
        'É' => 'é',
        other => other,
    };
    text.chars().map(swap).collect()
}

fn pieces(kind: Kind) -> &'static [&'static str] {
    if matches!(kind, Kind::Char(_) | Kind::VarChar(_)) { PIECES_1252 } else { PIECES }
}

/// Text of at most so many UTF-16 units; often short, sometimes empty, sometimes full.
fn text(rng: &mut StdRng, pieces: &[&str], length: usize) -> String {
    let wanted = match rng.random_range(0..10) {
        0 => 0,
        1 => length,
        _ => rng.random_range(1..=length.min(40)),
    };
    let mut text = String::new();
    let mut units = 0;
    while units < wanted {
        let piece = pieces.choose(rng).copied().unwrap_or_default();
        units += piece.encode_utf16().count();
        if units > length {
            break;
        }
        text.push_str(piece);
    }
    text
}

/// A whole number in the range; its ends and zero come often.
fn edged(rng: &mut StdRng, low: i64, high: i64) -> i64 {
    match rng.random_range(0..12) {
        0 => low,
        1 => high,
        2 => 0,
        3 => -1,
        _ => rng.random_range(low..=high),
    }
}

/// A whole number with the point put before its last digits.
fn scaled(number: i64, scale: usize) -> String {
    if scale == 0 {
        return number.to_string();
    }
    let sign = if number < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// A date from that day after 0001-01-01 on.
fn date(rng: &mut StdRng, first: u64) -> String {
    const LAST: u64 = 3_652_058;
    let day = if rng.random_bool(0.1) { LAST } else { rng.random_range(first..=LAST) };
    let start = NaiveDate::from_ymd_opt(1, 1, 1).unwrap_or_default();
    (start + Days::new(day)).format("%Y-%m-%d").to_string()
}

/// A datetime: from 1753 on, in steps of 1/300 s.
fn date_time(rng: &mut StdRng) -> String {
    let day = date(rng, 639_905);
    let step: u32 = if rng.random_bool(0.1) { 86_400 * 300 - 1 } else { rng.random_range(0..86_400 * 300) };
    let (second, third) = (step / 300, step % 300);
    let millisecond = (third * 10 + 1) / 3;
    let clock = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    let fraction = format!("{millisecond:03}");
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{day} {clock}") } else { format!("{day} {clock}.{fraction}") }
}

/// A time(7): its last digit is beyond what the target keeps, and is cut.
fn time(rng: &mut StdRng) -> Value {
    let tick: u64 = if rng.random_bool(0.1) { 863_999_999_999 } else { rng.random_range(0..864_000_000_000) };
    let (second, fraction) = (tick / 10_000_000, tick % 10_000_000);
    let full = format!("{:02}:{:02}:{:02}.{fraction:07}", second / 3600, second / 60 % 60, second % 60);
    let cut = full[..15].trim_end_matches('0').trim_end_matches('.');
    Value { literal: format!("'{full}'"), cell: Some(cut.into()) }
}

fn bytes(rng: &mut StdRng, length: usize) -> String {
    let mut content = vec![0; length];
    rng.fill(content.as_mut_slice());
    format!("\\x{}", hex(&content))
}

/// A document as the server would write it back: no declaration, no insignificant whitespace.
fn xml(rng: &mut StdRng) -> String {
    let words = ["plain", "é日本", "a &amp; b", "&lt;tag&gt;", "it's", "\"quoted\"", "x, y", "\\N"];
    let word = |rng: &mut StdRng| words.choose(rng).copied().unwrap_or_default();
    let items = rng.random_range(0..4);
    let inner = (0..items).map(|n| format!("<item n=\"{n}\">{}</item>", word(rng))).collect::<Vec<_>>().concat();
    if inner.is_empty() { "<list/>".to_owned() } else { format!("<list>{inner}</list>") }
}

/// A hierarchyid's bytes: levels of 0 to 15, each a prefix, its value's bits, and a 1.
fn hierarchy(rng: &mut StdRng) -> String {
    let level = |rng: &mut StdRng| match rng.random_range(0..16_u8) {
        value @ 0..4 => format!("01{value:02b}1"),
        value @ 4..8 => format!("100{:02b}1", value - 4),
        value => format!("101{:03b}1", value - 8),
    };
    let levels = rng.random_range(1..6);
    let bits: String = (0..levels).map(|_| level(rng)).collect();
    let full = format!("{bits:0<width$}", width = bits.len().next_multiple_of(8));
    let byte = |at: usize| u8::from_str_radix(&full[at..at + 8], 2).unwrap_or_default();
    let bytes: Vec<_> = (0..full.len()).step_by(8).map(byte).collect();
    format!("\\x{}", hex(&bytes))
}

/// A geography point's bytes: SRID 4326, version 1, a valid single point, latitude and longitude.
fn point(rng: &mut StdRng) -> String {
    let (latitude, longitude): (f64, f64) = (rng.random_range(-90.0..90.0), rng.random_range(-180.0..180.0));
    format!("\\xe6100000010c{}{}", hex(&latitude.to_le_bytes()), hex(&longitude.to_le_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
