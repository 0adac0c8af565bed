//! A table that people read, with all that belongs to it and that deletes and inserts of ours may meet.

use tokio_postgres::{GenericClient, Row};

use super::shape::{self, Relation};
use crate::target::delsert::{literal, qualified};
use crate::target::{TargetTable, delsert};

/// What marks a primary key that `delsert` made, so that it takes away no other.
const MADE: &str = "made by delsert";

/// A production table.
#[derive(Debug)]
pub struct Production {
    /// Kind and columns.
    pub relation: Relation,
    /// Name, quoted and qualified.
    pub name: String,
    /// Whether a crash of the server leaves its rows.
    pub durable: bool,
    /// Whether row-level security hides rows from the login.
    pub hides_rows: Option<Hiding>,
    /// Rights that the login needs and lacks.
    pub lacks: Vec<String>,
    /// The login, quoted.
    pub login: String,
    /// Whether something of it is checked at the end of a transaction, if that is asked for.
    pub deferrable: bool,
    /// The version of the server that has it: some statements are newer than the oldest.
    pub server_version: i32,
    /// Indexes.
    pub indexes: Vec<Index>,
    /// What else belongs to it.
    pub attached: Vec<Attached>,
}

/// From whom row-level security hides rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hiding {
    /// From the owner too, which the login is.
    FromOwner,
    /// From a login that is not the owner.
    FromOthers,
}

/// Who made a primary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// `delsert`, which may replace it.
    Us,
    /// Somebody else.
    Owner,
}

/// An index.
#[derive(Debug)]
pub struct Index {
    /// Name, quoted and qualified.
    pub name: String,
    /// Whether no two rows may have the same.
    pub unique: bool,
    /// Of the primary key's, who made it.
    pub primary: Option<Maker>,
    /// Whether it is of plain columns, of all rows, and in use.
    pub whole: bool,
    /// Its constraint's name, quoted.
    pub constraint: Option<String>,
    /// Columns, in no order.
    pub columns: Vec<String>,
}

/// What something attached is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A foreign key that refers to the table.
    Incoming,
    /// A foreign key of the table.
    Outgoing,
    /// A CHECK.
    Check,
    /// A CHECK of the domain that a column is of.
    Domain,
    /// An exclusion constraint.
    Exclusion,
    /// A trigger that sees each row before it is written.
    RowTrigger,
    /// Another trigger.
    Trigger,
    /// A rule.
    Rule,
    /// A partition whose rows are elsewhere.
    ForeignPartition,
    /// A partition that a crash empties.
    UnloggedPartition,
    /// A table that inherits from it.
    Child,
    /// A table that it inherits from, or is a partition of.
    Parent,
    /// A view that reads it.
    View,
}

/// Something that belongs to a table.
#[derive(Debug)]
pub struct Attached {
    /// What it is.
    pub what: What,
    /// Its name, quoted; empty where `of` says it all.
    pub name: String,
    /// The table, domain or view that it is of, quoted and qualified.
    pub of: String,
    /// Of a foreign key, what a deleted row does: the catalogue's letter, or nothing if it can wait for the end.
    pub detail: String,
    /// The columns that a view reads.
    pub columns: Vec<String>,
}

const PROPERTIES: &str = "SELECT c.relpersistence = 'p', pg_catalog.row_security_active(c.oid), \
       c.relforcerowsecurity AND pg_catalog.pg_has_role(c.relowner, 'USAGE'), \
       ARRAY(SELECT needed FROM unnest(ARRAY['SELECT', 'INSERT', 'DELETE']) AS needed \
          WHERE NOT pg_catalog.has_table_privilege(c.oid, needed)), \
       pg_catalog.quote_ident(current_user), \
       EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgdeferrable AND (t.tgrelid = c.oid \
          OR t.tgrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(c.oid::pg_catalog.regclass)))), \
       pg_catalog.current_setting('server_version_num')::int4 \
     FROM pg_catalog.pg_class c WHERE c.oid = $1";

/// A relation's quoted and qualified name, by an expression of its number.
fn named(number: &str) -> String {
    format!(
        "(SELECT pg_catalog.format('%I.%I', nn.nspname, nc.relname) FROM pg_catalog.pg_class nc \
          JOIN pg_catalog.pg_namespace nn ON nn.oid = nc.relnamespace WHERE nc.oid = {number})"
    )
}

fn indexes() -> String {
    format!(
        "SELECT {}, i.indisunique, i.indisprimary, \
           i.indisvalid AND i.indpred IS NULL AND 0 <> ALL (i.indkey), pg_catalog.quote_ident(k.conname), \
           COALESCE(pg_catalog.obj_description(k.oid, 'pg_constraint') = {}, false), \
           ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid \
              AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])) \
         FROM pg_catalog.pg_index i LEFT JOIN pg_catalog.pg_constraint k \
           ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u') \
         WHERE i.indrelid = $1 ORDER BY 1",
        named("i.indexrelid"),
        literal(MADE)
    )
}

/// Of a partitioned table, what belongs to its partitions too: a row that goes to one meets it.
fn attached() -> String {
    let [child, parent, own, of_trigger, of_rule, member, view] =
        ["f.conrelid", "h.inhparent", "$1", "t.tgrelid", "r.ev_class", "m.oid", "v.ev_class"].map(named);
    format!(
        "WITH RECURSIVE tree AS (SELECT $1::oid AS number \
           UNION SELECT relid::oid FROM pg_catalog.pg_partition_tree($1::oid::pg_catalog.regclass)), \
         types AS (SELECT a.atttypid AS number FROM pg_catalog.pg_attribute a \
             WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped \
           UNION SELECT d.typbasetype FROM types JOIN pg_catalog.pg_type d ON d.oid = types.number \
             WHERE d.typtype = 'd') \
         SELECT 'incoming', pg_catalog.quote_ident(f.conname), {child}, \
           CASE WHEN f.confdeltype <> 'a' THEN f.confdeltype::text WHEN f.condeferrable THEN '' ELSE 'a' END, '{{}}'::text[] \
           FROM pg_catalog.pg_constraint f JOIN tree ON f.confrelid = tree.number \
           WHERE f.contype = 'f' AND f.conparentid = 0 \
         UNION ALL SELECT CASE k.contype WHEN 'f' THEN 'outgoing' WHEN 'c' THEN 'check' ELSE 'exclusion' END, \
           pg_catalog.quote_ident(k.conname), {own}, '', '{{}}' \
           FROM pg_catalog.pg_constraint k WHERE k.conrelid = $1 AND k.contype IN ('f', 'c', 'x') \
           AND (k.contype <> 'f' OR k.confrelid NOT IN (SELECT number FROM tree)) \
         UNION ALL SELECT 'domain', pg_catalog.quote_ident(k.conname), \
           pg_catalog.format('%I.%I', n.nspname, d.typname), '', '{{}}'::text[] \
           FROM types JOIN pg_catalog.pg_type d ON d.oid = types.number AND d.typtype = 'd' \
           JOIN pg_catalog.pg_namespace n ON n.oid = d.typnamespace \
           JOIN pg_catalog.pg_constraint k ON k.contypid = d.oid AND k.contype = 'c' \
         UNION ALL SELECT CASE WHEN t.tgtype & 3 = 3 THEN 'row trigger' ELSE 'trigger' END, \
           pg_catalog.quote_ident(t.tgname), {of_trigger}, '', '{{}}' \
           FROM pg_catalog.pg_trigger t JOIN tree ON t.tgrelid = tree.number \
           WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 28 <> 0 \
           AND (t.tgrelid = $1 OR NOT EXISTS (SELECT FROM pg_catalog.pg_trigger above \
              WHERE above.tgrelid = $1 AND above.tgname = t.tgname AND above.tgfoid = t.tgfoid)) \
         UNION ALL SELECT 'rule', pg_catalog.quote_ident(r.rulename), {of_rule}, '', '{{}}' \
           FROM pg_catalog.pg_rewrite r JOIN tree ON r.ev_class = tree.number \
           WHERE r.ev_type IN ('2', '3', '4') AND r.ev_enabled <> 'D' \
         UNION ALL SELECT CASE m.relkind WHEN 'f' THEN 'foreign partition' ELSE 'unlogged partition' END, \
           '', {member}, '', '{{}}' \
           FROM pg_catalog.pg_class m JOIN tree ON m.oid = tree.number \
           WHERE m.oid <> $1 AND (m.relkind = 'f' OR m.relpersistence <> 'p') \
         UNION ALL SELECT 'child', '', {heir}, '', '{{}}' FROM pg_catalog.pg_inherits h \
           WHERE h.inhparent = $1 AND h.inhrelid NOT IN (SELECT number FROM tree) \
         UNION ALL SELECT 'parent', '', {parent}, CASE WHEN p.relispartition THEN 'partition' ELSE '' END, '{{}}' \
           FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class p ON p.oid = h.inhrelid WHERE h.inhrelid = $1 \
         UNION ALL SELECT 'view', '', {view}, '', v.columns FROM ( \
           SELECT w.ev_class, array_agg(DISTINCT a.attname::text) AS columns FROM pg_catalog.pg_depend d \
           JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
           JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
           WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1 AND d.refobjsubid > 0 \
           AND w.ev_class <> $1 GROUP BY w.ev_class) v \
         ORDER BY 1, 3, 2",
        heir = named("h.inhrelid")
    )
}

/// The production table, if something is there under its name.
///
/// # Errors
/// The server's.
pub async fn find(
    client: &impl GenericClient,
    table: &TargetTable,
) -> Result<Option<Production>, tokio_postgres::Error> {
    let Some(relation) = shape::find(client, &table.schema, &table.name).await? else { return Ok(None) };
    let row = client.query_one(PROPERTIES, &[&relation.number]).await?;
    let indexes = client.query(&indexes(), &[&relation.number]).await?;
    let attached = client.query(&attached(), &[&relation.number]).await?;
    Ok(Some(Production {
        name: qualified(&table.schema, &table.name),
        durable: row.try_get(0)?,
        hides_rows: match (row.try_get(1)?, row.try_get(2)?) {
            (false, _) => None,
            (true, true) => Some(Hiding::FromOwner),
            (true, false) => Some(Hiding::FromOthers),
        },
        lacks: row.try_get(3)?,
        login: row.try_get(4)?,
        deferrable: row.try_get(5)?,
        server_version: row.try_get(6)?,
        indexes: indexes.iter().map(index).collect::<Result<_, _>>()?,
        attached: attached.iter().filter_map(|row| something(row).transpose()).collect::<Result<_, _>>()?,
        relation,
    }))
}

fn index(row: &Row) -> Result<Index, tokio_postgres::Error> {
    Ok(Index {
        name: row.try_get(0)?,
        unique: row.try_get(1)?,
        primary: match (row.try_get(2)?, row.try_get(5)?) {
            (false, _) => None,
            (true, true) => Some(Maker::Us),
            (true, false) => Some(Maker::Owner),
        },
        whole: row.try_get(3)?,
        constraint: row.try_get(4)?,
        columns: row.try_get(6)?,
    })
}

fn something(row: &Row) -> Result<Option<Attached>, tokio_postgres::Error> {
    let what = match row.try_get(0)? {
        "incoming" => What::Incoming,
        "outgoing" => What::Outgoing,
        "check" => What::Check,
        "domain" => What::Domain,
        "exclusion" => What::Exclusion,
        "row trigger" => What::RowTrigger,
        "trigger" => What::Trigger,
        "rule" => What::Rule,
        "foreign partition" => What::ForeignPartition,
        "unlogged partition" => What::UnloggedPartition,
        "child" => What::Child,
        "parent" => What::Parent,
        "view" => What::View,
        _ => return Ok(None),
    };
    let (name, of) = (row.try_get(1)?, row.try_get(2)?);
    Ok(Some(Attached { what, name, of, detail: row.try_get(3)?, columns: row.try_get(4)? }))
}

impl Production {
    /// Whether it is a table at all.
    pub fn is_table(&self) -> bool {
        matches!(self.relation.kind.as_str(), "r" | "p")
    }

    /// Whether its rows can be counted.
    pub fn is_readable(&self) -> bool {
        let is_elsewhere = |attached: &Attached| attached.what == What::ForeignPartition;
        let may_read = self.hides_rows.is_none() && self.lacks.iter().all(|right| right != "SELECT");
        self.is_table() && may_read && !self.attached.iter().any(is_elsewhere)
    }

    /// The views that read a column, as a list; empty if there are none.
    pub fn views_of(&self, column: &str) -> String {
        let reads =
            |attached: &&Attached| attached.what == What::View && attached.columns.iter().any(|read| read == column);
        self.attached.iter().filter(reads).map(|view| view.of.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Whether an index can find a row by its key.
    pub fn key_is_indexed(&self, table: &TargetTable) -> bool {
        let in_key = |name: &String| table.key.iter().any(|&at| table.columns[at].name == *name);
        self.indexes.iter().any(|index| index.whole && index.columns.iter().all(in_key))
    }

    /// The primary key's index.
    pub fn primary(&self) -> Option<&Index> {
        self.indexes.iter().find(|index| index.primary.is_some())
    }
}

/// Marks a table's primary key as one that `delsert` made.
///
/// # Errors
/// The server's.
pub async fn sign_key(client: &impl GenericClient, table: &TargetTable) -> Result<(), tokio_postgres::Error> {
    let name = qualified(&table.schema, &table.name);
    let key = "SELECT pg_catalog.quote_ident(k.conname) FROM pg_catalog.pg_constraint k \
               JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND c.relname = $2 AND k.contype = 'p'";
    let Some(row) = client.query_opt(key, &[&table.schema, &table.name]).await? else { return Ok(()) };
    let key: String = row.try_get(0)?;
    client.batch_execute(&format!("COMMENT ON CONSTRAINT {key} ON {name} IS {}", literal(MADE))).await
}

/// Tables and views whose names differ from a table's by case only.
///
/// # Errors
/// The server's.
pub async fn case_variants(
    client: &impl GenericClient,
    table: &TargetTable,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let query = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c \
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 WHERE lower(n.nspname) = lower($1) AND lower(c.relname) = lower($2) \
                 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (n.nspname <> $1 OR c.relname <> $2) \
                 AND n.nspname <> $3 ORDER BY 1";
    let rows = client.query(query, &[&table.schema, &table.name, &delsert::SCHEMA]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}
