//! A table made anew beside itself, where a column must change by which its rows are distributed or sorted: "ALTER TABLE"
//! can neither drop such a column nor alter its type.
//!
//! All of it is one with the load. "Performing a deep copy": grants and ordinary views stay with the table that goes. So
//! grants are given anew, and views are named before anything is touched; late-binding ones follow the name.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{GenericClient, Row};

use super::reshape::{Fate, Occasion};
use super::shape::{Filling, Present, Relation};
use crate::target::delsert::{qualified, quote};
use crate::target::{TargetColumn, TargetTable};

/// What stays with a table that goes.
#[derive(Debug, Default)]
pub struct Attached {
    /// Its owner.
    owner: String,
    /// Whether that is the login itself.
    is_owned: bool,
    /// Who holds rights to it, as its own list of them says; the owner not counted.
    holders: usize,
    /// The rights that the login can see, none of them the owner's.
    grants: Vec<Grant>,
    /// Views that are bound to it, qualified.
    views: Vec<String>,
}

#[derive(Debug)]
struct Grant {
    privilege: String,
    column: Option<String>,
    holder: String,
    kind: String,
    with_option: bool,
}

const OWNER: &str = "SELECT CAST(pg_get_userbyid(c.relowner) AS varchar(128)), pg_get_userbyid(c.relowner) = current_user, \
       CAST(COALESCE(array_to_string(c.relacl, '|'), '') AS varchar(65535)) \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = $2";

/// `SVV_RELATION_PRIVILEGES`, `SVV_COLUMN_PRIVILEGES`.
const GRANTS: [&str; 2] = [
    "SELECT CAST(privilege_type AS varchar(64)), CAST(NULL AS varchar(128)), CAST(identity_name AS varchar(128)), \
       CAST(identity_type AS varchar(16)), admin_option FROM svv_relation_privileges \
     WHERE namespace_name = $1 AND relation_name = $2 ORDER BY 4, 3, 1",
    "SELECT CAST(privilege_type AS varchar(64)), CAST(column_name AS varchar(128)), CAST(identity_name AS varchar(128)), \
       CAST(identity_type AS varchar(16)), false FROM svv_column_privileges \
     WHERE namespace_name = $1 AND relation_name = $2 ORDER BY 4, 3, 2, 1",
];

const VIEWS: &str = "SELECT DISTINCT CAST(vn.nspname AS varchar(128)), CAST(v.relname AS varchar(128)) \
     FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid \
     JOIN pg_catalog.pg_class v ON v.oid = r.ev_class JOIN pg_catalog.pg_namespace vn ON vn.oid = v.relnamespace \
     JOIN pg_catalog.pg_class c ON c.oid = d.refobjid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = $2 AND v.oid <> c.oid ORDER BY 1, 2";

/// Looks up what stays with a table that goes.
///
/// # Errors
/// The server's.
pub async fn attached(client: &impl GenericClient, table: &TargetTable) -> Result<Attached, tokio_postgres::Error> {
    let named: [(&(dyn ToSql + Sync), Type); 2] = [(&table.schema, Type::VARCHAR), (&table.name, Type::VARCHAR)];
    let Some(row) = client.query_typed(OWNER, &named).await?.into_iter().next() else { return Ok(Attached::default()) };
    let (owner, rights): (String, String) = (row.try_get(0)?, row.try_get(2)?);
    let mut grants = Vec::new();
    for query in GRANTS {
        for row in client.query_typed(query, &named).await? {
            grants.push(grant(&row)?);
        }
    }
    let views = client.query_typed(VIEWS, &named).await?;
    let view = |row: &Row| Ok(qualified(row.try_get(0)?, row.try_get(1)?));
    let is_owners =
        |right: &&str| right.starts_with(&format!("{owner}=")) || right.starts_with(&format!("{}=", quote(&owner)));
    let holders = rights.split('|').filter(|right| !right.is_empty() && !is_owners(right)).count();
    grants.retain(|grant| grant.kind != "user" || grant.holder != owner);
    let views = views.iter().map(view).collect::<Result<_, tokio_postgres::Error>>()?;
    Ok(Attached { is_owned: row.try_get(1)?, owner, holders, grants, views })
}

fn grant(row: &Row) -> Result<Grant, tokio_postgres::Error> {
    Ok(Grant {
        privilege: row.try_get(0)?,
        column: row.try_get(1)?,
        holder: row.try_get(2)?,
        kind: row.try_get(3)?,
        with_option: row.try_get::<_, Option<bool>>(4)?.unwrap_or_default(),
    })
}

impl Attached {
    /// What keeps the table from being made anew, in words.
    fn hindrances(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        if !self.views.is_empty() {
            found.push(format!(
                "{} would stay with the old one: make them late-binding (WITH NO SCHEMA BINDING), or drop them, run load, and make them again",
                self.views.join(", ")
            ));
        }
        let mut seen: Vec<_> = self.grants.iter().filter(|grant| grant.column.is_none()).collect();
        seen.dedup_by(|a, b| a.holder == b.holder && a.kind == b.kind);
        if seen.len() < self.holders {
            found.push(format!(
                "{} hold rights to it, of whom svv_relation_privileges shows this login {}, so that some would lose theirs: let it see them (ALTER USER … SYSLOG ACCESS UNRESTRICTED), or make {name} anew by hand",
                self.holders,
                seen.len()
            ));
        }
        found
    }

    /// The statements that give a table what another had.
    fn passed_on(&self, name: &str) -> Vec<String> {
        let mut statements: Vec<_> = self.grants.iter().map(|grant| grant.statement(name)).collect();
        if !self.is_owned {
            statements.push(format!("ALTER TABLE {name} OWNER TO {}", quote(&self.owner)));
        }
        statements
    }
}

impl Grant {
    fn statement(&self, name: &str) -> String {
        let to = match self.kind.as_str() {
            "public" => "PUBLIC".to_owned(),
            "group" => format!("GROUP {}", quote(&self.holder)),
            "role" => format!("ROLE {}", quote(&self.holder)),
            _ => quote(&self.holder),
        };
        let column = self.column.as_ref().map(|column| format!(" ({})", quote(column))).unwrap_or_default();
        let option = if self.with_option { " WITH GRANT OPTION" } else { "" };
        format!("GRANT {}{column} ON TABLE {name} TO {to}{option}", self.privilege)
    }
}

/// A column of the table that is made.
struct Made {
    definition: String,
    name: String,
    /// What the old row has for it.
    value: String,
}

impl Made {
    fn kept(present: &Present) -> Self {
        let mut definition = format!("{} {}", quote(&present.name), present.type_name);
        if present.filled == Some(Filling::Default) {
            definition = format!("{definition} DEFAULT {}", present.default);
        }
        if present.required {
            definition.push_str(" NOT NULL");
        }
        Self { definition, name: present.name.clone(), value: quote(&present.name) }
    }

    fn new(column: &TargetColumn, carries: bool) -> Self {
        let (name, sql_type) = (&column.name, &column.sql_type);
        let value = if carries { quote(name) } else { "NULL".to_owned() };
        Self {
            definition: format!("{} {sql_type}", quote(name)),
            name: name.clone(),
            value: format!("CAST({value} AS {sql_type})"),
        }
    }
}

/// The statements that make a table anew, in order.
///
/// # Errors
/// What keeps it from being made anew, in words.
pub fn statements(occasion: &Occasion<'_>, fates: &[Fate], attached: &Attached) -> Result<Vec<String>, Vec<String>> {
    let Occasion { name, production, table, .. } = *occasion;
    let mut differences = attached.hindrances(name);
    let mut made = Vec::new();
    for present in &production.columns {
        let ours = table.columns.iter().zip(fates).find(|(column, _)| column.name == present.name);
        match ours {
            None if present.is_identity() => differences.push(format!(
                "column '{}' numbers its rows itself, which another table would not do alike: drop it, or make {name} anew by hand",
                present.name
            )),
            None | Some((_, Fate::Stays | Fate::Unfit)) => made.push(Made::kept(present)),
            Some((column, Fate::Replaced { values: true })) => made.push(Made::new(column, true)),
            Some((_, Fate::Emptied)) => made.push(Made { value: "NULL".to_owned(), ..Made::kept(present) }),
            Some((column, Fate::Added | Fate::Replaced { .. })) => made.push(Made::new(column, false)),
        }
    }
    let added = table.columns.iter().filter(|column| production.column(&column.name).is_none());
    made.extend(added.map(|column| Made::new(column, false)));
    if !differences.is_empty() {
        return Err(differences);
    }
    let successor = qualified(&table.schema, &successor_name(table));
    let list = |of: fn(&Made) -> String| made.iter().map(of).collect::<Vec<_>>().join(", ");
    let definitions = list(|made| made.definition.clone());
    let mut statements = vec![format!("CREATE TABLE {successor} ({definitions}){}", attributes(table, production))];
    if !occasion.is_copy() {
        let (names, values) = (list(|made| quote(&made.name)), list(|made| made.value.clone()));
        statements.push(format!("INSERT INTO {successor} ({names}) SELECT {values} FROM {name}"));
    }
    statements.extend(attached.passed_on(&successor));
    statements.push(format!("DROP TABLE {name}"));
    statements.push(format!("ALTER TABLE {successor} RENAME TO {}", quote(&table.name)));
    Ok(statements)
}

/// The name that the table has until the old one is gone.
fn successor_name(table: &TargetTable) -> String {
    super::objects(table).mark_name.replacen("mark_", "next_", 1)
}

/// How rows are distributed and sorted: as the configuration says, else as they are.
fn attributes(table: &TargetTable, production: &Relation) -> String {
    if let Some(extra) = &table.extra {
        return format!(" {extra}");
    }
    let distributing = production.columns.iter().find(|present| present.distributes);
    let mut attributes = distributing.map(|by| format!(" DISTKEY ({})", quote(&by.name))).unwrap_or_default();
    let mut sorting: Vec<_> = production.columns.iter().filter(|present| present.sort != 0).collect();
    sorting.sort_by_key(|present| present.sort.abs());
    if !sorting.is_empty() {
        // "PG_TABLE_DEF": the places of an interleaved key are negative in turn.
        let interleaved = if sorting.iter().any(|present| present.sort < 0) { "INTERLEAVED " } else { "" };
        let names = sorting.iter().map(|present| quote(&present.name)).collect::<Vec<_>>().join(", ");
        attributes = format!("{attributes} {interleaved}SORTKEY ({names})");
    }
    attributes
}
