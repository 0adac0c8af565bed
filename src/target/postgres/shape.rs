//! Tables as the catalogue has them, against tables as they should be.

use tokio_postgres::{GenericClient, Row};

use super::failure::Server;
use crate::error::{Kind, Result};
use crate::target::TargetTable;
use crate::target::delsert::OPERATION;

/// A type as the catalogue knows it: number and modifier, by which alone types are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type {
    /// Its number.
    pub number: u32,
    /// What stands in its brackets, as the engine writes that; −1 for nothing.
    pub modifier: i32,
}

impl Type {
    fn new(number: u32, modifier: i32) -> Self {
        // Six digits of a second is what a time type without a modifier has.
        let unbounded = matches!(number, 1083 | 1114 | 1184 | 1266) && modifier == 6;
        Self { number, modifier: if unbounded { -1 } else { modifier } }
    }
}

/// Whether one type holds every value of another.
pub fn holds(present: Type, wanted: Type) -> bool {
    const INTEGERS: [u32; 3] = [21, 23, 20];
    const FLOATS: [u32; 2] = [700, 701];
    const NUMERIC: u32 = 1700;
    const TEXTS: [u32; 2] = [25, 1043];
    let rank = |order: &[u32], number: u32| order.iter().position(|known| *known == number);
    let wider = |order: &[u32]| {
        rank(order, present.number).zip(rank(order, wanted.number)).is_some_and(|(present, wanted)| present >= wanted)
    };
    let unbounded = present.modifier == -1;
    if present == wanted || wider(&INTEGERS) || wider(&FLOATS) {
        return true;
    }
    match (present.number, wanted.number) {
        (NUMERIC, NUMERIC) => {
            // Precision in the upper, scale in the lower half, and the length of a header added.
            let digits = |modifier: i32| ((modifier - 4) >> 16, (modifier - 4) & 0x7ff);
            let ((precision, scale), (other, others)) = (digits(present.modifier), digits(wanted.modifier));
            unbounded || (wanted.modifier != -1 && scale >= others && precision - scale >= other - others)
        }
        (present_number, wanted_number) if TEXTS.contains(&present_number) && TEXTS.contains(&wanted_number) => {
            unbounded || (wanted.modifier != -1 && present.modifier >= wanted.modifier)
        }
        (1083 | 1114 | 1184, other) if present.number == other => {
            unbounded || (wanted.modifier != -1 && present.modifier >= wanted.modifier)
        }
        _ => false,
    }
}

/// A column that is there.
#[derive(Debug)]
pub struct Present {
    /// Name.
    pub name: String,
    /// Type; a domain's is the one beneath.
    pub column_type: Type,
    /// The type's name.
    pub type_name: String,
    /// Whether NULL is refused.
    pub required: bool,
    /// Whether it fills itself when it is left out.
    pub filled: bool,
    /// Whether it refuses to be written.
    pub generated: bool,
    /// Its collation, if that takes texts for equal whose bytes are not.
    pub inexact: Option<String>,
}

/// A table that is there.
#[derive(Debug)]
pub struct Relation {
    /// `r` for a table, `p` for a partitioned one; others are no tables.
    pub kind: String,
    /// Columns, in order.
    pub columns: Vec<Present>,
    /// Foreign keys of other tables that follow a deleted row.
    pub followers: Vec<String>,
    /// Columns of each unique or plain index, by name, in no order.
    pub indexes: Vec<Vec<String>>,
    /// The primary key's constraint and its columns, in no order.
    pub primary: Option<(String, Vec<String>)>,
}

const RELATION: &str = "SELECT c.oid, c.relkind::text FROM pg_catalog.pg_class c \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";

const COLUMNS: &str = "SELECT a.attname::text, \
       CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE a.atttypid END, \
       CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE a.atttypmod END, \
       pg_catalog.format_type(a.atttypid, a.atttypmod), \
       a.attnotnull, a.atthasdef OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a', \
       CASE WHEN NOT l.collisdeterministic THEN l.collname::text END \
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
     LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation \
     WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

const FOLLOWERS: &str = "SELECT f.conname::text || ' of ' || f.conrelid::pg_catalog.regclass::text \
     FROM pg_catalog.pg_constraint f WHERE f.confrelid = $1 AND f.contype = 'f' AND f.confdeltype IN ('c', 'n', 'd')";

const INDEXES: &str = "SELECT (SELECT array_agg(a.attname::text) FROM pg_catalog.pg_attribute a \
        WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)) \
     FROM pg_catalog.pg_index i WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND 0 <> ALL (i.indkey)";

const PRIMARY: &str = "SELECT p.conname::text, (SELECT array_agg(a.attname::text) FROM pg_catalog.pg_attribute a \
        WHERE a.attrelid = p.conrelid AND a.attnum = ANY (p.conkey)) \
     FROM pg_catalog.pg_constraint p WHERE p.conrelid = $1 AND p.contype = 'p'";

/// A relation by name, if it is there.
///
/// # Errors
/// The server's.
pub async fn find(
    client: &impl GenericClient,
    schema: &str,
    name: &str,
) -> Result<Option<Relation>, tokio_postgres::Error> {
    let Some(row) = client.query_opt(RELATION, &[&schema, &name]).await? else { return Ok(None) };
    let number: u32 = row.try_get(0)?;
    let columns = client.query(COLUMNS, &[&number]).await?;
    let followers = client.query(FOLLOWERS, &[&number]).await?;
    let indexes = client.query(INDEXES, &[&number]).await?;
    let primary = client.query_opt(PRIMARY, &[&number]).await?;
    Ok(Some(Relation {
        kind: row.try_get(1)?,
        columns: columns.iter().map(present).collect::<Result<_, _>>()?,
        followers: followers.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?,
        indexes: indexes.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?,
        primary: primary.map(|row| Ok::<_, tokio_postgres::Error>((row.try_get(0)?, row.try_get(1)?))).transpose()?,
    }))
}

fn present(row: &Row) -> Result<Present, tokio_postgres::Error> {
    Ok(Present {
        name: row.try_get(0)?,
        column_type: Type::new(row.try_get(1)?, row.try_get(2)?),
        type_name: row.try_get(3)?,
        required: row.try_get(4)?,
        filled: row.try_get(5)?,
        generated: row.try_get(6)?,
        inexact: row.try_get(7)?,
    })
}

/// The types that a table's columns should have, as the catalogue knows them.
///
/// # Errors
/// The server does not know one of them.
pub async fn wanted(client: &impl GenericClient, server: &Server, table: &TargetTable) -> Result<Vec<Type>> {
    let casts: Vec<_> = table.columns.iter().map(|column| format!("CAST(NULL AS {})", column.sql_type)).collect();
    // Only described, never run: the answer's description tells number and modifier of each.
    let described = client.prepare(&format!("SELECT {}", casts.join(", "))).await.map_err(|error| {
        let error = server.failed("find the types of the table's columns", &error);
        match error.kind() {
            Kind::TargetRefused | Kind::TargetShape => {
                error.advice("Mend the types in 'columns' of the table's [[table]] entry")
            }
            _ => error,
        }
    })?;
    let types = described.columns().iter().map(|column| Type::new(column.type_().oid(), column.type_modifier()));
    Ok(types.collect())
}

/// Whether a staging table has the form that the table needs.
pub fn staging_fits(staging: &Relation, table: &TargetTable, types: &[Type]) -> bool {
    let Some((operation, columns)) = staging.columns.split_first() else { return false };
    staging.kind == "r"
        && operation.name == OPERATION
        && columns.len() == table.columns.len()
        && columns.iter().zip(&table.columns).zip(types).all(|((present, wanted), wanted_type)| {
            present.name == wanted.name && present.column_type == *wanted_type && !present.required
        })
}

/// What of a production table makes loads impossible or wrong, whatever a batch brings, each in words.
pub fn hindrances(production: &Relation, table: &TargetTable) -> Vec<String> {
    if !matches!(production.kind.as_str(), "r" | "p") {
        return vec!["it is not a table".to_owned()];
    }
    let carries = |follower| format!("foreign key {follower} changes rows when ours are deleted and inserted again");
    production.followers.iter().map(carries).chain(inexact(production, table)).collect()
}

/// Key columns whose collation takes texts for one that are two at the source, each in words.
pub fn inexact(production: &Relation, table: &TargetTable) -> Vec<String> {
    let in_key = |present: &&Present| table.key.iter().any(|&at| table.columns[at].name == present.name);
    let told = |present: &Present| {
        let collation = present.inexact.as_ref()?;
        let name = &present.name;
        Some(format!(
            "key column '{name}' has collation {collation}, which takes texts for one that are two at the source"
        ))
    };
    production.columns.iter().filter(in_key).filter_map(told).collect()
}

/// What of a production table that no batch was loaded into cannot be mended by adding columns, each difference in words.
pub fn differences(production: &Relation, table: &TargetTable, types: &[Type]) -> Vec<String> {
    let mut differences = hindrances(production, table);
    for (at, (wanted, wanted_type)) in table.columns.iter().zip(types).enumerate() {
        let name = &wanted.name;
        let Some(present) = production.columns.iter().find(|present| present.name == *name) else {
            if table.key.contains(&at) {
                differences.push(format!("key column '{name}' is missing"));
            }
            continue;
        };
        if present.column_type != *wanted_type {
            differences.push(format!("column '{name}' is {}, not {}", present.type_name, wanted.sql_type));
        }
        if present.generated {
            differences.push(format!("column '{name}' is generated and cannot be written"));
        }
        if present.required && wanted.nullable && !table.key.contains(&at) {
            differences.push(format!("column '{name}' is NOT NULL, but the source allows NULL"));
        }
    }
    for present in &production.columns {
        let known = table.columns.iter().any(|wanted| wanted.name == present.name);
        if !known && present.required && !present.filled && !present.generated {
            differences.push(format!("column '{}' is NOT NULL without a default, but not the source's", present.name));
        }
    }
    differences
}

/// The columns of a table that are not there.
pub fn missing<'a>(production: &Relation, table: &'a TargetTable) -> Vec<&'a crate::target::TargetColumn> {
    let absent = |name: &str| production.columns.iter().all(|present| present.name != name);
    table.columns.iter().filter(|column| absent(&column.name)).collect()
}

/// Whether an index can find a row by its key.
pub fn key_is_indexed(production: &Relation, table: &TargetTable) -> bool {
    let in_key = |name: &String| table.key.iter().any(|&at| table.columns[at].name == *name);
    production.indexes.iter().any(|columns| columns.iter().all(in_key))
}
