//! The SQL Browser: which TCP port a named instance listens on. The protocol is Microsoft's MC-SQLR, over UDP.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::failure::unreachable;
use super::place::Place;
use crate::error::{Error, Kind, Result};

/// Asks one host for all its instances.
const ASK_ALL: u8 = 0x03;
/// Asks for one instance; what the host does not have is answered by silence.
const ASK_ONE: u8 = 0x04;
/// Begins an answer, before the length of what follows.
const ANSWER: u8 = 0x05;
/// A datagram may be lost: how often, and how long apart, the question is sent.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// What the Browser of one address says.
enum Said {
    /// The instance's port.
    Port(SocketAddr),
    /// It has the instance, without TCP.
    NoTcp,
    /// It has others.
    Others(Vec<String>),
    /// Nothing, and why.
    Nothing(String),
}

/// Asks the Browser of each address for an instance, and gives the first address that has it, with its port.
pub async fn find(place: &Place, instance: &str, addresses: &[SocketAddr], deadline: Instant) -> Result<SocketAddr> {
    let mut asking: FuturesUnordered<_> = addresses.iter().map(|address| ask(*address, instance, deadline)).collect();
    let mut silent = Vec::new();
    let mut told = None;
    while let Some((address, said)) = asking.next().await {
        match said {
            Said::Port(found) => return Ok(found),
            Said::Nothing(why) => silent.push(format!("{address}: {why}")),
            Said::NoTcp | Said::Others(_) => told = Some(said),
        }
    }
    match told {
        Some(Said::NoTcp) => Err(Error::new(Kind::SourceUnreachable, format!("SQL Server {place} does not listen on TCP"))
            .advice("Enable TCP/IP for the instance in SQL Server Configuration Manager, and start it anew")),
        Some(Said::Others(names)) => {
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let message = format!("SQL Server {place}: the SQL Browser there knows no such instance, only {names}");
            Err(Error::new(Kind::SourceUnreachable, message)
                .advice("Check source.instance, and that the instance runs and is not hidden; or leave it out and give its TCP port by source.port"))
        }
        _ => Err(unreachable(place, &format!("the SQL Browser, which knows the instance's port, is silent: {}", silent.join("; ")))
            .advice(format!(
                "Start the SQL Server Browser service and let UDP port {} through; or leave source.instance out and give the instance's TCP port by source.port",
                place.port
            ))),
    }
}

async fn ask(browser: SocketAddr, instance: &str, deadline: Instant) -> (SocketAddr, Said) {
    let said = tokio::time::timeout_at(deadline, converse(browser, instance)).await;
    let said = said.unwrap_or_else(|_| Ok(Said::Nothing("no answer in time".to_owned())));
    (browser, said.unwrap_or_else(|error| Said::Nothing(error.to_string())))
}

async fn converse(browser: SocketAddr, instance: &str) -> std::io::Result<Said> {
    let any = if browser.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    // Connected, it hears nobody else, and a port that is closed at once.
    socket.connect(browser).await?;
    let one: Vec<u8> = [&[ASK_ONE], instance.as_bytes(), &[0]].concat();
    let mut buffer = vec![0; 1 << 16];
    for _ in 0..TRIES {
        socket.send(&one).await?;
        socket.send(&[ASK_ALL]).await?;
        let until = Instant::now() + PAUSE;
        let mut others = None;
        while let Ok(received) = tokio::time::timeout_at(until, socket.recv(&mut buffer)).await {
            let Some(instances) = instances(&buffer[..received?]) else { continue };
            match instances.iter().find(|(name, _)| name.eq_ignore_ascii_case(instance)) {
                Some((_, Some(port))) => return Ok(Said::Port(SocketAddr::new(browser.ip(), *port))),
                Some((_, None)) => return Ok(Said::NoTcp),
                // The list of all may have been cut: an answer for the one would come as soon.
                None => others = Some(instances.into_iter().map(|(name, _)| name).collect()),
            }
        }
        if let Some(others) = others {
            return Ok(Said::Others(others));
        }
    }
    Ok(Said::Nothing(format!("no answer to {TRIES} questions")))
}

/// The instances in an answer, each with its TCP port; `None` if it is no answer.
fn instances(answer: &[u8]) -> Option<Vec<(String, Option<u16>)>> {
    let [ANSWER, low, high, data @ ..] = answer else { return None };
    if usize::from(u16::from_le_bytes([*low, *high])) != data.len() {
        return None;
    }
    let text = String::from_utf8_lossy(data);
    let mut found = Vec::new();
    // Names and values in turn, each before a semicolon; an instance ends with one more.
    for entry in text.split(";;") {
        let words: Vec<_> = entry.split(';').collect();
        let value =
            |name: &str| words.chunks_exact(2).find(|pair| pair[0].eq_ignore_ascii_case(name)).map(|pair| pair[1]);
        if let Some(name) = value("InstanceName") {
            found.push((name.to_owned(), value("tcp").and_then(|port| port.parse().ok()).filter(|port| *port > 0)));
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Vec<u8> {
        let length = u16::try_from(text.len()).unwrap().to_le_bytes();
        [&[ANSWER], &length[..], text.as_bytes()].concat()
    }

    /// The first two texts are the examples of the protocol's description.
    #[test]
    fn instances_are_read_from_an_answer() {
        let one = "ServerName;ILSUNG1;InstanceName;YUKONSTD;IsClustered;No;Version;9.00.1399.06;tcp;57137;;";
        let all = "ServerName;ILSUNG1;InstanceName;YUKONSTD;IsClustered;No;Version;9.00.1399.06;tcp;57137;;ServerName;ILSUNG1;InstanceName;YUKONDEV;IsClustered;No;Version;9.00.1399.06;np;\\\\ILSUNG1\\pipe\\MSSQL$YUKONDEV\\sql\\query;;";
        let standard = ("YUKONSTD".to_owned(), Some(57137));
        assert_eq!(instances(&answer(one)), Some(vec![standard.clone()]));
        assert_eq!(instances(&answer(all)), Some(vec![standard, ("YUKONDEV".to_owned(), None)]));
        assert_eq!(instances(&answer("")), Some(vec![]));
        // An instance whose name is a key of the protocol, and ports that are none.
        let odd =
            "ServerName;tcp;InstanceName;tcp;IsClustered;No;Version;1;tcp;0;;ServerName;a;InstanceName;b;tcp;99999;;";
        assert_eq!(instances(&answer(odd)), Some(vec![("tcp".to_owned(), None), ("b".to_owned(), None)]));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let whole = answer("ServerName;A;InstanceName;B;tcp;1433;;");
        for cut in 0..whole.len() {
            assert_eq!(instances(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(instances(&[&[4], &whole[1..]].concat()), None);
        assert_eq!(instances(&[&whole[..], b"x"].concat()), None);
    }
}
