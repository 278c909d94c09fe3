//! One connection, driven by whoever uses it.
//!
//! No task of its own moves its bytes: whoever waits for the head of an answer or reads its body polls the connection in passing.
//! That spares each request the wake-ups between two tasks, lets a reader that pauses stop the socket, and makes the connection
//! free in the very poll that ends the body, so that the next request of a task always finds the connection of its last one.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::bell::Bell;
use super::body::Sent;
use super::clock::{Clock, Meter, Waiting};
use super::proxy::Via;

/// What a connection runs over: TCP, TLS over TCP, TLS over a proxy's TLS.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// Boxed: the call through a pointer is nothing beside the system call that follows.
pub(super) type Stream = Box<dyn Duplex>;

/// Bytes read from a socket at most at once. Measured: 512 KiB costs 5 % less CPU per GiB than hyper's default, more gains nothing.
const READ_BUFFER: usize = 512 * 1024;

/// The longest head of an answer, and the longest trailers. Servers' own limits for requests are 8 to 64 KiB. Hyper's limit of 100
/// headers stays as it is: to name it would cost each answer an allocation.
pub(super) const LONGEST_HEAD: usize = 64 * 1024;

/// How long to wait for whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) stall: Duration,
    pub(super) patience: Duration,
}

impl Limits {
    pub(super) fn of(self, waiting: Waiting) -> Duration {
        if waiting == Waiting::Answer { self.patience } else { self.stall }
    }
}

/// Why there is no answer.
pub(super) enum Broken {
    /// Nothing of the request was written; it comes back.
    Unsent(Box<Request<Sent>>, hyper::Error),
    /// The request or a part of it was written.
    Lost(hyper::Error),
    /// Nothing moves any more.
    Stalled(Waiting),
}

/// One connection.
pub(super) struct Link {
    sender: SendRequest<Sent>,
    driver: http1::Connection<TokioIo<Stream>, Sent>,
    meter: Arc<Meter>,
    clock: Clock,
    bell: Arc<Bell>,
    /// The proxy that wants the whole URI, if the connection ends there.
    via: Option<Via>,
    stall: Duration,
}

impl Link {
    pub(super) async fn new(stream: Stream, meter: Arc<Meter>, via: Option<Via>) -> hyper::Result<Self> {
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(READ_BUFFER)
            .max_header_size(LONGEST_HEAD)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self { sender, driver, meter, clock: Clock::new(), bell: Arc::new(Bell::new()), via, stall: Duration::MAX })
    }

    /// The proxy that answers in the server's place when it refuses.
    pub(super) fn proxy(&self) -> Option<&Via> {
        self.via.as_ref()
    }

    /// Whether the last exchange is over and the next may begin.
    pub(super) fn is_free(&self) -> bool {
        self.sender.is_ready()
    }

    /// Looks whether the connection is still there and free, without waiting.
    pub(super) fn is_usable(&mut self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        self.poll_drive(&mut nobody).is_pending() && self.is_free()
    }

    /// Sends a request for `target` and waits for the head of its answer.
    pub(super) async fn exchange(
        &mut self,
        mut request: Request<Sent>,
        target: &Uri,
        limits: Limits,
    ) -> Result<Response<Incoming>, Broken> {
        self.stall = limits.stall;
        self.clock.begin();
        self.address(&mut request, target);
        request.body_mut().attach(&self.meter);
        let mut answer = pin!(self.sender.try_send_request(request));
        let (driver, clock, meter, bell) = (&mut self.driver, &mut self.clock, &self.meter, &self.bell);
        let once = |cx: &mut Context<'_>| {
            // The connection tells of its end through the answer.
            let ended = Pin::new(&mut *driver).poll(cx);
            match answer.as_mut().poll(cx) {
                Poll::Ready(Ok(response)) => return Poll::Ready(Ok(response)),
                Poll::Ready(Err(mut refused)) => {
                    return Poll::Ready(Err(match refused.take_message() {
                        Some(request) => Broken::Unsent(Box::new(request), refused.into_error()),
                        None => Broken::Lost(refused.into_error()),
                    }));
                }
                Poll::Pending => {}
            }
            if let Poll::Ready(Err(error)) = ended {
                return Poll::Ready(Err(Broken::Lost(error)));
            }
            let waiting = meter.waiting();
            clock.poll_stalled(cx, meter, (waiting, limits.of(waiting))).map(|()| Err(Broken::Stalled(waiting)))
        };
        let mut once = once;
        poll_fn(|cx| bell.poll(cx, &mut once)).await
    }

    /// Puts the target into the request line, in the form that the other end wants, and into `Host`.
    fn address(&self, request: &mut Request<Sent>, target: &Uri) {
        if !request.headers().contains_key(HOST)
            && let Some(host) = host(target)
        {
            request.headers_mut().insert(HOST, host);
        }
        *request.version_mut() = http::Version::HTTP_11;
        *request.uri_mut() = match &self.via {
            Some(via) => {
                if let Some(auth) = &via.auth {
                    request.headers_mut().insert(PROXY_AUTHORIZATION, auth.clone());
                }
                target.clone()
            }
            None => origin(target),
        };
    }

    /// The bell to poll this connection with.
    pub(super) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// Moves what can be moved. Ready when the connection has ended.
    pub(super) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        Pin::new(&mut self.driver).poll(cx)
    }

    /// Ready once the body of the answer has stood still for too long.
    pub(super) fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        self.clock.poll_stalled(cx, &self.meter, (Waiting::Body, self.stall)).map(|()| self.stall)
    }

    /// Some of the body came.
    pub(super) fn rest(&mut self) {
        self.clock.rest();
    }
}

/// The `Host` of a URI: with the port unless it is the scheme's own.
fn host(target: &Uri) -> Option<HeaderValue> {
    let name = target.host()?;
    let text = match (target.port_u16(), target.scheme_str()) {
        (None, _) | (Some(80), Some("http")) | (Some(443), Some("https")) => name.to_owned(),
        (Some(port), _) => format!("{name}:{port}"),
    };
    HeaderValue::from_maybe_shared(text).ok()
}

/// Path and query alone.
fn origin(target: &Uri) -> Uri {
    let path = target.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    Uri::from(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_names_its_host_and_path() {
        let of = |uri: &str| {
            let uri: Uri = uri.parse().expect("a URI");
            (host(&uri).expect("a host").to_str().expect("ASCII").to_owned(), origin(&uri).to_string())
        };
        assert_eq!(of("https://h:443/a?b"), ("h".into(), "/a?b".into()));
        assert_eq!(of("http://h:443"), ("h:443".into(), "/".into()));
        assert_eq!(of("http://[::1]:80?x"), ("[::1]".into(), "/?x".into()));
    }
}
