//! Making what is missing: schemas, production table, watermark. Staging is each load's own.
//!
//! First a look that takes no lock of ours. Only if something is missing: the table's lock, a second look, and the
//! changes, in one transaction. There are no advisory locks: of two that make the same, one is refused and looks again.

use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{GenericClient, Transaction};

use super::{adopt, objects, read_watermark, shape};
use crate::crash::{self, Step};
use crate::error::{Error, Kind, Result};
use crate::finding::Finding;
use crate::target::delsert::{Objects, SCHEMA, quote};
use crate::target::pgwire::failure::Server;
use crate::target::pgwire::foreign::Rows;
use crate::target::pgwire::{Session, not_ours};
use crate::target::refusal::{self, Difference};
use crate::target::{Prepared, TargetTable};

/// How often the work is begun again that another got in the way of.
const TRIES: u32 = 8;

/// As [`Target::prepare`](crate::target::Target::prepare).
///
/// # Errors
/// As there.
pub async fn prepare(session: &mut Session, table: &TargetTable, readers: &[String]) -> Result<Prepared> {
    let mut changes = Vec::new();
    let mut tries = 0;
    loop {
        match try_to_prepare(session, table, readers, &mut changes).await {
            Ok(findings) => return Ok(Prepared { changes, findings }),
            Err(Obstacle::Rival(_)) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(50 << tries.min(6))).await;
            }
            Err(Obstacle::Rival(error) | Obstacle::Real(error)) => return Err(error),
        }
    }
}

/// What kept the work from being done.
enum Obstacle {
    /// Another did the same, or something beside it: a second look tells.
    Rival(Error),
    /// Something that a second look would meet again.
    Real(Error),
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Self {
        if error.kind() == Kind::TargetConflict { Self::Rival(error) } else { Self::Real(error) }
    }
}

/// A schema, a table, or a row of the catalogue that is there already.
fn is_made_by_another(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| matches!(code.code(), "42P06" | "42P07" | "42710" | "23505" | "42701"))
}

async fn try_to_prepare(
    session: &mut Session,
    table: &TargetTable,
    readers: &[String],
    changes: &mut Vec<String>,
) -> Result<Vec<Finding>, Obstacle> {
    let Session { client, server, .. } = session;
    make_schemas(client, server, table, changes).await?;
    let looking = client.transaction().await.map_err(|error| server.failed("begin a transaction", &error))?;
    let planned = plan(&looking, server, table, readers).await?;
    looking.rollback().await.map_err(|error| server.failed("end a transaction", &error))?;
    if planned.statements.is_empty() {
        return Ok(planned.findings);
    }
    let changing = client.transaction().await.map_err(|error| server.failed("begin a transaction", &error))?;
    let objects = objects(table);
    if planned.is_marked {
        let locked = changing.batch_execute(&lock_statement(&objects)).await;
        locked.map_err(|error| {
            server.owned_by(server.failed(&format!("lock {}", objects.mark), &error), SCHEMA, &objects.mark)
        })?;
    }
    let Plan { statements, findings, .. } = plan(&changing, server, table, readers).await?;
    for statement in &statements {
        changing.batch_execute(statement).await.map_err(|error| {
            let refused = refused(server, table, statement, &error);
            if is_made_by_another(&error) { Obstacle::Rival(refused) } else { refused.into() }
        })?;
    }
    crash::after(Step::TablesMade)?;
    changing.commit().await.map_err(|error| server.failed("commit the new tables", &error))?;
    crash::after(Step::TablesCommitted)?;
    changes.extend(statements);
    Ok(findings)
}

/// Takes a table's own lock. "LOCK": readers wait, too.
pub fn lock_statement(objects: &Objects) -> String {
    format!("LOCK TABLE {}", objects.mark)
}

/// Whether the login may use a schema and make tables in it; `None` where there is none.
///
/// # Errors
/// The server's.
pub async fn may_use(client: &impl GenericClient, schema: &str) -> Result<Option<bool>, tokio_postgres::Error> {
    let query = "SELECT has_schema_privilege(CAST(nspname AS varchar(128)), 'USAGE') \
                   AND has_schema_privilege(CAST(nspname AS varchar(128)), 'CREATE') \
                 FROM pg_catalog.pg_namespace WHERE nspname = $1";
    let rows = client.query_typed(query, &[(&schema, Type::VARCHAR)]).await?;
    rows.first().map(|row| row.try_get(0)).transpose()
}

async fn make_schemas(
    client: &tokio_postgres::Client,
    server: &Server,
    table: &TargetTable,
    changes: &mut Vec<String>,
) -> Result<(), Obstacle> {
    let mut schemas = vec![SCHEMA, table.schema.as_str()];
    schemas.dedup();
    for schema in schemas {
        let asked = may_use(client, schema).await;
        if asked.map_err(|error| server.failed("list the schemas", &error))?.is_some() {
            continue;
        }
        let statement = format!("CREATE SCHEMA {}", quote(schema));
        client.batch_execute(&statement).await.map_err(|error| {
            let failed = server.failed(&format!("run {statement}"), &error);
            if is_made_by_another(&error) {
                return Obstacle::Rival(failed);
            }
            let failed = server.granted_by(failed, |login| {
                format!("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {login}", quote(schema))
            });
            failed.into()
        })?;
        changes.push(statement);
        crash::after(Step::SchemasCommitted)?;
    }
    Ok(())
}

/// What a check does and tells.
#[derive(Default)]
struct Plan {
    /// The statements that make what is missing.
    statements: Vec<String>,
    /// Whether there is a watermark.
    is_marked: bool,
    findings: Vec<Finding>,
}

/// The generation last loaded, 0 before the first; `None` where there is no watermark.
async fn generation(transaction: &Transaction<'_>, server: &Server, table: &TargetTable) -> Result<Option<u64>> {
    let objects = objects(table);
    let found = shape::find(transaction, SCHEMA, &objects.mark_name).await;
    match found.map_err(|error| server.failed(&format!("look up {}", objects.mark), &error))? {
        None => Ok(None),
        Some(mark) if !mark.is_mark() => Err(not_ours("watermark", &objects.mark)),
        Some(_) => Ok(read_watermark(transaction, server, table).await?.map(|watermark| watermark.generation)),
    }
}

async fn plan(transaction: &Transaction<'_>, server: &Server, table: &TargetTable, readers: &[String]) -> Result<Plan> {
    let objects = objects(table);
    let generation = generation(transaction, server, table).await?;
    let mut plan = Plan { is_marked: generation.is_some(), ..Plan::default() };
    let found = shape::find(transaction, &table.schema, &table.name).await;
    match found.map_err(|error| server.failed(&format!("look up {}", objects.production), &error))? {
        None => {
            plan.statements.push(create_production(table, &objects));
            plan.statements.extend(readers.iter().flat_map(|reader| grants(table, &objects, reader)));
            if generation.is_some_and(|generation| generation > 0) {
                // The rows went with the table: what the watermark says of them is no longer true.
                plan.statements.push(format!(
                    "UPDATE {} SET generation = 0, sequence = 0, position = NULL, attempt = NULL, applied_at = NULL",
                    objects.mark
                ));
            }
        }
        Some(production) if generation.is_some_and(|generation| generation > 0) => {
            let hindrances = adopt::hindrances(&production);
            if !hindrances.is_empty() {
                return Err(refusal::refusal(&objects.production, &hindrances));
            }
        }
        Some(production) => {
            let differences = differences(transaction, server, (table, generation.is_none()), &production).await?;
            if !differences.is_empty() {
                return Err(refusal::refusal(&objects.production, &differences));
            }
            plan.findings.extend(adopt::findings(&production, table, &objects.production));
            for column in production.missing(table).iter().filter(|_| generation.is_none()) {
                let (name, sql_type) = (quote(&column.name), &column.sql_type);
                plan.statements.push(format!("ALTER TABLE {} ADD COLUMN {name} {sql_type}", objects.production));
            }
        }
    }
    if generation.is_none() {
        plan.statements.push(format!(
            "CREATE TABLE {} (sync varchar(1024) NOT NULL, generation bigint NOT NULL, sequence bigint NOT NULL, position varchar(256), attempt varchar(36), applied_at timestamptz)",
            objects.mark
        ));
        plan.statements.push(format!(
            "INSERT INTO {} (sync, generation, sequence) VALUES ({}, 0, 0)",
            objects.mark,
            super::copy::literal(&table.sync)
        ));
    }
    Ok(plan)
}

/// What keeps a table from being adopted that no batch was loaded into. One that an earlier check made, or accepted, and
/// that is still empty may differ: the first snapshot brings its form.
async fn differences(
    transaction: &Transaction<'_>,
    server: &Server,
    (table, is_new): (&TargetTable, bool),
    production: &shape::Relation,
) -> Result<Vec<Difference>> {
    let name = objects(table).production;
    let mut differences = adopt::hindrances(production);
    if !differences.is_empty() {
        return Ok(differences);
    }
    let rows = Rows::of(transaction, server, &name).await?;
    if is_new || rows.are_there() {
        differences = adopt::differences(production, table, &name);
    }
    differences.extend(rows.in_the_way(table));
    Ok(differences)
}

/// No key is declared, since the planner trusts those and nothing enforces them; and no NOT NULL, which nobody can drop
/// again ("ALTER TABLE").
fn create_production(table: &TargetTable, objects: &Objects) -> String {
    let columns = table.columns.iter().map(|column| format!("{} {}", quote(&column.name), column.sql_type));
    let columns = columns.collect::<Vec<_>>().join(", ");
    let extra = table.extra.as_deref().map(|extra| format!(" {extra}")).unwrap_or_default();
    format!("CREATE TABLE {} ({columns}){extra}", objects.production)
}

/// Lets somebody read a table: a user, `group …` or `role …`.
fn grants(table: &TargetTable, objects: &Objects, reader: &str) -> [String; 2] {
    let to = match reader.split_once(' ') {
        Some((kind, name)) if kind.eq_ignore_ascii_case("group") => format!("GROUP {}", quote(name.trim())),
        Some((kind, name)) if kind.eq_ignore_ascii_case("role") => format!("ROLE {}", quote(name.trim())),
        _ => quote(reader),
    };
    [
        format!("GRANT USAGE ON SCHEMA {} TO {to}", quote(&table.schema)),
        format!("GRANT SELECT ON TABLE {} TO {to}", objects.production),
    ]
}

fn refused(server: &Server, table: &TargetTable, statement: &str, error: &tokio_postgres::Error) -> Error {
    let objects = objects(table);
    let is_ours = !statement.contains(&objects.production);
    let (schema, name) = if is_ours { (SCHEMA, &objects.mark) } else { (table.schema.as_str(), &objects.production) };
    let error = server.owned_by(server.failed(&format!("run {statement}"), error), schema, name);
    match (error.kind(), &table.extra) {
        (Kind::TargetRefused | Kind::TargetShape, Some(extra)) => {
            error.advice(format!("Check 'columns' and 'extra' (\"{extra}\") of the table's [[table]] entry"))
        }
        (Kind::TargetRefused, None) => error.advice("Check 'columns' of the table's [[table]] entry"),
        _ => error,
    }
}
