//! What a rollback needs: a registration as it was, and the removal of one index.
//!
//! Remembering what was there, and proving that an index may go, is for the caller.

use serde_json::{Value, json};

use super::client::Client;
use super::name;
use super::request::Request;
use crate::error::{ErrorKind, Result};

/// A repository as it is registered, in the cluster's own words without its UUID; none if the name is free. Credentials, which clusters
/// do not tell, are not in it.
pub async fn registration(client: &Client, name: &str) -> Result<Option<Value>> {
    name::check("repository", name)?;
    let request = Request::get(format!("look up the repository `{name}`"), &["_snapshot", name]);
    match client.call(request).await {
        Ok(answer) => Ok(answer.get(name).map(|found| json!({ "type": found["type"], "settings": found["settings"] }))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Registers a repository with a body that [`registration`] gave. Nothing is verified: it was there before.
pub async fn put_registration(client: &Client, name: &str, body: &Value) -> Result<()> {
    name::check("repository", name)?;
    let request = Request::put(format!("put the repository `{name}` back"), &["_snapshot", name]);
    client.call(request.query("verify", "false").body(body)).await.map(drop)
}

/// Deletes one index by its concrete name; it is no error if it is not there.
pub async fn delete_index(client: &Client, name: &str) -> Result<()> {
    name::check("index", name)?;
    match client.call(Request::delete(format!("delete the index `{name}`"), &[name])).await {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
