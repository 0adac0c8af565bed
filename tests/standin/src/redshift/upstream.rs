//! A connection to the PostgreSQL below, spoken to in messages, so that rows pass as they come.

use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::audit::Audit;
use super::error::{self, Failure, Outcome, SqlError};
use super::wire::{self, Frame};

/// Where the server below is, and who the stand-in is there.
#[derive(Debug, Clone)]
pub struct Address {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// A superuser.
    pub user: String,
    /// The superuser's password.
    pub password: String,
    /// The database that is served.
    pub database: String,
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "write postgres://user:password@127.0.0.1:5432/database".to_owned();
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")).ok_or_else(wrong)?;
        let (login, place) = rest.rsplit_once('@').ok_or_else(wrong)?;
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (server, database) = place.split_once('/').ok_or_else(wrong)?;
        let (host, port) = server.rsplit_once(':').unwrap_or((server, "5432"));
        let port = port.parse().map_err(|_| wrong())?;
        let own = str::to_owned;
        Ok(Self { host: own(host), port, user: own(user), password: own(password), database: own(database) })
    }
}

/// The connection.
#[derive(Debug)]
pub struct Upstream {
    stream: BufReader<TcpStream>,
    /// Its process, and the secret that cancels what it does.
    pub pid: u32,
    pub secret: u32,
    audit: Audit,
}

/// Rows as text.
pub type Rows = Vec<Vec<Option<String>>>;

impl Upstream {
    /// Connects and logs in.
    pub async fn connect(address: &Address, audit: Audit) -> io::Result<Self> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        stream.set_nodelay(true)?;
        let mut this = Self { stream: BufReader::with_capacity(1 << 16, stream), pid: 0, secret: 0, audit };
        let mut out = BytesMut::new();
        let parameters = [
            ("user", address.user.as_str()),
            ("database", address.database.as_str()),
            ("client_encoding", "UTF8"),
            ("application_name", "redshift-standin"),
        ];
        frontend::startup_message(parameters, &mut out)?;
        this.send(&out).await?;
        this.authenticate(address).await?;
        loop {
            let mut frame = this.receive().await?;
            match frame.tag {
                b'K' => {
                    this.pid = wire::take_u32(&mut frame.body)?;
                    this.secret = wire::take_u32(&mut frame.body)?;
                }
                b'Z' => return Ok(this),
                b'E' => return Err(refused(frame.body)),
                _ => {}
            }
        }
    }

    async fn authenticate(&mut self, address: &Address) -> io::Result<()> {
        let mut scram: Option<ScramSha256> = None;
        loop {
            let mut frame = self.receive().await?;
            if frame.tag != b'R' {
                return Err(refused(frame.body));
            }
            let mut out = BytesMut::new();
            match wire::take_u32(&mut frame.body)? {
                0 => return Ok(()),
                3 => frontend::password_message(address.password.as_bytes(), &mut out)?,
                5 => {
                    let salt: [u8; 4] = frame.body.as_ref().try_into().map_err(|_| wire::malformed("a salt"))?;
                    let hash = md5_hash(address.user.as_bytes(), address.password.as_bytes(), salt);
                    frontend::password_message(hash.as_bytes(), &mut out)?;
                }
                10 => {
                    let begun = ScramSha256::new(address.password.as_bytes(), ChannelBinding::unsupported());
                    frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), &mut out)?;
                    scram = Some(begun);
                }
                11 => {
                    let scram = scram.as_mut().ok_or_else(|| wire::malformed("SASL"))?;
                    scram.update(&frame.body)?;
                    frontend::sasl_response(scram.message(), &mut out)?;
                }
                12 => scram.as_mut().ok_or_else(|| wire::malformed("SASL"))?.finish(&frame.body)?,
                _ => return Err(wire::malformed("a kind of authentication")),
            }
            if !out.is_empty() {
                self.send(&out).await?;
            }
        }
    }

    /// Sends messages.
    pub async fn send(&mut self, messages: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(messages).await
    }

    /// Receives the next message.
    pub async fn receive(&mut self) -> io::Result<Frame> {
        wire::read_frame(&mut self.stream)
            .await?
            .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the server below closed the connection"))
    }

    /// Notes a statement for the server below.
    pub fn note(&self, sql: &str) {
        self.audit.upstream(sql);
    }

    /// Sends a statement whose answer the caller reads.
    pub async fn start(&mut self, sql: &str) -> io::Result<()> {
        self.note(sql);
        let mut out = BytesMut::new();
        frontend::query(sql, &mut out)?;
        self.send(&out).await
    }

    /// Runs statements, for their effect.
    pub async fn run(&mut self, sql: &str) -> Outcome<()> {
        self.rows(sql).await.map(|_| ())
    }

    /// Runs statements; gives the rows of all of them.
    pub async fn rows(&mut self, sql: &str) -> Outcome<Rows> {
        self.start(sql).await?;
        let (mut rows, mut failed) = (Rows::new(), None);
        loop {
            let frame = self.receive().await?;
            match frame.tag {
                b'D' => {
                    let cells = wire::read_row(frame.body)?.into_iter();
                    rows.push(cells.map(|cell| cell.map(|cell| String::from_utf8_lossy(&cell).into_owned())).collect());
                }
                b'E' => failed = Some(self.error(frame.body)?),
                b'Z' => break,
                _ => {}
            }
        }
        failed.map_or(Ok(rows), |error| Err(Failure::Sql(error)))
    }

    /// Reads an error.
    pub fn error(&self, body: Bytes) -> io::Result<SqlError> {
        error::read(body, self.pid)
    }

    /// Starts a COPY FROM STDIN.
    pub async fn copy_in(&mut self, sql: &str) -> Outcome<()> {
        self.start(sql).await?;
        loop {
            let frame = self.receive().await?;
            match frame.tag {
                b'G' => return Ok(()),
                b'E' => {
                    let error = self.error(frame.body)?;
                    self.until_ready().await?;
                    return Err(error.into());
                }
                b'Z' => return Err(wire::malformed("COPY").into()),
                _ => {}
            }
        }
    }

    /// Sends rows of a COPY.
    pub async fn copy_data(&mut self, rows: &[u8]) -> io::Result<()> {
        let mut out = BytesMut::with_capacity(rows.len() + 5);
        wire::put(&mut out, b'd', |out| out.put_slice(rows));
        self.send(&out).await
    }

    /// Ends a COPY.
    pub async fn copy_end(&mut self) -> Outcome<()> {
        let mut out = BytesMut::new();
        frontend::copy_done(&mut out);
        self.send(&out).await?;
        self.until_ready().await?.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Gives a COPY up.
    pub async fn copy_fail(&mut self) -> io::Result<()> {
        let mut out = BytesMut::new();
        frontend::copy_fail("given up", &mut out)?;
        self.send(&out).await?;
        self.until_ready().await.map(|_| ())
    }

    /// Reads up to `ReadyForQuery`; gives the error on the way.
    pub async fn until_ready(&mut self) -> io::Result<Option<SqlError>> {
        let mut failed = None;
        loop {
            let frame = self.receive().await?;
            match frame.tag {
                b'E' => failed = Some(self.error(frame.body)?),
                b'Z' => return Ok(failed),
                _ => {}
            }
        }
    }
}

fn refused(body: Bytes) -> io::Error {
    match error::read(body, 0) {
        Ok(error) => io::Error::new(io::ErrorKind::ConnectionRefused, error.message),
        Err(error) => error,
    }
}

/// Asks the server below to cancel what a connection does.
pub async fn cancel(address: &Address, pid: u32, secret: u32) -> io::Result<()> {
    let mut stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    let mut out = BytesMut::new();
    out.put_u32(16);
    out.put_u32(super::login::CANCEL);
    out.put_u32(pid);
    out.put_u32(secret);
    stream.write_all(&out).await?;
    stream.shutdown().await
}
