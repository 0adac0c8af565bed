//! Numbers, dates, times and bytes as text, without an allocation.

use std::io::Write;

pub fn write_display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{value}");
}

pub fn write_float<T: std::fmt::Display + std::fmt::LowerExp>(out: &mut Vec<u8>, value: T, exponent: bool) {
    let _ = if exponent { write!(out, "{value:e}") } else { write!(out, "{value}") };
}

pub fn write_decimal(out: &mut Vec<u8>, value: i128, scale: u8) {
    if value < 0 {
        out.push(b'-');
    }
    let magnitude = value.unsigned_abs();
    if scale == 0 {
        return write_display(out, magnitude);
    }
    // 10^38 fits: the source's scales end at 38.
    let unit = 10u128.pow(u32::from(scale));
    let _ = write!(out, "{}.{:0width$}", magnitude / unit, magnitude % unit, width = usize::from(scale));
}

fn write_digits(out: &mut Vec<u8>, value: u32, width: u32) {
    for place in (0..width).rev() {
        let digit = value / 10u32.pow(place) % 10;
        out.push(b'0' + u8::try_from(digit).unwrap_or(0));
    }
}

/// `YYYY-MM-DD` of a day counted from 0001-01-01, by the method of whole 400-year eras beginning in March.
pub fn write_date(out: &mut Vec<u8>, days: i32) {
    let shifted = i64::from(days) + 306;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let number = |value: i64| u32::try_from(value).unwrap_or(0);
    write_digits(out, number(year), 4);
    out.push(b'-');
    write_digits(out, number(month), 2);
    out.push(b'-');
    write_digits(out, number(day), 2);
}

/// `HH:MM:SS` and so many digits of 100 ns ticks.
pub fn write_time(out: &mut Vec<u8>, ticks: i64, digits: u8) {
    let number = |value: i64| u32::try_from(value).unwrap_or(0);
    let (seconds, fraction) = (number(ticks / 10_000_000), number(ticks % 10_000_000));
    write_digits(out, seconds / 3600, 2);
    out.push(b':');
    write_digits(out, seconds / 60 % 60, 2);
    out.push(b':');
    write_digits(out, seconds % 60, 2);
    let digits = u32::from(digits.min(7));
    if digits > 0 {
        out.push(b'.');
        write_digits(out, fraction / 10u32.pow(7 - digits), digits);
    }
}

pub fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

pub fn write_uuid(out: &mut Vec<u8>, bytes: [u8; 16]) {
    for (at, group) in [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]].iter().enumerate() {
        if at > 0 {
            out.push(b'-');
        }
        write_hex(out, group);
    }
}
