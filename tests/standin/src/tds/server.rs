//! The listener.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::connection::{self, Shared};
use super::tls;
use crate::session::Server;

/// What encryption a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encryption {
    /// As much as the client asks for: nothing, the login only, or everything.
    #[default]
    Supported,
    /// Everything, or the client is turned away.
    Required,
    /// None; a client that insists is turned away.
    NotSupported,
}

/// How a server behaves on the wire.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Encryption offered.
    pub encryption: Encryption,
    /// Where to write `ca.pem`, for clients that verify the certificate.
    pub certificate_dir: Option<PathBuf>,
    /// A file with certificate and key in PEM form, in place of a certificate made at start.
    pub identity: Option<PathBuf>,
    /// A file of Microsoft Entra tokens, read at each login: `TOKEN LOGIN` a line, or `TOKEN expired`.
    pub tokens: Option<PathBuf>,
    /// Where everybody is sent on to, once logged in: host and port.
    pub route: Option<(String, u16)>,
}

/// Serves connections until dropped, which ends them all.
///
/// # Errors
/// No certificate could be made or written, or the listener broke.
pub async fn serve(listener: TcpListener, server: Arc<dyn Server>, settings: Settings) -> anyhow::Result<()> {
    let acceptor = match &settings.identity {
        Some(file) => tls::identity(file)?,
        None => tls::acceptor(settings.certificate_dir.as_deref())?,
    };
    let Settings { encryption, tokens, route, .. } = settings;
    let shared = Arc::new(Shared { server, encryption, acceptor, tokens, route });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, peer) = accepted?;
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    if let Err(error) = connection::serve(stream, shared).await {
                        tracing::debug!(%peer, %error, "connection ended");
                    }
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}
