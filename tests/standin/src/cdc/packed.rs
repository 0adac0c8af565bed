//! A row of values as bytes: change tables hold millions, and a [`Value`] takes 32 bytes even for a bit.

use crate::value::{SqlType, Value};

/// A row, packed.
pub type Packed = Box<[u8]>;

/// Packs values. Rows equal byte for byte are equal value for value.
pub fn pack<'a>(values: impl IntoIterator<Item = &'a Value>) -> Packed {
    let mut bytes = Vec::with_capacity(64);
    for value in values {
        pack_value(&mut bytes, value);
    }
    bytes.into_boxed_slice()
}

fn pack_value(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => bytes.push(0),
        Value::Bit(false) => bytes.push(1),
        Value::Bit(true) => bytes.push(2),
        Value::Int(number) => tagged(bytes, 3, &number.to_le_bytes()),
        Value::Decimal(number, scale) => {
            tagged(bytes, 4, &number.to_le_bytes());
            bytes.push(*scale);
        }
        Value::Money(number) => tagged(bytes, 5, &number.to_le_bytes()),
        Value::Real(number) => tagged(bytes, 6, &number.to_le_bytes()),
        Value::Float(number) => tagged(bytes, 7, &number.to_le_bytes()),
        Value::Date(day) => tagged(bytes, 8, &day.to_le_bytes()),
        Value::Time(ticks) => tagged(bytes, 9, &ticks.to_le_bytes()),
        Value::DateTime(day, ticks) => {
            tagged(bytes, 10, &day.to_le_bytes());
            bytes.extend_from_slice(&ticks.to_le_bytes());
        }
        Value::DateTimeOffset(day, ticks, offset) => {
            tagged(bytes, 11, &day.to_le_bytes());
            bytes.extend_from_slice(&ticks.to_le_bytes());
            bytes.extend_from_slice(&offset.to_le_bytes());
        }
        Value::Text(text) => sized(bytes, 12, text.as_bytes()),
        Value::Bytes(value) => sized(bytes, 13, value),
        Value::Guid(guid) => tagged(bytes, 14, guid),
        Value::Variant(inner) => {
            bytes.push(15);
            pack_type(bytes, inner.0);
            pack_value(bytes, &inner.1);
        }
    }
}

fn tagged(bytes: &mut Vec<u8>, tag: u8, content: &[u8]) {
    bytes.push(tag);
    bytes.extend_from_slice(content);
}

fn sized(bytes: &mut Vec<u8>, tag: u8, content: &[u8]) {
    bytes.push(tag);
    bytes.extend_from_slice(&(content.len() as u64).to_le_bytes()[..6]);
    bytes.extend_from_slice(content);
}

/// The types that a `sql_variant` can hold, by their place in this list.
const VARIANT_TYPES: [SqlType; 20] = [
    SqlType::Bit,
    SqlType::TinyInt,
    SqlType::SmallInt,
    SqlType::Int,
    SqlType::BigInt,
    SqlType::SmallMoney,
    SqlType::Money,
    SqlType::Real,
    SqlType::Float,
    SqlType::Date,
    SqlType::SmallDateTime,
    SqlType::DateTime,
    SqlType::UniqueIdentifier,
    SqlType::RowVersion,
    SqlType::Text,
    SqlType::NText,
    SqlType::Image,
    SqlType::Xml,
    SqlType::SqlVariant,
    SqlType::HierarchyId,
];

fn pack_type(bytes: &mut Vec<u8>, sql_type: SqlType) {
    let (tag, a, b) = match sql_type {
        SqlType::Decimal { precision, scale } => (100, u16::from(precision), scale),
        SqlType::Numeric { precision, scale } => (101, u16::from(precision), scale),
        SqlType::Time(scale) => (102, 0, scale),
        SqlType::DateTime2(scale) => (103, 0, scale),
        SqlType::DateTimeOffset(scale) => (104, 0, scale),
        SqlType::Char(length) => (105, length, 0),
        SqlType::VarChar(length) => (106, length.unwrap_or(0), 0),
        SqlType::NChar(length) => (107, length, 0),
        SqlType::NVarChar(length) => (108, length.unwrap_or(0), 0),
        SqlType::Binary(length) => (109, length, 0),
        SqlType::VarBinary(length) => (110, length.unwrap_or(0), 0),
        SqlType::Geometry => (111, 0, 0),
        SqlType::Geography => (112, 0, 0),
        plain => ((0_u8..).zip(VARIANT_TYPES).find(|(_, known)| *known == plain).map_or(18, |(tag, _)| tag), 0, 0),
    };
    bytes.push(tag);
    bytes.extend_from_slice(&a.to_le_bytes());
    bytes.push(b);
}

/// Unpacks a row that [`pack`] made.
pub fn unpack(bytes: &[u8]) -> Vec<Value> {
    let mut reader = Reader(bytes);
    let mut values = Vec::new();
    while !reader.0.is_empty() {
        values.push(reader.value());
    }
    values
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let (head, rest) = self.0.split_at(N);
        array.copy_from_slice(head);
        self.0 = rest;
        array
    }

    fn content(&mut self) -> Vec<u8> {
        let mut length = [0; 8];
        length[..6].copy_from_slice(&self.take::<6>());
        let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
        let (head, rest) = self.0.split_at(length);
        self.0 = rest;
        head.to_vec()
    }

    fn value(&mut self) -> Value {
        let [tag] = self.take();
        match tag {
            1 => Value::Bit(false),
            2 => Value::Bit(true),
            3 => Value::Int(i64::from_le_bytes(self.take())),
            4 => Value::Decimal(i128::from_le_bytes(self.take()), self.take::<1>()[0]),
            5 => Value::Money(i64::from_le_bytes(self.take())),
            6 => Value::Real(f32::from_le_bytes(self.take())),
            7 => Value::Float(f64::from_le_bytes(self.take())),
            8 => Value::Date(i32::from_le_bytes(self.take())),
            9 => Value::Time(i64::from_le_bytes(self.take())),
            10 => Value::DateTime(i32::from_le_bytes(self.take()), i64::from_le_bytes(self.take())),
            11 => Value::DateTimeOffset(
                i32::from_le_bytes(self.take()),
                i64::from_le_bytes(self.take()),
                i16::from_le_bytes(self.take()),
            ),
            12 => Value::Text(String::from_utf8_lossy(&self.content()).into_owned()),
            13 => Value::Bytes(self.content()),
            14 => Value::Guid(self.take()),
            15 => {
                let sql_type = self.sql_type();
                Value::Variant(Box::new((sql_type, self.value())))
            }
            _ => Value::Null,
        }
    }

    fn sql_type(&mut self) -> SqlType {
        let [tag] = self.take();
        let length = u16::from_le_bytes(self.take());
        let [scale] = self.take();
        let precision = length.to_le_bytes()[0];
        let limited = (length > 0).then_some(length);
        match tag {
            100 => SqlType::Decimal { precision, scale },
            101 => SqlType::Numeric { precision, scale },
            102 => SqlType::Time(scale),
            103 => SqlType::DateTime2(scale),
            104 => SqlType::DateTimeOffset(scale),
            105 => SqlType::Char(length),
            106 => SqlType::VarChar(limited),
            107 => SqlType::NChar(length),
            108 => SqlType::NVarChar(limited),
            109 => SqlType::Binary(length),
            110 => SqlType::VarBinary(limited),
            111 => SqlType::Geometry,
            112 => SqlType::Geography,
            plain => VARIANT_TYPES[usize::from(plain).min(VARIANT_TYPES.len() - 1)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_survives() {
        let row = vec![
            Value::Null,
            Value::Bit(true),
            Value::Int(-5),
            Value::Decimal(i128::MIN + 1, 38),
            Value::Money(i64::MIN),
            Value::Real(1.5),
            Value::Float(-0.25),
            Value::Date(3_652_058),
            Value::Time(863_999_999_999),
            Value::DateTime(737_000, 1),
            Value::DateTimeOffset(1, 2, -840),
            Value::Text("Ünï\u{0}".into()),
            Value::Bytes(vec![0; 300]),
            Value::Guid([7; 16]),
            Value::Variant(Box::new((SqlType::Decimal { precision: 9, scale: 2 }, Value::Decimal(150, 2)))),
            Value::Variant(Box::new((SqlType::NVarChar(Some(40)), Value::Text(String::new())))),
            Value::Variant(Box::new((SqlType::SmallDateTime, Value::DateTime(3, 4)))),
        ];
        assert_eq!(unpack(&pack(&row)), row);
    }
}
