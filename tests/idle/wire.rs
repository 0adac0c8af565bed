//! A relay before the SQL Server stand-in that counts the statements of all clients, as they pass on the wire.
//!
//! It reads packets of TDS, so the clients must not encrypt.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A packet's header: type, status, length (2), connection (2), number, window.
const HEADER: usize = 8;
/// The type of a packet that holds a batch.
const BATCH: u8 = 1;
/// The type of a packet that holds a call of a procedure, such as `sp_executesql`.
const CALL: u8 = 3;
/// The status of a message's last packet.
const LAST: u8 = 1;

/// A relay that counts.
pub struct Wire {
    /// Its own port on 127.0.0.1.
    pub port: u16,
    statements: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Wire {
    /// Starts one before a server on 127.0.0.1.
    pub async fn start(server: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let statements = Arc::<Mutex<Vec<String>>>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, server, Arc::clone(&statements)));
        Ok(Self { port, statements, _tasks: tasks })
    }

    /// The beginnings of all statements since it was last asked.
    pub fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.statements.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn serve(listener: TcpListener, server: u16, statements: Arc<Mutex<Vec<String>>>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let statements = Arc::clone(&statements);
        connections.spawn(async move {
            let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)).await else { return };
            let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
            let (from_client, mut to_client) = client.into_split();
            let (mut from_server, to_server) = upstream.into_split();
            tokio::select! {
                _ = count(from_client, to_server, &statements) => {}
                _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
            }
        });
    }
}

/// Passes packets on, and counts the messages that are statements.
async fn count(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    statements: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut message = Vec::new();
    loop {
        let mut packet = vec![0; HEADER];
        client.read_exact(&mut packet).await?;
        let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        packet.resize(length.max(HEADER), 0);
        client.read_exact(&mut packet[HEADER..]).await?;
        message.extend_from_slice(&packet[HEADER..]);
        if packet[1] & LAST != 0 {
            if matches!(packet[0], BATCH | CALL) {
                let mut statements = statements.lock().unwrap_or_else(PoisonError::into_inner);
                statements.push(beginning(&message));
            }
            message.clear();
        }
        server.write_all(&packet).await?;
    }
}

/// What can be read of a message: the text is UTF-16, behind headers of an even number of bytes.
fn beginning(message: &[u8]) -> String {
    let units = message.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let readable = char::decode_utf16(units).filter_map(Result::ok).filter(|letter| matches!(letter, ' '..='~'));
    readable.take(120).collect()
}
