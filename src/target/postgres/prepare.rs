//! Making what is missing: schemas, production table, staging table, watermark.
//!
//! First a look that takes no lock of ours, so that a check beside a long load does not wait for it. Only if something
//! is missing: the locks, in the order in which a load takes them, a second look, and the changes, in one transaction.

use tokio_postgres::{Client, IsolationLevel, Transaction};

use super::attached::{self, Production};
use super::{adopt, connect, key, objects, read_watermark, rights, shape};
use crate::crash::{self, Step};
use crate::error::{Error, Kind, Result};
use crate::finding::{Finding, Matter};
use crate::target::delsert::{self, OPERATION, Objects, SCHEMA, literal, quote};
use crate::target::pgwire::failure::Server;
use crate::target::pgwire::foreign::Rows;
use crate::target::pgwire::not_ours;
use crate::target::refusal::{self, Difference};
use crate::target::{Prepared, TargetTable};

/// The advisory lock under which schemas are made: any constant that is ours.
const SCHEMAS: i64 = 0x6465_6C73_6572_7400;

/// As [`Target::prepare`](crate::target::Target::prepare).
///
/// # Errors
/// As there.
pub async fn prepare(client: &mut Client, server: &Server, table: &TargetTable) -> Result<Prepared> {
    let mut changes = make_schemas(client, server, table).await?;
    let Plan { statements: missing, mut findings, .. } = look(client, server, table).await?;
    if !missing.is_empty() {
        let changing = connect::begin(client, server).await?;
        lock(&changing, server, table).await?;
        let planned = plan(&changing, server, table).await?;
        for statement in &planned.statements {
            let run = changing.batch_execute(statement).await;
            run.map_err(|error| refused(server, table, statement, &error))?;
        }
        if planned.makes_production {
            let signed = attached::sign_key(&changing, table).await;
            signed.map_err(|error| server.failed("mark the primary key as delsert's", &error))?;
        }
        crash::after(Step::TablesMade)?;
        changing.commit().await.map_err(|error| server.failed("commit the new tables", &error))?;
        crash::after(Step::TablesCommitted)?;
        changes.extend(planned.statements);
        findings = planned.findings;
    }
    Ok(Prepared { changes, findings })
}

/// The look without a lock, at one moment of the catalogue: what another changes between two of its queries would else make
/// a table of ours seem a stranger's.
async fn look(client: &mut Client, server: &Server, table: &TargetTable) -> Result<Plan> {
    let looking = connect::begin_at(client, server, IsolationLevel::RepeatableRead).await?;
    let planned = plan(&looking, server, table).await?;
    looking.rollback().await.map_err(|error| server.failed("end a transaction", &error))?;
    Ok(planned)
}

/// In a transaction of their own, since two tables often share one.
async fn make_schemas(client: &mut Client, server: &Server, table: &TargetTable) -> Result<Vec<String>> {
    let missing = missing_schemas(client, server, table).await?;
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let making = connect::begin(client, server).await?;
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
        locked.map_err(|error| {
            server.owned_by(server.failed(&format!("lock {}", objects.mark), &error), SCHEMA, &objects.mark)
        })?;
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

/// What a check does and tells.
#[derive(Default)]
struct Plan {
    /// The statements that make what is missing.
    statements: Vec<String>,
    /// Whether the production table is among it.
    makes_production: bool,
    findings: Vec<Finding>,
}

/// The generation last loaded, 0 before the first; `None` where there is no watermark.
async fn generation(transaction: &Transaction<'_>, server: &Server, table: &TargetTable) -> Result<Option<u64>> {
    let objects = objects(table);
    match find(transaction, server, SCHEMA, &objects.mark_name).await? {
        None => Ok(None),
        Some(mark) if !shape::is_mark(&mark) => Err(not_ours("watermark", &objects.mark)),
        Some(_) => Ok(read_watermark(transaction, server, table).await?.map(|watermark| watermark.generation)),
    }
}

async fn plan(transaction: &Transaction<'_>, server: &Server, table: &TargetTable) -> Result<Plan> {
    let objects = objects(table);
    let mut plan = Plan::default();
    let generation = generation(transaction, server, table).await?;
    let was_loaded = generation.is_some_and(|generation| generation > 0);
    let types = shape::wanted(transaction, server, table).await?;
    key::check(transaction, server, table, &types).await?;
    let look_up = |error: tokio_postgres::Error| server.failed(&format!("look up {}", objects.production), &error);
    match attached::find(transaction, table).await.map_err(look_up)? {
        None => {
            plan.statements.push(create_production(table, &objects));
            plan.makes_production = true;
            plan.findings.extend(attached::case_variants(transaction, table).await.map_err(look_up)?.iter().map(
                |other| {
                    let message = format!(
                        "beside {} there is {other}, which is another table and gets nothing",
                        objects.production
                    );
                    Finding::new(Matter::CaseVariant, message)
                },
            ));
            if was_loaded {
                // The rows went with the table: what the watermark says of them is no longer true.
                plan.statements.push(format!(
                    "UPDATE {} SET generation = 0, sequence = 0, position = NULL, attempt = NULL, applied_at = NULL",
                    objects.mark
                ));
            }
        }
        // What batches were loaded into takes its form from them.
        Some(production) if was_loaded => {
            rights::check_table(transaction, server, table).await?;
            let hindrances = adopt::hindrances(&production, table);
            if !hindrances.is_empty() {
                return Err(refusal::refusal(&objects.production, &hindrances));
            }
        }
        Some(production) => {
            let is_new = generation.is_none();
            let differences = differences(transaction, server, (table, &types, is_new), &production).await?;
            // Nothing but rights is in the way: those of a new table are told with all else.
            if production.is_table() && !production.lacks.is_empty() && differences.len() == usize::from(is_new) {
                rights::check_table(transaction, server, table).await?;
            }
            if !differences.is_empty() {
                return Err(refusal::refusal(&objects.production, &differences));
            }
            plan.findings.extend(adopt::findings(&production, table));
            for column in shape::missing(&production.relation, table).iter().filter(|_| generation.is_none()) {
                let (name, sql_type) = (quote(&column.name), &column.sql_type);
                plan.statements.push(format!("ALTER TABLE {} ADD COLUMN {name} {sql_type}", objects.production));
            }
        }
    }
    match find(transaction, server, SCHEMA, &objects.staging_name).await? {
        Some(staging) if shape::staging_fits(&staging, table, &types) => {}
        Some(staging) if !shape::is_staging(&staging) => return Err(not_ours("staging", &objects.staging)),
        Some(_) => plan.statements.extend([format!("DROP TABLE {}", objects.staging), create_staging(table, &objects)]),
        None => plan.statements.push(create_staging(table, &objects)),
    }
    if generation.is_none() {
        plan.statements.push(format!(
            "CREATE TABLE {} (sync text PRIMARY KEY, generation bigint NOT NULL, sequence bigint NOT NULL, position text, attempt uuid, applied_at timestamptz)",
            objects.mark
        ));
        plan.statements.push(format!("INSERT INTO {} VALUES ({}, 0, 0)", objects.mark, literal(&table.sync)));
    }
    Ok(plan)
}

/// What keeps a table from being adopted that no batch was loaded into. One that an earlier check made, or accepted, and
/// that is still empty may differ: the first snapshot brings its form.
async fn differences(
    transaction: &Transaction<'_>,
    server: &Server,
    (table, types, is_new): (&TargetTable, &[shape::Type], bool),
    production: &Production,
) -> Result<Vec<Difference>> {
    let rows =
        if production.is_readable() { Rows::of(transaction, server, &production.name).await? } else { Rows::default() };
    let mut differences = if is_new || rows.are_there() {
        adopt::differences(production, table, types)
    } else {
        adopt::hindrances(production, table)
    };
    differences.extend(rows.in_the_way(table));
    Ok(differences)
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

fn refused(server: &Server, table: &TargetTable, statement: &str, error: &tokio_postgres::Error) -> Error {
    let objects = objects(table);
    let is_ours = !statement.contains(&objects.production);
    let (schema, name) =
        if is_ours { (SCHEMA, &objects.staging) } else { (table.schema.as_str(), &objects.production) };
    let error = server.owned_by(server.failed(&format!("run {statement}"), error), schema, name);
    match (error.kind(), &table.extra) {
        (Kind::TargetRefused | Kind::TargetShape, Some(extra)) => {
            error.advice(format!("Check 'columns' and 'extra' (\"{extra}\") of the table's [[table]] entry"))
        }
        (Kind::TargetRefused, None) => error.advice("Check 'columns' of the table's [[table]] entry"),
        _ => error,
    }
}
