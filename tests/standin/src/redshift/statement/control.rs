//! Transactions, settings, rights and upkeep.

use super::cursor::Cursor;
use crate::redshift::error::SqlError;
use crate::redshift::name::{Name, quoted};

/// A statement that is neither a query nor about a table's form.
#[derive(Debug, Clone)]
pub enum Control {
    Begin,
    Commit,
    Rollback,
    Truncate(Name),
    Lock(Vec<Name>),
    /// ANALYZE.
    Analyze(Option<Name>),
    /// VACUUM.
    Vacuum(Option<Name>),
    /// What runs outside of blocks only, and is not modelled there.
    Outside(&'static str),
    /// SET name TO values.
    Set {
        name: String,
        values: Vec<String>,
    },
    Reset(String),
    Show(String),
    /// CANCEL pid.
    Cancel(i64),
    /// What the server below does in the same words: its tag, and the statement.
    Same {
        tag: &'static str,
        sql: String,
    },
    /// What changes nothing, such as ANALYZE COMPRESSION's setting.
    CreateUser {
        name: String,
        password: Option<String>,
        superuser: bool,
    },
}

/// Reads a statement by its first word.
pub fn parse(word: &str, cursor: &mut Cursor) -> Result<Control, SqlError> {
    match word {
        "begin" | "start" => begin(word, cursor),
        "commit" | "end" => {
            work(cursor);
            Ok(Control::Commit)
        }
        "rollback" | "abort" => {
            work(cursor);
            if cursor.is("to") {
                return Err(SqlError::unsupported("ROLLBACK TO SAVEPOINT is not supported"));
            }
            Ok(Control::Rollback)
        }
        "truncate" => {
            cursor.accept("table");
            cursor.name().map(Control::Truncate)
        }
        "lock" => {
            cursor.accept("table");
            cursor.series(Cursor::name).map(Control::Lock)
        }
        "analyze" | "analyse" => analyze(cursor),
        "vacuum" => vacuum(cursor),
        "set" => set(cursor),
        "reset" => cursor.identifier().map(Control::Reset),
        "show" => cursor.identifier().map(Control::Show),
        "cancel" => cursor.integer().map(Control::Cancel),
        "grant" | "revoke" => rights(word, cursor),
        "comment" => comment(cursor),
        "savepoint" | "release" => Err(SqlError::unsupported("SAVEPOINT is not supported")),
        "unload" => Err(SqlError::unmodelled("UNLOAD")),
        "explain" | "prepare" | "execute" | "deallocate" | "declare" | "fetch" | "close" | "call" => {
            Err(SqlError::unmodelled(&word.to_ascii_uppercase()))
        }
        _ => Err(SqlError::syntax(word)),
    }
}

fn work(cursor: &mut Cursor) {
    if !cursor.accept("work") {
        cursor.accept("transaction");
    }
}

/// BEGIN; an isolation level is read, and has no effect.
fn begin(word: &str, cursor: &mut Cursor) -> Result<Control, SqlError> {
    if word == "start" {
        cursor.expect("transaction")?;
    } else {
        work(cursor);
    }
    while !cursor.is_at_end() {
        if cursor.accept_all(&["isolation", "level"]) {
            let levels = [
                &["serializable"][..],
                &["snapshot"],
                &["read", "committed"],
                &["read", "uncommitted"],
                &["repeatable", "read"],
            ];
            if !levels.iter().any(|level| cursor.accept_all(level)) {
                return Err(cursor.unexpected());
            }
        } else if !cursor.accept_all(&["read", "write"]) && !cursor.accept_all(&["read", "only"]) {
            return Err(cursor.unexpected());
        }
        cursor.accept(",");
    }
    Ok(Control::Begin)
}

fn analyze(cursor: &mut Cursor) -> Result<Control, SqlError> {
    if cursor.is("compression") {
        return Err(SqlError::unmodelled("ANALYZE COMPRESSION"));
    }
    cursor.accept("verbose");
    let table = if cursor.is_at_end() { None } else { Some(cursor.name()?) };
    if cursor.is("(") {
        cursor.list(Cursor::identifier)?;
    } else if !cursor.accept_all(&["predicate", "columns"]) {
        cursor.accept_all(&["all", "columns"]);
    }
    Ok(Control::Analyze(table))
}

fn vacuum(cursor: &mut Cursor) -> Result<Control, SqlError> {
    let kinds = [&["full"][..], &["sort", "only"], &["delete", "only"], &["reindex"], &["recluster"]];
    kinds.iter().any(|kind| cursor.accept_all(kind));
    let ends = cursor.is_at_end() || cursor.is("to") || cursor.is("boost");
    let table = if ends { None } else { Some(cursor.name()?) };
    if cursor.accept("to") {
        if !(0..=100).contains(&cursor.integer()?) {
            return Err(SqlError::new("22023", "VACUUM TO takes a percentage between 0 and 100"));
        }
        cursor.expect("percent")?;
    }
    cursor.accept("boost");
    Ok(Control::Vacuum(table))
}

fn set(cursor: &mut Cursor) -> Result<Control, SqlError> {
    if cursor.accept_all(&["session", "authorization"]) {
        return Err(SqlError::unmodelled("SET SESSION AUTHORIZATION"));
    }
    if cursor.accept_all(&["time", "zone"]) {
        let value = value(cursor)?;
        return Ok(Control::Set { name: "timezone".to_owned(), values: vec![value] });
    }
    cursor.accept("session");
    if cursor.accept("local") {
        return Err(SqlError::syntax("local"));
    }
    let name = cursor.identifier()?;
    if !cursor.accept("=") {
        cursor.expect("to")?;
    }
    let values = cursor.series(value)?;
    Ok(Control::Set { name, values })
}

fn value(cursor: &mut Cursor) -> Result<String, SqlError> {
    if let Ok(text) = cursor.text() {
        return Ok(text);
    }
    if let Ok(number) = cursor.integer() {
        return Ok(number.to_string());
    }
    // `off`, `on`, `default` and names: reserved or not.
    cursor.identifier().or_else(|_| cursor.bare_word())
}

/// Privileges on tables, by Redshift's names.
const ON_TABLES: &[&str] = &["select", "insert", "update", "delete", "drop", "references", "alter", "truncate", "all"];
const ON_SCHEMAS: &[&str] = &["create", "usage", "alter", "drop", "all"];
/// Privileges that the server below knows, too.
const BELOW: &[&str] =
    &["select", "insert", "update", "delete", "references", "truncate", "create", "usage", "all", "temporary", "temp"];

fn rights(word: &str, cursor: &mut Cursor) -> Result<Control, SqlError> {
    let grant = word == "grant";
    let privileges = cursor.series(|cursor| {
        let privilege = cursor.bare_word()?;
        if privilege == "all" {
            cursor.accept("privileges");
        }
        // "GRANT": SELECT, UPDATE and ALL can be of columns.
        let of_columns = cursor.is("(") && matches!(privilege.as_str(), "select" | "update" | "all");
        let columns = if of_columns { cursor.list(Cursor::identifier)? } else { Vec::new() };
        let columns = columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
        Ok((privilege, if of_columns { format!(" ({columns})") } else { columns }))
    })?;
    cursor.expect("on")?;
    let (kind, known, objects) = if cursor.accept("schema") {
        let schemas = cursor.series(Cursor::identifier)?;
        ("SCHEMA", ON_SCHEMAS, schemas.iter().map(|schema| quoted(schema)).collect::<Vec<_>>())
    } else if cursor.accept("database") {
        let databases = cursor.series(Cursor::identifier)?;
        (
            "DATABASE",
            &["create", "temporary", "temp", "usage", "all"][..],
            databases.iter().map(|name| quoted(name)).collect(),
        )
    } else if cursor.accept_all(&["all", "tables", "in", "schema"]) {
        let schemas = cursor.series(Cursor::identifier)?;
        ("ALL TABLES IN SCHEMA", ON_TABLES, schemas.iter().map(|schema| quoted(schema)).collect())
    } else {
        cursor.accept("table");
        ("TABLE", ON_TABLES, cursor.series(Cursor::name)?.iter().map(Name::quoted).collect())
    };
    if let Some((unknown, _)) = privileges.iter().find(|(privilege, _)| !known.contains(&privilege.as_str())) {
        return Err(SqlError::syntax(unknown));
    }
    if kind != "TABLE" && privileges.iter().any(|(_, columns)| !columns.is_empty()) {
        return Err(SqlError::syntax("("));
    }
    cursor.expect(if grant { "to" } else { "from" })?;
    let grantees = cursor.series(grantee)?;
    let option = if grant && cursor.accept_all(&["with", "grant", "option"]) { " WITH GRANT OPTION" } else { "" };
    let below = privileges.iter().filter(|(privilege, _)| BELOW.contains(&privilege.as_str()));
    let below: Vec<_> = below.map(|(privilege, columns)| format!("{privilege}{columns}")).collect();
    let tag = if grant { "GRANT" } else { "REVOKE" };
    if below.is_empty() {
        return Err(SqlError::unmodelled("a right to ALTER or DROP alone"));
    }
    let direction = if grant { "TO" } else { "FROM" };
    let sql = format!(
        "{tag} {} ON {kind} {} {direction} {}{option}",
        below.join(", "),
        objects.join(", "),
        grantees.join(", ")
    );
    Ok(Control::Same { tag, sql })
}

fn grantee(cursor: &mut Cursor) -> Result<String, SqlError> {
    if cursor.accept("public") {
        return Ok("PUBLIC".to_owned());
    }
    if cursor.accept("role") {
        return Err(SqlError::unmodelled("GRANT to a role"));
    }
    cursor.accept("group");
    cursor.identifier().map(|name| quoted(&name))
}

fn comment(cursor: &mut Cursor) -> Result<Control, SqlError> {
    cursor.expect("on")?;
    let object = match cursor.bare_word()?.as_str() {
        "table" => format!("TABLE {}", cursor.name()?.quoted()),
        "view" => format!("VIEW {}", cursor.name()?.quoted()),
        "schema" => format!("SCHEMA {}", quoted(&cursor.identifier()?)),
        "column" => {
            let table = cursor.name()?;
            if cursor.accept(".") {
                format!("COLUMN {}.{}", table.quoted(), quoted(&cursor.identifier()?))
            } else {
                format!("COLUMN {}", table.quoted())
            }
        }
        other => return Err(SqlError::syntax(other)),
    };
    cursor.expect("is")?;
    let text = if cursor.accept("null") { "NULL".to_owned() } else { crate::redshift::name::literal(&cursor.text()?) };
    Ok(Control::Same { tag: "COMMENT", sql: format!("COMMENT ON {object} IS {text}") })
}

/// Reads what follows CREATE and is no table or view.
pub fn create(cursor: &mut Cursor) -> Result<Control, SqlError> {
    if cursor.accept("schema") {
        let if_not_exists = cursor.accept_all(&["if", "not", "exists"]);
        let name = cursor.identifier()?;
        if name.starts_with("pg_") {
            return Err(SqlError::new("42939", format!("unacceptable schema name \"{name}\"")));
        }
        let owner = if cursor.accept("authorization") {
            format!(" AUTHORIZATION {}", quoted(&cursor.identifier()?))
        } else {
            String::new()
        };
        if cursor.accept("quota") && !cursor.accept("unlimited") {
            cursor.integer()?;
            cursor.bare_word()?;
        }
        let guard = if if_not_exists { "IF NOT EXISTS " } else { "" };
        return Ok(Control::Same {
            tag: "CREATE SCHEMA",
            sql: format!("CREATE SCHEMA {guard}{}{owner}", quoted(&name)),
        });
    }
    if cursor.accept("group") {
        let name = quoted(&cursor.identifier()?);
        return Ok(Control::Same { tag: "CREATE GROUP", sql: format!("CREATE ROLE {name} NOLOGIN") });
    }
    if cursor.accept("user") {
        return create_user(cursor);
    }
    for (word, what) in [("database", "CREATE DATABASE"), ("external", "CREATE EXTERNAL TABLE")] {
        if cursor.accept(word) {
            cursor.skip_rest();
            return Ok(Control::Outside(what));
        }
    }
    match cursor.peek().map(|token| token.value.as_str()) {
        Some("index" | "unique") => {
            Err(SqlError::unsupported("SQL command \"CREATE INDEX\" not supported on Redshift tables."))
        }
        Some("function" | "procedure" | "materialized" | "datashare" | "library" | "model") => {
            Err(SqlError::unmodelled("this kind of CREATE"))
        }
        _ => Err(cursor.unexpected()),
    }
}

fn create_user(cursor: &mut Cursor) -> Result<Control, SqlError> {
    let name = cursor.identifier()?;
    cursor.accept("with");
    cursor.expect("password")?;
    let password = if cursor.accept("disable") { None } else { Some(cursor.text()?) };
    let mut superuser = false;
    while !cursor.is_at_end() {
        superuser |= cursor.accept("createuser");
        if !superuser && !cursor.accept("nocreateuser") && !cursor.accept("nocreatedb") {
            return Err(SqlError::unmodelled("this option of CREATE USER"));
        }
    }
    Ok(Control::CreateUser { name, password, superuser })
}

/// Reads what follows DROP and is no table or view.
pub fn drop(cursor: &mut Cursor) -> Result<Control, SqlError> {
    if cursor.accept("schema") {
        let guard = if cursor.accept_all(&["if", "exists"]) { "IF EXISTS " } else { "" };
        let names = cursor.series(Cursor::identifier)?;
        let cascade = if cursor.accept("cascade") { " CASCADE" } else { "" };
        cursor.accept("restrict");
        let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
        return Ok(Control::Same {
            tag: "DROP SCHEMA",
            sql: format!("DROP SCHEMA {guard}{}{cascade}", names.join(", ")),
        });
    }
    if cursor.accept("user") || cursor.accept("group") {
        let guard = if cursor.accept_all(&["if", "exists"]) { "IF EXISTS " } else { "" };
        let name = quoted(&cursor.identifier()?);
        return Ok(Control::Same { tag: "DROP USER", sql: format!("DROP ROLE {guard}{name}") });
    }
    Err(cursor.unexpected())
}

/// Reads what follows ALTER and is no table.
pub fn alter(cursor: &mut Cursor) -> Result<Control, SqlError> {
    if cursor.accept("group") {
        let group = quoted(&cursor.identifier()?);
        let add = cursor.accept("add");
        if !add {
            cursor.expect("drop")?;
        }
        cursor.expect("user")?;
        let users: Vec<_> = cursor.series(Cursor::identifier)?.iter().map(|name| quoted(name)).collect();
        let (verb, direction) = if add { ("GRANT", "TO") } else { ("REVOKE", "FROM") };
        return Ok(Control::Same {
            tag: "ALTER GROUP",
            sql: format!("{verb} {group} {direction} {}", users.join(", ")),
        });
    }
    if cursor.accept("schema") {
        let schema = quoted(&cursor.identifier()?);
        let what = if cursor.accept("rename") { "RENAME" } else { "OWNER" };
        if what == "OWNER" {
            cursor.expect("owner")?;
        }
        cursor.expect("to")?;
        let to = quoted(&cursor.identifier()?);
        return Ok(Control::Same { tag: "ALTER SCHEMA", sql: format!("ALTER SCHEMA {schema} {what} TO {to}") });
    }
    if cursor.accept_all(&["default", "privileges"]) {
        return Err(SqlError::unmodelled("ALTER DEFAULT PRIVILEGES"));
    }
    Err(cursor.unexpected())
}
