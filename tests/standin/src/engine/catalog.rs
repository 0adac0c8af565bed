//! The catalogue: schemas, tables, principals and settings of the user database.
//!
//! It lives in SQLite tables, so that DDL commits and rolls back with everything else; sessions share the copy of a
//! version that they read.

mod security;

pub use security::{Grant, Login, MsdbUser, Outside, Policy, Principal};

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};

pub use super::partitions::{PartitionFunction, PartitionScheme, Partitioned};
use super::values::{collation, types};
use crate::table::{ColumnDef, IndexDef, TableDef};
use crate::value::SqlType;

/// One version of the catalogue.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Version: random, so that a rolled-back one is never mistaken for another.
    pub version: i64,
    /// Everything but tables.
    pub state: State,
    /// Tables by id.
    pub tables: BTreeMap<i32, Arc<Table>>,
}

/// Everything but tables.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// The next object id.
    pub next_id: i32,
    /// Schemas: id and name.
    pub schemas: Vec<(i32, String)>,
    /// Users and roles of the database.
    pub principals: Vec<Principal>,
    /// Logins other than the first.
    pub logins: Vec<Login>,
    /// Rights granted and denied.
    pub grants: Vec<Grant>,
    /// Users of `msdb`.
    pub msdb: Vec<MsdbUser>,
    /// `ALLOW_SNAPSHOT_ISOLATION`.
    pub snapshot: bool,
    /// `READ_COMMITTED_SNAPSHOT`.
    pub read_committed_snapshot: bool,
    /// RECOVERY.
    pub recovery: String,
    /// `sp_configure` values.
    pub configuration: BTreeMap<String, i64>,
    /// Partition functions.
    pub partition_functions: Vec<PartitionFunction>,
    /// Partition schemes.
    pub partition_schemes: Vec<PartitionScheme>,
    /// Security policies.
    pub policies: Vec<Policy>,
    /// What lies outside the database.
    pub outside: Outside,
}

/// A table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    /// `object_id`; negative for temporary tables.
    pub id: i32,
    /// Schema's name.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// Indexes in order of their ids.
    pub indexes: Vec<Index>,
    /// CHECK constraints.
    pub checks: Vec<Check>,
    /// Foreign keys.
    pub foreign: Vec<Foreign>,
    /// The greatest `column_id` ever given.
    pub last_column: i32,
    /// The greatest place ever given to a column in SQLite.
    pub last_slot: i32,
    /// When it was made, in ticks.
    pub created: i64,
    /// When it was altered last.
    pub modified: i64,
    /// How it is partitioned.
    pub partition: Option<Partitioned>,
}

/// A column.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its declaration")]
pub struct Column {
    /// `column_id`.
    pub id: i32,
    /// Its place in SQLite: `c<slot>`.
    pub slot: i32,
    /// Name.
    pub name: String,
    /// Type.
    #[serde(with = "type_text")]
    pub ty: SqlType,
    /// Declared as sysname.
    pub nullable: bool,
    /// Seed and increment.
    pub identity: Option<(i64, i64)>,
    /// Expression of a computed column.
    pub computed: Option<String>,
    /// DEFAULT: constraint's id, name, text.
    pub default: Option<(i32, String, String)>,
    /// Collation of text.
    pub collation: Option<String>,
    /// ROWGUIDCOL.
    pub rowguid: bool,
    /// MASKED.
    pub masked: bool,
    /// ENCRYPTED WITH: 1 deterministic, 2 randomized.
    pub encryption: Option<u8>,
    /// `COLUMN_SET FOR ALL_SPARSE_COLUMNS`: it is described, and holds NULL.
    #[serde(default)]
    pub shows_sparse: bool,
}

/// An index.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Index {
    /// `index_id`.
    pub id: i32,
    /// Name.
    pub name: String,
    /// Unique.
    pub unique: bool,
    /// The primary key.
    pub primary: bool,
    /// A UNIQUE or PRIMARY KEY constraint: its object id.
    pub constraint: Option<i32>,
    /// Clustered.
    pub clustered: bool,
    /// Key: column ids, and whether each descends.
    pub columns: Vec<(i32, bool)>,
    /// INCLUDE: column ids.
    pub included: Vec<i32>,
    /// A filter: of only the rows in which this column is not NULL.
    #[serde(default)]
    pub holding: Option<i32>,
}

/// A CHECK constraint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// Object id.
    pub id: i32,
    /// Name.
    pub name: String,
    /// Condition.
    pub text: String,
}

/// A foreign key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Foreign {
    /// Object id.
    pub id: i32,
    /// Name.
    pub name: String,
    /// Columns here.
    pub columns: Vec<i32>,
    /// Table there.
    pub table: i32,
    /// Columns there.
    pub references: Vec<i32>,
    /// ON DELETE.
    pub on_delete: String,
    /// ON UPDATE.
    pub on_update: String,
}

pub mod type_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::value::SqlType;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub fn serialize<S: Serializer>(ty: &SqlType, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&super::types::display(*ty))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<SqlType, D::Error> {
        let text = String::deserialize(input)?;
        super::types::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Whether two names are one under the catalogue's collation.
pub fn same(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        // What the collation says of them, without its tables.
        return a.trim_end_matches(' ').eq_ignore_ascii_case(b.trim_end_matches(' '));
    }
    collation::compare(collation::DEFAULT, a, b).is_eq()
}

impl Column {
    /// The collation by its static name.
    pub fn collation(&self) -> Option<&'static str> {
        self.collation.as_deref().and_then(collation::find)
    }

    /// Whether varchar in it is UTF-8.
    pub fn utf8(&self) -> bool {
        self.collation.as_deref().is_some_and(collation::is_utf8)
    }
}

impl Table {
    /// SQLite's name of the table, quoted.
    pub fn stored(&self) -> String {
        if self.is_temporary() { format!("temp.\"t{}\"", self.id) } else { format!("main.\"t{}\"", self.id) }
    }

    /// Whether it is a `#table` or a table variable.
    pub fn is_temporary(&self) -> bool {
        self.id < 0
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| same(&column.name, name))
    }

    /// Place of the column of that id.
    pub fn position(&self, id: i32) -> Option<usize> {
        self.columns.iter().position(|column| column.id == id)
    }

    /// `schema.table`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// The table as others see it.
    pub fn definition(&self) -> TableDef {
        let columns = self.columns.iter().map(|column| ColumnDef {
            column_id: column.id,
            name: column.name.clone(),
            sql_type: column.ty,
            nullable: column.nullable,
            identity: column.identity.is_some(),
            computed: column.computed.is_some(),
            collation: column.collation(),
        });
        let indexes = self.indexes.iter().map(|index| IndexDef {
            index_id: index.id,
            name: index.name.clone(),
            unique: index.unique,
            primary_key: index.primary,
            columns: index.columns.iter().map(|(id, _)| *id).collect(),
        });
        TableDef {
            object_id: self.id,
            schema: self.schema.clone(),
            name: self.name.clone(),
            columns: columns.collect(),
            indexes: indexes.collect(),
            partitioned: self.partition.is_some(),
        }
    }
}

impl Catalog {
    /// The table of that schema and name.
    pub fn table(&self, schema: &str, name: &str) -> Option<&Arc<Table>> {
        self.tables.values().find(|table| same(&table.name, name) && same(&table.schema, schema))
    }

    /// The schema's id and its name as it was written.
    pub fn schema(&self, name: &str) -> Option<(i32, &str)> {
        self.state.schemas.iter().find(|(_, schema)| same(schema, name)).map(|(id, name)| (*id, name.as_str()))
    }

    /// The user or role of that name.
    pub fn principal(&self, name: &str) -> Option<&Principal> {
        self.state.principals.iter().find(|principal| same(&principal.name, name))
    }

    /// A new object id.
    pub fn new_id(&mut self) -> i32 {
        self.state.next_id += 16;
        self.state.next_id
    }
}

/// Makes the catalogue's tables, with the schemas and principals that every database has.
pub fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE _meta (id INTEGER PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL);
         CREATE TABLE _object (id INTEGER PRIMARY KEY, body TEXT NOT NULL);",
    )?;
    let now = super::values::datetime::now();
    let created = i64::from(now.day) * super::values::datetime::DAY + now.ticks;
    let role =
        |id, name: &str, role| Principal { id, name: name.into(), role, login: None, member_of: Vec::new(), created };
    let state = State {
        next_id: 901_578_234,
        schemas: [(1, "dbo"), (2, "guest"), (3, "INFORMATION_SCHEMA"), (4, "sys")]
            .map(|(id, name)| (id, name.to_owned()))
            .into(),
        principals: vec![
            role(0, "public", true),
            Principal { login: Some("sa".into()), ..role(1, "dbo", false) },
            role(2, "guest", false),
            role(16_384, "db_owner", true),
            role(16_385, "db_accessadmin", true),
            role(16_386, "db_securityadmin", true),
            role(16_387, "db_ddladmin", true),
            role(16_390, "db_datareader", true),
            role(16_391, "db_datawriter", true),
        ],
        recovery: "FULL".into(),
        ..State::default()
    };
    save_state(connection, &state).map(|_| ())
}

fn text<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// Writes everything but tables, under a new version.
pub fn save_state(connection: &Connection, state: &State) -> rusqlite::Result<i64> {
    let version: i64 = rand::random();
    connection.execute(
        "INSERT INTO _meta (id, version, body) VALUES (1, ?1, ?2)
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, body = excluded.body",
        (version, text(state)?),
    )?;
    Ok(version)
}

/// Writes a table; the caller saves the state too, so that the version moves.
pub fn save_table(connection: &Connection, table: &Table) -> rusqlite::Result<()> {
    let place = if table.is_temporary() { "temp._local" } else { "main._object" };
    connection
        .execute(&format!("INSERT OR REPLACE INTO {place} (id, body) VALUES (?1, ?2)"), (table.id, text(table)?))?;
    Ok(())
}

/// Removes a table from the catalogue.
pub fn remove_table(connection: &Connection, table: &Table) -> rusqlite::Result<()> {
    let place = if table.is_temporary() { "temp._local" } else { "main._object" };
    connection.execute(&format!("DELETE FROM {place} WHERE id = ?1"), [table.id])?;
    Ok(())
}

/// The version that a connection sees.
pub fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT version FROM main._meta WHERE id = 1")?.query_row([], |row| row.get(0))
}

/// The catalogue that a connection sees.
pub fn load(connection: &Connection) -> rusqlite::Result<Catalog> {
    let (version, body): (i64, String) =
        connection
            .query_row("SELECT version, body FROM main._meta WHERE id = 1", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let state = serde_json::from_str(&body).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(Catalog { version, state, tables: load_tables(connection, "main._object")? })
}

/// The temporary tables of a connection.
pub fn load_local(connection: &Connection) -> rusqlite::Result<BTreeMap<i32, Arc<Table>>> {
    load_tables(connection, "temp._local")
}

fn load_tables(connection: &Connection, place: &str) -> rusqlite::Result<BTreeMap<i32, Arc<Table>>> {
    let mut statement = connection.prepare_cached(&format!("SELECT body FROM {place}"))?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut tables = BTreeMap::new();
    for body in rows {
        let table: Table =
            serde_json::from_str(&body?).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        tables.insert(table.id, Arc::new(table));
    }
    Ok(tables)
}

/// Whether a connection has the catalogue at all.
pub fn exists(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = '_meta'", [], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
}
