//! Tables as the catalogue has them, against tables as they should be.

use tokio_postgres::{GenericClient, Row};

use crate::error::{Kind, Result};
use crate::target::delsert::OPERATION;
use crate::target::pgwire::failure::Server;
use crate::target::{TargetColumn, TargetTable};

/// A type as the catalogue knows it: number and modifier, by which alone types are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type {
    /// Its number.
    pub number: u32,
    /// What stands in its brackets, as the engine writes that; −1 for nothing.
    pub modifier: i32,
}

impl Type {
    /// A type whose values another takes without being told how.
    pub fn casts_to(self, other: Self) -> bool {
        const FAMILIES: [&[u32]; 2] = [&[20, 21, 23, 700, 701, 1700], &[1082, 1114, 1184]];
        matches!(other.number, 25 | 1043)
            || self.number == other.number
            || FAMILIES.iter().any(|family| family.contains(&self.number) && family.contains(&other.number))
    }

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
        (NUMERIC, wanted_number) if INTEGERS.contains(&wanted_number) => {
            let needed = rank(&INTEGERS, wanted_number).and_then(|rank| [5, 10, 19].get(rank).copied());
            let (digits, scale) = ((present.modifier - 4) >> 16, (present.modifier - 4) & 0x7ff);
            // With digits after the point it would print otherwise.
            unbounded || scale == 0 && needed.is_some_and(|needed| digits >= needed)
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

/// What refuses NULL in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// NOT NULL of its own.
    Column,
    /// That of its domain.
    Domain,
}

/// What fills a column that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// A DEFAULT of its own.
    Default,
    /// That of its domain.
    Domain,
    /// An identity that gives way to a value.
    Identity,
    /// An identity that takes no value.
    OnlyIdentity,
    /// An expression whose value is stored.
    Stored,
    /// An expression whose value is not.
    Virtual,
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
    /// What refuses NULL in it.
    pub required: Option<Requirement>,
    /// What fills it.
    pub filled: Option<Filling>,
    /// Whether texts that differ are equal in it.
    pub folds: bool,
}

impl Present {
    /// Whether it refuses to be written.
    pub fn is_generated(&self) -> bool {
        matches!(self.filled, Some(Filling::OnlyIdentity | Filling::Stored | Filling::Virtual))
    }

    /// Whether rows without it are refused.
    pub fn is_needed(&self) -> bool {
        self.required.is_some() && self.filled.is_none()
    }
}

/// Something that is there under a name.
#[derive(Debug)]
pub struct Relation {
    /// The catalogue's number for it.
    pub number: u32,
    /// `r` for a table, `p` for a partitioned one; others are no tables.
    pub kind: String,
    /// Columns, in order.
    pub columns: Vec<Present>,
}

const RELATION: &str = "SELECT c.oid, c.relkind::text FROM pg_catalog.pg_class c \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";

/// A domain may be of a domain: the type is the one at the bottom, with the modifier that the lowest domain gives it, and
/// each level may refuse NULL. A default is copied to each domain as that is made.
const COLUMNS: &str = "WITH RECURSIVE levels AS ( \
       SELECT a.attnum, a.atttypid AS number, a.atttypmod AS modifier, false AS required \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped \
       UNION ALL SELECT l.attnum, d.typbasetype, d.typtypmod, l.required OR d.typnotnull \
         FROM levels l JOIN pg_catalog.pg_type d ON d.oid = l.number WHERE d.typtype = 'd') \
     SELECT a.attname::text, b.oid, l.modifier, pg_catalog.format_type(a.atttypid, a.atttypmod), \
       a.attnotnull, l.required, a.attidentity::text || a.attgenerated::text, \
       a.atthasdef, t.typdefault IS NOT NULL, COALESCE(NOT o.collisdeterministic, false) \
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
     JOIN levels l ON l.attnum = a.attnum JOIN pg_catalog.pg_type b ON b.oid = l.number AND b.typtype <> 'd' \
     LEFT JOIN pg_catalog.pg_collation o ON o.oid = a.attcollation \
     WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

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
    Ok(Some(Relation {
        number,
        kind: row.try_get(1)?,
        columns: columns.iter().map(present).collect::<Result<_, _>>()?,
    }))
}

fn present(row: &Row) -> Result<Present, tokio_postgres::Error> {
    let (of_column, of_domain): (bool, bool) = (row.try_get(4)?, row.try_get(5)?);
    let (by_default, by_domain): (bool, bool) = (row.try_get(7)?, row.try_get(8)?);
    Ok(Present {
        name: row.try_get(0)?,
        column_type: Type::new(row.try_get(1)?, row.try_get(2)?),
        type_name: row.try_get(3)?,
        required: of_column.then_some(Requirement::Column).or(of_domain.then_some(Requirement::Domain)),
        filled: match row.try_get(6)? {
            "d" => Some(Filling::Identity),
            "a" => Some(Filling::OnlyIdentity),
            "s" => Some(Filling::Stored),
            "v" => Some(Filling::Virtual),
            _ => by_default.then_some(Filling::Default).or(by_domain.then_some(Filling::Domain)),
        },
        folds: row.try_get(9)?,
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
            present.name == wanted.name && present.column_type == *wanted_type && present.required.is_none()
        })
}

/// The columns of a watermark table.
const MARK: [&str; 6] = ["sync", "generation", "sequence", "position", "attempt", "applied_at"];

/// Whether a relation under a staging table's name is one that `delsert` made, whatever the table it was made for.
pub fn is_staging(relation: &Relation) -> bool {
    relation.kind == "r" && relation.columns.first().is_some_and(|column| column.name == OPERATION)
}

/// Whether a relation under a watermark table's name is one that `delsert` made.
pub fn is_mark(relation: &Relation) -> bool {
    relation.kind == "r" && relation.columns.iter().map(|column| column.name.as_str()).eq(MARK)
}

/// A column of a table that is there.
pub fn column<'a>(relation: &'a Relation, name: &str) -> Option<&'a Present> {
    relation.columns.iter().find(|present| present.name == name)
}

/// The columns of a table that are not there.
pub fn missing<'a>(relation: &Relation, table: &'a TargetTable) -> Vec<&'a TargetColumn> {
    table.columns.iter().filter(|wanted| column(relation, &wanted.name).is_none()).collect()
}
