//! Values on the wire, from the client to the server.

use bytes::Buf;

use super::metadata::{Malformed, Sent, take, take_type_info, wire};
use super::types_encode::{DAYS_TO_1900, swap_guid, time_size};
use crate::utf16;
use crate::value::{SqlType, Value};

const NULL_PLP: u64 = u64::MAX;
/// 1753-01-01, where `datetime` begins, and 9999-12-31, as days from 0001-01-01.
const DAYS_TO_1753: i32 = 639_905;
const LAST_DAY: i32 = 3_652_058;

/// Reads a type and the value that follows it.
///
/// # Errors
/// Bytes that are no value of that type.
pub fn take_typed(input: &mut &[u8]) -> Result<(SqlType, Value), Malformed> {
    let sent = take_type_info(input)?;
    let value = take_value(input, &sent)?;
    Ok((sent.sql_type, value))
}

fn take_value(input: &mut &[u8], sent: &Sent) -> Result<Value, Malformed> {
    let partial = matches!(sent.sql_type, SqlType::VarChar(None) | SqlType::NVarChar(None) | SqlType::VarBinary(None));
    match sent.wire {
        wire::NULL => Ok(Value::Null),
        wire::XML | wire::UDT => partial_value(input, sent),
        _ if partial => partial_value(input, sent),
        wire::BIGVARBIN | wire::BIGVARCHR | wire::BIGBINARY | wire::BIGCHAR | wire::NVARCHAR | wire::NCHAR => {
            let length = take(input, 2)?.get_u16_le();
            if length == u16::MAX {
                return Ok(Value::Null);
            }
            content(sent, take(input, length.into())?)
        }
        wire::TEXT | wire::NTEXT | wire::IMAGE => {
            let length = take(input, 4)?.get_i32_le();
            match usize::try_from(length) {
                Err(_) => Ok(Value::Null),
                Ok(length) => content(sent, take(input, length)?),
            }
        }
        wire::VARIANT => {
            let length = take(input, 4)?.get_u32_le() as usize;
            variant(take(input, length)?)
        }
        _ => {
            let length = match fixed_length(sent.wire) {
                Some(length) => length,
                None => take(input, 1)?[0].into(),
            };
            scalar(sent.sql_type, take(input, length)?)
        }
    }
}

fn fixed_length(kind: u8) -> Option<usize> {
    Some(match kind {
        wire::BIT | wire::INT1 => 1,
        wire::INT2 => 2,
        wire::INT4 | wire::FLT4 | wire::MONEY4 | wire::DATETIM4 => 4,
        wire::INT8 | wire::FLT8 | wire::MONEY | wire::DATETIME => 8,
        _ => return None,
    })
}

fn partial_value(input: &mut &[u8], sent: &Sent) -> Result<Value, Malformed> {
    if take(input, 8)?.get_u64_le() == NULL_PLP {
        return Ok(Value::Null);
    }
    let mut bytes = Vec::new();
    loop {
        let length = take(input, 4)?.get_u32_le() as usize;
        if length == 0 {
            return content(sent, &bytes);
        }
        bytes.extend_from_slice(take(input, length)?);
    }
}

fn content(sent: &Sent, bytes: &[u8]) -> Result<Value, Malformed> {
    let utf16 = |bytes| {
        utf16::try_text_of_bytes(bytes).map(Value::Text).ok_or("the stand-in has no place for U+F000 to U+F7FF")
    };
    Ok(match sent.sql_type {
        SqlType::Char(_) | SqlType::VarChar(_) | SqlType::Text => Value::Text(sent.collation.decode(bytes)),
        SqlType::NChar(_) | SqlType::NVarChar(_) | SqlType::NText => utf16(bytes)?,
        // XML says itself how it is encoded; clients send UTF-16, with or without a mark, or UTF-8.
        SqlType::Xml if bytes.starts_with(&[0xFF, 0xFE]) => utf16(&bytes[2..])?,
        SqlType::Xml if bytes.get(1) == Some(&0) => utf16(bytes)?,
        SqlType::Xml => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        _ => Value::Bytes(bytes.to_vec()),
    })
}

fn scalar(sql_type: SqlType, mut bytes: &[u8]) -> Result<Value, Malformed> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let length = bytes.len();
    let expect = |wanted: usize| if length == wanted { Ok(()) } else { Err("impossible length of a value") };
    Ok(match sql_type {
        SqlType::Bit => Value::Bit(bytes[0] != 0),
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => Value::Int(match length {
            1 => bytes.get_u8().into(),
            2 => bytes.get_i16_le().into(),
            4 => bytes.get_i32_le().into(),
            8 => bytes.get_i64_le(),
            _ => return Err("impossible length of an integer"),
        }),
        SqlType::Real | SqlType::Float => match length {
            4 => Value::Real(bytes.get_f32_le()),
            8 => Value::Float(bytes.get_f64_le()),
            _ => return Err("impossible length of a float"),
        },
        SqlType::SmallMoney | SqlType::Money => match length {
            4 => Value::Money(bytes.get_i32_le().into()),
            8 => {
                let high = i64::from(bytes.get_i32_le());
                Value::Money(high << 32 | i64::from(bytes.get_u32_le()))
            }
            _ => return Err("impossible length of money"),
        },
        SqlType::Decimal { scale, .. } | SqlType::Numeric { scale, .. } => decimal(bytes, scale)?,
        SqlType::Date => {
            expect(3)?;
            Value::Date(days(bytes)?)
        }
        SqlType::Time(scale) => {
            expect(time_size(scale))?;
            Value::Time(ticks(bytes, scale)?)
        }
        SqlType::SmallDateTime | SqlType::DateTime => match length {
            4 => {
                let day = i32::from(bytes.get_u16_le()) + DAYS_TO_1900;
                Value::DateTime(day, of_day(i64::from(bytes.get_u16_le()) * 600_000_000)?)
            }
            8 => {
                let day =
                    bytes.get_i32_le().checked_add(DAYS_TO_1900).filter(|day| (DAYS_TO_1753..=LAST_DAY).contains(day));
                // Three hundredths of a second, as ticks, the way the server rounds them: 3, 7, 0 milliseconds.
                let steps = i64::from(bytes.get_u32_le());
                Value::DateTime(day.ok_or("date out of range")?, of_day((steps * 100_000 + 1) / 3)?)
            }
            _ => return Err("impossible length of a date"),
        },
        SqlType::DateTime2(scale) => {
            let size = time_size(scale);
            expect(size + 3)?;
            Value::DateTime(days(&bytes[size..])?, ticks(&bytes[..size], scale)?)
        }
        SqlType::DateTimeOffset(scale) => {
            let size = time_size(scale);
            expect(size + 5)?;
            let offset = (&bytes[size + 3..]).get_i16_le();
            Value::DateTimeOffset(days(&bytes[size..size + 3])?, ticks(&bytes[..size], scale)?, offset)
        }
        SqlType::UniqueIdentifier => {
            Value::Guid(swap_guid(bytes.try_into().map_err(|_| "impossible length of a GUID")?))
        }
        _ => return Err("not a scalar type"),
    })
}

fn decimal(bytes: &[u8], scale: u8) -> Result<Value, Malformed> {
    let (sign, magnitude) = bytes.split_first().ok_or("empty decimal")?;
    if magnitude.len() > 16 {
        return Err("decimal too long");
    }
    let mut padded = [0u8; 16];
    padded[..magnitude.len()].copy_from_slice(magnitude);
    let unscaled = i128::try_from(u128::from_le_bytes(padded)).map_err(|_| "decimal out of range")?;
    Ok(Value::Decimal(if *sign == 0 { -unscaled } else { unscaled }, scale))
}

fn days(bytes: &[u8]) -> Result<i32, Malformed> {
    let days = i32::from(bytes[0]) | i32::from(bytes[1]) << 8 | i32::from(bytes[2]) << 16;
    if days <= LAST_DAY { Ok(days) } else { Err("date out of range") }
}

fn ticks(bytes: &[u8], scale: u8) -> Result<i64, Malformed> {
    let mut padded = [0u8; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    of_day(i64::from_le_bytes(padded) * 10i64.pow(7 - u32::from(scale)))
}

fn of_day(ticks: i64) -> Result<i64, Malformed> {
    if ticks < 864_000_000_000 { Ok(ticks) } else { Err("time of day out of range") }
}

fn variant(bytes: &[u8]) -> Result<Value, Malformed> {
    let mut input = bytes;
    if input.is_empty() {
        return Ok(Value::Null);
    }
    let head = take(&mut input, 2)?;
    let (kind, properties) = (head[0], take(&mut input, head[1].into())?);
    // A variant's properties are the facets of a TYPE_INFO in another order; rebuild one and read on.
    let (sql_type, value) = match (kind, properties) {
        (wire::BIGVARCHR | wire::BIGCHAR | wire::NVARCHAR | wire::NCHAR, [collation @ .., low, high])
            if collation.len() == 5 =>
        {
            let mut info = vec![kind, *low, *high];
            info.extend_from_slice(collation);
            let sent = take_type_info(&mut info.as_slice())?;
            (sent.sql_type, content(&sent, input)?)
        }
        (wire::BIGVARBIN | wire::BIGBINARY, [low, high]) => {
            let sent = take_type_info(&mut &[kind, *low, *high][..])?;
            (sent.sql_type, content(&sent, input)?)
        }
        (wire::DECIMALN | wire::NUMERICN, [precision, scale]) => {
            let sent = take_type_info(&mut &[kind, 17, *precision, *scale][..])?;
            (sent.sql_type, scalar(sent.sql_type, input)?)
        }
        (wire::TIMEN | wire::DATETIME2N | wire::DATETIMEOFFSETN, [scale]) => {
            let sent = take_type_info(&mut &[kind, *scale][..])?;
            (sent.sql_type, scalar(sent.sql_type, input)?)
        }
        (wire::GUID, []) => (SqlType::UniqueIdentifier, scalar(SqlType::UniqueIdentifier, input)?),
        (_, []) => {
            let sent = take_type_info(&mut &[kind][..])?;
            (sent.sql_type, scalar(sent.sql_type, input)?)
        }
        _ => return Err("malformed sql_variant"),
    };
    Ok(Value::Variant(Box::new((sql_type, value))))
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;
    use crate::tds::{login, prelogin, request, rpc, server::Encryption};

    #[test]
    fn damaged_requests_are_errors_not_panics() {
        // sp_executesql N'x', N'@a int', 7, as a client sends it.
        let mut whole = vec![4, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 0];
        for text in ["x", "@a int"] {
            whole.extend([0, 0, wire::NVARCHAR, 0x40, 0x1F, 9, 4, 0xD0, 0, 0x34]);
            whole.extend(u16::try_from(text.len() * 2).unwrap().to_le_bytes());
            whole.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        }
        whole.extend([0, 0, wire::INTN, 4, 4, 7, 0, 0, 0]);
        let calls = rpc::parse(&whole).unwrap();
        assert_eq!(calls[0].name, "sp_executesql");
        assert_eq!(calls[0].params[2].value, Value::Int(7));
        let mut random = StdRng::seed_from_u64(11);
        let mut refused = 0;
        for _ in 0..50_000 {
            let mut bytes = whole.clone();
            for _ in 0..random.random_range(1..4) {
                let place = random.random_range(0..bytes.len());
                bytes[place] = random.random();
            }
            bytes.truncate(random.random_range(0..=bytes.len()));
            refused += u32::from(rpc::parse(&bytes).is_err());
            let _ = (request::batch(&bytes), request::transaction(&bytes), login::parse(&bytes));
            let _ = prelogin::answer(&bytes, Encryption::Supported, true);
            let _ = take_typed(&mut bytes.as_slice());
        }
        assert!(refused > 25_000);
    }
}
