//! New connections: name, address, proxy, TLS.
//!
//! 1. Ask which proxy is in the way.
//! 2. Race TCP to the addresses of the host, or of the proxy; speak TLS to the proxy if its URL says `https`.
//! 3. For `https` ask the proxy for a tunnel. For `http` the proxy wants the whole URI in each request, which `link` sees to.
//! 4. For `https` speak TLS to the host, and check that it is the host.
//!
//! All of it has one time limit.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::{Request, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::clock::{Meter, Metered};
use super::failure;
use super::link::{LONGEST_HEAD, Link, Stream};
use super::names;
use super::proxy::{Proxies, Via};
use crate::error::{Error, ErrorKind, Result};

/// Makes connections.
pub(super) struct Connector {
    pub(super) tls: TlsConnector,
    pub(super) proxies: Proxies,
    pub(super) timeout: Duration,
}

impl Connector {
    /// A new connection for requests to the host of `target`.
    pub(super) async fn open(&self, target: &Uri) -> Result<Link> {
        let via = self.proxies.way(target);
        let host = target.authority().map_or("?", |authority| authority.as_str());
        match tokio::time::timeout(self.timeout, self.connect(host, target, via.as_ref())).await {
            Ok(link) => link,
            Err(_) => Err(failure::too_slow(host, via.as_ref(), self.timeout)),
        }
    }

    async fn connect(&self, host: &str, target: &Uri, via: Option<&Via>) -> Result<Link> {
        let meter = Arc::new(Meter::default());
        let is_secure = is_https(target);
        let mut stream = tcp(host, via.map_or(target, |via| &via.uri), via, &meter).await?;
        if let Some(via) = via {
            if is_https(&via.uri) {
                stream = self.secure(stream, host, &via.uri, Some(via)).await?;
            }
            if is_secure {
                stream = tunnel(stream, target, via).await?;
            }
        }
        if is_secure {
            stream = self.secure(stream, host, target, None).await?;
        }
        let via = via.filter(|_| !is_secure).cloned();
        Link::new(stream, meter, via).await.map_err(|error| failure::lost(host, error))
    }

    /// TLS with the host that `to` names.
    async fn secure(&self, stream: Stream, host: &str, to: &Uri, proxy: Option<&Via>) -> Result<Stream> {
        let name = names::bare(to.host().unwrap_or_default());
        let name = ServerName::try_from(name.to_owned()).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("reach `{host}`"))
                .because(format!("`{name}` is no host name that a certificate can be for"))
                .from_source(error)
        })?;
        match self.tls.connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(failure::handshake(host, proxy, error)),
        }
    }
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if is_https(uri) { 443 } else { 80 })
}

async fn tcp(host: &str, to: &Uri, proxy: Option<&Via>, meter: &Arc<Meter>) -> Result<Stream> {
    let addresses = names::resolve(to.host().unwrap_or_default(), port(to)).await;
    let connected = match addresses {
        Ok(addresses) => names::race(addresses, TcpStream::connect).await,
        Err(unknown) => Err(unknown),
    };
    let socket = connected.map_err(|why| failure::unreached(host, proxy, why))?;
    // Requests are written in one piece; to hold their end back would only delay it.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "the socket keeps Nagle's algorithm");
    }
    Ok(Box::new(Metered::new(socket, Arc::clone(meter))))
}

/// Asks the proxy to connect us through. `hyper_util`'s tunnel does the same, but does not tell the status of a refusal.
async fn tunnel(stream: Stream, target: &Uri, via: &Via) -> Result<Stream> {
    let host = format!("{}:{}", target.host().unwrap_or_default(), port(target));
    let broken = |error: hyper::Error| failure::no_tunnel(&host, via, &error);
    let (mut sender, driver) = http1::Builder::new()
        .max_header_size(LONGEST_HEAD)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let wrong = |error: http::Error| Error::new(ErrorKind::Invalid, format!("reach `{host}`")).from_source(error);
    let value = HeaderValue::from_str(&host).map_err(|error| wrong(error.into()))?;
    let mut request = Request::connect(&host).header(HOST, value).body(Empty::new()).map_err(wrong)?;
    if let Some(auth) = &via.auth {
        request.headers_mut().insert(PROXY_AUTHORIZATION, auth.clone());
    }
    let answer = pin!(sender.send_request(request));
    let driver = pin!(driver.without_shutdown());
    // The tunnel stands, or the proxy hung up, in the same moment as the answer comes; whichever is seen first, both are wanted.
    let (answer, parts) = match select(answer, driver).await {
        Either::Left((answer, driver)) => {
            let answer = answer.map_err(broken)?;
            if !answer.status().is_success() {
                return Err(failure::refused(&host, via, answer.status()));
            }
            (answer, driver.await)
        }
        Either::Right((parts, answer)) => (answer.await.map_err(broken)?, parts),
    };
    if !answer.status().is_success() {
        return Err(failure::refused(&host, via, answer.status()));
    }
    Ok(parts.map_err(broken)?.io.into_inner())
}
