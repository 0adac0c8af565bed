//! Relations that a client may name: its own, and those of the catalogue that Redshift has.

use crate::redshift::SCHEMA;
use crate::redshift::error::SqlError;
use crate::redshift::name::{Name, quoted};

/// Catalogue relations of both platforms, each a view of the stand-in's below.
const CATALOGUE: &[&str] = &[
    "pg_attrdef",
    "pg_attribute",
    "pg_class",
    "pg_class_info",
    "pg_constraint",
    "pg_database",
    "pg_depend",
    "pg_description",
    "pg_rewrite",
    "svv_column_privileges",
    "svv_relation_privileges",
    "svv_schema_privileges",
    "pg_group",
    "pg_namespace",
    "pg_table_def",
    "pg_tables",
    "pg_type",
    "pg_user",
    "pg_views",
    "svv_all_columns",
    "svv_all_schemas",
    "svv_all_tables",
    "svv_columns",
    "svv_redshift_columns",
    "svv_redshift_schemas",
    "svv_redshift_tables",
    "svv_table_info",
    "svv_tables",
    "sys_load_error_detail",
];
/// Those of a provisioned cluster only.
const PROVISIONED: &[&str] = &["stl_load_errors", "stl_loaderror_detail", "stv_db_isolation_level", "stv_slices"];
/// Views of the `information_schema`.
const INFORMATION: &[&str] = &["columns", "schemata", "tables", "views"];
/// What only a catalogue's relation may be called like.
const PREFIXES: &[&str] = &["pg_", "stl_", "stv_", "svl_", "svv_", "svcs_", "sys_"];

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relation {
    /// A table or view of a user's.
    User(Name),
    /// A relation of the catalogue: its name below.
    Catalogue(String),
    /// One that only a provisioned cluster has.
    Provisioned(String),
}

/// Tells what a name stands for.
pub fn resolve(name: &Name) -> Result<Relation, SqlError> {
    let of_catalogue = matches!(name.schema.as_deref(), None | Some("pg_catalog"));
    let below = |name: &str| format!("{SCHEMA}.{}", quoted(name));
    if name.schema.as_deref() == Some("information_schema") {
        let known = INFORMATION.contains(&name.name.as_str());
        let below = format!("{SCHEMA}_information.{}", quoted(&name.name));
        return known.then_some(Relation::Catalogue(below)).ok_or_else(|| SqlError::no_relation(&name.to_string()));
    }
    if of_catalogue && CATALOGUE.contains(&name.name.as_str()) {
        return Ok(Relation::Catalogue(below(&name.name)));
    }
    if of_catalogue && PROVISIONED.contains(&name.name.as_str()) {
        return Ok(Relation::Provisioned(below(&name.name)));
    }
    let reserved = PREFIXES.iter().any(|prefix| name.name.starts_with(prefix));
    if name.schema.as_deref() == Some("pg_catalog") || of_catalogue && reserved {
        return Err(SqlError::no_relation(&name.to_string()));
    }
    Ok(Relation::User(name.clone()))
}
