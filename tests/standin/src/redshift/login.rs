//! The start of a connection: TLS, parameters, password.

use std::collections::HashMap;
use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use postgres_protocol::authentication::md5_hash;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::error::SqlError;
use super::server::{Account, Stored};
use super::wire;

/// Codes that stand in place of a protocol's version.
pub const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const VERSION_3: u32 = 196_608;

/// What a client says at first.
#[derive(Debug)]
pub enum Opening {
    /// It wants to talk, over this stream.
    Session(Box<dyn Stream>, HashMap<String, String>),
    /// It wants something cancelled.
    Cancel { pid: u32, secret: u32 },
    /// It went.
    Gone,
}

/// A stream with or without TLS.
pub trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + Sync + std::fmt::Debug {}
impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + Sync + std::fmt::Debug> Stream for S {}

/// Reads the first messages.
pub async fn open(stream: TcpStream, tls: Option<&TlsAcceptor>) -> io::Result<Opening> {
    let mut stream: Box<dyn Stream> = Box::new(stream);
    let mut may_encrypt = true;
    loop {
        let mut body = match wire::read_body(&mut stream).await {
            Ok(body) => body,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Opening::Gone),
            Err(error) => return Err(error),
        };
        match wire::take_u32(&mut body)? {
            TLS if may_encrypt => {
                may_encrypt = false;
                let Some(tls) = tls else {
                    stream.write_all(b"N").await?;
                    continue;
                };
                stream.write_all(b"S").await?;
                stream = Box::new(tls.accept(stream).await?);
            }
            GSS => stream.write_all(b"N").await?,
            CANCEL => {
                return Ok(Opening::Cancel { pid: wire::take_u32(&mut body)?, secret: wire::take_u32(&mut body)? });
            }
            VERSION_3 => return Ok(Opening::Session(stream, parameters(body)?)),
            _ => return Err(wire::malformed("the protocol's version")),
        }
    }
}

fn parameters(mut body: Bytes) -> io::Result<HashMap<String, String>> {
    let mut found = HashMap::new();
    loop {
        let name = wire::take_text(&mut body)?;
        if name.is_empty() {
            return Ok(found);
        }
        found.insert(name, wire::take_text(&mut body)?);
    }
}

/// Asks for the password and compares it.
pub async fn authenticate(
    stream: &mut Box<dyn Stream>,
    user: &str,
    account: Option<&Account>,
) -> io::Result<Result<(), SqlError>> {
    let failed = || Err(SqlError::new("28000", format!("password authentication failed for user \"{user}\"")));
    let salt: [u8; 4] = rand::random();
    // Who is unknown is asked, too: the answer does not tell which of the two was wrong.
    let digest = account.is_some_and(|account| account.stored == Stored::Sha256);
    let mut out = BytesMut::new();
    wire::put(&mut out, b'R', |out| {
        out.put_u32(if digest { 13 } else { 5 });
        if digest {
            // A scheme, a random salt, a server's nonce and a count of rounds: no open driver but Amazon's answers.
            out.put_u32(0);
            out.put_slice(&[0; 16]);
        }
        out.put_slice(&salt);
    });
    stream.write_all(&out).await?;
    if stream.read_u8().await? != b'p' {
        return Err(wire::malformed("the answer to a password's request"));
    }
    let mut body = wire::read_body(stream).await?;
    let Some(account) = account.filter(|_| !digest) else { return Ok(failed()) };
    let expected = md5_hash(user.as_bytes(), account.password.as_bytes(), salt);
    Ok(if wire::take_text(&mut body)? == expected { Ok(()) } else { failed() })
}
