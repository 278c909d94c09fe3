//! A small client that signs with V4 of OSS or of S3, for tests of the double itself. The signature's steps are those of the check.

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Double;
use super::call::Call;
use super::rules::{Dialect, Rules};
use super::{oss_signature, s3_signature, time};

/// An answer as it came.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The text of the first element of this name.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0.to_owned())
    }

    /// The status and the error's code.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.element("Code").unwrap_or_default())
    }
}

/// One request to `host` (a host without the port), for the path and query as they are; `None` when the connection broke.
#[expect(clippy::disallowed_methods, reason = "the connection is driven beside the test")]
pub(crate) async fn ask_host(
    double: &Double,
    host: &str,
    call: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Option<Told> {
    let (method, uri) = call.split_once(' ').expect("a method and a path");
    let (rules, body) = (double.rules(), body.into());
    let date = time::basic(time::now(rules.clock));
    let prefix = rules.dialect.prefix();
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).expect("a method")).uri(uri);
    request = request.header("host", format!("{host}:{}", double.address().port()));
    request = request.header(format!("{prefix}date"), &date);
    let payload = format!("{prefix}content-sha256");
    if !headers.iter().any(|(name, _)| *name == payload) {
        request = request.header(payload, "UNSIGNED-PAYLOAD");
    }
    if ["PUT", "POST"].contains(&method) {
        // hyper would leave it out for an empty body.
        request = request.header("content-length", body.len());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Full::new(body)).expect("a valid request");
    let (uri, sent) = (request.uri().clone(), request.headers().clone());
    if let Ok(call) = Call::read(rules.dialect, request.method().clone(), &uri, sent) {
        let text = authorization(&call, &rules, &date);
        request.headers_mut().insert("authorization", text.parse().expect("plain text"));
    }
    let stream = TcpStream::connect(double.address()).await.expect("the double listens");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("no handshake to fail");
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.ok()?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    Some(Told { status, headers, body })
}

fn authorization(call: &Call, rules: &Rules, date: &str) -> String {
    let scope = format!("{}/{}/{}", rules.access_key, &date[..8], rules.region);
    match rules.dialect {
        Dialect::Oss => {
            let (signature, _) = oss_signature::sign_v4(call, rules, date, &[]);
            format!("OSS4-HMAC-SHA256 Credential={scope}/oss/aliyun_v4_request,Signature={signature}")
        }
        Dialect::S3 => {
            let mut names: Vec<&str> = call.headers.keys().map(http::HeaderName::as_str).collect();
            names.sort_unstable();
            let payload = call.own("content-sha256").unwrap_or_default();
            let (signature, _) = s3_signature::sign(call, rules, date, &names, payload);
            let names = names.join(";");
            format!("AWS4-HMAC-SHA256 Credential={scope}/s3/aws4_request, SignedHeaders={names}, Signature={signature}")
        }
    }
}

/// One request by path, to the bucket `bucket`: `GET key?query`.
pub(crate) async fn ask(double: &Double, call: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Told {
    let (method, path) = call.split_once(' ').expect("a method and a path");
    let told = ask_host(double, "127.0.0.1", &format!("{method} /bucket/{path}"), headers, body).await;
    told.expect("an answer")
}
