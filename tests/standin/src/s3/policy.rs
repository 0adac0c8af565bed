//! IAM policies, as far as S3 stores need them: what is not known here is refused when the policy is read, so that no
//! typing error passes for a right.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Actions that this server's operations need, and whether they concern objects.
const ACTIONS: [(&str, bool); 11] = [
    ("s3:ListAllMyBuckets", false),
    ("s3:CreateBucket", false),
    ("s3:DeleteBucket", false),
    ("s3:GetBucketLocation", false),
    ("s3:ListBucket", false),
    ("s3:ListBucketMultipartUploads", false),
    ("s3:GetObject", true),
    ("s3:PutObject", true),
    ("s3:DeleteObject", true),
    ("s3:AbortMultipartUpload", true),
    ("s3:ListMultipartUploadParts", true),
];

/// What all resources of S3 begin with.
const ARN: &str = "arn:aws:s3:::";

/// The keys that conditions may ask for, all of them of `s3:ListBucket` only.
const KEYS: [&str; 2] = ["s3:prefix", "s3:delimiter"];

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    allows: bool,
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    key: String,
    patterns: bool,
    if_exists: bool,
    values: Vec<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Action, such as `s3:GetObject`.
    pub action: &'a str,
    /// Bucket.
    pub bucket: &'a str,
    /// Key of the object, for actions on objects.
    pub key: Option<&'a str>,
    /// `prefix` of a listing, if the request has one.
    pub prefix: Option<&'a str>,
    /// `delimiter` of a listing, if the request has one.
    pub delimiter: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct RawPolicy {
    version: String,
    statement: Vec<RawStatement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct RawStatement {
    #[serde(default)]
    sid: String,
    effect: String,
    action: OneOrMore,
    resource: OneOrMore,
    #[serde(default)]
    condition: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn list(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::More(list) => list,
        }
    }
}

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// It is none, or holds what this server does not know.
    pub fn parse(json: &str) -> anyhow::Result<Self> {
        let raw: RawPolicy = serde_json::from_str(json)?;
        anyhow::ensure!(raw.version == "2012-10-17", "Version is {}, not 2012-10-17", raw.version);
        anyhow::ensure!(!raw.statement.is_empty(), "no Statement");
        let statements = raw.statement.into_iter().map(statement).collect::<anyhow::Result<_>>()?;
        Ok(Self { statements })
    }

    /// Whether a request is allowed: by some statement, and denied by none.
    pub fn allows(&self, asked: &Asked<'_>) -> bool {
        let matching = || self.statements.iter().filter(|statement| statement.matches(asked));
        matching().any(|statement| statement.allows) && matching().all(|statement| statement.allows)
    }
}

fn statement(raw: RawStatement) -> anyhow::Result<Statement> {
    anyhow::ensure!(raw.sid.chars().all(|c| c.is_ascii_alphanumeric()), "Sid '{}': letters and digits only", raw.sid);
    let allows = match raw.effect.as_str() {
        "Allow" => true,
        "Deny" => false,
        other => anyhow::bail!("Effect '{other}'"),
    };
    let (actions, resources) = (raw.action.list(), raw.resource.list());
    anyhow::ensure!(!actions.is_empty() && !resources.is_empty(), "a statement without Action or Resource");
    for resource in &resources {
        anyhow::ensure!(resource.starts_with(ARN), "Resource '{resource}' does not begin with {ARN}");
    }
    for action in &actions {
        let known: Vec<_> =
            ACTIONS.iter().filter(|(name, _)| matches(&action.to_lowercase(), &name.to_lowercase())).collect();
        anyhow::ensure!(!known.is_empty(), "Action '{action}' is not known");
        for (name, of_objects) in known {
            let fits = resources.iter().any(|resource| resource.contains('/') == *of_objects);
            anyhow::ensure!(fits, "no Resource of the statement is one of {name}");
            anyhow::ensure!(
                raw.condition.is_empty() || *name == "s3:ListBucket",
                "{name} has no key that a condition may ask for"
            );
        }
    }
    let conditions = raw.condition.into_iter().map(conditions).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Statement { allows, actions, resources, conditions: conditions.into_iter().flatten().collect() })
}

fn conditions((operator, tests): (String, Value)) -> anyhow::Result<Vec<Condition>> {
    let (name, if_exists) = operator.strip_suffix("IfExists").map_or((operator.as_str(), false), |name| (name, true));
    let patterns = match name {
        "StringLike" => true,
        "StringEquals" => false,
        other => anyhow::bail!("condition operator '{other}' is not known"),
    };
    let tests: Map<String, Value> = serde_json::from_value(tests)?;
    let condition = |(key, values): (String, Value)| {
        anyhow::ensure!(KEYS.contains(&key.as_str()), "condition key '{key}' is not known");
        let values = serde_json::from_value::<OneOrMore>(values)?.list();
        Ok(Condition { key, patterns, if_exists, values })
    };
    tests.into_iter().map(condition).collect()
}

impl Statement {
    fn matches(&self, asked: &Asked<'_>) -> bool {
        let resource = match asked.key {
            Some(key) => format!("{ARN}{}/{key}", asked.bucket),
            None => format!("{ARN}{}", asked.bucket),
        };
        let action = asked.action.to_lowercase();
        self.actions.iter().any(|known| matches(&known.to_lowercase(), &action))
            && self.resources.iter().any(|known| matches(known, &resource))
            && self.conditions.iter().all(|condition| condition.holds(asked))
    }
}

impl Condition {
    fn holds(&self, asked: &Asked<'_>) -> bool {
        let value = if self.key == "s3:prefix" { asked.prefix } else { asked.delimiter };
        let Some(value) = value else { return self.if_exists };
        self.values.iter().any(|known| if self.patterns { matches(known, value) } else { known == value })
    }
}

/// Whether a text fits a pattern of `*` and `?`.
fn matches(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    if first == '*' {
        return text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| matches(rest, &text[at..]));
    }
    let Some(own) = text.chars().next() else { return false };
    (first == '?' || first == own) && matches(rest, &text[own.len_utf8()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statements: &str) -> anyhow::Result<Policy> {
        Policy::parse(&format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#))
    }

    fn list(prefix: Option<&str>) -> Asked<'_> {
        Asked { action: "s3:ListBucket", bucket: "b", key: None, prefix, delimiter: None }
    }

    fn get(key: &str) -> Asked<'_> {
        Asked { action: "s3:GetObject", bucket: "b", key: Some(key), prefix: None, delimiter: None }
    }

    #[test]
    fn what_is_not_allowed_is_denied_and_a_deny_wins() {
        let policy = policy(
            r#"{"Sid": "Read", "Effect": "Allow", "Action": "s3:Get*", "Resource": ["arn:aws:s3:::b/p/*.csv*", "arn:aws:s3:::b"]},
               {"Effect": "Deny", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::b/p/x/?.csv"}"#,
        )
        .unwrap();
        assert!(policy.allows(&get("p/a/1.csv.zst")) && policy.allows(&get("p/x/12.csv")));
        for denied in ["p/a/1.json", "q/1.csv", "p/x/1.csv"] {
            assert!(!policy.allows(&get(denied)), "{denied}");
        }
        assert!(!policy.allows(&Asked { bucket: "bb", ..get("p/a/1.csv") }));
        assert!(!policy.allows(&Asked { action: "s3:PutObject", ..get("p/a/1.csv") }));
    }

    #[test]
    fn a_condition_on_what_the_request_lacks_does_not_hold_unless_it_says_so() {
        let with = |operator: &str| {
            let condition = format!(r#""Condition": {{"{operator}": {{"s3:prefix": ["p/*", ""]}}}}"#);
            policy(&format!(
                r#"{{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b", {condition}}}"#
            ))
            .unwrap()
        };
        let like = with("StringLike");
        assert!(like.allows(&list(Some("p/"))) && like.allows(&list(Some("p/q/"))) && like.allows(&list(Some(""))));
        assert!(!like.allows(&list(Some("q/"))) && !like.allows(&list(None)));
        assert!(with("StringLikeIfExists").allows(&list(None)));
        assert!(!with("StringEquals").allows(&list(Some("p/"))));
    }

    #[test]
    fn what_would_grant_nothing_is_refused() {
        for wrong in [
            r#"{"Effect": "Allow", "Action": "s3:GetObjects", "Resource": "arn:aws:s3:::b/*"}"#,
            r#"{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b"}"#,
            r#"{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b/*"}"#,
            r#"{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "b/*"}"#,
            r#"{"Effect": "Allows", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}"#,
            r#"{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", "Condition": {"StringLike": {"s3:prefix": "p/*"}}}"#,
            r#"{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b", "Condition": {"StringLikes": {"s3:prefix": "p/*"}}}"#,
            r#"{"Sid": "a b", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}"#,
            r#"{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", "About": "x"}"#,
        ] {
            policy(wrong).unwrap_err();
        }
        Policy::parse(r#"{"Version": "2008-10-17", "Statement": []}"#).unwrap_err();
    }
}
