//! What a target's column holds of a value: the nearest it can hold, and what is lost on the way.

use crate::config::literal;
use crate::error::{Error, Kind};
use crate::loss::{Loss, Policies};
use crate::row::Cell;

/// Where a target's column holds less than its source's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Nowhere.
    None,
    /// A text of so many characters.
    Chars(u32),
    /// A text of so many bytes in UTF-8.
    Octets(u32),
    /// A text that is read as something else, which an empty or blank one is not.
    Filled,
    /// At most so many bytes.
    Varbyte(u32),
    /// A signed integer of so many bytes.
    Integer(u8),
    /// A decimal number.
    Decimal {
        /// Digits in all.
        precision: u16,
        /// Digits after the point.
        scale: u8,
    },
    /// Binary floating point of so many bytes: 4 or 8.
    Float(u8),
    /// So many decimal digits of a second.
    Digits(u8),
    /// A day without its time.
    Day,
}

/// What becomes of a column's values in the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// Where the target's type holds less.
    pub limit: Limit,
    /// The target's type, for messages.
    pub sql_type: String,
    /// Which losses are taken.
    pub policies: Policies,
}

/// The nearest that a column can hold of a value that is no text, and how it differs.
pub fn nearest(cell: Cell<'_>, limit: Limit) -> (Cell<'_>, Option<Loss>) {
    match (cell, limit) {
        (Cell::Time(ticks, digits), Limit::Digits(most)) => {
            let (ticks, digits, loss) = cut(ticks, digits, most);
            (Cell::Time(ticks, digits), loss)
        }
        (Cell::Timestamp(days, ticks, digits), Limit::Digits(most)) => {
            let (ticks, digits, loss) = cut(ticks, digits, most);
            (Cell::Timestamp(days, ticks, digits), loss)
        }
        (Cell::TimestampTz(days, ticks, digits, offset), Limit::Digits(most)) => {
            let (ticks, digits, loss) = cut(ticks, digits, most);
            (Cell::TimestampTz(days, ticks, digits, offset), loss)
        }
        (Cell::Timestamp(days, ticks, _) | Cell::TimestampTz(days, ticks, ..), Limit::Day) => {
            (Cell::Date(days), (ticks != 0).then_some(Loss::Digits))
        }
        (Cell::Bytes(bytes), Limit::Varbyte(most)) => match bytes.get(..most as usize) {
            Some(first) if first.len() < bytes.len() => (Cell::Bytes(first), Some(Loss::Length)),
            _ => (cell, None),
        },
        (Cell::Boolean(value), Limit::Integer(_)) => (Cell::Integer(value.into()), None),
        (Cell::Integer(value), Limit::Integer(bytes)) => integer(value.into(), bytes, None),
        (Cell::Decimal(value, scale), Limit::Integer(bytes)) => {
            let unit = 10i128.pow(u32::from(scale));
            integer(value / unit, bytes, (value % unit != 0).then_some(Loss::Digits))
        }
        (Cell::Integer(value), Limit::Decimal { precision, scale }) => decimal(value.into(), 0, precision, scale),
        (Cell::Decimal(value, had), Limit::Decimal { precision, scale }) => decimal(value, had, precision, scale),
        (Cell::Integer(value), Limit::Float(bytes)) => float(value.into(), 0, bytes),
        (Cell::Decimal(value, scale), Limit::Float(bytes)) => float(value, scale, bytes),
        (Cell::Float64(value), Limit::Float(4)) => {
            #[expect(clippy::cast_possible_truncation, reason = "what that loses is what is looked at")]
            let narrow = value as f32;
            if narrow.is_infinite() && value.is_finite() {
                return (Cell::Null, Some(Loss::Range));
            }
            // Bit for bit, but for NaN, of which there are many.
            let same = f64::from(narrow).to_bits() == value.to_bits() || value.is_nan();
            (Cell::Float32(narrow), (!same).then_some(Loss::Digits))
        }
        _ => (cell, None),
    }
}

/// Ticks without the digits beyond `most`: rounding could reach the next day.
fn cut(ticks: i64, digits: u8, most: u8) -> (i64, u8, Option<Loss>) {
    let rest = ticks % 10i64.pow(7 - u32::from(most.min(7)));
    (ticks - rest, digits.min(most), (rest != 0).then_some(Loss::Digits))
}

fn integer(value: i128, bytes: u8, loss: Option<Loss>) -> (Cell<'static>, Option<Loss>) {
    let beyond = 1i128 << (u32::from(bytes) * 8 - 1);
    match i64::try_from(value) {
        Ok(value) if (-beyond..beyond).contains(&value.into()) => (Cell::Integer(value), loss),
        _ => (Cell::Null, Some(Loss::Range)),
    }
}

fn decimal(value: i128, had: u8, precision: u16, scale: u8) -> (Cell<'static>, Option<Loss>) {
    let kept = had.min(scale);
    let unit = 10i128.pow(u32::from(had - kept));
    let (value, rest) = (value / unit, value % unit);
    // Digits before the point, and those after it that are kept.
    let digits = i32::from(precision) - i32::from(scale) + i32::from(kept);
    let fits = match u32::try_from(digits) {
        Ok(digits) if digits > 38 => true,
        Ok(digits) => value.unsigned_abs() < 10u128.pow(digits),
        Err(_) => value == 0,
    };
    if !fits {
        return (Cell::Null, Some(Loss::Range));
    }
    (Cell::Decimal(value, kept), (rest != 0).then_some(Loss::Digits))
}

/// As floating point: nothing is lost if the shortest text that gives the same floating point is the same number.
fn float(value: i128, scale: u8, bytes: u8) -> (Cell<'static>, Option<Loss>) {
    let text = format!("{value}e-{scale}");
    let (cell, shortest) = if bytes == 4 {
        let near: f32 = text.parse().unwrap_or(f32::NAN);
        (Cell::Float32(near), format!("{near:e}"))
    } else {
        let near: f64 = text.parse().unwrap_or(f64::NAN);
        (Cell::Float64(near), format!("{near:e}"))
    };
    let same = scientific(&shortest) == Some(stripped(value, -i32::from(scale)));
    (cell, (!same).then_some(Loss::Digits))
}

/// A number as digits without zeros at their end, and a power of ten.
fn stripped(mut digits: i128, mut power: i32) -> (i128, i32) {
    if digits == 0 {
        return (0, 0);
    }
    while digits % 10 == 0 {
        digits /= 10;
        power += 1;
    }
    (digits, power)
}

fn scientific(text: &str) -> Option<(i128, i32)> {
    let (number, power) = text.split_once('e')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Some(stripped(digits, power.parse::<i32>().ok()? - i32::try_from(fraction.len()).ok()?))
}

/// A loss that is not taken.
pub fn refused(column: &str, fit: &Fit, loss: Loss, in_key: bool, nullable: bool) -> Error {
    let sql_type = &fit.sql_type;
    let what = match loss {
        Loss::Digits => format!("a value with more digits than its target type {sql_type} has"),
        Loss::Offset => format!("a moment with an offset, which its target type {sql_type} does not keep"),
        Loss::Nul => "a text with a NUL character, which no target can store".to_owned(),
        Loss::Surrogate => "a text with half of a surrogate pair, which is no character".to_owned(),
        Loss::Length => format!("a text longer than its target type {sql_type}"),
        Loss::Range if fit.limit == Limit::Filled => {
            format!("an empty or blank text, for which its target type {sql_type} has only NULL")
        }
        Loss::Range => format!("a number beyond its target type {sql_type}"),
    };
    let error = Error::new(Kind::Value, format!("column '{column}' holds {what}"));
    // In a key two rows could become one; an offset's moment stays, so that it goes on as elsewhere.
    if in_key && loss != Loss::Offset {
        let wider = match loss {
            Loss::Nul | Loss::Surrogate => "",
            _ => ", give the column a wider type, or text, by 'columns' of the table's [[table]] entry",
        };
        return error.advice(format!(
            "It is in the key, where nothing is changed, since two rows could become one: mend it at the source{wider}, or exclude the table"
        ));
    }
    if loss == Loss::Range && !nullable {
        return error
            .advice("The column is NOT NULL: give it a wider type by 'columns' of the table's [[table]] entry");
    }
    let (name, remedy) = (loss.name(), loss.remedy());
    let quoted = toml_key(column);
    let leave_out = if in_key { "exclude the table" } else { "leave the column out with exclude_columns" };
    error.advice(format!(
        "Mend it at the source; or go on, counting each, by {name} = \"{remedy}\" in [values], or by values = {{ {quoted} = {{ {name} = \"{remedy}\" }} }} in the table's [[table]] entry; or {leave_out}"
    ))
}

/// A name as a key of TOML.
fn toml_key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if bare { name.to_owned() } else { literal(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_becomes_the_nearest_that_its_column_holds() {
        let day = 24 * 3600 * 10_000_000;
        let tz = |ticks, digits| Cell::TimestampTz(1, ticks, digits, 60);
        let numeric = |precision, scale| Limit::Decimal { precision, scale };
        for (cell, limit, near, loss) in [
            (Cell::Time(day - 1, 7), Limit::Digits(6), Cell::Time(day - 10, 6), Some(Loss::Digits)),
            (Cell::Time(day - 10, 7), Limit::Digits(6), Cell::Time(day - 10, 6), None),
            (
                Cell::Timestamp(1, 15_000_000, 3),
                Limit::Digits(0),
                Cell::Timestamp(1, 10_000_000, 0),
                Some(Loss::Digits),
            ),
            (tz(10_000_000, 7), Limit::Digits(3), tz(10_000_000, 3), None),
            (Cell::Timestamp(9, 0, 3), Limit::Day, Cell::Date(9), None),
            (tz(1, 7), Limit::Day, Cell::Date(1), Some(Loss::Digits)),
            (Cell::Boolean(true), Limit::Integer(2), Cell::Integer(1), None),
            (Cell::Integer(32_767), Limit::Integer(2), Cell::Integer(32_767), None),
            (Cell::Integer(-32_768), Limit::Integer(2), Cell::Integer(-32_768), None),
            (Cell::Integer(32_768), Limit::Integer(2), Cell::Null, Some(Loss::Range)),
            (Cell::Integer(-32_769), Limit::Integer(2), Cell::Null, Some(Loss::Range)),
            (Cell::Integer(i64::MIN), Limit::Integer(8), Cell::Integer(i64::MIN), None),
            (Cell::Decimal(-12_300, 2), Limit::Integer(4), Cell::Integer(-123), None),
            (Cell::Decimal(-12_301, 2), Limit::Integer(4), Cell::Integer(-123), Some(Loss::Digits)),
            (Cell::Decimal(10i128.pow(37), 0), Limit::Integer(8), Cell::Null, Some(Loss::Range)),
            (Cell::Decimal(99_995, 4), numeric(5, 2), Cell::Decimal(999, 2), Some(Loss::Digits)),
            (Cell::Decimal(99_990, 4), numeric(3, 2), Cell::Decimal(999, 2), Some(Loss::Digits)),
            (Cell::Decimal(-999_900, 4), numeric(4, 2), Cell::Decimal(-9_999, 2), None),
            (Cell::Decimal(1_000_000, 4), numeric(4, 2), Cell::Null, Some(Loss::Range)),
            (Cell::Decimal(99, 1), numeric(3, 2), Cell::Decimal(99, 1), None),
            (Cell::Decimal(100, 1), numeric(3, 2), Cell::Null, Some(Loss::Range)),
            (Cell::Decimal(10i128.pow(38) - 1, 0), numeric(50, 4), Cell::Decimal(10i128.pow(38) - 1, 0), None),
            (Cell::Decimal(1, 4), numeric(2, 4), Cell::Decimal(1, 4), None),
            (Cell::Integer(100), numeric(4, 2), Cell::Null, Some(Loss::Range)),
            (Cell::Integer(99), numeric(4, 2), Cell::Decimal(99, 0), None),
            (Cell::Decimal(1, 1), Limit::Float(8), Cell::Float64(0.1), None),
            (Cell::Decimal(-12_500, 4), Limit::Float(4), Cell::Float32(-1.25), None),
            (Cell::Decimal(0, 4), Limit::Float(8), Cell::Float64(0.0), None),
            (Cell::Integer(1 << 53), Limit::Float(8), Cell::Float64(9_007_199_254_740_992.0), None),
            (Cell::Integer((1 << 53) + 1), Limit::Float(8), Cell::Float64(9_007_199_254_740_992.0), Some(Loss::Digits)),
            (
                Cell::Decimal(12_345_678_901_234_567_891, 2),
                Limit::Float(8),
                Cell::Float64(123_456_789_012_345_680.0),
                Some(Loss::Digits),
            ),
            (Cell::Float64(0.5), Limit::Float(4), Cell::Float32(0.5), None),
            (Cell::Float64(0.1), Limit::Float(4), Cell::Float32(0.1), Some(Loss::Digits)),
            (Cell::Float64(1e39), Limit::Float(4), Cell::Null, Some(Loss::Range)),
            (Cell::Float64(f64::INFINITY), Limit::Float(4), Cell::Float32(f32::INFINITY), None),
            (Cell::Null, Limit::Integer(2), Cell::Null, None),
        ] {
            assert_eq!(nearest(cell, limit), (near, loss), "{cell:?} in {limit:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_write() {
        let fit = Fit { limit: Limit::Chars(5), sql_type: "varchar(5)".to_owned(), policies: Policies::STRICT };
        let said = refused("My Note", &fit, Loss::Length, false, true).to_string();
        assert!(said.contains("'My Note' holds a text longer than its target type varchar(5)"), "{said}");
        assert!(said.contains(r#"values = { "My Note" = { length = "truncate" } }"#), "{said}");
        assert!(refused("N", &fit, Loss::Range, false, false).to_string().contains("NOT NULL"));
        let fit = Fit { limit: Limit::Filled, sql_type: "super".to_owned(), ..fit };
        let said = refused("N", &fit, Loss::Range, false, true).to_string();
        assert!(said.contains("an empty or blank text, for which its target type super has only NULL"), "{said}");
    }

    #[test]
    fn what_is_advised_of_a_loss_in_a_key_can_be_done() {
        let fit = Fit { limit: Limit::None, sql_type: "text".to_owned(), policies: Policies::STRICT };
        for loss in Loss::ALL {
            let said = refused("Id", &fit, loss, true, false).to_string();
            let (strict, wider) = match loss {
                Loss::Offset => (false, false),
                Loss::Nul | Loss::Surrogate => (true, false),
                Loss::Digits | Loss::Length | Loss::Range => (true, true),
            };
            assert_eq!(said.contains("two rows could become one"), strict, "{said}");
            assert_eq!(said.contains("a wider type"), wider, "{said}");
            assert_eq!(said.contains("offset = \"utc\""), !strict, "{said}");
            assert!(said.contains("exclude the table") && !said.contains("exclude_columns"), "{said}");
        }
    }
}
