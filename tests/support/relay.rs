//! A relay before a server, whose answers can be held back at a byte, and whose connections can be cut: what happens
//! meanwhile is up to the test.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// The longest text that a trap may wait for.
const LONGEST: usize = 1024;

/// A relay to a server on 127.0.0.1.
pub struct Relay {
    /// Its own port on 127.0.0.1.
    pub port: u16,
    gate: Arc<Gate>,
    _tasks: JoinSet<()>,
}

/// How far the server's answers, all connections together, may pass.
struct Gate {
    /// Bytes that may still pass; `None` for all.
    left: watch::Sender<Option<usize>>,
    /// Whether an answer is held back.
    held: watch::Sender<bool>,
    /// How often all connections were cut.
    cuts: watch::Sender<u64>,
    /// What a client sends next ends its connection.
    trap: Mutex<Option<Trap>>,
}

/// What ends the connection of the client that sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trap {
    /// That text, which does not reach the server.
    Before(Vec<u8>),
    /// That text, which reaches the server; its answer is lost.
    AnswerLost(Vec<u8>),
    /// So many bytes, which reach the server.
    Bytes(usize),
}

impl Relay {
    /// Starts one, open.
    pub async fn start(server: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let gate = Arc::new(Gate {
            left: watch::Sender::new(None),
            held: watch::Sender::new(false),
            cuts: watch::Sender::new(0),
            trap: Mutex::new(None),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, server, Arc::clone(&gate)));
        Ok(Self { port, gate, _tasks: tasks })
    }

    /// Lets so many more bytes of the server's answers pass, then holds back.
    pub fn hold_after(&self, bytes: usize) {
        self.gate.left.send_replace(Some(bytes));
    }

    /// Waits until an answer is held back.
    pub async fn held(&self) -> anyhow::Result<()> {
        self.gate.held.subscribe().wait_for(|held| *held).await?;
        Ok(())
    }

    /// Breaks all connections that there are, and gives how many there were; new ones may follow at once.
    pub fn cut(&self) -> usize {
        let connections = self.gate.cuts.receiver_count();
        self.gate.cuts.send_modify(|cuts| *cuts += 1);
        connections
    }

    /// Sets a trap for the next client that steps into it.
    pub fn set_trap(&self, trap: Trap) {
        *self.gate.trap() = Some(trap);
    }

    /// Whether the trap is still set.
    pub fn is_trap_set(&self) -> bool {
        self.gate.trap().is_some()
    }

    /// Lets all pass.
    pub fn open(&self) {
        self.gate.held.send_replace(false);
        self.gate.left.send_replace(None);
    }
}

async fn serve(listener: TcpListener, server: u16, gate: Arc<Gate>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let gate = Arc::clone(&gate);
        let mut cuts = gate.cuts.subscribe();
        connections.spawn(async move {
            // A small buffer, so that the server cannot run far ahead of what was let pass.
            let Ok(socket) = TcpSocket::new_v4() else { return };
            let _ = socket.set_recv_buffer_size(32 * 1024);
            let Ok(upstream) = socket.connect(([127, 0, 0, 1], server).into()).await else { return };
            let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = upstream.into_split();
            let trapped = Trapped::default();
            let both = async {
                tokio::join!(
                    pass_requests(from_client, to_server, &gate, &trapped),
                    pass_answers(from_server, to_client, &gate, &trapped)
                )
            };
            tokio::select! {
                _ = both => {}
                _ = cuts.changed() => {}
                () = trapped.cut.notified() => {}
            }
        });
    }
}

/// A connection whose client may step into the trap.
#[derive(Default)]
struct Trapped {
    /// Told when the connection is to be cut.
    cut: Notify,
    /// Whether the next answer is lost, and the connection with it.
    answer_lost: AtomicBool,
    /// What the client sent last, for a text that comes in pieces.
    recent: Mutex<Vec<u8>>,
}

impl Trapped {
    /// What to do with bytes that the client sends: how many pass, and whether the connection is then cut.
    fn step(&self, gate: &Gate, bytes: &[u8]) -> (usize, bool) {
        let mut trap = gate.trap();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.extend_from_slice(bytes);
        let holds = |text: &[u8]| recent.windows(text.len()).any(|window| window == text);
        let end = match &mut *trap {
            Some(Trap::Before(text)) if holds(text) => (0, true),
            Some(Trap::AnswerLost(text)) if holds(text) => {
                self.answer_lost.store(true, Ordering::SeqCst);
                (bytes.len(), false)
            }
            Some(Trap::Bytes(left)) if bytes.len() >= *left => (*left, true),
            Some(Trap::Bytes(left)) => {
                *left -= bytes.len();
                return (bytes.len(), false);
            }
            _ => {
                let old = recent.len().saturating_sub(LONGEST);
                recent.drain(..old);
                return (bytes.len(), false);
            }
        };
        *trap = None;
        end
    }
}

/// Passes requests on until the end; an error on one side ends the connection, as a broken cable does.
async fn pass_requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, gate: &Gate, trapped: &Trapped) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let (passing, cut) = trapped.step(gate, &buffer[..read]);
        if to.write_all(&buffer[..passing]).await.is_err() {
            return;
        }
        if cut {
            return trapped.cut.notify_one();
        }
    }
    let _ = to.shutdown().await;
}

/// Passes answers on until the end, as far as they may.
async fn pass_answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, gate: &Gate, trapped: &Trapped) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if trapped.answer_lost.load(Ordering::SeqCst) {
            return trapped.cut.notify_one();
        }
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            let may = gate.take(rest.len()).await;
            if to.write_all(&rest[..may]).await.is_err() {
                return;
            }
            rest = &rest[may..];
        }
    }
    let _ = to.shutdown().await;
}

impl Gate {
    fn trap(&self) -> MutexGuard<'_, Option<Trap>> {
        self.trap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something may pass, and takes at most so much of it.
    async fn take(&self, wanted: usize) -> usize {
        let mut left = self.left.subscribe();
        loop {
            let mut taken = wanted;
            self.left.send_if_modified(|left| {
                let Some(left) = left else { return false };
                taken = wanted.min(*left);
                *left -= taken;
                taken > 0
            });
            if taken > 0 {
                return taken;
            }
            self.held.send_replace(true);
            if left.changed().await.is_err() {
                return wanted;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn an_answer_is_held_back_at_its_byte_and_then_goes_on() -> anyhow::Result<()> {
        let server = TcpListener::bind("127.0.0.1:0").await?;
        let relay = Relay::start(server.local_addr()?.port()).await?;
        relay.hold_after(3);
        let mut client = TcpStream::connect(("127.0.0.1", relay.port)).await?;
        let (mut answer, _) = server.accept().await?;
        answer.write_all(b"abcdef").await?;
        relay.held().await?;
        let mut buffer = [0; 6];
        assert_eq!(client.read(&mut buffer).await?, 3);
        assert!(client.try_read(&mut buffer).is_err(), "more passed than was let");
        relay.open();
        client.read_exact(&mut buffer[..3]).await?;
        assert_eq!(&buffer[..3], b"def");
        Ok(())
    }

    #[tokio::test]
    async fn a_cut_ends_the_connections_there_are_and_no_later_one() -> anyhow::Result<()> {
        let server = TcpListener::bind("127.0.0.1:0").await?;
        let relay = Relay::start(server.local_addr()?.port()).await?;
        assert_eq!(relay.cut(), 0);
        let mut client = TcpStream::connect(("127.0.0.1", relay.port)).await?;
        let (mut upstream, _) = server.accept().await?;
        client.write_all(b"a").await?;
        assert_eq!(upstream.read_u8().await?, b'a');
        assert_eq!(relay.cut(), 1);
        assert!(client.read_u8().await.is_err(), "the client's side stayed");
        assert!(upstream.read_u8().await.is_err(), "the server's side stayed");
        let mut client = TcpStream::connect(("127.0.0.1", relay.port)).await?;
        let (mut upstream, _) = server.accept().await?;
        client.write_all(b"b").await?;
        assert_eq!(upstream.read_u8().await?, b'b');
        Ok(())
    }

    #[tokio::test]
    async fn a_trap_ends_one_connection_at_its_text_or_byte() -> anyhow::Result<()> {
        let text = b"COMMIT".to_vec();
        for (trap, arrives) in [
            (Trap::Before(text.clone()), &b"xxCOM"[..]),
            (Trap::AnswerLost(text), b"xxCOMMIT"),
            (Trap::Bytes(3), b"xxC"),
        ] {
            let server = TcpListener::bind("127.0.0.1:0").await?;
            let relay = Relay::start(server.local_addr()?.port()).await?;
            relay.set_trap(trap.clone());
            let mut client = TcpStream::connect(("127.0.0.1", relay.port)).await?;
            let (mut upstream, _) = server.accept().await?;
            client.write_all(b"xxCOM").await?;
            let mut buffer = vec![0; arrives.len().min(5)];
            upstream.read_exact(&mut buffer).await?;
            let _ = client.write_all(b"MIT").await;
            let mut rest = vec![0; arrives.len() - buffer.len()];
            upstream.read_exact(&mut rest).await?;
            buffer.extend(rest);
            assert_eq!(buffer, arrives, "{trap:?}");
            if matches!(trap, Trap::AnswerLost(_)) {
                upstream.write_all(b"done").await?;
            }
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer).await;
            assert!(answer.is_empty(), "{trap:?}: an answer came through");
            assert!(!relay.is_trap_set(), "{trap:?}");
        }
        Ok(())
    }
}
