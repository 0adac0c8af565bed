//! The connection: address, TLS, and the settings that every session of ours has.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use secrecy::ExposeSecret;
use tokio_postgres::Client;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Postgres;
use super::failure::Server;
use crate::config::{self, Tls};
use crate::error::{Kind, Result};
use crate::target::delsert::quote;
use crate::tls;

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
        let socket = target.host.starts_with('/');
        let address = format!("{}:{}/{}", target.host, target.port, target.database);
        let server = Server::new(address, target.login.user.clone());
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
        let tls = MakeRustlsConnect::new(client_config(target, &server)?);
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
        let session = Self { client, server, connection, lock_timeout: target.lock_timeout };
        let set_up = tokio::time::timeout(target.connect_timeout, set_up(&session)).await;
        set_up.map_err(|_| session.server.error(Kind::TargetUnreachable, "fell silent after the login"))??;
        Ok(session)
    }
}

/// A bound as the server takes it, to which zero would mean for ever.
pub(super) fn milliseconds(bound: Duration) -> u128 {
    bound.as_millis().clamp(1, i32::MAX as u128)
}

/// Settings that the meaning of our text, and the bounds of our waiting, depend on. The server's keepalives free a table
/// whose worker's machine is gone; hidden rows are to be an error, not a table that differs. The database's own bound for a
/// statement goes first, since it holds for what stands before. It is no start-up option: poolers refuse those.
async fn set_up(session: &Postgres) -> Result<()> {
    let Postgres { client, server, lock_timeout, .. } = session;
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

/// Lifts a bound of the database's own: a load ends when its work is done, and a connection waits for its next table.
async fn bound_by_us_alone(session: &Postgres, setting: &str) -> Result<()> {
    let set = session.client.batch_execute(setting).await;
    set.map_err(|error| session.server.failed("set up the session", &error))
}

async fn version(client: &Client) -> Result<i32, tokio_postgres::Error> {
    client.query_one("SELECT current_setting('server_version_num')::int4", &[]).await?.try_get(0)
}

fn client_config(target: &config::Target, server: &Server) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| server.error(Kind::TargetTls, "cannot be reached by TLS").because(error))?;
    if target.tls == Tls::Require {
        let verifier = Arc::new(AnyCertificate(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    if target.tls == Tls::VerifyFull {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &target.ca_file {
            roots.add_parsable_certificates(tls::authorities("target.ca_file", path)?.certificates);
        }
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// `tls = "require"`: encrypted, whoever answers. The signatures are verified all the same.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
