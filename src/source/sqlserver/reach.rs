//! From a host's name to a connection: all its addresses are tried, none for long alone.
//!
//! A listener of an availability group has an address in each subnet, and answers on one. The addresses are tried in the
//! order in which the name server gives them; the next one begins as soon as one fails, or after a head start.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::browser;
use super::failure::unreachable;
use super::place::Place;
use crate::error::Result;

/// How long one address is tried before the next one is, too.
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the address that answers first.
pub async fn reach(place: &Place, deadline: Instant) -> Result<TcpStream> {
    let looked_up = tokio::net::lookup_host((place.host.as_str(), place.port));
    let mut addresses: Vec<_> = match tokio::time::timeout_at(deadline, looked_up).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => return Err(unreachable(place, &format!("its name cannot be looked up ({error})"))),
        Err(_) => return Err(unreachable(place, "its name is looked up in vain: the name server does not answer")),
    };
    if let Some(instance) = &place.instance {
        addresses = vec![browser::find(place, instance, &addresses, deadline).await?];
    }
    race(&addresses, deadline).await.map_err(|failed| {
        let why = match &failed[..] {
            [] => "its name has no address".to_owned(),
            [(address, why)] if address.ip().to_string() == place.host => why.clone(),
            _ => failed.iter().map(|(address, why)| format!("{address}: {why}")).collect::<Vec<_>>().join("; "),
        };
        unreachable(place, &why)
    })
}

/// The first connection that stands; else why each address failed.
async fn race(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Vec<(SocketAddr, String)>> {
    let started = Instant::now();
    let mut waiting = addresses.iter().copied();
    let (mut trying, mut failed) = (FuturesUnordered::new(), Vec::new());
    let mut next = waiting.next();
    loop {
        if let Some(address) = next.take() {
            trying.push(async move { (address, TcpStream::connect(address).await) });
        }
        let more = waiting.len() > 0;
        tokio::select! {
            ended = trying.next() => match ended {
                Some((_, Ok(connection))) => return Ok(connection),
                Some((address, Err(error))) => {
                    failed.push((address, error.to_string()));
                    next = waiting.next();
                }
                None => return Err(failed),
            },
            () = tokio::time::sleep(HEAD_START), if more => next = waiting.next(),
            () = tokio::time::sleep_until(deadline) => {
                let silent = format!("no answer within {} s", (deadline - started).as_secs_f32().round());
                let untold: Vec<_> =
                    addresses.iter().filter(|address| failed.iter().all(|(known, _)| known != *address)).collect();
                failed.extend(untold.into_iter().map(|address| (*address, silent.clone())));
                return Err(failed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A listener whose queue is full, so that connecting to it hangs; to be kept, with those who fill it.
    async fn silent() -> (SocketAddr, impl Sized) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(queued) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            queue.push(queued);
        }
        (address, (listener, queue))
    }

    fn refusing() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn a_dead_first_address_costs_its_head_start() {
        let (dead, _kept) = silent().await;
        let alive = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [dead, refusing(), dead, alive.local_addr().unwrap()];
        let started = Instant::now();
        let connection = race(&addresses, started + Duration::from_mins(1)).await.unwrap();
        assert_eq!(connection.peer_addr().unwrap(), alive.local_addr().unwrap());
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn each_address_that_fails_is_told_and_why() {
        let (dead, _kept) = silent().await;
        let refusing = refusing();
        let failed = race(&[dead, refusing], Instant::now() + Duration::from_secs(2)).await.unwrap_err();
        let told: Vec<_> = failed.iter().map(|(address, why)| format!("{address} {why}")).collect();
        assert!(told[0].starts_with(&format!("{refusing} Connection refused")), "{told:?}");
        assert_eq!(told[1..], [format!("{dead} no answer within 2 s")]);
        assert!(race(&[], Instant::now() + Duration::from_secs(2)).await.unwrap_err().is_empty());
    }
}
