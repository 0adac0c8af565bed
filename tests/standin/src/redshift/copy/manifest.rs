//! Manifests: JSON that names files.

use serde::Deserialize;

use crate::redshift::error::SqlError;

/// One file.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub struct Entry {
    /// `s3://bucket/key`.
    pub url: String,
    /// An optional file may be missing.
    #[serde(default)]
    pub mandatory: bool,
}

#[derive(Deserialize)]
struct Manifest {
    entries: Vec<Entry>,
}

/// Reads a manifest.
pub fn parse(text: &[u8]) -> Result<Vec<Entry>, SqlError> {
    let wrong = |_| SqlError::new("XX000", "Manifest file is not in correct json format").with_detail("code: 8001");
    let manifest: Manifest = serde_json::from_slice(text).map_err(wrong)?;
    if manifest.entries.is_empty() {
        return Err(SqlError::new("XX000", "Manifest file has no entries").with_detail("code: 8001"));
    }
    Ok(manifest.entries)
}

/// Bucket and key of a file.
pub fn place(url: &str) -> Result<(String, String), SqlError> {
    let place = url.strip_prefix("s3://").and_then(|place| place.split_once('/'));
    let wrong = || SqlError::new("XX000", format!("Invalid S3 URL in the manifest: {url}")).with_detail("code: 8001");
    let (bucket, key) = place.filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty()).ok_or_else(wrong)?;
    Ok((bucket.to_owned(), key.to_owned()))
}
