//! Letting the nodes read their keystores again, after keys were put there.

use serde_json::json;

use crate::elastic::client::Client;
use crate::elastic::failure::{Failure, line};
use crate::elastic::request::Request;
use crate::elastic::version::Distribution;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// Makes every node read its keystore again, and believes no node that says it could not.
///
/// `password` is the keystore's own, where it has one. Returns how many nodes did. Fails with [`ErrorKind::Unsupported`] before
/// 6.4, where a restart is the only way, and with [`ErrorKind::Invalid`] naming each node that could not.
pub async fn reload(client: &Client, password: Option<&Secret>) -> Result<usize> {
    let doing = format!("reload the secure settings of `{}`", client.place());
    let version = client.version();
    if version.distribution == Distribution::Elasticsearch && (version.major, version.minor) < (6, 4) {
        return Err(Error::new(ErrorKind::Unsupported, doing)
            .because(format!("{version} reads its keystore when it starts and never again"))
            .hint("restart the nodes one by one"));
    }
    let mut request = Request::post("reload the secure settings", &["_nodes", "reload_secure_settings"]);
    if let Some(password) = password {
        request = request.body(&json!({ "secure_settings_password": password.expose() }));
    }
    let answer = client.call(request).await?;
    let mut failed = Vec::new();
    let nodes: Vec<_> = answer["nodes"].as_object().into_iter().flatten().collect();
    for (id, node) in &nodes {
        let exception = &node["reload_exception"];
        if !exception.is_null() {
            let failure = Failure::decode(http::StatusCode::INTERNAL_SERVER_ERROR, exception);
            let cause = match exception.as_str() {
                Some(text) => line(text),
                None => failure.cause_alone(),
            };
            failed.push(format!("`{}`: {cause}", node["name"].as_str().unwrap_or(id)));
        }
    }
    if failed.is_empty() && !nodes.is_empty() {
        return Ok(nodes.len());
    }
    let cause = if nodes.is_empty() { "no node answered".to_owned() } else { failed.join("; ") };
    Err(Error::new(ErrorKind::Invalid, doing).because(cause).hint(
        "correct the keystore of each node that is named; one with a password needs `--keystore-password-file`, and over \
         unencrypted connections between nodes it is refused",
    ))
}
