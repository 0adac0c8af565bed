//! Exact decimals: an `i128` and a scale, at most 38 digits.

/// The greatest magnitude of 38 digits.
#[cfg(test)]
pub const MAX: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

/// Ten to a power, up to 38.
pub fn power(exponent: u8) -> i128 {
    10_i128.pow(u32::from(exponent.min(38)))
}

/// Whether a value has at most so many digits.
pub fn fits(value: i128, precision: u8) -> bool {
    value.unsigned_abs() < power(precision).unsigned_abs()
}

/// A value brought from one scale to another, rounded half away from zero; `None` when it overflows.
pub fn rescale(value: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        return value.checked_mul(power(to - from)).filter(|value| fits(*value, 38));
    }
    Some(round_divide(value, power(from - to)))
}

fn round_divide(value: i128, divisor: i128) -> i128 {
    let (quotient, rest) = (value / divisor, value % divisor);
    if rest.unsigned_abs() * 2 >= divisor.unsigned_abs() {
        quotient + value.signum() * divisor.signum()
    } else {
        quotient
    }
}

/// The text of a value, such as `-0.10`.
pub fn format(value: i128, scale: u8) -> String {
    let digits = value.unsigned_abs().to_string();
    let scale = usize::from(scale);
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// Reads `[+-]digits[.digits]`, with blanks around; gives value and scale. No exponent.
pub fn parse(text: &str) -> Option<(i128, u8)> {
    let text = text.trim();
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let body = body.trim_start();
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    if (whole.is_empty() && fraction.is_empty()) || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut value: i128 = 0;
    let mut scale = 0_u8;
    for digit in whole.bytes() {
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    for digit in fraction.bytes() {
        let next = value.checked_mul(10).and_then(|v| v.checked_add(i128::from(digit - b'0'))).filter(|v| fits(*v, 38));
        let Some(next) = next else { break };
        value = next;
        scale += 1;
    }
    fits(value, 38).then_some((if negative { -value } else { value }, scale))
}

/// Precision and scale of a literal.
pub fn literal_facets(text: &str) -> (u8, u8) {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = whole.trim_start_matches('0').len();
    let scale = u8::try_from(fraction.len()).unwrap_or(38).min(38);
    let precision = u8::try_from(whole).unwrap_or(38).saturating_add(scale).clamp(1, 38);
    (precision.max(scale), scale)
}

/// A product of two magnitudes as high and low half.
fn wide_product(a: u128, b: u128) -> (u128, u128) {
    let mask = u128::from(u64::MAX);
    let (a1, a0, b1, b0) = (a >> 64, a & mask, b >> 64, b & mask);
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 64);
    let cross = a0 * b1 + (middle & mask);
    (a1 * b1 + (middle >> 64) + (cross >> 64), (cross << 64) | (low & mask))
}

/// A 256-bit magnitude divided by a 128-bit one: quotient (if it fits) and rest.
fn wide_divide(high: u128, low: u128, divisor: u128) -> Option<(u128, u128)> {
    if high >= divisor {
        return None;
    }
    let (mut rest, mut quotient) = (high, 0_u128);
    for bit in (0..128).rev() {
        let carry = rest >> 127;
        rest = (rest << 1) | ((low >> bit) & 1);
        quotient <<= 1;
        if carry == 1 || rest >= divisor {
            rest = rest.wrapping_sub(divisor);
            quotient |= 1;
        }
    }
    Some((quotient, rest))
}

fn signed(magnitude: u128, negative: bool) -> Option<i128> {
    let value = i128::try_from(magnitude).ok().filter(|value| fits(*value, 38))?;
    Some(if negative { -value } else { value })
}

/// A product whose scale `scale_sum` is brought down to `scale`, rounded.
pub fn multiply(a: i128, b: i128, scale_sum: u8, scale: u8) -> Option<i128> {
    let (high, low) = wide_product(a.unsigned_abs(), b.unsigned_abs());
    let divisor = power(scale_sum - scale).unsigned_abs();
    let (mut quotient, rest) = wide_divide(high, low, divisor)?;
    if rest * 2 >= divisor && divisor > 1 {
        quotient = quotient.checked_add(1)?;
    }
    signed(quotient, (a < 0) != (b < 0))
}

/// `a * 10^shift / b`, truncated as SQL Server's division does.
pub fn divide(a: i128, b: i128, shift: i16) -> Option<i128> {
    let negative = (a < 0) != (b < 0);
    if shift < 0 {
        let divisor = b.unsigned_abs().checked_mul(power(u8::try_from(-shift).ok()?).unsigned_abs());
        return signed(divisor.map_or(0, |divisor| a.unsigned_abs() / divisor), negative);
    }
    let shift = u8::try_from(shift).ok()?;
    let (mut high, mut low) = wide_product(a.unsigned_abs(), power(shift.min(38)).unsigned_abs());
    if shift > 38 {
        if high != 0 {
            return None;
        }
        (high, low) = wide_product(low, power(shift - 38).unsigned_abs());
    }
    let (quotient, _) = wide_divide(high, low, b.unsigned_abs())?;
    signed(quotient, negative)
}

/// As a float.
#[expect(clippy::cast_precision_loss, reason = "a float is what was asked for")]
pub fn to_float(value: i128, scale: u8) -> f64 {
    // Through the text, so that 0.1 becomes the float nearest to 0.1.
    format(value, scale).parse().unwrap_or(value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_round_half_away_from_zero() {
        assert_eq!(rescale(125, 2, 1), Some(13));
        assert_eq!(rescale(-125, 2, 1), Some(-13));
        assert_eq!(rescale(124, 2, 1), Some(12));
        assert_eq!(rescale(MAX, 0, 1), None);
    }

    #[test]
    fn wide_products_and_quotients_are_exact() {
        assert_eq!(multiply(MAX, 10, 38, 37), Some(MAX));
        assert_eq!(multiply(MAX, MAX, 0, 0), None);
        assert_eq!(divide(1, 3, 6), Some(333_333));
        assert_eq!(divide(-1, 3, 38), Some(-33_333_333_333_333_333_333_333_333_333_333_333_333));
        assert_eq!(divide(MAX, MAX, 0), Some(1));
    }

    #[test]
    fn text_round_trips() {
        for text in ["0.00", "-0.10", "12345678901234567890123456789012345678", "-99.999"] {
            let (value, scale) = parse(text).expect("a number");
            assert_eq!(format(value, scale), text);
        }
        assert_eq!(parse("1e5"), None);
        assert_eq!(parse("."), None);
        assert_eq!(parse("1.2.3"), None);
    }
}
