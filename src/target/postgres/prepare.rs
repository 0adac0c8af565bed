//! Making what is missing: schemas, production table, staging table, watermark.
//!
//! First a look that takes no lock of ours, so that a check beside a long load does not wait for it. Only if something
//! is missing: the locks, in the order in which a load takes them, a second look, and the changes, in one transaction.

use tokio_postgres::{Client, Transaction};

use super::failure::Server;
use super::{objects, read_watermark, rights, shape};
use crate::crash::{self, Step};
use crate::error::{Error, Kind, Result};
use crate::target::delsert::{self, OPERATION, Objects, SCHEMA, literal, quote};
use crate::target::{Prepared, TargetTable};

/// The advisory lock under which schemas are made: any constant that is ours.
const SCHEMAS: i64 = 0x6465_6C73_6572_7400;

/// As [`Target::prepare`](crate::target::Target::prepare).
///
/// # Errors
/// As there.
pub async fn prepare(client: &mut Client, server: &Server, table: &TargetTable) -> Result<Prepared> {
    let mut changes = make_schemas(client, server, table).await?;
    let looking = transaction(client, server).await?;
    let missing = !plan(&looking, server, table).await?.is_empty();
    looking.rollback().await.map_err(|error| server.failed("end a transaction", &error))?;
    if missing {
        let changing = transaction(client, server).await?;
        lock(&changing, server, table).await?;
        let statements = plan(&changing, server, table).await?;
        for statement in &statements {
            let run = changing.batch_execute(statement).await;
            run.map_err(|error| refused(server, table, statement, &error))?;
        }
        crash::after(Step::TablesMade)?;
        changing.commit().await.map_err(|error| server.failed("commit the new tables", &error))?;
        crash::after(Step::TablesCommitted)?;
        changes.extend(statements);
    }
    Ok(Prepared { changes })
}

async fn transaction<'a>(client: &'a mut Client, server: &Server) -> Result<Transaction<'a>> {
    // Whatever the login's default: the second look must see what was committed before the lock was had.
    let isolation = tokio_postgres::IsolationLevel::ReadCommitted;
    let begun = client.build_transaction().isolation_level(isolation).read_only(false).start().await;
    begun.map_err(|error| server.failed("begin a transaction", &error))
}

/// In a transaction of their own, since two tables often share one.
async fn make_schemas(client: &mut Client, server: &Server, table: &TargetTable) -> Result<Vec<String>> {
    let missing = missing_schemas(client, server, table).await?;
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let making = transaction(client, server).await?;
    advisory_lock(&making, server, SCHEMAS).await?;
    let mut changes = Vec::new();
    let missing = missing_schemas(&making, server, table).await?;
    for schema in &missing {
        let statement = format!("CREATE SCHEMA {}", quote(schema));
        making.batch_execute(&statement).await.map_err(|error| {
            let error = server.failed(&format!("run {statement}"), &error);
            match error.kind() {
                Kind::TargetRights => {
                    let error = error.advice("Have the schemas made by someone who may");
                    rights::cannot_create(error, &missing, server.login())
                }
                _ => error,
            }
        })?;
        changes.push(statement);
    }
    making.commit().await.map_err(|error| server.failed("commit the new schemas", &error))?;
    crash::after(Step::SchemasCommitted)?;
    Ok(changes)
}

async fn missing_schemas<'a>(
    client: &impl tokio_postgres::GenericClient,
    server: &Server,
    table: &'a TargetTable,
) -> Result<Vec<&'a str>> {
    let mut schemas = vec![SCHEMA, table.schema.as_str()];
    schemas.dedup();
    let query = "SELECT nspname::text FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1)";
    let rows = client.query(query, &[&schemas]).await.map_err(|error| server.failed("list the schemas", &error))?;
    let present: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok(schemas.into_iter().filter(|schema| present.iter().all(|name| name != schema)).collect())
}

async fn advisory_lock(transaction: &Transaction<'_>, server: &Server, key: i64) -> Result<()> {
    let locked = transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&key]).await;
    locked.map(drop).map_err(|error| server.failed("wait for another check", &error))
}

/// Keeps out another `prepare` of the table, then a load of it.
async fn lock(transaction: &Transaction<'_>, server: &Server, table: &TargetTable) -> Result<()> {
    let objects = objects(table);
    let key = objects
        .mark_name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    advisory_lock(transaction, server, key.cast_signed()).await?;
    if find(transaction, server, SCHEMA, &objects.mark_name).await?.is_some() {
        let locked = transaction.batch_execute(&lock_statement(&objects)).await;
        locked.map_err(|error| server.failed(&format!("lock {}", objects.mark), &error))?;
    }
    Ok(())
}

/// Takes a table's own lock; readers of the watermark pass.
pub fn lock_statement(objects: &Objects) -> String {
    format!("LOCK TABLE {} IN EXCLUSIVE MODE", objects.mark)
}

async fn find(
    transaction: &Transaction<'_>,
    server: &Server,
    schema: &str,
    name: &str,
) -> Result<Option<shape::Relation>> {
    let found = shape::find(transaction, schema, name).await;
    found.map_err(|error| server.failed(&format!("look up {}", delsert::qualified(schema, name)), &error))
}

/// The statements that make what is missing.
async fn plan(transaction: &Transaction<'_>, server: &Server, table: &TargetTable) -> Result<Vec<String>> {
    let objects = objects(table);
    let mut statements = Vec::new();
    let mark = find(transaction, server, SCHEMA, &objects.mark_name).await?;
    let watermark = if mark.is_some() { read_watermark(transaction, server, table).await? } else { None };
    let types = shape::wanted(transaction, server, table).await?;
    match find(transaction, server, &table.schema, &table.name).await? {
        None => {
            statements.push(create_production(table, &objects));
            if watermark.is_some_and(|watermark| watermark.generation > 0) {
                // The rows went with the table: what the watermark says of them is no longer true.
                statements.push(format!(
                    "UPDATE {} SET generation = 0, sequence = 0, position = NULL, attempt = NULL, applied_at = NULL",
                    objects.mark
                ));
            }
        }
        // What was accepted once takes its form from the batches.
        Some(production) if mark.is_some() => {
            rights::check_table(transaction, server, table).await?;
            let hindrances = shape::hindrances(&production);
            if !hindrances.is_empty() {
                return Err(shape_error(&objects, &hindrances));
            }
        }
        Some(production) => {
            rights::check_table(transaction, server, table).await?;
            let differences = shape::differences(&production, table, &types);
            if !differences.is_empty() {
                return Err(shape_error(&objects, &differences));
            }
            if !shape::key_is_indexed(&production, table) {
                tracing::warn!(table = %table.source_name, "{} has no index on the key: each load scans it; consider a primary key", objects.production);
            }
            tracing::warn!(table = %table.source_name, "{} was there before: the first snapshot replaces its rows", objects.production);
            for column in shape::missing(&production, table) {
                let (name, sql_type) = (quote(&column.name), &column.sql_type);
                statements.push(format!("ALTER TABLE {} ADD COLUMN {name} {sql_type}", objects.production));
            }
        }
    }
    match find(transaction, server, SCHEMA, &objects.staging_name).await? {
        Some(staging) if shape::staging_fits(&staging, table, &types) => {}
        Some(_) => statements.extend([format!("DROP TABLE {}", objects.staging), create_staging(table, &objects)]),
        None => statements.push(create_staging(table, &objects)),
    }
    if mark.is_none() {
        statements.push(format!(
            "CREATE TABLE {} (sync text PRIMARY KEY, generation bigint NOT NULL, sequence bigint NOT NULL, position text, attempt uuid, applied_at timestamptz)",
            objects.mark
        ));
        statements.push(format!("INSERT INTO {} VALUES ({}, 0, 0)", objects.mark, literal(&table.sync)));
    }
    Ok(statements)
}

fn create_production(table: &TargetTable, objects: &Objects) -> String {
    let columns = table.columns.iter().map(|column| {
        let null = if column.nullable { "" } else { " NOT NULL" };
        format!("{} {}{null}", quote(&column.name), column.sql_type)
    });
    let key: Vec<_> = table.key.iter().map(|&at| quote(&table.columns[at].name)).collect();
    let columns = columns.collect::<Vec<_>>().join(", ");
    let extra = table.extra.as_deref().map(|extra| format!(" {extra}")).unwrap_or_default();
    format!("CREATE TABLE {} ({columns}, PRIMARY KEY ({})){extra}", objects.production, key.join(", "))
}

/// Staging holds deletes too, of which only the key is known: no column of it is NOT NULL.
pub fn create_staging(table: &TargetTable, objects: &Objects) -> String {
    let columns = table.columns.iter().map(|column| format!(", {} {}", quote(&column.name), column.sql_type));
    format!("CREATE UNLOGGED TABLE {} ({OPERATION} text{})", objects.staging, columns.collect::<String>())
}

fn shape_error(objects: &Objects, differences: &[String]) -> Error {
    let message = format!("{} is there, but not as it should be: {}", objects.production, differences.join("; "));
    Error::new(Kind::TargetShape, message).advice(
        "Alter the table, set the types in 'columns' of its [[table]] entry, or rename it out of the way and run 'delsert check' again",
    )
}

fn refused(server: &Server, table: &TargetTable, statement: &str, error: &tokio_postgres::Error) -> Error {
    let error = server.failed(&format!("run {statement}"), error);
    match (error.kind(), &table.extra) {
        (Kind::TargetRefused | Kind::TargetShape, Some(extra)) => {
            error.advice(format!("Check 'columns' and 'extra' (\"{extra}\") of the table's [[table]] entry"))
        }
        (Kind::TargetRefused, None) => error.advice("Check 'columns' of the table's [[table]] entry"),
        _ => error,
    }
}
