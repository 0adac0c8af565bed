//! A SQL Browser: tells the TCP ports of named instances, by Microsoft's MC-SQLR.

use std::fmt::Write;
use std::io;

use tokio::net::UdpSocket;

const ASK_ALL: u8 = 0x03;
const ASK_ONE: u8 = 0x04;
const ANSWER: u8 = 0x05;
/// As long as a name may be, without its end.
const LONGEST: usize = 32;
/// As much as an answer about one instance may hold.
const ANSWER_LIMIT: usize = 1024;

/// An instance, and its TCP port; `None` if it listens on pipes alone.
pub type Instance<'a> = (&'a str, Option<u16>);

/// Answers questions until dropped. What is asked wrongly, and who is not known, gets no answer.
///
/// # Errors
/// The socket broke.
pub async fn serve(socket: UdpSocket, instances: &[Instance<'_>]) -> io::Result<()> {
    let mut question = [0; 64];
    loop {
        // A question longer than the buffer is cut, and then has no end.
        let (length, from) = socket.recv_from(&mut question).await?;
        if let Some(answer) = answer(&question[..length], instances) {
            socket.send_to(&answer, from).await?;
        }
    }
}

fn answer(question: &[u8], instances: &[Instance<'_>]) -> Option<Vec<u8>> {
    let text: String = match question {
        [ASK_ALL] => instances.iter().map(describe).collect(),
        [ASK_ONE, name @ .., 0] if !name.is_empty() && name.len() <= LONGEST && !name.contains(&0) => {
            let name = std::str::from_utf8(name).ok()?;
            let one = describe(instances.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?);
            (one.len() <= ANSWER_LIMIT).then_some(one)?
        }
        _ => return None,
    };
    let length = u16::try_from(text.len()).ok()?;
    Some([&[ANSWER], &length.to_le_bytes()[..], text.as_bytes()].concat())
}

fn describe((name, port): &Instance<'_>) -> String {
    let mut text = format!("ServerName;STANDIN;InstanceName;{name};IsClustered;No;Version;16.0.4135.4");
    match port {
        Some(port) => _ = write!(text, ";tcp;{port}"),
        None => _ = write!(text, ";np;\\\\STANDIN\\pipe\\MSSQL${name}\\sql\\query"),
    }
    text + ";;"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_question_that_is_whole_is_answered() {
        let instances = [("SHOP", Some(50_000)), ("PIPES", None)];
        let said = |question: &[u8]| {
            answer(question, &instances).map(|bytes| String::from_utf8_lossy(&bytes[3..]).into_owned())
        };
        assert!(said(b"\x04shop\0").unwrap().ends_with(";tcp;50000;;"));
        assert!(said(b"\x04PIPES\0").unwrap().contains(";np;"));
        assert_eq!(said(b"\x03").unwrap().matches("InstanceName").count(), 2);
        for question in [&b"\x04shop"[..], b"\x04other\0", b"\x04\0", b"\x03x", b"\x02", b""] {
            assert_eq!(said(question), None, "{question:?}");
        }
    }
}
