//! A place in a source's log: ordered, and opaque outside its source.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A place in a source's log: bytes that compare as unsigned, written `0x` and upper-case hexadecimal digits.
///
/// Only positions of one source can be compared; all of them have the same length.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(Vec<u8>);

impl Position {
    /// A position from its bytes, most significant first.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, most significant first.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether all bytes are zero.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not `0x` and an even number of hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a position: expected 0x and an even number of hexadecimal digits, as a summary prints it")]
pub struct ParsePositionError(String);

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParsePositionError(text.to_owned());
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).ok_or_else(wrong)?;
        if digits.is_empty() || digits.len() % 2 == 1 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
        Ok(Self(bytes.collect::<Result<_, _>>().map_err(|_| wrong())?))
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_are_one_position() {
        let text = "0x0000002A000001B00003";
        let position: Position = text.parse().unwrap();
        assert_eq!(position.as_bytes(), [0, 0, 0, 0x2A, 0, 0, 1, 0xB0, 0, 3]);
        assert_eq!(position.to_string(), text);
        assert_eq!("0x2a".parse::<Position>().unwrap(), Position::new([0x2A]));
        for wrong in ["", "0x", "2A", "0x2", "0xZZ", "0x+1", "0xéé"] {
            assert!(wrong.parse::<Position>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn order_is_that_of_unsigned_bytes() {
        let position = |text: &str| text.parse::<Position>().unwrap();
        assert!(position("0x00FF") < position("0x0100"));
        assert!(position("0x7FFF") < position("0x8000"));
        assert!(position("0x0000").is_zero() && !position("0x0001").is_zero());
    }
}
