//! Names, positions and durations: what is accepted reads back as itself, in text, in keys and in SQL.
//!
//! An input is two texts, parted by the first line's end.

use delsert::config::parse_duration;
use delsert::ledger::layout;
use delsert::position::Position;
use delsert::table::{Pattern, TableName};
use delsert::target::delsert as sql;

pub fn promises(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (first, second) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(name) = first.parse::<TableName>() {
        reads_back(&name);
    }
    if !first.is_empty() && !second.is_empty() {
        reads_back(&TableName::new(first, second));
        have_their_own_folders(first, second);
    }
    let short = first.len() <= 200 && second.len() <= 200;
    // Without brackets and quotes, and of a name with one dot, which then parts it.
    if let (true, false, Some((schema, name))) = (short, first.contains(['[', '"', '\0']), second.split_once('.'))
        && !name.contains('.')
        && !second.contains('\0')
    {
        let pattern: Pattern = first.parse().unwrap();
        let matched = pattern.matches(&TableName::new(schema, name), false);
        assert_eq!(matched, matches(first, second), "pattern {first:?} on {second:?}");
    }
    let _ = second.parse::<Pattern>();
    if let Ok(position) = first.parse::<Position>() {
        assert_eq!(position.to_string(), format!("0x{}", first[2..].to_uppercase()));
        assert_eq!(position.to_string().parse(), Ok(position));
    }
    if let Some(duration) = parse_duration(first) {
        assert_eq!(parse_duration(&format!("{} ms", duration.as_millis())), Some(duration));
    }
    if let Some(name) = layout::table_of(first) {
        assert_eq!(layout::table_path("", &name), format!("/{first}/"), "a folder that is no table's");
    }
    if let Some(attempt) = layout::attempt_of(first) {
        assert!(first.rsplit('/').next().unwrap_or_default().starts_with(&attempt.to_string()), "{first:?}");
    }
    is_quoted(&sql::quote(first), first, '"');
    is_quoted(&sql::literal(first), first, '\'');
}

fn reads_back(name: &TableName) {
    assert_eq!(name.to_string().parse().as_ref(), Ok(name), "what is shown of it reads as another");
}

fn have_their_own_folders(first: &str, second: &str) {
    let table = TableName::new(first, second);
    // No configuration has a longer one.
    let sync = &first[..first.floor_char_boundary(63)];
    let path = layout::table_path(sync, &table);
    assert!(path.len() <= 3 * 63 + 1 + 255 + 1, "too long a key: {path}");
    let folder = path.strip_prefix(&layout::sync_path(sync)).and_then(|rest| rest.strip_suffix('/'));
    let folder = folder.unwrap_or_else(|| panic!("not a folder below the sync's: {path}"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-%.~".contains(&byte);
    assert!(folder.bytes().all(plain), "must be escaped in a key: {folder}");
    assert!(folder.contains('~') || layout::table_of(folder).as_ref() == Some(&table), "{folder} is another's");
    if first != second {
        assert_ne!(path, layout::table_path(sync, &TableName::new(second, first)), "two tables in one folder");
    }
}

/// What a pattern means, by trying everything.
fn matches(pattern: &str, name: &str) -> bool {
    let name: Vec<_> = name.chars().collect();
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for letter in pattern.chars() {
        if letter == '*' {
            let first = reached.iter().position(|reached| *reached).unwrap_or(reached.len());
            reached[first..].fill(true);
        } else {
            for at in (0..name.len()).rev() {
                reached[at + 1] = reached[at] && name[at] == letter;
            }
            reached[0] = false;
        }
    }
    reached[name.len()]
}

fn is_quoted(quoted: &str, text: &str, quote: char) {
    let inner = quoted.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let inner = inner.unwrap_or_else(|| panic!("not in quotes: {quoted}"));
    let twice: String = [quote, quote].iter().collect();
    assert_eq!(inner.replace(&twice, &quote.to_string()), text);
    assert!(!inner.replace(&twice, "").contains(quote), "a quote that ends it: {quoted}");
}
