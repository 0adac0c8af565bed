//! TLS: a certificate made at start, and a stream that wraps the handshake in TDS packets.
//!
//! TDS 7.4 carries the handshake's records inside prelogin packets and everything after it bare. That works with
//! TLS 1.2 only: in 1.3 the server would still write (session tickets) after the point where the client unwraps.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;

use super::packet::{self, HEADER, kind};

/// Makes an authority and a certificate for localhost and 127.0.0.1; writes the authority's to `DIR/ca.pem`.
///
/// # Errors
/// When the directory cannot be written.
pub fn acceptor(certificate_dir: Option<&Path>) -> anyhow::Result<TlsAcceptor> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    authority.distinguished_name.push(rcgen::DnType::CommonName, "SQL Server stand-in authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);

    let key = KeyPair::generate()?;
    let mut server = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    server.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let certificate = server.signed_by(&key, &issuer)?;

    if let Some(directory) = certificate_dir {
        std::fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let file = directory.join("ca.pem");
        std::fs::write(&file, authority_certificate.pem())
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    with_identity(
        vec![certificate.der().clone(), authority_certificate.der().clone()],
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
    )
}

/// Takes certificate and key from a file in PEM form.
///
/// # Errors
/// When the file cannot be read, or lacks one of them.
pub fn identity(file: &Path) -> anyhow::Result<TlsAcceptor> {
    let place = || format!("cannot use {}", file.display());
    let chain = CertificateDer::pem_file_iter(file).with_context(place)?.collect::<Result<Vec<_>, _>>();
    with_identity(chain.with_context(place)?, PrivateKeyDer::from_pem_file(file).with_context(place)?)
}

fn with_identity(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> anyhow::Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The stream below TLS: wraps records in prelogin packets until [`Wrapping::end`].
#[derive(Debug)]
pub struct Wrapped<S> {
    inner: S,
    wrapping: Wrapping,
    header: [u8; HEADER],
    header_length: usize,
    payload_left: usize,
    unsent: Vec<u8>,
    packet: Vec<u8>,
    sent: usize,
}

/// Switch of a [`Wrapped`] stream.
#[derive(Debug, Clone)]
pub struct Wrapping(Arc<AtomicBool>);

impl Wrapping {
    /// From here on bytes pass bare.
    pub fn end(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl<S> Wrapped<S> {
    /// A stream that wraps until told otherwise.
    pub fn new(inner: S) -> (Self, Wrapping) {
        let wrapping = Wrapping(Arc::new(AtomicBool::new(true)));
        let stream = Self {
            inner,
            wrapping: wrapping.clone(),
            header: [0; HEADER],
            header_length: 0,
            payload_left: 0,
            unsent: Vec::new(),
            packet: Vec::new(),
            sent: 0,
        };
        (stream, wrapping)
    }

    /// The stream below.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wrapped<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.wrapping.is_on() {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        while this.payload_left == 0 {
            let mut header = ReadBuf::new(&mut this.header[this.header_length..]);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut header))?;
            let read = header.filled().len();
            if read == 0 {
                return Poll::Ready(Ok(()));
            }
            this.header_length += read;
            if this.header_length == HEADER {
                let length = usize::from(u16::from_be_bytes([this.header[2], this.header[3]]));
                if this.header[0] != kind::PRELOGIN || length < HEADER {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "handshake is not wrapped")));
                }
                this.header_length = 0;
                this.payload_left = length - HEADER;
            }
        }
        let mut chunk = [0u8; 4096];
        let room = this.payload_left.min(buf.remaining()).min(chunk.len());
        let mut part = ReadBuf::new(&mut chunk[..room]);
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
        this.payload_left -= part.filled().len();
        buf.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wrapped<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.wrapping.is_on() {
            this.unsent.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut this.inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            while this.sent < this.packet.len() {
                let written = ready!(Pin::new(&mut this.inner).poll_write(cx, &this.packet[this.sent..]))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                this.sent += written;
            }
            if this.unsent.is_empty() {
                return Pin::new(&mut this.inner).poll_flush(cx);
            }
            let length = this.unsent.len().min(packet::DEFAULT_SIZE - HEADER);
            this.packet = packet::single(kind::PRELOGIN, &this.unsent[..length]);
            this.unsent.drain(..length);
            this.sent = 0;
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
