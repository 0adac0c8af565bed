//! Which tables go to one table of the target, of which the watermark can follow only one.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Config, literal};
use crate::error::{Error, Kind, Result};
use crate::finding::Place;
use crate::table::{Table, TableName};
use crate::target::{Target, TargetTable};

/// Tables that go to one table of the target.
pub struct SharedPlace {
    /// The place, without columns.
    pub place: TargetTable,
    /// The tables, two at least.
    pub names: Vec<TableName>,
}

/// The places to which more than one of these tables goes. Columns play no part: tables are named that cannot go on for
/// reasons of their own, since the target may hold rows of theirs.
pub fn shared<'a, T: Target>(config: &Config, names: impl IntoIterator<Item = &'a TableName>) -> Vec<SharedPlace> {
    let mut places: BTreeMap<(String, String), SharedPlace> = BTreeMap::new();
    for name in names {
        let bare = Table { name: name.clone(), key: Vec::new(), columns: Vec::new() };
        // One without a place is told where it is placed with its columns.
        let Ok(place) = T::place(config, &bare) else { continue };
        let at = (place.schema.clone(), place.name.clone());
        places.entry(at).or_insert_with(|| SharedPlace { place, names: Vec::new() }).names.push(name.clone());
    }
    places.into_values().filter(|shared| shared.names.len() > 1).collect()
}

/// Each of these tables that falls together with another in the target, with the error that says so.
///
/// # Errors
/// The configuration's.
pub fn clashes<'a, T: Target>(
    config: &Config,
    names: impl IntoIterator<Item = &'a TableName>,
) -> Result<BTreeMap<TableName, Error>> {
    let mut clashes = BTreeMap::new();
    for shared in shared::<T>(config, names) {
        let error = shared.error(config)?;
        clashes.extend(shared.names.iter().map(|name| (name.clone(), error.again())));
    }
    Ok(clashes)
}

impl SharedPlace {
    /// Whether their names differ by case alone, so that they may be one table, made again under another spelling.
    pub fn may_be_one(&self) -> bool {
        self.names.windows(2).all(|pair| pair[0].is_same_but_for_case(&pair[1]))
    }

    /// That they fall together.
    ///
    /// # Errors
    /// The configuration's.
    pub fn error(&self, config: &Config) -> Result<Error> {
        let told: Vec<_> = self.names.iter().map(ToString::to_string).collect();
        let (schema, table) = (&self.place.schema, &self.place.name);
        let message = format!("{} all go to the target table {schema}.{table}", told.join(" and "));
        let lines = config.excluding(&self.names[1..])?;
        Ok(Error::new(Kind::NameClash, message).advice(apart(&self.names)).mend(Place::Config, lines))
    }
}

/// How tables are kept apart that fall together.
fn apart(names: &[TableName]) -> String {
    let excluded = names.iter().map(|name| format!("exclude = [{}]", literal(&name.to_string())));
    let exclude = format!("leave out all but one: {}", excluded.collect::<Vec<_>>().join(" or "));
    let schemas: BTreeSet<_> = names.iter().map(|name| &name.schema).collect();
    if schemas.len() < names.len() {
        return format!("Rename one at the source, or {exclude}");
    }
    let map = schemas.iter().enumerate().map(|(at, schema)| format!("{} = \"schema{}\"", literal(schema), at + 1));
    let map = map.collect::<Vec<_>>().join(", ");
    format!("Send them to different schemas: schema_map = {{ {map} }} in place of target.schema; or {exclude}")
}
