//! Who we are to the cluster: nobody, a user, or an API key.
//!
//! It makes the `Authorization` header and takes secrets out of texts that came from elsewhere. It asks nothing of the cluster.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

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
}

impl Auth {
    /// The header's value, marked sensitive so that no layer below prints it.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Basic { username, password } => {
                if username.contains(':') {
                    return Err(Error::new(ErrorKind::Invalid, format!("log in as `{username}`"))
                        .because("a user name for basic authentication holds no `:`"));
                }
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose())))
            }
            Self::ApiKey(key) if key.expose().contains(':') => format!("ApiKey {}", STANDARD.encode(key.expose())),
            Self::ApiKey(key) => format!("ApiKey {}", key.expose().trim()),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Error::new(ErrorKind::Invalid, "log in to the cluster")
                .because("the API key holds a character that a header cannot carry")
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// The text without our secrets, should a proxy have echoed them.
    pub(super) fn redact(&self, text: String) -> String {
        let secret = match self {
            Self::None => return text,
            Self::Basic { password, .. } => password,
            Self::ApiKey(key) => key,
        };
        let mut clean = text;
        // A password of one or two characters would blot out ordinary words and is no secret worth the name.
        if secret.expose().len() > 2 {
            clean = clean.replace(secret.expose(), "[secret]");
        }
        let header = self.header().ok().flatten();
        match header.as_ref().and_then(|value| value.to_str().ok()).and_then(|value| value.split_once(' ')) {
            Some((_, encoded)) => clean.replace(encoded, "[secret]"),
            None => clean,
        }
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
        let text = auth.redact("you sent Basic ZWxhc3RpYzpnZWhlaW0=, that is geheim".into());
        assert_eq!(text, "you sent Basic [secret], that is [secret]");
    }

    #[test]
    fn the_header_is_marked_sensitive() {
        assert!(Auth::ApiKey(Secret::new("id:key")).header().unwrap().unwrap().is_sensitive());
    }
}
