//! `[source]`: the database read, and how to log in to it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::resolve::{choice, duration, list, optional, password, port, required, scalar, wrong};
use super::{OnRowFilter, raw};
use crate::error::Result;
use crate::table::Pattern;

/// `[source]`.
#[derive(Debug, Clone)]
pub struct Source {
    /// Host name or address.
    pub host: String,
    /// TCP port; of a named instance the UDP port of the SQL Browser, which tells the instance's.
    pub port: u16,
    /// Named instance.
    pub instance: Option<String>,
    /// Database.
    pub database: String,
    /// Login.
    pub login: SourceLogin,
    /// A second login for enabling and purging.
    pub admin: Option<SourceLogin>,
    /// Encryption.
    pub encrypt: Encrypt,
    /// Accept any certificate.
    pub trust_server_certificate: bool,
    /// File of certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Ask for a readable secondary.
    pub read_only_replica: bool,
    /// Bound on connecting and logging in.
    pub connect_timeout: Duration,
    /// Bound on the server's silence within a statement.
    pub statement_timeout: Duration,
    /// How often one piece of work is tried again within a task.
    pub retries: u32,
    /// The first wait before trying again after a failover.
    pub retry_wait: Duration,
    /// How long the source keeps history, where it cannot be read from the source.
    pub retention: Option<Duration>,
    /// Tables to sync, as patterns.
    pub include: Vec<String>,
    /// Tables to leave out, as patterns.
    pub exclude: Vec<String>,
    /// Whether `check` may enable change data capture.
    pub enable_cdc: bool,
    /// What a table does of which row-level security may hide rows, as `[sync]` says it.
    pub on_row_filter: OnRowFilter,
}

/// A way to log in to the source.
#[derive(Debug, Clone)]
pub enum SourceLogin {
    /// As a login of the server's own.
    Password {
        /// Name.
        user: String,
        /// Password.
        password: SecretString,
    },
    /// By a Microsoft Entra token.
    Token(Token),
}

/// Where a token comes from, each time anew: it is valid for an hour or so.
#[derive(Debug, Clone)]
pub enum Token {
    /// A file that holds it.
    File(PathBuf),
    /// A program that prints it, and its arguments, which may hold a secret.
    Command(String, Vec<SecretString>),
}

impl fmt::Display for SourceLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "the login '{user}'"),
            Self::Token(Token::File(file)) => write!(f, "the token in '{}'", file.display()),
            Self::Token(Token::Command(program, _)) => write!(f, "the token that '{program}' prints"),
        }
    }
}

/// How the connection to the source is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encrypt {
    /// All of it, or no connection.
    Required,
    /// The login only.
    Login,
    /// Nothing.
    Off,
}

pub fn patterns(raw: &raw::Source) -> Result<(Vec<String>, Vec<String>)> {
    let include = list("source.include", raw.include.as_ref())?;
    if include.is_empty() {
        return Err(wrong("source.include is missing or empty".to_owned())
            .advice("Name the tables to sync, such as include = [\"Sales.*\"], or [\"*\"] for all"));
    }
    let exclude = list("source.exclude", raw.exclude.as_ref())?;
    for (key, text) in include.iter().map(|text| ("include", text)).chain(exclude.iter().map(|text| ("exclude", text)))
    {
        if let Err(error) = text.parse::<Pattern>() {
            return Err(wrong(format!("source.{key}: {error}"))
                .advice("Within brackets every character stands for itself: dbo.[a*b] is the table a*b"));
        }
    }
    Ok((include, exclude))
}

pub fn source(raw: &raw::Source, on_row_filter: OnRowFilter) -> Result<Source> {
    choice("source.engine", raw.engine.as_ref(), None, &[("sqlserver", ())])?;
    let (include, exclude) = patterns(raw)?;
    let encrypts = [("required", Encrypt::Required), ("login", Encrypt::Login), ("off", Encrypt::Off)];
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let retries = scalar("source.retries", raw.retries.as_ref(), 4)?;
    if retries > 20 {
        return Err(wrong(format!("source.retries = {retries}: expected 0 to 20")));
    }
    let encrypt = choice("source.encrypt", raw.encrypt.as_ref(), Some(Encrypt::Required), &encrypts)?;
    let trusting = scalar("source.trust_server_certificate", raw.trust_server_certificate.as_ref(), false)?;
    let ca_file = optional("source.ca_file", raw.ca_file.as_ref())?.map(PathBuf::from);
    if ca_file.is_some() && (trusting || encrypt == Encrypt::Off) {
        let other = if trusting { "trust_server_certificate = true" } else { "encrypt = \"off\"" };
        return Err(wrong(format!("source.ca_file is set, and source.{other} verifies no certificate"))
            .advice("Keep one of them: ca_file verifies the server"));
    }
    let keys = (raw.user.as_ref(), raw.password.as_ref(), raw.token_file.as_ref(), raw.token_command.as_ref());
    let own = login("source", keys, encrypt)?;
    let admin = match &raw.admin {
        None => None,
        Some(raw) => {
            let keys = (raw.user.as_ref(), raw.password.as_ref(), raw.token_file.as_ref(), raw.token_command.as_ref());
            Some(login("source.admin", keys, encrypt)?)
        }
    };
    let instance = instance(optional("source.instance", raw.instance.as_ref())?)?;
    // The SQL Browser's port, where it is asked.
    let usual_port = if instance.is_some() { 1434 } else { 1433 };
    Ok(Source {
        host: host(raw)?,
        port: port("source.port", raw.port.as_ref(), usual_port)?,
        instance,
        database: required("source.database", raw.database.as_ref())?,
        login: own,
        admin,
        encrypt,
        trust_server_certificate: trusting,
        ca_file,
        read_only_replica: scalar("source.read_only_replica", raw.read_only_replica.as_ref(), false)?,
        connect_timeout: duration("source.connect_timeout", raw.connect_timeout.as_ref(), seconds(15))?
            .unwrap_or_default(),
        statement_timeout: duration("source.statement_timeout", raw.statement_timeout.as_ref(), seconds(600))?
            .unwrap_or_default(),
        retries: u32::try_from(retries).unwrap_or_default(),
        retry_wait: duration("source.retry_wait", raw.retry_wait.as_ref(), seconds(5))?.unwrap_or_default(),
        retention: duration("source.retention", raw.retention.as_ref(), None)?,
        include,
        exclude,
        enable_cdc: scalar("source.enable_cdc", raw.enable_cdc.as_ref(), true)?,
        on_row_filter,
    })
}

fn host(raw: &raw::Source) -> Result<String> {
    let host = required("source.host", raw.host.as_ref())?;
    if host.contains(['\\', ',']) {
        return Err(wrong(format!("source.host = '{host}': expected a host's name or address alone"))
            .advice("Name the instance by source.instance, the port by source.port"));
    }
    Ok(host)
}

/// As long as a question to the SQL Browser may hold.
fn instance(name: Option<String>) -> Result<Option<String>> {
    match name {
        Some(name) if name.is_empty() || name.len() > 32 || name.contains(|c: char| c.is_control() || c == ';') => {
            Err(wrong(format!("source.instance = '{name}': expected the name of an instance, 1 to 32 bytes"))
                .advice("The default instance has no name: leave source.instance out, and give its port"))
        }
        name => Ok(name),
    }
}

/// User, password, token file and token command.
type LoginKeys<'a> = (Option<&'a String>, Option<&'a raw::Password>, Option<&'a String>, Option<&'a raw::Command>);

/// The one way to log in that a section names.
fn login(section: &str, keys: LoginKeys<'_>, encrypt: Encrypt) -> Result<SourceLogin> {
    let (user, secret, file, command) = keys;
    let key = |name: &str| format!("{section}.{name}");
    let named = [
        ("user", user.is_some()),
        ("password", secret.is_some()),
        ("token_file", file.is_some()),
        ("token_command", command.is_some()),
    ];
    let named: Vec<_> = named.into_iter().filter(|(_, named)| *named).map(|(name, _)| key(name)).collect();
    let token = match (user.is_some() || secret.is_some(), file, command) {
        (true, None, None) => {
            return Ok(SourceLogin::Password {
                user: required(&key("user"), user)?,
                password: password(&key("password"), secret)?,
            });
        }
        (false, Some(_), None) => Token::File(required(&key("token_file"), file)?.into()),
        (false, None, Some(command)) => {
            let mut words = list(&key("token_command"), Some(&command.0))?.into_iter();
            let program = words.next().filter(|program| !program.is_empty()).ok_or_else(|| {
                wrong(format!("{section}.token_command is empty"))
                    .advice("Name a program and its arguments, such as [\"az\", \"account\", \"get-access-token\"]")
            })?;
            Token::Command(program, words.map(SecretString::from).collect())
        }
        (false, None, None) => {
            return Err(wrong(format!("{section}.user is missing")).advice(format!(
                "Set {section}.user and {section}.password; or {section}.token_file, or {section}.token_command, for a Microsoft Entra token"
            )));
        }
        _ => {
            return Err(wrong(format!("{} are set: two ways to log in", named.join(" and ")))
                .advice("Keep one: user and password, or token_file, or token_command"));
        }
    };
    if encrypt != Encrypt::Required {
        return Err(wrong(format!("{} is set, and source.encrypt is not \"required\"", named.join("")))
            .advice("Set source.encrypt = \"required\": whoever sees a token can log in with it"));
    }
    Ok(SourceLogin::Token(token))
}
