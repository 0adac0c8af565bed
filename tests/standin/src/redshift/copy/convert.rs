//! Fields as the columns' types, or why they are none.

use super::Rejected;
use super::moment;
use super::options::Copy;
use crate::redshift::name::{cut, hex};
use crate::redshift::types::Type;

/// A field that loads: NULL, or text for the server below.
pub type Converted = Result<Option<String>, Rejected>;

/// Converts a field.
pub fn convert(field: &[u8], column_type: Type, copy: &Copy) -> Converted {
    if field == copy.null.as_bytes() {
        return Ok(None);
    }
    let is_text = matches!(column_type, Type::Char(_) | Type::Varchar(_));
    if field.is_empty() && (!is_text || copy.empty_as_null) {
        return Ok(None);
    }
    if let Some(position) = field.iter().position(|byte| *byte == 0) {
        return Err(Rejected { position, ..Rejected::new(1218, "Missing newline: Unexpected character 0x0 found") });
    }
    if is_text && copy.blanks_as_null && field.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let text = decode(field, column_type, copy)?;
    let text = text.as_str();
    let trimmed = text.trim_matches(' ');
    let wrong = |code, what: &str| Rejected::new(code, format!("Invalid {what} '{}'", cut(text, 80)));
    match column_type {
        Type::SmallInt => integer(trimmed, i64::from(i16::MIN), i64::from(i16::MAX)),
        Type::Integer => integer(trimmed, i64::from(i32::MIN), i64::from(i32::MAX)),
        Type::BigInt => integer(trimmed, i64::MIN, i64::MAX),
        Type::Decimal(precision, scale) => decimal(trimmed, precision, scale, copy.round_decimals).map(Some),
        Type::Real | Type::Double => float(trimmed, column_type == Type::Real).map(Some),
        Type::Boolean => match trimmed.to_ascii_lowercase().as_str() {
            "t" | "true" | "1" => Ok(Some("t".to_owned())),
            "f" | "false" | "0" => Ok(Some("f".to_owned())),
            _ => Err(wrong(1210, "boolean value")),
        },
        Type::Char(bytes) => character(text, bytes, copy),
        Type::Varchar(bytes) => fit(text, bytes, copy).map(Some),
        Type::Date => moment::date(trimmed).map(|text| Some(text.to_owned())).ok_or_else(|| wrong(1205, "date format")),
        Type::Time => moment::time(trimmed).map(|text| Some(text.to_owned())).ok_or_else(|| wrong(1206, "time format")),
        Type::TimeTz => {
            moment::zoned_time(trimmed).map(|text| Some(text.to_owned())).ok_or_else(|| wrong(1206, "time format"))
        }
        Type::Timestamp | Type::TimestampTz => {
            let zoned = column_type == Type::TimestampTz;
            moment::timestamp(trimmed, copy.time_format, zoned)
                .map(Some)
                .ok_or_else(|| wrong(1206, "timestamp format or value"))
        }
        Type::Varbyte(bytes) => varbyte(text, bytes).map(Some),
        Type::Super => json(text).map(Some),
    }
}

fn decode(field: &[u8], column_type: Type, copy: &Copy) -> Result<String, Rejected> {
    let mut out = String::new();
    let mut rest = field;
    loop {
        match std::str::from_utf8(rest) {
            Ok(valid) => {
                out.push_str(valid);
                return Ok(out);
            }
            Err(error) => {
                let valid = error.valid_up_to();
                out.push_str(&String::from_utf8_lossy(&rest[..valid]));
                let bad = error.error_len().unwrap_or(rest.len() - valid);
                let Some(replacement) = copy.invalid_character.filter(|_| matches!(column_type, Type::Varchar(_)))
                else {
                    let hex = hex(&rest[valid..valid + bad]);
                    let reason =
                        format!("String contains invalid or unsupported UTF8 codepoints. Bad UTF8 hex sequence: {hex}");
                    return Err(Rejected { position: field.len() - rest.len() + valid, ..Rejected::new(1220, reason) });
                };
                out.extend(std::iter::repeat_n(replacement, bad));
                rest = &rest[valid + bad..];
            }
        }
    }
}

fn integer(text: &str, low: i64, high: i64) -> Converted {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() {
        return Err(Rejected::new(1207, "Invalid digit, no digits"));
    }
    if let Some(position) = digits.bytes().position(|byte| !byte.is_ascii_digit()) {
        let reason =
            format!("Invalid digit, Value '{}', Pos {position}", cut(&digits[cut(digits, position).len()..], 1));
        return Err(Rejected { position, ..Rejected::new(1207, reason) });
    }
    let number = text.parse::<i64>().ok().filter(|number| (low..=high).contains(number));
    number
        .map(|number| Some(number.to_string()))
        .ok_or_else(|| Rejected::new(1222, format!("Overflow ({low} to {high})")))
}

/// A decimal without exponent; excess digits of the fraction are cut, or rounded with ROUNDEC.
fn decimal(text: &str, precision: u32, scale: u32, round: bool) -> Result<String, Rejected> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return Err(Rejected::new(1209, format!("Invalid numeric value '{}'", cut(text, 80))));
    }
    let scale = scale as usize;
    let mut kept: Vec<u8> = whole.bytes().chain(fraction.bytes().chain(std::iter::repeat(b'0')).take(scale)).collect();
    if round && fraction.as_bytes().get(scale).is_some_and(|next| *next >= b'5') {
        increase(&mut kept);
    }
    let first = kept.iter().position(|digit| *digit != b'0').unwrap_or(kept.len());
    let unscaled = String::from_utf8_lossy(&kept[first..]).into_owned();
    let too_large = unscaled.len() > precision as usize
        || precision <= 19 && !unscaled.is_empty() && unscaled.parse::<i64>().is_err();
    if too_large {
        return Err(Rejected::new(1204, format!("Numeric overflow for NUMERIC({precision},{scale})")));
    }
    let padded = format!("{unscaled:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let sign = if negative { "-" } else { "" };
    Ok(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

fn increase(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    digits.insert(0, b'1');
}

fn float(text: &str, single: bool) -> Result<String, Rejected> {
    let invalid = || Rejected::new(1208, format!("Invalid float value '{}'", cut(text, 80)));
    // Whether COPY takes NaN and infinities is not known.
    if !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E')) {
        return Err(invalid());
    }
    let number: f64 = text.parse().map_err(|_| invalid())?;
    let zero_by_loss = |zero: bool| {
        zero && text.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).any(|byte| matches!(byte, b'1'..=b'9'))
    };
    let single_number: f32 = text.parse().map_err(|_| invalid())?;
    let outside = if single {
        single_number.is_infinite() || zero_by_loss(single_number == 0.0)
    } else {
        number.is_infinite() || zero_by_loss(number == 0.0)
    };
    if outside {
        Err(Rejected::new(1204, format!("Float value out of range '{}'", cut(text, 80))))
    } else {
        Ok(text.to_owned())
    }
}

fn character(text: &str, bytes: u32, copy: &Copy) -> Converted {
    if let Some(position) = text.bytes().position(|byte| !byte.is_ascii()) {
        return Err(Rejected { position, ..Rejected::new(1215, "CHAR string contains invalid ASCII char") });
    }
    fit(text, bytes, copy).map(Some)
}

/// Too long is an error of COPY even where only blanks are too many: nobody says that they are cut here.
fn fit(text: &str, bytes: u32, copy: &Copy) -> Result<String, Rejected> {
    if text.len() <= bytes as usize {
        return Ok(text.to_owned());
    }
    if copy.truncate_columns {
        return Ok(cut(text, bytes as usize).to_owned());
    }
    Err(Rejected { position: bytes as usize, ..Rejected::new(1204, "String length exceeds DDL length") })
}

fn varbyte(text: &str, bytes: u32) -> Result<String, Rejected> {
    if let Some(position) = text.bytes().position(|byte| !byte.is_ascii_hexdigit()) {
        return Err(Rejected { position, ..Rejected::new(1223, "Invalid hexadecimal digit for VARBYTE") });
    }
    if !text.len().is_multiple_of(2) {
        return Err(Rejected::new(1223, "Odd number of hexadecimal digits for VARBYTE"));
    }
    if text.len() / 2 > bytes as usize {
        return Err(Rejected::new(1204, "VARBYTE length exceeds DDL length"));
    }
    Ok(format!("\\x{text}"))
}

fn json(text: &str) -> Result<String, Rejected> {
    if text.len() > 16 << 20 {
        return Err(Rejected::new(8001, "SUPER value is longer than 16 MB"));
    }
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| Rejected::new(1224, format!("Invalid JSON for SUPER: {error}")))?;
    if has_long_text(&value) {
        return Err(Rejected::new(1224, "A string in a SUPER value is longer than 65535 bytes"));
    }
    Ok(text.to_owned())
}

fn has_long_text(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.len() > 65535,
        serde_json::Value::Array(items) => items.iter().any(has_long_text),
        serde_json::Value::Object(fields) => fields.values().any(has_long_text),
        _ => false,
    }
}
