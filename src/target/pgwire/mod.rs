//! What targets share that speak PostgreSQL's protocol: the way in, TLS, and how failures are told.

pub mod failure;
pub mod foreign;
pub mod mark;
mod tls;

use std::net::IpAddr;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use self::failure::{Product, Server};
use crate::config::{self, Login, Tls};
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
    /// Connects and logs in as somebody who in the database is `name`.
    ///
    /// # Errors
    /// [`Kind::TargetUnreachable`], [`Kind::TargetTls`] or [`Kind::TargetLogin`], naming address and login.
    pub async fn open(product: &'static Product, target: &config::Target, login: &Login, name: &str) -> Result<Self> {
        let server = Server::new(product, address(target), name.to_owned());
        let tls = MakeRustlsConnect::new(tls::client_config(target, &server)?);
        let connect = async { options(target, login, &addresses(target).await).connect(tls).await };
        let connected = tokio::time::timeout(target.connect_timeout, connect).await;
        let (client, mut connection) = connected
            .map_err(|_| server.error(Kind::TargetUnreachable, "did not answer within target.connect_timeout"))?
            .map_err(|error| {
                let failed = server.failed(&format!("log in as '{}'", login.user), &error);
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

/// The target as messages name it.
pub fn address(target: &config::Target) -> String {
    format!("{}:{}/{}", target.host, target.port, target.database)
}

/// The addresses of a name that has several; none where that is for the driver to find out, or to fail at.
async fn addresses(target: &config::Target) -> Vec<IpAddr> {
    if is_socket(target) {
        return Vec::new();
    }
    let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
    let mut addresses: Vec<_> = found.into_iter().flatten().map(|address| address.ip()).collect();
    addresses.dedup();
    addresses
}

fn is_socket(target: &config::Target) -> bool {
    target.host.starts_with('/')
}

fn options(target: &config::Target, login: &Login, addresses: &[IpAddr]) -> tokio_postgres::Config {
    let socket = is_socket(target);
    let mut options = tokio_postgres::Config::new();
    if socket {
        options.host_path(&target.host);
    } else if addresses.is_empty() {
        options.host(&target.host);
    }
    for address in addresses {
        options.host(&target.host).hostaddr(*address);
    }
    // The driver tries one after the other: one that is silent must leave time for the next.
    let share = target.connect_timeout / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    // A Unix socket leaves the machine nowhere, and servers refuse TLS on it.
    let plain = socket || target.tls == Tls::Disable;
    options
        .port(target.port)
        .dbname(&target.database)
        .user(&login.user)
        .application_name("delsert")
        .ssl_mode(if plain { SslMode::Disable } else { SslMode::Require })
        .connect_timeout(share)
        .keepalives(true)
        .keepalives_idle(Duration::from_mins(1))
        .keepalives_interval(Duration::from_secs(10))
        .keepalives_retries(6);
    if let Some(password) = &login.password {
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

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket, TcpStream};
    use tokio_postgres::NoTls;

    use super::*;
    use crate::config::{Auth, Config};

    #[tokio::test]
    async fn a_silent_address_leaves_time_for_the_next() {
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = alive.local_addr().unwrap().port();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("127.0.0.2:{port}").parse().unwrap()).unwrap();
        // Its queue is full, so that connecting to it hangs.
        let silent = socket.listen(1).unwrap();
        let address = silent.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(queued) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            queue.push(queued);
        }
        let text = format!(
            "[sync]\nname = \"s\"\n[target]\nengine = \"postgres\"\nhost = \"two.example\"\nport = {port}\ndatabase = \"d\"\nuser = \"u\"\ntls = \"disable\"\nconnect_timeout = \"4s\""
        );
        let target = Config::parse(&text).unwrap().target().unwrap();
        let Auth::Password(login) = &target.auth else { panic!("no password is asked for") };
        let options = options(&target, login, &[address.ip(), alive.local_addr().unwrap().ip()]);
        let within = tokio::time::timeout(target.connect_timeout, async {
            tokio::select! {
                accepted = alive.accept() => accepted.map(drop).map_err(|error| error.to_string()),
                refused = options.connect(NoTls) => Err(format!("{:?}", refused.map(drop))),
            }
        });
        within.await.expect("the second address was not tried in time").unwrap();
    }
}
