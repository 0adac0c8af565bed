//! What TLS finds wrong, told apart once for all three ends, and the authorities that a configuration names.
//!
//! Some drivers hand on no more than a text of what failed: so it is the text that is looked at, of the one library that
//! speaks TLS at every end.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{Error, Kind, Result};

/// What is wrong with a peer, or with what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Its certificate is of no authority that is trusted here.
    Authority,
    /// Its certificate is signed by another key than that of the trusted authority whose name it gives.
    Namesake,
    /// Its certificate has expired; the moment in seconds since 1970, where that is told.
    Expired(Option<i64>),
    /// Its certificate is not valid yet.
    Early,
    /// Its certificate names others; whom, where that is told.
    Name(Option<String>),
    /// Its certificate is wrong in another way.
    Certificate(String),
    /// It answers, but not in TLS.
    Plain,
    /// It has no version or cipher in common with us.
    Incompatible(String),
    /// Something else.
    Other(String),
}

/// The keys of the configuration that decide about one end's TLS, as advice names them.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// The key that names the host.
    pub host: &'static str,
    /// The key that names a file of authorities.
    pub ca_file: &'static str,
    /// How to do without verification, a full sentence; empty where that cannot be.
    pub unverified: &'static str,
    /// What to do about a server that speaks no TLS, a full sentence.
    pub plain: &'static str,
}

impl Fault {
    /// What the text of a failed handshake is about.
    pub fn in_text(text: &str) -> Self {
        let after = |mark: &str| text.find(mark).map(|at| &text[at + mark.len()..]);
        if let Some(said) = after("invalid peer certificate: ").or_else(|| after("during the TLS handshake: ")) {
            return Self::of_certificate(said);
        }
        let incompatible = ["HandshakeFailure", "ProtocolVersion", "InsufficientSecurity"];
        match text {
            _ if text.contains("InvalidContentType") => Self::Plain,
            _ if after("received fatal alert: ")
                .is_some_and(|alert| incompatible.iter().any(|word| alert.starts_with(word))) =>
            {
                Self::Incompatible(text.to_owned())
            }
            _ if text.contains("peer is incompatible") => Self::Incompatible(text.to_owned()),
            _ => Self::Other(text.to_owned()),
        }
    }

    fn of_certificate(said: &str) -> Self {
        let after = |mark: &str| said.find(mark).map(|at| &said[at + mark.len()..]);
        let is = |words: &[&str]| words.iter().any(|word| said.starts_with(word));
        if is(&["UnknownIssuer"]) {
            return Self::Authority;
        }
        if is(&["BadSignature"]) {
            return Self::Namesake;
        }
        if is(&["Expired", "certificate expired"]) {
            let moment = after("not valid after ").map(|rest| rest.split(' ').next().unwrap_or_default());
            return Self::Expired(moment.and_then(|seconds| seconds.parse().ok()));
        }
        if is(&["NotValidYet", "certificate not valid yet"]) {
            return Self::Early;
        }
        if is(&["NotValidForName", "certificate not valid for name"]) {
            // What follows the names is the driver's own, or nothing.
            let names = after("only valid for ").map(|names| names.split(". ").next().unwrap_or_default());
            return Self::Name(names.map(|names| names.trim_end_matches('.').to_owned()));
        }
        Self::Certificate(said.split(". ").next().unwrap_or_default().trim_end_matches('.').to_owned())
    }

    /// What is wrong, as the rest of a sentence that begins with the server's name.
    pub fn what(&self) -> String {
        match self {
            Self::Authority => {
                "shows a certificate of an authority that is not trusted here (UnknownIssuer)".to_owned()
            }
            Self::Namesake => {
                "shows a certificate of another authority than the trusted one of the same name (BadSignature)"
                    .to_owned()
            }
            Self::Expired(None) => "shows a certificate that has expired".to_owned(),
            Self::Expired(Some(moment)) => {
                let date = chrono::DateTime::from_timestamp(*moment, 0).map(|at| at.format("%Y-%m-%d").to_string());
                format!("shows a certificate that expired on {}", date.unwrap_or_default())
            }
            Self::Early => "shows a certificate that is not valid yet".to_owned(),
            Self::Name(None) => "shows a certificate for another name".to_owned(),
            Self::Name(Some(names)) => format!("shows a certificate for another name: it is for {names}"),
            Self::Certificate(why) => format!("shows a certificate that cannot be used ({why})"),
            Self::Plain => "does not speak TLS".to_owned(),
            Self::Incompatible(why) => format!("has no version or cipher of TLS in common with delsert ({why})"),
            Self::Other(why) => format!("breaks TLS off: {why}"),
        }
    }

    /// The way out, full sentences.
    pub fn advice(&self, keys: &Keys) -> String {
        let Keys { host, ca_file, unverified, plain } = keys;
        match self {
            Self::Authority => {
                format!("Name the file of the authority's certificate, in PEM form, by {ca_file}. {unverified}")
            }
            Self::Namesake => format!("If the authority was made anew, name the file of its new certificate by {ca_file}; else somebody answers in the server's place"),
            Self::Expired(_) => "Have the server's certificate renewed; or, if it is valid, set this machine's clock".to_owned(),
            Self::Early => "Set this machine's clock, or have the server given a certificate that is valid now".to_owned(),
            Self::Name(_) => format!(
                "Name the server in {host} as its certificate does; or have it given a certificate that names it so"
            ),
            Self::Certificate(_) => "Have the server given a certificate for servers, of X.509 version 3, signed with SHA-256 or better, by an authority that is not the certificate itself".to_owned(),
            Self::Plain => (*plain).to_owned(),
            Self::Incompatible(_) => "Let the server offer TLS 1.3, or TLS 1.2 with an ECDHE key exchange and AES-GCM".to_owned(),
            Self::Other(_) => "Look into the server's log for its side of the handshake".to_owned(),
        }
        .trim_end_matches(['.', ' '])
        .to_owned()
    }
}

/// Authorities to trust besides the system's.
#[derive(Debug, Clone)]
pub struct Authorities {
    /// Their certificates.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The same in PEM form, for who takes no other.
    pub pem: Vec<u8>,
}

/// The certificates in a file that the configuration names by `key`.
///
/// # Errors
/// [`Kind::Config`]: it cannot be read, or is not a file of certificates in PEM form.
pub fn authorities(key: &str, file: &Path) -> Result<Authorities> {
    let wrong = |why: String| {
        Error::new(Kind::Config, format!("{key} '{}' cannot be used: {why}", file.display()))
            .advice("Name a file of certificates in PEM form, each between BEGIN CERTIFICATE and END CERTIFICATE")
    };
    let mut pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    // As editors of Windows begin a file.
    if pem.starts_with(b"\xEF\xBB\xBF") {
        pem.drain(..3);
    }
    let mut trusted = RootCertStore::empty();
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| wrong(format!("it is damaged ({error})")))?;
        trusted
            .add(certificate.clone())
            .map_err(|error| wrong(format!("it holds what is no certificate ({error})")))?;
        certificates.push(certificate);
    }
    if certificates.is_empty() {
        return Err(wrong(if pem.is_empty() { "it is empty" } else { "it holds no certificate" }.to_owned()));
    }
    Ok(Authorities { certificates, pem })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::{ServerName, UnixTime};
    use rustls::{AlertDescription, CertificateError, Error as Tls, InvalidMessage};

    use super::*;

    /// The library's own texts, and those that the source's driver puts around them.
    #[test]
    fn each_fault_is_known_by_the_text_of_the_library() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let expired = CertificateError::ExpiredContext { time: at(1_800_000_000), not_after: at(1_600_000_000) };
        let early = CertificateError::NotValidYetContext { time: at(1), not_before: at(2) };
        let presented = vec!["DnsName(\"a.example\")".to_owned(), "DnsName(\"b.example\")".to_owned()];
        let expected = ServerName::try_from("c.example").unwrap();
        let name = CertificateError::NotValidForNameContext { expected, presented };
        let names = "DnsName(\"a.example\") or DnsName(\"b.example\")".to_owned();
        for (error, fault) in [
            (CertificateError::UnknownIssuer, Fault::Authority),
            (CertificateError::BadSignature, Fault::Namesake),
            (expired, Fault::Expired(Some(1_600_000_000))),
            (CertificateError::Expired, Fault::Expired(None)),
            (early, Fault::Early),
            (name, Fault::Name(Some(names))),
            (CertificateError::NotValidForName, Fault::Name(None)),
            (CertificateError::BadEncoding, Fault::Certificate("BadEncoding".to_owned())),
        ] {
            let text = Tls::InvalidCertificate(error.clone()).to_string();
            assert_eq!(Fault::in_text(&text), fault);
            let drivers =
                format!("the server's certificate was rejected during the TLS handshake: {error}. To connect");
            assert_eq!(Fault::in_text(&drivers), fault);
        }
        for (error, is) in [
            (Tls::InvalidMessage(InvalidMessage::InvalidContentType), "Plain"),
            (Tls::AlertReceived(AlertDescription::HandshakeFailure), "Incompatible"),
            (Tls::AlertReceived(AlertDescription::ProtocolVersion), "Incompatible"),
            (Tls::AlertReceived(AlertDescription::InternalError), "Other"),
            (Tls::NoCertificatesPresented, "Other"),
        ] {
            let fault = format!("{:?}", Fault::in_text(&error.to_string()));
            assert!(fault.starts_with(is), "{error}: {fault}");
        }
    }
}
