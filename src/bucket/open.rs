//! The client of a bucket: endpoint, certificates, credentials, and the region where the bucket is.

use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, SharedCredentialsProvider, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};

use super::Bucket;
use super::failure::told_region;
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::tls;

/// The longest that one attempt at a request may take, its body included, unless `request_timeout` is longer.
const ATTEMPT: Duration = Duration::from_mins(5);

/// The region that is asked first where none is named.
const FIRST: &str = "us-east-1";

impl Bucket {
    /// A bucket with credentials from the AWS chain. Where no region is configured, the bucket is asked for its own.
    ///
    /// # Errors
    /// [`Kind::Config`]: `bucket.ca_file` cannot be used.
    pub async fn open(config: &config::Bucket) -> Result<Self> {
        let (builder, credentials) = builder(config).await?;
        let client = Client::from_conf(builder.clone().build());
        if config.region.is_none()
            && let Some(region) = region(&client, &config.name).await
            && client.config().region().map(AsRef::as_ref) != Some(region.as_str())
        {
            tracing::info!(bucket = config.name, region, "the bucket is in a region of its own");
            let there = builder.region(Region::new(region)).build();
            return Ok(Self::with_client(Client::from_conf(there), config).with_credentials(credentials));
        }
        Ok(Self::with_client(client, config).with_credentials(credentials))
    }
}

async fn builder(config: &config::Bucket) -> Result<(aws_sdk_s3::config::Builder, Option<SharedCredentialsProvider>)> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(config.request_timeout.min(Duration::from_secs(10)))
        .read_timeout(config.request_timeout)
        .operation_attempt_timeout(config.request_timeout.max(ATTEMPT))
        .build();
    let stalled = StalledStreamProtectionConfig::enabled().grace_period(config.request_timeout).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
    loader = loader.stalled_stream_protection(stalled);
    if let Some(http) = http_client(config)? {
        loader = loader.http_client(http);
    }
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let mut shared = loader.load().await;
    if shared.region().is_none() {
        shared = shared.into_builder().region(Region::from_static(FIRST)).build();
    }
    let mut credentials = shared.credentials_provider();
    let mut builder = aws_sdk_s3::config::Builder::from(&shared).force_path_style(config.path_style);
    if let Some(role) = &config.role {
        let mut lent = AssumeRoleProvider::builder(&role.arn).session_name("delsert").configure(&shared);
        if let Some(id) = &role.external_id {
            lent = lent.external_id(id);
        }
        let lent = SharedCredentialsProvider::new(lent.build().await);
        credentials = Some(lent.clone());
        builder = builder.credentials_provider(lent);
    }
    if let Some(endpoint) = &config.endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    Ok((builder, credentials))
}

/// A client that trusts the configured authorities, too.
fn http_client(config: &config::Bucket) -> Result<Option<SharedHttpClient>> {
    let Some(file) = &config.ca_file else { return Ok(None) };
    let trusted = TrustStore::default().with_pem_certificate(tls::authorities("bucket.ca_file", file)?.pem);
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|error| {
        Error::new(Kind::Config, "bucket.ca_file cannot be used")
            .because(error)
            .advice("Name a file of certificates in PEM form")
    })?;
    let provider = Provider::Rustls(CryptoMode::AwsLc);
    Ok(Some(aws_smithy_http_client::Builder::new().tls_provider(provider).tls_context(context).build_https()))
}

/// The region that a bucket says it is in. Of a bucket that does not answer the first real request tells why.
async fn region(client: &Client, name: &str) -> Option<String> {
    let once = aws_sdk_s3::config::Config::builder().retry_config(RetryConfig::disabled());
    match client.head_bucket().bucket(name).customize().config_override(once).send().await {
        Ok(found) => found.bucket_region,
        Err(error) => told_region(&error),
    }
}
