//! How to log in to the target.

use secrecy::SecretString;

use super::raw;
use super::resolve::{choice, optional, password, required, wrong};
use crate::error::Result;

/// How to log in to the target.
#[derive(Debug, Clone)]
pub enum Auth {
    /// By a name and its password.
    Password(Login),
    /// By a name and a password that AWS lends; Amazon Redshift's alone.
    Iam(Iam),
}

/// A login of the target.
#[derive(Debug, Clone)]
pub struct Login {
    /// Name.
    pub user: String,
    /// Password; `None` where the server asks for none, as it may on a Unix socket.
    pub password: Option<SecretString>,
}

/// Whose login AWS is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iam {
    /// The warehouse, by its name at AWS.
    pub warehouse: Warehouse,
    /// The user of a cluster's database; `None` for the one that goes with the identity that asks.
    pub user: Option<String>,
    /// Region; `None` for the AWS chain's.
    pub region: Option<String>,
}

/// A warehouse by its name at AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warehouse {
    /// A provisioned cluster.
    Cluster(String),
    /// A workgroup of Serverless.
    Workgroup(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Password,
    Iam,
}

pub(super) fn auth(raw: &raw::Target) -> Result<Auth> {
    let ways = [("password", By::Password), ("iam", By::Iam)];
    if choice("target.auth", raw.auth.as_ref(), Some(By::Password), &ways)? == By::Iam {
        return Ok(Auth::Iam(iam(raw)?));
    }
    for (key, value) in [("cluster", &raw.cluster), ("workgroup", &raw.workgroup), ("region", &raw.region)] {
        if value.is_some() {
            return Err(wrong(format!("target.{key} is set, and target.auth is not \"iam\", which alone asks AWS"))
                .advice(format!("Set target.auth = \"iam\", or leave {key} out")));
        }
    }
    Ok(Auth::Password(Login {
        user: required("target.user", raw.user.as_ref())?,
        password: raw.password.as_ref().map(|raw| password("target.password", Some(raw))).transpose()?,
    }))
}

fn iam(raw: &raw::Target) -> Result<Iam> {
    if raw.password.is_some() {
        return Err(wrong("target.password is set, and target.auth is \"iam\", which lends one".to_owned())
            .advice("Leave password out, or set target.auth = \"password\""));
    }
    let user = optional("target.user", raw.user.as_ref())?;
    let host = required("target.host", raw.host.as_ref())?;
    let (named, region) = of_endpoint(&host).unzip();
    let cluster = optional("target.cluster", raw.cluster.as_ref())?;
    let workgroup = optional("target.workgroup", raw.workgroup.as_ref())?;
    let warehouse = match (cluster, workgroup, named) {
        (Some(_), Some(_), _) => {
            return Err(wrong("target.cluster and target.workgroup are both set".to_owned()).advice("Keep one of them"));
        }
        (Some(cluster), None, _) => Warehouse::Cluster(cluster),
        (None, Some(workgroup), _) => Warehouse::Workgroup(workgroup),
        (None, None, Some(named)) => named,
        (None, None, None) => {
            let message =
                format!("target.auth is \"iam\", and target.host '{host}' does not tell which warehouse it is");
            return Err(wrong(message).advice("Set target.cluster, or of Serverless target.workgroup"));
        }
    };
    if let (Warehouse::Workgroup(_), Some(user)) = (&warehouse, &user) {
        let message = format!("target.user is '{user}', and Serverless lends a login of its own choice");
        return Err(wrong(message).advice("Leave user out: the login is named after the IAM identity that asks"));
    }
    let region = optional("target.region", raw.region.as_ref())?.or(region);
    Ok(Iam { warehouse, user, region })
}

/// Warehouse and region of an endpoint as AWS names them: `<cluster>.<id>.<region>.redshift.amazonaws.com`,
/// `<workgroup>.<account>.<region>.redshift-serverless.amazonaws.com`, in China with `.cn` ("Finding your cluster
/// connection string", "Connecting to Amazon Redshift Serverless").
fn of_endpoint(host: &str) -> Option<(Warehouse, String)> {
    let host = host.to_ascii_lowercase();
    let own = host.strip_suffix(".cn").unwrap_or(&host).strip_suffix(".amazonaws.com")?;
    let [name, _, region, service] = own.split('.').collect::<Vec<_>>()[..] else { return None };
    let warehouse = match service {
        "redshift" => Warehouse::Cluster(name.to_owned()),
        "redshift-serverless" => Warehouse::Workgroup(name.to_owned()),
        _ => return None,
    };
    Some((warehouse, region.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Target};

    fn target(lines: &str) -> Result<Target> {
        let text = format!("[sync]\nname = \"s\"\n[target]\nengine = \"redshift\"\ndatabase = \"dev\"\n{lines}");
        Config::parse(&text)?.target()
    }

    fn iam(lines: &str) -> Iam {
        match target(&format!("auth = \"iam\"\n{lines}")).unwrap().auth {
            Auth::Iam(iam) => iam,
            Auth::Password(_) => panic!("asks for a password"),
        }
    }

    #[test]
    fn an_endpoint_tells_warehouse_and_region() {
        let cluster = iam("host = \"shop.abc123xyz789.eu-west-1.redshift.amazonaws.com\"\nuser = \"loader\"");
        assert_eq!(cluster.warehouse, Warehouse::Cluster("shop".to_owned()));
        assert_eq!((cluster.user.as_deref(), cluster.region.as_deref()), (Some("loader"), Some("eu-west-1")));
        let china = iam("host = \"shop.abc.cn-north-1.redshift.amazonaws.com.cn\"");
        assert_eq!((china.warehouse, china.region.as_deref()), (cluster.warehouse, Some("cn-north-1")));
        let serverless = iam("host = \"shop.111122223333.us-east-2.redshift-serverless.amazonaws.com\"");
        assert_eq!(serverless.warehouse, Warehouse::Workgroup("shop".to_owned()));
        assert_eq!((serverless.user, serverless.region.as_deref()), (None, Some("us-east-2")));
        let own_name = iam("host = \"warehouse.example\"\ncluster = \"shop\"\nregion = \"eu-west-1\"");
        assert_eq!(own_name.warehouse, Warehouse::Cluster("shop".to_owned()));
        let private =
            iam("host = \"vpce.111122223333.us-east-2.redshift-serverless.amazonaws.com\"\nworkgroup = \"shop\"");
        assert_eq!(private.warehouse, Warehouse::Workgroup("shop".to_owned()));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (lines, says) in [
            ("auth = \"iam\"\nhost = \"warehouse.example\"", "does not tell which warehouse"),
            ("auth = \"iam\"\nhost = \"h\"\ncluster = \"a\"\nworkgroup = \"b\"", "both set"),
            ("auth = \"iam\"\nhost = \"h\"\nworkgroup = \"b\"\nuser = \"u\"", "login of its own choice"),
            ("auth = \"iam\"\nhost = \"h\"\ncluster = \"a\"\npassword = \"p\"", "which lends one"),
            ("host = \"h\"\nuser = \"u\"\ncluster = \"a\"", "target.auth is not \"iam\""),
            ("host = \"h\"\nuser = \"u\"\nregion = \"a\"", "target.auth is not \"iam\""),
            ("host = \"h\"", "target.user is missing"),
            ("auth = \"kerberos\"\nhost = \"h\"", "expected \"password\" or \"iam\""),
        ] {
            let error = target(lines).unwrap_err().to_string();
            assert!(error.contains(says), "{lines}: {error}");
        }
        let text =
            "[sync]\nname = \"s\"\n[target]\nengine = \"postgres\"\ndatabase = \"d\"\nhost = \"h\"\nauth = \"iam\"";
        let error = Config::parse(text).unwrap().target().unwrap_err().to_string();
        assert!(error.contains("target.engine is \"postgres\""), "{error}");
    }
}
