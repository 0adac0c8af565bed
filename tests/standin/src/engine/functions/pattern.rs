//! LIKE and PATINDEX.

use super::super::bind::function::any_null;
use super::super::error::Result;
use super::super::operation::Call;
use super::super::values::collation;
use crate::value::{SqlError, Value};

/// A piece of a pattern.
#[derive(Debug, PartialEq)]
enum Piece {
    /// `%`.
    Many,
    /// `_`.
    One,
    /// A character.
    Letter(char),
    /// `[…]` or `[^…]`.
    Set { negated: bool, ranges: Vec<(char, char)> },
}

fn pieces(pattern: &[char], escape: Option<char>) -> Vec<Piece> {
    let mut list = Vec::new();
    let mut at = 0;
    while at < pattern.len() {
        let letter = pattern[at];
        at += 1;
        if Some(letter) == escape && at < pattern.len() {
            list.push(Piece::Letter(pattern[at]));
            at += 1;
            continue;
        }
        match letter {
            '%' => list.push(Piece::Many),
            '_' => list.push(Piece::One),
            '[' => {
                let negated = pattern.get(at) == Some(&'^');
                let start = at + usize::from(negated);
                let Some(end) = (start..pattern.len()).find(|end| pattern[*end] == ']' && *end > start) else {
                    // An open bracket that never closes matches nothing.
                    list.push(Piece::Set { negated: false, ranges: Vec::new() });
                    return list;
                };
                let inner = &pattern[start..end];
                let mut ranges = Vec::new();
                let mut place = 0;
                while place < inner.len() {
                    if place + 2 < inner.len() && inner[place + 1] == '-' {
                        ranges.push((inner[place], inner[place + 2]));
                        place += 3;
                    } else {
                        ranges.push((inner[place], inner[place]));
                        place += 1;
                    }
                }
                list.push(Piece::Set { negated, ranges });
                at = end + 1;
            }
            other => list.push(Piece::Letter(other)),
        }
    }
    list
}

fn matches(pieces: &[Piece], text: &[char]) -> bool {
    // Backtracks to the last `%` only, which is enough for one-character pieces.
    let (mut piece, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pieces.get(piece) {
            None if at == text.len() => return true,
            None => false,
            Some(Piece::Many) => {
                retry = Some((piece, at));
                piece += 1;
                continue;
            }
            Some(one) => text.get(at).is_some_and(|letter| fits(one, *letter)),
        };
        if step {
            piece += 1;
            at += 1;
            continue;
        }
        match retry {
            Some((many, from)) if from < text.len() => {
                retry = Some((many, from + 1));
                piece = many + 1;
                at = from + 1;
            }
            _ => return false,
        }
    }
}

fn fits(piece: &Piece, letter: char) -> bool {
    match piece {
        Piece::Many | Piece::One => true,
        Piece::Letter(wanted) => *wanted == letter,
        Piece::Set { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&letter)) != *negated,
    }
}

/// LIKE: text, pattern and perhaps an escape character.
pub fn like(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let text = |at: usize| if let Some(Value::Text(text)) = args.get(at) { text.as_str() } else { "" };
    let escape = if args.len() > 2 {
        let letters: Vec<char> = collation::fold(call.text(), text(2));
        let [escape] = letters.as_slice() else {
            return Err(SqlError::new(
                506,
                format!("The invalid escape character \"{}\" was specified in a LIKE predicate.", text(2)),
            ));
        };
        Some(*escape)
    } else {
        None
    };
    let pattern = pieces(&collation::fold(call.text(), text(1)), escape);
    let subject = collation::fold(call.text(), text(0));
    // Trailing blanks of the text may be left over.
    let trimmed = text(0).trim_end_matches(' ').chars().count();
    let found = matches(&pattern, &subject) || (trimmed < subject.len() && matches(&pattern, &subject[..trimmed]));
    Ok(Value::Bit(found))
}

/// PATINDEX: where a pattern first matches, from 1.
pub fn pattern_index(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let (Value::Text(pattern), Value::Text(text)) = (&args[0], &args[1]) else { return Ok(Value::Null) };
    let folded = collation::fold(call.text(), pattern);
    let (pattern, subject) = (pieces(&folded, None), collation::fold(call.text(), text));
    let floating = pattern.first() == Some(&Piece::Many);
    let pattern = if floating { &pattern[1..] } else { &pattern[..] };
    let last = if floating { subject.len() } else { 0 };
    let found = (0..=last).find(|at| matches(pattern, &subject[*at..]));
    Ok(Value::Int(found.map_or(0, |at| i64::try_from(at + 1).unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(text: &str, pattern: &str) -> bool {
        matches(&pieces(&pattern.chars().collect::<Vec<_>>(), Some('!')), &text.chars().collect::<Vec<_>>())
    }

    #[test]
    fn patterns() {
        assert!(like("abc", "a%"));
        assert!(like("abc", "%b%"));
        assert!(like("abc", "a_c"));
        assert!(!like("abc", "a_"));
        assert!(like("a5", "a[0-9]"));
        assert!(!like("ax", "a[0-9]"));
        assert!(like("ax", "a[^0-9]"));
        assert!(like("50%", "50!%"));
        assert!(like("mississippi", "%iss%pi"));
        assert!(like("a[b", "a[[]b"));
    }
}
