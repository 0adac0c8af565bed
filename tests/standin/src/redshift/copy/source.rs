//! The files in S3.

use std::collections::HashMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;

use super::manifest;
use super::options::{Authorization, Copy};
use crate::redshift::error::SqlError;
use crate::redshift::server::Settings;

/// Where files are read, and by whose keys.
#[derive(Debug)]
pub struct Bucket {
    endpoint: Option<String>,
    region: String,
    roles: HashMap<String, (String, String)>,
    default_role: Option<String>,
}

/// One file that is to be loaded.
#[derive(Debug, Clone)]
pub struct Source {
    pub bucket: String,
    pub key: String,
    pub mandatory: bool,
}

impl Source {
    /// `s3://bucket/key`.
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// The files of one COPY.
#[derive(Debug)]
pub struct Files {
    client: Client,
    region: String,
}

impl Bucket {
    /// As a server is started.
    pub fn new(settings: &Settings) -> Self {
        Self {
            endpoint: settings.s3_endpoint.clone(),
            region: settings.region.clone(),
            roles: settings.roles.clone(),
            default_role: settings.default_role.clone(),
        }
    }

    /// Becomes whom a COPY names.
    pub fn open(&self, copy: &Copy) -> Result<Files, SqlError> {
        let credentials = self.credentials(&copy.authorization)?;
        let region = copy.region.clone().unwrap_or_else(|| self.region.clone());
        let mut config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.clone()))
            .force_path_style(true)
            .credentials_provider(credentials);
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint);
        }
        Ok(Files { client: Client::from_conf(config.build()), region })
    }

    fn credentials(&self, authorization: &Authorization) -> Result<Credentials, SqlError> {
        let not_authorized = |role: &str| {
            SqlError::new(
                "XX000",
                format!("User arn:aws:redshift:::dbuser: is not authorized to assume IAM Role {role}"),
            )
            .with_detail("code: 8001")
        };
        let roles = match authorization {
            Authorization::Keys { access, secret, token } => {
                return Ok(Credentials::new(access, secret, token.clone(), None, "copy"));
            }
            Authorization::Roles(roles) => roles.clone(),
            Authorization::DefaultRole => {
                let missing = || SqlError::new("XX000", "No default IAM role is set for the cluster");
                vec![self.default_role.clone().ok_or_else(missing)?]
            }
        };
        let mut keys = None;
        for role in &roles {
            keys = Some(self.roles.get(role).ok_or_else(|| not_authorized(role))?);
        }
        let (access, secret) = keys.ok_or_else(|| not_authorized(""))?;
        Ok(Credentials::new(access, secret, None, None, "role"))
    }
}

impl Files {
    /// All files of a COPY, in the order of the manifest or of their keys.
    pub async fn sources(&self, copy: &Copy) -> Result<Vec<Source>, SqlError> {
        if !copy.manifest {
            return self.below(&copy.bucket, &copy.key).await;
        }
        let text = self.read(&copy.bucket, &copy.key).await?.ok_or_else(|| {
            SqlError::new("XX000", format!("The specified manifest s3://{}/{} does not exist", copy.bucket, copy.key))
                .with_detail("code: 1212")
        })?;
        let entries = manifest::parse(&text)?;
        let source = |entry: manifest::Entry| {
            let (bucket, key) = manifest::place(&entry.url)?;
            Ok(Source { bucket, key, mandatory: entry.mandatory })
        };
        entries.into_iter().map(source).collect()
    }

    async fn below(&self, bucket: &str, prefix: &str) -> Result<Vec<Source>, SqlError> {
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix).set_continuation_token(next);
            let page = request.send().await.map_err(|error| self.told(&error))?;
            let keys = page.contents().iter().filter_map(|object| object.key());
            found.extend(keys.map(|key| Source { bucket: bucket.to_owned(), key: key.to_owned(), mandatory: true }));
            next = page.next_continuation_token().map(str::to_owned);
            if next.is_none() {
                break;
            }
        }
        if found.is_empty() {
            return Err(SqlError::new("XX000", format!("The specified S3 prefix '{prefix}' does not exist"))
                .with_detail("code: 8001"));
        }
        Ok(found)
    }

    /// The bytes of a file; none if there is no such file.
    pub async fn read(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, SqlError> {
        match self.client.get_object().bucket(bucket).key(key).send().await {
            Ok(object) => {
                let body = object.body.collect().await;
                let body =
                    body.map_err(|error| SqlError::new("XX000", format!("S3 read of {key} broke off: {error}")))?;
                Ok(Some(body.to_vec()))
            }
            Err(SdkError::ServiceError(error)) if error.err().is_no_such_key() => Ok(None),
            Err(error) => Err(self.told(&error)),
        }
    }

    fn told<E>(&self, error: &SdkError<E>) -> SqlError
    where
        E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    {
        let SdkError::ServiceError(refused) = error else {
            return SqlError::new("XX000", format!("S3CurlException: {}", chain(error))).with_detail("code: 9001");
        };
        let status = refused.raw().status().as_u16();
        let code = refused.err().code().unwrap_or("Unknown");
        if matches!(code, "PermanentRedirect" | "AuthorizationHeaderMalformed") || status == 301 {
            return SqlError::new(
                "XX000",
                format!(
                    "S3ServiceException:The S3 bucket addressed by the query is in a different region from this cluster \
                     ({}). Use the REGION option.,Status {status},Error {code}",
                    self.region
                ),
            )
            .with_detail("code: 8001");
        }
        let message = refused.err().message().unwrap_or_default();
        let request = refused.err().request_id().unwrap_or_default();
        SqlError::new("XX000", format!("S3ServiceException:{message},Status {status},Error {code},Rid {request}"))
            .with_detail("code: 8001")
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
