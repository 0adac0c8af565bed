//! The scalar functions `sys.fn_cdc_…`.

use std::str::FromStr;

use crate::value::{SqlError, SqlType, Value};

use super::arguments::{lsn_of, text_of};
use super::clock::Moment;
use super::instance::same_name;
use super::lsn::{self, Lsn};
use super::state::State;

/// A scalar function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `fn_cdc_get_max_lsn()`
    MaxLsn,
    /// `fn_cdc_get_min_lsn(instance)`
    MinLsn,
    /// `fn_cdc_increment_lsn(lsn)`
    Increment,
    /// `fn_cdc_decrement_lsn(lsn)`
    Decrement,
    /// `fn_cdc_map_time_to_lsn(operator, time)`
    TimeToLsn,
    /// `fn_cdc_map_lsn_to_time(lsn)`
    LsnToTime,
    /// `fn_cdc_is_bit_set(position, mask)`
    IsBitSet,
    /// `fn_cdc_has_column_changed(instance, column, mask)`
    HasColumnChanged,
    /// `fn_cdc_get_column_ordinal(instance, column)`
    ColumnOrdinal,
}

impl FromStr for Function {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "fn_cdc_get_max_lsn" => Self::MaxLsn,
            "fn_cdc_get_min_lsn" => Self::MinLsn,
            "fn_cdc_increment_lsn" => Self::Increment,
            "fn_cdc_decrement_lsn" => Self::Decrement,
            "fn_cdc_map_time_to_lsn" => Self::TimeToLsn,
            "fn_cdc_map_lsn_to_time" => Self::LsnToTime,
            "fn_cdc_is_bit_set" => Self::IsBitSet,
            "fn_cdc_has_column_changed" => Self::HasColumnChanged,
            "fn_cdc_get_column_ordinal" => Self::ColumnOrdinal,
            _ => return Err(()),
        })
    }
}

impl Function {
    /// How many arguments it takes.
    pub fn arity(self) -> usize {
        match self {
            Self::MaxLsn => 0,
            Self::MinLsn | Self::Increment | Self::Decrement | Self::LsnToTime => 1,
            Self::TimeToLsn | Self::IsBitSet | Self::ColumnOrdinal => 2,
            Self::HasColumnChanged => 3,
        }
    }

    /// The type it returns.
    pub fn sql_type(self) -> SqlType {
        match self {
            Self::MaxLsn | Self::MinLsn | Self::Increment | Self::Decrement | Self::TimeToLsn => SqlType::Binary(10),
            Self::LsnToTime => SqlType::DateTime,
            Self::IsBitSet | Self::HasColumnChanged => SqlType::Bit,
            Self::ColumnOrdinal => SqlType::Int,
        }
    }

    /// Whether only those may call it who may read the instance that its first argument names.
    pub fn is_gated(self) -> bool {
        matches!(self, Self::MinLsn | Self::HasColumnChanged | Self::ColumnOrdinal)
    }

    /// Calls it. `admitted` tells whether the caller may read the instance named.
    ///
    /// # Errors
    /// 208 where a table of CDC is missing, conversion errors.
    pub fn call(self, state: &State, args: &[Value], admitted: bool) -> Result<Value, SqlError> {
        match self {
            Self::MaxLsn => {
                require(state, "cdc.lsn_time_mapping")?;
                Ok(lsn_value(state.max_lsn()))
            }
            Self::MinLsn => {
                require(state, "cdc.change_tables")?;
                let instance = named(state, &args[0])?.filter(|_| admitted);
                Ok(instance.map_or(lsn_value(Some(lsn::ZERO)), |instance| lsn_value(state.min_lsn(instance))))
            }
            Self::Increment => Ok(lsn_value(lsn_of(&args[0])?.map(lsn::increment))),
            Self::Decrement => Ok(lsn_value(lsn_of(&args[0])?.map(lsn::decrement))),
            Self::TimeToLsn => {
                require(state, "cdc.lsn_time_mapping")?;
                let operator = text_of(&args[0])?.map(|text| text.trim().to_lowercase());
                let time = moment_of(&args[1])?;
                Ok(lsn_value(operator.zip(time).and_then(|(operator, time)| at_time(state, &operator, time))))
            }
            Self::LsnToTime => {
                require(state, "cdc.lsn_time_mapping")?;
                let Some(lsn) = lsn_of(&args[0])? else { return Ok(Value::Null) };
                let mapping = state.mapping.between(Some(lsn), Some(lsn)).next();
                Ok(mapping.map_or(Value::Null, |mapping| super::clock::value(mapping.times.1)))
            }
            Self::IsBitSet => Ok(match (&args[0], &args[1]) {
                (Value::Int(position), Value::Bytes(mask)) => Value::Bit(is_bit_set(*position, mask)),
                _ => Value::Null,
            }),
            Self::ColumnOrdinal => {
                require(state, "cdc.change_tables")?;
                let ordinal = if admitted { ordinal(state, &args[0], &args[1])? } else { None };
                Ok(ordinal.map_or(Value::Null, Value::Int))
            }
            Self::HasColumnChanged => {
                require(state, "cdc.change_tables")?;
                let ordinal = if admitted { ordinal(state, &args[0], &args[1])? } else { None };
                Ok(match (ordinal, &args[2]) {
                    (Some(ordinal), Value::Bytes(mask)) => Value::Bit(is_bit_set(ordinal, mask)),
                    _ => Value::Null,
                })
            }
        }
    }
}

/// Without CDC the functions fail on the tables they read.
fn require(state: &State, table: &str) -> Result<(), SqlError> {
    if state.enabled { Ok(()) } else { Err(SqlError::new(208, format!("Invalid object name '{table}'."))) }
}

fn lsn_value(lsn: Option<Lsn>) -> Value {
    lsn.map_or(Value::Null, |lsn| Value::Bytes(lsn.to_vec()))
}

fn named<'a>(state: &'a State, name: &Value) -> Result<Option<&'a super::instance::Instance>, SqlError> {
    Ok(text_of(name)?.and_then(|name| state.instance(name)))
}

fn ordinal(state: &State, instance: &Value, column: &Value) -> Result<Option<i64>, SqlError> {
    let (Some(instance), Some(column)) = (named(state, instance)?, text_of(column)?) else { return Ok(None) };
    let index = instance.columns.iter().position(|captured| same_name(&captured.name, column));
    Ok(index.and_then(|index| i64::try_from(index + 1).ok()))
}

fn is_bit_set(position: i64, mask: &[u8]) -> bool {
    let Some(index) = usize::try_from(position - 1).ok() else { return false };
    let byte = mask.len().checked_sub(1 + index / 8).map(|at| mask[at]);
    byte.is_some_and(|byte| byte & (1 << (index % 8)) != 0)
}

fn moment_of(value: &Value) -> Result<Option<Moment>, SqlError> {
    match value {
        Value::Null => Ok(None),
        // A datetime2 or a date given here converts to datetime.
        Value::DateTime(day, ticks) => Ok(Some(super::clock::datetime(*day, *ticks))),
        Value::Date(day) => Ok(Some((*day, 0))),
        _ => Err(SqlError::new(241, "Conversion failed when converting date and/or time from character string.")),
    }
}

fn at_time(state: &State, operator: &str, time: Moment) -> Option<Lsn> {
    let ended = state.mapping.iter().map(|mapping| (mapping.times.1, mapping.start));
    match operator {
        "largest less than" => ended.filter(|(end, _)| *end < time).map(|(_, lsn)| lsn).max(),
        "largest less than or equal" => ended.filter(|(end, _)| *end <= time).map(|(_, lsn)| lsn).max(),
        "smallest greater than" => ended.filter(|(end, _)| *end > time).map(|(_, lsn)| lsn).min(),
        "smallest greater than or equal" => ended.filter(|(end, _)| *end >= time).map(|(_, lsn)| lsn).min(),
        _ => None,
    }
}
