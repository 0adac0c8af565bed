//! `[bucket]`: the S3 bucket between source and target.

use std::path::PathBuf;
use std::time::Duration;

use super::raw;
use super::resolve::{choice, duration, optional, quantity, required, scalar, wrong};
use crate::error::Result;

/// `[bucket]`.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Name.
    pub name: String,
    /// Prefix of all keys, without slashes at its ends.
    pub prefix: String,
    /// Region.
    pub region: Option<String>,
    /// Compression of parts.
    pub compression: Compression,
    /// Size at which a part ends, in bytes after compression.
    pub part_size: u64,
    /// Endpoint of an S3-compatible server.
    pub endpoint: Option<String>,
    /// Bucket in the path, not in the host name.
    pub path_style: bool,
    /// File of certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Profile of `~/.aws/config`.
    pub profile: Option<String>,
    /// Role to take on.
    pub role: Option<Role>,
    /// Encryption at rest that is asked for.
    pub encryption: Encryption,
    /// Longest time from a request, its upload included, to the answer.
    pub request_timeout: Duration,
}

/// A role that the credentials may take on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// ARN.
    pub arn: String,
    /// What the role's owner demands to be told.
    pub external_id: Option<String>,
}

/// Encryption at rest that each write asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// None in particular: the bucket's own default.
    Default,
    /// By keys of S3's own.
    Aes256,
    /// By a key of KMS; the account's own for S3 if none is named.
    Kms(Option<String>),
}

/// Compression of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Zstandard.
    Zstd,
    /// gzip.
    Gzip,
    /// Plain.
    None,
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
    let endpoint = optional("bucket.endpoint", raw.endpoint.as_ref())?;
    let ca_file = optional("bucket.ca_file", raw.ca_file.as_ref())?.map(PathBuf::from);
    match &endpoint {
        Some(endpoint) if !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme)) => {
            return Err(wrong(format!("bucket.endpoint = '{endpoint}': expected http:// or https:// and a host")));
        }
        Some(endpoint) if ca_file.is_some() && endpoint.starts_with("http://") => {
            return Err(wrong(
                "bucket.ca_file is set, and bucket.endpoint begins with http://: nothing is verified".to_owned(),
            )
            .advice("Write https:// if the server speaks TLS, else leave ca_file out"));
        }
        _ => {}
    }
    Ok(Bucket {
        name: required("bucket.name", raw.name.as_ref())?,
        prefix: prefix(raw)?,
        region: optional("bucket.region", raw.region.as_ref())?,
        compression: choice("bucket.compression", raw.compression.as_ref(), Some(Compression::Zstd), &compressions)?,
        part_size,
        endpoint,
        path_style: scalar("bucket.path_style", raw.path_style.as_ref(), false)?,
        ca_file,
        profile: optional("bucket.profile", raw.profile.as_ref())?,
        role: role(raw)?,
        encryption: encryption(raw)?,
        request_timeout: duration(
            "bucket.request_timeout",
            raw.request_timeout.as_ref(),
            Some(Duration::from_mins(1)),
        )?
        .unwrap_or_default(),
    })
}

fn role(raw: &raw::Bucket) -> Result<Option<Role>> {
    let external_id = optional("bucket.external_id", raw.external_id.as_ref())?;
    match optional("bucket.role_arn", raw.role_arn.as_ref())? {
        Some(arn) => Ok(Some(Role { arn, external_id })),
        None if external_id.is_some() => Err(wrong("bucket.external_id is set, and bucket.role_arn is not".to_owned())
            .advice("Name the role to take on, or leave external_id out")),
        None => Ok(None),
    }
}

fn encryption(raw: &raw::Bucket) -> Result<Encryption> {
    let key = optional("bucket.kms_key", raw.kms_key.as_ref())?;
    let choices = [("none", 0), ("AES256", 1), ("aws:kms", 2)];
    match (choice("bucket.encryption", raw.encryption.as_ref(), Some(0), &choices)?, key) {
        (2, key) => Ok(Encryption::Kms(key)),
        (_, Some(_)) => Err(wrong("bucket.kms_key is set, and bucket.encryption is not \"aws:kms\"".to_owned())
            .advice("Set bucket.encryption = \"aws:kms\", or leave kms_key out")),
        (1, None) => Ok(Encryption::Aes256),
        _ => Ok(Encryption::Default),
    }
}

/// Without slashes at its ends, and of names that every store keeps as they are.
fn prefix(raw: &raw::Bucket) -> Result<String> {
    let prefix = optional("bucket.prefix", raw.prefix.as_ref())?.unwrap_or_default().trim_matches('/').to_owned();
    let is_wrong = |segment: &str| matches!(segment, "" | "." | "..") || segment.len() > 255;
    if prefix.contains(crate::table::is_unprintable) || (!prefix.is_empty() && prefix.split('/').any(is_wrong)) {
        return Err(wrong("bucket.prefix: expected segments of 1 to 255 bytes between slashes, none of them . or .., without control characters".to_owned()));
    }
    Ok(prefix)
}
