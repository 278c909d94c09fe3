//! What the vendor's own SDKs sign, signed again by us: `tests/vectors/oss.json`, made by `tests/engines/vectors.py`.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use serde::Deserialize;

use super::{OssV4, Payload, Signer, Unsigned, encode};
use crate::secret::Secret;
use crate::store::credentials::{Credentials, Vault};

#[derive(Deserialize)]
struct Case {
    version: String,
    method: String,
    bucket: Option<String>,
    key: Option<String>,
    query: Vec<(String, Option<String>)>,
    headers: BTreeMap<String, String>,
    region: String,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    time: i64,
    authorization: String,
}

impl Case {
    /// The headers that a signer adds itself are left out.
    fn unsigned(&self) -> Unsigned<'static> {
        let added = ["date", "x-oss-content-sha256", "x-oss-date", "x-oss-security-token"];
        let headers = self.headers.iter().filter(|(name, _)| !added.contains(&name.as_str()));
        let headers: HeaderMap = headers
            .map(|(name, value)| {
                let name: HeaderName = name.parse().expect("a name");
                (name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
            })
            .collect();
        let key = self.key.as_deref().unwrap_or_default();
        let resource = |key: &str| match &self.bucket {
            Some(bucket) => format!("/{bucket}/{key}"),
            None => "/".to_owned(),
        };
        Unsigned {
            method: self.method.parse::<Method>().expect("a method"),
            scheme: "https",
            host: "oss-cn-hangzhou.aliyuncs.com".to_owned(),
            path: resource(&encode::path(key)),
            resource: resource(&encode::path(key)),
            plain_resource: resource(key),
            query: self.query.iter().map(|(name, value)| (&*name.clone().leak(), value.clone())).collect(),
            headers,
            payload: Payload::Unsigned,
        }
    }

    async fn signed(&self, signer: &dyn Signer) -> HeaderMap {
        let credentials = Credentials {
            access_key_id: Secret::new(&*self.access_key_id),
            secret_access_key: Secret::new(&*self.secret_access_key),
            session_token: self.session_token.as_deref().map(Secret::new),
            expires: None,
        };
        let who = Vault::new(Arc::new(credentials)).open().await.expect("given");
        let mut request = self.unsigned();
        let now = Timestamp::from_second(self.time).expect("a time");
        signer.sign(&mut request, &who, &self.region, now).expect("signed");
        request.headers
    }
}

/// Signs every case of a version and compares all headers, the signature's character by character.
async fn compare(version: &str, signer: &dyn Signer) {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../../tests/vectors/oss.json")).expect("cases");
    let mut compared = 0;
    // We sign what must be signed and nothing more.
    let ours = |case: &&Case| case.version == version && !case.authorization.contains("AdditionalHeaders=");
    for case in cases.iter().filter(ours) {
        let headers = case.signed(signer).await;
        let what = format!("{} {:?} {:?} {:?}", case.method, case.key, case.query, case.headers);
        let came = headers["authorization"].to_str().expect("plain");
        // The older SDK writes blanks behind the commas; OSS takes both.
        assert_eq!(came, case.authorization.replace(", ", ","), "{what}");
        for (name, value) in case.headers.iter().filter(|(name, _)| version == "v1" || *name != "date") {
            assert_eq!(headers[name.as_str()].as_bytes(), value.as_bytes(), "{name} of {what}");
        }
        assert!(headers["authorization"].is_sensitive());
        compared += 1;
    }
    assert!(compared > 80, "{compared} cases of {version}");
}

#[tokio::test]
async fn v4_is_signed_as_the_vendor_signs_it() {
    compare("v4", &OssV4::default()).await;
}

#[cfg(feature = "oss-v1")]
#[tokio::test]
async fn v1_is_signed_as_the_vendor_signs_it() {
    compare("v1", &super::OssV1).await;
}

/// The test vector of the vendor's Go SDK.
#[tokio::test]
async fn v4_is_signed_as_the_go_sdk_signs_it() {
    let case: Case = serde_json::from_value(serde_json::json!({
        "version": "v4", "method": "PUT", "bucket": "bucket", "key": "1234+-/123/1.txt", "region": "cn-hangzhou",
        "query": [["param1", "value1"], ["+param1", "value3"], ["|param1", "value4"], ["+param2", null], ["|param2", null], ["param2", null]],
        "headers": {"x-oss-head1": "value", "abc": "value", "zabc": "value", "xyz": "value", "content-type": "text/plain"},
        "access_key_id": "ak", "secret_access_key": "sk", "session_token": null, "time": 1_702_743_657, "authorization": "",
    }))
    .expect("a case");
    let headers = case.signed(&OssV4::default()).await;
    let value = headers["authorization"].to_str().expect("plain");
    assert_eq!(
        value,
        "OSS4-HMAC-SHA256 Credential=ak/20231216/cn-hangzhou/oss/aliyun_v4_request,Signature=e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe"
    );
}
