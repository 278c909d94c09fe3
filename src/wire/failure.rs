//! What went wrong below HTTP, in the user's words.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use http::StatusCode;

use super::clock::Waiting;
use super::link::LONGEST_HEAD;
use super::names::Unreached;
use super::proxy::Via;
use super::tls;
use crate::error::{Error, ErrorKind};

fn reach(host: &str) -> String {
    format!("reach `{host}`")
}

/// No address of the host, or of the proxy in front of it, took a connection.
pub(super) fn unreached(host: &str, proxy: Option<&Via>, why: Unreached) -> Error {
    let (cause, source) = match why {
        Unreached::NoAddress(error) => ("its name does not resolve".to_owned(), error),
        Unreached::NoAnswer { first, others: 0, error } => (format!("`{first}`: {error}"), error),
        Unreached::NoAnswer { first, others, error } => {
            let noun = if others == 1 { "address" } else { "addresses" };
            (format!("`{first}` and {others} more {noun}: {error}"), error)
        }
    };
    no_connection(host, proxy, cause).from_source(source)
}

/// No connection came up in time.
pub(super) fn too_slow(host: &str, proxy: Option<&Via>, limit: Duration) -> Error {
    no_connection(host, proxy, format!("no connection came up within {}", seconds(limit)))
}

fn no_connection(host: &str, proxy: Option<&Via>, cause: String) -> Error {
    let error = Error::new(ErrorKind::Unavailable, reach(host)).unreached();
    match proxy {
        None => {
            error.because(cause).hint("check the endpoint's host and port, and that this machine may connect to it")
        }
        Some(via) => error
            .because(format!("the proxy `{via}` cannot be reached: {cause}"))
            .hint(format!("check `{}`, which names the proxy, and whether the host needs one", via.named)),
    }
}

/// The handshake failed, with the host or with the proxy in front of it.
pub(super) fn handshake(host: &str, proxy: Option<&Via>, error: io::Error) -> Error {
    let place = proxy.map_or_else(|| host.to_owned(), ToString::to_string);
    let Some(tls) = find::<rustls::Error>(&error) else {
        return no_connection(host, proxy, format!("the connection broke during the TLS handshake: {error}"))
            .from_source(error);
    };
    let (cause, hint) = tls::verdict(tls);
    Error::new(ErrorKind::Invalid, reach(&place)).because(cause).hint(hint).from_source(error)
}

/// The proxy answered, and not with a tunnel. Nothing has gone to the host.
pub(super) fn refused(host: &str, via: &Via, status: StatusCode) -> Error {
    let named = via.named;
    let (kind, hint) = match status.as_u16() {
        407 => (ErrorKind::Denied, format!("put user and password into `{named}`: `http://user:password@host:port`")),
        401 | 403 => (ErrorKind::Denied, "have the proxy's administrator allow this host and port".to_owned()),
        429 | 500..=599 => {
            (ErrorKind::Unavailable, "check that the proxy may connect to this host and port".to_owned())
        }
        _ => (ErrorKind::Invalid, format!("check that `{named}` names a proxy that allows `CONNECT`")),
    };
    Error::new(kind, reach(host))
        .because(format!("the proxy `{via}` refused with status {status}"))
        .unreached()
        .hint(hint)
}

/// The proxy did not answer our request for a tunnel, or not in HTTP.
pub(super) fn no_tunnel(host: &str, via: &Via, error: &(dyn StdError + 'static)) -> Error {
    no_connection(host, Some(via), format!("it gave no answer: {}", last(error)))
}

/// The exchange ended without an answer.
pub(super) fn lost(host: &str, error: hyper::Error) -> Error {
    if let Some(tls) = find::<rustls::Error>(&error) {
        let (cause, hint) = tls::verdict(tls);
        return Error::new(ErrorKind::Invalid, reach(host)).because(cause).hint(hint).from_source(error);
    }
    // A source that failed while we were sending its bytes on is the real cause.
    if let Some(ours) = find::<Error>(&error) {
        return ours.duplicate();
    }
    // Hyper says so by a method only to servers; tests/wire.rs notices if its words change.
    if error.is_parse() && error.to_string() == "message head is too large" {
        return Error::new(ErrorKind::Invalid, format!("read the answer of `{host}`"))
            .because(format!("its head is longer than {} KiB or has more than 100 headers", LONGEST_HEAD / 1024))
            .hint("check that the endpoint is the service itself and not something else that answers in its place")
            .from_source(error);
    }
    if error.is_parse() {
        return Error::new(ErrorKind::Unavailable, format!("read the answer of `{host}`"))
            .because(format!("it is not HTTP/1.1: {}", last(&error)))
            .hint("check the endpoint's scheme and port: `https://` where the server speaks TLS")
            .from_source(error);
    }
    Error::new(ErrorKind::Unavailable, reach(host))
        .because(format!("the connection broke: {}", last(&error)))
        .from_source(error)
}

/// Nothing moved for as long as we wait.
pub(super) fn stalled(host: &str, waiting: Waiting, limit: Duration) -> Error {
    let limit = seconds(limit);
    match waiting {
        Waiting::Upload => Error::new(ErrorKind::Timeout, format!("send the request to `{host}`"))
            .because(format!("it took no byte, or hardly one, for {limit}")),
        _ => Error::new(ErrorKind::Timeout, format!("get an answer from `{host}`"))
            .because(format!("the request is sent and nothing came for {limit}")),
    }
}

/// A time limit for people.
pub(super) fn seconds(limit: Duration) -> String {
    match limit.as_millis() {
        millis if millis % 1000 == 0 => format!("{} s", limit.as_secs()),
        millis => format!("{millis} ms"),
    }
}

/// The innermost text of an error, which is where the operating system speaks.
pub(super) fn last(error: &(dyn StdError + 'static)) -> String {
    let mut current = error;
    while let Some(inner) = current.source() {
        current = inner;
    }
    current.to_string()
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        // An `io::Error` hides what it wraps from `source()`.
        if let Some(inner) = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = find::<E>(inner)
        {
            return Some(found);
        }
        next = current.source();
    }
    None
}
