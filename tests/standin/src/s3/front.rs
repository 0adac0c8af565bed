//! What a request meets before the store: TLS, and the region that it is signed for.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use hyper::http::{HeaderValue, Method, Request, Response};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use s3s::Body;
use tokio_rustls::TlsAcceptor;

/// A front; the default one lets all pass.
#[derive(Clone, Default)]
pub struct Front {
    pub(super) acceptor: Option<TlsAcceptor>,
    region: Option<(String, Misled)>,
}

/// How who is signed for another region is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misled {
    /// 301 `PermanentRedirect`, as another region's endpoint does.
    Redirect,
    /// 400 `AuthorizationHeaderMalformed`, as the right region's endpoint does.
    Malformed,
}

impl Front {
    /// The same with TLS, by certificate and key from a file in PEM form.
    ///
    /// # Errors
    /// The file cannot be read, or lacks one of them.
    pub fn encrypted(mut self, file: &Path) -> anyhow::Result<Self> {
        let place = || format!("cannot use {}", file.display());
        let chain = CertificateDer::pem_file_iter(file).with_context(place)?.collect::<Result<Vec<_>, _>>();
        let key = PrivateKeyDer::from_pem_file(file).with_context(place)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])?
            .with_no_client_auth()
            .with_single_cert(chain.with_context(place)?, key)?;
        self.acceptor = Some(TlsAcceptor::from(Arc::new(config)));
        Ok(self)
    }

    /// The same for buckets of a region.
    #[must_use]
    pub fn in_region(mut self, region: &str, misled: Misled) -> Self {
        self.region = Some((region.to_owned(), misled));
        self
    }

    /// The answer to a request that goes no further.
    pub(super) fn refuse<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let part = request.uri().query().is_some_and(|query| query.contains("partNumber="));
        let writes = *request.method() == Method::PUT || *request.method() == Method::POST;
        if request.headers().contains_key("x-amz-server-side-encryption") && (part || !writes) {
            let text = "x-amz-server-side-encryption header is not supported for this operation.";
            return Some(answer(request, 400, "InvalidArgument", text, ""));
        }
        let (region, misled) = self.region.as_ref()?;
        let signed = request.headers().get("authorization")?.to_str().ok()?;
        // Credential=KEY/20260101/REGION/s3/aws4_request
        let scope = signed.split("Credential=").nth(1)?.split('/').nth(2)?;
        if scope == region {
            return None;
        }
        let mut refused = match misled {
            Misled::Redirect => {
                let text = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
                answer(request, 301, "PermanentRedirect", text, "")
            }
            Misled::Malformed => {
                let text = format!(
                    "The authorization header is malformed; the region '{scope}' is wrong; expecting '{region}'"
                );
                let more = format!("<Region>{region}</Region>");
                answer(request, 400, "AuthorizationHeaderMalformed", &text, &more)
            }
        };
        if *misled == Misled::Redirect || *request.method() == Method::HEAD {
            refused.headers_mut().insert("x-amz-bucket-region", HeaderValue::from_str(region).ok()?);
        }
        Some(refused)
    }
}

fn answer<B>(request: &Request<B>, status: u16, code: &str, text: &str, more: &str) -> Response<Body> {
    let body = match *request.method() {
        Method::HEAD => String::new(),
        _ => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{text}</Message>{more}<RequestId>standin</RequestId></Error>"
        ),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = hyper::http::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/xml"));
    response
}
