//! What the login lacks in the target, and the statements that grant it.

use tokio_postgres::GenericClient;

use super::{Finding, Matter, Place};
use crate::error::{Error, Kind, Result};
use crate::target::delsert::{Objects, quote};
use crate::target::pgwire::failure::Server;
use crate::target::{TargetTable, delsert};

/// What a load does with a table that it did not make.
const NEEDED: [&str; 3] = ["SELECT", "INSERT", "DELETE"];

/// The statement that makes a schema for a login that may make none.
pub fn create_schema(schema: &str, login: &str) -> String {
    format!("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}", quote(schema), quote(login))
}

/// Refuses a table that is there and that the login may not write.
///
/// # Errors
/// [`Kind::TargetRights`], or the server's.
pub async fn check_table(client: &impl GenericClient, server: &Server, table: &TargetTable) -> Result<()> {
    let objects = super::objects(table);
    let lacking = lacking(client, &objects, table).await;
    let lacking =
        lacking.map_err(|error| server.failed(&format!("ask for rights on {}", objects.production), &error))?;
    if lacking.is_empty() {
        return Ok(());
    }
    let what = format!("does not let '{}' {} in {}", server.login(), lacking.join(", "), objects.production);
    let statement =
        format!("GRANT {} ON TABLE {} TO {}", lacking.join(", "), objects.production, quote(server.login()));
    Err(server.error(Kind::TargetRights, &what).mend(Place::Target, statement))
}

async fn lacking(
    client: &impl GenericClient,
    objects: &Objects,
    table: &TargetTable,
) -> Result<Vec<&'static str>, tokio_postgres::Error> {
    let usage = "SELECT has_schema_privilege($1::text, 'USAGE')";
    if !client.query_one(usage, &[&table.schema]).await?.try_get::<_, bool>(0)? {
        // Without it nothing in the schema can be asked for; the load's own error names it.
        return Ok(Vec::new());
    }
    let mut lacking = Vec::new();
    for right in NEEDED {
        let asked = "SELECT has_table_privilege($1::text, $2::text)";
        if !client.query_one(asked, &[&objects.production, &right]).await?.try_get::<_, bool>(0)? {
            lacking.push(right);
        }
    }
    Ok(lacking)
}

/// A login that may make no schema, for those that are missing.
pub fn cannot_create(error: Error, missing: &[&str], login: &str) -> Error {
    missing.iter().fold(error, |error, schema| error.mend(Place::Target, create_schema(schema, login)))
}

/// What makes a database writable that is so by none of its rows but by a setting; `source` is where the setting
/// stands.
pub fn read_only(is_standby: bool, source: &str, database: &str, login: &str) -> Finding {
    let (database, login) = (quote(database), quote(login));
    let setting = "default_transaction_read_only";
    if is_standby {
        let message = "the server is a standby, which takes no writes: name the primary in target.host";
        return Finding::new(Matter::TargetReadOnly, message);
    }
    let finding =
        Finding::new(Matter::TargetReadOnly, format!("{setting} is on for the login: nothing can be written"));
    match source {
        // Whoever mends it is held by the setting too.
        "database" => {
            let statement = format!("BEGIN READ WRITE; ALTER DATABASE {database} RESET {setting}; COMMIT");
            finding.mend(Place::Target, statement)
        }
        "user" => finding.mend(Place::Target, format!("ALTER ROLE {login} RESET {setting}")),
        "database user" => {
            finding.mend(Place::Target, format!("ALTER ROLE {login} IN DATABASE {database} RESET {setting}"))
        }
        "global" => finding.mend(Place::Target, format!("ALTER ROLE ALL RESET {setting}")),
        _ => finding
            .mend(Place::Target, format!("ALTER SYSTEM SET {setting} = off"))
            .mend(Place::Target, "SELECT pg_reload_conf()"),
    }
}

/// A database that lacks characters, and one beside it that has them all.
pub fn encoding(encoding: &str, database: &str, login: &str) -> Finding {
    let message = format!("the database's encoding is {encoding}, so some texts cannot be stored");
    let other = format!("{database}_utf8");
    let statement = format!(
        "CREATE DATABASE {} OWNER {} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
        quote(&other),
        quote(login)
    );
    Finding::new(Matter::TargetEncoding, message)
        .mend(Place::Target, statement)
        .mend(Place::Config, format!("[target]\ndatabase = {}", crate::config::literal(&other)))
}

/// The login may not make, or not use, `delsert`'s own schema.
pub fn own_schema(may_use: Option<bool>, may_create: bool, login: &str) -> Option<Finding> {
    let schema = delsert::SCHEMA;
    match (may_use, may_create) {
        (Some(false), _) => {
            let statement = format!("GRANT USAGE, CREATE ON SCHEMA {} TO {}", quote(schema), quote(login));
            let finding = Finding::new(Matter::TargetSchema, "the login may not use delsert's own schema");
            Some(finding.mend(Place::Target, statement))
        }
        (None, false) => {
            let finding = Finding::new(Matter::TargetSchema, format!("the login may not create schema {schema}"));
            Some(finding.mend(Place::Target, create_schema(schema, login)))
        }
        _ => None,
    }
}
