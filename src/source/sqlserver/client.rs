//! The connection: TCP, TLS, login, statements, and every failure told apart once.

use futures_util::TryStreamExt;
use secrecy::ExposeSecret;
use tiberius::{
    AuthMethod, Client as Driver, ColumnData, EncryptionLevel, Query, QueryItem, QueryStream, Row, error::IoErrorKind,
};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use crate::config::{Encrypt, Login, Source};
use crate::error::{Error, Kind, Result};

/// A logged-in connection.
pub struct Client {
    driver: Driver<Compat<TcpStream>>,
    place: String,
}

/// A statement's parameter; SQL casts it to the type it stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    /// bigint.
    Integer(i64),
    /// nvarchar.
    Text(String),
    /// varbinary.
    Bytes(Vec<u8>),
}

impl Client {
    /// Connects and logs in, following a server's routing once.
    pub async fn connect(config: &Source, login: &Login) -> Result<Self> {
        let place = format!("{}:{}/{}", config.host, config.port, config.database);
        let deadline = config.connect_timeout;
        let connecting = async {
            match Self::open(config, login, &config.host, config.port).await {
                Err(tiberius::error::Error::Routing { host, port }) => Self::open(config, login, &host, port).await,
                other => other,
            }
        };
        let opened = tokio::time::timeout(deadline, connecting).await;
        let opened = opened.unwrap_or_else(|_| {
            Err(tiberius::error::Error::Io {
                kind: IoErrorKind::TimedOut,
                message: format!("no answer within {} s", deadline.as_secs_f32()),
            })
        });
        match opened {
            Ok(driver) => Ok(Self { driver, place }),
            Err(error) => Err(classify_connect(&place, &login.user, &error)),
        }
    }

    async fn open(
        config: &Source,
        login: &Login,
        host: &str,
        port: u16,
    ) -> tiberius::Result<Driver<Compat<TcpStream>>> {
        let mut settings = tiberius::Config::new();
        settings.host(host);
        settings.port(port);
        settings.database(&config.database);
        settings.application_name("delsert");
        settings.authentication(AuthMethod::sql_server(&login.user, login.password.expose_secret()));
        settings.readonly(config.read_only_replica);
        settings.handshake_timeout(Some(config.connect_timeout));
        settings.command_timeout(Some(config.statement_timeout));
        settings.packet_size(16384);
        settings.encryption(match config.encrypt {
            Encrypt::Required => EncryptionLevel::Required,
            Encrypt::Login => EncryptionLevel::Off,
            Encrypt::Off => EncryptionLevel::NotSupported,
        });
        if config.trust_server_certificate {
            settings.trust_cert();
        } else if let Some(file) = &config.ca_file {
            let bundle = std::fs::read(file).map_err(|error| {
                tiberius::error::Error::Tls(format!("cannot read source.ca_file '{}': {error}", file.display()))
            })?;
            settings.trust_cert_ca_bundle(bundle);
        }
        let tcp = TcpStream::connect((host, port)).await?;
        tcp.set_nodelay(true)?;
        Box::pin(Driver::connect(settings, tcp.compat_write())).await
    }

    /// Runs a batch as it is, and gives the rows of its last result set.
    pub async fn batch(&mut self, sql: &str) -> Result<Vec<Row>> {
        let results = async { self.driver.simple_query(sql).await?.into_results().await };
        let mut results = results.await.map_err(|error| classify(&self.place, &error))?;
        Ok(results.pop().unwrap_or_default())
    }

    /// Runs a statement with parameters `@P1`, `@P2` …, and gives its rows.
    pub async fn query(&mut self, sql: &str, parameters: Vec<Parameter>) -> Result<Vec<Row>> {
        let query = bind(sql, parameters);
        let rows = async { query.query(&mut self.driver).await?.into_first_result().await };
        rows.await.map_err(|error| classify(&self.place, &error))
    }

    /// Runs a statement whose rows are read as they come.
    pub async fn stream(&mut self, sql: &str, parameters: Vec<Parameter>) -> Result<Rows<'_>> {
        let stream =
            bind(sql, parameters).query(&mut self.driver).await.map_err(|error| classify(&self.place, &error))?;
        Ok(Rows { stream, place: &self.place })
    }
}

/// A result being read.
pub struct Rows<'a> {
    stream: QueryStream<'a>,
    place: &'a str,
}

impl Rows<'_> {
    /// The next row; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Row>> {
        while let Some(item) = self.stream.try_next().await.map_err(|error| classify(self.place, &error))? {
            if let QueryItem::Row(row) = item {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

fn bind(sql: &str, parameters: Vec<Parameter>) -> Query<'_> {
    let mut query = Query::new(sql);
    for parameter in parameters {
        match parameter {
            Parameter::Integer(value) => query.bind(value),
            Parameter::Text(value) => query.bind(value),
            Parameter::Bytes(value) => query.bind(value),
        }
    }
    query
}

/// A text cell of a catalogue row; empty for NULL.
pub fn text(row: &Row, at: usize) -> String {
    match row.get_column_data(at) {
        Ok(ColumnData::String(Some(text))) => text.to_string(),
        _ => String::new(),
    }
}

/// An integer or bit cell of a catalogue row; 0 for NULL.
pub fn integer(row: &Row, at: usize) -> i64 {
    match row.get_column_data(at) {
        Ok(ColumnData::U8(Some(value))) => i64::from(*value),
        Ok(ColumnData::I16(Some(value))) => i64::from(*value),
        Ok(ColumnData::I32(Some(value))) => i64::from(*value),
        Ok(ColumnData::I64(Some(value))) => *value,
        Ok(ColumnData::Bit(Some(value))) => i64::from(*value),
        _ => 0,
    }
}

/// A binary cell of a catalogue row; `None` for NULL.
pub fn bytes(row: &Row, at: usize) -> Option<&[u8]> {
    match row.get_column_data(at) {
        Ok(ColumnData::Binary(Some(bytes))) => Some(bytes),
        _ => None,
    }
}

/// What connecting or logging in failed of.
fn classify_connect(place: &str, user: &str, error: &tiberius::error::Error) -> Error {
    use tiberius::error::Error as Driver;
    let text = error.to_string();
    match error {
        Driver::Server(token) if token.code() == 18456 => Error::new(
            Kind::SourceLogin,
            format!("SQL Server {place} refuses the login '{user}' (18456: {})", token.message()),
        )
        .numbered(18456)
        .advice("Check source.user and source.password, or those of [source.admin] if it is that login; it must exist, and SQL logins must be allowed"),
        Driver::Server(token) if token.code() == 4060 => Error::new(
            Kind::SourceLogin,
            format!("SQL Server {place} does not open the database for login '{user}' (4060: {})", token.message()),
        )
        .numbered(4060)
        .advice("Check source.database, and that the login has a user in it"),
        Driver::Server(_) => classify(place, error),
        // Cut off in the handshake: what TLS itself finds wrong comes as invalid data.
        Driver::Io { kind, .. } if *kind != IoErrorKind::InvalidData => unreachable(place, &text).advice(
            "Check source.host and source.port and the network between, then try again; if it always ends so, the server may offer no TLS 1.2, or none at all: see source.encrypt",
        ),
        _ if text.contains("ncrypt") || matches!(error, Driver::Tls(_)) || is_tls_text(&text) => {
            Error::new(Kind::SourceTls, format!("TLS with SQL Server {place} failed: {}", innermost(&text))).advice(
                "Give the authority's certificate by source.ca_file; or, knowing the risk, set source.trust_server_certificate = true; source.encrypt = \"off\" only where the network is trusted",
            )
        }
        _ => unreachable(place, &text),
    }
}

fn unreachable(place: &str, text: &str) -> Error {
    Error::new(Kind::SourceUnreachable, format!("SQL Server {place} does not answer: {}", innermost(text)))
        .advice("Check source.host and source.port, that the server runs and listens on TCP, and the network between; then try again")
}

fn is_tls_text(text: &str) -> bool {
    ["certificate", "UnknownIssuer", "TLS", "tls", "NotValidForName"].iter().any(|word| text.contains(word))
}

fn innermost(text: &str) -> &str {
    text.trim_start_matches("An error occurred during the attempt of performing I/O: ")
        .trim_start_matches("Error forming TLS connection: ")
}

/// The number of what went wrong. The procedures that enable and disable pass it on in messages of their own, one within
/// the other, `… The error returned was 1205: '…'. …`, in the server's language.
fn cause(number: u32, message: &str) -> u32 {
    let mut cause = (number, message);
    while let (22830..=22837, text) = cause {
        let inner = text.match_indices(": '").find_map(|(at, mark)| {
            let digits = text[..at].rsplit(|c: char| !c.is_ascii_digit()).next()?;
            Some((digits.parse().ok()?, &text[at + mark.len()..]))
        });
        let Some(inner) = inner else { break };
        cause = inner;
    }
    cause.0
}

/// What a statement failed of. Numbers: reference "Errors worth retrying" of Microsoft's retry defaults, and sys.messages.
pub fn classify(place: &str, error: &tiberius::error::Error) -> Error {
    use tiberius::error::Error as Driver;
    let Driver::Server(token) = error else {
        let text = error.to_string();
        return match error {
            Driver::Io { .. } | Driver::Tls(_) | Driver::Protocol(_) => Error::new(
                Kind::SourceUnreachable,
                format!("the connection to SQL Server {place} broke: {}", innermost(&text)),
            )
            .advice("Try again"),
            _ => Error::new(Kind::Value, format!("SQL Server {place} sent what cannot be read: {text}"))
                .advice("Leave the column out with exclude_columns"),
        };
    };
    let message = format!("SQL Server {place} says {}: {}", token.code(), token.message());
    let number = cause(token.code(), token.message());
    let error = match number {
        701
        | 802
        | 8628
        | 8645
        | 8651
        | 10936
        | 1204
        | 1205
        | 1222
        | 3958
        | 3960
        | 3961
        | 3966
        | 3967
        | 615
        | 3971
        | 14258
        | 22840
        | 22851..=22853
        | 22920
        | 22954
        | 22955
        | 22956
        | 10928
        | 10929
        | 40501
        | 49918..=49920 => Error::new(Kind::SourceBusy, message).advice("Try again"),
        596 | 921 | 922 | 927 | 952 | 976 | 978 | 983 | 17142 | 17187 | 18401 | 926 | 4060 | 4221 | 40143 | 40197
        | 40540 | 40613 | 42108 | 42109 | 20 | 64 | 233 | 997 | 10053 | 10054 | 10060 | 6005 => {
            Error::new(Kind::SourceUnreachable, message).advice("Try again: the server is failing over or restarting")
        }
        229 | 230 | 262 | 297 | 300 | 916 | 15247 | 22902 | 22904 => Error::new(Kind::SourceRights, message)
            .advice("Grant the login SELECT on the tables and on schema cdc (enabling and purging need db_owner)"),
        18456 => Error::new(Kind::SourceLogin, message).advice("Check source.user and source.password"),
        40615 => Error::new(Kind::SourceLogin, message)
            .advice("Let this machine's address through the server's firewall, in the portal or by sp_set_firewall_rule"),
        22901 | 22910 => Error::new(Kind::CaptureOff, message)
            .advice("Change data capture went off: run 'delsert check', which enables it if source.enable_cdc is true"),
        3952 => Error::new(Kind::SourceRefused, message)
            .advice("SNAPSHOT isolation was just turned off: run the task again, which reads committed rows; or ALTER DATABASE ... SET ALLOW_SNAPSHOT_ISOLATION ON"),
        208 => Error::new(Kind::SourceRefused, message)
            .advice("It was dropped while the task ran, or the login may not see it: run 'delsert check'"),
        _ => Error::new(Kind::SourceRefused, message).advice("Run 'delsert check', which names what is missing"),
    };
    error.numbered(number)
}

/// The number of the server's message that an error stems from.
pub fn number(error: &Error) -> Option<u32> {
    error.number()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_procedure_passes_on_is_what_went_wrong() {
        let deadlock = "Could not update the metadata that indicates database shop is enabled for Change Data Capture. The failure occurred when executing the command 'sp_addrolemember 'db_owner', 'cdc''. The error returned was 1205: 'Transaction (Process ID 51) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction.'. Use the action and error to determine the cause of the failure and resubmit the request.";
        let job = "Could not update the metadata that indicates table [dbo].[Things] is enabled for Change Data Capture. The failure occurred when executing the command '[sys].[sp_cdc_add_job] @job_type = N'capture''. The error returned was 22836: 'Could not update the metadata for database shop to indicate that a Change Data Capture job has been added. The failure occurred when executing the command 'sp_add_jobstep_internal'. The error returned was 14234: 'The specified '@server' is invalid (valid values are returned by sp_helpserver).'. Use the action and error to determine the cause of the failure and resubmit the request.'. Use the action and error to determine the cause of the failure and resubmit the request.";
        for (number, message, expected) in [
            (22830, deadlock, 1205),
            (22832, job, 14234),
            (22832, "no number in it: 'x'", 22832),
            (50000, deadlock, 50000),
        ] {
            assert_eq!(cause(number, message), expected, "{message}");
        }
    }

    #[test]
    fn a_connection_cut_in_the_handshake_is_no_fault_of_tls() {
        for (kind, message, expected) in [
            (IoErrorKind::UnexpectedEof, "tls handshake eof", Kind::SourceUnreachable),
            (IoErrorKind::ConnectionReset, "Connection reset by peer", Kind::SourceUnreachable),
            (IoErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer", Kind::SourceTls),
        ] {
            let error = tiberius::error::Error::Io { kind, message: message.to_owned() };
            assert_eq!(classify_connect("host:1433/shop", "user", &error).kind(), expected, "{message}");
        }
    }
}
