//! TLS after `SSLRequest`, with a certificate from files.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Takes certificate and key from files in PEM form.
///
/// # Errors
/// When a file cannot be read, or does not hold what it should.
pub fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let place = |file: &Path| format!("cannot use {}", file.display());
    let chain = CertificateDer::pem_file_iter(certificate).with_context(|| place(certificate))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().with_context(|| place(certificate))?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| place(key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
