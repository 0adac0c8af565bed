//! Lists of column names: `[Order ID], Name, "Sent at"`.

use crate::value::SqlError;

/// The names in a list.
///
/// # Errors
/// 22965 for a quoted name without its end.
pub fn parse(list: &str) -> Result<Vec<String>, SqlError> {
    let mut names = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let (name, behind) = match rest.chars().next() {
            Some('[') => quoted(&rest[1..], ']')?,
            Some('"') => quoted(&rest[1..], '"')?,
            _ => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_owned(), &rest[end..])
            }
        };
        names.push(name);
        let behind = behind.trim_start();
        // What follows a quoted name without a comma belongs to no name; it then matches no column.
        rest = behind.strip_prefix(',').unwrap_or(behind).trim_start();
    }
    Ok(names)
}

fn quoted(text: &str, end: char) -> Result<(String, &str), SqlError> {
    let mut name = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character != end {
            name.push(character);
        } else if characters.next_if(|(_, next)| *next == end).is_some() {
            name.push(end);
        } else {
            return Ok((name, &text[at + end.len_utf8()..]));
        }
    }
    Err(SqlError::new(
        22965,
        "A quoted column in the column list is not properly terminated. Verify that columns are correctly delimited \
         and retry the operation. For more information, see 'Delimited Identifiers' in Books Online.",
    ))
}

/// The list of some names, each in brackets.
pub fn print<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("[{}]", name.replace(']', "]]"))).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_their_quotes() {
        let names = ["id", "a]b", "x, y", "it's \"so\""];
        assert_eq!(parse(&print(names)), Ok(names.map(String::from).to_vec()));
        assert_eq!(parse(" id ,\"a\"\"b\", [c]"), Ok(vec!["id".into(), "a\"b".into(), "c".into()]));
        assert_eq!(parse("[id").map_err(|error| error.number), Err(22965));
    }
}
