//! The addresses of one cluster: which to ask next, and proof that they are all the same cluster.
//!
//! 1. The node that answered last is asked first.
//! 2. One that cannot be reached is set aside for [`ASIDE`]; the next is asked at once. If all are set aside, the one that was so
//!    first goes first.
//! 3. Before a node is asked anything else for the first time, it says which cluster it belongs to. One of another cluster is never
//!    asked anything, and the user is told: to restore into the wrong cluster is worse than not to restore.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::service::{host_of, is_serverless};
use crate::error::{Error, ErrorKind, Result};

/// How long a node that failed is not asked while others are there: longer than a restart of one takes to be noticed, short enough to
/// come back to it within one restore.
const ASIDE: Duration = Duration::from_secs(30);

/// One address.
#[derive(Debug)]
pub(super) struct Node {
    /// Scheme, authority and a proxy's path, without a slash at the end.
    pub(super) base: String,
    failed: Mutex<Option<Instant>>,
    is_known: AtomicBool,
}

/// A cluster's name and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Membership {
    pub(super) name: String,
    pub(super) uuid: Option<String>,
}

impl Membership {
    fn is_same(&self, other: &Self) -> bool {
        match (&self.uuid, &other.uuid) {
            (Some(one), Some(other)) => one == other,
            _ => self.name == other.name,
        }
    }

    fn shown(&self) -> String {
        match &self.uuid {
            Some(uuid) => format!("`{}` ({uuid})", self.name),
            None => format!("`{}`", self.name),
        }
    }
}

/// The addresses of one cluster, at least one.
#[derive(Debug)]
pub(super) struct Nodes {
    list: Vec<Node>,
    preferred: AtomicUsize,
    cluster: Mutex<Option<(usize, Membership)>>,
}

impl Nodes {
    /// Reads one address, or several with commas between them.
    pub(super) fn read(text: &str) -> Result<Self> {
        let mut list: Vec<Node> = Vec::new();
        for address in text.split(',').map(str::trim).filter(|address| !address.is_empty()) {
            let base = base(address)?;
            if list.iter().all(|node| node.base != base) {
                list.push(Node { base, failed: Mutex::default(), is_known: AtomicBool::new(false) });
            }
        }
        if list.is_empty() {
            base(text)?;
        }
        Ok(Self { list, preferred: AtomicUsize::new(0), cluster: Mutex::default() })
    }

    pub(super) fn get(&self, number: usize) -> &Node {
        &self.list[number]
    }

    /// Whether there is more than one.
    pub(super) fn are_several(&self) -> bool {
        self.list.len() > 1
    }

    /// All of them, in the order in which they are to be asked now.
    pub(super) fn order(&self) -> Vec<usize> {
        let (count, first) = (self.list.len(), self.preferred.load(Ordering::Relaxed));
        let mut order: Vec<usize> = (0..count).map(|step| (first + step) % count).collect();
        // Stable: those that are well keep their order, before those that are not.
        order.sort_by_key(|number| self.failed(*number));
        order
    }

    /// Since when a node is set aside; none if it is not.
    fn failed(&self, number: usize) -> Option<Instant> {
        let failed = *self.list[number].failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.filter(|since| since.elapsed() < ASIDE)
    }

    /// This node failed.
    pub(super) fn set_aside(&self, number: usize) {
        *self.list[number].failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// This node answers.
    pub(super) fn prefer(&self, number: usize) {
        self.preferred.store(number, Ordering::Relaxed);
        *self.list[number].failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether the node has said which cluster it belongs to. A single one need not.
    pub(super) fn is_known(&self, number: usize) -> bool {
        !self.are_several() || self.list[number].is_known.load(Ordering::Relaxed)
    }

    /// Takes note of which cluster a node belongs to; refuses it if the others belong to another.
    pub(super) fn acquaint(&self, number: usize, membership: &Membership) -> Result<()> {
        let mut cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, known) = cluster.get_or_insert_with(|| (number, membership.clone()));
        if !known.is_same(membership) {
            let (node, first) = (&self.list[number].base, &self.list[*first].base);
            return Err(Error::new(ErrorKind::Invalid, format!("use `{node}` as a node of the cluster"))
                .because(format!(
                    "it belongs to the cluster {}, and `{first}` to {}",
                    membership.shown(),
                    known.shown()
                ))
                .hint("let `url` name nodes of one cluster only"));
        }
        self.list[number].is_known.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// The address as we use it; refuses what could leak or mislead.
fn base(url: &str) -> Result<String> {
    let wrong = |shown: &str, cause: &'static str| {
        Error::new(ErrorKind::Invalid, format!("use `{shown}` as a cluster's address"))
            .because(cause)
            .hint("write `https://host:port`, with the user and password or API key beside it")
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(wrong(url, "it has no scheme"));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some((_, host)) = authority.rsplit_once('@') {
        return Err(wrong(&format!("{scheme}://…@{host}"), "an address holds no user and no password"));
    }
    if !matches!(scheme, "http" | "https") {
        return Err(wrong(url, "its scheme is neither `http` nor `https`"));
    }
    if authority.is_empty() {
        return Err(wrong(url, "it names no host"));
    }
    if rest.contains(['?', '#']) {
        return Err(wrong(&format!("{scheme}://{authority}/…"), "an address has no query and no fragment"));
    }
    let base = url.trim_end_matches('/').to_owned();
    if is_serverless(&host_of(&base)) {
        return Err(Error::new(ErrorKind::Unsupported, format!("work with `{base}`"))
            .because("it is a serverless collection, which has no snapshot interface")
            .hint("use a domain of Amazon OpenSearch Service"));
    }
    match base.parse::<http::Uri>() {
        Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => Ok(base),
        _ => Err(wrong(url, "it is no URL")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_address_is_refused_and_not_shown() {
        let error = base("https://elastic:geheim@host:9200").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!error.to_string().contains("geheim"), "{error}");
    }

    #[test]
    fn an_address_is_a_scheme_a_host_and_perhaps_a_path() {
        assert_eq!(base("http://host:9200/").unwrap(), "http://host:9200");
        assert_eq!(base("https://proxy/es/").unwrap(), "https://proxy/es");
        for wrong in ["host:9200", "ftp://host", "http://host?a=b", "http://", "http://a b"] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn several_addresses_have_commas_between_them() {
        let nodes = Nodes::read("https://a:9200, https://b:9200/,https://a:9200").unwrap();
        let bases: Vec<&str> = nodes.list.iter().map(|node| node.base.as_str()).collect();
        assert_eq!(bases, ["https://a:9200", "https://b:9200"]);
        assert_eq!(Nodes::read(",").unwrap_err().kind(), ErrorKind::Invalid);
        assert!(Nodes::read("https://a,b").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_failed_goes_last_for_a_while() {
        let nodes = Nodes::read("http://a,http://b,http://c").unwrap();
        assert_eq!(nodes.order(), [0, 1, 2]);
        nodes.set_aside(0);
        assert_eq!(nodes.order(), [1, 2, 0]);
        nodes.prefer(2);
        assert_eq!(nodes.order(), [2, 1, 0]);
        tokio::time::advance(Duration::from_secs(1)).await;
        nodes.set_aside(2);
        nodes.set_aside(1);
        assert_eq!(nodes.order()[0], 0, "the one that failed first goes first");
        tokio::time::advance(ASIDE).await;
        assert_eq!(nodes.order(), [2, 0, 1]);
    }

    #[test]
    fn a_node_of_another_cluster_is_refused_with_both_names() {
        let nodes = Nodes::read("http://a,http://b,http://c").unwrap();
        let of = |name: &str, uuid: &str| Membership { name: name.into(), uuid: Some(uuid.into()) };
        nodes.acquaint(0, &of("prod", "u1")).unwrap();
        nodes.acquaint(1, &of("prod", "u1")).unwrap();
        let error = nodes.acquaint(2, &of("prod", "u2")).unwrap_err().to_string();
        assert!(error.contains("`prod` (u2)") && error.contains("`http://a` to `prod` (u1)"), "{error}");
        assert!(nodes.is_known(1) && !nodes.is_known(2));
        nodes.acquaint(2, &Membership { name: "prod".into(), uuid: None }).unwrap();
    }

    #[test]
    fn a_serverless_collection_is_refused_by_its_host() {
        let error = Nodes::read("https://abc.us-east-1.aoss.amazonaws.com").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
