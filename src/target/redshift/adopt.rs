//! A table that was there before: adopted, or refused with all that differs and what mends each.

use super::shape::{Relation, holds, wanted};
use crate::finding::{Finding, Matter, Place};
use crate::target::TargetTable;
use crate::target::delsert::quote;
use crate::target::refusal::Difference;

/// What no column added and no batch mends, whether a batch was loaded or not.
pub fn hindrances(relation: &Relation) -> Vec<Difference> {
    if relation.kind == "r" {
        return Vec::new();
    }
    vec![Difference::new("what is there is no table".to_owned())]
}

/// What of a table that no batch was loaded into cannot be mended by adding columns. Redshift drops no NOT NULL, and
/// alters no type but the size of a VARCHAR ("ALTER TABLE").
pub fn differences(relation: &Relation, table: &TargetTable, name: &str) -> Vec<Difference> {
    let mut found = hindrances(relation);
    if !found.is_empty() {
        return found;
    }
    for (at, column) in table.columns.iter().enumerate() {
        let is_key = table.key.contains(&at);
        let shown = &column.name;
        let Some(present) = relation.column(shown) else {
            if is_key {
                let mend = format!("ALTER TABLE {name} ADD COLUMN {} {}", quote(shown), column.sql_type);
                found.push(Difference::mended(format!("key column '{shown}' is missing"), mend));
            }
            continue;
        };
        if present.is_identity() {
            found.push(Difference::new(format!("column '{shown}' numbers itself and cannot be written")));
        } else if !holds(present.shape(), wanted(column)) {
            let what = format!("column '{shown}' is {}, not {}", present.type_name, column.sql_type);
            let mend =
                format!("ALTER TABLE {name} RENAME COLUMN {} TO {}", quote(shown), quote(&format!("{shown}_old")));
            found.push(Difference::mended(what, mend));
        } else if present.required && column.nullable && !is_key {
            found.push(Difference::new(format!(
                "column '{shown}' is NOT NULL, but the source allows NULL, and that cannot be dropped from a column"
            )));
        }
    }
    let is_ours = |name: &String| table.columns.iter().any(|column| column.name == *name);
    for present in &relation.columns {
        if present.required && present.filled.is_none() && !is_ours(&present.name) {
            let what = format!("column '{}' is NOT NULL without a default, but not the source's", present.name);
            let mend = format!("ALTER TABLE {name} DROP COLUMN {}", quote(&present.name));
            found.push(Difference::mended(what, mend));
        }
    }
    found
}

/// What a person should know of a table that is adopted.
pub fn findings(relation: &Relation, table: &TargetTable, name: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let is_ours = |name: &String| table.columns.iter().any(|column| column.name == *name);
    let own: Vec<_> = relation.columns.iter().filter(|present| !is_ours(&present.name)).collect();
    if !own.is_empty() {
        let own: Vec<_> = own.iter().map(|present| format!("'{}'", present.name)).collect();
        let message = format!(
            "{name} has columns of its own ({}): a row that changes is deleted and inserted again, and they then hold their default, or NULL, in it",
            own.join(", ")
        );
        found.push(Finding::new(Matter::OwnColumn, message));
    }
    for key in &relation.keyed {
        let message = format!(
            "{name} declares {key}, which Amazon Redshift does not enforce and its planner trusts: should keys ever be doubled by other hands, queries give wrong results"
        );
        let statement = format!("ALTER TABLE {name} DROP CONSTRAINT {}", quote(key));
        found.push(Finding::new(Matter::Attached, message).mend(Place::Target, statement));
    }
    found
}
