//! The listener.

use std::io;
use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::StatusCode;
use hyper::service::Service as HyperService;
use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, S3ErrorCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::access::{Hosts, Keys};
use super::front::Front;
use super::service::Service;
use super::store::Store;

/// Marks an answer that must never leave: the connection breaks instead.
static DROP_MARK: HeaderName = HeaderName::from_static("x-standin-drop");

/// An error that [`serve`] turns into a broken connection.
pub(super) fn dropped() -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::InternalError);
    error.set_headers(HeaderMap::from_iter([(DROP_MARK.clone(), HeaderValue::from_static("1"))]));
    error
}

/// An injected error answer.
pub(super) fn injected(status: u16, code: &str) -> S3Error {
    let known = S3ErrorCode::from_bytes(code.as_bytes());
    let mut error = S3Error::with_message(known.unwrap_or(S3ErrorCode::InternalError), "injected by the stand-in");
    error.set_status_code(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    error
}

/// Serves a store to one key until dropped, which ends all connections.
///
/// # Errors
/// The listener broke.
pub async fn serve(listener: TcpListener, store: Arc<Store>, access_key: &str, secret_key: &str) -> io::Result<()> {
    serve_with(listener, store, Keys::one(access_key, secret_key)).await
}

/// Serves a store to several keys until dropped.
///
/// # Errors
/// The listener broke.
pub async fn serve_with(listener: TcpListener, store: Arc<Store>, keys: Keys) -> io::Result<()> {
    serve_behind(listener, store, keys, Front::default()).await
}

/// Serves a store to several keys, behind a front, until dropped.
///
/// # Errors
/// The listener broke.
pub async fn serve_behind(listener: TcpListener, store: Arc<Store>, keys: Keys, front: Front) -> io::Result<()> {
    let front = Arc::new(front);
    let mut builder = S3ServiceBuilder::new(Service::new(store));
    builder.set_auth(keys.clone());
    builder.set_access(keys);
    builder.set_host(Hosts);
    let service = builder.build();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, peer) = accepted?;
                stream.set_nodelay(true)?;
                let (service, front) = (service.clone(), Arc::clone(&front));
                connections.spawn(async move {
                    if let Err(error) = welcome(stream, service, front).await {
                        tracing::debug!(%peer, %error, "connection ended");
                    }
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn welcome(stream: TcpStream, service: S3Service, front: Arc<Front>) -> Result<(), Broken> {
    match &front.acceptor {
        Some(acceptor) => converse(acceptor.clone().accept(stream).await?, service, front).await,
        None => converse(stream, service, front).await,
    }
}

async fn converse<S>(stream: S, service: S3Service, front: Arc<Front>) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let refused = front.refuse(&request);
        let answering = refused.is_none().then(|| HyperService::call(&service, request));
        async move {
            let Some(answering) = answering else { return refused.ok_or_else(|| io::Error::other("unanswered")) };
            let response = answering.await.map_err(|error| io::Error::other(format!("{error:?}")))?;
            if response.headers().contains_key(&DROP_MARK) {
                return Err(io::Error::other("dropped on purpose"));
            }
            Ok(response)
        }
    });
    hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
        .http1_only()
        .serve_connection(TokioIo::new(stream), answer)
        .await
}
