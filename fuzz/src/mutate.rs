//! Mutations that keep the form of an input, so that what lies behind the parsers is reached; bytes are libFuzzer's part.

use libfuzzer_sys::fuzzer_mutate;
use serde_json::{Value, json};

/// Small numbers that look random.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        // Knuth's multiplier for 64 bits.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// Mutates bytes, or, every other time, what `by_form` makes of them; gives the new length.
fn mutate(
    data: &mut [u8],
    size: usize,
    longest: usize,
    seed: u32,
    by_form: fn(&[u8], &mut Chance) -> Option<Vec<u8>>,
) -> usize {
    let mut chance = Chance(u64::from(seed));
    if chance.below(2) == 0
        && let Some(mutated) = by_form(&data[..size], &mut chance).filter(|mutated| mutated.len() <= longest)
    {
        data[..mutated.len()].copy_from_slice(&mutated);
        return mutated.len();
    }
    fuzzer_mutate(data, size, longest)
}

/// Mutates JSON: a value becomes another, is doubled, goes, or takes a value's place elsewhere.
pub fn json(data: &mut [u8], size: usize, longest: usize, seed: u32) -> usize {
    mutate(data, size, longest, seed, |input, chance| {
        let mut root: Value = serde_json::from_slice(input).ok()?;
        for _ in 0..=chance.below(2) {
            let count = count(&root);
            let (at, from) = (chance.below(count), chance.below(count));
            let other = nth(&mut root, &mut { from })?.clone();
            change(nth(&mut root, &mut { at })?, other, chance);
        }
        serde_json::to_vec(&root).ok()
    })
}

fn change(value: &mut Value, other: Value, chance: &mut Chance) {
    match (chance.below(4), value) {
        (0, value) => *value = other,
        (1, Value::Array(items)) if !items.is_empty() => {
            let item = chance.of(items);
            items.insert(chance.below(items.len()), item);
        }
        (2, Value::Array(items)) if !items.is_empty() => drop(items.remove(chance.below(items.len()))),
        (2, Value::Object(entries)) if !entries.is_empty() => {
            let names: Vec<_> = entries.keys().cloned().collect();
            entries.remove(&chance.of(&names));
        }
        (_, value) => *value = another(value, chance),
    }
}

/// A value to put in the place of one, most often of its own type.
fn another(value: &Value, chance: &mut Chance) -> Value {
    let numbers = [0, 1, 2, 3, 4, 255, 256, u64::from(u32::MAX), 1 << 63, u64::MAX - 1, u64::MAX];
    let texts = [
        "",
        "snapshot",
        "changes",
        "backfill",
        "0x00",
        "0x0000002A000001B00003",
        "0xFF",
        "zstd",
        "gzip",
        "none",
        "text",
        "decimal",
        "uuid",
        "OrderID",
        "Note",
        "\0",
        "é",
        "2016-12-31T23:59:60Z",
        "+262142-12-31T23:59:59.9Z",
        "-0001-01-01T00:00:00Z",
        "2026-01-01T00:00:00.123456789+14:00",
    ];
    match value {
        _ if chance.below(8) == 0 => {
            chance.of(&[Value::Null, json!(true), json!(-1), json!(1.5), json!([]), json!({})])
        }
        Value::Bool(value) => json!(!value),
        Value::String(text) if chance.below(2) == 0 => json!(format!("{text}{}", chance.of(&texts))),
        Value::String(_) => json!(chance.of(&texts)),
        _ => json!(chance.of(&numbers)),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(entries) => entries.values().map(count).sum(),
        _ => 0,
    }
}

/// The node reached after so many others, root first.
fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, left)),
        Value::Object(entries) => entries.values_mut().find_map(|entry| nth(entry, left)),
        _ => None,
    }
}

/// Mutates lines: one goes, comes twice, moves, or its value is another line's, or another.
pub fn lines(data: &mut [u8], size: usize, longest: usize, seed: u32) -> usize {
    mutate(data, size, longest, seed, |input, chance| {
        let mut lines: Vec<_> = std::str::from_utf8(input).ok()?.split('\n').map(str::to_owned).collect();
        let (at, from) = (chance.below(lines.len()), chance.below(lines.len()));
        match chance.below(5) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[from].clone()),
            2 => lines.swap(at, from),
            _ => {
                let value = lines[from].split_once('=').map(|(_, value)| value.to_owned());
                let value = value.filter(|_| chance.below(2) == 0).unwrap_or_else(|| chance.of(&VALUES).to_owned());
                lines[at] = format!("{}= {}", lines.get(at)?.split_once('=')?.0, value.trim_start());
            }
        }
        Some(lines.join("\n").into_bytes())
    })
}

const VALUES: [&str; 27] = [
    "0",
    "1",
    "-1",
    "64",
    "65",
    "65536",
    "18446744073709551615",
    "9223372036854775807",
    "true",
    "\"\"",
    "\"${PATH}\"",
    "\"${HOME}\"",
    "\"$${x}\"",
    "\"${\"",
    "\"0s\"",
    "\"1ms\"",
    "\"9999999999999999999d\"",
    "\"18446744073709551615\"",
    "\"48GB\"",
    "\"0B\"",
    "\"never\"",
    "\"fail\"",
    "\"ignore\"",
    "[\"*\"]",
    "[]",
    "{ a = \"b\" }",
    "'é'",
];
