//! Asking every node whether it reaches a repository, and reading what those say that do not.
//!
//! One refusal holds them all, as a text: `[repository] [[<node id>, 'Exception[…]; nested: …'], [<node id>, '…']]`. 5.6 has the
//! causes in it, 8.12 has them beside it, as `suppressed`. A master that cannot reach the place says so for itself alone, with a chain of causes and no list.
//!
//! What a read-only repository is worth here was tried: 5.5 and 5.6 ask no node, 6.8, 7.10 and OpenSearch refuse a directory that
//! is not there, 8.12 and 9.0 do not; a bucket that is not there is refused by 8.12 too.

use serde::Serialize;

use super::find;
use super::target::Target;
use crate::elastic::client::Client;
use crate::elastic::failure::{Failure, line};
use crate::elastic::name;
use crate::elastic::request::Request;
use crate::error::{Error, ErrorKind, Result};

/// What a node says. The field names are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeVerdict {
    /// Its id.
    pub id: String,
    /// Its name, as far as it is known.
    pub name: String,
    /// Why it does not reach the place; none if it does.
    pub cause: Option<String>,
    /// What can be done about that.
    pub hint: Option<String>,
}

/// What all nodes say. The field names are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The repository.
    pub name: String,
    /// Nothing was written to it: see [`Verified::proves`].
    pub readonly: bool,
    /// The nodes that answered; those that cannot reach it come first.
    pub nodes: Vec<NodeVerdict>,
    /// The cluster told only of those that failed.
    pub incomplete: bool,
}

impl Verified {
    /// Whether every node reaches it.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.nodes.iter().all(|node| node.cause.is_none())
    }

    /// What a success means.
    #[must_use]
    pub fn proves(&self, target: &Target) -> &'static str {
        let eight = target.is_elasticsearch() && target.version().major >= 8;
        match self.readonly {
            false => "that every node wrote a file there that the master could read",
            true if target.is_before(6, 6) => {
                "nothing: it is read-only, and this version then asks no node; `repo show` reads what is there"
            }
            true if eight => {
                "little: it is read-only, so nothing was written, and a place without any data passes too; `repo show` reads what \
                 is there"
            }
            true => {
                "that every node listed the place: it is read-only, so nothing was written, and a prefix without any data passes \
                 too; `repo show` reads what is there"
            }
        }
    }
}

/// Lets every node look.
///
/// Fails with [`ErrorKind::NotFound`] when the repository is not registered. Nodes that cannot reach it are a result.
pub async fn verify(client: &Client, target: &Target, repository: &str) -> Result<Verified> {
    name::check("repository", repository)?;
    let doing = format!("verify the repository `{repository}`");
    let Some(there) = find(client, repository).await? else {
        return Err(Error::new(ErrorKind::NotFound, format!("{doing} on `{}`", client.place()))
            .because("it is not registered")
            .hint("list what is there with `repo list`"));
    };
    let mut verified = Verified { name: there.name, readonly: there.readonly, nodes: Vec::new(), incomplete: false };
    let request = Request::post(doing, &["_snapshot", repository]).word("_verify");
    match client.try_call(request).await {
        Ok(answer) => {
            let nodes = answer["nodes"].as_object().into_iter().flatten();
            let reached = nodes.map(|(id, node)| NodeVerdict {
                id: id.clone(),
                name: node["name"].as_str().unwrap_or(id).to_owned(),
                cause: None,
                hint: None,
            });
            verified.nodes = reached.collect();
        }
        // Up to 6.8 a master that fails says so as a plain `exception`.
        Err(refusal) => match refusal.failure.as_ref().filter(|it| it.status.is_server_error() && !it.is_transient()) {
            Some(failure) => {
                verified.nodes = verdicts(failure, target);
                verified.incomplete = true;
            }
            None => return Err(refusal.into()),
        },
    }
    Ok(verified)
}

/// What the nodes that failed say, one by one.
fn verdicts(failure: &Failure, target: &Target) -> Vec<NodeVerdict> {
    let told = parts(&failure.parts.whole);
    if told.is_empty() {
        // Only the master tried.
        let hint = Failure::advice_for(&failure.cause()).map(str::to_owned);
        return vec![NodeVerdict { id: String::new(), name: "the master".into(), cause: Some(failure.cause()), hint }];
    }
    // 8.x tells the causes beside the list, in the same order.
    let beside = (failure.parts.suppressed.len() == told.len()).then_some(&failure.parts.suppressed);
    let verdict = |(number, (id, text)): (usize, (&str, &str))| {
        let cause = beside.and_then(|causes| causes.get(number)).filter(|_| !text.contains(NESTED));
        let cause = cause.map_or_else(|| innermost(text), String::as_str);
        NodeVerdict {
            id: id.to_owned(),
            name: target.node_name(id).or_else(|| named(text)).unwrap_or(id).to_owned(),
            cause: Some(line(cause)),
            hint: Failure::advice_for(cause).or_else(|| Failure::advice_for(text)).map(str::to_owned),
        }
    };
    told.into_iter().enumerate().map(verdict).collect()
}

/// The entries `[<id>, '<text>']` of the list.
fn parts(reason: &str) -> Vec<(&str, &str)> {
    // Node ids are 22 characters of URL-safe Base64.
    let id_before = |at: usize| {
        let start = at.checked_sub(22)?;
        let id = reason.get(start..at)?;
        let plain = id.chars().all(|one| one.is_ascii_alphanumeric() || one == '-' || one == '_');
        (plain && reason.get(..start)?.ends_with('[')).then_some((start, id))
    };
    let starts: Vec<(usize, usize, &str)> = reason
        .match_indices(", '")
        .filter_map(|(at, separator)| id_before(at).map(|(start, id)| (start, at + separator.len(), id)))
        .collect();
    let ends = starts.iter().skip(1).map(|(start, ..)| *start).chain([reason.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|((_, begin, id), end)| {
            let text = reason.get(*begin..end).unwrap_or_default();
            (*id, text.trim_end_matches([' ', ',', '[', ']']).trim_end_matches('\''))
        })
        .collect()
}

/// The name in `RemoteTransportException[[name][address][action]]`, `RemoteTransportException: [name][…` from 8.x on, or
/// `on the node [{name}{id}…]`.
fn named(text: &str) -> Option<&str> {
    let between = |start: &str, end: char| text.split_once(start)?.1.split(end).next().filter(|name| !name.is_empty());
    let remote = between("RemoteTransportException[[", ']').or_else(|| between("RemoteTransportException: [", ']'));
    remote.or_else(|| between("on the node [{", '}'))
}

/// What stands before an exception within another.
const NESTED: &str = "nested: ";

/// The last of the nested exceptions, which is the one that knows.
fn innermost(text: &str) -> &str {
    text.rsplit(NESTED).next().unwrap_or(text).trim_end_matches([';', ' '])
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_of_failures_is_taken_apart_by_node() {
        let reason = "[r] [[-ig2axJpTRKq_cnvDlk0jQ, 'RepositoryVerificationException[[r] a file written by master to the store \
            [x] cannot be accessed on the node [{a}]]'], [qEfi7CbFRzixLG1lb-_wpg, 'RemoteTransportException[[data-2]\
            [10.67.1.203:9300][internal:admin/repository/verify]]; nested: RepositoryVerificationException[[r] store location \
            [x] is not accessible on the node [{b}]]; nested: AmazonS3Exception[The AWS Access Key Id you provided does not \
            exist in our records. (Service: Amazon S3; Status Code: 403; Error Code: InvalidAccessKeyId; Request ID: 1)]; ']]";
        let body = json!({ "error": { "type": "repository_verification_exception", "reason": reason }, "status": 500 });
        let failure = Failure::decode(StatusCode::INTERNAL_SERVER_ERROR, &body);

        let found = verdicts(&failure, &Target::parse("es-6.8").unwrap());

        assert_eq!(found.len(), 2);
        assert_eq!((found[0].id.as_str(), found[0].name.as_str()), ("-ig2axJpTRKq_cnvDlk0jQ", "a"));
        assert!(found[0].cause.as_ref().unwrap().contains("cannot be accessed"), "{found:?}");
        assert_eq!(found[1].name, "data-2");
        assert!(found[1].cause.as_ref().unwrap().starts_with("AmazonS3Exception[The AWS Access Key Id"), "{found:?}");
        assert!(found[1].hint.as_ref().unwrap().contains("access key"), "{found:?}");
    }

    /// What a cluster of two nodes of 8.12.2 answered.
    #[test]
    fn causes_that_stand_beside_the_list_go_to_their_nodes() {
        let remote = |id: &str, name: &str| {
            format!(
                "[{id}, 'org.elasticsearch.transport.RemoteTransportException: [{name}][127.0.0.1:19312]\
                 [internal:admin/repository/verify]']"
            )
        };
        let reason =
            format!("[x] [{}, {}]", remote("nGLCZl9VSaKWX-eG3PpNWA", "nb"), remote("1GLCZl9VSaKWX-eG3PpNWA", "nc"));
        let cause = |reason: &str| {
            json!({ "type": "repository_exception", "reason": "[x] repository type [fs] failed to create on current node",
                "caused_by": { "type": "repository_exception", "reason": reason } })
        };
        let suppressed = [
            cause("[x] location [/a] doesn't match any of the locations specified by path.repo"),
            cause("NoSuchBucket"),
        ];
        let body = json!({ "error": { "type": "repository_verification_exception", "reason": reason,
            "suppressed": suppressed }, "status": 500 });
        let failure = Failure::decode(StatusCode::INTERNAL_SERVER_ERROR, &body);

        let found = verdicts(&failure, &Target::parse("es-8.12").unwrap());

        assert_eq!(found.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["nb", "nc"]);
        assert!(found[0].cause.as_ref().unwrap().contains("doesn't match"), "{found:?}");
        assert!(found[0].hint.as_ref().unwrap().contains("`path.repo` of every node"), "{found:?}");
        assert!(found[1].hint.as_ref().unwrap().contains("create the bucket"), "{found:?}");
    }

    #[test]
    fn a_master_that_cannot_reach_the_place_speaks_for_itself() {
        let body = json!({ "error": { "type": "repository_verification_exception",
            "reason": "[r] path  is not accessible on master node",
            "caused_by": { "type": "i_o_exception", "reason": "x", "caused_by": { "type": "amazon_s3_exception",
                "reason": "The specified bucket does not exist (Error Code: NoSuchBucket)" } } }, "status": 500 });
        let failure = Failure::decode(StatusCode::INTERNAL_SERVER_ERROR, &body);

        let found = verdicts(&failure, &Target::parse("es-8.12").unwrap());

        assert_eq!((found.len(), found[0].name.as_str()), (1, "the master"));
        assert!(found[0].hint.as_ref().unwrap().contains("create the bucket"));
    }
}
