//! What the ledger's objects say: refused with their key, or read back as themselves from what is written of them.

use std::collections::HashSet;
use std::sync::LazyLock;

use delsert::config::Config;
use delsert::error::{Error, Kind};
use delsert::ledger::AppliedMark;
use delsert::manifest::{FORMAT, Manifest, Opening};
use delsert::table::Table;
use delsert::target::delsert::{self as sql, NameRules, Objects};
use serde_json::Value;

/// Where a manifest stands that does not say where.
const KEY: &str = "delsert/shop/Sales.Orders/0000000001/0000000002/manifest.json";

pub fn promises(input: &[u8]) {
    let claimed = serde_json::from_slice::<Value>(input).unwrap_or_default();
    let number = |name: &str, other| claimed[name].as_u64().unwrap_or(other);
    let (generation, sequence) = (number("generation", 1), number("sequence", 2));
    let beside = claimed["parts"][0]["key"].as_str().and_then(|key| Some(key.rsplit_once('/')?.0));
    let key = beside.map_or(KEY.to_owned(), |folder| format!("{folder}/manifest.json"));

    match Manifest::read(input, &key, generation, sequence) {
        Err(error) => is_told(&error, &key),
        Ok(manifest) => {
            is_sound(&manifest);
            for written in [serde_json::to_vec(&manifest), serde_json::to_vec_pretty(&manifest)] {
                let again = Manifest::read(&written.unwrap(), &key, generation, sequence);
                assert_eq!(again.unwrap(), manifest, "what is written of it reads as another");
            }
            for (generation, sequence) in [(generation ^ 1, sequence), (generation, sequence ^ 1)] {
                assert!(Manifest::read(input, &key, generation, sequence).is_err(), "read from another's place");
            }
        }
    }
    match Opening::read(input, &key, generation) {
        Err(error) => is_told(&error, &key),
        Ok(opening) => {
            assert_eq!(opening.format, FORMAT);
            assert!(!opening.table.key.is_empty() && opening.table.key_indexes().len() == opening.table.key.len());
            let written = serde_json::to_vec(&opening).unwrap();
            assert_eq!(Opening::read(&written, &key, generation).unwrap(), opening, "reads as another");
            assert!(Opening::read(input, &key, generation ^ 1).is_err(), "read from another's place");
        }
    }
    if let Ok(mark) = serde_json::from_slice::<AppliedMark>(input) {
        let written = serde_json::to_string(&mark).unwrap();
        let again: AppliedMark = serde_json::from_str(&written).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), written, "reads as another");
    }
}

fn is_told(error: &Error, key: &str) {
    assert_eq!(error.kind(), Kind::LedgerUnreadable);
    assert!(error.to_string().contains(key), "does not name the object: {error}");
}

fn is_sound(manifest: &Manifest) {
    assert_eq!(manifest.format, FORMAT);
    let rows = manifest.parts.iter().map(|part| u128::from(part.rows)).sum::<u128>();
    assert_eq!(rows, u128::from(manifest.upserts) + u128::from(manifest.deletes), "rows are counted wrong");
    assert!(!manifest.table.key.is_empty() && manifest.table.key_indexes().len() == manifest.table.key.len());
    assert!(manifest.window.from.as_ref().is_none_or(|from| *from <= manifest.window.to));
    assert_eq!(manifest.source.difference(&manifest.source), None);
    has_its_place(&manifest.table);
}

/// A table that is accepted has a place in the target, or its columns' names clash there.
fn has_its_place(table: &Table) {
    static CONFIG: LazyLock<Config> =
        LazyLock::new(|| Config::parse("[sync]\nname = \"shop\"\n[target]\nengine = \"postgres\"").unwrap());
    let rules = NameRules { limit: 63, folds: false, reserved: &["ctid"], reserved_schemas: &["pg_"] };
    let place = match sql::place(&CONFIG, table, rules) {
        Ok(place) => place,
        Err(error) => return assert_eq!(error.kind(), Kind::NameClash, "{error}"),
    };
    let names: HashSet<_> = place.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names.len(), table.columns.len(), "two columns of one name");
    let Objects { staging_name, mark_name, .. } = Objects::of(&place, rules.limit);
    for name in names.into_iter().chain([staging_name.as_str(), &mark_name, &place.name, &place.schema]) {
        assert!(name.len() <= rules.limit, "a name that the server cuts: {name}");
    }
    assert!(place.columns.iter().all(|column| !column.sql_type.is_empty()));
}
