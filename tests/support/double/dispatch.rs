//! From a request to the operation it means. Checks come first: headers, signature, then the bucket.

use http::Method;
use hyper::body::Incoming;

use super::answer::{Answer, Outcome, Refusal};
use super::call::Call;
use super::rules::{Dialect, Rules};
use super::{
    Shared, headers, listing, multipart, oss_signature, overview, read, receive, removal, s3_signature, write,
};

/// Does what the request asks for.
pub(crate) async fn perform(shared: &Shared, rules: &Rules, call: &Call, body: Incoming) -> Outcome {
    let mut body = Some(body);
    let outcome = checked(shared, rules, call, &mut body).await;
    // Who is still sending would see a broken connection in the place of the refusal.
    if let Some(body) = body {
        drop(http_body_util::BodyExt::collect(body).await);
    }
    outcome
}

async fn checked(shared: &Shared, rules: &Rules, call: &Call, body: &mut Option<Incoming>) -> Outcome {
    match rules.dialect {
        Dialect::Oss => oss_signature::verify(call, rules)?,
        Dialect::S3 => s3_signature::verify(call, rules)?,
    }
    headers::check(call, rules)?;
    let creates_bucket = call.method == Method::PUT && call.key.is_none();
    if call.bucket.is_some() && !creates_bucket {
        shared.state().bucket_of(call)?;
    }
    match (&call.bucket, &call.key) {
        (None, _) if call.method == Method::GET => overview::buckets(&shared.state(), call, rules),
        (None, _) => Err(unknown()),
        (Some(_), None) => bucket_level(shared, rules, call, body).await,
        (Some(_), Some(key)) if key.len() > 1023 => {
            Err(Refusal::new(400, "InvalidObjectName", "The length of the object name must be at most 1023."))
        }
        (Some(_), Some(_)) => object_level(shared, rules, call, body).await,
    }
}

fn unknown() -> Refusal {
    Refusal::new(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
}

async fn bucket_level(shared: &Shared, rules: &Rules, call: &Call, body: &mut Option<Incoming>) -> Outcome {
    let has = |name: &str| call.parameter(name).is_some();
    match call.method {
        Method::GET if has("uploads") => overview::uploads(&mut shared.state(), call, rules),
        Method::GET if has("location") => overview::location(&mut shared.state(), call, rules),
        Method::GET => listing::list(&mut shared.state(), call, rules),
        Method::HEAD if rules.dialect == Dialect::S3 => {
            call.only(&[])?;
            Ok(Answer::status(200).header("x-amz-bucket-region", rules.region.clone()))
        }
        Method::PUT => {
            call.only(&[])?;
            shared.state().buckets.entry(call.bucket.clone().unwrap_or_default()).or_default();
            Ok(Answer::status(200))
        }
        Method::POST if has("delete") => {
            if call.header("content-length").is_none() {
                return Err(Refusal::new(
                    411,
                    "MissingContentLength",
                    "You must provide the Content-Length HTTP header.",
                ));
            }
            let text = receive::document(call, body.take().expect("nobody took it")).await?;
            removal::remove(&mut shared.state(), call, rules, &text)
        }
        Method::DELETE => {
            call.only(&[])?;
            let mut state = shared.state();
            let bucket = state.bucket_of(call)?;
            if !bucket.objects.is_empty() || !bucket.uploads.is_empty() {
                return Err(Refusal::new(409, "BucketNotEmpty", "The bucket you tried to delete is not empty."));
            }
            state.buckets.remove(call.bucket.as_deref().unwrap_or_default());
            Ok(Answer::status(204))
        }
        _ => Err(unknown()),
    }
}

async fn object_level(shared: &Shared, rules: &Rules, call: &Call, body: &mut Option<Incoming>) -> Outcome {
    let has = |name: &str| call.parameter(name).is_some();
    match call.method {
        Method::GET if has("uploadId") => overview::parts(&mut shared.state(), call, rules),
        Method::GET if has("tagging") => read::tags(&mut shared.state(), call),
        Method::GET | Method::HEAD => read::read(&mut shared.state(), call, rules),
        Method::PUT if call.own("copy-source").is_some() && has("uploadId") => {
            write::copy_part(&mut shared.state(), call, rules)
        }
        Method::PUT if call.own("copy-source").is_some() => write::copy(&mut shared.state(), call, rules),
        Method::PUT if has("uploadId") || has("partNumber") => {
            call.only(&["partNumber", "uploadId"])?;
            multipart::number(call)?;
            shared.state().upload_of(call)?;
            let received = receive::receive(call, rules, body.take().expect("nobody took it")).await?;
            multipart::put_part(&mut shared.state(), call, rules, received)
        }
        Method::PUT => {
            call.only(&[])?;
            let received = receive::receive(call, rules, body.take().expect("nobody took it")).await?;
            write::put(&mut shared.state(), call, rules, received)
        }
        Method::POST if has("uploads") => multipart::begin(&mut shared.state(), call, rules),
        Method::POST if has("uploadId") => {
            let text = receive::document(call, body.take().expect("nobody took it")).await?;
            multipart::complete(&mut shared.state(), call, rules, &text)
        }
        Method::DELETE if has("uploadId") => multipart::abort(&mut shared.state(), call),
        Method::DELETE => write::delete(&mut shared.state(), call),
        _ => Err(unknown()),
    }
}
