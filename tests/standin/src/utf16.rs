//! UTF-16 as SQL Server keeps it: any units, unpaired surrogates included, in a text that holds none of these.
//!
//! An unpaired surrogate stands as a character of its own from U+F000 to U+F7FF, one unit like itself. Those characters,
//! which nobody but their users has a meaning for, have no place here.

const STANDS_FROM: u32 = 0xF000;
const SURROGATES_FROM: u32 = 0xD800;
const SURROGATES: u32 = 0x800;

/// The text of some units.
///
/// # Panics
/// One of them stands for a surrogate here.
pub fn text(units: impl IntoIterator<Item = u16>) -> String {
    try_text(units).expect("the stand-in has no place for U+F000 to U+F7FF")
}

/// The text of some units; `None` if one of them stands for a surrogate here.
pub fn try_text(units: impl IntoIterator<Item = u16>) -> Option<String> {
    let letters = char::decode_utf16(units).map(|decoded| match decoded {
        Ok(letter) => {
            let taken = (STANDS_FROM..STANDS_FROM + SURROGATES).contains(&u32::from(letter));
            (!taken).then_some(letter)
        }
        Err(lone) => char::from_u32(u32::from(lone.unpaired_surrogate()) - SURROGATES_FROM + STANDS_FROM),
    });
    letters.collect()
}

/// As [`text_of_bytes`]; `None` if a character has no place here.
pub fn try_text_of_bytes(bytes: &[u8]) -> Option<String> {
    try_text(pairs(bytes))
}

/// The text of some bytes, the lower of a unit first; half a unit at the end is its lower byte.
pub fn text_of_bytes(bytes: &[u8]) -> String {
    text(pairs(bytes))
}

fn pairs(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
}

/// The units of a text.
pub fn units(text: &str) -> impl Iterator<Item = u16> {
    text.encode_utf16().map(|unit| match u32::from(unit).checked_sub(STANDS_FROM) {
        Some(at) if at < SURROGATES => u16::try_from(SURROGATES_FROM + at).unwrap_or(unit),
        _ => unit,
    })
}

/// The bytes of a text.
pub fn bytes(text: &str) -> impl Iterator<Item = u8> {
    units(text).flat_map(u16::to_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_units_come_back_as_they_were() {
        for given in [&[][..], &[0x61, 0xD83D, 0xDE00], &[0xD83D], &[0xDE00, 0xD83D, 0x62], &[0xDFFF, 0xD800, 0]] {
            let text = text(given.iter().copied());
            assert_eq!(units(&text).collect::<Vec<_>>(), given);
        }
        assert_eq!(text([0xD83D, 0xDE00]), "😀");
    }
}
