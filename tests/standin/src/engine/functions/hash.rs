//! HASHBYTES.

use super::super::bind::function::text;
use super::super::error::Result;
use super::super::operation::Call;
use super::super::values::text as texts;
use crate::value::{SqlError, Value};

/// HASHBYTES: MD5 and `SHA2_256`.
pub fn hash_bytes(call: &Call<'_>, args: &[Value]) -> Result<Value> {
    use md5::Digest as _;
    let bytes = match &args[1] {
        Value::Bytes(bytes) => bytes.clone(),
        Value::Text(text) => texts::to_bytes(text, call.arg(1), None),
        Value::Null => return Ok(Value::Null),
        _ => return Err(SqlError::new(8116, "Argument data type is invalid for argument 2 of hashbytes function.")),
    };
    Ok(match text(args, 0, call).to_uppercase().as_str() {
        "MD5" => Value::Bytes(md5::Md5::digest(&bytes).to_vec()),
        "SHA2_256" => Value::Bytes(digest(&rustls::crypto::aws_lc_rs::default_provider(), 32, &bytes)),
        _ => Value::Null,
    })
}

/// The digest of a TLS suite whose hash has that many bytes.
fn digest(provider: &rustls::crypto::CryptoProvider, size: usize, bytes: &[u8]) -> Vec<u8> {
    let hash = provider.cipher_suites.iter().find_map(|suite| match suite {
        rustls::SupportedCipherSuite::Tls12(suite) if suite.common.hash_provider.output_len() == size => {
            Some(suite.common.hash_provider)
        }
        rustls::SupportedCipherSuite::Tls13(suite) if suite.common.hash_provider.output_len() == size => {
            Some(suite.common.hash_provider)
        }
        _ => None,
    });
    hash.map_or_else(Vec::new, |hash| hash.hash(bytes).as_ref().to_vec())
}
