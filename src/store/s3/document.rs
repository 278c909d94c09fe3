//! Answers that are documents, looked at before the SDK parses them.
//!
//! The SDK's parser takes a listing that is cut between two entries for a complete one, and a page of HTML for an empty one. Here a
//! document must be whole: its last words close the element that it opened. An error that comes with status 200, as S3 sends
//! when it began to answer too early, gets the status it should have had.

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};

use crate::error::{Error, ErrorKind, Result};
use crate::wire::ResponseBody;

/// No page of 1,000 keys of 1,024 bytes, each byte escaped, is longer.
const LARGEST: usize = 16 * 1024 * 1024;

/// The root element of the document that answers a request; none if the answer is no document that we read.
pub(super) fn expected<B>(request: &Request<B>) -> Option<&'static str> {
    let query = request.uri().query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    match *request.method() {
        Method::GET if has("list-type") => Some("ListBucketResult"),
        Method::POST if has("uploads") => Some("InitiateMultipartUpload"),
        Method::POST if has("uploadId") => Some("CompleteMultipartUpload"),
        _ => None,
    }
}

/// Reads the document of a success and checks that it is whole.
pub(super) async fn read(response: Response<ResponseBody>, root: &'static str) -> Result<Response<SdkBody>> {
    let (mut head, body) = response.into_parts();
    let bytes = Limited::new(body, LARGEST).collect().await.map_err(unreadable)?.to_bytes();
    match judge(&bytes, root) {
        Verdict::Whole => {}
        Verdict::Error => head.status = StatusCode::INTERNAL_SERVER_ERROR,
        Verdict::Cut => {
            return Err(Error::new(ErrorKind::Corrupt, "read the answer")
                .because(format!("it is cut off after {} bytes: nothing closes it", bytes.len())));
        }
        Verdict::Foreign => {
            let begin: String = String::from_utf8_lossy(&bytes).chars().take(40).collect();
            return Err(Error::new(ErrorKind::Invalid, "read the answer")
                .because(format!("it is not what S3 sends; it begins `{}`", begin.escape_debug()))
                .hint("check that `endpoint` is an S3 endpoint and not a console, a proxy or another service"));
        }
    }
    Ok(Response::from_parts(head, SdkBody::from(bytes)))
}

fn unreadable(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => *ours,
        Err(other) => Error::new(ErrorKind::Corrupt, "read the answer").from_source(other),
    }
}

/// What a document is.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Whole,
    Error,
    Cut,
    Foreign,
}

fn judge(bytes: &Bytes, root: &str) -> Verdict {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim().trim_start_matches('\u{feff}');
    let body = match text.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or("", |(_, body)| body.trim_start()),
        None => text,
    };
    if body.is_empty() {
        return Verdict::Cut;
    }
    let Some(opened) = body.strip_prefix('<') else { return Verdict::Foreign };
    let end = opened.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).unwrap_or(opened.len());
    let name = &opened[..end];
    let local = name.rsplit(':').next().unwrap_or(name);
    if local == "Error" {
        return Verdict::Error;
    }
    // Servers differ in the end of the name: rclone answers `InitiateMultipartUpload` without `Result`.
    if !local.starts_with(root) {
        return if root.starts_with(local) && !opened.contains('>') { Verdict::Cut } else { Verdict::Foreign };
    }
    let closed = body.strip_suffix('>').map(str::trim_end).is_some_and(|rest| rest.ends_with(&format!("</{name}")));
    let empty = body.ends_with("/>") && !body[..body.len() - 2].contains('>');
    if closed || empty { Verdict::Whole } else { Verdict::Cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Verdict {
        judge(&Bytes::copy_from_slice(text.as_bytes()), "ListBucketResult")
    }

    #[test]
    fn a_document_is_whole_only_if_it_is_closed() {
        let whole = "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\"><Contents><Key>a</Key></Contents></ListBucketResult>\n";
        assert_eq!(judged(whole), Verdict::Whole);
        for end in 0..whole.trim_end().len() {
            assert_ne!(judged(&whole[..end]), Verdict::Whole, "cut after {end} bytes");
        }
        assert_eq!(judged(&format!("{whole}<more/>")), Verdict::Cut);
        assert_eq!(judged("<s3:ListBucketResult></s3:ListBucketResult>"), Verdict::Whole);
    }

    #[test]
    fn an_error_with_status_200_and_a_page_of_html_are_told_apart() {
        assert_eq!(judged("  <Error><Code>InternalError</Code></Error>"), Verdict::Error);
        assert_eq!(judged("<html><body>Welcome</body></html>"), Verdict::Foreign);
        assert_eq!(judged("{}"), Verdict::Foreign);
        assert_eq!(judged(""), Verdict::Cut);
    }
}
