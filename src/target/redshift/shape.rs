//! Tables as the catalogue has them, and which types hold which.

use tokio_postgres::types::Type;
use tokio_postgres::{GenericClient, Row};

use crate::config::Engine;
use crate::target::types::{self, Shape};
use crate::target::{TargetColumn, TargetTable};

/// What fills a column that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// A default.
    Default,
    /// A number of its own, in whose place it takes none.
    Identity,
    /// A number of its own, unless one is given.
    ByDefault,
}

/// A column that is there.
#[derive(Debug)]
pub struct Present {
    /// Name.
    pub name: String,
    /// The type's name.
    pub type_name: String,
    /// Whether NULL is refused.
    pub required: bool,
    /// What fills it where it is left out.
    pub filled: Option<Filling>,
    /// The expression that does, if it is a default.
    pub default: String,
    /// Whether rows are distributed by it.
    pub distributes: bool,
    /// Its place among the columns that rows are sorted by, from 1; of an interleaved key negative in turn; 0 is none.
    pub sort: i32,
}

impl Present {
    /// Whether it refuses to be written.
    pub fn is_identity(&self) -> bool {
        self.filled == Some(Filling::Identity)
    }

    /// What it holds.
    pub fn shape(&self) -> Shape {
        types::shape(Engine::Redshift, &self.type_name)
    }
}

/// Something that is there under a name.
#[derive(Debug)]
pub struct Relation {
    /// `r` for a table.
    pub kind: String,
    /// Keys that are declared, which the planner trusts.
    pub keyed: Vec<String>,
    /// Columns, in order.
    pub columns: Vec<Present>,
}

const RELATION: &str = "SELECT CAST(c.relkind AS varchar(1)) FROM pg_catalog.pg_class c \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";

/// `attisdistkey` and `attsortkeyord` are Redshift's own; an identity is a default that says so.
const COLUMNS: &str = "SELECT CAST(a.attname AS varchar(128)), \
       CAST(format_type(a.atttypid, a.atttypmod) AS varchar(128)), a.attnotnull, a.atthasdef, \
       CAST(COALESCE(d.adsrc, '') AS varchar(4096)), a.attisdistkey, CAST(a.attsortkeyord AS integer) \
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
     WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

const KEYS: &str = "SELECT CAST(k.conname AS varchar(128)) FROM pg_catalog.pg_constraint k \
     JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = $2 AND k.contype IN ('p', 'u') ORDER BY 1";

/// A relation by name, if it is there.
///
/// # Errors
/// The server's.
pub async fn find(
    client: &impl GenericClient,
    schema: &str,
    name: &str,
) -> Result<Option<Relation>, tokio_postgres::Error> {
    let named: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&schema, Type::VARCHAR), (&name, Type::VARCHAR)];
    let Some(row) = client.query_typed(RELATION, &named).await?.into_iter().next() else { return Ok(None) };
    let columns = client.query_typed(COLUMNS, &named).await?;
    let keyed = client.query_typed(KEYS, &named).await?;
    Ok(Some(Relation {
        kind: row.try_get(0)?,
        keyed: keyed.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?,
        columns: columns.iter().map(present).collect::<Result<_, _>>()?,
    }))
}

fn present(row: &Row) -> Result<Present, tokio_postgres::Error> {
    let default: String = row.try_get(4)?;
    let filled = match &default {
        by if by.contains("\"identity\"") => Filling::Identity,
        by if by.contains("default_identity") => Filling::ByDefault,
        _ => Filling::Default,
    };
    Ok(Present {
        name: row.try_get(0)?,
        type_name: row.try_get(1)?,
        required: row.try_get(2)?,
        filled: row.try_get::<_, bool>(3)?.then_some(filled),
        default,
        distributes: row.try_get(5)?,
        sort: row.try_get(6)?,
    })
}

/// The columns of a watermark table.
const MARK: [&str; 6] = ["sync", "generation", "sequence", "position", "attempt", "applied_at"];

impl Relation {
    /// Whether a relation under a watermark table's name is one that `delsert` made.
    pub fn is_mark(&self) -> bool {
        self.kind == "r" && self.columns.iter().map(|column| column.name.as_str()).eq(MARK)
    }

    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&Present> {
        self.columns.iter().find(|present| present.name == name)
    }

    /// The columns of a table that are not there.
    pub fn missing<'a>(&self, table: &'a TargetTable) -> Vec<&'a TargetColumn> {
        table.columns.iter().filter(|wanted| self.column(&wanted.name).is_none()).collect()
    }
}

/// What a column of a table should hold.
pub fn wanted(column: &TargetColumn) -> Shape {
    types::shape(Engine::Redshift, &column.sql_type)
}

/// Whether a type holds every value of another as it is.
pub fn holds(present: Shape, wanted: Shape) -> bool {
    match (present, wanted) {
        (Shape::Octets(present), Shape::Octets(wanted)) | (Shape::Bytes(Some(present)), Shape::Bytes(Some(wanted))) => {
            present >= wanted
        }
        (Shape::Integer(present), Shape::Integer(wanted)) | (Shape::Float(present), Shape::Float(wanted)) => {
            present >= wanted
        }
        (Shape::Numeric(Some((precision, scale))), Shape::Numeric(Some((digits, decimals)))) => {
            scale >= decimals && i32::from(precision) - i32::from(scale) >= i32::from(digits) - i32::from(decimals)
        }
        (Shape::Other, _) | (_, Shape::Other) => false,
        _ => present == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_holds_what_is_no_wider() {
        for (present, wanted, expected) in [
            ("character varying(30)", "varchar(30)", true),
            ("character varying(29)", "varchar(30)", false),
            ("character(36)", "char(36)", true),
            ("binary varying(8)", "varbyte(8)", true),
            ("bigint", "integer", true),
            ("smallint", "integer", false),
            ("numeric(20,4)", "decimal(20,4)", true),
            ("numeric(20,4)", "decimal(10,5)", false),
            ("numeric(38,10)", "decimal(20,4)", true),
            ("numeric(19,4)", "decimal(20,4)", false),
            ("double precision", "real", true),
            ("timestamp without time zone", "timestamp", true),
            ("timestamp with time zone", "timestamp", false),
            ("boolean", "boolean", true),
            ("geometry", "geometry", false),
        ] {
            let shape = |name| types::shape(Engine::Redshift, name);
            assert_eq!(holds(shape(present), shape(wanted)), expected, "{present} {wanted}");
        }
    }
}
