//! The seam where the SDK's requests go out through our own HTTP client.

use std::pin::Pin;
use std::task::{Context, Poll};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::document;
use crate::error::{Error, ErrorKind};
use crate::wire;

/// Our client in the shape the SDK wants.
#[derive(Debug, Clone)]
pub(super) struct Transport(pub(super) wire::Client);

impl HttpClient for Transport {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Transport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let root = document::expected(&request);
            let response = client.send(request).await.map_err(connector_error)?;
            let response = match root {
                Some(root) if response.status().is_success() => {
                    document::read(response, root).await.map_err(connector_error)?
                }
                _ => response.map(SdkBody::from_body_1_x),
            };
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Our error travels inside the SDK's; `failure` finds it again.
fn connector_error(error: Error) -> ConnectorError {
    match error.kind() {
        ErrorKind::Timeout => ConnectorError::timeout(error.into()),
        ErrorKind::Invalid => ConnectorError::user(error.into()),
        _ => ConnectorError::io(error.into()),
    }
}

/// A body of known length, so that it is sent with `Content-Length` and not in chunks.
pub(super) struct Sized<B> {
    inner: B,
    left: u64,
}

impl<B> Sized<B> {
    pub(super) fn new(inner: B, length: u64) -> Self {
        Self { inner, left: length }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Sized<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            self.left = self.left.saturating_sub(bytes.len() as u64);
        }
        frame
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
