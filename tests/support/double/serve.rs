//! Connections: each request is written down, met by the test's faults, performed, and answered.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::answer::{Answer, Fault, Outcome};
use super::call::Call;
use super::content::{Broken, Outgoing};
use super::dispatch::perform;
use super::rules::{Dialect, Rules};
use super::{Seen, Shared, time};

/// Serves until it is aborted.
#[expect(clippy::disallowed_methods, reason = "the server runs beside the test")]
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        drop(stream.set_nodelay(true));
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| answer(Arc::clone(&shared), request));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Outgoing>, Broken> {
    let (head, body) = request.into_parts();
    let rules = shared.rules();
    let (seen, fault) = meet(&shared, &head.method, &head.uri, &head.headers);
    let (outcome, cut) = match fault {
        Some(Fault::Drop) => return Err(Broken),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Answer(answer)) => {
            drop(body.collect().await);
            (Ok(answer), None)
        }
        other => {
            let call = Call::read(rules.dialect, head.method.clone(), &head.uri, head.headers);
            let outcome = match call {
                Ok(call) => perform(&shared, &rules, &call, body).await,
                Err(refusal) => Err(refusal),
            };
            match other {
                Some(Fault::PerformAndDrop) => return Err(Broken),
                Some(Fault::PerformAndCut(length)) => (outcome, Some(length)),
                _ => (outcome, None),
            }
        }
    };
    Ok(respond(outcome, cut, &rules, &head.method, seen.number))
}

/// Writes a request down and asks the test what shall become of it.
fn meet(shared: &Shared, method: &Method, uri: &http::Uri, headers: &HeaderMap) -> (Seen, Option<Fault>) {
    let mut headers = headers.clone();
    if let Some(value) = headers.get_mut(AUTHORIZATION) {
        *value = HeaderValue::from_static("redacted");
    }
    let seen = {
        let mut all = shared.seen.lock().expect("no test panics with the lock");
        let seen = Seen {
            number: all.len(),
            method: method.to_string(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            headers,
        };
        all.push(seen.clone());
        seen
    };
    let mut hook = shared.hook.lock().expect("no test panics with the lock");
    let fault = hook.as_mut().and_then(|hook| hook(&seen));
    (seen, fault)
}

fn respond(outcome: Outcome, cut: Option<u64>, rules: &Rules, method: &Method, number: usize) -> Response<Outgoing> {
    let id = format!("{:024X}", 0x5f3c_0000_0000_u64 + number as u64);
    let prefix = rules.dialect.prefix();
    let (mut answer, refused) = match outcome {
        Ok(answer) => (answer, false),
        Err(refusal) => (refusal.into_answer(&id, rules.dialect.host()), true),
    };
    if *method == Method::HEAD && refused {
        // A HEAD has no body to hold the error; OSS puts it into a header.
        if let (Dialect::Oss, Some(text)) = (rules.dialect, answer.body.bytes()) {
            answer = answer.header("x-oss-err", STANDARD.encode(text));
        }
    }
    let stated = |answer: &Answer, name: &str| answer.headers.iter().any(|(found, _)| found == name);
    // Neither status may have a body, nor say that it has one.
    if !stated(&answer, "content-length") && ![204, 304].contains(&answer.status) {
        let length = answer.body.length().to_string();
        answer = answer.header("content-length", length);
    }
    if !stated(&answer, "date") {
        answer = answer.header("date", time::http(time::now(rules.clock)));
    }
    let server = if rules.dialect == Dialect::Oss { "AliyunOSS" } else { "S3" };
    answer = answer.header(&format!("{prefix}request-id"), id).header("server", server);
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a test's header has a name");
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value that came in can go out");
        response = response.header(name, value);
    }
    response.body(answer.body.into_body(cut)).expect("status and headers are valid")
}
