//! Authorities, and certificates of theirs.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// Somebody who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, in PEM form.
    pub pem: String,
}

/// A server's certificate and key, in PEM form.
pub struct Identity {
    /// Certificate.
    pub certificate: String,
    /// Key.
    pub key: String,
}

impl Authority {
    /// One that nobody knows yet.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// A certificate for these names.
    pub fn identity(&self, names: &[&str]) -> anyhow::Result<Identity> {
        self.sign(names, |_| {})
    }

    /// A certificate for these names that was good once.
    pub fn expired(&self, names: &[&str]) -> anyhow::Result<Identity> {
        self.sign(names, |params| {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        })
    }

    fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> anyhow::Result<Identity> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        change(&mut params);
        Ok(Identity { certificate: params.signed_by(&key, &self.issuer)?.pem(), key: key.serialize_pem() })
    }

    /// Writes its certificate into a file.
    pub fn write(&self, folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
        let file = folder.join(name);
        fs::write(&file, &self.pem)?;
        Ok(file)
    }
}

impl Identity {
    /// Writes certificate and key into one file.
    pub fn write(&self, folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
        let file = folder.join(name);
        fs::write(&file, format!("{}{}", self.certificate, self.key))?;
        Ok(file)
    }
}
