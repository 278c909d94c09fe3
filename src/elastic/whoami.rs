//! As whom the cluster sees us, where it has an answer to that.

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::client::Client;
use super::request::Request;
use super::version::Distribution;
use crate::error::Result;

/// Who we are to the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The user's name; for an API key that of its owner.
    pub username: String,
    /// Its roles; an API key's own restrictions are not among them.
    pub roles: Vec<String>,
    /// How it was proven: `realm`, `api_key`, `token`, `service_account`; empty where the server does not say.
    pub by: String,
    /// The realm that knew the user, or the API key's name.
    pub of: String,
}

/// Asks. None where security is off, not installed, or not ours to ask about.
pub async fn ask(client: &Client) -> Result<Option<Identity>> {
    let version = client.version();
    let path: &[&str] = match (version.distribution, version.major) {
        (Distribution::OpenSearch, _) => &["_plugins", "_security", "authinfo"],
        (Distribution::Elasticsearch, ..7) => &["_xpack", "security", "_authenticate"],
        _ => &["_security", "_authenticate"],
    };
    match client.try_call(Request::get("ask who we are", path)).await {
        Ok(answer) => Ok(read(&answer)),
        // No such handler, or security that is there and off: 400, 404, 405, or 500 with a word about the licence.
        Err(refusal) if refusal.failure.as_ref().is_some_and(|failure| failure.status != StatusCode::UNAUTHORIZED) => {
            tracing::debug!(error = %refusal.error, "the cluster does not tell who we are");
            Ok(None)
        }
        Err(refusal) => Err(refusal.into()),
    }
}

fn read(answer: &Value) -> Option<Identity> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().into_iter().flatten().map(text).collect();
    if let Some(name) = answer["user_name"].as_str() {
        return Some(Identity {
            username: name.to_owned(),
            roles: list(&answer["roles"]),
            by: String::new(),
            of: String::new(),
        });
    }
    let key = text(&answer["api_key"]["name"]);
    Some(Identity {
        username: answer["username"].as_str()?.to_owned(),
        roles: list(&answer["roles"]),
        by: text(&answer["authentication_type"]),
        of: if key.is_empty() { text(&answer["authentication_realm"]["name"]) } else { key },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_distributions_are_understood() {
        let elastic = json!({ "username": "elastic", "roles": ["superuser"], "authentication_type": "api_key",
            "authentication_realm": { "name": "_es_api_key", "type": "_es_api_key" }, "api_key": { "id": "x", "name": "migrator" } });
        let identity = read(&elastic).unwrap();
        assert_eq!(
            (identity.username.as_str(), identity.by.as_str(), identity.of.as_str()),
            ("elastic", "api_key", "migrator")
        );
        let fork = json!({ "user_name": "admin", "roles": ["all_access"], "backend_roles": ["admin"] });
        assert_eq!(read(&fork).unwrap().username, "admin");
        assert_eq!(read(&json!({})), None);
    }
}
