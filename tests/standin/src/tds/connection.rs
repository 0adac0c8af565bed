//! One connection, from its first byte to its last.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::dispatch::{self, Inbound};
use super::federated;
use super::login::{self, Login7};
use super::packet::{self, DEFAULT_SIZE, Message, Packets, kind};
use super::prelogin::{self, Agreed, Reach};
use super::response::{Signals, Wire};
use super::server::Encryption;
use super::tls::Wrapped;
use super::token::{self, DoneKind, done};
use crate::session::{Server, Session};
use crate::value::SqlError;

const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);
/// Chunks the writer may lag behind before the engine waits.
const CHUNKS: usize = 4;
/// Requests a client may send ahead; clients send one.
const REQUESTS: usize = 16;
/// Parsing and binding a statement recurse.
const STACK: usize = 16 << 20;
const OLDEST_VERSION: u32 = 0x7209_0002;
const NEWEST_VERSION: u32 = 0x7400_0004;

/// What all connections share.
pub struct Shared {
    /// Who checks logins.
    pub server: Arc<dyn Server>,
    /// What encryption is offered.
    pub encryption: Encryption,
    /// TLS.
    pub acceptor: TlsAcceptor,
    /// The tokens that are known.
    pub tokens: Option<PathBuf>,
    /// Where everybody is sent on to.
    pub route: Option<(String, u16)>,
}

/// Serves a connection until either side ends it.
///
/// # Errors
/// Whatever broke the connection.
pub async fn serve(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let agreed = timed(prelogin(&mut stream, &shared)).await?;
    match agreed.reach {
        Reach::Refused => stream.shutdown().await,
        Reach::None => {
            let login = timed(read_login(&mut stream, &agreed)).await?;
            converse(stream, login, shared).await
        }
        Reach::Login => {
            let mut secure = timed(handshake(stream, &shared.acceptor)).await?;
            let login = timed(read_login(&mut secure, &agreed)).await?;
            converse(secure.into_inner().0.into_inner(), login, shared).await
        }
        Reach::All => {
            let mut secure = timed(handshake(stream, &shared.acceptor)).await?;
            let login = timed(read_login(&mut secure, &agreed)).await?;
            converse(secure, login, shared).await
        }
    }
}

async fn timed<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(HANDSHAKE_LIMIT, step).await.map_err(io::Error::from)?
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

async fn prelogin(stream: &mut TcpStream, shared: &Shared) -> io::Result<Agreed> {
    let message = expect(stream, kind::PRELOGIN).await?;
    let (answer, agreed) =
        prelogin::answer(&message.body, shared.encryption, shared.tokens.is_some()).map_err(invalid)?;
    stream.write_all(&packet::single(kind::RESPONSE, &answer)).await?;
    Ok(agreed)
}

async fn expect<S: AsyncRead + Unpin>(stream: &mut S, wanted: u8) -> io::Result<Message> {
    let message = packet::read_message(stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    if message.kind == wanted { Ok(message) } else { Err(invalid("unexpected message before login")) }
}

async fn handshake(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
) -> io::Result<tokio_rustls::server::TlsStream<Wrapped<TcpStream>>> {
    let (wrapped, wrapping) = Wrapped::new(stream);
    let mut secure = acceptor.accept(wrapped).await?;
    secure.flush().await?;
    wrapping.end();
    Ok(secure)
}

async fn read_login<S: AsyncRead + Unpin>(stream: &mut S, agreed: &Agreed) -> io::Result<Login7> {
    let message = expect(stream, kind::LOGIN).await?;
    let login = login::parse(&message.body).map_err(invalid)?;
    federated::check(&login, agreed).map_err(invalid)?;
    Ok(login)
}

async fn converse<S>(stream: S, login: Login7, shared: Arc<Shared>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let (chunk_sender, chunks) = mpsc::channel(CHUNKS);
    let (requests, inbound) = mpsc::channel(REQUESTS);
    let signals = Arc::new(Signals::default());
    let wire = Wire::new(chunk_sender, Packets::new(DEFAULT_SIZE, 0), Arc::clone(&signals));
    std::thread::Builder::new()
        .name("session".to_owned())
        .stack_size(STACK)
        .spawn(move || run_session(&login, shared.as_ref(), wire, inbound))?;
    // Also when this future is dropped, as on the server's end: the session must learn it.
    let _guard = Gone(Arc::clone(&signals));
    tokio::select! {
        result = write(writer, chunks) => result,
        result = read(reader, requests, &signals) => result,
    }
}

struct Gone(Arc<Signals>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Release);
    }
}

async fn write<S: AsyncWrite>(mut writer: WriteHalf<S>, mut chunks: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(chunk) = chunks.recv().await {
        writer.write_all(&chunk).await?;
        writer.flush().await?;
    }
    writer.shutdown().await
}

async fn read<S: AsyncRead>(
    mut reader: ReadHalf<S>,
    requests: mpsc::Sender<Inbound>,
    signals: &Signals,
) -> io::Result<()> {
    while let Some(message) = packet::read_message(&mut reader).await? {
        let inbound = if message.kind == kind::ATTENTION {
            Inbound::Attention(signals.attentions.fetch_add(1, Ordering::AcqRel) + 1)
        } else {
            Inbound::Request(message)
        };
        if requests.send(inbound).await.is_err() {
            // The session has ended; what it last said is still being written.
            std::future::pending::<()>().await;
        }
    }
    Ok(())
}

fn run_session(login: &Login7, shared: &Shared, mut wire: Wire, inbound: mpsc::Receiver<Inbound>) {
    match log_in(login, shared) {
        Err(error) => {
            for message in login_errors(login, error) {
                token::message(wire.body(), &message);
            }
            token::done(wire.body(), DoneKind::Done, done::ERROR, 0, 0);
            wire.end();
        }
        Ok(session) if shared.route.is_some() => {
            drop(session);
            if let Some((host, port)) = &shared.route {
                token::login_acknowledged(wire.body(), login.version.min(NEWEST_VERSION));
                token::routed(wire.body(), host, *port);
                token::done(wire.body(), DoneKind::Done, 0, 0, 0);
            }
            wire.end();
        }
        Ok(session) => {
            welcome(login, session.as_ref(), &mut wire);
            dispatch::run(session, inbound, &mut wire);
        }
    }
}

fn log_in(login: &Login7, shared: &Shared) -> Result<Box<dyn Session>, SqlError> {
    if login.version < OLDEST_VERSION {
        let text = "The stand-in speaks TDS 7.2 and above.";
        return Err(SqlError::new(17_835, text).severity(20));
    }
    if login.integrated {
        let text = "Login failed. The login is from an untrusted domain and cannot be used with Integrated \
                    authentication.";
        return Err(SqlError::new(18_452, text).severity(14));
    }
    if login.changes_password {
        let text = format!("Login failed for user '{}'.  Reason: Password change failed.", login.login.user);
        return Err(SqlError::new(18_463, text).severity(14));
    }
    match &login.token {
        None => shared.server.login(&login.login),
        Some(token) => shared.server.login(&federated::login(shared.tokens.as_deref(), token, &login.login)?),
    }
}

/// An unknown database is followed by the failed login it causes.
fn login_errors(login: &Login7, error: SqlError) -> Vec<SqlError> {
    let mut messages = vec![error];
    if messages[0].number == 4060 {
        let text = format!("Login failed for user '{}'.", login.login.user);
        messages.push(SqlError::new(18_456, text).severity(14));
    }
    messages
}

fn welcome(login: &Login7, session: &dyn Session, wire: &mut Wire) {
    let asked = usize::try_from(login.packet_size).unwrap_or(0);
    let size = if asked == 0 { DEFAULT_SIZE } else { asked.clamp(512, 32_767) };
    let database = session.database();
    wire.resize(Packets::new(DEFAULT_SIZE, session.spid()));
    let body = wire.body();
    token::database_changed(body, "master", &database);
    let text = format!("Changed database context to '{database}'.");
    token::message(body, &SqlError::new(5701, text).severity(0).state(2));
    token::collation(body);
    token::language_changed(body, "", "us_english");
    token::message(body, &SqlError::new(5703, "Changed language setting to us_english.").severity(0));
    token::login_acknowledged(body, login.version.min(NEWEST_VERSION));
    token::packet_size_changed(body, DEFAULT_SIZE, size);
    if let Some(features) = &login.features {
        token::features(body, features);
    }
    token::done(body, DoneKind::Done, 0, 0, 0);
    wire.end();
    wire.resize(Packets::new(size, session.spid()));
}
