//! Who we are to the cluster: nobody, a user, the holder of an API key or a token, or an identity of Amazon's.
//!
//! It makes the `Authorization` header and takes secrets out of texts that came from elsewhere. It asks nothing of the cluster. A
//! client certificate is no business of a request: `wire` shows it while the connection comes up.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use super::sign::{Aws, Keys};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// How the client proves who it is.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// It does not; for clusters without security.
    #[default]
    None,
    /// A user and a password.
    Basic {
        /// The user's name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An API key as Elasticsearch hands it out: `encoded`, or `id:api_key`.
    ApiKey(Secret),
    /// A token: of Elasticsearch's token service, a service account, a JWT, or of `OpenSearch`'s login services.
    Bearer(Secret),
    /// Signature Version 4, for a domain of Amazon's.
    Aws(Aws),
}

impl Auth {
    /// The header's value, marked sensitive so that no layer below prints it.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>> {
        let text = match self {
            Self::None | Self::Aws(_) => return Ok(None),
            Self::Basic { username, password } => {
                if username.contains(':') {
                    return Err(Error::new(ErrorKind::Invalid, format!("log in as `{username}`"))
                        .because("a user name for basic authentication holds no `:`"));
                }
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose())))
            }
            Self::ApiKey(key) if key.expose().contains(':') => format!("ApiKey {}", STANDARD.encode(key.expose())),
            Self::ApiKey(key) => format!("ApiKey {}", key.expose().trim()),
            Self::Bearer(token) => format!("Bearer {}", token.expose().trim()),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Error::new(ErrorKind::Invalid, "log in to the cluster")
                .because("the API key or token holds a character that a header cannot carry")
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// The text without our secrets, should a proxy have echoed them. `keys` are those that the request was signed with.
    pub(super) fn redact(&self, text: String, keys: Option<&Keys>) -> String {
        let mut secrets: Vec<String> = match self {
            Self::None | Self::Aws(_) => Vec::new(),
            Self::Basic { password: secret, .. } | Self::ApiKey(secret) | Self::Bearer(secret) => {
                vec![secret.expose().to_owned(), secret.expose().trim().to_owned()]
            }
        };
        if let Self::ApiKey(key) = self {
            // The second half alone is as good as the whole.
            secrets.extend(key.expose().trim().split_once(':').map(|(_, secret)| secret.to_owned()));
        }
        let header = self.header().ok().flatten();
        let encoded = header.as_ref().and_then(|value| value.to_str().ok()).and_then(|value| value.split_once(' '));
        secrets.extend(encoded.map(|(_, encoded)| encoded.to_owned()));
        secrets.extend(keys.map(|keys| keys.secret_access_key.expose().to_owned()));
        secrets.extend(keys.and_then(|keys| keys.session_token.as_ref()).map(|token| token.expose().to_owned()));
        // A password of one or two characters would blot out ordinary words and is no secret worth the name.
        let worthy = secrets.iter().filter(|secret| secret.len() > 2);
        worthy.fold(text, |clean, secret| clean.replace(secret.as_str(), "[secret]"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(auth: &Auth) -> String {
        auth.header().unwrap().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn an_api_key_may_be_given_encoded_or_as_two_parts() {
        assert_eq!(shown(&Auth::ApiKey(Secret::new("id:key"))), "ApiKey aWQ6a2V5");
        assert_eq!(shown(&Auth::ApiKey(Secret::new("aWQ6a2V5"))), "ApiKey aWQ6a2V5");
    }

    #[test]
    fn basic_joins_user_and_password() {
        let auth = Auth::Basic { username: "elastic".into(), password: Secret::new("geheim") };
        assert_eq!(shown(&auth), "Basic ZWxhc3RpYzpnZWhlaW0=");
    }

    #[test]
    fn an_echoed_secret_is_taken_out_plain_and_encoded() {
        let auth = Auth::Basic { username: "elastic".into(), password: Secret::new("geheim") };
        let text = auth.redact("you sent Basic ZWxhc3RpYzpnZWhlaW0=, that is geheim".into(), None);
        assert_eq!(text, "you sent Basic [secret], that is [secret]");
    }

    #[test]
    fn a_token_and_signing_keys_are_taken_out_too() {
        let bearer = Auth::Bearer(Secret::new("eyJhbGciOiJ.x.y\n"));
        assert_eq!(shown(&bearer), "Bearer eyJhbGciOiJ.x.y");
        assert_eq!(bearer.redact("Bearer eyJhbGciOiJ.x.y expired".into(), None), "Bearer [secret] expired");
        let key = Auth::ApiKey(Secret::new("id:sesame"));
        assert_eq!(key.redact("id:sesame, sesame, aWQ6c2VzYW1l".into(), None), "[secret], [secret], [secret]");
        let keys = Keys {
            access_key_id: Secret::new("AKID"),
            secret_access_key: Secret::new("s3cr3t"),
            session_token: Some(Secret::new("t0ken")),
        };
        let said = Auth::None.redact("AKID signed with s3cr3t and x-amz-security-token:t0ken".into(), Some(&keys));
        assert_eq!(said, "AKID signed with [secret] and x-amz-security-token:[secret]");
    }

    #[test]
    fn the_header_is_marked_sensitive() {
        assert!(Auth::ApiKey(Secret::new("id:key")).header().unwrap().unwrap().is_sensitive());
    }
}
