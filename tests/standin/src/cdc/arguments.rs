//! Arguments of procedures and functions: by name or by place, converted as SQL Server converts them.

use crate::session::Param;
use crate::value::{SqlError, Value};

use super::lsn::{self, Lsn};

/// A procedure's parameter.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Name with its `@`.
    pub name: &'static str,
    /// Whether it has no default.
    pub required: bool,
}

/// A required parameter.
pub const fn required(name: &'static str) -> Parameter {
    Parameter { name, required: true }
}

/// A parameter whose default is NULL.
pub const fn optional(name: &'static str) -> Parameter {
    Parameter { name, required: false }
}

/// A call's arguments.
#[derive(Debug)]
pub struct Arguments<'a> {
    declared: &'static [Parameter],
    given: Vec<Option<&'a Param>>,
}

impl<'a> Arguments<'a> {
    /// Matches a call's arguments with what the procedure declares.
    ///
    /// # Errors
    /// 8144, 8145 and 201, as SQL Server raises them.
    pub fn bind(procedure: &str, declared: &'static [Parameter], args: &'a [Param]) -> Result<Self, SqlError> {
        let mut given = vec![None; declared.len()];
        for (place, arg) in args.iter().enumerate() {
            let index = if arg.name.is_empty() {
                (place < declared.len()).then_some(place).ok_or_else(|| {
                    let text = format!("Procedure or function {procedure} has too many arguments specified.");
                    SqlError::new(8144, text).state(2)
                })?
            } else {
                declared.iter().position(|known| known.name.eq_ignore_ascii_case(&arg.name)).ok_or_else(|| {
                    let text = format!("{} is not a parameter for procedure {procedure}.", arg.name);
                    SqlError::new(8145, text)
                })?
            };
            if given[index].replace(arg).is_some() {
                let text = format!("Parameter '{}' was supplied multiple times.", declared[index].name);
                return Err(SqlError::new(8143, text));
            }
        }
        let missing = declared.iter().zip(&given).find(|(known, value)| known.required && value.is_none());
        if let Some((known, _)) = missing {
            let text = format!(
                "Procedure or function '{procedure}' expects parameter '{}', which was not supplied.",
                known.name
            );
            return Err(SqlError::new(201, text).state(4));
        }
        Ok(Self { declared, given })
    }

    /// The argument as it was passed.
    pub fn param(&self, name: &str) -> Option<&'a Param> {
        let index = self.declared.iter().position(|known| known.name == name)?;
        self.given[index]
    }

    fn value(&self, name: &str) -> &'a Value {
        self.param(name).map_or(&Value::Null, |param| &param.value)
    }

    /// A string; `None` for NULL.
    pub fn text(&self, name: &str) -> Result<Option<String>, SqlError> {
        match self.value(name) {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text.trim_end_matches(' ').to_owned())),
            Value::Int(number) => Ok(Some(number.to_string())),
            other => Err(mismatch(other, "sysname")),
        }
    }

    /// A string that may be neither NULL nor empty (22963).
    pub fn filled_text(&self, name: &str) -> Result<String, SqlError> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| {
            let text = format!(
                "Parameter '{name}' cannot be null or empty. Specify a value for the named parameter and retry the \
                 operation."
            );
            SqlError::new(22963, text)
        })
    }

    /// A bit; `None` for NULL.
    pub fn bit(&self, name: &str) -> Result<Option<bool>, SqlError> {
        match self.value(name) {
            Value::Null => Ok(None),
            Value::Bit(bit) => Ok(Some(*bit)),
            Value::Int(number) => Ok(Some(*number != 0)),
            Value::Text(text) if text.eq_ignore_ascii_case("true") || text == "1" => Ok(Some(true)),
            Value::Text(text) if text.eq_ignore_ascii_case("false") || text == "0" => Ok(Some(false)),
            other => Err(mismatch(other, "bit")),
        }
    }

    /// A whole number; `None` for NULL.
    pub fn int(&self, name: &str) -> Result<Option<i64>, SqlError> {
        let value = self.value(name);
        match value {
            Value::Null => Ok(None),
            Value::Bit(bit) => Ok(Some(i64::from(*bit))),
            Value::Int(number) => Ok(Some(*number)),
            Value::Decimal(number, scale) => {
                i64::try_from(number / 10_i128.pow(u32::from(*scale))).map(Some).map_err(|_| mismatch(value, "bigint"))
            }
            Value::Text(text) => text.trim().parse().map(Some).map_err(|_| mismatch(value, "bigint")),
            other => Err(mismatch(other, "bigint")),
        }
    }

    /// An LSN; `None` for NULL.
    pub fn lsn(&self, name: &str) -> Result<Option<Lsn>, SqlError> {
        lsn_of(self.value(name))
    }
}

/// A value where `binary(10)` is asked for.
pub fn lsn_of(value: &Value) -> Result<Option<Lsn>, SqlError> {
    match value {
        Value::Null => Ok(None),
        Value::Bytes(bytes) => Ok(Some(lsn::from_bytes(bytes))),
        // An int converts at the right, unlike binary.
        Value::Int(number) => {
            let mut lsn = lsn::ZERO;
            lsn[2..].copy_from_slice(&number.to_be_bytes());
            Ok(Some(lsn))
        }
        other => Err(SqlError::new(
            257,
            format!(
                "Implicit conversion from data type {} to binary is not allowed. Use the CONVERT function to run this \
                 query.",
                type_name(other)
            ),
        )
        .state(3)),
    }
}

/// A value where a string is asked for.
pub fn text_of(value: &Value) -> Result<Option<&str>, SqlError> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text)),
        other => Err(mismatch(other, "nvarchar")),
    }
}

fn mismatch(value: &Value, to: &str) -> SqlError {
    SqlError::new(8114, format!("Error converting data type {} to {to}.", type_name(value))).state(5)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "void type",
        Value::Bit(_) => "bit",
        Value::Int(_) => "int",
        Value::Decimal(..) => "numeric",
        Value::Money(_) => "money",
        Value::Real(_) => "real",
        Value::Float(_) => "float",
        Value::Date(_) => "date",
        Value::Time(_) => "time",
        Value::DateTime(..) => "datetime",
        Value::DateTimeOffset(..) => "datetimeoffset",
        Value::Text(_) => "nvarchar",
        Value::Bytes(_) => "varbinary",
        Value::Guid(_) => "uniqueidentifier",
        Value::Variant(_) => "sql_variant",
    }
}
