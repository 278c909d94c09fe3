//! One HTTP/1.1 connection, with the read buffer that costs least.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{Failure, Result};

/// The cheapest of those measured in `reference/protocols-and-dependencies.md` 5, by a few percent.
const READ_BUFFER: usize = 512 * 1024;

/// A connection that takes one request after another.
pub(super) struct Connection<B> {
    sender: SendRequest<B>,
    host: String,
    /// Drives the connection; ends with it.
    _driver: JoinSet<()>,
}

impl<B> Connection<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Failure>,
{
    /// Connects to an address such as `127.0.0.1:9000`.
    pub(super) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            http1::Builder::new().read_buf_exact_size(Some(READ_BUFFER)).handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // Whoever waits for the answer hears of the failure.
            let _failure = connection.await;
        });
        Ok(Self { sender, host: address.to_owned(), _driver: driver })
    }

    /// Sends a request for an object or for the bucket; `range` has the form of the header. A refusal is a failure.
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        range: Option<String>,
        body: B,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(body)?).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        Err(format!("`{path}` at {}: {status}: {}", self.host, text(response).await?).into())
    }
}

/// The whole body as text.
pub(super) async fn text(response: Response<Incoming>) -> Result<String> {
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.into())?)
}

/// What stands between two tags the first time they occur.
pub(super) fn between<'text>(text: &'text str, open: &str, close: &str) -> Option<&'text str> {
    let (_, rest) = text.split_once(open)?;
    rest.split_once(close).map(|(inner, _)| inner)
}
