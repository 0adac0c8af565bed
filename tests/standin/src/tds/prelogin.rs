//! Prelogin: version and encryption are agreed on before anybody logs in.

use super::server::Encryption;

const VERSION: u8 = 0x00;
const ENCRYPTION: u8 = 0x01;
const INSTANCE: u8 = 0x02;
const THREAD: u8 = 0x03;
const MARS: u8 = 0x04;
const FEDERATED: u8 = 0x06;
const END: u8 = 0xFF;

const OFF: u8 = 0x00;
const ON: u8 = 0x01;
const NOT_SUPPORTED: u8 = 0x02;
const REQUIRED: u8 = 0x03;

/// SQL Server 2022's version: 16.0.4135.
pub const SERVER_VERSION: [u8; 4] = [16, 0, 0x10, 0x27];

/// How far TLS reaches on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Nothing is encrypted.
    None,
    /// Only the login message.
    Login,
    /// Everything.
    All,
    /// Client and server cannot agree; the connection ends after the answer.
    Refused,
}

/// What server and client agreed on.
#[derive(Debug)]
pub struct Agreed {
    /// How far TLS reaches.
    pub reach: Reach,
    /// Whether the client announced a token, and was told that they are taken.
    pub federated: bool,
}

/// Reads a client's prelogin and gives the answer with what was agreed; `tokens` are taken or unheard of.
///
/// # Errors
/// A message that is no prelogin.
pub fn answer(body: &[u8], encryption: Encryption, tokens: bool) -> Result<(Vec<u8>, Agreed), &'static str> {
    let asked = option(body, ENCRYPTION)?.and_then(|data| data.first().copied()).unwrap_or(NOT_SUPPORTED) & 0x0F;
    let (given, reach) = match (encryption, asked) {
        (Encryption::NotSupported, REQUIRED | ON) => (NOT_SUPPORTED, Reach::Refused),
        (Encryption::NotSupported, _) | (Encryption::Supported, NOT_SUPPORTED) => (NOT_SUPPORTED, Reach::None),
        (Encryption::Required, NOT_SUPPORTED) => (REQUIRED, Reach::Refused),
        (Encryption::Required, OFF) => (REQUIRED, Reach::All),
        (Encryption::Supported, OFF) => (OFF, Reach::Login),
        (_, ON | REQUIRED) => (ON, Reach::All),
        _ => return Err("unknown encryption option"),
    };
    let mut version = SERVER_VERSION.to_vec();
    version.extend_from_slice(&[0, 0]);
    let given = [given];
    let federated = match option(body, FEDERATED)? {
        None | Some([0]) => false,
        Some([1]) => tokens,
        Some(_) => return Err("FEDAUTHREQUIRED is neither 0 nor 1"),
    };
    let mut options: Vec<(u8, &[u8])> =
        vec![(VERSION, &version), (ENCRYPTION, &given), (INSTANCE, &[0]), (THREAD, &[]), (MARS, &[0])];
    if federated {
        options.push((FEDERATED, &[1]));
    }
    Ok((encode(&options), Agreed { reach, federated }))
}

fn encode(options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut data = Vec::new();
    let table = options.len() * 5 + 1;
    for (token, value) in options {
        out.push(*token);
        out.extend_from_slice(&u16::try_from(table + data.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        data.extend_from_slice(value);
    }
    out.push(END);
    out.extend(data);
    out
}

fn option(body: &[u8], wanted: u8) -> Result<Option<&[u8]>, &'static str> {
    for entry in body.chunks(5) {
        if entry[0] == END {
            return Ok(None);
        }
        let [token, offset_high, offset_low, length_high, length_low] = *entry else {
            return Err("truncated prelogin");
        };
        if token == wanted {
            let start = usize::from(u16::from_be_bytes([offset_high, offset_low]));
            let length = usize::from(u16::from_be_bytes([length_high, length_low]));
            return body.get(start..start + length).map(Some).ok_or("prelogin option out of bounds");
        }
    }
    Err("prelogin without an end")
}
