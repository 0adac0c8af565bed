//! A login that AWS lends: a user's name and a password that is good for a quarter of an hour, for logging in alone.
//!
//! Amazon Redshift Management Guide, "Using IAM authentication to generate database user credentials"; API references:
//! `GetClusterCredentials` (for a user of the database), `GetClusterCredentialsWithIAM` (for the one that goes with the
//! identity that asks), and of Serverless `GetCredentials`.

use crate::config::{self, Iam, Login};
use crate::error::Result;

/// Asks for a login.
///
/// # Errors
/// [`Kind::TargetLogin`](crate::error::Kind::TargetLogin) where AWS refuses,
/// [`Kind::TargetUnreachable`](crate::error::Kind::TargetUnreachable) where it does not answer, and
/// [`Kind::Config`](crate::error::Kind::Config) where this binary cannot ask.
#[cfg(not(feature = "redshift-iam"))]
#[expect(clippy::unused_async, reason = "it stands in the place of one that asks")]
pub async fn lend(_: &Iam, _: &config::Target) -> Result<Login> {
    use crate::error::{Error, Kind};
    Err(Error::new(Kind::Config, "target.auth is \"iam\", which this binary was built without").advice(
        "Build delsert with its feature redshift-iam, which is on by default; or set target.auth = \"password\"",
    ))
}

#[cfg(feature = "redshift-iam")]
pub use asked::lend;

#[cfg(feature = "redshift-iam")]
mod asked {
    use std::fmt;

    use aws_config::timeout::TimeoutConfig;
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
    use secrecy::SecretString;

    use super::{Iam, Login, Result, config};
    use crate::aws::{may_be_lent_later, root_cause};
    use crate::config::Warehouse;
    use crate::error::{Error, Kind};
    use crate::target::pgwire::address;
    use crate::tls::Fault;

    /// Asks for a login.
    ///
    /// # Errors
    /// [`Kind::TargetLogin`] where AWS refuses, [`Kind::TargetUnreachable`] where it does not answer.
    pub async fn lend(iam: &Iam, target: &config::Target) -> Result<Login> {
        let bound = target.connect_timeout;
        let timeouts = TimeoutConfig::builder().connect_timeout(bound).operation_timeout(bound).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
        if let Some(region) = &iam.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let aws = loader.load().await;
        let Some(region) = aws.region() else {
            let message = "target.auth is \"iam\", and nothing tells the region of the warehouse";
            return Err(Error::new(Kind::Config, message).advice("Set target.region, or AWS_REGION"));
        };
        let request = Request { iam, region: region.as_ref(), target };
        let (user, password) = match &iam.warehouse {
            Warehouse::Cluster(cluster) => of_cluster(&aws, cluster, &request).await?,
            Warehouse::Workgroup(workgroup) => {
                let client = aws_sdk_redshiftserverless::Client::new(&aws);
                let asked = client.get_credentials().workgroup_name(workgroup).db_name(&target.database).send().await;
                let lent = asked.map_err(|error| request.failed(&error))?;
                (lent.db_user, lent.db_password)
            }
        };
        let (Some(user), Some(password)) = (user, password) else {
            return Err(Error::new(Kind::TargetUnreachable, format!("{request}: the answer holds no login"))
                .advice("Run the task again"));
        };
        Ok(Login { user, password: Some(SecretString::from(password)) })
    }

    async fn of_cluster(
        aws: &SdkConfig,
        cluster: &str,
        request: &Request<'_>,
    ) -> Result<(Option<String>, Option<String>)> {
        let client = aws_sdk_redshift::Client::new(aws);
        let database = &request.target.database;
        if let Some(user) = &request.iam.user {
            let asked = client.get_cluster_credentials().cluster_identifier(cluster).db_user(user).db_name(database);
            let lent = asked.send().await.map_err(|error| request.failed(&error))?;
            return Ok((lent.db_user, lent.db_password));
        }
        let asked = client.get_cluster_credentials_with_iam().cluster_identifier(cluster).db_name(database);
        let lent = asked.send().await.map_err(|error| request.failed(&error))?;
        Ok((lent.db_user, lent.db_password))
    }

    /// What is asked for, as messages say it.
    struct Request<'a> {
        iam: &'a Iam,
        region: &'a str,
        target: &'a config::Target,
    }

    impl fmt::Display for Request<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let place = match &self.iam.warehouse {
                Warehouse::Cluster(cluster) => format!("cluster '{cluster}'"),
                Warehouse::Workgroup(workgroup) => format!("workgroup '{workgroup}'"),
            };
            write!(f, "Amazon Redshift {}: AWS lends no login of {place} in {}", address(self.target), self.region)
        }
    }

    impl Request<'_> {
        /// The right that is needed, on what.
        fn policy(&self) -> String {
            let (region, database) = (self.region, &self.target.database);
            match (&self.iam.warehouse, &self.iam.user) {
                (Warehouse::Workgroup(_), _) => "redshift-serverless:GetCredentials on the workgroup's ARN".to_owned(),
                (Warehouse::Cluster(cluster), Some(user)) => format!(
                    "redshift:GetClusterCredentials on arn:aws:redshift:{region}:<account>:dbuser:{cluster}/{user} and arn:aws:redshift:{region}:<account>:dbname:{cluster}/{database}"
                ),
                (Warehouse::Cluster(cluster), None) => format!(
                    "redshift:GetClusterCredentialsWithIAM on arn:aws:redshift:{region}:<account>:dbname:{cluster}/{database}"
                ),
            }
        }

        fn failed<E>(&self, error: &SdkError<E>) -> Error
        where
            E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        {
            let status = error.raw_response().map(|response| response.status().as_u16());
            let code = error.code().unwrap_or_default().to_owned();
            let said = match (error.message(), status) {
                (Some(message), _) => format!("{code}: {message}"),
                (None, Some(status)) => format!("HTTP {status} {code}").trim_end().to_owned(),
                (None, None) => root_cause(error),
            };
            let (kind, advice) = self.judge(status, &code, &said);
            Error::new(kind, format!("{self}: {said}")).advice(advice)
        }

        /// "Common errors" of both APIs.
        fn judge(&self, status: Option<u16>, code: &str, said: &str) -> (Kind, String) {
            let again = || (Kind::TargetUnreachable, "Run the task again".to_owned());
            let mend = "Mend the AWS credentials (environment, profile or role) that this process finds first";
            match (status, code) {
                (_, "ClusterNotFound" | "ClusterNotFoundFault" | "ResourceNotFoundException") => (
                    Kind::TargetLogin,
                    "Check target.cluster or target.workgroup, and target.region, which target.host tells where they are left out".to_owned(),
                ),
                (_, "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "NotAuthorized") => {
                    (Kind::TargetLogin, format!("Grant the credentials {}; rights/ has the policy", self.policy()))
                }
                (_, "RequestExpired" | "RequestTimeTooSkewed") => {
                    (Kind::TargetLogin, "Set this machine's clock, which AWS finds wrong".to_owned())
                }
                (
                    _,
                    "InvalidClientTokenId" | "UnrecognizedClientException" | "SignatureDoesNotMatch"
                    | "InvalidSignatureException" | "ExpiredToken" | "ExpiredTokenException"
                    | "IncompleteSignature" | "MissingAuthenticationToken",
                ) => (Kind::TargetLogin, mend.to_owned()),
                (_, "Throttling" | "ThrottlingException" | "ServiceUnavailable") | (Some(429 | 500..), _) => again(),
                (Some(_), _) => (Kind::TargetLogin, "Check [target] in the configuration".to_owned()),
                (None, _) if may_be_lent_later(said) => again(),
                (None, _) if said.contains("redentials") => (
                    Kind::TargetLogin,
                    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine a role".to_owned(),
                ),
                (None, _) => match Fault::in_text(said) {
                    Fault::Other(_) => (
                        Kind::TargetUnreachable,
                        "Check target.region and the way to AWS's own endpoints (a private network needs one of its own for redshift or redshift-serverless), then run the task again".to_owned(),
                    ),
                    fault => (Kind::TargetTls, format!("AWS's endpoint {}: see what stands between here and it", fault.what())),
                },
            }
        }
    }
}
