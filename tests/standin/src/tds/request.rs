//! Requests other than RPC: SQL batches and transaction manager requests.

use bytes::Buf;

use super::metadata::{Malformed, take, take_b_text};
use crate::session::TransactionRequest;

/// Takes `ALL_HEADERS` off the front. Their content (transaction, notification, trace) is of no use here: a session has
/// one transaction and one request at a time.
///
/// # Errors
/// Headers longer than the message.
pub fn take_headers(input: &mut &[u8]) -> Result<(), Malformed> {
    let total = (&mut &**input).try_get_u32_le().map_err(|_| "truncated headers")? as usize;
    if total < 4 {
        return Err("malformed headers");
    }
    take(input, total).map(|_| ())
}

/// The text of a SQL batch.
///
/// # Errors
/// Malformed headers.
pub fn batch(mut body: &[u8]) -> Result<String, Malformed> {
    take_headers(&mut body)?;
    Ok(encoding_rs::UTF_16LE.decode_without_bom_handling(body).0.into_owned())
}

/// A transaction manager request.
///
/// # Errors
/// Truncated bytes, or a request for distributed transactions.
pub fn transaction(mut body: &[u8]) -> Result<TransactionRequest, Malformed> {
    take_headers(&mut body)?;
    let kind = take(&mut body, 2)?.get_u16_le();
    match kind {
        5 => Ok(TransactionRequest::Begin(take(&mut body, 1)?[0])),
        7 | 8 => {
            take_b_text(&mut body)?;
            let begins = body.first().is_some_and(|flags| flags & 1 != 0);
            Ok(if kind == 7 { TransactionRequest::Commit(begins) } else { TransactionRequest::Rollback(begins) })
        }
        9 => Ok(TransactionRequest::Save(take_b_text(&mut body)?)),
        _ => Err("distributed transactions are not supported"),
    }
}
