//! The server's first answer, looked at before the driver acts on it.
//!
//! The driver tells neither what a server offers nor how far a handshake came, and answers some offers with a handshake that
//! the server does not expect. Here the answer is held until it is whole, and one that the configuration forbids ends there.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::config::Encrypt;

/// Length of a packet's header: type, status, length, and what does not matter here.
const HEADER: usize = 8;
/// Type of a packet with a server's answer.
const ANSWER: u8 = 0x04;
/// The option of the answer that is about encryption, and its values.
const ENCRYPTION: u8 = 0x01;
const ENCRYPT_OFF: u8 = 0x00;
const ENCRYPT_NOT_SUPPORTED: u8 = 0x02;
/// The end of the answer's options.
const END: u8 = 0xFF;

/// How far a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was answered yet.
    Asked,
    /// What was answered is not SQL Server's protocol.
    Foreign,
    /// The server offers less, or demands more, encryption than the configuration allows.
    Refused,
    /// The answer came, and nothing after it.
    Answered,
    /// More came after the answer.
    Through,
}

/// A connection whose first answer is looked at.
pub struct Watched {
    tcp: TcpStream,
    encrypt: Encrypt,
    state: State,
    stage: Arc<Mutex<Stage>>,
}

enum State {
    /// The answer's first bytes.
    Reading(Vec<u8>),
    /// What is left of it for the driver.
    Giving(Vec<u8>),
    /// Until the next byte comes.
    Waiting,
    Through,
}

impl Watched {
    /// A connection on which nothing was said yet, and a look at how far it came.
    pub fn new(tcp: TcpStream, encrypt: Encrypt) -> (Self, impl Fn() -> Stage) {
        let stage = Arc::new(Mutex::new(Stage::Asked));
        let seen = Arc::clone(&stage);
        let look = move || *seen.lock().unwrap_or_else(PoisonError::into_inner);
        (Self { tcp, encrypt, state: State::Reading(Vec::new()), stage }, look)
    }

    fn came_to(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Decides about an answer that is whole.
    fn decide(&mut self, answer: Vec<u8>) -> io::Result<()> {
        if !is_allowed(self.encrypt, offered(&answer[HEADER..])) {
            self.came_to(Stage::Refused);
            return Err(io::Error::new(io::ErrorKind::InvalidData, "encryption is not agreed upon"));
        }
        self.came_to(Stage::Answered);
        self.state = State::Giving(answer);
        Ok(())
    }
}

/// Whether a server's offer is what the configuration asks for.
fn is_allowed(encrypt: Encrypt, offered: Option<u8>) -> bool {
    match (encrypt, offered) {
        (Encrypt::Required, Some(ENCRYPT_OFF | ENCRYPT_NOT_SUPPORTED))
        | (Encrypt::Login, Some(ENCRYPT_NOT_SUPPORTED)) => false,
        (Encrypt::Off, Some(offer)) => offer == ENCRYPT_NOT_SUPPORTED,
        _ => true,
    }
}

/// What an answer's options say of encryption.
fn offered(body: &[u8]) -> Option<u8> {
    for option in body.chunks_exact(5) {
        if option[0] == END {
            return None;
        }
        if option[0] == ENCRYPTION {
            let at = usize::from(u16::from_be_bytes([option[1], option[2]]));
            return body.get(at).copied();
        }
    }
    None
}

/// How many bytes an answer still lacks; `None` if it is none.
fn lacking(answer: &[u8]) -> Option<usize> {
    if answer.first().is_some_and(|kind| *kind != ANSWER) {
        return None;
    }
    if answer.len() < HEADER {
        return Some(HEADER - answer.len());
    }
    usize::from(u16::from_be_bytes([answer[2], answer[3]])).checked_sub(answer.len())
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Through => return Pin::new(&mut this.tcp).poll_read(cx, buf),
                State::Waiting => {
                    let before = buf.filled().len();
                    ready!(Pin::new(&mut this.tcp).poll_read(cx, buf))?;
                    if buf.filled().len() > before {
                        this.came_to(Stage::Through);
                        this.state = State::Through;
                    }
                    return Poll::Ready(Ok(()));
                }
                State::Giving(answer) => {
                    let count = answer.len().min(buf.remaining());
                    buf.put_slice(&answer[..count]);
                    answer.drain(..count);
                    if answer.is_empty() {
                        this.state = State::Waiting;
                    }
                    return Poll::Ready(Ok(()));
                }
                State::Reading(answer) => {
                    let Some(lacking) = lacking(answer) else {
                        this.came_to(Stage::Foreign);
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "no answer of SQL Server")));
                    };
                    if lacking == 0 {
                        let answer = std::mem::take(answer);
                        this.decide(answer)?;
                        continue;
                    }
                    let mut chunk = [0; 512];
                    let mut part = ReadBuf::new(&mut chunk[..lacking.min(512)]);
                    ready!(Pin::new(&mut this.tcp).poll_read(cx, &mut part))?;
                    if part.filled().is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                    answer.extend_from_slice(part.filled());
                }
            }
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_ends_want_goes_on() {
        let refused = |encrypt| (0..4).filter(|offer| !is_allowed(encrypt, Some(*offer))).collect::<Vec<_>>();
        assert_eq!(refused(Encrypt::Required), [0, 2]);
        assert_eq!(refused(Encrypt::Login), [2]);
        assert_eq!(refused(Encrypt::Off), [0, 1, 3]);
    }

    #[test]
    fn an_answer_that_is_cut_or_lies_is_no_panic() {
        for length in 0..64 {
            for byte in [0, 1, 4, 5, 0xFF] {
                let answer = vec![byte; length];
                offered(&answer);
                lacking(&answer);
            }
        }
        assert_eq!(lacking(&[4, 1, 0, 9, 0, 0, 1, 0]), Some(1));
        assert_eq!(lacking(&[4, 1, 0, 7, 0, 0, 1, 0]), None, "shorter than its header");
        assert_eq!(lacking(b"HTTP"), None);
        assert_eq!(offered(&[1, 0, 6, 0, 1, 0xFF, 3]), Some(3));
    }
}
