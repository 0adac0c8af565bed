//! Parameter declarations of `sp_executesql` and `sp_prepare`: `@a int, @b nvarchar(20) OUTPUT`.

use crate::session::Param;
use crate::value::{SqlError, SqlType, Value};

/// A declared parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Name with its `@`.
    pub name: String,
    /// Type.
    pub sql_type: SqlType,
    /// Whether it is OUTPUT.
    pub output: bool,
}

/// Reads declarations.
///
/// # Errors
/// 102 for text that is no declaration, 2715 for an unknown type.
pub fn parse(text: &str) -> Result<Vec<Declared>, SqlError> {
    let mut declared = Vec::new();
    let mut words = Words { rest: text.trim() };
    while !words.rest.is_empty() {
        let name = words.next();
        if !name.starts_with('@') {
            return Err(near(name));
        }
        let mut type_name = words.next();
        if type_name.eq_ignore_ascii_case("as") {
            type_name = words.next();
        }
        while words.rest.starts_with('.') {
            words.next();
            type_name = words.next();
        }
        let facets = words.facets()?;
        let sql_type = named_type(type_name, &facets).ok_or_else(|| {
            let number = declared.len() + 1;
            SqlError::new(
                2715,
                format!("Column, parameter, or variable #{number}: Cannot find data type {}.", bare(type_name)),
            )
        })?;
        let mut output = false;
        let mut word = words.next();
        while word.eq_ignore_ascii_case("output")
            || word.eq_ignore_ascii_case("out")
            || word.eq_ignore_ascii_case("readonly")
        {
            output |= !word.eq_ignore_ascii_case("readonly");
            word = words.next();
        }
        declared.push(Declared { name: name.to_owned(), sql_type, output });
        match word {
            "" | "," => {}
            other => return Err(near(other)),
        }
    }
    Ok(declared)
}

fn near(word: &str) -> SqlError {
    SqlError::new(102, format!("Incorrect syntax near '{word}'.")).severity(15)
}

/// Cuts declarations into names, punctuation and bracketed names.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> &'a str {
        let text = self.rest;
        let length = match text.chars().next() {
            None => 0,
            Some('[') => text.find(']').map_or(text.len(), |end| end + 1),
            Some(first) if is_word(first) => text.find(|next| !is_word(next)).unwrap_or(text.len()),
            Some(first) => first.len_utf8(),
        };
        let (word, rest) = text.split_at(length);
        self.rest = rest.trim_start();
        word
    }

    fn facets(&mut self) -> Result<Vec<Option<u16>>, SqlError> {
        let mut facets = Vec::new();
        if !self.rest.starts_with('(') {
            return Ok(facets);
        }
        loop {
            // The opening bracket first, then each comma.
            self.next();
            let word = self.next();
            facets.push(if word.eq_ignore_ascii_case("max") {
                None
            } else {
                Some(word.parse().map_err(|_| near(word))?)
            });
            if self.rest.starts_with(')') {
                self.next();
                return Ok(facets);
            }
            if !self.rest.starts_with(',') {
                return Err(near(self.rest));
            }
        }
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '@' | '_' | '#' | '$')
}

fn bare(name: &str) -> &str {
    name.trim_start_matches('[').trim_end_matches(']')
}

fn named_type(name: &str, facets: &[Option<u16>]) -> Option<SqlType> {
    let first = facets.first().copied();
    // Without a length, a character or binary variable is one long.
    let bounded = |limit: u16| match first {
        None => Some(1),
        Some(Some(length)) if (1..=limit).contains(&length) => Some(length),
        Some(_) => None,
    };
    let unbounded = |limit: u16| match first {
        Some(None) => Some(None),
        _ => bounded(limit).map(Some),
    };
    let scale = || match first {
        None => Some(7),
        Some(Some(scale @ 0..=7)) => u8::try_from(scale).ok(),
        Some(_) => None,
    };
    let decimal = || {
        let precision = u8::try_from(first.unwrap_or(Some(18))?).ok()?;
        let scale = u8::try_from(facets.get(1).copied().unwrap_or(Some(0))?).ok()?;
        ((1..=38).contains(&precision) && scale <= precision).then_some((precision, scale))
    };
    Some(match bare(name).to_ascii_lowercase().as_str() {
        "bit" => SqlType::Bit,
        "tinyint" => SqlType::TinyInt,
        "smallint" => SqlType::SmallInt,
        "int" | "integer" => SqlType::Int,
        "bigint" => SqlType::BigInt,
        "decimal" | "dec" => decimal().map(|(precision, scale)| SqlType::Decimal { precision, scale })?,
        "numeric" => decimal().map(|(precision, scale)| SqlType::Numeric { precision, scale })?,
        "smallmoney" => SqlType::SmallMoney,
        "money" => SqlType::Money,
        "real" => SqlType::Real,
        "float" => match first {
            Some(Some(1..=24)) => SqlType::Real,
            None | Some(Some(25..=53)) => SqlType::Float,
            Some(_) => return None,
        },
        "date" => SqlType::Date,
        "time" => SqlType::Time(scale()?),
        "smalldatetime" => SqlType::SmallDateTime,
        "datetime" => SqlType::DateTime,
        "datetime2" => SqlType::DateTime2(scale()?),
        "datetimeoffset" => SqlType::DateTimeOffset(scale()?),
        "char" => SqlType::Char(bounded(8000)?),
        "varchar" => SqlType::VarChar(unbounded(8000)?),
        "text" => SqlType::Text,
        "nchar" => SqlType::NChar(bounded(4000)?),
        "nvarchar" => SqlType::NVarChar(unbounded(4000)?),
        "sysname" => SqlType::NVarChar(Some(128)),
        "ntext" => SqlType::NText,
        "binary" => SqlType::Binary(bounded(8000)?),
        "varbinary" => SqlType::VarBinary(unbounded(8000)?),
        "image" => SqlType::Image,
        "timestamp" | "rowversion" => SqlType::RowVersion,
        "uniqueidentifier" => SqlType::UniqueIdentifier,
        "xml" => SqlType::Xml,
        "sql_variant" => SqlType::SqlVariant,
        "hierarchyid" => SqlType::HierarchyId,
        "geometry" => SqlType::Geometry,
        "geography" => SqlType::Geography,
        _ => return None,
    })
}

/// Binds the values a client passed, by name or by position, to what was declared.
///
/// # Errors
/// 8178 for a parameter without a value, 8144 for more values than parameters, 8145 for an unknown name.
pub fn bind(declared: &[Declared], passed: &[Param], sql: &str) -> Result<Vec<Param>, SqlError> {
    if passed.len() > declared.len() {
        return Err(SqlError::new(8144, "Procedure or function  has too many arguments specified."));
    }
    if let Some(unknown) = passed.iter().find(|param| {
        !param.name.is_empty() && !declared.iter().any(|known| known.name.eq_ignore_ascii_case(&param.name))
    }) {
        return Err(SqlError::new(8145, format!("{} is not a parameter for procedure .", unknown.name)));
    }
    declared
        .iter()
        .enumerate()
        .map(|(index, known)| {
            let value = passed
                .iter()
                .find(|param| param.name.eq_ignore_ascii_case(&known.name))
                .or_else(|| passed.get(index).filter(|param| param.name.is_empty()))
                .ok_or_else(|| not_supplied(declared, &known.name, sql))?;
            let (sql_type, converted) = assign(known.sql_type, value);
            Ok(Param { name: known.name.clone(), sql_type, value: converted, output: known.output && value.output })
        })
        .collect()
}

fn not_supplied(declared: &[Declared], name: &str, sql: &str) -> SqlError {
    let names: Vec<&str> = declared.iter().map(|known| known.name.as_str()).collect();
    let query: String = format!("({}){sql}", names.join(",")).chars().take(100).collect();
    SqlError::new(
        8178,
        format!("The parameterized query '{query}' expects the parameter '{name}', which was not supplied."),
    )
}

/// Gives a value the declared type where that needs no more than widening; else it keeps the type it was sent with,
/// and the engine converts it where it is used.
fn assign(declared: SqlType, passed: &Param) -> (SqlType, Value) {
    let value = match (declared, &passed.value) {
        (_, Value::Null) => Some(Value::Null),
        (SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt, Value::Int(int)) => {
            fits(declared, *int).then_some(Value::Int(*int))
        }
        (
            SqlType::Decimal { precision, scale } | SqlType::Numeric { precision, scale },
            Value::Decimal(unscaled, given),
        ) => widen(*unscaled, *given, precision, scale),
        (SqlType::Decimal { precision, scale } | SqlType::Numeric { precision, scale }, Value::Int(int)) => {
            widen((*int).into(), 0, precision, scale)
        }
        (SqlType::Float, Value::Real(real)) => Some(Value::Float((*real).into())),
        (
            SqlType::VarChar(_) | SqlType::NVarChar(_) | SqlType::Text | SqlType::NText | SqlType::Xml,
            Value::Text(text),
        ) => {
            let limit = match declared {
                SqlType::VarChar(limit) | SqlType::NVarChar(limit) => limit.map_or(usize::MAX, usize::from),
                _ => usize::MAX,
            };
            (text.len() <= limit || text.encode_utf16().count() <= limit).then(|| Value::Text(text.clone()))
        }
        (SqlType::VarBinary(limit), Value::Bytes(bytes)) => {
            (bytes.len() <= limit.map_or(usize::MAX, usize::from)).then(|| Value::Bytes(bytes.clone()))
        }
        (SqlType::Image, Value::Bytes(bytes)) => Some(Value::Bytes(bytes.clone())),
        _ => None,
    };
    value.map_or_else(|| (passed.sql_type, passed.value.clone()), |value| (declared, value))
}

fn fits(declared: SqlType, int: i64) -> bool {
    match declared {
        SqlType::TinyInt => u8::try_from(int).is_ok(),
        SqlType::SmallInt => i16::try_from(int).is_ok(),
        SqlType::Int => i32::try_from(int).is_ok(),
        _ => true,
    }
}

fn widen(unscaled: i128, given: u8, precision: u8, scale: u8) -> Option<Value> {
    let power = 10i128.checked_pow(scale.checked_sub(given)?.into())?;
    let widened = unscaled.checked_mul(power)?;
    let limit = 10u128.checked_pow(precision.into())?;
    (widened.unsigned_abs() < limit).then_some(Value::Decimal(widened, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_read_with_facets_and_output() {
        let declared =
            parse("@P1 int,@P2 nvarchar(max) OUTPUT , @p3 decimal(18, 2) out, @p4 sys.hierarchyid, @p5 varchar")
                .unwrap();
        let types: Vec<_> = declared.iter().map(|known| (known.sql_type, known.output)).collect();
        assert_eq!(
            types,
            [
                (SqlType::Int, false),
                (SqlType::NVarChar(None), true),
                (SqlType::Decimal { precision: 18, scale: 2 }, true),
                (SqlType::HierarchyId, false),
                (SqlType::VarChar(Some(1)), false),
            ]
        );
    }

    #[test]
    fn nonsense_is_refused_by_number() {
        assert_eq!(parse("P1 int").unwrap_err().number, 102);
        assert_eq!(parse("@a frog").unwrap_err().number, 2715);
        assert_eq!(parse("@a int @b int").unwrap_err().number, 102);
        assert_eq!(parse("@a decimal(39,2)").unwrap_err().number, 2715);
        assert_eq!(parse("@a varchar(").unwrap_err().number, 102);
    }
}
