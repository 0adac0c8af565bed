//! What a type of a target holds, as far as that decides whether it holds a value.

/// A type of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Text of any length.
    Text,
    /// Text of so many characters.
    Chars(u32),
    /// Text of so many bytes.
    Octets(u32),
    /// Text of so many characters that is filled up with blanks.
    Padded(u32),
    /// True or false.
    Boolean,
    /// A signed integer of so many bytes.
    Integer(u8),
    /// An exact decimal: digits in all and after the point; `None` for any number of them.
    Numeric(Option<(u16, u8)>),
    /// Binary floating point of so many bytes: 4 or 8.
    Float(u8),
    /// A time of day with so many digits of a second.
    Time(u8),
    /// Date and time with so many digits of a second.
    Timestamp(u8),
    /// A moment with so many digits of a second.
    TimestampTz(u8),
    /// A date.
    Date,
    /// Bytes; `None` for any number of them.
    Bytes(Option<u32>),
    /// A UUID.
    Uuid,
    /// JSON, XML, an address of a network, or a text that compares otherwise: what takes a text in its own form, and
    /// refuses what is none.
    Parsed,
    /// Another.
    Other,
}

/// A type's name in lower case, its words parted by one blank, and the numbers in its brackets; `None` where those are no
/// whole numbers.
pub fn split(sql_type: &str) -> (String, Option<Vec<u32>>) {
    let lower = sql_type.to_lowercase();
    let (before, facets) = match lower.split_once('(') {
        Some((before, rest)) => (before, rest.split_once(')').unwrap_or((rest, ""))),
        None => (lower.as_str(), ("", "")),
    };
    let words = format!("{before} {}", facets.1);
    let name = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let numbers = facets.0.split(',').map(str::trim).filter(|text| !text.is_empty());
    (name, numbers.map(|text| text.parse().ok()).collect())
}

/// The digits in all and after the point that a decimal's brackets say.
pub fn decimal(numbers: &[u32]) -> Option<(u16, u8)> {
    let scale = numbers.get(1).copied().unwrap_or(0);
    let precision = numbers.first()?;
    Some((u16::try_from(*precision).unwrap_or(u16::MAX), u8::try_from(scale).unwrap_or(u8::MAX)))
}
