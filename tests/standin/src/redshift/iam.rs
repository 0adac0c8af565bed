//! Logins that AWS lends: `GetClusterCredentials` and `GetClusterCredentialsWithIAM` (Amazon Redshift API Reference; the
//! query protocol), `GetCredentials` (Amazon Redshift Serverless API Reference; JSON 1.1). Requests are signed
//! ("Signature Version 4 signing process"), and refused with the APIs' common errors.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::server::{Account, Shared, Stored, create_role};

/// What may be asked for, by whom.
#[derive(Debug, Clone)]
pub struct Lending {
    /// The cluster, or of Serverless the workgroup.
    pub warehouse: String,
    /// The key that signs, and its secret.
    pub key: (String, String),
    /// Users of the database that the key's policy names.
    pub users: Vec<String>,
    /// The user that goes with the key's identity.
    pub identity: String,
    /// How long a login is good; the least that AWS lends is 900 s.
    pub good_for: Duration,
}

/// A refusal: status, code, message.
type Refusal = (u16, &'static str, String);

/// Answers until dropped.
///
/// # Errors
/// The listener broke.
pub async fn serve(listener: Arc<TcpListener>, shared: Arc<Shared>, lending: Lending) -> io::Result<()> {
    let lending = Arc::new(lending);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let (shared, lending) = (Arc::clone(&shared), Arc::clone(&lending));
                let answer = hyper::service::service_fn(move |request| {
                    let (shared, lending) = (Arc::clone(&shared), Arc::clone(&lending));
                    async move { answer(request, &shared, &lending).await }
                });
                connections.spawn(async move {
                    let served = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = served.http1_only().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    shared: &Shared,
    lending: &Lending,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let serverless = parts.headers.contains_key("x-amz-target");
    let service = if serverless { "redshift-serverless" } else { "redshift" };
    let signed = match (&parts.method, parts.uri.path()) {
        (&Method::POST, "/") => signed(&parts.headers, &body, service, (&shared.settings.region, lending)),
        _ => Err((404, "InvalidAction", "POST / is all that there is".to_owned())),
    };
    let answered = match signed {
        Ok(()) if serverless => of_workgroup(&parts.headers, &body, shared, lending).await,
        Ok(()) => of_cluster(&body, shared, lending).await,
        Err(refusal) => Err(refusal),
    };
    let (status, kind, text) = match answered {
        Ok(text) if serverless => (200, "application/x-amz-json-1.1", text),
        Ok(text) => (200, "text/xml", text),
        Err((status, code, message)) if serverless => {
            (status, "application/x-amz-json-1.1", json!({"__type": code, "message": message}).to_string())
        }
        Err((status, code, message)) => {
            let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
            (status, "text/xml", format!("<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"))
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = hyper::http::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    Ok(response)
}

/// Whether a request is signed as it must be.
fn signed(headers: &HeaderMap, body: &[u8], service: &str, (region, lending): (&str, &Lending)) -> Result<(), Refusal> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let incomplete = || (403, "IncompleteSignature", "the Authorization header is not complete".to_owned());
    let given = header("authorization")
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .ok_or_else(|| (403, "MissingAuthenticationToken", "Request is missing Authentication Token".to_owned()))?;
    let fields: HashMap<_, _> = given.split(',').filter_map(|field| field.trim().split_once('=')).collect();
    let field = |name: &str| fields.get(name).copied().ok_or_else(incomplete);
    let (scope, names, signature) = (field("Credential")?, field("SignedHeaders")?, field("Signature")?);
    let (key, scope) = scope.split_once('/').ok_or_else(incomplete)?;
    if key != lending.key.0 {
        let code = if service == "redshift" { "InvalidClientTokenId" } else { "UnrecognizedClientException" };
        return Err((403, code, "The security token included in the request is invalid.".to_owned()));
    }
    let date = header("x-amz-date");
    let at = NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ").map_err(|_| incomplete())?.and_utc();
    if (Utc::now() - at).num_minutes().abs() > 5 {
        return Err((400, "RequestExpired", "Request has expired.".to_owned()));
    }
    let expected = format!("{}/{region}/{service}/aws4_request", &date[..8]);
    let mismatch = |message: &str| (403, "SignatureDoesNotMatch", message.to_owned());
    if scope != expected {
        return Err(mismatch(&format!("Credential should be scoped to {expected}")));
    }
    for needed in ["host", "x-amz-date"] {
        if !names.split(';').any(|name| name == needed) {
            return Err(mismatch(&format!("{needed} must be signed")));
        }
    }
    let signed = names.split(';').map(|name| format!("{name}:{}", header(name).trim())).collect::<Vec<_>>().join("\n");
    let canonical = format!("POST\n/\n\n{signed}\n\n{names}\n{}", hex(&Sha256::digest(body)));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let signing = generate_signing_key(&lending.key.1, SystemTime::from(at), region, service);
    if calculate_signature(signing, text.as_bytes()) != signature {
        return Err(mismatch("The request signature we calculated does not match the signature you provided."));
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A lent login, and when it is over.
struct Lent {
    user: String,
    password: String,
    until: DateTime<Utc>,
}

/// Lends a login as `user`, who in the database is `becomes`.
fn lend(shared: &Shared, lending: &Lending, user: String, becomes: &str) -> Lent {
    let password = format!("lent-{}", uuid::Uuid::new_v4());
    let lent = Lent { user, password, until: Utc::now() + lending.good_for };
    shared.add_account(Account {
        name: lent.user.clone(),
        password: lent.password.clone(),
        stored: Stored::Md5,
        superuser: false,
        becomes: becomes.to_owned(),
        until: Some(Instant::now() + lending.good_for),
    });
    lent
}

/// Lends the login of the key's own identity, whose user is made at the first use.
async fn lend_own(shared: &Shared, lending: &Lending) -> Result<Lent, Refusal> {
    let lent = lend(shared, lending, lending.identity.clone(), &lending.identity);
    let account = Account::new(&lending.identity, &lent.password);
    let made = create_role(&mut *shared.own.lock().await, &account, false).await;
    made.map_err(|_| (500, "InternalFailure", "the user cannot be made".to_owned()))?;
    Ok(lent)
}

async fn of_cluster(body: &[u8], shared: &Shared, lending: &Lending) -> Result<String, Refusal> {
    let given: HashMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
    let text = |name: &str| given.get(name).map(String::as_str).unwrap_or_default();
    if text("Version") != "2012-12-01" {
        return Err((400, "InvalidAction", "The version is not valid for this web service.".to_owned()));
    }
    let action = text("Action");
    if shared.settings.serverless || text("ClusterIdentifier") != lending.warehouse {
        return Err((404, "ClusterNotFound", format!("Cluster {} not found.", text("ClusterIdentifier"))));
    }
    let (user, database) = (text("DbUser"), text("DbName"));
    let denied = |resource: &str| {
        let message = format!("User is not authorized to perform: redshift:{action} on resource: {resource}");
        (403, "AccessDenied", message)
    };
    if !database.is_empty() && database != shared.settings.upstream.database {
        return Err(denied(&format!("dbname:{}/{database}", lending.warehouse)));
    }
    let lent = match action {
        "GetClusterCredentials" if user.is_empty() => {
            return Err((400, "MissingParameter", "DbUser is missing".to_owned()));
        }
        "GetClusterCredentials" if !lending.users.iter().any(|known| known == user) => {
            return Err(denied(&format!("dbuser:{}/{user}", lending.warehouse)));
        }
        "GetClusterCredentials" => lend(shared, lending, format!("IAM:{user}"), user),
        "GetClusterCredentialsWithIAM" => lend_own(shared, lending).await?,
        _ => return Err((400, "InvalidAction", format!("The action {action} is not valid."))),
    };
    let until = lent.until.to_rfc3339_opts(SecondsFormat::Millis, true);
    let result = format!(
        "<DbUser>{}</DbUser><DbPassword>{}</DbPassword><Expiration>{until}</Expiration>",
        lent.user, lent.password
    );
    Ok(format!(
        "<{action}Response xmlns=\"http://redshift.amazonaws.com/doc/2012-12-01/\"><{action}Result>{result}</{action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"
    ))
}

async fn of_workgroup(headers: &HeaderMap, body: &[u8], shared: &Shared, lending: &Lending) -> Result<String, Refusal> {
    if headers.get("x-amz-target").is_none_or(|target| target != "RedshiftServerless.GetCredentials") {
        return Err((400, "UnknownOperationException", String::new()));
    }
    let given: Value =
        serde_json::from_slice(body).map_err(|error| (400, "SerializationException", error.to_string()))?;
    let text = |name: &str| given[name].as_str().unwrap_or_default();
    if !shared.settings.serverless || text("workgroupName") != lending.warehouse {
        let message = format!("Workgroup {} not found", text("workgroupName"));
        return Err((400, "ResourceNotFoundException", message));
    }
    if !text("dbName").is_empty() && text("dbName") != shared.settings.upstream.database {
        return Err((400, "ValidationException", format!("Database {} not found", text("dbName"))));
    }
    let lent = lend_own(shared, lending).await?;
    let until = lent.until.timestamp();
    Ok(json!({"dbUser": lent.user, "dbPassword": lent.password, "expiration": until, "nextRefreshTime": until})
        .to_string())
}
