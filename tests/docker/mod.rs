//! `docker/` without a container engine: what its files say of each other, and the way that its README leads, walked on the
//! stand-ins with the same SQL, the same scripts and the same configuration.

mod compose;
mod images;
mod journey;
mod kubernetes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

/// Where a file of `docker/` is.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docker").join(name)
}

/// A file of `docker/`.
fn read(name: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(path(name)).with_context(|| name.to_owned())
}

/// The documents of a YAML file, their `<<` merged.
fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let document = |document| {
        let mut value = serde_yaml_ng::Value::deserialize(document)?;
        value.apply_merge()?;
        Ok(serde_json::to_value(value)?)
    };
    serde_yaml_ng::Deserializer::from_str(text).map(document).collect()
}

/// An object's entries; none of what is no object.
fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// A list's items as texts.
fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What `.env.example` sets.
fn variables() -> anyhow::Result<BTreeMap<String, String>> {
    let text = read(".env.example")?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    lines.map(|line| pair(line).with_context(|| line.to_owned())).collect()
}

/// The names that a text takes from the environment, as `${NAME}` or `${NAME:?…}`; `$$` is the container's own.
fn taken(text: &str) -> BTreeSet<String> {
    let text = text.replace("$$", "");
    let begins = text.split("${").skip(1);
    begins.map(|rest| rest.split(['}', ':']).next().unwrap_or_default().to_owned()).collect()
}
