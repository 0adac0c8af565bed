//! What the bucket holds of a table at rest: the newest manifests of one generation, each applied, and nothing else.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::Value;

use super::Watermark;
use crate::support::bucket::Bucket;

/// How many applied batches keep their manifests.
const KEPT: u64 = 20;

/// What stands at a sequence.
#[derive(Default)]
struct Batch {
    manifest: Option<Value>,
    applied: Option<Value>,
}

/// What is wrong with a table's keys below its folder, facing its watermark.
pub async fn faults(
    bucket: &Bucket,
    folder: &str,
    keys: &[&str],
    watermark: &Watermark,
) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    let open = keys.iter().filter_map(|key| key.strip_suffix("/open.json")?.parse::<u64>().ok()).max();
    let Some(open) = open else { return Ok(vec!["no generation is open".to_owned()]) };
    let mut batches: BTreeMap<u64, Batch> = BTreeMap::new();
    for key in keys {
        let parts: Vec<_> = key.split('/').collect();
        let generation = parts[0].parse::<u64>().ok();
        match (generation, parts[1..].iter().map(|part| part.parse::<u64>().ok()).next().flatten(), parts.last()) {
            (Some(generation), ..) if generation != open => {
                faults.push(format!("object of generation {generation}, while {open} is open: {key}"));
            }
            (Some(_), None, Some(&"open.json")) => {}
            (Some(_), Some(sequence), Some(&("manifest.json" | "applied.json"))) => {
                let text = bucket.get(&format!("{folder}{key}")).await?;
                let json = serde_json::from_slice(&text).with_context(|| format!("{key} is not JSON"))?;
                let batch = batches.entry(sequence).or_default();
                let place = if key.ends_with("manifest.json") { &mut batch.manifest } else { &mut batch.applied };
                *place = Some(json);
            }
            (Some(_), Some(_), Some(file)) if file.contains(".csv") || file.ends_with(".copy.json") => {
                faults.push(format!("part left behind: {key}"));
            }
            _ => faults.push(format!("object that is nothing of the ledger: {key}")),
        }
    }
    faults.extend(chain(open, &batches, watermark));
    Ok(faults)
}

/// The chain of batches, from the oldest kept to the watermark.
fn chain(open: u64, batches: &BTreeMap<u64, Batch>, watermark: &Watermark) -> Vec<String> {
    let mut faults = Vec::new();
    let manifests: Vec<_> = batches.iter().filter_map(|(at, batch)| Some((*at, batch.manifest.as_ref()?))).collect();
    let Some((tail, newest)) = manifests.last() else {
        return vec![format!("generation {open} has no batch")];
    };
    if (watermark.generation, watermark.sequence) != (open, *tail) {
        faults
            .push(format!("the watermark is {}/{}, the tail {open}/{tail}", watermark.generation, watermark.sequence));
    } else if newest["window"]["to"] != *watermark.position || newest["attempt"] != *watermark.attempt {
        faults.push(format!("the watermark {watermark:?} is not of the tail's manifest {newest}"));
    }
    let oldest = manifests[0].0;
    if oldest != tail.saturating_sub(KEPT - 1).max(1) {
        faults.push(format!("the oldest manifest kept is {oldest}, the newest {tail}"));
    }
    for pair in manifests.windows(2) {
        let ((before, left), (after, right)) = (pair[0], pair[1]);
        if after != before + 1 {
            faults.push(format!("gap: batch {after} follows {before}"));
        } else if left["window"]["to"] != right["window"]["from"] {
            faults.push(format!("batch {after} does not begin where {before} ends"));
        }
    }
    for (at, batch) in batches {
        match (&batch.manifest, &batch.applied) {
            (Some(_), None) => faults.push(format!("batch {at} is not marked applied")),
            (None, _) => faults.push(format!("batch {at} has a mark and no manifest")),
            (Some(manifest), Some(applied)) if manifest["attempt"] != applied["attempt"] => {
                faults.push(format!("the mark of batch {at} names another attempt"));
            }
            _ => {}
        }
    }
    faults
}
