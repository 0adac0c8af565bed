//! What targets share that speak PostgreSQL's protocol: the way in, TLS, and how failures are told.

pub mod failure;
pub mod mark;
mod tls;

use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use self::failure::{Product, Server};
use crate::config::{self, Tls};
use crate::error::{Error, Kind, Result};
use crate::target::delsert::quote;

/// A logged-in connection. Dropped, it is closed at once, which ends its transaction.
#[derive(Debug)]
pub struct Session {
    /// The driver's end of it.
    pub client: Client,
    /// The server, as messages name it.
    pub server: Server,
    connection: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Session {
    /// Connects and logs in.
    ///
    /// # Errors
    /// [`Kind::TargetUnreachable`], [`Kind::TargetTls`] or [`Kind::TargetLogin`], naming address and login.
    pub async fn open(product: &'static Product, target: &config::Target) -> Result<Self> {
        let address = format!("{}:{}/{}", target.host, target.port, target.database);
        let server = Server::new(product, address, target.login.user.clone());
        let options = options(target);
        let tls = MakeRustlsConnect::new(tls::client_config(target, &server)?);
        let login = tokio::time::timeout(target.connect_timeout, options.connect(tls)).await;
        let (client, mut connection) = login
            .map_err(|_| server.error(Kind::TargetUnreachable, "did not answer within target.connect_timeout"))?
            .map_err(|error| {
                let failed = server.failed(&format!("log in as '{}'", target.login.user), &error);
                server.granted_by(failed, |login| {
                    format!("GRANT CONNECT ON DATABASE {} TO {login}", quote(&target.database))
                })
            })?;
        let listener = server.clone();
        let connection = tokio::spawn(async move {
            // By reference: the reason must be kept before the connection goes and wakes those who wait.
            if let Err(error) = (&mut connection).await {
                listener.closed_by(&error);
            }
        });
        Ok(Self { client, server, connection })
    }
}

fn options(target: &config::Target) -> tokio_postgres::Config {
    let socket = target.host.starts_with('/');
    let mut options = tokio_postgres::Config::new();
    if socket {
        options.host_path(&target.host);
    } else {
        options.host(&target.host);
    }
    // A Unix socket leaves the machine nowhere, and servers refuse TLS on it.
    let plain = socket || target.tls == Tls::Disable;
    options
        .port(target.port)
        .dbname(&target.database)
        .user(&target.login.user)
        .application_name("delsert")
        .ssl_mode(if plain { SslMode::Disable } else { SslMode::Require })
        .connect_timeout(target.connect_timeout)
        .keepalives(true)
        .keepalives_idle(Duration::from_mins(1))
        .keepalives_interval(Duration::from_secs(10))
        .keepalives_retries(6);
    if let Some(password) = &target.login.password {
        options.password(password.expose_secret());
    }
    options
}

/// A bound as the server takes it, to which zero would mean for ever.
pub fn milliseconds(bound: Duration) -> u128 {
    bound.as_millis().clamp(1, i32::MAX as u128)
}

/// The refusal of what stands where one of `delsert`'s own tables should, under a quoted name.
pub fn not_ours(what: &str, name: &str) -> Error {
    Error::new(Kind::TargetShape, format!("{name} is there, but is no {what} of delsert's: it is left as it is"))
        .advice("Schema delsert is delsert's own: move or rename what stands there, and run 'delsert check' again")
}
