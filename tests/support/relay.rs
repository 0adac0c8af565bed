//! A relay before a server, whose answers can be held back at a byte, and whose connections can be cut: what happens
//! meanwhile is up to the test.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

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
            let both =
                async { tokio::join!(pass(from_client, to_server, None), pass(from_server, to_client, Some(gate))) };
            tokio::select! {
                _ = both => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

/// Passes bytes on until the end; an error on one side ends the connection, as a broken cable does.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, gate: Option<Arc<Gate>>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            let may = match &gate {
                None => rest.len(),
                Some(gate) => gate.take(rest.len()).await,
            };
            if to.write_all(&rest[..may]).await.is_err() {
                return;
            }
            rest = &rest[may..];
        }
    }
    let _ = to.shutdown().await;
}

impl Gate {
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
}
