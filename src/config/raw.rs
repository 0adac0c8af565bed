//! The file as written: every leaf optional and possibly holding `${NAME}`, unknown keys refused.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    #[serde(default)]
    pub sync: Sync,
    #[serde(default)]
    pub source: Source,
    #[serde(default)]
    pub bucket: Bucket,
    #[serde(default)]
    pub target: Target,
    #[serde(default)]
    pub values: Values,
    #[serde(default)]
    pub table: Vec<Table>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    pub name: Option<String>,
    pub purge: Option<String>,
    pub purge_shared: Option<Scalar<bool>>,
    pub on_gap: Option<String>,
    pub on_new_column: Option<String>,
    pub on_partition_switch: Option<String>,
    pub on_row_filter: Option<String>,
    pub max_window: Option<String>,
    pub parallel: Option<Scalar<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub engine: Option<String>,
    pub host: Option<String>,
    pub port: Option<Scalar<u64>>,
    pub instance: Option<String>,
    pub database: Option<String>,
    pub user: Option<String>,
    pub password: Option<Password>,
    pub token_file: Option<String>,
    pub token_command: Option<Command>,
    pub encrypt: Option<String>,
    pub trust_server_certificate: Option<Scalar<bool>>,
    pub ca_file: Option<String>,
    pub read_only_replica: Option<Scalar<bool>>,
    pub connect_timeout: Option<String>,
    pub statement_timeout: Option<String>,
    pub retries: Option<Scalar<u64>>,
    pub retry_wait: Option<String>,
    pub retention: Option<String>,
    pub include: Option<Vec<String>>,
    pub exclude: Option<Vec<String>>,
    pub enable_cdc: Option<Scalar<bool>>,
    pub admin: Option<Admin>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    pub user: Option<String>,
    pub password: Option<Password>,
    pub token_file: Option<String>,
    pub token_command: Option<Command>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    pub name: Option<String>,
    pub prefix: Option<String>,
    pub region: Option<String>,
    pub compression: Option<String>,
    pub part_size: Option<String>,
    pub request_timeout: Option<String>,
    pub endpoint: Option<String>,
    pub path_style: Option<Scalar<bool>>,
    pub ca_file: Option<String>,
    pub profile: Option<String>,
    pub role_arn: Option<String>,
    pub external_id: Option<String>,
    pub encryption: Option<String>,
    pub kms_key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub engine: Option<String>,
    pub host: Option<String>,
    pub port: Option<Scalar<u64>>,
    pub database: Option<String>,
    pub user: Option<String>,
    pub password: Option<Password>,
    pub tls: Option<String>,
    pub ca_file: Option<String>,
    pub connect_timeout: Option<String>,
    pub lock_timeout: Option<String>,
    pub schema: Option<String>,
    pub schema_map: Option<BTreeMap<String, String>>,
    pub on_existing_rows: Option<String>,
    pub iam_role: Option<String>,
    pub grant_select_to: Option<Vec<String>>,
    pub vacuum: Option<Scalar<bool>>,
    pub log_values: Option<Scalar<bool>>,
    pub slices: Option<Scalar<u64>>,
    pub auth: Option<String>,
    pub cluster: Option<String>,
    pub workgroup: Option<String>,
    pub region: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    pub name: Option<String>,
    pub exclude_columns: Option<Vec<String>>,
    pub columns: Option<BTreeMap<String, String>>,
    pub values: Option<BTreeMap<String, Values>>,
    pub extra: Option<String>,
    pub on_existing_rows: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    pub digits: Option<String>,
    pub offset: Option<String>,
    pub nul: Option<String>,
    pub surrogate: Option<String>,
    pub length: Option<String>,
    pub range: Option<String>,
}

/// A password as written, most often `${NAME}`: cannot print itself.
pub struct Password(pub String);

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not the deserializer's own error: it would quote the value.
        match toml::Value::deserialize(deserializer) {
            Ok(toml::Value::String(text)) => Ok(Self(text)),
            _ => Err(serde::de::Error::custom("a password must be a text in quotes, such as \"${NAME}\"")),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A command as written, word by word, of which any may be a secret: cannot print itself.
pub struct Command(pub Vec<String>);

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not the deserializer's own error: it would quote the value.
        let refused = || serde::de::Error::custom("a command must be a list of texts, such as [\"az\", \"account\"]");
        let Ok(toml::Value::Array(words)) = toml::Value::deserialize(deserializer) else { return Err(refused()) };
        let words = words.into_iter().map(|word| match word {
            toml::Value::String(text) => Ok(text),
            _ => Err(refused()),
        });
        words.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Command(…)")
    }
}

/// A number or a boolean, or a text that the environment makes one.
#[derive(Debug)]
pub enum Scalar<T> {
    Value(T),
    Text(String),
}

/// What a [`Scalar`] can hold.
pub trait Leaf: Sized {
    const EXPECTED: &'static str;
    fn from_bool(value: bool) -> Option<Self>;
    fn from_integer(value: i64) -> Option<Self>;
    fn from_text(text: &str) -> Option<Self>;
}

impl Leaf for bool {
    const EXPECTED: &'static str = "true or false";
    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
    fn from_integer(_: i64) -> Option<Self> {
        None
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Leaf for u64 {
    const EXPECTED: &'static str = "a whole number from 0";
    fn from_bool(_: bool) -> Option<Self> {
        None
    }
    fn from_integer(value: i64) -> Option<Self> {
        value.try_into().ok()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl<'de, T: Leaf> Deserialize<'de> for Scalar<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor<T>(std::marker::PhantomData<T>);

        impl<T: Leaf> Visitor<'_> for ScalarVisitor<T> {
            type Value = Scalar<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}, or \"${{NAME}}\"", T::EXPECTED)
            }

            fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
                T::from_bool(value)
                    .map(Scalar::Value)
                    .ok_or_else(|| E::invalid_type(serde::de::Unexpected::Bool(value), &self))
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
                T::from_integer(value)
                    .map(Scalar::Value)
                    .ok_or_else(|| E::invalid_type(serde::de::Unexpected::Signed(value), &self))
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
                if value.contains("${") {
                    return Ok(Scalar::Text(value.to_owned()));
                }
                Err(E::invalid_type(serde::de::Unexpected::Str(value), &self))
            }
        }

        deserializer.deserialize_any(ScalarVisitor(std::marker::PhantomData))
    }
}
