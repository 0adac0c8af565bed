//! How much each warehouse holds, by its manual: what does not fit is cut, and lost.
//!
//! Sources for Amazon Redshift: Database Developer Guide, "Character types" (VARCHAR counts bytes, 65,535 at most),
//! "Numeric types" (37 digits after the point at most), "VARBYTE type".

use delsert::config::Engine;

use super::value::{Expected, Value};

/// How much of a text a column holds.
#[derive(Debug, Clone, Copy)]
pub enum Room {
    /// All of it.
    All,
    /// So many characters.
    Characters(usize),
    /// So many bytes of UTF-8, of which a character has one to four.
    Bytes(usize),
}

impl Room {
    /// A text as such a column holds it: whole characters only.
    pub fn cut(self, value: Value) -> Value {
        let Expected::Text(text) = &value.expected else { return value };
        // Each character's number, and the byte behind it.
        let ends = text.char_indices().enumerate().map(|(at, (start, character))| (at, start + character.len_utf8()));
        let fits = |(at, end): &(usize, usize)| match self {
            Self::All => true,
            Self::Characters(most) => *at < most,
            Self::Bytes(most) => *end <= most,
        };
        let end = ends.take_while(fits).last().map_or(0, |(_, end)| end);
        let kept = text[..end].to_owned();
        if kept.len() == text.len() {
            return value;
        }
        Value { expected: Expected::Text(kept), ..value }.losing(&["length"])
    }
}

/// The longest text of a column whose type is not configured.
pub fn longest_text(engine: Engine) -> Room {
    match engine {
        Engine::Postgres => Room::All,
        Engine::Redshift => Room::Bytes(65_535),
    }
}

/// A text of `varchar(n)`.
pub fn varchar(engine: Engine, length: usize) -> Room {
    match engine {
        Engine::Postgres => Room::Characters(length),
        Engine::Redshift => Room::Bytes(length),
    }
}

/// The most digits of a decimal after its point, as far as a source has them.
pub fn largest_scale(engine: Engine) -> u32 {
    match engine {
        Engine::Postgres => 38,
        Engine::Redshift => 37,
    }
}
