//! `[target]`: the warehouse written, and where its tables go.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::auth::{self, Auth};
use super::resolve::{choice, duration, existing_rows, expand, optional, port, required, scalar, wrong};
use super::{OnExistingRows, raw};
use crate::error::Result;

/// `[target]`.
#[derive(Debug, Clone)]
pub struct Target {
    /// Engine.
    pub engine: Engine,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// How to log in.
    pub auth: Auth,
    /// TLS.
    pub tls: Tls,
    /// File of certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Bound on connecting and logging in.
    pub connect_timeout: Duration,
    /// Bound on waiting for a lock.
    pub lock_timeout: Duration,
    /// What only Amazon Redshift has.
    pub redshift: RedshiftOptions,
}

/// What of `[target]` only Amazon Redshift has.
#[derive(Debug, Clone, Default)]
pub struct RedshiftOptions {
    /// The role, or chain of roles, by which COPY reads the bucket: ARNs parted by commas, or `default`; `None` for our
    /// own keys.
    pub iam_role: Option<String>,
    /// Who may read the tables that are made: users, `group …` and `role …`.
    pub grant_select_to: Vec<String>,
    /// Whether tables are sorted, and their deleted rows reclaimed, after large batches.
    pub vacuum: bool,
    /// Whether messages may quote a value that COPY does not take.
    pub log_values: bool,
}

/// The target's engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// Amazon Redshift.
    Redshift,
}

/// TLS with the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// None.
    Disable,
    /// Encrypted, certificate not verified.
    Require,
    /// Encrypted, certificate and host name verified.
    VerifyFull,
}

/// Where target tables go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaMap {
    /// The source's schema in lower case.
    Lower,
    /// All into one schema.
    One(String),
    /// By source schema; those not named in lower case.
    Map(BTreeMap<String, String>),
}

/// What of the target a batch's form depends on; needs no variable of its login.
#[derive(Debug, Clone)]
pub struct Naming {
    /// Engine.
    pub engine: Engine,
    /// Schemas.
    pub schemas: SchemaMap,
    /// What rows that are there before the first snapshot do.
    pub on_existing_rows: OnExistingRows,
    /// Among how many slices of Amazon Redshift a batch's parts are to be shared out; 1 where that is not known.
    pub slices: usize,
}

fn engine(raw: &raw::Target) -> Result<Engine> {
    choice(
        "target.engine",
        raw.engine.as_ref(),
        None,
        &[("postgres", Engine::Postgres), ("redshift", Engine::Redshift)],
    )
}

pub fn naming(raw: &raw::Target) -> Result<Naming> {
    let schemas = match (optional("target.schema", raw.schema.as_ref())?, &raw.schema_map) {
        (Some(_), Some(_)) => {
            return Err(wrong("target.schema and target.schema_map are both set".to_owned()).advice("Keep one of them"));
        }
        (Some(schema), None) => SchemaMap::One(schema),
        (None, Some(map)) => {
            let expand =
                |(source, target): (&String, &String)| Ok((source.clone(), expand("target.schema_map", target)?));
            SchemaMap::Map(map.iter().map(expand).collect::<Result<_>>()?)
        }
        (None, None) => SchemaMap::Lower,
    };
    let on_existing_rows = existing_rows("target.on_existing_rows", raw.on_existing_rows.as_ref())?;
    Ok(Naming {
        engine: engine(raw)?,
        schemas,
        on_existing_rows: on_existing_rows.unwrap_or(OnExistingRows::Fail),
        slices: slices(raw)?,
    })
}

/// The most slices that parts are shared out among: each costs memory.
const MOST_SLICES: usize = 128;

fn slices(raw: &raw::Target) -> Result<usize> {
    let given = scalar("target.slices", raw.slices.as_ref(), 1)?;
    let slices = usize::try_from(given).ok().filter(|slices| (1..=MOST_SLICES).contains(slices));
    slices.ok_or_else(|| wrong(format!("target.slices = {given}: expected 1 to {MOST_SLICES}")))
}

pub fn target(raw: &raw::Target) -> Result<Target> {
    let tls = [("disable", Tls::Disable), ("require", Tls::Require), ("verify-full", Tls::VerifyFull)];
    let verifying = choice("target.tls", raw.tls.as_ref(), Some(Tls::VerifyFull), &tls)?;
    let ca_file = optional("target.ca_file", raw.ca_file.as_ref())?.map(PathBuf::from);
    if ca_file.is_some() && verifying != Tls::VerifyFull {
        return Err(wrong(
            "target.ca_file is set, and target.tls is not \"verify-full\": nothing is verified".to_owned(),
        )
        .advice("Set target.tls = \"verify-full\", or leave ca_file out"));
    }
    let engine = engine(raw)?;
    let redshift = redshift(raw, engine)?;
    let default_port = if engine == Engine::Redshift { 5439 } else { 5432 };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    Ok(Target {
        engine,
        host: required("target.host", raw.host.as_ref())?,
        port: port("target.port", raw.port.as_ref(), default_port)?,
        database: required("target.database", raw.database.as_ref())?,
        auth: auth::auth(raw)?,
        tls: verifying,
        ca_file,
        connect_timeout: duration("target.connect_timeout", raw.connect_timeout.as_ref(), seconds(15))?
            .unwrap_or_default(),
        lock_timeout: duration("target.lock_timeout", raw.lock_timeout.as_ref(), seconds(300))?.unwrap_or_default(),
        redshift,
    })
}

fn redshift(raw: &raw::Target, engine: Engine) -> Result<RedshiftOptions> {
    let set = [
        ("iam_role", raw.iam_role.is_some()),
        ("grant_select_to", raw.grant_select_to.is_some()),
        ("vacuum", raw.vacuum.is_some()),
        ("log_values", raw.log_values.is_some()),
        ("slices", raw.slices.is_some()),
        ("auth", raw.auth.is_some()),
        ("cluster", raw.cluster.is_some()),
        ("workgroup", raw.workgroup.is_some()),
        ("region", raw.region.is_some()),
    ];
    if let (Engine::Postgres, Some((key, _))) = (engine, set.iter().find(|(_, is_set)| *is_set)) {
        return Err(wrong(format!("target.{key} is set, and target.engine is \"postgres\", which has no such thing"))
            .advice(format!("Leave {key} out, or set target.engine = \"redshift\"")));
    }
    let readers = raw.grant_select_to.iter().flatten().map(|reader| expand("target.grant_select_to", reader));
    Ok(RedshiftOptions {
        iam_role: optional("target.iam_role", raw.iam_role.as_ref())?,
        grant_select_to: readers.collect::<Result<_>>()?,
        vacuum: scalar("target.vacuum", raw.vacuum.as_ref(), false)?,
        log_values: scalar("target.log_values", raw.log_values.as_ref(), false)?,
    })
}
