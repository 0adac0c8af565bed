//! Text functions.

use super::super::bind::function::{any_null, integer, text};
use super::super::bind::{Binder, Bound};
use super::super::error::Result;
use super::super::operation::{Apply, Call, Note};
use super::super::values::{binary, collation, text as texts, types};
use crate::value::{SqlError, SqlType, Value};

/// How many arguments a text function takes.
pub fn count(name: &str) -> Option<(usize, usize)> {
    Some(match name {
        "LEN" | "DATALENGTH" | "UPPER" | "LOWER" | "LTRIM" | "RTRIM" | "SPACE" | "CHAR" | "NCHAR" | "ASCII"
        | "UNICODE" | "REVERSE" => (1, 1),
        "TRIM" | "QUOTENAME" => (1, 2),
        "LEFT" | "RIGHT" | "REPLICATE" | "PATINDEX" | "HASHBYTES" => (2, 2),
        "SUBSTRING" | "REPLACE" | "TRANSLATE" => (3, 3),
        "CHARINDEX" => (2, 3),
        "STUFF" => (4, 4),
        "CONCAT" => (2, 254),
        "CONCAT_WS" => (3, 254),
        "STR" => (1, 3),
        _ => return None,
    })
}

fn as_text(binder: &mut Binder<'_>, bound: Bound) -> Result<Bound> {
    if types::is_text(bound.ty) && !bound.null { Ok(bound) } else { binder.coerce(bound, SqlType::VarChar(Some(8000))) }
}

/// Binds a text function.
pub fn bind(binder: &mut Binder<'_>, name: &str, mut args: Vec<Bound>) -> Result<Bound> {
    let large = |ty: SqlType| matches!(ty, SqlType::VarChar(None) | SqlType::NVarChar(None) | SqlType::VarBinary(None));
    match name {
        "DATALENGTH" => {
            let utf8 = args[0].utf8();
            let ty = if large(args[0].ty) { SqlType::BigInt } else { SqlType::Int };
            return Ok(binder.call(
                data_length,
                &args,
                ty,
                Note::Text(if utf8 { "utf8".into() } else { String::new() }),
            ));
        }
        "HASHBYTES" => {
            args[0] = as_text(binder, args[0].clone())?;
            return Ok(binder.call(super::hash::hash_bytes, &args, SqlType::VarBinary(Some(8000)), Note::None));
        }
        "CONCAT" | "CONCAT_WS" => return concat(binder, name, args),
        "CHAR" | "NCHAR" | "SPACE" => {
            let (ty, apply): (SqlType, Apply) = match name {
                "CHAR" => (SqlType::Char(1), character),
                "NCHAR" => (SqlType::NChar(1), character),
                _ => (SqlType::VarChar(Some(8000)), space),
            };
            return binder.call_with(apply, args, &[Some(SqlType::Int)], ty, Note::None);
        }
        "STR" => {
            return binder.call_with(
                str_number,
                args,
                &[Some(SqlType::Float), Some(SqlType::Int), Some(SqlType::Int)],
                SqlType::VarChar(Some(30)),
                Note::None,
            );
        }
        "SUBSTRING" if types::is_binary(args[0].ty) => {
            let ty = SqlType::VarBinary(types::length(args[0].ty));
            return binder.call_with(
                sub_bytes,
                args,
                &[None, Some(SqlType::BigInt), Some(SqlType::BigInt)],
                ty,
                Note::None,
            );
        }
        "LEN" if types::is_binary(args[0].ty) => return Ok(binder.call(data_length, &args, SqlType::Int, Note::None)),
        "PATINDEX" => {
            args[0] = as_text(binder, args[0].clone())?;
            args[1] = as_text(binder, args[1].clone())?;
            let name = super::super::bind::common_collation(&args[0], &args[1])?.0;
            return Ok(binder.call(super::pattern::pattern_index, &args, SqlType::Int, Note::Collation(name)));
        }
        _ => {}
    }
    // CHARINDEX and PATINDEX look in their second argument, the others work on their first.
    let subject = usize::from(name == "CHARINDEX");
    for (at, arg) in args.iter_mut().enumerate() {
        let number = match name {
            "LEFT" | "RIGHT" | "REPLICATE" => at == 1,
            "SUBSTRING" => at > 0,
            "STUFF" => at == 1 || at == 2,
            "CHARINDEX" => at == 2,
            _ => false,
        };
        let taken = arg.clone();
        *arg = if number { binder.coerce(taken, SqlType::BigInt)? } else { as_text(binder, taken)? };
    }
    let ty = args[subject].ty;
    let varying =
        |length: Option<u16>| if types::is_unicode(ty) { SqlType::NVarChar(length) } else { SqlType::VarChar(length) };
    let same = varying(types::length(ty));
    let widest = varying(if large(ty) {
        None
    } else if types::is_unicode(ty) {
        Some(4000)
    } else {
        Some(8000)
    });
    let mut shared = args[subject].collation;
    for arg in args.iter().filter(|arg| types::is_text(arg.ty)) {
        shared = super::super::bind::common_collation(&Bound { collation: shared, ..args[subject].clone() }, arg)?;
    }
    let (apply, result): (Apply, SqlType) = match name {
        "LEN" => (length, if large(ty) { SqlType::BigInt } else { SqlType::Int }),
        "UPPER" | "LOWER" | "REVERSE" => (change_case, same),
        "LTRIM" | "RTRIM" | "TRIM" => (trim, same),
        "LEFT" | "RIGHT" => (side, same),
        "SUBSTRING" => (substring, same),
        "REPLACE" => (replace, widest),
        "TRANSLATE" => (translate, same),
        "REPLICATE" => (replicate, widest),
        "STUFF" => (stuff, widest),
        "CHARINDEX" => (char_index, if large(ty) { SqlType::BigInt } else { SqlType::Int }),
        "QUOTENAME" => (quote_name, SqlType::NVarChar(Some(258))),
        _ => (code, SqlType::Int),
    };
    let note =
        if matches!(name, "REPLACE" | "CHARINDEX") { Note::Collation(shared.0) } else { Note::Text(name.to_owned()) };
    let mut bound = binder.call(apply, &args, result, note);
    bound.collation = shared;
    Ok(bound)
}

fn concat(binder: &mut Binder<'_>, name: &str, args: Vec<Bound>) -> Result<Bound> {
    let unicode = args.iter().any(|arg| types::is_unicode(arg.ty));
    let large = args.iter().any(|arg| matches!(arg.ty, SqlType::VarChar(None) | SqlType::NVarChar(None)));
    let part = if unicode {
        SqlType::NVarChar(if large { None } else { Some(4000) })
    } else {
        SqlType::VarChar(if large { None } else { Some(8000) })
    };
    let collation =
        args.iter().filter(|arg| types::is_text(arg.ty)).map(|arg| arg.collation).max_by_key(|(_, firm)| *firm);
    let mut texts = Vec::new();
    for arg in args {
        texts.push(binder.coerce(arg, part)?);
    }
    let apply: Apply = if name == "CONCAT" { concat_all } else { concat_with };
    let mut bound = binder.call(apply, &texts, part, Note::None);
    bound.collation = collation.unwrap_or(bound.collation);
    bound.nullable = false;
    Ok(bound)
}

fn values_text(value: &Value) -> &str {
    if let Value::Text(text) = value { text } else { "" }
}

fn concat_all(_: &Call<'_>, args: &[Value]) -> Result<Value> {
    Ok(Value::Text(args.iter().map(values_text).collect()))
}

fn concat_with(_: &Call<'_>, args: &[Value]) -> Result<Value> {
    let present: Vec<&str> = args[1..].iter().filter(|value| !matches!(value, Value::Null)).map(values_text).collect();
    Ok(Value::Text(present.join(values_text(&args[0]))))
}

fn length(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let trimmed = text(args, 0, call).trim_end_matches(' ');
    Ok(Value::Int(i64::try_from(trimmed.encode_utf16().count()).unwrap_or(i64::MAX)))
}

fn data_length(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let ty = call.arg(0);
    let bytes = match &args[0] {
        Value::Null => return Ok(Value::Null),
        Value::Text(text) => {
            texts::length(text, ty, call.text() == "utf8")
                * if types::is_unicode(ty) || ty == SqlType::Xml { 2 } else { 1 }
        }
        Value::Bytes(bytes) => bytes.len(),
        Value::Variant(inner) => {
            let (ty, value) = inner.as_ref();
            match value {
                Value::Text(text) => texts::to_bytes(text, *ty, None).len(),
                Value::Bytes(bytes) => bytes.len(),
                _ => usize::try_from(types::facets(*ty).0).unwrap_or(0),
            }
        }
        _ => usize::try_from(types::facets(ty).0).unwrap_or(0),
    };
    Ok(Value::Int(i64::try_from(bytes).unwrap_or(i64::MAX)))
}

fn change_case(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let Value::Text(text) = &args[0] else { return Ok(Value::Null) };
    // One character for one: ß stays.
    let each = |upper: bool| {
        text.chars().map(move |c| {
            let mut other = if upper { c.to_uppercase().collect::<Vec<_>>() } else { c.to_lowercase().collect() };
            if other.len() == 1 { other.remove(0) } else { c }
        })
    };
    Ok(Value::Text(match call.text() {
        "UPPER" => each(true).collect(),
        "LOWER" => each(false).collect(),
        _ => text.chars().rev().collect(),
    }))
}

fn trim(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let subject = text(args, 0, call);
    let set: Vec<char> = args.get(1).map_or(vec![' '], |value| values_text(value).chars().collect());
    Ok(Value::Text(
        match call.text() {
            "LTRIM" => subject.trim_start_matches(set.as_slice()),
            "RTRIM" => subject.trim_end_matches(set.as_slice()),
            _ => subject.trim_matches(set.as_slice()),
        }
        .to_owned(),
    ))
}

fn invalid_length(function: &str) -> SqlError {
    SqlError::new(537, format!("Invalid length parameter passed to the {function} function.")).state(3)
}

fn side(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let units = texts::units(text(args, 0, call));
    let name = call.text().to_lowercase();
    let count = usize::try_from(integer(args, 1)).map_err(|_| invalid_length(&name))?.min(units.len());
    Ok(Value::Text(texts::from_units(if name == "left" { &units[..count] } else { &units[units.len() - count..] })))
}

/// Start and end of `SUBSTRING(…, from, count)` within a length.
fn range(from: i64, count: i64, length: usize) -> Result<(usize, usize)> {
    if count < 0 {
        return Err(invalid_length("substring"));
    }
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let end = from.saturating_add(count).saturating_sub(1).clamp(0, length);
    let start = (from - 1).clamp(0, length);
    Ok((usize::try_from(start).unwrap_or(0), usize::try_from(end.max(start)).unwrap_or(0)))
}

fn substring(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let subject = text(args, 0, call);
    let (from, count) = (integer(args, 1), integer(args, 2));
    if subject.is_ascii() {
        let (start, end) = range(from, count, subject.len())?;
        return Ok(Value::Text(subject[start..end].to_owned()));
    }
    let units = texts::units(subject);
    let (start, end) = range(from, count, units.len())?;
    Ok(Value::Text(texts::from_units(&units[start..end])))
}

fn sub_bytes(_: &Call<'_>, args: &[Value]) -> Result<Value> {
    let Value::Bytes(bytes) = &args[0] else { return Ok(Value::Null) };
    if any_null(args) {
        return Ok(Value::Null);
    }
    let (start, end) = range(integer(args, 1), integer(args, 2), bytes.len())?;
    Ok(Value::Bytes(bytes[start..end].to_vec()))
}

fn replace(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let (subject, wanted, by) = (text(args, 0, call), text(args, 1, call), text(args, 2, call));
    if wanted.is_empty() {
        return Ok(Value::Text(subject.to_owned()));
    }
    let letters: Vec<char> = subject.chars().collect();
    let (folded, wanted) = (collation::fold(call.text(), subject), collation::fold(call.text(), wanted));
    let (mut result, mut at) = (String::new(), 0);
    while at < letters.len() {
        if folded[at..].starts_with(&wanted) {
            result.push_str(by);
            at += wanted.len();
        } else {
            result.push(letters[at]);
            at += 1;
        }
    }
    Ok(Value::Text(result))
}

fn translate(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let (from, to): (Vec<char>, Vec<char>) =
        (text(args, 1, call).chars().collect(), text(args, 2, call).chars().collect());
    if from.len() != to.len() {
        return Err(SqlError::new(
            9828,
            "The second and third arguments of the TRANSLATE built-in function must contain an equal number of characters.",
        ));
    }
    Ok(Value::Text(
        text(args, 0, call).chars().map(|c| from.iter().position(|f| *f == c).map_or(c, |at| to[at])).collect(),
    ))
}

fn replicate(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let count = integer(args, 1);
    if any_null(args) || count < 0 {
        return Ok(Value::Null);
    }
    let subject = text(args, 0, call);
    let limit = types::length(call.operation.result).map_or(usize::MAX, usize::from);
    // A character takes a unit or more, so no more repetitions than this can fit; `cut` counts exactly.
    let fits = limit.checked_div(subject.chars().count().max(1)).unwrap_or(limit);
    let repeated = subject.repeat(usize::try_from(count).unwrap_or(0).min(fits.saturating_add(1)));
    Ok(Value::Text(texts::cut(&repeated, call.operation.result, false, limit).to_owned()))
}

fn stuff(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let units = texts::units(text(args, 0, call));
    let (start, count) = (integer(args, 1), integer(args, 2));
    let (Ok(start), Ok(count)) = (usize::try_from(start), usize::try_from(count)) else { return Ok(Value::Null) };
    if any_null(&args[..3]) || start == 0 || start > units.len() {
        return Ok(Value::Null);
    }
    let end = (start - 1 + count).min(units.len());
    let inner = texts::units(text(args, 3, call));
    Ok(Value::Text(texts::from_units(&[&units[..start - 1], &inner, &units[end..]].concat())))
}

fn char_index(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    if any_null(args) {
        return Ok(Value::Null);
    }
    let (wanted, subject) =
        (collation::fold(call.text(), text(args, 0, call)), collation::fold(call.text(), text(args, 1, call)));
    let from = usize::try_from(integer(args, 2) - 1).unwrap_or(0);
    if wanted.is_empty() || from >= subject.len() {
        return Ok(Value::Int(0));
    }
    let found = subject[from..].windows(wanted.len()).position(|window| window == wanted.as_slice());
    Ok(Value::Int(found.map_or(0, |at| i64::try_from(at + from + 1).unwrap_or(0))))
}

fn quote_name(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let subject = text(args, 0, call);
    if any_null(args) || subject.chars().count() > 128 {
        return Ok(Value::Null);
    }
    let (open, close) = match args.get(1).map_or("[", values_text).chars().next() {
        Some('[' | ']') => ('[', ']'),
        Some('(' | ')') => ('(', ')'),
        Some('<' | '>') => ('<', '>'),
        Some('{' | '}') => ('{', '}'),
        Some(quote @ ('\'' | '"' | '`')) => (quote, quote),
        _ => return Ok(Value::Null),
    };
    Ok(Value::Text(format!("{open}{}{close}", subject.replace(close, &format!("{close}{close}")))))
}

fn code(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let Value::Text(subject) = &args[0] else { return Ok(Value::Null) };
    let Some(first) = subject.chars().next() else { return Ok(Value::Null) };
    Ok(Value::Int(match call.text() {
        "ASCII" => i64::from(
            texts::to_bytes(&first.to_string(), SqlType::VarChar(None), None).first().copied().unwrap_or(b'?'),
        ),
        _ => texts::units(subject).first().map_or(0, |unit| i64::from(*unit)),
    }))
}

fn character(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    let Value::Int(code) = args[0] else { return Ok(Value::Null) };
    if call.operation.result == SqlType::NChar(1) {
        return Ok(u16::try_from(code).map_or(Value::Null, |unit| Value::Text(texts::from_units(&[unit]))));
    }
    Ok(u8::try_from(code).map_or(Value::Null, |byte| Value::Text(texts::from_bytes(&[byte], SqlType::VarChar(None)))))
}

fn space(_: &Call<'_>, args: &[Value]) -> Result<Value> {
    let Value::Int(count) = args[0] else { return Ok(Value::Null) };
    Ok(usize::try_from(count).map_or(Value::Null, |count| Value::Text(" ".repeat(count.min(8000)))))
}

fn str_number(_: &Call<'_>, args: &[Value]) -> Result<Value> {
    let Value::Float(value) = args[0] else { return Ok(Value::Null) };
    let width = if args.len() > 1 { usize::try_from(integer(args, 1)).unwrap_or(10) } else { 10 };
    let decimals = usize::try_from(integer(args, 2)).unwrap_or(0).min(16);
    let written = format!("{value:.decimals$}");
    Ok(Value::Text(if written.len() > width { "*".repeat(width) } else { format!("{written:>width$}") }))
}

/// A value as hex text with `0x`.
pub fn hex(value: &Value) -> Value {
    match value {
        Value::Bytes(bytes) => Value::Text(format!("0x{}", binary::hex(bytes).to_lowercase())),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn substring_begins_before_the_text() {
        assert_eq!(range(0, 3, 5).ok(), Some((0, 2)));
        assert_eq!(range(2, 100, 5).ok(), Some((1, 5)));
        assert_eq!(range(9, 1, 5).ok(), Some((5, 5)));
        assert!(range(1, -1, 5).is_err());
    }
}
