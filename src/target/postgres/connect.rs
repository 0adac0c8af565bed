//! The connection: the server's age, and the settings that every session of ours has.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, IsolationLevel, Transaction};

use super::Postgres;
use super::failure::{POSTGRESQL, PRIMARY};
use crate::config::{self, Auth};
use crate::error::{Error, Kind, Result};
use crate::target::pgwire::failure::Server;
use crate::target::pgwire::{Session, milliseconds};

/// How long a transaction of ours may idle before the server ends it, so that a frozen worker cannot hold a table.
const IDLE_IN_TRANSACTION: Duration = Duration::from_mins(10);

/// The oldest server whose catalogue has what is asked of it.
const OLDEST: i32 = 120_000;

impl Postgres {
    /// Connects and logs in.
    ///
    /// # Errors
    /// [`Kind::TargetUnreachable`], [`Kind::TargetTls`] or [`Kind::TargetLogin`], naming address and login.
    pub async fn open(target: &config::Target) -> Result<Self> {
        let Auth::Password(login) = &target.auth else {
            return Err(Error::new(Kind::Config, "target.auth is \"iam\", which PostgreSQL does not have"));
        };
        let session = Session::open(&POSTGRESQL, target, login, &login.user).await?;
        let postgres = Self { session, lock_timeout: target.lock_timeout };
        let set_up = tokio::time::timeout(target.connect_timeout, set_up(&postgres)).await;
        set_up.map_err(|_| postgres.session.server.error(Kind::TargetUnreachable, "fell silent after the login"))??;
        Ok(postgres)
    }
}

/// Settings that the meaning of our text, and the bounds of our waiting, depend on. The server's keepalives free a table
/// whose worker's machine is gone; hidden rows are to be an error, not a table that differs. The database's own bound for a
/// statement goes first, since it holds for what stands before. It is no start-up option: poolers refuse those.
async fn set_up(postgres: &Postgres) -> Result<()> {
    let Postgres { session, lock_timeout } = postgres;
    let Session { client, server, .. } = session;
    let settings = format!(
        "SET statement_timeout = 0; SET client_encoding = 'UTF8'; SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC'; \
         SET standard_conforming_strings = on; SET bytea_output = 'hex'; SET extra_float_digits = 1; \
         SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; \
         SET tcp_keepalives_idle = 60; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 6; \
         SET row_security = off",
        milliseconds(*lock_timeout),
        IDLE_IN_TRANSACTION.as_millis()
    );
    client.batch_execute(&settings).await.map_err(|error| server.failed("set up the session", &error))?;
    let version = version(client).await.map_err(|error| server.failed("read the server's version", &error))?;
    if version < OLDEST {
        return Err(server.error(Kind::TargetRefused, "is too old").advice("PostgreSQL 12 or newer is needed"));
    }
    if version >= 170_000 {
        bound_by_us_alone(session, "SET transaction_timeout = 0").await?;
    }
    if version >= 140_000 {
        bound_by_us_alone(session, "SET idle_session_timeout = 0").await?;
        // Ends a statement whose worker died. Some platforms cannot: then it runs to its end and rolls back.
        let _ = client.batch_execute("SET client_connection_check_interval = '10s'").await;
    }
    Ok(())
}

/// Begins a transaction that writes, whatever the login's default: what is looked at under a lock must be what was
/// committed before the lock was had.
pub(super) async fn begin<'a>(client: &'a mut Client, server: &Server) -> Result<Transaction<'a>> {
    begin_at(client, server, IsolationLevel::ReadCommitted).await
}

/// Begins a transaction at a level, whatever the login's default.
pub(super) async fn begin_at<'a>(
    client: &'a mut Client,
    server: &Server,
    isolation: IsolationLevel,
) -> Result<Transaction<'a>> {
    let begun = client.build_transaction().isolation_level(isolation).read_only(false).start().await;
    begun.map_err(|error| match error.code() {
        // To this statement a standby alone says so.
        Some(code) if *code == SqlState::FEATURE_NOT_SUPPORTED => {
            server.error(Kind::TargetUnreachable, "is a standby, which takes no writes").advice(PRIMARY)
        }
        _ => server.failed("begin a transaction", &error),
    })
}

/// Lifts a bound of the database's own: a load ends when its work is done, and a connection waits for its next table.
async fn bound_by_us_alone(session: &Session, setting: &str) -> Result<()> {
    let set = session.client.batch_execute(setting).await;
    set.map_err(|error| session.server.failed("set up the session", &error))
}

async fn version(client: &Client) -> Result<i32, tokio_postgres::Error> {
    client.query_one("SELECT current_setting('server_version_num')::int4", &[]).await?.try_get(0)
}
