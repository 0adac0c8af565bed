//! Collations: their names, and how they compare.

use std::cmp::Ordering;

use rusqlite::Connection;

/// The database's default.
pub const DEFAULT: &str = "SQL_Latin1_General_CP1_CI_AS";
/// SQLite's name for the comparison of datetimeoffset.
pub const OFFSET: &str = "DTO";

/// The collations there are.
pub const ALL: &[&str] = &[
    DEFAULT,
    "SQL_Latin1_General_CP1_CS_AS",
    "SQL_Latin1_General_CP1_CI_AI",
    "Latin1_General_CI_AS",
    "Latin1_General_CS_AS",
    "Latin1_General_CI_AI",
    "Latin1_General_CS_AI",
    "Latin1_General_BIN",
    "Latin1_General_BIN2",
    "Latin1_General_CI_AS_KS_WS",
    "Latin1_General_100_CI_AS",
    "Latin1_General_100_CS_AS",
    "Latin1_General_100_CI_AI",
    "Latin1_General_100_BIN",
    "Latin1_General_100_BIN2",
    "Latin1_General_100_BIN2_UTF8",
    "Latin1_General_100_CI_AS_SC",
    "Latin1_General_100_CI_AS_SC_UTF8",
    "Latin1_General_100_CS_AS_SC_UTF8",
    "Latin1_General_100_CI_AI_SC_UTF8",
];

/// The collation of that name, however it is spelt; `database_default` is the default.
pub fn find(name: &str) -> Option<&'static str> {
    if name.eq_ignore_ascii_case("database_default") || name.eq_ignore_ascii_case("catalog_default") {
        return Some(DEFAULT);
    }
    ALL.iter().copied().find(|entry| entry.eq_ignore_ascii_case(name))
}

/// Whether varchar under it is UTF-8.
pub fn is_utf8(name: &str) -> bool {
    name.ends_with("_UTF8")
}

/// What a collation looks at.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a part of the collation's name")]
struct Sensitivity {
    binary: bool,
    case: bool,
    accent: bool,
    kana: bool,
    width: bool,
}

fn sensitivity(name: &str) -> Sensitivity {
    let binary = name.contains("_BIN");
    Sensitivity {
        binary,
        case: name.contains("_CS"),
        accent: !name.contains("_AI"),
        kana: binary || name.contains("_KS"),
        width: binary || name.contains("_WS"),
    }
}

/// A character as those compare that look neither at its width nor at its kana.
fn plain(rules: Sensitivity, letter: char) -> char {
    if letter.is_ascii() {
        return letter;
    }
    let letter = if rules.width { letter } else { full_or_half(letter) };
    match letter {
        // Hiragana, as katakana.
        '\u{3041}'..='\u{3096}' if !rules.kana => char::from_u32(u32::from(letter) + 0x60).unwrap_or(letter),
        _ => letter,
    }
}

/// A character in the width that most have.
fn full_or_half(letter: char) -> char {
    const KATAKANA: &str = "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン";
    match letter {
        '\u{3000}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0).unwrap_or(letter),
        '\u{ff61}'..='\u{ff9d}' => KATAKANA.chars().nth((u32::from(letter) - 0xff61) as usize).unwrap_or(letter),
        _ => letter,
    }
}

/// A letter without its accent.
fn bare(letter: char) -> char {
    const FOLD: &[(&str, char)] = &[
        ("àáâãäåāăą", 'a'),
        ("çćčĉċ", 'c'),
        ("ďđ", 'd'),
        ("èéêëēĕėęě", 'e'),
        ("ĝğġģ", 'g'),
        ("ìíîïĩīĭį", 'i'),
        ("ñńņň", 'n'),
        ("òóôõöøōŏő", 'o'),
        ("ŕŗř", 'r'),
        ("śŝşš", 's'),
        ("ţťŧ", 't'),
        ("ùúûüũūŭůűų", 'u'),
        ("ýÿŷ", 'y'),
        ("źżž", 'z'),
    ];
    if letter.is_ascii() {
        return letter;
    }
    FOLD.iter().find(|(from, _)| from.contains(letter)).map_or(letter, |(_, to)| *to)
}

fn lower(letter: char) -> char {
    if letter.is_ascii() { letter.to_ascii_lowercase() } else { letter.to_lowercase().next().unwrap_or(letter) }
}

/// Class of a character in dictionary order: blanks and punctuation, digits, letters.
fn weight(letter: char) -> (u8, char) {
    if letter.is_alphabetic() {
        (2, letter)
    } else if letter.is_numeric() {
        (1, letter)
    } else {
        (0, letter)
    }
}

/// Compares two texts under a collation, trailing blanks ignored.
pub fn compare(name: &str, a: &str, b: &str) -> Ordering {
    compare_with(sensitivity(name), a, b)
}

fn compare_with(rules: Sensitivity, a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_end_matches(' '), b.trim_end_matches(' '));
    if a == b {
        return Ordering::Equal;
    }
    if rules.binary {
        return a.encode_utf16().cmp(b.encode_utf16());
    }
    let (left, right): (String, String);
    let (a, b) = if a.is_ascii() && b.is_ascii() {
        (a, b)
    } else {
        let plain = |text: &str| text.chars().map(|c| plain(rules, c)).collect::<String>();
        (left, right) = (plain(a), plain(b));
        (left.trim_end_matches(' '), right.trim_end_matches(' '))
    };
    // Letters first, accents next, case last: the order of a dictionary.
    let key = |text: &str| text.chars().map(|c| weight(bare(lower(c)))).collect::<Vec<_>>();
    let accents = |text: &str| text.chars().map(lower).collect::<Vec<_>>();
    let letters = if a.is_ascii() && b.is_ascii() {
        a.bytes().map(|c| weight(lower(char::from(c)))).cmp(b.bytes().map(|c| weight(lower(char::from(c)))))
    } else {
        key(a).cmp(&key(b))
    };
    letters
        .then_with(|| if rules.accent { accents(a).cmp(&accents(b)) } else { Ordering::Equal })
        // Lower case sorts before upper.
        .then_with(|| {
            if rules.case {
                let cases = |text: &str| text.chars().map(char::is_lowercase).collect::<Vec<_>>();
                let rest = || if rules.accent { a.cmp(b) } else { Ordering::Equal };
                cases(b).cmp(&cases(a)).then_with(rest)
            } else {
                Ordering::Equal
            }
        })
}

/// A text folded so that two texts equal under the collation fold alike; for LIKE and searches.
pub fn fold(name: &str, text: &str) -> Vec<char> {
    let rules = sensitivity(name);
    text.chars()
        .map(|c| {
            let c = plain(rules, c);
            let c = if rules.binary || rules.case { c } else { lower(c) };
            if rules.binary || rules.accent { c } else { bare(c) }
        })
        .collect()
}

/// Makes all collations known to a connection.
pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    for name in ALL {
        let rules = sensitivity(name);
        connection.create_collation(*name, move |a: &str, b: &str| compare_with(rules, a, b))?;
    }
    connection.create_collation(OFFSET, |a: &str, b: &str| a.get(..19).cmp(&b.get(..19)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_accents_follow_the_name() {
        assert_eq!(compare(DEFAULT, "abc  ", "ABC"), Ordering::Equal);
        assert_ne!(compare(DEFAULT, "e", "é"), Ordering::Equal);
        assert_eq!(compare("Latin1_General_CI_AI", "É", "e"), Ordering::Equal);
        assert_ne!(compare("Latin1_General_CS_AS", "a", "A"), Ordering::Equal);
        assert_eq!(compare("Latin1_General_BIN2", "B", "a"), Ordering::Less);
        assert_eq!(compare(DEFAULT, "B", "a"), Ordering::Greater);
        assert_eq!(compare(DEFAULT, "é", "f"), Ordering::Less);
        assert_eq!(compare("Latin1_General_CS_AI", "é", "e"), Ordering::Equal);
        assert_ne!(compare("Latin1_General_CS_AI", "É", "e"), Ordering::Equal);
        assert_eq!(compare(DEFAULT, "Ａ１", "a1"), Ordering::Equal);
        assert_eq!(compare(DEFAULT, "ｶ", "か"), Ordering::Equal);
        for (a, b) in [("Ａ", "A"), ("ｶ", "カ"), ("か", "カ")] {
            assert_ne!(compare("Latin1_General_CI_AS_KS_WS", a, b), Ordering::Equal, "{a} {b}");
            assert_ne!(compare("Latin1_General_BIN2", a, b), Ordering::Equal, "{a} {b}");
        }
    }
}
