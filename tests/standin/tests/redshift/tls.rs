//! TLS after `SSLRequest`.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use standin::redshift::tls::acceptor;
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::support::{PASSWORD, Standin, value};

#[tokio::test]
async fn a_client_may_encrypt_and_verify() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(&certificate, made.cert.pem())?;
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    let standin = Standin::start_encrypted(acceptor(&certificate, &key)?).await?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifying = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = |standin: &Standin, mode| {
        let mut config = tokio_postgres::Config::new();
        config.host("localhost").hostaddr([127, 0, 0, 1].into()).port(standin.port).dbname(&standin.database);
        config.user("loader").password(PASSWORD).ssl_mode(mode);
        config
    };
    let (client, connection) = config(&standin, SslMode::Require).connect(MakeRustlsConnect::new(verifying)).await?;
    tokio::spawn(connection);
    assert_eq!(value(&client, "SELECT 1").await?, "1");
    let plain = Standin::start().await?;
    let (client, connection) = config(&plain, SslMode::Prefer).connect(NoTls).await?;
    tokio::spawn(connection);
    assert_eq!(value(&client, "SELECT 1").await?, "1");
    Ok(())
}
