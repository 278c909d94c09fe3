//! AWS Signature Version 4, by `aws-sigv4`.

use std::time::SystemTime;

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;

use super::{Payload, Signer, Unsigned, text, unsignable};
use crate::error::Result;
use crate::store::credentials::Held;

/// Signs as S3 wants it: nothing of the path folded or encoded twice, the body's hash in a header of its own.
#[derive(Debug)]
pub(in crate::store) struct S3V4;

impl Signer for S3V4 {
    fn sign(&self, request: &mut Unsigned<'_>, who: &Held, region: &str, now: Timestamp) -> Result<()> {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = v4::SigningParams::builder()
            .identity(who.identity())
            .region(region)
            .name("s3")
            .time(SystemTime::from(now))
            .settings(settings)
            .build()
            .map_err(|error| unsignable().from_source(error))?;
        let body = match request.payload {
            Payload::Bytes(bytes) => SignableBody::Bytes(bytes),
            Payload::Unsigned => SignableBody::UnsignedPayload,
            Payload::Trailer => SignableBody::StreamingUnsignedPayloadTrailer,
        };
        let url = request.url();
        let mut headers = vec![("host", request.host.as_str())];
        for (name, value) in &request.headers {
            if name.as_str().starts_with("x-amz-") || matches!(name.as_str(), "content-md5" | "content-type") {
                headers.push((name.as_str(), text(value)?));
            }
        }
        let signable = SignableRequest::new(request.method.as_str(), url.as_str(), headers.into_iter(), body)
            .map_err(|error| unsignable().from_source(error))?;
        let (instructions, _) =
            sign(signable, &params.into()).map_err(|error| unsignable().from_source(error))?.into_parts();
        let (headers, _) = instructions.into_parts();
        for header in headers {
            let mut value = HeaderValue::from_str(header.value()).map_err(|error| unsignable().from_source(error))?;
            value.set_sensitive(header.sensitive());
            request.headers.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(())
    }
}
