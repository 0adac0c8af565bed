//! How objects of the ledger are named: `<sync>/<schema>.<table>/<generation>/<sequence>/…` under the bucket's prefix.
//!
//! Numbers are zero-padded and sort as text. Names are percent-encoded from the catalogue's spelling, dots included.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use crate::digest;
use crate::table::TableName;

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');

/// Longest a table's folder may be: servers that keep objects as files refuse what a file's name cannot be.
const LONGEST: usize = 255;

/// Longest the schema may be in a folder that was shortened.
const LONGEST_SCHEMA: usize = 100;

/// Digits of a generation or sequence.
const DIGITS: usize = 10;

/// An object's place under a table's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `open.json` of a generation.
    Open(u64),
    /// An object of a batch: generation, sequence, and what it is.
    Batch(u64, u64, Object),
}

/// An object of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// The manifest.
    Manifest,
    /// The mark that it was applied.
    Applied,
    /// A part, or a COPY manifest: an attempt's own.
    Attempt(Uuid),
}

fn encode(name: &str) -> String {
    utf8_percent_encode(name, ENCODED).to_string()
}

/// The beginning of an encoded name, no escape cut in two.
fn beginning(encoded: &str, most: usize) -> &str {
    let end =
        (0..=most.min(encoded.len())).rev().find(|end| !encoded[..*end].bytes().rev().take(2).any(|byte| byte == b'%'));
    let end = if encoded.len() <= most { encoded.len() } else { end.unwrap_or(0) };
    &encoded[..end]
}

/// A table's folder. One that is too long ends in a hash of both names.
fn folder(table: &TableName) -> String {
    let (schema, name) = (encode(&table.schema), encode(&table.name));
    if schema.len() + 1 + name.len() <= LONGEST {
        return format!("{schema}.{name}");
    }
    let hash = digest::short(&[&table.schema, &table.name], 16);
    let schema = beginning(&schema, LONGEST_SCHEMA);
    let name = beginning(&name, LONGEST - schema.len() - hash.len() - 2);
    // The tilde is always encoded in a name, so that no other folder reads so.
    format!("{schema}.{name}~{hash}")
}

/// The path of a sync, with a slash at its end.
pub fn sync_path(sync: &str) -> String {
    format!("{}/", encode(sync))
}

/// The path of a table, with a slash at its end.
pub fn table_path(sync: &str, table: &TableName) -> String {
    format!("{}{}/", sync_path(sync), folder(table))
}

/// The table that a folder below a sync's path belongs to; `None` if its name was shortened, or it is no table's.
pub fn table_of(folder: &str) -> Option<TableName> {
    let (schema, name) = folder.split_once('.').filter(|_| !folder.contains('~'))?;
    let decode = |text| percent_encoding::percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    let table = TableName::new(decode(schema)?, decode(name)?);
    // One table has one folder: what spells its name otherwise was not written here.
    (encode(&table.schema) == schema && encode(&table.name) == name).then_some(table)
}

/// The path of a generation's `open.json`.
pub fn open_path(table_path: &str, generation: u64) -> String {
    format!("{table_path}{generation:0DIGITS$}/open.json")
}

/// The path of a batch, with a slash at its end.
pub fn batch_path(table_path: &str, generation: u64, sequence: u64) -> String {
    format!("{table_path}{generation:0DIGITS$}/{sequence:0DIGITS$}/")
}

/// The path of a batch's manifest.
pub fn manifest_path(table_path: &str, generation: u64, sequence: u64) -> String {
    format!("{}manifest.json", batch_path(table_path, generation, sequence))
}

/// The path of a batch's mark.
pub fn applied_path(table_path: &str, generation: u64, sequence: u64) -> String {
    format!("{}applied.json", batch_path(table_path, generation, sequence))
}

/// Reads a path below a table's; `None` for what `delsert` did not write.
pub fn parse(path: &str) -> Option<Place> {
    let (generation, rest) = path.split_once('/')?;
    let generation = number(generation)?;
    if rest == "open.json" {
        return Some(Place::Open(generation));
    }
    let (sequence, object) = rest.split_once('/')?;
    let object = match object {
        "manifest.json" => Object::Manifest,
        "applied.json" => Object::Applied,
        other if other.contains('/') => return None,
        other => Object::Attempt(attempt_of(other)?),
    };
    Some(Place::Batch(generation, number(sequence)?, object))
}

/// A generation or sequence as it is written: other spellings of it are other keys.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The attempt that an object's last component names: `<attempt>-<n>.csv.zst` or `<attempt>.copy.json`.
pub fn attempt_of(key: &str) -> Option<Uuid> {
    let file = key.rsplit('/').next()?;
    let name = file.get(..36)?;
    Uuid::try_parse(name).ok().filter(|attempt| attempt.to_string() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_fall_together_and_paths_read_back() {
        let path = |schema: &str, name: &str| table_path("shop", &TableName::new(schema, name));
        assert_eq!(path("Sales", "Order_Lines"), "shop/Sales.Order_Lines/");
        assert_ne!(path("a", "b.c"), path("a.b", "c"));
        assert_eq!(path("a/b", "c d"), "shop/a%2Fb.c%20d/");
        let table = TableName::new("a.b/", "c~d é");
        assert_eq!(table_of(table_path("shop", &table).trim_start_matches("shop/").trim_end_matches('/')), Some(table));
        let long = "表".repeat(128);
        for (schema, name) in [("s", &*long), (&long, "t"), (&long, &long), (&"x".repeat(128), &"y".repeat(128))] {
            let path = path(schema, name);
            let folder = path.trim_start_matches("shop/").trim_end_matches('/');
            assert!(folder.len() <= LONGEST && folder.contains('~') && table_of(folder).is_none(), "{folder}");
            let (readable, _) = folder.split_once('~').unwrap();
            let escapes: Vec<_> = readable.split('%').skip(1).collect();
            assert!(escapes.iter().all(|escape| escape.len() >= 2), "an escape was cut: {folder}");
        }
        assert_ne!(path(&long, "a.b"), path(&format!("{long}.a"), "b"));
        let kept = "x".repeat(126);
        assert_eq!(path(&kept, &format!("{kept}yy")), format!("shop/{kept}.{kept}yy/"), "255 bytes stay as they are");
        assert_ne!(path("s", &long), path("s", &format!("{}面", "表".repeat(127))));

        let attempt = Uuid::from_u128(7);
        assert_eq!(parse(&open_path("", 3)), Some(Place::Open(3)));
        assert_eq!(parse(&manifest_path("", 3, 14)), Some(Place::Batch(3, 14, Object::Manifest)));
        assert_eq!(parse(&applied_path("", 3, 14)), Some(Place::Batch(3, 14, Object::Applied)));
        let part = format!("{}{attempt}-0000.csv.zst", batch_path("", 3, 14));
        assert_eq!(parse(&part), Some(Place::Batch(3, 14, Object::Attempt(attempt))));
        for foreign in [
            "0000000003/0000000014/readme.txt",
            "x/open.json",
            "3/open.json",
            "+000000003/open.json",
            "0000000003/14/manifest.json",
            "00000000003/open.json",
            "0000000003/0000000014/below/00000000-0000-0000-0000-000000000007-0000.csv",
        ] {
            assert_eq!(parse(foreign), None, "{foreign}");
        }
        assert_eq!(table_of("a%2fb.c"), None, "delsert writes a%2Fb.c");
        assert_eq!(attempt_of("AAAAAAAA-0000-4000-8000-000000000000-0000.csv"), None);
    }
}
