//! Delete, then insert, then move the watermark: the names and the SQL that engines share.
//!
//! Pure functions of a [`TargetTable`]. Values go in as parameters, never as text; every identifier is quoted.

use std::collections::{BTreeMap, HashMap};

use crate::config::{Config, SchemaMap, literal as literal_of_config};
use crate::digest;
use crate::error::{Error, Kind, Result};
use crate::manifest::BatchKind;
use crate::table::{Table, TableName, same_but_for_case};
use crate::target::{TargetColumn, TargetTable, types};

/// The schema of `delsert`'s own tables.
pub const SCHEMA: &str = "delsert";

/// The staging table's first column: `u` or `d`.
pub const OPERATION: &str = "delsert_operation";

/// A table's objects in the target, quoted and qualified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objects {
    /// The table that people read.
    pub production: String,
    /// Where parts are copied to.
    pub staging: String,
    /// The staging table's name alone, unquoted.
    pub staging_name: String,
    /// Lock and watermark.
    pub mark: String,
    /// The watermark table's name alone, unquoted.
    pub mark_name: String,
}

impl Objects {
    /// The objects of a table, in an engine whose names have at most `limit` bytes.
    ///
    /// Staging and watermark carry a hash of schema and table, since `a.b_c` and `a_b.c` would else be one.
    pub fn of(table: &TargetTable, limit: usize) -> Self {
        let hash = hash(&format!("{}\0{}", table.schema, table.name));
        let named = |prefix: &str| {
            let readable = format!("{prefix}_{}_{}", table.schema, table.name);
            format!("{}_{hash}", &readable[..readable.floor_char_boundary(limit - 1 - hash.len())])
        };
        let (staging_name, mark_name) = (named("stage"), named("mark"));
        Self {
            production: qualified(&table.schema, &table.name),
            staging: qualified(SCHEMA, &staging_name),
            mark: qualified(SCHEMA, &mark_name),
            staging_name,
            mark_name,
        }
    }
}

/// An identifier, quoted.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A schema's object, quoted.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote(schema), quote(name))
}

/// A text, quoted for the statements that take no parameters; the session has standard strings.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A table's columns, quoted, as a list.
pub fn column_list(table: &TargetTable) -> String {
    table.columns.iter().map(|column| quote(&column.name)).collect::<Vec<_>>().join(", ")
}

/// Rows in staging by operation.
pub fn count_operations(objects: &Objects) -> String {
    format!("SELECT {OPERATION}, count(*) FROM {} GROUP BY {OPERATION}", objects.staging)
}

/// A staged column as it is.
pub fn as_staged(_: &TargetColumn, staged: &str) -> String {
    staged.to_owned()
}

/// Deletes what a batch replaces: the keys in staging, or, before a snapshot, all rows. `read` gives the value that a
/// column's expression in staging stands for.
pub fn delete(
    table: &TargetTable,
    objects: &Objects,
    kind: BatchKind,
    read: impl Fn(&TargetColumn, &str) -> String,
) -> String {
    if kind == BatchKind::Snapshot {
        return format!("DELETE FROM {}", objects.production);
    }
    let (left, right) = (quote(&table.name), quote(&objects.staging_name));
    let equal = table.key.iter().map(|&at| {
        let column = quote(&table.columns[at].name);
        format!("{left}.{column} = {}", read(&table.columns[at], &format!("{right}.{column}")))
    });
    let equal = equal.collect::<Vec<_>>().join(" AND ");
    format!("DELETE FROM {} USING {} WHERE {equal}", objects.production, objects.staging)
}

/// Inserts the rows that staging upserts, read as by [`delete`].
pub fn insert(table: &TargetTable, objects: &Objects, read: impl Fn(&TargetColumn, &str) -> String) -> String {
    let columns = column_list(table);
    let values = table.columns.iter().map(|column| read(column, &quote(&column.name)));
    format!(
        "INSERT INTO {} ({columns}) SELECT {} FROM {} WHERE {OPERATION} = 'u'",
        objects.production,
        values.collect::<Vec<_>>().join(", "),
        objects.staging
    )
}

/// Reads the watermark: sync, generation, sequence, position, attempt, the last as text.
pub fn read_watermark(objects: &Objects) -> String {
    format!("SELECT sync, generation, sequence, position, CAST(attempt AS varchar(36)) FROM {}", objects.mark)
}

/// Moves the watermark, if it is still what was read. Parameters: generation, sequence, position, attempt; then sync,
/// generation and sequence as read. `now` is the engine's expression for the time.
pub fn move_watermark(objects: &Objects, now: &str) -> String {
    format!(
        "UPDATE {} SET generation = $1, sequence = $2, position = $3, attempt = $4, applied_at = {now} \
         WHERE sync = $5 AND generation = $6 AND sequence = $7",
        objects.mark
    )
}

/// What of an engine names depend on.
#[derive(Debug, Clone, Copy)]
pub struct NameRules {
    /// Bytes that a name may have.
    pub limit: usize,
    /// Whether the engine takes configured names, too, in lower case.
    pub folds: bool,
    /// Names that no column may have.
    pub reserved: &'static [&'static str],
    /// Schemas that are the server's own; one with an underscore at its end stands for all that begin so.
    pub reserved_schemas: &'static [&'static str],
}

/// Where a table goes: names in lower case and within the limit, types by the mapping and the configuration.
///
/// # Errors
/// [`Kind::NameClash`] when two columns fall on one name, or the target keeps a name for itself, [`Kind::Config`] for a
/// type that cannot be.
pub fn place(config: &Config, table: &Table, rules: NameRules) -> Result<TargetTable> {
    let naming = config.naming()?;
    let options = config.options(&table.name);
    let mut shortened = BTreeMap::new();
    let mut shorten = |source: &str, name: String| {
        let short = shorten(&name, rules.limit);
        if short != name {
            shortened.insert(source.to_owned(), short.clone());
        }
        short
    };
    let schema = shorten(&table.name.schema, schema(&naming.schemas, &table.name, rules)?);
    let types = types::resolve(naming.engine, table, &options.columns)?;
    let name = shorten(&table.name.name, table.name.name.to_lowercase());
    let names: Vec<_> = table.columns.iter().map(|column| shorten(&column.name, column.name.to_lowercase())).collect();
    check_columns(table, &names, rules)?;
    let columns = names.into_iter().zip(types).zip(&table.columns);
    let columns = columns.map(|((name, sql_type), column)| TargetColumn {
        name,
        sql_type,
        column_type: column.column_type,
        own_type: types::sql_type(naming.engine, column.column_type),
        nullable: column.nullable,
    });
    Ok(TargetTable {
        source_name: table.name.to_string(),
        sync: config.sync.name.clone(),
        schema,
        name,
        columns: columns.collect(),
        key: table.key_indexes(),
        extra: options.extra,
        on_existing_rows: options.on_existing_rows.unwrap_or(naming.on_existing_rows),
        shortened,
    })
}

/// The schema of a table at the target, however long.
fn schema(schemas: &SchemaMap, table: &TableName, rules: NameRules) -> Result<String> {
    let schema = match schemas {
        SchemaMap::Lower => table.schema.to_lowercase(),
        SchemaMap::One(schema) if rules.folds => schema.to_ascii_lowercase(),
        SchemaMap::One(schema) => schema.clone(),
        SchemaMap::Map(map) => {
            let named = map.get(&table.schema);
            let named =
                named.or_else(|| map.iter().find(|(name, _)| same_but_for_case(name, &table.schema)).map(|(_, to)| to));
            let named = named.cloned().unwrap_or_else(|| table.schema.to_lowercase());
            if rules.folds { named.to_ascii_lowercase() } else { named }
        }
    };
    let is_kept = |kept: &&str| schema == **kept || (kept.ends_with('_') && schema.starts_with(*kept));
    let kept = schema == SCHEMA || rules.reserved_schemas.iter().any(is_kept);
    if kept || schema.is_empty() || schema.contains('\0') {
        let message =
            format!("its target schema '{schema}' is one that cannot be, or is kept for the server or delsert");
        return Err(Error::new(Kind::NameClash, message).on(table).advice(format!(
            "Set target.schema, or give it another in target.schema_map: schema_map = {{ {} = \"<schema>\" }}",
            literal_of_config(&table.schema)
        )));
    }
    Ok(schema)
}

fn check_columns(table: &Table, names: &[String], rules: NameRules) -> Result<()> {
    let mut taken: HashMap<&str, &str> = HashMap::new();
    for (column, name) in table.columns.iter().zip(names) {
        let way_out = if table.key.contains(&column.name) {
            "It is of the key: rename it at the source, or leave the table out".to_owned()
        } else {
            let line = format!("exclude_columns = [{}]", literal_of_config(&column.name));
            format!("Rename it at the source, or leave it out in the table's [[table]] entry: {line}")
        };
        let clash = |what: String| Err(Error::new(Kind::NameClash, what).on(&table.name).advice(way_out));
        if name == OPERATION || rules.reserved.contains(&name.as_str()) {
            return clash(format!("column '{}' has a name that the target keeps for itself", column.name));
        }
        if let Some(other) = taken.insert(name, &column.name) {
            return clash(format!("columns '{other}' and '{}' are both '{name}' in the target", column.name));
        }
    }
    Ok(())
}

/// A name within the limit: one that is too long ends in a hash of all of it.
fn shorten(name: &str, limit: usize) -> String {
    if name.len() <= limit {
        return name.to_owned();
    }
    let hash = hash(name);
    format!("{}_{hash}", &name[..name.floor_char_boundary(limit - 1 - hash.len())])
}

fn hash(text: &str) -> String {
    digest::short(&[text], 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Column, ColumnType};

    const RULES: NameRules = NameRules { limit: 63, folds: false, reserved: &["ctid"], reserved_schemas: &["pg_"] };

    fn config(more: &str) -> Config {
        Config::parse(&format!("[sync]\nname = \"shop\"\n[source]\n[bucket]\n[target]\nengine = \"postgres\"\n{more}"))
            .unwrap()
    }

    fn source(schema: &str, name: &str, columns: &[&str]) -> Table {
        let column = |name: &&str| Column {
            name: (*name).to_owned(),
            source_type: "int".to_owned(),
            column_type: ColumnType::Integer { bytes: 4 },
            nullable: false,
            collation: None,
        };
        Table {
            name: TableName::new(schema, name),
            key: vec![columns[0].to_owned()],
            columns: columns.iter().map(column).collect(),
        }
    }

    fn table() -> TargetTable {
        let mut source = source("Sales", "Order\"Lines", &["OrderID", "Line", "Note"]);
        source.key = vec!["Line".to_owned(), "OrderID".to_owned()];
        place(&config(""), &source, RULES).unwrap()
    }

    #[test]
    fn the_sql_of_a_load() {
        let table = table();
        let objects = Objects::of(&table, 63);
        let production = r#""sales"."order""lines""#;
        let staging = format!(r#""delsert"."{}""#, objects.staging_name.replace('"', "\"\""));
        assert_eq!(objects.production, production);
        assert_eq!(objects.staging, staging);
        assert_eq!(delete(&table, &objects, BatchKind::Snapshot, as_staged), format!("DELETE FROM {production}"));
        let stage = quote(&objects.staging_name);
        assert_eq!(
            delete(&table, &objects, BatchKind::Changes, as_staged),
            format!(
                r#"DELETE FROM {production} USING {staging} WHERE "order""lines"."line" = {stage}."line" AND "order""lines"."orderid" = {stage}."orderid""#
            )
        );
        assert_eq!(
            insert(&table, &objects, as_staged),
            format!(
                r#"INSERT INTO {production} ("orderid", "line", "note") SELECT "orderid", "line", "note" FROM {staging} WHERE delsert_operation = 'u'"#
            )
        );
        assert_eq!(
            move_watermark(&objects, "now()"),
            format!(
                "UPDATE {} SET generation = $1, sequence = $2, position = $3, attempt = $4, applied_at = now() WHERE sync = $5 AND generation = $6 AND sequence = $7",
                objects.mark
            )
        );
    }

    #[test]
    fn names_that_would_fall_together_in_delserts_schema_do_not() {
        let objects = |schema: &str, name: &str| {
            Objects::of(&TargetTable { schema: schema.to_owned(), name: name.to_owned(), ..table() }, 63)
        };
        assert_ne!(objects("a", "b_c").mark, objects("a_b", "c").mark);
        assert_ne!(objects("a", "b_c").staging, objects("a_b", "c").staging);
        let long = objects(&"é".repeat(31), &"x".repeat(63));
        assert!(long.mark_name.len() <= 63 && long.staging_name.len() <= 63);
    }

    #[test]
    fn names_are_lower_case_and_within_the_limit() {
        let long = "N".repeat(70);
        let table = place(&config(""), &source("Sales", &long, &["Id", &long, &"É".repeat(40)]), RULES).unwrap();
        assert_eq!(table.schema, "sales");
        assert_eq!(table.name.len(), 63);
        assert!(table.name.starts_with(&format!("{}_", "n".repeat(54))), "{}", table.name);
        assert_eq!(table.columns[0].name, "id");
        assert!(table.columns[2].name.len() <= 63 && table.columns[2].name.starts_with('é'));
        assert_eq!(
            table.shortened.len(),
            2,
            "one of the table and a column, and one of a column: {:?}",
            table.shortened
        );
        assert_eq!(table.shortened[&long], table.name);
        let other = place(&config(""), &source("Sales", &format!("{long}2"), &["Id"]), RULES).unwrap();
        assert_ne!(table.name, other.name, "the hash is of the whole name");
    }

    #[test]
    fn the_configuration_places_schemas() {
        let one = place(&config("schema = \"Shop\""), &source("Sales", "T", &["a"]), RULES).unwrap();
        assert_eq!(one.schema, "Shop", "a configured name is taken as it is written");
        let map = config("schema_map = { sales = \"s1\" }");
        assert_eq!(place(&map, &source("Sales", "T", &["a"]), RULES).unwrap().schema, "s1");
        assert_eq!(place(&map, &source("HR", "T", &["a"]), RULES).unwrap().schema, "hr");
    }

    #[test]
    fn schemas_that_are_kept_are_refused() {
        for (schema, more) in
            [("Delsert", ""), ("PG_x", ""), ("a", "schema = \"delsert\""), ("a", "schema_map = { A = \"\" }")]
        {
            let error = place(&config(more), &source(schema, "t", &["a"]), RULES).unwrap_err();
            assert_eq!(error.kind(), Kind::NameClash, "{schema} {more}");
            assert!(error.to_string().contains("schema_map = { \""), "{error}");
        }
    }

    #[test]
    fn clashing_columns_are_refused() {
        for columns in [&["Id", "ID"][..], &["Id", "delsert_operation"], &["Id", "CTID"]] {
            let error = place(&config(""), &source("s", "t", columns), RULES).unwrap_err();
            assert_eq!(error.kind(), Kind::NameClash, "{columns:?}");
            assert!(error.to_string().contains(&format!("exclude_columns = [\"{}\"]", columns[1])), "{error}");
        }
    }
}
