//! From a name to a connection: its addresses, their order, and the race between them.
//!
//! 1. `localhost` and what ends in `.localhost` is this machine, whatever a resolver says (RFC 6761, 6.3).
//! 2. The addresses of other names are shuffled for each connection, so that many connections spread over a provider's servers;
//!    then the families alternate, beginning with the one that the system prefers (RFC 8305, 4).
//! 3. Every address is tried. One that does not answer gets a head start of [`HEAD_START`], one that refuses none (RFC 8305, 5).
//!
//! How long all of it may take is decided in `connect`.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

/// How long an address may be silent before the next is tried beside it; what RFC 8305 recommends.
const HEAD_START: Duration = Duration::from_millis(250);

/// Why no address of a name led anywhere.
#[derive(Debug)]
pub(super) enum Unreached {
    /// The name has no address.
    NoAddress(io::Error),
    /// None of so many addresses took the connection; the first to fail is named.
    NoAnswer { first: SocketAddr, others: usize, error: io::Error },
}

/// The host of a URI without the brackets of an IPv6 address.
pub(super) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Whether the name stands for this machine without asking anybody.
pub(super) fn is_local(host: &str) -> bool {
    let host = bare(host);
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The addresses of a host in the order to try them.
pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Unreached> {
    let host = bare(host);
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    if is_local(host) {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    let found: Vec<_> = tokio::net::lookup_host((host, port)).await.map_err(Unreached::NoAddress)?.collect();
    if found.is_empty() {
        return Err(Unreached::NoAddress(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    Ok(ordered(found))
}

/// Shuffles each family and lets the families alternate.
fn ordered(mut found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(prefers_v6) = found.first().map(SocketAddr::is_ipv6) else { return found };
    // Each `RandomState` hashes differently: all the chance that this needs, without another crate.
    let chance = RandomState::new();
    found.sort_unstable();
    found.dedup();
    found.sort_by_cached_key(|address| chance.hash_one(address));
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) =
        found.into_iter().partition(|address| address.is_ipv6() == prefers_v6);
    let mut order = Vec::with_capacity(first.len() + second.len());
    while !first.is_empty() || !second.is_empty() {
        order.extend(first.pop_front());
        order.extend(second.pop_front());
    }
    order
}

/// The first connection to come up; the others are dropped.
pub(super) async fn race<T, F>(addresses: Vec<SocketAddr>, connect: impl Fn(SocketAddr) -> F) -> Result<T, Unreached>
where
    F: Future<Output = io::Result<T>>,
{
    let total = addresses.len();
    let mut left = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut failed: Option<(SocketAddr, io::Error)> = None;
    let try_one = |address: SocketAddr| {
        let connecting = connect(address);
        async move { (address, connecting.await) }
    };
    running.extend(left.next().map(try_one));
    loop {
        let has_more = left.len() > 0;
        tokio::select! {
            ended = running.next() => match ended {
                Some((_, Ok(connection))) => return Ok(connection),
                Some((address, Err(error))) => {
                    failed.get_or_insert((address, error));
                    running.extend(left.next().map(try_one));
                }
                None => break,
            },
            () = tokio::time::sleep(HEAD_START), if has_more => running.extend(left.next().map(try_one)),
        }
    }
    match failed {
        Some((first, error)) => Err(Unreached::NoAnswer { first, others: total - 1, error }),
        None => Err(Unreached::NoAddress(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::future::pending;

    use tokio::time::Instant;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    #[tokio::test]
    async fn localhost_is_this_machine_without_asking() {
        for name in ["localhost", "LocalHost.", "bucket.localhost", "a.b.localhost"] {
            let found = resolve(name, 9).await.expect("loopback");
            assert!(found.iter().all(|address| address.ip().is_loopback()), "{name}: {found:?}");
        }
        assert!(!is_local("localhost.example.com") && !is_local("notlocalhost"));
        assert_eq!(resolve("[::1]", 9).await.expect("an address"), addresses(&["[::1]:9"]));
    }

    #[test]
    fn the_order_changes_and_the_families_alternate() {
        let found = addresses(&["[2001:db8::1]:1", "[2001:db8::2]:1", "192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"]);
        let orders: HashSet<_> = (0..64).map(|_| ordered(found.clone())).collect();
        assert!(orders.len() > 3, "{orders:?}");
        for order in orders {
            let families: Vec<_> = order.iter().map(SocketAddr::is_ipv6).collect();
            assert_eq!(families, [true, false, true, false, false]);
        }
    }

    #[test]
    fn connections_spread_over_the_addresses() {
        let found = addresses(&["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1"]);
        let firsts: HashSet<_> = (0..200).map(|_| ordered(found.clone())[0]).collect();
        assert_eq!(firsts.len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_address_costs_its_head_start_and_no_more() {
        let start = Instant::now();
        let found = addresses(&["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"]);
        let winner = race(found.clone(), |address| async move {
            if address.ip() == IpAddr::from([192, 0, 2, 3]) { Ok(address) } else { pending().await }
        });
        assert_eq!(winner.await.expect("it answers"), found[2]);
        assert_eq!(start.elapsed(), 2 * HEAD_START);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_refuses_is_passed_at_once_and_named_if_all_do() {
        let start = Instant::now();
        let refuse = |_| async { Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused)) };
        let error = race(addresses(&["192.0.2.1:1", "192.0.2.2:1"]), refuse).await.expect_err("nobody is there");
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(matches!(error, Unreached::NoAnswer { others: 1, .. }), "{error:?}");
    }
}
