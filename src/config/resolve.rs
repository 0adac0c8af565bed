//! From the file as written to typed sections: the environment put in, defaults, and values checked.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

use super::raw::{self, Leaf, Scalar};
use super::{
    Bucket, Compression, Config, Encrypt, Engine, Login, Naming, OnGap, OnNewColumn, OnPartitionSwitch, OnRowFilter,
    Purge, SchemaMap, Source, Sync, TableOptions, Target, Tls,
};
use crate::error::{Error, Kind, Result};

fn wrong(message: String) -> Error {
    Error::new(Kind::Config, message)
}

/// Puts the environment into a text: `${NAME}` becomes the variable's value, `$${` a literal `${`.
fn expand(key: &str, text: &str) -> Result<String> {
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

fn optional(key: &str, value: Option<&String>) -> Result<Option<String>> {
    value.map(|text| expand(key, text)).transpose()
}

fn required(key: &str, value: Option<&String>) -> Result<String> {
    match optional(key, value)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(wrong(format!("{key} is missing")).advice("con_defs.example.toml shows every key")),
    }
}

fn scalar<T: Leaf + Copy>(key: &str, value: Option<&Scalar<T>>, default: T) -> Result<T> {
    match value {
        None => Ok(default),
        Some(Scalar::Value(value)) => Ok(*value),
        Some(Scalar::Text(text)) => {
            let text = expand(key, text)?;
            T::from_text(&text).ok_or_else(|| wrong(format!("{key} = '{text}': expected {}", T::EXPECTED)))
        }
    }
}

fn choice<T: Copy>(key: &str, value: Option<&String>, default: Option<T>, choices: &[(&str, T)]) -> Result<T> {
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
fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
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

fn duration(key: &str, value: Option<&String>, default: Option<Duration>) -> Result<Option<Duration>> {
    let Some(text) = optional(key, value)? else { return Ok(default) };
    let duration = parse_duration(&text).filter(|duration| !duration.is_zero()).ok_or_else(|| {
        wrong(format!("{key} = '{text}': expected a whole number above 0 and ms, s, m, h or d, such as \"30s\""))
    })?;
    Ok(Some(duration))
}

fn list(key: &str, value: Option<&Vec<String>>) -> Result<Vec<String>> {
    value.into_iter().flatten().map(|text| expand(key, text)).collect()
}

fn port(key: &str, value: Option<&Scalar<u64>>, default: u16) -> Result<u16> {
    let number = scalar(key, value, u64::from(default))?;
    number
        .try_into()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| wrong(format!("{key} = {number}: expected 1 to 65535")))
}

fn password(key: &str, value: Option<&raw::Password>) -> Result<SecretString> {
    Ok(required(key, value.map(|password| &password.0))?.into())
}

pub fn config(raw: raw::File) -> Result<Config> {
    let sync = sync(&raw.sync)?;
    let tables = raw.table.iter().map(table).collect::<Result<_>>()?;
    Ok(Config { sync, tables, raw })
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

pub fn patterns(raw: &raw::Source) -> Result<(Vec<String>, Vec<String>)> {
    let include = list("source.include", raw.include.as_ref())?;
    if include.is_empty() {
        return Err(wrong("source.include is missing or empty".to_owned())
            .advice("Name the tables to sync, such as include = [\"Sales.*\"], or [\"*\"] for all"));
    }
    Ok((include, list("source.exclude", raw.exclude.as_ref())?))
}

pub fn source(raw: &raw::Source) -> Result<Source> {
    choice("source.engine", raw.engine.as_ref(), None, &[("sqlserver", ())])?;
    let (include, exclude) = patterns(raw)?;
    let admin = match &raw.admin {
        None => None,
        Some(admin) => Some(Login {
            user: required("source.admin.user", admin.user.as_ref())?,
            password: password("source.admin.password", admin.password.as_ref())?,
        }),
    };
    let encrypts = [("required", Encrypt::Required), ("login", Encrypt::Login), ("off", Encrypt::Off)];
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let retries = scalar("source.retries", raw.retries.as_ref(), 4)?;
    if retries > 20 {
        return Err(wrong(format!("source.retries = {retries}: expected 0 to 20")));
    }
    Ok(Source {
        host: required("source.host", raw.host.as_ref())?,
        port: port("source.port", raw.port.as_ref(), 1433)?,
        instance: optional("source.instance", raw.instance.as_ref())?,
        database: required("source.database", raw.database.as_ref())?,
        login: Login {
            user: required("source.user", raw.user.as_ref())?,
            password: password("source.password", raw.password.as_ref())?,
        },
        admin,
        encrypt: choice("source.encrypt", raw.encrypt.as_ref(), Some(Encrypt::Required), &encrypts)?,
        trust_server_certificate: scalar(
            "source.trust_server_certificate",
            raw.trust_server_certificate.as_ref(),
            false,
        )?,
        ca_file: optional("source.ca_file", raw.ca_file.as_ref())?.map(PathBuf::from),
        read_only_replica: scalar("source.read_only_replica", raw.read_only_replica.as_ref(), false)?,
        connect_timeout: duration("source.connect_timeout", raw.connect_timeout.as_ref(), seconds(15))?
            .unwrap_or_default(),
        statement_timeout: duration("source.statement_timeout", raw.statement_timeout.as_ref(), seconds(600))?
            .unwrap_or_default(),
        retries: u32::try_from(retries).unwrap_or_default(),
        retry_wait: duration("source.retry_wait", raw.retry_wait.as_ref(), seconds(5))?.unwrap_or_default(),
        retention: duration("source.retention", raw.retention.as_ref(), None)?,
        include,
        exclude,
        enable_cdc: scalar("source.enable_cdc", raw.enable_cdc.as_ref(), true)?,
    })
}

pub fn bucket(raw: &raw::Bucket) -> Result<Bucket> {
    let compressions = [("zstd", Compression::Zstd), ("gzip", Compression::Gzip), ("none", Compression::None)];
    let size = optional("bucket.part_size", raw.part_size.as_ref())?.unwrap_or_else(|| "64MiB".to_owned());
    let units = [
        ("", 1),
        ("B", 1),
        ("KB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
    ];
    // 48 GB: a multipart upload's 10,000 pieces of 5 MiB.
    let part_size = quantity(size.trim(), &units)
        .filter(|size| (1..=48_000_000_000).contains(size))
        .ok_or_else(|| wrong(format!("bucket.part_size = '{size}': expected 1B to 48GB, such as \"64MiB\"")))?;
    Ok(Bucket {
        name: required("bucket.name", raw.name.as_ref())?,
        prefix: optional("bucket.prefix", raw.prefix.as_ref())?.unwrap_or_default().trim_matches('/').to_owned(),
        region: optional("bucket.region", raw.region.as_ref())?,
        compression: choice("bucket.compression", raw.compression.as_ref(), Some(Compression::Zstd), &compressions)?,
        part_size,
        endpoint: optional("bucket.endpoint", raw.endpoint.as_ref())?,
        path_style: scalar("bucket.path_style", raw.path_style.as_ref(), false)?,
        request_timeout: duration(
            "bucket.request_timeout",
            raw.request_timeout.as_ref(),
            Some(Duration::from_mins(1)),
        )?
        .unwrap_or_default(),
    })
}

fn engine(raw: &raw::Target) -> Result<Engine> {
    choice("target.engine", raw.engine.as_ref(), None, &[("postgres", Engine::Postgres)])
}

pub fn naming(raw: &raw::Target) -> Result<Naming> {
    let schemas = match (optional("target.schema", raw.schema.as_ref())?, &raw.schema_map) {
        (Some(_), Some(_)) => {
            return Err(wrong("target.schema and target.schema_map are both set".to_owned()).advice("Keep one of them"));
        }
        (Some(schema), None) => SchemaMap::One(schema),
        (None, Some(map)) => {
            let expand =
                |(source, target): (&String, &String)| Ok((source.clone(), expand("target.schema_map", target)?));
            SchemaMap::Map(map.iter().map(expand).collect::<Result<_>>()?)
        }
        (None, None) => SchemaMap::Lower,
    };
    Ok(Naming { engine: engine(raw)?, schemas })
}

pub fn target(raw: &raw::Target) -> Result<Target> {
    let tls = [("disable", Tls::Disable), ("require", Tls::Require), ("verify-full", Tls::VerifyFull)];
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    Ok(Target {
        engine: engine(raw)?,
        host: required("target.host", raw.host.as_ref())?,
        port: port("target.port", raw.port.as_ref(), 5432)?,
        database: required("target.database", raw.database.as_ref())?,
        login: Login {
            user: required("target.user", raw.user.as_ref())?,
            password: password("target.password", raw.password.as_ref())?,
        },
        tls: choice("target.tls", raw.tls.as_ref(), Some(Tls::VerifyFull), &tls)?,
        ca_file: optional("target.ca_file", raw.ca_file.as_ref())?.map(PathBuf::from),
        connect_timeout: duration("target.connect_timeout", raw.connect_timeout.as_ref(), seconds(15))?
            .unwrap_or_default(),
        lock_timeout: duration("target.lock_timeout", raw.lock_timeout.as_ref(), seconds(300))?.unwrap_or_default(),
    })
}

fn table(raw: &raw::Table) -> Result<TableOptions> {
    Ok(TableOptions {
        name: required("table.name", raw.name.as_ref())?,
        exclude_columns: list("table.exclude_columns", raw.exclude_columns.as_ref())?,
        columns: raw
            .columns
            .iter()
            .flatten()
            .map(|(column, text)| Ok((column.clone(), expand("table.columns", text)?)))
            .collect::<Result<_>>()?,
        extra: optional("table.extra", raw.extra.as_ref())?,
    })
}
