//! From the file as written to typed values: the environment put in, defaults, and values checked.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

use super::raw::{self, Leaf, Scalar};
use super::{Config, OnExistingRows, OnGap, OnNewColumn, OnPartitionSwitch, OnRowFilter, Purge, Sync, TableOptions};
use crate::error::{Error, Kind, Result};
use crate::loss::{Loss, Policies};
use crate::table::TableName;

pub(super) fn wrong(message: String) -> Error {
    Error::new(Kind::Config, message)
}

/// Puts the environment into a text: `${NAME}` becomes the variable's value, `$${` a literal `${`.
pub(super) fn expand(key: &str, text: &str) -> Result<String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            result.push_str(&rest[..at - 1]);
            result.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        result.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('}') else {
            return Err(wrong(format!("{key}: '${{' without '}}'")).advice("Write $${ for a literal ${"));
        };
        let name = &rest[at + 2..at + end];
        if name.is_empty() || !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
            // It is not told: what is no name may be a piece of a password.
            return Err(wrong(format!("{key}: '${{…}}' does not name a variable by letters, digits and _"))
                .advice("Write $${ for a literal ${"));
        }
        let value = std::env::var(name).map_err(|_| {
            wrong(format!("{key}: the environment variable {name} is not set"))
                .advice(format!("Set {name}, or write the value into {key}"))
        })?;
        result.push_str(&value);
        rest = &rest[at + end + 1..];
    }
    result.push_str(rest);
    Ok(result)
}

pub(super) fn optional(key: &str, value: Option<&String>) -> Result<Option<String>> {
    value.map(|text| expand(key, text)).transpose()
}

pub(super) fn required(key: &str, value: Option<&String>) -> Result<String> {
    match optional(key, value)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(wrong(format!("{key} is missing")).advice("con_defs.example.toml shows every key")),
    }
}

pub(super) fn scalar<T: Leaf + Copy>(key: &str, value: Option<&Scalar<T>>, default: T) -> Result<T> {
    match value {
        None => Ok(default),
        Some(Scalar::Value(value)) => Ok(*value),
        Some(Scalar::Text(text)) => {
            let text = expand(key, text)?;
            T::from_text(&text).ok_or_else(|| wrong(format!("{key} = '{text}': expected {}", T::EXPECTED)))
        }
    }
}

pub(super) fn choice<T: Copy>(
    key: &str,
    value: Option<&String>,
    default: Option<T>,
    choices: &[(&str, T)],
) -> Result<T> {
    let Some(text) = optional(key, value)? else {
        return default
            .ok_or_else(|| wrong(format!("{key} is missing")).advice("con_defs.example.toml shows every key"));
    };
    choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        wrong(format!("{key} = '{text}': expected {}", names.join(" or ")))
    })
}

/// A number with a unit, `60s` or `64MiB`; a bare number takes the unit written as "".
pub(super) fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim())).map(|(_, factor)| *factor)?;
    u64::from_str(number).ok()?.checked_mul(factor)
}

/// Parses a duration: a whole number and `ms`, `s`, `m`, `h` or `d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    quantity(text.trim(), &units).map(Duration::from_millis)
}

pub(super) fn duration(key: &str, value: Option<&String>, default: Option<Duration>) -> Result<Option<Duration>> {
    let Some(text) = optional(key, value)? else { return Ok(default) };
    let duration = parse_duration(&text).filter(|duration| !duration.is_zero()).ok_or_else(|| {
        wrong(format!("{key} = '{text}': expected a whole number above 0 and ms, s, m, h or d, such as \"30s\""))
    })?;
    Ok(Some(duration))
}

pub(super) fn list(key: &str, value: Option<&Vec<String>>) -> Result<Vec<String>> {
    value.into_iter().flatten().map(|text| expand(key, text)).collect()
}

pub(super) fn port(key: &str, value: Option<&Scalar<u64>>, default: u16) -> Result<u16> {
    let number = scalar(key, value, u64::from(default))?;
    number
        .try_into()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| wrong(format!("{key} = {number}: expected 1 to 65535")))
}

pub(super) fn password(key: &str, value: Option<&raw::Password>) -> Result<SecretString> {
    Ok(required(key, value.map(|password| &password.0))?.into())
}

pub fn config(raw: raw::File) -> Result<Config> {
    let sync = sync(&raw.sync)?;
    let said = values("values", &raw.values)?;
    let values = said.into_iter().fold(Policies::usual(), |policies, (loss, taken)| policies.with(loss, taken));
    let tables: Vec<_> = raw.table.iter().map(table).collect::<Result<_>>()?;
    let mut named = BTreeSet::new();
    if let Some(twice) = tables.iter().filter_map(|options| options.name.as_ref()).find(|name| !named.insert(*name)) {
        return Err(wrong(format!("table.name: '{twice}' has two [[table]] entries"))
            .advice("Put what they say into one entry"));
    }
    Ok(Config { sync, values, tables, raw })
}

fn sync(raw: &raw::Sync) -> Result<Sync> {
    let name = required("sync.name", raw.name.as_ref())?;
    if name.len() > 63 || name.chars().any(char::is_control) {
        return Err(wrong("sync.name: expected 1 to 63 bytes without control characters".to_owned()));
    }
    let parallel = scalar("sync.parallel", raw.parallel.as_ref(), 4)?;
    if !(1..=64).contains(&parallel) {
        return Err(wrong(format!("sync.parallel = {parallel}: expected 1 to 64")));
    }
    let new_columns = [("follow", OnNewColumn::Follow), ("ignore", OnNewColumn::Ignore), ("fail", OnNewColumn::Fail)];
    let switches = [("fail", OnPartitionSwitch::Fail), ("ignore", OnPartitionSwitch::Ignore)];
    let filters = [("fail", OnRowFilter::Fail), ("ignore", OnRowFilter::Ignore)];
    let purges = [("after_extract", Purge::AfterExtract), ("after_load", Purge::AfterLoad), ("never", Purge::Never)];
    Ok(Sync {
        name,
        purge: choice("sync.purge", raw.purge.as_ref(), Some(Purge::AfterExtract), &purges)?,
        purge_shared: scalar("sync.purge_shared", raw.purge_shared.as_ref(), false)?,
        on_gap: choice(
            "sync.on_gap",
            raw.on_gap.as_ref(),
            Some(OnGap::Fail),
            &[("fail", OnGap::Fail), ("resync", OnGap::Resync)],
        )?,
        on_new_column: choice(
            "sync.on_new_column",
            raw.on_new_column.as_ref(),
            Some(OnNewColumn::Follow),
            &new_columns,
        )?,
        on_partition_switch: choice(
            "sync.on_partition_switch",
            raw.on_partition_switch.as_ref(),
            Some(OnPartitionSwitch::Fail),
            &switches,
        )?,
        on_row_filter: choice("sync.on_row_filter", raw.on_row_filter.as_ref(), Some(OnRowFilter::Fail), &filters)?,
        max_window: duration("sync.max_window", raw.max_window.as_ref(), Some(Duration::from_hours(6)))?
            .unwrap_or_default(),
        parallel: usize::try_from(parallel).unwrap_or(1),
    })
}

pub(super) fn existing_rows(key: &str, value: Option<&String>) -> Result<Option<OnExistingRows>> {
    let policies = [("fail", OnExistingRows::Fail), ("replace", OnExistingRows::Replace)];
    value.map(|_| choice(key, value, None, &policies)).transpose()
}

/// What is said of losses, in the order in which it is written down.
fn values(section: &str, raw: &raw::Values) -> Result<Vec<(Loss, bool)>> {
    let written = |loss| match loss {
        Loss::Digits => &raw.digits,
        Loss::Offset => &raw.offset,
        Loss::Nul => &raw.nul,
        Loss::Surrogate => &raw.surrogate,
        Loss::Length => &raw.length,
        Loss::Range => &raw.range,
    };
    let mut said = Vec::new();
    for loss in Loss::ALL {
        let key = format!("{section}.{}", loss.name());
        if let Some(text) = written(loss) {
            said.push((loss, choice(&key, Some(text), None, &[("fail", false), (loss.remedy(), true)])?));
        }
    }
    Ok(said)
}

fn table(raw: &raw::Table) -> Result<TableOptions> {
    let name = required("table.name", raw.name.as_ref())?;
    Ok(TableOptions {
        name: Some(name.parse::<TableName>().map_err(|error| wrong(format!("table.name: {error}")))?),
        exclude_columns: list("table.exclude_columns", raw.exclude_columns.as_ref())?,
        columns: raw
            .columns
            .iter()
            .flatten()
            .map(|(column, text)| Ok((column.clone(), expand("table.columns", text)?)))
            .collect::<Result<_>>()?,
        values: raw
            .values
            .iter()
            .flatten()
            .map(|(column, raw)| Ok((column.clone(), values("table.values", raw)?)))
            .collect::<Result<_>>()?,
        extra: optional("table.extra", raw.extra.as_ref())?,
        on_existing_rows: existing_rows("table.on_existing_rows", raw.on_existing_rows.as_ref())?,
    })
}
