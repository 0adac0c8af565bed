//! What SQL Server, or the way to it, failed of, as one of our kinds: the only place where that is decided.

use tiberius::error::{Error as Driver, IoErrorKind};

use super::client::Who;
use super::place::Place;
use super::prelogin::Stage;
use super::rights;
use crate::config::{Encrypt, SourceLogin};
use crate::error::{Error, Kind};
use crate::tls::{Fault, Keys};

/// What decides about TLS with the source.
const KEYS: Keys = Keys {
    host: "source.host",
    ca_file: "source.ca_file",
    unverified: "Or, where the network is trusted, set source.trust_server_certificate = true, which accepts any certificate",
    plain: UNENCRYPTED,
};

const UNENCRYPTED: &str = "Have encryption set up at the server; only where the network is trusted, set source.encrypt = \"off\", by which also the password goes in clear";

/// What connecting or logging in failed of: at which stage, of what.
pub fn of_connect(place: &Place, login: &SourceLogin, encrypt: Encrypt, stage: Stage, error: &Driver) -> Error {
    match (stage, error) {
        (Stage::Foreign, _) => Error::new(
            Kind::SourceUnreachable,
            format!("SQL Server {place} does not answer: what listens there speaks another protocol"),
        )
        .advice("Check source.host and source.port; then try again"),
        (Stage::Refused, _) => not_agreed(place, encrypt),
        (_, Driver::Server(token)) => refused(place, login, token),
        (Stage::Asked, Driver::Io { kind, .. }) if *kind != IoErrorKind::TimedOut => Error::new(
            Kind::SourceUnreachable,
            format!("SQL Server {place} does not answer: it ends the connection at the first word ({})", innermost(error)),
        )
        .advice("Check source.host and source.port, then try again; a server that forces strict encryption (TDS 8.0), which delsert does not speak, also ends it so"),
        (Stage::Answered, Driver::Io { kind, .. })
            if encrypt != Encrypt::Off && *kind != IoErrorKind::InvalidData && *kind != IoErrorKind::TimedOut =>
        {
            Error::new(
                Kind::SourceUnreachable,
                format!("SQL Server {place} ends the connection when TLS begins ({})", innermost(error)),
            )
            .advice("Try again; if it always ends so, it has no version or cipher of TLS in common with delsert, which needs TLS 1.2 with an ECDHE key exchange and AES-GCM: Windows Server 2012 R2 and older have that with an ECDSA certificate only")
        }
        (_, Driver::Tls(text)) => not_trusted(place, text),
        (_, Driver::Io { kind: IoErrorKind::InvalidData, message }) => not_trusted(place, message),
        _ => unreachable(place, &innermost(error)),
    }
}

/// A server that cannot be reached, and why.
pub fn unreachable(place: &Place, why: &str) -> Error {
    Error::new(Kind::SourceUnreachable, format!("SQL Server {place} does not answer: {why}"))
        .advice("Check source.host and source.port, that the server runs and listens on TCP, and the network between; then try again")
}

/// Server and configuration disagree about encryption.
fn not_agreed(place: &Place, encrypt: Encrypt) -> Error {
    let (what, advice) = match encrypt {
        Encrypt::Required => ("offers no encryption, and source.encrypt = \"required\"", UNENCRYPTED),
        Encrypt::Login => ("offers no encryption, not even of the login", UNENCRYPTED),
        Encrypt::Off => (
            "takes encrypted connections only, and source.encrypt = \"off\"",
            "Set source.encrypt = \"required\", and source.ca_file if its certificate is of an authority of your own",
        ),
    };
    Error::new(Kind::SourceTls, format!("TLS with SQL Server {place} failed: the server {what}")).advice(advice)
}

/// TLS itself fails.
fn not_trusted(place: &Place, text: &str) -> Error {
    let fault = Fault::in_text(text);
    let message = format!("TLS with SQL Server {place} failed: the server {}", fault.what());
    Error::new(Kind::SourceTls, message).advice(fault.advice(&KEYS))
}

/// The server itself refuses.
fn refused(place: &Place, login: &SourceLogin, token: &tiberius::error::TokenError) -> Error {
    let said = token.message();
    match (token.code(), login) {
        (18456, SourceLogin::Password { .. }) => {
            Error::new(Kind::SourceLogin, format!("SQL Server {place} refuses {login} (18456: {said})")).advice(
                "Check source.user and source.password, or those of [source.admin] if it is that login; it must exist, and SQL logins must be allowed",
            )
        }
        (18456, SourceLogin::Token(_)) => {
            Error::new(Kind::SourceLogin, format!("SQL Server {place} refuses {login} (18456: {said})")).advice(
                "Check that the token is fresh and for https://database.windows.net/, and that whom it names has a user in the database (CREATE USER ... FROM EXTERNAL PROVIDER)",
            )
        }
        (4060, _) => {
            let made = match login {
                SourceLogin::Password { user, .. } => rights::user(user),
                SourceLogin::Token(_) => "CREATE USER ... FROM EXTERNAL PROVIDER".to_owned(),
            };
            Error::new(Kind::SourceLogin, format!("SQL Server {place} does not open the database for {login} (4060: {said})"))
                .advice(format!("Check source.database, and that who logs in has a user in it: {made}"))
        }
        _ => return classify(&place.to_string(), &Who::default(), &Driver::Server(token.clone())),
    }
    .numbered(token.code())
}

fn innermost(error: &Driver) -> String {
    match error {
        Driver::Io { message, .. } => message.clone(),
        other => other.to_string(),
    }
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
pub fn classify(place: &str, who: &Who, error: &Driver) -> Error {
    let Driver::Server(token) = error else {
        let text = error.to_string();
        return match error {
            Driver::Io { .. } | Driver::Tls(_) | Driver::Protocol(_) => Error::new(
                Kind::SourceUnreachable,
                format!("the connection to SQL Server {place} broke: {}", innermost(error)),
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
        978 => Error::new(Kind::SourceUnreachable, message).advice(
            "The server is a replica that lets in only who says that it will read: name the listener, or the primary, in source.host; or, to read there, set source.read_only_replica = true",
        ),
        596 | 921 | 922 | 927 | 952 | 976 | 983 | 17142 | 17187 | 18401 | 926 | 4060 | 4221 | 40143 | 40197
        | 40540 | 40613 | 42108 | 42109 | 20 | 64 | 233 | 997 | 10053 | 10054 | 10060 | 6005 => {
            Error::new(Kind::SourceUnreachable, message).advice("Try again: the server is failing over or restarting")
        }
        229 | 230 | 262 | 297 | 300 | 916 | 15247 | 22902 | 22904 => {
            Error::new(Kind::SourceRights, message).advice(rights::refused(number, who))
        }
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
        let config = crate::config::Config::parse(
            "[sync]\nname = \"a\"\n[source]\nengine = \"sqlserver\"\nhost = \"h\"\ndatabase = \"d\"\nuser = \"u\"\npassword = \"p\"\ninclude = [\"*\"]",
        );
        let source = config.unwrap().source().unwrap();
        let place = Place::configured(&source);
        let required = Encrypt::Required;
        for (kind, message, expected) in [
            (IoErrorKind::UnexpectedEof, "tls handshake eof", Kind::SourceUnreachable),
            (IoErrorKind::ConnectionReset, "Connection reset by peer", Kind::SourceUnreachable),
            (IoErrorKind::TimedOut, "no answer within 15 s", Kind::SourceUnreachable),
            (IoErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer", Kind::SourceTls),
        ] {
            let error = Driver::Io { kind, message: message.to_owned() };
            let classified = of_connect(&place, &source.login, required, Stage::Answered, &error);
            assert_eq!(classified.kind(), expected, "{message}");
        }
    }
}
