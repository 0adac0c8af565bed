//! A table made anew beside itself, where a column must change by which its rows are distributed or sorted: "ALTER TABLE"
//! can neither drop such a column nor alter its type.
//!
//! All of it is one with the load. "Performing a deep copy": grants and ordinary views stay with the table that goes. So
//! grants are given anew, and views are named before anything is touched; late-binding ones follow the name.

use std::collections::BTreeSet;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{GenericClient, Row};

use super::reshape::{Fate, Occasion};
use super::shape::{Filling, Present, Relation, wanted};
use crate::target::delsert::{qualified, quote};
use crate::target::types::Shape;
use crate::target::{TargetColumn, TargetTable};

/// What stays with a table that goes.
#[derive(Debug, Default)]
pub struct Attached {
    /// Its owner.
    owner: String,
    /// Whether that is the login itself.
    is_owned: bool,
    /// Whether the login may do everything.
    is_superuser: bool,
    /// Who holds rights to it, as its own list of them says; the owner not counted.
    holders: BTreeSet<String>,
    /// How its rows are distributed, by a number of the catalogue's.
    distribution: i32,
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
       CAST(COALESCE(array_to_string(c.relacl, '|'), '') AS varchar(65535)), u.usesuper, \
       CAST(COALESCE(i.releffectivediststyle, 10) AS integer) \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_catalog.pg_user u ON u.usename = current_user LEFT JOIN pg_class_info i ON i.reloid = c.oid \
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
    grants.retain(|grant| grant.kind != "user" || grant.holder != owner);
    Ok(Attached {
        is_owned: row.try_get(1)?,
        is_superuser: row.try_get(3)?,
        distribution: row.try_get(4)?,
        holders: holders(&rights, &owner),
        owner,
        grants,
        views: views.iter().map(view).collect::<Result<_, tokio_postgres::Error>>()?,
    })
}

/// Who stands in a list of rights, each as `holder=letters/grantor`, the owner left out; `public` has no name there.
fn holders(rights: &str, owner: &str) -> BTreeSet<String> {
    let named = rights.split('|').filter_map(|right| Some(right.rsplit_once('=')?.0));
    let bare = |holder: &str| {
        let name = holder.strip_prefix("group ").or_else(|| holder.strip_prefix("role ")).unwrap_or(holder);
        let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
        if name.is_empty() { "public".to_owned() } else { name.replace("\"\"", "\"") }
    };
    named.map(bare).filter(|holder| holder != owner).collect()
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
        let seen: BTreeSet<_> = self.grants.iter().map(|grant| grant.holder.as_str()).collect();
        let hidden: Vec<_> = self.holders.iter().filter(|holder| !seen.contains(holder.as_str())).collect();
        if !hidden.is_empty() {
            let hidden = hidden.iter().map(|holder| quote(holder)).collect::<Vec<_>>().join(", ");
            found.push(format!(
                "{hidden} would lose rights to it that svv_relation_privileges does not show this login: let it see them (ALTER USER … SYSLOG ACCESS UNRESTRICTED), or make {name} anew by hand"
            ));
        }
        if !self.is_owned && !self.is_superuser {
            let owner = quote(&self.owner);
            found.push(format!("{owner} owns it: have its owner or a superuser run load once"));
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
            None if matches!(present.filled, Some(Filling::Identity | Filling::ByDefault)) => differences.push(format!(
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
    let mut statements =
        vec![format!("CREATE TABLE {successor} ({definitions}){}", attributes(table, production, attached))];
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

/// How rows are distributed and sorted: as the configuration says, else as they are, as far as a column's type lets them.
fn attributes(table: &TargetTable, production: &Relation, attached: &Attached) -> String {
    if let Some(extra) = &table.extra {
        return format!(" {extra}");
    }
    let becomes = |present: &Present| {
        let ours = table.columns.iter().find(|column| column.name == present.name);
        ours.map_or_else(|| present.shape(), wanted)
    };
    // "CREATE TABLE": bytes and SUPER order nothing.
    let orders = |present: &&Present| !matches!(becomes(present), Shape::Bytes(_) | Shape::Parsed | Shape::Other);
    let distributing = production.columns.iter().filter(orders).find(|present| present.distributes);
    // "Viewing distribution styles": 0 EVEN, 1 KEY, 8 ALL; 10 to 12 are chosen by the service, which chooses again.
    let mut attributes = match (attached.distribution, distributing) {
        (1, Some(by)) => format!(" DISTKEY ({})", quote(&by.name)),
        (0, _) => " DISTSTYLE EVEN".to_owned(),
        (8, _) => " DISTSTYLE ALL".to_owned(),
        _ => String::new(),
    };
    let mut sorting: Vec<_> = production.columns.iter().filter(orders).filter(|present| present.sort != 0).collect();
    sorting.sort_by_key(|present| present.sort.abs());
    if !sorting.is_empty() {
        // "PG_TABLE_DEF": the places of an interleaved key are negative in turn.
        let interleaved = if sorting.iter().any(|present| present.sort < 0) { "INTERLEAVED " } else { "" };
        let names = sorting.iter().map(|present| quote(&present.name)).collect::<Vec<_>>().join(", ");
        attributes = format!("{attributes} {interleaved}SORTKEY ({names})");
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_rights_names_its_holders() {
        let rights =
            "loader=arwdRxt/loader|reader=r/loader|reader=r/other|group bi=r/loader|\"IAMR:x\"=r/loader|=r/loader";
        let named: Vec<_> = holders(rights, "loader").into_iter().collect();
        assert_eq!(named, ["IAMR:x", "bi", "public", "reader"]);
        assert!(holders("", "loader").is_empty());
    }
    #[test]
    fn who_would_lose_something_is_named_before() {
        let grant = |holder: &str, kind: &str| Grant {
            privilege: "SELECT".to_owned(),
            column: None,
            holder: holder.to_owned(),
            kind: kind.to_owned(),
            with_option: kind == "user",
        };
        let seen = Attached {
            owner: "loader".to_owned(),
            is_owned: true,
            holders: holders("loader=a/loader|reader=r*/loader|group bi=r/loader", "loader"),
            grants: vec![grant("reader", "user"), grant("bi", "group"), grant("reports", "role")],
            ..Attached::default()
        };
        assert!(seen.hindrances("s.t").is_empty());
        assert_eq!(
            seen.passed_on("s.n"),
            [
                "GRANT SELECT ON TABLE s.n TO \"reader\" WITH GRANT OPTION",
                "GRANT SELECT ON TABLE s.n TO GROUP \"bi\"",
                "GRANT SELECT ON TABLE s.n TO ROLE \"reports\"",
            ]
        );
        let hidden = Attached { holders: holders("auditor=r/loader|reader=r/loader", "loader"), ..seen };
        let told = hidden.hindrances("s.t").join("; ");
        assert!(told.contains("\"auditor\" would lose rights") && !told.contains("\"reader\""), "{told}");
        let others = Attached { owner: "dba".to_owned(), is_owned: false, ..Attached::default() };
        assert!(others.hindrances("s.t")[0].contains("\"dba\" owns it"));
        let by_superuser = Attached { is_superuser: true, ..others };
        assert!(by_superuser.hindrances("s.t").is_empty());
        assert_eq!(by_superuser.passed_on("s.n"), ["ALTER TABLE s.n OWNER TO \"dba\""]);
    }
}
