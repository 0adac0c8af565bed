//! From a configuration to a logged-in connection: addresses, TLS, login, and where the server sends us on to.

use rustls::pki_types::CertificateDer;
use secrecy::ExposeSecret;
use tiberius::error::{Error as DriverError, IoErrorKind};
use tiberius::{AuthMethod, Client as Driver, EncryptionLevel};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::client::Client;
use super::failure::of_connect;
use super::place::Place;
use super::prelogin::{Stage, Watched};
use super::{reach, token};
use crate::config::{Encrypt, Source, SourceLogin};
use crate::error::{Error, Kind, Result};
use crate::tls;

/// How often a server may send us on to another.
const ROUTES: u32 = 5;

impl Client {
    /// Connects and logs in, within the configured time, going where the server sends us.
    pub async fn connect(config: &Source, login: &SourceLogin) -> Result<Self> {
        let deadline = Instant::now() + config.connect_timeout;
        let trusted = match &config.ca_file {
            Some(file) => tls::authorities("source.ca_file", file)?.certificates,
            None => Vec::new(),
        };
        let method = method(config, login, deadline).await?;
        let mut place = Place::configured(config);
        for _ in 0..=ROUTES {
            let tcp = reach::reach(&place, deadline).await?;
            let settings = settings(config, &place, method.clone(), &trusted);
            let (stage, opened) = log_in(config, settings, tcp, deadline).await;
            match opened {
                Ok(driver) => return Ok(Self::new(driver, place.to_string())),
                Err(DriverError::Routing { host, port }) => place = place.routed(&host, port),
                Err(error) => return Err(of_connect(&place, login, config.encrypt, stage, &error)),
            }
        }
        Err(Error::new(
            Kind::SourceUnreachable,
            format!("SQL Server {place}: one server sends us on to the next, {ROUTES} times"),
        )
        .advice("Try again; if it stays so, look at the routing list of the availability group"))
    }
}

async fn method(config: &Source, login: &SourceLogin, deadline: Instant) -> Result<AuthMethod> {
    Ok(match login {
        SourceLogin::Password { user, password } => AuthMethod::sql_server(user, password.expose_secret()),
        SourceLogin::Token(from) => {
            AuthMethod::aad_token(token::read(from, deadline, config.connect_timeout).await?.expose_secret())
        }
    })
}

fn settings(config: &Source, place: &Place, method: AuthMethod, trusted: &[CertificateDer<'_>]) -> tiberius::Config {
    let mut settings = tiberius::Config::new();
    // Also the name that the certificate must hold.
    settings.host(&place.host);
    settings.port(place.port);
    settings.database(&config.database);
    settings.application_name("delsert");
    settings.authentication(method);
    settings.readonly(config.read_only_replica);
    settings.handshake_timeout(Some(config.connect_timeout));
    settings.command_timeout(Some(config.statement_timeout));
    settings.packet_size(16384);
    settings.encryption(match config.encrypt {
        Encrypt::Required => EncryptionLevel::Required,
        Encrypt::Login => EncryptionLevel::Off,
        Encrypt::Off => EncryptionLevel::NotSupported,
    });
    // Both at once is a panic of the driver's; the configuration does not let them.
    if config.trust_server_certificate {
        settings.trust_cert();
    } else {
        for certificate in trusted {
            settings.trust_cert_ca_bundle(certificate.to_vec());
        }
    }
    settings
}

/// Logs in, and tells how far it came.
async fn log_in(
    config: &Source,
    settings: tiberius::Config,
    tcp: TcpStream,
    deadline: Instant,
) -> (Stage, tiberius::Result<Driver<Compat<Watched>>>) {
    if let Err(error) = tcp.set_nodelay(true) {
        return (Stage::Asked, Err(error.into()));
    }
    let (watched, stage) = Watched::new(tcp, config.encrypt);
    let opening = Box::pin(Driver::connect(settings, watched.compat_write()));
    let opened = tokio::time::timeout_at(deadline, opening).await.unwrap_or_else(|_| {
        let message = format!("no answer within {} s", config.connect_timeout.as_secs_f32());
        Err(DriverError::Io { kind: IoErrorKind::TimedOut, message })
    });
    (stage(), opened)
}
