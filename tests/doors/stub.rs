//! Servers that answer each message that comes with the next of some bytes, and then hang up.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

/// SQL Server's first answer: all of the connection is to be encrypted.
pub const WANTS_ENCRYPTION: &[u8] =
    b"\x04\x01\x00\x1A\x00\x00\x01\x00\x00\x00\x0B\x00\x06\x01\x00\x11\x00\x01\xFF\x10\x00\x10\x27\x00\x00\x01";
/// TLS's word for no version or cipher in common, as SQL Server wraps it.
pub const HANDSHAKE_FAILURE: &[u8] = b"\x12\x01\x00\x0F\x00\x00\x01\x00\x15\x03\x03\x00\x02\x02\x28";

/// Starts one that serves until the test binary ends; gives its port.
pub fn start(answers: &'static [&'static [u8]]) -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { return };
            let mut message = [0; 16_384];
            for answer in answers {
                // One read is one message: the client waits for the answer before it goes on.
                if connection.read(&mut message).is_err() || connection.write_all(answer).is_err() {
                    break;
                }
            }
        }
    });
    Ok(port)
}
