//! TLS with PostgreSQL: whom we talk to, and whom we refuse.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use delsert::config::{self, Auth, Engine, Login, Tls};
use delsert::error::Kind;
use delsert::target::Target;
use delsert::target::postgres::Postgres;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::failure;
use crate::support::postgres;
use crate::support::server::Leash;

/// An authority, and a certificate of its for `localhost`, in PEM form: authority, certificate, key.
fn certificates() -> anyhow::Result<[String; 3]> {
    let (authority_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let mut server = CertificateParams::new(vec!["localhost".to_owned()])?;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok([root, server.signed_by(&key, &issuer)?.pem(), key.serialize_pem()])
}

/// A file in the server's folder that only the server's user reads, as it demands of its key.
fn give(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let (path, owner) = (folder.join(name), fs::metadata(folder)?);
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(chown(&path, Some(owner.uid()), Some(owner.gid()))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_and_certificates_are_what_the_configuration_asks() -> anyhow::Result<()> {
    // A server of its own: the shared one stays without TLS.
    let server = tokio::task::block_in_place(|| postgres::Postgres::start(&Leash::Owner))?;
    let database = server.database().await?;
    let admin = database.connect_as_admin().await?;
    let folder: String = admin.query_one("SHOW data_directory", &[]).await?.get(0);
    let [root, certificate, key] = certificates()?;
    give(folder.as_ref(), "server.crt", &certificate)?;
    give(folder.as_ref(), "server.key", &key)?;
    admin.execute("ALTER SYSTEM SET ssl = on", &[]).await?;
    admin.execute("SELECT pg_reload_conf()", &[]).await?;
    let own = tempfile::tempdir()?;
    let (root_file, other_file) = (own.path().join("root.pem"), own.path().join("other.pem"));
    fs::write(&root_file, &root)?;
    fs::write(&other_file, &certificates()?[0])?;

    let with = |host: &str, tls: Tls, ca_file: Option<&Path>| config::Target {
        engine: Engine::Postgres,
        host: host.to_owned(),
        port: database.port,
        database: database.name.clone(),
        auth: Auth::Password(Login {
            user: postgres::LOADER.to_owned(),
            password: Some(postgres::LOADER_PASSWORD.into()),
        }),
        tls,
        ca_file: ca_file.map(Path::to_owned),
        connect_timeout: Duration::from_secs(15),
        lock_timeout: Duration::from_secs(15),
        redshift: config::RedshiftOptions::default(),
    };
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'delsert' AND ssl";
    // The server takes its new settings when it comes to it.
    let required = loop {
        match Postgres::connect(&with("127.0.0.1", Tls::Require, None)).await {
            Ok(target) => break target,
            Err(error) => assert!(error.to_string().contains("does not speak TLS"), "{error}"),
        }
    };
    assert_eq!(admin.query_one(encrypted, &[]).await?.get::<_, i64>(0), 1);
    let mut verified = Postgres::connect(&with("localhost", Tls::VerifyFull, Some(&root_file))).await?;
    assert_eq!(verified.describe().await?.login, postgres::LOADER);
    assert_eq!(admin.query_one(encrypted, &[]).await?.get::<_, i64>(0), 2);
    drop((required, verified));

    for (host, ca_file) in [("127.0.0.1", Some(&root_file)), ("localhost", Some(&other_file)), ("localhost", None)] {
        let target = with(host, Tls::VerifyFull, ca_file.map(PathBuf::as_path));
        let (kind, text) = failure(Postgres::connect(&target).await);
        assert_eq!(kind, Kind::TargetTls, "{text}");
        assert!(text.contains("certificate") && text.contains("target."), "{text}");
    }
    let socket = Path::new(&folder).parent().expect("the server's folder").display().to_string();
    let mut local = Postgres::connect(&with(&socket, Tls::VerifyFull, None)).await?;
    assert_eq!(local.describe().await?.database, database.name);
    Ok(())
}
