//! Numbers as text.

/// A float in T-SQL's general notation with so many significant digits, as `%g` writes it.
pub fn general(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    if exponent < -5 || exponent >= i32::try_from(digits).unwrap_or(17) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:03}", trim(mantissa), exponent.abs());
    }
    let places = usize::try_from(i32::try_from(digits).unwrap_or(17) - 1 - exponent).unwrap_or(0);
    trim(&format!("{value:.places$}"))
}

/// A float with all its digits, in scientific notation (styles 1 to 3).
pub fn scientific(value: f64, digits: usize) -> String {
    let text = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:03}", exponent.abs())
}

/// Money in a CONVERT style: 0 two digits, 1 with commas, 2 four digits.
pub fn money(value: i64, style: i32) -> String {
    let full = super::decimal::format(i128::from(value), 4);
    if style == 2 || style == 126 {
        return full;
    }
    let cents = super::decimal::rescale(i128::from(value), 4, 2).unwrap_or_default();
    let text = super::decimal::format(cents, 2);
    if style != 1 {
        return text;
    }
    let (whole, rest) = text.split_once('.').unwrap_or((&text, "00"));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}.{rest}")
}

/// Reads money: an optional sign and currency sign, digits with commas, four decimals kept.
pub fn parse_money(text: &str) -> Option<i64> {
    let cleaned: String = text.trim().chars().filter(|c| !matches!(c, '$' | '£' | '€' | ',')).collect();
    if cleaned.is_empty() {
        return Some(0);
    }
    let (value, scale) = super::decimal::parse(&cleaned)?;
    i64::try_from(super::decimal::rescale(value, scale, 4)?).ok()
}
