//! Names of tables as text that reads back as itself, and patterns of them.
//!
//! A part of a name is written bare, in brackets or double quotes with the closing one doubled, or, where it holds what
//! would break a line or hide what it says, as SQL's own `U&"a\000Ab"`.

use std::fmt::{self, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::same_but_for_case;

/// A table's name as the source's catalogue spells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// Schema.
    pub schema: String,
    /// Table.
    pub name: String,
}

impl TableName {
    /// A name from its two parts.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// Whether both parts are the other's but for the case of their letters.
    pub fn is_same_but_for_case(&self, other: &Self) -> bool {
        same_but_for_case(&self.schema, &other.schema) && same_but_for_case(&self.name, &other.name)
    }
}

/// Writes `schema.name`, a part in brackets or escaped where it would not read back as itself; also as a pattern.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", part(&self.schema), part(&self.name))
    }
}

/// A part of a name as it is written.
fn part(text: &str) -> String {
    if text.chars().any(is_unprintable) {
        let mut written = String::from("U&\"");
        for letter in text.chars() {
            match (letter, u32::from(letter)) {
                ('"' | '\\', _) => written.extend([letter, letter]),
                (_, code) if is_unprintable(letter) => drop(write!(written, "\\{code:04X}")),
                _ => written.push(letter),
            }
        }
        return written + "\"";
    }
    // One that begins with a hyphen would be an option of the command line.
    if text.is_empty() || text.starts_with('-') || text.contains(['.', '[', ']', '"', '*']) || text.trim() != text {
        return format!("[{}]", text.replace(']', "]]"));
    }
    text.to_owned()
}

/// Whether a character ends a line, moves the cursor, or turns the direction in which others are shown.
pub fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// JSON with each character escaped that is unprintable: such stand within its texts only.
pub fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for letter in json.chars() {
        if is_unprintable(letter) {
            let _ = write!(escaped, "\\u{:04x}", u32::from(letter));
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

/// The text is not `schema.name`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a table name: write schema.name, and brackets around a part that holds a dot: [a.b].[c d]")]
pub struct ParseTableNameError(String);

impl FromStr for TableName {
    type Err = ParseTableNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = letters(text.trim()).map(|letters| {
            let parts = letters.split(|letter| *letter == Letter::Bare('.'));
            parts.map(|part| part.iter().map(|letter| letter.char()).collect::<String>()).collect::<Vec<_>>()
        });
        match parts.as_deref() {
            Some([schema, name]) if !schema.is_empty() && !name.is_empty() => Ok(Self::new(schema, name)),
            _ => Err(ParseTableNameError(text.to_owned())),
        }
    }
}

/// A character of a name as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letter {
    /// Outside brackets and quotes: a dot parts, a star stands for anything.
    Bare(char),
    /// Inside: stands for itself.
    Quoted(char),
}

impl Letter {
    fn char(self) -> char {
        let (Self::Bare(letter) | Self::Quoted(letter)) = self;
        letter
    }
}

/// What a text writes; `None` where a bracket or quote is not closed, or an escape is none.
fn letters(text: &str) -> Option<Vec<Letter>> {
    let mut letters = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut begins = true;
    while let Some(first) = rest.chars().next() {
        let escaped = rest.get(..3).is_some_and(|opening| opening.eq_ignore_ascii_case("u&\""));
        if begins && (escaped || matches!(first, '[' | '"')) {
            let (open, close) = if escaped { (3, '"') } else { (1, if first == '[' { ']' } else { '"' }) };
            rest = quoted(&rest[open..], close, escaped, &mut letters)?;
        } else {
            letters.push(Letter::Bare(first));
            rest = &rest[first.len_utf8()..];
        }
        begins = letters.last() == Some(&Letter::Bare('.'));
    }
    Some(letters)
}

/// Reads what is quoted, and gives what follows.
fn quoted<'a>(text: &'a str, close: char, escaped: bool, letters: &mut Vec<Letter>) -> Option<&'a str> {
    let mut characters = text.char_indices().peekable();
    while let Some((at, letter)) = characters.next() {
        if letter == close {
            if characters.next_if(|(_, next)| *next == close).is_none() {
                return Some(&text[at + close.len_utf8()..]);
            }
        } else if letter == '\\' && escaped && characters.next_if(|(_, next)| *next == '\\').is_none() {
            let digits = if characters.next_if(|(_, next)| *next == '+').is_some() { 6 } else { 4 };
            let mut code = 0;
            for _ in 0..digits {
                code = code * 16 + characters.next()?.1.to_digit(16)?;
            }
            letters.push(Letter::Quoted(char::from_u32(code)?));
            continue;
        }
        letters.push(Letter::Quoted(letter));
    }
    None
}

/// Stands between schema and table where a name is matched; no name can hold it.
const SEPARATOR: char = '\0';

/// A pattern of names: outside brackets and quotes a star stands for any characters, and a dot for one in a name, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Letter>);

/// The text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a pattern of table names: a bracket or quote is not closed")]
pub struct ParsePatternError(String);

impl FromStr for Pattern {
    type Err = ParsePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        letters(text).map(Self).ok_or_else(|| ParsePatternError(text.to_owned()))
    }
}

/// What a pattern names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// Tables of a schema.
    Schema(String),
    /// A table.
    Table(TableName),
}

impl Pattern {
    /// The one schema or table that it names; `None` where it names more, or its dots leave open what.
    pub fn named(&self) -> Option<Named> {
        let parts: Vec<_> = self.0.split(|letter| *letter == Letter::Bare('.')).collect();
        let [schema, name] = parts[..] else { return None };
        let is_open = |part: &[Letter]| part.contains(&Letter::Bare('*'));
        let text = |part: &[Letter]| part.iter().map(|letter| letter.char()).collect::<String>();
        if schema.is_empty() || name.is_empty() || is_open(schema) {
            return None;
        }
        let schema = text(schema);
        Some(if is_open(name) { Named::Schema(schema) } else { Named::Table(TableName::new(schema, text(name))) })
    }

    /// Whether it lets a table through; `ignores_case` says whether names that differ only by case are one.
    pub fn matches(&self, table: &TableName, ignores_case: bool) -> bool {
        let name: Vec<_> = table.schema.chars().chain([SEPARATOR]).chain(table.name.chars()).collect();
        let is = |wanted: &Letter, found: char| match wanted {
            Letter::Bare('.') => matches!(found, '.' | SEPARATOR),
            other => other.char() == found || (ignores_case && other.char().to_lowercase().eq(found.to_lowercase())),
        };
        let (mut at, mut place) = (0, 0);
        // Where the last star stands, and up to where in the name it reaches.
        let mut star: Option<(usize, usize)> = None;
        while place < name.len() {
            if self.0.get(at) == Some(&Letter::Bare('*')) {
                star = Some((at, place));
                at += 1;
            } else if self.0.get(at).is_some_and(|wanted| is(wanted, name[place])) {
                (at, place) = (at + 1, place + 1);
            } else if let Some((before, reached)) = star {
                star = Some((before, reached + 1));
                (at, place) = (before + 1, reached + 1);
            } else {
                return false;
            }
        }
        self.0[at..].iter().all(|letter| *letter == Letter::Bare('*'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_themselves() {
        let long = "😀".repeat(64);
        for (schema, name) in [
            ("Sales", "Orders"),
            ("a.b", "c d"),
            ("a", "b]c"),
            ("a", "[b]"),
            ("x", "\"q\""),
            ("dbo", " lead"),
            ("dbo", "trail\u{3000}"),
            (" ", "  "),
            ("..", "."),
            ("a\nb", "c\r\n2026 INFO forged"),
            ("a\\b", "\\000A"),
            ("a\u{1b}[31m\"\\\\", "\u{85}\u{2028}\u{202e}"),
            ("U&\"a\"", "u&x"),
            ("'", "''; --"),
            ("*", "%_?"),
            ("-", "--yes"),
            (&long, &long),
        ] {
            let table = TableName::new(schema, name);
            let written = table.to_string();
            assert_eq!(written.parse::<TableName>().unwrap(), table, "{written}");
            assert!(!written.chars().any(is_unprintable) && !written.starts_with('-'), "{written:?}");
            let pattern: Pattern = written.parse().unwrap();
            assert!(pattern.matches(&table, false), "{written}");
            assert!(!pattern.matches(&TableName::new(schema, format!("{name}x")), true), "{written}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        assert_eq!("[Sales].[Orders]".parse::<TableName>().unwrap(), TableName::new("Sales", "Orders"));
        assert_eq!("\"a.b\".U&\"\\+01F600\"".parse::<TableName>().unwrap(), TableName::new("a.b", "😀"));
        for wrong in
            ["", "Orders", "a.b.c", ".b", "a.", "[a.b", "[].b", "a.U&\"\\00\"", "a.U&\"\\+110000\"", "a.U&\"\\D800\""]
        {
            assert!(wrong.parse::<TableName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pattern_names_one_schema_or_table_or_leaves_it_open() {
        let named = |text: &str| text.parse::<Pattern>().unwrap().named();
        for text in ["Sales.*", "Sales.Ord*", "[Sales].[a.b]*", "U&\"S\\0061les\".*"] {
            assert_eq!(named(text), Some(Named::Schema("Sales".to_owned())), "{text}");
        }
        for text in ["[a.b].[c*]", "\"a.b\".U&\"c\\002a\""] {
            assert_eq!(named(text), Some(Named::Table(TableName::new("a.b", "c*"))), "{text}");
        }
        for text in ["*", "*.Orders", "S*.Orders", "a.b.c", "Orders", ".Orders"] {
            assert_eq!(named(text), None, "{text}");
        }
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, schema, name, expected) in [
            ("Sales.*", "Sales", "Orders", true),
            ("Sales.*", "Sales2", "Orders", false),
            ("*.Audit*", "Sales", "AuditLog", true),
            ("*.Audit*", "Sales", "MyAudit", false),
            ("Person.Address", "Person", "Address", true),
            ("Person.Address", "Person", "AddressType", false),
            ("*", "a", "b", true),
            ("a*b*c", "a", "xbxc", true),
            ("a*b*c", "a", "xc", false),
            ("a*a", "b", "a", false),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa", false),
            ("sales.ORDERS", "Sales", "Orders", true),
            ("a.b.c", "a.b", "c", true),
            ("a.b.c", "a", "b.c", true),
            ("[a.b].c", "a.b", "c", true),
            ("[a.b].c", "a", "b.c", false),
            ("dbo.[a*]", "dbo", "a*", true),
            ("dbo.[a*]", "dbo", "ab", false),
            ("dbo.[a*]*", "dbo", "a*b", true),
            ("dbo.[[a]", "dbo", "[a", true),
            ("dbo.x[a", "dbo", "x[a", true),
            ("dbo.ΑΣ*", "dbo", "ασα", true),
        ] {
            let table = TableName::new(schema, name);
            assert_eq!(pattern.parse::<Pattern>().unwrap().matches(&table, true), expected, "{pattern} {table}");
        }
        assert!(!"dbo.t".parse::<Pattern>().unwrap().matches(&TableName::new("dbo", "T"), false));
        assert!("dbo.[t".parse::<Pattern>().is_err());
    }
}
